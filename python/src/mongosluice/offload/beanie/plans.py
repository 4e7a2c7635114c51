"""The plan of a class: how its documents are written and its instances are made."""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import Any

import bson
from beanie import Document
from beanie.odm.actions import ActionDirections, ActionRegistry, EventTypes
from beanie.odm.fields import LinkTypes
from beanie.odm.utils.projection import get_projection
from bson.codec_options import TypeRegistry
from lazy_model import LazyModel
from pydantic import BaseModel

from mongosluice.export.beanie import export_document
from mongosluice.export.definitions import merge
from mongosluice.export.schema import Exported
from mongosluice.offload.beanie import encoding, instances
from mongosluice.offload.beanie.encoding import ID, LINK, LINKS, SKIP, Key, native
from mongosluice.offload.state import Failed, attempted

BACK_LINKS = (LinkTypes.BACK_DIRECT, LinkTypes.BACK_LIST, LinkTypes.OPTIONAL_BACK_DIRECT,
              LinkTypes.OPTIONAL_BACK_LIST)
DOCUMENT_INIT = Document.__init__
SINGLE_LINKS = (LinkTypes.DIRECT, LinkTypes.OPTIONAL_DIRECT)


@dataclass
class Plan:
    """How the documents of one class are written, and, if `builds`, made."""

    cls: type[Document]
    shape: Any
    exported: Exported
    builds: bool
    sets: bool  # whether save() may send it: revisions and actions change the sent document
    reasons: list[str]
    projection: dict[str, int] | None  # for a query of its documents that names exactly its fields


class Unplannable(Failed):
    """The model stays with Beanie in all respects; the argument is the reason."""


def document_keys(cls: type[Document]) -> list[Key]:
    link_fields = cls.get_link_fields() or {}
    keeps_revision = cls.get_settings().use_revision
    keys = []
    for name, field in cls.model_fields.items():
        stored = field.alias or name
        flags = ID if stored == "_id" else 0
        if stored == "revision_id":
            flags |= 0 if keeps_revision else SKIP
        elif encoding.excluded(field):
            flags |= SKIP
        if stored in link_fields:
            kind = link_fields[stored].link_type
            flags |= SKIP if kind in BACK_LINKS else LINK if kind in SINGLE_LINKS else LINKS
        keys.append(Key(name, stored, flags))
    return keys


def class_prefix(cls: type[Document]) -> dict[str, Any]:
    own = cls.get_settings()
    prefix = {}
    if own.union_doc is not None:
        prefix[own.class_id] = own.union_doc_alias or cls.__name__
    if cls._class_id:
        prefix[own.class_id] = cls._class_id
    return prefix


def check_plannable(cls: type[Document], keys: list[Key], prefix: dict[str, Any]) -> None:
    own = cls.get_settings()
    names = [key.stored for key in keys if not key.flags & SKIP] + list(prefix)
    if own.bson_encoders:
        raise Unplannable("Settings.bson_encoders changes how values are stored")
    if len(set(names)) < len(names):
        raise Unplannable("two fields are stored under one name")
    if any("\0" in name for name in names):
        raise Unplannable("a stored name holds a null byte")
    if sum(bool(key.flags & ID) for key in keys) != 1:
        raise Unplannable("no field, or more than one, is stored as _id")
    if cls.__iter__ is not BaseModel.__iter__:
        raise Unplannable("__iter__ is its own")
    is_guarded = isinstance(cls.__getattribute__, types.MethodDescriptorType)
    if cls.__getattribute__ is not LazyModel.__getattribute__ and not is_guarded:
        raise Unplannable("__getattribute__ is its own")
    for name in ("get_settings", "get_link_fields", "parse_store", "to_ref"):
        if any(name in base.__dict__ for base in cls.__mro__ if not base.__module__.startswith(
                ("beanie.", "lazy_model.", "pydantic.", "builtins"))):
            raise Unplannable(f"{name} is its own")
    if collection_of(cls).codec_options.type_registry != TypeRegistry():
        raise Unplannable("the collection's type_registry changes how values are stored")


def collection_of(cls: type[Document]) -> Any:
    get = getattr(cls, "get_pymongo_collection", None) or cls.get_motor_collection
    return get()


def make_plan(cls: type[Document], exported: Exported) -> Plan:
    keys, prefix = document_keys(cls), class_prefix(cls)
    check_plannable(cls, keys, prefix)
    elements = bson.encode(prefix)[4:-1] if prefix else None
    shape = encoding.make_shape(cls, keys, elements)
    reasons = []
    builds, projection = native is not None, None
    try:
        if native is None:
            raise instances.NotBuildable("the extension is not built: only the encoding is ours")
        if any(info.link_type in BACK_LINKS for info in (cls.get_link_fields() or {}).values()):
            raise instances.NotBuildable("back links are filled in by Beanie")
        fields, *rest = specification(cls, DOCUMENT_INIT)
        shape.set_fields(fields, *rest)
        projection = whole_projection(cls, [keys[1] for keys in fields])
    except instances.NotBuildable as reason:
        builds = False
        reasons.append(str(reason))
    own = cls.get_settings()
    before_update = ActionRegistry.get_action_list(cls, EventTypes.UPDATE, ActionDirections.BEFORE)
    return Plan(cls, shape, exported, builds, not own.use_revision and not before_update, reasons, projection)


def whole_projection(cls: type[Document], names: list[str]) -> dict[str, int] | None:
    """Beanie's projection, if it names exactly these fields."""
    whole = dict.fromkeys(names, 1)
    plain = all(name and "." not in name and not name.startswith("$") for name in names)
    return whole if plain and get_projection(cls) == whole else None


def specification(cls: type[BaseModel], own_init: Any) -> tuple[Any, ...]:
    instances.check_class(cls, own_init)
    return instances.Builder(cls, nested_shape).specification()


_nested: dict[type, Any] = {}


def nested_shape(cls: type[BaseModel]) -> Any:
    """The Shape of a nested model that the extension can make; None if it cannot."""
    if issubclass(cls, Document):
        return None
    if cls in _nested:
        return _nested[cls]
    kind = encoding.classify(cls)
    if not isinstance(kind, native.Shape):
        return None
    _nested[cls] = kind  # registered before its fields are read, because it may contain itself
    try:
        kind.set_fields(*specification(cls, BaseModel.__init__))
    except instances.NotBuildable:
        _nested[cls] = None
    return _nested[cls]


def namespace_of(cls: type[Document]) -> str:
    collection = collection_of(cls)
    return f"{collection.database.name}.{collection.name}"


def exported_namespaces(classes: list[type[Document]]) -> tuple[dict[str, Exported], dict[str, str]]:
    """The schemas of the initialised documents, as `mongosluice export` makes them, and the reasons for
        namespaces without one."""
    found: dict[str, list[Exported]] = {}
    failed: dict[str, str] = {}
    for cls in classes:
        ns = namespace_of(cls)
        try:
            one = attempted(f"{cls.__name__} cannot be exported", export_document, cls, collection_of(cls).database.name)
        except Failed as reason:
            failed[ns] = str(reason)
            continue
        found.setdefault(ns, []).append(one)
    return {ns: merge(ones) for ns, ones in found.items() if ns not in failed}, failed
