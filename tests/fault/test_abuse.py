"""Runs each abuse of tests/stress/abuses.py briefly: the proxy serves the other clients, memory stays under its
cap, and no connection or buffer remains. scripts/abuse.sh measures how much an abuse slows the others."""

import itertools
import time

import abuses
import pytest
from support.admin import Admin
from support.process import eventually
from support.proxy import MONITORS
from support.wire import RawClient

pytestmark = pytest.mark.proxy_only
MEMORY_MAX = 64 * 1024 * 1024
SCALE = 0.02
SECONDS = 1.5


def buffers(admin):
    return admin.metrics()["mongosluice_buffer_bytes"]


@pytest.mark.parametrize("name", abuses.ABUSES)
def test_abuse(name, start_proxy, simulated, authorities, folder):
    folder.write("bench.items", {"bsonType": "object"})
    folder.write("bench.hostile", {"required": ["a"], "properties": {"text": {"pattern": r"^(\w+\s?)*$"}}})
    folder.write("bench.logged", {"required": ["a"]}, action="warn")
    certificate = authorities.proxy.issue("abuse")
    proxy = start_proxy(f"mongodb://{simulated.address}/", {
        "memory_max": MEMORY_MAX, "schemas": folder.path, "admin.listen": "127.0.0.1:0",
        "stats_period_ms": 100, "handshake_timeout_ms": 2000, "max_client_conn": 5000,
        "tls.mode": "allow", "tls.cert_file": certificate.cert_file, "tls.key_file": certificate.key_file})
    admin = Admin(proxy)
    with RawClient(proxy.endpoint()) as good:
        assert good.command({"ping": 1})["ok"] == 1
        before = proxy.descriptors()
        with abuses.running(name, proxy.endpoint().host_port[1], SCALE):
            end = time.monotonic() + SECONDS
            for done in itertools.count(1):
                assert good.command({"ping": 1})["ok"] == 1
                assert buffers(admin) <= MEMORY_MAX
                if time.monotonic() > end and done >= 5:
                    break
        assert good.command({"ping": 1})["ok"] == 1
        eventually(lambda: proxy.descriptors() <= before + MONITORS, "all its descriptors are closed")
    eventually(lambda: proxy.counter("clientsNow") == 0 and proxy.counter("bufferBytesNow") == 0,
               "no client and no buffer is left")
