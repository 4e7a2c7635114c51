"""Beanie's ways of writing and reading, each done without and with offload, through a proxy that
enforces the models' schemas: the same answers, and the same documents in the database."""

import asyncio
import re
import uuid
import warnings

import beanie
import bson
import pytest
from beanie import BulkWriter, DeleteRules, WriteRules, init_beanie
from beanie.exceptions import RevisionIdWasChanged
from beanie.odm.operators.update.general import Inc, Set
from bson import ObjectId
from pydantic import BaseModel, ValidationError
from pymongo.errors import BulkWriteError, DuplicateKeyError

import models
import mongosluice
from conftest import async_client, switch_off
from models import (
    Acted,
    Author,
    Book,
    ById,
    Cached,
    Car,
    Either,
    Encoded,
    Forbidding,
    Line,
    One,
    Order,
    Publisher,
    Revised,
    Sparse,
    Stateful,
    Truck,
    Two,
    Validated,
    Vehicle,
)
from mongosluice.offload.beanie import patches as offload_beanie
from mongosluice.offload.beanie.encoding import native

BEANIE_1 = beanie.__version__.startswith("1.")
LINES = [Line(sku="AB1234", qty=2, price=9.5), Line(sku="CD0001", qty=1, price=0.25)]


def order(i=0, **more):
    return Order(order_no=f"no-{i}", lines=LINES, token=uuid.UUID(int=i), **more)


async def insert_ways():
    first = await order(0, remark="hello").insert()
    second = await order(1).create()
    third = await Order.insert_one(order(2, total="12.50", placed_at="2024-02-03T04:05:06+02:00"))
    assert all(type(one.id) is beanie.PydanticObjectId for one in (first, second, third))
    fourth = await order(3, tags={"a"}).save()
    many = await Order.insert_many([order(i) for i in range(4, 30)])
    assert len(many.inserted_ids) == 26 and all(type(one) is ObjectId for one in many.inserted_ids)
    given = ObjectId()
    many = await Order.insert_many([order(30, id=given)])
    assert many.inserted_ids == [given]
    with pytest.raises((DuplicateKeyError, BulkWriteError)):
        await order(31, id=given).insert()
    return [fourth.tags, third.total, third.placed_at, await Order.count()]


async def read_ways():
    await Order.insert_many([order(i) for i in range(20)])
    everything = await Order.find_all().to_list()
    one = await Order.find_one(Order.order_no == "no-3")
    again = await Order.get(one.id)
    assert again == one and isinstance(again.lines[0], Line) and type(again.token) is uuid.UUID
    found = [document async for document in Order.find(Order.order_no == "no-4")]
    by_alias = await Order.find(Order.note == None).count()  # noqa: E711
    lazy = await Order.find(Order.order_no == "no-5", lazy_parse=True).to_list()
    first = await Order.find(Order.order_no == "no-6").first_or_none()

    class Short(BaseModel):
        order_no: str

    projected = await Order.find(Order.order_no == "no-7").project(Short).to_list()
    summed = await Order.find_all().count()
    aggregated = await Order.aggregate([{"$group": {"_id": None, "n": {"$sum": 1}}}]).to_list()
    inspected = await Order.inspect_collection()
    everything[0].order_no = "changed"
    assert everything[0].model_fields_set >= {"order_no", "lines"}
    return [len(everything), found[0].order_no, by_alias, lazy[0].order_no, first.order_no, projected, summed,
            aggregated, inspected.status, await Order.distinct("order_no"), everything[1].model_dump(exclude={"id"})]


async def update_ways():
    one = await order(0).insert()
    one.order_no = "new"
    await one.save()
    await one.replace()
    one.note = "replaced"
    await one.save()
    await one.set({Order.order_no: "set"})
    await one.update(Set({Order.note: "updated"}))
    await Order.find(Order.order_no == "set").update(Set({Order.tags: ["x"]}))
    await Order.find_one(Order.order_no == "none").upsert(Set({Order.note: "x"}), on_insert=order(9))
    await Order.replace_many([one])
    result = [one.order_no, one.note, (await Order.get(one.id)).tags, await Order.count()]
    await one.delete()
    return [*result, await Order.count()]


async def bulk_ways():
    async with BulkWriter() as writer:
        for i in range(3):
            await Order.insert_one(order(i), bulk_writer=writer)
    one = await Order.find_one(Order.order_no == "no-1")
    async with BulkWriter() as writer:
        one.note = "by bulk"
        await one.replace(bulk_writer=writer)
        await Order.find_one(Order.order_no == "no-2").update(Set({Order.note: "set"}), bulk_writer=writer)
        await Order.find_one(Order.order_no == "no-0").delete(bulk_writer=writer)
    return [(found.order_no, found.note) for found in await Order.find_all().sort("order_no").to_list()]


async def sparse_ways():
    one = await Sparse(a=1, b=LINES[0]).insert()
    await Sparse().insert()
    one.a = None
    await one.save()
    await one.replace()
    return [found.model_dump(exclude={"id"}) for found in await Sparse.find_all().to_list()]


async def revision_ways():
    one = await Revised(n=1).insert()
    stale = await Revised.get(one.id)
    one.n = 2
    await one.replace()
    one.n = 3
    await one.save()
    stale.n = 9
    with pytest.raises(RevisionIdWasChanged):
        await stale.replace()
    await stale.replace(ignore_revision=True)
    return [(await Revised.get(one.id)).n, one.revision_id is not None]


async def state_ways():
    one = await Stateful(n=1, inner={"a": 1}).insert()
    assert not one.is_changed
    one.inner["a"] = 2
    changes = one.get_changes()
    await one.save_changes()
    read = await Stateful.find_one(Stateful.n == 1)
    read.n = 5
    changed = read.is_changed
    read.rollback()
    listed = (await Stateful.find_all().to_list())[0]
    listed.n = 7
    return [changes, changed, read.n, one.has_changed, one.get_previous_changes(), listed.is_changed]


async def action_ways():
    one = await Acted(name="x").insert()
    one.name = "y"
    await one.replace()
    await one.save()
    return [one.stamped >= 2, (await Acted.find_one()).name]


async def inheritance_ways():
    await Vehicle(wheels=2).insert()
    await Car(wheels=4).insert()
    await Vehicle.insert_many([Truck(wheels=6, load=1.5), Car(wheels=3, doors=2)])
    everything = await Vehicle.find_all(with_children=True).sort("wheels").to_list()
    return [[type(one).__name__ for one in everything], await Car.find_all().count(),
            [one.load for one in await Truck.find_all().to_list()]]


async def union_ways():
    await One(x=1).insert()
    await Two(y="two").insert()
    return [sorted((type(one).__name__, str(one.model_dump(exclude={"id"}))) for one in await Either.all().to_list())]


async def link_ways():
    author = await Author(name="Ada").insert()
    publishers = [await Publisher(name=name).insert() for name in "ab"]
    await Book(title="Notes", author=author, publishers=publishers).insert()
    book = Book(title="More", author=Author(name="Grace"), publishers=[Publisher(name="c")])
    await book.insert(link_rule=WriteRules.WRITE)
    await Book(title="alone").insert()
    plain = await Book.find_one(Book.title == "Notes")
    kind = type(plain.author).__name__
    await plain.fetch_all_links()
    fetched = await Book.find(Book.title == "More", fetch_links=True).to_list()
    plain.title = "Notes 2"
    await plain.save()
    await plain.replace()
    await fetched[0].delete(link_rule=DeleteRules.DELETE_LINKS)
    return [kind, plain.author.name, [one.name for one in plain.publishers], type(fetched[0].author).__name__,
            await Book.count(), await Author.count(), await Publisher.count()]


async def cache_ways():
    await Cached(n=1).insert()
    first = await Cached.find(Cached.n == 1).to_list()
    await Cached.find_all().update(Inc({Cached.n: 1}))
    return [len(first), [one.n for one in await Cached.find(Cached.n == 1).to_list()]]


async def validator_ways():
    await Validated(even=2, low=1, high=2).insert()
    for wrong in ({"even": 3}, {"even": 2, "low": 3, "high": 1}):
        with pytest.raises(ValidationError):
            Validated(**wrong)
    return [one.model_dump(exclude={"id"}) for one in await Validated.find_all().to_list()]


async def encoder_ways():
    await Encoded(name="loud").insert()
    return [one.name for one in await Encoded.find_all().to_list()]


async def other_ways():
    await Forbidding(n=1).insert()
    with pytest.raises(ValidationError):
        Forbidding(n=1, other=2)
    one = await ById(n=1).insert()
    many = await ById.insert_many([ById(id=uuid.UUID(int=5))])
    assert (await ById.get(one.id)).n == 1
    return [many.inserted_ids, type(one.id).__name__, (await Forbidding.find_one()).n]


WAYS = [insert_ways, read_ways, update_ways, bulk_ways, sparse_ways, revision_ways, state_ways, action_ways,
        inheritance_ways, union_ways, link_ways, cache_ways, validator_ways, encoder_ways, other_ways]
FULL = {"Order", "Sparse", "Revised", "Stateful", "Acted", "Vehicle", "Car", "Truck", "One", "Two", "Publisher",
        "Book", "Cached", "Forbidding", "ById"}


def steady(value):
    """Without what differs from run to run: made ids, revisions."""
    text = repr(value)
    return re.sub(r"ObjectId\('[0-9a-f]{24}'\)", "ID", text)


def contents(database):
    found = {}
    for name in sorted(database.list_collection_names()):
        documents = [bson.decode(bson.encode(one)) for one in database[name].find().sort("$natural", 1)]
        for one in documents:
            for changing in ("_id", "revision_id", "author", "publishers"):
                if changing in one:
                    one[changing] = str(type(one[changing]))
        found[name] = documents
    return steady(found)


async def run(way, uri, database):
    client = async_client(uri)
    try:
        await init_beanie(database=client[database], document_models=models.ALL)
        return steady(await way())
    finally:
        closing = client.close()
        if asyncio.iscoroutine(closing):
            await closing


def exports(database):
    """The schema files of all models, as they are made before init_beanie."""
    from mongosluice.export.definitions import merge
    from mongosluice.export.targets import export_one

    found = {}
    for cls in models.ALL:
        if cls is not Either:
            one = export_one(cls, None, database)
            found.setdefault(one.ns, []).append(one)
    return [merge(ones) for ones in found.values()]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_same_with_offload(way, proxy, direct, loop):
    alone = loop.run_until_complete(run(way, proxy.uri, direct.name)), contents(direct)
    direct.client.drop_database(direct.name)
    schemas = exports(direct.name)
    proxy.enforce(*schemas)
    mongosluice.offload(require=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", mongosluice.OffloadWarning)
            ours = loop.run_until_complete(run(way, proxy.uri, direct.name)), contents(direct)
        modes = {one["model"]: one["mode"] for one in mongosluice.offload_report()}
    finally:
        switch_off()
        proxy.forget(*schemas)
    assert ours == alone
    full = "full" if native is not None else "encode-only"
    assert modes == {**dict.fromkeys(FULL, full), "Author": "encode-only", "Validated": "encode-only",
                     "Encoded": "off"}


def test_what_is_sent_is_encoded_natively(proxy, direct, loop):
    """The fast path is taken, not only allowed."""
    if native is None:
        pytest.skip("the extension is not built")
    schemas = exports(direct.name)
    proxy.enforce(*schemas)
    mongosluice.offload(require=True)
    seen = []
    original = offload_beanie._originals["get_dict"]
    offload_beanie._originals["get_dict"] = lambda document, **rest: (
        seen.append(type(document).__name__), original(document, **rest))[1]

    async def write():
        one = await order(1).insert()
        one.note = "x"
        await one.save()
        await one.replace()
        await Order.insert_many([order(i) for i in range(2, 5)])

    try:
        loop.run_until_complete(run(write, proxy.uri, direct.name))
        assert seen == []
        assert direct["orders"].count_documents({}) == 4
    finally:
        switch_off()
        proxy.forget(*schemas)


def test_reads_are_the_same_instances(proxy, direct, loop):
    schemas = exports(direct.name)
    proxy.enforce(*schemas)
    direct["orders"].insert_one({"order_no": 5})  # what pydantic refuses is refused when it is read

    async def read():
        with pytest.raises(ValidationError):
            await Order.find_all().to_list()

    mongosluice.offload(require=True)
    try:
        loop.run_until_complete(run(read, proxy.uri, direct.name))
    finally:
        switch_off()
        proxy.forget(*schemas)
