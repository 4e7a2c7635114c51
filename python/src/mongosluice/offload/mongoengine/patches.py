"""Offload for MongoEngine: making instances, validation, and the BSON of inserted and saved documents.

While offload is on, the extension makes all instances, in the same way as MongoEngine. For validation and encoding,
the first validation or save of a class makes its plan and asks the proxy. The proxy is asked again if the answer is
older than `recheck_seconds`."""

from __future__ import annotations

import datetime
import functools
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import bson
import mongoengine as me
import pymongo
from bson.codec_options import DEFAULT_CODEC_OPTIONS
from mongoengine import signals
from mongoengine.base import BaseDict, BaseDocument, BaseList, get_document
from mongoengine.base.document import NON_FIELD_ERRORS
from mongoengine.base.fields import BaseField
from mongoengine.connection import ConnectionFailure
from mongoengine.context_managers import set_write_concern
from mongoengine.errors import OperationError
from mongoengine.queryset.base import BaseQuerySet
from pymongo.errors import PyMongoError

from mongosluice import errors
from mongosluice.errors import refusal
from mongosluice.export.mongoengine import export_engine
from mongosluice.export.schema import Exported
from mongosluice.offload import bulk_insert, enforcement
from mongosluice.offload.mongoengine import plans
from mongosluice.offload.mongoengine.extension import native
from mongosluice.offload.state import (
    ENCODE_ONLY,
    FULL,
    OFF,
    Failed,
    Status,
    attempted,
    settings,
    statuses,
    warn_once,
)

_originals: dict[tuple[Any, str], Any] = {}
# Attributes of a field that change during use and do not affect its values.
PASSING = {plans.FLAG, "_owner_document", "document_type_obj", "owner_document"}


class DocumentRefused(errors.DocumentRefused, OperationError):
    """MongoEngine's error for a refused document, which is also PyMongo's."""


class DocumentsRefused(errors.DocumentsRefused, me.errors.BulkWriteError):
    """The same for several documents."""


# ---- the state of a document class, and of the proxy -------------------------------------------


@dataclass
class Plan:
    cls: Any
    engine: Any
    is_quiet: bool
    mode: str = OFF
    reasons: list[str] = field(default_factory=list)
    checked_at: float = 0.0
    active: bool = False

    @property
    def encodes(self) -> bool:
        return self.mode != OFF and not plans.why_not_encoded(self.cls)


_plans: dict[type, Plan] = {}


def plan_of(cls: Any) -> Plan:
    if native is None:
        return Plan(cls, None, False, OFF, ["the extension is not built"])
    made, encoded = plans.why_not_made(cls), plans.why_not_encoded(cls)
    reasons = [reason for reason in dict.fromkeys((made, encoded)) if reason is not None]
    if plans.is_own(cls, "validate", BaseDocument):
        reasons.append("validate() is its own")
    mode = FULL if not reasons else OFF if made and encoded else ENCODE_ONLY
    if plans.is_own(cls, "clean", BaseDocument):
        reasons.append("clean() runs in Python")
    return Plan(cls, plans.engine_of(cls), plans.is_quiet(cls), mode, reasons)


def active_plan(cls: Any) -> Plan | None:
    """The plan of a document class, if the proxy enforces its schema."""
    plan = _plans.get(cls)
    if plan is not None and time.monotonic() - plan.checked_at < settings.recheck_seconds:
        return plan if plan.active else None
    try:
        database = cls._get_db()
    except ConnectionFailure:  # not connected: no write can succeed either
        return None
    try:
        plan = attempted("it cannot be planned", plan_of, cls)
        exported = attempted("it cannot be exported", export_engine, cls, database.name)
    except Failed as reason:
        plan = _plans[cls] = Plan(cls, None, False, OFF, [str(reason)], time.monotonic())
        statuses[cls] = Status(cls.__name__, f"{database.name}.{cls._get_collection_name()}", OFF, plan.reasons, native is not None)
        warn_once(cls.__name__, str(reason))
        return None
    _plans[cls] = plan
    plan.checked_at = time.monotonic()
    plan.active = decide(cls, plan, exported, database)
    return plan if plan.active else None


def decide(cls: Any, plan: Plan, exported: Exported, database: Any) -> bool:
    try:
        answer = enforcement.ask_now(database.client, [exported.ns])
    except PyMongoError as error:
        reason: str | None = f"the server cannot be reached: {error}"
    else:
        reason = enforcement.verdicts(answer, {exported.ns: exported.hash})[exported.ns]
    if reason is None:
        statuses[cls] = Status(cls.__name__, exported.ns, plan.mode, plan.reasons, native is not None)
        return plan.mode != OFF
    statuses[cls] = Status(cls.__name__, exported.ns, OFF, [reason], native is not None)
    warn_once(cls.__name__, reason)
    if settings.require:
        raise enforcement.NotEnforced(f"{cls.__name__}: {reason}")
    return False


def has_collection(cls: Any) -> bool:
    return cls._meta.get("collection") is not None and not cls._meta.get("abstract")


# ---- validating --------------------------------------------------------------------------------


def validate(self: Any, clean: bool = True) -> None:
    """BaseDocument.validate. It goes through the fields only if the extension does not find them valid."""
    cls = type(self)
    if has_collection(cls):
        plan = active_plan(cls)
        engine = None if plan is None else plan.engine
    else:  # an embedded document
        engine = plans.engine_of(cls) if native is not None and not cls._is_document else None
    if engine is None or cls._dynamic or cls.STRICT:
        return _originals[BaseDocument, "validate"](self, clean=clean)
    return validate_with(engine, self, clean)


def validate_with(engine: Any, self: Any, clean: bool) -> None:
    found: dict[str, Any] = {}
    if clean:
        try:
            self.clean()
        except me.ValidationError as error:
            found[NON_FIELD_ERRORS] = error
    for name in engine.check(self) or ():
        validate_field(self, self._fields[name], clean, found)
    if found:
        primary = "None"
        if hasattr(self, "pk"):
            primary = self.pk
        elif self._instance and hasattr(self._instance, "pk"):
            primary = self._instance.pk
        raise me.ValidationError(f"ValidationError ({self._class_name}:{primary}) ", errors=found)


def validate_field(self: Any, one: Any, clean: bool, found: dict[str, Any]) -> None:
    value = self._data.get(one.name)
    if value is None:
        found[one.name] = me.ValidationError("Field is required", field_name=one.name)
        return
    options = {"clean": clean} if isinstance(one, (me.EmbeddedDocumentField, me.GenericEmbeddedDocumentField)) else {}
    try:
        one._validate(value, **options)
    except me.ValidationError as error:
        found[one.name] = error.errors or error
    except (ValueError, AttributeError, AssertionError) as error:
        found[one.name] = error


# ---- saving ------------------------------------------------------------------------------------


class Sending(threading.local):
    """The document that save() is about to convert; its next to_mongo() is sent."""

    document: Any = None


_sending = Sending()


def encoding(cls: Any) -> Any:
    """How PyMongo writes a value of its own into the class's collection."""
    options = cls._get_db().codec_options
    if options == DEFAULT_CODEC_OPTIONS:
        return encode_value
    return lambda value: bson.encode({"": value}, codec_options=options)


def encode_value(value: Any) -> bytes:
    return bson.encode({"": value})


def to_mongo(self: Any, *args: Any, **kwargs: Any) -> Any:
    if _sending.document is self and not args and not kwargs:
        _sending.document = None
        encoded = plans.engine_of(type(self)).encode(self, False, encoding(type(self)))
        if encoded is not None:
            return encoded
    return _originals[me.Document, "to_mongo"](self, *args, **kwargs)


def is_watched(*names: str) -> bool:
    """Whether one of these signals has a receiver, which could see the document."""
    return any(getattr(getattr(signals, name), "receivers", None) for name in names)


def save(self: Any, *args: Any, **kwargs: Any) -> Any:
    plan = active_plan(type(self)) if has_collection(type(self)) else None
    wanted = (plan is not None and plan.is_quiet and plan.encodes
              and not is_watched("pre_save", "pre_save_post_validation"))
    before, _sending.document = _sending.document, self if wanted else None
    try:
        return _originals[me.Document, "save"](self, *args, **kwargs)
    finally:
        _sending.document = before


def worded(function: Any) -> Any:
    """Wraps a method: its refusals get pydantic's form."""
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


# ---- inserting ---------------------------------------------------------------------------------


def insert(self: Any, doc_or_docs: Any, load_bulk: bool = True, write_concern: Any = None,
           signal_kwargs: Any = None) -> Any:
    """BaseQuerySet.insert. If all documents of the list are new and encoded, PyMongo gets their bytes."""
    encoded = encoded_documents(self, doc_or_docs)
    if encoded is None:
        return _originals[BaseQuerySet, "insert"](self, doc_or_docs, load_bulk, write_concern, signal_kwargs)
    with set_write_concern(self._collection, write_concern or {}) as collection:
        ids = sent(collection, encoded)
    native.give_ids(doc_or_docs, ids)
    if not load_bulk:
        results = ids
    else:
        documents = self.in_bulk(ids)
        results = [documents.get(one) for one in ids]
    loaded = {"documents": results, "loaded": True} if load_bulk else {"documents": doc_or_docs, "loaded": False}
    signals.post_bulk_insert.send(self._document, **loaded, **(signal_kwargs or {}))
    return results


def sent(collection: Any, encoded: list[Any]) -> list[Any]:
    """Returns the ids; errors are MongoEngine's."""
    try:
        if bulk_insert.is_known(collection):
            return bulk_insert.insert_many_now(collection, encoded).inserted_ids
        return collection.insert_many(encoded).inserted_ids
    except pymongo.errors.DuplicateKeyError as error:
        raise me.NotUniqueError(f"Could not save document ({error})")  # noqa: B904 - its cause is its context
    except pymongo.errors.BulkWriteError as error:
        raise me.errors.BulkWriteError(f"Bulk write error: ({error.details})")  # noqa: B904
    except pymongo.errors.OperationFailure as error:
        raise OperationError(f"Could not save document ({error})")  # noqa: B904


def encoded_documents(queryset: Any, documents: Any) -> list[Any] | None:
    """None if MongoEngine must convert or refuse them."""
    if native is None or type(documents) is not list or not documents or is_watched("pre_bulk_insert"):
        return None
    for cls in set(map(type, documents)):
        plan = active_plan(cls) if issubclass(cls, queryset._document) and has_collection(cls) else None
        if plan is None or not plan.encodes:
            return None
    return native.encode_new(documents, encoding(queryset._document))


# ---- replacements of MongoEngine's methods ------------------------------------------------------


def set_field_attribute(self: Any, name: str, value: Any) -> None:
    object.__setattr__(self, name, value)
    if id(self) in plans.planned and name not in PASSING:
        forget_plans()


def forget_plans() -> None:
    """A field has changed: the plans of the classes are made again."""
    plans.engines.clear()
    plans.planned.clear()
    _plans.clear()


def set_auto_dereferencing(self: Any, value: Any) -> None:
    if self.__dict__.get(plans.FLAG) is not value:
        native.dereferencing_changed()
    _originals[BaseField, "set_auto_dereferencing"](self, value)


def incr_no_dereference_context(self: Any) -> None:
    native.not_dereferencing(1)
    _originals[BaseField, "_incr_no_dereference_context"](self)


def decr_no_dereference_context(self: Any) -> None:
    _originals[BaseField, "_decr_no_dereference_context"](self)
    native.not_dereferencing(-1)


def from_son_in_python(cls: Any, *args: Any, **kwargs: Any) -> Any:
    return _originals[BaseDocument, "_from_son"].__func__(cls, *args, **kwargs)


def put(owner: Any, name: str, value: Any) -> None:
    _originals[owner, name] = owner.__dict__.get(name)
    setattr(owner, name, value)


def configure() -> None:
    slots = {name: slot_of(BaseDocument, name) for name in plans.SLOTS}
    native.configure_engine(
        slots={**slots, "_instance": me.EmbeddedDocument.__dict__["_instance"]}, embedded=me.EmbeddedDocument,
        base_list=BaseList, base_dict=BaseDict, date_time=datetime.datetime, engines=plans.engines, plan=plans.plan,
        resolve=plans.resolve, document=get_document, align=plans.align, agree=plans.all_agree,
        from_son=from_son_in_python, show=BaseDocument.__dict__["_BaseDocument__set_field_display"],
        pre_init=getattr(signals.pre_init, "receivers", None), post_init=getattr(signals.post_init, "receivers", None))


def let_slots_wait() -> None:
    """They stay after offload is switched off, because existing instances may rely on them."""
    for name, make in (("_dynamic_fields", bson.SON), ("_changed_fields", list)):
        if not isinstance(BaseDocument.__dict__[name], native.EngineSlot):
            setattr(BaseDocument, name, native.EngineSlot(BaseDocument.__dict__[name], make))


def slot_of(owner: Any, name: str) -> Any:
    found = owner.__dict__[name]
    return getattr(found, "member", found)


def install() -> None:
    if _originals:
        return
    if native is not None:
        let_slots_wait()
        put(BaseDocument, "__init__", native.EngineInit(BaseDocument.__init__, False))
        put(me.EmbeddedDocument, "__init__", native.EngineInit(me.EmbeddedDocument.__init__, True))
        put(BaseDocument, "_from_son", classmethod(native.from_son))
        put(BaseField, "__setattr__", set_field_attribute)
        put(BaseField, "set_auto_dereferencing", set_auto_dereferencing)
        put(BaseField, "_incr_no_dereference_context", incr_no_dereference_context)
        put(BaseField, "_decr_no_dereference_context", decr_no_dereference_context)
    put(BaseDocument, "validate", validate)
    put(me.Document, "to_mongo", to_mongo)
    put(me.Document, "save", functools.wraps(me.Document.save)(worded(save)))
    put(BaseQuerySet, "insert", functools.wraps(BaseQuerySet.insert)(worded(insert)))


def uninstall() -> None:
    if not _originals:
        return
    for (owner, name), original in _originals.items():
        if original is None:
            delattr(owner, name)
        else:
            setattr(owner, name, original)
    _originals.clear()
    forget_plans()


if native is not None:
    configure()
