"""Messages of every shape that the protocol allows."""

import os
import struct

import pytest
from bson import CodecOptions
from bson.raw_bson import RawBSONDocument
from support import wire
from support.process import eventually
from support.wire import RawClient

MEGABYTE = 1024 * 1024


@pytest.fixture
def namespace(collection_name):
    return {"$db": "messages"}, collection_name


def count(client, database, collection):
    return client.command({"count": collection, **database})["n"]


def insert_into(collection, database, documents, **more):
    return wire.op_msg({"insert": collection, **database}, {"documents": documents}, **more)


def test_document_sequence_before_the_body(target, namespace):
    database, collection = namespace
    with RawClient(target) as client:
        reply = client.ask(insert_into(collection, database, [{"_id": 1}, {"_id": 2}],
                                       sequences_first=True))
        assert reply.body["ok"] == 1 and reply.body["n"] == 2
        assert count(client, database, collection) == 2


def test_checksum_bit(target, namespace):
    database, collection = namespace
    with RawClient(target) as client:
        reply = client.ask(insert_into(collection, database, [{"_id": 1}], flags=wire.CHECKSUM))
        assert reply.body["ok"] == 1 and reply.body["n"] == 1
        assert client.command({"ping": 1}, flags=wire.CHECKSUM)["ok"] == 1
        assert client.command({"hello": 1}, flags=wire.CHECKSUM)["ok"] == 1


def test_unacknowledged_write_gets_no_reply(target, namespace):
    database, collection = namespace
    with RawClient(target) as client:
        client.send(wire.op_msg({"insert": collection, **database, "writeConcern": {"w": 0}},
                                {"documents": [{"_id": 1}]}, flags=wire.MORE_TO_COME))
        assert client.command({"ping": 1})["ok"] == 1  # the first reply belongs to this request
        eventually(lambda: count(client, database, collection) == 1, "the write is stored")


def test_pipelined_requests_are_answered_in_order(target, namespace):
    database, collection = namespace
    requests = []
    for i in range(100):
        body = ({"insert": collection, "documents": [{"_id": i}], **database},
                {"ping": 1, "$db": "admin"}, {"hello": 1, "$db": "admin"},
                {"count": collection, **database})[i % 4]
        requests.append(wire.op_msg(body, request_id=5000 + i))
    with RawClient(target) as client:
        client.send(b"".join(requests))
        replies = [client.receive() for _ in requests]
    assert [reply.response_to for reply in replies] == list(range(5000, 5100))
    assert all(reply.body["ok"] == 1 for reply in replies)
    assert [reply.body["n"] for reply in replies[3::4]] == list(range(1, 26))


def test_byte_by_byte(target, namespace):
    database, collection = namespace
    message = (wire.op_query({"isMaster": 1}) + insert_into(collection, database, [{"_id": 1}])
               + wire.op_msg({"ping": 1, "$db": "admin"}, flags=wire.CHECKSUM))
    with RawClient(target) as client:
        for at in range(len(message)):
            client.send(message[at:at + 1])
        replies = [client.receive() for _ in range(3)]
        assert [reply.opcode for reply in replies] == [wire.OP_REPLY, wire.OP_MSG, wire.OP_MSG]
        assert [reply.body["ok"] for reply in replies] == [1, 1, 1]
        assert count(client, database, collection) == 1


def test_two_messages_cut_at_every_byte(target):
    """A read may contain anything: the end of one message and the start of the next."""
    two = (wire.op_msg({"ping": 1, "$db": "admin"}, request_id=1)
           + wire.op_msg({"hello": 1, "$db": "admin"}, request_id=2))
    with RawClient(target) as client:
        for cut in range(1, len(two)):
            client.send(two[:cut])
            client.send(two[cut:])
            assert [client.receive().response_to for _ in range(2)] == [1, 2]


def test_a_client_that_ends_at_any_byte_of_its_message_harms_nobody(target):
    message = wire.op_msg({"ping": 1, "$db": "admin"})
    for cut in range(len(message)):
        with RawClient(target) as client:
            client.send(message[:cut])
    with RawClient(target) as client:
        assert client.ask(message).body["ok"] == 1


@pytest.mark.parametrize("less", [0, 1, 1000])
def test_messages_up_to_the_limit(target, namespace, less):
    """48,000,000 bytes, and just below."""
    database, collection = namespace
    limit = 48_000_000 - less
    with RawClient(target) as client:
        size = 15_900_000
        documents = [{"_id": i, "b": b"\xab" * size} for i in range(3)]
        rest = limit - len(insert_into(collection, database, documents + [{"_id": 3, "b": b""}]))
        documents.append({"_id": 3, "b": b"\xcd" * rest})
        message = insert_into(collection, database, documents)
        assert len(message) == limit
        assert client.ask(message).body["n"] == 4
        found = client.command({"find": collection, "filter": {"_id": 3}, **database})
        assert len(found["cursor"]["firstBatch"][0]["b"]) == rest
        client.command({"drop": collection, **database})


@pytest.mark.long
def test_a_driver_moves_large_documents_unchanged(target, collection_name):
    noise = os.urandom(MEGABYTE) * 15
    with target.client() as client:
        collection = client["messages"][collection_name]
        collection.insert_many([{"_id": i, "noise": noise, "i": i} for i in range(4)])
        for i, one in enumerate(collection.find().sort("_id")):
            assert one["noise"] == noise and one["i"] == i
        collection.drop()


def test_bytes_of_a_document_are_not_touched(target, collection_name):
    """Field order and types, a NaN with a sign: the client reads the bytes that it sent."""
    elements = bytes.fromhex("107a0001000000" "1261000200000000000000" "016d00000000000000f8ff"
                             "08620001")
    raw = struct.pack("<i", len(elements) + 5) + elements + b"\0"
    as_it_is = CodecOptions(document_class=RawBSONDocument)
    with target.client() as client:
        collection = client["messages"].get_collection(collection_name, as_it_is)
        collection.insert_one(RawBSONDocument(raw))
        found = collection.find_one({}, {"_id": 0})
        assert found.raw == raw
        collection.drop()


def test_all_commands_unknown_ones_included_are_passed_on(target):
    with RawClient(target) as client:
        reply = client.command({"someFutureCommand": 1, "with": {"any": ["thing"]}})
        assert (reply["ok"], reply["code"]) == (0, 59)
        assert client.command({"buildInfo": 1})["ok"] == 1
