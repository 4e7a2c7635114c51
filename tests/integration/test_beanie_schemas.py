"""Beanie models through the proxy, checked against the schema that pydantic generates for them: valid documents are
stored, and each violated constraint is named. And MongoEngine under a schema written by hand."""

import json
import subprocess
import sys
import uuid
from datetime import datetime
from pathlib import Path

import bson
import mongoengine
import pytest
from support.schemas import wait_in_force
from test_odms import BEANIE_1

pytestmark = pytest.mark.proxy_only
PROGRAM = Path(__file__).parent / "support/beanie_models.py"


def run(python, *words):
    done = subprocess.run([python, PROGRAM, *words], capture_output=True, text=True, timeout=90,
                          check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("python", "version"), [(Path(sys.executable), "2."), (BEANIE_1, "1.30")],
                         ids=["beanie 2", "beanie 1.30"])
def test_every_kind_of_field(start_proxy, server, folder, python, version):
    assert python.exists(), f"no {python}: scripts/setup.sh beanie1 makes it"
    database = f"models{uuid.uuid4().hex[:8]}"
    for collection, schema in run(python, "schemas").items():
        folder.write(f"{database}.{collection}", schema, dialect="json-schema")
    proxy = start_proxy(server.endpoint.uri(), {"schemas": folder.path}, endpoint=server.endpoint)
    saw = run(python, "store", proxy.endpoint().uri(), database)
    with server.endpoint.client() as direct:
        direct.drop_database(database)
    assert saw.pop("beanie").startswith(version)
    good = saw.pop("stored")
    assert saw == {
        "wrongly refused": [], "wrongly stored": [], "other rules": [],
        "dog stored": ["Strelka", ["_class_id", "revision_id"]],
        "insert_many": [[1, 121, ["minimum"]], [4, 121, ["minLength"]]],
        "ways": dict.fromkeys(["replace", "save", "set", "inc", "update", "upsert"], 121),
        "dog": ["type"], "wings": ["additionalProperties", ["wings"]],
    }
    assert good == 52


# --- MongoEngine

ENGINE = {
    "bsonType": "object", "required": ["_id", "name", "age", "born"],
    "properties": {
        "_id": {"bsonType": "objectId"},
        "name": {"bsonType": "string", "minLength": 1, "maxLength": 20},
        "age": {"bsonType": ["int", "long"], "minimum": 0},
        "born": {"bsonType": "date"},
        "tags": {"bsonType": "array", "items": {"bsonType": "string"}, "uniqueItems": True},
        "address": {"bsonType": "object", "required": ["city"],
                    "properties": {"city": {"bsonType": "string"}}},
    },
    "additionalProperties": False,
}


class Address(mongoengine.EmbeddedDocument):
    city = mongoengine.StringField()


class Citizen(mongoengine.Document):
    meta = {"collection": "citizen", "strict": False}
    name = mongoengine.StringField()
    age = mongoengine.IntField()
    born = mongoengine.DateTimeField(default=lambda: datetime(1815, 12, 10))
    tags = mongoengine.ListField(mongoengine.StringField(), default=list)
    address = mongoengine.EmbeddedDocumentField(Address)
    shoe = mongoengine.IntField()


@pytest.fixture
def citizens(start_proxy, server, folder):
    database = f"engine{uuid.uuid4().hex[:8]}"
    folder.write(f"{database}.citizen", ENGINE)
    proxy = start_proxy(server.endpoint.uri(), {"schemas": folder.path}, endpoint=server.endpoint)
    client = mongoengine.connect(database, host=proxy.endpoint().uri(database))
    wait_in_force(client, f"{database}.citizen")
    yield client[database].citizen
    client.drop_database(database)
    mongoengine.disconnect()


@pytest.mark.parametrize(("fields", "rule"), [
    ({"name": ""}, "minLength"), ({"name": "x" * 21}, "maxLength"), ({"age": -1}, "minimum"),
    ({"age": None}, "required"), ({"tags": ["a", "a"]}, "uniqueItems"), ({"address": Address()}, "required"),
    ({"shoe": 42}, "additionalProperties")], ids=str)
def test_mongoengine(citizens, fields, rule):
    good = {"name": "Ada", "age": 36, "tags": ["x", "y"], "address": Address(city="London")}
    Citizen(**good).save()
    with pytest.raises(mongoengine.errors.OperationError) as caught:
        Citizen(**{**good, **fields}).save()
    assert f"'{rule}'" in str(caught.value.__context__.details)
    assert caught.value.__context__.code == 121
    Citizen.objects.insert([Citizen(**good), Citizen(**good)])
    with pytest.raises(mongoengine.errors.OperationError):
        Citizen.objects.insert([Citizen(**good), Citizen(**{**good, **fields})])
    assert Citizen.objects.count() == 4  # ordered: what stands before goes


def test_mongoengine_updates(citizens):
    ada = Citizen(name="Ada", age=36).save()
    for change in ({"set__age": -1}, {"unset__name": 1}, {"set__shoe": 42}):
        with pytest.raises((mongoengine.errors.OperationError, mongoengine.errors.InvalidQueryError)):
            Citizen.objects(id=ada.id).update(**change)
    ada.age = -5
    with pytest.raises(mongoengine.errors.OperationError):
        ada.save(validate=False)
    assert Citizen.objects(id=ada.id).update(set__age=37) == 1
    assert bson.encode(citizens.find_one({"_id": ada.id})) and citizens.find_one()["age"] == 37
