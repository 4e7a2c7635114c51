"""A thousand change streams over a pool of fifty connections, half of which they may hold, while short commands go on; and
change streams that resume where connections are cut."""

import asyncio
import struct
import uuid

import pytest
from bson import Binary, Int64
from crossing.run import Control, start_model
from support.endpoint import Endpoint
from support.wire import op_msg, parse

pytestmark = pytest.mark.proxy_only
STREAMS, POOL = 1000, 50
AWAIT_MS = 100
CHANGES = 20
PINGS = 200
PATIENCE = 60


@pytest.fixture
def model():
    process, port = start_model(1, 0.01, "--open")
    try:
        yield Control(port)
    finally:
        process.kill()
    assert not process.stderr, process.output()


@pytest.fixture
def address(start_proxy, model):
    proxy = start_proxy(f"mongodb://127.0.0.1:{model.port}/?directConnection=true",
                        {"threads": 1, "pool.mode": "shared", "pool.max_size": POOL, "pool.wait_timeout_ms": 60000},
                        endpoint=Endpoint(""))
    return proxy.endpoint().host_port


class Peer:
    """A connection whose every answer must belong to its request."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, address):
        peer = cls(*await asyncio.open_connection(*address))
        reply = await peer.ask({"hello": 1})
        assert reply["ok"] == 1, reply
        return peer

    async def ask(self, body, sequences=None):
        mark = uuid.uuid4().hex
        message = op_msg({**body, "$db": "d", "comment": mark}, sequences)
        self.writer.write(message)
        head = await self.reader.readexactly(16)
        reply = parse(head + await self.reader.readexactly(struct.unpack("<i", head[:4])[0] - 16))
        assert reply.response_to == struct.unpack("<i", message[4:8])[0]
        assert "hello" in body or reply.body.get("echo") == mark, reply.body
        return reply.body

    def close(self):
        self.writer.transport.abort()


class Stream:
    """Goes on until it has been told of `wanted`, in their order and each once, and resumes where it was cut."""

    def __init__(self, address, wanted):
        self.address, self.wanted = address, wanted
        self.told, self.token, self.resumed = [], None, 0
        self.opened = asyncio.Event()

    async def run(self):
        while len(self.told) < len(self.wanted):
            try:
                peer = await Peer.connect(self.address)
                try:
                    await self.follow(peer)
                finally:
                    peer.close()
            except (ConnectionError, asyncio.IncompleteReadError):
                self.resumed += 1
                await asyncio.sleep(0.05)
        assert self.told == self.wanted

    async def follow(self, peer):
        lsid = {"id": Binary(uuid.uuid4().bytes, 4)}
        stage = {"resumeAfter": self.token} if self.token else {}
        reply = await peer.ask({"aggregate": "c", "pipeline": [{"$changeStream": stage}], "cursor": {}, "lsid": lsid})
        cursor = reply["cursor"]
        self.token = self.token or cursor["postBatchResumeToken"]
        self.opened.set()
        while len(self.told) < len(self.wanted):
            reply = await peer.ask({"getMore": Int64(cursor["id"]), "collection": "c", "maxTimeMS": AWAIT_MS, "lsid": lsid})
            self.told += [one["documentKey"]["_id"] for one in reply["cursor"]["nextBatch"]]
            self.token = reply["cursor"]["postBatchResumeToken"]


async def insert_all(address, wanted, pause):
    peer = await Peer.connect(address)
    for identifier in wanted:
        assert (await peer.ask({"insert": "c"}, {"documents": [{"_id": identifier}]}))["n"] == 1
        await asyncio.sleep(pause)
    peer.close()


async def ping_all(address, count):
    peer = await Peer.connect(address)
    for _ in range(count):
        assert (await peer.ask({"ping": 1}))["ok"] == 1
    peer.close()


@pytest.mark.long
def test_a_thousand_change_streams_over_fifty_connections(model, address):
    async def play():
        streams = [Stream(address, list(range(CHANGES))) for _ in range(STREAMS)]

        async def short_commands():
            """They go on while all streams wait; then each stream tells of all inserts."""
            await asyncio.gather(*(stream.opened.wait() for stream in streams))
            await asyncio.gather(ping_all(address, PINGS), insert_all(address, list(range(CHANGES)), 0))
        await asyncio.gather(short_commands(), *(stream.run() for stream in streams))
    asyncio.run(asyncio.wait_for(play(), PATIENCE))
    assert model("report")["connections"] <= 5000  # and the proxy's own, that monitor the server


def test_change_streams_resume_where_connections_are_cut(model, address):
    model("cutting", on=True)

    async def play():
        wanted = list(range(60))
        streams = [Stream(address, wanted) for _ in range(40)]

        async def insert():
            await asyncio.gather(*(stream.opened.wait() for stream in streams))
            for identifier in wanted:
                await asyncio.to_thread(model, "insert", namespace="d.c", identifier=identifier)
                await asyncio.sleep(0.02)
        await asyncio.gather(insert(), *(stream.run() for stream in streams))
        return sum(stream.resumed for stream in streams)
    assert asyncio.run(asyncio.wait_for(play(), PATIENCE)) > 5
