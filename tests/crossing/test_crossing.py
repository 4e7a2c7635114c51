"""Nobody's command runs as somebody else, and every answer goes to its request. `python -m crossing` runs longer."""

import os

import pytest

from .run import run, summary

SECONDS = float(os.environ.get("SLUICE_CROSSING_SECONDS", "3"))
SEED = int(os.environ.get("SLUICE_CROSSING_SEED", "1"))

SMALL = {"pool.max_size": 2, "pool.wait_timeout_ms": 15, "pool.waiters_max": 20, "pool.login_concurrency": 2}


@pytest.mark.proxy_only
@pytest.mark.timeout(SECONDS + 400)
@pytest.mark.parametrize(("way", "options"), [
    pytest.param("session", {"merge.enabled": "true"}, id="session, merging", marks=pytest.mark.long),
    pytest.param("shared", {}, id="shared", marks=pytest.mark.long),
    pytest.param("shared", {"merge.enabled": "true", "pool.max_size": 6}, id="shared, merging, small pools"),
    pytest.param("verifier", {"merge.enabled": "true"}, id="verifier, merging", marks=pytest.mark.long),
    pytest.param("verifier", SMALL, id="verifier, commands refused")])
def test_no_crossing(way, options, capsys):
    lines = []
    verdict = run(SECONDS, SEED, way, options=options, say=lines.append)
    with capsys.disabled():
        print("", *lines, f"{way}: seed {SEED}, {summary(verdict)}", sep="\n  ")
    assert verdict.operations > 300 and verdict.faults > 2
    assert not verdict.violations, "\n".join(verdict.violations[:20])
    # Only a login refills the pool of a relayed user. Its clients are closed when another client took its last
    # connection for another login; that is rare unless pools are small.
    if "pool.max_size" not in options:
        assert verdict.lost["quiet"] <= (0 if way == "session" else 5)
