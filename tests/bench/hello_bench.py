#!/usr/bin/env python3
"""Many monitors wait for a change of one server, through shared connections: what they cost, and how fast a change
reaches all of them.

    hello_bench.py [--clients N] [--changes N | --server URI]

Prints for each change the time until the first and the last client has its reply, and once: the proxy's memory for each
waiting client, its CPU time while nothing changes and for each reply, the commands that the server got in that time, and the longest turn
of the proxy's loop. MONGOSLUICE_BINARY names the proxy (default: the release build). --server: the primary of a replica set that runs
already; the benchmark does not change it, so that only the costs of waiting are measured."""

import argparse
import contextlib
import os
import re
import resource
import selectors
import socket
import statistics
import struct
import sys
import time
import urllib.request
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
os.environ.setdefault("MONGOSLUICE_BINARY", str(PROJECT / "build/release/src/main/mongosluice"))
sys.path.insert(0, str(PROJECT / "tests/integration"))

import given  # noqa: E402
from support import wire  # noqa: E402
from support.endpoint import Endpoint  # noqa: E402
from support.ports import free_ports  # noqa: E402
from support.proxy import Proxy  # noqa: E402
from support.simulated import SimulatedServer  # noqa: E402

QUIET_SECONDS = 5
AWAIT_MS = 600000


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def connect(endpoint):
    client = wire.RawClient(endpoint)
    version = client.hello()["topologyVersion"]
    client.send(wire.op_msg({"hello": 1, "topologyVersion": version, "maxAwaitTimeMS": AWAIT_MS, "$db": "admin"},
                            flags=wire.EXHAUST_ALLOWED))
    return client


def take_reply(client):
    head = client.socket.recv(16, socket.MSG_WAITALL)
    client.socket.recv(struct.unpack("<i", head[:4])[0] - 16, socket.MSG_WAITALL)


def change(server, selector, count):
    """Returns the times until the first and the last client has the change, in ms."""
    began = time.monotonic()
    server.change({"tags": {"began": str(began)}})
    first, left = None, count
    while left:
        for key, _ in selector.select():
            take_reply(key.data)
            left -= 1
            first = first or time.monotonic()
    return (first - began) * 1000, (time.monotonic() - began) * 1000


def longest_turn(port):
    """The upper bound of the highest bucket of the loop's turns that is not empty."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    buckets = re.findall(r'mongosluice_loop_turn_seconds_bucket\{le="([^"]+)"\} (\d+)', text)
    total = max(int(count) for _, count in buckets)
    return next(bound for bound, count in buckets if int(count) == total)


@contextlib.contextmanager
def running_server(options):
    """(URI, endpoint, the simulated server)"""
    if options.server:
        server = given.open_or_exit(options.server, databases=())
        parsed = given.parse(options.server, by_driver=False)
        endpoint = Endpoint(server.address, parsed["options"].get("replicaSet"))
        yield f"mongodb://{server.address}/?directConnection=true", endpoint, None
        server.stop()
        return
    with SimulatedServer() as server:
        yield f"mongodb://{server.address}/", server.endpoint, server


def connect_all(proxy, options):
    """The waiting clients, and the bytes of resident memory that each takes."""
    connect(proxy.endpoint()).socket.close()
    before = proxy.resident_bytes()
    clients = [connect(proxy.endpoint()) for _ in range(options.clients)]
    return clients, (proxy.resident_bytes() - before) / options.clients


def measure_waiting(proxy, server, options, memory):
    cpu, replies = cpu_seconds(proxy.process.pid), next(server._ids) if server else 0
    time.sleep(QUIET_SECONDS)
    cpu = cpu_seconds(proxy.process.pid) - cpu
    told = f", and {(next(server._ids) - replies - 1) / QUIET_SECONDS:.1f} replies a second from the server" if server else ""
    print(f"{options.clients} waiting clients: {memory:.0f} bytes of resident memory each; while nothing changes "
          f"{cpu / QUIET_SECONDS:.1%} of a CPU{told}")


def measure_changes(proxy, server, options, clients, admin):
    selector = selectors.DefaultSelector()
    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
    busy = cpu_seconds(proxy.process.pid)
    times = [change(server, selector, options.clients) for _ in range(options.changes)]
    busy = (cpu_seconds(proxy.process.pid) - busy) / (options.changes * options.clients)
    for first, last in times:
        print(f"a change: first client after {first:.1f} ms, last after {last:.1f} ms")
    print(f"median of the last: {statistics.median(last for _, last in times):.1f} ms; {busy * 1e6:.1f} µs of CPU "
          f"for each reply; longest turn ≤ {longest_turn(admin)} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=9000)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--changes", type=int, default=5)
    which.add_argument("--server", metavar="URI")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    admin = free_ports(1)
    with running_server(options) as (uri, endpoint, server):
        proxy = Proxy(uri, {"pool.mode": "shared", "admin.listen": f"127.0.0.1:{admin}",
                            "max_client_conn": options.clients + 10}, endpoint=endpoint)
        clients, memory = connect_all(proxy, options)
        measure_waiting(proxy, server, options, memory)
        if server:
            measure_changes(proxy, server, options, clients, admin)
        for client in clients:
            client.socket.close()
        proxy.finish()


main()
