"""The proxy under test: started with flags or a file, its log read continuously."""

import json
import os
import signal
from pathlib import Path

from .endpoint import Endpoint
from .process import PATIENCE, Process, eventually

ROOT = Path(__file__).resolve().parents[3]
BINARY = Path(os.environ.get("MONGOSLUICE_BINARY", ROOT / "build/release/src/main/mongosluice"))
DIRECT = os.environ.get("SLUICE_DIRECT") == "1"
# more options for every proxy: "merge.enabled=true merge.max_docs=100"
MORE_OPTIONS = dict(word.split("=", 1) for word in os.environ.get("SLUICE_PROXY_OPTIONS", "").split())
# log ids
LISTENING, ACCEPTED, ENDED, CLOSED_BY_ERROR, COUNTERS, AUTHENTICATED = (1000, 1001, 1003, 1005,
                                                                        1040, 2000)
MONITORS = 3  # connections of its own that the proxy may open later than the test expects


def environment(**variables):
    """The environment of the proxy: `variables`, but no option of the tests' own environment. Sanitizers end the
    process on the first finding, so that the exit code shows it. What they keep of freed memory is small, so that the
    resident size says something."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MONGOSLUICE_")}
    env["ASAN_OPTIONS"] = ("halt_on_error=1:exitcode=86:detect_leaks=1:quarantine_size_mb=8:"
                           + env.get("ASAN_OPTIONS", ""))
    env["UBSAN_OPTIONS"] = ("halt_on_error=1:exitcode=86:print_stacktrace=1:"
                            + env.get("UBSAN_OPTIONS", ""))
    # libmongoc's counters in shared memory: left behind by a killed process of the same id, they would
    # be complained of on standard error
    return {**env, "MONGOC_DISABLE_SHM": "1", **variables}


def run_proxy(*words, **variables):
    """Runs the proxy with exactly these arguments and variables of the environment: returns exit code, standard output and error."""
    process = Process([BINARY, *words], env=environment(**variables))
    try:
        code = process.wait()
    finally:
        process.kill()
    return code, "\n".join(process.stdout), "\n".join(process.stderr)


class Proxy:
    def __init__(self, upstream, options=None, *, config_file=None, endpoint=None, variables=None):
        """`endpoint`: the client settings besides the address (replica set, CA, user)."""
        self.options = {"listen": "127.0.0.1:0", **MORE_OPTIONS, **(options or {})}
        if upstream is not None:
            self.options["upstream"] = upstream
        flags = [f"--{name}={value}" for name, value in self.options.items() if value is not None]
        if config_file is not None:
            flags += ["--config", config_file]
        self._like = endpoint or Endpoint("")
        self.secrets = [word for word in (self._like.password,) if word]
        self.expected_exit_code = 0
        self.process = Process([BINARY, *flags], env=environment(**(variables or {})))

    # --- its log

    def records(self):
        return [json.loads(line) for line in list(self.process.stdout)]

    def wait_for_record(self, what, seconds=PATIENCE, **wanted):
        """Returns the first record with this id, level `s` and these attributes (a value, or a predicate)."""
        def find(line):
            record = json.loads(line)
            attr = record.get("attr", {})
            for key, value in wanted.items():
                has = record.get(key) if key in ("id", "s", "c", "msg") else attr.get(key)
                if not (value(has) if callable(value) else has == value):
                    return None
            return record
        return self.process.wait_for_line(find, f"log line for {what}", seconds)

    def wait_for_text(self, *parts, level="FEWID", seconds=PATIENCE):
        """Returns the first record of one of the levels in `level` that contains all parts, ignoring case."""
        def find(line):
            record = json.loads(line)
            low = line.lower()
            return record if (record["s"][0] in level and
                              all(part.lower() in low for part in parts)) else None
        return self.process.wait_for_line(find, f"log line with {parts}", seconds)

    def counter(self, name):
        """Returns its value in the next line of the log, or in the last one if the proxy has ended; needs the option
        stats_period_ms."""
        def lines():
            return [record for record in self.records() if record["id"] == COUNTERS]
        seen = len(lines())
        eventually(lambda: len(lines()) > seen or self.process.exit_code() is not None, "a line of counters")
        return lines()[-1]["attr"][name]

    def wait_for_counter(self, name, least):
        eventually(lambda: self.counter(name) >= least, f"{name} is at least {least}")

    # --- addresses for clients

    def address(self, server=None):
        """Returns host:port of the listener for this upstream server (default: the first one)."""
        def wanted(has):
            return server is None or has == server
        record = self.wait_for_record(f"listener of {server or 'an upstream server'}",
                                      id=LISTENING, server=wanted)
        return record["attr"]["address"]

    def endpoint(self, server=None):
        like = self._like
        return Endpoint(self.address(server), like.replica_set, like.ca_file, like.user,
                        like.password)

    # --- its resources

    def resident_bytes(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(row for row in status.splitlines() if row.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    # --- its end

    def finish(self):
        """Ends it as an operator would, and checks that it ended cleanly."""
        try:
            if self.process.exit_code() is None:
                self.process.send(signal.SIGTERM)
                try:
                    self.process.wait(5)
                except AssertionError:  # clients are still connected: the second TERM ends it
                    self.process.send(signal.SIGTERM)
            code = self.process.wait()
        finally:
            self.process.kill()
        assert not self.process.stderr, self.process.output()
        assert code == self.expected_exit_code, self.process.output()
        self.check_log()

    def check_log(self):
        for line in self.process.stdout:
            record = json.loads(line)
            assert {"t", "s", "c", "id", "ctx", "msg"} <= record.keys(), line
            assert record["s"] in ("F", "E", "W", "I", "D1", "D2", "D3", "D4", "D5") and "$date" in record["t"], line
            for secret in self.secrets:
                assert secret not in line, "a credential is in the log"
