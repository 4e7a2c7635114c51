"""Inserts at a simulated server that answers only on the test's request, and a client that sends them.

The server stores documents by _id, and recognises retried statements by (session, number, statement id), as servers
do. statements.KINDS selects the places of its answers."""

import asyncio
import threading
import uuid
from collections import deque

from bson import Binary, Int64

from . import statements, wire
from .process import PATIENCE, NotInTime
from .simulated import Hangup

DUPLICATE, TOO_OLD = 11000, 225


def lsid(session):
    return {"id": Binary(session.bytes, 4)}


def codes(reply):
    """(index, code, keyPattern, keyValue) of its writeErrors."""
    return [(one["index"], one["code"], one["keyPattern"], one["keyValue"])
            for one in reply.body.get("writeErrors", [])]


def duplicate(index, value):
    return index, DUPLICATE, {"_id": 1}, {"_id": value}


class Arrived:
    """An insert that the server received."""

    def __init__(self, inserts, connection, request, future):
        self.inserts, self.connection, self.request, self._future = inserts, connection, request, future

    @property
    def body(self):
        return self.request.body

    @property
    def documents(self):
        return self.request.sequences.get("documents", self.body.get("documents", []))

    @property
    def ids(self):
        return [one["_id"] for one in self.documents]

    @property
    def number(self):
        """(session, txnNumber) as received."""
        return bytes(self.body["lsid"]["id"]), self.body["txnNumber"]

    def _settle(self, result):
        if not self._future.done():
            self._future.set_result(result)

    def answer(self, reply=None, **more):
        """Executes it and answers with the result and `more`; or answers with `reply` and does not execute it."""
        self.inserts.server.call(self._settle, reply or {**self.inserts.run(self), **more})

    def cut(self, *, run):
        """Closes the connection without an answer; run: after executing it."""
        if run:
            self.inserts.run(self)
        self.inserts.server.call(self._settle, Hangup)


class Inserts:
    """Replaces the server's own handler for inserts."""

    def __init__(self, server, kind="exact"):
        self.server = server
        self.plan = statements.KINDS[kind]
        self.stored = {}  # _id: number of times it was stored
        self._statements = set()
        self._waiting = deque()
        self._news = threading.Condition()
        self.all = []
        server.handlers["insert"] = self._arrive

    async def _arrive(self, _, connection, request):
        arrived = Arrived(self, connection, request, asyncio.get_running_loop().create_future())
        self.all.append(arrived)
        with self._news:
            self._waiting.append(arrived)
            self._news.notify_all()
        if request.flags & wire.MORE_TO_COME:
            return None
        result = await arrived._future
        if result is Hangup:
            raise Hangup
        return result

    def next(self):
        """The next insert in the order of arrival."""
        with self._news:
            if not self._news.wait_for(lambda: self._waiting, PATIENCE):
                raise NotInTime("no insert arrived")
            return self._waiting.popleft()

    def none_waits(self):
        with self._news:
            return not self._waiting

    def run(self, arrived):
        """Stores the documents that are not stored yet, and returns the reply."""
        errors, body, documents = [], arrived.body, arrived.documents
        ids = body.get("stmtIds", range(len(documents)))
        keys = [(*arrived.number, one) if "txnNumber" in body else None for one in ids]
        plan = self.plan(len(documents), lambda at: keys[at] in self._statements)
        for place, at in enumerate(plan):
            if at is None:
                continue
            value = documents[at]["_id"]
            if value in self.stored:
                errors.append({"index": place, "code": DUPLICATE, "errmsg": "E11000 duplicate key",
                               "keyPattern": {"_id": 1}, "keyValue": {"_id": value}})
                continue
            self.stored[value] = 1
            if keys[at] is not None:
                self._statements.add(keys[at])
        reply = {"n": len(plan) - len(errors), "ok": 1.0}
        return {"n": reply["n"], "writeErrors": errors, "ok": 1.0} if errors else reply


class Inserter(wire.RawClient):
    """A client with a logical session; `number` is its last txnNumber."""

    def __init__(self, endpoint, *, session=None, retryable=True, hello=True, **more):
        super().__init__(endpoint, **more)
        self.session = session or uuid.uuid4()
        self.number = 0
        self.retryable = retryable
        if hello:
            self.hello(compression=["snappy", "zstd", "zlib"])

    def message(self, *ids, flags=0, again=False, in_body=False, compressor=None, documents=None, **fields):
        """Makes an insert of documents with these _ids. again: with the last number."""
        documents = [{"_id": one} for one in ids] if documents is None else documents
        body = {"insert": "c", "$db": "d"}
        if self.retryable and "lsid" not in fields:
            self.number += not again
            body |= {"lsid": lsid(self.session), "txnNumber": Int64(self.number)}
        body |= fields
        if "ordered" not in body:
            body["ordered"] = len(documents) == 1
        body = {key: value for key, value in body.items() if value is not None}
        message = (wire.op_msg({**body, "documents": documents}, flags=flags) if in_body else
                   wire.op_msg(body, {"documents": documents}, flags=flags))
        return wire.compress(message, compressor) if compressor else message

    def insert(self, *ids, **more):
        """Sends it, and returns the sent message."""
        message = self.message(*ids, **more)
        self.send(message)
        return message

    def answered(self, message):
        """Returns the reply, which must belong to that message."""
        reply = self.receive()
        assert reply.response_to == int.from_bytes(message[4:8], "little")
        assert reply.opcode == wire.OP_MSG
        return reply
