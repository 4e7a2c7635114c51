"""A table of a program's steps, printed line by line."""

import time
from contextlib import contextmanager

WIDTHS = "{:<34} {:>9}  {:<40} {:>9}"


class Step:
    documents = 0
    result = ""


def heading(title):
    print(f"\n{title}")
    print(WIDTHS.format("operation", "documents", "result", "ms"))
    print(WIDTHS.format("-" * 34, "-" * 9, "-" * 40, "-" * 9))


@contextmanager
def step(operation):
    """One line of the table; the body of the context sets `documents` and `result`, and is timed."""
    line = Step()
    begin = time.perf_counter()
    yield line
    milliseconds = (time.perf_counter() - begin) * 1000
    print(WIDTHS.format(operation, line.documents, line.result, f"{milliseconds:.1f}"), flush=True)


def expect(condition, what):
    if not condition:
        raise SystemExit(f"error: {what}")
