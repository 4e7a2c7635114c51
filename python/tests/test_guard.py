"""Offload starts only where a mongosluice enforces the very schema; refusals say what was wrong."""

import asyncio
import os
import sys
import warnings
from pathlib import Path

import pytest
from beanie import BulkWriter, Document, init_beanie
from pydantic import BaseModel, Field
from pymongo.errors import BulkWriteError, OperationFailure, WriteError

import mongosluice
from conftest import ROOT, async_client, completed, switch_off
from mongosluice.errors import lines_of_info
from mongosluice.export import definitions
from mongosluice.offload import state as offload_state
from mongosluice.offload.beanie import patches as offload_beanie


class Part(BaseModel):
    n: int = Field(ge=0)


class Guarded(Document):
    name: str = Field(min_length=2)
    age: int = Field(default=0, ge=0)
    parts: list[Part] = []


@pytest.fixture
def exported(proxy, direct):
    made = mongosluice.export(Guarded, database=direct.name)
    yield made
    if (proxy.schemas / f"{made.ns}.json").exists():
        proxy.forget(made)


async def started(uri, database, do=None):
    client = async_client(uri)
    try:
        await init_beanie(database=client[database], document_models=[Guarded])
        return await do() if do is not None else None
    finally:
        closing = client.close()
        if asyncio.iscoroutine(closing):
            await closing


def mode():
    return [(one["mode"], one["reasons"]) for one in mongosluice.offload_report()]


CASES = {
    "no proxy": "reaches the server directly, without mongosluice",
    "no schema": "no schema for",
    "another schema": "another schema",
    "warns only": "action for .* is warn",
    "moderate": "level for .* is moderate",
}


@pytest.mark.parametrize("case", CASES)
def test_stays_off_with_one_warning(case, server, proxy, exported, direct, loop, offloaded):
    arrange(case, proxy, exported)
    uri = server if case == "no proxy" else proxy.uri

    async def write():
        await Guarded(name="written by Beanie").insert()

    with pytest.warns(mongosluice.OffloadWarning, match=CASES[case]) as caught:
        loop.run_until_complete(started(uri, direct.name, write))
        loop.run_until_complete(started(uri, direct.name))
    assert len([one for one in caught if one.category is mongosluice.OffloadWarning]) == 1
    assert mode()[0][0] == "off"
    assert Guarded not in offload_beanie._plans
    assert direct["Guarded"].count_documents({"name": "written by Beanie"}) == 1


def arrange(case, proxy, exported):
    if case == "another schema":
        proxy.enforce(mongosluice.Exported(exported.ns, {"bsonType": "object"}, ()))
    elif case == "warns only":
        proxy.enforce(exported, action="warn")
    elif case == "moderate":
        proxy.enforce(exported, level="moderate")


def test_a_second_init_beanie_counts_for_the_first(proxy, direct, loop, offloaded):
    """Two classes in one collection: the schema of both is the one that must be enforced."""
    class Left(Document):
        x: int

        class Settings:
            name = "shared"

    class Right(Document):
        y: str

        class Settings:
            name = "shared"

    left, right = (mongosluice.export(cls, database=direct.name) for cls in (Left, Right))
    both = definitions.merge([left, right])

    async def run():
        client = async_client(proxy.uri)
        await init_beanie(database=client[direct.name], document_models=[Left])
        assert Left in offload_beanie._plans
        proxy.enforce(both)
        await init_beanie(database=client[direct.name], document_models=[Right])
        assert {Left, Right} <= set(offload_beanie._plans)
        assert offload_beanie._plans[Left].exported.hash == both.hash
        await Left(x=1).insert()
        await Right(y="a").insert()
        closing = client.close()
        if asyncio.iscoroutine(closing):
            await closing

    proxy.enforce(left)
    loop.run_until_complete(run())
    assert direct["shared"].count_documents({}) == 2
    proxy.forget(both)


def test_require_raises(server, direct, loop, offloaded):
    mongosluice.offload(require=True)
    with warnings.catch_warnings(), pytest.raises(mongosluice.NotEnforced, match="Guarded"):
        warnings.simplefilter("ignore")
        loop.run_until_complete(started(server, direct.name))


def test_goes_off_when_the_schema_goes(proxy, exported, direct, loop, offloaded):
    """The answer is believed for recheck_seconds, then asked for again while documents are written."""
    proxy.enforce(exported)
    mongosluice.offload(recheck_seconds=0.0)

    async def write():
        assert Guarded in offload_beanie._plans
        proxy.forget(exported)
        await Guarded(name="one").insert()
        await offload_beanie._checking
        assert Guarded not in offload_beanie._plans
        await Guarded(name="two").insert()

    with pytest.warns(mongosluice.OffloadWarning, match="no schema"):
        loop.run_until_complete(started(proxy.uri, direct.name, write))
    assert direct["Guarded"].count_documents({}) == 2


def test_what_pydantic_refuses_is_refused_when_it_is_made(proxy, exported, direct, loop, offloaded):
    from pydantic import ValidationError

    proxy.enforce(exported)

    async def make():
        assert Guarded(name="ab", age="3").age == 3
        for wrong in ({"name": "a"}, {"name": "ab", "age": -1}, {"name": "ab", "parts": [{"n": -1}]}, {}):
            with pytest.raises(ValidationError):
                Guarded(**wrong)

    loop.run_until_complete(started(proxy.uri, direct.name, make))
    assert mode()[0][0] in ("full", "encode-only")


def test_refusals_speak_as_pydantic(proxy, exported, direct, loop, offloaded):
    proxy.enforce(exported)

    async def write():
        wrong = Guarded(name="ab", parts=[Part(n=1)])
        wrong.age = -5  # assignment is not validated
        wrong.parts[0].n = -1
        with pytest.raises(WriteError) as caught:
            await wrong.insert()
        errors = {one["loc"]: one for one in caught.value.errors()}
        assert isinstance(caught.value, mongosluice.DocumentRefused)
        assert errors[("age",)]["type"] == "greater_than_equal" and errors[("age",)]["input"] == -5
        assert errors[("age",)]["msg"] == "Input should be greater than or equal to 0"
        assert errors[("parts", 0, "n")]["input"] == -1
        assert wrong.id is None

        with pytest.raises(BulkWriteError) as caught:
            await Guarded.insert_many([Guarded(name="fine"), wrong])
        assert isinstance(caught.value, mongosluice.DocumentsRefused)
        assert ("age",) in [one["loc"][1:] for one in caught.value.errors()]
        assert {one["loc"][0] for one in caught.value.errors()} == {1}

        fine = await Guarded(name="fine").insert()
        fine.name = "x"
        for write in (fine.replace, fine.save):
            with pytest.raises(OperationFailure) as caught:
                await write()
            assert isinstance(caught.value, mongosluice.Refused), type(caught.value)
            assert caught.value.errors()[0]["loc"] == ("name",)
            assert caught.value.errors()[0]["type"] == "string_too_short"
        with pytest.raises(BulkWriteError) as caught:
            async with BulkWriter() as writer:
                await fine.replace(bulk_writer=writer)
        assert caught.value.errors()[0]["loc"] == (0, "name")

        for write, kind in ((wrong.insert, mongosluice.DocumentRefused),
                            (lambda: Guarded.insert_many([wrong]), mongosluice.DocumentsRefused)):
            try:
                await write()
            except mongosluice.Refused as refused:  # both kinds in one clause
                assert type(refused) is kind and refused.code is not None and refused.error_count() == 2

    loop.run_until_complete(started(proxy.uri, direct.name, write))


def test_words_of_every_rule():
    def info(*rules):
        return {"details": {"operatorName": "$jsonSchema", "schemaRulesNotSatisfied": list(rules)}}

    assert lines_of_info(None) == [{"type": "document", "loc": (), "msg": "Document failed validation", "input": None}]
    assert lines_of_info(info({"operatorName": "required", "missingProperties": ["a"]}))[0]["loc"] == ("a",)
    extra = info({"operatorName": "additionalProperties", "additionalProperties": ["x"]})
    assert lines_of_info(extra)[0]["type"] == "extra_forbidden"
    update = {"details": {"operatorName": "$jsonSchema", "updateOperator": "$set", "path": "a.0.b", "reason": "why"}}
    assert lines_of_info(update, (3,)) == [{"type": "update", "loc": (3, "a", 0, "b"), "msg": "$set: why", "input": None}]
    deep = info({"operatorName": "anyOf", "schemasNotSatisfied": [
        {"index": 0, "details": [{"operatorName": "bsonType", "specifiedAs": {"bsonType": "null"},
                                  "consideredValue": 3, "consideredType": "int"}]},
        {"index": 1, "details": [{"operatorName": "maximum", "specifiedAs": {"maximum": 2, "exclusiveMaximum": True},
                                  "reason": "comparison failed", "consideredValue": 3}]}]})
    assert len(lines_of_info(deep)) == 1
    one = info({"operatorName": "maximum", "specifiedAs": {"maximum": 2, "exclusiveMaximum": True}, "consideredValue": 3})
    assert lines_of_info(one)[0]["msg"] == "Input should be less than 2"
    assert lines_of_info(one)[0]["type"] == "less_than"


PROGRAM = """
import asyncio, sys
import pymongo, mongosluice
from beanie import Document, init_beanie
from conftest import async_client
class Guarded(Document):
    name: str
async def main():
    client = async_client(sys.argv[1])
    await init_beanie(database=client[sys.argv[2]], document_models=[Guarded])
    await Guarded(name="x").insert()
asyncio.run(main())
print([one["mode"] for one in mongosluice.offload_report()])
"""


def test_the_start_up_hook(proxy, direct):
    """What the .pth file runs, in an interpreter of its own: unchanged code is offloaded."""
    class Guarded(Document):
        name: str

    exported = mongosluice.export(Guarded, database=direct.name)
    proxy.enforce(exported)
    hook = (ROOT / "python/mongosluice-offload.pth").read_text()
    paths = os.pathsep.join([str(ROOT / "python/tests"), str(Path(mongosluice.__file__).parents[1])])

    def run(**environment):
        return completed(sys.executable, "-c", hook + PROGRAM, proxy.uri, direct.name,
                         env={**os.environ, "PYTHONPATH": paths, **environment})

    on, off = run(MONGOSLUICE_OFFLOAD="1"), run(MONGOSLUICE_OFFLOAD="")
    assert on.returncode == 0, on.stderr
    assert on.stdout.strip() in ("['full']", "['encode-only']")
    assert off.stdout.strip() == "[]", off.stderr
    assert direct["Guarded"].count_documents({}) == 2
    nothing = completed(sys.executable, "-c", hook + "import sys; print('mongosluice' in sys.modules)",
                        env={**os.environ, "MONGOSLUICE_OFFLOAD": "0", "PYTHONPATH": paths})
    assert nothing.stdout.strip() == "False", nothing.stderr
    proxy.forget(exported)


def test_uninstall_leaves_nothing(proxy, exported, direct, loop):
    import beanie.odm.documents as documents

    before = (documents.get_dict, Document.insert, Guarded.__init__)
    proxy.enforce(exported)
    mongosluice.offload()
    loop.run_until_complete(started(proxy.uri, direct.name))
    assert offload_state.settings.active
    switch_off()
    assert (documents.get_dict, Document.insert, Guarded.__init__) == before
