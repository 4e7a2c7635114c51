"""Translates pydantic's patterns (Rust's regex crate) to PCRE, for `$jsonSchema`."""

from __future__ import annotations

# Maps a translated pattern to the original.
_made_of: dict[str, str] = {}
UNICODE = "(*UCP)"  # PCRE's verb that makes \\d and \\s match Unicode; it must be at the very beginning


def to_pcre(pattern: str) -> str | None:
    """The pattern with the same meaning in PCRE's UTF mode; None if there is none.

        Rust's `$` is the very end, and its \\d \\w \\s \\b match Unicode. PCRE's do so only with options."""
    out: list[str] = []
    position, in_class, unicode = 0, False, False
    while position < len(pattern):
        char = pattern[position]
        if char == "\\" and position + 1 < len(pattern):
            escaped = pattern[position + 1]
            if escaped in "wWbB<":
                return None  # \\w includes marks and joiners in Rust, but not in PCRE
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
                return None  # flags, which have other meanings in PCRE
        elif char in "*+?}" and pattern[position + 1:position + 2] == "+":
            return None  # possessive in PCRE, repeated in Rust
        out.append(char)
        position += 1
    text = UNICODE + "".join(out) if unicode else "".join(out)
    _made_of[text] = pattern
    return text


def matches(translated: str, value: str) -> bool:
    """Whether a string satisfies a pattern from `to_pcre`, by pydantic's meaning."""
    if translated not in _made_of:
        return False
    from pydantic_core import SchemaError, SchemaValidator, core_schema  # missing if all models are MongoEngine's

    try:
        return SchemaValidator(core_schema.str_schema(pattern=_made_of[translated])).isinstance_python(value)
    except SchemaError:  # pydantic refuses it, so no model has it
        return False
