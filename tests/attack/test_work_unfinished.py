"""An unfinished request: the proxy waits for the rest, but with a time limit."""

import itertools
import threading

import bson
import pytest
from support import wire
from support.admin import Admin
from support.process import eventually
from support.wire import RawClient, op_msg

pytestmark = pytest.mark.proxy_only
EXCEEDED_TIME_LIMIT = 262
TIMEOUT_MS = 500
MEGABYTE = 1024 * 1024
PADDING = bson.encode({"a": "x" * MEGABYTE})


def insert(megabytes=8):
    body = {"insert": "c", "$db": "d"}
    content = b"documents\0" + PADDING * megabytes
    section = b"\1" + (4 + len(content)).to_bytes(4, "little") + content
    return wire.op_msg_of(wire.body_section(body) + section)


@pytest.fixture
def start(simulated_guard):
    def start(**options):
        return simulated_guard({"required": ["a"]}, {
            "threads": 1, "admin.listen": "127.0.0.1:0", "request_timeout_ms": TIMEOUT_MS, **options})
    return start


COMPRESSED = wire.compress(op_msg({"insert": "c", "documents": [{"a": 1}] * 500, "$db": "d"}), "noop")
BEGINNINGS = {
    "gathered": insert()[:4 * MEGABYTE],
    "its header": insert()[:7],
    "its body": insert()[:30],
    "all but a byte": op_msg({"insert": "c", "documents": [{"a": 1}], "$db": "d"})[:-1],
    "compressed": COMPRESSED[:len(COMPRESSED) // 2],
}


@pytest.mark.parametrize("name", BEGINNINGS)
def test_one_that_does_not_go_on_is_let_go(name, start):
    """The proxy frees the memory of the request. If it has received the header, the error names the option."""
    proxy = start()
    with RawClient(proxy.endpoint()) as client, RawClient(proxy.endpoint()) as other:
        assert client.command({"ping": 1})["ok"] == 1
        client.send(BEGINNINGS[name])
        words = [message.body for message in client.last_words()]
        assert len(words) == (len(BEGINNINGS[name]) >= 16)
        for word in words:
            assert word["code"] == EXCEEDED_TIME_LIMIT and "request_timeout_ms" in word["errmsg"]
        assert other.command({"ping": 1})["ok"] == 1
        admin = Admin(proxy)
        eventually(lambda: admin.metrics()["mongosluice_buffer_bytes"] == 0, "no buffer is left")
    proxy.wait_for_counter("clientRequestTimeouts", 1)


def test_one_that_is_forwarded_as_it_comes_is_let_go(start, simulated):
    """The proxy keeps nothing of it, but the server waits for the rest."""
    proxy = start()
    message = op_msg({"find": "c", "$db": "d", "fill": b"x" * MEGABYTE})
    streamed = wire.op_msg_of(wire.body_section({"aggregate": "c", "pipeline": [], "cursor": {}, "$db": "free"})
                              + wire.sequence_section("x", [{"a": "y" * MEGABYTE}]))
    for data in (message, streamed):
        with RawClient(proxy.endpoint()) as client:
            assert client.command({"ping": 1})["ok"] == 1
            client.send(data[:len(data) // 2])
            client.last_words()
    proxy.wait_for_counter("clientRequestTimeouts", 2)


def test_bytes_put_it_off(start, simulated):
    """A slow client is not a stalled client: an occasional byte is enough."""
    simulated.handlers["insert"] = lambda *_: {"ok": 1, "n": 1}
    proxy = start()
    data = op_msg({"insert": "c", "documents": [{"a": 1}], "$db": "d"})
    with RawClient(proxy.endpoint()) as client:
        assert client.command({"ping": 1})["ok"] == 1
        pause = threading.Event()
        for first in range(0, len(data), 12):
            client.send(data[first:first + 12])
            pause.wait(TIMEOUT_MS / 1000 / 3)
        assert client.receive().body["n"] == 1
    assert proxy.counter("clientRequestTimeouts") == 0


def test_nobody_is_asked_to_send_who_waits_for_an_answer(start, simulated):
    """Part of the next request has arrived while the previous one runs for longer than the time limit."""
    release = threading.Event()

    async def slow(*_):
        import asyncio
        while not release.is_set():
            await asyncio.sleep(0.02)
        return {"ok": 1}

    simulated.handlers["slow"] = slow
    proxy = start()
    with RawClient(proxy.endpoint()) as client:
        client.send(op_msg({"slow": 1, "$db": "admin"}) * 4 + op_msg({"ping": 1, "$db": "admin"})[:-1])
        threading.Event().wait(3 * TIMEOUT_MS / 1000)
        release.set()
        for _ in range(4):
            assert client.receive().body["ok"] == 1
        client.send(b"\0")
        assert client.receive().body["ok"] == 1


def test_those_who_hold_much_make_room(start):
    """Twelve clients with half a message each fill memory_max. Later their memory is free for others."""
    proxy = start(memory_max=64 * MEGABYTE, max_message_bytes=16 * MEGABYTE)
    half = insert(12)[:6 * MEGABYTE]
    clients = [RawClient(proxy.endpoint()) for _ in range(12)]
    for client in clients:
        assert client.command({"ping": 1})["ok"] == 1
        client.send(half)
    for client in clients:
        client.last_words()
        client.socket.close()
    admin = Admin(proxy)
    eventually(lambda: admin.metrics()["mongosluice_buffer_bytes"] == 0, "no buffer is left")
    assert sum(1 for _ in itertools.islice(clients, 12)) == 12
