"""Each limit holds, is reported, and does not affect other clients."""

import contextlib
import ssl
import time

import pytest
from support import wire
from support.process import eventually
from support.proxy import MONITORS
from support.simulated import cursor
from support.wire import RawClient, op_msg, op_msg_of

pytestmark = pytest.mark.proxy_only
MEGABYTE = 1024 * 1024
FAST = {"stats_period_ms": 100}


def proxy_for(start_proxy, simulated, **options):
    return start_proxy(f"mongodb://{simulated.address}/", {**FAST, **options})


def test_max_client_conn(start_proxy, simulated):
    proxy = proxy_for(start_proxy, simulated, max_client_conn=5)
    where = proxy.endpoint()
    clients = [RawClient(where) for _ in range(5)]
    for client in clients:
        assert client.command({"ping": 1})["ok"] == 1
    for request in (op_msg({"hello": 1, "$db": "admin"}), wire.op_query({"isMaster": 1})):
        with RawClient(where) as one_too_many:
            one_too_many.send(request)
            words = one_too_many.last_words()
        assert len(words) == 1, "the one too many is told, then closed"
        assert words[0].body["ok"] == 0 and "max_client_conn" in words[0].body["errmsg"]
    proxy.wait_for_counter("clientsRefused", 2)
    for client in clients:
        assert client.command({"ping": 1})["ok"] == 1
    clients.pop().__exit__()

    def fits():
        with RawClient(where) as client:
            return client.hello()["ok"] == 1
    eventually(fits, "the free place can be taken")
    for client in clients:
        client.__exit__()


def test_refused_clients_that_say_nothing_are_ended(start_proxy, simulated):
    """A silent client counts against the limit as well."""
    proxy = proxy_for(start_proxy, simulated, max_client_conn=2, handshake_timeout_ms=300)
    where = proxy.endpoint()
    with RawClient(where) as one, RawClient(where) as two:
        assert one.command({"ping": 1})["ok"] == two.command({"ping": 1})["ok"] == 1
        silent = [RawClient(where) for _ in range(10)]
        for client in silent:
            client.assert_closed()
            client.__exit__()


@pytest.mark.parametrize("over", [0, 1])
def test_max_message_bytes_from_clients(start_proxy, simulated, over):
    limit = 100_000
    proxy = proxy_for(start_proxy, simulated, max_message_bytes=limit)
    empty = len(op_msg({"ping": 1, "$db": "admin", "fill": b""}))
    message = op_msg({"ping": 1, "$db": "admin", "fill": bytes(limit - empty + over)})
    assert len(message) == limit + over
    with RawClient(proxy.endpoint()) as client:
        reply = client.ask(message).body
        assert reply["ok"] == 1 - over
        if over:
            assert str(limit) in reply["errmsg"]
            client.assert_closed()
            proxy.wait_for_counter("clientProtocolErrors", 1)


def test_a_longer_reply_passes(start_proxy, simulated):
    """max_message_bytes limits requests: the proxy streams replies, and a server's own limit holds for them
    (test_bad_upstream.py)."""
    simulated.handlers["big"] = lambda *_: {"ok": 1.0, "data": bytes(200_000)}
    proxy = proxy_for(start_proxy, simulated, max_message_bytes=100_000)
    with RawClient(proxy.endpoint()) as client:
        assert client.command({"big": 1}) == {"ok": 1.0, "data": bytes(200_000)}


def held_insert(document_bytes):
    """The body comes last, so the proxy must keep the sections before it."""
    return op_msg_of(wire.sequence_section("documents", [{"_id": 1, "x": bytes(document_bytes)}])
                     + wire.body_section({"insert": "c", "$db": "d"}))


@contextlib.contextmanager
def unfinished(where, count, message):
    """Clients that have sent as much as was taken of all but the last bytes of a message."""
    with contextlib.ExitStack() as stack:
        unsent = {stack.enter_context(RawClient(where)): message[:-10] for _ in range(count)}
        for client in unsent:
            client.socket.setblocking(False)
        for _ in range(150):
            for client, rest in unsent.items():
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    unsent[client] = rest[client.socket.send(rest):] if rest else rest
            time.sleep(0.005)
        yield


def test_memory_max(start_proxy, simulated):
    """Clients that each make the proxy hold much of a message: reading waits at the cap, the process
    stays small, who needs no buffer goes on, and when they are gone all is as before."""
    proxy = proxy_for(start_proxy, simulated, memory_max="2MiB", max_message_bytes="1MiB")
    where = proxy.endpoint()
    held = held_insert(900_000)
    with RawClient(where) as bystander:
        assert bystander.command({"ping": 1})["ok"] == 1
        before = proxy.resident_bytes()
        with unfinished(where, 40, held):
            assert proxy.resident_bytes() - before < 30 * MEGABYTE
            assert bystander.command({"ping": 1})["ok"] == 1
        eventually(lambda: proxy.counter("clientsNow") == 1, "they are gone")
        with RawClient(where) as again:
            assert again.ask(held).body["n"] == 1
        assert bystander.command({"ping": 1})["ok"] == 1


def test_new_clients_are_served_while_large_messages_fill_memory_max(start_proxy, simulated):
    """The proxy must keep their first command until the connection to the server is established."""
    proxy = proxy_for(start_proxy, simulated, memory_max="16MiB", max_message_bytes="8MiB")
    with unfinished(proxy.endpoint(), 20, held_insert(7_900_000)):
        proxy.wait_for_counter("bufferBytesNow", 8_000_000)
        for _ in range(30):
            with RawClient(proxy.endpoint()) as fresh:
                assert fresh.hello()["ok"] == 1
                assert fresh.command({"ping": 1})["ok"] == 1


def test_everyone_gets_through_a_small_memory_max(start_proxy, simulated):
    """Twenty clients with a message of 900 kB each and room for two: each is served, or refused by
    name without a word of it reaching the server, and served when it comes again."""
    from concurrent.futures import ThreadPoolExecutor
    proxy = proxy_for(start_proxy, simulated, memory_max="2MiB", max_message_bytes="1MiB")
    where = proxy.endpoint()
    message = held_insert(900_000)

    def insert(_):
        for attempt in range(200):
            with RawClient(where) as client:
                reply = client.ask(message).body
            if reply["ok"] == 1:
                return reply
            assert reply["codeName"] == "ExceededMemoryLimit" and "memory_max" in reply["errmsg"]
            time.sleep(0.01 * (attempt % 7))
        return reply

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(insert, range(20))) == [{"n": 1, "ok": 1.0}] * 20
    assert len(simulated.requests("insert")) == 20


@pytest.mark.parametrize("begin", [b"", b"\x30", op_msg({"ping": 1, "$db": "admin"})[:-1]],
                         ids=["nothing", "one byte", "all but one byte"])
def test_handshake_timeout(start_proxy, simulated, begin):
    proxy = proxy_for(start_proxy, simulated, handshake_timeout_ms=300)
    with RawClient(proxy.endpoint()) as quiet, RawClient(proxy.endpoint()) as good:
        assert good.command({"ping": 1})["ok"] == 1
        quiet.send(begin)
        words = quiet.last_words()
        assert all(word.body["ok"] == 0 for word in words)
        proxy.wait_for_counter("handshakeTimeouts", 1)
        assert good.command({"ping": 1})["ok"] == 1


def test_handshake_timeout_covers_tls(start_proxy, simulated, authorities):
    certificate = authorities.proxy.issue("handshake")
    proxy = start_proxy(f"mongodb://{simulated.address}/",
                        {**FAST, "handshake_timeout_ms": 300, "tls.mode": "require",
                         "tls.cert_file": certificate.cert_file,
                         "tls.key_file": certificate.key_file})
    with RawClient(proxy.endpoint()) as quiet:
        quiet.assert_closed()
    with RawClient(proxy.endpoint()) as half:
        half.send(b"\x16\x03\x01")
        half.assert_closed()
    context = ssl.create_default_context(cafile=certificate.ca_file)
    with RawClient(proxy.endpoint(), context=context) as silent_after_tls:
        silent_after_tls.assert_closed()
    proxy.wait_for_counter("handshakeTimeouts", 3)


def test_bytes_of_a_request_are_no_idling(start_proxy, simulated):
    """The kernel does not report the last few bytes of a large request, and they count all the same."""
    proxy = proxy_for(start_proxy, simulated, client_idle_timeout_ms=600)
    message = op_msg({"ping": 1, "a": "x" * 3000, "$db": "admin"})
    with RawClient(proxy.endpoint()) as client:
        assert client.command({"ping": 1})["ok"] == 1
        client.send(message[:100])
        for at in range(100, 130):
            time.sleep(0.05)
            client.send(message[at:at + 1])
        client.send(message[130:])
        assert client.receive().body["ok"] == 1


def test_client_idle_timeout(start_proxy, simulated):
    proxy = proxy_for(start_proxy, simulated, client_idle_timeout_ms=400)
    with RawClient(proxy.endpoint()) as client:
        assert client.command({"ping": 1})["ok"] == 1
        connection, _ = simulated.wait_for_request("ping")
        client.assert_closed()
        simulated.wait_for(lambda: connection.closed, "its connection to the server ends too")
    proxy.wait_for_counter("clientIdleTimeouts", 1)


def test_a_client_whose_command_runs_is_not_idle(start_proxy, simulated):
    import asyncio

    async def slow(server, connection, request):
        await asyncio.sleep(1.5)
        return {"ok": 1.0}

    simulated.handlers["slow"] = slow
    proxy = proxy_for(start_proxy, simulated, client_idle_timeout_ms=300)
    with RawClient(proxy.endpoint()) as client:
        assert client.command({"slow": 1})["ok"] == 1
        version = client.hello()["topologyVersion"]
        client.command({"hello": 1, "topologyVersion": version, "maxAwaitTimeMS": 1000})


def test_a_client_that_is_slow_but_not_idle_stays(start_proxy, simulated):
    proxy = proxy_for(start_proxy, simulated, client_idle_timeout_ms=1000)
    message = op_msg({"ping": 1, "$db": "admin", "x": "y" * 10})
    with RawClient(proxy.endpoint()) as client:
        for at in range(0, len(message), 4):
            client.send(message[at:at + 4])
            time.sleep(0.1)
        assert client.receive().body["ok"] == 1


# --- slow peers

def test_client_that_does_not_read(start_proxy, simulated):
    """The client requests 300 MB of replies and does not read: the proxy stops reading from the server."""
    reply = {"_id": 1, "data": bytes(15_000_000)}
    simulated.handlers["find"] = lambda server, connection, request: cursor(request, [reply])
    proxy = proxy_for(start_proxy, simulated)
    where = proxy.endpoint()
    with RawClient(where, 60) as lazy, RawClient(where) as other:
        assert other.command({"ping": 1})["ok"] == 1
        before = proxy.resident_bytes()
        lazy.send(b"".join(op_msg({"find": "c", "$db": "d"}, request_id=i) for i in range(1, 21)))
        simulated.wait_for_request("find")
        most = 0
        for _ in range(40):
            most = max(most, proxy.resident_bytes() - before)
            assert other.command({"ping": 1})["ok"] == 1
            time.sleep(0.02)
        assert most < 24 * MEGABYTE
        for i in range(1, 21):
            answer = lazy.receive()
            assert answer.response_to == i
            assert len(answer.body["cursor"]["firstBatch"][0]["data"]) == 15_000_000
        assert proxy.resident_bytes() - before < 24 * MEGABYTE


def test_server_that_does_not_read(start_proxy, simulated):
    """The client's sending stops, and continues when the server reads again."""
    proxy = proxy_for(start_proxy, simulated)
    where = proxy.endpoint()
    message = op_msg({"insert": "c", "$db": "d"}, {"documents": [{"x": bytes(15_000_000)}]})
    with RawClient(where, 60) as eager, RawClient(where) as other:
        assert eager.command({"ping": 1})["ok"] == 1
        connection, _ = simulated.wait_for_request("ping")
        assert other.command({"ping": 1})["ok"] == 1
        simulated.call(connection.writer.transport.pause_reading)
        before = proxy.resident_bytes()
        data = memoryview(message * 4)
        sent = eager.send_until_stuck(data)
        assert proxy.resident_bytes() - before < 24 * MEGABYTE
        assert other.command({"ping": 1})["ok"] == 1
        simulated.call(connection.writer.transport.resume_reading)
        eager.send(data[sent:])
        for _ in range(4):
            assert eager.receive().body["n"] == 1


def test_descriptors_and_memory_come_back(start_proxy, simulated):
    proxy = proxy_for(start_proxy, simulated)
    where = proxy.endpoint()
    with RawClient(where) as client:
        client.command({"ping": 1})
    eventually(lambda: not simulated.open_connections("ping"), "the first client is gone")
    before = proxy.descriptors()
    for _ in range(5):
        clients = [RawClient(where) for _ in range(40)]
        for client in clients:
            client.send(op_msg({"ping": 1, "$db": "admin"}))
        for client in clients:
            assert client.receive().body["ok"] == 1
            client.__exit__()
    eventually(lambda: proxy.descriptors() <= before + MONITORS, "all descriptors are closed")
    proxy.wait_for_counter("clientsAccepted", 201)
    eventually(lambda: proxy.counter("clientsNow") == 0 and proxy.counter("bufferBytesNow") == 0,
               "no client and no buffer is left")
