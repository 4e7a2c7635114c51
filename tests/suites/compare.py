"""Runs the suites of PyMongo and Motor direct and through the proxy and prints the tests whose
outcome differs. Every module runs on a server of its own, as a replica-set member and as a
standalone; only the difference between the two ways counts, for the server is not MongoDB and some
tests fail on it either way.

A test that differs runs again, alone, some times each way. Where the two ways show an outcome in
common it is unsteady, and told as such; otherwise it is different, and unless
tests/suites/expected_differences.txt has it with a reason, the exit status is 1."""

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


@dataclass
class JobDifference(Difference):
    job: lane.Job
    test: str


def compare_module(job, options):
    begin = time.monotonic()
    folder = options.out / job.suite.name / job.topology / job.module.removesuffix(".py")
    ran = {way: lane.run(job, way, folder / way) for way in lane.WAYS}
    direct, proxy = ran["direct"].tests, ran["proxy"].tests
    names = sorted(direct.keys() | proxy.keys())
    differing = [name for name in names
                 if direct.get(name, MISSING).word != proxy.get(name, MISSING).word]
    found = [JobDifference(f"{job.suite.name} {job.topology} {name}", "proxy", [direct.get(name, MISSING)],
                           [proxy.get(name, MISSING)], job, name) for name in differing]
    for attempt in range(options.again if found else 0):
        for way in lane.WAYS:
            again = lane.run(job, way, folder / f"{way}-again{attempt}", differing).tests
            for one in found:
                seen = one.direct if way == "direct" else one.other
                seen.append(again.get(one.test, MISSING))
    trouble = [f"{job} {way}: {ran[way].trouble}" for way in lane.WAYS if ran[way].trouble]
    report(job, direct, proxy, found, time.monotonic() - begin)
    messages = [f"{job.suite.name} {job.topology} {name}\n    direct {direct[name].gist}\n"
                f"    proxy  {proxy[name].gist}" for name in names if name not in differing
                and direct[name].word in ("failed", "error")
                and direct[name].gist != proxy[name].gist]
    return names, direct, found, trouble, messages


def report(job, direct, proxy, found, seconds):
    def words(tests):
        counts = Counter(one.word for one in tests.values())
        return " ".join(f"{counts[word]} {word}" for word in sorted(counts)) or "nothing"
    same = f"{words(direct)}, the same through the proxy"
    both = f"direct {words(direct)}, proxy {words(proxy)}, {len(found)} differ"
    print(f"{seconds:6.1f} s  {job}: {both if found else same}", flush=True)


def chosen_jobs(options):
    for topology in options.topology or lane.TOPOLOGIES:
        for suite in suites.ALL:
            if options.suite and suite.name not in options.suite:
                continue
            for module in suite.fast if options.fast else suite.modules():
                if not options.module or any(part in module for part in options.module):
                    yield lane.Job(suite, topology, module, merges(options, suite, topology, module))


def merges(options, suite, topology, module):
    if options.merge == "some":
        return options.fast and topology == "replica-set" and module in suite.merged
    return options.merge == "all"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fast", action="store_true", help="the chosen part that CI runs")
    parser.add_argument("--suite", action="append", choices=[one.name for one in suites.ALL])
    parser.add_argument("--topology", action="append", choices=list(lane.TOPOLOGIES))
    parser.add_argument("--module", action="append", metavar="PART",
                        help="only modules whose path contains this")
    parser.add_argument("--merge", choices=("some", "all", "none"), default="some",
                        help="run through a proxy that merges inserts: the insert tests of the fast part, on the "
                        "replica set (some, the default), all tests, or none")
    parser.add_argument("--again", type=int, default=3, metavar="N",
                        help="how often a differing test runs again each way (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N",
                        help="modules at one time (%(default)s)")
    parser.add_argument("--out", type=Path, default=suites.ROOT / "build/driver-suites",
                        help="folder for junit files and logs (%(default)s)")
    return parser.parse_args()


def main():
    options = arguments()
    reasons = expected.load()
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(lambda job: compare_module(job, options), chosen_jobs(options)))
    found = [one for result in results for one in result[2]]
    unsteady = [one for one in found if one.is_unsteady]
    different = [one for one in found if not one.is_unsteady]
    unexpected = [one for one in different if not expected.reason(reasons, one)]
    trouble = [line for result in results for line in result[3]]
    print_list("Failing both ways, with another message (for information):",
               [line for result in results for line in result[4]])
    print_list("Unsteady: both ways show the same outcome at least once:", unsteady)
    print_list("Different, as expected:", [f"{one}\n    because {expected.reason(reasons, one)}"
                                           for one in different if one not in unexpected])
    print_list("Different:", unexpected)
    print_list("Trouble:", trouble)
    compared = sum(len(result[0]) for result in results)
    words = Counter(one.word for result in results for one in result[1].values())
    print(f"\n{compared} tests compared; direct: "
          + ", ".join(f"{count} {word}" for word, count in sorted(words.items()))
          + f"; {len(unsteady)} unsteady, {len(different) - len(unexpected)} different as expected")
    failed = len(unexpected) + len(trouble)
    print(f"suites: {compared - len(unexpected)} passed, {failed} failed")
    return 1 if failed or not compared else 0


if __name__ == "__main__":
    sys.exit(main())
