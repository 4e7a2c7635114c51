"""Models as people write them: what offload makes, sends and reads is what Beanie alone does, and the
schema accepts what a model stores and refuses what it would not read."""

import asyncio
import collections
import datetime
import decimal
import enum
import typing
import uuid
from typing import Annotated, Any, Literal, Optional, Union

import beanie
import bson
import pydantic
import pytest
from beanie import Document, Link
from beanie.odm.custom_types import DecimalAnnotation
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, SkipValidation, WrapValidator
from pydantic.alias_generators import to_camel
from typing_extensions import TypeAliasType

import mongosluice
from compare import Compared
from conftest import async_client
from mongosluice.offload.beanie import encoding
from mongosluice.offload.beanie.encoding import native

FULL = "full" if native is not None else "encode-only"


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Label(str, enum.Enum):
    A = "a"
    B = "b"


class Rights(enum.IntFlag):
    READ = 1
    WRITE = 2


class Marks(enum.Flag):
    ONE = 1
    TWO = 2
    EIGHT = 8


class Tree(RootModel[Union[int, dict[str, "Tree"]]]):
    pass


class Nodes(RootModel[list["Nodes"]]):
    pass


Nested = TypeAliasType("Nested", "list[Nested]")


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    name: str = "Rex"


class Tagged(BaseModel):
    tag_name: Literal["t"] = Field(default="t", alias="tagName")


class Place(BaseModel):
    city: str = "Bern"
    at: Optional[tuple[float, float]] = None


class Target(Document):
    name: str
    price: float = 0.0


class Other(Document):
    size: int


class WithLinks(BaseModel):
    target: Link[Target]
    more: list[Link[Target]] = []


def link(cls=Target):
    return Link(bson.DBRef(cls.__name__, beanie.PydanticObjectId()), document_class=cls)


def target(**more):
    return Target(id=beanie.PydanticObjectId(), name="t", **more)


def split(value):
    return value.split(",")


def count(value) -> int:
    return len(value)


def keep_odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("even")
    return value


def forgiving(value, handler) -> int:
    try:
        return handler(value)
    except ValueError:
        return -1


# annotation, how the field is said, values that the model takes, values stored by others that it does not read
CASES = {
    "int keys": (dict[int, str], {}, [{1: "a"}, {}], [{"one": "a"}, {"1": 5}]),
    "uuid keys": (dict[uuid.UUID, int], {}, [{uuid.UUID(int=1): 1}], [{"x": 1}]),
    "float keys": (dict[float, int], {}, [{1.5: 1}], []),
    "date keys": (dict[datetime.date, int], {}, [{datetime.date(2024, 1, 2): 1}], []),
    "decimal keys": (dict[decimal.Decimal, int], {}, [{decimal.Decimal("1.5"): 1}], []),
    "enum keys": (dict[Label, int], {}, [{Label.A: 1}], []),
    "nested keys": (dict[str, dict[int, list[dict[int, str]]]], {}, [{"a": {1: [{2: "x"}]}}], [{"a": {"1": [{"2": 3}]}}]),
    "bool keys": (dict[bool, int], {}, [{True: 1}], []),
    "constrained keys": (dict[Annotated[str, Field(min_length=2)], int], {}, [{"ab": 1}], []),
    "root in itself": (Tree, {}, [5, {"a": 1, "b": {"c": {"d": 2}}}, Tree(5)], ["x"]),
    "list in itself": (Nodes, {}, [[], [[[]]]], ["x", {}]),
    "alias in itself": (Nested, {}, [[], [[[], []]]], ["x"]),
    "optional bound": (Optional[int], {"default": None, "ge": 0}, [None, 0, 5], [-1, "x", 1.5]),
    "optional int with | ": (int | None, {"default": None, "gt": 0, "lt": 9}, [None, 5], [0, 9]),
    "optional length": (Optional[str], {"default": None, "max_length": 3}, [None, "abc"], ["abcd", 5]),
    "optional list": (Optional[list[int]], {"default": None, "max_length": 2, "min_length": 1}, [None, [1]], [[], [1, 2, 3]]),
    "optional pattern": (Optional[str], {"default": None, "pattern": r"^\d+$"}, [None, "12"], ["x", ""]),
    "optional multiple": (Optional[int], {"default": None, "multiple_of": 5}, [None, 10], [4]),
    "optional float": (Optional[float], {"default": None, "ge": 0, "allow_inf_nan": False}, [None, 1.5, 3],
                       [-1.0, -1, float("inf")]),
    "optional decimal": (Optional[DecimalAnnotation], {"default": None, "ge": 1}, [None, decimal.Decimal("1.5")],
                         [bson.Decimal128("0.5")]),
    "optional dict": (Optional[dict[str, int]], {"default": None, "max_length": 1}, [None, {"a": 1}], [{"a": 1, "b": 2}]),
    "union of lengths": (Union[str, list[int]], {"max_length": 2}, ["ab", [1, 2]], ["abc", [1, 2, 3]]),
    "union of numbers": (Union[int, float], {"ge": 0}, [1, 1.5], [-1, -0.5]),
    "nested optional": (Optional[Annotated[int, Field(ge=0)]], {"default": None, "le": 5}, [None, 3], [-1, 6]),
    "float": (float, {}, [1.5, 3, 2**40, float("nan")], ["x", None]),
    "float in a list": (list[float], {}, [[1, 2.5]], [["x"]]),
    "int flag": (Rights, {}, [Rights.READ, Rights.READ | Rights.WRITE, Rights(0), 3, 0], ["x", 1.5]),
    "int flag default": (Rights, {"default": Rights.READ | Rights.WRITE}, [Rights(0)], []),
    "flag": (Marks, {}, [Marks.ONE, Marks.ONE | Marks.EIGHT, Marks(0), 3], ["x"]),
    "flag default": (Marks, {"default": Marks.TWO | Marks.EIGHT}, [Marks.ONE], []),
    "decimals with infinity": (DecimalAnnotation, {"allow_inf_nan": True},
                               [decimal.Decimal("Infinity"), decimal.Decimal("NaN"), decimal.Decimal(1)], ["x"]),
    "tagged": (Union[Cat, Dog], {"discriminator": "kind"}, [Cat(), Dog(name="Bo"), {"kind": "dog"}],
               [{"lives": 3}, {"name": "x"}, {"kind": "cow"}]),
    "tagged list": (list[Annotated[Union[Cat, Dog], Field(discriminator="kind")]], {}, [[Cat(), Dog()]], [[{"name": "x"}]]),
    "counter": (typing.Counter[str], {}, [{"a": 1}, collections.Counter("abba")], [{"a": "x"}]),
    "after, another type": (Annotated[str, AfterValidator(split)], {}, ["a,b"], []),
    "after, by a class": (Annotated[pydantic.HttpUrl, AfterValidator(str)], {}, ["http://a.example/"], []),
    "after, the same": (Annotated[int, AfterValidator(keep_odd)], {"ge": 0}, [3], [-1, "x"]),
    "after, given back": (Annotated[int, AfterValidator(lambda value: value)], {}, [3], ["x"]),
    "wrap": (Annotated[int, Field(ge=0), WrapValidator(forgiving)], {}, [3, -5, "x"], []),
    "skipped": (SkipValidation[int], {}, ["x", 5, None], []),
    "link in a model": (WithLinks, {}, lambda: [WithLinks(target=link(), more=[link()]),
                                                WithLinks(target=target(), more=[target(price=2.5)])], ["x", {"target": {}}]),
    "links in a dict": (dict[str, Link[Target]], {}, lambda: [{"a": link()}, {"a": target()}], [{"a": {"x": 1}}]),
    "link of a union": (Union[Link[Target], Link[Other]], {}, lambda: [link(), target(), Other(id=beanie.PydanticObjectId(), size=1)],
                        []),
    "aliased link": (Link[Target], {"alias": "see"}, lambda: [link(), target()], []),
    "skipped link": (SkipValidation[Link[Target]], {}, lambda: [link(), target(), None], []),
    "skipped links": (SkipValidation[list[Link[Target]]], {}, lambda: [[link(), target()], (), None], []),
    "links in a list in a list": (list[list[Link[Target]]], {}, lambda: [[[link(), target()]]], []),
    "model default": (Place, {"default": Place()}, [Place(city="x", at=(1, 2))], ["x"]),
    "enum default": (Label, {"default": Label.A}, [Label.B, "b"], ["c"]),
    "decimal default": (DecimalAnnotation, {"default": decimal.Decimal("1.5")}, [decimal.Decimal(2)], ["x"]),
    "any": (Any, {}, [1, None, {"a": [1]}], []),
}


@pytest.fixture(scope="module")
def connection(server, loop):
    client = async_client(server)
    yield client["modelkinds"]
    result = client.close()
    if asyncio.iscoroutine(result):
        loop.run_until_complete(result)


@pytest.fixture(scope="module")
def initialised(connection, loop):
    def start(*classes):
        loop.run_until_complete(beanie.init_beanie(database=connection, document_models=list(classes)))
    start(Target, Other)
    return start


def made_model(annotation, options, **more):
    return pydantic.create_model("Made", __base__=Document, __module__=__name__,
                                 f=(annotation, Field(**options) if options else ...), **more)


@pytest.mark.parametrize("name", CASES)
def test_the_same(name, initialised, validator):
    annotation, options, good, wrong = CASES[name]
    cls = made_model(annotation, options)
    initialised(Target, Other, cls)
    before = mongosluice.export(made_model(annotation, options), database="modelkinds")
    compared = Compared(cls, validator)
    assert before.schema == compared.exported.schema, "the same before init_beanie, when it is exported"
    key = cls.model_fields["f"].alias or "f"
    for value in good() if callable(good) else good:
        made, read = compared.round_trip({key: value})
        if "skipped" not in name and not name.startswith("after, another"):
            assert read is not None
    for value in wrong:
        raw = bson.encode({"_id": bson.ObjectId(), key: value})
        assert compared.read(raw) is None, value
        if not any(note.kind == "key" for note in compared.exported.notes):
            assert not compared.accepts(raw), (value, compared.exported.schema)


# ---- documents as a whole ----------------------------------------------------------------------


class Camel(Document):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
    first_name: str
    all_of_them: list[int] = []


class CamelWithId(Camel):
    id: Optional[beanie.PydanticObjectId] = Field(default=None, alias="_id")


def named(exported):
    return set(exported.schema["properties"])


def test_alias_generators(initialised, validator):
    initialised(Camel, CamelWithId)
    compared = Compared(Camel, validator)
    assert compared.mode == "off" and "_id" in compared.reasons[0]
    compared.round_trip({"first_name": "Ada", "allOfThem": [1]})
    assert {"_id", "id", "firstName", "allOfThem"} <= named(compared.exported)
    compared = Compared(CamelWithId, validator)
    assert compared.mode == FULL
    made, read = compared.round_trip({"firstName": "Ada", "all_of_them": [1]})
    assert read == made and "id" not in named(compared.exported)


class WithEncoders(Document):
    tags: set[str] = set()
    counts: dict[str, int] = {}
    day: datetime.date = datetime.date(2024, 1, 1)
    at: datetime.datetime = datetime.datetime(2024, 1, 1, 5)
    kind: Literal["a", "b"] = "a"
    many: list[datetime.date] = []

    class Settings:
        bson_encoders = {
            set: lambda value: ",".join(sorted(value)),
            dict: lambda value: list(value.items()),
            datetime.date: lambda value: value.isoformat(),
            datetime.datetime: datetime.datetime.timestamp,
        }


class TextForAll(Document):
    number: int = 5
    flag: bool = True
    some: Literal[1, 2] = 1
    limited: Optional[int] = Field(default=None, ge=0)

    class Settings:
        bson_encoders = {int: str}


class FunctionsAndEncoders(Document):
    text: Annotated[set[int], AfterValidator(str)]
    length: Annotated[set[int], AfterValidator(count)]
    odd: Annotated[set[int], AfterValidator(lambda value: value), Field(max_length=2)] = set()

    class Settings:
        bson_encoders = {set: list, int: str}


@pytest.mark.parametrize(("cls", "given"), [
    (FunctionsAndEncoders, {"text": {1}, "length": {1, 2}, "odd": {1}}),
    (WithEncoders, {}), (WithEncoders, {"tags": {"b", "a"}, "counts": {"x": 1}, "many": [datetime.date(2024, 2, 3)]}),
    (TextForAll, {}), (TextForAll, {"number": 7, "limited": 3, "some": 2}),
])
def test_encoders_of_the_user(cls, given, initialised, validator):
    initialised(cls)
    compared = Compared(cls, validator)
    assert compared.mode == "off"
    compared.round_trip(given)
    assert compared.exported.schema["properties"].get("number", {"bsonType": "string"}) == {"bsonType": "string"}
    assert not [note for note in compared.exported.notes if note.kind == "default"]


def test_of_what_encoders_make_only_the_type_is_checked(initialised, validator):
    initialised(TextForAll)
    compared = Compared(TextForAll, validator)
    assert {note.field for note in compared.exported.notes if note.kind == "type"} == {"number", "flag", "some", "limited"}
    raw = bson.encode({"_id": bson.ObjectId(), "number": "no number"})
    assert compared.accepts(raw) and compared.read(raw) is None


class Pets(beanie.UnionDoc):
    class Settings:
        name = "pets"


class Parrot(Document):
    words: int

    class Settings:
        name = "parrots"
        union_doc = Pets
        union_doc_alias = "set by the user"


class Fish(Document):
    scales: int

    class Settings:
        union_doc = Pets
        union_doc_alias = "fish"


@pytest.mark.parametrize("cls", [Parrot, Fish])
def test_alias_in_a_union(cls, initialised, validator):
    before = mongosluice.export(cls, database="modelkinds")
    initialised(Pets, Parrot, Fish)
    compared = Compared(cls, validator)
    assert before.schema == compared.exported.schema and before.ns == "modelkinds.pets"
    compared.round_trip({"words": 1, "scales": 2})


class Later(Document):
    first: Link["LinkedLater"]
    many: Optional[list[Link["LinkedLater"]]] = None


class LinkedLater(Document):
    id: int
    name: str


def test_links_by_name_are_known_before_init(initialised, validator):
    before = mongosluice.export(Later, database="modelkinds")
    initialised(Later, LinkedLater)
    compared = Compared(Later, validator)
    assert before.schema == compared.exported.schema
    assert before.schema["properties"]["first"]["properties"]["$id"] == {"bsonType": ["int", "long"]}
    compared.round_trip({"first": LinkedLater(id=1, name="x")})


def test_self_is_a_parameter(initialised, validator):
    class Free(Document):
        n: int = 0

    class Named(Document):
        n: int = 0
        self: int = 0

    initialised(Free, Named)
    for cls in (Free, Named):
        compared = Compared(cls, validator)
        assert compared.make({"self": 1}) is None and compared.make({"n": 1}) is not None


def test_a_model_that_cannot_be_exported_is_off(proxy, database, loop, offloaded, monkeypatch):
    """And the application starts, with the others offloaded."""
    from mongosluice.offload.beanie import plans

    class Odd(Document):
        n: int

        class Settings:
            name = "odd"

    class Beside(Odd):
        class Settings:
            name = "odd"

    class Good(Document):
        n: int

    export = plans.export_document

    class Strange(Exception):
        pass

    def failing(cls, name):
        if cls is Odd:
            raise Strange("something else")
        return export(cls, name)

    proxy.enforce(mongosluice.export(Good, database=database))
    monkeypatch.setattr(plans, "export_document", failing)
    client = async_client(proxy.uri)

    async def start():
        await beanie.init_beanie(database=client[database], document_models=[Odd, Beside, Good])
        await Odd(n=1).insert()
        assert (await Odd.find_one()).n == 1
        closing = client.close()
        if asyncio.iscoroutine(closing):
            await closing

    with pytest.warns(mongosluice.OffloadWarning, match="Odd stays with Python: Odd cannot be exported: Strange"):
        loop.run_until_complete(start())
    modes = {one["model"]: (one["mode"], one["reasons"]) for one in mongosluice.offload_report()}
    assert modes["Odd"] == modes["Beside"] == ("off", ["Odd cannot be exported: Strange: something else"])
    assert modes["Good"] == (FULL, []) or native is None


class Item(Document):
    price: float = Field(ge=0)
    rates: list[float] = []
    paid: DecimalAnnotation = Field(default=decimal.Decimal(0), ge=decimal.Decimal("0.1"))

    class Settings:
        name = "items"


def test_numbers_where_people_assign_them(proxy, direct, loop, offloaded):
    async def write():
        item = await Item(price=1.5).insert()
        item.price = 7
        item.rates = [1, 2.5]
        item.paid = 7
        await item.save()
        for paid in (0.1, 3, decimal.Decimal("4.5")):
            item.paid = paid
            await item.save()
            assert (await Item.get(item.id)).paid == decimal.Decimal(str(paid))
        with pytest.raises(mongosluice.Refused):
            await item.set({Item.paid: 0.05})
        await item.set({Item.price: 3})
        await item.inc({Item.price: 1})
        read = (await Item.find_all().to_list())[0]
        with pytest.raises(mongosluice.Refused):
            await item.set({Item.price: -3})
        with pytest.raises(mongosluice.Refused):
            await item.set({Item.price: "4"})
        return read

    proxy.enforce(mongosluice.export(Item, database=direct.name))
    client = async_client(proxy.uri)

    async def start():
        await beanie.init_beanie(database=client[direct.name], document_models=[Item])
        return await write()

    read = loop.run_until_complete(start())
    assert (read.price, type(read.price), read.rates, type(read.rates[0])) == (4.0, float, [1.0, 2.5], float)
    assert direct["items"].find_one()["price"] == 4


@pytest.mark.parametrize("flag, value", [(encoding.LINK, "wrong"), (encoding.LINKS, ["wrong"]), (encoding.LINKS, [None])],
                         ids=str)
def test_what_is_no_link_is_left_to_beanie(flag, value):
    """A link without validation may be anything; Beanie raises its own error."""
    with pytest.raises(encoding.GivenUp):
        encoding.PlainShape.value(encoding.Key("link", "link", flag), value, False)
