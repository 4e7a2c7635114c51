"""The export: what each kind of field becomes, what is told of the rest, and the command line."""

import datetime
import decimal
import enum
import ipaddress
import json
import math
import os
import re
import sys
import uuid
from pathlib import Path
from typing import Annotated, Any, ForwardRef, Literal, Optional, Union

import bson
import pydantic
import pytest
import typing_extensions
from beanie import Document, PydanticObjectId
from beanie.odm.custom_types import DecimalAnnotation
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field

import mongosluice
from conftest import completed, examples
from mongosluice.export import definitions
from mongosluice.export.beanie import EXCLUDE_IS_HEEDED
from mongosluice.export.patterns import to_pcre


class Tree(BaseModel):
    name: str
    children: list["Tree"] = []


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


def exported(annotation, **field):
    model = pydantic.create_model("Model", f=(annotation, Field(**field) if field else ...))
    made = mongosluice.export(model, ns="d.c")
    return made.schema["properties"]["f"], [note.kind for note in made.notes]


INT, STR, FLOAT = {"bsonType": ["int", "long"]}, {"bsonType": "string"}, {"bsonType": ["double", "int", "long"]}


@pytest.mark.parametrize(("annotation", "schema", "notes"), [
    (str, STR, []), (int, INT, []), (float, FLOAT, []), (bool, {"bsonType": "bool"}, []),
    (bytes, {"bsonType": "binData"}, []), (uuid.UUID, {"bsonType": "binData"}, ["bound"]),
    (datetime.datetime, {"bsonType": "date"}, []), (datetime.date, {"bsonType": "date"}, ["bound"]),
    (PydanticObjectId, {"bsonType": "objectId"}, []), (re.Pattern, {"bsonType": "regex"}, []),
    (Optional[str], {"bsonType": ["string", "null"]}, []),
    (Union[int, str], {"bsonType": ["int", "long", "string"]}, []),
    (Literal["a", "b"], {"bsonType": "string", "enum": ["a", "b"]}, []),
    (Literal["a", None], {"bsonType": ["string", "null"], "enum": ["a", None]}, []),
    (Level, {"bsonType": ["int", "long"], "enum": [1, 2]}, []),
    (list[int], {"bsonType": "array", "items": INT}, []),
    (set[str], {"bsonType": "array", "items": STR, "uniqueItems": True}, []),
    (set[float], {"bsonType": "array", "items": FLOAT}, []),
    (tuple[int, str], {"bsonType": "array", "minItems": 2, "maxItems": 2, "items": [INT, STR]}, []),
    (tuple[int, ...], {"bsonType": "array", "items": INT}, []),
    (dict[str, int], {"bsonType": "object", "additionalProperties": INT}, []),
    (dict[int, int], {"bsonType": "object", "additionalProperties": INT}, ["key"]),
    (Any, {}, []), (ipaddress.IPv4Address, STR, ["validator"]), (pydantic.SecretStr, STR, []),
    (pydantic.HttpUrl, STR, ["validator"]),
    (Annotated[str, Field(min_length=2, max_length=3)], {**STR, "minLength": 2, "maxLength": 3}, []),
    (Annotated[str, Field(pattern="^a$")], {**STR, "pattern": r"^a\z"}, []),
    (Annotated[str, Field(pattern=r"^\w$")], STR, ["pattern"]),
    (Annotated[int, Field(gt=1, le=5)], {**INT, "minimum": 1, "exclusiveMinimum": True, "maximum": 5}, []),
    (Annotated[int, Field(multiple_of=5)], {**INT, "multipleOf": 5}, []),
    (Annotated[float, Field(multiple_of=0.5)], FLOAT, ["bound"]),
    (Annotated[str, AfterValidator(str.strip)], STR, ["validator"]),
    (Annotated[str, pydantic.StringConstraints(strip_whitespace=True, max_length=3)], {**STR, "maxLength": 3}, ["transform"]),
    (Annotated[datetime.datetime, Field(gt=datetime.datetime(2020, 1, 1))], {"bsonType": "date"}, ["bound"]),
    (Annotated[bytes, Field(max_length=3)], {"bsonType": "binData"}, ["bound"]),
    (Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)],
     {"bsonType": "array", "items": {**INT, "minimum": 0}, "minItems": 1}, []),
], ids=str)
def test_kinds(annotation, schema, notes):
    assert exported(annotation) == (schema, notes)


def test_decimals_are_finite():
    schema, _ = exported(decimal.Decimal)
    assert schema["bsonType"] == ["decimal", "double", "int", "long"] and {"minimum", "maximum"} <= set(schema)


EDGES = [0, 1, -1, 0.1, 0.3, 1e22, 2**53 + 1, 0.5, 1e-7, 123.456]
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.integers(-3, 3), st.floats(), st.decimals(-10, 10, places=3), st.sampled_from(EDGES),
    st.sampled_from(EDGES).map(float).flatmap(lambda one: st.sampled_from(
        [math.nextafter(one, math.inf), math.nextafter(one, -math.inf), decimal.Decimal(repr(one)), decimal.Decimal(one)])))
BOUNDS = st.integers(-(2**63), 2**63 - 1) | st.decimals(-10, 10, places=2) | st.sampled_from(EDGES)


@settings(max_examples=examples(1000), deadline=None)
@example(bounds={"ge": 0.1}, value=decimal.Decimal("0.1"), options={"strict": True})
@given(bounds=st.dictionaries(st.sampled_from(["ge", "gt", "le", "lt"]), BOUNDS, max_size=2), value=NUMBERS,
       options=st.sampled_from([{}, {"allow_inf_nan": True}, {"strict": True}]))
def test_decimals_are_bounded_as_they_are_read(bounds, value, options):
    """Beanie stores an assigned int or float as it is."""
    model = pydantic.create_model("Model", f=(DecimalAnnotation, Field(**bounds, **options)))
    made = mongosluice.export(model, ns="d.c")
    assert made.notes == ()
    try:
        stored = {"f": bson.Decimal128(value) if isinstance(value, decimal.Decimal) else value}
        bson.encode(stored)
    except (decimal.Inexact, OverflowError):
        return
    try:
        model(**stored)
    except pydantic.ValidationError:
        fits = False
    else:
        fits = True
    assert bool(mongosluice.check(made, {"_id": 1, **stored})) == fits, (made.schema, stored)


def test_defaults_are_storable():
    """pydantic does not validate defaults, so a document that holds one must be accepted."""
    assert exported(float, default=0) == (FLOAT, [])
    assert exported(str, default=0)[0] == {"anyOf": [STR, {"bsonType": "int", "enum": [0]}]}
    assert exported(str, default=None)[0] == {"bsonType": ["string", "null"]}
    assert exported(int, default=-1, ge=0)[1] == ["default"]
    assert exported(int, default=3, ge=0) == ({**INT, "minimum": 0}, [])


Json = typing_extensions.TypeAliasType("Json", "Union[int, None, list[Json], dict[str, Json]]")


class Root(pydantic.RootModel):
    root: Union[int, list["Root"]]


class Mutual(BaseModel):
    others: "list[Other]" = []


class Other(BaseModel):
    kind: Literal["other"] = "other"
    back: Optional[Mutual] = None
    same: Optional["Other"] = None


class Itself(pydantic.RootModel):
    root: Union[int, "Itself"]


def nested(depth, inner, outer):
    value = inner
    for _ in range(depth):
        value = outer(value)
    return value


def test_recursion_has_no_depth():
    made = mongosluice.export(Tree, ns="d.c")
    assert made.notes == ()
    assert made.schema["properties"]["children"]["items"] == {"$ref": "#/$defs/Tree"}
    for depth in (1, 3, 4, 40):
        for name, fits in (("x", True), (5, False)):
            document = nested(depth, {"name": name}, lambda inner: {"name": "a", "children": [inner]})
            assert bool(mongosluice.check(made, {"_id": 1, **document})) == fits, (depth, name)
    text = mongosluice.check(made, nested(3, {"name": 5}, lambda inner: {"name": "a", "children": [inner]}))
    assert [one["loc"] for one in text.errors()] == [("children", 0, "children", 0, "children", 0, "name")]


@pytest.mark.parametrize(("annotation", "good", "bad"), [
    (Json, [{"a": [1, None, {"b": [[[[[1]]]]]}]}, None, 3], [[[[[["x"]]]]], {"a": {"b": {"c": {"d": "x"}}}}]),
    (Root, [[[[[[1]]]]], 1], [[[[[["x"]]]]], None]),
    (Mutual, [{"others": [{"back": {"others": [{"back": None, "same": {"kind": "other"}}]}}]}],
     [{"others": [{"back": {"others": [{"back": {"others": [{"kind": "another"}]}}]}}]}, None]),
    (Annotated[Union[Other, Level], Field()], [{"kind": "other"}, 1], [{"kind": "other", "same": {"same": {"same": 1}}}]),
    (dict[str, Tree], [{"a": {"name": "x", "children": [{"name": "y"}]}}], [{"a": {"name": "x", "children": [{}]}}]),
    (Optional[Tree], [None, {"name": "x"}], [{"name": "x", "children": None}]),
])
def test_recursive_types(annotation, good, bad):
    made = mongosluice.export(pydantic.create_model("Model", f=(annotation, ...)), ns="d.c")
    assert made.notes == ()
    for value in good:
        assert mongosluice.check(made, {"_id": 1, "f": value}), value
    for value in bad:
        assert not mongosluice.check(made, {"_id": 1, "f": value}), value


def test_what_stands_beside_a_recursive_type_is_not_in_it():
    made = mongosluice.export(pydantic.create_model("Model", f=(Annotated[Json, Field(min_length=2)], ...)), ns="d.c")
    assert mongosluice.check(made, {"_id": 1, "f": [1, [1]]})
    assert not mongosluice.check(made, {"_id": 1, "f": [1]})
    assert not mongosluice.check(made, {"_id": 1, "f": [1, ["x"]]})


def test_a_type_that_only_leads_to_itself_takes_everything():
    made = mongosluice.export(pydantic.create_model("Model", f=(Itself, ...)), ns="d.c")
    assert [note.kind for note in made.notes] == ["depth"]
    assert mongosluice.check(made, {"_id": 1, "f": "x"})


def test_definitions_of_classes_in_one_collection():
    """One name for two classes, and one class in both."""
    def made(n, cls_type):
        inner = pydantic.create_model("Inner", n=(cls_type, ...), more=(Optional[ForwardRef("Inner")], None))
        inner.model_rebuild(_types_namespace={"Inner": inner})
        outer = pydantic.create_model(f"Outer{n}", inner=(inner, ...), tree=(Optional[Tree], None))
        return mongosluice.export(outer, ns="d.c")

    merged = definitions.merge([made(1, int), made(2, str)])
    assert set(merged.schema["$defs"]) == {"Inner", "Tree", "Inner_2", "Tree_2"}
    for value, fits in ((1, True), ("x", True), (1.5, False)):
        other = nested(4, {"n": value}, lambda inner: {"n": value, "more": inner})
        assert bool(mongosluice.check(merged, {"_id": 1, "inner": other})) == fits
        assert not mongosluice.check(merged, {"_id": 1, "inner": {"n": 1, "more": {"n": "x"}}})
    same = definitions.merge([made(1, int), made(2, int)])
    assert set(same.schema["$defs"]) == {"Inner", "Tree"}


def test_extra_and_aliases():
    class Closed(BaseModel, extra="forbid"):
        id: str = Field(alias="_id")
        name: str = Field(serialization_alias="out", validation_alias="in")

    made = mongosluice.export(Closed, ns="d.c")
    assert made.schema["additionalProperties"] is False
    assert list(made.schema["properties"]) == ["_id", "name"]
    assert [note.kind for note in made.notes] == ["key"]


def test_a_plain_model_needs_a_namespace():
    with pytest.raises(Exception, match="DATABASE.COLLECTION"):
        mongosluice.export(Tree)


def test_patterns():
    assert to_pcre(r"^\d+$") == r"(*UCP)^\d+\z"
    assert to_pcre("[a-z&&b]") is None and to_pcre("(?i)a") is None and to_pcre("a++") is None
    assert to_pcre(r"[$]\$") == r"[$]\$"


MODELS = """
from typing import Optional
from beanie import Document
from pydantic import BaseModel, field_validator
class Plain(BaseModel):
    n: int
class Shop(Document):
    name: str
    class Settings:
        name = "shops"
class Checked(Document):
    n: int
    @field_validator("n")
    @classmethod
    def even(cls, value):
        return value
"""


def command(folder, *arguments):
    # a source that changes twice in a second must not be taken from its bytecode
    environment = {**os.environ, "PYTHONPATH": str(Path(mongosluice.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
    return completed(sys.executable, "-m", "mongosluice", "export", *arguments, cwd=folder, env=environment)


def test_command_line(tmp_path):
    (tmp_path / "app").mkdir()
    (tmp_path / "app/models.py").write_text(MODELS)
    done = command(tmp_path, "app.models", "-o", "schemas/", "--database", "shop")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "schemas").iterdir()) == ["shop.Checked.json", "shop.shops.json"]
    file = json.loads((tmp_path / "schemas/shop.shops.json").read_text())
    assert (file["ns"], file["dialect"], file["level"], file["action"]) == ("shop.shops", "mongodb", "strict", "error")
    assert "stays with Python: Checked.n: validator" in done.stderr

    check = ("app.models", "-o", "schemas", "--database", "shop", "--check")
    assert command(tmp_path, *check).returncode == 0
    (tmp_path / "app/models.py").write_text(MODELS.replace("name: str", "name: int"))
    different = command(tmp_path, *check)
    assert different.returncode == 1 and "shop.shops.json differs from the schema of the models" in different.stderr
    (tmp_path / "schemas/shop.shops.json").unlink()
    assert "is missing" in command(tmp_path, *check).stderr

    strict = command(tmp_path, "app.models", "--strict", "-o", "other")
    assert strict.returncode == 1 and not (tmp_path / "other").exists()
    report = json.loads(command(tmp_path, "app.models:Plain=a.plain", "--json").stdout)
    assert report[0]["ns"] == "a.plain" and report[0]["models"] == ["app.models.Plain"]
    assert command(tmp_path, "app.models:Plain").returncode == 2
    assert command(tmp_path, "nowhere").returncode == 2


@pytest.mark.parametrize(("source", "target", "parts"), [
    (None, "nowhere.models", ["nowhere.models cannot be imported", "No module named 'nowhere'"]),
    ("import nothing_of_the_name", "wrong", ["wrong cannot be imported", "nothing_of_the_name", "wrong.py:1"]),
    ("\nraise ValueError('first\\nsecond')", "wrong", ["ValueError: first", "wrong.py:2"]),
    ("x = (", "wrong", ["SyntaxError", "wrong.py, line 1"]),
    ("raise SystemExit(0)", "wrong", ["SystemExit", "wrong.py:1"]),
    ("class Plain: pass", "wrong", ["wrong has no documents", "wrong:CLASS=DATABASE.COLLECTION"]),
    ("class Plain: pass", "wrong:Other", ["wrong has no Other"]),
    ("class Plain: pass", "./wrong.py", ["./wrong.py is not a target", "app.models"]),
    ("class Plain: pass", "wrong:Plain=", ["wrong:Plain= is not a target"]),
    ("import beanie\nclass Kept(beanie.Document):\n    other: 'Gone'", "wrong",
     ["wrong.Kept is not complete", "'Gone' is not defined"]),
    ("import mongoengine\nclass Kept(mongoengine.Document):\n    other = mongoengine.ReferenceField('Gone')", "wrong",
     ["wrong.Kept is not complete", "Gone"]),
])
def test_what_is_wrong_is_said_in_one_line(tmp_path, source, target, parts):
    if source is not None and "mongoengine" in source:
        pytest.importorskip("mongoengine")
    if source is not None:
        (tmp_path / "wrong.py").write_text(source)
    done = command(tmp_path, target, "-o", "schemas")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("mongosluice: ") and done.stderr.count("\n") == 1, done.stderr
    assert all(part in done.stderr for part in parts), done.stderr


def test_files_that_cannot_be_written_and_names_that_are_no_paths(tmp_path):
    (tmp_path / "models.py").write_text(MODELS)
    (tmp_path / "taken").write_text("")
    done = command(tmp_path, "models:Plain=a.b/c", "-o", "taken")
    assert done.returncode == 2 and done.stderr.splitlines()[-1] == "mongosluice: taken: File exists"
    assert command(tmp_path, "models:Plain=a.b/c", "-o", "schemas").returncode == 0
    assert [path.name for path in (tmp_path / "schemas").iterdir()] == ["a.b%2Fc.json"]
    (tmp_path / "schemas/a.b%2Fc.json").write_bytes(b"\xff")
    assert command(tmp_path, "models:Plain=a.b/c", "-o", "schemas", "--check").returncode == 1


def test_beanie_documents():
    class Kept(Document):
        a: Optional[int] = None
        hidden: str = Field(default="x", exclude=True)

        class Settings:
            name = "kept"
            use_revision = True

    made = mongosluice.export(Kept, database="d")
    names = list(made.schema["properties"])
    assert made.ns == "d.kept" and names[:2] == ["_id", "revision_id"]
    assert ("hidden" in names) is not EXCLUDE_IS_HEEDED


def test_a_generic_alias_is_no_class():
    """Python 3.10 says that list[int] is a type, and issubclass() then fails."""
    from mongosluice.export.schema import is_class

    assert is_class(list) and is_class(Tree) and not is_class(list[int]) and not is_class(dict[str, Tree])
