"""PyMongo's AsyncMongoClient and Motor, with authentication and TLS on both sides. The two differ only in the calls
that are awaited to get a session or a change stream."""

import asyncio

import pytest
from bson import ObjectId
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient
from pymongo.errors import DuplicateKeyError
from support.scenes import value

OPTIONS = {"serverSelectionTimeoutMS": 15000}


@pytest.fixture(params=[AsyncMongoClient, AsyncIOMotorClient])
def run(request, secure_target, collection_name):
    """run(scenario): calls it with the client and a collection in a loop of its own."""
    def call(scenario, limit=60):
        async def within():
            client = request.param(secure_target.uri(**OPTIONS))
            try:
                collection = client["async"][collection_name]
                await scenario(client, collection)
                await collection.drop()
            finally:
                await value(client.close())
        asyncio.run(asyncio.wait_for(within(), limit))
    return call


def test_create_find_update_delete(run):
    async def scenario(_, collection):
        made = await collection.insert_one({"name": "Ada", "age": 36})
        assert isinstance(made.inserted_id, ObjectId)
        await collection.insert_many([{"name": "Grace", "age": 85}, {"name": "Alan", "age": 41}])
        found = await collection.find({}).sort("age").to_list(None)
        assert [one["name"] for one in found] == ["Ada", "Alan", "Grace"]
        assert (await collection.update_many({}, {"$inc": {"age": 1}})).modified_count == 3
        assert (await collection.find_one({"name": "Ada"}))["age"] == 37
        assert (await collection.delete_many({"age": {"$gt": 40}})).deleted_count == 2
        assert await collection.count_documents({}) == 1
    run(scenario)


def test_errors_arrive(run):
    async def scenario(_, collection):
        await collection.insert_one({"_id": 1})
        with pytest.raises(DuplicateKeyError):
            await collection.insert_one({"_id": 1})
    run(scenario)


def test_many_tasks_at_once(run):
    async def scenario(_, collection):
        async def work(i):
            await collection.insert_one({"_id": i, "text": "y" * (i * 50)})
            return len((await collection.find_one({"_id": i}))["text"])
        assert await asyncio.gather(*map(work, range(300))) == [i * 50 for i in range(300)]
    run(scenario)


def test_cursor_over_many_batches(run):
    async def scenario(_, collection):
        await collection.insert_many([{"_id": i} for i in range(2000)])
        assert [one["_id"] async for one in collection.find().batch_size(50)] == list(range(2000))
    run(scenario)


def test_transactions(run):
    async def scenario(client, collection):
        await collection.insert_one({"_id": 0})
        async with await value(client.start_session()) as session:
            async with await value(session.start_transaction()):
                await collection.insert_one({"_id": 1}, session=session)
            await value(session.start_transaction())
            await collection.insert_one({"_id": 2}, session=session)
            await session.abort_transaction()
        assert [one["_id"] async for one in collection.find()] == [0, 1]
    run(scenario)


def test_change_stream(run):
    async def scenario(_, collection):
        await collection.insert_one({"_id": "before"})
        async with await value(collection.watch(max_await_time_ms=500)) as stream:
            for i in range(5):
                await collection.insert_one({"_id": i})
            assert [(await stream.next())["fullDocument"]["_id"] for _ in range(5)] == list(range(5))
    run(scenario)


def test_a_cancelled_command_leaves_the_client_usable(run):
    async def scenario(client, collection):
        await collection.insert_many([{"_id": i} for i in range(100)])
        slow = {"$where": "sleep(20) || true"}
        task = asyncio.ensure_future(collection.find(slow).to_list(None))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await client.admin.command("ping"))["ok"] == 1
        assert await collection.count_documents({}) == 100
    run(scenario)
