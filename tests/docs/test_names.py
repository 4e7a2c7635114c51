"""Names in the pages exist: metrics, alerts, ids of log lines, and the proxy's own messages in the table of symptoms."""

import re
from pathlib import Path

import pytest
from sandbox import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCE = "\n".join(file.read_text() for file in sorted((ROOT / "src").rglob("*.c")))
# its fixtures and settings have names of the same form
PYTEST_PLUGIN = "\n".join(file.read_text() for file in (ROOT / "python/src/mongosluice/testing").glob("*.py"))
ALERTS = (ROOT / "docker/grafana/alerts.yaml").read_text()
# in C, a long text stands in several literals
SENTENCES = re.sub(r'"\s*\n\s*"', "", SOURCE)


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_metrics_and_alerts_exist(page):
    text = page.read_text()
    for name in set(re.findall(r"`(mongosluice_\w+)`", text)):
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        known = f'"{name}"' in SOURCE or f'"{family}"' in SOURCE or name in PYTEST_PLUGIN
        assert known, f"{page.name} names the metric {name}"
    for name in set(re.findall(r"`(Mongosluice[A-Z]\w+)`", text)):
        assert f"alert: {name}\n" in ALERTS, f"{page.name} names the alert {name}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_ids_of_log_lines_exist(page):
    for line in re.findall(r"log lines? ((?:\d{4}(?:, | and | or | to )?)+)", page.read_text()):
        for number in re.findall(r"\d{4}", line):
            assert re.search(rf"\(LOG_\w+, {number},|, {number}, ", SOURCE), f"{page.name} names the log line {number}"


def test_messages_of_the_symptoms_are_the_proxys():
    text = (ROOT / "docs/troubleshooting.md").read_text()
    messages = re.findall(r"`(mongosluice (?:refuses|knows|has|does)\b[^`]*)`", text)
    assert len(messages) >= 2
    for message in messages:
        for part in re.split(r"\s*\(?…\)?\s*", message):
            assert part in SENTENCES, f"troubleshooting.md quotes: {part}"
    for message in re.findall(r"`(unknown flag|cannot listen on)`", text):
        assert message in SENTENCES
