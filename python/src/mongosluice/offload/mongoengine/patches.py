"""Offload for MongoEngine: `validate`, and the conversion to BSON of what is inserted and saved.

A class is looked at when it is first validated or converted; then the proxy is asked, and again when
the answer is older than `recheck_seconds`. Values that are not of the very type that their field stores
go through MongoEngine's own code, so nothing is written that it would not write."""

from __future__ import annotations

import datetime
import sys
import time
import types
from dataclasses import dataclass, field
from typing import Any

import mongoengine as me
from mongoengine.base import BaseDocument
from mongoengine.base.fields import BaseField, ObjectIdField
from mongoengine.connection import ConnectionFailure
from mongoengine.errors import OperationError
from mongoengine.queryset.base import BaseQuerySet
from pymongo.errors import PyMongoError

import bson
from mongosluice import errors
from mongosluice.errors import refusal
from mongosluice.export.mongoengine import export_engine, own
from mongosluice.offload import enforcement
from mongosluice.offload.mongoengine.extension import (
    BOOL,
    EXACT,
    FLOAT,
    GENERIC,
    INT,
    LIST,
    MODEL,
    STR,
    make_shape,
    native,
)
from mongosluice.offload.state import ENCODE_ONLY, FULL, OFF, Status, settings, statuses, warn_once

NO_BOUNDS = (None, None, False, False, False)
_originals: dict[str, Any] = {}
# Who asks to_mongo for a document that it sends: and whether an _id is to be made. save() looks first whether
# there is one.
_callers: dict[types.CodeType, bool] = {}


@dataclass
class Plan:
    """What is known of a document class; embedded ones have no namespace and follow their owners."""

    shape: Any
    validates: bool
    encodes: bool
    reasons: list[str] = field(default_factory=list)
    checked_at: float = 0.0
    active: bool = False


_plans: dict[type, Plan] = {}


class DocumentRefused(errors.DocumentRefused, OperationError):
    """MongoEngine's error for a refused document, which is PyMongo's as well."""


class DocumentsRefused(errors.DocumentsRefused, me.errors.BulkWriteError):
    """The same for several at once."""


# ---- plans -------------------------------------------------------------------------------------


def simple_node(one: Any) -> tuple[int, Any, tuple[Any, ...], int, int]:
    """(kind, type, bounds, shortest, longest) of a field whose right values are stored as they are."""
    type_: Any = None
    bounds: tuple[Any, ...] = NO_BOUNDS
    kind, shortest, longest = GENERIC, -1, -1
    if one.choices or one.validation is not None:
        return kind, type_, bounds, shortest, longest
    cls = type(one)
    if cls is me.StringField and one.regex is None:
        kind = STR
        shortest = -1 if one.min_length is None else one.min_length
        longest = -1 if one.max_length is None else one.max_length
    elif cls is me.IntField and all(type(bound) in (int, type(None)) for bound in (one.min_value, one.max_value)):
        kind, bounds = INT, (one.min_value, one.max_value, False, False, False)
    elif cls is me.FloatField and all(type(bound) in (int, float, type(None))
                                      for bound in (one.min_value, one.max_value)):
        kind, bounds = FLOAT, (one.min_value, one.max_value, False, False, False)
    elif cls is me.BooleanField:
        kind = BOOL
    elif cls is me.DateTimeField:
        kind, type_ = EXACT, datetime.datetime
    elif cls is ObjectIdField:
        kind, type_ = EXACT, bson.ObjectId
    return kind, type_, bounds, shortest, longest


def node(one: Any, nullable: bool) -> tuple[Any, ...]:
    kind, type_, bounds, shortest, longest = simple_node(one)
    item = None
    if kind == GENERIC and type(one) is me.EmbeddedDocumentField and not one.choices and one.validation is None:
        plan = plan_of(one.document_type)
        if plan.encodes and not one.document_type._meta.get("allow_inheritance"):
            kind, type_ = MODEL, plan.shape
    elif kind == GENERIC and type(one) in (me.ListField, me.EmbeddedDocumentListField) and one.field is not None:
        inner = node(one.field, False)
        if inner[0] != GENERIC and not one.choices and one.validation is None:
            kind, item = LIST, inner
    return kind, nullable, checker(one), type_, item, bounds, shortest, longest


def checker(one: BaseField) -> Any:
    """The field's own validation, as the extension asks for it: the value, or an exception."""
    def check(value: Any) -> Any:
        one._validate(value)
        return value

    return check


def plan_of(cls: Any) -> Plan:
    if cls in _plans:
        return _plans[cls]
    plan = _plans[cls] = Plan(make_shape(cls), False, False)
    reasons = plan.reasons
    plan.encodes = native is not None and not cls._dynamic and "to_mongo" not in own_names(cls)
    if native is None:
        reasons.append("the extension is not built")
    elif not plan.encodes:
        reasons.append("dynamic fields" if cls._dynamic else "to_mongo() is its own")
    if any(getattr(one, "_auto_gen", False) for one in cls._fields.values()):
        plan.encodes = False
        reasons.append("a field makes its own values")
    plan.validates = native is not None and not cls._dynamic and not own("clean", cls) and "validate" not in own_names(cls)
    if native is not None and not plan.validates:
        reasons.append("clean() or validate() is its own" if not cls._dynamic else "dynamic fields")
    if native is not None:
        plan.shape.set_fields(fields_of(cls), (), (), True)
        plan.shape.set_engine(tuple((cls._fields[name].db_field, bool(cls._fields[name].null),
                                     cls._fields[name].to_mongo) for name in cls._fields_ordered))
    return plan


def own_names(cls: type) -> set[str]:
    return {name for base in cls.__mro__ if not base.__module__.startswith(("mongoengine.", "builtins"))
            for name in base.__dict__}


def fields_of(cls: Any) -> tuple[Any, ...]:
    fields = []
    for name in cls._fields_ordered:
        one = cls._fields[name]
        nullable = not one.required or getattr(one, "_auto_gen", False)
        fields.append((name, name, None, node(one, nullable), 0, None))
    return tuple(fields)


# ---- asking the proxy --------------------------------------------------------------------------


def is_active(cls: Any) -> Plan | None:
    """The plan of a document class, if the proxy enforces its schema."""
    plan = _plans.get(cls)
    if plan is not None and time.monotonic() - plan.checked_at < settings.recheck_seconds:
        return plan if plan.active else None
    try:
        database = cls._get_db()
    except ConnectionFailure:  # not connected: nothing can be written either
        return None
    plan = plan_of(cls)
    plan.checked_at = time.monotonic()
    plan.active = decide(cls, plan, database)
    return plan if plan.active else None


def decide(cls: Any, plan: Plan, database: Any) -> bool:
    exported = export_engine(cls, database.name)
    try:
        answer = enforcement.ask_now(database.client, [exported.ns])
    except PyMongoError as error:
        reason: str | None = f"the server cannot be reached: {error}"
    else:
        reason = enforcement.verdicts(answer, {exported.ns: exported.hash})[exported.ns]
    if reason is None and not (plan.validates or plan.encodes):
        statuses[cls] = Status(cls.__name__, exported.ns, OFF, plan.reasons, native is not None)
        return False
    if reason is None:
        mode = FULL if plan.validates and plan.encodes else ENCODE_ONLY
        statuses[cls] = Status(cls.__name__, exported.ns, mode, plan.reasons, native is not None)
        return True
    statuses[cls] = Status(cls.__name__, exported.ns, OFF, [reason], native is not None)
    warn_once(cls.__name__, reason)
    if settings.require:
        raise enforcement.NotEnforced(f"{cls.__name__}: {reason}")
    return False


# ---- in the place of MongoEngine's -------------------------------------------------------------


def validate(self: Any, clean: bool = True) -> None:
    cls = type(self)
    if clean and cls._meta.get("collection") is not None and not cls._meta.get("abstract"):
        plan = is_active(cls)
        if plan is not None and plan.validates and plan.shape.check(self._data):
            return
    _originals["validate"](self, clean=clean)


def to_mongo(self: Any, *args: Any, **kwargs: Any) -> Any:
    makes_id = None if args or kwargs else _callers.get(sys._getframe(1).f_code)
    if makes_id is not None:
        plan = is_active(type(self))
        if plan is not None and plan.encodes:
            encoded = plan.shape.encode_engine(self._data, makes_id)
            if encoded is not None:
                return encoded
    return _originals["to_mongo"](self, *args, **kwargs)


def wording(function: Any) -> Any:
    """The same method, whose refusals speak as pydantic's do."""
    import functools

    @functools.wraps(function)
    def method(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except OperationError as error:
            cause = error.__context__
            instead = refusal(cause) if cause is not None else None
            if instead is None:
                raise
            if isinstance(instead, errors.DocumentsRefused):
                raise DocumentsRefused(instead.details) from cause
            raise DocumentRefused(str(error), instead.code, instead.details) from cause

    return method


def install() -> None:
    if _originals:
        return
    _originals.update(validate=BaseDocument.validate, to_mongo=me.Document.to_mongo, save=me.Document.save,
                      insert=BaseQuerySet.insert)
    pending = [BaseQuerySet.insert.__code__]
    while pending:
        code = pending.pop()
        _callers[code] = True
        pending.extend(part for part in code.co_consts if isinstance(part, types.CodeType))
    _callers[me.Document.save.__code__] = False
    BaseDocument.validate = validate
    me.Document.to_mongo = to_mongo
    me.Document.save = wording(me.Document.save)
    BaseQuerySet.insert = wording(BaseQuerySet.insert)


def uninstall() -> None:
    if not _originals:
        return
    BaseDocument.validate = _originals["validate"]
    me.Document.to_mongo = _originals["to_mongo"]
    me.Document.save = _originals["save"]
    BaseQuerySet.insert = _originals["insert"]
    _originals.clear()
    _callers.clear()
    _plans.clear()
