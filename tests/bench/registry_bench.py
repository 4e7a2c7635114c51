#!/usr/bin/env python3
"""Measures the time from a push into a registry until every proxy enforces it.

    registry_bench.py [--namespaces 1000] [--proxies 10] [--rounds 10] [--standalone | --server URI]

A registry with so many namespaces, and so many proxies that follow it, each into a folder of its own. A round
pushes a new version of one namespace with `mongosluice schema push`; each proxy is asked again and again
({mongosluice: 1}) until it has the new hash. Times begin when the command is started, and beside it stands what the
proxies measure themselves. At the end all namespaces are pushed at once. Ends with 1 when a single push is not in
force everywhere within a second.
"""

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))

import given  # noqa: E402
from support.admin import Admin  # noqa: E402
from support.proxy import Proxy  # noqa: E402
from support.registry import Registry, wait_state  # noqa: E402
from support.servers import GivenServer, Server  # noqa: E402

LIMIT_SECONDS = 1.0


def schema(number):
    return {"bsonType": "object", "required": ["customer", "total"],
            "properties": {"customer": {"bsonType": "string", "minLength": 1, "maxLength": 100},
                           "total": {"bsonType": "double", "minimum": 0}, "items": {"bsonType": "array", "maxItems": number},
                           "note": {"bsonType": ["string", "null"]}, "at": {"bsonType": "date"}}}


def write_files(folder, names, number):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.json").write_text(json.dumps({"ns": name, "schema": schema(number)}))


def hash_at(client, ns):
    found = client.admin.command({"mongosluice": 1, "namespaces": [ns]})["schemas"]
    return found[0]["hash"] if found else None


def wait_changed(client, ns, old, since, out):
    while time.monotonic() - since < 60:
        if hash_at(client, ns) != old:
            out.append(time.monotonic() - since)
            return
        time.sleep(0.01)


def push_one(registry, clients, folder, ns, number):
    """Returns the seconds until each proxy has it, and the time of the command."""
    path = folder / "one.json"
    path.write_text(json.dumps({"ns": ns, "schema": schema(number)}))
    old, seconds = hash_at(clients[0], ns), []
    since = time.monotonic()
    waiting = [threading.Thread(target=wait_changed, args=(client, ns, old, since, seconds)) for client in clients]
    for thread in waiting:
        thread.start()
    registry.do("push", "--retire-others", "--allow-incompatible", path)
    pushed = time.monotonic() - since
    for thread in waiting:
        thread.join()
    assert len(seconds) == len(clients), "a proxy has not got it within a minute"
    return max(seconds), pushed


def measure(options, folder):
    names = [f"shop.orders{number:05}" for number in range(options.namespaces)]
    if options.server:
        used = given.open_or_exit(options.server, databases=("fleet",))
        server = GivenServer(options.server)
    else:
        used, server = None, Server(folder / "server" / "data", replica_set=None if options.standalone else "secantus")
    registry = Registry(server.endpoint, "fleet.schemas", folder / "pushed")
    proxies, clients = [], []
    try:
        write_files(folder / "all", names, 10)
        since = time.monotonic()
        registry.do("push", folder / "all", patience=200)
        print(f"pushed {len(names)} namespaces in {time.monotonic() - since:.1f} s", flush=True)
        since = time.monotonic()
        for number in range(options.proxies):
            schemas = folder / f"schemas{number}"
            schemas.mkdir()
            proxies.append(Proxy(server.endpoint.uri(), registry.options(schemas, schemas_registry_period_ms=1000, threads=1),
                                 endpoint=server.endpoint))
        admins = [Admin(proxy) for proxy in proxies]
        for admin in admins:
            wait_state(admin, namespaces=len(names))
        print(f"{len(proxies)} proxies started with empty folders and loaded in {time.monotonic() - since:.1f} s", flush=True)
        clients += [proxy.endpoint().client(directConnection="true", replicaSet=None) for proxy in proxies]
        rounds = [push_one(registry, clients, folder, names[number * 7 % len(names)], 100 + number)
                  for number in range(options.rounds)]
        slowest = max(total for total, _ in rounds)
        print(f"one push among {len(names)} namespaces, {len(proxies)} proxies, {len(rounds)} rounds: in force everywhere after "
              f"median {statistics.median(total for total, _ in rounds) * 1000:.0f} ms, slowest {slowest * 1000:.0f} ms "
              f"(the command itself: median {statistics.median(pushed for _, pushed in rounds) * 1000:.0f} ms)", flush=True)
        lags = [admin.json("/status")["registry"]["lag_ms"] for admin in admins]
        print(f"lag by the proxies' own clocks, last push: {min(lags)} to {max(lags)} ms", flush=True)
        write_files(folder / "all", names, 11)
        since = time.monotonic()
        registry.do("push", "--retire-others", "--allow-incompatible", folder / "all", patience=200)
        pushed = time.monotonic() - since
        registry.do("status", "--wait", "120s", patience=200)
        print(f"all {len(names)} namespaces pushed at once: the command took {pushed:.1f} s, in force everywhere "
              f"{time.monotonic() - since - pushed:.1f} s later", flush=True)
        return slowest < LIMIT_SECONDS
    finally:
        for client in clients:
            client.close()
        for proxy in proxies:
            proxy.process.stop()
        server.stop()
        if used:
            used.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--namespaces", type=int, default=1000)
    parser.add_argument("--proxies", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=10)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--server", metavar="URI")
    which.add_argument("--standalone", action="store_true", help="no change stream: the proxies poll every second")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "server").mkdir()
        good = measure(options, Path(folder))
    return 0 if good or options.standalone else 1


if __name__ == "__main__":
    sys.exit(main())
