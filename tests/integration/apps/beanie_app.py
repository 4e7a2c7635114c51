"""An ordinary Beanie program: python beanie_app.py mongodb://HOST:PORT/DATABASE

Records the books of a library and their borrowers. It uses MongoDB and does not know the proxy."""

import asyncio
import sys
from datetime import date
from importlib.metadata import version
from typing import Annotated

import pymongo
from beanie import Document, Indexed, Link, WriteRules, init_beanie
from beanie.operators import Inc, Set
from pydantic import BaseModel, Field, ValidationError
from pymongo import AsyncMongoClient
from steps import expect, heading, step


class Author(BaseModel):
    name: str = Field(min_length=1)
    born: int | None = None


class Book(Document):
    isbn: Annotated[str, Indexed(unique=True)]
    title: str
    author: Author
    copies: int = Field(default=1, ge=0)
    added: date = date(2026, 1, 1)
    subjects: list[str] = []

    class Settings:
        name = "books"


class Reader(Document):
    name: str
    borrowed: list[Link[Book]] = []

    class Settings:
        name = "readers"


def make_books(count):
    return [Book(isbn=f"978-{i:07}", title=f"Volume {i}", copies=i % 5,
                 author=Author(name=f"Author {i % 40}", born=1900 + i % 100),
                 subjects=["science", "history", "art"][: i % 4]) for i in range(count)]


async def write():
    with step("Book.insert_many") as line:
        made = await Book.insert_many(make_books(1000))
        line.documents, line.result = len(made.inserted_ids), "acknowledged"
    with step("Book.insert, 50 at once") as line:
        more = make_books(1050)[1000:]
        await asyncio.gather(*(book.insert() for book in more))
        line.documents, line.result = len(more), "every document has its id"
        expect(all(book.id for book in more), "insert returned without an id")
    with step("Book(copies=-1)") as line:
        try:
            Book(isbn="978-x", title="Wrong", author=Author(name="Nobody"), copies=-1)
            expect(False, "the model accepted a negative number of copies")
        except ValidationError as error:
            line.result = f"refused by the model: {error.error_count()} error"
    with step("second book with one isbn") as line:
        try:
            await make_books(1)[0].insert()
            expect(False, "a unique index was not honoured")
        except pymongo.errors.DuplicateKeyError as error:
            line.result = f"refused, code {error.code}"


async def read():
    with step("Book.find, sorted") as line:
        found = await Book.find(Book.copies > 3, Book.author.born >= 1950).sort("-isbn").to_list()
        line.documents, line.result = len(found), f"last isbn {found[0].isbn}"
        expect(all(book.copies > 3 for book in found), "find returned books that do not match")
    with step("Book.find.avg") as line:
        line.documents, line.result = 1, f"{await Book.find_all().avg(Book.copies):.3f} copies"


async def change():
    with step("Book.update_all") as line:
        done = await Book.find(Book.copies == 0).update(Inc({Book.copies: 2}))
        line.documents, line.result = done.modified_count, f"{done.matched_count} matched"
        expect(done.modified_count == 210, f"{done.modified_count} books changed, not 210")
    with step("Book.save") as line:
        book = await Book.find_one(Book.isbn == "978-0000007")
        book.title = "Volume 7, revised"
        await book.save()
        again = await Book.get(book.id)
        line.documents, line.result = 1, again.title
        expect(again == book, "save and get do not give the same book")
    with step("Reader.save with links") as line:
        books = await Book.find(Book.author.name == "Author 3").limit(2).to_list()
        reader = await Reader(name="Ada", borrowed=books).save(link_rule=WriteRules.WRITE)
        fetched = await Reader.get(reader.id)
        await fetched.fetch_all_links()
        line.documents = 1 + len(fetched.borrowed)
        line.result = ", ".join(book.title for book in fetched.borrowed)
        expect(len(fetched.borrowed) == 2, "links were not fetched")
    with step("Book.delete") as line:
        done = await Book.find(Book.author.name == "Author 9").delete()
        line.documents, line.result = done.deleted_count, f"{await Book.count()} books left"


async def transact(client):
    with step("transaction over two models") as line:
        async with client.start_session() as session:
            async with await session.start_transaction():
                book = await Book.find_one(Book.copies > 0, session=session)
                await book.update(Set({Book.copies: book.copies - 1}), session=session)
                await Reader(name="Grace", borrowed=[book]).insert(session=session)
        line.documents, line.result = 2, f"{await Reader.count()} readers"
        expect(await Reader.count() == 2, "the transaction's documents are not there")


async def main(uri):
    client = AsyncMongoClient(uri, serverSelectionTimeoutMS=20000)
    database = client.get_default_database()
    heading(f"Beanie {version('beanie')}, PyMongo {pymongo.version}, pydantic {version('pydantic')}")
    hello = await client.admin.command("hello")
    await database.drop_collection("books")
    await database.drop_collection("readers")
    with step("init_beanie") as line:
        await init_beanie(database=database, document_models=[Book, Reader])
        line.documents, line.result = 0, "2 models, indexes made"
    await write()
    await read()
    await change()
    if "setName" in hello or hello.get("msg") == "isdbgrid":
        await transact(client)
    await client.drop_database(database.name)
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
