"""Queries of models that the extension reads: the same commands, documents and exceptions, at the same time."""

import asyncio
import contextlib

import beanie
import pytest
from beanie import Document
from pydantic import Field, ValidationError
from pymongo.monitoring import CommandListener

import mongosluice
from conftest import async_client, switch_off
from mongosluice.offload.beanie.encoding import native

SIZE = 250  # more than a first batch


class Queried(Document):
    n: int = Field(ge=0)
    name: str = "x"
    when: float = Field(default_factory=lambda: Queried.clock())

    @classmethod
    def clock(cls):
        cls.ticks.append(1)
        return 0.0


Queried.ticks = []


class Commands(CommandListener):
    """What was sent, without what differs from run to run."""

    def __init__(self):
        self.sent = []

    def started(self, event):
        if event.command_name in ("find", "getMore"):
            command = {key: value for key, value in event.command.items() if key not in ("lsid", "$clusterTime", "txnNumber")}
            if "getMore" in command:
                command["getMore"] = "a cursor"
            self.sent.append((command, event.command["lsid"]))

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


QUERIES = {
    "all": lambda session: Queried.find_all(),
    "sorted": lambda session: Queried.find(Queried.n > 20).sort(-Queried.n).skip(3).limit(120),
    "limited": lambda session: Queried.find_all().limit(7),
    "batches": lambda session: Queried.find_all(batch_size=40),
    "batches and limit": lambda session: Queried.find_all(batch_size=40).limit(130),
    "options": lambda session: Queried.find(Queried.n >= 0, comment="why", max_time_ms=60_000, allow_disk_use=True,
                                            hint=[("_id", 1)], no_cursor_timeout=True),
    "let": lambda session: Queried.find({"n": 5}, let={"low": 2}),
    "session": lambda session: Queried.find(Queried.n > 200, session=session),
    "none": lambda session: Queried.find(Queried.n == 5000),
}


async def by_list(query):
    return await query.to_list()


async def by_length(query):
    return await query.to_list(33)


async def by_for(query):
    return [one async for one in query]


async def by_part(query):
    found = []
    async for one in query:
        found.append(one)
        if len(found) == 45:
            break
    return [*found, *[one async for one in query]]


async def by_first(query):
    return [await query.first_or_none()]


WAYS = [by_list, by_length, by_for, by_part, by_first]


@contextlib.contextmanager
def connected(loop, uri, database):
    commands = Commands()
    client = async_client(uri, event_listeners=[commands])
    loop.run_until_complete(beanie.init_beanie(database=client[database], document_models=[Queried]))
    yield client, commands
    closing = client.close()
    if asyncio.iscoroutine(closing):
        loop.run_until_complete(closing)


async def ask(client, commands, name, way):
    session = client.start_session()
    async with (await session if asyncio.iscoroutine(session) else session) as session:
        identity = session.session_id
        commands.sent.clear()
        found = await way(QUERIES[name](session))
        own = [command for command, lsid in commands.sent if lsid == identity]
        return [(type(one), one.model_dump() if one else None) for one in found], [one for one, _ in commands.sent], len(own)


@pytest.fixture
def both(proxy, direct, loop):
    """Runs a function without and with offload."""
    exported = mongosluice.export(Queried, database=direct.name)
    proxy.enforce(exported)
    direct["Queried"].insert_many([{"_id": beanie.PydanticObjectId(f"{n:024x}"), "n": n, "name": f"n {n}", "when": n / 2}
                                   for n in range(SIZE)])

    def run(function):
        results = []
        for offload in (False, True):
            if offload:
                mongosluice.offload(require=True)
            with connected(loop, proxy.uri, direct.name) as (client, commands):
                results.append(loop.run_until_complete(function(client, commands)))
        return results

    yield run
    switch_off()
    proxy.forget(exported)


@pytest.mark.parametrize("way", WAYS)
def test_the_same_documents_by_the_same_commands(way, both):
    async def all_of_them(client, commands):
        return {name: await ask(client, commands, name, way) for name in QUERIES}

    alone, ours = both(all_of_them)
    for name in QUERIES:
        assert ours[name] == alone[name], name
        assert alone[name][2] == (len(alone[name][1]) if name == "session" else 0)


@pytest.mark.skipif(native is None, reason="the extension is not built")
def test_raw_batches_are_read(both, monkeypatch):
    from mongosluice.offload.beanie import patches

    async def read(client, commands):
        query = Queried.find_all()
        async for _ in query:
            break
        return type(query.cursor).__name__

    assert both(read)[1] == patches.Batches.__name__


def test_what_cannot_be_read_is_told_when_it_is_reached(both, direct):
    direct["Queried"].update_one({"n": 40}, {"$set": {"n": -1}})

    async def read(client, commands):
        found, query = [], Queried.find_all()
        with pytest.raises(ValidationError):
            async for one in query:
                found.append(one.n)
        with pytest.raises(ValidationError):
            await Queried.find_all().to_list()
        return found, [one.n async for one in query], [one.n for one in await Queried.find_all().to_list(20)]

    alone, ours = both(read)
    assert ours == alone and ours[0] == list(range(40)) and ours[1] == list(range(41, SIZE))


def test_defaults_are_made_when_a_document_is_reached(both, direct):
    direct["Queried"].update_many({"n": {"$lt": 10}}, {"$unset": {"when": 1}})

    async def read(client, commands):
        Queried.ticks.clear()
        seen = []
        async for _ in Queried.find_all().limit(10):
            seen.append(len(Queried.ticks))
        return seen

    assert both(read) == [list(range(1, 11))] * 2
