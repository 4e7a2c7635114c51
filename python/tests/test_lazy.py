"""Instances that the extension makes share what nobody has asked for, and the collector leaves those alone
that hold nothing; neither must show."""

import copy
import datetime
import gc
import pickle
import time
import uuid
import weakref
from typing import Any

import bson
import pytest
from beanie import Document, init_beanie
from pydantic import BaseModel, Field, PrivateAttr

import mongosluice
from conftest import assert_nothing_leaks, async_client
from mongosluice.offload.beanie.encoding import native

pytestmark = pytest.mark.skipif(native is None, reason="the extension is not built")


class Part(BaseModel):
    n: int
    tags: list[str] = []
    at: uuid.UUID | None = None


class Kept(Document):
    name: str
    when: datetime.datetime
    parts: list[Part]
    by_name: dict[str, Part]
    anything: Any = None
    empty: list[Any] = []
    made_empty: list[Any] = Field(default_factory=list)
    bag: dict[str, Any] = {}
    made_bag: dict[str, Any] = Field(default_factory=dict)
    _seen: dict = PrivateAttr(default_factory=dict)
    _queue: list = PrivateAttr(default=[])
    _count: int = PrivateAttr(default=0)


class Timed(Document):
    """Its private value cannot wait."""

    n: int
    _at: Any = PrivateAttr(default_factory=time.monotonic)


VALUES = {"name": "a", "when": datetime.datetime(2024, 1, 1), "parts": [{"n": 1, "tags": ["x"]}],
          "by_name": {"b": {"n": 2, "tags": ["y"]}}}
WAYS = {
    "an attribute": lambda one, other: setattr(one, "anything", other),
    "the dict": lambda one, other: one.__dict__.update(anything=other),
    "vars": lambda one, other: vars(one).update(anything=other),
    "a private value": lambda one, other: setattr(one, "_seen", {"other": other}),
    "what a private value holds": lambda one, other: one._seen.update(other=other),
    "a private list": lambda one, other: one._queue.append(other),
    "a default list": lambda one, other: one.empty.append(other),
    "a list that was made": lambda one, other: one.made_empty.append(other),
    "a default dict": lambda one, other: one.bag.update(c=other),
    "a dict that was made": lambda one, other: one.made_bag.update(c=other),
    "a list": lambda one, other: one.parts.append(other),
    "a list in a model in a list": lambda one, other: one.parts[0].tags.append(other),
    "a dict": lambda one, other: one.by_name.update(c=other),
    "a list in a model in a dict": lambda one, other: one.by_name["b"].tags.append(other),
    "a bound method": lambda one, other: setattr(other, "anything", one.model_dump),
    "pydantic's fields": lambda one, other: one.model_fields_set.add(other.id),
}


@pytest.fixture
def model(proxy, database, loop, offloaded):
    """Kept as it was with pydantic, and with offload."""
    client = async_client(proxy.uri)

    async def start():
        for one in (Kept, Timed):
            proxy.enforce(mongosluice.export(one, database=database))
        await init_beanie(database=client[database], document_models=[Kept, Timed])

    loop.run_until_complete(start())
    assert {one["mode"] for one in mongosluice.offload_report()} == {"full"}
    return Kept


def by_pydantic(model, **values):
    made = model.__new__(model)
    Document.__init__(made, **values)
    return made


def test_the_collector_is_spared(model):
    one = model(**VALUES)
    assert not gc.is_tracked(one)
    assert one.name == "a" and not gc.is_tracked(one), "a string can hold nothing"
    assert one.parts and gc.is_tracked(one)
    assert gc.is_tracked(one.parts) and gc.is_tracked(one.parts[0]) and gc.is_tracked(one.parts[0].tags)


@pytest.mark.parametrize("held", [{"at": uuid.uuid4()}, {}])
@pytest.mark.parametrize("way", WAYS)
def test_what_comes_into_a_cycle_is_collected(model, way, held):
    parts = [{"n": 1, "tags": ["x"], **held}]
    one, other = model(**{**VALUES, "parts": parts}), model(**{**VALUES, "parts": parts, "id": bson.ObjectId()})
    WAYS[way](one, other)
    if way != "a bound method":
        other.anything = one
    gone = [weakref.ref(one), weakref.ref(other)]
    del one, other
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


def test_what_comes_into_private_values_is_collected(model):
    one = Timed(n=1)
    one._at = one
    gone = weakref.ref(one)
    del one
    gc.collect()
    assert gone() is None


def test_what_is_shared_does_not_show(model):
    for values in (VALUES, {**VALUES, "anything": 3}, {**VALUES, "id": bson.ObjectId()}):
        ours, theirs = model(**values), by_pydantic(model, **values)
        assert type(ours.model_fields_set) is set and ours.model_fields_set == theirs.model_fields_set
        ours, other = model(**values), model(**values)
        ours._seen["x"] = 1
        ours._count += 1
        ours.model_fields_set.add("id")
        assert other._seen == {} and other._count == 0 and other.model_fields_set == theirs.model_fields_set
        ours = model(**values)
        assert ours.__pydantic_private__ == theirs.__pydantic_private__
        assert model(**values) == theirs and repr(model(**values)) == repr(theirs)
        assert model(**values).model_dump(exclude_unset=True) == theirs.model_dump(exclude_unset=True)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one)),
                                    lambda one: one.model_copy(), lambda one: one.model_copy(deep=True)])
def test_copies(model, copied):
    ours, theirs = copied(model(**VALUES)), copied(by_pydantic(model, **VALUES))
    assert ours == theirs and ours.model_fields_set == theirs.model_fields_set
    assert ours.__pydantic_private__ == theirs.__pydantic_private__


def test_made_again_in_its_place(model):
    one = model(**VALUES)
    one.anything = one
    one.__init__(**{**VALUES, "name": "b"})
    assert one.name == "b" and one.anything is None and one._seen == {}
    one.__init__(**{**VALUES, "anything": [1]})
    assert one.anything == [1] and type(one.model_fields_set) is set


def test_after_the_model_went_back_to_python(model):
    from mongosluice.offload.beanie import patches as offload_beanie

    one = model(**VALUES)
    offload_beanie.uninstall()
    assert type(one.model_fields_set) is set and one._seen == {} and gc.is_tracked(one)
    assert type(model(**VALUES).model_fields_set) is set


def test_nothing_leaks(model):
    from mongosluice.offload.beanie import patches as offload_beanie

    shape = offload_beanie._plans[model].shape

    def round_of_all():
        for i in range(100):
            made = [model(**VALUES), model(**{**VALUES, "anything": [i]}), by_pydantic(model, **VALUES)]
            made[0].__init__(**VALUES)
            encoded, _ = shape.encode_many([*made, None], True, lambda other: {})
            native.encoded_ids(encoded[:3])
            read = []
            shape.read_many(read, b"".join(one.raw for one in encoded[:3]) + bson.encode({"name": 1}), False,
                            bson.decode, 9)
            assert [one.name for one in read[:3]] == ["a"] * 3 and read[3] == {"name": 1}
            assert read[0].parts and read[1]._seen == {} and read[2].model_fields_set

    assert_nothing_leaks(round_of_all)
