"""The known differences, each with its reason: expected_differences.txt, and expected_differences_shared.txt for those
that are only there with shared connections."""

from pathlib import Path

import lane

LIST = Path(__file__).with_name("expected_differences.txt")
SHARED_LIST = Path(__file__).with_name("expected_differences_shared.txt")


def load():
    """{(is for shared connections only, suite, topology, test id): reason}. A topology of * stands for every one."""
    return {(shared, *key): reason for shared, path in ((False, LIST), (True, SHARED_LIST))
            for key, reason in _read(path).items()}


def _read(path):
    known = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split("|")]
        if len(fields) != 4 or not all(fields):
            raise SystemExit(f"{path}:{number}: wanted: suite | topology | test | reason")
        known[tuple(fields[:3])] = fields[3]
    return known


def reason(known, difference):
    """Returns the reason why this test may differ; None if it may not."""
    job = difference.job
    for shared in (False, True) if lane.is_shared(difference.way) else (False,):
        for topology in (job.topology, "*"):
            found = known.get((shared, job.suite.name, topology, difference.test))
            if found:
                return found
    return None
