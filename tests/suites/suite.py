"""What a test suite of a driver is, whatever runs it."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
sys.path.insert(0, str(ROOT / "tests/integration"))

from support.endpoint import Endpoint  # noqa: E402

MODULE_SECONDS = 1500
# What the suites read and a developer may have set.
FOREIGN = ("DB_USER", "DB_PASSWORD", "COMPRESSORS", "CLIENT_PEM", "CA_PEM", "CERT_DIR", "AUTH", "SSL",
           "TEST_LOADBALANCER", "SINGLE_MONGOS_LB_URI", "MULTI_MONGOS_LB_URI", "MONGODB_API_VERSION",
           "PYTEST_ADDOPTS", "MONGODB_URI", "MONGO_GO_DRIVER_COMPRESSOR", "SERVERLESS", "REQUIRE_API_VERSION")


@dataclass
class Trial:
    """One run of a module of a suite."""

    module: str
    endpoint: Endpoint  # the server, or the proxy in front of it
    folder: Path  # for what the run leaves
    test_seconds: int
    only: tuple[str, ...] = ()  # tests, by the names that the outcomes have; none: all
    namespaces: Path | None = None  # the file for the names of the collections that the tests write to


@dataclass(frozen=True)
class Suite:
    """A kind of suite has modules(), which returns their names, and run(trial), which returns the outcomes of the
    module's tests by their names, and why there are none."""

    name: str
    folder: Path
    fast: tuple[str, ...] = ()  # the modules that every CI run covers
    few: tuple[str, ...] = ()  # of these: what the short run of scripts/test.sh covers, on the replica set without logins
    # Of the fast part: what is mostly about inserts. On the replica set it runs with merging on.
    merged: tuple[str, ...] = ()
    # Of the fast part: what runs on the replica set with schemas besides.
    schemas: tuple[str, ...] = ()
    # Of the fast part: what runs on the replica set through shared connections besides, and what does so with access
    # control.
    shared: tuple[str, ...] = ()
    shared_auth: tuple[str, ...] = ()
    notes_namespaces = False  # run() writes the file trial.namespaces

    def prepare(self):
        """Makes ready what run() needs."""

    def known(self, folder):
        """The outcomes that an earlier run left in the folder; None if it left none."""

    def environment(self, **more):
        kept = {key: value for key, value in os.environ.items()
                if key not in FOREIGN and not key.startswith("MONGOC_TEST_")}
        return kept | more

