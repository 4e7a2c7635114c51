"""A Beanie model with every kind of field, for Beanie 2 and Beanie 1 alike, run as a program:

    beanie_models.py schemas               prints {collection: schema}, as pydantic generates it
    beanie_models.py store URI DATABASE    stores valid and invalid documents, and prints the results

The invalid ones bypass pydantic: each is a valid document after an assignment to one field."""

import asyncio
import json
import re
import sys
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal, Optional, Union
from uuid import UUID, uuid4

import beanie
from beanie import Document, Link, PydanticObjectId, init_beanie
from bson import ObjectId
from pydantic import BaseModel, ConfigDict, EmailStr, Field, HttpUrl, SecretStr
from pymongo.errors import BulkWriteError, OperationFailure, WriteError

BEANIE_1 = beanie.__version__.startswith("1.")
if BEANIE_1:
    from motor.motor_asyncio import AsyncIOMotorClient as Client
else:
    from pymongo import AsyncMongoClient as Client


class Colour(str, Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Inner(BaseModel):
    label: str = Field(min_length=1)
    weight: float = Field(ge=0)
    parts: list["Inner"] = []


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    only: int = 1


class Circle(BaseModel):
    kind: Literal["circle"] = "circle"
    radius: float = Field(gt=0)


class Square(BaseModel):
    kind: Literal["square"] = "square"
    side: int


class Maker(Document):
    name: str


class Kinds(Document):
    text: str = Field(min_length=2, max_length=5)
    code: str = Field(pattern=r"^[A-Z]\d+$")
    number: int = Field(ge=0, le=100)
    between: int = Field(gt=0, lt=10)
    step: int = Field(multiple_of=5)
    ratio: float = Field(ge=0.0, lt=1.0)
    flag: bool = True
    maybe: Optional[int] = None
    moment: datetime
    day: date
    span: timedelta
    price: Decimal = Field(ge=0)
    key: UUID
    blob: bytes = Field(min_length=1, max_length=4)
    colour: Colour
    level: Level
    choice: Literal["a", "b"]
    fixed: Literal["one"]
    inner: Inner
    closed: Closed
    tags: list[str] = Field(min_length=1, max_length=3)
    inners: list[Inner] = []
    unique: set[int]
    frozen: frozenset[str]
    pair: tuple[int, str]
    many: tuple[int, ...]
    table: dict[str, int]
    counts: dict[int, str]
    shape: Annotated[Union[Circle, Square], Field(discriminator="kind")]
    maker: Optional[Link[Maker]] = None
    other: PydanticObjectId
    email: EmailStr
    url: HttpUrl
    address: IPv4Address
    secret: SecretStr
    regex: re.Pattern
    anything: Any = None


class Animal(Document):
    """Stored with _class_id and revision_id; the schema allows only the model's fields."""
    model_config = ConfigDict(extra="forbid")
    name: str

    class Settings:
        is_root = True
        use_revision = True


class Dog(Animal):
    barks: bool = True


class NoLink:
    """In place of a link: stored as a string."""

    def to_ref(self):
        return "no link"


MODELS = [Maker, Kinds, Animal, Dog]


def good(maker=None, **more):
    return Kinds(**{
        "text": "word", "code": "A12", "number": 5, "between": 5, "step": 10, "ratio": 0.5,
        "moment": datetime(2020, 1, 2, 3, 4, 5), "day": date(2020, 1, 2),
        "span": timedelta(seconds=90), "price": Decimal("12.50"), "key": uuid4(), "blob": b"\x00\xff",
        "colour": Colour.RED, "level": Level.HIGH, "choice": "b", "fixed": "one",
        "inner": {"label": "x", "weight": 1, "parts": [{"label": "y", "weight": 0.5}]},
        "closed": {"only": 2}, "tags": ["x"], "inners": [{"label": "i", "weight": 2}],
        "unique": {1, 2, 3}, "frozen": {"p", "q"}, "pair": (1, "x"), "many": (1, 2, 3),
        "table": {"a": 1}, "counts": {7: "seven"}, "shape": {"kind": "circle", "radius": 1.5},
        "maker": maker, "other": PydanticObjectId(), "email": "ada@example.com",
        "url": "https://example.com/a", "address": "127.0.0.1", "secret": "s3cret",
        "regex": re.compile("^a+$"), "anything": [1, {"deep": None}], **more})


# Valid documents at the bounds of the schema.
EDGES = [
    {}, {"text": "ab"}, {"text": "äöüßé"}, {"number": 0}, {"number": 100}, {"between": 1},
    {"between": 9}, {"step": 0}, {"step": -5}, {"ratio": 0.0}, {"ratio": 0.999}, {"maybe": 5},
    {"maybe": 2**40}, {"price": Decimal("0")}, {"price": Decimal("1e20")}, {"blob": b"abcd"},
    {"tags": ["a", "b", "c"]}, {"unique": set()}, {"many": ()}, {"table": {}}, {"counts": {}},
    {"shape": {"kind": "square", "side": 2}}, {"span": timedelta(0)}, {"anything": None},
    {"moment": datetime(1970, 1, 1)}, {"key": UUID(int=0)},
]

# (field, assigned value, the rule that it breaks)
BROKEN = [
    ("text", "a", "minLength"), ("text", "abcdef", "maxLength"), ("text", 5, "type"),
    ("text", None, "type"), ("code", "a12", "pattern"), ("code", "A12\n", "pattern"),
    ("number", -1, "minimum"), ("number", 101, "maximum"), ("number", "5", "type"),
    ("number", 5.5, "type"), ("number", True, "type"), ("between", 0, "exclusiveMinimum"),
    ("between", 10, "exclusiveMaximum"), ("step", 7, "multipleOf"), ("ratio", -0.1, "minimum"),
    ("ratio", 1.0, "exclusiveMaximum"), ("ratio", "x", "type"), ("flag", 1, "type"),
    ("maybe", "x", "anyOf"), ("moment", "2020-01-02T03:04:05", "type"), ("moment", 5, "type"),
    ("day", "2020-01-02", "type"), ("span", "PT5S", "type"), ("price", Decimal("-1"), "anyOf"),
    ("price", True, "anyOf"), ("key", "not a uuid", "type"), ("key", b"1234567890123456", "type"),
    ("blob", b"", "minLength"), ("blob", b"12345", "maxLength"), ("blob", "text", "type"),
    ("colour", "green", "enum"), ("level", 3, "enum"), ("choice", "c", "enum"),
    ("fixed", "two", "const"), ("inner", {"label": "", "weight": 1}, "properties"),
    ("inner", {"label": "x", "weight": -1}, "properties"), ("inner", {"label": "x"}, "required"),
    ("inner", {"label": "x", "weight": 1, "parts": [{"label": "", "weight": 1}]}, "properties"),
    ("inner", "x", "type"), ("closed", {"only": 1, "more": 2}, "additionalProperties"),
    ("tags", [], "minItems"), ("tags", ["a"] * 4, "maxItems"), ("tags", ["a", 5], "items"),
    ("tags", "a", "type"), ("inners", [{"label": "x", "weight": -1}], "items"),
    ("unique", [1, 1], "uniqueItems"), ("unique", ["x"], "items"),
    ("frozen", ["p", "p"], "uniqueItems"), ("pair", [1], "minItems"),
    ("pair", [1, "x", 2], "maxItems"), ("pair", ["x", 1], "prefixItems"), ("many", [1, "x"], "items"),
    ("table", {"a": "x"}, "additionalProperties"), ("table", [1], "type"),
    ("counts", {"7": 7}, "additionalProperties"), ("shape", {"kind": "circle", "radius": 0}, "oneOf"),
    ("shape", {"kind": "circle"}, "oneOf"), ("shape", {"kind": "star"}, "oneOf"),
    ("maker", NoLink(), "anyOf"), ("other", "z" * 24, "pattern"), ("other", 5, "type"),
    ("email", 5, "type"), ("url", 5, "type"), ("address", 5, "type"), ("secret", 5, "type"),
    ("regex", 5, "type"),
]


def operators(info, field):
    """Returns the rules that the field broke by the errInfo."""
    (rule,) = info["details"]["schemaRulesNotSatisfied"]
    assert rule["operatorName"] == "properties", rule
    (broken,) = rule["propertiesNotSatisfied"]
    assert broken["propertyName"] == field, broken
    return [one["operatorName"] for one in broken["details"]]


def collection_of(model):
    """The driver's: what Beanie writes it cannot always read (Decimal, or _class_id where extra fields are
    forbidden)."""
    return (model.get_motor_collection if BEANIE_1 else model.get_pymongo_collection)()


async def caught(awaitable, kind=OperationFailure):
    try:
        await awaitable
    except kind as error:
        return error
    return None


async def store_good(saw):
    maker = Maker(name="Babbage")
    await maker.insert()
    for number, edge in enumerate(EDGES):
        try:
            await good(maker, **edge).insert()
        except WriteError as error:
            saw["wrongly refused"].append([number, repr(edge), repr(error.details["errInfo"])])
    await Kinds.insert_many([good(maker, **edge) for edge in EDGES])
    saw["stored"] = await Kinds.find_all().count()
    dog = Dog(name="Laika")
    await dog.insert()
    dog.name = "Strelka"
    await dog.replace()
    raw = await collection_of(Dog).find_one()
    saw["dog stored"] = [raw["name"], sorted(set(raw) & {"_class_id", "revision_id"})]


async def store_broken(saw):
    for number, (field, value, rule) in enumerate(BROKEN):
        document = good()
        setattr(document, field, value)
        error = await caught(document.insert(), WriteError)
        name = f"{number} {field}={value!r}"
        if error is None:
            saw["wrongly stored"].append(name)
            continue
        info = error.details["errInfo"]
        assert error.code == 121 and isinstance(info["failingDocumentId"], ObjectId), error
        found = operators(info, field)
        if found != [rule]:
            saw["other rules"].append([name, rule, found])


async def store_in_other_ways(saw):
    documents = [good() for _ in range(6)]
    documents[1].number, documents[4].text = -1, ""
    error = await caught(Kinds.insert_many(documents, ordered=False), BulkWriteError)
    saw["insert_many"] = [[one["index"], one["code"], operators(one["errInfo"], field)]
                          for one, field in zip(error.details["writeErrors"], ["number", "text"])]
    stored = good()
    await stored.insert()
    for name, act in {
        "replace": lambda: stored.replace(), "save": lambda: stored.save(),
        "set": lambda: stored.set({Kinds.number: -1}), "inc": lambda: stored.inc({Kinds.text: 1}),
        "update": lambda: Kinds.find(Kinds.id == stored.id).update({"$set": {"colour": "green"}}),
        "upsert": lambda: Kinds.find_one(Kinds.id == ObjectId()).upsert(
            {"$set": {"number": -5}}, on_insert=stored),
    }.items():
        stored.number = -1
        error = await caught(act())
        saw["ways"][name] = error and error.code
    dog = Dog(name="Laika")
    dog.name = 5
    error = await caught(dog.insert(), WriteError)
    saw["dog"] = operators(error.details["errInfo"], "name")
    error = await caught(collection_of(Dog).insert_one(
        {"name": "x", "_class_id": "Animal.Dog", "wings": 2}), WriteError)
    (rule,) = error.details["errInfo"]["details"]["schemaRulesNotSatisfied"]
    saw["wings"] = [rule["operatorName"], rule["additionalProperties"]]


async def store(uri, database):
    client = Client(uri, serverSelectionTimeoutMS=15000, uuidRepresentation="standard")
    saw = {"beanie": beanie.__version__, "wrongly refused": [], "wrongly stored": [],
           "other rules": [], "ways": {}}
    await init_beanie(database=client[database], document_models=MODELS)
    await store_good(saw)
    await store_broken(saw)
    await store_in_other_ways(saw)
    print(json.dumps(saw))


def schemas():
    """The collection holds documents of a whole family of models: uses the schema of the widest one."""
    return {"Maker": Maker.model_json_schema(), "Kinds": Kinds.model_json_schema(),
            "Animal": Dog.model_json_schema()}


if __name__ == "__main__":
    if sys.argv[1] == "schemas":
        print(json.dumps(schemas()))
    else:
        asyncio.run(store(*sys.argv[2:4]))
