"""The proxy's refusals as PyMongo exceptions with the interface of pydantic's ValidationError."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from pymongo.errors import BulkWriteError, OperationFailure, WriteError

DOCUMENT_VALIDATION_FAILURE = 121

Location = tuple[Any, ...]

WORDS: dict[str, tuple[str, str]] = {
    "minimum": ("greater_than_equal", "Input should be greater than or equal to {minimum}"),
    "maximum": ("less_than_equal", "Input should be less than or equal to {maximum}"),
    "multipleOf": ("multiple_of", "Input should be a multiple of {multipleOf}"),
    "minLength": ("string_too_short", "String should have at least {minLength} characters"),
    "maxLength": ("string_too_long", "String should have at most {maxLength} characters"),
    "pattern": ("string_pattern_mismatch", "String should match pattern '{pattern}'"),
    "minItems": ("too_short", "There should be at least {minItems} items"),
    "maxItems": ("too_long", "There should be at most {maxItems} items"),
    "minProperties": ("too_short", "There should be at least {minProperties} fields"),
    "maxProperties": ("too_long", "There should be at most {maxProperties} fields"),
    "uniqueItems": ("unique_items", "The items should differ"),
    "enum": ("enum", "Input should be one of {enum}"),
    "anyOf": ("union", "Input should match one of the alternatives"),
    "oneOf": ("union", "Input should match exactly one of the alternatives"),
    "not": ("not", "Input should not match"),
}


def line(kind: str, location: Location, message: str, value: Any) -> dict[str, Any]:
    return {"type": kind, "loc": location, "msg": message, "input": value}


def lines_of(rules: list[Any], location: Location) -> Iterator[dict[str, Any]]:
    """The rules in errInfo as pydantic's error lines. Nested errors come first."""
    for rule in rules:
        yield from lines_of_rule(rule, location)


def lines_of_rule(rule: Any, location: Location) -> Iterator[dict[str, Any]]:
    name, value = rule.get("operatorName"), rule.get("consideredValue")
    given = rule.get("specifiedAs") or {}
    if name == "properties":
        for part in rule["propertiesNotSatisfied"]:
            yield from lines_of(part["details"], (*location, part["propertyName"]))
    elif name == "required":
        for missing in rule["missingProperties"]:
            yield line("missing", (*location, missing), "Field required", None)
    elif name in ("bsonType", "type"):
        wanted = given.get(name)
        wanted = " or ".join(wanted) if isinstance(wanted, list) else wanted
        kind = f"{wanted}_type".replace(" ", "_")
        yield line(kind, location, f"Input should be stored as {wanted}, not {rule.get('consideredType')}", value)
    elif name == "additionalProperties" and "additionalProperties" in rule:
        for extra in rule["additionalProperties"]:
            yield line("extra_forbidden", (*location, extra), "Extra inputs are not permitted", None)
    elif name == "additionalProperties":
        yield from lines_of(rule.get("details", []), (*location, rule.get("failingProperty")))
    elif name in ("items", "additionalItems") and "itemIndex" in rule:
        yield from lines_of(rule["details"], (*location, rule["itemIndex"]))
    elif name == "items":
        for part in rule.get("details", []):
            yield from lines_of(part["details"], (*location, part["itemIndex"]))
    elif name == "allOf":
        for part in rule["schemasNotSatisfied"]:
            yield from lines_of(part["details"], location)
    elif name in ("anyOf", "oneOf"):
        parts = [list(lines_of(part["details"], location)) for part in rule.get("schemasNotSatisfied", [])]
        # the alternative with the fewest errors explains most
        yield from max(parts, key=depth, default=[line("union", location, WORDS[name][1], value)])
    else:
        kind, words = WORDS.get(name, (str(name), rule.get("reason", "Document failed validation")))
        if given.get("exclusiveMinimum") or given.get("exclusiveMaximum"):
            kind, words = kind.replace("_equal", ""), words.replace(" or equal to", "")
        try:
            message = words.format(**given)
        except (KeyError, IndexError):
            message = words
        yield line(kind, location, message, value)


def depth(lines: list[dict[str, Any]]) -> tuple[int, int]:
    wrong_class = any(part["loc"][-1:] in (("_class_id",), ("_cls",)) for part in lines)
    return (-int(wrong_class), -len(lines))


def lines_of_info(info: Any, location: Location = ()) -> list[dict[str, Any]]:
    details = (info or {}).get("details") or {}
    found = list(lines_of(details.get("schemaRulesNotSatisfied", []), location))
    if not found and "path" in details:  # for an update operator, only its place is known
        path = tuple(int(part) if part.isdigit() else part for part in details["path"].split("."))
        message = f"{details.get('updateOperator')}: {details.get('reason')}"
        return [line("update", (*location, *path), message, None)]
    return found or [line("document", location, "Document failed validation", None)]


class Refused(OperationFailure):
    """The proxy refused a write. The exception has one of the two classes below."""

    def errors(self) -> list[dict[str, Any]]:
        """`loc`, `type`, `msg`, `input` of every error, in the form of pydantic's ValidationError."""
        return lines_of_info((self.details or {}).get("errInfo"))

    def error_count(self) -> int:
        return len(self.errors())


class DocumentRefused(Refused, WriteError):
    """The proxy refused the only document."""


class DocumentsRefused(Refused, BulkWriteError):
    """The proxy refused some of several documents. `loc` begins with the index of the operation."""

    def errors(self) -> list[dict[str, Any]]:
        return [one for error in self.details.get("writeErrors", [])
                if error.get("code") == DOCUMENT_VALIDATION_FAILURE
                for one in lines_of_info(error.get("errInfo"), (error.get("index"),))]


def refusal(error: BaseException) -> DocumentRefused | DocumentsRefused | None:
    """The exception to raise instead; None if the error is not a refusal."""
    if isinstance(error, Refused):
        return None
    if isinstance(error, BulkWriteError):
        codes = [one.get("code") for one in error.details.get("writeErrors", [])]
        return DocumentsRefused(error.details) if DOCUMENT_VALIDATION_FAILURE in codes else None
    if isinstance(error, OperationFailure) and error.code == DOCUMENT_VALIDATION_FAILURE:
        return DocumentRefused(str(error), error.code, error.details)
    return None


def translated(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a function: its refusals become the classes of this module."""
    if inspect.iscoroutinefunction(function):
        @functools.wraps(function)
        async def asynchronous(*args: Any, **kwargs: Any) -> Any:
            try:
                return await function(*args, **kwargs)
            except OperationFailure as error:
                instead = refusal(error)
                if instead is None:
                    raise
                raise instead from error
        return asynchronous

    @functools.wraps(function)
    def synchronous(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except OperationFailure as error:
            instead = refusal(error)
            if instead is None:
                raise
            raise instead from error
    return synchronous
