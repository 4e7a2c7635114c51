"""Merging of inserts, message by message: which inserts are merged, and the reply to each client."""

import struct

import pytest
from bson import Int64, Timestamp
from support import wire
from support.inserts import codes, duplicate, lsid

pytestmark = pytest.mark.proxy_only


# --- a single client

@pytest.mark.parametrize("more", [{}, {"in_body": True}, {"flags": wire.CHECKSUM}, {"compressor": "zlib"}])
def test_alone_an_insert_goes_at_once_as_it_came(scene, more):
    client = scene.client(known=False)
    for number in range(3):
        message = client.insert(number, **more)
        arrived = scene.inserts.next()
        assert arrived.request.raw == message
        arrived.answer()
        reply = client.answered(message)
        assert reply.body == {"n": 1, "ok": 1.0}
        assert (reply.compressor, reply.checksum) == (arrived.request.compressor, arrived.request.checksum)


# --- merged inserts

def test_they_go_when_the_one_before_is_answered(scene):
    a, b, c = scene.clients(3)
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2), (c, 3))
    assert scene.inserts.none_waits()
    busy.answer()
    batch = scene.inserts.next()
    assert batch.ids == [1, 2, 3]
    assert batch.body["ordered"] is False and batch.request.compressor is None
    assert batch.number[0] not in {one.session.bytes for one in (a, b, c)}
    batch.answer(operationTime=Timestamp(7, 1))
    for client, message in zip((a, b, c), messages, strict=True):
        assert client.answered(message).body == {"n": 1, "ok": 1.0, "operationTime": Timestamp(7, 1)}
    assert scene.inserts.none_waits() and set(scene.inserts.stored) >= {1, 2, 3}


def test_it_travels_on_the_connection_of_one_of_them(scene):
    a, b = scene.clients(2)
    of_them = {one.connection for one in scene.inserts.all}
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2))
    busy.answer()
    batch = scene.inserts.next()
    assert batch.connection in of_them
    batch.answer()
    a.answered(messages[0])
    b.answered(messages[1])


def test_the_next_batch_has_the_next_number(scene):
    a, b = scene.clients(2)
    numbers = []
    for at in (1, 3, 5):
        busy = scene.busy()
        messages = scene.gather((a, at), (b, at + 1))
        busy.answer()
        batch = scene.inserts.next()
        numbers.append(batch.number)
        batch.answer()
        assert a.answered(messages[0]).body["n"] == b.answered(messages[1]).body["n"] == 1
    assert {session for session, _ in numbers} == {numbers[0][0]}
    assert [number for _, number in numbers] == [1, 2, 3]


def test_each_gets_its_own_errors_at_its_own_indexes(scene):
    a, b, c, d = scene.clients(4)
    busy = scene.busy()
    messages = scene.gather((a, 1, 1, 2), (b, 3), (c, 3, 4), (d, 4))
    busy.answer()
    batch = scene.inserts.next()
    assert batch.ids == [1, 1, 2, 3, 3, 4, 4]
    batch.answer()
    replies = [one.answered(message) for one, message in zip((a, b, c, d), messages, strict=True)]
    assert [one.body["n"] for one in replies] == [2, 1, 1, 0]
    assert [codes(one) for one in replies] == [[duplicate(1, 1)], [], [duplicate(0, 3)], [duplicate(0, 4)]]
    assert "writeErrors" not in replies[1].body


@pytest.mark.parametrize("more", [{"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out",
                                                         "errInfo": {"wtimeout": True}}},
                                  {"operationTime": Timestamp(5, 2), "opTime": {"ts": Timestamp(5, 2), "t": Int64(1)},
                                   "$clusterTime": {"clusterTime": Timestamp(5, 2)}},
                                  {"errorLabels": ["RetryableWriteError"],
                                   "writeConcernError": {"code": 91, "errmsg": "shutting down"}}])
def test_what_the_server_says_of_the_whole_command_is_said_to_each(scene, more):
    a, b = scene.clients(2)
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2))
    busy.answer()
    scene.inserts.next().answer(**more)
    for client, message in zip((a, b), messages, strict=True):
        assert client.answered(message).body == {"n": 1, "ok": 1.0, **more}


def test_a_failure_that_may_be_retried_is_told_to_each(scene):
    a, b = scene.clients(2)
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2))
    busy.answer()
    failure = {"ok": 0.0, "code": 10107, "codeName": "NotWritablePrimary", "errmsg": "not primary",
               "errorLabels": ["RetryableWriteError"]}
    scene.inserts.next().answer(failure)
    for client, message in zip((a, b), messages, strict=True):
        assert client.answered(message).body == failure


def test_a_command_that_the_server_refuses_goes_again_as_each_ones_own(scene):
    a, b = scene.clients(2)
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2))
    busy.answer()
    scene.inserts.next().answer({"ok": 0.0, "code": 13, "codeName": "Unauthorized", "errmsg": "not authorized"})
    own = [scene.inserts.next(), scene.inserts.next()]
    assert sorted(one.request.raw for one in own) == sorted(messages)
    for one in own:
        one.answer()
    assert a.answered(messages[0]).body == b.answered(messages[1]).body == {"n": 1, "ok": 1.0}


def test_a_reply_that_makes_no_sense_is_told_to_nobody(scene):
    a, b = scene.clients(2)
    busy = scene.busy()
    scene.gather((a, 1), (b, 2))
    busy.answer()
    scene.inserts.next().answer({"n": 7, "ok": 1.0})
    a.assert_closed()
    b.assert_closed()


def test_one_that_gathered_alone_goes_as_it_came(scene):
    a = scene.client()
    busy = scene.busy()
    (message,) = scene.gather((a, 1))
    busy.answer()
    arrived = scene.inserts.next()
    assert arrived.request.raw == message
    arrived.answer()
    assert a.answered(message).body["n"] == 1


@pytest.mark.parametrize("compressor", ["snappy", "zlib", "zstd"])
def test_the_reply_is_compressed_as_the_request_was(scene, compressor):
    a, b, c = scene.clients(3)
    busy = scene.busy()
    first = a.insert(1, compressor=compressor)
    scene.read_all()
    second = b.insert(2)
    third = c.insert(3, flags=wire.CHECKSUM, in_body=True)
    scene.read_all()
    busy.answer()
    batch = scene.inserts.next()
    assert batch.ids == [1, 2, 3] and batch.request.compressor is None and not batch.request.checksum
    batch.answer()
    assert a.answered(first).compressor == wire.COMPRESSORS[compressor]
    assert b.answered(second).compressor is None
    assert c.answered(third).compressor is None


@pytest.mark.parametrize("compressor", ["snappy", None])
def test_alone_after_all_it_is_compressed_as_it_came(scene, compressor):
    a = scene.client()
    busy = scene.busy()
    message = a.insert(1, compressor=compressor)
    scene.read_all()
    busy.answer()
    arrived = scene.inserts.next()
    assert arrived.request.compressor == (compressor and wire.COMPRESSORS[compressor]) and arrived.ids == [1]
    arrived.answer()
    a.answered(message)


# --- inserts that are not merged

EQUAL = [("comment", "one", "two"), ("comment", None, "two"), ("writeConcern", {"w": 1}, {"w": "majority"}),
         ("writeConcern", None, {"w": 1}), ("bypassDocumentValidation", True, None),
         ("apiVersion", "1", None), ("apiStrict", True, False), ("apiDeprecationErrors", True, None),
         ("insert", "c", "other"), ("$db", "d", "other")]


@pytest.mark.parametrize(("field", "one", "other"), EQUAL)
def test_never_merged_with_another_value_of(scene, field, one, other):
    a, b, c, d = scene.clients(4)
    holders = scene.clients(2)
    busy = []
    for holder, value in zip(holders, (one, other), strict=True):
        message = holder.insert(f"busy {value}", **{field: value})
        busy.append((holder, message, scene.inserts.next()))
    sent = []
    for client, number, value in ((a, 1, one), (b, 2, other), (c, 3, one), (d, 4, other)):
        sent.append((client, client.insert(number, **{field: value})))
        scene.read_all()
    assert scene.inserts.none_waits()
    for holder, message, arrived in busy:
        arrived.answer()
        holder.answered(message)
    batches = [scene.inserts.next(), scene.inserts.next()]
    assert sorted(batch.ids for batch in batches) == [[1, 3], [2, 4]]
    for batch in batches:
        value = one if batch.ids[0] == 1 else other
        assert batch.body.get(field) == value
        batch.answer()
    for client, message in sent:
        assert client.answered(message).body == {"n": 1, "ok": 1.0}


PARENT = "00-4bf92f3577b34da6a3ce929d0e0e473{}-00f067aa0ba902b7-01"


def traced(digit, **more):
    return {"traceparent": PARENT.format(digit), **more}


@pytest.mark.parametrize(("option", "comments", "merged"), [
    (None, [traced(1), traced(2, tracestate="a=1"), None], True),
    (None, [f"dddbs='shop',ddps='web',traceparent='{PARENT.format(1)}'", traced(2)], True),
    (None, [traced(1), traced(2, text="job")], False),
    ("never", [traced(1), traced(2)], False),
    ("always", ["one", {"x": 1}, None], True)])
def test_comments_that_are_left_out(start_merging, option, comments, merged):
    scene = start_merging({"merge.ignore_comment": option} if option else None)
    clients = scene.clients(len(comments))
    busy = scene.busy()
    sent = []
    for number, (client, comment) in enumerate(zip(clients, comments, strict=True)):
        sent.append((client, client.insert(number, comment=comment)))
        scene.read_all()
    busy.answer()
    if merged:
        batch = scene.inserts.next()
        assert batch.ids == list(range(len(comments))) and "comment" not in batch.body
        batch.answer()
    else:
        arrived = {one.ids[0]: one for one in (scene.inserts.next() for _ in comments)}
        for number, comment in enumerate(comments):
            assert arrived[number].ids == [number] and arrived[number].body["comment"] == comment
            arrived[number].answer()
    for client, message in sent:
        assert client.answered(message).body == {"n": 1, "ok": 1.0}


def test_an_insert_that_goes_alone_keeps_its_comment(scene):
    client = scene.client()
    message = client.insert(1, comment=traced(1))
    arrived = scene.inserts.next()
    assert arrived.request.raw == message
    arrived.answer()
    client.answered(message)


def test_never_merged_with_and_without_a_number(scene):
    a, b = scene.clients(2)
    c, d = (scene.client(retryable=False) for _ in range(2))
    busy = scene.busy()
    plain = scene.busy(scene.client(retryable=False))
    messages = scene.gather((a, 1), (c, 2), (b, 3), (d, 4))
    busy.answer()
    assert scene.inserts.next().ids == [1, 3]
    plain.answer()
    batch = scene.inserts.next()
    assert batch.ids == [2, 4] and "lsid" not in batch.body and "txnNumber" not in batch.body
    for one in scene.inserts.all[-2:]:
        one.answer()
    for client, message in zip((a, c, b, d), messages, strict=True):
        assert client.answered(message).body["n"] == 1


ALONE = [{"maxTimeMS": 1000}, {"readConcern": {"level": "majority"}}, {"let": {"x": 1}}, {"stmtId": 1},
         {"unknownField": 1}, {"$readPreference": {"mode": "secondary"}}, {"encryptionInformation": {"x": 1}},
         {"shardVersion": {"x": 1}}, {"databaseVersion": {"x": 1}}, {"writeConcern": {"w": 0}},
         {"ordered": True, "documents": [{"_id": 1}, {"_id": 2}]}, {"documents": [{"a": 1}]},
         {"documents": [{"_id": 1, "a": "x" * 300_000}]}, {"documents": [{"_id": n} for n in range(101)]},
         {"$db": "admin"}, {"insert": "system.x"}]


@pytest.mark.parametrize("fields", ALONE, ids=[" ".join(one) + f" {at}" for at, one in enumerate(ALONE)])
def test_not_merged_it_goes_at_once_as_it_came(start_merging, fields):
    scene = start_merging({"merge.max_docs": 100, "merge.max_bytes": 200_000})
    a = scene.client()
    busy = scene.busy()
    message = a.insert(1, **fields)
    arrived = scene.inserts.next()
    assert arrived.request.raw == message
    arrived.answer({"n": 1, "ok": 1.0})
    assert a.answered(message).body == {"n": 1, "ok": 1.0}
    busy.answer()


def test_not_merged_in_a_transaction(scene):
    a = scene.client()
    busy = scene.busy()
    message = a.insert(1, startTransaction=True, autocommit=False)
    arrived = scene.inserts.next()
    assert arrived.request.raw == message
    arrived.answer()
    a.answered(message)
    end = a.command({"commitTransaction": 1, "lsid": lsid(a.session), "txnNumber": Int64(a.number),
                     "autocommit": False})
    assert end["ok"] == 1
    busy.answer()


def test_not_merged_when_nobody_waits_for_it(scene):
    a = scene.client()
    busy = scene.busy()
    message = a.insert(1, flags=wire.MORE_TO_COME, writeConcern={"w": 0})
    assert scene.inserts.next().request.raw == message
    assert a.command({"ping": 1})["ok"] == 1
    busy.answer()


def test_the_first_of_a_session_goes_as_it_came(scene):
    busy = scene.busy()
    client = scene.client(known=False)
    message = client.insert(1)
    arrived = scene.inserts.next()
    assert arrived.request.raw == message
    arrived.answer()
    client.answered(message)
    (second,) = scene.gather((client, 2))
    assert scene.inserts.none_waits()
    busy.answer()
    scene.inserts.next().answer()
    client.answered(second)


def test_malformed_documents_are_not_merged(scene):
    a, b, c = scene.clients(3)
    busy = scene.busy()
    (good,) = scene.gather((a, 1))
    body = {"insert": "c", "$db": "d", "ordered": True, "lsid": lsid(b.session), "txnNumber": Int64(2)}
    broken = struct.pack("<i", 14) + b"\x10_id\0\1\0\0\0\1"  # its last byte is not 0
    inner = b"documents\0" + broken
    b.send(wire.op_msg_of(wire.body_section(body) + b"\1" + struct.pack("<i", len(inner) + 4) + inner))
    scene.read_all()
    busy.answer()
    assert scene.server.malformed  # it passed unchanged and alone
    arrived = scene.inserts.next()
    assert arrived.request.raw == good
    arrived.answer()
    assert a.answered(good).body["n"] == 1
