"""Plans how the C extension makes the instances of a pydantic model without pydantic.

The plan comes from the schema that pydantic-core runs, not from annotations. For each field, the extension gets
the values that it may accept unchanged (the exact type, bounds, lengths). For all other values it gets the
field's own pydantic-core validator. A model that cannot be split into fields is left to pydantic."""

from __future__ import annotations

import copy
import datetime
import decimal
import enum
import uuid
from collections.abc import Iterator
from typing import Any

import bson
from pydantic import BaseModel
from pydantic_core import PydanticUndefined, SchemaValidator

from mongosluice.offload.beanie.simple_patterns import compile_pattern
from mongosluice.offload.extension import shared

GENERIC, ANY, STR, INT, FLOAT, BOOL, EXACT, OBJECT_ID, LIST, DICT, MODEL, LITERAL = shared(
    "NODE_", "GENERIC", "ANY", "STR", "INT", "FLOAT", "BOOL", "EXACT", "OBJECT_ID", "LIST", "DICT", "MODEL", "LITERAL")
NO_DEFAULT, VALUE, FACTORY, COPY = shared("DEFAULT_", "NONE", "VALUE", "FACTORY", "COPY")

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
NO_BOUNDS = (None, None, False, False, False)
NO_NODE = (GENERIC, None, None, NO_BOUNDS, -1, -1)
# Settings of a model that do not affect valid values.
HARMLESS_CONFIG = {
    "title", "extra", "populate_by_name", "validate_by_name", "validate_by_alias", "alias_generator",
    "json_schema_extra", "json_encoders", "arbitrary_types_allowed", "frozen", "use_attribute_docstrings",
    "from_attributes", "validate_assignment", "ser_json_timedelta", "ser_json_bytes", "ser_json_temporal",
    "ser_json_inf_nan", "val_json_bytes", "protected_namespaces", "hide_input_in_errors", "loc_by_alias",
    "json_schema_serialization_defaults_required", "json_schema_mode_override", "strict", "defer_build",
    "use_enum_values", "allow_inf_nan", "regex_engine", "plugin_settings", "serialize_by_alias",
    "coerce_numbers_to_str", "cache_strings", "model_title_generator", "field_title_generator",
    "schema_generator", "ignored_types", "str_min_length", "str_max_length", "validation_error_cause",
}
# Libraries whose functions in a schema have no side effects.
LIBRARIES = ("beanie.", "pydantic.", "pydantic_core.", "bson.", "pydantic_extra_types.")
FUNCTIONS = {"function-before", "function-after", "function-wrap", "function-plain"}
IMMUTABLE = (
    str, int, float, bool, bytes, type(None), decimal.Decimal, datetime.date, datetime.timedelta,
    uuid.UUID, bson.ObjectId, enum.Enum,
)


class NotBuildable(Exception):
    """Pydantic must make the instances; the argument is a sentence for the report."""


def functions_in(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every validating function, with the name of its field."""
    stack: list[tuple[str, Any]] = [("", schema)]
    while stack:
        where, part = stack.pop()
        if isinstance(part, (list, tuple)):
            stack.extend((where, item) for item in part)
        if not isinstance(part, dict):
            continue
        if part.get("type") in FUNCTIONS:
            yield where, part["function"]["function"]
        if part.get("type") == "model-fields":
            stack.extend((name, field) for name, field in part["fields"].items())
        stack.extend((where, item) for key, item in part.items()
                     if key not in ("serialization", "metadata", "function", "default", "cls", "config", "fields"))
        if part.get("type") == "tagged-union" and callable(part["discriminator"]):
            yield where, part["discriminator"]
        if "fields" in part and part.get("type") != "model-fields":
            stack.append((where, part["fields"] if isinstance(part["fields"], list) else list(part["fields"].values())))


def own_function(function: Any) -> bool:
    """Whether the function is the user's."""
    function = getattr(function, "func", function)
    module = getattr(function, "__module__", None) or type(function).__module__
    return not (module + ".").startswith(LIBRARIES) and module not in ("builtins", "re", "operator", "_operator", "ipaddress")


def core_schema(cls: type[BaseModel]) -> dict[str, Any]:
    if not cls.__pydantic_complete__:
        cls.model_rebuild()
    return cls.__pydantic_core_schema__  # type: ignore[return-value]


class Builder:
    """Reads one model class. `shapes` gives the Shape of a nested model, or None."""

    def __init__(self, cls: type[BaseModel], shape_of: Any):
        self.cls = cls
        self.shape_of = shape_of
        self.definitions: dict[str, Any] = {}
        self.config: dict[str, Any] = {}
        self.open: list[str] = []  # the definitions that are being read
        self.fields: dict[str, Any] = self._find_fields(core_schema(cls))

    def _define(self, schema: dict[str, Any], passed: list[str] | None = None) -> dict[str, Any]:
        """The schema behind `definitions` and references; `passed` gets these."""
        while schema["type"] in ("definitions", "definition-ref"):
            if schema["type"] == "definitions":
                self.definitions.update({part["ref"]: part for part in schema["definitions"]})
                schema = schema["schema"]
            else:
                if passed is not None:
                    passed.append(schema["schema_ref"])
                schema = self.definitions[schema["schema_ref"]]
        return schema

    def _find_fields(self, schema: dict[str, Any]) -> dict[str, Any]:
        while True:
            schema = self._define(schema)
            if schema["type"] == "model-fields":
                if schema.get("extras_schema") or schema.get("extras_keys_schema"):
                    raise NotBuildable("extra fields have a type of their own")
                return dict(schema["fields"])
            if schema["type"] == "model":
                if schema["cls"] is not self.cls:
                    raise NotBuildable("its schema is of another class")
                if schema.get("root_model"):
                    raise NotBuildable("a root model")
                self.config = schema.get("config", {})
            elif schema["type"] not in FUNCTIONS:
                raise NotBuildable(f"its schema begins with {schema['type']}")
            schema = schema["schema"]

    def validator(self, schema: dict[str, Any]) -> Any:
        if self.definitions:
            schema = {"type": "definitions", "schema": schema,
                      "definitions": list(self.definitions.values())}
        return SchemaValidator(schema, self.config).validate_python  # type: ignore[arg-type]

    def specification(self) -> tuple[Any, ...]:
        """The arguments of Shape.set_fields."""
        fields = tuple(self.field(name, field) for name, field in self.fields.items())
        names, values = [], []
        if self.cls.__pydantic_post_init__ is not None:
            for name, attribute in self.cls.__private_attributes__.items():
                if attribute.default_factory is None and attribute.default is PydanticUndefined:
                    continue
                names.append(name)
                values.append(default_of(attribute.default, attribute.default_factory))
        ignores = self.cls.model_config.get("extra", "ignore") == "ignore"
        return fields, tuple(names), tuple(values), ignores

    def field(self, name: str, field: dict[str, Any]) -> tuple[Any, ...]:
        alias = field.get("validation_alias")
        if alias is not None and not isinstance(alias, str):
            raise NotBuildable(f"{name} has more than one alias, or a path")
        if "self" in (name, alias):
            raise NotBuildable("a field has the name of the first parameter of __init__")
        config = self.cls.model_config
        by_name = config.get("populate_by_name") or config.get("validate_by_name")
        by_alias = config.get("validate_by_alias") is not False
        keys = [alias] if alias is not None and by_alias else [name]
        if alias is not None and by_alias and by_name:
            keys.append(name)
        schema, kind, default = field["schema"], NO_DEFAULT, None
        if schema["type"] == "default":
            kind, default = self.default(name, schema)
            schema = schema["schema"]
        node = self.node(schema)
        return name, keys[0], keys[1] if len(keys) > 1 else None, node, kind, default

    def default(self, name: str, schema: dict[str, Any]) -> tuple[int, Any]:
        if schema.get("validate_default") or self.config.get("validate_default"):
            raise NotBuildable(f"{name}: its default is validated")
        if schema.get("default_factory_takes_data"):
            raise NotBuildable(f"{name}: its default is made from the other fields")
        if schema.get("on_error", "raise") != "raise":
            raise NotBuildable(f"{name}: errors in it are not raised")
        if schema.get("default_factory") is not None:
            return FACTORY, schema["default_factory"]
        try:
            hash(schema["default"])
        except TypeError:  # so pydantic-core decides
            return COPY, schema["default"]
        return VALUE, schema["default"]

    # ---- values that the extension accepts unchanged --------------------------------------------

    def node(self, schema: dict[str, Any]) -> tuple[Any, ...]:
        whole, nullable = schema, False
        passed: list[str] = []
        schema = self._define(schema, passed)
        while schema["type"] == "nullable" and not schema.get("strict"):
            nullable = True
            schema = self._define(schema["schema"], passed)
        holds_itself = any(ref in self.open for ref in passed)
        self.open += passed
        kind, type_, item, bounds, shortest, longest = NO_NODE if holds_itself else self.native(schema)
        del self.open[len(self.open) - len(passed):]
        return (kind, nullable, self.validator(whole), type_, item, bounds, shortest, longest)

    def native(self, schema: dict[str, Any]) -> tuple[Any, ...]:
        """(kind, type, item, bounds, shortest, longest); GENERIC if pydantic-core must decide."""
        read = getattr(self, "_" + schema["type"].replace("-", "_"), None)
        found = read(schema) if read is not None else None
        if found is None:
            return NO_NODE
        kind, rest = found[0], found[1]
        return (kind, rest.get("type"), rest.get("item"), rest.get("bounds", NO_BOUNDS),
                rest.get("shortest", -1), rest.get("longest", -1))

    @staticmethod
    def _only(schema: dict[str, Any], *allowed: str) -> bool:
        return set(schema) <= {"type", "ref", "metadata", "serialization", "strict", *allowed}

    @staticmethod
    def _lengths(schema: dict[str, Any]) -> dict[str, int]:
        return {"shortest": schema.get("min_length", -1), "longest": schema.get("max_length", -1)}

    def _any(self, schema: dict[str, Any]) -> Any:
        return (ANY, {}) if self._only(schema) else None

    def _str(self, schema: dict[str, Any]) -> Any:
        if any(key.startswith("str_") for key in self.config):
            return None
        if not self._only(schema, "min_length", "max_length", "coerce_numbers_to_str", "pattern", "regex_engine"):
            return None
        pattern = schema.get("pattern")
        if pattern is None:
            return STR, self._lengths(schema)
        atoms = compile_pattern(pattern) if type(pattern) is str else None
        return None if atoms is None else (STR, {"type": atoms, **self._lengths(schema)})

    def _literal(self, schema: dict[str, Any]) -> Any:
        """Only for strings, because 1 == True == 1.0."""
        if not self._only(schema, "expected") or not all(type(one) is str for one in schema["expected"]):
            return None
        return LITERAL, {"type": {one: one for one in schema["expected"]}}

    def _bool(self, schema: dict[str, Any]) -> Any:
        return (BOOL, {}) if self._only(schema) else None

    def _int(self, schema: dict[str, Any]) -> Any:
        if not self._only(schema, "ge", "gt", "le", "lt"):
            return None
        given = [schema[key] for key in ("ge", "gt", "le", "lt") if key in schema]
        if not all(type(bound) is int and INT64_MIN < bound < INT64_MAX for bound in given):
            return None
        low = [schema["ge"]] if "ge" in schema else []
        low += [schema["gt"] + 1] if "gt" in schema else []
        high = [schema["le"]] if "le" in schema else []
        high += [schema["lt"] - 1] if "lt" in schema else []
        bounds = (max(low) if low else None, min(high) if high else None, False, False, False)
        return INT, {"bounds": bounds}

    def _float(self, schema: dict[str, Any]) -> Any:
        if not self._only(schema, "ge", "gt", "le", "lt", "allow_inf_nan"):
            return None
        if ("ge" in schema and "gt" in schema) or ("le" in schema and "lt" in schema):
            return None
        low, high = schema.get("ge", schema.get("gt")), schema.get("le", schema.get("lt"))
        if not all(type(bound) in (int, float, type(None)) for bound in (low, high)):
            return None
        if any(type(bound) is int and abs(bound) > 2**53 for bound in (low, high)):
            return None
        finite = not schema.get("allow_inf_nan", self.config.get("allow_inf_nan", True))
        return FLOAT, {"bounds": (low, high, "gt" in schema, "lt" in schema, finite)}

    def _bytes(self, schema: dict[str, Any]) -> Any:
        return (EXACT, {"type": bytes}) if self._only(schema) else None

    def _datetime(self, schema: dict[str, Any]) -> Any:
        return (EXACT, {"type": datetime.datetime}) if self._only(schema, "microseconds_precision") else None

    def _date(self, schema: dict[str, Any]) -> Any:
        return (EXACT, {"type": datetime.date}) if self._only(schema) else None

    def _timedelta(self, schema: dict[str, Any]) -> Any:
        return (EXACT, {"type": datetime.timedelta}) if self._only(schema, "microseconds_precision") else None

    def _uuid(self, schema: dict[str, Any]) -> Any:
        return (EXACT, {"type": uuid.UUID}) if self._only(schema) else None

    def _enum(self, schema: dict[str, Any]) -> Any:
        allowed = self._only(schema, "cls", "members", "sub_type", "missing")
        return (EXACT, {"type": schema["cls"]}) if allowed else None

    def _json_or_python(self, schema: dict[str, Any]) -> Any:
        python = self._define(schema["python_schema"])
        function = python["function"]["function"] if python["type"] == "function-plain" else None
        owner: Any = getattr(function, "__self__", None)
        known = getattr(owner, "__module__", "") == "beanie.odm.fields"
        if known and getattr(owner, "__name__", "") == "PydanticObjectId" and issubclass(owner, bson.ObjectId):
            return OBJECT_ID, {"type": owner}
        return None

    def _list(self, schema: dict[str, Any]) -> Any:
        if not self._only(schema, "items_schema", "min_length", "max_length"):
            return None
        item = self.node(schema.get("items_schema") or {"type": "any"})
        return LIST, {"item": item, **self._lengths(schema)}

    def _dict(self, schema: dict[str, Any]) -> Any:
        if not self._only(schema, "keys_schema", "values_schema", "min_length", "max_length"):
            return None
        keys = self._define(schema.get("keys_schema") or {"type": "any"})
        if keys["type"] not in ("any", "str") or not self._only(keys):
            return None  # pydantic makes keys of other types from the stored strings
        if keys["type"] == "str" and self._str(keys) is None:
            return None
        item = self.node(schema.get("values_schema") or {"type": "any"})
        return DICT, {"item": item, **self._lengths(schema)}

    def _model(self, schema: dict[str, Any]) -> Any:
        cls = schema["cls"]
        if schema.get("root_model") or schema.get("revalidate_instances"):
            return None
        if schema.get("config", {}).get("revalidate_instances", "never") != "never":
            return None
        if any(key in schema for key in ("strict",)):
            return None
        shape = self.shape_of(cls)
        return (MODEL, {"type": shape}) if shape is not None else (EXACT, {"type": cls})


def default_of(default: Any, factory: Any) -> tuple[int, Any]:
    """(kind, value) of a private attribute's default: shared if that is safe, otherwise copied."""
    if factory is not None:
        return FACTORY, factory
    if default is PydanticUndefined:
        return NO_DEFAULT, None
    if isinstance(default, IMMUTABLE):
        return VALUE, default
    if copy.deepcopy(default) is default:
        return VALUE, default
    return COPY, default


def check_class(cls: type[BaseModel], own_init: Any) -> None:
    """Raises NotBuildable if the class changes how its instances are made. `own_init` is the required __init__."""
    if cls.__init__ is not own_init:
        raise NotBuildable("__init__ is its own")
    if cls.__new__ is not object.__new__:
        raise NotBuildable("__new__ is its own")
    if type(cls).__call__ is not type.__call__:
        raise NotBuildable("its metaclass makes the instances")
    post_init: Any = getattr(cls, "model_post_init", None)
    if cls.__pydantic_post_init__ is not None:
        known = getattr(post_init, "__module__", "") == "pydantic._internal._model_construction"
        if not known or post_init.__name__ != "init_private_attributes":
            raise NotBuildable("model_post_init is its own")
    own = [base for base in cls.__mro__
           if base not in (object, BaseModel) and not base.__module__.startswith(("beanie.", "lazy_model."))]
    for name in ("model_validate", "__setattr__"):
        if any(name in base.__dict__ for base in own):
            raise NotBuildable(f"{name} is its own")
    for key, value in cls.model_config.items():
        if key in ("str_strip_whitespace", "str_to_lower", "str_to_upper", "validate_default") and not value:
            continue
        if key == "revalidate_instances" and value == "never":
            continue
        if key not in HARMLESS_CONFIG:
            raise NotBuildable(f"its configuration sets {key}")
    for attribute in cls.__private_attributes__.values():
        if getattr(attribute, "default_factory_takes_validated_data", False):
            raise NotBuildable("a private attribute is made from the fields")
    for field, function in functions_in(core_schema(cls)):
        if own_function(function):
            name = getattr(function, "__qualname__", repr(function))
            raise NotBuildable(f"{field or 'the model'} is validated by {name}")
