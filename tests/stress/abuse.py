#!/usr/bin/env python3
"""Measures the effect of thousands of hostile clients on the proxy's memory, descriptors and other clients.

Good clients ping on 16 connections, as fast as they are answered. Abusers have machines of their own; here the
proxies have one CPU, and the good clients, the server and the abuser the other. So it is measured in two ways.
`apart`: the abuser takes only what CPU time nobody else wants; the good clients' p99 is to stay under twice what it
is without abuse. `crowded`: it takes what the scheduler gives it; beside that stands what the good clients find
while a neighbour, another proxy before the same server, is abused instead: what they lose then, the abuser and the
work for it have taken from the machine, and no proxy could give back. That they lose twice as much is the proxy's
doing. Both are judged here only, never in a test.
"""

import argparse
import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))

import abuses  # noqa: E402
import rig as bench  # noqa: E402
from hop import Hop, add_upstream_options  # noqa: E402
from rig import Table, latency, megabytes, ratio_text  # noqa: E402

ABOUT = """Good clients ping on 16 connections as fast as they are answered; the columns are their p99. Abusers have machines of
their own; here the proxies have one CPU, and the good clients, the server and the abuser the other. *Apart*: the abuser
runs at the lowest priority (SCHED_IDLE) and takes what CPU time nobody else wants; the good clients' p99 is to be under
twice the usual. How much it took is beside it. *Crowded*: it takes what the scheduler gives it. Then the good clients'
p99 is compared with what they find at the same proxy while a neighbour, another proxy before the same server, is abused
instead: that is the machine's loss, which no proxy could give back. What they lose beyond is the proxy's doing, and to be
under twice that. A loop turn is all that the proxy does between two looks at who has something for it
(`mongosluice_loop_turn_seconds`). Ratios are taken within a round, then their median and range."""

GOOD_CLIENTS = 16
PROXY_CPU, OTHERS_CPU = "1" if os.cpu_count() > 1 else None, 0
MEMORY_MAX = 64 * 1024 * 1024
# What may be resident at the worst: beside the buffers the program, 4,000 connections, TLS of some, and
# what the allocator keeps.
RESIDENT_MAX = MEMORY_MAX + 70 * 1000 * 1000


def start(hop, name):
    return hop.start_mongosluice(
        hop.upstream, f"--memory_max={MEMORY_MAX}", f"--schemas={hop.schemas()}",
        "--max_client_conn=5000", "--tls.mode=allow", f"--tls.cert_file={hop.certificate()}",
        f"--tls.key_file={hop.certificate()}", "--handshake_timeout_ms=5000", "--request_timeout_ms=2000", "--log.level=error", name=name,
        pin=PROXY_CPU)


USUAL, APART, CROWDED, NEIGHBOUR = "usual", "apart", "crowded", "neighbour"
LEAD_SECONDS = 1.5  # for the abuser to be in full swing; the good clients are connected before


def good(hop, port, seconds, lead=0.0):
    """Started, not waited for."""
    command = [hop.tool("loadgen"), "--port", port, "--json", "--connections", GOOD_CLIENTS,
               "--warmup-seconds", lead, "--seconds", seconds]
    return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)


def result_of(load):
    output, _ = load.communicate(timeout=120)
    return json.loads(output)


def disturbed(hop, name, options, proxy, abused, *, humble=False):
    """What a proxy's good clients find while one, or its neighbour, is abused, what its buffers held, and how many
    CPUs the abuser had."""
    buffers = 0.0
    load = good(hop, proxy.port, options.seconds, LEAD_SECONDS)
    time.sleep(0.2)
    with abuses.running(name, abused.port, options.scale, humble) as abuser:
        time.sleep(LEAD_SECONDS)
        began, before = time.monotonic(), bench.cpu_seconds_of(abuser)
        while load.poll() is None:
            buffers = max(buffers, abused.metrics()["mongosluice_buffer_bytes"])
            time.sleep(0.1)
        share = (bench.cpu_seconds_of(abuser) - before) / (time.monotonic() - began)
    return {**result_of(load), "buffer_bytes": buffers, "abuser_cpus": share}


def suffer(hop, name, options):
    """One abuse against a fresh proxy, which has a neighbour."""
    proxy, neighbour = start(hop, "proxy"), start(hop, "neighbour")
    for one in (proxy, neighbour):
        result_of(good(hop, one.port, 0.3))
    descriptors = proxy.descriptors()
    ways = {
        USUAL: lambda: result_of(good(hop, proxy.port, options.seconds)),
        APART: lambda: disturbed(hop, name, options, proxy, proxy, humble=True),
        CROWDED: lambda: disturbed(hop, name, options, proxy, proxy),
        NEIGHBOUR: lambda: disturbed(hop, name, options, proxy, neighbour),
    }

    def measure(way):
        for one in (proxy, neighbour):
            calm_down(one)
        return ways[way]()

    results = bench.alternate(list(ways), options.rounds, measure)
    turns = turn_quantile(proxy.metrics(), 0.999)
    resident = proxy.peak_memory_kb()
    left = settle(proxy, descriptors)
    hop.end(proxy)
    hop.end(neighbour)
    return {"p99_us": {way: bench.median_of(found, p99) for way, found in results.items()},
            "to_usual": bench.ratio_of(results[APART], results[USUAL], p99),
            "to_neighbour": bench.ratio_of(results[CROWDED], results[NEIGHBOUR], p99),
            "abuser_cpus": bench.median_of(results[APART], lambda result: result["abuser_cpus"]),
            "errors": sum(map(failures, results[APART] + results[CROWDED])),
            "buffer_bytes": max(result["buffer_bytes"] for result in results[APART] + results[CROWDED]),
            "turn_p99_9_us": turns, "peak_rss_kb": resident, "descriptors_before": descriptors,
            "descriptors_after": left, "output": proxy.log.read_text(errors="replace")[-3000:],
            "exit_code": proxy.process.returncode}


def calm_down(proxy):
    """The abuser of the measurement before has left, and with it what its messages took; ten seconds at most."""
    end = time.monotonic() + 10
    while proxy.metrics()["mongosluice_buffer_bytes"] > 0 and time.monotonic() < end:
        time.sleep(0.05)


def p99(result):
    """Infinite when nobody was served."""
    return latency(result, "p99") if result["operations"] else math.inf


def turn_quantile(metrics, part):
    """Of what the proxy's loop did at a time, in µs, as the bound of a bucket."""
    counts = {name.split('"')[1]: count for name, count in metrics.items()
              if name.startswith("mongosluice_loop_turn_seconds_bucket")}
    bounds = sorted((float(bound), count) for bound, count in counts.items())
    return next(bound for bound, count in bounds if count >= part * bounds[-1][1]) * 1e6


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
    parser.add_argument("--add", action="store_true",
                        help="keep the results of other abuses in the JSON file, to split a long run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    bench.finish_options(options)
    add_upstream_options(options)
    return options


def measured_before(options):
    """So that a long run can be made in parts."""
    if options.add and options.json and Path(options.json).is_file():
        return json.loads(Path(options.json).read_text())["abuses"]
    return {}


def show(found):
    """The table of all that was measured, and what is to be said of it."""
    table = Table("abuse", "usual p99 µs", "apart", "÷ usual (range)", "CPUs the abuser had", "crowded",
                  "neighbour", "÷ neighbour (range)", "loop turn p99.9 µs ≤", "errors of others",
                  "peak buffers MB (cap 67)", "peak RSS MB", "descriptors left")
    wrong, late = [], []
    for name in (name for name in abuses.ABUSES if name in found):
        row = found[name]
        usual, apart, crowded, neighbour = (f"{row['p99_us'][way]:,.0f}"
                                            for way in (USUAL, APART, CROWDED, NEIGHBOUR))
        table.row(name, usual, apart, ratio_text(row["to_usual"]), f"{row['abuser_cpus']:.2f}", crowded, neighbour,
                  ratio_text(row["to_neighbour"]), f"{row['turn_p99_9_us']:,.0f}",
                  row["errors"], f"{row['buffer_bytes'] / 1e6:.1f}", f"{megabytes(row['peak_rss_kb']):.1f}",
                  row["descriptors_after"] - row["descriptors_before"])
        wrong += judge(name, row)
        for ratio, than in ((row["to_usual"][0], "the usual"),
                            (row["to_neighbour"][0], "what it is while a neighbour suffers it")):
            late.append((f"{name}: p99 of others {ratio:.2f} times {than}, under 2", ratio < 2))
    return table, [f"VIOLATION: {line}" for line in wrong], bench.verdict_lines(late)


def main():
    options = parse_options()
    report = {"environment": bench.environment(options), "abuses": measured_before(options)}
    with tempfile.TemporaryDirectory(prefix="sluice-abuse-") as folder, contextlib.ExitStack() as ends:
        os.sched_setaffinity(0, {OTHERS_CPU})  # and with it all that is started without a pin
        hop = Hop(options, folder)
        ends.callback(hop.stop)
        try:
            for name in options.abuses.split(","):
                print(name, flush=True)
                report["abuses"][name] = suffer(hop, name, options)
        except bench.BenchError as error:
            print(f"abuse: {error}", file=sys.stderr)
            return 2
    table, wrong, late = show(report["abuses"])
    print("\n" + "\n".join(wrong + late))
    bench.write_results(options, report, [table], "Abuse by clients", report["environment"], wrong + late,
                        by="scripts/abuse.sh", about=ABOUT)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
