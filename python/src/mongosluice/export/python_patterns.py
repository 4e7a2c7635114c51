"""Translates patterns of Python's `re` to PCRE, for `$jsonSchema`, from the parse tree of `re` itself."""

from __future__ import annotations

import re
import sys
from typing import Any

if sys.version_info >= (3, 11):
    from re import _parser as parser  # type: ignore[attr-defined]
else:
    import sre_parse as parser

SPACE = r"\t-\r\x1c- \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
# Python's classes, for use inside brackets.
CATEGORIES = {"DIGIT": r"\p{Nd}", "WORD": r"\p{L}\p{N}_", "SPACE": SPACE}
PLACES = {"AT_BEGINNING": r"\A", "AT_BEGINNING_STRING": r"\A", "AT_END": r"(?=\n?\z)", "AT_END_STRING": r"\z"}
MOST_REPEATS = 65535
REPEATS = {"MAX_REPEAT": "", "MIN_REPEAT": "?", "POSSESSIVE_REPEAT": "+"}


class NotTranslated(Exception):
    """PCRE has no equivalent."""


def matched_at_start(compiled: re.Pattern[str]) -> str | None:
    """The pattern of the strings that `compiled.match` accepts; None if there is none."""
    if compiled.flags != re.UNICODE:
        return None  # case and lines have other meanings in PCRE
    try:
        return rf"\A(?:{sequence(parser.parse(compiled.pattern))})"
    except NotTranslated:
        return None


def literal(code: int) -> str:
    char = chr(code)
    return char if char.isascii() and (char.isalnum() or char in " _@,:;/'\"<>=!%&~`-") else rf"\x{{{code:x}}}"


def sequence(items: Any) -> str:
    return "".join(one(str(operator), argument) for operator, argument in items)


def one(operator: str, argument: Any) -> str:
    if operator == "LITERAL":
        return literal(argument)
    if operator == "NOT_LITERAL":
        return f"[^{inside_brackets('LITERAL', argument)}]"
    if operator == "ANY":
        return r"[^\n]"
    if operator == "AT" and str(argument) in PLACES:
        return PLACES[str(argument)]
    if operator == "IN":
        return brackets(argument)
    if operator == "BRANCH":
        return "(?:" + "|".join(sequence(branch) for branch in argument[1]) + ")"
    if operator in REPEATS:
        least, most, repeated = argument
        limit = "" if most == parser.MAXREPEAT else int(most)
        if max(least, limit or 0) > MOST_REPEATS:
            raise NotTranslated
        return f"(?:{sequence(repeated)}){{{least},{limit}}}{REPEATS[operator]}"
    if operator == "SUBPATTERN":
        group, added, removed, inner = argument
        if added or removed:
            raise NotTranslated
        return f"({'' if group else '?:'}{sequence(inner)})"
    if operator == "GROUPREF":
        return rf"\g{{{argument}}}"
    if operator in ("ASSERT", "ASSERT_NOT"):
        direction, inner = argument
        sign = "=" if operator == "ASSERT" else "!"
        return f"(?{'<' if direction < 0 else ''}{sign}{sequence(inner)})"
    if operator == "ATOMIC_GROUP":
        return f"(?>{sequence(argument)})"
    raise NotTranslated


def brackets(parts: Any) -> str:
    negated = str(parts[0][0]) == "NEGATE"
    inner = [(str(operator), argument) for operator, argument in parts[1 if negated else 0:]]
    if len(inner) == 1 and inner[0][0] == "CATEGORY" and "NOT_" in str(inner[0][1]):
        name = str(inner[0][1]).removeprefix("CATEGORY_NOT_")
        return f"[{'' if negated else '^'}{CATEGORIES[name]}]"
    return f"[{'^' if negated else ''}{''.join(inside_brackets(*part) for part in inner)}]"


def inside_brackets(operator: str, argument: Any) -> str:
    if operator == "LITERAL":
        char = chr(argument)
        return char if char.isascii() and char.isalnum() else rf"\x{{{argument:x}}}"
    if operator == "RANGE":
        return "-".join(inside_brackets("LITERAL", end) for end in argument)
    if operator == "CATEGORY":
        name = str(argument).removeprefix("CATEGORY_")
        if name in CATEGORIES:
            return CATEGORIES[name]
    raise NotTranslated
