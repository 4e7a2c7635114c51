"""A minute of scripts/history.sh."""

import os

import pytest

from .run import run, summary

SECONDS = float(os.environ.get("SLUICE_HISTORY_SECONDS", "20"))
SEED = int(os.environ.get("SLUICE_HISTORY_SEED", "1"))


def enough(verdict):
    return verdict.operations > 100 and verdict.faults > 5 and verdict.batches > 50


@pytest.mark.proxy_only
@pytest.mark.timeout(11 * SECONDS + 240)
@pytest.mark.parametrize(("topology", "statements", "sharing"), [
    pytest.param("replica-set", None, False, marks=pytest.mark.long),
    pytest.param("standalone", None, True, marks=pytest.mark.long), ("replica-set", "mongodb-4.4", True)])
def test_what_drivers_were_told_is_so(topology, statements, sharing, capsys):
    lines = []
    verdict = run(SECONDS, SEED, topology=topology, statements=statements, sharing=sharing, enough=enough, say=lines.append)
    with capsys.disabled():
        print("", *lines, f"{topology}: seed {SEED}, {summary(verdict)}", sep="\n  ")
    assert enough(verdict)
    assert not verdict.violations, "\n".join(verdict.violations[:20])
