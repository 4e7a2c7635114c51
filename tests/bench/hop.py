#!/usr/bin/env python3
"""Measures the cost of a hop: direct, through HAProxy and nginx as TCP proxies, and through mongosluice.

All lead to one upstream (nullserver, unless --upstream says otherwise) and are loaded by one load generator
(loadgen). Each round measures every route, in an order that changes from round to round, and the result is the
median of the ratios within each round: other load on the machine affects all routes alike.
"""

import argparse
import contextlib
import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import rig as bench
from rig import (BenchError, Table, latency, median_of, megabytes, plot, ratio_of, ratio_text,
                 throughput)

UPSTREAMS = {"null": "the null server", "rs": "secantusd-rs", "py": "SecantusDB"}
DIRECT, HAPROXY, MONGOSLUICE = "direct", "HAProxy", "mongosluice"
TRACE_EVENTS = "/sys/kernel/tracing/events/syscalls"
# Those that proxies make; all that there are would take perf 20 seconds to attach to. `all` counts others, too.
SYSTEM_CALLS = ("read readv recvfrom recvmsg write writev sendto sendmsg epoll_wait epoll_pwait epoll_ctl poll "
                "clock_gettime gettimeofday accept4 socket connect close setsockopt getsockopt getpeername fcntl "
                "ioctl mmap munmap mprotect madvise brk futex").split()
# Names by which perf lists the proxy's own code and the libraries on its data path.
USER_OBJECTS = "mongosluice,libc.so.6,libevent_core-2.1.so.7.0.1,libcrypto.so.3,libssl.so.3,[vdso]"

# The six fields of every document that loadgen sends.
SCHEMA = {
    "bsonType": "object",
    "required": ["_id", "name", "email", "age", "city", "score", "created_at"],
    "properties": {
        "_id": {"bsonType": "objectId"},
        "name": {"bsonType": "string", "minLength": 1, "maxLength": 100},
        "email": {"bsonType": "string", "pattern": "^[^@]+@[^@]+$"},
        "age": {"bsonType": "int", "minimum": 0, "maximum": 150},
        "city": {"bsonType": "string"},
        "score": {"bsonType": "double"},
        "created_at": {"bsonType": "date"},
    },
}


# The collection for finds: it does not grow with the inserts.
FOUND, FOUND_DOCUMENTS = "found", 1000


class Hop(bench.Rig):
    """One upstream and the routes to it."""

    def __init__(self, options, folder):
        super().__init__(options, folder)
        self.pin = "1" if options.pin else None
        if options.upstream == "null":
            self.upstream = self.start_null(pin=options.pin and "0")
        else:
            self.upstream = self.start_secantus(options.upstream)
            self.load(self.upstream.port, "--command", "insert", "--documents", FOUND_DOCUMENTS,
                      "--operations", 1, "--collection", FOUND)

    def _sluice(self, name, *more):
        return self.start_mongosluice(self.upstream.port, *more, *self.options.mongosluice_option,
                                      name=name, threads=self.options.threads, pin=self.pin)

    def schemas(self):
        folder = self.folder / "schemas"
        folder.mkdir(exist_ok=True)
        (folder / "bench.items.json").write_text(json.dumps({"ns": "bench.items", "schema": SCHEMA}))
        hostile = {"required": ["a"], "properties": {"text": {"pattern": r"^(\w+\s?)*$"}}}
        for ns, action in (("bench.hostile", "error"), ("bench.logged", "warn")):
            (folder / f"{ns}.json").write_text(json.dumps({"ns": ns, "schema": hostile, "action": action}))
        return folder

    def certificate(self):
        both = self.folder / "both.pem"
        if not both.is_file():
            key, cert = self.folder / "key.pem", self.folder / "cert.pem"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                            "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                            "-keyout", key, "-out", cert], check=True, capture_output=True)
            both.write_text(cert.read_text() + key.read_text())
        return both

    def start_route(self, name):
        port = self.upstream.port
        connections = max(self.options.idle + 100, 4096)
        starts = {
            DIRECT: lambda: None,
            HAPROXY: lambda: self.start_haproxy(port, connections, self.options.threads, self.pin),
            "nginx": lambda: self.start_nginx(port, 2 * connections, self.options.threads, self.pin),
            MONGOSLUICE: lambda: self._sluice("mongosluice"),
            "validating": lambda: self._sluice("validating", f"--schemas={self.schemas()}"),
            "merging": lambda: self._sluice("merging", "--merge.enabled=true"),
            "TLS": lambda: self._sluice("tls", "--tls.mode=require", f"--tls.cert_file={self.certificate()}",
                                        f"--tls.key_file={self.certificate()}"),
            "compressed": lambda: self._sluice("compressed"),
        }
        return starts[name]()

    def routes(self):
        """{name: server}; direct is None."""
        return {name: self.start_route(name) for name in self.options.routes}

    def load_route(self, name, route, case, *more):
        flags = {"TLS": ["--tls"], "compressed": ["--compress", "snappy"]}.get(name, [])
        return self.load((route or self.upstream).port, *case.arguments(), *flags, *more,
                         pin="0" if self.options.pin else None)


class Case:
    """`command[*documents]:connections`, as in ping:64 or insert*1000:4."""

    def __init__(self, text):
        self.name = text
        command, _, connections = text.partition(":")
        self.command, _, documents = command.partition("*")
        self.documents = int(documents or 1)
        self.connections = int(connections)

    def kind(self):
        return self.name.partition(":")[0]

    def arguments(self):
        arguments = ["--command", self.command, "--connections", self.connections]
        arguments += ["--documents", self.documents]
        if self.command == "insert":
            arguments.append("--retryable")
        if self.command == "find":
            arguments += ["--collection", FOUND]
        return arguments


def measure_once(hop, name, route, case):
    before = route.cpu_seconds() if route else 0
    result = hop.load_route(name, route, case, "--seconds", hop.options.seconds)
    if route:
        result["proxy_cpu_us"] = (route.cpu_seconds() - before) * 1e6 / max(result["operations"], 1)
        result["proxy_rss_kb"] = route.memory_kb()
    return result


def measure_case(hop, routes, case):
    """{route: [a result for each round]}"""
    for name, route in routes.items():
        hop.load_route(name, route, case, "--seconds", 0.2)
    return bench.alternate(list(routes), hop.options.rounds,
                           lambda name: measure_once(hop, name, routes[name], case))


def summarize_case(rounds):
    """Medians for each route; against HAProxy and direct within the round."""
    summary = {}
    for name, results in rounds.items():
        row = {
            "ops_per_second": median_of(results, throughput),
            **{f"{which}_us": median_of(results, lambda r, which=which: latency(r, which))
               for which in ("p50", "p99", "p99_9")},
        }
        if name != DIRECT:
            row["proxy_cpu_us"] = median_of(results, lambda r: r["proxy_cpu_us"])
            row["proxy_rss_mb"] = megabytes(median_of(results, lambda r: r["proxy_rss_kb"]))
        if HAPROXY in rounds:
            row["ratio_to_haproxy"] = ratio_of(results, rounds[HAPROXY], throughput)
            row["p50_over_haproxy_us"] = statistics.median(
                latency(a, "p50") - latency(b, "p50") for a, b in zip(results, rounds[HAPROXY]))
        summary[name] = row
    return summary


def show_case(table, case, summary):
    for name, row in summary.items():
        ratio = over = cpu = rss = "–"
        if "ratio_to_haproxy" in row and name != HAPROXY:
            ratio = ratio_text(row["ratio_to_haproxy"])
            over = f"{row['p50_over_haproxy_us']:+.1f}"
        if "proxy_cpu_us" in row:
            cpu, rss = f"{row['proxy_cpu_us']:.2f}", f"{row['proxy_rss_mb']:.1f}"
        table.row(case.name, name, f"{row['ops_per_second']:,.0f}", f"{row['p50_us']:,.1f}",
                  f"{row['p99_us']:,.1f}", f"{row['p99_9_us']:,.1f}", ratio, over, cpu, rss)


def load_table(hop, kind):
    upstream = UPSTREAMS[hop.options.upstream]
    name = f"hop-{hop.options.upstream}-{kind.replace('*', '')}"
    return Table("command:connections", "route", "ops/s", "p50 µs", "p99 µs", "p99.9 µs",
                 "ops/s ÷ HAProxy (range)", "p50 − HAProxy µs", "proxy CPU µs a command", "proxy RSS MB",
                 title=f"{kind}, on {upstream}",
                 plot=plot(name, "command:connections", "route", "ops/s",
                           f"Operations a second, {kind}, on {upstream}"))


def measure_load(hop, tables):
    routes = hop.routes()
    report = {}
    table = None
    kind = None
    for text in hop.options.cases.split(","):
        case = Case(text)
        if case.kind() != kind:  # a table for each command
            kind = case.kind()
            table = load_table(hop, kind)
            tables.append(table)
        rounds = measure_case(hop, routes, case)
        report[case.name] = {"summary": summarize_case(rounds), "rounds": rounds}
        show_case(table, case, report[case.name]["summary"])
    for route in filter(None, routes.values()):
        hop.end(route)
    return report


def measure_idle(hop, name, count):
    """Resident memory of a fresh proxy, without and with `count` idle client connections."""
    proxy = hop.start_route(name)
    hop.load(proxy.port, "--operations", 100, "--connections", 4)
    before = proxy.memory_kb()
    command = [hop.tool("loadgen"), "--port", str(proxy.port), "--idle", str(count)]
    with subprocess.Popen(
        [*command, "--hold-seconds", "4", "--json"], stdout=subprocess.PIPE, text=True
    ) as load:
        ready = load.stdout.readline().split()
        time.sleep(2)
        during = proxy.memory_kb()
        result = json.loads(load.stdout.readline())
    time.sleep(1)
    after = proxy.memory_kb()
    hop.end(proxy)
    if ready != ["ready", str(count)] or result["still_open"] != count:
        raise BenchError(f"{proxy.name} did not keep {count} idle connections: {result}")
    return {
        "connections": count,
        "before_kb": before,
        "with_connections_kb": during,
        "after_kb": after,
        "bytes_a_connection": (during - before) * 1024 / count,
    }


def report_idle(hop, tables):
    table = Table("idle connections", "proxy", "RSS before MB", "with them MB", "after MB", "bytes each",
                  title="Memory of idle connections")
    tables.append(table)
    report = {}
    for name in (name for name in hop.options.routes if name in (HAPROXY, "nginx", MONGOSLUICE)):
        row = report[name] = measure_idle(hop, name, hop.options.idle)
        table.row(f"{row['connections']:,}", name, f"{megabytes(row['before_kb']):.1f}",
                  f"{megabytes(row['with_connections_kb']):.1f}", f"{megabytes(row['after_kb']):.1f}",
                  f"{row['bytes_a_connection']:,.0f}")
    return report


def count_calls(hop, name, route, case, operations):
    """Returns {system call: calls per command}, counted by the kernel while the load runs."""
    counts = hop.folder / "calls.csv"
    pids = ",".join(map(str, route.processes()))
    events = ",".join(["raw_syscalls:sys_enter", *(f"syscalls:sys_enter_{call}" for call in SYSTEM_CALLS
                                                  if Path(TRACE_EVENTS, f"sys_enter_{call}").is_dir())])
    watch = subprocess.Popen(
        ["perf", "stat", "-x", ",", "-e", events, "-o", str(counts), "-p", pids],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    time.sleep(1)
    if watch.poll() is not None:
        raise BenchError(f"perf stat failed: {watch.stderr.read().decode()}")
    hop.load_route(name, route, case, "--operations", operations)
    watch.send_signal(signal.SIGINT)
    watch.communicate(timeout=60)
    calls = {}
    for line in counts.read_text().splitlines():
        fields = line.split(",")
        if len(fields) > 2 and fields[0].isdigit() and int(fields[0]) * 1000 >= operations:
            calls[fields[2].removeprefix("syscalls:sys_enter_")] = int(fields[0]) / operations
    calls["all"] = calls.pop("raw_syscalls:sys_enter", 0.0)
    return calls


def report_calls(hop, tables):
    routes = hop.routes()
    report = {}
    table = Table("system calls a command", "proxy", "all", "of which", title="System calls a command")
    tables.append(table)
    for text in hop.options.calls.split(","):
        case = Case(text)
        for name, route in routes.items():
            if route is None:
                continue
            calls = count_calls(hop, name, route, case, 30000)
            report.setdefault(case.name, {})[name] = calls
            listed = sorted(((call, count) for call, count in calls.items() if call != "all"),
                            key=lambda call: -call[1])
            parts = ", ".join(f"{call} {count:.2f}" for call, count in listed if count >= 0.005)
            table.row(case.name, name, f"{calls['all']:.2f}", parts)
    for route in filter(None, routes.values()):
        hop.end(route)
    return report


def perf_rows(data, *more):
    """[(share, library, function)] of perf's own report."""
    command = ["perf", "report", "-i", str(data), "--stdio", "--no-children", "-g", "none",
               "--sort", "dso,symbol", "-w", "40,80", *more]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = []
    for line in shown.stdout.splitlines():
        parts = line.split(None, 3)
        if len(parts) == 4 and parts[0].endswith("%"):
            rows.append((float(parts[0][:-1]), parts[1], parts[3].strip(" -").strip()))
    return rows


def profile(hop, tables):
    """Profiles mongosluice under load with perf: route@case, or a case alone."""
    report = {}
    for text in hop.options.profile.split(","):
        name, _, case_text = text.rpartition("@")
        name = name or MONGOSLUICE
        case = Case(case_text)
        route = hop.start_route(name)
        hop.load_route(name, route, case, "--seconds", 0.5)
        data = hop.folder / "perf.data"
        record = subprocess.Popen(["perf", "record", "-q", "-F", "1999", "-g", "-o", str(data), "-p",
                                   str(route.pid)], stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        hop.load_route(name, route, case, "--seconds", max(hop.options.seconds, 3))
        record.send_signal(signal.SIGINT)
        record.wait(60)
        rows = perf_rows(data)
        kernel = sum(share for share, library, _ in rows if library.startswith("[kernel"))
        own = perf_rows(data, "--dsos", USER_OBJECTS)[:10]
        report[text] = {"kernel": kernel, "functions": own}
        print(f"\n{name}, {case.name}: {kernel:.1f} % of the proxy's CPU time is the kernel's; of the rest:")
        table = Table("route, case", "share of all %", "library", "function",
                      title=f"The ten hottest functions: {name}, {case.name}")
        for share, library, function in own:
            table.row(f"{name}, {case.name}", f"{share:.2f}", library, function)
        table.lines.append(f"| {name}, {case.name} | {kernel:.2f} | kernel | all of it |")
        tables.append(table)
        hop.end(route)
    return report


def judge(report):
    """The targets, as a list of (what, met)."""
    targets = []
    load = report.get("load", {})

    def row_of(case):
        row = load.get(case, {}).get("summary", {}).get(MONGOSLUICE, {})
        return row if "ratio_to_haproxy" in row else None

    if row_of("ping:64"):
        ratio = row_of("ping:64")["ratio_to_haproxy"][0]
        targets.append((f"throughput at 64: {ratio:.2f} of HAProxy's, ≥ 0.95", ratio >= 0.95))
    if row_of("ping:1"):
        over = row_of("ping:1")["p50_over_haproxy_us"]
        targets.append((f"p50 at 1: HAProxy's {over:+.1f} µs, ≤ +10", over <= 10))
    if MONGOSLUICE in report.get("idle", {}):
        row = report["idle"][MONGOSLUICE]
        used = megabytes(row["with_connections_kb"])
        targets.append(
            (f"{row['connections']:,} idle connections in {used:.0f} MB, ≤ 135", used <= 135)
        )
    return targets


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    bench.add_options(parser)
    add = parser.add_argument
    add("--mongosluice-option", action="append", default=[], help="one more of its options")
    add("--haproxy", default=shutil.which("haproxy") or "/usr/sbin/haproxy")
    add("--nginx", default=shutil.which("nginx") or "/usr/sbin/nginx")
    add("--title", default="What a hop costs", help="of the page that --markdown writes")
    add("--upstream", default="null", help="null, rs (secantusd-rs) or py (SecantusDB)")
    add("--routes", default="direct,HAProxy,mongosluice",
        help="of direct, HAProxy, nginx, mongosluice, validating, merging, TLS, compressed")
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
    add("--profile", default="", help="[route@]cases in which mongosluice is profiled, by perf record")
    add("--pin", action="store_true", help="the proxy alone on CPU 1, all else on CPU 0")
    options = parser.parse_args()
    bench.finish_options(options)
    options.routes = options.routes.split(",")
    for name, program in ((HAPROXY, options.haproxy), ("nginx", options.nginx)):
        if name in options.routes and not Path(program).is_file():
            print(f"{name} is not installed: its rows are left out\n", file=sys.stderr)
            options.routes.remove(name)
    if options.mongosluice is None:
        print("mongosluice is not built: only the other routes are measured\n", file=sys.stderr)
        options.routes = [name for name in options.routes if name in (DIRECT, HAPROXY, "nginx")]
        if options.profile:
            parser.error("--profile needs mongosluice")
    if (options.calls or options.profile) and shutil.which("perf") is None:
        parser.error("--calls and --profile need perf (apt-get install linux-perf)")
    return options


def run(hop, report, tables):
    options = hop.options
    if options.cases:
        report["load"] = measure_load(hop, tables)
    if options.idle:
        report["idle"] = report_idle(hop, tables)
    if options.calls:
        report["calls"] = report_calls(hop, tables)
    if options.profile:
        report["profile"] = profile(hop, tables)


def main():
    options = parse_options()
    report = {"machine": bench.environment(options), "threads": options.threads,
              "pinned": options.pin, "upstream": options.upstream}
    tables = []
    print(bench.environment_text(report["machine"]))
    print(f"{options.threads} proxy thread(s), {options.rounds} rounds of {options.seconds:g} s\n")
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder, contextlib.ExitStack() as ends:
        try:
            hop = Hop(options, folder)
            ends.callback(hop.stop)
            run(hop, report, tables)
        except BenchError as error:
            print(f"bench-hop: {error}", file=sys.stderr)
            return 2
    targets = judge(report)
    report["targets"] = [{"target": what, "met": met} for what, met in targets]
    print()
    for what, met in targets:
        print(f"{'met   ' if met else 'MISSED'}  {what}")
    bench.write_results(options, report, tables, options.title, report["machine"],
                        bench.verdict_lines(targets))
    return 0 if all(met for _, met in targets) else 1


if __name__ == "__main__":
    sys.exit(main())
