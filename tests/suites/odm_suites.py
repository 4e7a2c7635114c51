"""Runs the test suites of the ODMs four ways and prints each test whose outcome differs from the first:

    direct    the ODM as it is, on the server
    proxy     through the proxy
    schemas   through a proxy that enforces the schemas of the models that the tests use
    offload   the same with mongosluice.offload()

A test that differs runs again, alone, some times each way; where the ways then show an outcome in
common it is unsteady. A difference that tests/suites/odm_expected.txt does not have, with its reason,
makes the exit status 1. The suites are no part of this project: --mongoengine names a checkout of
github.com/MongoEngine/mongoengine at the installed version, --beanie and --beanie1 name checkouts of
github.com/BeanieODM/beanie at 2.x and at 1.30 (their source archives lack most or all tests)."""

import argparse
import contextlib
import os
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import outcomes
from outcomes import MISSING, Difference, print_list

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "tests/integration"))

from support.ports import free_port  # noqa: E402
from support.proxy import Proxy  # noqa: E402
from support.servers import Server  # noqa: E402

WAYS = ("direct", "proxy", "schemas", "offload")
EXPECTED = HERE / "odm_expected.txt"
TEST_SECONDS, MODULE_SECONDS = 60, 1500


@dataclass(frozen=True)
class Suite:
    name: str  # as in ODM_SUITE and on the command line
    label: str  # with the version, where there are two
    python: Path
    folder: Path  # the checkout
    arguments: tuple[str, ...] = ()

    def modules(self):
        return sorted(str(path.relative_to(self.folder)) for path in (self.folder / "tests").rglob("test_*.py"))


def suites(options):
    for label, python, folder in (("beanie", Path(sys.executable), options.beanie),
                                  ("beanie1", ROOT / ".cache/venv-beanie1/bin/python", options.beanie1)):
        if folder:
            # warnings are errors there, also ours of a model that stays as it is
            yield Suite("beanie", label, python, folder.resolve(), ("-o", "filterwarnings=default"))
    if options.mongoengine:
        # the configuration asks for coverage; connections to other ports and sets are not ours
        yield Suite("mongoengine", "mongoengine", Path(sys.executable), options.mongoengine.resolve())


class Lane:
    """A server, and what stands before it, for all modules that are run one way."""

    def __init__(self, way, folder):
        self.way = way
        self.folder = folder
        self.server = Server(folder / "data", "--enable-test-commands", replica_set=None)
        self.proxy = None
        self.variables = {"ODM_SERVER": "{}:{}".format(*self.server.endpoint.host_port)}
        if way != "direct":
            self._start_proxy()

    def _start_proxy(self):
        schemas = self.folder / "schemas"
        schemas.mkdir()
        admin = f"127.0.0.1:{free_port()}"
        options = {"schemas": schemas, "admin.listen": admin, "admin.write": "true"}
        self.proxy = Proxy(self.server.endpoint.uri(), options, endpoint=self.server.endpoint)
        self.variables["ODM_SERVER"] = self.proxy.address()
        if self.way in ("schemas", "offload"):
            self.variables["ODM_ADMIN"] = admin
        if self.way == "offload":
            self.variables["ODM_OFFLOAD"] = "1"

    def close(self):
        if self.proxy is not None:
            self.proxy.process.kill()
        self.server.stop()


@contextlib.contextmanager
def lane(way):
    with tempfile.TemporaryDirectory(prefix="odm-suites-") as scratch:
        made = Lane(way, Path(scratch))
        try:
            yield made
        finally:
            made.close()


@dataclass
class Ran:
    tests: dict = field(default_factory=dict)  # test id -> Outcome
    trouble: list = field(default_factory=list)


def run(suite, where, module, out, only=()):
    """One module, or the tests `only` of it, in a pytest of its own."""
    out.mkdir(parents=True, exist_ok=True)
    junit, log = out / "junit.xml", out / "pytest.log"
    junit.unlink(missing_ok=True)
    paths = [HERE, *os.environ.get("ODM_PACKAGES", "").split(os.pathsep), suite.folder]
    env = {key: value for key, value in os.environ.items() if key != "PYTEST_ADDOPTS"}
    env |= {**where.variables, "ODM_SUITE": suite.name, "PYTHONHASHSEED": "0",
            "PYTHONPATH": os.pathsep.join(str(path) for path in paths if path)}
    command = [suite.python, "-m", "pytest", "-q", "-o", "addopts=", "-p", "no:cacheprovider", "-p", "odm_plugin",
               f"--timeout={TEST_SECONDS}", f"--junitxml={junit}", *suite.arguments,
               *(list(outcomes.node_ids(module, only)) or [module])]
    tests, trouble = outcomes.run_pytest(command, suite.folder, env, junit, log, MODULE_SECONDS)
    return Ran(tests, [f"{suite.label} {where.way} {module}: {trouble}"] if trouble else [])


def run_way(way, jobs, out):
    """{(suite, module): Ran} of all modules."""
    found = {}
    with lane(way) as where:
        for suite, module in jobs:
            found[suite, module] = run(suite, where, module, out / suite.label / way / module.removesuffix(".py"))
    return found


@dataclass
class SuiteDifference(Difference):
    suite: Suite
    module: str
    test: str


def differences(results):
    for (suite, module), direct in results["direct"].items():
        for way in list(results)[1:]:
            other = results[way][suite, module]
            for test in sorted(direct.tests.keys() | other.tests.keys()):
                here, there = direct.tests.get(test, MISSING), other.tests.get(test, MISSING)
                if here.word != there.word:
                    yield SuiteDifference(f"{suite.label} {way} {test}", way, [here], [there], suite, module, test)


def run_again(found, times, out):
    """Each test that differs alone, on servers of their own."""
    for way in sorted({one.way for one in found}):
        mine = [one for one in found if one.way == way]
        with lane("direct") as direct, lane(way) as other:
            for attempt in range(times):
                for one in mine:
                    for where, seen in ((direct, one.direct), (other, one.other)):
                        folder = out / one.suite.label / f"{where.way}-again{attempt}" / one.module.removesuffix(".py")
                        again = run(one.suite, where, one.module, folder, [one.test])
                        seen.append(again.tests.get(one.test, MISSING))


def expected_differences():
    """{(suite, way, test): reason}"""
    known = {}
    for number, line in enumerate(EXPECTED.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = [part.strip() for part in line.split("|")]
        if len(fields) != 4 or not all(fields):
            raise SystemExit(f"{EXPECTED}:{number}: wanted: suite | way, or two with a comma | test | reason")
        for way in fields[1].split(","):
            known[fields[0], way.strip(), fields[2]] = fields[3]
    return known


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beanie", type=Path, metavar="FOLDER", help="a checkout of Beanie 2")
    parser.add_argument("--beanie1", type=Path, metavar="FOLDER", help="a checkout of Beanie 1.30")
    parser.add_argument("--mongoengine", type=Path, metavar="FOLDER", help="a checkout of MongoEngine")
    parser.add_argument("--way", action="append", choices=WAYS[1:], help="beside direct; default: all")
    parser.add_argument("--module", action="append", metavar="PART", help="only modules whose path contains this")
    parser.add_argument("--again", type=int, default=2, metavar="N",
                        help="how often a differing test runs again each way (%(default)s)")
    parser.add_argument("--out", type=Path, default=ROOT / "build/odm-suites",
                        help="folder for junit files and logs (%(default)s)")
    return parser.parse_args()


def words(results):
    counts = Counter(one.word for ran in results.values() for one in ran.tests.values())
    return ", ".join(f"{count} {word}" for word, count in sorted(counts.items())) or "nothing"


def main():
    options = arguments()
    jobs = [(suite, module) for suite in suites(options) for module in suite.modules()
            if not options.module or any(part in module for part in options.module)]
    if not jobs:
        raise SystemExit("odm-suites: nothing to run: name a checkout, as --help says")
    ways = ["direct", *(options.way or WAYS[1:])]
    with ThreadPoolExecutor(2) as pool:
        results = dict(zip(ways, pool.map(lambda way: run_way(way, jobs, options.out), ways), strict=True))
    found = list(differences(results))
    run_again(found, options.again, options.out)
    known = expected_differences()
    unsteady = [one for one in found if one.is_unsteady]
    different = [one for one in found if not one.is_unsteady]
    reasons = {id(one): known.get((one.suite.label, one.way, one.test)) for one in different}
    unexpected = [one for one in different if not reasons[id(one)]]
    trouble = [line for ran in results.values() for one in ran.values() for line in one.trouble]
    print_list("Unsteady: both ways show the same outcome at least once:", unsteady)
    print_list("Different, as expected:", [f"{one.suite.label} {one.way} {one.test}: {reasons[id(one)]}"
                                           for one in different if reasons[id(one)]])
    print_list("Different:", unexpected)
    print_list("Trouble:", trouble)
    print()
    for way in ways:
        count = sum(one.way == way for one in different)
        print(f"{way:<8} {words(results[way])}{f'; {count} differ' if way != 'direct' else ''}")
    print(f"odm-suites: {len(unexpected)} unexpected differences, {len(different) - len(unexpected)} as expected, "
          f"{len(unsteady)} unsteady")
    return 1 if unexpected or trouble else 0


if __name__ == "__main__":
    sys.exit(main())
