"""Counts the blocks, and prints the counts at the end."""

from collections import Counter

import pytest

COUNTS: Counter[str] = Counter()
SKIPPED: list[str] = []


@pytest.fixture
def docs_counts() -> Counter[str]:
    return COUNTS


@pytest.fixture
def docs_skipped() -> list[str]:
    return SKIPPED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not COUNTS:
        return
    terminalreporter.section("blocks of the documentation")
    for reason in SKIPPED:
        terminalreporter.line(f"skipped: {reason}")
    words = ", ".join(f"{count} {kind}" for kind, count in sorted(COUNTS.items()))
    terminalreporter.line(f"{sum(COUNTS.values())} blocks: {words}")
