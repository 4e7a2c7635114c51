"""Forms of commands that could bypass a schema: the proxy refuses each with MongoDB's error code, and no part of it
is stored. Harmless forms pass, and do no harm on a real server."""

import gridfs
import pytest
from bson import Code, Decimal128
from pymongo.errors import OperationFailure
from support import wire
from support.field_types import DATABASE, GUARD, Asker, array, document, element, guarded_asker, inside, message
from support.schemas import wait_in_force

pytestmark = pytest.mark.proxy_only
BAD = {"_id": "new", "total": "bad"}
SYMBOL_T = (14, b"\2\0\0\0t\0")
ADMIN = ("$db", element("admin"))
DB = ("$db", element(DATABASE))


@pytest.fixture
def guard(start_proxy, server, folder):
    with guarded_asker(start_proxy, server, folder) as asker, server.endpoint.client() as direct:
        for database in (DATABASE, "typ_other"):
            direct[database].seed.drop()
            direct[database].seed.insert_one(BAD)
        yield asker
        for database in (DATABASE, "typ_other"):
            direct[database].seed.drop()
            direct[database].view.drop()


def bulk(*ops, ns=element(f"{DATABASE}.t"), sequences=(), lists=None):
    operations = [("ops", lists or array(*ops))] if "ops" not in dict(sequences) else []
    return message(document(("bulkWrite", element(1)), *operations,
                            ("nsInfo", array(inside(("ns", ns)))), ADMIN), sequences)


def bulk_insert(place):
    return inside(("insert", place), ("document", element(BAD)))


def aggregate(*stages, database=DATABASE, more=()):
    return message(document(("aggregate", element("seed")), ("pipeline", array(*map(element, stages))),
                            ("cursor", element({})), *more, ("$db", element(database))))


def command(body):
    return message(document(*((name, element(value)) for name, value in body.items())))


OUT = {"$out": {"db": DATABASE, "coll": "t"}}
MERGE = {"$merge": {"into": {"db": DATABASE, "coll": "t"}, "whenMatched": "replace"}}
REFUSED = {
    "bulkWrite: a place as Decimal128": (bulk(bulk_insert(element(Decimal128("0")))), "14"),
    "bulkWrite: place 0.5": (bulk(bulk_insert(element(0.5))), "14"),
    "bulkWrite: a place that is not there": (bulk(bulk_insert(element(1))), "2"),
    "bulkWrite: null in ops": (bulk(element(None), bulk_insert(element(0))), "14"),
    "bulkWrite: ops as an object": (bulk(lists=inside(("0", bulk_insert(element(0))))), "14"),
    "bulkWrite: a namespace as symbol": (
        bulk(bulk_insert(element(0)), ns=(14, b"\6\0\0\0typ.t\0")), "14"),
    "bulkWrite: a namespace as code": (bulk(bulk_insert(element(0)), ns=element(Code("typ.t"))), "14"),
    "bulkWrite: upsert as string": (bulk(inside(
        ("update", element(0)), ("filter", element({"_id": "new"})),
        ("updateMods", element({"$set": {"total": 1}})), ("upsert", element("yes")))), "14"),
    "bulkWrite: two kinds in one": (bulk(inside(
        ("delete", element(0)), ("filter", element({})), ("insert", element(0)),
        ("document", element(BAD)))), "40415"),
    "insert: a name as code": (message(document(
        ("insert", element(Code("t"))), ("documents", array(element(BAD))), DB)), "2"),
    "findAndModify: a name as symbol": (message(document(
        ("findAndModify", SYMBOL_T), ("query", element({"_id": "base"})),
        ("update", element({"$set": {"total": "bad"}})), DB)), "121"),
    "findAndModify: a name as code": (message(document(
        ("findAndModify", element(Code("t"))), ("query", element({"_id": "base"})),
        ("update", element({"$set": {"total": "bad"}})), DB)), "73"),
    "$db missing": (message(document(("insert", element("t")), ("documents", array(element(BAD))))),
                    "40571"),
    "$db as symbol": (message(document(
        ("insert", element("t")), ("documents", array(element(BAD))),
        ("$db", (14, b"\4\0\0\0typ\0")))), "13111"),
    "$out in $facet": (aggregate({"$facet": {"a": [OUT]}}), "40600"),
    "$out in $lookup": (aggregate({"$lookup": {"from": "seed", "as": "a", "pipeline": [OUT]}}), "51047"),
    "$merge in $unionWith": (aggregate({"$unionWith": {"coll": "seed", "pipeline": [MERGE]}}), "31441"),
    "$merge before another stage": (aggregate(MERGE, {"$limit": 1}), "40601"),
    "$out": (aggregate(OUT), "121"),
    "$merge": (aggregate(MERGE), "121"),
    "$out from another database": (aggregate(OUT, database="typ_other"), "121"),
    "$merge in $facet from another database":
        (aggregate({"$facet": {"a": [MERGE]}}, database="typ_other"), "40600"),
    "$out with explain: 1": (aggregate(OUT, more=[("explain", element(1))]), "14"),
    "$out with explain twice": (
        aggregate(OUT, more=[("explain", element(True)), ("explain", element(False))]), "40413"),
    "a pipeline as a sequence from another database": (message(
        document(("aggregate", element("seed")), ("cursor", element({})), ("$db", element("typ_other"))),
        [("pipeline", [element(OUT)[1]])]), "14"),
    "a view that writes": (command({"create": "view", "viewOn": "seed", "pipeline": [OUT],
                                    "$db": DATABASE}), "167"),
    "renameCollection": (command({"renameCollection": f"{DATABASE}.seed", "to": f"{DATABASE}.t",
                                  "dropTarget": True, "$db": "admin"}), "121"),
    "renameCollection from another database": (command(
        {"renameCollection": "typ_other.seed", "to": f"{DATABASE}.x", "$db": "admin"}), "121"),
    "mapReduce": (command({"mapReduce": "seed", "map": Code("function() { emit(1, 1) }"),
                           "reduce": Code("function(k, v) { return 1 }"), "out": "t",
                           "$db": DATABASE}), "121"),
    "buckets of a time series": (command({"insert": "system.buckets.t", "documents": [{"_id": 1}],
                                          "$db": DATABASE}), "writeError 121"),
    "an upsert whose _id stands in an $and": (command({"update": "t", "updates": [
        {"q": {"$and": [{"_id": "new"}]}, "u": {"total": 1}, "upsert": True}], "$db": DATABASE}),
        "writeError 121"),
    "a command that nobody knows": (command({"newInsert": "t", "documents": [BAD], "$db": DATABASE}),
                                    "59"),
}


@pytest.mark.parametrize(("request_", "code"), REFUSED.values(), ids=REFUSED)
def test_refused(guard, request_, code):
    assert guard.ask(request_) == (code, [])


EXPLAINED = {"aggregate": "seed", "pipeline": [OUT], "cursor": {}}
HARMLESS = {
    "an explained $out": aggregate(OUT, more=[("explain", element(True))]),
    "explain of $out": command({"explain": EXPLAINED, "$db": DATABASE}),
    "explain of $out, executed": command({"explain": EXPLAINED, "verbosity": "executionStats",
                                          "$db": DATABASE}),
    "explain of an insert": command({"explain": {"insert": "t", "documents": [BAD]}, "$db": DATABASE}),
    "explain of an update": command({"explain": {"update": "t", "updates": [
        {"q": {"_id": "base"}, "u": {"$set": {"total": "bad"}}}]}, "$db": DATABASE}),
    "explain of findAndModify": command({"explain": {
        "findAndModify": "t", "query": {"_id": "base"}, "update": {"$set": {"total": "bad"}}},
        "$db": DATABASE}),
    "convertToCapped": command({"convertToCapped": "t", "size": 100000, "$db": DATABASE}),
    "createIndexes": command({"createIndexes": "t", "indexes": [{"key": {"n": 1}, "name": "n_1"}],
                              "$db": DATABASE}),
    "create": command({"create": "t", "$db": DATABASE}),
    "a view that reads": command({"create": "view", "viewOn": "t", "pipeline": [{"$match": {}}],
                                  "$db": DATABASE}),
    "mapReduce inline": command({"mapReduce": "t", "map": Code("function() { emit(1, 1) }"),
                                 "reduce": Code("function(k, v) { return 1 }"), "out": {"inline": 1},
                                 "$db": DATABASE}),
    "$out to a free collection": aggregate({"$match": {"_id": 0}}, {"$out": "free"}),
}


@pytest.mark.parametrize("request_", HARMLESS.values(), ids=HARMLESS)
def test_harmless(guard, request_):
    """The answer is the server's own, and nothing is stored; the proxy refuses nothing."""
    said, stored = guard.ask(request_)
    assert (said, stored) == (Asker(guard.direct, guard.direct).ask(request_)[0], [])


def test_what_is_rejected_passes_where_that_is_allowed(start_proxy, server, folder, ns):
    database, _, name = ns.partition(".")
    folder.write(ns, GUARD)
    proxy = start_proxy(server.endpoint.uri(), {"schemas": folder.path}, endpoint=server.endpoint)
    with proxy.endpoint().client() as client:
        wait_in_force(client, ns)
        client[database].seed.insert_one(BAD)
        client.admin.command({"renameCollection": f"{database}.seed", "to": ns})
        assert list(client[database][name].find()) == [BAD]
        with pytest.raises(OperationFailure) as caught:
            client[database].command({"newInsert": "t"})
        assert caught.value.code == 59 and "mongosluice" not in str(caught.value)
        client.drop_database(database)


def test_gridfs(start_proxy, server, folder, ns):
    """Its collections are treated like others."""
    database = ns.partition(".")[0] + "_files"
    schema = {"required": ["metadata"], "properties": {"metadata": {"required": ["owner"]}}}
    folder.write(f"{database}.fs.files", schema, unproved="reject")
    proxy = start_proxy(server.endpoint.uri(), {"schemas": folder.path}, endpoint=server.endpoint)
    with proxy.endpoint().client() as client:
        wait_in_force(client, f"{database}.fs.files")
        files = gridfs.GridFS(client[database])
        kept = files.put(b"x" * 300000, metadata={"owner": "ada"})
        assert files.get(kept).read() == b"x" * 300000
        with pytest.raises(OperationFailure) as caught:
            files.put(b"y")
        assert caught.value.code == 121
        files.delete(kept)
        client.drop_database(database)


# --- commands that SecantusDB does not have

OPERATION = {"op": "i", "ns": "d.c", "o": {"_id": 1}}
FOREIGN = [
    ({"applyOps": [OPERATION], "$db": "admin"}, 121),
    ({"applyOps": [{"op": "c", "ns": "admin.$cmd", "o": {"applyOps": [OPERATION]}}], "$db": "admin"}, 121),
    ({"doTxn": [OPERATION], "$db": "admin"}, 121),
    ({"mapReduce": "free", "out": {"merge": "c"}, "$db": "d"}, 121),
    ({"mapReduce": "free", "out": {"replace": "c", "db": "d"}, "$db": "other"}, 121),
    ({"cloneCollectionAsCapped": "free", "toCollection": "c", "size": 1000, "$db": "d"}, 121),
    ({"cloneCollection": "d.c", "from": "elsewhere:27017", "$db": "d"}, 121),
    ({"copydb": 1, "fromdb": "x", "todb": "d", "$db": "admin"}, 121),
    ({"eval": Code("db.c.insert({})"), "$db": "d"}, 121),
]
FOREIGN_HARMLESS = [
    {"applyOps": [{**OPERATION, "ns": "d.free"}], "$db": "admin"},
    {"applyOps": [{"op": "d", "ns": "d.c", "o": {"_id": 1}}], "$db": "admin"},
    {"cloneCollectionAsCapped": "c", "toCollection": "free", "size": 1000, "$db": "d"},
    {"mapReduce": "c", "out": {"replace": "c", "db": "other"}, "$db": "d"},
    {"moveChunk": "d.c", "find": {}, "to": "shard", "$db": "admin"},
    {"newInsert": "c", "$db": "other"},
    {"find": "c", "$db": "d"},
]


def test_commands_that_are_refused_before_any_server(simulated, simulated_guard):
    with wire.RawClient(simulated_guard(unproved="reject").endpoint()) as client:
        for body, code in FOREIGN:
            assert client.command(body)["code"] == code, body
            assert not simulated.requests(next(iter(body))), body
        for body in FOREIGN_HARMLESS:
            request = command(body)
            client.ask(request)
            assert simulated.requests(next(iter(body)))[-1].raw == request


def test_a_malformed_command_has_its_own_code_in_any_place(simulated, simulated_guard):
    """Behind refused statements, ordered or not, and with w:0, no part of it reaches the server."""
    wrong = {"q": {}, "u": {"$set": {"name": "x"}}, "upsert": 1}
    broken = {"q": {}, "u": {"$unset": {"name": 1}}}
    with wire.RawClient(simulated_guard().endpoint()) as client:
        for ordered in (True, False):
            body = {"update": "c", "updates": [broken, wrong], "ordered": ordered, "$db": "d"}
            assert client.command(body)["code"] == 14
            client.send(wire.op_msg({**body, "writeConcern": {"w": 0}}, flags=wire.MORE_TO_COME))
        assert client.command({"ping": 1})["ok"] == 1
    assert not simulated.requests("update")
