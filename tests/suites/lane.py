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
from support.servers import Server  # noqa: E402

TOPOLOGIES = {"replica-set": "secantus", "standalone": None}
WAYS = ("direct", "proxy")
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

    def __str__(self):
        return f"{self.suite.name} {self.topology} {self.module}{' merging' if self.merging else ''}"


@dataclass
class Ran:
    tests: dict = field(default_factory=dict)  # test id -> Outcome
    trouble: str = ""  # what the proxy or pytest did that no test tells


def run(job, way, folder, only=()):
    """Runs the module, or the tests `only` of it (ids as in the junit file). `folder` receives the
    junit file, what pytest printed and the proxy's log."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="driver-suites-") as scratch:
        server = Server(Path(scratch) / "data", "--enable-test-commands",
                        replica_set=TOPOLOGIES[job.topology])
        try:
            if way == "direct":
                return _pytest(job, server.endpoint.host_port, folder, only)
            return _through_proxy(job, server, folder, only)
        finally:
            server.stop()


def _through_proxy(job, server, folder, only):
    options = {"merge.enabled": "true"} if job.merging else {}
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
    command = [sys.executable, "-m", "pytest", "-q", "-ra", "-o", "addopts=", "-o", "log_cli=false",
               "-p", "no:cacheprovider", f"--timeout={TEST_SECONDS}", f"--junitxml={junit}",
               *job.suite.arguments, *(list(outcomes.node_ids(job.module, only)) or [job.module])]
    return Ran(*outcomes.run_pytest(command, job.suite.folder, env, junit, folder / "pytest.log", MODULE_SECONDS))
