#!/usr/bin/env python3
"""Hostile clients by the thousand: what they do to the proxy's memory, descriptors and other clients.

Good clients ping on 16 connections, without abuse and during each; their p99 is to stay under twice its
usual. That figure is printed and judged here only, never in a test: it depends on the machine, which the
abuser, the good clients, the server and the proxy share.
"""

import argparse
import contextlib
import json
import math
import subprocess
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))

import abuses  # noqa: E402
import rig as bench  # noqa: E402
from hop import Hop  # noqa: E402
from rig import Table, latency, megabytes  # noqa: E402

GOOD_CLIENTS = 16
MEMORY_MAX = 64 * 1024 * 1024
# What may be resident at the worst: buffers that grow are copied, and the allocator keeps some of what
# they leave; beside them the program, 4,000 connections, TLS of some.
RESIDENT_MAX = 2 * MEMORY_MAX + 70 * 1000 * 1000


def start(hop):
    return hop.start_mongosluice(
        hop.upstream.port, f"--memory_max={MEMORY_MAX}", f"--schemas={hop.schemas()}",
        "--max_client_conn=5000", "--tls.mode=allow", f"--tls.cert_file={hop.certificate()}",
        f"--tls.key_file={hop.certificate()}", "--handshake_timeout_ms=5000", "--log.level=error")


LEAD_SECONDS = 1.5  # for the abuser to be in full swing; the good clients are connected before


def good(hop, port, seconds, lead=0.0):
    """Started, not waited for."""
    command = [hop.tool("loadgen"), "--port", port, "--json", "--connections", GOOD_CLIENTS,
               "--warmup-seconds", lead, "--seconds", seconds]
    return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)


def result_of(load):
    output, _ = load.communicate(timeout=120)
    return json.loads(output)


def suffer(hop, name, options):
    """One abuse against a fresh proxy."""
    proxy = start(hop)
    usual, abused, direct = [], [], []
    result_of(good(hop, proxy.port, 0.3))
    descriptors = proxy.descriptors()
    buffers = 0.0
    errors = 0
    for _ in range(options.rounds):
        usual.append(result_of(good(hop, proxy.port, options.seconds)))
        # the others: through the proxy, and past it, which shows what the abuser's mere presence costs
        for port, results in ((proxy.port, abused), (hop.upstream.port, direct)):
            load = good(hop, port, options.seconds, LEAD_SECONDS)
            time.sleep(0.2)
            with abuses.running(name, proxy.port, options.scale):
                time.sleep(LEAD_SECONDS)
                while load.poll() is None:
                    buffers = max(buffers, proxy.metrics()["mongosluice_buffer_bytes"])
                    time.sleep(0.1)
            results.append(result_of(load))
        errors += failures(abused[-1])
    resident = proxy.peak_memory_kb()
    left = settle(proxy, descriptors)
    hop.end(proxy)

    def p99(results):
        return statistics.median(latency(result, "p99") for result in results)

    return {"usual_p99_us": p99(usual), "p99_us": p99(abused), "direct_p99_us": p99(direct),
            "errors": errors, "buffer_bytes": buffers, "peak_rss_kb": resident,
            "descriptors_before": descriptors, "descriptors_after": left, "output": proxy.log.read_text(errors="replace")[-3000:],
            "exit_code": proxy.process.returncode}


def failures(result):
    return result["errors"] + result["lost_connections"] + GOOD_CLIENTS - result["connections"]


def settle(proxy, wanted):
    """Descriptors once the clients are gone; waits for lingering ones at most 20 seconds."""
    end = time.monotonic() + 20
    while proxy.descriptors() > wanted and time.monotonic() < end:
        time.sleep(0.2)
    return proxy.descriptors()


def judge(name, row):
    wrong = []
    if row["errors"]:
        wrong.append(f"{name}: other clients met {row['errors']} errors")
    if row["buffer_bytes"] > MEMORY_MAX:
        wrong.append(f"{name}: buffers of {row['buffer_bytes']:,.0f} bytes are over memory_max")
    if row["peak_rss_kb"] * 1024 > RESIDENT_MAX:
        wrong.append(f"{name}: {megabytes(row['peak_rss_kb']):.0f} MB resident")
    if row["descriptors_after"] > row["descriptors_before"]:
        wrong.append(f"{name}: {row['descriptors_after'] - row['descriptors_before']} descriptors leaked")
    if row["exit_code"] != 0:
        wrong.append(f"{name}: the proxy ended with {row['exit_code']}: {row['output']}")
    return wrong


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    bench.add_options(parser)
    parser.add_argument("--abuses", default=",".join(abuses.ABUSES))
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of connections")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    bench.finish_options(options)
    options.pin, options.upstream, options.idle, options.mongosluice_option = False, "null", 0, []
    options.threads = 1
    return options


def main():
    options = parse_options()
    report = {"environment": bench.environment(options), "abuses": {}}
    wrong, late = [], []
    with tempfile.TemporaryDirectory(prefix="sluice-abuse-") as folder, contextlib.ExitStack() as ends:
        hop = Hop(options, folder)
        ends.callback(hop.stop)
        table = Table("abuse", "usual p99 µs", "p99 µs under it", "÷ usual", "p99 direct under it µs",
                      "errors of others", "peak buffers MB (cap 67)", "peak RSS MB", "descriptors left")
        try:
            for name in options.abuses.split(","):
                row = report["abuses"][name] = suffer(hop, name, options)
                ratio = row["p99_us"] / max(row["usual_p99_us"], 1) if row["p99_us"] else math.inf
                table.row(name, f"{row['usual_p99_us']:,.0f}", f"{row['p99_us']:,.0f}", f"{ratio:.2f}",
                          f"{row['direct_p99_us']:,.0f}", row["errors"], f"{row['buffer_bytes'] / 1e6:.1f}",
                          f"{megabytes(row['peak_rss_kb']):.1f}",
                          row["descriptors_after"] - row["descriptors_before"])
                wrong += judge(name, row)
                if math.isinf(ratio):
                    late.append((f"{name}: others were not served in {options.seconds:g} s", False))
                elif ratio >= 2:
                    late.append((f"{name}: p99 of others {ratio:.2f} times its usual, under 2", False))
        except bench.BenchError as error:
            print(f"abuse: {error}", file=sys.stderr)
            return 2
    print()
    for line in wrong:
        print(f"VIOLATION  {line}")
    for line in bench.verdict_lines(late):
        print(line)
    bench.write_results(options, report, [table], "Abuse by clients", report["environment"],
                        [*wrong, *bench.verdict_lines(late)])
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
