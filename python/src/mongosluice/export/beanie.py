"""Reads Beanie documents, initialised or not, of Beanie 2.x and 1.30."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Union, get_args, get_origin

from beanie import Document
from beanie.odm.fields import BackLink, Link
from beanie.odm.registry import DocsRegistry
from beanie.odm.settings.document import DocumentSettings
from beanie.odm.utils.encoder import Encoder
from beanie.odm.utils.init import Initializer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typing_extensions import TypeGuard

from mongosluice.export.pydantic import NOT_STORED, Exporter, complete
from mongosluice.export.schema import Exported, Schema, any_of, is_class, with_null

# Whether Beanie leaves out fields with `exclude`: 2.x does, 1.30 does not.
EXCLUDE_IS_HEEDED = "include" in Encoder.__dataclass_fields__


def settings_of(cls: type[Document]) -> DocumentSettings:
    """Beanie's own settings after init_beanie; before, settings made in Beanie's way."""
    own = cls.__dict__.get("_document_settings")
    if own is not None:
        return own
    settings = getattr(cls, "Settings", None)
    names = [name for name in dir(settings) if not name.startswith("__")] if settings else []
    return DocumentSettings.model_validate({name: getattr(settings, name) for name in names})


def root_of(cls: type[Document]) -> type[Document] | None:
    """The class whose collection this class shares by inheritance."""
    for base in reversed(cls.__mro__):
        if issubclass_of_document(base) and getattr(getattr(base, "Settings", None), "is_root", False):
            return base
    return None


def issubclass_of_document(cls: Any) -> TypeGuard[type[Document]]:
    return is_class(cls) and issubclass(cls, Document) and cls is not Document


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
    """The value that Settings.class_id stores, if there is one."""
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
        # init_beanie replaces the user's alias by its own, and the class's name by the union's
        initialised = "_document_settings" in cls.__dict__ and cls._document_settings is not None
        return settings.union_doc_alias if initialised else settings.name or cls.__name__
    return None


class DocumentLinks:
    """The values that Beanie stores for other documents.

        For a field that is a Link or a list of links, Beanie stores references. Anywhere else, it stores a
        reference for a document that was not fetched, and the whole document for one that was."""

    def __init__(self) -> None:
        self.whole: list[type] = []  # the documents that are being expanded within others

    def field(self, exporter: Exporter, cls: type[BaseModel], stored: str, field: FieldInfo) -> Schema | None:
        if not issubclass(cls, Document) or stored not in cls.model_fields:
            return None
        found = link_in(cls.model_fields[stored].annotation)  # Beanie too looks it up by the stored name
        if found is None:
            return None
        if found.origin is BackLink:
            return NOT_STORED
        reference = self.reference(exporter, found.argument, stored)
        schema: Schema = {"bsonType": "array", "items": reference} if found.many else reference
        return with_null(schema) if found.optional else schema

    def value(self, exporter: Exporter, annotation: Any, where: str) -> Schema | None:
        origin = get_origin(annotation)
        if origin is BackLink:
            return NOT_STORED  # the Encoder refuses it
        if origin is Link:
            target = linked_class(get_args(annotation)[0])
            reference = self.reference(exporter, get_args(annotation)[0], where)
            return any_of([reference, self.document(exporter, target, where) if target else {"bsonType": "object"}])
        if is_class(annotation) and issubclass(annotation, Document):
            return self.document(exporter, annotation, where)
        return None

    def reference(self, exporter: Exporter, argument: Any, where: str) -> Schema:
        target = linked_class(argument)
        identity: Schema = {}
        if target is not None:
            field = target.model_fields["id"]
            inner = Exporter(exporter.model)
            inner.definitions = exporter.definitions
            identity = without_null(inner.of(field.annotation, list(field.metadata), where, target.model_config))
        return {"bsonType": "object", "required": ["$ref", "$id"],
                "properties": {"$ref": {"bsonType": "string"}, **({"$id": identity} if identity else {})}}

    def document(self, exporter: Exporter, cls: type[Document], where: str) -> Schema:
        """A document within another: of this class, or of a subclass."""
        if self.whole:
            exporter.note(where, "depth", f"a whole {cls.__name__} within a document is only an object")
            return {"bsonType": "object"}
        self.whole.append(cls)
        own = exporter.keep_nulls, exporter.encoders
        schemas = []
        for one in [cls, *sorted(inheriting(cls), key=lambda sub: (sub.__module__, sub.__qualname__))]:
            settings = settings_of(one)
            exporter.encoders = settings.bson_encoders
            schemas.append(document_schema(exporter, one, settings, where))
        exporter.keep_nulls, exporter.encoders = own
        self.whole.pop()
        return any_of(schemas)


@dataclass(frozen=True)
class LinkField:
    """Reads a field's annotation in the way of Beanie's detect_link."""

    origin: Any  # Link or BackLink
    argument: Any
    many: bool = False
    optional: bool = False


def link_in(annotation: Any) -> LinkField | None:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Link, BackLink):
        return LinkField(origin, arguments[0])
    if origin is list and len(arguments) == 1 and get_origin(arguments[0]) in (Link, BackLink):
        return LinkField(get_origin(arguments[0]), get_args(arguments[0])[0], many=True)
    if origin in (Union, types.UnionType) and len(arguments) == 2 and type(None) in arguments:
        if origin is types.UnionType and not SEES_UNION_TYPES:
            return None
        inner = link_in(arguments[0] if arguments[1] is type(None) else arguments[1])
        return None if inner is None or inner.optional else replace(inner, optional=True)
    return None


SEES_UNION_TYPES = "UnionType" in Initializer.detect_link.__code__.co_names


def inheriting(cls: type[Document]) -> Iterator[type[Document]]:
    """The classes of the same collection that have their own class id."""
    if root_of(cls) is None:
        return
    for sub in cls.__subclasses__():
        yield sub
        yield from inheriting(sub)


def linked_class(argument: Any) -> type[Document] | None:
    """The target of a link. A class that is only named is looked up among all documents, as init_beanie does."""
    if is_class(argument):
        return argument if issubclass(argument, Document) else None
    name = getattr(argument, "__forward_arg__", argument)
    known = DocsRegistry._registry.get(name)
    if issubclass_of_document(known):
        return known
    found = [cls for cls in all_documents(Document) if cls.__name__ == name]
    return found[-1] if found else None


def all_documents(cls: type[Document]) -> Iterator[type[Document]]:
    for sub in cls.__subclasses__():
        yield sub
        yield from all_documents(sub)


def without_null(schema: Schema) -> Schema:
    types_ = schema.get("bsonType")
    if not isinstance(types_, list):
        return schema
    rest = [name for name in types_ if name != "null"]
    return {**schema, "bsonType": rest[0] if len(rest) == 1 else rest}


def document_schema(exporter: Exporter, cls: type[Document], settings: DocumentSettings, where: str = "") -> Schema:
    """The schema of a document, in a collection or within another document."""
    complete(cls)
    schema = exporter.model_body(cls, where)
    own = schema.pop("properties", {})
    identity = own.pop("_id", {})  # PyMongo makes it if no field is stored under this name
    properties = {"_id": identity if where else without_null(identity)}
    class_id = class_id_of(cls)
    required = list(schema.pop("required", ()))
    if class_id is not None:
        properties[settings.class_id] = {"bsonType": "string", "enum": [class_id]}
        required.insert(0, settings.class_id)
    elif "additionalProperties" in schema:
        properties[settings.class_id] = {"bsonType": "string"}
    own.pop("revision_id", None)
    if where or settings.use_revision or "additionalProperties" in schema:
        properties["revision_id"] = {"bsonType": ["binData", "null"]}
    if "_id" in required and not where:
        required.remove("_id")
    out: Schema = {"bsonType": schema.pop("bsonType")}
    if required:
        out["required"] = required
    return {**out, "properties": {**properties, **own}, **schema}


def export_document(cls: type[Document], database: str) -> Exported:
    settings = settings_of(cls)
    name = f"{cls.__module__}.{cls.__qualname__}"
    exporter = Exporter(cls.__name__, settings.keep_nulls, settings.bson_encoders, DocumentLinks(), EXCLUDE_IS_HEEDED)
    schema = exporter.finished(document_schema(exporter, cls, settings))
    return Exported(f"{database}.{collection_of(cls)}", schema, (name,), tuple(exporter.notes))
