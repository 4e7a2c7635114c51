#!/usr/bin/env python3
"""Measures the schema evaluator and Python's fastest validators, on the same documents, in one run.

    .venv/bin/python tests/bench/schema_bench.py --binary build/release/tests/bench/schema_bench

Needs pymongo, jsonschema-rs, fastjsonschema and pydantic (scripts/setup.sh makes such an environment) and prints a
table: nanoseconds a document, the smallest of several rounds. The Python validators get documents that are decoded
already, and only their own call is timed; mongosluice reads BSON and checks it as well.
"""

import argparse
import datetime
import json
import pathlib
import subprocess
import sys
import tempfile
import time

VARIANTS = 64


def user_schema(date):
    return {
        "type": "object",
        "required": ["name", "email", "age", "city", "score", "created_at"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 100},
            "email": {"type": "string", "pattern": "^[^@ ]+@[^@ ]+$"},
            "age": {**INTEGER, "minimum": 0, "maximum": 150},
            "city": {"type": "string", "maxLength": 80},
            "score": {"type": "number", "minimum": 0, "maximum": 100},
            "created_at": date,
        },
    }


def user(i, wrong):
    return {
        "name": "Name Surname %d" % i,
        "email": "user%d@example.org" % i,
        "age": 200 if wrong else 20 + i % 60,
        "city": "City %d" % (i % 17),
        "score": i * 1.25,
        "created_at": datetime.datetime(2024, 1, 1 + i % 28),
    }


def order_schema(date):
    return {
        "type": "object",
        "required": ["order_no", "status", "customer", "items", "total", "placed_at"],
        "properties": {
            "order_no": {"type": "string", "pattern": "^[A-Z]{3}-\\d{6}$"},
            "status": {"enum": ["new", "paid", "shipped", "done"]},
            "customer": {
                "type": "object",
                "required": ["name", "email", "city"],
                "properties": {
                    "name": {"type": "string", "minLength": 1, "maxLength": 60},
                    "email": {"type": "string", "pattern": "^[^@ ]+@[^@ ]+$"},
                    "city": {"type": "string", "maxLength": 60},
                    "vip": {"type": "boolean"},
                },
            },
            "items": {
                "type": "array",
                "minItems": 1,
                "maxItems": 1000,
                "items": {
                    "type": "object",
                    "required": ["sku", "qty", "price"],
                    "properties": {
                        "sku": {"type": "string", "pattern": "^[A-Z]{2}\\d{4}$"},
                        "qty": {**INTEGER, "minimum": 1, "maximum": 99},
                        "price": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
                    },
                },
            },
            "total": {"type": "number", "minimum": 0},
            "note": {"anyOf": [{"type": "string", "maxLength": 200}, {"type": "null"}]},
            "placed_at": date,
        },
    }


def order(i, wrong, items):
    lines = [{"sku": "AB%04d" % (i * 7 + k), "qty": 1 + k % 9, "price": 9.5 + k}
             for k in range(items)]
    if wrong:
        lines[-1]["qty"] = 0
    return {
        "order_no": "ORD-%06d" % i,
        "status": ("new", "paid", "shipped", "done")[i % 4],
        "customer": {"name": "Name Surname %d" % i, "email": "user%d@example.org" % i,
                     "city": "City %d" % (i % 17), "vip": i % 3 == 0},
        "items": lines,
        "total": sum(line["qty"] * line["price"] for line in lines),
        "note": None if i % 2 else "leave it at the back door, please. Thanks!",
        "placed_at": datetime.datetime(2024, 1, 1 + i % 28),
    }


INTEGER = {"bsonType": "int"}

CASES = [
    ("6 fields", user_schema, lambda i, wrong: user(i, wrong)),
    ("order, 361 bytes", order_schema, lambda i, wrong: order(i, wrong, 3)),
    ("order, 1 KB", order_schema, lambda i, wrong: order(i, wrong, 17)),
    ("order, 16 KB", order_schema, lambda i, wrong: order(i, wrong, 350)),
]


def as_json(value):
    """A document as the Python validators get it: dates as text."""
    if isinstance(value, datetime.datetime):
        return value.isoformat() + "Z"
    if isinstance(value, dict):
        return {k: as_json(v) for k, v in value.items()}
    return [as_json(v) for v in value] if isinstance(value, list) else value


def as_draft7(schema):
    """The same schema as a JSON Schema of draft 7."""
    if isinstance(schema, list):
        return [as_draft7(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    out = {k: as_draft7(v) for k, v in schema.items()}
    if out.get("bsonType") == "int":
        del out["bsonType"]
        out["type"] = "integer"
    if out.get("exclusiveMinimum") is True:
        out["exclusiveMinimum"] = out.pop("minimum")
    return out


def pydantic_models():
    import typing

    from pydantic import BaseModel, Field

    class User(BaseModel):
        name: str = Field(min_length=1, max_length=100)
        email: str = Field(pattern="^[^@ ]+@[^@ ]+$")
        age: int = Field(ge=0, le=150)
        city: str = Field(max_length=80)
        score: float = Field(ge=0, le=100)
        created_at: datetime.datetime

    class Customer(BaseModel):
        name: str = Field(min_length=1, max_length=60)
        email: str = Field(pattern="^[^@ ]+@[^@ ]+$")
        city: str = Field(max_length=60)
        vip: bool

    class Line(BaseModel):
        sku: str = Field(pattern=r"^[A-Z]{2}\d{4}$")
        qty: int = Field(ge=1, le=99)
        price: float = Field(gt=0)

    class Order(BaseModel):
        order_no: str = Field(pattern=r"^[A-Z]{3}-\d{6}$")
        status: typing.Literal["new", "paid", "shipped", "done"]
        customer: Customer
        items: typing.List[Line] = Field(min_length=1, max_length=1000)
        total: float = Field(ge=0)
        note: typing.Optional[str] = Field(max_length=200)
        placed_at: datetime.datetime

    return {user_schema: User.__pydantic_validator__.validate_python,
            order_schema: Order.__pydantic_validator__.validate_python}


def fastest_ns(check, documents, seconds):
    """Nanoseconds a document of the fastest of several rounds."""
    def one_round():
        start = time.perf_counter_ns()
        for document in documents:
            check(document)
        return (time.perf_counter_ns() - start) / len(documents)

    best, end = one_round(), time.perf_counter() + seconds
    while time.perf_counter() < end:
        best = min(best, one_round())
    return best


def swallowing(check, error):
    def run(document):
        try:
            check(document)
        except error:
            pass
    return run


def python_rows(maker, documents, seconds):
    import fastjsonschema
    import jsonschema_rs
    from pydantic import ValidationError

    plain = [as_json(d) for d in documents]
    schema = as_draft7(maker({"type": "string", "format": "date-time"}))
    rs = jsonschema_rs.Draft7Validator(schema)
    fast = fastjsonschema.compile(schema)
    return {
        "jsonschema-rs": fastest_ns(rs.is_valid, plain, seconds),
        "fastjsonschema": fastest_ns(swallowing(fast, fastjsonschema.JsonSchemaException), plain,
                                     seconds),
        "pydantic": fastest_ns(swallowing(pydantic_models()[maker], ValidationError), plain,
                               seconds),
    }


def native_row(binary, maker, documents, folder):
    import bson

    schema = pathlib.Path(folder) / "schema.bson"
    data = pathlib.Path(folder) / "documents.bson"
    schema.write_bytes(bson.encode(maker({"bsonType": "date"})))
    data.write_bytes(b"".join(bson.encode(d) for d in documents))
    out = subprocess.run([binary, schema, data], check=True, capture_output=True, timeout=120)
    return json.loads(out.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each Python validator")
    options = parser.parse_args()
    names = ["jsonschema-rs", "fastjsonschema", "pydantic"]
    print("%-18s %-8s %6s %12s %14s" % ("document", "verdict", "bytes", "mongosluice", "documents/s"),
          *("%15s" % n for n in names), "  x jsonschema-rs")
    with tempfile.TemporaryDirectory() as folder:
        for title, maker, make in CASES:
            for wrong in (False, True):
                documents = [make(i, wrong) for i in range(VARIANTS)]
                ours = native_row(options.binary, maker, documents, folder)
                if ours["valid"] != (0 if wrong else VARIANTS):
                    sys.exit("%s: %d of %d valid" % (title, ours["valid"], VARIANTS))
                theirs = python_rows(maker, documents, options.seconds)
                print("%-18s %-8s %6d %9.1f ns %14d" % (
                    title, "failing" if wrong else "valid", ours["bytes"], ours["ns"],
                    1e9 / ours["ns"]), *("%12.0f ns" % theirs[n] for n in names),
                    "%9.1f" % (theirs["jsonschema-rs"] / ours["ns"]), flush=True)


if __name__ == "__main__":
    main()
