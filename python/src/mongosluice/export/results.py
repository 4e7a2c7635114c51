"""The result of a validator, as far as it can be known without running it.

A validator that runs after the field's own may change the type of the value. The field's type then does not
describe the stored value. The result is known if the function declares its return type, or if its code shows
that it returns its argument."""

from __future__ import annotations

import dis
import functools
import inspect
import typing
from collections.abc import Callable, Iterator
from typing import Any

UNKNOWN = object()  # any value
SAME = object()     # the value that the function got
# Methods of str that return a str.
STR_METHODS = {
    "capitalize", "casefold", "center", "expandtabs", "format", "join", "ljust", "lower", "lstrip", "removeprefix",
    "removesuffix", "replace", "rjust", "rstrip", "strip", "swapcase", "title", "translate", "upper", "zfill",
}


def result_of(function: Any, field_type: Any) -> Any:
    """SAME, UNKNOWN or the type of the function's result for a value of the field's type."""
    if isinstance(function, type):
        return function
    is_bound = hasattr(function, "__func__")
    function = inspect.unwrap(getattr(function, "__func__", function))
    if isinstance(function, functools.partial):
        return annotated_return(function.func)
    if getattr(function, "__objclass__", None) is str:
        return str if function.__name__ in STR_METHODS else UNKNOWN
    returns = annotated_return(function)
    if returns is not UNKNOWN:
        return returns
    return by_code(function, 1 if is_bound else 0, field_type)


def annotated_return(function: Any) -> Any:
    if not callable(function) or "return" not in getattr(function, "__annotations__", {}):
        return UNKNOWN
    try:
        returns = typing.get_type_hints(function, include_extras=True).get("return", UNKNOWN)
    except (NameError, TypeError, AttributeError, SyntaxError):
        return UNKNOWN
    known = returns not in (Any, object, typing.NoReturn) and not isinstance(returns, typing.TypeVar)
    return returns if known and returns is not getattr(typing, "Self", None) else UNKNOWN


def by_code(function: Callable[..., Any], position: int, field_type: Any) -> Any:
    """Whether each return of a Python function gives back the argument at `position`, or a string made of it."""
    code = getattr(function, "__code__", None)
    if code is None or code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE) or code.co_argcount <= position:
        return UNKNOWN
    value = code.co_varnames[position]
    if value in code.co_cellvars:
        return UNKNOWN
    found = set()
    for returned in returns_of(code):
        if returned == [("load", value)]:
            found.add("same")
        elif returned[:1] == [("load", value)] and all(
                kind == "method" and name in STR_METHODS for kind, name in returned[1:]):
            found.add("string")
        else:
            return UNKNOWN
    if found == {"same"}:
        return SAME
    return str if found and field_type is str else UNKNOWN


LOADS = ("LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_FAST_CHECK")
SILENT = ("PRECALL", "PUSH_NULL", "CACHE", "NOP", "RESUME", "NOT_TAKEN")


def returns_of(code: Any) -> Iterator[list[tuple[str, Any]]]:
    """The origin of the value of each return: a variable, and the methods without arguments that are called on
        it. Any other origin is ("other", None)."""
    made: list[tuple[str, Any]] = []
    pending = None
    stored = set()
    results = []
    for step in dis.get_instructions(code):
        name = step.opname
        if step.is_jump_target:
            made, pending = [], None  # a jump leads here, with an unknown value
        if name in SILENT:
            continue
        if name in LOADS:
            made, pending = [("load", step.argval)], None
        elif name in ("LOAD_METHOD", "LOAD_ATTR") and made:
            pending = step.argval
        elif name in ("CALL", "CALL_METHOD") and pending is not None and step.arg == 0:
            made, pending = [*made, ("method", pending)], None
        elif name.startswith("RETURN"):
            results.append(made if name == "RETURN_VALUE" and made and pending is None else [("other", None)])
            made = []
        else:
            if name.startswith(("STORE_FAST", "DELETE_FAST")):
                stored.add(step.argval)
            made, pending = [], None
    for one in results:
        yield [("other", None)] if one[0][1] in stored or any(
            isinstance(names, tuple) and one[0][1] in names for names in stored) else one
