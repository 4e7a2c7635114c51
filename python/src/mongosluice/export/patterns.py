"""Patterns of pydantic (Rust's regex crate) in PCRE's words, for `$jsonSchema`."""

from __future__ import annotations

# What a pattern was before it was translated.
_made_of: dict[str, str] = {}
UNICODE = "(*UCP)"  # PCRE's verb for \\d and \\s to know Unicode; it stands at the very beginning


def to_pcre(pattern: str) -> str | None:
    """The pattern with the same meaning under PCRE in UTF mode, or None where none is known.

    Rust's `$` is the very end, its \\d \\w \\s \\b know Unicode; PCRE's are not, unless told."""
    out: list[str] = []
    position, in_class, unicode = 0, False, False
    while position < len(pattern):
        char = pattern[position]
        if char == "\\" and position + 1 < len(pattern):
            escaped = pattern[position + 1]
            if escaped in "wWbB<":
                return None  # \\w holds marks and joiners in Rust; PCRE's does not
            if escaped in "dDsS":
                unicode = True
            elif escaped.isalnum() and escaped not in "ntrfvAzxpP":
                return None
            out.append(char + escaped)
            position += 2
            continue
        if in_class:
            if char == "[" or pattern[position:position + 2] in ("&&", "--", "~~"):
                return None
            in_class = char != "]" or out[-1] in ("[", "[^")
        elif char == "[":
            in_class = True
            if pattern[position + 1:position + 2] == "^":
                out.append("[^")
                position += 2
                continue
        elif char == "$":
            out.append(r"\z")
            position += 1
            continue
        elif char == "(" and pattern[position + 1:position + 2] == "?":
            if not pattern.startswith(("(?:", "(?P<"), position):
                return None  # flags, which mean other things there
        elif char in "*+?}" and pattern[position + 1:position + 2] == "+":
            return None  # possessive in PCRE, repeated in Rust
        out.append(char)
        position += 1
    text = UNICODE + "".join(out) if unicode else "".join(out)
    _made_of[text] = pattern
    return text


def matches(translated: str, value: str) -> bool:
    """Whether a string satisfies a pattern that `to_pcre` gave, as pydantic says it."""
    if translated not in _made_of:
        return False
    from pydantic_core import SchemaError, SchemaValidator, core_schema  # not there where all models are MongoEngine's

    try:
        return SchemaValidator(core_schema.str_schema(pattern=_made_of[translated])).isinstance_python(value)
    except SchemaError:  # pydantic does not take it: there is no model that has it
        return False
