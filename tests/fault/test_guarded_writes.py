"""Peers that vanish, draining and small memory while the proxy checks, replaces or answers a write: no client
receives a wrong answer, and no memory or connection remains."""

import asyncio
import select
import signal
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from bson import Int64
from support import wire
from support.process import eventually
from support.scenes import begin_transaction
from support.simulated import Hangup, SimulatedServer
from support.wire import RawClient, op_msg
from test_vanishing import close, reset, shut_writing

pytestmark = pytest.mark.proxy_only
GOOD = {"name": "Ada", "age": 36}
MEGABYTE = 1024 * 1024


def good(number, **more):
    return {"_id": number, **GOOD, **more}


def bad(number, **more):
    return {"_id": number, "age": 36, **more}


def insert(documents, ordered=False, **more):
    body = {"insert": "c", "$db": "d", "ordered": ordered, **more.pop("body", {})}
    return op_msg(body, {"documents": documents}, **more)


async def _never(server, connection, request):
    await asyncio.Event().wait()


def no_buffer_left(proxy):
    eventually(lambda: proxy.counter("clientsNow") == 0 and proxy.counter("bufferBytesNow") == 0,
               "no client and no buffer is left")


# --- the client vanishes

@pytest.mark.parametrize("leave", [close, reset, shut_writing])
def test_client_leaves_while_a_replaced_write_is_under_way(simulated, simulated_guard, leave):
    simulated.handlers["insert"] = _never
    proxy = simulated_guard()
    with RawClient(proxy.endpoint()) as client:
        client.send(insert([good(0), bad(1)]))
        connection, request = simulated.wait_for_request("insert")
        assert len(request.sequences["documents"]) == 1
        leave(client)
        simulated.wait_for(lambda: connection.closed, "the connection to the server ends")
    no_buffer_left(proxy)


@pytest.mark.parametrize("leave", [close, reset, shut_writing])
def test_client_leaves_while_its_transaction_is_aborted(simulated, simulated_guard, leave):
    simulated.handlers["abortTransaction"] = _never
    proxy = simulated_guard()
    with RawClient(proxy.endpoint()) as client:
        lsid = begin_transaction_in(client)
        client.send(insert([bad(1)], body=statement(lsid)))
        connection, _ = simulated.wait_for_request("abortTransaction")
        leave(client)
        simulated.wait_for(lambda: connection.closed, "the connection to the server ends")
    no_buffer_left(proxy)


@pytest.mark.parametrize("leave", [close, reset])
def test_client_leaves_in_the_middle_of_a_guarded_write(simulated, simulated_guard, leave):
    proxy = simulated_guard()
    message = insert([good(i, x="y" * 1_000_000) for i in range(4)])
    with RawClient(proxy.endpoint()) as client:
        client.command({"ping": 1})
        connection, _ = simulated.wait_for_request("ping")
        client.send(message[:2_500_000])
        leave(client)
        simulated.wait_for(lambda: connection.closed, "the connection to the server ends")
    assert not simulated.requests("insert")
    no_buffer_left(proxy)


@pytest.mark.parametrize("leave", [close, shut_writing])
def test_last_words_without_acknowledgement_are_still_sent(simulated, simulated_guard, leave):
    """The valid part of a w:0 write is stored, from a client that closes at once."""
    endpoint = simulated_guard().endpoint()
    for number in range(10):
        with RawClient(endpoint) as client:
            client.command({"ping": 1})
            client.send(insert([bad(0), good(number)], body={"writeConcern": {"w": 0}},
                               flags=wire.MORE_TO_COME))
            leave(client)
    simulated.wait_for(lambda: len(simulated.requests("insert")) == 10, "all ten arrive")


# --- the server vanishes

def begin_transaction_in(client):
    return begin_transaction(client)


def statement(lsid):
    return {"lsid": lsid, "txnNumber": Int64(1), "autocommit": False}


def _hang_up(server, connection, request):
    raise Hangup


def test_server_dies_under_a_replaced_write(simulated, simulated_guard):
    """The client sees a closed connection and no result, because the outcome is unknown."""
    simulated.handlers["insert"] = _hang_up
    with RawClient(simulated_guard().endpoint()) as client:
        client.command({"ping": 1})
        client.send(insert([good(0), bad(1)]))
        client.assert_closed()


def test_server_dies_in_the_middle_of_its_reply(simulated, simulated_guard):
    def half(server, connection, request):
        whole = op_msg({"n": 1, "ok": 1.0, "text": "x" * 1000}, response_to=request.request_id)
        connection.writer.write(whole[:500])
        server._loop.call_later(0.1, connection.writer.close)
    simulated.handlers["insert"] = half
    with RawClient(simulated_guard().endpoint()) as client:
        client.send(insert([good(0), bad(1)]))
        client.assert_closed()


def test_server_dies_while_a_transaction_is_aborted(simulated, simulated_guard):
    simulated.handlers["abortTransaction"] = _hang_up
    with RawClient(simulated_guard().endpoint()) as client:
        lsid = begin_transaction(client)
        client.send(insert([bad(1)], body=statement(lsid)))
        client.assert_closed()


def test_server_is_not_there_for_a_replaced_write(start_proxy, folder):
    folder.write("d.c")
    with SimulatedServer() as server:
        proxy = start_proxy(f"mongodb://{server.address}/", {"schemas": folder.path})
        with RawClient(proxy.endpoint()) as client:
            assert client.hello()["ok"] == 1
        server.stop()
    with RawClient(proxy.endpoint()) as client:
        # the proxy answers without a server if it needs none
        assert client.ask(insert([bad(1)])).body["writeErrors"][0]["code"] == 121
        client.send(insert([good(0), bad(1)], body={"lsid": {"id": 1}, "txnNumber": Int64(1)}))
        (reply,) = client.last_words()
        assert reply.body["ok"] == 0 and reply.body["errorLabels"] == ["RetryableWriteError"]


@pytest.mark.parametrize("response_to", [0, 12345])
def test_server_answers_something_else(simulated, simulated_guard, response_to):
    simulated.handlers["insert"] = lambda *_: op_msg({"n": 1, "ok": 1.0}, response_to=response_to)
    with RawClient(simulated_guard().endpoint()) as client:
        client.send(insert([good(0), bad(1)]))
        (reply,) = client.last_words()
        assert reply.body["ok"] == 0 and reply.body["code"]


def test_server_sends_one_reply_more(simulated, simulated_guard):
    simulated.handlers["insert"] = lambda server, connection, request: (
        op_msg({"n": 1, "ok": 1.0}, response_to=request.request_id) * 2)
    with RawClient(simulated_guard().endpoint()) as client:
        client.send(insert([good(0), bad(1)]))
        words = client.last_words()
        assert words[0].body["n"] == 1 and words[0].body["writeErrors"][0]["index"] == 1


def test_a_transaction_whose_abort_fails(simulated, simulated_guard):
    """The client receives the error of its document: the transaction is aborted in any case."""
    simulated.handlers["abortTransaction"] = lambda *_: {
        "ok": 0.0, "code": 251, "codeName": "NoSuchTransaction", "errmsg": "gone"}
    with RawClient(simulated_guard().endpoint()) as client:
        lsid = begin_transaction(client)
        reply = client.ask(insert([bad(1)], body=statement(lsid)))
        assert reply.body["writeErrors"][0]["code"] == 121
        assert client.command({"ping": 1})["ok"] == 1


# --- draining

def test_draining_waits_for_a_replaced_write(simulated, simulated_guard):
    release = asyncio.Event()

    async def later(server, connection, request):
        await release.wait()
        return {"n": 1, "ok": 1.0}
    simulated.handlers["insert"] = later
    proxy = simulated_guard()
    with RawClient(proxy.endpoint()) as client:
        client.send(insert([good(0), bad(1)]))
        simulated.wait_for_request("insert")
        proxy.process.send(signal.SIGTERM)
        proxy.wait_for_text("drain")
        time.sleep(0.3)
        simulated.call(release.set)
        reply = client.receive()
        assert reply.body["n"] == 1 and reply.body["writeErrors"][0]["index"] == 1
        client.assert_closed()


def test_draining_waits_for_a_write_that_is_still_coming(simulated, simulated_guard):
    proxy = simulated_guard()
    message = insert([good(0, x="y" * 300_000), bad(1)])
    with RawClient(proxy.endpoint()) as client:
        client.command({"ping": 1})
        client.send(message[:200_000])
        client.until_read()
        proxy.process.send(signal.SIGTERM)
        proxy.wait_for_text("drain")
        client.send(message[200_000:])
        assert client.receive().body["n"] == 1
        client.assert_closed()


def test_a_refused_first_statement_leaves_no_transaction_to_wait_for(simulated, simulated_guard):
    proxy = simulated_guard()
    with RawClient(proxy.endpoint()) as client:
        body = {"lsid": {"id": begin_transaction(client)["id"]}}
        client.command({"commitTransaction": 1, "lsid": body["lsid"], "txnNumber": Int64(1),
                        "autocommit": False})
        reply = client.ask(insert([bad(1)], body={**statement(body["lsid"]), "txnNumber": Int64(2),
                                                  "startTransaction": True}))
        assert reply.body["writeErrors"][0]["code"] == 121
        proxy.process.send(signal.SIGTERM)
        client.assert_closed()


# --- memory

def test_everyone_gets_through_a_small_memory_max(simulated, simulated_guard):
    """Twenty clients with a write of 900 kB each and room for two: each is served, or refused by name
    without a word of it reaching the server, and served when it comes again."""
    proxy = simulated_guard(options={"memory_max": "3MiB", "max_message_bytes": "1MiB"})
    where = proxy.endpoint()
    message = insert([good(0, x=bytes(900_000)), bad(1)])

    def write(_):
        for attempt in range(400):
            with RawClient(where) as client:
                reply = client.ask(message).body
            if reply["ok"] == 1:
                return reply["n"], [one["index"] for one in reply["writeErrors"]]
            assert reply["codeName"] == "ExceededMemoryLimit" and "memory_max" in reply["errmsg"]
            time.sleep(0.01 * (attempt % 7))
        return reply

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(write, range(20))) == [(1, [1])] * 20
    assert len(simulated.requests("insert")) == 20
    no_buffer_left(proxy)


def test_a_client_that_reads_no_refusals(simulated, simulated_guard):
    """Each is answered with 400 kB of errInfo, and nobody reads: the proxy stops reading, stays small,
    and goes on when the client does."""
    proxy = simulated_guard()
    where = proxy.endpoint()
    message = insert([bad(0, name=5, x=0)] + [{"_id": 1, "age": "x" * 400_000, "name": "n"}])
    count = 200
    with RawClient(where, 60) as lazy, RawClient(where) as other:
        assert other.command({"ping": 1})["ok"] == 1
        before = proxy.resident_bytes()
        data = memoryview(message * count)
        sent = lazy.send_until_stuck(data)
        assert proxy.resident_bytes() - before < 40 * MEGABYTE
        assert other.command({"ping": 1})["ok"] == 1
        with ThreadPoolExecutor(1) as pool:
            rest = pool.submit(lazy.send, data[sent:])
            for _ in range(count):
                assert len(lazy.receive().body["writeErrors"]) == 2
            rest.result()
    no_buffer_left(proxy)


def test_details_of_refusals_count_as_memory(simulated, simulated_guard):
    """Clients whose replaced writes are under way, each with some MB of errInfo to be told: what would
    pass memory_max is refused by name, and the process stays small."""
    simulated.handlers["insert"] = _never
    proxy = simulated_guard(options={"memory_max": "64MiB"})
    where = proxy.endpoint()
    message = insert([good(0)] + [{"_id": i, "name": "n", "age": "x" * 1_000_000}
                                  for i in range(1, 5)])
    with RawClient(where) as client:
        client.command({"ping": 1})
    before = proxy.resident_bytes()
    clients = [RawClient(where, 60) for _ in range(40)]
    try:
        for client in clients:
            client.send(message)

        def refused():
            return select.select([client.socket for client in clients], [], [], 0)[0]
        eventually(lambda: len(refused()) + len(simulated.requests("insert")) == len(clients),
                   "each is refused, or sent on")
        assert 10 < len(refused()) < 40
        assert proxy.resident_bytes() - before < 100 * MEGABYTE
        for client in clients:
            if client.socket in refused():
                reply = client.receive().body
                assert reply["codeName"] == "ExceededMemoryLimit" and "memory_max" in reply["errmsg"]
    finally:
        for client in clients:
            client.__exit__()
    no_buffer_left(proxy)


def test_a_cut_checksum_of_a_guarded_write(simulated, simulated_guard):
    """The proxy does not rewrite a message whose checksum is wrong."""
    message = bytearray(insert([good(0), bad(1)], flags=wire.CHECKSUM))
    at = bytes(message).index(b"Ada")
    message[at:at + 3] = b"Eve"
    with RawClient(simulated_guard().endpoint()) as client:
        client.send(bytes(message))
        words = client.last_words()
        assert len(words) <= 1 and all(one.body["ok"] == 0 for one in words)
    assert not simulated.requests("insert")
    assert struct.unpack("<i", message[:4])[0] == len(message)
