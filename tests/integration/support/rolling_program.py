"""One process of a Beanie application during a rolling deployment, for Beanie 2 and Beanie 1 alike:

    rolling_program.py schema old|new
    rolling_program.py write old|new URI DATABASE COUNT

`old` uses the model before the deployment, `new` the model after it: `price` is renamed to `total`, `currency` is
new and required, and a quantity is at most 10. `write` prints "ready", waits for a line on standard input, and
writes COUNT times in each of the ways that an application writes. It prints the refusals as JSON."""

import asyncio
import json
import sys

import beanie
from beanie import Document, init_beanie
from beanie.operators import Set
from pydantic import BaseModel, Field
from pymongo.errors import BulkWriteError, OperationFailure, WriteError

BEANIE_1 = beanie.__version__.startswith("1.")
if BEANIE_1:
    from motor.motor_asyncio import AsyncIOMotorClient as Client
else:
    from pymongo import AsyncMongoClient as Client


class OldLine(BaseModel):
    quantity: int = Field(ge=1, le=1000)


class OldOrder(Document):
    customer: str = Field(min_length=1)
    price: float = Field(ge=0)
    lines: list[OldLine] = []

    class Settings:
        name = "orders"

    class Config:
        extra = "forbid"


class NewLine(BaseModel):
    quantity: int = Field(ge=1, le=10)


class NewOrder(Document):
    customer: str = Field(min_length=1)
    total: float = Field(ge=0)
    currency: str = Field(min_length=3, max_length=3)
    lines: list[NewLine] = []

    class Settings:
        name = "orders"

    class Config:
        extra = "forbid"


def order(role, at):
    if role == "old":
        return OldOrder(customer=f"old {at}", price=at / 4, lines=[OldLine(quantity=1 + at * 37 % 1000)])
    return NewOrder(customer=f"new {at}", total=at / 4, currency="EUR", lines=[NewLine(quantity=1 + at % 10)])


class Counts:
    def __init__(self):
        self.written = 0
        self.refused = {}

    async def take(self, way, doing):
        try:
            await doing
            self.written += 1
        except (WriteError, BulkWriteError, OperationFailure) as error:
            details = error.details or {}
            code = (details.get("writeErrors") or [{}])[0].get("code", error.code)
            self.refused.setdefault(f"{way}: {code}", 0)
            self.refused[f"{way}: {code}"] += 1


async def write_all(role, count, counts):
    model = OldOrder if role == "old" else NewOrder
    for at in range(count):
        one = order(role, at)
        await counts.take("insert", one.insert())
        await counts.take("insert_many", model.insert_many([order(role, at), order(role, at + 1)]))
        if one.id is None:
            continue
        one.customer += " again"
        await counts.take("replace", one.replace())
        one.lines = order(role, at + 1).lines
        await counts.take("save", one.save())
        await counts.take("set", one.update(Set({model.customer: f"{role} at last"})))
        amount = {"price": 1.5} if role == "old" else {"total": 1.5}
        await counts.take("set amount", one.update(Set(amount)))


async def write(role, uri, database, count):
    client = Client(uri)
    model = OldOrder if role == "old" else NewOrder
    await init_beanie(database=client[database], document_models=[model])
    print("ready", flush=True)
    sys.stdin.readline()
    counts = Counts()
    await write_all(role, count, counts)
    print(json.dumps({"written": counts.written, "refused": counts.refused}))


if __name__ == "__main__":
    if sys.argv[1] == "schema":
        print(json.dumps((OldOrder if sys.argv[2] == "old" else NewOrder).model_json_schema(by_alias=True)))
    else:
        asyncio.run(write(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])))
