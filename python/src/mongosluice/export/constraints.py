"""Bounds, lengths and patterns, and the members of a schema to which they apply."""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable
from typing import Any

import annotated_types
import bson

from mongosluice.export.definitions import changed
from mongosluice.export.schema import LARGEST, Schema, as_list

LARGEST_DECIMAL = "9.999999999999999999999999999999999E+6144"
# All types of numbers: Beanie stores an assigned int or float unchanged, and pydantic reads it as a Decimal.
DECIMAL: Schema = {"bsonType": ["decimal", "double", "int", "long"]}
FINITE_DECIMAL: Schema = {**DECIMAL, "minimum": bson.Decimal128("-" + LARGEST_DECIMAL),
                          "maximum": bson.Decimal128(LARGEST_DECIMAL)}
INTEGERS, FLOATS = frozenset({"int", "long"}), frozenset({"double"})
NUMBERS = INTEGERS | FLOATS | {"decimal"}
LENGTHS = {"string": ("minLength", "maxLength"), "array": ("minItems", "maxItems"),
           "object": ("minProperties", "maxProperties")}
INT64 = range(-(2**63), 2**63)


def constrained(schema: Schema, types: frozenset[str], change: Callable[[Schema], Schema]) -> tuple[Schema, set[str]]:
    """The schema with changed members of those types, and the types of the members without the constraint.
        null does not count: pydantic does not check it. A schema of any type has the one type ""."""
    if "anyOf" in schema:
        found = [constrained(one, types, change) for one in schema["anyOf"]]
        return {**schema, "anyOf": [one for one, _ in found]}, set().union(*(left for _, left in found))
    own = set(as_list(schema.get("bsonType", "")))
    return change(schema) if own & types else schema, own - types - {"null"}


def bound(schema: Schema, one: Any) -> tuple[Schema, bool]:
    """The schema with a bound of annotated_types, and whether a part of the bound stays in Python."""
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
    """The exact value in BSON; None if there is none."""
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
        return {**schema, **own}  # pydantic too keeps the last one of a kind
    return {**schema, "allOf": [*schema.get("allOf", ()), own]}


def is_outermost(value: Any) -> bool:
    """Whether a bound only excludes infinite numbers."""
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
    """For integers only: whether a float is a multiple depends on Python's arithmetic."""
    if not isinstance(value, int) or value not in INT64 or value <= 0:
        return schema, True
    changed, left = constrained(schema, INTEGERS, lambda part: part if set(as_list(part["bsonType"])) & (
        NUMBERS - INTEGERS) else {**part, "multipleOf": value})
    return changed, bool(left)


def pattern(schema: Schema, translated: str) -> tuple[Schema, bool]:
    changed, left = constrained(schema, frozenset({"string"}), lambda part: {**part, "pattern": translated})
    return changed, bool(left)


def finite(schema: Schema) -> Schema:
    """Numbers except infinities and NaN."""
    def change(part: Schema) -> Schema:
        is_decimal = "decimal" in as_list(part["bsonType"])
        low, high = (FINITE_DECIMAL["minimum"], FINITE_DECIMAL["maximum"]) if is_decimal else (-LARGEST, LARGEST)
        return {"minimum": low, "maximum": high, **part}

    return constrained(schema, FLOATS, change)[0]


def infinite(schema: Schema) -> Schema:
    """Decimals that may be infinite or NaN."""
    def change(part: Schema) -> Schema:
        return {key: value for key, value in part.items()
                if key not in ("minimum", "maximum") or not isinstance(value, bson.Decimal128) or not is_outermost(value)}

    return constrained(schema, frozenset({"decimal"}), change)[0]


# ---- numbers that pydantic reads as decimals --------------------------------------------------------


def decimals_only(schema: Schema) -> Schema:
    """For validators that do not make a Decimal of an int or float."""
    return constrained(schema, frozenset({"decimal"}), lambda part: {**part, "bsonType": "decimal"})[0]


def as_read(schema: Schema) -> Schema:
    """A schema whose decimal bounds are those that pydantic compares with, and hold for doubles as pydantic reads
        them: it reads 0.1 as Decimal("0.1"), which is less than the double."""
    out = changed(schema, as_read)
    types = set(as_list(out.get("bsonType", ())))
    if "decimal" not in types:
        return out
    exact = with_limits(out, lambda value, is_low, is_exclusive: (exactly(value), is_exclusive))
    if "double" not in types or all(double_is(limit) for limit in limits_of(exact)):
        return exact
    doubles = with_limits(out, lambda value, is_low, is_exclusive: nearest(exactly(value), is_low, is_exclusive))
    return {"anyOf": [{**exact, "bsonType": sorted(types - {"double"})}, {**doubles, "bsonType": "double"}]}


def parts_with_limits(schema: Schema) -> list[Schema]:
    return [schema, *schema.get("allOf", ())]


def limits_of(schema: Schema) -> list[Any]:
    return [part[key] for part in parts_with_limits(schema) for key in ("minimum", "maximum") if key in part]


def with_limits(schema: Schema, change: Callable[[Any, bool, bool], tuple[Any, bool]]) -> Schema:
    """The schema with other bounds. `change` gets a bound, whether it is the lower one, and whether it is exclusive."""
    def part_changed(part: Schema) -> Schema:
        out = dict(part)
        for key, flag in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            if key in part:
                out.pop(flag, None)
                out[key], is_exclusive = change(part[key], key == "minimum", part.get(flag, False))
                if is_exclusive:
                    out[flag] = True
        return out

    out = part_changed(schema)
    return {**out, "allOf": [part_changed(part) for part in schema["allOf"]]} if "allOf" in schema else out


def exactly(value: Any) -> Any:
    """A bound as pydantic reads it: a float by its digits."""
    return bson.Decimal128(repr(value)) if isinstance(value, float) else value


def double_is(limit: Any) -> bool:
    """Whether a bound lies on the same side of each double as of the Decimal read from the double."""
    if is_outermost(limit):
        return True
    value = decimal_of(limit)
    return decimal.Decimal(float(value)) == value == decimal.Decimal(repr(float(value)))


def decimal_of(limit: Any) -> decimal.Decimal:
    return limit.to_decimal() if isinstance(limit, bson.Decimal128) else decimal.Decimal(limit)


def nearest(limit: Any, is_low: bool, is_exclusive: bool) -> tuple[Any, bool]:
    """The outermost double whose digits satisfy a bound, as an inclusive bound. If no double near it does, the
        bound itself."""
    if is_outermost(limit):
        return limit, is_exclusive
    near, value = float(decimal_of(limit)), decimal_of(limit)
    inwards = math.inf if is_low else -math.inf
    for double in (math.nextafter(near, -inwards), near, math.nextafter(near, inwards)):
        if math.isfinite(double) and satisfies(decimal.Decimal(repr(double)), value, is_low, is_exclusive):
            return double, False
    return limit, is_exclusive
