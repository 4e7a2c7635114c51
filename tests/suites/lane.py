"""One module of a suite, run one way: on a fresh server, direct or through a fresh proxy."""

import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import outcomes
from suites import ROOT, Suite

sys.path.insert(0, str(ROOT / "tests/integration"))

from support.proxy import Proxy  # noqa: E402
from support.servers import Server, start_secure_server  # noqa: E402

TOPOLOGIES = {"replica-set": "secantus", "standalone": None}
DIRECT = "direct"
USER, PASSWORD = "suites", "plain"  # Motor's tests put them into URIs as they are
# the ways through the proxy, and its options
WAYS = {"proxy": {}, "shared": {"pool.mode": "shared"},
        "verifier": {"pool.mode": "shared", "auth.verifiers": "upstream"}}
TEST_SECONDS = 60
MODULE_SECONDS = 1500
# What the suites read and a developer may have set.
FOREIGN = ("DB_USER", "DB_PASSWORD", "COMPRESSORS", "CLIENT_PEM", "CA_PEM", "CERT_DIR", "AUTH", "SSL",
           "TEST_LOADBALANCER", "SINGLE_MONGOS_LB_URI", "MULTI_MONGOS_LB_URI", "MONGODB_API_VERSION",
           "PYTEST_ADDOPTS")


@dataclass(frozen=True)
class Job:
    suite: Suite
    topology: str
    module: str
    merging: bool = False
    auth: bool = False  # the server has access control, and the tests log in
    ways: tuple = ("proxy",)

    def __str__(self):
        more = [word for word, has in (("merging", self.merging), ("auth", self.auth)) if has]
        return " ".join([self.suite.name, self.topology, self.module, *more])

    @property
    def place(self):
        """Its folder below the folder of all results."""
        return f"{self.suite.name}/{self.topology}{'-auth' if self.auth else ''}/{self.module.removesuffix('.py')}"


@dataclass
class Ran:
    tests: dict = field(default_factory=dict)  # test id -> Outcome
    trouble: str = ""  # what the proxy or pytest did that no test tells


def run(job, way, folder, only=()):
    """Runs the module, or the tests `only` of it (ids as in the junit file). `folder` receives the
    junit file, what pytest printed and the proxy's log."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="driver-suites-") as scratch:
        server = _start_server(job, Path(scratch) / "data")
        try:
            if way == DIRECT:
                return _pytest(job, server.endpoint.host_port, folder, only)
            return _through_proxy(job, server, WAYS[way], folder, only)
        finally:
            server.stop()


def _start_server(job, folder):
    options = {"replica_set": TOPOLOGIES[job.topology]}
    if job.auth:
        return start_secure_server(folder, None, USER, PASSWORD, flags=["--enable-test-commands"], **options)
    return Server(folder, "--enable-test-commands", **options)


def _through_proxy(job, server, options, folder, only):
    options = {**options, **({"merge.enabled": "true"} if job.merging else {})}
    proxy = Proxy(server.endpoint.uri(), options, endpoint=server.endpoint)
    try:
        ran = _pytest(job, proxy.endpoint().host_port, folder, only)
    except BaseException:
        proxy.process.kill()
        raise
    try:
        proxy.finish()
    except AssertionError as error:
        ran.trouble += f"the proxy: {error}"
    (folder / "proxy.log").write_text("\n".join([*proxy.process.stdout, *proxy.process.stderr]))
    return ran


def _pytest(job, host_port, folder, only):
    junit = folder / "junit.xml"
    junit.unlink(missing_ok=True)
    env = {key: value for key, value in os.environ.items() if key not in FOREIGN}
    env |= {"DB_IP": host_port[0], "DB_PORT": str(host_port[1]), "PYTHONHASHSEED": "0"}
    if job.auth:
        env |= {"DB_USER": USER, "DB_PASSWORD": PASSWORD}
    command = [sys.executable, "-m", "pytest", "-q", "-ra", "-o", "addopts=", "-o", "log_cli=false",
               "-p", "no:cacheprovider", f"--timeout={TEST_SECONDS}", f"--junitxml={junit}",
               *job.suite.arguments, *(list(outcomes.node_ids(job.module, only)) or [job.module])]
    return Ran(*outcomes.run_pytest(command, job.suite.folder, env, junit, folder / "pytest.log", MODULE_SECONDS))
