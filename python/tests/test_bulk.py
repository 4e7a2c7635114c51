"""insert_many as one run is what PyMongo's own insert_many is, and only of the PyMongo that is known."""

import functools

import pymongo
import pytest
from beanie import Document, init_beanie
from beanie.exceptions import NotSupported
from beanie.odm.fields import WriteRules
from pymongo import monitoring
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError
from pymongo.synchronous.collection import Collection

import mongosluice
from conftest import async_client
from mongosluice.export import definitions
from mongosluice.offload import bulk_insert
from mongosluice.offload.beanie import patches, plans
from mongosluice.offload.beanie.encoding import native


class Numbered(Document):
    id: int
    name: str = ""
    anything: object = None

    class Settings:
        name = "numbered"


class Other(Document):
    id: int

    class Settings:
        name = "numbered"


class Sent(monitoring.CommandListener):
    def __init__(self):
        self.inserts = []

    def started(self, event):
        if event.command_name == "insert":
            self.inserts.append(([dict(one) for one in event.command["documents"]], event.command["ordered"],
                                 event.command.get("comment"), event.command.get("writeConcern")))

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


def numbers(*ids, **more):
    return [Numbered(id=i, name=f"n{i}", **more) for i in ids]


async def outcome(coroutine):
    try:
        result = await coroutine
        return result.inserted_ids, result.acknowledged
    except BulkWriteError as error:
        details = error.details
        return (type(error).__name__, details["nInserted"],
                [(one["index"], one["code"], dict(one["op"])) for one in details["writeErrors"]])
    except (TypeError, NotSupported) as error:
        return type(error).__name__, str(error)


async def write(client, motor):
    large = "x" * 2_000_000
    session = await client.start_session() if motor else client.start_session()
    yield await outcome(Numbered.insert_many(numbers(1, 2, 3)))
    yield await outcome(Numbered.insert_many(iter(numbers(4, 5)), comment="five"))
    yield await outcome(Numbered.insert_many(numbers(6, 2, 7)))
    yield await outcome(Numbered.insert_many(numbers(8, 2, 9, 3), ordered=False))
    yield await outcome(Numbered.insert_many(numbers(*range(20, 60), anything=large)))
    yield await outcome(Numbered.insert_many([*numbers(*range(60, 90), anything=large), *numbers(1)], ordered=False))
    yield await outcome(Numbered.insert_many([]))
    yield await outcome(Numbered.insert_many(numbers(100), link_rule=WriteRules.WRITE))
    yield await outcome(Numbered.insert_many(numbers(101), unknown=1))
    yield await outcome(Numbered.insert_many([*numbers(102), Other(id=103)]))
    yield await outcome(Numbered.insert_many(numbers(104, anything=iter("ab"))))
    yield await outcome(Numbered.insert_many(numbers(105), session=session))
    async with session:
        yield sorted(one.id for one in await Numbered.find_all().to_list())


@pytest.mark.parametrize("concern", [{}, {"w": 0}])
def test_the_same_as_pymongos(proxy, database, direct, loop, offloaded, concern):
    exported = definitions.merge([mongosluice.export(cls, database=database) for cls in (Numbered, Other)])
    proxy.enforce(exported)

    async def run():
        sent = Sent()
        client = async_client(proxy.uri, event_listeners=[sent], **concern)
        await init_beanie(database=client[database], document_models=[Numbered, Other])
        if concern:
            found = [await outcome(Numbered.insert_many(numbers(1, 2, 3)))]
        else:
            found = [one async for one in write(client, not isinstance(client, pymongo.AsyncMongoClient))]
        return found, sent.inserts

    ours = loop.run_until_complete(run())
    assert [one["mode"] for one in mongosluice.offload_report()] == ["full" if native else "encode-only"] * 2
    direct.drop_collection("numbered")
    patches.uninstall()
    assert ours == loop.run_until_complete(run())


@pytest.mark.skipif(native is None, reason="the extension is not built")
@pytest.mark.parametrize("place", ["PyMongo's class", "the collection's class", "one collection"])
def test_what_others_put_in_its_place_is_called(proxy, database, direct, loop, offloaded, monkeypatch, place):
    """As tools that watch what is written do. What Motor does not call is not called with offload either."""
    proxy.enforce(mongosluice.export(Numbered, database=database))
    seen = []

    def watch(owner):
        original = owner.insert_many

        @functools.wraps(original)
        def insert_many(*arguments, **options):
            seen.append(place)
            return original(*arguments, **options)

        monkeypatch.setattr(owner, "insert_many", insert_many)

    async def run():
        client = async_client(proxy.uri)
        await init_beanie(database=client[database], document_models=[Numbered])
        collection = plans.collection_of(Numbered)
        await Numbered.insert_many(numbers(1, 2))
        is_motor = bulk_insert.is_motor(collection)
        assert bulk_insert.is_known(collection)
        watch({"PyMongo's class": Collection if is_motor else AsyncCollection, "the collection's class": type(collection),
               "one collection": collection}[place])
        assert not bulk_insert.is_known(collection)
        await Numbered.insert_many(numbers(3, 4, 5))
        patches.uninstall()
        await Numbered.insert_many(numbers(6, 7))
        return is_motor

    ignored = loop.run_until_complete(run()) and place == "PyMongo's class"
    assert seen == ([] if ignored else [place] * 2)
    assert direct["numbered"].count_documents({}) == 7
