"""The stored form of a Python value, by the rules of Beanie's Encoder, without Beanie.

The export compares a model's default in its stored form, and must not need an ODM for that. python/tests
compares these rules with Beanie's own."""

from __future__ import annotations

import datetime
import decimal
import enum
import ipaddress
import operator
import pathlib
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import bson
import pydantic
from bson.errors import BSONError
from pydantic_core import Url

SCALARS = (type(None), str, int, float, datetime.datetime, bson.Binary, bson.DBRef, bson.Decimal128, bson.MaxKey,
           bson.MinKey, bson.ObjectId, bson.Regex)
CONVERTERS: dict[type, Callable[[Any], Any]] = {
    ipaddress.IPv4Address: str, ipaddress.IPv4Interface: str, ipaddress.IPv4Network: str,
    ipaddress.IPv6Address: str, ipaddress.IPv6Interface: str, ipaddress.IPv6Network: str, pathlib.PurePath: str,
    pydantic.SecretBytes: pydantic.SecretBytes.get_secret_value,
    pydantic.SecretStr: pydantic.SecretStr.get_secret_value,
    datetime.date: lambda day: datetime.datetime.combine(day, datetime.time.min),
    datetime.timedelta: operator.methodcaller("total_seconds"),
    enum.Enum: operator.attrgetter("value"), bytes: bson.Binary, decimal.Decimal: bson.Decimal128,
    uuid.UUID: bson.Binary.from_uuid, re.Pattern: bson.Regex.from_native, Url: str, pydantic.AnyUrl: str,
}


class NotStorable(Exception):
    """A document cannot hold the value."""


def encode(value: Any, keep_nulls: bool = True, of_item: Callable[[Any], Any] | None = None) -> Any:
    """Encodes in the way of Beanie's Encoder. `of_item` encodes the values within the value."""
    if isinstance(value, SCALARS):
        return value
    convert = CONVERTERS.get(type(value)) or next(
        (one for base, one in CONVERTERS.items() if isinstance(value, base)), None)
    if convert is not None:
        return convert(value)
    inner = of_item or (lambda item: encode(item, keep_nulls))
    if isinstance(value, pydantic.RootModel):
        return inner(value.root)
    if isinstance(value, pydantic.BaseModel):
        return {name: inner(item) for name, item in model_items(value, keep_nulls)}
    if isinstance(value, Mapping):
        return {name.value if isinstance(name, enum.Enum) else str(name): inner(item) for name, item in value.items()}
    if isinstance(value, Iterable):
        return [inner(item) for item in value]
    raise NotStorable(f"{value!r} cannot be stored")


def model_items(model: pydantic.BaseModel, keep_nulls: bool) -> Iterable[tuple[str, Any]]:
    fields = type(model).model_fields
    for name, value in model:
        field = fields.get(name)
        if (field is not None and field.exclude) or (value is None and not keep_nulls):
            continue
        yield (field.alias if field is not None else None) or name, value


def as_bson(encoded: Any) -> Any:
    """The value that PyMongo reads back; raises NotStorable."""
    try:
        return bson.decode(bson.encode({"": encoded}))[""]
    except (BSONError, ArithmeticError, TypeError, ValueError) as error:
        raise NotStorable(str(error)) from error
