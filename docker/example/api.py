"""Orders over HTTP, with FastAPI and Beanie. What the proxy refuses, the client is told in the form of
FastAPI's own checks, with status 422."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from beanie import Document, PydanticObjectId, init_beanie
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import Field
from pymongo import AsyncMongoClient

import mongosluice

mongosluice.offload()


class Order(Document):
    customer: str = Field(min_length=1)
    total: float = Field(ge=0)

    class Settings:
        name = "orders"


@asynccontextmanager
async def connected(_app: FastAPI) -> AsyncIterator[None]:
    async with AsyncMongoClient(os.environ["MONGODB_URI"]) as client:
        await init_beanie(client.get_default_database("shop"), document_models=[Order])
        yield


app = FastAPI(lifespan=connected)


@app.exception_handler(mongosluice.Refused)
async def refused(_request: Request, error: mongosluice.Refused) -> JSONResponse:
    # without `input`, which may be of a type that JSON does not have
    detail = [{key: line[key] for key in ("type", "loc", "msg")} for line in error.errors()]
    return JSONResponse({"detail": detail}, status_code=422)


@app.post("/orders", status_code=201)
async def create(order: Order) -> Order:
    return await order.insert()


@app.put("/orders/{identity}/total")
async def change(identity: PydanticObjectId, total: float) -> Order:
    order = await Order.get(identity)
    if order is None:
        raise HTTPException(404)
    order.total = total  # neither Beanie nor pydantic looks at what is assigned: the proxy does
    return await order.replace()
