"""OP_COMPRESSED. The server is simulated: the embedded one knows no compressors."""

import os

import pytest
from pymongo import MongoClient
from support import wire
from support.simulated import SimulatedServer, cursor
from support.wire import RawClient

ALL = ["snappy", "zlib", "zstd"]
NOISE = os.urandom(200_000)


def _big(server, connection, request):
    return cursor(request, [{"_id": 1, "text": "z" * 2_000_000}, {"_id": 2, "noise": NOISE}])


@pytest.fixture
def compressing():
    with SimulatedServer({"find": _big}, compressors=ALL) as server:
        yield server


@pytest.mark.parametrize("compressor", ALL)
def test_driver_with_one_compressor(compressing, in_front_of, compressor):
    where = in_front_of(compressing)
    with MongoClient(where.uri(compressors=compressor)) as client:
        collection = client["zip"]["c"]
        made = collection.insert_many([{"text": "x" * 1000} for _ in range(500)])
        assert len(made.inserted_ids) == 500
        one, two = collection.find()
    assert len(one["text"]) == 2_000_000 and two["noise"] == NOISE
    identifier = wire.COMPRESSORS[compressor]
    for name in ("insert", "find"):
        for request in compressing.requests(name):
            assert request.compressor == identifier
    for request in compressing.requests("hello") + compressing.requests("ismaster"):
        assert request.compressor is None


def test_driver_with_all_compressors(compressing, in_front_of):
    where = in_front_of(compressing)
    with MongoClient(where.uri(compressors="zstd,snappy,zlib")) as client:
        assert client.admin.command("ping")["ok"] == 1
    assert {one.compressor for one in compressing.requests("ping")} == {wire.COMPRESSORS["zstd"]}


@pytest.mark.parametrize(("asked", "server_has", "agreed"), [
    (ALL, ALL, ALL),
    (["zlib"], ALL, ["zlib"]),
    (ALL, ["zstd"], ["zstd"]),
    (["snappy", "zlib"], ["zstd"], []),
])
def test_hello_agrees_on_what_both_have(in_front_of, asked, server_has, agreed):
    with SimulatedServer(compressors=server_has) as server:
        with RawClient(in_front_of(server)) as client:
            assert sorted(client.hello(compression=asked).get("compression", [])) == sorted(agreed)


@pytest.mark.proxy_only
def test_a_compressor_that_the_proxy_cannot_read_is_not_agreed_on(in_front_of):
    with SimulatedServer(compressors=["lz9", "zlib"]) as server:
        with RawClient(in_front_of(server)) as client:
            assert client.hello(compression=["lz9", "zlib"])["compression"] == ["zlib"]


@pytest.mark.parametrize("compressor", ["noop", *ALL])
def test_each_message_may_be_compressed_or_not(compressing, in_front_of, compressor):
    with RawClient(in_front_of(compressing)) as client:
        client.hello(compression=ALL)
        for i in range(20):
            message = wire.op_msg({"ping": 1, "$db": "admin", "i": i}, request_id=i + 1)
            packed = i % 2 == 0
            reply = client.ask(wire.compress(message, compressor) if packed else message)
            assert reply.response_to == i + 1 and reply.body["ok"] == 1
            assert reply.compressor == (wire.COMPRESSORS[compressor] if packed else None)


@pytest.mark.parametrize("compressor", ALL)
def test_a_compressed_hello_is_answered_with_the_addresses_of_the_proxy(compressing, in_front_of,
                                                                         compressor):
    """No driver compresses hello, but a server answers a compressed one."""
    me = compressing.address
    compressing.change({"setName": "rs", "hosts": [me], "me": me, "primary": me})
    where = in_front_of(compressing)
    with RawClient(where) as client:
        message = wire.op_msg({"hello": 1, "$db": "admin"})
        assert client.ask(wire.compress(message, compressor)).body["hosts"] == [where.address]


def test_compressed_and_byte_by_byte(compressing, in_front_of):
    message = wire.compress(wire.op_msg({"ping": 1, "$db": "admin"}), "zstd")
    with RawClient(in_front_of(compressing)) as client:
        for at in range(len(message)):
            client.send(message[at:at + 1])
        assert client.receive().body["ok"] == 1


def test_unacknowledged_and_compressed(compressing, in_front_of):
    fire = wire.op_msg({"insert": "c", "$db": "d", "writeConcern": {"w": 0}},
                       {"documents": [{"_id": 1}]}, flags=wire.MORE_TO_COME)
    with RawClient(in_front_of(compressing)) as client:
        client.send(wire.compress(fire, "snappy"))
        assert client.command({"ping": 1})["ok"] == 1
    assert len(compressing.requests("insert")) == 1


@pytest.mark.parametrize("compressor", ALL)
@pytest.mark.long
def test_a_message_of_48_megabytes_compressed(compressing, in_front_of, compressor):
    documents = [{"_id": i, "b": bytes(11_990_000)} for i in range(4)]
    message = wire.op_msg({"insert": "c", "$db": "d"}, {"documents": documents})
    with RawClient(in_front_of(compressing)) as client:
        assert client.ask(wire.compress(message, compressor)).body["n"] == 4
