"""Scenes that several tests need."""

import asyncio
import uuid

from bson import Binary, Int64


async def value(maybe):
    """Awaits the value if it is a coroutine or a future: drivers differ in this."""
    return await maybe if asyncio.iscoroutine(maybe) or asyncio.isfuture(maybe) else maybe


class Gate:
    """The simulated server answers the command `gated` after a call of open()."""

    def __init__(self, server):
        self._server = server
        self._event = asyncio.Event()
        server.handlers["gated"] = self._answer

    async def _answer(self, server, connection, request):
        await self._event.wait()
        return {"ok": 1.0}

    def open(self):
        self._server.call(self._event.set)


def begin_transaction(client):
    """Its lsid."""
    lsid = {"id": Binary.from_uuid(uuid.uuid4())}
    reply = client.command({"insert": "c", "documents": [{"_id": 1}], "$db": "d", "lsid": lsid,
                            "txnNumber": Int64(1), "startTransaction": True, "autocommit": False})
    assert reply["ok"] == 1
    return lsid


def end_transaction(client, lsid, command="commitTransaction"):
    return client.command({command: 1, "lsid": lsid, "txnNumber": Int64(1), "autocommit": False})
