#!/usr/bin/env python3
"""Tests the null upstream and the load generators together, with every option that the scripts use.

    smoke.py NULLSERVER LOADGEN DIALGEN
"""

import contextlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path


def load(loadgen, port, *arguments, status=0):
    done = subprocess.run(
        [loadgen, "--port", port, "--json", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, (arguments, done)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")][-1]


def check_loads(loadgen, port, also=()):
    for arguments, documents in (
        (["--command", "ping", "--connections", "20"], 0),
        (["--command", "hello"], 0),
        (["--command", "ping", "--connections", "50", "--active", "3", "--threads", "2"], 0),
        (["--command", "find", "--documents", "700", "--connections", "3"], 0),
        (["--command", "insert", "--retryable", "--connections", "16", "--threads", "2"], 1),
        (["--command", "insert", "--documents", "1000", "--document-bytes", "3000"], 1000),
        (["--command", "ping", "--compress", "snappy"], 0),
        (["--command", "insert", "--compress", "zstd", "--connections", "5"], 1),
    ):
        result = load(loadgen, port, *arguments, *also, "--operations", "200")
        assert result["operations"] == 200 and result["errors"] == 0, result
        latency = result["latency_us"]
        order = ["min", "p50", "p90", "p99", "p99_9", "max"]
        assert [latency[name] for name in order] == sorted(latency[name] for name in order), latency
        assert (result["documents_per_second"] > 0) == (documents > 0), result
    result = load(loadgen, port, "--seconds", "0.3", "--warmup-seconds", "0.1", "--connections", "4",
                  *also)
    assert result["operations"] > 0 and 0.3 <= result["seconds"] < 30, result
    result = load(loadgen, port, "--seconds", "0.1", "--warmup-answers", "3", "--connections", "20", *also)
    assert 0 < result["operations"] <= result["sent"] - 60, result
    result = load(loadgen, port, "--seconds", "0", "--answers", "5", "--connections", "20", *also)
    assert result["operations"] >= 100, result
    result = load(loadgen, port, "--idle", "100", "--hold-seconds", "0.2", "--threads", "2", *also)
    assert result == {"wanted": 100, "opened": 100, "still_open": 100, "reason": ""}, result


@contextlib.contextmanager
def running(nullserver, *options):
    """Gives the port, the process, and a list that has the counters after the end."""
    server = subprocess.Popen(
        [nullserver, "--find-documents", "1000", *options], stdout=subprocess.PIPE, text=True
    )
    counters = []
    try:
        port = server.stdout.readline().rsplit(":", 1)[1].strip()
        yield port, server.pid, counters
        server.terminate()
        output, _ = server.communicate(timeout=30)
        counters.append(json.loads(output))
        assert server.returncode == 0, server.returncode
    finally:
        server.kill()
        server.wait()


def run(nullserver, loadgen, *options):
    with running(nullserver, *options) as (port, _, counters):
        check_loads(loadgen, port)
    counted = counters[0]
    assert counted["finds"] == 200 and counted["inserts"] == 600, counted
    assert counted["documents"] == 200 + 200 + 200 * 1000, counted
    assert counted["waited"] == 0, counted
    refused = load(loadgen, port, "--operations", "1", status=1)
    assert "Connection refused" in refused["reason"], refused


def check_journal(nullserver, loadgen):
    """Writes wait for the journal as their write concern says."""
    insert = ["--command", "insert", "--connections", "16", "--operations", "100"]
    for default, concern, waits in (
        ("1", None, 0), ("1", "1", 0), ("1", "majority", 100), ("1", "2", 100),
        ("majority", None, 100), ("majority", "1", 0),
    ):
        with running(nullserver, "--commit-us", "500-1000", "--default-w", default) as (port, _, counters):
            load(loadgen, port, *insert, *(["--write-concern", concern] if concern else []))
            load(loadgen, port, "--operations", "10")
        counted = counters[0]
        assert counted["waited"] == waits, (default, concern, counted)
        assert (counted["commits"] > 0) == (waits > 0) and counted["commits"] <= waits, counted


def check_cpu(nullserver, loadgen):
    """The CPU time that an insert is to take is taken, and told."""
    with running(nullserver, "--cpu-us", "1000,100,500,50,2000", "--commit-us", "1000") as (port, pid, _):
        insert = ["--command", "insert", "--documents", "2", "--operations", "20", "--cpu-of", str(pid)]
        for more, us in (([], 1200), (["--retryable"], 1800), (["--write-concern", "majority"], 3200)):
            used = load(loadgen, port, *insert, *more)["cpu_seconds"][str(pid)]
            assert used >= 20 * us / 1e6, (more, used)
        assert load(loadgen, port, "--operations", "1")["cpu_seconds"] == {}


def check_tls(nullserver, loadgen, dialgen):
    with tempfile.TemporaryDirectory() as folder:
        key, cert, both = (Path(folder) / name for name in ("key.pem", "cert.pem", "both.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", cert],
                       check=True, capture_output=True)
        both.write_text(cert.read_text() + key.read_text())
        with running(nullserver, "--tls-cert", str(both), "--commit-us", "500") as (port, pid, _):
            check_loads(loadgen, port, ["--tls"])
            load(loadgen, port, "--tls", "--command", "insert", "--write-concern", "majority", "--operations", "20")
            for option, resumes in ((["--tls"], False), (["--resume"], True)):
                done = dial(dialgen, port, *option, "--cpu-of", str(pid))
                assert (done["resumed"] > 0) == resumes and done["cpu_seconds"][str(pid)] > 0, done
    with running(nullserver) as (port, _, _):
        assert dial(dialgen, port)["resumed"] == 0


def dial(dialgen, port, *options):
    done = subprocess.run([dialgen, "--port", port, "--connections", "4", "--seconds", "0.4", *options],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done
    result = json.loads(done.stdout)
    assert result["connections"] > 0 and result["errors"] == 0, result
    return result


def check_refusals(nullserver, loadgen, dialgen):
    """A wrong option is named, and nothing starts."""
    for command, words in (
        ([nullserver, "--commit-us", "3-1"], "LEAST-MOST"),
        ([nullserver, "--cpu-us", "1,x"], "--cpu-us '1,x'"),
        ([nullserver, "--default-w", "2"], "neither 1 nor majority"),
        ([nullserver, "--tls-cert", "/dev/null"], "certificate"),
        ([nullserver, "word"], "'word' is not an option"),
        ([loadgen, "--port", "1", "--json", "--cpu-of", "1,no"], "--cpu-of '1,no'"),
        ([loadgen, "--port", "1", "--cpu-of", "1"], "--cpu-of needs --json"),
        ([dialgen, "--port", "1", "--connections", "0"], "--connections '0'"),
        ([dialgen, "--port", "1", "--cpu-of", "0"], "--cpu-of '0'"),
        ([dialgen], "dialgen --port"),
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode != 0 and words in done.stderr, (command, done)


def main():
    nullserver, loadgen, dialgen = sys.argv[1:]
    run(nullserver, loadgen)
    run(nullserver, loadgen, "--replica-set", "rs0", "--delay-us", "200")
    check_journal(nullserver, loadgen)
    check_cpu(nullserver, loadgen)
    check_tls(nullserver, loadgen, dialgen)
    check_refusals(nullserver, loadgen, dialgen)


if __name__ == "__main__":
    main()
