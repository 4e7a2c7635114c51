"""Every command that writes, in every form, through real drivers to a real server: which commands a schema in the
proxy passes, which it refuses, and how the driver sees it."""

import asyncio

import pytest
from bson import Decimal128, ObjectId
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import (AsyncMongoClient, DeleteOne, InsertOne, ReplaceOne, UpdateMany, UpdateOne,
                     WriteConcern)
from pymongo.errors import (BulkWriteError, ClientBulkWriteException, OperationFailure, PyMongoError,
                            WriteError)
from support.process import eventually
from support.schemas import wait_in_force
from support.scenes import value

pytestmark = pytest.mark.proxy_only
GOOD = {"name": "Ada", "age": 36}
BAD = {"name": "", "age": 36}


def refused(caught, code=121):
    assert caught.value.code == code, caught.value
    return caught.value.details["errInfo"]


def errors(caught):
    return [(one["index"], one["code"]) for one in caught.value.details["writeErrors"]]


@pytest.fixture
def people(guarded):
    _, _, collection = guarded
    collection.insert_many([{"_id": 1, **GOOD}, {"_id": 2, "name": "Bo", "age": 2}])
    return collection


def by_id(collection):
    return {one["_id"]: one for one in collection.find()}


# --- update

WRONG_OPERATORS = [
    {"$set": {"age": "old"}}, {"$set": {"age": 5, "name": ""}}, {"$set": {"age": Decimal128("3")}},
    {"$unset": {"age": ""}}, {"$inc": {"name": 1}}, {"$inc": {"age": 0.5}}, {"$mul": {"name": 2}},
    {"$rename": {"name": "title"}}, {"$push": {"name": 1}}, {"$addToSet": {"age": 1}},
    {"$currentDate": {"age": True}}, {"$bit": {"name": {"or": 1}}}, {"$set": {"name.first": "A"}},
]


@pytest.mark.parametrize("operators", WRONG_OPERATORS, ids=str)
def test_operators_that_are_wrong_whatever_is_stored(people, operators):
    before = by_id(people)
    for write in (people.update_one, people.update_many):
        with pytest.raises(WriteError) as caught:
            write({"_id": 1}, operators)
        info = refused(caught)
        assert info["failingDocumentId"] == 1
        details = info["details"]
        assert details["operatorName"] == "$jsonSchema"
        (operator, fields), *_ = operators.items()
        if "schemaRulesNotSatisfied" in details:  # a field of the top level is set
            (broken,) = details["schemaRulesNotSatisfied"][0]["propertiesNotSatisfied"]
            assert operator == "$set" and broken["propertyName"] in fields
        else:
            assert details["updateOperator"] == operator and details["path"] in fields
    assert by_id(people) == before


@pytest.mark.parametrize("operators", [
    {"$set": {"age": 5}}, {"$inc": {"age": 1}}, {"$set": {"other": "x"}}, {"$unset": {"other": ""}},
    {"$push": {"list": 1}}, {"$setOnInsert": {"age": "not inserted"}}, {"$min": {"age": 1}},
    {"$max": {"age": 40}}, {"$rename": {"other": "another"}}, {"$mul": {"age": 2}}],
    ids=str)
def test_operators_that_pass(people, operators):
    assert people.update_one({"_id": 1}, operators).matched_count == 1


def test_replacements(people):
    with pytest.raises(WriteError) as caught:
        people.replace_one({"_id": 1}, BAD)
    info = refused(caught)
    assert info["failingDocumentId"] == 1
    assert info["details"]["schemaRulesNotSatisfied"][0]["operatorName"] == "properties"
    assert people.replace_one({"_id": 1}, {"name": "Eve", "age": 1}).modified_count == 1
    # its document is unknown, but the operator is wrong for any document
    with pytest.raises(WriteError):
        people.replace_one({"name": "Eve"}, BAD)


def test_upserts(people):
    with pytest.raises(WriteError):
        people.replace_one({"_id": 9}, {"name": "x"}, upsert=True)
    assert people.replace_one({"_id": 9}, GOOD, upsert=True).upserted_id == 9
    assert people.update_one({"_id": 10}, {"$set": GOOD}, upsert=True).upserted_id == 10
    assert people.update_one({"_id": 11, "name": "x"}, {"$setOnInsert": {"age": 5}},
                             upsert=True).upserted_id == 11
    assert {9, 10, 11} <= set(by_id(people))


def test_an_upsert_that_would_insert_a_bad_document(guarded, folder, ns, people):
    """The proxy does not know whether it inserts: the outcome follows `unproved`."""
    _, client, _ = guarded
    folder.write(ns, unproved="reject")
    wait_in_force(client, ns, unproved="reject")
    with pytest.raises(WriteError) as caught:
        people.update_one({"_id": 12}, {"$set": {"age": 5}}, upsert=True)
    assert refused(caught)["details"]["reason"]
    assert 12 not in by_id(people)
    assert people.update_one({"_id": 12}, {"$set": GOOD}, upsert=True).upserted_id == 12


UNPROVED = [
    ("pipeline", lambda c: c.update_one({"_id": 1}, [{"$set": {"age": "old"}}])),
    ("pipelines", lambda c: c.update_many({}, [{"$unset": "age"}])),
    ("$inc", lambda c: c.update_one({"_id": 1}, {"$inc": {"age": 1000}})),
    ("findAndModify", lambda c: c.find_one_and_update({"_id": 1}, [{"$set": {"age": "old"}}])),
    ("$out", lambda c: list(c.aggregate([{"$project": {"name": 1}}, {"$out": c.name}]))),
    ("$merge", lambda c: list(c.aggregate([{"$project": {"age": "x"}},
                                           {"$merge": {"into": c.name}}]))),
    ("$merge by name", lambda c: list(c.aggregate([{"$match": {}}, {"$merge": c.name}]))),
    ("$merge to a database", lambda c: list(c.aggregate([
        {"$match": {}}, {"$merge": {"into": {"db": c.database.name, "coll": c.name}}}]))),
    ("from another collection", lambda c: list(c.database["others"].aggregate([
        {"$match": {}}, {"$merge": {"into": c.name}}]))),
]


@pytest.mark.parametrize("write", [w for _, w in UNPROVED], ids=[n for n, _ in UNPROVED])
def test_what_is_not_known_is_rejected_where_that_is_wanted(guarded, folder, ns, people, write):
    _, client, _ = guarded
    before = by_id(people)
    folder.write(ns, unproved="reject")
    wait_in_force(client, ns, unproved="reject")
    with pytest.raises(OperationFailure) as caught:
        write(people)
    assert refused(caught)["details"]["reason"]
    assert by_id(people) == before
    assert list(people.aggregate([{"$match": {"_id": 1}}])) == [before[1]]
    list(people.aggregate([{"$match": {"_id": 1}}, {"$out": f"{people.name}_free"}]))
    people.database[f"{people.name}_free"].drop()


@pytest.mark.parametrize("write", [w for _, w in UNPROVED], ids=[n for n, _ in UNPROVED])
def test_what_is_not_known_passes_otherwise(people, write):
    people.database["others"].insert_one({"_id": people.name, **GOOD})
    write(people)


# --- findAndModify

def test_find_and_modify(people):
    for write in (lambda: people.find_one_and_update({"_id": 1}, {"$set": {"age": "old"}}),
                  lambda: people.find_one_and_replace({"_id": 1}, BAD),
                  lambda: people.find_one_and_replace({"_id": 7}, BAD, upsert=True)):
        with pytest.raises(OperationFailure) as caught:
            write()
        info = refused(caught)
        assert info["failingDocumentId"] in (1, 7)
        assert caught.value.details["ok"] == 0
        assert caught.value.details["codeName"] == "DocumentValidationFailure"
        assert not isinstance(caught.value, WriteError)
    assert people.find_one_and_update({"_id": 1}, {"$set": {"age": 37}})["age"] == 36
    assert people.find_one_and_replace({"_id": 1}, {"name": "E", "age": 1})["age"] == 37
    assert people.find_one_and_delete({"_id": 1})["name"] == "E"
    assert people.find_one_and_replace({"_id": 7}, GOOD, upsert=True) is None


def test_find_and_modify_by_its_other_name(people):
    with pytest.raises(OperationFailure) as caught:
        people.database.command({"findandmodify": people.name, "query": {"_id": 1}, "update": BAD})
    refused(caught)


# --- bulk_write of a collection

def test_mixed_bulk_unordered(people):
    with pytest.raises(BulkWriteError) as caught:
        people.bulk_write([
            InsertOne({"_id": 3, **GOOD}), InsertOne({"_id": 4, **BAD}), InsertOne({"_id": 1, **GOOD}),
            UpdateOne({"_id": 1}, {"$set": {"age": "x"}}), UpdateOne({"_id": 1}, {"$inc": {"age": 1}}),
            ReplaceOne({"_id": 2}, BAD), ReplaceOne({"_id": 5}, GOOD, upsert=True),
            UpdateMany({}, {"$unset": {"name": 1}}), DeleteOne({"_id": 2}),
            UpdateOne({"_id": 6}, {"$set": GOOD}, upsert=True)], ordered=False)
    result = caught.value.details
    assert sorted(errors(caught)) == [(1, 121), (2, 11000), (3, 121), (5, 121), (7, 121)]
    assert (result["nInserted"], result["nModified"], result["nRemoved"]) == (1, 1, 1)
    assert sorted((one["index"], one["_id"]) for one in result["upserted"]) == [(6, 5), (9, 6)]
    assert set(by_id(people)) == {1, 3, 5, 6} and by_id(people)[1]["age"] == 37


def test_mixed_bulk_ordered(people):
    with pytest.raises(BulkWriteError) as caught:
        people.bulk_write([UpdateOne({"_id": 1}, {"$set": {"age": 37}}),
                           UpdateOne({"_id": 8}, {"$set": GOOD}, upsert=True),
                           UpdateOne({"_id": 2}, {"$set": {"age": "x"}}),
                           UpdateOne({"_id": 1}, {"$set": {"age": 38}})])
    result = caught.value.details
    assert errors(caught) == [(2, 121)]
    assert result["nModified"] == 1 and [u["index"] for u in result["upserted"]] == [1]
    assert by_id(people)[1]["age"] == 37


def test_errors_of_the_server_before_between_and_after(people):
    documents = [{"_id": 1, **GOOD}, {"_id": 20, **BAD}, {"_id": 2, **GOOD}, {"_id": 21, **GOOD},
                 {"_id": 22, **BAD}, {"_id": 21, **GOOD}]
    with pytest.raises(BulkWriteError) as caught:
        people.insert_many(documents, ordered=False)
    assert errors(caught) == [(0, 11000), (1, 121), (2, 11000), (4, 121), (5, 11000)]
    assert caught.value.details["nInserted"] == 1


@pytest.mark.parametrize(("documents", "wanted", "stored"), [
    ([{"_id": 1, **GOOD}, {"_id": 20, **BAD}], [(0, 11000)], 0),
    ([{"_id": 20, **GOOD}, {"_id": 21, **BAD}, {"_id": 1, **GOOD}], [(1, 121)], 1),
    ([{"_id": 20, **BAD}, {"_id": 21, **GOOD}], [(0, 121)], 0),
    ([{"_id": 20, **GOOD}, {"_id": 1, **GOOD}, {"_id": 21, **BAD}], [(1, 11000)], 1)])
def test_ordered_stops_at_whoevers_first_error(people, documents, wanted, stored):
    with pytest.raises(BulkWriteError) as caught:
        people.insert_many(documents)
    assert errors(caught) == wanted
    assert caught.value.details["nInserted"] == stored


# --- bulkWrite of the client (server 8.0)

def has_bulk_write(client):
    return client.admin.command("hello")["maxWireVersion"] >= 25


@pytest.fixture
def bulk_client(guarded):
    _, client, _ = guarded
    if not has_bulk_write(client):
        pytest.skip("the server has no bulkWrite")
    return client


def test_client_bulk_write_unordered_with_verbose_results(bulk_client, ns, people):
    free = f"{ns}_free"
    with pytest.raises(ClientBulkWriteException) as caught:
        bulk_client.bulk_write([
            InsertOne({"_id": 3, **GOOD}, namespace=ns), InsertOne({"_id": 4, **BAD}, namespace=ns),
            InsertOne({"_id": 5, "any": "thing"}, namespace=free),
            UpdateOne({"_id": 1}, {"$set": {"age": "x"}}, namespace=ns),
            UpdateOne({"_id": 1}, {"$set": {"age": 50}}, namespace=ns),
            UpdateOne({"_id": 6}, {"$set": GOOD}, upsert=True, namespace=ns),
            ReplaceOne({"_id": 2}, BAD, namespace=ns), DeleteOne({"_id": 2}, namespace=ns),
            InsertOne({"_id": 1, **GOOD}, namespace=ns)], ordered=False, verbose_results=True)
    result = caught.value.partial_result
    assert sorted((one["idx"], one["code"]) for one in caught.value.write_errors) == [
        (1, 121), (3, 121), (6, 121), (8, 11000)]
    assert all("errInfo" in one for one in caught.value.write_errors if one["code"] == 121)
    assert set(result.insert_results) == {0, 2}
    assert set(result.update_results) == {4, 5} and set(result.delete_results) == {7}
    assert result.update_results[5].upserted_id == 6
    assert (result.inserted_count, result.modified_count, result.upserted_count,
            result.deleted_count) == (2, 1, 1, 1)
    assert set(by_id(people)) == {1, 3, 6}
    bulk_client[people.database.name][f"{people.name}_free"].drop()


def test_client_bulk_write_ordered(bulk_client, ns, people):
    with pytest.raises(ClientBulkWriteException) as caught:
        bulk_client.bulk_write([
            InsertOne({"_id": 3, **GOOD}, namespace=ns), InsertOne({"_id": 4, **BAD}, namespace=ns),
            InsertOne({"_id": 5, **GOOD}, namespace=ns)], verbose_results=True)
    assert [(one["idx"], one["code"]) for one in caught.value.write_errors] == [(1, 121)]
    assert set(caught.value.partial_result.insert_results) == {0}
    assert set(by_id(people)) == {1, 2, 3}


def test_client_bulk_write_of_nothing_good(bulk_client, ns, people):
    with pytest.raises(ClientBulkWriteException) as caught:
        bulk_client.bulk_write([InsertOne({"_id": i, **BAD}, namespace=ns) for i in range(3, 6)],
                               ordered=False)
    assert [(one["idx"], one["code"]) for one in caught.value.write_errors] == [
        (0, 121), (1, 121), (2, 121)]
    assert caught.value.partial_result is None and not people.count_documents({"_id": {"$gt": 2}})


def test_client_bulk_write_all_good(bulk_client, ns, people):
    result = bulk_client.bulk_write([InsertOne({"_id": i, **GOOD}, namespace=ns)
                                     for i in range(3, 500)], verbose_results=True)
    assert result.inserted_count == 497 and set(result.insert_results) == set(range(497))


# --- transactions

@pytest.fixture(params=["sync", "async", "motor"])
def run(request, guarded, ns):
    """run(scenario): with a client of that kind and two guarded collections."""
    proxy, sync, people = guarded
    folder = request.getfixturevalue("folder")
    folder.write(f"{ns}_2")
    wait_in_force(sync, f"{ns}_2")
    people.insert_one({"_id": "before", **GOOD})
    people.database[f"{people.name}_2"].insert_one({"_id": "before", **GOOD})
    make = {"sync": None, "async": AsyncMongoClient, "motor": AsyncIOMotorClient}[request.param]

    def call(scenario):
        async def within():
            client = (make or (lambda uri: proxy.endpoint().client()))(
                proxy.endpoint().uri(serverSelectionTimeoutMS=15000))
            try:
                database = client[people.database.name]
                await scenario(client, database[people.name], database[f"{people.name}_2"])
            finally:
                await value(client.close())
        asyncio.run(asyncio.wait_for(within(), 60))
        return by_id(people)
    yield call
    people.database[f"{people.name}_2"].drop()


async def begin(client):
    session = await value(client.start_session())
    await value(session.start_transaction())
    return session


async def fails(maybe, kind=WriteError):
    with pytest.raises(kind) as caught:
        await value(maybe())
    return caught.value


def is_gone(error):
    assert error.code == 251 and error.has_error_label("TransientTransactionError")


def test_refused_in_the_first_statement(run):
    async def scenario(client, people, _):
        session = await begin(client)
        assert (await fails(lambda: people.insert_one(dict(BAD), session=session))).code == 121
        is_gone(await fails(lambda: people.insert_one(dict(GOOD), session=session),
                            OperationFailure))
        await value(session.abort_transaction())
        await value(session.start_transaction())  # the session is as good as new
        await value(people.insert_one({"_id": "next", **GOOD}, session=session))
        await value(session.commit_transaction())
        await value(session.end_session())
    assert set(run(scenario)) == {"before", "next"}


def test_refused_in_a_later_statement(run):
    async def scenario(client, people, other):
        session = await begin(client)
        await value(people.insert_one({"_id": 1, **GOOD}, session=session))
        await value(other.update_one({"_id": "before"}, {"$set": {"age": 99}}, session=session))
        error = await fails(lambda: other.insert_one(dict(BAD), session=session))
        assert error.code == 121 and error.details["errInfo"]
        is_gone(await fails(lambda: people.find_one({}, session=session), OperationFailure))
        is_gone(await fails(lambda: session.commit_transaction(), OperationFailure))
        await value(session.end_session())
        assert (await value(other.find_one({"_id": "before"})))["age"] == 36
    assert set(run(scenario)) == {"before"}


@pytest.mark.parametrize("ordered", [True, False])
def test_part_of_a_statement_is_refused(run, ordered):
    async def scenario(client, people, _):
        session = await begin(client)
        error = await fails(lambda: people.insert_many(
            [{"_id": 1, **GOOD}, {"_id": 2, **BAD}, {"_id": 3, **GOOD}], ordered=ordered,
            session=session), BulkWriteError)
        assert [(one["index"], one["code"]) for one in error.details["writeErrors"]] == [(1, 121)]
        is_gone(await fails(lambda: session.commit_transaction(), OperationFailure))
        await value(session.end_session())
    assert set(run(scenario)) == {"before"}


def test_find_and_modify_is_refused_in_a_transaction(run):
    async def scenario(client, people, _):
        session = await begin(client)
        await value(people.insert_one({"_id": 1, **GOOD}, session=session))
        error = await fails(lambda: people.find_one_and_update(
            {"_id": 1}, {"$set": {"age": "x"}}, session=session), OperationFailure)
        assert error.code == 121
        is_gone(await fails(lambda: session.commit_transaction(), OperationFailure))
        await value(session.end_session())
    assert set(run(scenario)) == {"before"}


def test_a_transaction_that_is_tried_again(run):
    """The use of frameworks: the callback runs once, and its error is raised."""
    calls = []

    async def scenario(client, people, _):
        session = await value(client.start_session())

        async def callback(s):
            calls.append(1)
            await value(people.insert_one({"_id": 1, **GOOD}, session=s))
            await value(people.insert_one(dict(BAD), session=s))

        def plain(s):
            calls.append(1)
            people.insert_one({"_id": 1, **GOOD}, session=s)
            people.insert_one(dict(BAD), session=s)
        sync = not asyncio.iscoroutinefunction(session.with_transaction)
        error = await fails(lambda: session.with_transaction(plain if sync else callback))
        assert error.code == 121
        await value(session.end_session())
    assert set(run(scenario)) == {"before"} and calls == [1]


def test_good_transactions_are_none_of_our_business(run):
    async def scenario(client, people, other):
        session = await begin(client)
        for number in range(20):
            await value(people.insert_one({"_id": number, **GOOD}, session=session))
        await value(other.delete_one({"_id": "before"}, session=session))
        await value(session.commit_transaction())
        await value(session.end_session())
        assert await value(other.find_one({"_id": "before"})) is None
    assert len(run(scenario)) == 21


# --- options

def test_bypass_in_every_command(guarded, folder, ns, people):
    _, client, _ = guarded
    people.insert_many([{"_id": 30}, {"_id": 31}], bypass_document_validation=True)
    people.update_one({"_id": 30}, {"$set": {"age": "x"}}, bypass_document_validation=True)
    people.replace_one({"_id": 31}, {"y": 1}, bypass_document_validation=True)
    people.find_one_and_update({"_id": 30}, {"$set": {"age": "y"}}, bypassDocumentValidation=True)
    people.bulk_write([InsertOne({"_id": 32})], bypass_document_validation=True)
    folder.write(ns, allow_bypass=False, unproved="reject")
    wait_in_force(client, ns, allowBypass=False)
    for write in (lambda: people.insert_one({"_id": 33}, bypass_document_validation=True),
                  lambda: people.update_one({"_id": 30}, {"$set": {"age": "x"}},
                                            bypass_document_validation=True),
                  lambda: people.find_one_and_update({"_id": 30}, {"$set": {"age": "y"}},
                                                     bypassDocumentValidation=True),
                  lambda: list(people.aggregate([{"$match": {}}, {"$merge": people.name}],
                                                bypassDocumentValidation=True))):
        with pytest.raises(OperationFailure) as caught:
            write()
        assert caught.value.code == 121


@pytest.mark.parametrize(("action", "passes", "logged"), [
    ("error", False, False), ("errorAndLog", False, True), ("warn", True, True)])
def test_actions(guarded, folder, ns, action, passes, logged):
    proxy, client, people = guarded
    folder.write(ns, action=action)
    wait_in_force(client, ns, action=action)
    writes = [lambda: people.insert_one({"_id": 40, **BAD}),
              lambda: people.replace_one({"_id": 40}, {"name": "", "age": 1}),
              lambda: people.update_one({"_id": 40}, {"$set": {"age": "x"}}),
              lambda: people.find_one_and_update({"_id": 40}, {"$set": {"age": "y"}})]
    for write in writes:
        if passes:
            write()
        else:
            with pytest.raises(OperationFailure):
                write()

    def count():
        return sum(record["id"] == 3010 for record in proxy.records())
    if logged:
        eventually(lambda: count() == len(writes), "each is logged")
        assert all(record["s"] == "W" and record["attr"]["ns"] == ns and record["attr"]["reason"]
                   and record["attr"]["warned"] == passes
                   for record in proxy.records() if record["id"] == 3010)
    client.admin.command("ping")
    assert count() == (len(writes) if logged else 0)


def test_level_off(guarded, folder, ns):
    _, client, people = guarded
    folder.write(ns, level="off")
    wait_in_force(client, ns, level="off")
    people.insert_one({"_id": 1})
    people.update_one({"_id": 1}, {"$set": {"age": "x"}})


def test_level_moderate(guarded, folder, ns, people):
    """The proxy checks inserts against the schema. The result of an update of a possibly invalid document is unknown.
    """
    _, client, _ = guarded
    folder.write(ns, level="moderate")
    wait_in_force(client, ns, level="moderate")
    with pytest.raises(WriteError):
        people.insert_one({"_id": 50})
    people.update_one({"_id": 1}, {"$set": {"age": "x"}})
    people.replace_one({"_id": 1}, {"z": 1})
    folder.write(ns, level="moderate", unproved="reject")
    wait_in_force(client, ns, unproved="reject")
    with pytest.raises(WriteError):
        people.update_one({"_id": 1}, {"$set": {"age": "x"}})
    people.update_one({"_id": 1}, {"$set": {"age": 5}})


def test_unacknowledged_writes_of_every_kind(guarded, people):
    proxy, _, _ = guarded
    quiet = people.with_options(write_concern=WriteConcern(w=0))
    quiet.update_one({"_id": 1}, {"$set": {"age": "x"}})
    quiet.replace_one({"_id": 1}, BAD)
    quiet.bulk_write([UpdateOne({"_id": 1}, {"$set": {"age": 77}}),
                      UpdateOne({"_id": 2}, {"$set": {"age": "x"}}),
                      InsertOne({"_id": 60, **BAD}), InsertOne({"_id": 61, **GOOD})], ordered=False)
    eventually(lambda: 61 in by_id(people), "the good ones arrive")
    assert by_id(people)[1]["age"] == 77 and by_id(people)[2]["age"] == 2 and 60 not in by_id(people)
    eventually(lambda: sum(record["id"] == 3010 for record in proxy.records()) == 4,
               "what was dropped is logged")


# --- large and slow

@pytest.mark.parametrize("compressor", [None, "snappy", "zlib", "zstd"])
@pytest.mark.long
def test_many_megabytes_at_once(guarded, compressor):
    proxy, _, people = guarded
    with proxy.endpoint().client(compressors=compressor) as client:
        there = client[people.database.name][people.name]
        documents = [{"_id": i, **GOOD, "fill": bytes(480_000)} for i in range(95)]
        documents[50]["age"] = "x"
        with pytest.raises(BulkWriteError) as caught:
            there.insert_many(documents, ordered=False)
        assert errors(caught) == [(50, 121)] and caught.value.details["nInserted"] == 94
        documents[50]["age"] = 1
        there.delete_many({})
        assert len(there.insert_many(documents).inserted_ids) == 95
        there.drop()


@pytest.mark.long
def test_a_hundred_thousand_documents(guarded):
    _, _, people = guarded
    documents = [{"_id": i, **(GOOD if i % 1000 else BAD)} for i in range(100_001)]
    with pytest.raises(BulkWriteError) as caught:
        people.insert_many(documents, ordered=False)
    assert errors(caught) == [(i, 121) for i in range(0, 100_001, 1000)]
    assert caught.value.details["nInserted"] == 100_001 - 101
    assert people.estimated_document_count() == 100_001 - 101


def test_a_pattern_that_never_ends_is_cut_off(guarded, folder, ns):
    """Catastrophic backtracking is reported as such, and other clients do not wait."""
    _, client, people = guarded
    folder.write(ns, {"properties": {"text": {"bsonType": "string", "pattern": "^(a|a)*$"}}},
                 action="errorAndLog")
    wait_in_force(client, ns, action="errorAndLog")
    with pytest.raises(WriteError) as caught:
        people.insert_one({"_id": 1, "text": "a" * 50 + "b"})
    info = refused(caught)
    assert info["failingDocumentId"] == 1
    assert "a pattern needs more steps than are allowed" in caught.value.details["errmsg"]
    assert info["details"]["reason"]
    people.insert_one({"_id": 2, "text": "aaaa"})
    with pytest.raises(WriteError):
        people.replace_one({"_id": 2}, {"text": "a" * 50 + "b"})


def test_details_too_large_for_a_reply(guarded):
    """Twenty documents of a megabyte each, which the details would all quote."""
    _, _, people = guarded
    with pytest.raises(BulkWriteError) as caught:
        people.insert_many([{"_id": i, "name": "n", "age": "x" * 1_000_000} for i in range(20)],
                           ordered=False)
    assert errors(caught) == [(i, 121) for i in range(20)]
    told = [one for one in caught.value.details["writeErrors"] if "errInfo" in one]
    assert 10 <= len(told) < 20


def test_the_id_is_part_of_the_document(guarded, folder, ns):
    """A schema that counts fields, or that closes the document, counts the _id that drivers make."""
    _, client, people = guarded
    folder.write(ns, {"maxProperties": 2, "properties": {"_id": {"bsonType": "objectId"}}})
    wait_in_force(client, ns)
    eventually(lambda: not fails_now(lambda: people.insert_one({"x": 1})), "the new schema")
    with pytest.raises(WriteError):
        people.insert_one({"x": 1, "y": 2})
    with pytest.raises(WriteError):
        people.insert_one({"_id": 5})
    people.insert_one({"_id": ObjectId(), "x": 1})


def fails_now(write):
    try:
        write()
    except PyMongoError:
        return True
    return False


def test_the_schema_of_another_database_is_another_schema(guarded):
    _, client, people = guarded
    client["elsewhere"][people.name].insert_one({"free": 1})
    client["elsewhere"].drop_collection(people.name)
