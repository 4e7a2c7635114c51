"""Reads the fields of a pydantic model and makes the schema of the form that Beanie stores."""

from __future__ import annotations

import datetime
import decimal
import enum
import ipaddress
import pathlib
import re
import sys
import types
import typing
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Protocol, Union, get_args, get_origin

import annotated_types
import bson
import pydantic
import typing_extensions
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from mongosluice.export import constraints, values
from mongosluice.export.constraints import DECIMAL, FINITE_DECIMAL
from mongosluice.export.definitions import Definitions
from mongosluice.export.enums import enum_schema
from mongosluice.export.patterns import to_pcre
from mongosluice.export.results import SAME, UNKNOWN, result_of
from mongosluice.export.schema import (
    Note,
    Schema,
    accepts,
    any_of,
    element_type,
    is_class,
    of_values,
    with_null,
)

INTEGER: Schema = {"bsonType": ["int", "long"]}
# People assign an int to a float field. Beanie stores the int, and pydantic reads it as a float.
FLOAT: Schema = {"bsonType": ["double", "int", "long"]}
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
FUNCTIONS = (pydantic.BeforeValidator, pydantic.AfterValidator, pydantic.WrapValidator, pydantic.PlainValidator)
# Checks without a `$jsonSchema` keyword.
CHECKED_IN_PYTHON = {
    datetime.date: "that there is no time of day is checked in Python",
    uuid.UUID: "that the binary is a UUID is checked in Python",
}
STORED_AS_TEXT = (
    pydantic.SecretStr, pathlib.PurePath, ipaddress.IPv4Address, ipaddress.IPv4Interface,
    ipaddress.IPv4Network, ipaddress.IPv6Address, ipaddress.IPv6Interface, ipaddress.IPv6Network,
    pydantic.AnyUrl, pydantic.EmailStr,
)
# For these types, equality in Python and in BSON agree, so that a set is an array without equal items.
EXACT_ITEMS = (str, uuid.UUID, bson.ObjectId, enum.Enum, bytes)


class Links(Protocol):
    """The schemas of the values that an ODM stores for other documents; None: the ODM has no such value here."""

    def field(self, exporter: Exporter, cls: type[BaseModel], stored: str, field: FieldInfo) -> Schema | None: ...

    def value(self, exporter: Exporter, annotation: Any, where: str) -> Schema | None: ...


NOT_STORED: Schema = {"not": {}}  # Links reports it for a field


class Exporter:
    """Reads one model. `stored` gives the stored form of a default, or raises NotStorable. With `dumps`, the
        documents are the results of model_dump()."""

    def __init__(self, model: str, keep_nulls: bool = True, encoders: Mapping[Any, Any] | None = None,
                 links: Links | None = None, heeds_exclude: bool = True, dumps: bool = False):
        self.model = model
        self.keep_nulls = keep_nulls
        self.encoders = encoders or {}
        self.links = links
        self.heeds_exclude = heeds_exclude
        self.dumps = dumps
        self.notes: list[Note] = []
        self.definitions = Definitions()

    def note(self, path: str, kind: str, text: str) -> None:
        note = Note(self.model, path, kind, text)
        if note not in self.notes:
            self.notes.append(note)

    def defined(self, what: Any, name: str, marks: Schema, make: Callable[[], Schema], whole: bool = False) -> Schema:
        """The result of `make`, or a reference if it occurs within itself."""
        return self.definitions.of(self.key_of(what), name, marks, make, whole)

    def key_of(self, what: Any) -> Any:
        return what, id(self.encoders), self.keep_nulls

    def finished(self, schema: Schema) -> Schema:
        """The whole schema, with the definitions that it refers to."""
        return constraints.as_read(self.definitions.attached(schema, lambda name: self.note(
            "", "depth", f"{name} only leads to itself; any type is accepted")))

    def accepts(self, schema: Schema, value: Any, otherwise: bool = False) -> bool:
        return accepts(schema, value, self.definitions.target, otherwise)

    # ---- models --------------------------------------------------------------------------------

    def model_schema(self, cls: type[BaseModel], path: str = "") -> Schema:
        complete(cls)
        anything = self.dumps and cls.__pydantic_decorators__.model_serializers
        return self.defined(cls, cls.__name__, {} if anything else {"bsonType": "object"},
                            lambda: self.model_body(cls, path), whole=not path)

    def model_body(self, cls: type[BaseModel], path: str) -> Schema:
        properties, required = self.fields(cls, path)
        self.note_validators(cls, path)
        out: Schema = {"bsonType": "object"}
        if required:
            out["required"] = required
        if properties:
            out["properties"] = properties
        return self.dumped(cls, self.with_extra(cls, out, path), path) if self.dumps else self.with_extra(cls, out, path)

    def fields(self, cls: type[BaseModel], path: str) -> tuple[dict[str, Schema], list[str]]:
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
            if field.is_required() and (self.keep_nulls or not self.accepts(schema, None, otherwise=True)):
                required.append(stored)
        return properties, required

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
        whole: list[Any] = [*decorators.model_validators.values(), *decorators.root_validators.values()]
        for one in whole:
            function = getattr(one.func, "__func__", one.func)
            if not function.__module__.startswith("beanie."):
                self.note(path, "validator", f"{one.cls_var_name} looks at the whole model, in Python")
        for key in ("str_strip_whitespace", "str_to_lower", "str_to_upper"):
            if cls.model_config.get(key):
                self.note(path, "transform", f"the model's {key} changes strings in Python")
        for key in ("str_min_length", "str_max_length"):
            if cls.model_config.get(key):
                self.note(path, "bound", f"the model's {key} is checked in Python")

    def field_schema(self, cls: type[BaseModel], name: str, field: FieldInfo, where: str) -> Schema | None:
        if isinstance(field.validation_alias, str) and field.validation_alias != (field.alias or name):
            by_name = cls.model_config.get("populate_by_name") or cls.model_config.get("validate_by_name")
            self.note(where, "key", f"stored under this name, given as {field.validation_alias}"
                      + ("" if by_name else "; what is stored cannot be read back"))
        metadata = list(field.metadata)
        if field.discriminator is not None:
            metadata.append(pydantic.Discriminator(field.discriminator)
                            if isinstance(field.discriminator, str) else field.discriminator)
        linked = self.links.field(self, cls, field.alias or name, field) if self.links is not None else None
        if linked == NOT_STORED:
            return None
        if linked is None:
            schema = self.of(field.annotation, metadata, where, cls.model_config)
        else:
            if skips_validation(metadata):
                linked = with_null(linked)
            schema = self.with_constraints(field.annotation, linked, metadata, where, cls.model_config)
        schema = self.after_decorators(cls, name, field, schema, where)
        schema = self.with_default(cls, field, schema, where)
        return self.serialized(cls, name, schema, where) if self.dumps else schema

    def after_decorators(self, cls: type[BaseModel], name: str, field: FieldInfo, schema: Schema, where: str) -> Schema:
        decorators = cls.__pydantic_decorators__
        found: list[Any] = [*decorators.validators.values(), *decorators.field_validators.values()]
        for one in found:
            if name not in one.info.fields and "*" not in one.info.fields:
                continue
            self.note(where, "validator", f"{one.cls_var_name} ({one.info.mode}) runs in Python")
            schema = self.after(one.info.mode, one.func, field.annotation, schema, where, cls.model_config)
        return schema

    def with_default(self, cls: type[BaseModel], field: FieldInfo, schema: Schema, where: str) -> Schema:
        """pydantic does not check defaults, so a default value must be storable."""
        if not schema:
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
            stored = values.as_bson(self.stored(default))
        except values.NotStorable:
            return schema  # in this case, no document holds it
        if self.accepts(schema, stored):
            return schema
        if field.validate_default or (field.validate_default is None and cls.model_config.get("validate_default")):
            return schema
        if stored is None:
            return with_null(schema)
        self.note(where, "default", f"{default!r} does not satisfy the field itself; it is accepted as well")
        return any_of([schema, {"bsonType": element_type(stored), "enum": [stored]}])

    def stored(self, value: Any) -> Any:
        encoder = encoder_of(type(value), self.encoders)
        return encoder(value) if encoder is not None else values.encode(value, self.keep_nulls, self.stored)

    # ---- types ---------------------------------------------------------------------------------

    def of(self, annotation: Any, metadata: list[Any], where: str, config: Mapping[str, Any]) -> Schema:
        """The schema of a type, and of the metadata beside it."""
        passed: list[Any] = []
        more = beside_alias(annotation, metadata)
        annotation, metadata = unwrap(annotation, metadata, passed)
        metadata = list(flatten(metadata))
        if skips_validation(metadata):
            return {}
        if not passed:
            return self.of_known(annotation, metadata, where, config)
        alias, own = passed[0], not more
        schema = self.defined(alias, str(alias), {}, lambda: self.of_known(annotation, metadata, where, config), not own)
        if not own and self.definitions.is_named(self.key_of(alias)):  # within itself, it has no metadata from here
            self.defined(alias, str(alias), {}, lambda: self.of(alias_value(alias), [], where, config))
        return schema

    def of_known(self, annotation: Any, metadata: list[Any], where: str, config: Mapping[str, Any]) -> Schema:
        schema = self.encoded_by_user(annotation, where)
        if schema is not None:
            return self.with_functions(annotation, schema, metadata, where, config)
        if self.links is not None:
            schema = self.links.value(self, annotation, where)
        if schema is None:
            schema = self.by_type(annotation, where, config, tag_in(metadata))
        return self.with_constraints(annotation, schema, metadata, where, config)

    def encoded_by_user(self, annotation: Any, where: str) -> Schema | None:
        """The result of Settings.bson_encoders for the type, if there is one."""
        if get_origin(annotation) in (Literal, typing_extensions.Literal):
            kinds = {type(one) for one in get_args(annotation)}
        else:
            origin = get_origin(annotation)
            kinds = {origin if is_class(origin) else annotation if annotation is not None else type(None)}
        found = [encoder_of(kind, self.encoders) if is_class(kind) else None for kind in kinds]
        if not any(found):
            return None
        schema = any_of([self.made_by(encoder, where) for encoder in found]) if all(found) else {}
        self.note(where, "type", "Settings.bson_encoders makes something else of it; "
                  + ("only the type of that is checked" if schema else "any type is accepted"))
        return schema

    def made_by(self, encoder: Any, where: str) -> Schema:
        if encoder in (str, int, float, bool, bson.Decimal128, list, sorted):
            return self.by_type(list if encoder is sorted else encoder, where, {})
        returns = getattr(encoder, "__annotations__", {}).get("return")
        return self.by_type(returns, where, {}) if is_class(returns) else {}

    def with_functions(self, annotation: Any, schema: Schema, metadata: list[Any], where: str, config: Mapping[str, Any]) -> Schema:
        """For a value that is stored as another value: constraints on the one do not hold for the other, but a function
        may make a value of another type, which is not encoded."""
        for one in metadata:
            if isinstance(one, FUNCTIONS):
                schema = self.constrain(annotation, schema, one, where, config)
            elif not isinstance(one, (FieldInfo, pydantic.Discriminator)) and getattr(one, "__dict__", one) != {}:
                self.note(where, "bound", f"{one} is checked in Python")
        return schema

    def by_type(self, annotation: Any, where: str, config: Mapping[str, Any], tag: str | None = None) -> Schema:
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin in (Union, types.UnionType):
            if tag is None:
                return any_of([self.of(one, [], where, config) for one in arguments])
            return any_of([self.tagged(one, where, config, tag) for one in arguments])
        if origin in (Literal, typing_extensions.Literal):
            return self.of_constants(list(arguments), where)
        if origin is not None and not is_class(annotation):
            return self.by_origin(annotation, origin, arguments, where, config)
        if is_class(annotation) or annotation in SIMPLE:
            return self.by_class(annotation, where, config)
        self.note(where, "type", f"{annotation} is not known; any type is accepted")
        return {}

    def tagged(self, annotation: Any, where: str, config: Mapping[str, Any], tag: str) -> Schema:
        """A member of a discriminated union. pydantic requires its tag, even if the tag has a default."""
        inner, metadata = unwrap(annotation, [])
        if get_origin(inner) in (Union, types.UnionType):
            own = tag_in(list(flatten(metadata))) or tag
            return any_of([self.tagged(one, where, config, own) for one in get_args(inner)])
        schema = self.of(annotation, [], where, config)
        field = inner.model_fields.get(tag) if is_class(inner) and issubclass(inner, BaseModel) else None
        stored = (field.alias if field is not None else None) or tag
        target = self.definitions.target(schema)
        if target is None:  # the model is being expanded
            known, needed = field is not None and not (self.heeds_exclude and field.exclude is True), False
        else:
            known, needed = stored in target.get("properties", {}), stored in target.get("required", ())
        if not known or needed or "bsonType" not in schema:
            return schema
        required = [stored, *schema.get("required", ())]
        return {"bsonType": schema["bsonType"], "required": required,
                **{key: value for key, value in schema.items() if key not in ("bsonType", "required")}}

    def of_constants(self, constants: list[Any], where: str) -> Schema:
        plain = [value.value if isinstance(value, enum.Enum) else value for value in constants]
        if not all(isinstance(value, (str, int, float, bool, type(None))) for value in plain):
            self.note(where, "type", "constants of such types are not checked")
            return {}
        return of_values(plain)

    def by_origin(self, annotation: Any, origin: Any, arguments: tuple[Any, ...], where: str,
                  config: Mapping[str, Any]) -> Schema:
        if not is_class(origin) or origin is type:
            self.note(where, "type", f"{annotation} is not known; any type is accepted")
            return {}
        if issubclass(origin, tuple):
            return self.tuple_schema(arguments, where, config)
        if issubclass(origin, Counter):
            return self.dict_schema((*arguments, int), where, config)
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
        return self.of(arguments[index], [], where, config) if index < len(arguments) else {}

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
            flags = enum_schema(cls)
            return self.of_constants(list(cls), where) if flags is None else flags
        if issubclass(cls, BaseModel):
            return self.root_schema(cls, where) if issubclass(cls, pydantic.RootModel) else self.model_schema(cls, where)
        if issubclass(cls, bson.ObjectId):
            return {"bsonType": "objectId"}
        if issubclass(cls, STORED_AS_TEXT):
            if not issubclass(cls, (pydantic.SecretStr, pathlib.PurePath)):
                self.note(where, "validator", f"that it is a {cls.__name__} is checked in Python")
            return {"bsonType": "string"}
        if issubclass(cls, decimal.Decimal):
            schema = dict(DECIMAL if config.get("allow_inf_nan") else FINITE_DECIMAL)
            return constraints.decimals_only(schema) if config.get("strict") else schema
        for base, schema in ((str, {"bsonType": "string"}), (int, INTEGER)):
            if issubclass(cls, base):
                return dict(schema)
        if issubclass(cls, float):
            return constraints.finite(FLOAT) if config.get("allow_inf_nan") is False else dict(FLOAT)
        return self.by_container(cls, where, config)

    def root_schema(self, cls: type[BaseModel], where: str) -> Schema:
        complete(cls)
        return self.defined(cls, cls.__name__, {}, lambda: self.root_body(cls, where))

    def root_body(self, cls: type[BaseModel], where: str) -> Schema:
        field = cls.model_fields["root"]
        self.note_validators(cls, where)
        schema = self.of(field.annotation, list(field.metadata), where, cls.model_config)
        return self.after_decorators(cls, "root", field, schema, where)

    def by_container(self, cls: Any, where: str, config: Mapping[str, Any]) -> Schema:
        if issubclass(cls, tuple) and hasattr(cls, "_fields"):
            self.note(where, "type", "the items of a named tuple are not checked")
            return {"bsonType": "array", "minItems": len(cls._fields), "maxItems": len(cls._fields)}
        if issubclass(cls, (list, tuple, set, frozenset)):
            return {"bsonType": "array"}
        if issubclass(cls, Counter):
            return self.dict_schema((Any, int), where, config)
        if typing_extensions.is_typeddict(cls):
            self.note(where, "type", f"the fields of {cls.__name__} are not checked")
            return {"bsonType": "object"}
        if issubclass(cls, Mapping):
            return {"bsonType": "object"}
        for base in SIMPLE:
            if is_class(base) and base is not object and issubclass(cls, base):
                return dict(SIMPLE[base])
        self.note(where, "type", f"{cls.__name__} is not known; any type is accepted")
        return {}

    # ---- constraints ---------------------------------------------------------------------------

    def with_constraints(self, annotation: Any, schema: Schema, metadata: Iterable[Any], where: str,
                         config: Mapping[str, Any]) -> Schema:
        for one in flatten(metadata):
            schema = self.constrain(annotation, schema, one, where, config)
        return schema

    def constrain(self, annotation: Any, schema: Schema, one: Any, where: str, config: Mapping[str, Any]) -> Schema:
        for kind, mode in ((pydantic.BeforeValidator, "before"), (pydantic.AfterValidator, "after"),
                           (pydantic.WrapValidator, "wrap"), (pydantic.PlainValidator, "plain")):
            if isinstance(one, kind):
                return self.by_function(annotation, schema, one.func, mode, where, config)
        if isinstance(one, (annotated_types.Ge, annotated_types.Gt, annotated_types.Le, annotated_types.Lt)):
            return self.noted(constraints.bound(schema, one), where, "bound", f"{one} is checked in Python")
        if isinstance(one, (annotated_types.MinLen, annotated_types.MaxLen)):
            return self.noted(constraints.length(schema, one), where, "bound", f"{one} is checked in Python")
        if isinstance(one, annotated_types.MultipleOf):
            return self.noted(constraints.multiple_of(schema, one.multiple_of), where, "bound",
                              "multiple_of of a number that is no integer is checked in Python")
        if isinstance(one, pydantic.Strict):
            return constraints.decimals_only(schema) if one.strict else schema
        if isinstance(one, annotated_types.Predicate):
            self.note(where, "validator", f"{one.func} runs in Python")
            return schema
        if isinstance(one, (pydantic.PlainSerializer, pydantic.WrapSerializer)):
            return self.by_serializer(schema, one.func, one.when_used, where, config) if self.dumps else schema
        if isinstance(one, pydantic.Discriminator):
            if not isinstance(one.discriminator, str):
                self.note(where, "validator", "the discriminator is a function; any of the alternatives is accepted")
            return schema
        for name, value in vars(one).items() if hasattr(one, "__dict__") else ():
            schema = self.general(schema, name, value, where, config)
        return schema

    def noted(self, changed: tuple[Schema, bool], where: str, kind: str, text: str) -> Schema:
        schema, left = changed
        if left:
            self.note(where, kind, text)
        return schema

    def by_function(self, annotation: Any, schema: Schema, function: Any, mode: str, where: str,
                    config: Mapping[str, Any]) -> Schema:
        if (getattr(function, "__module__", None) or "").startswith("beanie."):
            return schema
        self.note(where, "validator", f"{getattr(function, '__qualname__', repr(function))} runs in Python")
        return self.after(mode, function, annotation, schema, where, config)

    def after(self, mode: str, function: Any, annotation: Any, schema: Schema, where: str,
              config: Mapping[str, Any]) -> Schema:
        """The schema of a validator's result, for values that satisfy the schema."""
        if mode == "before":
            return schema
        result = result_of(function, annotation)
        if mode == "after" and (result is SAME or (result is not UNKNOWN and result == unwrap(annotation, [])[0])):
            return schema
        return {} if result in (SAME, UNKNOWN) else self.of(result, [], where, config)

    def general(self, schema: Schema, name: str, value: Any, where: str, config: Mapping[str, Any]) -> Schema:
        if value is None or value is False and name != "allow_inf_nan":
            return schema
        if name in ("min_length", "max_length"):
            kind = annotated_types.MinLen if name == "min_length" else annotated_types.MaxLen
            return self.noted(constraints.length(schema, kind(value)), where, "bound", f"{name} is checked in Python")
        if name == "pattern":
            return self.pattern(schema, value, where, config)
        if name == "allow_inf_nan":
            return constraints.infinite(schema) if value else constraints.finite(schema)
        if name in ("strip_whitespace", "to_lower", "to_upper"):
            self.note(where, "transform", f"{name} changes the string in Python")
        elif name in ("max_digits", "decimal_places", "uuid_version", "fail_fast", "ascii_only"):
            self.note(where, "bound", f"{name} is checked in Python")
        return schema

    def pattern(self, schema: Schema, value: Any, where: str, config: Mapping[str, Any]) -> Schema:
        is_rust = config.get("regex_engine", "rust-regex") == "rust-regex"
        translated = to_pcre(value) if isinstance(value, str) and is_rust else None
        changed = (schema, True) if translated is None else constraints.pattern(schema, translated)
        return self.noted(changed, where, "pattern", f"{value!r} is checked in Python")

    # ---- serializers, for models that their users dump -----------------------------------------

    def serialized(self, cls: type[BaseModel], name: str, schema: Schema, where: str) -> Schema:
        for one in cls.__pydantic_decorators__.field_serializers.values():
            if name in one.info.fields or "*" in one.info.fields:
                schema = self.by_serializer(schema, one.func, one.info.when_used, where, cls.model_config)
        return schema

    def by_serializer(self, schema: Schema, function: Any, when_used: str, where: str,
                      config: Mapping[str, Any]) -> Schema:
        if when_used.startswith("json"):
            return schema
        function = getattr(function, "__func__", function)
        self.note(where, "serializer", f"{getattr(function, '__qualname__', function)} makes what model_dump() gives")
        result = result_of(function, None)
        made = {} if result in (SAME, UNKNOWN) else self.of(result, [], where, config)
        return with_null(made) if when_used == "unless-none" and self.accepts(schema, None, otherwise=True) else made

    def dumped(self, cls: type[BaseModel], schema: Schema, path: str) -> Schema:
        """The schema with the fields that model_dump() adds."""
        decorators = cls.__pydantic_decorators__
        for name, computed in decorators.computed_fields.items():
            where = f"{path}.{name}" if path else name
            self.note(where, "serializer", "a computed field: what model_dump() gives is not read by the model")
            made = self.of(computed.info.return_type, [], where, cls.model_config)
            schema = {**schema, "properties": {**schema.get("properties", {}), name: made}}
        for one in decorators.model_serializers.values():
            self.note(path, "serializer", f"{one.cls_var_name} makes what model_dump() gives; any document is accepted")
            schema = {"bsonType": "object"} if not path else {}
        return schema


def complete(cls: type[BaseModel]) -> None:
    if not cls.__pydantic_complete__:
        cls.model_rebuild()


def encoder_of(cls: type, encoders: Mapping[Any, Any]) -> Any:
    """Looks the type up in Beanie's way: the exact class before its bases."""
    exact = encoders.get(cls)
    if exact is not None:
        return exact
    return next((one for base, one in encoders.items() if is_class(base) and issubclass(cls, base)), None)


def skips_validation(metadata: Iterable[Any]) -> bool:
    return any(one is pydantic.SkipValidation or isinstance(one, pydantic.SkipValidation) for one in flatten(metadata))


def tag_in(metadata: Iterable[Any]) -> str | None:
    """The name of the field that distinguishes the members of a union."""
    for one in metadata:
        if isinstance(one, pydantic.Discriminator) and isinstance(one.discriminator, str):
            return one.discriminator
    return None


def unwrap(annotation: Any, metadata: list[Any], passed: list[Any] | None = None) -> tuple[Any, list[Any]]:
    """The type behind Annotated, NewType, type aliases and bounds of type variables. `passed` gets the aliases."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            metadata = [*more, *metadata]
        elif isinstance(annotation, typing_extensions.TypeAliasType) or hasattr(annotation, "__value__"):
            if passed is not None:
                passed.append(annotation)
            annotation = alias_value(annotation)
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif isinstance(annotation, typing.TypeVar):
            annotation = annotation.__bound__ or (Union[annotation.__constraints__] if annotation.__constraints__ else Any)
        else:
            return annotation, metadata


def beside_alias(annotation: Any, metadata: list[Any]) -> list[Any]:
    """The metadata of a type alias at its use; empty if there is none."""
    while get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        metadata = [*more, *metadata]
    return metadata


def alias_value(alias: Any) -> Any:
    """Resolves the names in a type alias in its own module. Names that are not found stay unchanged."""
    arguments = get_args(alias)
    value = alias.__value__[arguments] if arguments else alias.__value__
    names = vars(sys.modules.get(alias.__module__, typing))
    try:
        return typing.get_type_hints(types.SimpleNamespace(__annotations__={"": value}), names, include_extras=True)[""]
    except (NameError, TypeError):
        return value


def flatten(metadata: Iterable[Any]) -> Iterator[Any]:
    """Splits grouped constraints (Interval, Len) into single ones, and returns a FieldInfo's own metadata."""
    for one in metadata:
        if isinstance(one, FieldInfo):
            yield from flatten(one.metadata)
            if one.discriminator is not None:
                yield (pydantic.Discriminator(one.discriminator) if isinstance(one.discriminator, str)
                       else one.discriminator)
        elif isinstance(one, annotated_types.GroupedMetadata) and not isinstance(one, pydantic.StringConstraints):
            yield from flatten(one)
        else:
            yield one


def exact_items(arguments: tuple[Any, ...]) -> bool:
    item, _ = unwrap(arguments[0], []) if arguments else (None, [])
    if not is_class(item) or item is bool:
        return False
    return issubclass(item, EXACT_ITEMS) or item is int
