"""Runs the suites of PyMongo and Motor, or those of the C and the Go driver, direct and through the proxy and prints the
tests whose outcome differs. Every module runs on a server of its own, as a replica-set member and as a
standalone; only the difference between the two ways counts, for the server is not MongoDB and some
tests fail on it either way.

A test that differs runs again, alone, some times each way. Where the two ways show an outcome in
common it is unsteady, and told as such; otherwise it is different, and unless
tests/suites/expected_differences.txt (with shared connections, expected_differences_shared.txt too) has it with a
reason, the exit status is 1.

The ways: "proxy" with a connection to the server for each client's, "shared" with shared ones, and "verifier" with
shared ones on which the proxy logs in by itself; "merging" merges inserts, and "schemas" has a schema that refuses
nothing on each namespace that the direct run wrote to. Ways are joined by +: merging+schemas. The last lines tell how
many documents the proxy checked and merged."""

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import expected
import lane
import suites
from outcomes import MISSING, Difference, print_list
from suite import ROOT


@dataclass
class JobDifference(Difference):
    job: lane.Job
    test: str


@dataclass
class Compared:
    tests: int
    direct: dict
    found: list
    trouble: list
    messages: list
    counts: dict  # way -> what the proxy checked and merged


def compare_module(job, options):
    begin = time.monotonic()
    folder = options.out / job.place
    ways = (lane.DIRECT, *job.ways)
    ran = {lane.DIRECT: lane.known(job, folder / lane.DIRECT) if options.known_direct else None}
    ran[lane.DIRECT] = ran[lane.DIRECT] or lane.run(job, lane.DIRECT, folder / lane.DIRECT)
    direct = ran[lane.DIRECT].tests
    for way in job.ways:  # a module whose tests are all deselected has nothing to compare
        ran[way] = lane.run(job, way, folder / way) if direct else lane.Ran()
    found = [one for way in job.ways for one in differing(job, way, direct, ran[way].tests)]
    again(job, found, folder, options.again)
    trouble = [f"{job} {way}: {ran[way].trouble}" for way in ways if ran[way].trouble]
    trouble += [line for way in job.ways if direct and lane.has_schemas(way)
                for line in unchecked(job, way, lane.namespaces_of(job, folder), ran[way].counts)]
    report(job, {way: ran[way].tests for way in ways}, found, time.monotonic() - begin)
    messages = [line for way in job.ways for line in other_messages(job, way, direct, ran[way].tests)]
    return Compared(len(direct) * len(job.ways), direct, found, trouble, messages,
                    {way: ran[way].counts for way in job.ways})


def unchecked(job, way, namespaces, counts):
    """A run that checks nothing compares nothing."""
    if counts["namespaces with schemas"] != len(namespaces):
        yield f"{job} {way}: {counts['namespaces with schemas']} of {len(namespaces)} schemas are in force"
    if namespaces and not counts["documents checked"] + counts["undecided by the candidate"]:  # $out: undecided
        yield f"{job} {way}: no write was checked, but the direct run wrote to {len(namespaces)} namespaces"


def differing(job, way, direct, other):
    for name in sorted(direct.keys() | other.keys()):
        pair = direct.get(name, MISSING), other.get(name, MISSING)
        if pair[0].word != pair[1].word:
            yield JobDifference(f"{job} {name}", way, [pair[0]], [pair[1]], job, name)


def other_messages(job, way, direct, other):
    return [f"{job} {name}\n    direct {one.gist}\n    {way}  {other[name].gist}" for name, one in direct.items()
            if one.word in ("failed", "error") and name in other and other[name].word == one.word
            and one.gist != other[name].gist]


def again(job, found, folder, times):
    """Runs the tests that differ once more, each way."""
    for attempt in range(times if found else 0):
        for way in (lane.DIRECT, *sorted({one.way for one in found})):
            concerned = [one for one in found if way in (lane.DIRECT, one.way)]
            outcomes = lane.run(job, way, folder / f"{way}-again{attempt}", sorted({one.test for one in concerned})).tests
            for one in concerned:
                seen = one.direct if way == lane.DIRECT else one.other
                seen.append(outcomes.get(one.test, MISSING))


def report(job, tests, found, seconds):
    def words(tests):
        counts = Counter(one.word for one in tests.values())
        return " ".join(f"{counts[word]} {word}" for word in sorted(counts)) or "nothing"
    told = f"{words(tests[lane.DIRECT])}, the same by {' and '.join(job.ways)}"
    if found:
        told = ", ".join(f"{way} {words(tests[way])}" for way in tests) + f", {len(found)} differ"
    print(f"{seconds:6.1f} s  {job}: {told}", flush=True)


def chosen_jobs(options):
    for topology in options.topology or (["replica-set"] if options.few else lane.TOPOLOGIES):
        for suite in options.suite:
            for module in suite.few if options.few else suite.fast if options.fast else suite.modules():
                if not options.module or any(part in module for part in options.module):
                    yield from jobs_of(options, suite, topology, module)


def jobs_of(options, suite, topology, module):
    merging = merges(options, suite, topology, module)
    if options.way or options.auth or not options.fast:
        yield lane.Job(suite, topology, module, merging, options.auth, tuple(options.way or ("proxy",)),
                       options.test_seconds)
        return
    is_set = topology == "replica-set"
    more = [way for way, modules in (("shared", suite.shared), ("schemas", suite.schemas))
            if is_set and module in modules]
    yield lane.Job(suite, topology, module, merging, ways=("proxy", *more), test_seconds=options.test_seconds)
    if is_set and module in suite.shared_auth and not options.few:
        yield lane.Job(suite, topology, module, auth=True, ways=("shared", "verifier"),
                       test_seconds=options.test_seconds)


def merges(options, suite, topology, module):
    if options.merge == "some":
        return options.fast and topology == "replica-set" and module in suite.merged
    return options.merge == "all"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fast", action="store_true", help="the chosen part that CI runs")
    parser.add_argument("--few", action="store_true", help="some modules of that part, on the replica set")
    parser.add_argument("--suite", action="append", choices=[one.name for one in suites.ALL],
                        help="default: " + " and ".join(one.name for one in suites.PYTHON))
    parser.add_argument("--topology", action="append", choices=list(lane.TOPOLOGIES))
    parser.add_argument("--module", action="append", metavar="PART",
                        help="only modules whose path contains this")
    parser.add_argument("--merge", choices=("some", "all", "none"), default="some",
                        help="run through a proxy that merges inserts: the insert tests of the fast part, on the "
                        "replica set (some, the default), all tests, or none")
    parser.add_argument("--way", action="append", type=lane.way_named,
                        help="through the proxy in this way, of " + ", ".join(lane.WAYS) + ", or several joined by + "
                        "(proxy; the fast part adds others for some modules)")
    parser.add_argument("--known-direct", action="store_true",
                        help="take the direct outcomes from --out, of modules that an earlier run left there")
    parser.add_argument("--auth", action="store_true", help="on a server with access control")
    parser.add_argument("--again", type=int, default=3, metavar="N",
                        help="how often a differing test runs again each way (%(default)s)")
    parser.add_argument("--test-seconds", type=int, default=lane.TEST_SECONDS, metavar="N",
                        help="end a test after this time (%(default)s); a busy machine needs more, for a test that is "
                        "ended may leave commands that disturb the next ones")
    parser.add_argument("--jobs", type=int, default=2, metavar="N",
                        help="modules at one time (%(default)s)")
    parser.add_argument("--out", type=Path, default=ROOT / "build/driver-suites",
                        help="folder for junit files and logs (%(default)s)")
    options = parser.parse_args()
    options.out = options.out.resolve()  # pytest runs in the folder of the suite
    options.fast = options.fast or options.few
    options.suite = [one for one in suites.ALL if one.name in options.suite] if options.suite else suites.PYTHON
    for suite in options.suite:
        if any(lane.has_schemas(way) for way in options.way or ()) and not suite.notes_namespaces:
            parser.error(f"--way schemas: nothing tells which collections the tests of --suite {suite.name} write to")
        if options.fast and not suite.fast:
            parser.error(f"--suite {suite.name} has no chosen part: leave out --fast and --few")
    return options


def print_counts(results):
    counts = {}
    for result in results:
        for way, of_way in result.counts.items():
            counts.setdefault(way, Counter()).update(of_way)
    for way, total in sorted(counts.items()):
        if total:
            print(f"{way}: " + ", ".join(f"{count} {name}" for name, count in total.items()))


def main():
    options = arguments()
    reasons = expected.load()
    for suite in options.suite:
        suite.prepare()
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(lambda job: compare_module(job, options), chosen_jobs(options)))
    found = [one for result in results for one in result.found]
    unsteady = [one for one in found if one.is_unsteady]
    different = [one for one in found if not one.is_unsteady]
    unexpected = [one for one in different if not expected.reason(reasons, one)]
    trouble = [line for result in results for line in result.trouble]
    print_list("Failing both ways, with another message (for information):",
               [line for result in results for line in result.messages])
    print_list("Unsteady: both ways show the same outcome at least once:", unsteady)
    print_list("Different, as expected:", [f"{one}\n    because {expected.reason(reasons, one)}"
                                           for one in different if one not in unexpected])
    print_list("Different:", unexpected)
    print_list("Trouble:", trouble)
    compared = sum(result.tests for result in results)
    words = Counter(one.word for result in results for one in result.direct.values())
    print(f"\n{compared} tests compared; direct: "
          + ", ".join(f"{count} {word}" for word, count in sorted(words.items()))
          + f"; {len(unsteady)} unsteady, {len(different) - len(unexpected)} different as expected")
    print_counts(results)
    failed = len(unexpected) + len(trouble)
    print(f"suites: {compared - len(unexpected)} passed, {failed} failed")
    return 1 if failed or not compared else 0


if __name__ == "__main__":
    sys.exit(main())
