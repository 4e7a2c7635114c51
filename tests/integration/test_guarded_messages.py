"""Writes to a namespace with a schema, message by message: every form that the protocol allows, malformed messages,
and the messages that a simulated server received."""

import struct

import bson
import pytest
from bson import Int64
from support import wire
from support.process import eventually
from support.wire import RawClient, op_msg, op_msg_of

pytestmark = pytest.mark.proxy_only
GOOD = {"name": "Ada", "age": 36}
BAD = {"name": "", "age": 36}
INVALID_BSON, OVERFLOW, REFUSED = 22, 15, 121


def good(number):
    return {"_id": number, **GOOD}


def bad(number):
    return {"_id": number, **BAD}


def insert(documents, ordered=True, **more):
    return op_msg({"insert": "c", "$db": "d", "ordered": ordered}, {"documents": documents}, **more)


def arrived(simulated):
    """Returns the _ids of each insert that the server received."""
    return [[one["_id"] for one in request.sequences.get("documents",
                                                          request.body.get("documents", []))]
            for request in simulated.requests("insert")]


def codes(reply):
    return [(one["index"], one["code"]) for one in reply.body.get("writeErrors", [])]


# --- forms

def forms():
    body = {"insert": "c", "$db": "d", "ordered": False}
    documents = [good(0), bad(1), good(2)]
    yield "sequence", op_msg(body, {"documents": documents})
    yield "sequence first", op_msg(body, {"documents": documents}, sequences_first=True)
    yield "in the body", op_msg({**body, "documents": documents})
    yield "in the middle of the body", op_msg({"insert": "c", "documents": documents,
                                               "ordered": False, "$db": "d"})
    yield "checksum", op_msg(body, {"documents": documents}, flags=wire.CHECKSUM)
    yield "checksum, sequence first", op_msg(body, {"documents": documents}, flags=wire.CHECKSUM,
                                             sequences_first=True)
    for name in wire.COMPRESSORS:
        yield name, wire.compress(op_msg(body, {"documents": documents}), name)
    yield "compressed with a checksum", wire.compress(
        op_msg(body, {"documents": documents}, flags=wire.CHECKSUM), "zlib")


@pytest.mark.parametrize("message", [m for _, m in forms()], ids=[n for n, _ in forms()])
def test_every_form_of_an_insert(simulated, simulated_guard, message):
    with RawClient(simulated_guard().endpoint()) as client:
        reply = client.ask(message)
        assert reply.response_to == struct.unpack("<i", message[4:8])[0]
        assert codes(reply) == [(1, REFUSED)] and reply.body["n"] == 2
        assert arrived(simulated) == [[0, 2]]
        (request,) = simulated.requests("insert")
        assert not request.checksum and request.body["ordered"] is False
        assert client.command({"ping": 1})["ok"] == 1
    assert not simulated.malformed


@pytest.mark.parametrize("message", [m for _, m in forms()], ids=[n for n, _ in forms()])
def test_any_form_in_pieces(simulated, simulated_guard, message):
    with RawClient(simulated_guard().endpoint()) as client:
        for at in range(0, len(message), 7):
            client.send(message[at:at + 7])
        assert codes(client.receive()) == [(1, REFUSED)]
        assert arrived(simulated) == [[0, 2]]


@pytest.mark.parametrize("flags", [0, wire.CHECKSUM])
def test_what_is_good_goes_as_it_came(simulated, simulated_guard, flags):
    message = insert([good(0), good(1)], flags=flags, sequences_first=True)
    with RawClient(simulated_guard().endpoint()) as client:
        assert client.ask(message).body["n"] == 2
    (request,) = simulated.requests("insert")
    assert request.raw == message


def test_a_reply_is_compressed_as_its_request_was(simulated, simulated_guard):
    with RawClient(simulated_guard().endpoint()) as client:
        for name, number in wire.COMPRESSORS.items():
            for documents in ([bad(1)], [good(0), bad(1)]):
                reply = client.ask(wire.compress(insert(documents), name))
                assert codes(reply) == [(len(documents) - 1, REFUSED)]
                assert reply.compressor == (number or None)


# --- malformed documents: the server would answer the command as a whole

def document(*fields):
    inner = b"".join(fields)
    return struct.pack("<i", len(inner) + 5) + inner + b"\0"


def nested(depth):
    inner = document()
    for _ in range(depth):
        inner = document(b"\x03a\0" + inner)
    return inner


HEAD = b"\x07_id\0" + bytes(12)
MALFORMED = {
    "a cut string": document(HEAD, b"\x02name\0" + struct.pack("<i", 100) + b"x\0"),
    "a string of length 0": document(HEAD, b"\x02name\0" + struct.pack("<i", 0)),
    "a string without its end": document(HEAD, b"\x02name\0" + struct.pack("<i", 2) + b"xy"),
    "no UTF-8": document(HEAD, b"\x02name\0" + struct.pack("<i", 3) + b"\xff\xfe\0"),
    "an unknown type": document(HEAD, b"\x20name\0x"),
    "a bool of 2": document(HEAD, b"\x08name\0\x02"),
    "a name without its end": struct.pack("<i", 12) + b"\x10abcdef\0",
    "an inner length beyond the outer": document(HEAD, b"\x03o\0" + struct.pack("<i", 999) + b"\0"),
    "an inner document without its end": document(HEAD, b"\x03o\0" + struct.pack("<i", 5) + b"\1"),
    "a negative length of binary": document(HEAD, b"\x05b\0" + struct.pack("<i", -1) + b"\0"),
    "bytes after the end": struct.pack("<i", 8) + b"\0\0\0\0",
}


def sequence_of(raw_documents):
    inner = b"documents\0" + b"".join(raw_documents)
    return b"\1" + struct.pack("<i", len(inner) + 4) + inner


@pytest.mark.parametrize("in_body", [False, True], ids=["sequence", "in the body"])
@pytest.mark.parametrize("broken", MALFORMED.values(), ids=MALFORMED)
def test_malformed_bson_is_answered_and_never_forwarded(simulated, simulated_guard, broken, in_body):
    """The second of three, the first of which is refused for its schema besides."""
    body = {"insert": "c", "$db": "d", "ordered": False}
    all_documents = [bson.encode(bad(0)), broken, bson.encode(good(2))]
    if in_body:
        inner = document(*(b"\x03%d\0" % i + one for i, one in enumerate(all_documents)))
        raw = bson.encode(body)
        raw = document(raw[4:-1], b"\x04documents\0" + inner)
        message = op_msg_of(wire.body_section(raw))
    else:
        message = op_msg_of(wire.body_section(body) + sequence_of(all_documents))
    with RawClient(simulated_guard().endpoint()) as client:
        reply = client.ask(message)
        assert reply.response_to == struct.unpack("<i", message[4:8])[0]
        assert reply.body["ok"] == 0 and reply.body["code"] == INVALID_BSON
        assert reply.body["codeName"] == "InvalidBSON" and reply.body["errmsg"]
        assert client.command({"ping": 1})["ok"] == 1, "the connection stays usable"
        assert client.ask(insert([good(7)])).body["n"] == 1
    assert arrived(simulated) == [[7]]
    assert not simulated.malformed


def test_too_deep_is_answered_and_never_forwarded(simulated, simulated_guard):
    with RawClient(simulated_guard({}).endpoint()) as client:
        message = op_msg_of(wire.body_section({"insert": "c", "$db": "d"})
                            + sequence_of([nested(250)]))
        reply = client.ask(message)
        assert reply.body["ok"] == 0 and reply.body["code"] == OVERFLOW
        assert client.ask(op_msg_of(wire.body_section({"insert": "c", "$db": "d"})
                                    + sequence_of([nested(100)]))).body["n"] == 1
    assert len(simulated.requests("insert")) == 1


def test_a_malformed_write_without_acknowledgement_is_dropped(simulated, simulated_guard):
    message = op_msg_of(wire.body_section({"insert": "c", "$db": "d", "writeConcern": {"w": 0}})
                        + sequence_of([MALFORMED["no UTF-8"]]), flags=wire.MORE_TO_COME)
    with RawClient(simulated_guard().endpoint()) as client:
        client.send(message)
        assert client.command({"ping": 1})["ok"] == 1
    assert not simulated.requests("insert") and not simulated.malformed


@pytest.mark.parametrize(("sections", "code"), [
    (wire.body_section({"insert": "c", "$db": "d"}) + sequence_of([]) + sequence_of([]), 40431),
    (wire.body_section({"insert": "c", "$db": "d", "documents": [GOOD]})
     + sequence_of([bson.encode(GOOD)]), 40433)], ids=["two sequences", "sequence and body"])
def test_a_list_twice_is_refused_as_a_command(simulated, simulated_guard, sections, code):
    with RawClient(simulated_guard().endpoint()) as client:
        reply = client.ask(op_msg_of(sections))
        assert reply.body["ok"] == 0 and reply.body["code"] == code
        assert client.command({"ping": 1})["ok"] == 1
    assert not simulated.requests("insert")


@pytest.mark.parametrize(("documents", "code"), [
    (5, 10065), ("text", 10065), (None, 10065), ([GOOD, 7], 14), ([[GOOD]], 14), ([], 16), ({}, 16)],
    ids=str)
def test_documents_that_are_none_get_the_servers_code(simulated, simulated_guard, documents, code):
    with RawClient(simulated_guard().endpoint()) as client:
        reply = client.ask(op_msg({"insert": "c", "documents": documents, "$db": "d"}))
        assert (reply.body["ok"], reply.body["code"]) == (0, code)
    assert not simulated.requests("insert")


def test_null_among_documents_stays_and_the_others_are_checked(simulated, simulated_guard):
    """A MongoDB 4.4 server skips it, and does not count it in the indexes."""
    with RawClient(simulated_guard().endpoint()) as client:
        body = {"insert": "c", "ordered": False, "$db": "d", "stmtIds": [7, 8, 9],
                "documents": [None, good(0), None, bad(1), good(2)]}
        assert codes(client.ask(op_msg(body))) == [(1, REFUSED)]
        message = op_msg(body | {"stmtIds": [7], "documents": [None, good(3)]})
        client.ask(message)
    first, second = simulated.requests("insert")
    assert first.body["documents"] == [None, good(0), None, good(2)]
    assert first.body["stmtIds"] == [7, 9]
    assert second.raw == message


def test_documents_as_an_object_are_checked(simulated, simulated_guard):
    with RawClient(simulated_guard().endpoint()) as client:
        body = {"insert": "c", "documents": {"0": good(0), "x": bad(1)}, "ordered": False, "$db": "d"}
        assert codes(client.ask(op_msg(body))) == [(1, REFUSED)]
        body["documents"] = {"0": good(2)}
        message = op_msg(body)
        client.ask(message)
    first, second = simulated.requests("insert")
    assert first.body["documents"] == [good(0)] and second.raw == message


# --- many requests at once

def test_requests_around_a_refused_write(simulated, simulated_guard):
    """All are sent at once; the replies come in order, each for its own request."""
    messages = [op_msg({"ping": 1, "$db": "admin"}, request_id=1), insert([good(1)], request_id=2),
                insert([bad(2)], request_id=3), op_msg({"ping": 1, "$db": "admin"}, request_id=4),
                insert([good(3), bad(4), good(5)], False, request_id=5),
                insert([good(6), bad(7), good(8)], request_id=6),
                op_msg({"mongosluice": 1, "$db": "admin"}, request_id=7),
                insert([good(9)], request_id=8)]
    with RawClient(simulated_guard().endpoint()) as client:
        for _ in range(20):
            client.send(b"".join(messages))
            replies = [client.receive() for _ in messages]
            assert [reply.response_to for reply in replies] == list(range(1, 9))
            assert [codes(reply) for reply in replies] == [
                [], [], [(0, REFUSED)], [], [(1, REFUSED)], [(1, REFUSED)], [], []]
            assert [reply.body.get("n") for reply in replies] == [None, 1, 0, None, 2, 1, None, 1]
    assert arrived(simulated) == [[1], [3, 5], [6], [9]] * 20


def test_many_small_messages_cut_anywhere(simulated, simulated_guard):
    messages = [insert([bad(0)], request_id=1), insert([good(0), bad(1)], request_id=2),
                insert([good(0)], request_id=3)]
    whole = b"".join(messages)
    with RawClient(simulated_guard().endpoint()) as client:
        for cut in range(1, len(whole), 3):
            client.send(whole[:cut])
            client.send(whole[cut:])
            replies = [client.receive() for _ in messages]
            assert [reply.response_to for reply in replies] == [1, 2, 3]
            assert [codes(reply) for reply in replies] == [[(0, REFUSED)], [(1, REFUSED)], []]


def test_a_slow_reply_before_a_refused_write(simulated, simulated_guard):
    """The refusal waits for its turn."""
    from support.scenes import Gate
    gate = Gate(simulated)
    with RawClient(simulated_guard().endpoint()) as client:
        client.send(op_msg({"gated": 1, "$db": "admin"}, request_id=1)
                    + insert([bad(0)], request_id=2)
                    + insert([good(0), bad(1)], request_id=3)
                    + op_msg({"ping": 1, "$db": "admin"}, request_id=4))
        simulated.wait_for_request("gated")
        gate.open()
        assert [client.receive().response_to for _ in range(4)] == [1, 2, 3, 4]


def test_unacknowledged_writes_among_others(simulated, simulated_guard):
    with RawClient(simulated_guard().endpoint()) as client:
        body = {"insert": "c", "$db": "d", "ordered": False, "writeConcern": {"w": 0}}
        for number in range(50):
            client.send(op_msg(body, {"documents": [bad(number), good(number)]},
                               flags=wire.MORE_TO_COME)
                        + op_msg(body, {"documents": [bad(number)]}, flags=wire.MORE_TO_COME))
        assert codes(client.ask(insert([bad(99)]))) == [(0, REFUSED)]
        eventually(lambda: len(simulated.requests("insert")) == 50, "all good ones arrive")
    assert arrived(simulated) == [[number] for number in range(50)]
    assert all(request.flags & wire.MORE_TO_COME for request in simulated.requests("insert"))


def without_a_word(command, bad_ones, good_ones):
    """Each list of statements under w: 0, in a message that wants a reply."""
    body, name = {"insert": ({"insert": "c", "$db": "d"}, "documents"),
                  "update": ({"update": "c", "$db": "d"}, "updates"),
                  "bulkWrite": ({"bulkWrite": 1, "$db": "admin", "errorsOnly": True}, "ops")}[command]
    statements = [*map(bad, bad_ones), *map(good, good_ones)]
    if command == "update":
        statements = [{"q": {"_id": one["_id"]}, "u": one, "upsert": True} for one in statements]
    if command == "bulkWrite":
        statements = [{"insert": 0, "document": one} for one in statements]
    sequences = {name: statements, **({"nsInfo": [{"ns": "d.c"}]} if command == "bulkWrite" else {})}
    return op_msg({**body, "ordered": False, "writeConcern": {"w": 0}}, sequences)


@pytest.mark.parametrize("command", ["insert", "update", "bulkWrite"])
def test_w0_with_a_reply_is_told_nothing_but_ok(simulated, simulated_guard, command):
    simulated.handlers[command] = lambda *_: {"ok": 1.0, "operationTime": bson.Timestamp(5, 1)}
    with RawClient(simulated_guard().endpoint()) as client:
        assert client.ask(without_a_word(command, [1, 2], [])).body == {"ok": 1.0}
        assert not simulated.requests(command)
        assert client.ask(without_a_word(command, [1], [2])).body == {"ok": 1.0,
                                                                     "operationTime": bson.Timestamp(5, 1)}
        (request,) = simulated.requests(command)
        assert len(next(iter(request.sequences.values()))) == 1 and not request.flags
        assert client.command({"ping": 1})["ok"] == 1


# --- what the server answers

def test_the_rest_of_a_reply_stays(simulated, simulated_guard):
    """Compares everything except n and the list of errors, in order."""
    reply = {"n": 1, "electionId": bson.ObjectId(), "opTime": {"ts": bson.Timestamp(5, 1), "t": 2},
             "writeErrors": [{"index": 1, "code": 11000, "errmsg": "duplicate",
                              "keyPattern": {"_id": 1}, "keyValue": {"_id": 3}}],
             "writeConcernError": {"code": 64, "errmsg": "waiting timed out",
                                   "errInfo": {"wtimeout": True}},
             "ok": 1.0, "$clusterTime": {"clusterTime": bson.Timestamp(6, 1)},
             "operationTime": bson.Timestamp(5, 1), "errorLabels": ["RetryableWriteError"]}
    simulated.handlers["insert"] = lambda *_: reply
    with RawClient(simulated_guard().endpoint()) as client:
        got = client.ask(insert([bad(0), good(2), bad(1), good(3), bad(4)], False)).body
    errors = got["writeErrors"]
    assert [(e["index"], e["code"]) for e in errors] == [(0, 121), (2, 121), (3, 11000), (4, 121)]
    assert errors[2] == {**reply["writeErrors"][0], "index": 3}
    assert list(got) == list(reply)
    assert {k: v for k, v in got.items() if k != "writeErrors"} == {
        k: v for k, v in reply.items() if k != "writeErrors"}


@pytest.mark.parametrize("reply", [
    {"ok": 0.0, "code": 13, "codeName": "Unauthorized", "errmsg": "not you"},
    {"ok": 0.0, "code": 10107, "codeName": "NotWritablePrimary", "errmsg": "not primary",
     "errorLabels": ["RetryableWriteError"], "topologyVersion": {"counter": Int64(5)}}])
def test_an_error_of_the_server_is_the_answer(simulated, simulated_guard, reply):
    """An error of the whole command: the proxy adds nothing, because nothing was written."""
    simulated.handlers["insert"] = lambda *_: reply
    with RawClient(simulated_guard().endpoint()) as client:
        assert client.ask(insert([good(0), bad(1)], False)).body == reply


@pytest.mark.parametrize("reply", [
    {"ok": 1.0}, {"ok": 1.0, "n": 1, "writeErrors": 5}, {"ok": 1.0, "n": 1, "writeErrors": [5]},
    {"ok": 1.0, "n": 1, "writeErrors": [{"index": -1, "code": 1}]},
    {"ok": 1.0, "n": 1, "writeErrors": [{"index": 2**31 - 1, "code": 1}]},
    {"ok": 1.0, "n": 1, "writeErrors": [{"code": 1}]}, {"ok": 1.0, "n": "x"}])
def test_strange_replies_harm_nobody(simulated, simulated_guard, reply):
    simulated.handlers["insert"] = lambda *_: reply
    with RawClient(simulated_guard().endpoint()) as client:
        assert client.ask(insert([good(0), bad(1)], False)).body["ok"] == 1
        assert client.command({"ping": 1})["ok"] == 1


def test_a_malformed_reply_is_an_error_that_says_so(simulated, simulated_guard):
    def broken(server, connection, request):
        raw = struct.pack("<i", 14) + b"\x20ok\0xxxxx\0"
        return op_msg_of(wire.body_section(raw), response_to=request.request_id)
    simulated.handlers["insert"] = broken
    with RawClient(simulated_guard().endpoint()) as client:
        client.send(insert([good(0), bad(1)], False))
        (reply,) = client.last_words()
        assert reply.body["ok"] == 0 and "malformed" in reply.body["errmsg"]


def test_a_compressed_reply_to_a_replaced_write(simulated, simulated_guard):
    def packed(server, connection, request):
        return wire.compress(op_msg({"n": 1, "ok": 1.0}, response_to=request.request_id), "zstd")
    simulated.handlers["insert"] = packed
    with RawClient(simulated_guard().endpoint()) as client:
        assert codes(client.ask(insert([good(0), bad(1)], False))) == [(1, REFUSED)]
