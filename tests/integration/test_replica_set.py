"""A simulated replica set of several members: a port for each, hello rewritten, and changes of the members during
operation."""

import socket

import pytest
from pymongo import MongoClient, ReadPreference
from pymongo.errors import NotPrimaryError, PyMongoError
from support.admin import Admin
from support.ports import free_ports, refusing_port
from support.process import eventually
from support.proxy import DIRECT
from support.simulated_set import NAME, SimulatedSet
from support.wire import RawClient

# all members are equally near, however busy the machine is
FAST = {"heartbeatFrequencyMS": 500, "serverSelectionTimeoutMS": 20000, "localThresholdMS": 20000}


@pytest.fixture
def members():
    with SimulatedSet(3) as simulated:
        yield simulated


class Scene:
    """The set as clients see it: through the proxy, or directly."""

    def __init__(self, members, proxy):
        self.members = members
        self.proxy = proxy

    def address(self, member):
        return self.proxy.address(member.address) if self.proxy else member.address

    def endpoint(self, member):
        return self.proxy.endpoint(member.address) if self.proxy else member.endpoint

    def addresses(self, members):
        return [self.address(one) for one in members]

    def client(self, *seeds, **options):
        seeds = seeds or (self.members.members[0],)
        return MongoClient(f"mongodb://{','.join(self.addresses(seeds))}/",
                           replicaSet=NAME, **{**FAST, **options})


@pytest.fixture
def scene(request, members):
    if DIRECT:
        return Scene(members, None)
    start = request.getfixturevalue("start_proxy")
    return Scene(members, start(members.uri(heartbeatFrequencyMS=500)))


def hello_of(scene, member):
    with RawClient(scene.endpoint(member)) as client:
        return client.hello()


def test_each_member_has_its_port(scene, members):
    assert len(set(scene.addresses(members.members))) == 3
    for member in members.members:
        with RawClient(scene.endpoint(member)) as client:
            reply = client.command({"find": "c", "$db": "d"})
        assert reply["cursor"]["firstBatch"][0]["server"] == member.address


@pytest.mark.proxy_only
@pytest.mark.parametrize("place", [0, 1, 2])
def test_ports_follow_the_list_whatever_is_up(start_proxy, place):
    """So that several proxies with the same list can share one address."""
    first = free_ports(8)
    with SimulatedSet(1) as simulated, refusing_port() as one, refusing_port() as two:
        names = [f"127.0.0.1:{port}" for port in (one, two)]
        names.insert(place, simulated.addresses[0])
        simulated.members[0].change({**simulated.members[0].topology, "hosts": names})
        proxy = start_proxy(f"mongodb://{','.join(names)}/?replicaSet={NAME}",
                            {"listen": f"127.0.0.1:{first}", "listen_port_count": 8})
        ports = [int(proxy.address(name).rpartition(":")[2]) for name in names]
    assert ports == [first, first + 1, first + 2]


def test_hello_names_only_the_proxy(scene, members):
    hosts = scene.addresses(members.members)
    for member in members.members:
        reply = hello_of(scene, member)
        assert reply["hosts"] == hosts
        assert reply["me"] == scene.address(member)
        assert reply["primary"] == scene.address(members.primary)
        assert (reply["setName"], reply["setVersion"]) == (NAME, members.version)


def test_passives_and_arbiters(scene, members):
    one, two, three = members.members
    members.reconfigure(primary=one, passives=[two], arbiters=[three])
    reply = hello_of(scene, one)
    assert reply["hosts"] == [scene.address(one)]
    assert reply["passives"] == [scene.address(two)]
    assert reply["arbiters"] == [scene.address(three)]


def test_one_seed_is_enough(members, request):
    """Seeds for the proxy: it discovers the other members."""
    if DIRECT:
        scene = Scene(members, None)
    else:
        start = request.getfixturevalue("start_proxy")
        scene = Scene(members, start(members.uri(members.members[1])))
    with scene.client(members.members[1]) as client:
        assert client.admin.command("ping")["ok"] == 1
        eventually(lambda: len(client.nodes) == 3, "the driver knows all three")
        assert {f"{host}:{port}" for host, port in client.nodes} == \
            set(scene.addresses(members.members))


def test_writes_go_to_the_primary(scene, members):
    with scene.client() as client:
        for i in range(5):
            client["d"]["c"].insert_one({"_id": i})
    assert len(members.primary.requests("insert")) == 5
    assert not any(one.requests("insert") for one in members.secondaries)


def test_read_preference_reaches_the_right_member(scene, members):
    secondaries = {one.address for one in members.secondaries}
    with scene.client() as client:
        eventually(lambda: len(client.secondaries) == 2, "the driver knows the secondaries")
        read = client["d"].get_collection("c", read_preference=ReadPreference.SECONDARY)
        assert {read.find_one()["server"] for _ in range(40)} == secondaries
        read = client["d"].get_collection("c", read_preference=ReadPreference.PRIMARY)
        assert {read.find_one()["server"] for _ in range(10)} == {members.primary.address}
    request = members.secondaries[0].requests("find")[0]
    assert request.body["$readPreference"] == {"mode": "secondary"}


def test_failover(scene, members):
    """A streamed hello tells the driver, which continues with the new primary."""
    first, second, _ = members.members
    with scene.client() as client:
        client["d"]["c"].insert_one({"_id": 1})
        members.reconfigure(primary=None)
        members.reconfigure(primary=second)
        eventually(lambda: client.primary and f"{client.primary[0]}:{client.primary[1]}"
                   == scene.address(second), "the driver follows")
        client["d"]["c"].insert_one({"_id": 2})
    assert len(first.requests("insert")) == len(second.requests("insert")) == 1
    assert hello_of(scene, first)["primary"] == scene.address(second)


def test_write_to_the_old_primary_is_refused_by_it_and_retried(scene, members):
    first, second, _ = members.members
    with scene.client() as client:
        client["d"]["c"].insert_one({"_id": 1})
        members.reconfigure(primary=second)
        # whether the driver knows it already or not: a retryable write arrives
        client["d"]["c"].insert_one({"_id": 2})
    with RawClient(scene.endpoint(first)) as client:
        assert client.command({"insert": "c", "documents": [{}], "$db": "d"})["code"] == 10107
    assert len(second.requests("insert")) == 1


def test_primary_crashes(scene, members):
    first, second, _ = members.members
    with scene.client(*members.members) as client:
        client["d"]["c"].insert_one({"_id": 1})
        first.stop()
        members.members.remove(first)
        members.reconfigure(primary=second)
        client["d"]["c"].insert_one({"_id": 2})
        assert second.requests("insert")


def test_no_primary(scene, members):
    members.reconfigure(primary=None)
    with scene.client(serverSelectionTimeoutMS=800) as client:
        with pytest.raises(PyMongoError):
            client["d"]["c"].insert_one({"_id": 1})
        read = client["d"].get_collection("c", read_preference=ReadPreference.SECONDARY_PREFERRED)
        assert read.find_one()["server"] in members.addresses
        with pytest.raises((NotPrimaryError, PyMongoError)):
            client["d"]["c"].insert_one({"_id": 2})
        members.reconfigure(primary=members.members[2])
    with scene.client() as client:
        client["d"]["c"].insert_one({"_id": 3})
    assert members.members[2].requests("insert")


def test_member_added(scene, members):
    with scene.client() as client:
        assert client.admin.command("ping")["ok"] == 1
        added = members.add()
        eventually(lambda: len(client.nodes) == 4, "the driver knows the new member")
        here = tuple(scene.address(added).split(":"))
        assert (here[0], int(here[1])) in client.nodes
        members.reconfigure(primary=added)
        eventually(lambda: client.primary == (here[0], int(here[1])), "it is the primary")
        client["d"]["c"].insert_one({"_id": 1})
    assert added.requests("insert")


def test_member_gone(scene, members):
    with scene.client() as client:
        eventually(lambda: len(client.nodes) == 3, "the driver knows all three")
        gone = members.members[2]
        address = scene.address(gone)
        members.remove(gone)
        eventually(lambda: len(client.nodes) == 2, "the driver forgets it")
        assert address not in hello_of(scene, members.primary)["hosts"]
        client["d"]["c"].insert_one({"_id": 1})


@pytest.mark.proxy_only
def test_member_gone_and_others_added_again_and_again(scene, members):
    """The proxy may reuse ports, but never for two members at a time."""
    for _ in range(5):
        added = members.add()
        scene.address(added)
        with RawClient(scene.endpoint(added)) as client:
            assert client.hello()["me"] == scene.address(added)
            reply = client.command({"find": "c", "$db": "d"})
            assert reply["cursor"]["firstBatch"][0]["server"] == added.address
        members.remove(added)
        eventually(lambda gone=added: scene.proxy.wait_for_text("Server left", gone.address),
                   "the log says that the member is gone")


@pytest.mark.proxy_only
def test_member_down_does_not_touch_the_others(scene, members):
    for member in members.members:
        scene.address(member)
    down = members.members[1]
    with RawClient(scene.endpoint(down)) as client:
        assert client.command({"ping": 1})["ok"] == 1
        down.stop()
        client.assert_closed()
    with RawClient(scene.endpoint(down)) as client:
        reply = client.hello()
        assert reply["ok"] == 0 and down.address in reply["errmsg"]
    for member in (members.members[0], members.members[2]):
        assert hello_of(scene, member)["hosts"] == scene.addresses(members.members)
    down.start()
    eventually(lambda: hello_of(scene, down)["ok"] == 1, "it answers again")


@pytest.mark.proxy_only
def test_listen_port_count_bounds_the_ports(start_proxy, members):
    proxy = start_proxy(members.uri(), {"listen_port_count": 2})
    proxy.wait_for_text("listen_port_count", level="EW")
    mapped = [one for one in members.members if any(
        record["id"] == 1000 and record["attr"]["server"] == one.address
        for record in proxy.records())]
    assert len(mapped) == 2
    with RawClient(proxy.endpoint(mapped[0].address)) as client:
        assert len(client.hello()["hosts"]) == 2, "a member without a port is not shown"


@pytest.mark.proxy_only
@pytest.mark.parametrize("needs", ["never", "start", "always"])
def test_readiness_tells_of_a_member_without_a_port(start_proxy, members, needs):
    options = {"admin": "0", "admin.ready_needs_ports": needs}
    short = Admin(start_proxy(members.uri(), {**options, "listen_port_count": 2}))
    metric = "mongosluice_upstream_servers_without_port"
    eventually(lambda: short.metrics()[metric] == 1, "the shortage is a metric")
    servers = short.json("/status")["upstream"]["servers"]
    without = [one["address"] for one in servers if one["port"] == 0]
    assert len(servers) == 3 and len(without) == 1
    answer = short.get("/readyz")
    assert answer.status == (200 if needs == "never" else 503)
    if needs != "never":
        reason = answer.json()["reason"]
        assert "1 of 3" in reason and "listen_port_count" in reason and without[0] in reason

    enough = Admin(start_proxy(members.uri(heartbeatFrequencyMS=500), {**options, "listen_port_count": 3}))
    eventually(lambda: enough.get("/readyz").status == 200, "every member has a port")
    eventually(lambda: enough.metrics()[metric] == 0, "no member is without a port")
    added = members.add()
    eventually(lambda: enough.metrics()[metric] == 1, "the new member has no port")
    assert enough.get("/readyz").status == (503 if needs == "always" else 200)
    members.remove(added)
    eventually(lambda: enough.metrics()[metric] == 0, "it is gone again")
    eventually(lambda: enough.get("/readyz").status == 200, "ready again")


@pytest.mark.proxy_only
def test_a_port_that_another_program_gives_up_is_used(start_proxy):
    first = free_ports(3)
    with SimulatedSet(2) as simulated, socket.socket() as holder:
        holder.bind(("127.0.0.1", first + 1))
        holder.listen()
        admin = Admin(start_proxy(simulated.uri(), {
            "listen": f"127.0.0.1:{first}", "listen_port_count": 2, "admin": "0"}))
        eventually(lambda: "1 of 2" in admin.get("/readyz").json().get("reason", ""), "a port is missing")
        holder.close()
        eventually(lambda: admin.get("/readyz").status == 200, "the port is tried again")


@pytest.mark.proxy_only
def test_ports_of_a_range(start_proxy, members):
    from support.ports import free_ports
    first = free_ports(5)
    proxy = start_proxy(members.uri(), {"listen": f"127.0.0.1:{first}", "listen_port_count": 5})
    ports = {int(proxy.address(one.address).split(":")[1]) for one in members.members}
    assert ports == {first, first + 1, first + 2}


@pytest.mark.proxy_only
def test_advertise(start_proxy, members):
    """The host that clients receive; the ports stay."""
    proxy = start_proxy(members.uri(), {"advertise": "db.example.com"})
    ports = [proxy.address(one.address).split(":")[1] for one in members.members]
    with RawClient(proxy.endpoint(members.members[0].address)) as client:
        reply = client.hello()
    assert reply["hosts"] == [f"db.example.com:{port}" for port in ports]
    assert reply["me"] == reply["primary"] == f"db.example.com:{ports[0]}"


@pytest.mark.proxy_only
def test_without_advertise_hosts_are_as_the_client_dialled(start_proxy, members):
    proxy = start_proxy(members.uri(), {"listen": "0.0.0.0:0"})
    ports = [int(proxy.address(one.address).split(":")[1]) for one in members.members]
    for dialled in ("127.0.0.1", "127.0.0.7"):
        from support.endpoint import Endpoint
        with RawClient(Endpoint(f"{dialled}:{ports[1]}")) as client:
            reply = client.hello()
        assert reply["hosts"] == [f"{dialled}:{port}" for port in ports]
        assert reply["me"] == f"{dialled}:{ports[1]}"
