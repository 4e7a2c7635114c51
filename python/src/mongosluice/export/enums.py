"""Flags: enumerations whose members can be combined."""

from __future__ import annotations

import enum
import functools
import itertools
import operator
from typing import Any

from mongosluice.export.schema import Schema, of_values

MOST_FLAGS = 6  # the limit up to which combinations are listed, if some numbers below the highest are no combination


def enum_schema(cls: Any) -> Schema | None:
    """The schema of a flag's values; None for other enumerations.

        A flag's value is any combination of its members, or none of them. An IntFlag accepts any number."""
    if not issubclass(cls, enum.Flag):
        return None
    numbers: Schema = {"bsonType": ["int", "long"]}
    boundary = getattr(cls, "_boundary_", None)  # since Python 3.11
    if issubclass(cls, int) if boundary is None else boundary in (enum.FlagBoundary.KEEP, enum.FlagBoundary.EJECT):
        return numbers
    values = [member.value for member in cls.__members__.values()]
    mask = functools.reduce(operator.or_, values, 0)
    single = [1 << position for position in range(mask.bit_length()) if mask >> position & 1]
    if len(single) <= MOST_FLAGS and mask + 1 != 1 << mask.bit_length():
        return of_values(sorted(sum(some) for count in range(len(single) + 1)
                                for some in itertools.combinations(single, count)))
    return {**numbers, "minimum": 0, "maximum": mask}
