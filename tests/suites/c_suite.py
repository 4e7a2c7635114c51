"""The tests of the C driver. Its modules are the groups of tests: the first part of their names."""

import re
import subprocess
from dataclasses import dataclass

from built_suite import BuiltSuite
from outcomes import Outcome

RESULT = re.compile(r'^\s*\{ "status": "(\w+)", "test_file": "([^"]+)"')
WORDS = {"pass": "passed", "fail": "failed", "skip": "skipped"}
# Groups whose tests need no server, or one that only the driver's makers have.
OFFLINE = {"bson", "bson_corpus", "server_discovery_and_monitoring", "server_selection", "max_staleness", "Uri",
           "uri-options", "connection_uri", "initial_dns_seedlist_discovery", "client_side_encryption", "mongohouse",
           "aws", "X509", "OCSPCache", "LinuxDistroScanner", "http", "TLS", "ssl_opt", "TestSuite", "endian", "atomic"}


@dataclass(frozen=True)
class CSuite(BuiltSuite):
    def modules(self):
        listed = subprocess.run([self.program, "--list-tests"], cwd=self.folder, env=self.environment(), check=True,
                                capture_output=True, text=True).stdout
        groups = {line.split("/")[1] for line in listed.splitlines() if line.startswith("/")}
        return sorted(groups - OFFLINE)

    def run(self, trial):
        # Tests with the driver's own simulated server reach no other.
        env = self.environment(MONGOC_TEST_URI=trial.endpoint.uri(), MONGOC_TEST_SKIP_MOCK="on")
        wanted = trial.only or (f"/{trial.module}/*",)
        return self.outcomes_of(trial, [part for name in wanted for part in ("-l", name)], env, read)


def read(printed):
    """{test: Outcome}. A test that fails prints why before its result."""
    found, last = {}, ""
    for line in printed.splitlines():
        result = RESULT.match(line)
        if result:
            word = WORDS[result[1]]
            found[result[2]] = Outcome(word, last if word == "failed" else "")
            last = ""
        elif line.strip():
            last = line.strip()
    return found
