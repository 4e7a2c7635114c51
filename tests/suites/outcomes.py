"""Outcomes of single tests, read from pytest's junit file."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

# What may differ from run to run in a message and means nothing.
PASSING_DETAILS = re.compile(
    r"0x[0-9a-f]+|\b[0-9a-f]{24}\b|127\.0\.0\.1:\d+|localhost:\d+|\b\d{4,}\b|\b\d+\.\d+\b"
    r"|UUID\('[^']*'\)|b'[^']*'")


@dataclass(frozen=True)
class Outcome:
    word: str  # passed, failed, error, skipped, xfailed, or missing
    message: str = ""

    @property
    def gist(self):
        """The first line of the message without what changes from run to run."""
        return PASSING_DETAILS.sub("#", self.message.split("\n")[0])[:200]


MISSING = Outcome("missing", "the test did not run")
WORDS = {"failure": "failed", "error": "error", "skipped": "skipped"}


def read(junit):
    """{test id: Outcome}; empty when pytest died before it could write the file."""
    try:
        cases = ElementTree.parse(junit).iter("testcase")
    except (OSError, ElementTree.ParseError):
        return {}
    found = {}
    for case in cases:
        name = f"{case.get('classname')}::{case.get('name')}"
        found[name] = worst(found.get(name), _outcome(case))
    return found


def _outcome(case):
    for element in case:
        if element.tag in WORDS:
            word = WORDS[element.tag]
            if element.get("type") == "pytest.xfail":
                word = "xfailed"
            return Outcome(word, element.get("message") or "")
    return Outcome("passed")


def worst(one, other):
    """A test appears twice when its body and its clean-up both have something to tell."""
    order = ("error", "failed", "missing", "xfailed", "skipped", "passed")
    return min((outcome for outcome in (one, other) if outcome),
               key=lambda outcome: order.index(outcome.word))
