"""Clients that send malformed messages. The proxy answers with an error if the protocol allows one, closes the
connection, and logs and counts the reason. The message never reaches the server, and other clients are not
affected."""

import struct
import zlib

import bson
import pytest
from support import wire
from support.process import eventually
from support.proxy import CLOSED_BY_ERROR
from support.wire import RawClient, body_section, compress, frame, op_msg, op_msg_of, sequence_section

pytestmark = pytest.mark.proxy_only
LIMIT = 48_000_000
PING = body_section({"ping": 1, "$db": "admin"})
MESSAGE = op_msg({"ping": 1, "$db": "admin"})


def refused(scene, data, *, reply=True):
    """Sends it on a new connection. `reply`: whether an error must come before the end of the stream."""
    server, proxy, bystander = scene
    server.malformed.clear()
    counted = proxy.counter("clientProtocolErrors")
    said = sum(one["id"] == CLOSED_BY_ERROR for one in proxy.records())
    with RawClient(proxy.endpoint()) as client:
        assert client.command({"ping": 1})["ok"] == 1
        client.send(data)
        words = client.last_words()
    assert len(words) <= 1
    assert words or not reply, "closed without an error"
    for error in words:
        assert error.body["ok"] == 0 and error.body["code"] > 0 and error.body["errmsg"]
        assert error.response_to == struct.unpack("<i", data[4:8])[0]
        sent = struct.unpack("<i", data[12:16])[0]
        assert error.opcode == (wire.OP_REPLY if sent == wire.OP_QUERY else wire.OP_MSG)
    proxy.wait_for_counter("clientProtocolErrors", counted + 1)
    records = [one for one in proxy.records() if one["id"] == CLOSED_BY_ERROR]
    assert len(records) > said, "the reason is not logged"
    assert records[-1]["attr"]["error"] and records[-1]["attr"]["remote"]
    assert bystander.command({"ping": 1})["ok"] == 1
    assert server.malformed == [], "it was passed on"


@pytest.mark.parametrize("length", [0, 1, 15, -1, -2**31, LIMIT + 1, 2**31 - 1])
def test_length_out_of_bounds(scene, length):
    """A message under 16 bytes has no complete header, so there may be no request to reply to."""
    refused(scene, frame(wire.OP_MSG, b"\0\0\0\0" + PING, length=length), reply=length >= 16)


@pytest.mark.parametrize(("data", "hint"), [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x5a" * 40, "this looks like TLS, and tls.mode is off"),
    (b"GET / HTTP/1.1\r\nHost: proxy\r\n\r\n", "this looks like HTTP"),
])
def test_another_protocol_is_named(scene, data, hint):
    _, proxy, _ = scene
    with RawClient(proxy.endpoint()) as client:
        client.socket.sendall(data)
        client.last_words()
    eventually(lambda: any(hint in record["attr"]["error"] for record in proxy.records()
                           if record["id"] == CLOSED_BY_ERROR), hint)


@pytest.mark.parametrize("length", [16, 17, 19, 20])
def test_length_that_leaves_no_room_for_a_section(scene, length):
    refused(scene, frame(wire.OP_MSG, (b"\0\0\0\0" + PING)[:length - 16]))


@pytest.mark.parametrize("opcode", [0, wire.OP_REPLY, 3, 999, 1000, 2003, 2010, 2011, 2014, -1,
                                    2**31 - 1, -2**31])
def test_unknown_opcode(scene, opcode):
    refused(scene, frame(opcode, b"\0\0\0\0" + PING), reply=False)


def with_length(section, length):
    """The section with another length after its kind."""
    return section[:1] + struct.pack("<i", length) + section[5:]


SEQUENCE = sequence_section("documents", [{"_id": 1}, {"_id": 2}])
INSERT = body_section({"insert": "c", "$db": "d"})
DOCUMENT = bson.encode({"_id": 1})
SECTIONS = {
    "kind 2": b"\2" + PING[1:],
    "kind 255": PING + b"\xff",
    "two bodies": PING + PING,
    "no body": SEQUENCE,
    "body length 0": with_length(PING, 0),
    "body length 4": with_length(PING, 4),
    "body length negative": with_length(PING, -1),
    "body length least": with_length(PING, -2**31),
    "body over the end": with_length(PING, len(PING)),
    "body far over the end": with_length(PING, 2**31 - 1),
    "body cut": PING[:-1],
    "body's length cut": PING[:3],
    "body without its end": PING[:-1] + b"\1",
    "body with an element over its end": body_section(
        struct.pack("<i", 22) + b"\x02ping\0" + struct.pack("<i", 2**30) + b"x" * 7 + b"\0"),
    "body with an unknown type": body_section(struct.pack("<i", 12) + b"\x42ping\0\0\0"),
    "body with a name that does not end": body_section(struct.pack("<i", 10) + b"\x10pingx"),
    "sequence length 0": INSERT + with_length(SEQUENCE, 0),
    "sequence length 3": INSERT + with_length(SEQUENCE, 3),
    "sequence length 4": INSERT + with_length(SEQUENCE, 4),
    "sequence length negative": INSERT + with_length(SEQUENCE, -5),
    "sequence over the end": INSERT + with_length(SEQUENCE, len(SEQUENCE)),
    "sequence far over the end": INSERT + with_length(SEQUENCE, 2**31 - 1),
    "sequence cut": INSERT + SEQUENCE[:-1],
    "sequence's length cut": INSERT + SEQUENCE[:4],
    "sequence's name does not end": INSERT + b"\1" + struct.pack("<i", 8) + b"docs",
    "sequence's document over its end": INSERT + b"\1" + struct.pack("<i", 8 + len(DOCUMENT))
    + b"abc\0" + struct.pack("<i", len(DOCUMENT) + 1) + DOCUMENT[4:],
    "sequence's document of 4": INSERT + b"\1" + struct.pack("<i", 12) + b"abc\0"
    + struct.pack("<i", 4),
    "sequence's document negative": INSERT + b"\1" + struct.pack("<i", 13) + b"abc\0"
    + struct.pack("<i", -5) + b"\0",
    "sequence with three bytes left": INSERT + b"\1" + struct.pack("<i", 11 + len(DOCUMENT))
    + b"abc\0" + DOCUMENT + b"\0\0\0",
    "sequence first, broken body after": SEQUENCE + with_length(INSERT, 4),
    "broken sequence first": with_length(SEQUENCE, 7) + INSERT,
}


@pytest.mark.parametrize("what", SECTIONS)
def test_broken_sections(scene, what):
    refused(scene, op_msg_of(SECTIONS[what]))


@pytest.mark.parametrize("what", ["two bodies", "no body", "body over the end", "sequence length 3",
                                  "sequence's document negative", "kind 2"])
@pytest.mark.parametrize("compressor", ["noop", "snappy", "zlib", "zstd"])
def test_broken_sections_inside_a_compressed_message(scene, what, compressor):
    refused(scene, compress(op_msg_of(SECTIONS[what]), compressor))


@pytest.mark.parametrize("after", [1000, 100_000, 1_000_000])
def test_sections_broken_far_behind_the_body(scene, after):
    """The server may have received the beginning already, so the proxy closes the server's connection too."""
    documents = [{"_id": i, "text": "x" * 200} for i in range(after // 200)]
    refused(scene, op_msg_of(INSERT + sequence_section("documents", documents) + b"\7garbage"),
            reply=False)


@pytest.mark.parametrize("bits", [1 << 2, 1 << 7, 1 << 15, 0xFFFC])
def test_unknown_required_flags(scene, bits):
    """The lower sixteen bits are required flags: a receiver "must error if unknown"."""
    refused(scene, op_msg_of(PING, flags=bits))


@pytest.mark.parametrize("left", [b"", b"\1", b"\1\2\3"])
def test_checksum_bit_without_room_for_one(scene, left):
    refused(scene, frame(wire.OP_MSG, struct.pack("<I", wire.CHECKSUM) + left))


QUERY = bson.encode({"isMaster": 1})


def query(namespace=b"admin.$cmd\0", document=QUERY, skip=b"\0" * 8):
    return frame(wire.OP_QUERY, b"\0\0\0\0" + namespace + skip + document)


@pytest.mark.parametrize("data", [
    frame(wire.OP_QUERY, b""),
    frame(wire.OP_QUERY, b"\0\0\0\0"),
    frame(wire.OP_QUERY, b"\0\0\0\0admin.$cmd"),
    query(document=b""),
    query(document=QUERY[:-1]),
    query(document=struct.pack("<i", 4)),
    query(document=struct.pack("<i", -1) + QUERY[4:]),
    query(document=struct.pack("<i", 2**31 - 1) + QUERY[4:]),
    query(skip=b"\0" * 3, document=b""),
], ids=["nothing", "no name", "name does not end", "no document", "document cut", "length 4",
        "length negative", "length far over", "numbers cut"])
def test_broken_query(scene, data):
    refused(scene, data)


INSIDE = MESSAGE[16:]
COMPRESSIONS = {
    "smaller than true": compress(MESSAGE, "zlib", size=len(INSIDE) - 1),
    "larger than true": compress(MESSAGE, "zlib", size=len(INSIDE) + 1),
    "snappy smaller": compress(MESSAGE, "snappy", size=len(INSIDE) - 1),
    "snappy larger": compress(MESSAGE, "snappy", size=len(INSIDE) + 1000),
    "zstd smaller": compress(MESSAGE, "zstd", size=len(INSIDE) - 1),
    "zstd larger": compress(MESSAGE, "zstd", size=len(INSIDE) + 1000),
    "noop smaller": compress(MESSAGE, "noop", size=len(INSIDE) - 1),
    "noop larger": compress(MESSAGE, "noop", size=len(INSIDE) + 1),
    "far larger": compress(MESSAGE, "zlib", size=40_000_000),
    "over the limit": compress(MESSAGE, "zlib", size=LIMIT + 1),
    "greatest": compress(MESSAGE, "zstd", size=2**31 - 1),
    "zero": compress(MESSAGE, "zlib", size=0),
    "negative": compress(MESSAGE, "zlib", size=-1),
    "least": compress(MESSAGE, "snappy", size=-2**31),
    "truncated zlib": compress(MESSAGE, "zlib", packed=zlib.compress(INSIDE)[:-5]),
    "truncated snappy": compress(MESSAGE, "snappy", packed=wire.snappy.compress(INSIDE)[:-5]),
    "truncated zstd": compress(MESSAGE, "zstd", packed=wire.zstd.compress(INSIDE)[:-5]),
    "garbage zlib": compress(MESSAGE, "zlib", packed=b"\xfe" * 50),
    "garbage snappy": compress(MESSAGE, "snappy", packed=b"\xfe" * 50),
    "garbage zstd": compress(MESSAGE, "zstd", packed=b"\xfe" * 50),
    "nothing compressed": compress(MESSAGE, "zlib", packed=b""),
    "rubbish after zlib": compress(MESSAGE, "zlib", packed=zlib.compress(INSIDE) + b"more"),
    "bomb": compress(op_msg({"ping": 1, "$db": "admin", "z": bytes(15_000_000)}), "zlib", size=100),
    "unknown compressor 4": compress(MESSAGE, 4, packed=INSIDE),
    "unknown compressor 255": compress(MESSAGE, 255, packed=INSIDE),
    "header cut": frame(wire.OP_COMPRESSED, struct.pack("<ii", wire.OP_MSG, len(INSIDE))),
    "nothing": frame(wire.OP_COMPRESSED, b""),
    "compressed twice": compress(compress(MESSAGE, "zlib"), "zlib"),
    "legacy opcode inside": compress(frame(wire.OP_INSERT, b"\0\0\0\0db.c\0" + DOCUMENT), "zlib"),
    "unknown opcode inside": compress(frame(4242, INSIDE), "snappy"),
}


@pytest.mark.parametrize("what", COMPRESSIONS)
def test_broken_compression(scene, what):
    refused(scene, COMPRESSIONS[what])


def test_what_is_no_mongodb_at_all(scene):
    refused(scene, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", reply=False)


def test_tls_hello_to_a_listener_without_tls(scene):
    hello = bytes.fromhex("16030100fa010000f60303") + bytes(240)
    refused(scene, hello, reply=False)


def test_good_requests_before_a_bad_one_are_answered(scene):
    _, proxy, _ = scene
    bad = op_msg_of(SECTIONS["two bodies"], request_id=3)
    with RawClient(proxy.endpoint()) as client:
        client.send(op_msg({"ping": 1, "$db": "admin"}, request_id=1)
                    + op_msg({"ping": 1, "$db": "admin"}, request_id=2) + bad)
        words = client.last_words()
    assert [(one.response_to, one.body["ok"]) for one in words] == [(1, 1), (2, 1), (3, 0)]
