"""hello of clients that share upstream connections: the proxy answers it from one connection to each server."""

import socket
import time

import pytest
from bson import Int64, ObjectId
from pymongo import MongoClient
from pymongo.monitoring import ServerListener
from support import wire
from support.ports import refusing_port
from support.process import eventually
from support.proxy import Proxy
from support.simulated import SimulatedServer
from support.simulated_set import NAME, SimulatedSet
from support.wire import RawClient

pytestmark = pytest.mark.proxy_only
SHARED = {"pool.mode": "shared"}
# of the proxy's own application name
OWN = "mongosluice"


@pytest.fixture
def shared(simulated, start_proxy):
    """The proxy in front of the simulated server."""
    return start_proxy(f"mongodb://{simulated.address}/", SHARED, endpoint=simulated.endpoint)


@pytest.fixture(scope="module")
def steady():
    """A server that stays up, and the proxy in front of it, for all tests that need no others."""
    with SimulatedServer(compressors=["zlib", "snappy", "lz4"]) as server:
        proxy = Proxy(f"mongodb://{server.address}/", SHARED, endpoint=server.endpoint)
        yield server, proxy
        proxy.finish()


@pytest.fixture
def server(steady):
    server, proxy = steady
    server.change({})
    with RawClient(proxy.endpoint()) as raw:
        eventually(lambda: raw.hello()["topologyVersion"]["counter"] == server.counter, "the stream is up to date")
    return server


@pytest.fixture
def proxy(server, steady):
    return steady[1]


@pytest.fixture
def client(proxy):
    with RawClient(proxy.endpoint()) as raw:
        yield raw


def names(server):
    """The applications of the server's open connections."""
    found = []
    for connection in server.open_connections():
        metadata = next((one.body["client"] for one in connection.requests if "client" in one.body), {})
        found.append(metadata.get("application", {}).get("name"))
    return found


def awaiting(version, wait_ms=60000, **more):
    return {"hello": 1, "topologyVersion": version, "maxAwaitTimeMS": wait_ms, "$db": "admin", **more}


def next_version(version):
    return {**version, "counter": Int64(version["counter"] + 1)}


# --- the reply


def test_reply_is_the_server_s(server, client):
    reply = client.hello()
    real = server.hello()
    assert reply == {name: value for name, value in real.items() if name not in ("ismaster", "helloOk")}


def test_older_spelling_has_its_own_fields(client):
    for name in ("isMaster", "ismaster"):
        reply = client.command({name: 1, "helloOk": True})
        assert reply["ismaster"] is True and reply["helloOk"] is True and "isWritablePrimary" not in reply
    reply = client.hello(helloOk=True)
    assert reply["isWritablePrimary"] is True and reply["helloOk"] is True and "ismaster" not in reply


def test_op_query_is_answered_by_op_reply(client):
    reply = client.ask(wire.op_query({"isMaster": 1, "helloOk": True}, request_id=77))
    assert reply.opcode == wire.OP_REPLY and reply.response_to == 77
    assert reply.body["ismaster"] is True


def test_compressors_are_those_of_client_proxy_and_server(server, proxy):
    for offered, common in ((["zstd", "snappy", "zlib"], ["snappy", "zlib"]), (["lz4", "zlib"], ["zlib"]),
                            (["zstd"], None), ([], None), (None, None)):
        with RawClient(proxy.endpoint()) as raw:
            more = {} if offered is None else {"compression": offered}
            assert raw.hello(**more).get("compression") == common


def test_connection_numbers_are_the_proxy_s(server, proxy):
    server.change({"connectionId": 4711})
    with RawClient(proxy.endpoint()) as raw:
        eventually(lambda: "connectionId" in raw.hello(), "the stream has the number")
    seen = []
    for _ in range(3):
        with RawClient(proxy.endpoint()) as raw:
            seen.append(raw.hello()["connectionId"])
    assert len(set(seen)) == 3 and 4711 not in seen


def test_one_connection_for_many_clients(simulated, shared):
    clients = [RawClient(shared.endpoint()) for _ in range(50)]
    versions = {client.hello(client={"application": {"name": f"app{i}"}})["topologyVersion"]["counter"]
                for i, client in enumerate(clients)}
    assert versions == {simulated.counter}
    assert not [name for name in names(simulated) if name and name.startswith("app")]
    assert len([name for name in names(simulated) if name == OWN]) <= 3  # two are libmongoc's
    for one in clients:
        one.socket.close()


def test_compressed_hello_gets_a_compressed_answer(server, proxy):
    with RawClient(proxy.endpoint()) as raw:
        assert raw.hello(compression=["zlib"])["compression"] == ["zlib"]
        reply = raw.ask(wire.compress(wire.op_msg({"hello": 1, "$db": "admin"}), "zlib"))
        assert reply.compressor == wire.COMPRESSORS["zlib"] and reply.body["ok"] == 1


# --- awaiting


def test_another_version_is_answered_at_once(client):
    version = client.hello()["topologyVersion"]
    for known in ({**version, "processId": ObjectId()}, {**version, "counter": Int64(version["counter"] - 1)}):
        if known["counter"] >= 0:
            reply = client.command(awaiting(known))
            assert reply["topologyVersion"] == version


def test_awaiting_ends_at_its_time(client):
    version = client.hello()["topologyVersion"]
    began = time.monotonic()
    assert client.command(awaiting(version, 300))["topologyVersion"] == version
    assert time.monotonic() - began > 0.25
    assert client.command(awaiting(version, 0))["topologyVersion"] == version


def test_a_change_reaches_every_waiting_client(server, proxy):
    clients = [RawClient(proxy.endpoint()) for _ in range(100)]
    for raw in clients:
        raw.send(wire.op_msg(awaiting(raw.hello()["topologyVersion"])))
    server.change({"tags": {"news": "1"}})
    for raw in clients:
        assert raw.receive().body["tags"] == {"news": "1"}
        raw.socket.close()


def test_a_stream_goes_on(server, proxy):
    with RawClient(proxy.endpoint()) as raw:
        version = raw.hello()["topologyVersion"]
        raw.send(wire.op_msg(awaiting(version), flags=wire.EXHAUST_ALLOWED, request_id=12))
        before = 12
        for number in range(5):
            server.change({"tags": {"number": str(number)}})
            reply = raw.receive()
            assert reply.response_to == before and reply.flags & wire.MORE_TO_COME
            assert reply.body["tags"] == {"number": str(number)}
            before = reply.request_id


def test_a_stream_repeats_at_its_time(client):
    version = client.hello()["topologyVersion"]
    client.send(wire.op_msg(awaiting(version, 50), flags=wire.EXHAUST_ALLOWED))
    for _ in range(4):
        reply = client.receive()
        assert reply.body["topologyVersion"] == version and reply.flags & wire.MORE_TO_COME


def test_a_client_that_knows_more_waits_for_the_stream(server, client):
    """An error of another command may name a topologyVersion before the stream has it."""
    version = client.hello()["topologyVersion"]
    client.send(wire.op_msg(awaiting(next_version(next_version(version)))))
    server.change({"tags": {"a": "1"}})
    server.change({"tags": {"a": "2"}})
    server.change({"tags": {"a": "3"}})
    assert client.receive().body["tags"] == {"a": "3"}


def test_requests_behind_a_waiting_hello_wait(server, client):
    version = client.hello()["topologyVersion"]
    client.send(wire.op_msg(awaiting(version), request_id=1) + wire.op_msg({"hello": 1, "$db": "admin"}, request_id=2))
    server.change({"tags": {"a": "1"}})
    assert [client.receive().response_to for _ in range(2)] == [1, 2]


def test_a_waiting_client_that_leaves_is_forgotten(proxy):
    def ended():
        return len([line for line in proxy.records() if line["id"] == 1003])

    eventually(lambda: ended() == len([line for line in proxy.records() if line["id"] == 1001]), "earlier clients left")
    before = ended()
    for flags in (0, wire.EXHAUST_ALLOWED):
        with RawClient(proxy.endpoint()) as raw:
            raw.send(wire.op_msg(awaiting(raw.hello()["topologyVersion"]), flags=flags))
            time.sleep(0.05)
    eventually(lambda: ended() == before + 2, "both connections end")


def answered(server, proxy, seconds=1.5):
    """The replies of the server while 100 idle drivers monitor it through the proxy for this time."""
    clients = [RawClient(proxy.endpoint()) for _ in range(100)]
    for raw in clients:
        raw.send(wire.op_msg(awaiting(raw.hello()["topologyVersion"], 50), flags=wire.EXHAUST_ALLOWED))
    before = next(server._ids)
    time.sleep(seconds)
    replies = next(server._ids) - before - 1
    for raw in clients:
        raw.socket.close()
    return replies


def test_the_first_client_of_a_server_may_send_no_more(start_proxy, simulated):
    """Its server has not answered the proxy yet."""
    for _ in range(3):
        proxy = start_proxy(f"mongodb://{simulated.address}/", SHARED, endpoint=simulated.endpoint)
        with RawClient(proxy.endpoint()) as raw:
            raw.send(wire.op_msg({"hello": 1, "$db": "admin"}))
            raw.socket.shutdown(socket.SHUT_WR)
            (reply,) = raw.last_words()
            assert reply.body["ok"] == 1


def test_an_idle_fleet_costs_the_server_next_to_nothing(simulated, start_proxy):
    replies = {}
    for mode in ("session", "shared"):
        proxy = start_proxy(f"mongodb://{simulated.address}/", {"pool.mode": mode}, endpoint=simulated.endpoint)
        replies[mode] = answered(simulated, proxy)
        proxy.finish()
    assert replies["shared"] <= replies["session"] / 100


# --- faults


@pytest.mark.parametrize(("hello", "flags", "code"), [
    ({"topologyVersion": {"processId": ObjectId(), "counter": Int64(1)}}, 0, 31368),
    ({"maxAwaitTimeMS": 5}, 0, 31368),
    ({"topologyVersion": {"processId": ObjectId(), "counter": Int64(-1)}, "maxAwaitTimeMS": 5}, 0, 31372),
    ({"topologyVersion": {"processId": ObjectId(), "counter": Int64(1)}, "maxAwaitTimeMS": -5}, 0, 31373),
    ({}, wire.EXHAUST_ALLOWED, 51756),
])
def test_faults_have_the_server_s_codes(client, hello, flags, code):
    client.hello()
    reply = client.ask(wire.op_msg({"hello": 1, **hello, "$db": "admin"}, flags=flags))
    assert reply.body["ok"] == 0 and reply.body["code"] == code and not reply.flags & wire.MORE_TO_COME
    assert client.hello()["ok"] == 1


def test_faults_of_mongos_have_its_codes(server, client):
    server.change({"msg": "isdbgrid"})
    eventually(lambda: "msg" in client.hello(), "the stream sees mongos")
    assert client.hello(maxAwaitTimeMS=5)["code"] == 51760


def test_metadata_is_sent_once(client):
    assert client.hello(client={"driver": {"name": "d"}})["ok"] == 1
    assert client.hello(client={"driver": {"name": "d"}})["code"] == 186


# --- servers that come, go and change


def test_a_server_that_is_down_is_named(start_proxy):
    with refusing_port() as port:
        proxy = start_proxy(f"mongodb://127.0.0.1:{port}/?directConnection=true", SHARED)
        with RawClient(proxy.endpoint()) as raw:
            reply = raw.hello()
            assert reply["ok"] == 0 and reply["code"] == 6 and f"127.0.0.1:{port}" in reply["errmsg"]
            raw.assert_closed()


def test_waiting_clients_lose_a_lost_server(simulated, shared):
    clients = [RawClient(shared.endpoint()) for _ in range(10)]
    for i, raw in enumerate(clients):
        flags = wire.EXHAUST_ALLOWED if i % 2 else 0
        raw.send(wire.op_msg(awaiting(raw.hello()["topologyVersion"]), flags=flags))
    simulated.stop()
    for raw in clients:
        raw.assert_closed()
        raw.socket.close()


def test_a_restarted_server_has_another_process(simulated, shared):
    with RawClient(shared.endpoint()) as raw:
        before = raw.hello()["topologyVersion"]
    simulated.stop()
    simulated._process_id = ObjectId()
    simulated.start()

    def restarted():
        with RawClient(shared.endpoint()) as raw:
            return raw.hello().get("topologyVersion", before)["processId"] == simulated._process_id
    eventually(restarted, "the new process is seen")


def test_a_cut_connection_is_replaced(simulated, shared):
    """A firewall that cuts the stream does not make the server unknown."""
    with RawClient(shared.endpoint()) as raw:
        raw.send(wire.op_msg(awaiting(raw.hello()["topologyVersion"])))
        stream = next(one for one in simulated.open_connections() if "compression" in one.requests[0].body)
        stream.abort()
        eventually(lambda: any(one is not stream and "compression" in one.requests[0].body
                               for one in simulated.open_connections() if one.requests), "another stream")
        simulated.change({"tags": {"a": "1"}})
        assert raw.receive().body["tags"] == {"a": "1"}


async def _without_version(server, connection, request):
    reply = server.hello(request)
    del reply["topologyVersion"]
    return reply


def test_a_server_without_topology_version_is_polled(start_proxy):
    handlers = {"hello": _without_version, "isMaster": _without_version, "ismaster": _without_version}
    with SimulatedServer(handlers) as old:
        proxy = start_proxy(f"mongodb://{old.address}/", SHARED, endpoint=old.endpoint)
        with RawClient(proxy.endpoint()) as raw:
            assert "topologyVersion" not in raw.hello()
            old.change({"tags": {"a": "1"}})
            eventually(lambda: raw.hello().get("tags") == {"a": "1"}, "the change is seen")


def test_a_renamed_set_is_told(simulated, shared):
    simulated.change({"setName": "before", "hosts": [simulated.address], "me": simulated.address})
    with RawClient(shared.endpoint()) as raw:
        eventually(lambda: raw.hello().get("setName") == "before", "the first name")
        raw.send(wire.op_msg(awaiting(raw.hello()["topologyVersion"])))
        simulated.change({"setName": "after", "hosts": [simulated.address], "me": simulated.address})
        reply = raw.receive().body
        assert reply["setName"] == "after" and reply["me"] == shared.address()


# --- drivers


def test_pymongo_follows_an_election(start_proxy):
    with SimulatedSet(3) as members:
        proxy = start_proxy(members.uri(heartbeatFrequencyMS=500), SHARED)
        seeds = ",".join(proxy.address(one) for one in members.addresses)
        with MongoClient(f"mongodb://{seeds}/", replicaSet=NAME, serverSelectionTimeoutMS=20000) as client:
            eventually(lambda: len(client.nodes) == 3 and client.primary is not None, "all three are seen")
            for primary in (members.members[1], members.members[2], members.members[0]):
                members.reconfigure(primary=primary)
                host, port = proxy.address(primary.address).rsplit(":", 1)
                eventually(lambda host=host, port=port: client.primary == (host, int(port)), "the new primary is seen")
        for member in members.members:
            assert len([name for name in names(member) if name == OWN]) <= 3


class Types(ServerListener):
    """The types of each server in the order that the driver sees them, each once in a row."""

    def __init__(self):
        self.seen = {}

    def opened(self, event):
        pass

    def closed(self, event):
        pass

    def description_changed(self, event):
        types = self.seen.setdefault("{}:{}".format(*event.server_address), [])
        kind = event.new_description.server_type_name
        if not types or types[-1] != kind:
            types.append(kind)


def scenario(members, address):
    """An election, a member that stops, and its return. Returns the types of each member."""
    listener = Types()
    names = {address(member): number for number, member in enumerate(members.members)}

    def last(number):
        return next((types[-1] for name, types in listener.seen.items() if names[name] == number), None)

    with MongoClient(f"mongodb://{','.join(names)}/", replicaSet=NAME, heartbeatFrequencyMS=500, event_listeners=[listener],
                     serverSelectionTimeoutMS=20000):
        eventually(lambda: [last(i) for i in range(3)] == ["RSPrimary", "RSSecondary", "RSSecondary"], "the first state")
        members.reconfigure(primary=members.members[1])
        eventually(lambda: last(0) == "RSSecondary" and last(1) == "RSPrimary", "the election")
        members.members[2].stop()
        eventually(lambda: last(2) == "Unknown", "the stopped member is unknown")
        members.members[2].start()
        eventually(lambda: last(2) == "RSSecondary", "its return")
    return {names[name]: types for name, types in listener.seen.items()}


def test_drivers_see_the_same_changes_as_without_a_proxy(start_proxy):
    with SimulatedSet(3) as members:
        direct = scenario(members, lambda member: member.address)
    with SimulatedSet(3) as members:
        proxy = start_proxy(members.uri(heartbeatFrequencyMS=500), SHARED)
        shared = scenario(members, lambda member: proxy.address(member.address))
    assert shared.keys() == direct.keys()
    for number in (0, 1):  # of an election, a driver sees the two changes in either order
        assert shared[number][0] == direct[number][0] and shared[number][-1] == direct[number][-1]
        assert set(shared[number]) <= {"RSPrimary", "RSSecondary", "Unknown"}
    assert shared[2] == direct[2] == ["RSSecondary", "Unknown", "RSSecondary"]


def test_twenty_drivers_need_few_connections(simulated, shared):
    """Without sharing they hold three each: two for monitoring."""
    clients = [shared.endpoint().client(appname="twenty") for _ in range(20)]
    for client in clients:
        assert client.admin.command("ping")["ok"] == 1
    assert len([name for name in names(simulated) if name == "twenty"]) <= 3
    assert len(simulated.open_connections()) <= 6
    for client in clients:
        client.close()
