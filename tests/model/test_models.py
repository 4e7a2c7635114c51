"""Checks the models exhaustively with spin: the guarantees hold, every assumption that docs/merging.md names under Gaps
is needed, and every planted fault is found.

A model is compiled once for each set of macros. For a gap or a planted fault, the check must end with a
counterexample, at the assertion named here."""

import pathlib
import re
import shutil
import subprocess

import pytest

FOLDER = pathlib.Path(__file__).parent

HOLDS = ()
STORED_LATER = ("!(refused",)  # stored after its client was told that it is refused
REFUSED = ("]==0))",)  # refused, although it is stored
ACKNOWLEDGED = ("]==1))",)  # acknowledged, although it is not stored
SECOND = ("second_ran",)  # the same, for the second document of an insert
TIME = ("!((",)  # stored, although the server would refuse its $clusterTime
OLD = ("answer!=",)  # told that its number is too old
LATE = ("answered[",)  # a command ran after a later one of its session was answered

MERGING = [
    ("", HOLDS),
    ("STALLS REMOVE", HOLDS),
    ("LATE_BATCH", HOLDS),
    ("MANY", HOLDS),
    # each gap of docs/merging.md
    ("PROXY_ENDS", REFUSED),
    ("NO_STATEMENTS", REFUSED),
    ("MANY INEXACT", SECOND),
    ("WRONG_TIME", TIME),
    ("LATE_UPDATE", LATE),
    ("LATE_BATCH REMOVE", STORED_LATER + REFUSED),
    ("HANGS STALLS REMOVE", STORED_LATER + REFUSED),
    # planted faults
    ("MUTANT_ANSWERED_EARLY", ACKNOWLEDGED),
    ("MUTANT_DONE_FORWARDED", REFUSED),
    ("MUTANT_PENDING_FORWARDED", REFUSED),
    ("MUTANT_REPEAT_BELIEVED", ACKNOWLEDGED),
    ("MUTANT_RESENT_AFTER_QUESTION STALLS REMOVE", STORED_LATER + REFUSED),
    ("MUTANT_RESENT_WITHOUT_LIMIT", REFUSED + OLD),
    ("MUTANT_SESSION_REUSED", REFUSED + OLD),
    ("MUTANT_UNKNOWN_MERGED", REFUSED),
]

CROSSED = ("==(",)  # a command ran as another user
MIXED_UP = ("owed[",)  # the reply to another client's command
UNSEEN = ("unrun[",)  # a command ran before the client's own unacknowledged write

SHARING = [
    ("", HOLDS),
    ("MUTANT_ABANDONED_REUSED", MIXED_UP),
    ("MUTANT_JOINED_BY_CLAIM", CROSSED),
    ("MUTANT_LEASE_TO_ANYBODY", CROSSED),
    ("MUTANT_LOGIN_ON_SHARED", CROSSED),
    ("MUTANT_NAME_ALONE", CROSSED),
    ("MUTANT_UNACKNOWLEDGED_UNPINNED", UNSEEN),
]


def run(*words, cwd):
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.stdout}{done.stderr}"
    return done.stdout


def check(model, macros, folder):
    """Returns the text of the violated assertion, or None, and the number of states."""
    assert shutil.which("spin"), "spin is missing: scripts/setup.sh checks"
    run("spin", *[f"-D{macro}" for macro in macros], "-a", FOLDER / model, cwd=folder)
    run("gcc", "-w", "-O2", "-DSAFETY", "-DCOLLAPSE", "-DVECTORSZ=2048", "-DMEMLIM=3000", "-o", "pan", "pan.c", cwd=folder)
    output = run("./pan", "-m200000", cwd=folder)
    assert "max search depth too small" not in output and "out of memory" not in output, output
    states = int(re.search(r"(\d+) states, stored", output)[1])
    if " errors: 0" in output:
        return None, states
    return re.search(r"pan:1: (.*) \(at depth", output)[1], states


def compare(model, macros, expected, folder):
    violated, states = check(model, macros.split(), folder)
    if not expected:
        assert violated is None
        assert states > 1_000_000, "the model does not do much"
    else:
        assert violated is not None and any(text in violated for text in expected), violated


def cases(rows, name):
    """The first row is the model as it is; the others are for the long run."""
    return [pytest.param(*row, id=row[0] or name, marks=[] if row is rows[0] else pytest.mark.long) for row in rows]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("macros, expected", cases(MERGING, "all assumptions"))
def test_merging(macros, expected, tmp_path):
    compare("merging.pml", macros, expected, tmp_path)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("macros, expected", cases(SHARING, "as it is"))
def test_sharing(macros, expected, tmp_path):
    compare("sharing.pml", macros, expected, tmp_path)
