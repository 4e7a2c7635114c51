"""Queries of models that the extension reads: the same commands, documents and exceptions, at the same time; but
for the projection that names each field of a model, which is left out."""

import asyncio
import contextlib

import beanie
import pydantic
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
        for command in alone[name][1] if native is not None else ():
            assert command.pop("projection", ALL_FIELDS) == ALL_FIELDS
        assert ours[name] == alone[name], name
        assert alone[name][2] == (len(alone[name][1]) if name == "session" else 0)


ALL_FIELDS = dict.fromkeys(["_id", "revision_id", "n", "name", "when"], 1)


def projections(commands):
    return [command.get("projection") for command, _ in commands.sent if "find" in command]


@pytest.mark.skipif(native is None, reason="the extension is not built")
@pytest.mark.parametrize("other", [3, 240], ids=["in the first batch", "in a later one"])
@pytest.mark.parametrize("way", [by_list, by_for, by_part])
def test_fields_that_the_model_has_not(way, other, both, direct):
    """They are not read; once one was met the fields are named again, at once where that is still possible."""
    direct["Queried"].update_one({"n": other}, {"$set": {"other": "x" * 1000, "more": [{"a": None}]}})

    async def read(client, commands):
        found, sent = [], []
        for _ in range(2):
            commands.sent.clear()
            found.append([one.model_dump() for one in await way(Queried.find_all())])
            sent.append(projections(commands))
        return found, sent

    (alone, _), (ours, sent) = both(read)
    assert ours == alone and len(ours[0]) == SIZE
    assert sent == [[None, ALL_FIELDS] if other == 3 else [None], [ALL_FIELDS]]


@pytest.mark.skipif(native is None, reason="the extension is not built")
def test_what_the_extension_gives_up_has_no_other_fields(both, direct):
    direct["Queried"].update_one({"n": 240}, {"$set": {"other": 1, "n": 3.0}})

    async def read(client, commands):
        return [one.model_dump() for one in await Queried.find_all().to_list()]

    alone, ours = both(read)
    assert ours == alone and ours[240]["n"] == 3


def test_a_projection_of_ones_own_is_sent(both):
    class Short(pydantic.BaseModel):
        n: int

    async def read(client, commands):
        found = await Queried.find_all().project(Short).to_list()
        return [one.n for one in found], projections(commands)

    alone, ours = both(read)
    assert ours == alone and ours[1] == [{"n": 1}]


def test_what_is_not_awaited_is_not_taken(both):
    async def read(client, commands):
        query, seen = aiter(Queried.find_all()), []
        seen.append((await query.__anext__()).n)
        query.__anext__().close()
        with pytest.raises(TimeoutError):  # not begun, in all versions
            await wait_for(query.__anext__(), 0)
        task = asyncio.create_task(query.__anext__())
        seen.append((await task).n)
        both_at_once = [query.__anext__(), query.__anext__()]
        seen += [(await one).n for one in reversed(both_at_once)]
        with pytest.raises(RuntimeError, match="already awaited"):
            await both_at_once[0]
        with pytest.raises(KeyError):
            query.__anext__().throw(KeyError("x"))
        with pytest.raises(StopIteration) as ended:
            query.__anext__().send(None)
        seen.append(ended.value.value.n)
        seen += [(await anext(query)).n, len([one async for one in query])]
        with pytest.raises(StopAsyncIteration):
            await query.__anext__()
        return seen

    alone, ours = both(read)
    assert ours == alone == [0, 1, 2, 3, 4, 5, SIZE - 6]


async def wait_for(awaitable, seconds):
    try:
        return await asyncio.wait_for(awaitable, seconds)
    except asyncio.TimeoutError as error:  # another class before Python 3.11
        raise TimeoutError from error


def test_awaitables_that_outlast_their_batch(both):
    async def read(client, commands):
        query = aiter(Queried.find_all(batch_size=2))
        first = await query.__anext__()
        waiting = [query.__anext__(), query.__anext__(), query.__anext__()]
        return [first.n, *[(await one).n for one in waiting], await query.__anext__() is not None]

    alone, ours = both(read)
    assert ours == alone == [0, 1, 2, 3, True]


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
