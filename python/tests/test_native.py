"""The extension by itself: references, memory, hostile values."""

import datetime
import gc
import os
import sys

import bson
import pytest
from pydantic import BaseModel, Field

from conftest import assert_nothing_leaks, completed
from mongosluice.offload.beanie import encoding, instances
from mongosluice.offload.beanie.encoding import INSERT, SET, native

pytestmark = pytest.mark.skipif(native is None, reason="the extension is not built")


class Inner(BaseModel):
    n: int
    more: list["Inner"] = []


class Outer(BaseModel):
    name: str
    when: datetime.datetime
    inner: Inner
    extra: dict[str, object] = {}
    many: list[str] = Field(default_factory=list)


def shape_of(cls):
    shapes = {}

    def nested(inner):
        if inner not in shapes:
            shapes[inner] = encoding.make_shape(inner, encoding.model_keys(inner), None)
            shapes[inner].set_fields(*instances.Builder(inner, nested).specification())
        return shapes[inner]

    return nested(cls)


def outer(**more):
    given = {"name": "né", "when": datetime.datetime(2024, 1, 1), "inner": {"n": 1, "more": [{"n": 2}]},
             "extra": {"a": [1, {"b": None}]}}
    return {**given, **more}


def test_a_recursive_model():
    shape = shape_of(Outer)
    made = shape.build(outer())
    assert made == Outer(**outer()) and type(made.inner.more[0]) is Inner
    assert shape.encode(made, SET, True).raw == bson.encode(made.model_dump())


def test_nothing_leaks():
    shape = shape_of(Outer)
    good, bad = outer(), outer(inner={"n": "x"})

    class Failing:
        def __iter__(self):
            raise RuntimeError

    def round_of_all():
        for _ in range(200):
            made = shape.build(good)
            shape.encode(made, INSERT, True)["_id"]
            assert dict(shape.encode(made, INSERT, True))["name"] == "né"
            assert shape.build(bad) is None
            made.extra = {"x": Failing()}
            assert shape.encode(made, INSERT, True) is None
            made.extra = {"x": "\ud800"}
            assert shape.encode(made, INSERT, True) is None
            assert len(shape.build_many([good, bad], lambda data: data)) == 2

    assert_nothing_leaks(round_of_all)


def test_a_class_can_be_collected():
    import weakref

    encoding.native.forget_kinds()

    def make():
        class Short(BaseModel):
            n: int

        shape = shape_of(Short)
        assert shape.build({"n": 1}).n == 1
        return weakref.ref(Short)

    gone = make()
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("value", [float("nan"), 2**70, -(2**63), "x" * 5000, "\0", "é" * 100, b"", b"\0" * 3000,
                                   [], [[[]]], {"": 1}, {"a\0b": 1}, {1: 2}, (1, 2), {1, 2}, frozenset(),
                                   datetime.datetime.min, datetime.datetime.max, datetime.date.min,
                                   datetime.timedelta.max, datetime.timedelta(microseconds=-1), object(), 1j,
                                   datetime.datetime.min.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=3))),
                                   bson.Int64(5), bson.Code("x"), bson.DBRef("a", 1), bson.MaxKey(), bson.Regex("x"),
                                   bson.Decimal128("1"), bson.SON([("b", 1)]), (i for i in "ab"), range(3)],
                         ids=lambda value: type(value).__name__)
def test_values_of_every_type(value):
    """The bytes of Beanie's Encoder and PyMongo, or given up where those would raise or must decide."""
    from beanie.odm.utils.encoder import Encoder

    class Holder(BaseModel):
        v: object = None

    shape = encoding.make_shape(Holder, encoding.model_keys(Holder), None)
    made = Holder.model_construct(v=value)
    ours = shape.encode(made, SET, True)
    if ours is None:
        return
    alone = bson.encode(Encoder().encode(made))
    assert ours.raw == alone


def test_deep_values_are_given_up():
    class Holder(BaseModel):
        v: object = None

    shape = encoding.make_shape(Holder, encoding.model_keys(Holder), None)
    value = []
    for _ in range(100_000):
        value = [value]
    assert shape.encode(Holder.model_construct(v=value), SET, True) is None
    while value:
        value = value.pop()


def test_ids_differ_after_fork():
    shape = encoding.make_shape(Inner, encoding.model_keys(Inner), None)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, shape.encode(Inner(n=1), INSERT, True)["_id"].binary)
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reader, 12)
    mine = shape.encode(Inner(n=1), INSERT, True)["_id"].binary
    assert len(theirs) == 12 and theirs[4:9] != mine[4:9]
    os.close(reader)
    os.close(writer)


def test_encoded_is_a_mapping_that_cannot_be_changed():
    shape = encoding.make_shape(Inner, encoding.model_keys(Inner), None)
    encoded = shape.encode(Inner(n=1), SET, True)
    assert dict(encoded) == {"n": 1, "more": []} == encoded and len(encoded) == 2
    assert list(encoded.items()) == [("n", 1), ("more", [])] and "n" in encoded and "x" not in encoded
    assert encoded.get("x", 5) == 5 and list(encoded.keys()) == ["n", "more"] and list(encoded.values()) == [1, []]
    with pytest.raises(TypeError):
        encoded["n"] = 2
    with pytest.raises(KeyError):
        encoded["x"]


def test_under_the_debug_allocator():
    """Every write beside a block is found, by the same tests."""
    if os.environ.get("PYTHONMALLOC") == "debug":
        pytest.skip("this is that run")
    done = completed(sys.executable, "-X", "dev", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", __file__,
                     env={**os.environ, "PYTHONMALLOC": "debug"})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
