#!/usr/bin/env python3
"""Compares random write commands through the proxy with the same commands sent to the same server directly,
where a twin of the collection has the schema as its validator.

    property_writes.py [--cases N | --seconds T] [--seed S]

After each command both replies must say the same (n, nModified, upserted, index and code of each error,
findAndModify's document, bulkWrite's results) and both collections must hold the same. Inserts,
replacements, upserts and bulkWrites are compared exactly. An update by operators may pass the proxy where
the server refuses its result, since the proxy does not know what is stored (docs/schemas.md): that is
counted as open; the other way round, a refusal that the server does not share, is a difference. Updates are
of documents that are there, for the same reason.

The schemas avoid what SecantusDB is known to get wrong (property_schema.py). A seed is printed, and repeats
the run. Ends with 1 at the first difference, after printing all of it.
"""

import argparse
import json
import pathlib
import random
import sys
import time

import bson
from pymongo.errors import OperationFailure

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/property"), str(ROOT / "tests/integration")]
from guarded_server import guarded_server  # noqa: E402
from property_schema import NAMES, Generator  # noqa: E402
from support.schemas import wait_in_force  # noqa: E402

REFUSED, DUPLICATE = 121, 11000
NAMESPACES, COMMANDS = 12, 25  # schemas at a time, and commands for each
IDS = range(8)


class Difference(Exception):
    pass


class Case:
    """One schema with its twins, and the commands on them."""

    def __init__(self, rng, name, matches):
        self.rng, self.name, self.matches = rng, name, matches
        self.generator = Generator(rng, True, False)
        for _ in range(200):
            self.schema = self.generator.schema(whole=True)
            good = sum(self.is_good(self.document(0)) for _ in range(20))
            if 4 <= good <= 16:
                return
        self.schema = {"required": ["a"]}

    def is_good(self, document):
        return self.matches(bson.decode(bson.encode(document)), {"$jsonSchema": self.schema})

    def document(self, number):
        return {"_id": number, **self.generator.object(0)}

    def some_document(self, number):
        """Good or bad, more often good than chance has it."""
        wanted = self.rng.random() < 0.6
        for _ in range(12):
            document = self.document(number)
            if self.is_good(document) == wanted:
                break
        return document

    # --- commands: (body, exact)

    def insert(self, stored):
        ids = [self.rng.choice(IDS) for _ in range(self.rng.randrange(1, 7))]
        return {"insert": self.name, "documents": [self.some_document(i) for i in ids],
                "ordered": self.rng.random() < 0.5}, True

    def replacement(self, number):
        document = self.some_document(number)
        if self.rng.random() < 0.5:
            del document["_id"]
        return document

    def replace(self, stored):
        updates = []
        for _ in range(self.rng.randrange(1, 6)):
            upsert = not stored or self.rng.random() < 0.4
            number = self.rng.choice(IDS if upsert else stored)
            updates.append({"q": {"_id": number}, "u": self.replacement(number), "upsert": upsert})
        return {"update": self.name, "updates": updates, "ordered": self.rng.random() < 0.5}, True

    def operators(self):
        def operand():
            return self.generator.value(1)
        out = {}
        names = self.rng.sample(NAMES, self.rng.randrange(1, 3))
        for name in names:
            operator = self.rng.choice(["$set", "$set", "$set", "$unset", "$push", "$min",
                                        "$currentDate", "$setOnInsert"])
            value = {"$unset": "", "$currentDate": True}.get(operator) or operand()
            out.setdefault(operator, {})[name] = value
        return out

    def update(self, stored):
        numbers = self.rng.sample(stored, min(len(stored), self.rng.randrange(1, 4)))
        updates = [{"q": {"_id": number}, "u": self.operators()} for number in numbers]
        return {"update": self.name, "updates": updates, "ordered": False}, False

    def find_and_replace(self, stored):
        upsert = not stored or self.rng.random() < 0.4
        number = self.rng.choice(IDS if upsert else stored)
        return {"findAndModify": self.name, "query": {"_id": number},
                "update": self.replacement(number), "upsert": upsert,
                "new": self.rng.random() < 0.5}, True

    def find_and_update(self, stored):
        return {"findAndModify": self.name, "query": {"_id": self.rng.choice(stored)},
                "update": self.operators(), "new": True}, False

    def delete(self, stored):
        numbers = self.rng.sample(stored, min(len(stored), 3))
        return {"delete": self.name, "deletes": [{"q": {"_id": n}, "limit": 1} for n in numbers]}, True

    def bulk_write(self, stored):
        ops = []
        for _ in range(self.rng.randrange(1, 7)):
            number = self.rng.choice(IDS)
            kind = self.rng.randrange(3)
            if kind == 0:
                ops.append({"insert": 0, "document": self.some_document(number)})
            elif kind == 1:
                ops.append({"update": 0, "filter": {"_id": number}, "upsert": True,
                            "updateMods": self.replacement(number)})
            else:
                ops.append({"delete": 0, "filter": {"_id": number}, "multi": False})
        return {"bulkWrite": 1, "ops": ops, "nsInfo": None, "ordered": self.rng.random() < 0.5,
                "errorsOnly": self.rng.random() < 0.3}, True

    def command(self, stored, with_bulk):
        kinds = [self.insert, self.insert, self.replace, self.find_and_replace]
        if with_bulk:
            kinds += [self.bulk_write]
        if stored:
            kinds += [self.update, self.update, self.find_and_update, self.delete]
        return self.rng.choice(kinds)(stored)


def send(database, body):
    """The reply, also where it is an error."""
    where = database.client.admin if "bulkWrite" in body else database
    if "bulkWrite" in body:
        name = body["nsInfo"]
        body = {**body, "nsInfo": [{"ns": f"{database.name}.{name}"}]}
    try:
        return where.command(body, check=True)
    except OperationFailure as error:
        return error.details


LISTS = {"insert": "documents", "update": "updates", "bulkWrite": "ops"}


def send_each(database, body):
    """Statement by statement, and the replies put together as the server does for the whole: SecantusDB
    itself stores nothing of an ordered insert of which one document is refused by its validator."""
    kind = next(iter(body))
    if kind not in LISTS:
        return said(send(database, body))
    whole = {"ok": 1.0, "errors": [], "upserted": [], "last": {}}
    for index, statement in enumerate(body[LISTS[kind]]):
        reply = said(send(database, {**body, LISTS[kind]: [statement]}))
        for key in ("n", "nModified", "nErrors", "nInserted", "nMatched", "nUpserted", "nDeleted"):
            if key in reply:
                whole[key] = whole.get(key, 0) + reply[key]
        whole["errors"] += [(index, code) for _, code in reply["errors"]]
        whole["upserted"] += [{**one, "index": index} for one in reply["upserted"]]
        for one in reply.get("results", []):
            whole.setdefault("results", []).append({**one, "idx": index})
        if body["ordered"] and (reply["errors"] or reply.get("nErrors")):
            break
    return whole


def error_codes(errors, index="index"):
    """By index, as the server lists them; SecantusDB lists its validator's first."""
    return sorted((one[index], one["code"]) for one in errors)


def said(reply):
    """What both replies must agree on."""
    out = {key: reply[key] for key in ("ok", "n", "nModified", "code", "value", "nErrors", "nInserted",
                                       "nMatched", "nUpserted", "nDeleted") if key in reply}
    out["errors"] = error_codes(reply.get("writeErrors", []))
    out["upserted"] = reply.get("upserted", [])
    last = reply.get("lastErrorObject", {})
    out["last"] = {key: last[key] for key in ("n", "updatedExisting", "upserted") if key in last}
    for one in reply.get("cursor", {}).get("firstBatch", []):
        out.setdefault("results", []).append(
            {key: one[key] for key in ("ok", "idx", "code", "n", "nModified", "upserted")
             if key in one and (one["ok"] or key != "nModified")})
    return out


def contents(collection):
    return {bson.encode({"_id": one["_id"]}): bson.encode(one) for one in collection.find()}


class Run:
    def __init__(self, server, proxy, folder, seed):
        from secantus.query import matches
        self.matches, self.seed, self.folder = matches, seed, folder
        self.guarded = proxy.endpoint().client()
        self.direct = server.endpoint.client()
        self.with_bulk = self.direct.admin.command("hello")["maxWireVersion"] >= 25
        self.counts = dict.fromkeys(("schemas", "commands", "refused", "accepted", "open"), 0)

    def close(self):
        self.guarded.close()
        self.direct.close()

    def make_twins(self, number):
        """Schemas with their collections: `plain` behind the proxy, `twin` with the validator."""
        cases = []
        for at in range(NAMESPACES):
            rng = random.Random(f"{self.seed}/{number}/{at}")
            case = Case(rng, f"c{number}_{at}", self.matches)
            self.direct.twin.create_collection(case.name, validator={"$jsonSchema": case.schema})
            self.direct.plain.create_collection(case.name)
            self.folder.write(f"plain.{case.name}", case.schema)
            cases.append(case)
        for case in cases:
            wait_in_force(self.guarded, f"plain.{case.name}")
        return cases

    def drop_twins(self, cases):
        for case in cases:
            self.folder.remove(f"plain.{case.name}")
            self.direct.twin.drop_collection(case.name)
            self.direct.plain.drop_collection(case.name)

    def difference(self, case, body, ours, theirs):
        print(f"seed {self.seed}, {case.name}: a difference")
        for title, thing in (("schema", case.schema), ("command", body), ("through the proxy", ours),
                             ("direct", theirs)):
            print(f"{title}: {json.dumps(thing, default=repr, ensure_ascii=False)}")
        raise Difference

    def one(self, case):
        """Whether the twins differ now: after an open update, or by the time of a $currentDate."""
        plain, twin = self.direct.plain[case.name], self.direct.twin[case.name]
        stored = sorted(one["_id"] for one in plain.find({}, {"_id": 1}))
        body, exact = case.command(stored, self.with_bulk)
        if "bulkWrite" in body:
            body["nsInfo"] = case.name
        reply = send(self.guarded.plain, body)
        ours, theirs = said(reply), send_each(self.direct.twin, body)
        listed = [one["index"] for one in reply.get("writeErrors", [])]
        if listed != sorted(listed):
            self.difference(case, body, listed, sorted(listed))
        self.counts["commands"] += 1
        if exact:
            if ours != theirs:
                self.difference(case, body, ours, theirs)
        elif not self.may_be_open(ours, theirs):
            self.difference(case, body, ours, theirs)
        self.counts["refused" if ours["errors"] or "code" in ours else "accepted"] += 1
        found, wanted = contents(plain), contents(twin)
        if found == wanted:
            return False
        same = not exact and self.without_dates(plain) == self.without_dates(twin)
        if exact or (ours == theirs and not same):
            self.difference(case, body, [bson.decode(one) for one in found.values()],
                            [bson.decode(one) for one in wanted.values()])
        self.counts["open"] += not same
        return True

    @staticmethod
    def without_dates(collection):
        """$currentDate is the time at which each was done."""
        return {one["_id"]: {k: "now" if hasattr(v, "year") else v for k, v in one.items()}
                for one in collection.find()}

    @staticmethod
    def may_be_open(ours, theirs):
        """What the proxy refused the server refused, too: its result, or the operator itself (of a type
        that it cannot be applied to)."""
        wrong = {index for index, _ in theirs["errors"]}
        return (all(index in wrong for index, _ in ours["errors"])
                and ("code" not in ours or "code" in theirs))

    def settle(self, case):
        """Both go on from what the twin has."""
        plain, twin = self.direct.plain[case.name], self.direct.twin[case.name]
        plain.delete_many({})
        stored = list(twin.find())
        if stored:
            plain.insert_many(stored)

    def batch(self, number, limit):
        cases = self.make_twins(number)
        for case in cases:
            self.counts["schemas"] += 1
            for _ in range(COMMANDS):
                if limit():
                    break
                if self.one(case):
                    self.settle(case)
        self.drop_twins(cases)


def run(server, proxy, folder, cases=2000, seconds=None, seed=None):
    """The counts, or None after a difference."""
    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    print(f"seed {seed}", flush=True)
    state, end = Run(server, proxy, folder, seed), time.monotonic() + (seconds or 0)

    def limit():
        return time.monotonic() > end if seconds else state.counts["commands"] >= cases
    try:
        number = 0
        while not limit():
            state.batch(number, limit)
            number += 1
    except Difference:
        return None
    finally:
        state.close()
    print(", ".join(f"{name}: {count}" for name, count in state.counts.items()))
    return state.counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    with guarded_server() as (server, folder, proxy):
        counts = run(server, proxy, folder, options.cases, options.seconds, options.seed)
    sys.exit(0 if counts else 1)


if __name__ == "__main__":
    main()
