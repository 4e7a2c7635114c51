#!/usr/bin/env python3
"""Measures the gain from merging: inserts of one document, direct, through HAProxy, through the proxy without and with
merging; with the write concerns w: 1 and w: "majority".

Each connection sends inserts as a driver does (kind-1 documents with a unique `_id`; retryable: `lsid` and an increasing
`txnNumber`) and waits for the answer. All routes are measured in each round, in an order that changes; ratios are taken
within a round. Commands and CPU time count from the end of a warm-up that begins when all connections are up. `apart`: the
server has CPU 0 and everything else CPU 1, as if on two machines; `shared`: the scheduler places them, differently from one
second to the next.

A client that waits for each answer sends fewer requests over a slow route. So there are also loads of a given
number of inserts a second, in which each connection's are due at fixed times, and latencies count from those.
"""

import argparse
import math
import shutil
import statistics
import sys
from pathlib import Path

import rig as bench
from rig import latency, median_of, ratio_of, ratio_text, throughput

ABOUT = """Each route has single-document inserts from so many connections, each of which waits for its answer. "Median client" is the
mean latency of the median connection: where a server serves a few connections most of the time, the p50 of all commands
is theirs. *Server apart*: the server has CPU 0, the generator and the proxies CPU 1, as on two machines; else all share two
CPUs. "Unix socket": the clients come to the proxy by a socket file, as a sidecar's may
(`unix_domain_socket.path_prefix`); the server itself is reached by TCP on all routes. *The same load for all*: as many
inserts a second are due on each route, and latencies count from the time at which they were due; what was not answered in
the time measured is left out, so that a route which cannot keep up looks better than it is.

The *null server* acknowledges and stores nothing. With `w: "majority"` its replies wait for a journal that commits all
writes that came, in order, 1 to 3 ms after the first of them. The *stand-in for MongoDB 4.4* is the same program with the CPU
time of that server: each command and each document take as much as the first table says, so its own CPU time is given, not
found."""

DIRECT, HAPROXY, UNMERGED, MERGED, SOCKET = "direct", "HAProxy", "proxy", "merging", "merging, Unix socket"
VARIANTS = {"plain": [], "retryable": ["--retryable"]}
CONCERNS = {"1": "w: 1", "majority": "majority"}
SERVER_CPU, OTHERS_CPU = "0", "1"
PACED_CONNECTIONS = 256
CPU_CONNECTIONS = 256
TARGET_RATE = 15000  # about the rate that secantusd-rs takes directly
APART = (1, 256)  # connections with the server apart
LIGHT = ("null", "py")  # measured with fewer connections and rounds: they show a bound, not what users have
# (server, write concern, connections): merging ÷ direct
TARGETS = {("rs", "1", 256): 5.0}
for _kind in ("standin", bench.GIVEN):
    TARGETS |= {(_kind, "1", 256): 4.0, (_kind, "majority", 64): 4.0, (_kind, "majority", 256): 10.0}


def batches(before, after):
    """Returns the proxy's own figures: merged inserts, and commands that carried them."""

    def grown(name):
        return after.get(name, 0) - before.get(name, 0)

    return (grown("mongosluice_batch_documents_sum"), grown("mongosluice_batch_documents_count"))


class Routes:
    """A server, with proxies without and with merging in front of it."""

    def __init__(self, rig, kind, placement):
        options = rig.options
        apart = placement == "apart"
        self.rig = rig
        self.pin = OTHERS_CPU if apart else None
        self.server = server = rig.start_upstream(kind, SERVER_CPU if apart else None)
        self.ways = {DIRECT: (server, server)}
        if options.haproxy:
            haproxy = rig.start_haproxy(server, threads=options.threads, pin=self.pin)
            self.ways[HAPROXY] = (haproxy, haproxy)
        plain = rig.start_mongosluice(server, name="plain", threads=options.threads, pin=self.pin)
        merging = rig.start_mongosluice(
            server, "--merge.enabled=true", f"--unix_domain_socket.path_prefix={rig.folder}",
            *options.mongosluice_option, name="merging", threads=options.threads, pin=self.pin)
        self.ways |= {UNMERGED: (plain, plain), MERGED: (merging, merging),
                      SOCKET: (merging, rig.folder / f"mongodb-{merging.port}.sock")}

    def load(self, name, arguments):
        route, where = self.ways[name]
        watched = [self.server] if route is self.server else [self.server, route]
        result = self.rig.load(where, *arguments, pin=self.pin, cpu_of=watched)
        result["server_cpu_us"] = result["cpu_us"].get(self.server.name)
        if route is not self.server:
            result["proxy_cpu_us"] = result["cpu_us"][route.name]
        return result


def measure(routes, name, arguments):
    """One load on one route. With merging: documents in a batch, upstream commands for an insert."""
    route = routes.ways[name][0]
    if not isinstance(route, bench.Mongosluice):
        return routes.load(name, arguments)
    before = route.metrics()
    result = routes.load(name, arguments)
    sent = max(result["sent"], 1)
    merged, carried = batches(before, route.metrics())
    result["batch_size"] = merged / carried if carried else 1.0
    result["commands_an_insert"] = (sent - merged + carried) / sent
    return result


def client_wait(result):
    """The mean latency of the median connection."""
    return result["client_wait_us"]["p50"]


def server_cpu(rounds):
    """µs for an insert, as text."""
    if any(one["server_cpu_us"] is None for one in rounds):
        return "unknown"
    return f"{median_of(rounds, lambda r: r['server_cpu_us']):.1f}"


def proxy_cpu(rounds):
    return f"{median_of(rounds, lambda r: r['proxy_cpu_us']):.1f}"


def load_arguments(options, variant, concern, connections):
    return ["--command", "insert", "--connections", connections, "--seconds", options.seconds,
            "--warmup-seconds", options.warmup, *bench.WARM, "--collection", f"{variant}{connections}", "--write-concern", concern,
            *VARIANTS[variant]]


def show(table, connections, results):
    for name, rounds in results.items():
        merged = name in (MERGED, SOCKET)
        table.row(
            f"{connections:,}", name,
            f"{median_of(rounds, throughput):,.0f}",
            "–" if name == DIRECT else ratio_text(ratio_of(rounds, results[DIRECT], throughput)),
            ratio_text(ratio_of(rounds, results[UNMERGED], throughput)) if merged else "–",
            f"{median_of(rounds, lambda r: latency(r, 'p50')):,.0f}",
            f"{median_of(rounds, lambda r: latency(r, 'p99')):,.0f}",
            f"{median_of(rounds, client_wait):,.0f}",
            server_cpu(rounds),
            "–" if name == DIRECT else proxy_cpu(rounds),
            f"{median_of(rounds, lambda r: r['batch_size']):.1f}" if merged else "–",
            f"{median_of(rounds, lambda r: r['commands_an_insert']):.3f}" if merged else "–",
        )


def judge_latencies(what, merged, direct):
    """Below the direct ones, of those who ask for commands and of the clients."""
    found = []
    for name, read in (("p50", lambda r: latency(r, "p50")), ("p99", lambda r: latency(r, "p99")),
                       ("median client", client_wait)):
        ours, theirs = median_of(merged, read), median_of(direct, read)
        found.append((f"{what}: {name} {ours:,.0f} µs, direct {theirs:,.0f}", ours < theirs))
    return found


def judge(what, target, connections, results):
    """Returns [(what, met)] of the targets of this case."""
    targets = []
    what = f"{what}, {connections} connection{'s' if connections > 1 else ''}"
    if target is not None:
        for name in (MERGED, SOCKET):
            ratio = ratio_of(results[name], results[DIRECT], throughput)[0]
            targets.append((f"{what}, {name}: {ratio:.2f} times the inserts a second direct by TCP, "
                            f"≥ {target:g}", ratio >= target))
    if connections == PACED_CONNECTIONS:
        targets += judge_latencies(what, results[MERGED], results[DIRECT])
    if connections == 1:
        ratios = [throughput(a) / max(throughput(b), 1) for a, b in zip(results[MERGED], results[UNMERGED])]
        ratio = statistics.median(ratios)
        spread = statistics.pstdev(ratios) / len(ratios) ** 0.5
        targets.append((f"{what}: {ratio:.3f} of the proxy without merging "
                        f"(± {spread:.3f}), ≥ 1 within the noise", ratio + 2 * spread >= 1))
    return targets


def counts_for(options, kind, placement):
    """The numbers of connections."""
    wanted = options.light_connections if kind in LIGHT else options.connections
    if placement == "apart":
        wanted = [count for count in wanted if count in APART] or wanted
    most = bench.MOST_CONNECTIONS.get(kind, math.inf)
    return list(dict.fromkeys(min(count, most) for count in wanted))


def measure_connections(routes, kind, placement, variant, concern, tables):
    """Runs inserts as fast as the replies come, and returns the report and its targets."""
    options = routes.rig.options
    about = named(kind, placement, variant, concern)
    name = f"merging-{kind}-{variant}-{'w1' if concern == '1' else concern}" + ("-apart" if placement == "apart" else "")
    table = bench.Table("connections", "route", "inserts/s", "÷ direct (range)", "÷ proxy (range)",
                        "p50 µs", "p99 µs", "median client µs", "server's CPU µs an insert", "proxy's CPU µs an insert",
                        "documents a batch", "commands an insert", title=about,
                        plot=bench.plot(name, "connections", "route", "inserts/s",
                                        f"Inserts a second, {about}"))
    tables.append(table)
    report, targets = {}, []
    rounds = options.light_rounds if kind in LIGHT or placement == "apart" else options.rounds
    for connections in counts_for(options, kind, placement):
        arguments = load_arguments(options, variant, concern, connections)
        for way in routes.ways:
            routes.load(way, [*arguments, "--seconds", 0.1, "--warmup-seconds", 0])
        results = bench.alternate(list(routes.ways), rounds + (options.lone_extra if connections == 1 else 0),
                                  lambda way: measure(routes, way, arguments))
        show(table, connections, results)
        targets += judge(about, TARGETS.get((kind, concern, connections)), connections, results)
        report[f"{connections}"] = results
    return report, targets


def measure_rates(routes, kind, variant, tables):
    """The same number of inserts a second on all routes. Those that are late at the end are not counted: the
    figures of a route that cannot keep up are better than what its clients saw."""
    options = routes.rig.options
    about = named(kind, "shared", variant, "1")
    table = bench.Table("inserts/s asked for", "route", "answered in time", "p50 µs", "p99 µs",
                        "median client µs", title=f"{about}: the same load for all, {PACED_CONNECTIONS} connections")
    tables.append(table)
    report, targets = {}, []
    for rate in options.rates:
        arguments = [*load_arguments(options, variant, "1", PACED_CONNECTIONS), "--rate", rate]
        results = bench.alternate([DIRECT, UNMERGED, MERGED], options.light_rounds,
                                  lambda way: measure(routes, way, arguments))
        for way, rounds in results.items():
            table.row(f"{rate:,}", way, f"{median_of(rounds, throughput):,.0f}",
                      *(f"{median_of(rounds, read):,.0f}" for read in
                        (lambda r: latency(r, "p50"), lambda r: latency(r, "p99"), client_wait)))
        if rate == TARGET_RATE and kind == "rs":
            targets += judge_latencies(f"{about}, {rate:,} a second asked for", results[MERGED], results[DIRECT])
        report[f"{rate}"] = results
    return report, targets


def named(kind, placement, variant, concern):
    return f"{bench.SERVERS[kind]}, {variant} inserts, {CONCERNS[concern]}" + (
        ", server apart" if placement == "apart" else "")


def cases(report):
    """The measured (variant, write concern), in the order of the lead table, with the server on the clients' CPUs."""
    return [(variant, concern) for concern in CONCERNS for variant in VARIANTS if f"{variant}:{concern}:shared" in report]


def summarize_ratios(kind, report):
    """Inserts a second ÷ direct, as the lead table of the page has them."""
    columns = cases(report)
    table = bench.Table("connections", "route", *(f"{variant}, {CONCERNS[concern]}" for variant, concern in columns),
                        title=f"{bench.SERVERS[kind]}: inserts a second ÷ direct (range)")
    found = [report[f"{variant}:{concern}:shared"] for variant, concern in columns]
    for connections in found[0]:
        for route in (name for name in (HAPROXY, UNMERGED, MERGED, SOCKET) if name in found[0][connections]):
            table.row(f"{int(connections):,}", route, *(summary_cell(one[connections], route) for one in found))
    return table


def summary_cell(results, route):
    """The ratio, and for merging the p99 of both."""
    text = ratio_text(ratio_of(results[route], results[DIRECT], throughput))
    if route != MERGED:
        return text
    ours, theirs = (median_of(results[name], lambda r: latency(r, "p99")) / 1000 for name in (MERGED, DIRECT))
    return f"{text}; p99 {ours:,.3g} ms, direct {theirs:,.3g}"


def summarize_cpu(kind, report):
    """What one insert costs the server and the proxies."""
    columns = cases(report)
    first = report[f"{columns[0][0]}:{columns[0][1]}:shared"]
    connections = f"{CPU_CONNECTIONS}" if f"{CPU_CONNECTIONS}" in first else list(first)[-1]
    routes = [name for name in (HAPROXY, UNMERGED, MERGED, SOCKET) if name in first[connections]]
    table = bench.Table("inserts", "server's, direct", *(f"server's, {name}" for name in routes),
                        *(f"{name}'s own" for name in routes),
                        title=f"{bench.SERVERS[kind]}: CPU µs for one insert at {int(connections):,} connections")
    for variant, concern in columns:
        results = report[f"{variant}:{concern}:shared"][connections]
        table.row(f"{variant}, {CONCERNS[concern]}", server_cpu(results[DIRECT]),
                  *(server_cpu(results[name]) for name in routes), *(proxy_cpu(results[name]) for name in routes))
    return table


def placements_of(options, kind):
    """The server apart: only the first server, and only where its process can be placed."""
    first = kind == options.servers[0] and kind != bench.GIVEN
    return options.placements if first else ["shared"]


def measure_server(rig, kind, tables):
    options = rig.options
    report, targets, details, words = {}, [], [], None
    for placement in placements_of(options, kind):
        for concern in options.write_concerns if placement == "shared" else ["1"]:
            for variant in options.variants:
                routes = Routes(rig, kind, placement)
                if variant == "retryable" and not routes.server.retryable:
                    print(f"{bench.SERVERS[kind]} is a standalone and takes no retryable inserts: they are left out",
                          file=sys.stderr)
                    rig.stop()
                    continue
                words = routes.server.cpu_reason
                report[f"{variant}:{concern}:{placement}"], more = measure_connections(
                    routes, kind, placement, variant, concern, details)
                targets += more
                if kind == options.servers[0] and placement == "shared" and concern == "1" and options.rates:
                    report[f"{variant}:rates"], more = measure_rates(routes, kind, variant, details)
                    targets += more
                rig.stop()
    if cases(report):
        tables += [summarize_ratios(kind, report), summarize_cpu(kind, report)]
    if words:
        tables[-1].lines += ["", f"The server's CPU time is unknown: {words}."]
        print(f"\nThe server's CPU time is unknown: {words}.")
    tables += details
    return report, targets if kind not in LIGHT else []


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    bench.add_options(parser)
    add = parser.add_argument
    add("--servers", default="rs,standin,null,py", type=bench.choice_of(*bench.SERVERS),
        help="of rs (secantusd-rs), standin (for MongoDB 4.4), py (SecantusDB), null")
    add("--variants", default="plain,retryable", type=bench.choice_of(*VARIANTS))
    add("--write-concerns", default="1,majority", type=bench.choice_of(*CONCERNS))
    add("--connections", default="1,64,256,1000", type=bench.numbers)
    add("--light-connections", default="256", type=bench.numbers, help=f"of {' and '.join(LIGHT)}")
    add("--placements", default="shared,apart", type=bench.choice_of("shared", "apart"), help="of the first server's rows")
    add("--rates", default="5000,15000,30000", type=bench.numbers, help="with the first server, w: 1, shared; empty: none")
    add("--rounds", type=int, default=5)
    add("--light-rounds", type=int, default=3, help="of the light rows and of the rates")
    add("--lone-extra", type=int, default=4, help="more rounds at one connection, where noise decides")
    add("--seconds", type=float, default=0.6)
    add("--warmup", type=float, default=0.2)
    add("--threads", type=int, default=1, help="of each proxy")
    add("--haproxy", default=shutil.which("haproxy") or "/usr/sbin/haproxy")
    add("--mongosluice-option", action="append", default=[], help="one more of the merging proxy's")
    options = parser.parse_args()
    bench.finish_options(options)
    if not Path(options.haproxy).is_file():
        print("HAProxy is not installed: its rows are left out", file=sys.stderr)
        options.haproxy = None
    return options


def main():
    return bench.run_servers("merge_bench", "Merging", parse_options(), measure_server, ABOUT, lead="merging")


if __name__ == "__main__":
    sys.exit(main())
