#!/usr/bin/env python3
"""What validation costs through the proxy: Motor's insert_many of 50,000 documents of six fields.

    enforce_bench.py [--rounds N] [--documents N] [--server PROGRAM | --null]

Two proxies before one server, one of them with a schema for the collection. Each round measures the server
directly and both proxies, in an order that changes from round to round; the ratio of the two proxies is taken
within a round, and then its median. The server is secantusd-rs where that is on the PATH (or --server names
it), else the null upstream, which acknowledges and stores nothing: there the proxy's part of the time is
largest.
"""

import argparse
import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

from hop import SCHEMA as FIELDS
from hop import BenchError, Server, free_port
from motor.motor_asyncio import AsyncIOMotorClient

ROOT = Path(__file__).resolve().parents[2]
DATABASE, COLLECTION = "bench", "people"
DIRECT, OFF, ON = "direct", "validation off", "validation on"
SCHEMA = {**FIELDS, "additionalProperties": False}


def documents(count):
    now = datetime(2024, 1, 1, tzinfo=timezone.utc)
    return [{"name": f"user {i}", "email": f"user{i}@example.com", "age": i % 90,
             "city": "Vienna", "score": i / 7, "created_at": now} for i in range(count)]


def start_server(options, folder):
    """The port of what stands behind the proxies, and the process."""
    if options.server:
        port = free_port()
        return Server("server", [options.server, "--port", str(port), "--storage-path",
                                 str(Path(folder) / "data"), "--log-level", "ERROR"], folder, port)
    return Server("nullserver", [str(Path(options.build) / "tests/bench/nullserver")], folder)


def start_proxy(options, folder, upstream, name, *flags):
    port = free_port()
    command = [options.mongosluice or str(Path(options.build) / "src/main/mongosluice"),
               f"--upstream=mongodb://127.0.0.1:{upstream}/?directConnection=true",
               f"--listen=127.0.0.1:{port}", *flags]
    return Server(name, command, folder, port)


def start_all(options, folder):
    """{route: server}; those that were started come last to first when they are ended."""
    schemas = Path(folder) / "schemas"
    schemas.mkdir()
    (schemas / "people.json").write_text(json.dumps({"ns": f"{DATABASE}.{COLLECTION}",
                                                     "schema": SCHEMA}))
    server = start_server(options, folder)
    return {DIRECT: server, OFF: start_proxy(options, folder, server.port, "off"),
            ON: start_proxy(options, folder, server.port, "on", f"--schemas={schemas}")}


async def insert_once(client, prepared):
    """Seconds for one insert_many. The collection is emptied before, outside of the time."""
    collection = client[DATABASE][COLLECTION]
    await collection.drop()
    fresh = [dict(one) for one in prepared]
    began = time.perf_counter()
    await collection.insert_many(fresh, ordered=False)
    return time.perf_counter() - began


def cpu_seconds(servers):
    return {name: server.cpu_seconds() for name, server in servers.items()}


async def measure(options, servers):
    """{route: [seconds]}, {route: seconds of CPU of the process in all}"""
    clients = {name: AsyncIOMotorClient(f"mongodb://127.0.0.1:{server.port}/?directConnection=true")
               for name, server in servers.items()}
    prepared = documents(options.documents)
    seconds = {name: [] for name in servers}
    for client in clients.values():
        await insert_once(client, prepared)
    before = cpu_seconds(servers)
    for number in range(options.rounds):
        names = list(servers)
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            seconds[name].append(await insert_once(clients[name], prepared))
    after = cpu_seconds(servers)
    for client in clients.values():
        client.close()
    return seconds, {name: after[name] - before[name] for name in servers}


def report(options, seconds, cpu):
    ratios = sorted(on / off for on, off in zip(seconds[ON], seconds[OFF]))
    print(f"{options.documents:,} documents, {options.rounds} rounds, upstream "
          f"{Path(options.server or 'nullserver').name}")
    print("| route | median ms | fastest ms | proxy CPU ns a document |\n|---|---:|---:|---:|")
    for name, times in seconds.items():
        used = cpu[name] / options.rounds / options.documents * 1e9
        print(f"| {name} | {statistics.median(times) * 1e3:.1f} | {min(times) * 1e3:.1f} | "
              f"{'–' if name == DIRECT else f'{used:.0f}'} |")
    ratio = statistics.median(ratios)
    print(f"on / off: {ratio:.3f} (quartiles {ratios[len(ratios) // 4]:.3f} to "
          f"{ratios[len(ratios) * 3 // 4]:.3f}), of the fastest "
          f"{min(seconds[ON]) / min(seconds[OFF]):.3f}; to reach: 1.05")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=str(ROOT / "build/release"))
    parser.add_argument("--mongosluice", help="the proxy, where it is not that of --build")
    parser.add_argument("--server", default=shutil.which("secantusd-rs"))
    parser.add_argument("--null", action="store_true", help="the null upstream in any case")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--documents", type=int, default=50_000)
    options = parser.parse_args()
    if options.null:
        options.server = None
    servers = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            servers = start_all(options, folder)
            seconds, cpu = asyncio.run(measure(options, servers))
        except BenchError as error:
            sys.exit(f"enforce_bench.py: {error}")
        finally:
            for server in reversed(servers.values()):
                server.stop()
    report(options, seconds, cpu)


if __name__ == "__main__":
    main()
