"""An ordinary Motor program: python motor_app.py mongodb://HOST:PORT/DATABASE

Keeps readings of weather stations. It uses MongoDB and does not know the proxy."""

import asyncio
import random
import sys
from datetime import datetime, timedelta, timezone

import motor
import pymongo
from motor.motor_asyncio import AsyncIOMotorClient
from steps import expect, heading, step

STATIONS = ["Oslo", "Porto", "Quito", "Riga", "Seoul"]


def make_readings(count):
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    source = random.Random(7)
    return [{"station": STATIONS[i % len(STATIONS)], "at": start + timedelta(minutes=i),
             "celsius": round(source.gauss(12, 8), 1), "checked": False} for i in range(count)]


async def write(readings):
    with step("insert_many") as line:
        made = await readings.insert_many(make_readings(5000))
        line.documents, line.result = len(made.inserted_ids), "acknowledged"
        expect(len(made.inserted_ids) == 5000, "insert_many did not insert 5000 documents")
    with step("insert_one, 200 at once") as line:
        await asyncio.gather(*(readings.insert_one(reading) for reading in make_readings(200)))
        line.documents, line.result = 200, "acknowledged"
    with step("create_index") as line:
        line.result = await readings.create_index([("station", 1), ("at", -1)])


async def read(readings):
    with step("find, cursor of many batches") as line:
        found = [reading async for reading in readings.find().batch_size(500)]
        line.documents, line.result = len(found), f"{len({r['station'] for r in found})} stations"
        expect(len(found) == 5200, f"find returned {len(found)} of 5200 documents")
    with step("find with filter and sort") as line:
        warm = await readings.find({"celsius": {"$gt": 30}}).sort("celsius", -1).to_list(None)
        line.documents, line.result = len(warm), f"warmest {warm[0]['celsius']}"
    with step("aggregate, $group") as line:
        rows = await readings.aggregate([
            {"$group": {"_id": "$station", "n": {"$sum": 1}, "mean": {"$avg": "$celsius"}}},
            {"$sort": {"_id": 1}}]).to_list(None)
        line.documents, line.result = len(rows), f"{rows[0]['_id']} {rows[0]['mean']:.2f} on average"
        expect(sum(row["n"] for row in rows) == 5200, "$group lost documents")


async def change(readings):
    with step("update_many") as line:
        done = await readings.update_many({"station": "Oslo"}, {"$set": {"checked": True}})
        line.documents, line.result = done.modified_count, f"{done.matched_count} matched"
        expect(done.modified_count == 1040, "update_many did not change 1040 documents")
    with step("find_one_and_update") as line:
        after = await readings.find_one_and_update(
            {"station": "Riga"}, {"$inc": {"celsius": 1}},
            return_document=pymongo.ReturnDocument.AFTER)
        line.documents, line.result = 1, f"celsius {after['celsius']:.1f}"
    with step("duplicate _id") as line:
        try:
            await readings.insert_one(after)
            expect(False, "a second document with the same _id was accepted")
        except pymongo.errors.DuplicateKeyError as error:
            line.result = f"refused, code {error.code}"
    with step("delete_many") as line:
        done = await readings.delete_many({"checked": True})
        line.documents, line.result = done.deleted_count, "acknowledged"
        expect(done.deleted_count == 1040, "delete_many did not delete 1040 documents")


async def transact(client, readings):
    with step("transaction, aborted") as line:
        async with await client.start_session() as session:
            session.start_transaction()
            await readings.insert_many(make_readings(10), session=session)
            await session.abort_transaction()
        left = await readings.count_documents({})
        line.documents, line.result = 0, f"{left} documents as before"
        expect(left == 4160, "an aborted transaction left documents behind")
    with step("transaction, committed") as line:
        async with await client.start_session() as session:
            async with session.start_transaction():
                await readings.insert_many(make_readings(10), session=session)
        left = await readings.count_documents({})
        line.documents, line.result = 10, f"{left} documents now"
        expect(left == 4170, "a committed transaction is not there")


async def follow(readings):
    with step("change stream") as line:
        async with readings.watch([{"$match": {"operationType": "insert"}}],
                                  max_await_time_ms=1000) as stream:
            await readings.insert_one({"station": "Turku", "celsius": -3.5})
            event = await asyncio.wait_for(stream.next(), 30)
        line.documents, line.result = 1, f"saw the insert of {event['fullDocument']['station']}"


async def main(uri):
    client = AsyncIOMotorClient(uri, serverSelectionTimeoutMS=20000)
    readings = client.get_default_database()["readings"]
    heading(f"Motor {motor.version}, PyMongo {pymongo.version}")
    hello = await client.admin.command("hello")
    await readings.drop()
    await write(readings)
    await read(readings)
    await change(readings)
    if "setName" in hello or hello.get("msg") == "isdbgrid":
        await transact(client, readings)
        await follow(readings)
    await readings.drop()
    client.close()


asyncio.run(main(sys.argv[1]))
