"""The known differences, each with its reason: expected_differences.txt."""

from pathlib import Path

LIST = Path(__file__).with_name("expected_differences.txt")


def load():
    """{(suite, topology, test id): reason}. A topology of * stands for every one."""
    known = {}
    for number, line in enumerate(LIST.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split("|")]
        if len(fields) != 4 or not all(fields):
            raise SystemExit(f"{LIST}:{number}: wanted: suite | topology | test | reason")
        known[tuple(fields[:3])] = fields[3]
    return known


def reason(known, difference):
    """Returns the reason why this test may differ; None if it may not."""
    job = difference.job
    for topology in (job.topology, "*"):
        found = known.get((job.suite.name, topology, difference.test))
        if found:
            return found
    return None
