"""Two proxies in front of one replica set, at one name with two addresses: docs/availability.md."""

import signal
import socket

import pytest
from pymongo import MongoClient
from support.ports import free_ports
from support.process import eventually
from support.proxy import Proxy
from support.simulated_set import NAME as SET
from support.simulated_set import SimulatedSet

pytestmark = pytest.mark.proxy_only
NAME = "sluice.test"
HOSTS = ("127.0.0.1", "127.0.0.2")


@pytest.fixture
def name(monkeypatch):
    """The name has both addresses, as in DNS."""
    real = socket.getaddrinfo

    def resolve(host, *rest, **more):
        addresses = HOSTS if host == NAME else (host,)
        return [found for address in addresses for found in real(address, *rest, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return NAME


@pytest.fixture
def members():
    with SimulatedSet(2) as simulated:
        yield simulated


def start(members, host, port, **options):
    proxy = Proxy(members.uri(), {"listen": f"{host}:{port}", "listen_port_count": 2, **options})
    for address in members.addresses:
        assert proxy.address(address).startswith(host)
    return proxy


def kill(proxy):
    proxy.process.send(signal.SIGKILL)
    proxy.process.wait()


def test_a_name_with_two_addresses_outlives_each_proxy(name, members):
    port = free_ports(2)
    first, second = (start(members, host, port, advertise=name) for host in HOSTS)
    with MongoClient(f"mongodb://{name}:{port}/", replicaSet=SET, heartbeatFrequencyMS=500,
                     serverSelectionTimeoutMS=20000) as client:
        client.d.c.insert_one({})
        both = {(name, port), (name, port + 1)}
        eventually(lambda: client.nodes == both, "both members are seen")
        kill(first)
        for _ in range(20):
            client.d.c.insert_one({})
        first = start(members, HOSTS[0], port, advertise=name)
        kill(second)
        for _ in range(20):
            client.d.c.insert_one({})
        eventually(lambda: client.nodes == both, "both members are seen again")
    first.finish()


def test_a_list_of_two_proxies_keeps_one(members):
    """Each proxy names its own addresses only, so the driver forgets the other's."""
    port = free_ports(2)
    proxies = [start(members, host, port) for host in HOSTS]
    seeds = ",".join(f"{host}:{port}" for host in HOSTS)
    with MongoClient(f"mongodb://{seeds}/", replicaSet=SET, heartbeatFrequencyMS=500,
                     serverSelectionTimeoutMS=20000) as client:
        client.d.c.insert_one({})
        eventually(lambda: len({host for host, _ in client.nodes}) == 1 and len(client.nodes) == 2,
                   "only one proxy's addresses are left")
    for proxy in proxies:
        proxy.finish()
