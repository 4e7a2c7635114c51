#!/usr/bin/env python3
"""Measures the proxy's cost of a command: one build against another, in pairs.

    paired.py --before OLD/mongosluice --after NEW/mongosluice [--rounds 15] [--seconds 2]
    paired.py --before OLD/mongosluice --after NEW/mongosluice --instructions 2000
    paired.py --before P/mongosluice --after P/mongosluice --traced 1 --instructions 2000
    paired.py --before P/mongosluice --after P/mongosluice --shared --instructions 2000

Both stand in front of the null server and get the same load, one after the other, in an order that changes from
round to round; the result is the median of the ratios of their CPU time within each round: other load on the
machine affects both alike. With --instructions each runs below callgrind instead, and the instructions of so many
commands are counted: they hardly depend on the machine.
"""

import argparse
import json
import re
import statistics
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import rig as bench
from hop import SCHEMA
from rig import BenchError, Table, ratio_of, ratio_text

BEFORE, AFTER = "before", "after"
# name: the requests of loadgen, and the number of connections
LOADS = {
    "ping": (["--command", "ping"], 1),
    "find": (["--command", "find"], 1),
    "ping:16": (["--command", "ping"], 16),
    "checked insert": (["--command", "insert", "--retryable", "--collection", "items"], 1),
    "merged insert": (["--command", "insert", "--retryable", "--collection", "others"], 1),
    "merged insert:16": (["--command", "insert", "--retryable", "--collection", "others"], 16),
    "checked and merged insert": (["--command", "insert", "--retryable", "--collection", "items"], 1),
    "checked and merged insert:16": (["--command", "insert", "--retryable", "--collection", "items"], 16),
}
SCHEMAS, MERGING = "--schemas", "--merge.enabled=true"


def options_of(load, schemas):
    """A pass-through command meets a proxy that could check and merge."""
    merges = "merged" in load or "insert" not in load
    checks = "checked" in load or "insert" not in load
    return [*([f"{SCHEMAS}={schemas}"] if checks else []), *([MERGING] if merges else [])]


class Sink(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def start_collector():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


class Pair(bench.Rig):
    """The null server, with each proxy in front of it."""

    def __init__(self, options, folder):
        super().__init__(options, folder)
        self.upstream = self.start_upstream("set")
        self.schemas = self.folder / "schemas"
        self.schemas.mkdir()
        (self.schemas / "bench.items.json").write_text(json.dumps({"ns": "bench.items", "schema": SCHEMA}))
        self.shared = ["--pool.mode=shared"] if options.shared else []
        self.tracing = []
        if options.traced is not None:
            self.tracing = [f"--tracing.endpoint={start_collector()}", f"--tracing.sample_ratio={options.traced}"]
        self.binaries = {BEFORE: Path(options.before).resolve(), AFTER: Path(options.after).resolve()}

    def start_proxy(self, which, load, name, binary=None):
        self.options.mongosluice = str(binary or self.binaries[which])
        more = [*self.tracing, *self.shared] if which == AFTER else []
        return self.start_mongosluice(self.upstream, *options_of(load, self.schemas), *more, name=name)

    def run_load(self, proxy, load, *more, **how):
        arguments, connections = LOADS[load]
        return self.load(proxy, *arguments, "--connections", connections, *more, **how)


# --- CPU time ----------------------------------------------------------------------------------------


def measure_time(pair, proxies, load, which):
    proxy = proxies[which]
    result = pair.run_load(proxy, load, "--seconds", pair.options.seconds, "--warmup-seconds", 0.1, cpu_of=[proxy])
    return result["cpu_us"][proxy.name]


def compare_time(pair, load, table):
    proxies = {which: pair.start_proxy(which, load, which) for which in (BEFORE, AFTER)}
    for proxy in proxies.values():
        pair.run_load(proxy, load, "--operations", 1000)
    results = bench.alternate([BEFORE, AFTER], pair.options.rounds,
                              lambda which: measure_time(pair, proxies, load, which))
    for proxy in proxies.values():
        pair.end(proxy)
    medians = {which: statistics.median(results[which]) for which in results}
    ratio = ratio_of(results[AFTER], results[BEFORE], lambda one: one)
    table.row(load, f"{medians[BEFORE]:.2f}", f"{medians[AFTER]:.2f}", ratio_text(ratio))
    return {"rounds": results, "ratio": ratio}


# --- instructions ------------------------------------------------------------------------------------


def wrapper_of(pair, which):
    """A program that runs the proxy below callgrind."""
    script = pair.folder / f"callgrind-{which}"
    script.write_text("#!/bin/sh\nexec valgrind --tool=callgrind "
                      f"--callgrind-out-file=/dev/null {pair.binaries[which]} \"$@\"\n")
    script.chmod(0o755)
    return script


def collected(pair, which, load, operations):
    proxy = pair.start_proxy(which, load, f"{which}-{operations}", wrapper_of(pair, which))
    pair.run_load(proxy, load, "--operations", operations)
    pair.end(proxy)
    found = re.findall(r"Collected : (\d+)", proxy.log.read_text(errors="replace"))
    if not found:
        raise BenchError(f"callgrind wrote no counts of {pair.binaries[which]}: {proxy.log.read_text()[-500:]}")
    return int(found[-1])


def compare_instructions(pair, load, table):
    """Subtracts a short run from a long one, which removes one-time costs such as the start."""
    operations = pair.options.instructions
    each = {which: (collected(pair, which, load, 2 * operations) - collected(pair, which, load, operations)) / operations
            for which in (BEFORE, AFTER)}
    table.row(load, f"{each[BEFORE]:,.0f}", f"{each[AFTER]:,.0f}", f"{each[AFTER] / each[BEFORE]:.3f}")
    return each


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    bench.add_options(parser)
    parser.add_argument("--before", required=True, help="the proxy to compare with")
    parser.add_argument("--after", required=True, help="the proxy that is compared")
    parser.add_argument("--shared", action="store_true", help="the second proxy shares upstream connections")
    parser.add_argument("--traced", metavar="RATIO",
                        help="the second proxy traces this share of the commands, for a collector that drops all spans")
    parser.add_argument("--loads", default=",".join(LOADS), help="some of: " + ", ".join(LOADS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=2, help="of each measurement")
    parser.add_argument("--instructions", type=int, metavar="N", help="count those of N commands instead")
    options = parser.parse_args()
    bench.finish_options(options)
    unknown = set(options.loads.split(",")) - set(LOADS)
    if unknown:
        parser.error(f"no such load: {', '.join(sorted(unknown))}")
    return options


def main():
    options = parse_options()
    counts = options.instructions is not None
    compare = compare_instructions if counts else compare_time
    unit = "instructions" if counts else "CPU µs"
    table = Table("command", f"{unit} before", f"{unit} after", "after / before")
    report = {"loads": {}}
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        pair = Pair(options, folder)
        try:
            for load in options.loads.split(","):
                report["loads"][load] = compare(pair, load, table)
        except BenchError as error:
            print(f"paired.py: {error}", file=sys.stderr)
            return 2
        finally:
            pair.stop()
    bench.write_results(options, report, [table], "Two builds in pairs", bench.environment(options),
                        by="tests/bench/paired.py")
    return 0


if __name__ == "__main__":
    sys.exit(main())
