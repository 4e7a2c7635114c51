"""Bounds, lengths and patterns: which members of a schema they hold for."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from typing import Any

import annotated_types
import bson

from mongosluice.export.schema import LARGEST, Schema, as_list

LARGEST_DECIMAL = "9.999999999999999999999999999999999E+6144"
FINITE_DECIMAL: Schema = {"bsonType": "decimal", "minimum": bson.Decimal128("-" + LARGEST_DECIMAL),
                          "maximum": bson.Decimal128(LARGEST_DECIMAL)}
INTEGERS, FLOATS = frozenset({"int", "long"}), frozenset({"double"})
NUMBERS = INTEGERS | FLOATS | {"decimal"}
LENGTHS = {"string": ("minLength", "maxLength"), "array": ("minItems", "maxItems"),
           "object": ("minProperties", "maxProperties")}
INT64 = range(-(2**63), 2**63)


def constrained(schema: Schema, types: frozenset[str], change: Callable[[Schema], Schema]) -> tuple[Schema, set[str]]:
    """The members of those types changed; and the types of the others, that the constraint cannot be put to.
    null is no member: pydantic does not ask it. A schema of any type is one of the type ""."""
    if "anyOf" in schema:
        found = [constrained(one, types, change) for one in schema["anyOf"]]
        return {**schema, "anyOf": [one for one, _ in found]}, set().union(*(left for _, left in found))
    own = set(as_list(schema.get("bsonType", "")))
    return change(schema) if own & types else schema, own - types - {"null"}


def bound(schema: Schema, one: Any) -> tuple[Schema, bool]:
    """With a bound of annotated_types; and whether something of it stays with Python."""
    value = next(getattr(one, key) for key in ("ge", "gt", "le", "lt") if hasattr(one, key))
    if not isinstance(value, (int, float, decimal.Decimal)):
        return schema, True
    is_low, is_exclusive = hasattr(one, "ge") or hasattr(one, "gt"), hasattr(one, "gt") or hasattr(one, "lt")
    limit = as_limit(value)
    if limit is None:
        return schema, True
    changed, left = constrained(schema, NUMBERS, lambda part: bounded(part, limit, is_low, is_exclusive))
    if left == {"bool"} and all(satisfies(flag, value, is_low, is_exclusive) for flag in (0, 1)):
        left = set()
    return changed, bool(left)


def as_limit(value: Any) -> Any:
    """As BSON, exactly; None where there is none."""
    if isinstance(value, bool) or (isinstance(value, int) and value in INT64):
        return int(value)
    if isinstance(value, float):
        return value
    try:
        limit = bson.Decimal128(decimal.Decimal(value))
    except (ArithmeticError, ValueError):
        return None
    return limit if limit.to_decimal() == value else None


def satisfies(number: Any, value: Any, is_low: bool, is_exclusive: bool) -> bool:
    if is_low:
        return bool(number > value if is_exclusive else number >= value)
    return bool(number < value if is_exclusive else number <= value)


def bounded(schema: Schema, limit: Any, is_low: bool, is_exclusive: bool) -> Schema:
    key, flag = ("minimum", "exclusiveMinimum") if is_low else ("maximum", "exclusiveMaximum")
    own = {key: limit, **({flag: True} if is_exclusive else {})}
    if key not in schema or is_outermost(schema[key]) or schema.get(flag, False) == is_exclusive:
        return {**schema, **own}  # pydantic as well keeps the last of a kind
    return {**schema, "allOf": [*schema.get("allOf", ()), own]}


def is_outermost(value: Any) -> bool:
    """Whether a bound only says that the number is finite."""
    if isinstance(value, bson.Decimal128):
        return str(value).endswith(LARGEST_DECIMAL)
    return abs(value) == LARGEST


def length(schema: Schema, one: Any) -> tuple[Schema, bool]:
    is_low = isinstance(one, annotated_types.MinLen)
    value = one.min_length if is_low else one.max_length

    def change(part: Schema) -> Schema:
        words = {LENGTHS[name][0 if is_low else 1]: value for name in as_list(part["bsonType"]) if name in LENGTHS}
        return {**part, **words}

    changed, left = constrained(schema, frozenset(LENGTHS), change)
    return changed, bool(left)


def multiple_of(schema: Schema, value: Any) -> tuple[Schema, bool]:
    """Of integers only: what a float is a multiple of is for Python's arithmetic to say."""
    if not isinstance(value, int) or value not in INT64 or value <= 0:
        return schema, True
    changed, left = constrained(schema, INTEGERS, lambda part: part if set(as_list(part["bsonType"])) & (
        NUMBERS - INTEGERS) else {**part, "multipleOf": value})
    return changed, bool(left)


def pattern(schema: Schema, translated: str) -> tuple[Schema, bool]:
    changed, left = constrained(schema, frozenset({"string"}), lambda part: {**part, "pattern": translated})
    return changed, bool(left)


def finite(schema: Schema) -> Schema:
    """Floats that are neither infinite nor NaN."""
    return constrained(schema, FLOATS, lambda part: {"minimum": -LARGEST, "maximum": LARGEST, **part})[0]


def infinite(schema: Schema) -> Schema:
    """Decimals that may be infinite or NaN."""
    def change(part: Schema) -> Schema:
        return {key: value for key, value in part.items()
                if key not in ("minimum", "maximum") or not isinstance(value, bson.Decimal128) or not is_outermost(value)}

    return constrained(schema, frozenset({"decimal"}), change)[0]
