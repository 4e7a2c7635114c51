"""What is noted to stay with Python is true: for each kind of note here is a document that the model and the
schema treat differently. And ordinary models have no notes."""

import datetime
import decimal
import enum
import ipaddress
import os
import sys
import typing
import uuid
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Optional, Union

import bson
import pydantic
import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from typing_extensions import TypedDict

import mongosluice
from conftest import completed


class Label(str, enum.Enum):
    A = "a"
    B = "b"


class Number(enum.IntEnum):
    ONE = 1
    TWO = 2


class Inner(BaseModel):
    n: int = 1
    more: Optional["Inner"] = None


class Point(NamedTuple):
    x: int
    y: int


class Fields(TypedDict):
    x: int


class Shared(enum.Enum):
    PAIR = (1, 2)


def model(annotation=str, config=None, base=None, **options):
    return pydantic.create_model("Model", __config__=config, __base__=base,
                                 f=(annotation, Field(**options) if options else ...))


def first_upper(cls, value):
    if not value[:1].isupper():
        raise ValueError("no capital letter")
    return value


class Validated(BaseModel):
    f: str
    capital = pydantic.field_validator("f")(first_upper)


class Whole(BaseModel):
    f: str

    @pydantic.model_validator(mode="after")
    def check(self):
        if self.f == "x":
            raise ValueError("x")
        return self


class Extras(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, int]
    f: str


class Serialized(BaseModel):
    f: int

    @pydantic.field_serializer("f")
    def text(self, value):
        return f"number {value}"


class Computed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    f: int

    @pydantic.computed_field
    def double(self) -> int:
        return 2 * self.f


class WholeSerialized(BaseModel):
    f: int

    @pydantic.model_serializer
    def dump(self):
        return {"g": self.f}


def pick(value):
    return "n" if isinstance(value, dict) else "x"


# kind, model, a document that the schema accepts and the model refuses or reads as another
NOTES = [
    ("validator", Validated, {"f": "x"}),
    ("validator", Whole, {"f": "x"}),
    ("validator", model(Annotated[str, AfterValidator(str.upper)]), {"f": "x"}),
    ("validator", model(ipaddress.IPv4Address), {"f": "x"}),
    ("validator", model(pydantic.HttpUrl), {"f": "x"}),
    ("validator", model(Annotated[Union[Annotated[Inner, pydantic.Tag("n")], Annotated[int, pydantic.Tag("i")]],
                                  pydantic.Discriminator(pick)]), {"f": 5}),
    ("transform", model(Annotated[str, pydantic.StringConstraints(strip_whitespace=True)]), {"f": " x "}),
    ("transform", model(str, ConfigDict(str_to_lower=True)), {"f": "X"}),
    ("bound", model(datetime.date), {"f": datetime.datetime(2024, 1, 1, 5)}),
    ("bound", model(uuid.UUID), {"f": b"x"}),
    ("bound", model(Annotated[float, Field(multiple_of=0.5)]), {"f": 0.3}),
    ("bound", model(Annotated[bytes, Field(max_length=3)]), {"f": b"12345"}),
    ("bound", model(Annotated[datetime.datetime, Field(gt=datetime.datetime(2020, 1, 1))]),
     {"f": datetime.datetime(2019, 1, 1)}),
    ("bound", model(Annotated[decimal.Decimal, Field(max_digits=3)]), {"f": bson.Decimal128("1234")}),
    ("bound", model(str, ConfigDict(str_max_length=3)), {"f": "long"}),
    ("type", model(Fields), {"f": {"x": "y"}}),
    ("type", model(Point), {"f": ["x", "y"]}),
    ("type", model(Shared), {"f": "x"}),
    ("type", Extras, {"f": "x", "g": "y"}),
    ("default", model(int, default=-1, ge=0), {"f": -1}),
    ("default", model(str, default=5), {"f": 5}),
    ("pattern", model(str, pattern=r"^\w+$"), {"f": "-"}),
    ("key", model(dict[int, int]), {"f": {"x": 1}}),
    ("key", model(dict[Annotated[str, Field(min_length=2)], int]), {"f": {"x": 1}}),
    ("key", model(int, validation_alias="g"), {"f": 1}),
    ("serializer", Serialized, {"f": "number 1"}),
    ("serializer", Computed, {"f": 1, "double": 2}),
    ("serializer", WholeSerialized, {"g": 1}),
]


@pytest.mark.parametrize(("kind", "cls", "document"), NOTES, ids=[f"{one[0]} {i}" for i, one in enumerate(NOTES)])
def test_a_note_is_true(kind, cls, document, validator):
    exported = mongosluice.export(cls, ns="d.c")
    assert kind in {note.kind for note in exported.notes}, exported.notes
    assert validator(exported, {"_id": 1, **document}), exported.schema
    try:
        read = cls.model_validate(document_for(cls, document))
    except ValidationError:
        return
    assert stored(read) != document


def document_for(cls, document):
    """As pydantic wants what BSON's own types are made of."""
    return {name: value.to_decimal() if isinstance(value, bson.Decimal128) else value for name, value in document.items()}


def stored(read):
    return {name: value for name, value in read.model_dump().items() if value is not None}


@pytest.mark.parametrize("cls", [
    model(str, default="x", max_length=3), model(int, default=3, ge=0), model(Label, default=Label.A),
    model(Number, default=Number.ONE), model(Literal["a", 1], default=1), model(float, default=0),
    model(Annotated[decimal.Decimal, Field(gt=0)], default=decimal.Decimal("1.5")), model(int, default=6, multiple_of=3),
    model(str, default="123", pattern=r"^\d+$"), model(str, default="a@b", pattern=r"^[^\s@]+@[^\s@]+$"),
    model(Inner.model_fields["n"].annotation, default=2**40), model(Optional[str], default=None, max_length=5),
    model(Optional[int], default=None, ge=0), model(list[int], default=[], max_length=3),
    model(list[str], default=["a"], min_length=1), model(dict[str, int], default={"a": 1}),
    model(set[str], default={"a"}), model(tuple[int, str], default=(1, "a")), model(bool, default=True),
    model(datetime.datetime, default=datetime.datetime(2024, 1, 1)), model(bytes, default=b"x"),
    model(Union[int, str], default="x"), model(typing.Counter[str], default={}), model(Any, default=object),
    model(enum.Flag("F", "A B"), default=None), model(Union[str, list[str]], max_length=3),
    model(Annotated[int, Field(ge=-2**70)], default=0), model(int, ConfigDict(validate_default=True), default=1),
    model(pydantic.SecretStr, default=pydantic.SecretStr("x")), model(dict, default={}), model(typing.Mapping, default={}),
], ids=str)
def test_an_ordinary_model_has_no_notes(cls, validator):
    exported = mongosluice.export(cls, ns="d.c")
    assert exported.notes == ()


def test_a_default_that_is_a_model(validator):
    class Address(BaseModel):
        city: str
        zip_code: Optional[str] = Field(default=None, alias="zip")

    exported = mongosluice.export(model(Address, default=Address(city="Bern")), ns="d.c")
    assert exported.notes == () and "anyOf" not in exported.schema["properties"]["f"]


PLAIN = """
import enum, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("beanie", "motor", "lazy_model", "mongoengine"):
            raise ImportError(name)
sys.meta_path.insert(0, Blocked())
from typing import Optional
from pydantic import BaseModel
import mongosluice
class Level(str, enum.Enum):
    LOW = "low"
class Inner(BaseModel):
    n: int = 1
class Plain(BaseModel):
    note: str = None
    level: Level = Level.LOW
    inner: Inner = Inner()
    price: float = 0
made = mongosluice.export(Plain, ns="d.c")
assert made.notes == (), made.notes
print(made.schema["properties"])
"""


def test_a_plain_model_without_beanie():
    done = completed(sys.executable, "-c", PLAIN, env={**os.environ, "PYTHONPATH": str(Path(mongosluice.__file__).parents[1])})
    assert done.returncode == 0, done.stderr
    assert eval(done.stdout) == {
        "note": {"bsonType": ["string", "null"]}, "level": {"bsonType": "string", "enum": ["low"]},
        "inner": {"bsonType": "object", "properties": {"n": {"bsonType": ["int", "long"]}}},
        "price": {"bsonType": ["double", "int", "long"]}}


def test_values_are_stored_as_beanie_stores_them():
    from beanie.odm.utils import encoder

    from mongosluice.export import values

    ours, theirs = values.CONVERTERS, dict(encoder.DEFAULT_CUSTOM_ENCODERS)
    assert set(ours) == {cls for cls in theirs if cls.__name__ != "Link"}
    assert set(values.SCALARS) <= set(encoder.BSON_SCALAR_TYPES)
    for value in (Label.A, Number.ONE, Inner(), {"a": {Label.A: 1}}, {1, 2}, (1, [2]), datetime.date(2024, 1, 1),
                  datetime.timedelta(1), decimal.Decimal("1.5"), uuid.UUID(int=5), pydantic.SecretStr("x"), b"x",
                  ipaddress.IPv4Address("1.2.3.4"), Path("/a"), pydantic.RootModel[list[int]]([1])):
        assert bson.encode({"": values.encode(value)}) == bson.encode({"": encoder.Encoder().encode(value)}), value
