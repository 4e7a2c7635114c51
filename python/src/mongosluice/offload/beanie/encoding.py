"""The BSON form of a value by its type: the rules of Beanie's Encoder, applied once for each type.

The C extension calls `classify`. `plain` does the same in Python, if the extension is not built. If these rules
do not certainly know a value, they leave it to Beanie's own code."""

from __future__ import annotations

import datetime
import decimal
import enum
import inspect
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import bson
import pydantic
from beanie import Document
from beanie.odm.utils import encoder as beanie_encoder
from bson.int64 import Int64
from pydantic import BaseModel

from mongosluice.export.beanie import EXCLUDE_IS_HEEDED
from mongosluice.offload.extension import native, shared

GIVE_UP, STR, INT, INT64, FLOAT, OBJECT_ID, ENUM, UUID, DATETIME, DICT, SEQUENCE, ITERABLE, ROOT = shared(
    "KIND_", "GIVE_UP", "STR", "INT", "INT64", "FLOAT", "OBJECT_ID", "ENUM", "UUID", "DATETIME", "DICT", "SEQUENCE",
    "ITERABLE", "ROOT")
# Flags of a key.
SKIP, LINK, LINKS, ID = shared("FIELD_", "SKIP", "LINK", "LINKS", "ID")
# Forms of a document.
INSERT, REPLACE, SET = shared("FORM_", "INSERT", "REPLACE", "SET")

# Types that Beanie's Encoder leaves unchanged. Read before Beanie gets our types.
_SCALARS = beanie_encoder.BSON_SCALAR_TYPES


class GivenUp(Exception):
    """These rules do not know the value's type."""


@dataclass(frozen=True)
class Key:
    """A stored field."""

    name: str
    stored: str
    flags: int = 0


def _own_class(cls: type) -> bool:
    """False if instances claim another class than their own (mocks, proxies)."""
    return not any("__class__" in base.__dict__ for base in cls.__mro__ if base is not object)


def _scalar_kind(cls: type) -> Any:
    if issubclass(cls, bson.ObjectId):
        return OBJECT_ID
    if issubclass(cls, Int64):
        return INT64
    if hasattr(cls, "_type_marker"):
        return None  # BSON's own type: PyMongo writes it
    for base, kind in ((str, STR), (int, INT), (float, FLOAT), (datetime.datetime, DATETIME)):
        if issubclass(cls, base):
            return kind
    return None


def _converter(cls: type) -> Callable[[Any], Any] | None:
    exact = beanie_encoder.DEFAULT_CUSTOM_ENCODERS.get(cls)
    if exact is not None:
        return exact
    for base, convert in beanie_encoder.DEFAULT_CUSTOM_ENCODERS.items():
        if issubclass(cls, base):
            return convert
    return None


def _plain_enum(cls: type) -> bool:
    return inspect.getattr_static(cls, "value", None) is enum.Enum.__dict__["value"]


def _model_kind(cls: type[BaseModel]) -> Any:
    if issubclass(cls, Document):
        return GIVE_UP
    if issubclass(cls, pydantic.RootModel):
        return ROOT
    if cls.__iter__ is not BaseModel.__iter__ or "__getattribute__" in _own_names(cls):
        return GIVE_UP
    keys = model_keys(cls)
    if len({key.stored for key in keys}) < len(keys) or any("\0" in key.stored for key in keys):
        return GIVE_UP
    return make_shape(cls, keys, None)


def _own_names(cls: type[BaseModel]) -> set[str]:
    return {name for base in cls.__mro__ if base not in (object, BaseModel) for name in base.__dict__}


def classify(cls: type) -> Any:
    """The kind of an instance of `cls`: a Shape for a model; a callable that makes a BSON type; None if PyMongo can
        write the value unchanged."""
    if not _own_class(cls):
        return GIVE_UP
    if issubclass(cls, _SCALARS):
        return _scalar_kind(cls)
    convert = _converter(cls)
    if convert is not None:
        if issubclass(cls, enum.Enum) and _plain_enum(cls):
            return ENUM
        return UUID if cls is uuid.UUID else convert
    if issubclass(cls, BaseModel):
        return _model_kind(cls)
    if issubclass(cls, Mapping):
        plain = issubclass(cls, dict) and cls.items is dict.items
        return DICT if plain else GIVE_UP
    if issubclass(cls, (list, tuple, set, frozenset, deque)):
        return ITERABLE
    return GIVE_UP  # an object that allows only one iteration must not be inspected


def model_keys(cls: type[BaseModel]) -> list[Key]:
    """The fields of a model that is not a document, with Beanie's names."""
    return [
        Key(name, field.alias or name, SKIP if excluded(field) else 0)
        for name, field in cls.model_fields.items()
    ]


def excluded(field: Any) -> bool:
    """Whether Beanie leaves the field out: 2.x honours `exclude`, 1.30 does not."""
    return EXCLUDE_IS_HEEDED and field.exclude is True


def make_shape(cls: type[BaseModel], keys: list[Key], prefix: bytes | None) -> Any:
    has_extra = cls.model_config.get("extra") == "allow"
    if native is None:
        return PlainShape(cls, keys, prefix, has_extra)
    return native.Shape(cls, tuple((k.name, k.stored, k.flags) for k in keys), prefix, has_extra)


def write_raw(value: Any) -> bytes:
    return bson.encode({"": value})


# ---- the same in Python ------------------------------------------------------------------------


class PlainShape:
    """The part of native.Shape that encodes; its documents are dicts."""

    def __init__(self, cls: type, keys: Iterable[Key], prefix: bytes | None, has_extra: bool):
        self.cls = cls
        self.keys = {key.name: key for key in keys}
        self.stored = {key.stored for key in self.keys.values()}
        size = len(prefix or b"") + 5
        self.prefix = bson.decode(size.to_bytes(4, "little") + prefix + b"\0") if prefix else {}
        self.has_extra = has_extra

    def encode(self, instance: Any, form: int, keep_nulls: bool) -> dict[str, Any] | None:
        try:
            return {**self.prefix, **self.items(instance, keep_nulls, form)}
        except GivenUp:
            return None

    def items(self, instance: Any, keep_nulls: bool, form: int | None = None) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for name, value in object.__getattribute__(instance, "__dict__").items():
            key = self.keys.get(name)
            if key is None:
                if name.startswith("_"):
                    continue
                key = self.unknown(name)
            if key.flags & SKIP or (value is None and not keep_nulls):
                continue
            if form is not None and key.flags & ID and (form == REPLACE or value is None):
                continue
            out[key.stored] = self.value(key, value, keep_nulls)
        extra = object.__getattribute__(instance, "__pydantic_extra__") if self.has_extra else None
        for name, value in (extra or {}).items():
            if name in self.keys:
                raise GivenUp
            if value is not None or keep_nulls:
                out[self.unknown(name).stored] = plain(value, keep_nulls)
        return out

    def unknown(self, name: str) -> Key:
        if name in self.stored:
            raise GivenUp
        return Key(name, name)

    @staticmethod
    def value(key: Key, value: Any, keep_nulls: bool) -> Any:
        if key.flags & LINK and value is not None:
            return reference(value)
        if key.flags & LINKS and value is not None:
            if type(value) is not list:
                raise GivenUp
            return [reference(link) for link in value]
        return plain(value, keep_nulls)


def reference(value: Any) -> Any:
    """What is stored of a link. Without validation a link may be anything: Beanie then raises its own error."""
    if not hasattr(value, "to_ref"):
        raise GivenUp
    return value.to_ref()


_kinds: dict[type, Any] = {
    **dict.fromkeys((str, int, float, bool, type(None), datetime.datetime, bson.ObjectId)),
    dict: DICT,
    list: ITERABLE,
    bytes: bson.Binary,
    decimal.Decimal: bson.Decimal128,
}


def plain(value: Any, keep_nulls: bool) -> Any:
    """The value in a form that PyMongo can write."""
    cls = type(value)
    if cls not in _kinds:
        _kinds[cls] = classify(cls)
    kind = _kinds[cls]
    if kind is None or kind in (STR, INT, INT64, FLOAT, OBJECT_ID, DATETIME):
        return value
    if isinstance(kind, PlainShape):
        return kind.items(value, keep_nulls)
    if kind == DICT:
        if any(type(name) is not str for name in value):
            raise GivenUp
        return {name: plain(item, keep_nulls) for name, item in value.items()}
    if kind in (SEQUENCE, ITERABLE):
        return [plain(item, keep_nulls) for item in value]
    if kind == ENUM:
        return value.value
    if kind == UUID:
        return bson.Binary.from_uuid(value)
    if kind == ROOT:
        return plain(value.root, keep_nulls)
    if kind == GIVE_UP:
        raise GivenUp
    return kind(value)


def configure() -> None:
    """Gives the extension its callbacks; once, at import."""
    if native is None:
        return
    import os
    from collections.abc import MutableMapping

    import lazy_model

    native.configure(
        object_id=bson.ObjectId,
        object_id_member=bson.ObjectId.__dict__["_ObjectId__id"],
        classify=classify,
        raw=write_raw,
        decode=bson.decode,
        int64=bson.Int64,
        utc=datetime.timezone.utc,
        fields_set=BaseModel.__dict__["__pydantic_fields_set__"],
        extra=BaseModel.__dict__["__pydantic_extra__"],
        private=BaseModel.__dict__["__pydantic_private__"],
    )
    native.forget_kinds()
    native.configure_lazy(lazy_model.NAO, lazy_model.LazyModel.__getattribute__)
    MutableMapping.register(native.Encoded)

    def fresh_ids() -> None:
        native.reset_ids(os.urandom(5), int.from_bytes(os.urandom(3), "big"))

    fresh_ids()
    os.register_at_fork(after_in_child=fresh_ids)


configure()
