"""The operations of a typical Beanie application, for Beanie 2 (AsyncMongoClient) and Beanie 1 (Motor). It is a
program of its own because the two need different environments. Its arguments are URI and database; it prints one
JSON object with the results."""

import asyncio
import json
import sys
from datetime import datetime
from enum import Enum

import beanie
from beanie import Document, Indexed, Link, WriteRules, init_beanie
from beanie.operators import In, Inc, Set
from pydantic import BaseModel, Field

BEANIE_1 = beanie.__version__.startswith("1.")
if BEANIE_1:
    from motor.motor_asyncio import AsyncIOMotorClient as Client
else:
    from pymongo import AsyncMongoClient as Client


class Colour(str, Enum):
    RED = "red"
    BLUE = "blue"


class Maker(Document):
    name: str


class Part(BaseModel):
    label: str
    weight: float = Field(ge=0)


class Machine(Document):
    name: Indexed(str, unique=True)
    colour: Colour = Colour.RED
    year: int
    built: datetime = datetime(1837, 12, 1)
    parts: list[Part] = []
    maker: Link[Maker] | None = None


async def value(maybe):
    return await maybe if asyncio.iscoroutine(maybe) or asyncio.isfuture(maybe) else maybe


async def create_find_update_delete(saw):
    engine = Machine(name="Analytical Engine", year=1837, parts=[Part(label="mill", weight=9.5)],
                     maker=Maker(name="Babbage"))
    await engine.insert(link_rule=WriteRules.WRITE)
    await Machine.insert_many([Machine(name=f"copy {i}", year=1900 + i) for i in range(100)])
    found = await Machine.find_one(Machine.name == "Analytical Engine")
    await found.fetch_all_links()
    saw["found"] = [found.parts[0].weight, found.maker.name, found.colour.value]
    saw["recent"] = await Machine.find(Machine.year >= 1950).count()
    saw["sorted"] = [one.year for one in
                     await Machine.find(In(Machine.year, [1903, 1901, 1902])).sort(-Machine.year)
                     .to_list()]
    found.year = 1838
    await found.save()
    await Machine.find(Machine.year > 1990).update(Set({Machine.colour: Colour.BLUE}))
    await Machine.find_one(Machine.name == "copy 1").update(Inc({Machine.year: 1000}))
    saw["updated"] = [(await Machine.get(found.id)).year,
                      await Machine.find(Machine.colour == Colour.BLUE).count(),
                      (await Machine.find_one(Machine.name == "copy 1")).year]
    try:
        await Machine(name="copy 2", year=1).insert()
    except Exception as error:
        saw["duplicate"] = type(error).__name__
    saw["deleted"] = (await Machine.find(Machine.year < 1950).delete()).deleted_count
    await found.delete() if await Machine.get(found.id) else None
    saw["left"] = await Machine.find_all().count()


async def transactions(client, saw):
    before = await Maker.find_all().count()
    async with await value(client.start_session()) as session:
        async with await value(session.start_transaction()):
            await Maker(name="kept").insert(session=session)
            await Maker.find_one(Maker.name == "kept", session=session).update(
                Set({Maker.name: "kept and renamed"}), session=session)
        await value(session.start_transaction())
        await Maker(name="dropped").insert(session=session)
        await session.abort_transaction()
    saw["transactions"] = [await Maker.find_all().count() - before,
                           await Maker.find(Maker.name == "kept and renamed").count()]


async def change_streams(saw):
    get = Maker.get_motor_collection if BEANIE_1 else Maker.get_pymongo_collection
    async with await value(get().watch(max_await_time_ms=500)) as stream:
        one = Maker(name="watched")
        await one.insert()
        one.name = "watched again"
        await one.save()
        await one.delete()
        saw["changes"] = [(await stream.next())["operationType"] for _ in range(3)]


async def main(uri, database):
    client = Client(uri, serverSelectionTimeoutMS=15000)
    saw = {"beanie": beanie.__version__}
    await init_beanie(database=client[database], document_models=[Maker, Machine])
    await create_find_update_delete(saw)
    await transactions(client, saw)
    await change_streams(saw)
    await value(client.drop_database(database))
    await value(client.close())
    print(json.dumps(saw))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
