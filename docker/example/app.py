"""An ordinary Beanie application. It knows nothing of mongosluice: MONGODB_URI names the proxy."""

import asyncio
import os

from beanie import Document, init_beanie
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure


class Order(Document):
    customer: str
    total: float

    class Settings:
        name = "orders"


async def main() -> None:
    async with AsyncMongoClient(os.environ["MONGODB_URI"]) as client:
        await init_beanie(client.get_default_database("shop"), document_models=[Order])
        order = await Order(customer="Ada", total=12.5).insert()
        print(f"stored: {order.customer}, {order.total}")
        try:
            await Order(customer="Grace", total=-1.5).insert()
            print("stored although the total is negative: no schema is enforced")
        except OperationFailure as refusal:
            print(f"refused with code {refusal.code}: the total is negative")
        await order.delete()


asyncio.run(main())
