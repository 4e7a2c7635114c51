"""Outcomes of single tests, read from pytest's junit file."""

import re
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

# Parts of a message that change from run to run and mean nothing.
PASSING_DETAILS = re.compile(
    r"0x[0-9a-f]+|\b[0-9a-f]{24}\b|127\.0\.0\.1:\d+|localhost:\d+|\b\d{4,}\b|\b\d+\.\d+\b"
    r"|UUID\('[^']*'\)|b'[^']*'")


@dataclass(frozen=True)
class Outcome:
    word: str  # passed, failed, error, skipped, xfailed, or missing
    message: str = ""

    @property
    def gist(self):
        """Returns the first line of the message without the parts that change from run to run."""
        return PASSING_DETAILS.sub("#", self.message.split("\n")[0])[:200]


MISSING = Outcome("missing", "the test did not run")
WORDS = {"failure": "failed", "error": "error", "skipped": "skipped"}


@dataclass
class Difference:
    """A test whose outcome on another way differs from the direct one."""

    label: str
    way: str
    direct: list  # outcomes, the first from the run of the whole module
    other: list

    @property
    def is_unsteady(self):
        return bool({one.word for one in self.direct} & {one.word for one in self.other})

    def __str__(self):
        def row(way, seen):
            gist = next((one.gist for one in seen if one.message), "")
            return f"    {way:<7} {' '.join(one.word for one in seen)}{'  ' + gist if gist else ''}"
        return "\n".join([self.label, row("direct", self.direct), row(self.way, self.other)])


def node_ids(module, only):
    """tests.test_x.TestX::test_y -> tests/test_x.py::TestX::test_y"""
    prefix = module.removesuffix(".py").replace("/", ".")
    for test in only:
        where, _, name = test.partition("::")
        yield "::".join([module, *filter(None, where.removeprefix(prefix).split(".")), name])


def run_logged(command, folder, env, log, seconds):
    """Returns the exit code, or why there is none. What the program prints goes to the file `log`."""
    with log.open("w") as output:
        try:
            return subprocess.run([str(part) for part in command], cwd=folder, env=env, stdin=subprocess.DEVNULL,
                                  stdout=output, stderr=subprocess.STDOUT, check=False, timeout=seconds).returncode
        except subprocess.TimeoutExpired:
            return f"none, it took more than {seconds} s"


def run_pytest(command, folder, env, junit, log, seconds):
    """({test id: Outcome}, why there are none). What pytest prints goes to the file `log`."""
    code = run_logged(command, folder, env, log, seconds)
    trouble = "" if junit.exists() else f"pytest wrote no results (exit code {code}), see {log}"
    return read(junit), trouble


def print_list(title, rows):
    if rows:
        print(f"\n{title}")
        for row in rows:
            print(f"  {row}")


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
