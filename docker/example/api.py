"""Orders over HTTP, with FastAPI and Beanie. The client receives a refusal of the proxy as status 422, in the form of
FastAPI's own validation errors."""

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
    # Leaves out `input`, whose type may have no JSON form.
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
    order.total = total  # Neither Beanie nor pydantic validates this assignment. The proxy validates the document.
    return await order.replace()
