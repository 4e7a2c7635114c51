#!/usr/bin/env python3
"""Tests the null upstream and the load generator together, with every option that the scripts use.

    smoke.py NULLSERVER LOADGEN
"""

import json
import subprocess
import sys


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


def check_loads(loadgen, port):
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
        result = load(loadgen, port, *arguments, "--operations", "200")
        assert result["operations"] == 200 and result["errors"] == 0, result
        latency = result["latency_us"]
        order = ["min", "p50", "p90", "p99", "p99_9", "max"]
        assert [latency[name] for name in order] == sorted(latency[name] for name in order), latency
        assert (result["documents_per_second"] > 0) == (documents > 0), result
    result = load(loadgen, port, "--seconds", "0.3", "--warmup-seconds", "0.1", "--connections", "4")
    assert result["operations"] > 0 and 0.3 <= result["seconds"] < 30, result
    result = load(loadgen, port, "--idle", "100", "--hold-seconds", "0.2", "--threads", "2")
    assert result == {"wanted": 100, "opened": 100, "still_open": 100, "reason": ""}, result


def run(nullserver, loadgen, *options):
    server = subprocess.Popen(
        [nullserver, "--find-documents", "1000", *options], stdout=subprocess.PIPE, text=True
    )
    try:
        port = server.stdout.readline().rsplit(":", 1)[1].strip()
        check_loads(loadgen, port)
        server.terminate()
        output, _ = server.communicate(timeout=30)
    finally:
        server.kill()
        server.wait()
    counted = json.loads(output)
    assert server.returncode == 0, server.returncode
    assert counted["finds"] == 200 and counted["inserts"] == 600, counted
    assert counted["documents"] == 200 + 200 + 200 * 1000, counted
    refused = load(loadgen, port, "--operations", "1", status=1)
    assert "Connection refused" in refused["reason"], refused


def main():
    nullserver, loadgen = sys.argv[1:]
    run(nullserver, loadgen)
    run(nullserver, loadgen, "--replica-set", "rs0", "--delay-us", "200")


if __name__ == "__main__":
    main()
