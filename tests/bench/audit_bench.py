#!/usr/bin/env python3
"""Measures `mongosluice audit` and the same reading without a check (`--read-alone`), in alternating rounds.

    audit_bench.py [--binary PATH] [--program PATH | --server URI] [--documents N] [--rounds N]

Prints the documents a second of both, and the median ratio of the speed of the audit to that of reading. --program:
a SecantusDB to start; without it the one of this Python environment. --server: a server that runs already; it must have no
database 'audit_bench', which is dropped at the end.
"""

import argparse
import contextlib
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))
import given  # noqa: E402
from pymongo import MongoClient  # noqa: E402
from support.servers import Server  # noqa: E402

DATABASE, COLLECTION = "audit_bench", "orders"
SCHEMA = {"bsonType": "object", "required": ["customer", "total", "lines"], "properties": {
    "customer": {"bsonType": "string", "minLength": 1, "maxLength": 60},
    "email": {"bsonType": "string", "pattern": "^[a-z0-9.]+@[a-z0-9.]+$"},
    "total": {"bsonType": "double", "minimum": 0}, "state": {"enum": ["open", "paid", "sent"]},
    "lines": {"bsonType": "array", "maxItems": 20, "items": {
        "bsonType": "object", "required": ["sku", "quantity"], "properties": {
            "sku": {"bsonType": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$"},
            "quantity": {"bsonType": "int", "minimum": 1}, "price": {"bsonType": "double", "minimum": 0}}}}}}


def order(number):
    lines = [{"sku": f"ABC-{(number + i) % 10000:04}", "quantity": 1 + i, "price": 9.5 * i} for i in range(3)]
    return {"customer": f"Customer {number}", "email": f"c{number}@example.com", "total": number / 8, "state": "paid",
            "lines": lines}


def load(uri, documents):
    with MongoClient(uri) as client:
        client.drop_database(DATABASE)
        collection = client[DATABASE][COLLECTION]
        for start in range(0, documents, 20000):
            collection.insert_many([order(i) for i in range(start, min(start + 20000, documents))], ordered=False)


def seconds(binary, uri, schemas, documents, *flags):
    done = subprocess.run([binary, "audit", "--upstream", uri, "--schemas", schemas, "--json", *flags],
                          capture_output=True, text=True, check=True)
    (found,) = json.loads(done.stdout)["namespaces"]
    assert (found["documents"], found["broken"]) == (documents, 0), found
    return found["seconds"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=ROOT / "build/release/src/main/mongosluice", type=pathlib.Path)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--program", type=pathlib.Path)
    which.add_argument("--server", metavar="URI")
    parser.add_argument("--documents", type=int, default=200000)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        uri = args.server
        server = given.open_or_exit(uri, databases=(DATABASE,), by_driver=True) if uri else Server(
            pathlib.Path(folder) / "data", program=args.program)
        stack.callback(server.stop)
        uri = uri or server.endpoint.uri()
        schemas = pathlib.Path(folder) / "orders.json"
        schemas.write_text(json.dumps({"ns": f"{DATABASE}.{COLLECTION}", "schema": SCHEMA}))
        load(uri, args.documents)
        seconds(args.binary, uri, schemas, args.documents, "--read-alone")
        read, checked = [], []
        for _ in range(args.rounds):
            read.append(seconds(args.binary, uri, schemas, args.documents, "--read-alone"))
            checked.append(seconds(args.binary, uri, schemas, args.documents))
        ratio = statistics.median(r / c for r, c in zip(read, checked, strict=True))
        for name, times in (("read alone", read), ("audit", checked)):
            print(f"{name}: {args.documents / statistics.median(times):,.0f} documents/s")
        print(f"audit/read alone: {ratio:.3f}")


if __name__ == "__main__":
    main()
