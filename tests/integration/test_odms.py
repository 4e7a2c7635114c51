"""Beanie 2, Beanie 1.30 on Motor, and MongoEngine: unchanged, with authentication and TLS on both
sides."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import mongoengine
import pytest
from support.proxy import ROOT

BEANIE_1 = Path(os.environ.get("SLUICE_BEANIE1_PYTHON",
                               ROOT / ".cache/venv-beanie1/bin/python"))


@pytest.mark.parametrize(("python", "version"), [(Path(sys.executable), "2."), (BEANIE_1, "1.30")],
                         ids=["beanie 2", "beanie 1.30"])
def test_beanie(secure_target, python, version):
    assert python.exists(), f"no {python}: scripts/setup.sh beanie1 makes it"
    program = Path(__file__).parent / "support/beanie_program.py"
    done = subprocess.run([python, program, secure_target.uri(), f"beanie{uuid.uuid4().hex[:8]}"],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    saw = json.loads(done.stdout)
    assert saw.pop("beanie").startswith(version)
    # save() differs in its request: the whole document, or the changes
    assert saw.pop("changes") in (["insert", "update", "delete"], ["insert", "replace", "delete"])
    assert saw == {
        "found": [9.5, "Babbage", "red"],
        "recent": 50,
        "sorted": [1903, 1902, 1901],
        "updated": [1838, 9, 2901],
        "duplicate": "DuplicateKeyError",
        "deleted": 50,  # the engine and 49 copies: copy 1 went to the year 2901
        "left": 51,
        "transactions": [1, 1],
    }


class Address(mongoengine.EmbeddedDocument):
    city = mongoengine.StringField(required=True)


class Person(mongoengine.Document):
    name = mongoengine.StringField(required=True, unique=True)
    age = mongoengine.IntField(min_value=0)
    address = mongoengine.EmbeddedDocumentField(Address)
    friends = mongoengine.ListField(mongoengine.ReferenceField("self"))
    photo = mongoengine.FileField()


@pytest.fixture
def connected(secure_target):
    database = f"engine{uuid.uuid4().hex[:8]}"
    client = mongoengine.connect(database, host=secure_target.uri(database))
    yield client
    client.drop_database(database)
    mongoengine.disconnect()


def test_mongoengine_create_find_update_delete(connected):
    ada = Person(name="Ada", age=36, address=Address(city="London")).save()
    Person.objects.insert([Person(name=f"person {i}", age=i) for i in range(50)])
    Person(name="Charles", age=79, friends=[ada]).save()
    assert Person.objects(address__city="London").first() == ada
    assert [one.age for one in Person.objects(age__lt=5).order_by("-age")] == [4, 3, 2, 1, 0]
    assert Person.objects.get(name="Charles").friends[0].name == "Ada"
    ada.age = 37
    ada.save()
    assert Person.objects(name="Ada").update_one(inc__age=1) == 1
    assert ada.reload().age == 38
    assert Person.objects(age__gte=40).update(set__address=Address(city="Bath")) == 11
    with pytest.raises(mongoengine.NotUniqueError):
        Person(name="Ada").save()
    with pytest.raises(mongoengine.ValidationError):
        Person(name="Zoe", age=-1).save()
    assert Person.objects(age__lt=40).delete() == 41
    assert Person.objects.count() == 11
    assert Person.objects.sum("age") == sum(range(40, 50)) + 79


def test_mongoengine_files(connected):
    """GridFS: chunks and an index on them."""
    data = os.urandom(3_000_000)
    person = Person(name="photographed")
    person.photo.put(data, content_type="image/raw")
    person.save()
    assert Person.objects.get(name="photographed").photo.read() == data


def test_mongoengine_transactions(connected):
    Person.ensure_indexes()
    with mongoengine.connection.get_connection().start_session() as session:
        collection = Person._get_collection()
        with session.start_transaction():
            collection.insert_one({"name": "in"}, session=session)
        session.start_transaction()
        collection.insert_one({"name": "out"}, session=session)
        session.abort_transaction()
    assert [one.name for one in Person.objects] == ["in"]


def test_mongoengine_change_streams(connected):
    Person(name="before").save()
    with Person._get_collection().watch(max_await_time_ms=500) as stream:
        person = Person(name="after").save()
        Person.objects(id=person.id).update_one(set__age=5)
        person.delete()
        assert [next(stream)["operationType"] for _ in range(3)] == ["insert", "update", "delete"]
