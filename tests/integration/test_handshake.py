"""hello in all its forms: OP_QUERY and OP_MSG, each spelling, awaited, streamed."""

import pytest
from bson import Int64
from support import wire
from support.wire import RawClient


@pytest.mark.parametrize("spelling", ["hello", "isMaster", "ismaster"])
@pytest.mark.parametrize("argument", [1, 1.0, True, Int64(1)], ids=["int", "double", "bool", "long"])
def test_op_msg(target, spelling, argument):
    with RawClient(target) as client:
        reply = client.command({spelling: argument, "helloOk": True})
    assert reply["ok"] == 1
    assert reply["setName"] == target.replica_set
    assert reply["me"] == reply["primary"] == target.address
    assert reply["hosts"] == [target.address]


@pytest.mark.parametrize("spelling", ["hello", "isMaster", "ismaster"])
@pytest.mark.parametrize("argument", [1, 1.0, True], ids=["int", "double", "bool"])
def test_op_query_is_answered_with_op_reply(target, spelling, argument):
    request = wire.op_query({spelling: argument, "helloOk": True}, request_id=77)
    with RawClient(target) as client:
        reply = client.ask(request)
        assert (reply.opcode, reply.response_to) == (wire.OP_REPLY, 77)
        assert reply.body["ok"] == 1
        assert reply.body["hosts"] == [target.address]
        # and then the connection goes on with OP_MSG
        assert client.command({"ping": 1})["ok"] == 1


def test_op_query_with_a_query_wrapper_or_slave_ok(target):
    with RawClient(target) as client:
        assert client.ask(wire.op_query({"isMaster": 1}, flags=4)).body["ok"] == 1


def test_client_metadata_may_come_once_only_as_the_server_says(target):
    metadata = {"driver": {"name": "raw", "version": "1"}, "os": {"type": "Linux"}}
    with RawClient(target) as client:
        assert client.command({"hello": 1, "client": metadata})["ok"] == 1
        assert client.command({"hello": 1})["ok"] == 1


def test_standalone_stays_standalone(standalone_target):
    with RawClient(standalone_target) as client:
        reply = client.hello()
    assert "setName" not in reply and "hosts" not in reply and "msg" not in reply
    with standalone_target.client() as client:
        client.admin.command("ping")
        assert client.topology_description.topology_type_name == "Single"


def test_awaited_hello_is_answered_once_after_its_time(target):
    with RawClient(target) as client:
        version = client.hello()["topologyVersion"]
        again = client.command({"hello": 1, "topologyVersion": version, "maxAwaitTimeMS": 300})
        assert again["topologyVersion"] == version
        assert again["hosts"] == [target.address]


def test_streamed_hello(target):
    """Every reply carries moreToCome and is rewritten. Servers differ in what a later reply names as
    responseTo; test_simulated_streams.py has the one of MongoDB."""
    with RawClient(target) as client:
        version = client.hello()["topologyVersion"]
        request = wire.op_msg({"hello": 1, "topologyVersion": version, "maxAwaitTimeMS": 200,
                               "$db": "admin"}, flags=wire.EXHAUST_ALLOWED, request_id=4711)
        client.send(request)
        before = 4711
        for _ in range(4):
            reply = client.receive()
            assert reply.flags & wire.MORE_TO_COME
            assert reply.response_to in (4711, before)
            assert reply.body["hosts"] == [target.address] == [reply.body["me"]]
            before = reply.request_id


def test_a_driver_streams_its_heartbeats(target):
    from pymongo import MongoClient, monitoring
    from support.process import eventually

    class Heartbeats(monitoring.ServerHeartbeatListener):
        def __init__(self):
            self.awaited = self.failed = 0

        def started(self, event):
            pass

        def succeeded(self, event):
            self.awaited += event.awaited

        def failed(self, event):
            self.failed += 1

    heartbeats = Heartbeats()
    with MongoClient(target.uri(), event_listeners=[heartbeats], heartbeatFrequencyMS=500) as client:
        client.admin.command("ping")
        eventually(lambda: heartbeats.awaited >= 3, "three streamed heartbeats")
    assert heartbeats.failed == 0


def test_load_balanced_is_passed_on_and_refused_by_the_server(target):
    """This server returns no serviceId, so the driver must refuse it, as on a direct connection."""
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError
    host, port = target.host_port
    with MongoClient(host, port, loadBalanced=True, serverSelectionTimeoutMS=3000) as client:
        with pytest.raises(PyMongoError):
            client.admin.command("ping")
