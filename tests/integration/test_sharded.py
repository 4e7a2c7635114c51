"""Sharded clusters (a port for each mongos), and members that are known by other names than those in
the connection string."""

import pytest
from pymongo import MongoClient
from support.endpoint import Endpoint
from support.process import eventually
from support.simulated_set import SimulatedCluster, SimulatedSet
from support.wire import RawClient

pytestmark = pytest.mark.proxy_only


@pytest.fixture
def cluster():
    with SimulatedCluster() as simulated:
        yield simulated


def test_a_port_for_each_mongos(start_proxy, cluster):
    proxy = start_proxy(cluster.uri())
    for member in cluster.members:
        with RawClient(proxy.endpoint(member.address)) as client:
            assert client.hello()["msg"] == "isdbgrid"
            reply = client.command({"find": "c", "$db": "d"})
            assert reply["cursor"]["firstBatch"][0]["server"] == member.address


def test_a_driver_sees_a_sharded_cluster(start_proxy, cluster):
    proxy = start_proxy(cluster.uri())
    seeds = ",".join(proxy.address(one.address) for one in cluster.members)
    # both are equally near, however busy the machine is
    with MongoClient(f"mongodb://{seeds}/", heartbeatFrequencyMS=500,
                     localThresholdMS=20000) as client:
        client["d"]["c"].insert_one({"_id": 1})
        assert client.topology_description.topology_type_name == "Sharded"
        eventually(lambda: len(client.nodes) == 2, "both are known")
        servers = {client["d"]["c"].find_one()["server"] for _ in range(60)}
        assert servers == {one.address for one in cluster.members}
        cluster.members[0].stop()
        for _ in range(5):
            assert client["d"]["c"].find_one()["server"] == cluster.members[1].address


def test_members_with_other_names_than_the_seeds(start_proxy):
    """The seed is 127.0.0.1:port; the set calls its members localhost:port."""
    with SimulatedSet(2, hosts={0: "localhost", 1: "localhost"}) as members:
        ports = [address.split(":")[1] for address in members.addresses]
        proxy = start_proxy(f"mongodb://127.0.0.1:{ports[0]}/?replicaSet=simulated")
        where = proxy.address(f"localhost:{ports[0]}")
        other = proxy.address(f"localhost:{ports[1]}")
        assert where != other
        with RawClient(Endpoint(where)) as client:
            reply = client.hello()
            assert reply["hosts"] == [where, other] and reply["me"] == where
        with MongoClient(f"mongodb://{where}/", replicaSet="simulated") as client:
            client["d"]["c"].insert_one({"_id": 1})


def test_the_first_port_works_though_the_seed_is_no_member(start_proxy):
    """Users know one port: that of `listen`. It must lead to the set, whatever its members are
    called."""
    from support.ports import free_ports
    with SimulatedSet(3, hosts=dict.fromkeys(range(3), "localhost")) as members:
        first = free_ports(8)
        port = members.addresses[0].split(":")[1]
        proxy = start_proxy(f"mongodb://127.0.0.1:{port}/?replicaSet=simulated",
                            {"listen": f"127.0.0.1:{first}", "listen_port_count": 8})
        for address in members.addresses:
            proxy.address(address)
        with MongoClient(f"mongodb://127.0.0.1:{first}/", replicaSet="simulated") as client:
            client["d"]["c"].insert_one({"_id": 1})
            eventually(lambda: len(client.nodes) == 3, "all members are known")


def test_direct_connection_of_the_proxy_to_one_member(start_proxy):
    """directConnection in the URI: the proxy serves only this member."""
    with SimulatedSet(3) as members:
        one = members.members[1]
        proxy = start_proxy(f"mongodb://{one.address}/?directConnection=true")
        with RawClient(proxy.endpoint(one.address)) as client:
            reply = client.hello()
            assert reply["me"] == proxy.address(one.address)
            assert not any(address in str(reply) for address in members.addresses)
            found = client.command({"find": "c", "$db": "d"})["cursor"]["firstBatch"]
            assert found[0]["server"] == one.address


def test_ipv6(start_proxy):
    from support.simulated import SimulatedServer
    try:
        server = SimulatedServer(host="::1", name="[::1]")
    except AssertionError:
        pytest.skip("this machine has no IPv6 loopback")
    with server:
        proxy = start_proxy(f"mongodb://{server.address}/", {"listen": "[::1]:0"})
        host, _, port = proxy.address().rpartition(":")
        assert host == "[::1]"
        import socket
        with socket.create_connection(("::1", int(port)), 5):
            pass
        with MongoClient(f"mongodb://[::1]:{port}/") as client:
            assert client.admin.command("ping")["ok"] == 1
