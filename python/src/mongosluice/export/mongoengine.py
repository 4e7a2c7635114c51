"""Reads the fields of MongoEngine documents and makes the schema of their stored form."""

from __future__ import annotations

import decimal
import math
import sys
from typing import Any

import bson
import mongoengine as me
from mongoengine.base import BaseDocument, get_document
from mongoengine.base.fields import ObjectIdField

from mongosluice.export.definitions import Definitions, alternatives
from mongosluice.export.python_patterns import matched_at_start
from mongosluice.export.schema import Exported, Note, Schema, any_of, is_class, of_values, with_null

GEOMETRY: Schema = {"bsonType": "object", "required": ["type", "coordinates"]}
POINT: Schema = {"bsonType": "array", "minItems": 2, "maxItems": 2,
                 "items": {"bsonType": ["int", "long", "double", "bool"]}}  # in Python, a bool is an int
REFERENCE: Schema = {"bsonType": "object", "required": ["$ref", "$id"]}


def is_document(cls: Any) -> bool:
    bases: Any = (me.Document, me.DynamicDocument)
    return is_class(cls) and issubclass(cls, bases) and cls not in bases and not cls._meta.get("abstract")  # type: ignore[attr-defined]


def own(function_name: str, cls: type) -> bool:
    """Whether the class overrides MongoEngine's method."""
    return getattr(cls, function_name) is not getattr(BaseDocument, function_name)


class EngineExporter:
    """Reads one document class."""

    def __init__(self, model: str):
        self.model = model
        self.notes: list[Note] = []
        self.definitions = Definitions()

    def note(self, where: str, kind: str, text: str) -> None:
        note = Note(self.model, where, kind, text)
        if note not in self.notes:
            self.notes.append(note)

    def whole(self, cls: Any) -> Schema:
        schema = self.document(cls)
        properties = dict(schema["properties"])
        schema = {**schema, "properties": {"_id": properties.pop("_id", {}), **properties}}
        return self.definitions.attached(schema, lambda name: self.note("", "depth", f"{name} only leads to itself"))

    def document(self, cls: Any, where: str = "") -> Schema:
        return self.definitions.of(cls, cls.__name__, {"bsonType": "object"}, lambda: self.body(cls, where), whole=not where)

    def body(self, cls: Any, where: str) -> Schema:
        properties, required = {}, []
        for name in cls._fields_ordered:
            field = cls._fields[name]
            place = f"{where}.{field.db_field}" if where else field.db_field
            schema = self.field(field, place)
            # validate() accepts None if the field is not required, and update(set__name=None) stores it
            properties[field.db_field] = with_null(schema) if not field.required and field.db_field != "_id" else schema
            if field.required and not field.primary_key and not getattr(field, "_auto_gen", False):
                required.append(field.db_field)
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
        if not field.choices or isinstance(field, CHOOSES_CLASSES):
            return schema
        values = stored_choices(field)
        if values is None:
            self.note(where, "validator", "its choices are checked in Python")
        elif isinstance(field, me.ListField):
            return {**schema, "items": of_values(values)}
        else:
            return of_values(values)
        return schema

    def by_field(self, field: Any, where: str) -> Schema:
        if has_own_rules(field):
            self.note(where, "type", f"{type(field).__name__} has methods of its own; any type is accepted")
            return {}
        for kind, make in SIMPLE_FIELDS:
            if isinstance(field, kind):
                return dict(make(self, field, where))
        self.note(where, "type", f"{type(field).__name__} is not known; any type is accepted")
        return {}

    # ---- kinds of fields -----------------------------------------------------------------------

    def string(self, field: Any, where: str) -> Schema:
        out: Schema = {"bsonType": "string"}
        if isinstance(field, me.URLField):  # its validate() ignores the lengths
            self.note(where, "validator", "that it is what URLField wants is checked in Python")
            return out
        if field.min_length is not None:
            out["minLength"] = field.min_length
        if field.max_length is not None:
            out["maxLength"] = field.max_length
        if isinstance(field, me.EmailField):
            self.note(where, "validator", "that it is what EmailField wants is checked in Python")
        elif field.regex is not None:
            pattern = matched_at_start(field.regex)
            if pattern is None:
                self.note(where, "pattern", f"{field.regex.pattern!r} is checked in Python")
            else:
                out["pattern"] = pattern
        return out

    def integer(self, field: Any, where: str) -> Schema:
        return {"bsonType": ["int", "long"], **bounds(field.min_value, field.max_value)}

    def float(self, field: Any, where: str) -> Schema:
        found = bounds(field.min_value, field.max_value)
        if not found:
            return {"bsonType": "double"}
        # MongoEngine accepts NaN under any bound; a schema's bounds refuse it
        return {"anyOf": [{"bsonType": "double", **found}, {"bsonType": "double", "enum": [math.nan]}]}

    def decimal(self, field: Any, where: str) -> Schema:
        limits = [field.to_python(limit) for limit in (field.min_value, field.max_value) if limit is not None]
        if field.force_string:
            self.note(where, "type", "any text is accepted, a decimal number is meant")
            return {"bsonType": "string"}
        if any(len(limit.as_tuple().digits) > sys.float_info.dig for limit in limits) or any(
                limit != field.to_python(limit) for limit in (field.min_value, field.max_value) if limit is not None):
            self.note(where, "bound", f"a bound has more than {field.precision} decimal places")
        return {"bsonType": "double", **bounds(*(
            None if limit is None else float(field.to_python(limit)) for limit in (field.min_value, field.max_value)))}

    def decimal128(self, field: Any, where: str) -> Schema:
        out: Schema = {"bsonType": "decimal"}
        for key, limit in (("minimum", field.min_value), ("maximum", field.max_value)):
            if limit is None:
                continue
            with decimal.localcontext(field.DECIMAL_CONTEXT):
                out[key] = bson.Decimal128(+decimal.Decimal(limit))
            if out[key].to_decimal() != limit:
                self.note(where, "bound", "a bound has more digits than a decimal can hold")
        return out

    def embedded(self, field: Any, where: str) -> Schema:
        cls = field.document_type
        if cls._meta.get("allow_inheritance") and len(cls._subclasses) > 1:
            return any_of([self.document_of_class(get_document(name), name, where) for name in sorted(cls._subclasses)])
        return self.document(cls, where)

    def generic_embedded(self, field: Any, where: str) -> Schema:
        if not field.choices:
            self.note(where, "type", "an embedded document of any class is accepted, and whatever is in it")
            return {"bsonType": "object", "required": ["_cls"]}
        names = {name for choice in field.choices for name in choice._subclasses}
        return any_of([self.document_of_class(get_document(name), name, where) for name in sorted(names)])

    def document_of_class(self, cls: Any, name: str, where: str) -> Schema:
        schema = self.document(cls, where)
        required = list(dict.fromkeys(["_cls", *schema.get("required", ())]))
        properties = {**schema.get("properties", {}), "_cls": of_values([name])}
        return {**schema, "required": required, "properties": properties}

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
        out: Schema = {"bsonType": "object", "patternProperties": {"^\\$": {"not": {}}}}
        if inner is None or holds_open_dicts(inner):
            self.note(where, "key", "that no name in a dict within it begins with $ is checked in Python")
        if field.required:
            out["minProperties"] = 1
        return {**out, "additionalProperties": item} if item else out

    def reference(self, field: Any, where: str) -> Schema:
        target = field.document_type
        if field.dbref or target._meta.get("abstract"):  # only a DBRef tells the target's class
            return REFERENCE
        primary = target._fields[target._meta["id_field"]]
        # the field accepts an ObjectId, whatever type the target's ids have
        return any_of([self.field(primary, where), {"bsonType": "objectId"}])

    def generic_reference(self, field: Any, where: str) -> Schema:
        kind = of_values(list(field.choices)) if field.choices else {"bsonType": "string"}
        reference: Schema = {"bsonType": "object", "required": ["_cls", "_ref"],
                             "properties": {"_cls": kind, "_ref": REFERENCE}}
        return reference if field.choices else any_of([reference, REFERENCE])

    def geometry(self, field: Any, where: str) -> Schema:
        self.note(where, "type", "its coordinates are checked in Python")
        return GEOMETRY

    def binary(self, field: Any, where: str) -> Schema:
        if field.max_bytes is not None:
            self.note(where, "bound", "max_bytes is checked in Python")
        return {"bsonType": "binData"}

    def uuid(self, field: Any, where: str) -> Schema:
        if field._binary:
            return {"bsonType": "binData"}
        self.note(where, "type", "any text is accepted, a UUID is meant")
        return {"bsonType": "string"}


SIMPLE_FIELDS: list[tuple[Any, Any]] = [
    (me.ComplexDateTimeField, lambda self, field, where: {"bsonType": "string"}),
    (me.StringField, EngineExporter.string),
    (me.IntField, EngineExporter.integer),
    (me.FloatField, EngineExporter.float),
    (me.Decimal128Field, EngineExporter.decimal128),
    (me.DecimalField, EngineExporter.decimal),
    (me.BooleanField, lambda self, field, where: {"bsonType": "bool"}),
    (me.DateTimeField, lambda self, field, where: {"bsonType": "date"}),
    (me.EmbeddedDocumentField, EngineExporter.embedded),
    (me.GenericEmbeddedDocumentField, EngineExporter.generic_embedded),
    (me.ListField, EngineExporter.list),
    (me.DictField, EngineExporter.dict),
    (me.CachedReferenceField, lambda self, field, where: {"bsonType": "object"}),
    ((me.ReferenceField, me.LazyReferenceField), EngineExporter.reference),
    (me.GenericReferenceField, EngineExporter.generic_reference),
    (me.EnumField, lambda self, field, where: {}),
    (me.BinaryField, EngineExporter.binary),
    (me.FileField, lambda self, field, where: {"bsonType": "objectId"}),
    (me.UUIDField, EngineExporter.uuid),
    (ObjectIdField, lambda self, field, where: {"bsonType": "objectId"}),
    (me.SequenceField, lambda self, field, where: {}),
    (me.GeoPointField, lambda self, field, where: POINT),
    (me.base.fields.GeoJsonBaseField, EngineExporter.geometry),
    (me.DynamicField, lambda self, field, where: {}),
]
# The choices of these fields are classes.
CHOOSES_CLASSES = (me.GenericReferenceField, me.GenericEmbeddedDocumentField)
# These methods decide which values a field accepts and how it stores them.
RULES = ("validate", "_validate", "_validate_choices", "to_mongo", "to_python", "__set__", "__get__")


def has_own_rules(field: Any) -> bool:
    """Whether the field's class is the user's and changes MongoEngine's behaviour."""
    own_classes = [cls for cls in type(field).__mro__ if not (cls.__module__ + ".").startswith(("mongoengine.", "builtins."))]
    return any(name in cls.__dict__ for cls in own_classes for name in RULES)


def holds_open_dicts(field: Any) -> bool:
    """Whether a value of the field can be a dict that belongs to no DictField of its own."""
    return isinstance(field, me.DynamicField)


def bounds(minimum: Any, maximum: Any) -> Schema:
    return {key: value for key, value in (("minimum", minimum), ("maximum", maximum)) if value is not None}


def stored_choices(field: Any) -> list[Any] | None:
    """The stored values of a field with choices (for a list, of its items); None if they are not known."""
    stores = field.field if isinstance(field, me.ListField) else field
    values = [one[0] if isinstance(one, (list, tuple)) else one for one in field.choices]
    try:
        stored = [stores.to_mongo(value) if stores is not None else value for value in values]
        of_values(stored)
    except (ValueError, TypeError, AttributeError, me.ValidationError, bson.errors.InvalidDocument):
        return None
    return stored


def export_engine(cls: Any, database: str) -> Exported:
    """The schema of the whole collection, with the classes that share it by inheritance."""
    name = f"{cls.__module__}.{cls.__qualname__}"
    ns = f"{database}.{cls._get_collection_name()}"
    if not cls._meta.get("allow_inheritance"):
        exporter = EngineExporter(cls.__name__)
        return Exported(ns, exporter.whole(cls), (name,), tuple(exporter.notes))
    root = get_document(cls._class_name.split(".")[0])
    schemas, notes = [], []
    for member in sorted(root._subclasses):
        exporter = EngineExporter(member)
        schema = exporter.whole(get_document(member))
        schemas.append({**schema, "properties": {**schema["properties"], "_cls": of_values([member])}})
        notes += exporter.notes
    return Exported(ns, alternatives(schemas), (name,), tuple(notes))
