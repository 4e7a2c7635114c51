"""Versions of a schema side by side, and a candidate that refuses no document: a rolling deployment, the scheduled
end of a version, and the endpoint's report."""

import json
import subprocess
import sys
import time
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pymongo
import pytest
from pymongo import InsertOne, UpdateOne
from pymongo.errors import WriteError
from support.admin import Admin
from support.process import eventually
from support.schemas import in_force, wait_in_force
from test_odms import BEANIE_1

pytestmark = pytest.mark.proxy_only
PROGRAM = Path(__file__).parent / "support/rolling_program.py"

NEWEST = {"required": ["total"], "properties": {"total": {"bsonType": "int"}}}
OLDER = {"required": ["price"], "properties": {"price": {"bsonType": "int"}}}


def file_of(ns, versions, **more):
    return {"ns": ns, "versions": versions, **more}


def put(admin, document):
    answer = admin.ask("PUT", f"/schemas/{document['ns']}", json.dumps(document))
    assert answer.status in (200, 201), answer.body
    return json.loads(answer.body)


@pytest.fixture
def start(start_proxy, server, folder):
    """start(file…): proxy, admin endpoint, with these files in force in the folder."""
    def start(*files, **options):
        for at, document in enumerate(files):
            (folder.path / f"{at}.json").write_text(json.dumps(document))
        proxy = start_proxy(server.endpoint.uri(), {"admin": "0", "admin.write": "true", "schemas": folder.path,
                                                    **options}, endpoint=server.endpoint)
        return proxy, Admin(proxy)
    return start


# --- a rolling deployment

class Application:
    """Processes of one Beanie version that write concurrently."""

    def __init__(self, python, uri, database):
        self.python, self.uri, self.database = python, uri, database

    def schema(self, role):
        done = subprocess.run([self.python, PROGRAM, "schema", role], capture_output=True, text=True, timeout=60,
                              check=True)
        return json.loads(done.stdout)

    def write(self, *roles, count=25):
        """Returns the written and refused documents by role; all processes begin together."""
        running = [(role, subprocess.Popen([self.python, PROGRAM, "write", role, self.uri, self.database, str(count)],
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
                   for role in roles]
        try:
            for _, process in running:
                assert process.stdout.readline() == "ready\n"
            for _, process in running:
                process.stdin.write("go\n")
                process.stdin.flush()
            answers = {role: json.loads(process.communicate(timeout=90)[0]) for role, process in running}
            assert all(process.returncode == 0 for _, process in running)
            return answers
        finally:
            for _, process in running:
                process.kill()
                process.wait()


WAYS = 6


@pytest.mark.parametrize(("python", "version"), [(Path(sys.executable), "2."),
                                                  pytest.param(BEANIE_1, "1.30", marks=pytest.mark.long)],
                         ids=["beanie 2", "beanie 1.30"])
def test_a_rolling_deployment(start, server, python, version):
    assert python.exists(), f"no {python}: scripts/setup.sh beanie1 makes it"
    ns = f"rolling{uuid.uuid4().hex[:8]}.orders"
    database = ns.partition(".")[0]
    common = {"dialect": "json-schema"}
    app = Application(python, None, database)
    old = {"name": "old", "schema": app.schema("old")}
    new = {"name": "new", "schema": app.schema("new")}
    proxy, admin = start(file_of(ns, [old], **common))
    app.uri = proxy.endpoint().uri()

    # before it, the proxy would refuse the new processes
    saw = app.write("old", "new", count=5)
    assert saw["old"] == {"written": 5 * WAYS, "refused": {}}
    # an update alone does not prove anything about a document that may have the old shape: it is unproved, and passes
    assert saw["new"]["refused"] == {"insert: 121": 5, "insert_many: 121": 5}

    # promoted: both versions are accepted, and no document that its own model accepts is refused
    put(admin, file_of(ns, [new, old], **common))
    saw = app.write("old", "new", "old", "new")
    assert saw == dict.fromkeys(("old", "new"), {"written": 25 * WAYS, "refused": {}})
    whole = admin.json(f"/schemas/{ns}")
    assert [(one["name"], one["accepted"], one["passed"] > 0) for one in whole["versions"]] == [
        ("new", True, True), ("old", True, True)]
    with proxy.endpoint().client() as client:
        orders = client[database]["orders"]
        for wrong in ({"customer": "x"}, {"customer": "x", "price": 1.0, "total": 1.0, "currency": "EUR"},
                      {"customer": "x", "total": 1.0, "currency": "EUR", "lines": [{"quantity": 11}]},
                      {"customer": "x", "price": 1.0, "lines": [{"quantity": 1001}]}):
            with pytest.raises(WriteError) as refused:
                orders.insert_one(dict(wrong))
            assert refused.value.code == 121

    # retired: the proxy refuses the old shape, and not the new one
    put(admin, file_of(ns, [new], **common))
    saw = app.write("old", "new", count=5)
    assert saw["new"] == {"written": 5 * WAYS, "refused": {}}
    assert saw["old"]["refused"] == {"insert: 121": 5, "insert_many: 121": 5}
    with server.endpoint.client() as direct:
        direct.drop_database(database)


def test_a_version_ends_at_its_time(start, collection_name):
    ns = f"shop.{collection_name}"
    until = (datetime.now(timezone.utc) + timedelta(seconds=4)).replace(microsecond=0)
    proxy, admin = start(file_of(ns, [{"schema": NEWEST}, {
        "schema": OLDER, "name": "old", "accepted_until": {"$date": until.strftime("%Y-%m-%dT%H:%M:%S.000Z")}}]))
    with proxy.endpoint().client() as client:
        collection = client["shop"][collection_name]
        first = in_force(client, ns)
        if datetime.now(timezone.utc) < until:
            assert len(first["hashes"]) == 2
        assert first["hashes"][0] == first["hash"]

        def refused():
            try:
                before = datetime.now(timezone.utc)
                collection.insert_one({"price": 1})
                assert before < until
            except WriteError:
                assert datetime.now(timezone.utc) >= until
                return True
        eventually(refused, "the older version ends")
        collection.insert_one({"total": 1})
        assert in_force(client, ns)["hashes"] == [first["hash"]]
    older = admin.json(f"/schemas/{ns}")["versions"][1]
    assert older["accepted"] is False
    assert older["accepted_until_ms"] == int(until.timestamp() * 1000)


def test_updates_of_several_versions(start, collection_name, server):
    ns = f"shop.{collection_name}"
    proxy, _ = start(file_of(ns, [
        {"schema": {"required": ["total"], "properties": {"n": {"bsonType": "int", "maximum": 5}}}},
        {"schema": {"required": ["price"], "properties": {"n": {"bsonType": "int", "maximum": 9}}}}],
        unproved="reject"))
    with proxy.endpoint().client() as client:
        collection = client["shop"][collection_name]
        collection.insert_many([{"_id": 1, "total": 1}, {"_id": 2, "price": 1}])
        collection.update_many({}, {"$set": {"n": 5}})
        collection.replace_one({"_id": 2}, {"price": 2, "n": 9})
        assert collection.find_one_and_replace({"_id": 1}, {"total": 2, "n": 1})["n"] == 5
        for change, text in (({"$set": {"n": 7}}, "versions of the schema differ"),
                             ({"$unset": {"price": 1}}, "versions of the schema differ"),
                             ({"$inc": {"n": 1}}, "depends on the stored document"),
                             ([{"$set": {"n": 1}}], "pipeline")):
            with pytest.raises(WriteError) as refused:
                collection.update_one({"_id": 1}, change)
            assert text in refused.value.details["errInfo"]["details"]["reason"]
        with pytest.raises(WriteError) as refused:
            collection.update_one({"_id": 1}, {"$set": {"n": 10}})
        broken = refused.value.details["errInfo"]["details"]["schemaRulesNotSatisfied"][0]
        assert broken["propertiesNotSatisfied"][0]["details"][0]["specifiedAs"] == {"maximum": 5}
        assert [one["n"] for one in collection.find().sort("_id")] == [1, 9]


def test_a_session_with_a_transaction(start, collection_name, server):
    ns = f"shop.{collection_name}"
    proxy, _ = start(file_of(ns, [{"schema": NEWEST}, {"schema": OLDER}]))
    with proxy.endpoint().client() as client:
        collection = client["shop"][collection_name]
        collection.insert_one({"_id": 0, "total": 0})
        with client.start_session() as session, session.start_transaction():
            collection.insert_one({"_id": 1, "total": 1}, session=session)
            collection.insert_one({"_id": 2, "price": 1}, session=session)
        with client.start_session() as session, pytest.raises(WriteError):
            session.start_transaction()
            collection.insert_one({"_id": 3, "price": 1}, session=session)
            collection.insert_one({"_id": 4}, session=session)
        assert sorted(one["_id"] for one in collection.find()) == [0, 1, 2]


def test_merged_inserts(start, collection_name):
    ns = f"shop.{collection_name}"
    proxy, admin = start(file_of(ns, [{"schema": NEWEST}, {"schema": OLDER}], candidate={
        "schema": {"required": ["b"]}}), **{"merge.enabled": "true"})
    with proxy.endpoint().client() as client:
        collection = client["shop"][collection_name]
        for at in range(20):
            collection.insert_one({"_id": at, ("total" if at % 2 else "price"): at})
        with pytest.raises(WriteError):
            collection.insert_one({"_id": 99})
        assert collection.count_documents({}) == 20
    candidate = admin.json(f"/schemas/{ns}")["candidate"]
    assert (candidate["passed"], candidate["refused"], candidate["undecided"]) == (0, 20, 0)


# --- a candidate

CANDIDATE = {"required": ["currency"], "properties": {
    "customer": {"bsonType": "int"}, "lines": {"items": {"properties": {"quantity": {"maximum": 10}}}}}}


def tried(admin, ns):
    candidate = admin.json(f"/schemas/{ns}")["candidate"]
    return candidate["passed"], candidate["refused"], candidate["undecided"]


@pytest.mark.parametrize("shown", [False, True])
def test_a_candidate_refuses_nothing(start, collection_name, shown):
    ns = f"shop.{collection_name}"
    proxy, admin = start({"ns": ns, "schema": NEWEST, "candidate": {"schema": CANDIDATE, "name": "next"}},
                         **{"admin.show_values": str(shown).lower(), "threads": "2"})
    for application, count in (("shop", 3), ("jobs", 2)):
        with proxy.endpoint().client(appname=application) as client:
            collection = client["shop"][collection_name]
            for at in range(count):
                collection.insert_one({"total": at, "customer": "a very secret value"})
            collection.insert_one({"total": 1, "currency": "EUR",
                                   "lines": [{"quantity": 1}, {"quantity": 11, "note": "a very secret value"}]})
            collection.insert_one({"total": 1, "currency": "EUR"})
            collection.update_one({"total": 1}, {"$inc": {"total": 1}})
            collection.bulk_write([InsertOne({"total": 1, "currency": "EUR"}), UpdateOne({}, {"$unset": {"currency": 1}})])
            with pytest.raises(WriteError):
                collection.insert_one({"total": "x"})
    answer = admin.get(f"/schemas/{ns}")
    assert (b"a very secret value" in answer.body) == shown
    candidate = answer.json()["candidate"]
    assert candidate["name"] == "next" and candidate["schema"]["required"] == ["currency"]
    assert (candidate["passed"], candidate["refused"], candidate["undecided"]) == (4, 9, 2)
    assert {(one["path"], one["reason"]): one["count"] for one in candidate["by_reason"]} == {
        ("customer", "bsonType"): 5, ("lines.$[].quantity", "maximum"): 2,
        ("currency", "$unset: no document matches the schema after this update"): 2}
    assert candidate["by_application"] == [{"application": "shop", "count": 5}, {"application": "jobs", "count": 4}]
    driver, = candidate["by_driver"]
    assert driver["driver"].startswith("PyMongo") and pymongo.version in driver["driver"] and driver["count"] == 9
    assert sum(one["count"] for one in candidate["rows"]) == 9 and candidate["other"] == 0
    assert len(candidate["samples"]) == 8
    assert all(("info" in one) == shown and one["at_ms"] <= time.time() * 1000 for one in candidate["samples"])
    listed, = (one for one in admin.json("/schemas")["schemas"] if one["ns"] == ns)
    assert (listed["candidate"]["refused"], "rows" in listed["candidate"]) == (9, False)
    metrics = admin.metrics()
    for outcome, count in (("passed", 4), ("refused", 9), ("undecided", 2)):
        assert metrics[f'mongosluice_candidate_documents_total{{schema="{ns}",outcome="{outcome}"}}'] == count
    validation = admin.json("/status")["validation"]
    assert validation["candidates"] == 1
    assert validation["tried"] == {"passed": 4, "refused": 9, "undecided": 2}


def test_a_reload_keeps_counts_of_the_same_candidate(start, collection_name):
    ns = f"shop.{collection_name}"
    document = {"ns": ns, "schema": NEWEST, "candidate": {"schema": CANDIDATE}}
    proxy, admin = start(document)
    with proxy.endpoint().client() as client:
        collection = client["shop"][collection_name]
        collection.insert_one({"total": 1})
        put(admin, {**document, "action": "errorAndLog"})
        wait_in_force(client, ns, action="errorAndLog")
        collection.insert_one({"total": 1})
        assert tried(admin, ns) == (0, 2, 0)
        put(admin, {**document, "candidate": {"schema": {"required": ["total"]}}})
        assert tried(admin, ns) == (0, 0, 0)
        # promoted, with the one before accepted until it is retired
        collection.insert_one({"total": 1})
        assert tried(admin, ns) == (1, 0, 0)
        put(admin, file_of(ns, [{"schema": CANDIDATE}, {"schema": NEWEST}]))
        collection.insert_one({"total": 1})
        whole = admin.json(f"/schemas/{ns}")
        assert whole["candidate"] is None and whole["versions"][1]["passed"] == 1
        assert admin.metrics()[f'mongosluice_older_version_documents_total{{schema="{ns}"}}'] == 1


def test_a_file_that_is_wrong_is_told(start, folder, collection_name):
    ns = f"shop.{collection_name}"
    _, admin = start({"ns": ns, "schema": NEWEST})
    answer = admin.ask("PUT", f"/schemas/{ns}", json.dumps(file_of(ns, [{"schema": NEWEST}, {"schema": NEWEST}])))
    assert answer.status == 422
    assert answer.json()["problems"] == [
        {"pointer": "/versions/1", "code": 2, "reason": "is the schema of another version"}]
