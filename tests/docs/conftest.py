"""Prints the counts of the blocks at the end. The tests may run in several processes, so their reports hold the counts."""

from collections import Counter

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts: Counter[str] = Counter()
    skipped: list[str] = []
    for reports in terminalreporter.stats.values():
        for report in reports:
            found = dict(report.user_properties) if getattr(report, "when", "") == "call" else {}
            counts.update(found.get("docs_counts", {}))
            skipped.extend(found.get("docs_skipped", []))
    if not counts:
        return
    terminalreporter.section("blocks of the documentation")
    for reason in skipped:
        terminalreporter.line(f"skipped: {reason}")
    words = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    terminalreporter.line(f"{sum(counts.values())} blocks: {words}")
