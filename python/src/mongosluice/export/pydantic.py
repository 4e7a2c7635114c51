"""The schema of what Beanie stores for a pydantic model, read from the model's fields."""

from __future__ import annotations

import datetime
import decimal
import enum
import ipaddress
import pathlib
import re
import types
import typing
import uuid
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import pydantic
import typing_extensions
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

import bson
from mongosluice.export.patterns import to_pcre
from mongosluice.export.schema import LARGEST, Note, Schema, accepts, any_of, element_type, of_values, with_null

# How often a model is spelled out inside itself; `$jsonSchema` has no references.
RECURSION = 3

SIMPLE: dict[Any, Schema] = {
    bool: {"bsonType": "bool"},
    type(None): {"bsonType": "null"},
    None: {"bsonType": "null"},
    bytes: {"bsonType": "binData"},
    uuid.UUID: {"bsonType": "binData"},
    datetime.datetime: {"bsonType": "date"},
    datetime.date: {"bsonType": "date"},
    datetime.timedelta: {"bsonType": "double", "minimum": -86399999913600.0, "maximum": 86399999999999.0},
    re.Pattern: {"bsonType": "regex"},
    bson.Regex: {"bsonType": "regex"},
    bson.Decimal128: {"bsonType": "decimal"},
    bson.Binary: {"bsonType": "binData"},
    bson.Int64: {"bsonType": "long"},
    bson.Timestamp: {"bsonType": "timestamp"},
    bson.DBRef: {"bsonType": "object", "required": ["$ref", "$id"]},
    bson.MinKey: {"bsonType": "minKey"},
    bson.MaxKey: {"bsonType": "maxKey"},
    pydantic.SecretBytes: {"bsonType": "binData"},
    Any: {},
    object: {},
}
# What `$jsonSchema` has no words for.
CHECKED_IN_PYTHON = {
    datetime.date: "that there is no time of day is checked in Python",
    uuid.UUID: "that the binary is a UUID is checked in Python",
}
STORED_AS_TEXT = (
    pydantic.SecretStr, pathlib.PurePath, ipaddress.IPv4Address, ipaddress.IPv4Interface,
    ipaddress.IPv4Network, ipaddress.IPv6Address, ipaddress.IPv6Interface, ipaddress.IPv6Network,
    pydantic.AnyUrl, pydantic.EmailStr,
)
LARGEST_DECIMAL = "9.999999999999999999999999999999999E+6144"
FINITE_DECIMAL: Schema = {"bsonType": "decimal", "minimum": bson.Decimal128("-" + LARGEST_DECIMAL),
                          "maximum": bson.Decimal128(LARGEST_DECIMAL)}
# Whose equal items are equal in BSON as well, so that a set of them is an array without repeats.
EXACT_ITEMS = (str, uuid.UUID, bson.ObjectId, enum.Enum, bytes)


class Exporter:
    """Walks one model. `links` says what is stored for Beanie's Link and its like."""

    def __init__(self, model: str, keep_nulls: bool = True, encoders: Mapping[Any, Any] | None = None,
                 special: Callable[[Exporter, Any, str], Schema | None] | None = None,
                 heeds_exclude: bool = True):
        self.model = model
        self.keep_nulls = keep_nulls
        self.encoders = encoders or {}
        self.special = special
        self.heeds_exclude = heeds_exclude
        self.notes: list[Note] = []
        self.open: list[type] = []

    def note(self, path: str, kind: str, text: str) -> None:
        note = Note(self.model, path, kind, text)
        if note not in self.notes:
            self.notes.append(note)

    # ---- models --------------------------------------------------------------------------------

    def model_schema(self, cls: type[BaseModel], path: str = "") -> Schema:
        if not cls.__pydantic_complete__:
            cls.model_rebuild()
        if self.open.count(cls) >= RECURSION:
            self.note(path, "depth", f"deeper than {RECURSION} {cls.__name__} within each other is only an object")
            return {"bsonType": "object"}
        self.open.append(cls)
        properties, required = {}, []
        for name, field in cls.model_fields.items():
            stored = field.alias or name
            where = f"{path}.{stored}" if path else stored
            if self.heeds_exclude and field.exclude is True:
                continue
            schema = self.field_schema(cls, name, field, where)
            if schema is None:
                continue
            properties[stored] = schema
            if field.is_required() and (self.keep_nulls or not accepts(schema, None)):
                required.append(stored)
        self.open.pop()
        self.note_validators(cls, path)
        out: Schema = {"bsonType": "object"}
        if required:
            out["required"] = required
        if properties:
            out["properties"] = properties
        return self.with_extra(cls, out, path)

    def with_extra(self, cls: type[BaseModel], out: Schema, path: str) -> Schema:
        extra = cls.model_config.get("extra")
        if extra == "forbid":
            return {**out, "additionalProperties": False}
        annotation = cls.__annotations__.get("__pydantic_extra__") if extra == "allow" else None
        if annotation is not None:
            self.note(path, "type", "the type of extra fields is not checked")
        return out

    def note_validators(self, cls: type[BaseModel], path: str) -> None:
        decorators = cls.__pydantic_decorators__
        for one in decorators.field_validators.values():
            for name in one.info.fields:
                stored = self.stored_name(cls, name)
                where = f"{path}.{stored}" if path else stored
                self.note(where, "validator", f"{one.cls_var_name} ({one.info.mode}) runs in Python")
        for older in decorators.validators.values():
            self.note(path, "validator", f"{older.cls_var_name} runs in Python")
        whole: list[Any] = [*decorators.model_validators.values(), *decorators.root_validators.values()]
        for one in whole:
            function = getattr(one.func, "__func__", one.func)
            if not function.__module__.startswith("beanie."):
                self.note(path, "validator", f"{one.cls_var_name} looks at the whole model, in Python")
        for key in ("str_strip_whitespace", "str_to_lower", "str_to_upper"):
            if cls.model_config.get(key):
                self.note(path, "transform", f"the model's {key} changes strings in Python")
        for key in ("str_min_length", "str_max_length", "validate_default"):
            if cls.model_config.get(key):
                self.note(path, "bound", f"the model's {key} is checked in Python")

    @staticmethod
    def stored_name(cls: type[BaseModel], name: str) -> str:
        field = cls.model_fields.get(name)
        return (field.alias if field is not None else None) or name

    def field_schema(self, cls: type[BaseModel], name: str, field: FieldInfo, where: str) -> Schema | None:
        if isinstance(field.validation_alias, str) and field.validation_alias != (field.alias or name):
            by_name = cls.model_config.get("populate_by_name") or cls.model_config.get("validate_by_name")
            self.note(where, "key", f"stored under this name, given as {field.validation_alias}"
                      + ("" if by_name else "; what is stored cannot be read back"))
        schema = self.of(field.annotation, list(field.metadata), where, cls.model_config)
        if schema is None:
            return None
        if isinstance(field.discriminator, str) is False and field.discriminator is not None:
            self.note(where, "validator", "the discriminator is a function; any of the alternatives is accepted")
        return self.with_default(field, schema, where)

    def with_default(self, field: FieldInfo, schema: Schema, where: str) -> Schema:
        """pydantic does not look at defaults, so what is one must be storable."""
        if field.validate_default or not schema:
            return schema
        default = field.default
        if field.default_factory is not None:
            if field.default_factory in (list, dict, set, tuple, frozenset):
                default = field.default_factory()
            else:
                return schema
        if default is PydanticUndefined or default is ...:
            return schema
        try:
            stored = self.stored(default)
        except Exception:  # what cannot be stored is refused by PyMongo
            self.note(where, "default", f"{default!r} cannot be stored")
            return schema
        if accepts(schema, stored):
            return schema
        if stored is None:
            return with_null(schema)
        self.note(where, "default", f"{default!r} does not satisfy the field itself; it is accepted as well")
        return any_of([schema, {"bsonType": element_type(stored), "enum": [stored]}])

    def stored(self, value: Any) -> Any:
        from mongosluice.offload.beanie.encoding import plain

        out = plain(value, self.keep_nulls)
        return bson.decode(bson.encode({"": out}))[""] if not isinstance(out, (str, int, float)) else out

    # ---- types ---------------------------------------------------------------------------------

    def of(self, annotation: Any, metadata: list[Any], where: str, config: Mapping[str, Any]) -> Schema | None:
        """The schema of a type; None where nothing is stored for it."""
        annotation, metadata = unwrap(annotation, metadata)
        schema = self.encoded_by_user(annotation, where)
        if schema is None:
            if self.special is not None:
                schema = self.special(self, annotation, where)
                if schema is not None:
                    return None if schema == {"not": {}} else schema
            schema = self.by_type(annotation, where, config)
        return self.with_constraints(annotation, schema, metadata, where, config)

    def encoded_by_user(self, annotation: Any, where: str) -> Schema | None:
        if not self.encoders or not isinstance(annotation, type):
            return None
        for cls, encoder in self.encoders.items():
            if isinstance(cls, type) and issubclass(annotation, cls):
                returns = getattr(encoder, "__annotations__", {}).get("return")
                if encoder in (str, int, float, bool, bson.Decimal128):
                    return self.by_type(encoder, where, {})
                if isinstance(returns, type):
                    return self.by_type(returns, where, {})
                self.note(where, "type", "Settings.bson_encoders makes something else of it; any type is accepted")
                return {}
        return None

    def by_type(self, annotation: Any, where: str, config: Mapping[str, Any]) -> Schema:
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin in (Union, types.UnionType):
            found = [self.of(one, [], where, config) for one in arguments]
            return any_of([one for one in found if one is not None])
        if origin in (Literal, typing_extensions.Literal):
            return self.of_constants(list(arguments), where)
        if origin is not None and not isinstance(annotation, type):
            return self.by_origin(annotation, origin, arguments, where, config)
        if isinstance(annotation, type) or annotation in SIMPLE:
            return self.by_class(annotation, where, config)
        self.note(where, "type", f"{annotation} is not known; any type is accepted")
        return {}

    def of_constants(self, values: list[Any], where: str) -> Schema:
        plain = [value.value if isinstance(value, enum.Enum) else value for value in values]
        if not all(isinstance(value, (str, int, float, bool, type(None))) for value in plain):
            self.note(where, "type", "constants of such types are not checked")
            return {}
        return of_values([value for value in plain])

    def by_origin(self, annotation: Any, origin: Any, arguments: tuple[Any, ...], where: str,
                  config: Mapping[str, Any]) -> Schema:
        if origin in (type, Callable):
            self.note(where, "type", f"{annotation} cannot be stored")
            return {}
        if not isinstance(origin, type):
            self.note(where, "type", f"{annotation} is not known; any type is accepted")
            return {}
        if issubclass(origin, tuple):
            return self.tuple_schema(arguments, where, config)
        if issubclass(origin, Mapping):
            return self.dict_schema(arguments, where, config)
        if issubclass(origin, (list, set, frozenset)) or hasattr(origin, "__iter__"):
            item = self.item(arguments, 0, f"{where}[]", config)
            out: Schema = {"bsonType": "array"}
            if item:
                out["items"] = item
            if issubclass(origin, (set, frozenset, typing.AbstractSet)) and exact_items(arguments):
                out["uniqueItems"] = True
            return out
        if issubclass(origin, BaseModel):
            return self.model_schema(annotation, where)
        if origin is re.Pattern:
            return {"bsonType": "regex"}
        self.note(where, "type", f"{annotation} is not known; any type is accepted")
        return {}

    def item(self, arguments: tuple[Any, ...], index: int, where: str, config: Mapping[str, Any]) -> Schema:
        if index >= len(arguments):
            return {}
        return self.of(arguments[index], [], where, config) or {}

    def tuple_schema(self, arguments: tuple[Any, ...], where: str, config: Mapping[str, Any]) -> Schema:
        if not arguments:
            return {"bsonType": "array"}
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            item = self.item(arguments, 0, f"{where}[]", config)
            return {"bsonType": "array", "items": item} if item else {"bsonType": "array"}
        count = 0 if arguments == ((),) else len(arguments)
        items = [self.item(arguments, i, f"{where}[{i}]", config) for i in range(count)]
        out: Schema = {"bsonType": "array", "minItems": count, "maxItems": count}
        return {**out, "items": items} if items else out

    def dict_schema(self, arguments: tuple[Any, ...], where: str, config: Mapping[str, Any]) -> Schema:
        out: Schema = {"bsonType": "object"}
        if arguments:
            key, metadata = unwrap(arguments[0], [])
            if key not in (str, Any) or metadata:
                self.note(where, "key", f"keys are not checked to be {getattr(key, '__name__', key)}")
        item = self.item(arguments, 1, f"{where}.*", config)
        return {**out, "additionalProperties": item} if item else out

    def by_class(self, cls: Any, where: str, config: Mapping[str, Any]) -> Schema:
        if cls in SIMPLE:
            if cls in CHECKED_IN_PYTHON:
                self.note(where, "bound", CHECKED_IN_PYTHON[cls])
            return dict(SIMPLE[cls])
        if issubclass(cls, enum.Enum):
            return self.of_constants(list(cls), where)
        if issubclass(cls, BaseModel):
            if issubclass(cls, pydantic.RootModel):
                field = cls.model_fields["root"]
                self.note_validators(cls, where)
                return self.of(field.annotation, list(field.metadata), where, cls.model_config) or {}
            return self.model_schema(cls, where)
        if issubclass(cls, bson.ObjectId):
            return {"bsonType": "objectId"}
        if issubclass(cls, STORED_AS_TEXT):
            if not issubclass(cls, (pydantic.SecretStr, pathlib.PurePath)):
                self.note(where, "validator", f"that it is a {cls.__name__} is checked in Python")
            return {"bsonType": "string"}
        if issubclass(cls, decimal.Decimal):
            return dict(FINITE_DECIMAL)
        for base, types_ in ((str, "string"), (int, ["int", "long"])):
            if issubclass(cls, base):
                return {"bsonType": types_}
        if issubclass(cls, float):
            return self.float_schema(config)
        if issubclass(cls, tuple) and hasattr(cls, "_fields"):
            self.note(where, "type", "the items of a named tuple are not checked")
            return {"bsonType": "array", "minItems": len(cls._fields), "maxItems": len(cls._fields)}
        if issubclass(cls, (list, tuple, set, frozenset)):
            return {"bsonType": "array"}
        if issubclass(cls, Mapping) or typing_extensions.is_typeddict(cls):
            if cls is not dict:
                self.note(where, "type", f"the fields of {cls.__name__} are not checked")
            return {"bsonType": "object"}
        for base in SIMPLE:
            if isinstance(base, type) and base is not object and issubclass(cls, base):
                return dict(SIMPLE[base])
        self.note(where, "type", f"{cls.__name__} is not known; any type is accepted")
        return {}

    @staticmethod
    def float_schema(config: Mapping[str, Any]) -> Schema:
        if config.get("allow_inf_nan") is False:
            return {"bsonType": "double", "minimum": -LARGEST, "maximum": LARGEST}
        return {"bsonType": "double"}

    # ---- constraints ---------------------------------------------------------------------------

    def with_constraints(self, annotation: Any, schema: Schema, metadata: list[Any], where: str,
                         config: Mapping[str, Any]) -> Schema:
        for one in flatten(metadata):
            schema = self.constrain(annotation, schema, one, where, config)
        return schema

    def constrain(self, annotation: Any, schema: Schema, one: Any, where: str, config: Mapping[str, Any]) -> Schema:
        if isinstance(one, (pydantic.BeforeValidator, pydantic.AfterValidator, pydantic.WrapValidator,
                            pydantic.PlainValidator)):
            return self.note_function(schema, one, where)
        if isinstance(one, (annotated_types.Ge, annotated_types.Gt, annotated_types.Le, annotated_types.Lt)):
            return self.bound(annotation, schema, one, where)
        if isinstance(one, (annotated_types.MinLen, annotated_types.MaxLen)):
            return self.length(schema, one, where)
        if isinstance(one, annotated_types.MultipleOf):
            if schema.get("bsonType") == ["int", "long"]:
                return {**schema, "multipleOf": one.multiple_of}
            self.note(where, "bound", "multiple_of of a number that is no integer is checked in Python")
            return schema
        if isinstance(one, annotated_types.Predicate):
            self.note(where, "validator", f"{one.func} runs in Python")
            return schema
        for name, value in vars(one).items() if hasattr(one, "__dict__") else ():
            schema = self.general(schema, name, value, where, config)
        return schema

    def note_function(self, schema: Schema, one: Any, where: str) -> Schema:
        function = one.func
        if getattr(function, "__module__", "").startswith("beanie."):
            return schema
        name = getattr(function, "__qualname__", repr(function))
        self.note(where, "validator", f"{name} runs in Python")
        return {} if isinstance(one, pydantic.PlainValidator) else schema

    def bound(self, annotation: Any, schema: Schema, one: Any, where: str) -> Schema:
        is_number = isinstance(annotation, type) and issubclass(annotation, (int, float, decimal.Decimal))
        value = next(iter(vars(one).values()) if hasattr(one, "__dict__") else
                     (getattr(one, key) for key in ("ge", "gt", "le", "lt") if hasattr(one, key)))
        if isinstance(value, decimal.Decimal):
            value = bson.Decimal128(value)
        fits = not isinstance(value, int) or -(2**63) <= value < 2**63
        if not is_number or not isinstance(value, (int, float, bson.Decimal128)) or not fits:
            self.note(where, "bound", f"{one} is checked in Python")
            return schema
        low = isinstance(one, (annotated_types.Ge, annotated_types.Gt))
        key, flag = ("minimum", "exclusiveMinimum") if low else ("maximum", "exclusiveMaximum")
        if key in schema and not is_outermost(schema[key]):
            return {"allOf": [schema, {key: value, **({flag: True} if type(one).__name__ in ("Gt", "Lt") else {})}]}
        out = {**schema, key: value}
        if isinstance(one, (annotated_types.Gt, annotated_types.Lt)):
            out[flag] = True
        return out

    def length(self, schema: Schema, one: Any, where: str) -> Schema:
        low = isinstance(one, annotated_types.MinLen)
        value = one.min_length if low else one.max_length
        words = {"string": ("minLength", "maxLength"), "array": ("minItems", "maxItems"),
                 "object": ("minProperties", "maxProperties")}
        kind = schema.get("bsonType")
        pair = words.get(kind) if isinstance(kind, str) else None
        if pair is None:
            self.note(where, "bound", f"{one} is checked in Python")
            return schema
        return {**schema, pair[0 if low else 1]: value}

    def general(self, schema: Schema, name: str, value: Any, where: str, config: Mapping[str, Any]) -> Schema:
        if value is None or value is False and name != "allow_inf_nan":
            return schema
        if name in ("min_length", "max_length"):
            kind = annotated_types.MinLen if name == "min_length" else annotated_types.MaxLen
            return self.length(schema, kind(value), where)
        if name == "pattern":
            return self.pattern(schema, value, where, config)
        if name == "allow_inf_nan":
            if value is False and schema.get("bsonType") == "double":
                return {"minimum": -LARGEST, "maximum": LARGEST, **schema}
            return schema
        if name in ("strip_whitespace", "to_lower", "to_upper"):
            self.note(where, "transform", f"{name} changes the string in Python")
        elif name in ("max_digits", "decimal_places", "uuid_version", "fail_fast", "ascii_only"):
            self.note(where, "bound", f"{name} is checked in Python")
        return schema

    def pattern(self, schema: Schema, value: Any, where: str, config: Mapping[str, Any]) -> Schema:
        text = value if isinstance(value, str) else None
        translated = None
        if text is not None and config.get("regex_engine", "rust-regex") == "rust-regex":
            translated = to_pcre(text)
        if translated is None or schema.get("bsonType") != "string":
            self.note(where, "pattern", f"{value!r} is checked in Python")
            return schema
        return {**schema, "pattern": translated}


def is_outermost(value: Any) -> bool:
    """Whether a bound only says that the number is finite."""
    if isinstance(value, bson.Decimal128):
        return str(value).endswith(LARGEST_DECIMAL)
    return abs(value) == LARGEST


def unwrap(annotation: Any, metadata: list[Any]) -> tuple[Any, list[Any]]:
    """Through Annotated, NewType, type aliases and bounds of type variables."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            metadata = [*more, *metadata]
        elif isinstance(annotation, typing_extensions.TypeAliasType) or hasattr(annotation, "__value__"):
            annotation = annotation.__value__
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif isinstance(annotation, typing.TypeVar):
            annotation = annotation.__bound__ or Any
        else:
            return annotation, metadata


def flatten(metadata: list[Any]) -> list[Any]:
    """Grouped constraints (Interval, Len) as single ones; a FieldInfo's own metadata."""
    out: list[Any] = []
    for one in metadata:
        if isinstance(one, FieldInfo):
            out += flatten(list(one.metadata))
        elif isinstance(one, annotated_types.GroupedMetadata) and not isinstance(one, pydantic.StringConstraints):
            out += flatten(list(one))
        else:
            out.append(one)
    return out


def exact_items(arguments: tuple[Any, ...]) -> bool:
    item, _ = unwrap(arguments[0], []) if arguments else (None, [])
    if not isinstance(item, type) or item is bool:
        return False
    return issubclass(item, EXACT_ITEMS) or item is int
