"""Schemas of dialect `mongodb`: the keywords that an export uses, and the notes on checks that stay in Python."""

from __future__ import annotations

import decimal
import hashlib
import json
import types
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeGuard

import bson
from bson import json_util

from mongosluice.export.patterns import matches

Schema = dict[str, Any]

SETTINGS = {"dialect": "mongodb", "level": "strict", "action": "error"}
# Every finite float lies between these bounds, and NaN satisfies no bound.
LARGEST = 1.7976931348623157e308


@dataclass(frozen=True)
class Note:
    """A check of a model that stays in Python."""

    model: str
    field: str  # with dots; empty for the whole model
    kind: str  # validator, transform, bound, type, default, pattern, key, depth, serializer
    text: str

    def __str__(self) -> str:
        place = f"{self.model}.{self.field}" if self.field else self.model
        return f"{place}: {self.kind}: {self.text}"


@dataclass(frozen=True)
class Exported:
    """The schema of a namespace, and the checks that it does not hold."""

    ns: str
    schema: Schema
    models: tuple[str, ...]
    notes: tuple[Note, ...] = ()

    @property
    def hash(self) -> str:
        return content_hash(self.schema)

    def file(self) -> dict[str, Any]:
        """The contents of a new file."""
        return {"ns": self.ns, **SETTINGS, "schema": self.schema}

    @property
    def file_name(self) -> str:
        """The name that the proxy's admin endpoint uses: special characters of a path are percent-encoded."""
        name = "".join(chr(byte) if chr(byte).isalnum() and byte < 128 or chr(byte) in "._-" else f"%{byte:02X}"
                       for byte in self.ns.encode())
        return f"{name}.json"

    def text(self) -> str:
        return text_of(self.file())

    def report(self) -> dict[str, Any]:
        return {"ns": self.ns, "hash": self.hash, "models": list(self.models),
                "notes": [asdict(note) for note in self.notes]}


def is_class(value: Any) -> TypeGuard[type]:
    """Whether issubclass() accepts it; Python 3.10 says that list[int] is a type too."""
    return isinstance(value, type) and not isinstance(value, types.GenericAlias)


def text_of(file: dict[str, Any]) -> str:
    """The contents of a file in extended JSON."""
    return json_util.dumps(file, json_options=json_util.RELAXED_JSON_OPTIONS, indent=2) + "\n"


def content_hash(schema: Schema) -> str:
    """The hash that the proxy reports: of the schema as BSON, with its keys in the file's order."""
    return hashlib.sha256(bson.encode(schema)).hexdigest()


def with_null(schema: Schema) -> Schema:
    """The same schema, and null."""
    if not schema:
        return schema
    if "anyOf" in schema:
        alternatives = schema["anyOf"]
        if any(accepts(one, None) for one in alternatives):
            return schema
        return {**schema, "anyOf": [*alternatives, {"bsonType": "null"}]}
    if set(schema) & {"not", "allOf", "oneOf", "$ref"} or "bsonType" not in schema:
        return {"anyOf": [schema, {"bsonType": "null"}]}
    types = as_list(schema["bsonType"])
    out = {**schema, "bsonType": types if "null" in types else [*types, "null"]}
    if "enum" in schema and None not in schema["enum"]:
        out["enum"] = [*schema["enum"], None]
    return out


def any_of(schemas: list[Schema]) -> Schema:
    different: list[Schema] = []
    for schema in schemas:
        if not schema:
            return {}
        if schema not in different:
            different.append(schema)
    nullable = {"bsonType": "null"} in different
    rest = [schema for schema in different if schema != {"bsonType": "null"}]
    if not rest:
        return {"bsonType": "null"}
    if all(set(schema) == {"bsonType"} for schema in rest):
        types = [name for schema in rest for name in as_list(schema["bsonType"])]
        joined: Schema = {"bsonType": simplest(list(dict.fromkeys(types)))}
    else:
        joined = rest[0] if len(rest) == 1 else {"anyOf": rest}
    return with_null(joined) if nullable else joined


def of_values(values: list[Any]) -> Schema:
    """One of these values with its type: 1 is neither true nor 1.0."""
    types = list(dict.fromkeys(name for value in values for name in types_of(value)))
    return {"bsonType": simplest(types), "enum": distinct(values)}


def distinct(values: list[Any]) -> list[Any]:
    seen: dict[Any, Any] = {}
    for value in values:
        seen.setdefault((type(value), value), value)
    return list(seen.values())


def as_list(types: str | list[str]) -> list[str]:
    return [types] if isinstance(types, str) else list(types)


def simplest(types: list[str]) -> str | list[str]:
    return types[0] if len(types) == 1 else types


def types_of(value: Any) -> list[str]:
    """The BSON types of the stored form of such a Python value."""
    if isinstance(value, bool):
        return ["bool"]
    if isinstance(value, int):
        return ["int", "long"]
    known = {str: "string", float: "double", type(None): "null", bytes: "binData"}
    name = known.get(type(value)) or element_type(value)
    return [name]


ELEMENT_TYPES = {
    0x01: "double", 0x02: "string", 0x03: "object", 0x04: "array", 0x05: "binData", 0x06: "undefined",
    0x07: "objectId", 0x08: "bool", 0x09: "date", 0x0A: "null", 0x0B: "regex", 0x0C: "dbPointer",
    0x0D: "javascript", 0x0E: "symbol", 0x0F: "javascriptWithScope", 0x10: "int", 0x11: "timestamp",
    0x12: "long", 0x13: "decimal", 0xFF: "minKey", 0x7F: "maxKey",
}


def element_type(value: Any) -> str:
    return ELEMENT_TYPES[bson.encode({"": value})[4]]


def accepts(schema: Schema, value: Any, target: Callable[[Schema], Schema | None] = lambda schema: None,
            otherwise: bool = False) -> bool:
    """Whether a default in BSON satisfies a schema of an export. `target` gives the target of a reference. If it
        is not known, the keywords beside the reference decide, and if there are none, the result is `otherwise`."""
    if "$ref" in schema:
        found = target(schema)
        if found is None and "bsonType" not in schema:
            return otherwise
        if found is not None and not accepts(found, value, target, otherwise):
            return False
    return _accepts(schema, value, lambda inner, item: accepts(inner, item, target, otherwise))


def _accepts(schema: Schema, value: Any, accepts: Callable[[Schema, Any], bool]) -> bool:
    if "anyOf" in schema and not any(accepts(one, value) for one in schema["anyOf"]):
        return False
    if not all(accepts(one, value) for one in schema.get("allOf", ())) or "not" in schema:
        return False
    kind = element_type(value)
    if "bsonType" in schema and kind not in as_list(schema["bsonType"]):
        return False
    if "enum" in schema and not any(same(one, value) for one in schema["enum"]):
        return False
    if kind in NUMBERS:
        return _accepts_number(schema, value)
    if kind == "string":
        return _accepts_string(schema, value)
    if kind == "array":
        return _accepts_array(schema, value, accepts)
    return kind != "object" or _accepts_object(schema, value, accepts)


NUMBERS = ("int", "long", "double", "decimal")


def same(one: Any, other: Any) -> bool:
    """Compares in the way of `enum`: numbers by value, whatever their type."""
    kinds = element_type(one), element_type(other)
    if kinds[0] in NUMBERS and kinds[1] in NUMBERS:
        return bool(number(one) == number(other))
    return kinds[0] == kinds[1] and bool(one == other)


def number(value: Any) -> Any:
    """A value of any BSON type for comparison; a float's exact value."""
    if isinstance(value, bson.Decimal128):
        return value.to_decimal()
    return decimal.Decimal(value)


def _accepts_number(schema: Schema, value: Any) -> bool:
    exact = number(value)
    bounded = {"minimum", "maximum"} & set(schema)
    if exact.is_nan():
        return not bounded and "multipleOf" not in schema
    if "minimum" in schema:
        low = number(schema["minimum"])
        if not (exact > low if schema.get("exclusiveMinimum") else exact >= low):
            return False
    if "maximum" in schema:
        high = number(schema["maximum"])
        if not (exact < high if schema.get("exclusiveMaximum") else exact <= high):
            return False
    return "multipleOf" not in schema or (exact.is_finite() and int(exact) == exact
                                          and int(exact) % schema["multipleOf"] == 0)


def _accepts_string(schema: Schema, value: str) -> bool:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        return False
    return "pattern" not in schema or matches(schema["pattern"], value)


def _accepts_array(schema: Schema, value: list[Any], accepts: Callable[[Schema, Any], bool]) -> bool:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        return False
    items = schema.get("items", {})
    if schema.get("uniqueItems") and any(same(one, other) for i, one in enumerate(value) for other in value[:i]):
        return False
    if isinstance(items, list):
        return all(accepts(one, item) for one, item in zip(items, value))
    return all(accepts(items, item) for item in value)


def _accepts_object(schema: Schema, value: Any, accepts: Callable[[Schema, Any], bool]) -> bool:
    properties, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
    if any(name not in value for name in schema.get("required", ())):
        return False
    if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value)):
        return False
    for name, item in value.items():
        if name in properties:
            if not accepts(properties[name], item):
                return False
        elif rest is False or (isinstance(rest, dict) and not accepts(rest, item)):
            return False
    return True


def report_json(exported: list[Exported]) -> str:
    return json.dumps([one.report() for one in exported], indent=2)
