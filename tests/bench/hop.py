#!/usr/bin/env python3
"""What a hop costs: direct, through HAProxy in TCP mode and through mongosluice, in one run.

All three lead to one null upstream (nullserver) and are loaded by one load generator (loadgen). Each
round measures every route, in an order that changes from round to round, and the ratios are taken
within a round and then their median: what else the machine does meets all routes alike.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DIRECT, HAPROXY, MONGOSLUICE = "direct", "HAProxy", "mongosluice"
START_SECONDS = 15
# What perf calls the proxy's own code and the libraries that its data path goes through.
USER_OBJECTS = "mongosluice,libc.so.6,libevent_core-2.1.so.7.0.1,libcrypto.so.3,libssl.so.3,[vdso]"

class Bench:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.servers = []
        self.upstream = self._start(
            "nullserver",
            [self.tool("nullserver"), "--find-documents", "100000"],
            pin=options.pin and "0",
        )

    def tool(self, name):
        path = Path(self.options.build) / "tests" / "bench" / name
        if not path.is_file():
            raise BenchError(f"{path} is not there: build it with ninja -C {self.options.build}")
        return str(path)

    def _start(self, name, command, port=None, pin=None):
        server = Server(name, command, self.folder, port, pin or None)
        self.servers.append(server)
        return server

    def stop(self):
        for server in reversed(self.servers):
            server.stop()

    def end(self, server):
        server.stop()
        self.servers.remove(server)

    def start_haproxy(self):
        port = free_port()
        config = Path(self.folder) / "haproxy.cfg"
        config.write_text(
            HAPROXY_CONFIG.format(
                threads=self.options.threads,
                connections=max(self.options.idle + 100, 2000),
                folder=self.folder,
                port=port,
                upstream_port=self.upstream.port,
            )
        )
        command = [self.options.haproxy, "-db", "-f", str(config)]
        return self._start("haproxy", command, port, self.options.pin and "1")

    def start_mongosluice(self):
        port = free_port()
        command = [
            self.options.mongosluice,
            f"--upstream=mongodb://127.0.0.1:{self.upstream.port}/?directConnection=true",
            f"--listen=127.0.0.1:{port}",
            f"--threads={self.options.threads}",
            *self.options.mongosluice_option,
        ]
        return self._start("mongosluice", command, port, self.options.pin and "1")

    def proxies(self):
        """The routes to measure; direct is None."""
        routes = {DIRECT: None}
        if self.options.haproxy:
            routes[HAPROXY] = self.start_haproxy()
        if self.options.mongosluice:
            routes[MONGOSLUICE] = self.start_mongosluice()
        return routes

    def load(self, port, *arguments):
        command = [self.tool("loadgen"), "--port", str(port), "--json", *map(str, arguments)]
        if self.options.pin:
            command = ["taskset", "--cpu-list", "0", *command]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != 0:
            raise BenchError(f"{' '.join(command)}\nfailed: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)


class Case:
    """`command[*documents]:connections`, as in ping:64 or insert*1000:4."""

    def __init__(self, text):
        self.name = text
        command, _, connections = text.partition(":")
        self.command, _, documents = command.partition("*")
        self.documents = int(documents or 1)
        self.connections = int(connections)

    def arguments(self):
        arguments = ["--command", self.command, "--connections", self.connections]
        arguments += ["--documents", self.documents]
        if self.command == "insert":
            arguments.append("--retryable")
        return arguments


def measure_once(bench, proxy, case):
    port = (proxy or bench.upstream).port
    before = proxy.cpu_seconds() if proxy else 0
    result = bench.load(port, *case.arguments(), "--seconds", bench.options.seconds)
    if proxy:
        used = proxy.cpu_seconds() - before
        result["proxy_cpu_us"] = used * 1e6 / max(result["operations"], 1)
    return result


def measure_case(bench, routes, case):
    """{route: [a result for each round]}"""
    rounds = {name: [] for name in routes}
    names = list(routes)
    for name in names:
        bench.load((routes[name] or bench.upstream).port, *case.arguments(), "--seconds", 0.3)
    for number in range(bench.options.rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            rounds[name].append(measure_once(bench, routes[name], case))
    return rounds


def median_of(rounds, read):
    return statistics.median(read(result) for result in rounds)


def throughput(result):
    return result["ops_per_second"]


def p50(result):
    return result["latency_us"]["p50"]


def summarize_case(rounds):
    """Medians for each route; against HAProxy and direct within the round."""
    summary = {}
    for name, results in rounds.items():
        row = {
            "ops_per_second": median_of(results, throughput),
            "p50_us": median_of(results, p50),
            "p99_us": median_of(results, lambda result: result["latency_us"]["p99"]),
            "added_p50_us": statistics.median(
                p50(result) - p50(direct) for result, direct in zip(results, rounds[DIRECT])
            ),
        }
        if name != DIRECT:
            row["proxy_cpu_us"] = median_of(results, lambda result: result["proxy_cpu_us"])
        if HAPROXY in rounds:
            pairs = list(zip(results, rounds[HAPROXY]))
            ratios = sorted(throughput(a) / throughput(b) for a, b in pairs)
            row["ratio_to_haproxy"] = statistics.median(ratios)
            row["ratio_range"] = [ratios[0], ratios[-1]]
            row["p50_over_haproxy_us"] = statistics.median(p50(a) - p50(b) for a, b in pairs)
        summary[name] = row
    return summary


def print_case(case, summary):
    for name, row in summary.items():
        ratio = over = cpu = "–"
        if "ratio_to_haproxy" in row and name != HAPROXY:
            low, high = row["ratio_range"]
            ratio = f"{row['ratio_to_haproxy']:.2f} ({low:.2f}–{high:.2f})"
            over = f"{row['p50_over_haproxy_us']:+.1f}"
        if "proxy_cpu_us" in row:
            cpu = f"{row['proxy_cpu_us']:.2f}"
        print(
            f"| {case.name} | {name} | {row['ops_per_second']:,.0f} | {row['p50_us']:,.1f} "
            f"| {row['p99_us']:,.1f} | {ratio} | {over} | {cpu} |",
            flush=True,
        )


def measure_load(bench):
    routes = bench.proxies()
    print(
        "| command:connections | route | ops/s | p50 µs | p99 µs | ops/s ÷ HAProxy (range) "
        "| p50 − HAProxy µs | proxy CPU µs a command |\n|---|---|---:|---:|---:|---:|---:|---:|"
    )
    report = {}
    for text in bench.options.cases.split(","):
        case = Case(text)
        rounds = measure_case(bench, routes, case)
        report[case.name] = {"summary": summarize_case(rounds), "rounds": rounds}
        print_case(case, report[case.name]["summary"])
    for server in filter(None, routes.values()):
        bench.end(server)
    return report


def measure_idle(bench, start, count):
    """Resident memory of a fresh proxy without and with `count` idle client connections."""
    proxy = start()
    bench.load(proxy.port, "--operations", 100, "--connections", 4)
    before = proxy.memory_kb()
    command = [bench.tool("loadgen"), "--port", str(proxy.port), "--idle", str(count)]
    with subprocess.Popen(
        [*command, "--hold-seconds", "4", "--json"], stdout=subprocess.PIPE, text=True
    ) as load:
        ready = load.stdout.readline().split()
        time.sleep(2)
        during = proxy.memory_kb()
        result = json.loads(load.stdout.readline())
    time.sleep(1)
    after = proxy.memory_kb()
    bench.end(proxy)
    if ready != ["ready", str(count)] or result["still_open"] != count:
        raise BenchError(f"{proxy.name} did not keep {count} idle connections: {result}")
    return {
        "connections": count,
        "before_kb": before,
        "with_connections_kb": during,
        "after_kb": after,
        "bytes_a_connection": (during - before) * 1024 / count,
    }


def megabytes(kb):
    """/proc says kB and means KiB."""
    return kb * 1024 / 1e6


def report_idle(bench):
    starts = {}
    if bench.options.haproxy:
        starts[HAPROXY] = bench.start_haproxy
    if bench.options.mongosluice:
        starts[MONGOSLUICE] = bench.start_mongosluice
    print("\n| idle connections | proxy | RSS before MB | with them MB | after MB | bytes each |")
    print("|---:|---|---:|---:|---:|---:|")
    report = {}
    for name, start in starts.items():
        row = report[name] = measure_idle(bench, start, bench.options.idle)
        print(
            f"| {row['connections']:,} | {name} | {megabytes(row['before_kb']):.1f} "
            f"| {megabytes(row['with_connections_kb']):.1f} | {megabytes(row['after_kb']):.1f} "
            f"| {row['bytes_a_connection']:,.0f} |",
            flush=True,
        )
    return report


def count_calls(bench, proxy, case, operations):
    """{system call: how often for one command}, counted by the kernel while the load runs."""
    counts = Path(bench.folder) / "calls.csv"
    watch = subprocess.Popen(
        ["perf", "stat", "-x", ",", "-e", "syscalls:sys_enter_*", "-o", str(counts)]
        + ["-p", str(proxy.pid)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    time.sleep(1)
    if watch.poll() is not None:
        raise BenchError(f"perf stat failed: {watch.stderr.read().decode()}")
    bench.load(proxy.port, *case.arguments(), "--operations", operations)
    watch.send_signal(signal.SIGINT)
    watch.communicate(timeout=60)
    calls = {}
    for line in counts.read_text().splitlines():
        fields = line.split(",")
        if len(fields) > 2 and fields[0].isdigit() and int(fields[0]) * 1000 >= operations:
            calls[fields[2].removeprefix("syscalls:sys_enter_")] = int(fields[0]) / operations
    return calls


def report_calls(bench):
    routes = bench.proxies()
    report = {}
    print("\n| system calls a command | proxy | all | of which |\n|---|---|---:|---|")
    for text in bench.options.calls.split(","):
        case = Case(text)
        for name, proxy in routes.items():
            if proxy is None:
                continue
            calls = count_calls(bench, proxy, case, 30000)
            report.setdefault(case.name, {})[name] = calls
            listed = sorted(calls.items(), key=lambda call: -call[1])
            parts = ", ".join(f"{call} {count:.2f}" for call, count in listed if count >= 0.005)
            print(f"| {case.name} | {name} | {sum(calls.values()):.2f} | {parts} |", flush=True)
    for server in filter(None, routes.values()):
        bench.end(server)
    return report


def perf_report(data, sort, more):
    command = ["perf", "report", "-i", str(data), "--stdio", "--no-children", "-g", "none"]
    command += ["--sort", sort, "--percent-limit", "0.1", *more]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (line.rstrip(" -") for line in shown.stdout.splitlines())
    return "\n".join(line for line in lines if line and line[0] != "#")


def profile(bench):
    """Where mongosluice spends its time under load, by perf."""
    proxy = bench.start_mongosluice()
    for text in bench.options.profile.split(","):
        case = Case(text)
        data = Path(bench.folder) / "perf.data"
        record = subprocess.Popen(
            ["perf", "record", "-q", "-F", "1999", "-g", "-o", str(data), "-p", str(proxy.pid)],
            stderr=subprocess.DEVNULL,
        )
        time.sleep(0.5)
        bench.load(proxy.port, *case.arguments(), "--seconds", max(bench.options.seconds, 3))
        record.send_signal(signal.SIGINT)
        record.wait(60)
        print(f"\n### {case.name}")
        for title, sort, more in (
            ("Share of each library", "dso", []),
            ("Functions outside the kernel", "symbol", ["--dsos", USER_OBJECTS]),
            ("All functions", "dso,symbol", ["--percent-limit", "1"]),
        ):
            print(f"{title}:\n```\n{perf_report(data, sort, more)}\n```", flush=True)
    bench.end(proxy)


def judge(report):
    """The targets, as a list of (what, met)."""
    targets = []
    load = report.get("load", {})
    if MONGOSLUICE in load.get("ping:64", {}).get("summary", {}):
        row = load["ping:64"]["summary"][MONGOSLUICE]
        if "ratio_to_haproxy" in row:
            ratio = row["ratio_to_haproxy"]
            targets.append((f"throughput at 64: {ratio:.2f} of HAProxy's, ≥ 0.95", ratio >= 0.95))
    if MONGOSLUICE in load.get("ping:1", {}).get("summary", {}):
        row = load["ping:1"]["summary"][MONGOSLUICE]
        if "p50_over_haproxy_us" in row:
            over = row["p50_over_haproxy_us"]
            targets.append((f"p50 at 1: HAProxy's {over:+.1f} µs, ≤ +10", over <= 10))
    if MONGOSLUICE in report.get("idle", {}):
        row = report["idle"][MONGOSLUICE]
        used = megabytes(row["with_connections_kb"])
        targets.append(
            (f"{row['connections']:,} idle connections in {used:.0f} MB, ≤ 135", used <= 135)
        )
    return targets


def versions(options):
    def first_line(*command):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return (done.stdout or done.stderr).splitlines()[0] if done.stdout or done.stderr else ""

    found = {"kernel": platform.release(), "cpus": os.cpu_count()}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            found["cpu"] = line.split(":", 1)[1].strip()
            break
    if options.haproxy:
        found["haproxy"] = first_line(options.haproxy, "-v")
    if options.mongosluice:
        found["mongosluice"] = first_line(options.mongosluice, "--version")
    return found


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--build", default="build/release", help="the build folder with nullserver and loadgen")
    add("--mongosluice", help="the proxy; default: that of the build folder, if it is there")
    add("--mongosluice-option", action="append", default=[], help="one more of its options")
    add("--haproxy", default=shutil.which("haproxy") or "/usr/sbin/haproxy")
    add("--threads", type=int, default=1, help="of each proxy (default 1)")
    add("--rounds", type=int, default=9)
    add("--seconds", type=float, default=1, help="of each measurement (default 1)")
    add(
        "--cases",
        default="ping:1,ping:16,ping:64,ping:256,insert:1,insert:64,insert*1000:4,find*1000:4",
        help="command[*documents]:connections, separated by commas; empty: none",
    )
    add("--idle", type=int, default=9000, help="idle connections; 0: do not measure them")
    add("--calls", default="", help="cases whose system calls are counted, by perf stat")
    add("--profile", default="", help="cases in which mongosluice is profiled, by perf record")
    add("--pin", action="store_true", help="the proxy alone on CPU 1, all else on CPU 0")
    add("--json", help="file to write all results to")
    options = parser.parse_args()
    built = Path(options.build) / "src" / "main" / "mongosluice"
    if options.mongosluice is None and built.is_file():
        options.mongosluice = str(built)
    if not Path(options.haproxy).is_file():
        print("HAProxy is not installed (apt-get install haproxy): no ratios\n", file=sys.stderr)
        options.haproxy = None
    if options.mongosluice is None:
        print("mongosluice is not built: only the other routes are measured\n", file=sys.stderr)
        if options.profile:
            parser.error("--profile needs mongosluice")
    if (options.calls or options.profile) and shutil.which("perf") is None:
        parser.error("--calls and --profile need perf (apt-get install linux-perf)")
    return options


def run(bench, report):
    options = bench.options
    if options.cases:
        report["load"] = measure_load(bench)
    if options.idle:
        report["idle"] = report_idle(bench)
    if options.calls:
        report["calls"] = report_calls(bench)
    if options.profile:
        profile(bench)


def main():
    options = parse_options()
    report = {"machine": versions(options), "threads": options.threads, "pinned": options.pin}
    print("; ".join(f"{name} {value}" for name, value in report["machine"].items()))
    print(f"{options.threads} proxy thread(s), {options.rounds} rounds of {options.seconds:g} s\n")
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        bench = None
        try:
            bench = Bench(options, folder)
            run(bench, report)
        except BenchError as error:
            print(f"bench-hop: {error}", file=sys.stderr)
            return 2
        finally:
            if bench:
                bench.stop()
    targets = judge(report)
    report["targets"] = [{"target": what, "met": met} for what, met in targets]
    print()
    for what, met in targets:
        print(f"{'met   ' if met else 'MISSED'}  {what}")
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n")
    return 0 if all(met for _, met in targets) else 1


if __name__ == "__main__":
    sys.exit(main())
