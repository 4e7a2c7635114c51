"""Messages of the wire protocol, byte for byte, and a client that sends arbitrary bytes."""

import itertools
import socket
import struct
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import bson
import snappy
from bson.raw_bson import RawBSONDocument

from .process import PATIENCE, eventually

try:
    from compression import zstd
except ImportError:
    from backports import zstd

OP_REPLY, OP_UPDATE, OP_INSERT, OP_QUERY, OP_GET_MORE = 1, 2001, 2002, 2004, 2005
OP_DELETE, OP_KILL_CURSORS, OP_COMPRESSED, OP_MSG = 2006, 2007, 2012, 2013
CHECKSUM, MORE_TO_COME, EXHAUST_ALLOWED = 1, 2, 1 << 16
COMPRESSORS = {"noop": 0, "snappy": 1, "zlib": 2, "zstd": 3}
_PACK = {0: bytes, 1: snappy.compress, 2: zlib.compress, 3: zstd.compress}
_UNPACK = {0: bytes, 1: snappy.decompress, 2: zlib.decompress, 3: zstd.decompress}
_ids = itertools.count(1000)


def _crc_table():
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


_CRC = list(_crc_table())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


class Malformed(Exception):
    pass


@dataclass
class Message:
    request_id: int
    response_to: int
    opcode: int
    flags: int = 0
    body: dict = field(default_factory=dict)
    sequences: dict = field(default_factory=dict)  # name: [documents]
    telemetry: dict = field(default_factory=dict)
    compressor: int | None = None
    checksum: bool = False
    raw: bytes = b""  # as received

    @property
    def command(self):
        return next(iter(self.body), "")


def frame(opcode, payload, *, request_id=None, response_to=0, length=None):
    request_id = next(_ids) if request_id is None else request_id
    length = 16 + len(payload) if length is None else length
    return struct.pack("<iiii", length, request_id, response_to, opcode) + payload


def body_section(body):
    return b"\0" + (body if isinstance(body, bytes) else bson.encode(body))


def sequence_section(name, documents):
    inner = name.encode() + b"\0" + b"".join(map(bson.encode, documents))
    return b"\1" + struct.pack("<i", len(inner) + 4) + inner


def op_msg(body, sequences=None, *, flags=0, sequences_first=False, **header):
    sections = [body_section(body)]
    for name, documents in (sequences or {}).items():
        sections.append(sequence_section(name, documents))
    if sequences_first:
        sections.reverse()
    return op_msg_of(b"".join(sections), flags=flags, **header)


def op_msg_of(sections, *, flags=0, **header):
    """An OP_MSG with these bytes as sections; with the checksum's flag, the right checksum."""
    if not flags & CHECKSUM:
        return frame(OP_MSG, struct.pack("<I", flags) + sections, **header)
    message = frame(OP_MSG, struct.pack("<I", flags) + sections,
                    length=24 + len(sections), **header)
    return message + struct.pack("<I", crc32c(message))


def op_query(body, *, namespace="admin.$cmd", flags=0, to_return=-1, **header):
    return frame(OP_QUERY, struct.pack("<I", flags) + namespace.encode() + b"\0"
                 + struct.pack("<ii", 0, to_return) + bson.encode(body), **header)


def op_reply(body, **header):
    return frame(OP_REPLY, struct.pack("<Iqii", 8, 0, 0, 1) + bson.encode(body), **header)


def compress(message, compressor, *, size=None, packed=None):
    """Returns the message inside an OP_COMPRESSED; `size` and `packed` replace the true values."""
    identifier = COMPRESSORS.get(compressor, compressor)
    _, request_id, response_to, opcode = struct.unpack("<iiii", message[:16])
    payload = message[16:]
    packed = _PACK[identifier](payload) if packed is None else packed
    size = len(payload) if size is None else size
    return frame(OP_COMPRESSED, struct.pack("<iiB", opcode, size, identifier) + packed,
                 request_id=request_id, response_to=response_to)


def parse(raw):
    length, request_id, response_to, opcode = struct.unpack("<iiii", raw[:16])
    message = Message(request_id, response_to, opcode, raw=raw)
    if length != len(raw):
        raise Malformed(f"length {length}, but {len(raw)} bytes")
    payload = raw[16:]
    if opcode == OP_COMPRESSED:
        message.opcode, size, message.compressor = struct.unpack("<iiB", payload[:9])
        payload = _UNPACK[message.compressor](payload[9:])
        if size != len(payload):
            raise Malformed(f"uncompressedSize {size}, but {len(payload)} bytes")
    if message.opcode == OP_MSG:
        _parse_msg(message, payload)
    elif message.opcode == OP_REPLY:
        message.flags, = struct.unpack("<I", payload[:4])
        message.body = bson.decode(payload[20:])
    elif message.opcode == OP_QUERY:
        end = payload.index(b"\0", 4)
        message.body = bson.decode(payload[end + 9:])
    return message


def _parse_msg(message, payload):
    message.flags, = struct.unpack("<I", payload[:4])
    rest = payload[4:]
    if message.flags & CHECKSUM:
        message.checksum = True
        if struct.unpack("<I", rest[-4:])[0] != crc32c(message.raw[:-4]):
            raise Malformed("wrong checksum")
        rest = rest[:-4]
    while rest:
        kind, size = struct.unpack("<Bi", rest[:5])
        part, rest = rest[1:1 + size], rest[1 + size:]
        if kind == 0:
            message.body = bson.decode(part)
        elif kind == 3:
            message.telemetry = bson.decode(part)
        else:
            end = part.index(b"\0", 4)
            # raw, so that a large batch is not decoded
            message.sequences[part[4:end].decode()] = bson.decode_all(
                part[end + 1:], bson.CodecOptions(document_class=RawBSONDocument))


class RawClient:
    """A socket to host:port. It sends only what the test sends."""

    def __init__(self, endpoint, seconds=PATIENCE, context=None, source=None):
        self.socket = socket.create_connection(endpoint.host_port, seconds,
                                               source and (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname=endpoint.host_port[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def until_read(self):
        """Waits until the peer, which must be on this machine, has read all that was sent."""
        here, there = ("%08X:%04X" % (*struct.unpack("=I", socket.inet_aton(host)), port)
                       for host, port in (self.socket.getsockname(), self.socket.getpeername()))

        def is_read():
            rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
            queues = {(row[1], row[2]): row[4] for row in rows}  # what is not yet received, and not yet read
            return queues[here, there].startswith("00000000:") and queues[there, here].endswith(":00000000")
        eventually(is_read, "the peer has read")

    def send_until_stuck(self, data):
        """Sends while the peer reads, and half a second longer. Returns the number of sent bytes, which is less than
        all."""
        seconds = self.socket.gettimeout()
        self.socket.setblocking(False)
        sent = stuck = 0
        while stuck < 50 and sent < len(data):
            try:
                sent += self.socket.send(data[sent:])
                stuck = 0
            except BlockingIOError:
                stuck += 1
                time.sleep(0.01)
        self.socket.settimeout(seconds)
        assert sent < len(data), "everything was taken, though the peer should have stopped reading"
        return sent

    def _read(self, count):
        parts = []
        while count:
            part = self.socket.recv(min(count, 1 << 20))
            if not part:
                raise ConnectionResetError("closed by the peer")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def receive(self):
        head = self._read(16)
        return parse(head + self._read(struct.unpack("<i", head[:4])[0] - 16))

    def ask(self, data):
        self.send(data)
        return self.receive()

    def command(self, body, **more):
        """Returns the body of the reply to an OP_MSG; the reply must belong to it."""
        request = op_msg({**body, "$db": body.get("$db", "admin")}, **more)
        reply = self.ask(request)
        assert reply.response_to == struct.unpack("<i", request[4:8])[0]
        assert reply.opcode == OP_MSG
        return reply.body

    def hello(self, **more):
        return self.command({"hello": 1, **more})

    def assert_closed(self):
        """Expects the peer to end the connection, and to send nothing more."""
        try:
            rest = self.socket.recv(1)
        except ConnectionResetError:
            rest = b""
        assert rest == b"", "bytes where the end of the connection was expected"

    def last_words(self):
        """Returns all messages until the peer closes the connection."""
        words = []
        while True:
            try:
                words.append(self.receive())
            except ConnectionResetError:
                return words
