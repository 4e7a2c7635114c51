"""mongosluice.check: the proxy's verdict in this process, without a server."""

import decimal
import json
import threading
import uuid
from typing import Optional

import bson
import pytest
from bson.raw_bson import RawBSONDocument
from pydantic import BaseModel, Field

import mongosluice


class Line(BaseModel):
    sku: str = Field(pattern="^[A-Z]{2}$")
    count: int = Field(ge=1)


class Order(BaseModel):
    customer: str
    lines: list[Line] = []
    reference: Optional[uuid.UUID] = None


def test_a_model_and_a_document():
    fine = {"customer": "Ada", "lines": [{"sku": "AB", "count": 2}], "reference": uuid.uuid4()}
    verdict = mongosluice.check(Order, fine)
    assert verdict and verdict == mongosluice.Verdict() and verdict.errors() == []

    verdict = mongosluice.check(Order, {"_id": 7, "customer": 3, "lines": [{"sku": "AB", "count": 0}]})
    assert not verdict and verdict.code == 121
    assert verdict.err_info["failingDocumentId"] == 7
    assert verdict.err_info["details"]["operatorName"] == "$jsonSchema"
    assert {one["loc"]: one["type"] for one in verdict.errors()} == {
        ("customer",): "string_type", ("lines", 0, "count"): "greater_than_equal"}
    assert mongosluice.check(Order, bson.encode(fine, codec_options=mongosluice.checking.OPTIONS))
    assert mongosluice.check(Order, RawBSONDocument(bson.encode({"customer": "x"})))


@pytest.mark.parametrize("schema", [
    {"bsonType": "object", "required": ["a"]},
    {"$jsonSchema": {"required": ["a"]}},
    {"ns": "d.c", "action": "warn", "schema": {"required": ["a"]}},
    {"ns": "d.c", "dialect": "json-schema", "schema": {"type": "object", "required": ["a"]}},
    {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "required": ["a"]},
])
def test_schemas_as_dicts_and_files(schema, tmp_path):
    (tmp_path / "file.json").write_text(json.dumps(schema))
    for given in (schema, tmp_path / "file.json", str(tmp_path / "file.json")):
        assert mongosluice.check(given, {"a": 1}) and not mongosluice.check(given, {"b": 1})


def test_what_export_makes():
    exported = mongosluice.export(Order, ns="d.orders")
    assert mongosluice.check(exported, {"customer": "x"}) and not mongosluice.check(exported, {})
    assert mongosluice.check({"properties": {"n": {"minimum": bson.Int64(5)}}}, {"n": 5})
    assert not mongosluice.check({"properties": {"n": {"maximum": bson.Decimal128("0.5")}}}, {"n": 0.75})


def test_what_is_no_document_and_what_is_no_schema():
    for data, code in ((b"", 22), (b"\x05\0\0\0\1", 22), (bson.encode({"a": {}})[:-1] + b"x", 22)):
        verdict = mongosluice.check({}, data)
        assert not verdict and verdict.code == code and verdict.err_info is None and verdict.message
        assert verdict.errors()[0]["type"] == "document"
    with pytest.raises(mongosluice.SchemaError, match="nothing") as caught:
        mongosluice.check({"nothing": 1}, {})
    assert caught.value.code == 9
    with pytest.raises(mongosluice.SchemaError, match="no such dialect"):
        mongosluice.check({"ns": "d.c", "dialect": "xml", "schema": {}}, {})
    for wrong in (3, None, [], object()):
        with pytest.raises(TypeError):
            mongosluice.check(wrong, {})
        with pytest.raises(TypeError):
            mongosluice.check({}, wrong)
    with pytest.raises(bson.errors.InvalidDocument):
        mongosluice.check({}, {"price": decimal.Decimal(1)})  # PyMongo would not send it either
    with pytest.raises(FileNotFoundError):
        mongosluice.check("/nowhere.json", {})


def test_threads_have_scratches_of_their_own():
    found = []

    def work():
        found.extend(bool(mongosluice.check(Order, {"customer": "x" if n % 2 else n})) for n in range(200))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.count(True) == found.count(False) == 400


def test_instances_of_beanie(direct, loop, server):
    from beanie import Document, init_beanie

    from conftest import async_client

    class Kept(Document):
        name: str
        note: Optional[str] = None
        age: int = Field(default=0, ge=0)

        class Settings:
            keep_nulls = False

    async def run():
        client = async_client(server)
        await init_beanie(database=client[direct.name], document_models=[Kept])
        one = Kept(name="x")
        assert mongosluice.check(Kept, one)
        one.age = -1
        assert [line["loc"] for line in mongosluice.check(Kept, one).errors()] == [("age",)]
        assert not mongosluice.check({"required": ["note"]}, one)

    loop.run_until_complete(run())


def test_instances_of_mongoengine():
    me = pytest.importorskip("mongoengine")

    class Kept(me.Document):
        name = me.StringField(required=True, max_length=3)

    assert mongosluice.check(Kept, Kept(name="abc"))
    assert mongosluice.check(Kept, Kept(name="abcd")).errors()[0]["loc"] == ("name",)
