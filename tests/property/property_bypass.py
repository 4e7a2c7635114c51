#!/usr/bin/env python3
"""Random write commands, in order and out of order, to namespaces with a schema: no document bypasses it.

    property_bypass.py [--cases N | --seconds T] [--seed S]

A command is made as a driver would send it, and then changed: fields of other types (the same text as a symbol or
code, the same number as a decimal), given twice, moved, renamed, left out; lists in the body, as document
sequences, as both; stages inside $facet, $lookup, $unionWith and explain; oplog operations inside each other. It
goes through the proxy, which holds two collections against a schema with "unproved": "reject", to a server that has
none. After each command both collections are read directly: no document in them may break the schema, as a few
lines of Python have it. A seed is printed, and repeats the run. Ends with 1 at the first document that got past."""

import argparse
import copy
import pathlib
import random
import struct
import sys
import time

import bson
from bson import Code, Decimal128, Int64

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/property"), str(ROOT / "tests/integration")]
from guarded_server import guarded_server  # noqa: E402
from support import wire  # noqa: E402
from support.field_types import TYPES, element  # noqa: E402
from support.schemas import wait_in_force  # noqa: E402

DATABASE, OTHER = "bypass", "bypass_other"
GUARDED = ("t", "u")
NAMES = ("t", "t", "t", "u", "free")
SCHEMA = {"bsonType": "object", "required": ["total"],
          "properties": {"total": {"bsonType": "number", "minimum": 0}}}
OBJECT, ARRAY = 3, 4
SEQUENCES = {"insert": ["documents"], "update": ["updates"], "bulkWrite": ["ops", "nsInfo"],
             "aggregate": ["pipeline"], "findAndModify": ["update", "query"],
             "delete": ["deletes"]}


def keeps_schema(document):
    """Independent of the proxy."""
    total = document.get("total")
    if isinstance(total, Decimal128):
        total = total.to_decimal()
        return not total.is_nan() and total >= 0
    return isinstance(total, (int, float)) and not isinstance(total, bool) and total >= 0


# --- commands as trees: (kind, list of [name, node]) for objects and arrays, (kind, bytes) for the rest

def tree(value):
    if isinstance(value, tuple):
        return value
    if isinstance(value, dict):
        return OBJECT, [[name, tree(one)] for name, one in value.items()]
    if isinstance(value, list):
        return ARRAY, [[str(index), tree(one)] for index, one in enumerate(value)]
    return element(value)


def encoded(node):
    kind, content = node
    if isinstance(content, bytes):
        return content
    inner = b"".join(bytes([one[0]]) + name.encode() + b"\0" + encoded(one) for name, one in content)
    return struct.pack("<i", len(inner) + 5) + inner + b"\0"


def whole(document):
    """A document that would be stored: changed as a whole or not at all. Of fields that it has twice,
    MongoDB stores both and judges the first, and SecantusDB keeps the last."""
    return OBJECT, bson.encode(document)


def text_of(node):
    return node[1][4:-1] if node[0] in (2, 13, 14) else None


class Commands:
    """Commands as drivers send them."""

    def __init__(self, rng):
        self.rng = rng

    def maybe(self, chance=0.5):
        return self.rng.random() < chance

    def name(self):
        return self.rng.choice(NAMES)

    def ns(self):
        return f"{DATABASE}.{self.name()}"

    def total(self, good):
        good_ones = [1, 2.5, Int64(7), 0, Decimal128("3")]
        bad_ones = ["bad", -1, None, True, [1], {"x": 1}, Decimal128("-2"), Code("1"), float("nan")]
        return self.rng.choice(good_ones if good else bad_ones)

    def document(self, good=None):
        good = self.maybe(0.7) if good is None else good
        made = {"_id": self.rng.randrange(12)} if self.maybe(0.7) else {}
        if good or self.maybe():
            made["total"] = self.total(good)
        if self.maybe(0.3):
            made["n"] = self.rng.randrange(9)
        return made

    def change(self):
        rng = self.rng
        kind = rng.randrange(8)
        value = self.total(self.maybe(0.6))
        if kind < 2:
            made = self.document()
            made.pop("_id", None)
            return whole(made)
        if kind == 2:
            return [{"$set": {"total": value}}]
        operator = rng.choice(["$set", "$set", "$setOnInsert", "$min", "$max", "$push", "$unset"])
        made = {operator: {rng.choice(["total", "total", "n", "total.x"]): value}}
        if self.maybe(0.3):
            made[rng.choice(["$set", "$inc", "$unset", "$rename"])] = {
                rng.choice(["total", "n"]): rng.choice([1, "total", "m"])}
        return made

    def query(self):
        return self.rng.choice([{"_id": self.rng.randrange(14)}, {}, {"n": 1}, {"total": "bad"},
                                {"_id": self.rng.randrange(14), "total": "bad"}])

    def flags(self, *names):
        return {name: self.rng.choice([True, False]) for name in names if self.maybe(0.4)}

    def insert(self):
        documents = [whole(self.document()) for _ in range(self.rng.randrange(1, 4))]
        return {"insert": self.name(), "documents": documents,
                **self.flags("ordered", "bypassDocumentValidation")}

    def statement(self):
        return {"q": self.query(), "u": self.change(), **self.flags("upsert", "upsert", "multi")}

    def update(self):
        return {"update": self.name(),
                "updates": [self.statement() for _ in range(self.rng.randrange(1, 3))],
                **self.flags("ordered", "bypassDocumentValidation")}

    def find_and_modify(self):
        name = self.rng.choice(["findAndModify", "findandmodify"])
        return {name: self.name(), "query": self.query(), "update": self.change(),
                **self.flags("upsert", "upsert", "new", "bypassDocumentValidation")}

    def operation(self):
        place = self.rng.randrange(2)
        kind = self.rng.randrange(3)
        if kind == 0:
            return {"insert": place, "document": whole(self.document())}
        if kind == 1:
            return {"update": place, "filter": self.query(), "updateMods": self.change(),
                    **self.flags("upsert", "multi")}
        return {"delete": place, "filter": {"_id": 99}, "multi": False}

    def bulk_write(self):
        return {"bulkWrite": 1, "ops": [self.operation() for _ in range(self.rng.randrange(1, 4))],
                "nsInfo": [{"ns": self.ns()}, {"ns": self.ns()}],
                **self.flags("ordered", "bypassDocumentValidation"), "$db": "admin"}

    def target(self):
        name = self.name()
        return self.rng.choice([name, {"db": DATABASE, "coll": name}])

    def writer(self):
        if self.maybe(0.4):
            return {"$out": self.target()}
        return {"$merge": self.rng.choice([self.name(), {"into": self.target()}])}

    def stages(self):
        made = [{"$addFields": {"total": self.total(False)}}, self.writer()]
        nested = self.rng.randrange(8)
        if nested == 0:
            made = [{"$facet": {"x": made}}]
        elif nested == 1:
            made = [{"$lookup": {"from": "free", "pipeline": made, "as": "y"}}]
        elif nested == 2:
            made = [{"$unionWith": {"coll": "free", "pipeline": made}}]
        elif nested == 3:
            made += [{"$limit": 5}]
        return made

    def aggregate(self):
        return {"aggregate": self.rng.choice(["free", "t", "seed"]), "pipeline": self.stages(),
                "cursor": {}, **self.flags("explain", "bypassDocumentValidation"),
                "$db": self.rng.choice([DATABASE, DATABASE, OTHER])}

    def map_reduce(self):
        out = self.rng.choice([self.name(), {self.rng.choice(["replace", "merge", "reduce"]): self.name()},
                               {"replace": self.name(), "db": DATABASE}, {"inline": 1}])
        return {self.rng.choice(["mapReduce", "mapreduce"]): "free",
                "map": Code("function() { emit(this._id, 1) }"),
                "reduce": Code("function(key, values) { return 1 }"), "out": out}

    def oplog(self, depth=0):
        if depth < 2 and self.maybe(0.3):
            return {"op": "c", "ns": "admin.$cmd", "o": {"applyOps": [self.oplog(depth + 1)]}}
        if self.maybe(0.2):
            return {"op": "c", "ns": f"{DATABASE}.$cmd", "o": self.rename()}
        return self.rng.choice([{"op": "i", "ns": self.ns(), "o": whole(self.document(False))},
                                {"op": "u", "ns": self.ns(), "o": {"$set": {"total": "bad"}},
                                 "o2": {"_id": 1}}])

    def operations(self):
        return {self.rng.choice(["applyOps", "doTxn"]): [self.oplog()], "$db": "admin"}

    def rename(self):
        return {"renameCollection": f"{self.rng.choice([DATABASE, OTHER])}.seed", "to": self.ns(),
                "dropTarget": True, "$db": "admin"}

    def clone(self):
        return {"cloneCollectionAsCapped": "seed", "toCollection": self.name(), "size": 100000}

    def view(self):
        return {self.rng.choice(["create", "collMod"]): "view", "viewOn": "free",
                "pipeline": self.stages()}

    def explained(self):
        return {"explain": self.any_write(False), "verbosity": "executionStats"}

    def any_write(self, nested=True):
        kinds = [self.insert, self.insert, self.update, self.update, self.find_and_modify,
                 self.find_and_modify, self.bulk_write, self.bulk_write, self.aggregate,
                 self.aggregate]
        if nested:
            kinds += [self.map_reduce, self.operations, self.rename, self.clone, self.view,
                      self.explained]
        return self.rng.choice(kinds)()

    def command(self):
        made = self.any_write()
        made.setdefault("$db", DATABASE)
        if self.maybe(0.15):
            made[self.rng.choice(["lsid", "txnNumber", "stmtIds", "comment", "maxTimeMS", "hint",
                                  "writeConcern", "collation", "let", "unknown", "rawData"])] = (
                self.rng.choice(list(TYPES.values())))
        return made


class Changes:
    """What makes a command ill-formed, or well-formed in another way."""

    def __init__(self, rng):
        self.rng = rng

    def places(self, node, found):
        """Every field: (the list it stands in, its index)."""
        _, content = node
        if isinstance(content, list):
            for index, (_, one) in enumerate(content):
                found.append((content, index))
                self.places(one, found)
        return found

    def other_type(self, node):
        text = text_of(node)
        rng = self.rng
        if text is not None and rng.random() < 0.6:
            length = struct.pack("<i", len(text) + 1)
            kind = rng.choice([2, 13, 14])
            return kind, length + text + b"\0"
        if node[0] in (1, 8, 16, 18) and rng.random() < 0.7:
            return rng.choice([element(one) for one in (
                1, 0, 1.0, 0.5, Int64(1), Decimal128("1"), Decimal128("0"), True, False, "true", "")])
        if node[0] in (OBJECT, ARRAY) and isinstance(node[1], list) and rng.random() < 0.4:
            return (ARRAY if node[0] == OBJECT else OBJECT), node[1]
        return rng.choice(list(TYPES.values()))

    def change(self, command):
        """`command`: a tree whose first field names it."""
        rng = self.rng
        places = self.places(command, [])
        # what says where, what or whether stands near the top
        top = [(command[1], index) for index in range(len(command[1]))]
        content, index = rng.choice(top if rng.random() < 0.4 else places)
        kind = rng.randrange(9)
        if kind < 3:
            content[index] = [content[index][0], self.other_type(content[index][1])]
        elif kind == 3:  # twice, with what stands elsewhere
            other = rng.choice(places)
            content.insert(rng.randrange(len(content) + 1),
                           [content[index][0], copy.deepcopy(other[0][other[1]][1])])
        elif kind == 4:  # twice, of another type
            content.insert(rng.randrange(len(content) + 1),
                           [content[index][0], self.other_type(content[index][1])])
        elif kind == 5:  # null before it
            content.insert(index, [content[index][0], rng.choice([TYPES["null"], TYPES["undefined"]])])
        elif kind == 6:
            first, second = rng.randrange(len(content)), rng.randrange(len(content))
            content[first], content[second] = content[second], content[first]
        elif kind == 7:
            content.insert(rng.randrange(len(content) + 1), self.flag())
        elif len(content) > 1:
            del content[index]

    def flag(self):
        rng = self.rng
        name = rng.choice(["upsert", "remove", "new", "multi", "explain", "ordered", "documents", "update",
                           "updates", "u", "q", "pipeline", "insert", "$db", "bypassDocumentValidation",
                           "out", "to", "ns", "into", "db", "coll"])
        values = [*TYPES.values(), element("t"), element("free"), element(DATABASE), element(OTHER),
                  element(f"{DATABASE}.t"), tree([{"total": "bad"}]), tree({"$set": {"total": "bad"}})]
        return [name, rng.choice(values)]


class Form:
    """A command as a message."""

    def __init__(self, rng):
        self.rng = rng

    def message(self, command):
        rng = self.rng
        sequences = []
        name = command[1][0][0] if command[1] else ""
        moved = SEQUENCES.get(name, ["update"]) if rng.random() < 0.4 else []
        for index in reversed(range(1, len(command[1]))):
            field, (_, content) = command[1][index]
            if field in moved and isinstance(content, list):
                documents = [encoded(one) for _, one in content if one[0] == OBJECT]
                if rng.random() < 0.9:
                    del command[1][index]
                for part in self.parts(documents):
                    sequences.append((field if rng.random() < 0.95 else field + ".0", part))
        sections = [wire.body_section(encoded(command))]
        for field, documents in sequences:
            inner = field.encode() + b"\0" + b"".join(documents)
            sections.append(b"\1" + struct.pack("<i", len(inner) + 4) + inner)
        if rng.random() < 0.2:
            rng.shuffle(sections)
        flags = wire.CHECKSUM if rng.random() < 0.1 else 0
        silent = rng.random() < 0.05
        message = wire.op_msg_of(b"".join(sections), flags=flags | (wire.MORE_TO_COME if silent else 0))
        if rng.random() < 0.1 and not silent:
            message = wire.compress(message, rng.choice(["snappy", "zlib", "zstd"]))
        return message, silent

    def parts(self, documents):
        if self.rng.random() < 0.1 and len(documents) > 1:
            return [documents[:1], documents[1:]]
        return [documents]


class Run:
    def __init__(self, server, proxy, seed):
        self.proxy, self.seed = proxy, seed
        self.direct = server.endpoint.client()
        self.client = wire.RawClient(proxy.endpoint())
        self.counts = dict.fromkeys(("commands", "plain", "stored", "refused", "closed"), 0)
        self.before = {}

    def close(self):
        self.client.socket.close()
        for name in (DATABASE, OTHER):
            self.direct.drop_database(name)
        self.direct.close()

    def prepare(self):
        """Documents that keep the schema in the guarded collections, and what breaks it elsewhere."""
        for name in GUARDED:
            self.direct[DATABASE][name].drop()
            self.direct[DATABASE][name].insert_many(
                [{"_id": number, "total": number, "n": 1} for number in range(4)])
        for database in (DATABASE, OTHER):
            for name in ("free", "seed"):
                self.direct[database][name].drop()
                self.direct[database][name].insert_many(
                    [{"_id": f"{name}{number}", "total": "bad"} for number in range(3)])
        self.direct[DATABASE]["view"].drop()

    def stored(self):
        return {name: list(self.direct[DATABASE][name].find()) for name in GUARDED}

    def ask(self, message, silent):
        try:
            self.client.send(message)
            if silent:
                self.client.command({"ping": 1})
                return {}
            return self.client.receive().body
        except (ConnectionError, bson.errors.BSONError, wire.Malformed):
            self.counts["closed"] += 1
            self.client.socket.close()
            self.client = wire.RawClient(self.proxy.endpoint())
            return {}

    def make(self, number):
        rng = random.Random(f"{self.seed}/{number}")
        command = tree(Commands(rng).command())
        changes = rng.choice([0, 1, 1, 1, 2, 3])
        for _ in range(changes):
            if command[1]:
                Changes(rng).change(command)
        return changes, *Form(rng).message(command)

    def one(self, number):
        """Whether nothing got past."""
        changes, message, silent = self.make(number)
        reply = self.ask(message, silent)
        self.counts["commands"] += 1
        self.counts["plain"] += not changes
        self.counts["refused"] += bool(reply) and (not reply.get("ok") or "writeErrors" in reply)
        after = self.stored()
        self.counts["stored"] += after != self.before
        bad = {name: [one for one in documents if not keeps_schema(one)]
               for name, documents in after.items()}
        if any(bad.values()):
            print(f"seed {self.seed}, command {number}: a document got past the schema: {bad}")
            print(f"message: {wire_text(message)}")
            print(f"reply: {reply}")
            return False
        self.before = after
        if number % 50 == 0 or sum(map(len, after.values())) > 200:
            self.prepare()
            self.before = self.stored()
        return True


def wire_text(message):
    try:
        parsed = wire.parse(message)
        return f"{parsed.body} {parsed.sequences} {message.hex()}"
    except Exception:  # it is to be shown whatever it is
        return message.hex()


def run(server, proxy, cases=None, seconds=None, seed=None):
    """The counts; None where a document got past."""
    seed = random.randrange(1 << 32) if seed is None else seed
    print(f"seed {seed}", flush=True)
    end = None if seconds is None else time.monotonic() + seconds
    made = Run(server, proxy, seed)
    try:
        with proxy.endpoint().client() as client:
            for name in GUARDED:
                wait_in_force(client, f"{DATABASE}.{name}")
        made.prepare()
        made.before = made.stored()
        number = 0
        while (end is None or time.monotonic() < end) and (cases is None or number < cases):
            number += 1
            if not made.one(number):
                return None
        return made.counts
    finally:
        print(made.counts, flush=True)
        made.close()


def guard(folder):
    for name in GUARDED:
        folder.write(f"{DATABASE}.{name}", SCHEMA, unproved="reject", allow_bypass=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    if options.cases is None and options.seconds is None:
        options.cases = 2000
    with guarded_server(guard) as (server, _, proxy):
        counts = run(server, proxy, options.cases, options.seconds, options.seed)
    sys.exit(0 if counts else 1)


if __name__ == "__main__":
    main()
