#!/usr/bin/env python3
"""Measures how the proxy's cost grows with connections, document size, schema size, namespaces, threads.

Everything is measured on the null upstream, in alternating rounds where two things are compared; the proxy's CPU
time per command is the main figure, since other load on the machine hardly affects it.
"""

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time

import bson
import rig as bench
from rig import BenchError, Table, latency, median_of, megabytes, plot, throughput

def cpu_load(rig, route, *arguments):
    """A load, with the CPU time per command if the route is a proxy."""
    result = rig.load(route, *arguments, *bench.WARM, cpu_of=[route])
    result["cpu_us"] = result["cpu_us"][route.name]
    return result


def by_connections(rig, options):
    """ping on n busy connections, beside HAProxy; memory with n of them."""
    upstream = rig.start_upstream("null")
    routes = {"HAProxy": rig.start_haproxy(upstream, max(options.connection_counts) + 300)} if options.haproxy else {}
    routes["mongosluice"] = rig.start_mongosluice(upstream, "--max_client_conn=20000")
    table = Table("connections", "route", "ops/s", "p50 µs", "p99 µs", "CPU µs a command", "RSS MB",
                  title="Connections: ping on all of them at once",
                  plot=plot("connections", "connections", "route", "CPU µs a command",
                            "CPU time of the proxy for a ping, by busy connections"))
    report = {}
    for count in options.connection_counts:
        rounds = bench.alternate(list(routes), options.rounds, lambda name: {
            **cpu_load(rig, routes[name], "--connections", count, "--seconds", options.seconds,
                       "--warmup-seconds", 0.2),
            "rss_kb": routes[name].memory_kb()})
        for name, results in rounds.items():
            table.row(f"{count:,}", name, f"{median_of(results, throughput):,.0f}",
                      f"{median_of(results, lambda r: latency(r, 'p50')):,.0f}",
                      f"{median_of(results, lambda r: latency(r, 'p99')):,.0f}",
                      f"{median_of(results, lambda r: r['cpu_us']):.2f}",
                      f"{megabytes(median_of(results, lambda r: r['rss_kb'])):.1f}")
        report[count] = rounds
    rig.stop()
    return table, report


def write_schema(folder, ns, schema):
    (folder / f"{ns}.json").write_text(json.dumps({"ns": ns, "schema": schema}))


def six_fields():
    from hop import SCHEMA
    return {**SCHEMA, "properties": {**SCHEMA["properties"], "padding": {"bsonType": "string"}}}


def by_document_size(rig, options):
    """An insert of one document of n bytes, passed through and validated."""
    folder = rig.folder / "schemas-size"
    folder.mkdir()
    write_schema(folder, "bench.items", six_fields())
    upstream = rig.start_upstream("null")
    routes = {"off": rig.start_mongosluice(upstream, name="off"),
              "validating": rig.start_mongosluice(upstream, f"--schemas={folder}", name="validating")}
    table = Table("document bytes", "route", "inserts/s", "MB/s", "p50 µs", "CPU µs an insert",
                  title="Document size: inserts of one document, 4 connections",
                  plot=plot("document-size", "document bytes", "route", "CPU µs an insert",
                            "CPU time of the proxy for an insert of one document, by its size"))
    report = {}
    for size in options.document_sizes:
        rounds = bench.alternate(list(routes), options.rounds, lambda name: cpu_load(
            rig, routes[name], "--command", "insert", "--connections", 4, "--document-bytes", size,
            "--retryable", "--seconds", options.seconds))
        for name, results in rounds.items():
            rate = median_of(results, throughput)
            table.row(f"{size:,}", name, f"{rate:,.0f}", f"{rate * size / 1e6:,.1f}",
                      f"{median_of(results, lambda r: latency(r, 'p50')):,.0f}",
                      f"{median_of(results, lambda r: r['cpu_us']):,.2f}")
        report[size] = rounds
    rig.stop()
    return table, report


def fields_schema(count):
    names = [f"field{i}" for i in range(count)]
    schema = {"bsonType": "object", "required": names,
              "properties": {name: {"bsonType": "int", "minimum": 0} for name in names}}
    return schema, {name: i for i, name in enumerate(names)}


def depth_schema(depth):
    schema, document = {"bsonType": "int", "minimum": 0}, 1
    for _ in range(depth):
        schema = {"bsonType": "object", "required": ["a"], "properties": {"a": schema}}
        document = {"a": document}
    return schema, document


def union_schema(width):
    """The last of the alternatives matches."""
    branches = [{"bsonType": "object", "required": ["kind"],
                 "properties": {"kind": {"enum": [f"kind{i}"]}, "value": {"bsonType": "int"}}}
                for i in range(width)]
    schema = {"bsonType": "object", "properties": {"item": {"oneOf": branches}}}
    return schema, {"item": {"kind": f"kind{width - 1}", "value": 1}}


def check_ns(rig, schema, document):
    schema_file, document_file = rig.folder / "schema.bson", rig.folder / "documents.bson"
    schema_file.write_bytes(bson.encode(schema))
    document_file.write_bytes(bson.encode(document))
    done = subprocess.run([rig.tool("schema_bench"), schema_file, document_file, "400"],
                          capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise BenchError(f"schema_bench failed: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def by_schema(rig, options):
    """The check of one document, by the content of its schema."""
    table = Table("schema", "document bytes", "ns a document", "ns a byte",
                  title="Schema size: the check of one document, alone")
    report = {}
    for what, make, counts in (("fields", fields_schema, (1, 10, 100, 1000)),
                               ("levels of nesting", depth_schema, (1, 10, 50, 80)),
                               ("alternatives of a oneOf", union_schema, (1, 4, 16, 64))):
        for count in counts:
            schema, document = make(count)
            measured = check_ns(rig, schema, document)
            size = len(bson.encode(document))
            ns = measured["median_ns"]
            if measured["valid"] != measured["documents"]:
                raise BenchError(f"{count} {what}: the document was refused")
            table.row(f"{count:,} {what}", size, f"{ns:,.0f}", f"{ns / size:.2f}")
            report[f"{count} {what}"] = measured
    return table, report


def by_namespaces(rig, options):
    """n schemas in the folder: start, memory, and an insert into one of them."""
    upstream = rig.start_upstream("null")
    table = Table("schemas", "start ms", "RSS MB", "inserts/s", "CPU µs an insert",
                  title="Namespaces: n schemas of six fields in the folder, 16 connections")
    report = {}
    schema = six_fields()
    for count in options.namespace_counts:
        folder = rig.folder / f"schemas-{count}"
        folder.mkdir()
        for i in range(count - 1):
            write_schema(folder, f"shop.collection{i}", schema)
        write_schema(folder, "bench.items", schema)
        begun = time.monotonic()
        proxy = rig.start_mongosluice(upstream, f"--schemas={folder}")
        start_ms = (time.monotonic() - begun) * 1000
        results = [cpu_load(rig, proxy, "--command", "insert", "--connections", 16, "--retryable",
                            "--seconds", options.seconds) for _ in range(options.rounds)]
        table.row(f"{count:,}", f"{start_ms:,.0f}", f"{megabytes(proxy.memory_kb()):.1f}",
                  f"{median_of(results, throughput):,.0f}",
                  f"{median_of(results, lambda r: r['cpu_us']):.2f}")
        report[count] = {"start_ms": start_ms, "rounds": results}
        rig.end(proxy)
        shutil.rmtree(folder)
    rig.stop()
    return table, report


def by_threads(rig, options):
    upstream = rig.start_upstream("null")
    routes = {count: rig.start_mongosluice(upstream, name=f"threads{count}", threads=count)
              for count in (1, 2)}
    table = Table("ping, connections", "threads", "ops/s", "÷ 1 thread (range)", "p50 µs", "p99 µs",
                  "CPU µs a command", title="Threads")
    report = {}
    for connections in (1, 16, 64, 256):
        rounds = bench.alternate(list(routes), options.rounds, lambda count: cpu_load(
            rig, routes[count], "--connections", connections, "--seconds", options.seconds))
        for count, results in rounds.items():
            table.row(connections, count, f"{median_of(results, throughput):,.0f}",
                      bench.ratio_text(bench.ratio_of(results, rounds[1], throughput)),
                      f"{median_of(results, lambda r: latency(r, 'p50')):,.0f}",
                      f"{median_of(results, lambda r: latency(r, 'p99')):,.0f}",
                      f"{median_of(results, lambda r: r['cpu_us']):.2f}")
        report[connections] = rounds
    rig.stop()
    return table, report


PARTS = {"connections": by_connections, "document-size": by_document_size, "schema": by_schema,
         "namespaces": by_namespaces, "threads": by_threads}


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    bench.add_options(parser)
    add = parser.add_argument

    def counts(text):
        return [int(part) for part in text.split(",")]

    add("--parts", default=",".join(PARTS))
    add("--haproxy", default=shutil.which("haproxy"))
    add("--rounds", type=int, default=3)
    add("--seconds", type=float, default=1)
    add("--connection-counts", type=counts, default=[16, 256, 1024, 4096, 9000],
        help="a client takes two of the proxy's descriptors")
    add("--document-sizes", type=counts, default=[100, 1000, 10_000, 100_000, 1_000_000, 16_000_000])
    add("--namespace-counts", type=counts, default=[1, 100, 1000, 10_000])
    options = parser.parse_args()
    bench.finish_options(options)
    return options


def main():
    options = parse_options()
    report = {"environment": bench.environment(options)}
    tables = []
    print(bench.environment_text(report["environment"]))
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder, contextlib.ExitStack() as ends:
        rig = bench.Rig(options, folder)
        ends.callback(rig.stop)
        try:
            for part in options.parts.split(","):
                table, report[part] = PARTS[part](rig, options)
                tables.append(table)
        except BenchError as error:
            print(f"growth: {error}", file=sys.stderr)
            return 2
    bench.write_results(options, report, tables, "How cost grows", report["environment"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
