"""Shows the effects of the proxy's checks: python guard_app.py mongodb://HOST:PORT/DATABASE

Writes raw documents, without a model, into the collection of the Beanie program's model."""

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from pymongo import MongoClient
from pymongo.errors import BulkWriteError, WriteError
from steps import expect, heading, step

BOOK = {"title": "Notes", "author": {"name": "Ada", "born": 1815}, "copies": 1,
        "added": datetime(2026, 1, 1), "subjects": []}


def book(number, **changes):
    return {**BOOK, "isbn": f"979-{number:07}", **changes}


def refuse(books):
    with step("insert_one, copies: -1") as line:
        try:
            books.insert_one(book(0, copies=-1))
            expect(False, "a document that breaks the schema was stored")
        except WriteError as error:
            rule = error.details["errInfo"]["details"]["schemaRulesNotSatisfied"][0]
            broken = rule["propertiesNotSatisfied"][0]
            line.result = (f"refused, code {error.code}: {broken['propertyName']}, "
                           f"{broken['details'][0]['operatorName']}")
    with step("insert_many, 2 of 100 are wrong") as line:
        many = [book(i, copies="many" if i in (7, 70) else i) for i in range(1, 101)]
        try:
            books.insert_many(many, ordered=False)
            expect(False, "documents that break the schema were stored")
        except BulkWriteError as error:
            wrong = [one["index"] for one in error.details["writeErrors"]]
            line.documents = error.details["nInserted"]
            line.result = f"stored, numbers {wrong[0]} and {wrong[1]} refused"
            expect(wrong == [6, 69], f"refused: {wrong}")
    with step("update_one, $set title: 5") as line:
        try:
            books.update_one({"isbn": "979-0000001"}, {"$set": {"title": 5}})
            expect(False, "an update that breaks the schema was carried out")
        except WriteError as error:
            line.result = f"refused, code {error.code}"


def main(uri):
    with MongoClient(uri, maxPoolSize=32) as client:
        books = client.get_default_database().books
        schemas = client.admin.command("mongosluice")["schemas"]
        heading(f"Schemas in force: {', '.join(one['ns'].partition('.')[2] for one in schemas)}")
        refuse(books)
        with step("insert_one, 32 threads") as line, ThreadPoolExecutor(32) as pool:
            list(pool.map(lambda i: books.insert_one(book(i)), range(1000, 3000)))
            line.documents, line.result = 2000, "each acknowledged by the server"
        client.drop_database(books.database.name)


if __name__ == "__main__":
    main(sys.argv[1])
