"""Results of bulkWrite that no client fetches, or that another client than their owner tries to fetch. The simulated
server returns three results at a time, and checks namespaces and users as MongoDB does."""

import uuid

import pytest
from bson import Binary, Int64
from support.process import eventually
from support.wire import RawClient, op_msg

pytestmark = pytest.mark.proxy_only
NS = "admin.$cmd.bulkWrite"
GOOD = {"name": "Ada", "age": 36}


class Results:
    """The remaining results of each cursor, and the received requests."""

    def __init__(self, simulated):
        self.of, self.strangers = {}, set()
        simulated.topology = {"maxWireVersion": 25}
        simulated.handlers.update({"bulkWrite": self.open, "getMore": self.fetch, "killCursors": self.kill,
                                   "endSessions": self.refuse_strangers, "killSessions": self.refuse_strangers,
                                   "killAllSessions": self.refuse_strangers})

    def batch(self, number, name):
        rows, self.of[number] = self.of[number][:3], self.of[number][3:]
        number = number if self.of[number] else self.of.pop(number) or 0
        return {"cursor": {"id": Int64(number), "ns": NS, name: rows}, "ok": 1.0}

    def open(self, server, connection, request):
        number = 2**40 + len(server.requests("bulkWrite"))
        self.of[number] = [{"ok": 1.0, "idx": i, "n": 1} for i in range(len(request.sequences["ops"]))]
        counts = dict.fromkeys(("nErrors", "nInserted", "nMatched", "nModified", "nUpserted", "nDeleted"), 0)
        return {**self.batch(number, "firstBatch"), **counts, "nInserted": len(request.sequences["ops"])}

    def fetch(self, server, connection, request):
        body = request.body
        if "stranger" in body:
            return {"ok": 0.0, "code": 13, "codeName": "Unauthorized", "errmsg": "not authorized"}
        if f"{body['$db']}.{body['collection']}" != NS:
            return {"ok": 0.0, "code": 13, "codeName": "Unauthorized",
                    "errmsg": f"Requested getMore on another namespace than {NS}"}
        if body["getMore"] not in self.of:
            return {"ok": 0.0, "code": 43, "codeName": "CursorNotFound", "errmsg": "cursor id not found"}
        return self.batch(body["getMore"], "nextBatch")

    def kill(self, server, connection, request):
        if "stranger" in request.body:
            return self.refuse_strangers(server, connection, request)
        killed = [one for one in request.body["cursors"] if self.of.pop(one, None)]
        return {"cursorsKilled": killed, "cursorsNotFound": [], "cursorsAlive": [], "cursorsUnknown": [], "ok": 1.0}

    def refuse_strangers(self, server, connection, request):
        if "stranger" in request.body:
            return {"ok": 0.0, "code": 13, "codeName": "Unauthorized", "errmsg": "command requires authentication"}
        return {"ok": 1.0}


@pytest.fixture
def results(simulated):
    return Results(simulated)


def begin(client, *, good=10, bad_bytes=10, **more):
    """Sends an unordered bulkWrite whose third operation is refused, and returns its cursor."""
    ops = [{"insert": 0, "document": {"_id": i, **GOOD}} for i in range(good)]
    ops.insert(2, {"insert": 0, "document": {"name": "n", "age": "x" * bad_bytes}})
    reply = client.ask(op_msg({"bulkWrite": 1, "ordered": False, "$db": "admin", **more},
                              {"ops": ops, "nsInfo": [{"ns": "d.c"}]})).body
    assert reply["ok"] == 1, reply
    return reply["cursor"]


def get_more(cursor, database="admin", collection="$cmd.bulkWrite", **more):
    return {"getMore": cursor["id"], "collection": collection, "$db": database, **more}


def numbers(cursor):
    return [row["idx"] for row in cursor.get("firstBatch", cursor.get("nextBatch"))]


def rest_of(client, cursor):
    """Returns all indexes from the cursor's second batch on."""
    found = []
    while cursor["id"]:
        cursor = client.command(get_more(cursor))["cursor"]
        found += numbers(cursor)
    return found


@pytest.mark.parametrize("wrong", [{"collection": "$cmd.other"}, {"database": "d"}, {"collection": 5},
                                   {"collection": "x" * 300}, {"database": "d", "collection": "c"},
                                   {"stranger": True}], ids=str)
def test_who_may_not_fetch_takes_nothing_away(simulated_guard, results, wrong):
    where = simulated_guard().endpoint()
    with RawClient(where) as owner, RawClient(where) as stranger:
        cursor = begin(owner)
        assert numbers(cursor) == [0, 1, 2, 3]
        assert stranger.command(get_more(cursor, **wrong))["ok"] == 0
        assert rest_of(owner, cursor) == [4, 5, 6, 7, 8, 9, 10]


def test_who_may_not_fetch_does_so_at_the_same_time(simulated_guard, results):
    where = simulated_guard().endpoint()
    with RawClient(where) as owner, RawClient(where) as stranger:
        for _ in range(20):
            cursor = begin(owner)
            stranger.send(op_msg(get_more(cursor, stranger=True)))
            assert rest_of(owner, cursor) == [4, 5, 6, 7, 8, 9, 10]
            assert stranger.receive().body["code"] == 13


def ends(lsid, cursor):
    return {"killCursors": {"killCursors": "$cmd.bulkWrite", "cursors": [cursor["id"]]},
            "endSessions": {"endSessions": [lsid]}, "killSessions": {"killSessions": [lsid]}}


@pytest.mark.parametrize("command", ["killCursors", "endSessions", "killSessions"])
def test_what_ends_a_cursor_frees_it(simulated_guard, results, command):
    proxy = simulated_guard()
    lsid = {"id": Binary.from_uuid(uuid.uuid4())}
    with RawClient(proxy.endpoint()) as owner, RawClient(proxy.endpoint()) as stranger:
        cursor = begin(owner, bad_bytes=1_000_000, lsid=lsid)
        proxy.wait_for_counter("bufferBytesNow", 1_000_000)
        refused = stranger.command({**ends(lsid, cursor)[command], "stranger": True})
        assert refused["code"] == 13
        cursor = owner.command(get_more(cursor))["cursor"]
        assert numbers(cursor) == [4, 5, 6]
        assert owner.command(ends(lsid, cursor)[command])["ok"] == 1
        eventually(lambda: proxy.counter("bufferBytesNow") < 100_000, "the cursor's memory is free")
        reply = owner.command(get_more(cursor))
        assert (reply["ok"], reply["code"]) == (0, 43)


@pytest.mark.parametrize("how", ["its connection ends", "killAllSessions"])
def test_a_client_that_is_gone(simulated_guard, results, how):
    proxy = simulated_guard()
    with RawClient(proxy.endpoint()) as other:
        with RawClient(proxy.endpoint()) as owner:
            cursor = begin(owner, bad_bytes=1_000_000)
            proxy.wait_for_counter("bufferBytesNow", 1_000_000)
            if how == "killAllSessions":
                assert owner.command({"killAllSessions": []})["ok"] == 1
                eventually(lambda: proxy.counter("bufferBytesNow") < 100_000, "the cursor's memory is free")
        eventually(lambda: proxy.counter("bufferBytesNow") < 100_000, "the cursor's memory is free")
        # never a wrong number
        reply = other.command(get_more(cursor))
        assert (reply["ok"], reply["code"]) == (0, 43)


def test_dead_clients_leave_room(simulated_guard, results):
    proxy = simulated_guard(options={"memory_max": 48 * 1024 * 1024})
    where = proxy.endpoint()
    with RawClient(where) as bystander:
        for _ in range(24):
            with RawClient(where) as client:
                begin(client, bad_bytes=4_000_000)
            inserted = bystander.command({"insert": "c", "$db": "d", "documents": [{**GOOD, "x": "x" * 3_000_000}]})
            assert inserted["ok"] == 1, inserted
        last = begin(bystander, bad_bytes=4_000_000)
        assert rest_of(bystander, last) == [4, 5, 6, 7, 8, 9, 10]
