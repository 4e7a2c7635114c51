#!/usr/bin/env python3
"""What merging wins: inserts of one document, direct, through the proxy without and with merging.

Each connection sends what a driver sends (`lsid` and an increasing `txnNumber` unless plain, kind-1
documents with a unique `_id`) and waits for the answer. All routes are measured in each round, in an
order that changes; ratios are taken within a round.
"""

import argparse
import statistics
import sys

import rig as bench
from rig import latency, median_of, ratio_of, ratio_text, throughput

DIRECT, UNMERGED, MERGED = "direct", "proxy", "merging"
TARGET_SERVER, TARGET_CONNECTIONS, TARGET_RATIO = "rs", 256, 5.0


def batches(before, after):
    """From the proxy's own figures: inserts that travelled with others, commands that carried them."""

    def grown(name):
        return after.get(name, 0) - before.get(name, 0)

    return (grown("mongosluice_batch_documents_sum"), grown("mongosluice_batch_documents_count"))


def measure(rig, route, arguments):
    """One load on one route. With merging: documents in a batch, upstream commands for an insert."""
    if not isinstance(route, bench.Mongosluice):
        return rig.load(route.port, *arguments)
    before = route.metrics()
    cpu = route.cpu_seconds()
    result = rig.load(route.port, *arguments)
    sent = max(result["sent"], 1)
    result["cpu_us"] = (route.cpu_seconds() - cpu) * 1e6 / sent
    merged, carried = batches(before, route.metrics())
    result["batch_size"] = merged / carried if carried else 1.0
    result["commands_an_insert"] = (sent - merged + carried) / sent
    return result


def client_wait(result):
    """The mean latency of the median connection."""
    return result["client_wait_us"]["p50"]


def load_arguments(options, kind, variant, connections):
    arguments = ["--command", "insert", "--connections", connections, "--seconds", options.seconds,
                 "--warmup-seconds", options.warmup, "--collection", f"{variant}{connections}"]
    if variant == "retryable":
        arguments.append("--retryable")
    return arguments


def show(table, connections, results):
    for name, rounds in results.items():
        extra = "–"
        if name == MERGED:
            extra = f"{median_of(rounds, lambda r: r['batch_size']):.1f}"
        table.row(
            f"{connections:,}", name,
            f"{median_of(rounds, throughput):,.0f}",
            "–" if name == DIRECT else ratio_text(ratio_of(rounds, results[DIRECT], throughput)),
            "–" if name != MERGED else ratio_text(ratio_of(rounds, results[UNMERGED], throughput)),
            f"{median_of(rounds, lambda r: latency(r, 'p50')):,.0f}",
            f"{median_of(rounds, lambda r: latency(r, 'p99')):,.0f}",
            f"{median_of(rounds, client_wait):,.0f}",
            extra,
            "–" if name != MERGED else f"{median_of(rounds, lambda r: r['commands_an_insert']):.3f}",
        )


def judge(kind, variant, connections, results):
    """[(what, met)] of the targets that this case is about."""
    targets = []
    if kind != TARGET_SERVER:
        return targets
    if connections == TARGET_CONNECTIONS:
        ratio = ratio_of(results[MERGED], results[DIRECT], throughput)[0]
        targets.append((f"{variant} at {connections}: {ratio:.2f} times the direct inserts a second, "
                        f"≥ {TARGET_RATIO:g}", ratio >= TARGET_RATIO))
        for name in ("p50", "p99"):
            merged, direct = (median_of(results[which], lambda r: latency(r, name))
                              for which in (MERGED, DIRECT))
            targets.append((f"{variant} at {connections}: {name} {merged:,.0f} µs, direct {direct:,.0f}",
                            merged < direct))
    if connections == 1:
        ratios = [throughput(a) / throughput(b) for a, b in zip(results[MERGED], results[UNMERGED])]
        ratio = statistics.median(ratios)
        spread = statistics.pstdev(ratios) / len(ratios) ** 0.5
        targets.append((f"{variant} at 1: {ratio:.3f} of the proxy without merging "
                        f"(± {spread:.3f}), ≥ 1 within the noise", ratio + 2 * spread >= 1))
    return targets


def measure_server(rig, kind, tables):
    options = rig.options
    upstream = rig.start_upstream(kind)
    routes = {DIRECT: upstream,
              UNMERGED: rig.start_mongosluice(upstream.port, name="plain", threads=options.threads),
              MERGED: rig.start_mongosluice(upstream.port, "--merge.enabled=true", name="merging",
                                            threads=options.threads,
                                            *options.mongosluice_option)}
    report = {}
    targets = []
    for variant in options.variants.split(","):
        title = f"{bench.SERVERS[kind]}, {variant} inserts"
        table = bench.Table("connections", "route", "inserts/s", "÷ direct (range)", "÷ proxy (range)",
                            "p50 µs", "p99 µs", "median client µs", "documents a batch",
                            "commands an insert", title=title,
                            plot=bench.plot(f"merging-{kind}-{variant}", "connections", "route",
                                            "inserts/s", f"Inserts a second, {title}"))
        tables.append(table)
        for connections in map(int, options.connections.split(",")):
            arguments = load_arguments(options, kind, variant, connections)
            for route in routes.values():
                rig.load(route.port, *arguments[:4], "--seconds", 0.2, *arguments[6:])
            rounds = options.rounds + (options.lone_extra if connections == 1 else 0)
            results = bench.alternate(list(routes), rounds,
                                      lambda name: measure(rig, routes[name], arguments))
            show(table, connections, results)
            targets += judge(kind, variant, connections, results)
            report[f"{variant}:{connections}"] = results
    return report, targets


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    bench.add_options(parser)
    add = parser.add_argument
    add("--servers", default="rs,py,null", help="of rs (secantusd-rs), py (SecantusDB), null")
    add("--variants", default="plain,retryable")
    add("--connections", default="1,8,64,256,1024")
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
    return bench.run_servers("merge_bench", "Merging", parse_options(), measure_server)


if __name__ == "__main__":
    sys.exit(main())
