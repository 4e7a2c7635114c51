"""Schemas in the proxy: every write that they affect, as a driver sees it."""

import hashlib
import json
import re
import signal

import bson
import pytest
from bson import ObjectId
from pymongo import InsertOne, MongoClient, UpdateOne, WriteConcern
from pymongo.errors import BulkWriteError, OperationFailure, WriteError
from support.admin import Admin
from support.process import eventually
from support.proxy import run_proxy
from support.schemas import PERSON, wait_in_force, wait_not_in_force
from support.simulated import SimulatedServer

pytestmark = pytest.mark.proxy_only
GOOD = {"name": "Ada", "age": 36}


def details(info):
    return {rule["operatorName"]: rule for rule in info["details"]["schemaRulesNotSatisfied"]}


def test_a_good_document_is_stored(guarded):
    _, _, people = guarded
    people.insert_one(dict(GOOD))
    assert people.count_documents({}) == 1


def test_a_bad_document_is_refused_with_errinfo(guarded):
    _, _, people = guarded
    with pytest.raises(WriteError) as caught:
        people.insert_one({"_id": 1, "name": "", "age": 36})
    assert caught.value.code == 121
    assert caught.value.details["errmsg"] == "Document failed validation"
    info = caught.value.details["errInfo"]
    assert info["failingDocumentId"] == 1
    (broken,) = details(info)["properties"]["propertiesNotSatisfied"]
    assert broken["propertyName"] == "name"
    assert broken["details"][0]["operatorName"] == "minLength"
    assert people.count_documents({}) == 0


def test_unordered_bad_ones_are_taken_out(guarded):
    _, _, people = guarded
    people.insert_one({"_id": 3, **GOOD})
    documents = [{"_id": 0, **GOOD}, {"_id": 1, "name": "x"}, {"_id": 2, **GOOD},
                 {"_id": 3, **GOOD}, {"_id": 4, "name": 5, "age": 1}, {"_id": 5, **GOOD}]
    with pytest.raises(BulkWriteError) as caught:
        people.insert_many(documents, ordered=False)
    errors = caught.value.details["writeErrors"]
    assert [(e["index"], e["code"]) for e in errors] == [(1, 121), (3, 11000), (4, 121)]
    assert caught.value.details["nInserted"] == 3
    assert sorted(d["_id"] for d in people.find()) == [0, 2, 3, 5]


def test_ordered_stops_at_the_first_bad_one(guarded):
    _, _, people = guarded
    documents = [{"_id": 0, **GOOD}, {"_id": 1, "name": "x"}, {"_id": 2, **GOOD}]
    with pytest.raises(BulkWriteError) as caught:
        people.insert_many(documents)
    errors = caught.value.details["writeErrors"]
    assert [(e["index"], e["code"]) for e in errors] == [(1, 121)]
    assert caught.value.details["nInserted"] == 1
    assert [d["_id"] for d in people.find()] == [0]


def test_ordered_the_servers_own_error_comes_first(guarded):
    _, _, people = guarded
    people.insert_one({"_id": 0, **GOOD})
    with pytest.raises(BulkWriteError) as caught:
        people.insert_many([{"_id": 0, **GOOD}, {"_id": 1, "name": "x"}])
    errors = caught.value.details["writeErrors"]
    assert [(e["index"], e["code"]) for e in errors] == [(0, 11000)]


def test_w0_drops_what_is_bad(guarded):
    proxy, _, people = guarded
    unacknowledged = people.with_options(write_concern=WriteConcern(w=0))
    unacknowledged.insert_many([{"_id": 0, **GOOD}, {"_id": 1}, {"_id": 2, **GOOD}],
                               ordered=False)
    eventually(lambda: people.count_documents({}) == 2, "two documents")
    proxy.wait_for_record("the drop", id=3010)
    unacknowledged.insert_one({"_id": 3})
    people.insert_one({"_id": 4, **GOOD})
    assert sorted(d["_id"] for d in people.find()) == [0, 2, 4]


@pytest.mark.parametrize("first", [True, False])
def test_a_refusal_aborts_the_transaction(guarded, first):
    _, client, people = guarded
    people.insert_one(dict(GOOD))
    with client.start_session() as session:
        session.start_transaction()
        if not first:
            people.insert_one({"_id": "in", **GOOD}, session=session)
        with pytest.raises(WriteError) as caught:
            people.insert_one({"_id": "bad"}, session=session)
        assert caught.value.code == 121
        with pytest.raises(OperationFailure) as later:
            people.insert_one({"_id": "later", **GOOD}, session=session)
        assert later.value.code == 251
        assert later.value.has_error_label("TransientTransactionError")
        session.abort_transaction()
    assert people.count_documents({}) == 1


def test_compressed(guarded):
    proxy, _, people = guarded
    for name in ("snappy", "zlib", "zstd"):
        with proxy.endpoint().client(compressors=name) as client:
            there = client[people.database.name][people.name]
            there.insert_one(dict(GOOD))
            with pytest.raises(WriteError):
                there.insert_one({"name": "x" * 1000, "age": "no"})
    assert people.count_documents({}) == 3


def test_updates(guarded):
    _, _, people = guarded
    people.insert_one({"_id": 1, **GOOD})
    for update in ({"$set": {"age": "old"}}, {"$unset": {"name": ""}}, {"$inc": {"name": 1}}):
        with pytest.raises(WriteError) as caught:
            people.update_one({"_id": 1}, update)
        assert caught.value.code == 121
    people.update_one({"_id": 1}, {"$set": {"age": 37}})
    with pytest.raises(WriteError):
        people.replace_one({"_id": 1}, {"name": "Ada"})
    people.replace_one({"_id": 1}, {"name": "Ada", "age": 38})
    with pytest.raises(OperationFailure) as caught:
        people.find_one_and_update({"_id": 1}, {"$set": {"age": -1}})
    assert caught.value.code == 121 and "errInfo" in caught.value.details
    assert people.find_one()["age"] == 38


def test_bulk_of_updates_keeps_indexes(guarded):
    _, _, people = guarded
    people.insert_one({"_id": 1, **GOOD})
    with pytest.raises(BulkWriteError) as caught:
        people.bulk_write([UpdateOne({"_id": 1}, {"$set": {"age": "x"}}),
                           UpdateOne({"_id": 1}, {"$set": {"age": 5}}),
                           UpdateOne({"_id": 7}, {"$set": {"name": "B", "age": 3}}, upsert=True),
                           UpdateOne({"_id": 1}, {"$set": {"age": -1}})], ordered=False)
    result = caught.value.details
    assert [e["index"] for e in result["writeErrors"]] == [0, 3]
    assert result["nModified"] == 1
    assert [(u["index"], u["_id"]) for u in result["upserted"]] == [(2, 7)]


def test_bypass(guarded, folder, ns):
    _, client, people = guarded
    people.insert_one({"_id": 1}, bypass_document_validation=True)
    folder.write(ns, allow_bypass=False)
    wait_in_force(client, ns, allowBypass=False)
    with pytest.raises(WriteError):
        people.insert_one({"_id": 2}, bypass_document_validation=True)


def test_warn_lets_pass(guarded, folder, ns):
    proxy, client, people = guarded
    folder.write(ns, action="warn")
    wait_in_force(client, ns, action="warn")
    people.insert_one({"_id": 1})
    record = proxy.wait_for_record("the warning", id=3010, ns=ns)
    assert record["attr"]["warned"] and record["attr"]["reason"]
    assert people.count_documents({}) == 1


def test_files_come_change_and_go(guarded, folder, ns):
    proxy, client, people = guarded
    wanted = hashlib.sha256(bson.encode(PERSON)).hexdigest()
    assert wait_in_force(client, ns)["hash"] == wanted
    folder.file_of(ns).write_text("{ this is not JSON")
    proxy.wait_for_record("the broken file", id=3003, s="E",
                          file=lambda f: f and f.endswith(f"{ns}.json"))
    with pytest.raises(WriteError):
        people.insert_one({"_id": 1})
    folder.write(ns, {"required": ["x"]})
    wait_in_force(client, ns, hash=hashlib.sha256(bson.encode({"required": ["x"]})).hexdigest())
    people.insert_one({"_id": 1, "x": 1})
    folder.remove(ns)
    wait_not_in_force(client, ns)
    people.insert_one({"_id": 2})


def test_hup_reads_at_once(guarded, folder, ns):
    proxy, client, _ = guarded
    folder.write(f"{ns}2")
    proxy.process.send(signal.SIGHUP)
    wait_in_force(client, f"{ns}2")


def test_two_files_for_one_namespace(guarded, folder, ns):
    proxy, _, _ = guarded
    (folder.path / "zz.json").write_text(json.dumps({"ns": ns, "schema": {}}))
    record = proxy.wait_for_record("the conflict", id=3003)
    assert ns in record["attr"]["error"] and folder.file_of(ns).name in record["attr"]["error"]


def test_a_broken_file_at_the_start_is_an_error(folder, server):
    (folder.path / "a.json").write_text('{"ns": "a.b", "schema": {"minimum": "x"}}')
    code, _, error = run_proxy("--upstream", server.endpoint.uri(), "--listen", "127.0.0.1:0",
                               "--schemas", folder.path)
    assert code == 1
    assert "a.json" in error and "/schema/minimum" in error


def test_a_missing_folder_is_an_error(tmp_path):
    code, _, error = run_proxy("--upstream", "mongodb://127.0.0.1/", "--listen", "127.0.0.1:0",
                               "--schemas", tmp_path / "nowhere")
    assert code == 2
    assert "cannot read the folder" in error and "nowhere" in error


def test_validators_of_the_upstream(start_proxy, server, ns):
    database, _, name = ns.partition(".")
    with MongoClient(server.endpoint.uri()) as direct:
        direct[database].create_collection(name, validator={"$jsonSchema": PERSON})
    proxy = start_proxy(server.endpoint.uri(), {"schemas_upstream": "true"},
                        endpoint=server.endpoint)
    with proxy.endpoint().client() as client:
        assert wait_in_force(client, ns)["origin"] == "collection"
        with pytest.raises(WriteError):
            client[database][name].insert_one({"_id": ObjectId()})
        client[database].command("collMod", name, validator={"$jsonSchema": {"required": ["z"]}})
        wait_in_force(client, ns,
                      hash=hashlib.sha256(bson.encode({"required": ["z"]})).hexdigest())
        client[database][name].drop()
        wait_not_in_force(client, ns)


MORE_THAN_A_SCHEMA = [
    ({"$jsonSchema": PERSON, "$expr": {"$gt": ["$age", 1]}}, "$expr"),
    ({"$and": [{"$jsonSchema": PERSON}]}, "$and"),
    ({"$jsonSchema": PERSON, "city": "Ulm"}, "city"),
    ({"city": {"$exists": True}}, "city"),
]


@pytest.mark.parametrize("validator, more", MORE_THAN_A_SCHEMA, ids=lambda one: str(one)[:30])
def test_a_validator_that_is_more_is_left_to_the_server(start_proxy, server, ns, validator, more):
    """The client receives the server's own error, not one of the proxy that covers only the $jsonSchema."""
    database, _, name = ns.partition(".")
    with server.endpoint.client() as direct:
        direct[database].create_collection(name, validator=validator)
        proxy = start_proxy(server.endpoint.uri(), {"schemas_upstream": "true", "admin.listen": "127.0.0.1:0"},
                            endpoint=server.endpoint)
        admin = Admin(proxy)
        proxy.wait_for_record("left out", id=3005, ns=ns)
        with proxy.endpoint().client() as client:
            reply = client.admin.command("mongosluice", namespaces=[ns])
            assert reply["schemas"] == []
            (left_out,) = reply["leftOut"]
            assert left_out["ns"] == ns and left_out["reason"].endswith(more)
            assert left_out in admin.json("/schemas")["left_out"]
            assert left_out in admin.json("/status")["validation"]["left_out"]
            assert more in admin.get(f"/schemas/{ns}").json()["error"]
            errors = []
            for collection in (client[database][name], direct[database][name]):
                with pytest.raises(WriteError) as caught:
                    collection.insert_one({"_id": 1, "age": -1})
                errors.append(caught.value.details)
            assert errors[0] == errors[1]
            client[database].command("collMod", name, validator={"$jsonSchema": PERSON})
            wait_in_force(client, ns)
            assert client.admin.command("mongosluice", namespaces=[ns])["leftOut"] == []
        direct[database].drop_collection(name)


PATHS = [
    # a schema, a document that MongoDB accepts, one that it refuses
    ({"required": ["site.town"]}, {"site": {"town": "Ulm"}}, {"site.town": "Ulm"}),
    ({"properties": {"a.b": {"bsonType": "string"}}}, {"a": [{"b": "x"}, {"b": 1}]}, {"a": {"b": 1}}),
    ({"dependencies": {"a.b": ["c.d"]}}, {"a.b": 1}, {"a": {"b": 1}}),
]


@pytest.mark.parametrize("schema, right, wrong", PATHS, ids=lambda one: str(one)[:30])
def test_a_validator_with_paths_is_left_to_the_server(start_proxy, ns, folder, schema, right, wrong):
    """The simulated server gives the verdicts of MongoDB; the proxy's would differ."""
    database, _, name = ns.partition(".")
    told = {"index": 0, "code": 121, "errmsg": "Document failed validation"}

    def insert(server, connection, request):
        (document,) = request.sequences.get("documents") or request.body["documents"]
        document = {key: value for key, value in bson.decode(bson.encode(document)).items() if key != "_id"}
        return {"n": 1, "ok": 1.0} if document == right else {"n": 0, "writeErrors": [told], "ok": 1.0}

    options = {"validator": {"$jsonSchema": schema}}
    handlers = {"insert": insert, "listDatabases": lambda *_: {"databases": [{"name": database}], "ok": 1.0},
                "listCollections": lambda *_: {"cursor": {
                    "id": 0, "ns": f"{database}.$cmd.listCollections", "firstBatch": [
                        {"name": name, "type": "collection", "options": options}]}, "ok": 1.0}}
    with SimulatedServer(handlers) as server:
        proxy = start_proxy(f"mongodb://{server.address}/", {"schemas_upstream": "true"}, endpoint=server.endpoint)
        record = proxy.wait_for_record("left out", id=3005, ns=ns)
        assert "is a path in MongoDB" in record["attr"]["reason"]
        with proxy.endpoint().client() as client:
            client[database][name].insert_one(dict(right))
            with pytest.raises(WriteError) as caught:
                client[database][name].insert_one(dict(wrong))
            assert caught.value.details == told
    folder.write(ns, schema)
    code, _, error = run_proxy("--upstream", "mongodb://127.0.0.1/", "--listen", "127.0.0.1:0",
                               "--schemas", folder.path)
    assert code == 1 and "is a path in MongoDB" in error


COSTLY = {"patternProperties": {f"(a{{1,100}}){{1,100}}{i}": {"bsonType": "int"} for i in range(4000)}}


@pytest.mark.long
def test_a_costly_validator_is_left_to_the_server(start_proxy, server, ns):
    database, _, name = ns.partition(".")
    with server.endpoint.client() as direct:
        for i in range(3):
            direct[database].create_collection(f"{name}{i}", validator={"$jsonSchema": COSTLY})
        proxy = start_proxy(server.endpoint.uri(), {"schemas_upstream": "true"}, endpoint=server.endpoint)
        for i in range(3):
            assert "limit of 48 MiB" in proxy.wait_for_record("left out", id=3005, ns=f"{ns}{i}")["attr"]["reason"]
        with proxy.endpoint().client() as client:
            client[database][f"{name}0"].insert_one({"any": "thing"})
        for i in range(3):
            direct[database].drop_collection(f"{name}{i}")


def drop_validators(direct):
    names = direct.list_database_names()
    for database in (direct[name] for name in names if re.fullmatch(r"[\w-]+", name)):  # attacks leave odd names
        for collection in database.list_collections():
            if "validator" in collection.get("options", {}):
                database.command("collMod", collection["name"], validator={})


def test_all_schemas_together_have_a_limit(start_proxy, server, folder, ns):
    """Files first: one that does not fit is broken; a validator that does not fit is left to the server,
    until there is room."""
    database, _, name = ns.partition(".")
    costly = {"patternProperties": {f"(a{{1,90}}){{1,50}}{i}": {} for i in range(45)}}
    folder.write("schemas.first", costly)
    with server.endpoint.client() as direct:
        drop_validators(direct)  # those of other tests take memory, too
        direct[database].create_collection(name, validator={"$jsonSchema": costly})
        proxy = start_proxy(server.endpoint.uri(),
                            {"schemas": folder.path, "schemas_upstream": "true", "schemas_memory_max": "1MiB",
                             "schemas_upstream_period_ms": 1000}, endpoint=server.endpoint)
        assert "schemas_memory_max" in proxy.wait_for_record("left out", id=3005, ns=ns)["attr"]["reason"]
        folder.write("schemas.second", costly)
        assert "schemas_memory_max" in proxy.wait_for_record("broken", id=3003)["attr"]["error"]
        with proxy.endpoint().client() as client:
            assert wait_in_force(client, "schemas.first")
            folder.remove("schemas.second")
            folder.remove("schemas.first")
            wait_in_force(client, ns)
        direct[database].drop_collection(name)


def test_a_costly_file_is_an_error_that_names_the_limit(folder):
    folder.write("a.b", COSTLY)
    code, _, error = run_proxy("--upstream", "mongodb://127.0.0.1/", "--listen", "127.0.0.1:0",
                               "--schemas", folder.path)
    assert code == 1
    assert "a.b.json" in error and "limit of 48 MiB" in error


def test_others_do_not_notice(guarded):
    _, client, people = guarded
    client[people.database.name].free.bulk_write([InsertOne({"anything": 1})])
    client[people.database.name].free.drop()
