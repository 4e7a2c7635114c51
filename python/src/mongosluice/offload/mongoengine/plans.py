"""The plan of a MongoEngine class for the extension, read once from the class and its fields.

The extension replaces a part of MongoEngine's code (of a field: to_python, __set__, validate, to_mongo; of a class:
__init__, validate, to_mongo) only if that part is MongoEngine's own."""

from __future__ import annotations

import datetime
import enum
import inspect
import uuid
from collections.abc import Iterator
from typing import Any

import mongoengine as me
from mongoengine.base import BaseDocument
from mongoengine.base.fields import BaseField, ComplexBaseField, ObjectIdField

from mongosluice.offload.mongoengine.extension import native

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
EXACT_INT = 2**53  # as a double
FLAG = "_BaseField__auto_dereference"
# The keywords of __init__ itself.
RESERVED = {"self", "__auto_convert", "_created"}
SLOTS = ("_data", "_initialised", "_created", "_dynamic_fields", "_changed_fields")

engines: dict[type, Any] = {}
planned: set[int] = set()  # the ids of the fields that they hold


# ---- fields ------------------------------------------------------------------------------------


def kinds() -> dict[type, int]:
    return {
        me.StringField: native.ENGINE_STR, me.EmailField: native.ENGINE_STR, me.URLField: native.ENGINE_STR,
        me.IntField: native.ENGINE_INT, me.LongField: native.ENGINE_LONG, me.FloatField: native.ENGINE_FLOAT,
        me.BooleanField: native.ENGINE_BOOL, me.DateTimeField: native.ENGINE_DATE,
        ObjectIdField: native.ENGINE_OBJECT_ID, me.BinaryField: native.ENGINE_BYTES, me.EnumField: native.ENGINE_ENUM,
        me.UUIDField: native.ENGINE_UUID, me.EmbeddedDocumentField: native.ENGINE_EMBEDDED,
        me.ListField: native.ENGINE_LIST, me.EmbeddedDocumentListField: native.ENGINE_LIST,
        me.DictField: native.ENGINE_DICT, me.MapField: native.ENGINE_DICT, me.DynamicField: native.ENGINE_DYNAMIC,
    }


KINDS = kinds() if native is not None else {}
# Fields whose __get__ returns None if there is no value.
GIVES_NONE = {cls.__get__ for cls in (
    BaseField, ComplexBaseField, me.ListField, me.ReferenceField, me.CachedReferenceField, me.GenericReferenceField,
    me.LazyReferenceField, me.GenericLazyReferenceField, me.ComplexDateTimeField)}


def kind_of(field: Any) -> int:
    kind = KINDS.get(type(field), native.ENGINE_OTHER)
    if kind == native.ENGINE_UUID and not field._binary:
        return native.ENGINE_OTHER
    if kind == native.ENGINE_ENUM and inspect.getattr_static(field._enum_cls, "value", None) is not enum.Enum.__dict__["value"]:
        return native.ENGINE_OTHER
    return kind


def node(field: Any) -> tuple[Any, ...]:
    """An engine_node of engine.h."""
    planned.add(id(field))
    kind = kind_of(field)
    inner = getattr(field, "field", None) if isinstance(field, ComplexBaseField) else None
    item = node(inner) if inner is not None and kind in (native.ENGINE_LIST, native.ENGINE_DICT) else None
    does = 0
    if sets_as_base_field(field):
        does |= native.ENGINE_SETS
    if type(field).__get__ in GIVES_NONE:
        does |= native.ENGINE_GETS
    if isinstance(field, me.FileField):
        does |= native.ENGINE_KEEPS
    if kind != native.ENGINE_OTHER:
        does |= native.ENGINE_CONVERTS
        if item is None or item[1] & native.ENGINE_STORES:
            does |= native.ENGINE_STORES
        if checks_natively(field, kind) and (item is None or item[1] & native.ENGINE_CHECKS):
            does |= native.ENGINE_CHECKS
    types = {native.ENGINE_DATE: datetime.datetime, native.ENGINE_UUID: uuid.UUID}
    type_ = field._enum_cls if kind == native.ENGINE_ENUM else types.get(kind)
    shortest, longest = lengths(field, kind)
    choices = chosen(field) if kind in CHOOSING else None
    bounded = kind in (native.ENGINE_INT, native.ENGINE_LONG, native.ENGINE_FLOAT) and does & native.ENGINE_CHECKS
    bounds = (field.min_value, field.max_value) if bounded else (None, None)
    return kind, does, field, type_, choices, bounds, shortest, longest, bool(field.required), item


CHOOSING = {native.ENGINE_STR, native.ENGINE_INT, native.ENGINE_LONG} if native is not None else set()


def sets_as_base_field(field: Any) -> bool:
    if isinstance(field, ComplexBaseField) and type(field).__set__ is ComplexBaseField.__set__:
        return not isinstance(field.field, me.EnumField)
    return type(field).__set__ is BaseField.__set__


def lengths(field: Any, kind: int) -> tuple[int, int]:
    """The least and greatest valid length; -1 for any."""
    shortest, longest = None, None
    if kind == native.ENGINE_STR:
        shortest, longest = field.min_length, field.max_length
    elif kind == native.ENGINE_BYTES:
        longest = field.max_bytes
    elif kind == native.ENGINE_LIST:
        longest = field.max_length
    return (shortest if type(shortest) is int and shortest >= 0 else -1,
            longest if type(longest) is int and longest >= 0 else -1)


def chosen(field: Any) -> frozenset[Any] | None:
    """The choices, if they are immutable and each is text or a number."""
    if not isinstance(field.choices, tuple):
        return None
    values = [one[0] if isinstance(one, (list, tuple)) and len(one) == 2 else one for one in field.choices]
    paired = isinstance(field.choices[0], (list, tuple)) if field.choices else False
    if not values or any(isinstance(one, (list, tuple)) != paired for one in field.choices):
        return None
    return frozenset(values) if all(type(value) in (str, int) for value in values) else None


def checks_natively(field: Any, kind: int) -> bool:
    """Whether engine_check.c implements the field's _validate."""
    if field.validation is not None or type(field) in (me.EmailField, me.URLField):
        return False
    if kind == native.ENGINE_ENUM:
        return set(field.choices) >= set(field._enum_cls)
    if field.choices and (kind not in CHOOSING or chosen(field) is None):
        return False
    if kind == native.ENGINE_STR:
        return field.regex is None and all(
            bound is None or (type(bound) is int and bound >= 0) for bound in (field.min_length, field.max_length))
    if kind == native.ENGINE_BYTES:
        return field.max_bytes is None or (type(field.max_bytes) is int and field.max_bytes >= 0)
    if kind == native.ENGINE_LIST:
        return field.max_length is None or (type(field.max_length) is int and field.max_length >= 0)
    if kind in (native.ENGINE_INT, native.ENGINE_LONG):
        return all(bound is None or (type(bound) is int and INT64_MIN <= bound <= INT64_MAX)
                   for bound in (field.min_value, field.max_value))
    if kind == native.ENGINE_FLOAT:
        return all(bound is None or type(bound) is float or (type(bound) is int and abs(bound) <= EXACT_INT)
                   for bound in (field.min_value, field.max_value))
    return True


# ---- classes -----------------------------------------------------------------------------------


def is_own(cls: type, name: str, *known: type) -> bool:
    """Whether the class replaces an attribute of those classes."""
    found = inspect.getattr_static(cls, name)
    return not any(found is one.__dict__.get(name) for one in known)


def why_not_made(cls: Any) -> str | None:
    """The reason why the extension does not make the class's instances."""
    if cls._dynamic:
        return "dynamic fields"
    if cls.STRICT:
        return "STRICT"
    if is_own(cls, "__setattr__", BaseDocument) or is_own(cls, "__getattribute__", object):
        return "it has a way of its own to its attributes"
    if set(cls._fields) != set(cls._fields_ordered) or len(cls._fields_ordered) != len(cls._fields):
        return "_fields_ordered are not its fields"
    for name, field in cls._fields.items():
        if name in RESERVED or inspect.getattr_static(cls, name, None) is not field:
            return f"{name} is not its field's"
    if any(is_own(cls, name, BaseDocument) for name in SLOTS):
        return "it has slots of its own"
    if issubclass(cls, me.EmbeddedDocument):
        rest = cls.__mro__[cls.__mro__.index(me.EmbeddedDocument) + 1:]
        if next(one for one in rest if "__init__" in one.__dict__) is not BaseDocument:
            return "a base class has an __init__ beside MongoEngine's"
    return None


def made_by_init(cls: Any) -> bool:
    """Whether only MongoEngine's __init__ makes the instances."""
    return (not is_own(cls, "__init__", BaseDocument, me.EmbeddedDocument) and cls.__new__ is object.__new__
            and type(cls).__call__ is type.__call__)


def why_not_encoded(cls: Any) -> str | None:
    if cls._dynamic:
        return "dynamic fields"
    if cls.STRICT:
        return "STRICT"
    if is_own(cls, "to_mongo", BaseDocument, me.Document, me.EmbeddedDocument) or is_own(cls, "__iter__", BaseDocument):
        return "to_mongo() is its own"
    if any(getattr(one, "_auto_gen", False) for one in cls._fields.values()):
        return "a field makes its own values"
    return None


def does_of(cls: Any) -> int:
    does = 0
    if why_not_made(cls) is None:
        does |= native.ENGINE_MAKES
        if made_by_init(cls):
            does |= native.ENGINE_DIRECT
    if not is_own(cls, "_from_son", BaseDocument):
        does |= native.ENGINE_READS
    plain = not cls._dynamic and not cls.STRICT
    if plain and not is_own(cls, "clean", BaseDocument) and not is_own(cls, "validate", BaseDocument):
        does |= native.ENGINE_VALIDATES
    if why_not_encoded(cls) is None:
        does |= native.ENGINE_ENCODES
    if issubclass(cls, me.EmbeddedDocument):
        does |= native.ENGINE_EMBEDDED_DOCUMENT
    elif does & native.ENGINE_MAKES and not is_own(cls, "pk", me.Document):
        id_field = cls._fields.get(cls._meta.get("id_field"))
        if id_field is not None and id_field.db_field == "_id":
            does |= native.ENGINE_TAKES_IDS
    if "_cls" in cls._fields:
        does |= native.ENGINE_INHERITS
    if any(field.choices for field in cls._fields.values()):
        does |= native.ENGINE_SHOWS
    return does


def plan(cls: Any) -> Any:
    """The class's Engine; also puts it into `engines`."""
    fields = []
    for name in dict.fromkeys(cls._fields_ordered):
        field = cls._fields.get(name)
        if field is None:
            continue
        required = bool(field.required) and not getattr(field, "_auto_gen", False)
        fields.append((name, field.db_field or name, node(field), required, bool(field.null), field.default))
    order = tuple(name for name in cls._fields if name in cls._fields_ordered)
    engines[cls] = made = native.Engine(cls, cls._class_name, does_of(cls), tuple(fields), order)
    return made


def engine_of(cls: Any) -> Any:
    return engines.get(cls) or plan(cls)


def resolve(field: Any) -> Any:
    """Of an EmbeddedDocumentField."""
    return engine_of(field.document_type)


# ---- dereferencing -----------------------------------------------------------------------------


def align(cls: Any) -> None:
    for field in cls._fields.values():
        field.set_auto_dereferencing(True)


def agrees(field: Any) -> bool:
    """Whether values within the field dereference like the field, and embedded documents do too."""
    if isinstance(field, me.EmbeddedDocumentField):
        return bool(field.__dict__[FLAG])
    inner = getattr(field, "field", None)
    if not isinstance(field, ComplexBaseField) or inner is None:
        return True
    return field.__dict__[FLAG] == inner.__dict__[FLAG] and agrees(inner)


def all_agree(cls: Any) -> bool:
    return all(agrees(field) for field in cls._fields.values())


# ---- whether other code runs while a document is validated ---------------------------------------


def is_quiet(cls: Any, seen: set[Any] | None = None) -> bool:
    seen = set() if seen is None else seen
    if cls in seen:
        return True
    seen.add(cls)
    if is_own(cls, "clean", BaseDocument) or is_own(cls, "validate", BaseDocument):
        return False
    return all(is_quiet_field(field, seen) for top in cls._fields.values() for field in all_within(top))


def is_quiet_field(field: Any, seen: set[Any]) -> bool:
    if not type(field).__module__.startswith("mongoengine.") or field.validation is not None:
        return False
    if isinstance(field, (me.GenericEmbeddedDocumentField, me.DynamicField)):
        return False  # documents of any class
    if isinstance(field, me.EmbeddedDocumentField):
        try:
            declared = field.document_type
        except (me.errors.NotRegistered, me.ValidationError):
            return False
        return not declared._meta.get("allow_inheritance") and is_quiet(declared, seen)
    return True


def all_within(field: Any) -> Iterator[Any]:
    while field is not None:
        yield field
        field = getattr(field, "field", None) if isinstance(field, ComplexBaseField) else None


