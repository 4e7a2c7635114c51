#!/usr/bin/env python3
"""Counts the proxy's allocations for each message, on each of its paths, after its connections are established.

Two loads of different length on as many connections: the difference excludes the cost of connecting.
"""

import argparse
import struct
import sys
import tempfile
from pathlib import Path

import rig as bench
from hop import Case, Hop, add_upstream_options


def counted(file):
    return struct.unpack("<Q", file.read_bytes())[0]


def allocations(hop, name, more, case):
    file = hop.folder / f"allocations-{name}"
    environment = {"LD_PRELOAD": hop.tool("libcount_allocations.so"), "ALLOCATION_COUNT_FILE": str(file)}
    proxy = hop.start_mongosluice(hop.upstream, *more, name=name, environment=environment)
    many = hop.options.operations
    few = many // 6
    hop.load(proxy, *case.arguments(), "--operations", few)  # buffers reach their size
    counts = []
    for operations in (few, many):
        before = counted(file)
        hop.load(proxy, *case.arguments(), "--operations", operations)
        counts.append(counted(file) - before)
    hop.end(proxy)
    return (counts[1] - counts[0]) / (many - few)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    bench.add_options(parser)
    parser.add_argument("--append", help="a page to add the table to")
    parser.add_argument("--operations", type=int, default=120_000, help="of the longer load")
    options = parser.parse_args()
    bench.finish_options(options)
    add_upstream_options(options)
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        hop = Hop(options, folder)
        try:
            table = bench.Table("path", "case", "allocations a command", title="Allocations a command")
            passing = 0.0
            for name, more, text in (
                ("pass-through", (), "ping:64"),
                ("pass-through", (), "find*1000:4"),
                ("pass-through", (), "insert:64"),
                ("validating", (f"--schemas={hop.schemas()}",), "insert:64"),
                ("validating", (f"--schemas={hop.schemas()}",), "insert*1000:4"),
                ("merging, alone", ("--merge.enabled=true",), "insert:1"),
                ("merging", ("--merge.enabled=true",), "insert:256"),
            ):
                each = allocations(hop, name, more, Case(text))
                table.row(name, text, f"{each:.4f}")
                if name == "pass-through":
                    passing = max(passing, each)
        except bench.BenchError as error:
            print(f"allocations: {error}", file=sys.stderr)
            return 2
        finally:
            hop.stop()
    met = passing < 0.001
    line = bench.verdict_lines([(f"{passing:.4f} allocations a command on the pass-through path, 0", met)])[0]
    print(f"\n{line}")
    if options.append:
        with Path(options.append).open("a") as page:
            page.write(f"\n{table.text()}\n\n- {line}\n")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
