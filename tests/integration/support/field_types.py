"""Each field of the write commands given as each BSON type, given twice, or put into a document sequence: the cases
of field_types in the conformance data, as bytes, and the recorded outcome of a server for each.

Collection t of the database holds {_id: "base"} before each case, x is empty. An answer is "ok", a code, or
"writeError CODE", followed by the other stored documents. A star marks a document that holds total: "bad"."""

import datetime
import struct
from contextlib import contextmanager

import bson
from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

from .schemas import wait_in_force
from .wire import OP_MSG, RawClient, body_section, frame

DATABASE = "typ"
BAD = {"_id": "new", "total": "bad"}


def element(value):
    """The type's byte and the bytes of a value."""
    encoded = bson.encode({"a": value})
    return encoded[4], encoded[7:-1]


def document(*fields):
    """A document of (name, (type, bytes)) in this order; names may stand in it twice."""
    inner = b"".join(bytes([kind]) + name.encode() + b"\0" + value for name, (kind, value) in fields)
    return struct.pack("<i", len(inner) + 5) + inner + b"\0"


def inside(*fields):
    return 3, document(*fields)


def array(*items):
    return 4, document(*((str(index), item) for index, item in enumerate(items)))


TYPES = {
    "double": element(1.5), "double 1.0": element(1.0), "double 0.0": element(0.0),
    "NaN": element(float("nan")), "string": element("x"), "empty string": element(""),
    "object": element({}), "array": element([]), "binData": element(Binary(b"x")),
    "undefined": (6, b""), "objectId": element(ObjectId("0" * 24)), "true": element(True),
    "false": element(False), "date": element(datetime.datetime(2020, 1, 1)), "null": element(None),
    "regex": element(Regex("x")), "code": element(Code("x")),
    "symbol": (14, struct.pack("<i", 2) + b"x\0"), "int 1": element(1), "int 0": element(0),
    "int -1": element(-1), "timestamp": element(Timestamp(1, 1)), "long 1": element(Int64(1)),
    "decimal 1": element(Decimal128("1")), "decimal 0": element(Decimal128("0")),
    "decimal NaN": element(Decimal128("NaN")), "minKey": element(MinKey()),
    "maxKey": element(MaxKey()),
}

DB = ("$db", element(DATABASE))
DOCUMENTS = ("documents", array(element(BAD)))
SET_BAD = element({"$set": {"total": "bad"}})
CHANGES = [("q", element({"_id": "base"})), ("u", SET_BAD)]
INSERTS = [("q", element({"_id": "new"})), ("u", SET_BAD)]
MADE = element({"$addFields": {"total": "bad", "_id": "new"}})
CURSOR = ("cursor", element({}))


def put(fields, name, value):
    return [(one, value if one == name else given) for one, given in fields]


def insert(*fields, name="t"):
    return document(("insert", element(name)), *fields, DB)


def update(*statements):
    return document(("update", element("t")), ("updates", array(*statements)), DB)


def find_and_modify(*fields, query=element({"_id": "base"}), change=SET_BAD):
    return document(("findAndModify", element("t")), ("query", query), ("update", change), *fields, DB)


def aggregate(*stages, more=()):
    return document(("aggregate", element("t")), ("pipeline", array(*stages)), CURSOR, *more, DB)


def map_reduce(out):
    return document(("mapReduce", element("t")), ("map", element(Code("function(){emit(1,1)}"))),
                    ("reduce", element(Code("function(k,v){return 1}"))), ("out", out), DB)


def cases():
    """name: a function that makes the command from a value."""
    made = {
        "insert: insert": lambda v: document(("insert", v), DOCUMENTS, DB),
        "insert: $db": lambda v: document(("insert", element("t")), DOCUMENTS, ("$db", v)),
        "insert: documents": lambda v: insert(("documents", v)),
        "insert: documents[0], a good one after it":
            lambda v: insert(("documents", array(v, element(BAD)))),
        "update: update": lambda v: document(("update", v), ("updates", array(inside(*CHANGES))), DB),
        "update: updates": lambda v: document(("update", element("t")), ("updates", v), DB),
        "update: updates[0], a good one after it": lambda v: update(v, inside(*CHANGES)),
        "update: updates.u.$set": lambda v: update(inside(CHANGES[0], ("u", inside(("$set", v))))),
        "aggregate: aggregate": lambda v: document(
            ("aggregate", v), ("pipeline", array(MADE, element({"$merge": "x"}))), CURSOR, DB),
        "aggregate: $out": lambda v: aggregate(MADE, inside(("$out", v))),
        "aggregate: $merge": lambda v: aggregate(MADE, inside(("$merge", v))),
        "aggregate: $merge.into": lambda v: aggregate(MADE, inside(("$merge", inside(("into", v))))),
        "aggregate: explain":
            lambda v: aggregate(MADE, element({"$merge": "x"}), more=[("explain", v)]),
        "aggregate: pipeline[0], $merge after it": lambda v: aggregate(v, MADE, element({"$merge": "x"})),
        "mapReduce: out": map_reduce,
        "renameCollection: to": lambda v: document(
            ("renameCollection", element(f"{DATABASE}.t")), ("to", v), ("$db", element("admin"))),
        "explain: explain": lambda v: document(("explain", v), DB),
    }
    for field in ("ordered", "bypassDocumentValidation", "writeConcern", "comment", "stmtIds", "lsid",
                  "txnNumber", "maxTimeMS", "collation", "unknownField"):
        made[f"insert: {field}"] = lambda v, field=field: insert(DOCUMENTS, (field, v))
    for field in ("q", "u"):
        made[f"update: updates.{field}"] = lambda v, field=field: update(inside(*put(CHANGES, field, v)))
    for field in ("multi", "upsert", "collation", "arrayFilters", "hint", "c", "unknownField"):
        made[f"update: updates.{field} (matching nothing)"] = (
            lambda v, field=field: update(inside(*INSERTS, (field, v))))
    for name in ("findAndModify", "findandmodify"):
        made[f"{name}: {name}"] = lambda v, name=name: document(
            (name, v), ("query", element({"_id": "base"})), ("update", SET_BAD), DB)
    made["findAndModify: query"] = lambda v: find_and_modify(query=v)
    made["findAndModify: update"] = lambda v: find_and_modify(change=v)
    for field in ("upsert", "new", "remove", "fields", "sort", "bypassDocumentValidation",
                  "arrayFilters", "hint", "unknownField"):
        made[f"findAndModify: {field} (matching nothing)"] = (
            lambda v, field=field: find_and_modify((field, v), query=element({"_id": "new"})))
    return made


def twice():
    """name: a command with one field twice."""
    harmless = element({"$set": {"n": 2}})
    merge = element({"$merge": "x"})
    false, true = element(False), element(True)
    return {
        "insert: insert twice, t then x": insert(("insert", element("x")), DOCUMENTS),
        "insert: documents twice": insert(("documents", array(element({"_id": "first"}))), DOCUMENTS),
        "insert: $db twice, typ then typ2": document(
            ("insert", element("t")), DOCUMENTS, DB, ("$db", element("typ2"))),
        "insert: ordered twice": insert(DOCUMENTS, ("ordered", true), ("ordered", false)),
        "update: update twice, t then x": document(
            ("update", element("t")), ("update", element("x")), ("updates", array(inside(*CHANGES))), DB),
        "update: u twice, harmless first": update(inside(CHANGES[0], ("u", harmless), CHANGES[1])),
        "update: q twice, one that matches last":
            update(inside(("q", element({"_id": "no"})), *CHANGES)),
        "update: upsert twice, false then true":
            update(inside(*INSERTS, ("upsert", false), ("upsert", true))),
        "findAndModify: update twice, harmless first":
            find_and_modify(("update", SET_BAD), change=harmless),
        "findAndModify: upsert twice, false then true": find_and_modify(
            ("upsert", false), ("upsert", true), query=element({"_id": "new"})),
        "aggregate: pipeline twice, harmless first": document(
            ("aggregate", element("t")), ("pipeline", array()), ("pipeline", array(MADE, merge)), CURSOR,
            DB),
        "aggregate: explain true then false":
            aggregate(MADE, merge, more=[("explain", true), ("explain", false)]),
        "aggregate: $merge.into twice": aggregate(
            MADE, inside(("$merge", inside(("into", element("t")), ("into", element("x")))))),
    }


def sections():
    """name: (a command, its document sequences)."""
    first = element({"_id": "first"})
    bad = [bson.encode(BAD)]
    return {
        "insert: documents in the body and as a sequence":
            (insert(("documents", array(first))), [("documents", bad)]),
        "insert: two sequences named documents":
            (insert(), [("documents", [first[1]]), ("documents", bad)]),
        "insert: no documents, an empty sequence": (insert(), [("documents", [])]),
        "insert: a sequence of another name": (insert(DOCUMENTS), [("other", [bson.encode({})])]),
        "update: updates as a sequence": (document(("update", element("t")), DB),
                                          [("updates", [document(*CHANGES)])]),
        "findAndModify: update as a sequence": (
            document(("findAndModify", element("t")), ("query", element({"_id": "base"})), DB),
            [("update", [SET_BAD[1]])]),
        "aggregate: pipeline as a sequence": (document(("aggregate", element("t")), CURSOR, DB),
                                              [("pipeline", [MADE[1], bson.encode({"$merge": "x"})])]),
        "insert: documents.0 as a sequence": (insert(), [("documents.0", bad)]),
        "insert: sequence named a.documents": (insert(), [("a.documents", bad)]),
    }


def message(body, sequences=()):
    parts = [body_section(body)]
    for name, documents in sequences:
        inner = name.encode() + b"\0" + b"".join(documents)
        parts.append(b"\1" + struct.pack("<i", len(inner) + 4) + inner)
    return frame(OP_MSG, b"\0\0\0\0" + b"".join(parts))


def every():
    """(group, name, type or None, message) of all cases."""
    for name, make in cases().items():
        for kind, value in TYPES.items():
            yield "types", name, kind, message(make(value))
    for name, body in twice().items():
        yield "twice", name, None, message(body)
    for name, (body, sequences) in sections().items():
        yield "sections", name, None, message(body, sequences)


GUARD = {"bsonType": "object", "properties": {"total": {"bsonType": "number"}}}


@contextmanager
def guarded_asker(start_proxy, server, folder):
    """Returns an Asker through a proxy that enforces GUARD on t and x."""
    for name in ("t", "x"):
        folder.write(f"{DATABASE}.{name}", GUARD, unproved="reject", allow_bypass=False)
    proxy = start_proxy(server.endpoint.uri(), {"schemas": folder.path}, endpoint=server.endpoint)
    with proxy.endpoint().client() as client:
        for name in ("t", "x"):
            wait_in_force(client, f"{DATABASE}.{name}")
    asker = Asker(proxy.endpoint(), server.endpoint)
    try:
        yield asker
    finally:
        asker.close()


class Asker:
    """Sends cases to one endpoint, and reads the stored documents from another."""

    def __init__(self, endpoint, direct):
        self.endpoint, self.direct = endpoint, direct
        self.client, self.observer = RawClient(endpoint), RawClient(direct)

    def close(self):
        self.client.socket.close()
        self.observer.socket.close()

    def reset(self):
        for name, database in (("t", DATABASE), ("x", DATABASE), ("t", "x"), ("t", "typ2"), ("t", "")):
            self.observer.command({"delete": name, "deletes": [{"q": {}, "limit": 0}], "$db": database})
        self.observer.command({"insert": "t", "documents": [{"_id": "base", "n": 1}], "$db": DATABASE})

    def stored(self):
        """Returns the documents of t and x except the unchanged base."""
        out = []
        for name in ("t", "x"):
            reply = self.observer.command({"find": name, "$db": DATABASE})
            for one in reply["cursor"]["firstBatch"]:
                key = "new id" if isinstance(one["_id"], ObjectId) else one["_id"]
                out.append(f"{name}:{key}" + ("*" if one.get("total") == "bad" else ""))
        return [one for one in out if one != "t:base"]

    def ask(self, request):
        """Returns (the answer, the stored documents)."""
        self.reset()
        try:
            reply = self.client.ask(request).body
        except (ConnectionError, bson.errors.BSONError):
            self.client.socket.close()
            self.client = RawClient(self.endpoint)
            return "connection closed", self.stored()
        if not reply.get("ok"):
            said = str(reply.get("code"))
        elif reply.get("writeErrors"):
            said = f"writeError {reply['writeErrors'][0]['code']}"
        else:
            said = "ok"
        return said, self.stored()
