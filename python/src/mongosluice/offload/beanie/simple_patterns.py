"""Patterns that the extension matches itself: a sequence of character classes, each with a count.

They cover only ASCII text, for which Rust's engine and Python's agree. Pydantic judges all other patterns, and text
that does not match."""

from __future__ import annotations

import struct
from collections.abc import Iterator

MOST_ATOMS = 16
MOST = 2**31 - 1
DIGITS = frozenset(b"0123456789")
WORD = DIGITS | frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
SPACE = frozenset(b"\t\n\v\f\r ")
ASCII = frozenset(range(128))
SHORTHANDS = {"d": DIGITS, "w": WORD, "s": SPACE, "D": ASCII - DIGITS, "W": ASCII - WORD, "S": ASCII - SPACE}
SPECIAL = frozenset("^$()|[]{}*+?.\\")


class NotSimple(Exception):
    """The pattern is not such a sequence."""


def compile_pattern(pattern: str) -> bytes | None:
    """The atoms for native/pattern.c; None if the pattern is not such a sequence."""
    if not (pattern.startswith("^") and pattern.endswith("$")) or not pattern.isascii():
        return None
    try:
        atoms = list(_Reader(pattern[1:-1]).atoms())
    except NotSimple:
        return None
    if len(atoms) > MOST_ATOMS:
        return None
    return b"".join(struct.pack("=16sii", bits(characters), least, most) for characters, least, most in atoms)


def bits(characters: frozenset[int]) -> bytes:
    return sum(1 << one for one in characters).to_bytes(16, "little")


class _Reader:
    def __init__(self, text: str):
        self.text, self.at = text, 0

    def peek(self) -> str:
        return self.text[self.at:self.at + 1]

    def take(self) -> str:
        if self.at >= len(self.text):
            raise NotSimple
        self.at += 1
        return self.text[self.at - 1]

    def atoms(self) -> Iterator[tuple[frozenset[int], int, int]]:
        while self.at < len(self.text):
            characters = self.characters()
            yield (characters, *self.count())

    def characters(self) -> frozenset[int]:
        one = self.take()
        if one == "\\":
            return self.escaped()
        if one == "[":
            return self.one_of()
        if one == ".":
            return ASCII - frozenset(b"\n")
        if one in SPECIAL:
            raise NotSimple
        return frozenset(one.encode())

    def escaped(self) -> frozenset[int]:
        one = self.take()
        if one in SHORTHANDS:
            return SHORTHANDS[one]
        if one.isalnum() or one in "<>_" or one.isspace():
            raise NotSimple
        return frozenset(one.encode())

    def one_of(self) -> frozenset[int]:
        is_negated = self.peek() == "^"
        self.at += is_negated
        found: set[int] = set()
        if self.peek() in ("]", "-"):
            raise NotSimple  # the engines may differ here
        while self.peek() != "]":
            first = self.member()
            if self.peek() == "-" and self.text[self.at + 1:self.at + 2] not in ("]", ""):
                self.take()
                last = self.member()
                if len(first) != 1 or len(last) != 1 or min(first) > min(last):
                    raise NotSimple
                first = frozenset(range(min(first), min(last) + 1))
            elif self.peek() == "-":
                self.take()
                if self.peek() != "]":
                    raise NotSimple
                first = first | frozenset(b"-")
            found |= first
        self.take()
        return ASCII - found if is_negated else frozenset(found)

    def member(self) -> frozenset[int]:
        one = self.take()
        if one == "\\":
            return self.escaped()
        if one in "[]&~-^":
            raise NotSimple
        return frozenset(one.encode())

    def count(self) -> tuple[int, int]:
        kind = self.peek()
        if kind not in ("{", "*", "+", "?") or not kind:
            return 1, 1
        self.take()
        least, most = {"*": (0, -1), "+": (1, -1), "?": (0, 1)}.get(kind) or self.braces()
        if self.peek() and self.peek() in "*+?{":
            raise NotSimple
        return least, most

    def braces(self) -> tuple[int, int]:
        end = self.text.find("}", self.at)
        least, comma, most = self.text[self.at:end].partition(",")
        if end < 0 or not least.isdecimal() or (most and not most.isdecimal()):
            raise NotSimple
        self.at = end + 1
        counts = int(least), int(most) if most else -1 if comma else int(least)
        if max(counts) > MOST or (counts[1] != -1 and counts[0] > counts[1]):
            raise NotSimple
        return counts
