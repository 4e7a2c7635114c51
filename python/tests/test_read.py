"""What is read straight from BSON is what PyMongo's dict would have become."""

import datetime
import decimal
from typing import Any, Optional

import bson
import pytest
from beanie import Document, init_beanie
from bson.codec_options import DEFAULT_CODEC_OPTIONS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

import mongosluice
from conftest import async_client, examples
from mongosluice.offload.beanie.encoding import native

pytestmark = pytest.mark.skipif(native is None, reason="the extension is not built")


class Inner(BaseModel):
    a: Optional[int] = None
    b: Optional[list["Inner"]] = None


class Read(Document):
    a: Any = None
    b: Optional[int] = Field(default=None, ge=-5)
    c: float | None = Field(default=None, alias="see")
    d: list[str] | None = Field(default=None, max_length=3)
    e: dict[str, Any] | None = None
    f: Optional[Inner] = None
    g: datetime.datetime | None = None
    h: bytes = b""
    i: bool = True


@pytest.fixture
def read(proxy, database, loop, offloaded):
    """Reads a batch: (instances or an exception's words) ours and PyMongo's with Beanie."""
    from mongosluice.offload.beanie import patches as offload_beanie

    client = async_client(proxy.uri)

    async def start():
        proxy.enforce(mongosluice.export(Read, database=database))
        await init_beanie(database=client[database], document_models=[Read])

    loop.run_until_complete(start())
    shape = offload_beanie._plans[Read].shape
    parse = offload_beanie._originals["parse_model"]

    def both(*documents):
        passed_on, made = [], []

        def otherwise(raw):
            passed_on.append(raw)
            return parse(Read, bson.decode(raw, DEFAULT_CODEC_OPTIONS))

        return (outcome(lambda: shape.read_many(made, b"".join(documents), False, otherwise, 99) or made),
                outcome(lambda: [parse(Read, bson.decode(one)) for one in documents]), passed_on)

    def whole(raw):
        made = []
        shape.finds_others(raw)
        return outcome(lambda: shape.read_many(
            made, raw, True, lambda one: parse(Read, bson.decode(one, DEFAULT_CODEC_OPTIONS)), 99) or made)

    both.whole = whole
    return both


def outcome(read):
    try:
        return [(repr(one), types_of(one.__dict__), one.model_fields_set) for one in read()]  # NaN is not itself
    except Exception as error:
        return type(error), str(error)


def types_of(value):
    if isinstance(value, BaseModel):
        value = value.__dict__
    if isinstance(value, dict):
        return {name: types_of(item) for name, item in value.items()}
    return [types_of(item) for item in value] if isinstance(value, list) else type(value)


DATES = st.datetimes(min_value=datetime.datetime(1, 1, 1), max_value=datetime.datetime(9999, 12, 31)).map(
    lambda one: one.replace(microsecond=one.microsecond // 1000 * 1000))
SIMPLE = st.one_of(
    st.none(), st.booleans(), st.integers(-2**63, 2**63 - 1), st.floats(allow_nan=False), st.text(max_size=5),
    st.binary(max_size=5), DATES, st.builds(bson.ObjectId), st.uuids().map(bson.Binary.from_uuid),
    st.builds(lambda n: bson.Decimal128(decimal.Decimal(n)), st.integers(-99, 99)),
    st.just(bson.Timestamp(1, 2)), st.just(bson.Regex("a")), st.just(bson.MinKey()),
    st.builds(lambda id: bson.DBRef("c", id), st.integers(0, 9)))
NAMES = st.sampled_from(["_id", "id", "a", "b", "c", "see", "d", "e", "f", "g", "h", "i", "$ref", "revision_id", "é"])
ANY = st.recursive(SIMPLE, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
                   max_leaves=8)
RIGHT = st.fixed_dictionaries({"_id": st.builds(bson.ObjectId)}, optional={
    "a": ANY, "b": st.integers(-9, 9), "see": st.floats(allow_nan=False), "d": st.lists(st.text(max_size=3), max_size=4),
    "e": st.dictionaries(NAMES, ANY, max_size=3), "f": st.fixed_dictionaries(
        {}, optional={"a": SIMPLE, "b": st.lists(st.fixed_dictionaries({"a": st.integers(0, 3)}), max_size=2)}),
    "g": DATES, "h": st.binary(max_size=3), "i": st.booleans()})
SETTINGS = settings(max_examples=examples(400), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SETTINGS
@given(documents=st.lists(RIGHT | st.dictionaries(NAMES, ANY, max_size=5), max_size=3))
def test_any_documents(read, documents):
    ours, theirs, _ = read(*map(bson.encode, documents))
    assert ours == theirs


@SETTINGS
@given(document=RIGHT, data=st.data())
def test_damaged_documents(read, document, data):
    raw = bytearray(bson.encode(document))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(4, len(raw) - 1))
        raw[place] = data.draw(st.integers(0, 255))
    ours, theirs, _ = read(bytes(raw))
    if isinstance(theirs, list):
        assert ours == theirs
    else:
        assert not isinstance(ours, list)
    whole = read.whole(bytes(raw))
    assert isinstance(whole, list) or whole[0] is not SystemError


def test_right_documents_need_no_dict(read):
    document = {"_id": bson.ObjectId(), "a": [{"x": bson.Int64(1)}], "b": 3, "see": 1.5, "d": ["x"], "e": {"y": None},
                "f": {"a": 1, "b": [{"a": 2}]}, "g": datetime.datetime(1969, 12, 31, 23, 59, 59, 999000), "h": b"z"}
    ours, theirs, passed_on = read(bson.encode(document))
    assert ours == theirs and not passed_on


def test_names_that_are_no_text_are_refused(read):
    raw = bson.encode({"_id": bson.ObjectId(), "f": {"other": 1}})
    ours, theirs, _ = read(raw.replace(b"other", b"oth\x80r"))
    assert ours == theirs and theirs[0] is bson.errors.InvalidBSON


def test_truncated_batches(read):
    whole = bson.encode({"_id": bson.ObjectId(), "b": 1})
    for size in range(1, len(whole)):
        assert read(whole + whole[:size])[0][0] is ValueError
