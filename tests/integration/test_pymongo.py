"""PyMongo's synchronous client, with authentication and TLS on both sides."""

import pytest
from bson import ObjectId
from pymongo import (DeleteOne, InsertOne, MongoClient, ReadPreference, ReplaceOne, UpdateOne,
                     WriteConcern)
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure
from pymongo.read_concern import ReadConcern


@pytest.fixture(scope="module")
def client(secure_target):
    with secure_target.client() as connected:
        yield connected


@pytest.fixture
def collection(client, collection_name):
    made = client.get_database("pymongo").create_collection(collection_name)
    yield made
    made.drop()


def test_create_find_update_delete(collection):
    made = collection.insert_one({"name": "Ada", "age": 36})
    assert isinstance(made.inserted_id, ObjectId)
    many = collection.insert_many([{"name": "Grace", "age": 85}, {"name": "Alan", "age": 41}])
    assert len(many.inserted_ids) == 2
    assert [one["name"] for one in collection.find().sort("age")] == ["Ada", "Alan", "Grace"]
    assert collection.update_one({"name": "Ada"}, {"$inc": {"age": 1}}).modified_count == 1
    assert collection.find_one_and_update({"name": "Ada"}, {"$set": {"age": 40}})["age"] == 37
    assert collection.replace_one({"name": "Alan"}, {"name": "Turing"}).modified_count == 1
    assert collection.update_one({"name": "Emmy"}, {"$set": {"age": 53}}, upsert=True).upserted_id
    assert collection.count_documents({}) == 4
    assert sorted(collection.distinct("name")) == ["Ada", "Emmy", "Grace", "Turing"]
    assert collection.delete_one({"name": "Turing"}).deleted_count == 1
    assert collection.delete_many({}).deleted_count == 3


def test_bulk_write_with_errors_names_the_right_index(collection):
    collection.insert_one({"_id": 1})
    with pytest.raises(BulkWriteError) as caught:
        collection.bulk_write([InsertOne({"_id": 2}), InsertOne({"_id": 1}), InsertOne({"_id": 3}),
                               UpdateOne({"_id": 2}, {"$set": {"a": 1}}),
                               ReplaceOne({"_id": 3}, {"b": 1}), DeleteOne({"_id": 1})],
                              ordered=False)
    details = caught.value.details
    assert [error["index"] for error in details["writeErrors"]] == [1]
    assert details["writeErrors"][0]["code"] == 11000
    assert (details["nInserted"], details["nModified"], details["nRemoved"]) == (2, 2, 1)


def test_errors_of_the_server_arrive_as_they_are(client, collection):
    collection.insert_one({"_id": "x"})
    with pytest.raises(DuplicateKeyError):
        collection.insert_one({"_id": "x"})
    with pytest.raises(OperationFailure) as caught:
        client.admin.command("no_such_command_at_all")
    assert caught.value.code == 59


def test_cursors_over_many_batches_are_complete_and_in_order(collection):
    collection.insert_many([{"_id": i, "text": "x" * 100} for i in range(3000)])
    assert [one["_id"] for one in collection.find().sort("_id").batch_size(100)] == list(range(3000))
    cursor = collection.find(batch_size=10)
    next(cursor)
    cursor.close()  # killCursors
    assert len(list(collection.aggregate([{"$match": {"_id": {"$gte": 1000}}}], batchSize=500))) == 2000
    by_rest = {row["_id"]: row["n"] for row in
               collection.aggregate([{"$group": {"_id": {"$mod": ["$_id", 3]}, "n": {"$sum": 1}}}])}
    assert by_rest == {0: 1000, 1: 1000, 2: 1000}


def test_transaction_commits(client, collection):
    with client.start_session() as session, session.start_transaction():
        collection.insert_one({"_id": 1}, session=session)
        assert collection.count_documents({}, session=session) == 1
        assert collection.count_documents({}) == 0
    assert collection.count_documents({}) == 1


def test_transaction_aborts(client, collection):
    with client.start_session() as session:
        session.start_transaction()
        collection.insert_many([{"_id": i} for i in range(10)], session=session)
        session.abort_transaction()
    assert collection.count_documents({}) == 0


def test_with_transaction_over_two_collections(client, collection):
    other = collection.database[collection.name + "_other"]
    collection.insert_one({"_id": "account", "balance": 10})
    other.insert_one({"_id": "account", "balance": 0})

    def move(session):
        collection.update_one({"_id": "account"}, {"$inc": {"balance": -4}}, session=session)
        other.update_one({"_id": "account"}, {"$inc": {"balance": 4}}, session=session)

    with client.start_session() as session:
        session.with_transaction(move, ReadConcern("snapshot"), WriteConcern("majority"))
    assert collection.find_one()["balance"] == 6
    assert other.find_one()["balance"] == 4
    other.drop()


def test_change_stream_sees_each_write_and_resumes(collection):
    with collection.watch(full_document="updateLookup", max_await_time_ms=500) as stream:
        collection.insert_one({"_id": 1, "a": 1})
        collection.update_one({"_id": 1}, {"$set": {"a": 2}})
        collection.delete_one({"_id": 1})
        first = next(stream)
        token = stream.resume_token
        assert first["operationType"] == "insert"
        assert [next(stream)["operationType"] for _ in range(2)] == ["update", "delete"]
    with collection.watch(resume_after=token, max_await_time_ms=500) as stream:
        assert next(stream)["operationType"] == "update"


def test_causal_session_reads_its_own_writes(client, collection):
    with client.start_session(causal_consistency=True) as session:
        majority = collection.with_options(write_concern=WriteConcern("majority"),
                                           read_concern=ReadConcern("majority"))
        for i in range(20):
            majority.insert_one({"_id": i}, session=session)
            assert majority.find_one({"_id": i}, session=session) == {"_id": i}
        assert session.operation_time is not None
        assert session.cluster_time is not None


def test_many_threads_share_a_client(collection):
    from concurrent.futures import ThreadPoolExecutor

    def work(number):
        collection.insert_one({"_id": number, "by": number % 8})
        return collection.find_one({"_id": number})["_id"]

    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(work, range(300))) == list(range(300))
    assert collection.count_documents({}) == 300


def test_unacknowledged_writes_arrive(client, collection):
    fire = collection.with_options(write_concern=WriteConcern(0))
    for i in range(50):
        assert not fire.insert_one({"_id": i}).acknowledged
    # the same connection answers in order: the unanswered writes do not disturb it
    with client.start_session():
        assert client.admin.command("ping")["ok"] == 1
    from support.process import eventually
    eventually(lambda: collection.count_documents({}) == 50, "all unacknowledged writes stored")


def test_direct_connection_and_read_preference(secure_target, collection):
    with MongoClient(secure_target.uri(directConnection="true")) as direct:
        assert direct.admin.command("ping")["ok"] == 1
        near = direct.get_database("pymongo", read_preference=ReadPreference.NEAREST)
        assert near[collection.name].count_documents({}) == 0


def test_the_server_sees_the_clients_own_name(secure_target):
    with secure_target.client(appname="name-of-the-client") as client:
        metadata = client.options.pool_options.metadata
        assert metadata["application"]["name"] == "name-of-the-client"
        assert client.admin.command("ping")["ok"] == 1
        seen = list(client.admin.aggregate([{"$currentOp": {"allUsers": True,
                                                            "idleConnections": True}}]))
    if any("appName" in one for one in seen):  # a server without it cannot report it
        assert "name-of-the-client" in {one.get("appName") for one in seen}
