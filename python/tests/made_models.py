"""Models of every kind that hypothesis makes up, each annotation with values for it.

`types(depth)` draws (annotation, values that pydantic takes for it); `documents()` a document class of such
fields, with aliases, defaults, validators, settings and a base class, and its fields' values."""

import datetime
import decimal
import enum
import ipaddress
import itertools
import typing
import uuid
from typing import Annotated, Any, Literal, Optional, Union

import bson
import pydantic
from beanie import Document, Link, PydanticObjectId
from beanie.odm.custom_types import DecimalAnnotation
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, RootModel, SkipValidation, WrapValidator
from pydantic.alias_generators import to_camel, to_pascal

from generated import Colour, Label, Rank, aware, decimals, floats, int64, keys, millis, text

serial = itertools.count()


class Rights(enum.IntFlag):
    READ = 1
    WRITE = 2


class Marks(enum.Flag):
    ONE = 1
    EIGHT = 8


class Target(Document):
    name: str = ""
    price: float = 0.0


class Other(Document):
    id: int
    name: str = ""


class Tree(BaseModel):
    n: int = 0
    left: Optional["Tree"] = None
    more: dict[str, "Tree"] = {}


class Branch(RootModel[Union[int, list["Branch"]]]):
    pass


def links(cls, identity):
    reference = st.builds(lambda value: Link(bson.DBRef(cls.__name__, value), document_class=cls), identity)
    return reference | st.builds(lambda value, name: cls(id=value, name=name), identity, text)


object_ids = st.binary(min_size=12, max_size=12).map(PydanticObjectId)
dates = st.dates(datetime.date(1, 1, 2), datetime.date(9999, 12, 30))
trees = st.recursive(st.builds(Tree, n=int64), lambda inner: st.builds(
    Tree, left=st.none() | inner, more=st.dictionaries(keys, inner, max_size=2)), max_leaves=4)
branches = st.recursive(int64, lambda inner: st.lists(inner, max_size=2), max_leaves=4)

SIMPLE = [
    (str, text), (int, int64), (float, floats | st.integers(-2**50, 2**50)), (bool, st.booleans()),
    (bytes, st.binary(max_size=6)), (datetime.datetime, millis | aware), (datetime.date, dates),
    (datetime.timedelta, st.timedeltas(datetime.timedelta(-999), datetime.timedelta(999))),
    (DecimalAnnotation, decimals), (uuid.UUID, st.uuids()), (PydanticObjectId, object_ids), (Any, int64 | text | st.none()),
    (Colour, st.sampled_from(Colour)), (Rank, st.sampled_from(Rank)), (Label, st.sampled_from(Label)),
    (Rights, st.integers(0, 3).map(Rights)), (Marks, st.sampled_from([0, 1, 8, 9]).map(Marks)),
    (Literal["x", 1], st.sampled_from(["x", 1])), (pydantic.SecretStr, text.map(pydantic.SecretStr)),
    (ipaddress.IPv4Address, st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)),
    (pydantic.HttpUrl, st.just("http://a.example/b")), (Tree, trees), (Branch, branches),
    (typing.Counter[str], st.dictionaries(keys, int64, max_size=2)),
]
# Constraints, and which of the values they leave.
BOUNDED = [
    (str, {"min_length": 1, "max_length": 3}, text.map(lambda value: (value + "x")[:3])),
    (str, {"pattern": r"^[a-z]*\d?$"}, st.from_regex(r"\A[a-z]{0,3}[0-9]?\Z")),
    (int, {"ge": 0, "lt": 100}, st.integers(0, 99)), (int, {"multiple_of": 3}, st.integers(-9, 9).map(lambda n: n * 3)),
    (float, {"gt": 0, "allow_inf_nan": False}, st.floats(0, 1e6, exclude_min=True) | st.integers(1, 9)),
    (DecimalAnnotation, {"ge": 0, "max_digits": 6}, st.integers(0, 999).map(lambda n: decimal.Decimal(n) / 100)),
    (list[int], {"min_length": 1, "max_length": 2}, st.lists(int64, min_size=1, max_size=2)),
    (dict[str, int], {"max_length": 1}, st.dictionaries(keys, int64, max_size=1)),
]
KEYS = [(str, keys), (int, int64), (uuid.UUID, st.uuids()), (Label, st.sampled_from(Label)), (datetime.date, dates),
        (Literal["a", "b"], st.sampled_from(["a", "b"])), (bool, st.booleans()), (Any, keys),
        (Annotated[str, Field(min_length=1)], keys.filter(bool))]
HASHABLE = [(str, text), (int, int64), (uuid.UUID, st.uuids()), (Label, st.sampled_from(Label)), (datetime.date, dates)]


def annotated(value: int) -> int:
    return value


def to_text(value):
    return f"{value}"


def forgiving(value, handler):
    try:
        return handler(value)
    except ValueError:
        return None


@st.composite
def validated(draw, inner):
    """With a function before, after or around."""
    annotation, values = inner
    function = draw(st.sampled_from([BeforeValidator(lambda value: value), AfterValidator(lambda value: value),
                                     AfterValidator(to_text), AfterValidator(str), WrapValidator(forgiving),
                                     SkipValidation()]))
    return Annotated[annotation, function], values


@st.composite
def models(draw, depth):
    """A model that is no document."""
    fields = {}
    values = {}
    for position in range(draw(st.integers(1, 2))):
        annotation, strategy = draw(types(depth - 1))
        fields[f"i{position}"] = (annotation, Field(alias=draw(st.sampled_from([None, f"alias{position}"]))))
        values[fields[f"i{position}"][1].alias or f"i{position}"] = strategy
    config = ConfigDict(extra=draw(st.sampled_from(["ignore", "allow", "forbid"])), frozen=draw(st.booleans()))
    made = pydantic.create_model(f"Inner{next(serial)}", __config__=config, **fields)
    given = st.fixed_dictionaries(values)
    return made, given | given.map(lambda data: made(**data))


@st.composite
def tagged(draw, depth):
    alternatives, values = [], []
    for tag in ("a", "b"):
        annotation, strategy = draw(types(depth - 1))
        default = draw(st.sampled_from([..., tag]))
        made = pydantic.create_model(f"Tagged{next(serial)}", tag=(Literal[tag], default), v=(annotation, ...))
        alternatives.append(made)
        values.append(st.builds(lambda v, made=made, tag=tag: made(tag=tag, v=v), strategy))
    return Annotated[Union[tuple(alternatives)], Field(discriminator="tag")], st.one_of(values)


@st.composite
def containers(draw, depth):
    annotation, values = draw(types(depth - 1))
    kind = draw(st.sampled_from(["list", "dict", "tuple", "many", "set", "root", "union", "optional", "bounded"]))
    if kind == "list":
        return list[annotation], st.lists(values, max_size=2)
    if kind == "dict":
        key, names = draw(st.sampled_from(KEYS))
        return dict[key, annotation], st.dictionaries(names, values, max_size=2)
    if kind == "tuple":
        return tuple[annotation, int], st.tuples(values, int64)
    if kind == "many":
        return tuple[annotation, ...], st.lists(values, max_size=2).map(tuple)
    if kind == "set":
        item, items = draw(st.sampled_from(HASHABLE))
        return draw(st.sampled_from([set, frozenset]))[item], st.sets(items, max_size=2)
    if kind == "root":
        made = type(f"Root{next(serial)}", (RootModel[annotation],), {})
        return made, values
    if kind == "union":
        other, others = draw(types(depth - 1))
        return Union[annotation, other], values | others
    if kind == "optional":
        return Optional[annotation], st.none() | values
    annotation, options, values = draw(st.sampled_from(BOUNDED))
    return draw(st.sampled_from([Annotated[annotation, Field(**options)], Annotated[Optional[annotation], Field(**options)]])), values


@st.composite
def types(draw, depth=2):
    if depth == 0:
        return draw(st.sampled_from(SIMPLE))
    kind = draw(st.sampled_from(["simple", "container", "container", "model", "tagged", "link", "validated"]))
    if kind == "simple":
        return draw(st.sampled_from(SIMPLE))
    if kind == "container":
        return draw(containers(depth))
    if kind == "model":
        return draw(models(depth))
    if kind == "tagged":
        return draw(tagged(depth))
    if kind == "link":
        cls, identity = draw(st.sampled_from([(Target, object_ids), (Other, int64)]))
        return Link[cls], links(cls, identity)
    return draw(validated(draw(types(depth - 1))))


ENCODERS = [{}, {}, {}, {int: str}, {set: list}, {datetime.date: lambda value: value.isoformat()}, {dict: lambda value: []}]


@st.composite
def documents(draw, most=3):
    """(class, values of each name that is given)"""
    fields, values = {}, {}
    for position in range(draw(st.integers(1, most))):
        name = f"some_field{position}"
        annotation, strategy = draw(types())
        options = {}
        alias = draw(st.sampled_from([None, None, f"alias{position}"]))
        if alias:
            options["alias"] = alias
        if isinstance(annotation, type) and draw(st.booleans()) and annotation in (str, int, float, Label, Tree):
            options["default"] = draw(strategy)
        elif typing.get_origin(annotation) is Union and type(None) in typing.get_args(annotation):
            options["default"] = None
        if typing.get_origin(annotation) is Union and type(None) in typing.get_args(annotation) and int in typing.get_args(annotation):
            if len(typing.get_args(annotation)) == 2 and draw(st.booleans()):
                options["ge"] = 0
                strategy = st.none() | st.integers(0, 99)
        fields[name] = (annotation, Field(**options))
        values[name] = strategy
    return draw(document_class(fields, values)), values


@st.composite
def document_class(draw, fields, values):
    settings = {"keep_nulls": draw(st.sampled_from([True, True, False])),
                "use_revision": draw(st.sampled_from([False, False, True])),
                "bson_encoders": draw(st.sampled_from(ENCODERS)), "name": f"made{next(serial)}"}
    config = {"extra": draw(st.sampled_from(["ignore", "ignore", "forbid", "allow"])), "populate_by_name": True}
    generator = draw(st.sampled_from([None, None, None, to_camel, to_pascal]))
    name = f"Made{next(serial)}"
    inner = type("Settings", (), {**settings, "__module__": __name__, "__qualname__": f"{name}.Settings"})
    body = {"__module__": __name__, "__qualname__": name, "__annotations__": {}, "Settings": inner}
    if generator is not None:
        config["alias_generator"] = generator
        if draw(st.booleans()):
            fields = {"id": (Optional[PydanticObjectId], Field(default=None, alias="_id")), **fields}
    for field_name, (annotation, field) in fields.items():
        body["__annotations__"][field_name] = annotation
        body[field_name] = field
    if draw(st.sampled_from([False, False, False, True])):
        mode = draw(st.sampled_from(["before", "after"]))
        body["checked"] = pydantic.field_validator(next(iter(values)), mode=mode)(lambda cls, value: value)
    body["model_config"] = ConfigDict(**config)
    base = Document
    if draw(st.sampled_from([False, False, True])):
        base = type(f"Base{next(serial)}", (Document,), {
            "__module__": __name__, "__annotations__": {"inherited": int}, "inherited": 5})
    return type(name, (base,), body)


@st.composite
def arguments(draw, cls, values):
    """Keyword arguments: by name or alias, sometimes not all."""
    given = {}
    for name, strategy in values.items():
        field = cls.model_fields[name]
        if not field.is_required() and draw(st.booleans()):
            continue
        given[field.alias if field.alias and draw(st.booleans()) else name] = draw(strategy)
    if draw(st.sampled_from([False, False, False, True])):
        given["something"] = draw(text)
    return given
