"""One module of a suite, run one way: on a fresh server, direct or through a fresh proxy."""

import argparse
import re
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import open_schemas
from suite import Suite, Trial

from support.admin import Admin
from support.proxy import Proxy
from support.servers import Server, start_secure_server

TOPOLOGIES = {"replica-set": "secantus", "standalone": None}
DIRECT = "direct"
USER, PASSWORD = "suites", "plain"  # Motor's tests put them into URIs as they are
# the ways through the proxy, and its options; merging+schemas is both
WAYS = {"proxy": {}, "shared": {"pool.mode": "shared"},
        "verifier": {"pool.mode": "shared", "auth.verifiers": "upstream"},
        "merging": {"merge.enabled": "true", "admin": "0"}, "schemas": {"admin": "0"}}
NAMESPACES = "namespaces"  # the file in the folder of a direct run: what its tests write to
INSERTS = re.compile(r'^mongosluice_inserts_total\{way="(\w+)"\} (\d+)', re.M)
TEST_SECONDS = 60


def way_named(text):
    """A way of the command line."""
    for word in text.split("+"):
        if word not in WAYS:
            raise argparse.ArgumentTypeError(f"unknown way {word}: name one of {', '.join(WAYS)}, or join several by +")
    return text


def options_of(way):
    return {name: value for word in way.split("+") for name, value in WAYS[word].items()}


def has_schemas(way):
    return "schemas" in way.split("+")


def is_shared(way):
    return "pool.mode" in options_of(way)


@dataclass(frozen=True)
class Job:
    suite: Suite
    topology: str
    module: str
    merging: bool = False
    auth: bool = False  # the server has access control, and the tests log in
    ways: tuple = ("proxy",)
    test_seconds: int = TEST_SECONDS

    def __str__(self):
        more = [word for word, has in (("merging", self.merging), ("auth", self.auth)) if has]
        return " ".join([self.suite.name, self.topology, self.module, *more])

    @property
    def place(self):
        """Its folder below the folder of all results."""
        return f"{self.suite.name}/{self.topology}{'-auth' if self.auth else ''}/{self.module.removesuffix('.py')}"

    @property
    def needs_namespaces(self):
        return any(has_schemas(way) for way in self.ways)


@dataclass
class Ran:
    tests: dict = field(default_factory=dict)  # test id -> Outcome
    trouble: str = ""  # what the proxy or the suite did that no test tells
    counts: Counter = field(default_factory=Counter)  # what the proxy checked and merged


def run(job, way, folder, only=()):
    """Runs the module, or the tests `only` of it (ids as in the outcomes). `folder` receives what
    the suite printed and the proxy's log."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="driver-suites-") as scratch:
        server = _start_server(job, Path(scratch) / "data")
        try:
            if way == DIRECT:
                return _run(job, server.endpoint, folder, only, job.needs_namespaces)
            options = options_of(way)
            if has_schemas(way):
                options["schemas"] = Path(scratch) / "schemas"
                open_schemas.write(options["schemas"], namespaces_of(job, folder.parent))
            return _through_proxy(job, server, options, folder, only)
        finally:
            server.stop()


def known(job, folder):
    """The direct run that an earlier comparison left in its folder; None if it left none that serves."""
    if job.needs_namespaces and not (folder / NAMESPACES).exists():
        return None
    tests = job.suite.known(folder)
    return Ran(tests) if tests else None


def namespaces_of(job, folder):
    """What the direct run wrote to, for the folder of all runs of this job."""
    return open_schemas.read_namespaces(folder / DIRECT / NAMESPACES)


def _start_server(job, folder):
    options = {"replica_set": TOPOLOGIES[job.topology]}
    if job.auth:
        return start_secure_server(folder, None, USER, PASSWORD, flags=["--enable-test-commands"], **options)
    return Server(folder, "--enable-test-commands", **options)


def _through_proxy(job, server, options, folder, only):
    options = {**options, **(WAYS["merging"] if job.merging else {})}
    proxy = Proxy(server.endpoint.uri(), options, endpoint=server.endpoint)
    try:
        ran = _run(job, proxy.endpoint(), folder, only)
        if "admin" in options:
            ran.counts = _counts(Admin(proxy))
    except BaseException:
        proxy.process.kill()
        raise
    try:
        proxy.finish()
    except AssertionError as error:
        ran.trouble += f"the proxy: {error}"
    (folder / "proxy.log").write_text("\n".join([*proxy.process.stdout, *proxy.process.stderr]))
    return ran


def _counts(admin):
    status = admin.json("/status")
    validation, tried = status["validation"], status["validation"]["tried"]
    metrics = admin.get("/metrics").body.decode()
    inserts = Counter({way: int(count) for way, count in INSERTS.findall(metrics)})
    return Counter({
        "namespaces with schemas": validation["schemas"],
        "documents checked": validation["passed"] + validation["refused"],
        "refused": validation["refused"],
        "refused by the candidate": tried["refused"],
        "undecided by the candidate": tried["undecided"],
        "inserts for merging": inserts["at_once"] + inserts["gathered"],
        "inserts passed unmerged": inserts["passed"],
        "documents in batches of several clients": status["merging"]["documents"],
    })


def _run(job, endpoint, folder, only, notes_namespaces=False):
    namespaces = folder / NAMESPACES if notes_namespaces else None
    return Ran(*job.suite.run(Trial(job.module, endpoint, folder, job.test_seconds, tuple(only), namespaces)))
