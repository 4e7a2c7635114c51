#!/usr/bin/env python3
"""Many monitors wait for a change of one server, through shared connections: what they cost, and how fast a change
reaches all of them.

    hello_bench.py [--clients N] [--changes N]

Prints for each change the time until the first and the last client has its reply, and once: the proxy's memory for each
waiting client, its CPU time while nothing changes and for each reply, the commands that the server got in that time, and the longest turn
of the proxy's loop. MONGOSLUICE_BINARY names the proxy (default: the release build)."""

import argparse
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

from support import wire  # noqa: E402
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=9000)
    parser.add_argument("--changes", type=int, default=5)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    admin = free_ports(1)
    with SimulatedServer() as server:
        proxy = Proxy(f"mongodb://{server.address}/", {"pool.mode": "shared", "admin.listen": f"127.0.0.1:{admin}",
                                                       "max_client_conn": options.clients + 10},
                      endpoint=server.endpoint)
        connect(proxy.endpoint()).socket.close()
        before = proxy.resident_bytes()
        clients = [connect(proxy.endpoint()) for _ in range(options.clients)]
        memory = (proxy.resident_bytes() - before) / options.clients
        cpu, replies = cpu_seconds(proxy.process.pid), next(server._ids)
        time.sleep(QUIET_SECONDS)
        cpu = cpu_seconds(proxy.process.pid) - cpu
        replies = next(server._ids) - replies - 1
        selector = selectors.DefaultSelector()
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
        busy = cpu_seconds(proxy.process.pid)
        times = [change(server, selector, options.clients) for _ in range(options.changes)]
        busy = (cpu_seconds(proxy.process.pid) - busy) / (options.changes * options.clients)
        print(f"{options.clients} waiting clients: {memory:.0f} bytes of resident memory each; while nothing changes "
              f"{cpu / QUIET_SECONDS:.1%} of a CPU, and {replies / QUIET_SECONDS:.1f} replies a second from the server")
        for first, last in times:
            print(f"a change: first client after {first:.1f} ms, last after {last:.1f} ms")
        print(f"median of the last: {statistics.median(last for _, last in times):.1f} ms; {busy * 1e6:.1f} µs of CPU "
              f"for each reply; longest turn ≤ {longest_turn(admin)} s")
        for client in clients:
            client.socket.close()
        proxy.finish()


main()
