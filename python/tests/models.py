"""The documents of the tests of Beanie's ways."""

import datetime
import decimal
import enum
import uuid
from typing import Optional

import beanie
from beanie import BackLink, Document, Insert, Link, Replace, UnionDoc, Update, before_event
from beanie.odm.custom_types import DecimalAnnotation
from pydantic import BaseModel, Field, field_validator, model_validator


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Line(BaseModel):
    sku: str = Field(pattern=r"^[A-Z]{2}\d{4}$")
    qty: int = Field(ge=1, le=99)
    price: float = Field(gt=0)


class Order(Document):
    order_no: str = Field(max_length=12)
    lines: list[Line] = Field(min_length=1)
    total: DecimalAnnotation = decimal.Decimal("0.0")
    note: Optional[str] = Field(default=None, alias="remark")
    colour: Colour = Colour.RED
    placed_at: datetime.datetime = datetime.datetime(2024, 1, 1)
    token: uuid.UUID = Field(default_factory=uuid.uuid4)
    tags: set[str] = set()

    class Settings:
        name = "orders"


class Sparse(Document):
    a: Optional[int] = None
    b: Optional[Line] = None
    c: str = "c"

    class Settings:
        keep_nulls = False


class Revised(Document):
    n: int = 0

    class Settings:
        use_revision = True


class Stateful(Document):
    n: int = 0
    inner: dict[str, int] = {}

    class Settings:
        use_state_management = True
        state_management_save_previous = True


class Acted(Document):
    name: str
    stamped: int = 0

    @before_event(Insert, Replace, Update)
    def stamp(self):
        self.stamped += 1


class Vehicle(Document):
    wheels: int

    class Settings:
        is_root = True


class Car(Vehicle):
    doors: int = 4


class Truck(Vehicle):
    load: float


class Either(UnionDoc):
    class Settings:
        name = "either"
        class_id = "_class_id"


class One(Document):
    x: int

    class Settings:
        union_doc = Either


class Two(Document):
    y: str

    class Settings:
        union_doc = Either


class Author(Document):
    name: str
    books: list[BackLink["Book"]] = Field(
        default=[], **({"original_field": "author"} if beanie.__version__.startswith("1.")
                       else {"json_schema_extra": {"original_field": "author"}}))


class Publisher(Document):
    name: str


class Book(Document):
    title: str
    author: Optional[Link[Author]] = None
    publishers: list[Link[Publisher]] = []


class Cached(Document):
    n: int

    class Settings:
        use_cache = True


class Validated(Document):
    even: int
    low: int = 0
    high: int = 0

    @field_validator("even")
    @classmethod
    def must_be_even(cls, value):
        if value % 2:
            raise ValueError("odd")
        return value

    @model_validator(mode="after")
    def in_order(self):
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


class Encoded(Document):
    name: str

    class Settings:
        bson_encoders = {str: lambda value: value.upper()}


class Forbidding(Document):
    model_config = {"extra": "forbid"}
    n: int


class ById(Document):
    id: uuid.UUID = Field(default_factory=uuid.uuid4)
    n: int = 0


ALL = [Order, Sparse, Revised, Stateful, Acted, Vehicle, Car, Truck, Either, One, Two, Author, Publisher,
       Book, Cached, Validated, Encoded, Forbidding, ById]
