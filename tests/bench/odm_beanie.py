"""The documents as Beanie's models."""

import datetime
from typing import Literal, Optional

from beanie import Document
from pydantic import BaseModel, Field


class User(Document):
    name: str
    email: str
    age: int = Field(ge=0, le=150)
    city: str
    score: float
    created_at: datetime.datetime

    class Settings:
        name = "user"


class Customer(BaseModel):
    name: str = Field(min_length=1, max_length=60)
    email: str
    city: str
    vip: bool


class Line(BaseModel):
    sku: str
    qty: int = Field(ge=1, le=99)
    price: float = Field(gt=0)


class Order(Document):
    order_no: str = Field(pattern=r"^[A-Z]{3}-\d{6}$")
    status: Literal["new", "paid", "shipped", "done"]
    customer: Customer
    items: list[Line] = Field(min_length=1, max_length=1000)
    total: float
    note: Optional[str] = Field(default=None, max_length=200)
    placed_at: datetime.datetime

    class Settings:
        name = "order"
