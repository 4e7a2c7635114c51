"""The proxy answers the opcodes that MongoDB 5.1 removed as MongoDB 6 does, and keeps the connection open, because
drivers probe the protocol this way. None of these messages reaches the server."""

import struct

import bson
import pytest
from support import wire
from support.wire import RawClient, frame, op_msg, op_query

pytestmark = pytest.mark.proxy_only
QUERY_FAILURE = 2
NAMESPACE = b"d.c\0"
DOCUMENT = bson.encode({"_id": 1})


@pytest.fixture
def client(simulated, in_front_of):
    with RawClient(in_front_of(simulated)) as client:
        assert client.command({"ping": 1})["ok"] == 1
        connection, _ = simulated.wait_for_request("ping")
        client.expected = ["ping", "ping"]
        yield client
        assert client.command({"ping": 1})["ok"] == 1, "the connection did not stay"
        assert [request.command for request in connection.requests] == client.expected, "it was passed on"


@pytest.mark.parametrize("body", [
    {"insert": "c", "documents": [{"_id": 1}]}, {"find": "c"}, {"listDatabases": 1}, {"nonsense": 1},
    {"$query": {"count": "c"}},
], ids=lambda body: next(iter(body)))
def test_command_as_query(client, body):
    request = op_query(body, namespace="d.$cmd")
    reply = client.ask(request)
    assert reply.opcode == wire.OP_REPLY
    assert reply.response_to == struct.unpack("<i", request[4:8])[0]
    assert reply.body["ok"] == 0
    assert reply.body["code"] == 352 and reply.body["codeName"] == "UnsupportedOpQueryCommand"
    name = next(iter(body.get("$query", body)))
    assert reply.body["errmsg"].startswith(f"Unsupported OP_QUERY command: {name}")


@pytest.mark.parametrize("message", [
    op_query({"_id": 1}, namespace="d.c"),
    op_query({}, namespace="d.system.namespaces"),
    frame(wire.OP_GET_MORE, b"\0\0\0\0" + NAMESPACE + struct.pack("<iq", 0, 7)),
], ids=["find", "find of a collection's names", "getMore"])
def test_legacy_read(client, message):
    reply = client.ask(message)
    assert reply.opcode == wire.OP_REPLY and reply.flags == QUERY_FAILURE
    assert reply.response_to == struct.unpack("<i", message[4:8])[0]
    assert reply.body["code"] == 5739101 and "no longer supported" in reply.body["$err"]
    assert "ok" not in reply.body


@pytest.mark.parametrize("message", [
    frame(wire.OP_INSERT, b"\0\0\0\0" + NAMESPACE + DOCUMENT),
    frame(wire.OP_UPDATE, b"\0\0\0\0" + NAMESPACE + b"\0\0\0\0" + DOCUMENT + DOCUMENT),
    frame(wire.OP_DELETE, b"\0\0\0\0" + NAMESPACE + b"\0\0\0\0" + DOCUMENT),
    frame(wire.OP_KILL_CURSORS, struct.pack("<iiq", 0, 1, 7)),
    frame(wire.OP_INSERT, b""),
], ids=["insert", "update", "delete", "killCursors", "an empty one"])
def test_legacy_write(client, message):
    client.send(message * 3)


def test_answers_keep_their_order(client):
    """The proxy's own answer waits for the earlier answers of the server."""
    first = op_msg({"ping": 1, "$db": "admin"})
    client.send(first + op_query({"_id": 1}, namespace="d.c") + frame(wire.OP_INSERT, b"")
                + op_query({"count": "c"}, namespace="d.$cmd"))
    assert client.receive().body["ok"] == 1
    assert client.receive().flags == QUERY_FAILURE
    assert client.receive().body["code"] == 352
    client.expected = ["ping"] * 3


def test_hello_still_comes_as_query(client):
    assert client.ask(op_query({"isMaster": 1})).body["ok"] == 1
    client.expected = ["ping", "isMaster", "ping"]


def test_first_message(simulated, in_front_of):
    """Before any other message, as a probing driver does."""
    with RawClient(in_front_of(simulated)) as client:
        assert client.ask(op_query({"whatsmyuri": 1})).body["code"] == 352
        assert client.hello()["ok"] == 1
