#!/usr/bin/env python3
"""Measures the gain from merging: inserts of one document, direct, through the proxy without and with merging.

Each connection sends inserts as a driver does (`lsid` and an increasing `txnNumber` unless plain, kind-1 documents
with a unique `_id`) and waits for the answer. All routes are measured in each round, in an order that changes;
ratios are taken within a round. `apart`: the server has CPU 0 and everything else CPU 1, as if on two machines;
`shared`: the scheduler places them, differently from one second to the next.

A client that waits for each answer sends fewer requests over a slow route. So there are also loads of a given
number of inserts a second, in which each connection's are due at fixed times, and latencies count from those.
"""

import argparse
import math
import statistics
import sys

import rig as bench
from rig import latency, median_of, ratio_of, ratio_text, throughput

ABOUT = """Each route has single-document inserts from so many connections, each of which waits for its answer. "Median client" is the
mean latency of the median connection: where a server serves a few connections most of the time, the p50 of all commands
is theirs. *Server apart*: the server has CPU 0, the generator and the proxies CPU 1, as on two machines; else all share two
CPUs. "Unix socket": the clients come to the proxy by a socket file, as a sidecar's may
(`unix_domain_socket.path_prefix`); the server itself is reached by TCP on all routes. *The same load for all*: as many
inserts a second are due on each route, and latencies count from the time at which they were due; what was not answered in
the time measured is left out, so that a route which cannot keep up looks better than it is."""

DIRECT, UNMERGED, MERGED, SOCKET = "direct", "proxy", "merging", "merging, Unix socket"
SERVER_CPU, OTHERS_CPU = "0", "1"
PACED_CONNECTIONS = 256
TARGET_SERVER, TARGET_CONNECTIONS, TARGET_RATIO = "rs", 256, 5.0
TARGET_RATE = 15000  # about the rate that the server takes directly


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
        server = rig.start_upstream(kind, SERVER_CPU if apart else None)
        plain = rig.start_mongosluice(server.port, name="plain", threads=options.threads, pin=self.pin)
        merging = rig.start_mongosluice(
            server.port, "--merge.enabled=true", f"--unix_domain_socket.path_prefix={rig.folder}",
            *options.mongosluice_option, name="merging", threads=options.threads, pin=self.pin)
        self.ways = {DIRECT: (server, server.port), UNMERGED: (plain, plain.port),
                     MERGED: (merging, merging.port),
                     SOCKET: (merging, rig.folder / f"mongodb-{merging.port}.sock")}

    def load(self, name, arguments):
        return self.rig.load(self.ways[name][1], *arguments, pin=self.pin)


def measure(routes, name, arguments):
    """One load on one route. With merging: documents in a batch, upstream commands for an insert."""
    route = routes.ways[name][0]
    if not isinstance(route, bench.Mongosluice):
        return routes.load(name, arguments)
    before = route.metrics()
    cpu = route.cpu_seconds()
    result = routes.load(name, arguments)
    sent = max(result["sent"], 1)
    result["cpu_us"] = (route.cpu_seconds() - cpu) * 1e6 / sent
    merged, carried = batches(before, route.metrics())
    result["batch_size"] = merged / carried if carried else 1.0
    result["commands_an_insert"] = (sent - merged + carried) / sent
    return result


def client_wait(result):
    """The mean latency of the median connection."""
    return result["client_wait_us"]["p50"]


def load_arguments(options, variant, connections):
    arguments = ["--command", "insert", "--connections", connections, "--seconds", options.seconds,
                 "--warmup-seconds", options.warmup, "--collection", f"{variant}{connections}"]
    if variant == "retryable":
        arguments.append("--retryable")
    return arguments


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
            "–" if name == DIRECT else f"{median_of(rounds, lambda r: r['cpu_us']):.1f}",
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


def judge(what, connections, results):
    """Returns [(what, met)] of the targets of this case."""
    targets = []
    what = f"{what}, {connections} connection{'s' if connections > 1 else ''}"
    if connections == TARGET_CONNECTIONS:
        for name in (MERGED, SOCKET):
            ratio = ratio_of(results[name], results[DIRECT], throughput)[0]
            targets.append((f"{what}, {name}: {ratio:.2f} times the inserts a second direct by TCP, "
                            f"≥ {TARGET_RATIO:g}", ratio >= TARGET_RATIO))
        targets += judge_latencies(what, results[MERGED], results[DIRECT])
    if connections == 1:
        ratios = [throughput(a) / throughput(b) for a, b in zip(results[MERGED], results[UNMERGED])]
        ratio = statistics.median(ratios)
        spread = statistics.pstdev(ratios) / len(ratios) ** 0.5
        targets.append((f"{what}: {ratio:.3f} of the proxy without merging "
                        f"(± {spread:.3f}), ≥ 1 within the noise", ratio + 2 * spread >= 1))
    return targets


def measure_connections(routes, kind, variant, about, name, tables):
    """Runs inserts as fast as the replies come, and returns the report and its targets."""
    options = routes.rig.options
    table = bench.Table("connections", "route", "inserts/s", "÷ direct (range)", "÷ proxy (range)",
                        "p50 µs", "p99 µs", "median client µs", "CPU µs of the proxy an insert",
                        "documents a batch", "commands an insert", title=about,
                        plot=bench.plot(name, "connections", "route", "inserts/s",
                                        f"Inserts a second, {about}"))
    tables.append(table)
    report, targets = {}, []
    most = bench.MOST_CONNECTIONS.get(kind, math.inf)
    for connections in (min(int(count), most) for count in options.connections.split(",")):
        arguments = load_arguments(options, variant, connections)
        for way in routes.ways:
            routes.load(way, [*arguments[:4], "--seconds", 0.2, *arguments[6:]])
        rounds = options.rounds + (options.lone_extra if connections == 1 else 0)
        results = bench.alternate(list(routes.ways), rounds,
                                  lambda way: measure(routes, way, arguments))
        show(table, connections, results)
        targets += judge(about, connections, results)
        report[f"{connections}"] = results
    return report, targets


def measure_rates(routes, variant, about, tables):
    """The same number of inserts a second on all routes. Those that are late at the end are not counted: the
    figures of a route that cannot keep up are better than what its clients saw."""
    options = routes.rig.options
    table = bench.Table("inserts/s asked for", "route", "answered in time", "p50 µs", "p99 µs",
                        "median client µs", title=f"{about}: the same load for all, {PACED_CONNECTIONS} connections")
    tables.append(table)
    report, targets = {}, []
    for rate in map(int, options.rates.split(",")):
        arguments = [*load_arguments(options, variant, PACED_CONNECTIONS), "--rate", rate]
        results = bench.alternate([DIRECT, UNMERGED, MERGED], options.rounds,
                                  lambda way: measure(routes, way, arguments))
        for way, rounds in results.items():
            table.row(f"{rate:,}", way, f"{median_of(rounds, throughput):,.0f}",
                      *(f"{median_of(rounds, read):,.0f}" for read in
                        (lambda r: latency(r, "p50"), lambda r: latency(r, "p99"), client_wait)))
        if rate == TARGET_RATE:
            targets += judge_latencies(f"{about}, {rate:,} a second asked for", results[MERGED], results[DIRECT])
        report[f"{rate}"] = results
    return report, targets


def measure_server(rig, kind, tables):
    options = rig.options
    report, targets = {}, []
    first = kind == options.servers.split(",")[0]
    for placement in options.placements.split(",") if first else ["shared"]:
        for variant in options.variants.split(","):
            routes = Routes(rig, kind, placement)
            about = f"{bench.SERVERS[kind]}, {variant} inserts" + (", server apart" if placement == "apart" else "")
            name = f"merging-{kind}-{variant}" + ("-apart" if placement == "apart" else "")
            report[f"{variant}:{placement}"], more = measure_connections(routes, kind, variant, about, name, tables)
            targets += more
            if first and placement == "shared" and options.rates:
                report[f"{variant}:rates"], more = measure_rates(routes, variant, about, tables)
                targets += more
            rig.stop()
    return report, targets if kind == TARGET_SERVER else []


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    bench.add_options(parser)
    add = parser.add_argument
    add("--servers", default="rs,py,null", help="of rs (secantusd-rs), py (SecantusDB), null")
    add("--variants", default="plain,retryable")
    add("--connections", default="1,8,64,256,1024")
    add("--placements", default="shared,apart", help="of the first server's rows")
    add("--rates", default="2000,5000,10000,15000,30000", help="with the first server, shared; empty: none")
    add("--rounds", type=int, default=5)
    add("--lone-extra", type=int, default=4, help="more rounds at one connection, where noise decides")
    add("--seconds", type=float, default=2)
    add("--warmup", type=float, default=0.3)
    add("--threads", type=int, default=1, help="of each proxy")
    add("--mongosluice-option", action="append", default=[], help="one more of the merging proxy's")
    options = parser.parse_args()
    bench.finish_options(options)
    return options


def main():
    return bench.run_servers("merge_bench", "Merging", parse_options(), measure_server, ABOUT)


if __name__ == "__main__":
    sys.exit(main())
