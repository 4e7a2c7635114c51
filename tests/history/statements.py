"""SecantusDB recognises a retried write only as the exact repeat of a session's last command. This server stands in
front of it and recognises each statement by session, number and statement id, as MongoDB does.
support.statements.KINDS selects the places of its answers."""

import threading

from support import wire
from support.endpoint import Endpoint
from support.statements import KINDS, exact

TOO_OLD = {"ok": 0.0, "errmsg": "a newer number of this session was used", "code": 225,
           "codeName": "TransactionTooOld"}
NOT_FORWARDED = ("txnNumber", "stmtIds", "documents")


class Session:
    def __init__(self):
        self.lock = threading.Lock()  # a server executes one command of a session at a time
        self.number, self.known = -1, set()


class Statements:
    def __init__(self, port, kind):
        self.kind, self.plan = kind, KINDS[kind]
        self.inexact = set()  # _ids of a client's own repeats that got an inexact answer
        self._endpoint = Endpoint(f"127.0.0.1:{port}", None)
        self._sessions = {}
        self._lock = threading.Lock()

    def connect(self):
        return wire.RawClient(self._endpoint)

    def concern(self, raw):
        """Returns the message if it is an insert with a number, else None."""
        if b"insert\0" not in raw[:200] and int.from_bytes(raw[12:16], "little") != wire.OP_COMPRESSED:
            return None
        message = wire.parse(raw)
        if message.command != "insert" or "txnNumber" not in message.body or "autocommit" in message.body:
            return None
        return message

    def _session(self, message):
        with self._lock:
            return self._sessions.setdefault(bytes(message.body["lsid"]["id"]), Session())

    def run(self, message, server):
        """The reply, as bytes. server: a connection of connect()."""
        session = self._session(message)
        with session.lock:
            body = self._run(message, session, server)
        return wire.op_msg(body, response_to=message.request_id)

    def _run(self, message, session, server):
        body = message.body
        if body["txnNumber"] < session.number:
            return TOO_OLD
        if body["txnNumber"] > session.number:
            session.number, session.known = body["txnNumber"], set()
        documents = message.sequences.get("documents") or body.get("documents")
        ids = body.get("stmtIds", range(len(documents)))
        knows = lambda at: ids[at] in session.known  # noqa: E731
        plan = self.plan(len(documents), knows)
        self._note(body, documents, plan != exact(len(documents), knows))
        tried = [(place, at) for place, at in enumerate(plan) if at is not None]
        if not tried:
            return {"n": len(plan), "ok": 1.0}
        reply = server.command({key: value for key, value in body.items() if key not in NOT_FORWARDED},
                               sequences={"documents": [documents[at] for _, at in tried]})
        if not reply["ok"]:
            return reply
        errors = {one["index"]: one for one in reply.get("writeErrors", [])}
        for index, (place, at) in enumerate(tried):
            if index in errors:
                errors[index]["index"] = place
                if body.get("ordered", True):
                    break
            else:
                session.known.add(ids[at])
        reply["n"] += len(plan) - len(tried)
        return reply

    def _note(self, body, documents, is_inexact):
        """Every server receives a driver's own repeat in this form, with or without a proxy. stmtIds stand there if a
        schema refused some of its documents; the proxy's own questions have stmtIds too, but one document."""
        if is_inexact and not body.get("ordered", True) and len({one["by"] for one in documents}) == 1:
            self.inexact |= {one["_id"] for one in documents}
