"""What Beanie's documents say of themselves, initialised or not, in 2.x and in 1.30."""

from __future__ import annotations

from typing import Any, get_args, get_origin

from beanie import Document
from beanie.odm.fields import BackLink, Link
from beanie.odm.registry import DocsRegistry
from beanie.odm.settings.document import DocumentSettings

from mongosluice.export.pydantic import Exporter
from mongosluice.export.schema import Exported, Note, Schema
from mongosluice.offload.beanie.encoding import EXCLUDE_IS_HEEDED

NOTHING: Schema = {"not": {}}  # said of a field that is not stored


def settings_of(cls: type[Document]) -> DocumentSettings:
    """Beanie's own after init_beanie; before that, made as Beanie would."""
    own = cls.__dict__.get("_document_settings")
    if own is not None:
        return own
    settings = getattr(cls, "Settings", None)
    names = [name for name in dir(settings) if not name.startswith("__")] if settings else []
    return DocumentSettings.model_validate({name: getattr(settings, name) for name in names})


def root_of(cls: type[Document]) -> type[Document] | None:
    """The class whose collection this one shares by inheritance."""
    for base in reversed(cls.__mro__):
        if issubclass_of_document(base) and getattr(getattr(base, "Settings", None), "is_root", False):
            return base
    return None


def issubclass_of_document(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, Document) and cls is not Document


def collection_of(cls: type[Document]) -> str:
    settings = settings_of(cls)
    if settings.union_doc is not None:
        union = getattr(settings.union_doc, "Settings", None)
        return getattr(union, "name", None) or settings.union_doc.__name__
    root = root_of(cls)
    if root is not None:
        return settings_of(root).name or root.__name__
    return settings.name or cls.__name__


def class_id_of(cls: type[Document]) -> str | None:
    """What is stored under Settings.class_id, if anything."""
    if cls.__dict__.get("_class_id"):
        return cls._class_id
    root = root_of(cls)
    if root is not None:
        path = [base for base in reversed(cls.__mro__) if issubclass_of_document(base) and issubclass(base, root)]
        value = None
        for base in path:
            own = getattr(base.__dict__.get("Settings"), "class_id_value", None)
            value = own if own is not None else f"{value}.{base.__name__}" if value else base.__name__
        return value
    settings = settings_of(cls)
    if settings.union_doc is not None:
        return settings.union_doc_alias or settings.name or cls.__name__
    return None


def links(exporter: Exporter, annotation: Any, where: str) -> Schema | None:
    """The schema of Link, BackLink and lists of them."""
    origin = get_origin(annotation)
    if origin is BackLink:
        return NOTHING
    if origin is list and get_args(annotation) and get_origin(get_args(annotation)[0]) is BackLink:
        return NOTHING
    if origin is not Link:
        return None
    target = linked_class(annotation)
    identity: Schema = {}
    if target is not None:
        field = target.model_fields["id"]
        inner = Exporter(exporter.model)
        identity = without_null(inner.of(field.annotation, list(field.metadata), where, target.model_config) or {})
    return {"bsonType": "object", "required": ["$ref", "$id"],
            "properties": {"$ref": {"bsonType": "string"}, **({"$id": identity} if identity else {})}}


def linked_class(annotation: Any) -> type[Document] | None:
    argument = get_args(annotation)[0]
    if isinstance(argument, type):
        return argument if issubclass(argument, Document) else None
    try:
        return DocsRegistry.evaluate_fr(argument)
    except Exception:  # not registered before init_beanie
        return None


def without_null(schema: Schema) -> Schema:
    types = schema.get("bsonType")
    if not isinstance(types, list):
        return schema
    rest = [name for name in types if name != "null"]
    return {**schema, "bsonType": rest[0] if len(rest) == 1 else rest}


def export_document(cls: type[Document], database: str) -> Exported:
    settings = settings_of(cls)
    name = f"{cls.__module__}.{cls.__qualname__}"
    exporter = Exporter(cls.__name__, settings.keep_nulls, settings.bson_encoders, links, EXCLUDE_IS_HEEDED)
    schema = exporter.model_schema(cls)
    properties = {"_id": without_null(schema["properties"].pop("_id"))}
    class_id = class_id_of(cls)
    required = list(schema.get("required", ()))
    if class_id is not None:
        properties[settings.class_id] = {"bsonType": "string", "enum": [class_id]}
        required.insert(0, settings.class_id)
    elif "additionalProperties" in schema:
        properties[settings.class_id] = {"bsonType": "string"}
    schema["properties"].pop("revision_id", None)
    if settings.use_revision or "additionalProperties" in schema:
        properties["revision_id"] = {"bsonType": ["binData", "null"]}
    properties.update(schema["properties"])
    whole: Schema = {"bsonType": "object"}
    if required:
        whole["required"] = required
    whole["properties"] = properties
    if "additionalProperties" in schema:
        whole["additionalProperties"] = schema["additionalProperties"]
    notes = tuple(Note(cls.__name__, note.field, note.kind, note.text) for note in exporter.notes)
    return Exported(f"{database}.{collection_of(cls)}", whole, (name,), notes)
