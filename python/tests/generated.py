"""Models that hypothesis makes up, with values for them."""

import datetime
import decimal
import enum
import uuid
from typing import Annotated, Any, Literal, Optional, Union

from beanie import Document, PydanticObjectId
from beanie.odm.custom_types import DecimalAnnotation
from bson import ObjectId
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr, create_model


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Rank(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Label(str, enum.Enum):
    A = "a"
    B = "b"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class Place(BaseModel):
    city: str
    zip_code: Optional[str] = Field(default=None, alias="zip")
    at: Optional[tuple[float, float]] = None


class Strict(BaseModel, extra="forbid"):
    n: int = Field(default=1, ge=0)


class Loose(BaseModel, extra="allow"):
    n: int = 1


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
int64 = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False)
millis = st.datetimes(datetime.datetime(1, 1, 2), datetime.datetime(9999, 12, 30)).map(
    lambda value: value.replace(microsecond=value.microsecond // 1000 * 1000))
aware = st.datetimes(datetime.datetime(1970, 1, 2), datetime.datetime(2100, 1, 1),
                     timezones=st.sampled_from([datetime.timezone.utc, datetime.timezone(
                         datetime.timedelta(hours=5, minutes=30))]))
decimals = st.decimals(-10**9, 10**9, places=4)
places = st.builds(lambda city, zip_, at: Place(city=city, zip=zip_, at=at), text, st.none() | text,
                   st.none() | st.tuples(floats, floats))
keys = text.filter(lambda name: not name.startswith("$") and "." not in name)

# annotation, values that pydantic takes as they are
KINDS = [
    (str, text),
    (Annotated[str, Field(min_length=1, max_length=8)], text.filter(lambda v: 1 <= len(v) <= 8)),
    (Annotated[str, Field(pattern=r"^[a-z]{1,4}\d?$")], st.from_regex(r"\A[a-z]{1,4}[0-9]?\Z")),
    (int, int64),
    (Annotated[int, Field(ge=-5, lt=100)], st.integers(-5, 99)),
    (Annotated[int, Field(multiple_of=3)], st.integers(-9, 9).map(lambda v: v * 3)),
    (float, st.floats()),
    (Annotated[float, Field(gt=0, le=1e6)], st.floats(0, 1e6, exclude_min=True)),
    (Annotated[float, Field(allow_inf_nan=False)], floats.filter(lambda v: abs(v) != float("inf"))),
    (bool, st.booleans()),
    (bytes, st.binary(max_size=8)),
    (datetime.datetime, millis | aware),
    (datetime.date, st.dates(datetime.date(1, 1, 2), datetime.date(9999, 12, 30))),
    (datetime.timedelta, st.timedeltas(datetime.timedelta(-9999), datetime.timedelta(9999))),
    (DecimalAnnotation, decimals),
    (uuid.UUID, st.uuids()),
    (PydanticObjectId, st.binary(min_size=12, max_size=12).map(ObjectId)),
    (Colour, st.sampled_from(Colour)),
    (Rank, st.sampled_from(Rank)),
    (Label, st.sampled_from(Label)),
    (Literal["x", 1, True], st.sampled_from(["x", 1, True])),
    (Optional[str], st.none() | text),
    (Union[int, str], int64 | text),
    (Any, st.none() | int64 | text | st.lists(text, max_size=2)),
    (list[str], st.lists(text, max_size=3)),
    (Annotated[list[int], Field(max_length=3)], st.lists(int64, max_size=3)),
    (list[Place], st.lists(places, max_size=2)),
    (set[int], st.sets(int64, max_size=3)),
    (frozenset[str], st.frozensets(text, max_size=3)),
    (tuple[int, str], st.tuples(int64, text)),
    (tuple[float, ...], st.lists(floats, max_size=3).map(tuple)),
    (dict[str, int], st.dictionaries(keys, int64, max_size=3)),
    (dict[str, list[Place]], st.dictionaries(keys, st.lists(places, max_size=2), max_size=2)),
    (Place, places),
    (Optional[Place], st.none() | places),
    (Strict, st.builds(Strict, n=st.integers(0, 5))),
    (Loose, st.builds(Loose, n=int64, more=text)),
    (Annotated[Union[Cat, Dog], Field(discriminator="kind")],
     st.builds(Cat, kind=st.just("cat"), lives=int64) | st.builds(Dog, kind=st.just("dog"), name=text)),
    (SecretStr, text.map(SecretStr)),
]


@st.composite
def models(draw, most=6):
    """(class, fields with their values' strategies) of a document class made up on the spot."""
    chosen = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=most))
    fields, values = {}, {}
    for position, (annotation, strategy) in enumerate(chosen):
        name = f"f{position}"
        alias = draw(st.sampled_from([None, None, f"alias{position}"]))
        given_default = draw(st.sampled_from(["none", "value", "factory"]))
        options = {"alias": alias} if alias else {}
        if given_default != "none":
            value = draw(strategy)
            options |= {"default": value} if given_default == "value" else {
                "default_factory": lambda value=value: value}
        fields[name] = (annotation, Field(**options))
        values[name] = strategy
    name = f"Made{draw(st.integers(0, 10**9))}"
    config = draw(st.sampled_from(["ignore", "ignore", "forbid", "allow"]))
    made = create_model(name, __base__=Document, __module__=__name__, **fields)
    made.model_config["extra"] = config
    made.model_rebuild(force=True)
    return made, values


@st.composite
def arguments(draw, made, values):
    """Keyword arguments for it: sometimes by alias, sometimes not all."""
    given = {}
    for name, strategy in values.items():
        field = made.model_fields[name]
        if not field.is_required() and draw(st.booleans()):
            continue
        key = field.alias if field.alias and draw(st.booleans()) else name
        given[key] = draw(strategy)
    if made.model_config["extra"] == "allow" and draw(st.booleans()):
        given["more"] = draw(text)
    return given


WRONG = st.sampled_from([None, "", "wrong", 5, -7, 2**40, 1.5, float("nan"), True, b"\x00", [], ["x"], [None], {},
                         {"a": 1}, {"city": 3}, {"n": -1, "x": 2}, datetime.datetime(2020, 1, 1),
                         datetime.datetime(2020, 1, 1, 5), ObjectId(b"123456789012"),
                         decimal.Decimal(1)]).map(
    lambda value: __import__("bson").Decimal128(value) if isinstance(value, decimal.Decimal) else value)
