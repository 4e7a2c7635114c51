"""Servers that send malformed replies: the proxy closes the client's connection and keeps running."""

import socket
import struct
import threading

import bson
import pytest
from support import wire
from support.proxy import CLOSED_BY_ERROR
from support.wire import RawClient, frame, op_msg, op_msg_of

pytestmark = pytest.mark.proxy_only
OK = wire.body_section({"ok": 1.0})


def cut_off(scene, command, answer):
    """The server answers the command with these bytes: the client receives at most one error, then the end of the
    stream."""
    server, proxy, bystander = scene
    counted = proxy.counter("upstreamProtocolErrors")
    usual = server.handlers.get(command, server.handlers["ping"])

    def answer_badly(server, connection, request):
        return answer(request.request_id) if "badly" in request.body else usual(server, connection,
                                                                                request)

    server.handlers[command] = answer_badly
    try:
        with RawClient(proxy.endpoint()) as client:
            client.send(op_msg({command: 1, "badly": True, "$db": "admin"}))
            words = client.last_words()
    finally:
        server.handlers[command] = usual
    assert len(words) <= 1 and all(one.body["ok"] == 0 for one in words)
    proxy.wait_for_counter("upstreamProtocolErrors", counted + 1)
    assert any(one["id"] == CLOSED_BY_ERROR and one["attr"]["counter"] == "upstreamProtocolErrors"
               for one in proxy.records())
    assert bystander.command({"ping": 1})["ok"] == 1


@pytest.mark.parametrize("length", [0, 15, -1, 2**31 - 1, 200_000_000])
def test_length_out_of_bounds(scene, length):
    cut_off(scene, "bad", lambda to: frame(wire.OP_MSG, b"\0\0\0\0" + OK, response_to=to,
                                           length=length))


@pytest.mark.parametrize("opcode", [0, 999, wire.OP_QUERY, wire.OP_INSERT])
def test_opcode_that_is_no_reply(scene, opcode):
    cut_off(scene, "bad", lambda to: frame(opcode, b"\0\0\0\0" + OK, response_to=to))


@pytest.fixture
def foreign(start_proxy):
    """foreign(banner): a proxy in front of a server that sends only this banner."""
    def accept(listener, banner):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            connection.sendall(banner)
            if banner.startswith(b"\x15"):
                connection.shutdown(socket.SHUT_WR)

    def start(banner):
        listener = socket.create_server(("127.0.0.1", 0))
        connections.append(listener)
        threading.Thread(target=accept, args=(listener, banner), daemon=True).start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        return address, start_proxy(f"mongodb://{address}/?directConnection=true", {})

    connections = []
    yield start
    for connection in connections:
        connection.close()


@pytest.mark.parametrize(("banner", "name"), [
    (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "HTTP"),
    (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "SSH"),
    (b"220 mail.example.org ESMTP\r\n", "SMTP"),
    (b"220 hi\r\n", "SMTP"),
    (b"\x15\x03\x01\x00\x02\x02\x28", "TLS"),
    (b"what is this?\r\n\r\n", "no MongoDB reply"),
], ids=["HTTP", "SSH", "SMTP", "a short line", "a TLS alert", "something else"])
def test_upstream_speaks_something_else(foreign, banner, name):
    """The error names the server, and says that it sent no MongoDB reply."""
    address, proxy = foreign(banner)
    with RawClient(proxy.endpoint()) as client:
        error = client.command({"hello": 1})
    assert error["ok"] == 0 and error["code"] == 17
    assert f"the upstream server {address} sent no MongoDB reply" in error["errmsg"]
    assert name in error["errmsg"]


def test_answer_to_what_was_not_asked(scene):
    cut_off(scene, "bad", lambda to: op_msg({"ok": 1.0}, response_to=to + 1))


def hello_of(document):
    return lambda to: op_msg_of(wire.body_section(document), response_to=to)


@pytest.mark.parametrize("answer", [
    hello_of(struct.pack("<i", 30) + b"\x04hosts\0" + struct.pack("<i", 100) + b"\0" * 15),
    hello_of(struct.pack("<i", 22) + b"\x02me\0" + struct.pack("<i", 2**30) + b"x" * 9 + b"\0"),
    hello_of(struct.pack("<i", 6) + b"\1\1"),
    lambda to: op_msg_of(OK[:-3], response_to=to),
    lambda to: op_msg_of(b"\7" + OK, response_to=to),
    lambda to: wire.compress(op_msg({"ok": 1.0}, response_to=to), "zlib", size=5),
    lambda to: wire.compress(op_msg({"ok": 1.0}, response_to=to), "zlib", size=2**31 - 1),
    lambda to: wire.compress(op_msg({"ok": 1.0}, response_to=to), 77, packed=b"xyz"),
], ids=["hosts over the end", "me over the end", "no end", "cut", "unknown section",
        "uncompressedSize too small", "uncompressedSize too big", "unknown compressor"])
def test_broken_hello(scene, answer):
    cut_off(scene, "hello", answer)


@pytest.mark.parametrize("odd", [
    {"hosts": ["x" * 5000 + ":1"]}, {"hosts": [""]}, {"hosts": [1, None, {"a": 1}]},
    {"hosts": "no list"}, {"hosts": {"a": "b"}}, {"me": 5}, {"primary": None}, {"hosts": []},
    {"hosts": [f"h{i}:1" for i in range(2000)]}, {"me": "no port"}, {"me": "[::1]:27017"},
    {"compression": "zlib"}, {"maxMessageSizeBytes": "many"}, {"maxMessageSizeBytes": -1},
], ids=lambda odd: next(iter(odd)))
def test_hello_with_odd_addresses_harms_nobody(scene, odd):
    """The reply is well-formed, so the proxy may pass it on, but never with an address other than the proxy's."""
    server, proxy, bystander = scene
    saved = server.handlers["hello"]
    server.handlers["hello"] = lambda *_: {**server.hello(), "setName": "odd", **odd}
    try:
        with RawClient(proxy.endpoint()) as client:
            client.send(op_msg({"hello": 1, "$db": "admin"}))
            words = [client.receive()]
    finally:
        server.handlers["hello"] = saved
    texts = bson.encode(words[0].body)
    assert server.address.encode() not in texts
    assert b"h1999:1" not in texts
    assert bystander.command({"ping": 1})["ok"] == 1


def test_a_reply_that_never_ends_in_time_does_not_hold_others(scene):
    server, proxy, bystander = scene
    server.handlers["half"] = lambda server, connection, request: op_msg(
        {"ok": 1.0, "x": "y" * 1000}, response_to=request.request_id)[:500]
    with RawClient(proxy.endpoint()) as client:
        client.send(op_msg({"half": 1, "$db": "admin"}))
        for _ in range(20):
            assert bystander.command({"ping": 1})["ok"] == 1
    server.wait_for(lambda: not server.open_connections("half"), "the server's connection is closed")


@pytest.mark.parametrize("cut", [1, 8, 15, 16, 20])
def test_reply_cut_by_the_servers_end(scene, cut):
    """The client sees the end of its connection, as directly, and no error: a driver can then try again."""
    server, proxy, bystander = scene

    async def answer_a_part(server, connection, request):
        connection.writer.write(op_msg({"ok": 1.0}, response_to=request.request_id)[:cut])
        await connection.writer.drain()
        connection.writer.close()

    server.handlers["part"] = answer_a_part
    with RawClient(proxy.endpoint()) as client:
        client.send(op_msg({"part": 1, "$db": "admin"}))
        with pytest.raises(ConnectionResetError):
            client.receive()
    assert bystander.command({"ping": 1})["ok"] == 1
