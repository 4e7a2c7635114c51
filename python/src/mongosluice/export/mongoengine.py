"""The schema of what MongoEngine stores for its documents, read from their fields."""

from __future__ import annotations

import re
from typing import Any

import mongoengine as me
from mongoengine.base import BaseDocument, get_document
from mongoengine.base.fields import ObjectIdField

from mongosluice.export.patterns import matched_by_python
from mongosluice.export.schema import Exported, Note, Schema, any_of, of_values, with_null

RECURSION = 3
POINT: Schema = {"bsonType": ["object", "array"]}
REFERENCE: Schema = {"bsonType": "object", "required": ["$ref", "$id"]}


def is_document(cls: Any) -> bool:
    bases: Any = (me.Document, me.DynamicDocument)
    return isinstance(cls, type) and issubclass(cls, bases) and cls not in bases and not cls._meta.get("abstract")  # type: ignore[attr-defined]


def own(function_name: str, cls: type) -> bool:
    """Whether the class overrides what MongoEngine does."""
    return getattr(cls, function_name) is not getattr(BaseDocument, function_name)


class EngineExporter:
    """Walks one document class."""

    def __init__(self, model: str):
        self.model = model
        self.notes: list[Note] = []
        self.open: list[type] = []

    def note(self, where: str, kind: str, text: str) -> None:
        note = Note(self.model, where, kind, text)
        if note not in self.notes:
            self.notes.append(note)

    def document(self, cls: Any, where: str = "") -> Schema:
        if self.open.count(cls) >= RECURSION:
            self.note(where, "depth", f"deeper than {RECURSION} {cls.__name__} within each other is only an object")
            return {"bsonType": "object"}
        self.open.append(cls)
        properties, required = {}, []
        for name in cls._fields_ordered:
            field = cls._fields[name]
            place = f"{where}.{field.db_field}" if where else field.db_field
            schema = self.field(field, place)
            properties[field.db_field] = with_null(schema) if field.null else schema
            if field.required and not field.primary_key and not getattr(field, "_auto_gen", False):
                required.append(field.db_field)
        self.open.pop()
        if own("clean", cls):
            self.note(where, "validator", "clean() looks at the whole document, in Python")
        if own("validate", cls):
            self.note(where, "validator", "validate() is its own")
        if cls._meta.get("allow_inheritance"):
            properties["_cls"] = of_values(sorted(cls._subclasses))
            required.insert(0, "_cls")
        out: Schema = {"bsonType": "object"}
        if required:
            out["required"] = required
        out["properties"] = properties
        closed = cls._meta.get("strict", True) and not cls._dynamic
        return {**out, "additionalProperties": False} if closed else out

    def field(self, field: Any, where: str) -> Schema:
        schema = self.by_field(field, where)
        if callable(field.validation):
            self.note(where, "validator", f"{getattr(field.validation, '__qualname__', field.validation)} runs in Python")
        if not field.choices:
            return schema
        values = [one[0] if isinstance(one, (list, tuple)) else one for one in field.choices]
        if all(isinstance(one, (str, int, float, bool)) for one in values) and "items" not in schema:
            return of_values(values) if not isinstance(field, me.FloatField) else {**schema, "enum": values}
        self.note(where, "validator", "its choices are checked in Python")
        return schema

    def by_field(self, field: Any, where: str) -> Schema:
        for kind, make in SIMPLE_FIELDS:
            if isinstance(field, kind):
                return dict(make(self, field, where))
        self.note(where, "type", f"{type(field).__name__} is not known; any type is accepted")
        return {}

    # ---- the kinds -----------------------------------------------------------------------------

    def string(self, field: Any, where: str) -> Schema:
        out: Schema = {"bsonType": "string"}
        if field.min_length is not None:
            out["minLength"] = field.min_length
        if field.max_length is not None:
            out["maxLength"] = field.max_length
        if isinstance(field, (me.URLField, me.EmailField)):
            self.note(where, "validator", f"that it is what {type(field).__name__} wants is checked in Python")
        elif field.regex is not None:
            pattern = matched_by_python(field.regex.pattern) if field.regex.flags == re.UNICODE else None
            if pattern is None:
                self.note(where, "pattern", f"{field.regex.pattern!r} is checked in Python")
            else:
                out["pattern"] = pattern
        return out

    def number(self, field: Any, where: str, types: Any) -> Schema:
        out: Schema = {"bsonType": types}
        for key, value in (("minimum", field.min_value), ("maximum", field.max_value)):
            if value is not None:
                out[key] = value
        if isinstance(field, me.FloatField) and len(out) > 1:
            self.note(where, "bound", "NaN is within bounds for MongoEngine and not for the schema")
        return out

    def decimal(self, field: Any, where: str) -> Schema:
        self.note(where, "bound", "its bounds are checked in Python")
        return {"bsonType": "string" if field.force_string else "double"}

    def embedded(self, field: Any, where: str) -> Schema:
        cls = field.document_type
        if cls._meta.get("allow_inheritance") and len(cls._subclasses) > 1:
            return any_of([self.document_of_class(get_document(name), name, where) for name in sorted(cls._subclasses)])
        return self.document(cls, where)

    def document_of_class(self, cls: Any, name: str, where: str) -> Schema:
        schema = self.document(cls, where)
        return {**schema, "properties": {**schema["properties"], "_cls": of_values([name])}} if "properties" in schema else schema

    def list(self, field: Any, where: str) -> Schema:
        out: Schema = {"bsonType": "array"}
        inner = getattr(field, "field", None)
        item = self.field(inner, f"{where}[]") if inner is not None else {}
        if item:
            out["items"] = item
        if field.required:
            out["minItems"] = 1
        if field.max_length is not None:
            out["maxItems"] = field.max_length
        return out

    def dict(self, field: Any, where: str) -> Schema:
        inner = getattr(field, "field", None)
        item = self.field(inner, f"{where}.*") if inner is not None else {}
        return {"bsonType": "object", **({"additionalProperties": item} if item else {})}

    def reference(self, field: Any, where: str) -> Schema:
        if field.dbref:
            return REFERENCE
        target = field.document_type
        primary = target._fields[target._meta["id_field"]]
        return self.field(primary, where)

    def enum(self, field: Any, where: str) -> Schema:
        return of_values([one.value for one in field.choices])

    def binary(self, field: Any, where: str) -> Schema:
        if field.max_bytes is not None:
            self.note(where, "bound", "max_bytes is checked in Python")
        return {"bsonType": "binData"}

    def uuid(self, field: Any, where: str) -> Schema:
        return {"bsonType": "binData" if field._binary else "string"}


SIMPLE_FIELDS: list[tuple[Any, Any]] = [
    (me.ComplexDateTimeField, lambda self, field, where: {"bsonType": "string"}),
    (me.StringField, EngineExporter.string),
    (me.LongField, lambda self, field, where: self.number(field, where, "long")),
    (me.IntField, lambda self, field, where: self.number(field, where, ["int", "long"])),
    (me.FloatField, lambda self, field, where: self.number(field, where, "double")),
    (me.Decimal128Field, lambda self, field, where: {"bsonType": "decimal"}),
    (me.DecimalField, EngineExporter.decimal),
    (me.BooleanField, lambda self, field, where: {"bsonType": "bool"}),
    (me.DateTimeField, lambda self, field, where: {"bsonType": "date"}),
    (me.EmbeddedDocumentField, EngineExporter.embedded),
    (me.GenericEmbeddedDocumentField, lambda self, field, where: {"bsonType": "object", "required": ["_cls"]}),
    (me.ListField, EngineExporter.list),
    (me.DictField, EngineExporter.dict),
    (me.CachedReferenceField, lambda self, field, where: {"bsonType": "object"}),
    ((me.ReferenceField, me.LazyReferenceField), EngineExporter.reference),
    (me.GenericReferenceField, lambda self, field, where: {"bsonType": "object", "required": ["_cls", "_ref"]}),
    (me.EnumField, EngineExporter.enum),
    (me.BinaryField, EngineExporter.binary),
    (me.FileField, lambda self, field, where: {"bsonType": "objectId"}),
    (me.UUIDField, EngineExporter.uuid),
    (ObjectIdField, lambda self, field, where: {"bsonType": "objectId"}),
    (me.SequenceField, lambda self, field, where: {}),
    (me.GeoPointField, lambda self, field, where: {"bsonType": "array", "minItems": 2, "maxItems": 2}),
    (me.base.fields.GeoJsonBaseField, lambda self, field, where: POINT),
    (me.DynamicField, lambda self, field, where: {}),
]


def export_engine(cls: Any, database: str) -> Exported:
    """Of the whole collection: with the classes that share it by inheritance."""
    name = f"{cls.__module__}.{cls.__qualname__}"
    ns = f"{database}.{cls._get_collection_name()}"
    if not cls._meta.get("allow_inheritance"):
        exporter = EngineExporter(cls.__name__)
        return Exported(ns, with_id_first(exporter.document(cls)), (name,), tuple(exporter.notes))
    root = get_document(cls._class_name.split(".")[0])
    schemas, notes = [], []
    for member in sorted(root._subclasses):
        exporter = EngineExporter(member)
        schema = with_id_first(exporter.document(get_document(member)))
        schemas.append({**schema, "properties": {**schema["properties"], "_cls": of_values([member])}})
        notes += exporter.notes
    return Exported(ns, any_of(schemas), (name,), tuple(notes))


def with_id_first(schema: Schema) -> Schema:
    properties = dict(schema["properties"])
    return {**schema, "properties": {"_id": properties.pop("_id", {}), **properties}}
