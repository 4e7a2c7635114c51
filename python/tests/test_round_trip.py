"""Models and instances that hypothesis makes up: what offload sends and reads is what Beanie alone
does, byte for byte; and the exported schema refuses what pydantic refuses."""

import asyncio
import copy

import beanie
import bson
import pymongo
import pytest
from beanie import Document
from bson.raw_bson import RawBSONDocument
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import mongosluice
from conftest import async_client, examples
from generated import WRONG, arguments, models
from mongosluice.offload.beanie import encoding
from mongosluice.offload.beanie import patches as offload_beanie
from mongosluice.offload.beanie.encoding import INSERT, REPLACE, SET, native

SLOW = settings(max_examples=examples(200), deadline=None, suppress_health_check=list(HealthCheck))
BEANIE_GET_DICT = beanie.odm.utils.dump.get_dict


@pytest.fixture(scope="module")
def connection(server, loop):
    """Beanie's client and database, direct; for what needs an initialised model only."""
    client = async_client(server)
    yield client["roundtrip"]
    result = client.close()
    if asyncio.iscoroutine(result):
        loop.run_until_complete(result)


def initialise(loop, database, cls):
    loop.run_until_complete(beanie.init_beanie(database=database, document_models=[cls]))


def by_beanie(document, form):
    """The bytes that PyMongo sends for Beanie's own dict."""
    exclude = {"_id"} if form == REPLACE else None
    made = BEANIE_GET_DICT(document, to_db=True, exclude=exclude,
                           keep_nulls=document.get_settings().keep_nulls)
    if form == INSERT and "_id" in made:
        made = {"_id": made.pop("_id"), **made}  # as PyMongo's encoder does for an insert
    return bson.encode(made)


def sent(encoded):
    return encoded.raw if native is not None else bson.encode(
        {"_id": encoded.pop("_id"), **encoded} if "_id" in encoded else encoded)


def outcome(make):
    """What making an instance comes to, to be compared."""
    try:
        made = make()
    except ValidationError as error:
        return [(one["type"], one["loc"], one["msg"]) for one in error.errors()]
    return state(made)


def state(made):
    private = dict(made.__pydantic_private__ or {})
    return (repr(made.__dict__), sorted(made.__pydantic_fields_set__), repr(made.__pydantic_extra__),
            repr(private), {name: type(value) for name, value in made.__dict__.items()})


@pytest.mark.parametrize("keep_nulls", [True, False])
@SLOW
@given(data=st.data())
def test_bytes_and_instances_are_the_same(keep_nulls, data, connection, loop):
    made, values = data.draw(models())
    initialise(loop, connection, made)
    made.get_settings().keep_nulls = keep_nulls
    exported = offload_beanie.exported_namespaces([made])[0][offload_beanie.namespace_of(made)]
    plan = offload_beanie.make_plan(made, exported)
    event(f"builds: {plan.builds}")
    assert plan.builds == (native is not None), plan.reasons
    for _ in range(3):
        given_values = data.draw(arguments(made, values))
        alone = made(**copy.deepcopy(given_values))
        if native is not None:
            ours = made.__new__(made)
            init = native.Init(Document.__init__, plan.shape)
            init(ours, **copy.deepcopy(given_values))
            assert state(ours) == state(alone)
        if data.draw(st.booleans()):
            alone.id = bson.ObjectId()
        for form in (INSERT, REPLACE, SET):
            encoded = plan.shape.encode(alone, form, keep_nulls)
            assert encoded is not None
            ours = sent(encoded)
            if form == INSERT and alone.id is None and native is not None:
                assert ours[4:9] == b"\x07_id\0"
                ours = bson.encode({name: value for name, value in RawBSONDocument(ours).items() if name != "_id"})
            assert ours == by_beanie(alone, form)
        check_reading(made, plan, bson.decode(by_beanie(alone, INSERT)))


def check_reading(made, plan, document):
    """What is read back, as it came and spoilt in one place."""
    if native is None:
        return
    for name in (None, *document):
        data = dict(document)
        if name is not None:
            data[name] = "spoilt"
        ours = plan.shape.build(dict(data))
        alone = outcome(lambda: made.model_validate(dict(data)))
        if ours is not None:
            assert state(ours) == alone
        elif name is None and made.model_config["extra"] != "allow":
            assert isinstance(alone, list)  # given up only where pydantic has something to say


@SLOW
@given(data=st.data())
def test_what_pydantic_refuses_the_schema_refuses(data, connection, loop, validator):
    made, values = data.draw(models(most=4))
    initialise(loop, connection, made)
    exported = offload_beanie.exported_namespaces([made])[0][offload_beanie.namespace_of(made)]
    stays_with_python = {note.field.split(".")[0].split("[")[0] for note in exported.notes}
    document = made(id=bson.ObjectId(), **data.draw(arguments(made, values)))
    stored = bson.decode(by_beanie(document, INSERT))
    assert validator(exported, stored), "what the model stores itself is accepted"
    for name in [key for key in stored if key != "_id"]:
        wrong = {**stored, name: data.draw(WRONG)}
        try:
            read = made.model_validate(dict(wrong))
        except ValidationError:
            if name not in stays_with_python:
                event("refused")
                assert not validator(exported, wrong), (name, wrong[name], exported.schema)
            continue
        again = bson.decode(by_beanie(read, INSERT))
        if bson.encode(again) == bson.encode(wrong):
            event("accepted as it is")
            assert validator(exported, wrong), (name, wrong[name], exported.schema)


def test_extension_is_built():
    """The tests mean the C path, unless they are told to mean the other."""
    import os

    assert (native is None) == (os.environ.get("MONGOSLUICE_PURE") == "1")
    assert encoding.native is native


def test_export_is_readable_by_the_proxy(connection, loop, tmp_path, validator):
    class Bounds(Document):
        finite: float = mongosluice_field(allow_inf_nan=False, ge=0.0)
        big: int = mongosluice_field(le=2**40)

    initialise(loop, connection, Bounds)
    exported = mongosluice.export(Bounds)
    assert validator(exported, {"_id": bson.ObjectId(), "finite": 1.0, "big": bson.Int64(2**40)})
    assert not validator(exported, {"_id": bson.ObjectId(), "finite": float("inf"), "big": 1})
    assert not validator(exported, {"_id": bson.ObjectId(), "finite": 1.0, "big": bson.Int64(2**40 + 1)})


def mongosluice_field(**constraints):
    from pydantic import Field

    return Field(**constraints)


def test_pymongo_writes_what_is_encoded(server):
    """PyMongo takes an encoded document for a mapping that it may send as it is."""
    if native is None:
        pytest.skip("the pure path sends dicts")
    from pydantic import BaseModel

    class Plain(BaseModel):
        a: int
        b: str

    shape = encoding.make_shape(Plain, encoding.model_keys(Plain), None)
    encoded = shape.encode(Plain(a=1, b="x"), INSERT, True)
    with pymongo.MongoClient(server) as client:
        collection = client["roundtrip"]["encoded"]
        result = collection.insert_one(encoded)
        assert collection.find_one({"_id": result.inserted_id}) == {"_id": result.inserted_id, "a": 1, "b": "x"}
        client.drop_database("roundtrip")
