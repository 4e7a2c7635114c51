"""Shared upstream connections when there are too few of them, when the server stops or is gone, when the proxy is paused,
and when clients leave. The error of a full pool never says that the server is down."""

import asyncio
import contextlib
import signal
import threading
import time

import pytest
from support.process import eventually
from support.wire import MORE_TO_COME, RawClient, op_msg

pytestmark = pytest.mark.proxy_only


class Held:
    """Commands `count` that the simulated server answers when the test lets it."""

    def __init__(self, server):
        self.server = server
        self.waiting = []
        server.handlers["count"] = self.hold

    async def hold(self, server, connection, request):
        free = asyncio.Event()
        self.waiting.append((request.body["count"], free))
        await free.wait()
        return {"held": request.body["count"], "ok": 1.0}

    def wait_for(self, count):
        eventually(lambda: len(self.waiting) >= count, f"{count} commands are held")

    def release(self, name):
        for number, (held, free) in enumerate(self.waiting):
            if held == name:
                del self.waiting[number]
                self.server.call(free.set)
                return
        raise AssertionError(f"{name} is not held")


@pytest.fixture
def held(simulated):
    return Held(simulated)


@pytest.fixture
def start(start_proxy, simulated):
    def start(**options):
        options = {name.replace("__", "."): value for name, value in options.items()}
        return start_proxy(f"mongodb://{simulated.address}/?directConnection=true",
                           {"threads": 1, "pool.mode": "shared", "stats_period_ms": 100, **options},
                           endpoint=simulated.endpoint)
    return start


@pytest.fixture
def connect():
    with contextlib.ExitStack() as ends:
        def connect(proxy, **hello):
            client = ends.enter_context(RawClient(proxy.endpoint()))
            assert client.hello(**hello)["ok"] == 1
            return client
        yield connect


def hold(client, name):
    client.send(op_msg({"count": name, "$db": "admin"}))


def test_clients_share_connections(start, simulated, connect):
    proxy = start()
    clients = [connect(proxy) for _ in range(20)]
    for _ in range(3):
        for client in clients:
            assert client.command({"ping": 1})["ok"] == 1
    assert len(simulated.open_connections("ping")) == 1


def test_full_pool_refuses_after_the_time_out(start, held, connect):
    proxy = start(pool__max_size=2, pool__wait_timeout_ms=300)
    holders = [connect(proxy), connect(proxy, backpressure=True)]  # each kind has a pool of its own
    for number, client in enumerate(holders):
        hold(client, number)
    held.wait_for(2)
    usual, polite = connect(proxy), connect(proxy, backpressure=True)
    error = usual.command({"ping": 1})
    assert error["ok"] == 0 and "pool" in error["errmsg"]
    assert "down" not in error["errmsg"] and "unreachable" not in error["errmsg"]
    assert "SystemOverloadedError" not in error.get("errorLabels", [])
    error = polite.command({"ping": 1})
    assert error["ok"] == 0 and error["code"] == 462
    assert {"SystemOverloadedError", "RetryableError"} <= set(error["errorLabels"])
    assert error["baseBackoffMS"] == 100
    held.release(0)
    assert holders[0].receive().body["held"] == 0
    assert usual.command({"ping": 1})["ok"] == 1
    held.release(1)
    assert holders[1].receive().body["held"] == 1
    assert polite.command({"ping": 1})["ok"] == 1


def test_waiters_are_served_in_their_order(start, simulated, held, connect):
    proxy = start(pool__max_size=1)
    first = connect(proxy)
    hold(first, "first")
    held.wait_for(1)
    waiters = [connect(proxy) for _ in range(6)]
    for number, client in enumerate(waiters):
        client.send(op_msg({"ping": number, "$db": "admin"}))
        client.until_read()  # so that the proxy receives them in this order
    held.release("first")
    assert first.receive().body["held"] == "first"
    for client in waiters:
        assert client.receive().body["ok"] == 1
    assert [request.body["ping"] for request in simulated.requests("ping")] == list(range(6))


def test_more_waiters_than_allowed_are_refused_at_once(start, held, connect):
    proxy = start(pool__max_size=1, pool__waiters_max=1, pool__wait_timeout_ms=60000)
    first, waiter, late = (connect(proxy) for _ in range(3))
    hold(first, "first")
    held.wait_for(1)
    waiter.send(op_msg({"ping": 1, "$db": "admin"}))
    waiter.until_read()
    error = late.command({"ping": 1})
    assert error["ok"] == 0 and "pool" in error["errmsg"]
    held.release("first")
    assert first.receive().body["held"] == "first" and waiter.receive().body["ok"] == 1


def test_a_lost_connection_is_noticed_by_its_command_alone(start, simulated, held, connect):
    proxy = start()
    unlucky, idle, busy = (connect(proxy) for _ in range(3))
    assert idle.command({"ping": 1})["ok"] == 1
    hold(busy, "busy")
    hold(unlucky, "unlucky")
    held.wait_for(2)
    for connection in simulated.open_connections("count"):
        if any(request.body["count"] == "unlucky" for request in connection.named("count")):
            connection.abort()
    unlucky.assert_closed()
    assert idle.command({"ping": 1})["ok"] == 1
    held.release("busy")
    assert busy.receive().body["held"] == "busy"


def test_server_restarts_while_clients_are_idle(start, simulated, connect):
    """A direct connection would be gone: the clients of a pool notice nothing."""
    proxy = start()
    clients = [connect(proxy) for _ in range(5)]
    for client in clients:
        assert client.command({"ping": 1})["ok"] == 1
    simulated.stop()
    simulated.start()
    for client in clients:
        assert client.command({"ping": 1})["ok"] == 1


def test_server_that_stops_for_a_while(start_proxy, simulated, held, start, connect):
    proxy = start(pool__max_size=2)
    clients = [connect(proxy) for _ in range(6)]
    release = threading.Event()

    async def slow(server, connection, request):
        while not release.is_set():
            await asyncio.sleep(0.02)
        return {"slow": request.body["distinct"], "ok": 1.0}

    simulated.handlers["distinct"] = slow
    for number, client in enumerate(clients):
        client.send(op_msg({"distinct": number, "$db": "admin"}))
    eventually(lambda: len(simulated.requests("distinct")) == 2, "both connections are busy")
    release.set()
    assert [client.receive().body["slow"] for client in clients] == list(range(6))


def test_command_of_a_client_that_left(start, simulated, held, connect):
    """What it began must not run for ever: its connection is closed after the grace, and others get new ones."""
    proxy = start(pool__max_size=1, pool__cancel_grace_ms=200)
    leaving = connect(proxy)
    hold(leaving, "left")
    held.wait_for(1)
    (connection,) = simulated.open_connections("count")
    leaving.socket.close()
    simulated.wait_for(lambda: connection.closed, "the connection of the client that left is closed")
    assert connect(proxy).command({"ping": 1})["ok"] == 1


def test_answer_in_the_grace_keeps_the_connection(start, simulated, held, connect):
    proxy = start(pool__max_size=1, pool__cancel_grace_ms=20000)
    leaving, other = connect(proxy), connect(proxy)
    hold(leaving, "left")
    held.wait_for(1)
    leaving.socket.close()
    other.send(op_msg({"ping": 7, "$db": "admin"}))
    other.until_read()
    held.release("left")
    reply = other.receive()
    assert reply.body["ok"] == 1 and "held" not in reply.body
    (connection,) = simulated.open_connections("count")
    assert connection.named("ping")


def test_half_a_request_holds_no_connection(start, simulated, connect):
    proxy = start(pool__max_size=1)
    half, whole = connect(proxy), connect(proxy)
    message = op_msg({"ping": 1, "$db": "admin", "x": "x" * 1000})
    half.send(message[:500])
    half.until_read()
    assert whole.command({"ping": 1})["ok"] == 1
    half.send(message[500:])
    assert half.receive().body["ok"] == 1


def test_client_that_does_not_read_its_answer(start, simulated, connect):
    """Its answer is long; the others of the pool wait no longer than for the answer's bytes to reach the proxy, or get
    another connection."""
    proxy = start(pool__max_size=2)

    def long(server, connection, request):
        return {"text": "x" * 12_000_000, "ok": 1.0}

    simulated.handlers["dbStats"] = long
    lazy, other = connect(proxy), connect(proxy)
    lazy.send(op_msg({"dbStats": 1, "$db": "admin"}))
    for _ in range(20):
        assert other.command({"ping": 1})["ok"] == 1
    assert len(lazy.receive().body["text"]) == 12_000_000


def test_paused_proxy(start, simulated, connect):
    proxy = start(pool__max_size=2)
    clients = [connect(proxy) for _ in range(6)]
    for client in clients:
        assert client.command({"ping": 1})["ok"] == 1
    proxy.process.send(signal.SIGUSR1)
    proxy.wait_for_text("paus")
    before = len(simulated.requests("ping"))
    for number, client in enumerate(clients):
        client.send(op_msg({"ping": number, "$db": "admin"}))
    time.sleep(0.3)
    assert len(simulated.requests("ping")) == before
    proxy.process.send(signal.SIGUSR2)
    for client in clients:
        assert client.receive().body["ok"] == 1


def test_logins_that_stop_half_way(start, simulated, connect):
    """Clients without a login cannot keep others out: neither by the slots for logins nor by all connections."""
    plain = simulated.handlers["hello"]

    async def hello(server, connection, request):
        answer = await plain(server, connection, request)
        if "speculativeAuthenticate" in request.body:
            answer["speculativeAuthenticate"] = {"conversationId": 1, "done": False, "payload": b"r=x"}
        return answer

    simulated.handlers["hello"] = hello
    proxy = start(pool__login_concurrency=1, pool__max_total=6)
    begun = [RawClient(proxy.endpoint()) for _ in range(6)]
    try:
        for client in begun:
            client.send(op_msg({"hello": 1, "$db": "admin", "speculativeAuthenticate": {
                "saslStart": 1, "mechanism": "SCRAM-SHA-256", "payload": b"n,,n=x,r=y", "db": "admin"}}))
        # half of max_total is theirs
        eventually(lambda: sum("speculativeAuthenticate" in one.body for one in simulated.requests("hello")) == 3,
                   "three of them began a login", seconds=20)
        with RawClient(proxy.endpoint()) as other:
            other.hello()
            other.send(op_msg({"ping": 1, "$db": "admin"}))
            assert other.receive().body["ok"] == 1
        assert sum("speculativeAuthenticate" in one.body for one in simulated.requests("hello")) == 3
    finally:
        for client in begun:
            client.socket.close()


def test_hellos_that_are_large(start):
    """They outlive the message, and anybody may send them."""
    proxy = start()
    where = proxy.endpoint()  # it has started
    before = proxy.resident_bytes()
    with contextlib.ExitStack() as ends:
        for _ in range(12):
            client = ends.enter_context(RawClient(where))
            client.send(op_msg({"hello": 1, "$db": "admin", "apiDeprecationErrors": "x" * 8_000_000}))
            client.receive()
            client.send(op_msg({"ping": 1, "$db": "admin"}))
            assert client.receive().body["ok"] == 1
        assert proxy.resident_bytes() - before < 60_000_000


def test_a_wait_without_end(start, simulated):
    """A server's time-out is a number of 64 bits."""
    proxy = start()
    with RawClient(proxy.endpoint()) as client:
        version = client.hello()["topologyVersion"]
        client.send(op_msg({"hello": 1, "$db": "admin", "topologyVersion": version, "maxAwaitTimeMS": 2**63 - 1}))
        client.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.receive()


def test_clients_in_session_mode_take_no_place(start):
    """A rule for one user makes all clients candidates until they log in."""
    proxy = start(pool__mode="session", pool__rules="shared user=reports@admin", pool__max_total=4,
                  pool__wait_timeout_ms=1000)
    with contextlib.ExitStack() as ends:
        clients = [ends.enter_context(RawClient(proxy.endpoint())) for _ in range(12)]
        for client in clients:
            assert client.hello()["ok"] == 1
        for client in clients:
            client.send(op_msg({"ping": 1, "$db": "admin"}))
            assert client.receive().body["ok"] == 1


def test_a_write_without_a_reply_gets_no_error(start, simulated, connect):
    """Its connection is closed where no connection to the server can be opened: an error would be taken for the answer of
    the next command."""
    proxy = start()
    client = connect(proxy)
    simulated.stop()
    client.send(op_msg({"insert": "c", "$db": "d", "documents": [{"_id": 1}]}, flags=MORE_TO_COME))
    client.assert_closed()
