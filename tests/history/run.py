"""Runs drivers against a proxy that merges, injects faults by a seeded schedule, and compares the replies with the
stored documents.

  python -m history --seconds 60 --seed 1 [--topology standalone] [--sharing] [--server PROGRAM]
                    [--statements mongodb-4.4]

Prints its progress; the last line: operations N, faults N, violations N. Exit status 1 when there were
violations."""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from support.statements import KINDS

from .checker import Verdict, check
from .relay import BEFORE_REPLY, IN_REPLY, POINTS
from .scene import Scene, wait_until_serving

PHASE_SECONDS = 8
TOPOLOGIES = ("replica-set", "standalone")


def kinds_of_faults(scene, kill_server):
    """[(fault, weight)]."""
    # if the test is about answers to resent commands, most faults cause a resend
    points, cuts = ((*POINTS, *[BEFORE_REPLY, IN_REPLY] * 4), 60) if scene.statements else (POINTS, 10)
    kinds = [(lambda chance: scene.cut(chance, points), cuts), (scene.kill_client, 2), (scene.drain_proxy, 1)]
    if kill_server:
        kinds.append((scene.restart_server, 1))
    if scene.knows_failpoints():
        kinds.append((scene.fail, 5))
    return kinds


def run_phase(scene, chance, seconds, kinds):
    """Returns one Verdict: drivers work while faults happen; then all stop, and the stored documents are read."""
    end = time.monotonic() + seconds
    scene.faults.clear()
    before, batches = scene.fault_count, scene.batches()
    scene.start_drivers(chance)
    while time.monotonic() < end:
        time.sleep(chance.uniform(0.1, 0.3 if scene.statements else 0.8))
        (fault,) = chance.choices([one for one, _ in kinds], [weight for _, weight in kinds])
        fault(chance)
    scene.relay.disarm()
    wait_until_serving(scene)
    time.sleep(0.5)
    operations, trouble = scene.collect()
    scene.note_cuts()
    verdict = check(operations, scene.stored(), scene.faults, forgets=scene.forgets, inexact=scene.inexact())
    verdict.violations += trouble
    verdict.faults, verdict.batches = scene.fault_count - before, scene.batches() - batches
    return verdict


def run(seconds, seed, *, topology="replica-set", program=None, merging=True, kill_server=True, statements=None,
        sharing=False, enough=lambda total: total.operations, say=lambda _: None):
    """Returns the Verdict of all phases. They take `seconds`, and on a busy machine longer, until enough(verdict).
    Soak tests import it."""
    total = Verdict()
    chance = random.Random(seed)
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="sluice-history-") as folder:
        scene = Scene(Path(folder), standalone=topology == "standalone", program=program, merging=merging,
                      statements=statements, sharing=sharing)
        try:
            wait_until_serving(scene)
            kinds = kinds_of_faults(scene, kill_server)
            while True:
                left = end - time.monotonic()
                if left <= 0 and (enough(total) or left < -10 * seconds):
                    break
                verdict = run_phase(scene, chance, max(1.0, min(PHASE_SECONDS, left)), kinds)
                total.add(verdict)
                say(f"{topology}: {verdict.operations} operations, {verdict.batches} batches, {verdict.faults} faults, "
                    f"{len(verdict.violations)} violations, {verdict.ambiguous.total()} E11000 for stored documents; "
                    + ", ".join(f"{count} {name}" for name, count in sorted(verdict.outcomes.items())))
        finally:
            scene.stop()
    return total


def summary(verdict):
    return (f"operations {verdict.operations}, faults {verdict.faults}, "
            f"violations {len(verdict.violations)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--topology", choices=TOPOLOGIES, action="append",
                        help="one or more; both, half of the time each, when none is named")
    parser.add_argument("--server", type=Path, help="a server program that honours stmtIds; then no answer may "
                        "be ambiguous but after its end (default: SecantusDB of this Python environment)")
    parser.add_argument("--statements", choices=KINDS, help="a relay in front of the server recognises each statement "
                        "of a retried insert; then as with --server")
    parser.add_argument("--keep-server", action="store_true", help="the server is not killed: servers forget then")
    parser.add_argument("--without-merging", action="store_true", help="the same against the proxy that only passes on")
    parser.add_argument("--sharing", action="store_true", help="through shared upstream connections (pool.mode)")
    options = parser.parse_args()
    topologies = options.topology or TOPOLOGIES
    total = Verdict()
    for topology in topologies:
        total.add(run(options.seconds / len(topologies), options.seed, topology=topology, program=options.server,
                      merging=not options.without_merging, kill_server=not options.keep_server, statements=options.statements,
                      sharing=options.sharing, say=lambda line: print(line, flush=True)))
    for violation in total.violations[:50]:
        print(f"violation: {violation}")
    after = ", ".join(f"{count} after {' and '.join(faults)}" for faults, count in total.ambiguous.items())
    print(f"seed {options.seed}; {total.ambiguous.total()} stored documents got E11000"
          + (f" ({after})" if after else ""))
    print(summary(total))
    return 1 if total.violations else 0


if __name__ == "__main__":
    sys.exit(main())
