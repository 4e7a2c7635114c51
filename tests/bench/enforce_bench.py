#!/usr/bin/env python3
"""Measures the cost of validation through the proxy: Motor's insert_many of 50,000 documents of six fields.

Two proxies before one server, one of them with a schema for the collection. Each round measures the server directly
and both proxies, in an order that changes from round to round; the ratio of the two proxies is taken within a
round, and then its median. On the null server, which acknowledges and stores nothing, the proxy's part of the time
is largest.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from datetime import datetime, timezone

import rig as bench
from hop import SCHEMA as FIELDS
from motor.motor_asyncio import AsyncIOMotorClient

DATABASE, COLLECTION = "bench", "people"
DIRECT, OFF, ON = "direct", "validation off", "validation on"
SCHEMA = {**FIELDS, "additionalProperties": False}
TARGET_RATIO = 1.03


def documents(count):
    now = datetime(2024, 1, 1, tzinfo=timezone.utc)
    return [{"name": f"user {i}", "email": f"user{i}@example.com", "age": i % 90,
             "city": "Vienna", "score": i / 7, "created_at": now} for i in range(count)]


def start_routes(rig, kind):
    """{route: server}."""
    schemas = rig.folder / "schemas"
    schemas.mkdir(exist_ok=True)
    (schemas / "people.json").write_text(json.dumps({"ns": f"{DATABASE}.{COLLECTION}",
                                                     "schema": SCHEMA}))
    upstream = rig.start_upstream(kind)
    return {DIRECT: upstream, OFF: rig.start_mongosluice(upstream, name="off"),
            ON: rig.start_mongosluice(upstream, f"--schemas={schemas}", name="on")}


async def insert_once(client, prepared):
    """Returns the seconds for one insert_many. The collection is emptied before, outside of the measured time."""
    collection = client[DATABASE][COLLECTION]
    await collection.drop()
    fresh = [dict(one) for one in prepared]
    began = time.perf_counter()
    await collection.insert_many(fresh, ordered=False)
    return time.perf_counter() - began


async def measure(options, routes):
    """Returns {route: [seconds]}, {proxy: total CPU seconds of the process}."""
    clients = {name: AsyncIOMotorClient(f"mongodb://{route.address}/?directConnection=true")
               for name, route in routes.items()}
    prepared = documents(options.documents)
    seconds = {name: [] for name in routes}
    for client in clients.values():
        await insert_once(client, prepared)
    proxies = {name: route for name, route in routes.items() if name != DIRECT}
    before = {name: proxy.cpu_seconds() for name, proxy in proxies.items()}
    for number in range(options.rounds):
        names = list(routes)
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            seconds[name].append(await insert_once(clients[name], prepared))
    cpu = {name: proxy.cpu_seconds() - before[name] for name, proxy in proxies.items()}
    for client in clients.values():
        client.close()
    return seconds, cpu


def show(options, kind, seconds, cpu):
    """Returns the table, and [(what, met)] of the target."""
    table = bench.Table("route", "median ms", "fastest ms", "proxy CPU ns a document",
                        title=f"{bench.SERVERS[kind]}: {options.documents:,} documents, {options.rounds} rounds")
    for name, times in seconds.items():
        used = f"{cpu[name] / options.rounds / options.documents * 1e9:.0f}" if name in cpu else "–"
        table.row(name, f"{statistics.median(times) * 1e3:.1f}", f"{min(times) * 1e3:.1f}", used)
    ratios = sorted(on / off for on, off in zip(seconds[ON], seconds[OFF]))
    ratio = statistics.median(ratios)
    return table, [(f"{bench.SERVERS[kind]}: on ÷ off {ratio:.3f} (quartiles {ratios[len(ratios) // 4]:.3f} to "
                    f"{ratios[len(ratios) * 3 // 4]:.3f}), of the fastest "
                    f"{min(seconds[ON]) / min(seconds[OFF]):.3f}, ≤ {TARGET_RATIO}", ratio <= TARGET_RATIO)]


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    bench.add_options(parser)
    parser.add_argument("--servers", default="rs,null", type=bench.choice_of(*bench.SERVERS),
                        help="of rs (secantusd-rs), py (SecantusDB), null")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--documents", type=int, default=50_000)
    options = parser.parse_args()
    bench.finish_options(options)
    return options


def measure_server(rig, kind, tables):
    seconds, cpu = asyncio.run(measure(rig.options, start_routes(rig, kind)))
    table, targets = show(rig.options, kind, seconds, cpu)
    tables.append(table)
    return {"seconds": seconds, "cpu_seconds": cpu}, targets


def main():
    return bench.run_servers("enforce_bench", "What validation costs Motor's insert_many", parse_options(),
                             measure_server)


if __name__ == "__main__":
    sys.exit(main())
