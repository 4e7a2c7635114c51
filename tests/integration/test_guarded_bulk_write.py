"""bulkWrite of server 8.0 with results over several getMores, from a simulated server that returns them in small
batches: PyMongo's client.bulk_write, and messages byte for byte."""

import pytest
from bson import Binary, Int64
from pymongo import DeleteOne, InsertOne, MongoClient, UpdateOne
from pymongo.errors import ClientBulkWriteException
from support import wire
from support.wire import RawClient, op_msg

pytestmark = pytest.mark.proxy_only
GOOD = {"name": "Ada", "age": 36}
BAD = {"name": "", "age": 36}
NS = "d.c"


def results_of(request):
    """Returns the server's results for the received operations; those with duplicate: True fail."""
    results, counts = [], {"nErrors": 0, "nInserted": 0, "nMatched": 0, "nModified": 0,
                           "nUpserted": 0, "nDeleted": 0}
    for idx, raw in enumerate(request.sequences["ops"]):
        kind = next(iter(raw))
        if "duplicate" in raw.get("document", {}):
            results.append({"ok": 0.0, "idx": idx, "code": 11000, "errmsg": "dup", "n": 0})
            counts["nErrors"] += 1
            if request.body.get("ordered", True):
                break
            continue
        counts[{"insert": "nInserted", "update": "nMatched", "delete": "nDeleted"}[kind]] += 1
        results.append({"ok": 1.0, "idx": idx, "n": 1, **({"nModified": 1} if kind == "update" else {})})
    if request.body.get("errorsOnly"):
        results = [one for one in results if not one["ok"]]
    return results, counts


@pytest.fixture
def batches(simulated):
    """The simulated server gives two results at a time; returns its open cursors."""
    cursors, simulated.topology = {}, {"maxWireVersion": 25}

    def next_batch(number, name):
        batch, cursors[number] = cursors[number][:2], cursors[number][2:]
        more = bool(cursors[number])
        if not more:
            del cursors[number]
        return {"id": Int64(number if more else 0), "ns": "admin.$cmd.bulkWrite", name: batch}

    def bulk_write(server, connection, request):
        results, counts = results_of(request)
        number = len(server.requests("bulkWrite")) + 2**40
        cursors[number] = results
        return {"cursor": next_batch(number, "firstBatch"), **counts, "ok": 1.0}

    def get_more(server, connection, request):
        return {"cursor": next_batch(request.body["getMore"], "nextBatch"), "ok": 1.0}
    simulated.handlers.update({"bulkWrite": bulk_write, "getMore": get_more})
    return cursors


def operations(*kinds):
    """g(ood) and b(ad) inserts, d(uplicates), u(pdates), w(rong updates), r(emovals)."""
    made = {"g": lambda i: InsertOne({"_id": i, **GOOD}, namespace=NS),
            "b": lambda i: InsertOne({"_id": i, **BAD}, namespace=NS),
            "d": lambda i: InsertOne({"_id": i, **GOOD, "duplicate": True}, namespace=NS),
            "u": lambda i: UpdateOne({"_id": i}, {"$set": {"age": i}}, namespace=NS),
            "w": lambda i: UpdateOne({"_id": i}, {"$set": {"age": "x"}}, namespace=NS),
            "r": lambda i: DeleteOne({"_id": i}, namespace=NS)}
    return [made[kind](i) for i, kind in enumerate("".join(kinds))]


def told(kinds, ordered):
    """Returns index and code of each error, and the indexes of the executed operations."""
    errors, done = [], []
    for index, kind in enumerate(kinds):
        if kind in "bwd":
            errors.append((index, 11000 if kind == "d" else 121))
            if ordered:
                break
        else:
            done.append(index)
    return errors, done


@pytest.mark.parametrize("verbose", [True, False])
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("kinds", ["gbgbg", "bbggggbb", "ggggggb", "bgdgwgurbgd", "b", "bw", "dbg", "gdb",
                                   "gb" * 40, "ggg"])
def test_results_over_many_batches(simulated, simulated_guard, batches, kinds, ordered, verbose):
    where = simulated_guard().endpoint()
    errors, done = told(kinds, ordered)
    with MongoClient(where.uri(directConnection="true", retryWrites="false")) as client:
        try:
            result = client.bulk_write(operations(kinds), ordered=ordered, verbose_results=verbose)
            found = []
        except ClientBulkWriteException as caught:
            result = caught.partial_result
            found = [(one["idx"], one["code"]) for one in caught.write_errors]
        assert found == errors
        if verbose and done:
            seen = (set(result.insert_results) | set(result.update_results)
                    | set(result.delete_results))
            assert seen == set(done)
    assert not batches, "a cursor was not read to its end"


def begin(client, kinds, **body):
    ops = []
    for i, kind in enumerate(kinds):
        document = {"_id": i, **(BAD if kind == "b" else GOOD)}
        ops.append({"insert": 0, "document": document})
    return client.ask(op_msg({"bulkWrite": 1, "ordered": False, "$db": "admin", **body},
                             {"ops": ops, "nsInfo": [{"ns": NS}]})).body["cursor"]


def get_more(cursor, **more):
    return op_msg({"getMore": cursor["id"], "collection": "$cmd.bulkWrite", "$db": "admin"}, **more)


@pytest.mark.parametrize("more", [{}, {"flags": wire.CHECKSUM}, {"flags": wire.EXHAUST_ALLOWED}],
                         ids=["plain", "checksum", "exhaust allowed"])
def test_the_next_batch_on_another_connection(simulated, simulated_guard, batches, more):
    where = simulated_guard().endpoint()
    with RawClient(where) as one, RawClient(where) as other:
        cursor = begin(one, "gbgbgbgb")
        assert [r["idx"] for r in cursor["firstBatch"]] == [0, 1, 2]
        batch = other.ask(get_more(cursor, **more)).body["cursor"]
        assert [r["idx"] for r in batch["nextBatch"]] == [3, 4, 5, 6, 7] and batch["id"] == 0
        assert [r["ok"] for r in batch["nextBatch"]] == [0, 1, 0, 1, 0]


def test_a_compressed_get_more(simulated, simulated_guard, batches):
    with RawClient(simulated_guard().endpoint()) as client:
        cursor = begin(client, "gbgbgbgb")
        reply = client.ask(wire.compress(get_more(cursor), "snappy"))
        assert reply.compressor == 1
        assert [r["idx"] for r in reply.body["cursor"]["nextBatch"]] == [3, 4, 5, 6, 7]


def test_cursors_of_others_pass(simulated, simulated_guard, batches):
    with RawClient(simulated_guard().endpoint()) as client:
        first, second = begin(client, "gbgbgb"), begin(client, "gggggg")
        assert [r["idx"] for r in client.ask(get_more(second)).body["cursor"]["nextBatch"]] == [2, 3]
        assert [r["idx"] for r in client.ask(get_more(first)).body["cursor"]["nextBatch"]] == [3, 4, 5]


def test_pipelined_get_mores(simulated, simulated_guard, batches):
    with RawClient(simulated_guard().endpoint()) as client:
        cursor = begin(client, "gb" * 9)
        client.send(b"".join(get_more(cursor) for _ in range(4)))
        seen = [[r["idx"] for r in client.receive().body["cursor"]["nextBatch"]] for _ in range(4)]
        assert seen == [[3, 4, 5, 6], [7, 8, 9, 10], [11, 12, 13, 14], [15, 16, 17]]


def test_what_is_kept_of_cursors_is_bounded(simulated, simulated_guard, batches):
    """A cursor that is left alone costs no more than others: what is forgotten is told as an error,
    never with wrong numbers."""
    proxy = simulated_guard()
    big = {"name": "n", "age": "x" * 2_000_000}
    cursors = []
    with RawClient(proxy.endpoint(), 60) as client:
        for _ in range(40):
            ops = [{"insert": 0, "document": {"_id": i, **GOOD}} for i in range(3)]
            ops.insert(1, {"insert": 0, "document": big})
            cursors.append(client.ask(op_msg({"bulkWrite": 1, "ordered": False, "$db": "admin"},
                                             {"ops": ops, "nsInfo": [{"ns": NS}]})).body["cursor"])
        replies = [client.ask(get_more(cursor)).body for cursor in cursors]
    lost = [reply for reply in replies if not reply["ok"]]
    assert 0 < len(lost) < 40 and replies[-1]["ok"]
    assert all(reply["code"] == 43 and reply["codeName"] == "CursorNotFound" for reply in lost)
    assert all([r["idx"] for r in reply["cursor"]["nextBatch"]] == [3]
               for reply in replies if reply["ok"])


@pytest.mark.parametrize("sections", ["ops first", "in the body"])
def test_other_forms(simulated, simulated_guard, batches, sections):
    simulated.handlers["bulkWrite"] = lambda server, connection, request: {
        "cursor": {"id": Int64(0), "ns": "admin.$cmd.bulkWrite", "firstBatch": [
            {"ok": 1.0, "idx": 0, "n": 1}]}, "nErrors": 0, "nInserted": 1, "nMatched": 0,
        "nModified": 0, "nUpserted": 0, "nDeleted": 0, "ok": 1.0}
    ops = [{"insert": 1, "document": {"_id": 0, **BAD}}, {"insert": 0, "document": {"free": 1}}]
    infos = [{"ns": "d.free"}, {"ns": NS}]
    body = {"bulkWrite": 1, "ordered": False, "$db": "admin"}
    message = (op_msg(body, {"ops": ops, "nsInfo": infos}, sequences_first=True)
               if sections == "ops first" else op_msg({**body, "ops": ops, "nsInfo": infos}))
    with RawClient(simulated_guard().endpoint()) as client:
        reply = client.ask(message).body
    assert [(r["idx"], r.get("code")) for r in reply["cursor"]["firstBatch"]] == [(0, 121), (1, None)]
    assert reply["nErrors"] == 1 and reply["nInserted"] == 1
    (request,) = simulated.requests("bulkWrite")
    sent = request.sequences.get("ops", request.body.get("ops"))
    assert [one["insert"] for one in sent] == [0]


def test_statements_of_a_retryable_write_keep_their_numbers(simulated, simulated_guard):
    """A retry may find another schema. The numbers of its statements must be those of the first try."""
    retryable = {"lsid": {"id": Binary(b"s" * 16, 4)}, "txnNumber": Int64(7), "$db": "d"}
    with RawClient(simulated_guard().endpoint()) as client:
        documents = [{"_id": i, **(GOOD if i % 2 else BAD)} for i in range(4)]
        reply = client.ask(op_msg({"insert": "c", "ordered": False, **retryable}, {"documents": documents})).body
    assert reply["n"] == 2 and [error["index"] for error in reply["writeErrors"]] == [0, 2]
    (arrived,) = simulated.requests("insert")
    assert arrived.body["stmtIds"] == [1, 3]
