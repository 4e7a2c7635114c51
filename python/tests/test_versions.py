"""A rolling deployment: the proxy accepts the schemas of several versions of a model, and each of them is
offloaded; a model of which it does not accept the schema stays in Python."""

import asyncio
import json
import warnings

import pytest
from beanie import Document, init_beanie
from pydantic import Field
from pymongo.errors import WriteError

import mongosluice
from conftest import async_client, switch_off, wait_until
from mongosluice.offload.beanie import patches as offload_beanie
from mongosluice.offload.extension import native

try:
    import mongoengine as me
except ImportError:  # the environment of Beanie 1 has none
    me = None


class Before(Document):
    name: str = Field(min_length=2)
    price: float = Field(ge=0)

    class Settings:
        name = "rolling"


class After(Document):
    name: str = Field(min_length=2)
    total: float = Field(ge=0)
    currency: str

    class Settings:
        name = "rolling"


class Other(Document):
    n: int

    class Settings:
        name = "rolling"


MODELS = {"before": (Before, {"name": "ab", "price": 1.5}), "after": (After, {"name": "ab", "total": 1.5, "currency": "EUR"}),
          "other": (Other, {"n": 1})}


def accept(proxy, *exported, **changes):
    """The proxy accepts these schemas of one namespace, newest first."""
    files = [json.loads(one.text()) for one in exported]
    file = {key: value for key, value in files[0].items() if key not in ("schema", "dialect")}
    file["versions"] = [{"schema": one["schema"], "dialect": one["dialect"]} for one in files]
    (proxy.schemas / f"{exported[0].ns}.json").write_text(json.dumps({**file, **changes}))
    proxy.reload()
    wanted = [one.hash for one in exported]

    def hashes():
        answer = proxy.client.admin.command({"mongosluice": 1, "namespaces": [exported[0].ns]})
        return [one["hashes"] for one in answer["schemas"]]
    wait_until(lambda: hashes() == [wanted], f"the proxy accepts {wanted}")


@pytest.fixture
def versions(proxy, direct):
    """Exported, by name; their file is removed afterwards."""
    made = {name: mongosluice.export(model, database=direct.name) for name, (model, _) in MODELS.items()}
    yield made
    proxy.forget(made["after"])


async def insert(uri, database, model, document):
    client = async_client(uri)
    try:
        await init_beanie(database=client[database], document_models=[model])
        return await model(**document).insert()
    finally:
        closing = client.close()
        if asyncio.iscoroutine(closing):
            await closing


def modes():
    return [one["mode"] for one in mongosluice.offload_report()]


@pytest.mark.parametrize("name", ["before", "after"])
def test_each_accepted_version_is_offloaded(proxy, versions, direct, loop, offloaded, name):
    accept(proxy, versions["after"], versions["before"])
    model, document = MODELS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error", mongosluice.OffloadWarning)
        loop.run_until_complete(insert(proxy.uri, direct.name, model, document))
    assert modes() in (["full"], ["encode-only"])
    assert model in offload_beanie._plans
    assert direct["rolling"].count_documents({}) == 1


def test_a_model_of_no_accepted_version_stays(proxy, versions, direct, loop, offloaded):
    accept(proxy, versions["after"], versions["before"])
    model, document = MODELS["other"]
    with pytest.warns(mongosluice.OffloadWarning, match="accepts other versions of the schema .* run `mongosluice export`"), \
            pytest.raises(WriteError):
        loop.run_until_complete(insert(proxy.uri, direct.name, model, document))
    assert modes() == ["off"]


def test_a_retired_version_goes_back_to_python(proxy, versions, direct, loop, offloaded):
    accept(proxy, versions["after"], versions["before"])
    mongosluice.offload(recheck_seconds=0.0)

    async def run():
        client = async_client(proxy.uri)
        await init_beanie(database=client[direct.name], document_models=[Before])
        await Before(name="ab", price=1.5).insert()
        assert Before in offload_beanie._plans
        await asyncio.to_thread(accept, proxy, versions["after"])
        with pytest.raises(WriteError):
            await Before(name="ab", price=1.5).insert()
        await offload_beanie._checking
        assert Before not in offload_beanie._plans
        closing = client.close()
        if asyncio.iscoroutine(closing):
            await closing

    with pytest.warns(mongosluice.OffloadWarning, match="enforces another schema"):
        loop.run_until_complete(run())
    assert direct["rolling"].count_documents({}) == 1


def test_a_proxy_of_before_answers_one_hash():
    from mongosluice.offload.enforcement import verdict

    entry = {"ns": "a.b", "hash": "1" * 64, "level": "strict", "action": "error"}
    assert verdict({"mongosluice": {}, "schemas": [entry]}, "a.b", "1" * 64) is None
    assert "another schema" in verdict({"mongosluice": {}, "schemas": [entry]}, "a.b", "2" * 64)


@pytest.mark.skipif(me is None, reason="MongoEngine is not installed")
@pytest.mark.parametrize("name", ["before", "after", "other"])
def test_mongoengine(proxy, direct, name):
    fields = {"before": {"price": me.FloatField(required=True)}, "after": {"total": me.FloatField(required=True)},
              "other": {"n": me.IntField(required=True)}}
    documents = {"before": {"price": 1.5}, "after": {"total": 1.5}, "other": {"n": 1}}
    made = {one: type(f"Rolling{one}", (me.Document,), {**more, "meta": {"collection": "engine"}})
            for one, more in fields.items()}
    exported = {one: mongosluice.export(cls, database=direct.name) for one, cls in made.items()}
    assert len({one.hash for one in exported.values()}) == 3
    accept(proxy, exported["after"], exported["before"])
    me.connect(direct.name, host=proxy.uri, uuidRepresentation="standard")
    try:
        mongosluice.offload()
        document = made[name](**documents[name])
        if name == "other":
            with pytest.warns(mongosluice.OffloadWarning, match="accepts other versions"), \
                    pytest.raises(me.errors.OperationError):
                document.save()
            assert modes() == ["off"]
        else:
            document.save()
            assert (modes()[0] != "off") == (native is not None)
            assert all("version" not in reason for one in mongosluice.offload_report() for reason in one["reasons"])
            assert direct["engine"].count_documents({}) == 1
    finally:
        switch_off()
        proxy.forget(exported["after"])
        for cls in made.values():
            cls._collection = None
        me.disconnect()
