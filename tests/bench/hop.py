#!/usr/bin/env python3
"""Measures the cost of a hop: direct, through HAProxy and nginx as TCP proxies, and through mongosluice.

All lead to one upstream (nullserver, unless --upstream says otherwise) and are loaded by one load generator
(loadgen). Each round measures every route, in an order that changes from round to round, and the result is the
median of the ratios within each round: other load on the machine affects all routes alike. Commands and CPU time count
from the end of a warm-up that begins when all connections are up, so that no handshake is in them; handshakes are measured
apart, as new connections a second. A route with TLS stands beside HAProxy with TLS.
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

DIRECT, HAPROXY, MONGOSLUICE = "direct", "HAProxy", "mongosluice"
# TLS: the clients come by TLS, and the proxy reaches the server without. Both sides: it reaches the server by TLS, too.
DIRECT_TLS, HAPROXY_TLS, TLS = "direct TLS", "HAProxy TLS", "TLS"
HAPROXY_BOTH, BOTH = "HAProxy TLS both sides", "TLS both sides"
TO_TLS_SERVER = (DIRECT_TLS, HAPROXY_BOTH, BOTH)
BY_TLS = (HAPROXY_TLS, TLS, *TO_TLS_SERVER)
# A thread that waits polls up to POLL_US.
POLLING, POLL_US = "polling", 50
# The route that each stands beside; HAPROXY for all others.
BESIDE = {DIRECT_TLS: HAPROXY_BOTH, HAPROXY_TLS: HAPROXY_TLS, TLS: HAPROXY_TLS, HAPROXY_BOTH: HAPROXY_BOTH,
          BOTH: HAPROXY_BOTH}
PROXIES = (HAPROXY, "nginx", MONGOSLUICE, "validating", "merging", "compressed")
ROUTES = (DIRECT, *PROXIES, *BY_TLS, POLLING)
# What a new connection does, the options of dialgen for it, and the routes.
DIALS = (
    ("no TLS", [], (DIRECT, HAPROXY, MONGOSLUICE)),
    ("full handshake", ["--tls"], (HAPROXY_TLS, TLS)),
    ("resumed session", ["--resume"], (HAPROXY_TLS, TLS)),
    ("full handshake, both sides", ["--tls"], (DIRECT_TLS, HAPROXY_BOTH, BOTH)),
    ("resumed session, both sides", ["--resume"], (DIRECT_TLS, HAPROXY_BOTH, BOTH)),
)
DIAL_CONNECTIONS = 16
ABOUT = """*TLS*: the clients come by TLS, and the proxy reaches the server without. *TLS both sides*: it reaches the server by TLS, too,
and checks its certificate. A route with TLS stands beside HAProxy with the same TLS and the same certificate (ECDSA P-256), each
other route beside HAProxy without. Commands, latencies and CPU time count only when all connections are up and warm, so no
handshake is in them. New connections are measured apart: each connects, shakes hands, says hello, has its reply, and is closed.
HAProxy resumes its own TLS sessions with the server in all rows of both sides. *Polling*: a thread that waits polls for a while
before it sleeps (`busy_poll_us: 50`), beside HAProxy as it is."""
WARMUP_SECONDS = 0.15
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
        self.tls_upstream = None
        if options.upstream == "null":
            self.upstream = self.start_null(pin=options.pin and "0")
        else:
            self.upstream = self.start_upstream(options.upstream)
            self.load(self.upstream, "--command", "insert", "--documents", FOUND_DOCUMENTS,
                      "--operations", 1, "--collection", FOUND)

    def server_of(self, name):
        """The server that a route leads to."""
        if name not in TO_TLS_SERVER:
            return self.upstream
        if self.tls_upstream is None:
            self.tls_upstream = self.start("tls-server", [self.tool("nullserver"), "--find-documents", "100000", "--tls-cert",
                                                          self.certificate()], pin=self.options.pin and "0")
        return self.tls_upstream

    def _sluice(self, name, *more, **how):
        return self.start_mongosluice(self.server_of(name), *more, *self.options.mongosluice_option,
                                      name=name.replace(" ", "-"), threads=self.options.threads, pin=self.pin, **how)

    def _haproxy(self, name, **how):
        return self.start_haproxy(self.server_of(name), max(self.options.idle + 100, 4096), self.options.threads, self.pin,
                                  name=name.replace(" ", "-"), **how)

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
                            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                            "-keyout", key, "-out", cert], check=True, capture_output=True)
            both.write_text(cert.read_text() + key.read_text())
        return both

    def start_route(self, name):
        certificate = self.certificate() if name in BY_TLS else None
        clients = [f"--tls.{key}={value}" for key, value in
                   (("mode", "require"), ("cert_file", certificate), ("key_file", certificate))]
        starts = {
            DIRECT: lambda: None,
            DIRECT_TLS: lambda: None,
            HAPROXY: lambda: self._haproxy(name),
            HAPROXY_TLS: lambda: self._haproxy(name, certificate=certificate),
            HAPROXY_BOTH: lambda: self._haproxy(name, certificate=certificate, authority=certificate),
            POLLING: lambda: self._sluice(name, f"--busy_poll_us={POLL_US}"),
            "nginx": lambda: self.start_nginx(self.upstream, 2 * max(self.options.idle + 100, 4096), self.options.threads,
                                              self.pin),
            MONGOSLUICE: lambda: self._sluice(name),
            "validating": lambda: self._sluice(name, f"--schemas={self.schemas()}"),
            "merging": lambda: self._sluice(name, "--merge.enabled=true"),
            "compressed": lambda: self._sluice(name),
            TLS: lambda: self._sluice(name, *clients),
            BOTH: lambda: self._sluice(name, *clients, uri_options=f"&tls=true&tlsCAFile={certificate}"),
        }
        return starts[name]()

    def routes(self):
        """{name: server}; direct is None."""
        return {name: self.start_route(name) for name in self.options.routes}

    def load_route(self, name, route, case, *more):
        flags = ["--tls"] if name in BY_TLS else {"compressed": ["--compress", "snappy"]}.get(name, [])
        return self.load(route or self.server_of(name), *case.arguments(), *flags, *more,
                         pin="0" if self.options.pin else None, cpu_of=[route] if route else [])


class Case:
    """`command[*documents]:connections`, as in ping:64 or insert*1000:4."""

    def __init__(self, text):
        self.name = text
        command, _, connections = text.partition(":")
        self.command, _, documents = command.partition("*")
        self.documents = int(documents or 1)
        self.connections = int(connections)
        if self.command not in ("ping", "insert", "find") or self.documents < 1 or self.connections < 1:
            raise ValueError(text)

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
    result = hop.load_route(name, route, case, "--seconds", hop.options.seconds, "--warmup-seconds", WARMUP_SECONDS,
                            *bench.WARM)
    if route:
        result["proxy_cpu_us"] = result["cpu_us"][route.name]
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
        if "proxy_cpu_us" in results[0]:
            row["proxy_cpu_us"] = median_of(results, lambda r: r["proxy_cpu_us"])
            row["proxy_rss_mb"] = megabytes(median_of(results, lambda r: r["proxy_rss_kb"]))
        beside = BESIDE.get(name, HAPROXY)
        if beside in rounds and beside != name:
            row["ratio_to_haproxy"] = ratio_of(results, rounds[beside], throughput)
            row["p50_over_haproxy_us"] = statistics.median(
                latency(a, "p50") - latency(b, "p50") for a, b in zip(results, rounds[beside]))
        summary[name] = row
    return summary


def show_case(table, case, summary):
    for name, row in summary.items():
        ratio = over = cpu = rss = "–"
        if "ratio_to_haproxy" in row:
            ratio = ratio_text(row["ratio_to_haproxy"])
            over = f"{row['p50_over_haproxy_us']:+.1f}"
        if "proxy_cpu_us" in row:
            cpu, rss = f"{row['proxy_cpu_us']:.2f}", f"{row['proxy_rss_mb']:.1f}"
        table.row(case.name, name, f"{row['ops_per_second']:,.0f}", f"{row['p50_us']:,.1f}",
                  f"{row['p99_us']:,.1f}", f"{row['p99_9_us']:,.1f}", ratio, over, cpu, rss)


def upstream_name(options):
    name = bench.SERVERS[options.upstream]
    return f"the {name}" if options.upstream in bench.NULL_SERVERS else name


def load_table(hop, kind):
    upstream = upstream_name(hop.options)
    name = f"hop-{hop.options.upstream}-{kind.replace('*', '')}{'-pinned' if hop.options.pin else ''}"
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
    for case in hop.options.cases:
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
    hop.load(proxy, "--operations", 100, "--connections", 4)
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


def report_dials(hop, tables):
    """New connections a second: each says hello, has its reply, and is closed."""
    table = Table("each connection", "route", "connections/s", "÷ HAProxy (range)", "p50 µs", "p99 µs",
                  "proxy's CPU µs a connection", "resumed",
                  title=f"New connections a second, {DIAL_CONNECTIONS} at a time",
                  plot=plot(f"hop-{hop.options.upstream}-dials", "each connection", "route", "connections/s",
                            "New connections a second"))
    tables.append(table)
    report = {}
    for kind, arguments, names in DIALS:
        routes = {name: hop.start_route(name) for name in names if name in hop.options.routes}

        def dial(name, routes=routes, arguments=arguments):
            route = routes[name]
            return hop.dial(route or hop.server_of(name), *arguments, "--connections", DIAL_CONNECTIONS, "--seconds",
                            hop.options.seconds, "--warmup-seconds", WARMUP_SECONDS, cpu_of=[route] if route else [])

        rounds = report[kind] = bench.alternate(list(routes), hop.options.rounds, dial) if routes else {}
        for name, results in rounds.items():
            beside = rounds.get(BESIDE.get(name, HAPROXY))
            ratio = ratio_of(results, beside, dialed) if beside and beside is not results else None
            table.row(kind, name, f"{median_of(results, dialed):,.0f}", ratio_text(ratio) if ratio else "–",
                      f"{median_of(results, lambda r: latency(r, 'p50')):,.0f}",
                      f"{median_of(results, lambda r: latency(r, 'p99')):,.0f}",
                      f"{median_of(results, lambda r: r['cpu_us']):.0f}" if routes[name] else "–",
                      f"{median_of(results, lambda r: 100 * r['resumed'] / max(r['connections'], 1)):.0f} %")
        for route in filter(None, routes.values()):
            hop.end(route)
    return report


def dialed(result):
    return result["connections_per_second"]


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
    for case in hop.options.calls:
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
    for name, case in hop.options.profile:
        text = f"{name}@{case.name}"
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


def cases(text):
    try:
        return [Case(part) for part in text.split(",") if part]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{error}' is not command[*documents]:connections, with one of ping, insert, "
                                         "find") from None


def profiles(text):
    """[(route, case)]"""
    found = [part.rpartition("@") for part in text.split(",") if part]
    for name, _, _ in found:
        bench.choice_of(*ROUTES)(name)
    return [(name or MONGOSLUICE, *cases(case)) for name, _, case in found]


def add_upstream_options(options):
    """The options of a Hop that a program of its own does not ask for."""
    defaults = {"pin": False, "upstream": "null", "idle": 0, "mongosluice_option": [], "threads": 1}
    for name, value in defaults.items():
        setattr(options, name, value)
    choose_upstream(options)


def choose_upstream(options):
    if options.server:
        options.upstream = bench.GIVEN


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    bench.add_options(parser)
    add = parser.add_argument
    add("--mongosluice-option", action="append", default=[], help="one more of its options")
    add("--haproxy", default=shutil.which("haproxy") or "/usr/sbin/haproxy")
    add("--nginx", default=shutil.which("nginx") or "/usr/sbin/nginx")
    add("--title", default="What a hop costs", help="of the page that --markdown writes")
    add("--upstream", default="null", choices=list(bench.SERVERS), help="null, standin, rs (secantusd-rs) or py (SecantusDB)")
    add("--routes", default="direct,HAProxy,mongosluice", type=bench.choice_of(*ROUTES), help=f"of {', '.join(ROUTES)}")
    add("--threads", type=int, default=1, help="of each proxy (default 1)")
    add("--rounds", type=int, default=9)
    add("--seconds", type=float, default=1, help="of each measurement (default 1), after the warm-up")
    add(
        "--cases",
        default="ping:1,ping:16,ping:64,ping:256,insert:1,insert:64,insert*1000:4,find*1000:4", type=cases,
        help="command[*documents]:connections, separated by commas; empty: none",
    )
    add("--idle", type=int, default=9000, help="idle connections; 0: do not measure them")
    add("--dials", action="store_true", help="measure new connections a second, with and without TLS")
    add("--calls", default="", type=cases, help="cases whose system calls are counted, by perf stat")
    add("--profile", default="", type=profiles, help="[route@]cases in which mongosluice is profiled, by perf record")
    add("--pin", action="store_true", help="the proxy alone on CPU 1, all else on CPU 0")
    options = parser.parse_args()
    bench.finish_options(options)
    choose_upstream(options)
    for names, program in (((HAPROXY, HAPROXY_TLS, HAPROXY_BOTH), options.haproxy), (("nginx",), options.nginx)):
        leave_out(options, names, f"{names[0]} is not installed", not Path(program).is_file())
    leave_out(options, TO_TLS_SERVER, f"{upstream_name(options)} is measured without TLS", options.upstream != "null")
    if options.mongosluice is None:
        leave_out(options, set(ROUTES) - {DIRECT, HAPROXY, "nginx"}, "mongosluice is not built", True)
        if options.profile:
            parser.error("--profile needs mongosluice")
    if (options.calls or options.profile) and shutil.which("perf") is None:
        parser.error("--calls and --profile need perf (apt-get install linux-perf)")
    return options


def leave_out(options, names, why, wanted):
    gone = [name for name in options.routes if name in names and wanted]
    if gone:
        print(f"{why}: no rows for {', '.join(gone)}\n", file=sys.stderr)
        options.routes = [name for name in options.routes if name not in gone]


def run(hop, report, tables):
    options = hop.options
    if options.cases:
        report["load"] = measure_load(hop, tables)
    if options.idle:
        report["idle"] = report_idle(hop, tables)
    if options.dials:
        report["dials"] = report_dials(hop, tables)
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
                        bench.verdict_lines(targets), about=ABOUT if set(BY_TLS) & set(options.routes) else "")
    return 0 if all(met for _, met in targets) else 1


if __name__ == "__main__":
    sys.exit(main())
