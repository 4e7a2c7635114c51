"""Merging and retryable writes: each insert is executed once, whatever is lost on the way."""

import asyncio
import time

import pytest
from support import wire
from support.inserts import Inserter, codes, duplicate, lsid
from support.process import eventually
from support.proxy import CLOSED_BY_ERROR
from support.wire import RawClient, op_msg

pytestmark = pytest.mark.proxy_only


# --- the upstream connection is lost

@pytest.mark.parametrize("run", [False, True], ids=["before it was run", "after it was run"])
def test_a_batch_is_sent_once_more_under_the_same_number(scene, run):
    clients = scene.clients(3)
    connections = {one.connection for one in scene.inserts.all[-3:]}
    busy = scene.busy()
    messages = scene.gather(*((one, at) for at, one in enumerate(clients)))
    busy.answer()
    first = scene.inserts.next()
    first.cut(run=run)
    second = scene.inserts.next()
    assert second.ids == first.ids and second.number == first.number
    assert second.connection is not first.connection and second.connection in connections
    second.answer()
    closed = 0
    for client, message in zip(clients, messages, strict=True):
        try:
            assert client.answered(message).body == {"n": 1, "ok": 1.0}
        except ConnectionResetError:
            closed += 1
            again = scene.open(Inserter(scene.proxy.endpoint(), session=client.session))
            again.send(message)  # a driver's retry; it receives the same answer, and the proxy sends nothing
            assert again.answered(message).body == {"n": 1, "ok": 1.0}
    assert closed == 1  # the client whose connection it was
    assert scene.inserts.none_waits()
    assert all(scene.inserts.stored[at] == 1 for at in range(3))


def retried(scene, client, message):
    again = scene.open(Inserter(scene.proxy.endpoint(), session=client.session))
    again.send(message)
    return again


@pytest.mark.parametrize("run", [False, True], ids=["before it was run", "after it was run"])
def test_a_batch_that_is_lost_twice_is_retried_by_each_under_its_number(scene, run):
    a, b, c = scene.clients(3)
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2, 3), (c, 4))
    busy.answer()
    first = scene.inserts.next()
    first.cut(run=run)
    scene.inserts.next().cut(run=False)
    for client in (a, b, c):
        client.assert_closed()
    for client, message, statements in zip((c, b, a), reversed(messages), ([3], [1, 2], [0]), strict=True):
        again = retried(scene, client, message)
        for statement in statements:
            arrived = scene.inserts.next()
            assert arrived.number == first.number and arrived.body["stmtIds"] == [statement]
            arrived.answer()
        assert again.answered(message).body == {"n": len(statements), "ok": 1.0}
    assert {1, 2, 3, 4} <= set(scene.inserts.stored)
    # the proxy never uses that number for another batch
    busy = scene.busy()
    again = scene.clients(2)
    messages = scene.gather((again[0], 5), (again[1], 6))
    busy.answer()
    batch = scene.inserts.next()
    assert batch.number[0] != first.number[0]
    batch.answer()
    for client, message in zip(again, messages, strict=True):
        client.answered(message)


def test_a_retry_of_what_is_stalled_for_long_goes_by_itself(start_merging):
    """Its connection is dead but not closed: the retry need not wait until the proxy detects it."""
    scene = start_merging({"merge.stalled_after_ms": 100})
    a, b, c = scene.clients(3)
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2), (c, 3))
    busy.answer()
    stuck = scene.inserts.next()
    assert stuck.ids == [1, 2, 3]
    a.socket.close()
    again = retried(scene, a, messages[0])
    alone = scene.inserts.next()
    assert alone.ids == [1] and alone.number == stuck.number and alone.body["stmtIds"] == [0]
    assert alone.connection is not stuck.connection
    alone.answer()
    assert again.answered(messages[0]).body == {"n": 1, "ok": 1.0}
    stuck.answer()  # the connection was alive after all
    for client, message in ((b, messages[1]), (c, messages[2])):
        assert client.answered(message).body == {"n": 1, "ok": 1.0}
    assert all(scene.inserts.stored[at] == 1 for at in (1, 2, 3))


def test_without_a_number_nothing_is_sent_twice(scene):
    clients = [scene.client(retryable=False) for _ in range(3)]
    busy = scene.busy(scene.client(retryable=False))
    scene.gather(*((one, at) for at, one in enumerate(clients)))
    busy.answer()
    scene.inserts.next().cut(run=True)
    for client in clients:
        client.assert_closed()
    scene.read_all()
    assert scene.inserts.none_waits()


def test_when_the_server_is_away_all_see_it(scene):
    """Connections that are never established carry nothing, and no client waits for ever."""
    fresh = [scene.client(retryable=False, hello=False) for _ in range(3)]
    busy = scene.busy(scene.client(retryable=False))
    scene.gather(*((one, at) for at, one in enumerate(fresh)))
    scene.server.stop()
    busy.client.assert_closed()
    told = 0
    for client in fresh:
        for reply in client.last_words():
            assert reply.body["ok"] == 0 and "cannot reach" in reply.body["errmsg"]
            told += 1
    assert told <= 1
    scene.server.start()
    scene.busy(scene.client(retryable=False)).answer()


def test_the_server_goes_while_a_batch_is_on_its_way(scene):
    clients = scene.clients(3)
    busy = scene.busy()
    messages = scene.gather(*((one, at) for at, one in enumerate(clients)))
    busy.answer()
    batch = scene.inserts.next()
    scene.inserts.run(batch)
    scene.server.stop()
    for client in clients:
        for reply in client.last_words():
            assert reply.body["ok"] == 0 and "RetryableWriteError" in reply.body["errorLabels"]
    scene.server.start()
    for client, message in zip(clients, messages, strict=True):
        again = retried(scene, client, message)
        arrived = scene.inserts.next()
        assert arrived.number == batch.number
        arrived.answer()
        assert again.answered(message).body == {"n": 1, "ok": 1.0}


# --- retries

def test_a_retry_of_one_that_waits_gets_its_answer(scene):
    (a, b), messages, batch = scene.on_its_way()
    again = retried(scene, a, messages[0])
    scene.read_all()
    assert scene.inserts.none_waits()
    batch.answer()
    assert again.answered(messages[0]).body == a.answered(messages[0]).body == {"n": 1, "ok": 1.0}
    assert b.answered(messages[1]).body["n"] == 1
    assert again.command({"ping": 1})["ok"] == 1
    assert scene.inserts.none_waits()


def test_a_retry_of_one_that_never_went_goes_instead(scene):
    a, b = scene.clients(2)
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2))
    again = retried(scene, a, messages[0])
    again_ping = op_msg({"ping": 1, "$db": "d"})
    again.send(again_ping)
    scene.read_all()
    a.socket.close()
    scene.proxy.wait_for_counter("clientsVanishedInCommand", 1)
    busy.answer()
    seen = []
    while sorted(seen) != [1, 2]:
        arrived = scene.inserts.next()
        seen += arrived.ids
        arrived.answer()
    assert again.answered(messages[0]).body == {"n": 1, "ok": 1.0}
    assert again.answered(again_ping).body == {"ok": 1.0}
    assert b.answered(messages[1]).body["n"] == 1


def test_a_retry_whose_first_try_is_lost_while_it_waits(scene):
    (a, b), messages, batch = scene.on_its_way()
    again = retried(scene, a, messages[0])
    scene.read_all()
    batch.cut(run=True)
    scene.inserts.next().cut(run=False)
    arrived = scene.inserts.next()
    assert arrived.number == batch.number and arrived.body["stmtIds"] == [0]
    arrived.answer()
    assert again.answered(messages[0]).body == {"n": 1, "ok": 1.0}
    assert again.command({"ping": 1})["ok"] == 1


def test_a_retry_starts_anew_while_the_proxy_asks_about_a_write_before_it(start_merging):
    """In shared mode the proxy asks the server something after a w:0 write, for the order. The retry does not go
    before the answer, and it goes then."""
    scene = start_merging({"pool.mode": "shared"})
    (a, b), messages, batch = scene.on_its_way()
    asked, open_question = [], asyncio.Event()

    async def answer(*_):
        asked.append(True)
        await open_question.wait()
        return {"authInfo": {"authenticatedUsers": []}, "ok": 1.0}

    scene.server.handlers["connectionStatus"] = answer
    again = scene.open(Inserter(scene.proxy.endpoint(), session=a.session))
    again.send(again.message("silent", lsid=None, flags=wire.MORE_TO_COME, writeConcern={"w": 0}) + messages[0])
    assert scene.inserts.next().ids == ["silent"]
    eventually(lambda: asked, "the proxy asks")
    batch.cut(run=True)
    scene.inserts.next().cut(run=False)
    for client in (a, b):
        client.assert_closed()
    time.sleep(0.3)  # three looks of the proxy at waiting retries
    assert scene.inserts.none_waits()
    scene.server.call(open_question.set)
    arrived = scene.inserts.next()
    assert arrived.number == batch.number and arrived.body["stmtIds"] == [0]
    arrived.answer()
    assert again.answered(messages[0]).body == {"n": 1, "ok": 1.0}
    assert again.command({"ping": 1})["ok"] == 1


def test_a_retry_leaves_while_it_waits(scene):
    (a, b), messages, batch = scene.on_its_way()
    again = retried(scene, a, messages[0])
    scene.read_all()
    again.socket.close()
    scene.proxy.wait_for_counter("clientsVanishedInCommand", 1)
    batch.answer()
    assert a.answered(messages[0]).body["n"] == b.answered(messages[1]).body["n"] == 1


def merged_pair(scene, a, b, ids):
    busy = scene.busy()
    messages = scene.gather((a, ids[0]), (b, ids[1]))
    busy.answer()
    batch = scene.inserts.next()
    assert batch.ids == list(ids)
    batch.answer()
    return messages, [a.answered(messages[0]), b.answered(messages[1])]


def test_a_retry_after_the_answer_gets_it_again(scene):
    a, b = scene.clients(2)
    scene.inserts.stored[1] = 1
    messages, replies = merged_pair(scene, a, b, (1, 2))
    assert codes(replies[0]) == [duplicate(0, 1)]
    for client, message, reply in zip((a, b), messages, replies, strict=True):
        for _ in range(2):
            again = retried(scene, client, message)
            assert again.answered(message).body == reply.body
            assert again.command({"ping": 1})["ok"] == 1
    assert scene.inserts.none_waits()


@pytest.mark.parametrize("compressor", ["zlib", None])
def test_a_retry_that_goes_under_the_batchs_number_is_answered_as_it_came(scene, compressor):
    a, b = scene.clients(2)
    busy = scene.busy()
    message = a.insert(1, compressor=compressor)
    scene.read_all()
    scene.gather((b, 2))
    busy.answer()
    scene.inserts.next().answer(writeConcernError={"code": 91, "errmsg": "shutting down"},
                                errorLabels=["RetryableWriteError"])
    assert a.answered(message).body["errorLabels"] == ["RetryableWriteError"]
    a.send(message)
    arrived = scene.inserts.next()
    assert arrived.body["stmtIds"] == [0]
    arrived.answer(retriedStmtIds=[0])
    reply = a.answered(message)
    assert reply.body == {"n": 1, "ok": 1.0, "retriedStmtIds": [0]}
    assert reply.compressor == (compressor and wire.COMPRESSORS[compressor])
    assert a.command({"ping": 1})["ok"] == 1


def test_a_retry_whose_resending_is_lost_is_sent_again_under_the_same_number(scene):
    (a, b), messages, batch = scene.on_its_way()
    batch.cut(run=True)
    scene.inserts.next().cut(run=False)
    again = retried(scene, a, messages[0])
    scene.inserts.next().cut(run=False)
    again.assert_closed()
    again = retried(scene, a, messages[0])
    arrived = scene.inserts.next()
    assert arrived.number == batch.number and arrived.body["stmtIds"] == [0]
    arrived.answer()
    assert again.answered(messages[0]).body == {"n": 1, "ok": 1.0}


def test_a_retry_of_one_that_went_as_it_came_goes_as_it_came(scene):
    client = scene.client()
    busy = scene.busy(client)
    busy.arrived.cut(run=True)
    client.assert_closed()
    other = scene.busy()
    again = retried(scene, client, busy.message)
    arrived = scene.inserts.next()
    assert arrived.request.raw == busy.message
    arrived.answer()
    assert again.answered(busy.message).body == {"n": 1, "ok": 1.0}
    other.answer()


def test_an_older_number_than_one_that_was_merged_is_too_old(scene):
    a, b = scene.clients(2)
    old = a.message("older", again=True)  # the number of its first insert
    merged_pair(scene, a, b, (1, 2))
    a.send(old)
    reply = a.answered(old).body
    assert (reply["ok"], reply["code"]) == (0, 225)
    assert a.command({"ping": 1})["ok"] == 1
    assert "older" not in scene.inserts.stored


@pytest.mark.parametrize("command", ["endSessions", "killSessions", "killAllSessions", "killAllSessionsByPattern"])
def test_what_is_known_of_a_session_goes_with_it(scene, command):
    a, b = scene.clients(2)
    messages, _ = merged_pair(scene, a, b, (1, 2))
    scene.server.handlers[command] = lambda *_: {"ok": 1.0}
    assert a.command({command: [lsid(a.session)]})["ok"] == 1
    a.send(messages[0])
    arrived = scene.inserts.next()
    assert arrived.request.raw == messages[0]
    arrived.answer({"n": 1, "ok": 1.0})
    assert a.answered(messages[0]).body["n"] == 1
    if "All" not in command:
        b.send(messages[1])
        assert b.answered(messages[1]).body["n"] == 1


@pytest.mark.parametrize("command", ["killAllSessions", "killAllSessionsByPattern"])
def test_who_may_not_end_all_sessions_ends_none(scene, command):
    a, b = scene.clients(2)
    messages, _ = merged_pair(scene, a, b, (1, 2))
    scene.server.handlers[command] = lambda *_: {"ok": 0.0, "code": 13, "errmsg": "not authorized"}
    with RawClient(scene.proxy.endpoint()) as other:
        assert other.command({command: []})["code"] == 13
    a.send(messages[0])
    assert a.answered(messages[0]).body["n"] == 1
    assert scene.inserts.none_waits()


def test_retries_on_any_worker(start_merging):
    scene = start_merging({"threads": 2})
    clients = scene.clients(6)
    messages = scene.gather(*((one, at) for at, one in enumerate(clients)))
    at_once = [scene.inserts.next() for _ in range(2)]  # one of each worker; the others wait for a batch behind them
    assert scene.inserts.none_waits()
    for arrived in at_once:
        arrived.answer()
    batches = [scene.inserts.next() for _ in range(2)]
    ids = batches[0].ids + batches[1].ids
    again = [(at, retried(scene, clients[at], messages[at])) for at in ids for _ in range(3)]
    scene.read_all()
    assert scene.inserts.none_waits()
    for batch in batches:
        batch.answer()
    for at, retry in again:
        assert retry.answered(messages[at]).body == {"n": 1, "ok": 1.0}
        assert retry.command({"ping": 1})["ok"] == 1
    for client, message in zip(clients, messages, strict=True):
        assert client.answered(message).body == {"n": 1, "ok": 1.0}
    assert scene.inserts.none_waits()


def test_no_connection_is_closed_for_an_error(scene):
    a, b = scene.clients(2)
    merged_pair(scene, a, b, (1, 2))
    assert not [one for one in scene.proxy.records() if one["id"] == CLOSED_BY_ERROR]
    scene.proxy.wait_for_counter("mergedBatches", 1)
