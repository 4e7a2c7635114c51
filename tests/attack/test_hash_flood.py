"""Values and names chosen to collide in a hash table, and tables that clients fill without a login.

A hash with a random key per process has no known collisions. Without a key, each of these documents would take more
comparisons than the work budget allows, and the proxy would refuse it."""

import signal
import struct
import uuid

import bson
import pytest
from bson import Binary, Int64
from support.process import eventually
from support.wire import RawClient

pytestmark = pytest.mark.proxy_only
MASK = (1 << 64) - 1
FLOOD = 20000
UNIQUE = {"properties": {"tags": {"uniqueItems": True}}}


def fold(a, b):
    product = (a ^ 0x2D358DCCAA6C78A5) * (b ^ 0x8BB84B93962EACC9)
    return (product ^ product >> 64) & MASK


def colliding_binaries(count):
    """Binary values of 19 bytes that collide in a multiplying hash without a key."""
    begin = fold(24, 0x4B33A62ED433D4A3)
    begin = fold(begin ^ int.from_bytes(struct.pack("<iB", 19, 0) + b"abc", "little"), 0x9FB21C651E98DF25)
    for i in range(count):
        middle = fold(begin ^ i, 0x9FB21C651E98DF25)
        yield b"abc" + struct.pack("<QQ", i, middle ^ 0x4141414141414141)


FLOODS = {
    "binaries": list(colliding_binaries(FLOOD)),
    "large numbers": [1e300 * (1 + i / 65536) for i in range(FLOOD)],
    "small numbers": [1e-300 * (1 + i / 65536) for i in range(FLOOD)],
}


@pytest.mark.parametrize("items", FLOODS.values(), ids=FLOODS)
def test_unique_items(simulated_guard, items):
    proxy = simulated_guard(UNIQUE)
    assert len(set(items)) == FLOOD
    with RawClient(proxy.endpoint()) as client:
        reply = client.command({"insert": "c", "$db": "d", "documents": [{"_id": 1, "tags": items}]})
        assert (reply["n"], reply.get("writeErrors")) == (1, None)
        # and they are looked at all the same
        repeated = [{"_id": 2, "tags": [*items, items[0]]}]
        reply = client.command({"insert": "c", "$db": "d", "documents": repeated})
        rule = reply["writeErrors"][0]["errInfo"]["details"]["schemaRulesNotSatisfied"][0]
        details = rule["propertiesNotSatisfied"][0]["details"][0]
        assert (details["operatorName"], details["duplicatedValue"]) == ("uniqueItems", items[0])


def statement(name, **more):
    return {name: "c", "$db": "d", "lsid": {"id": Binary.from_uuid(uuid.uuid4())}, "txnNumber": Int64(1),
            "startTransaction": True, "autocommit": False, **more}


def test_without_a_login_no_transaction_is_recorded(start_proxy, secure_server):
    """Draining waits for the open transactions of a client's machine. A transaction that the server refused is not
    open, so the proxy ends although the client began 300."""
    proxy = start_proxy(secure_server.endpoint.uri(), {"drain_timeout_ms": 600000}, endpoint=secure_server.endpoint)
    with RawClient(proxy.endpoint()) as client, RawClient(proxy.endpoint()) as idle:
        assert idle.hello()["ok"] == 1
        for name, more in (("find", {}), ("insert", {"documents": [{}]}), ("nonesuch", {})) * 100:
            assert client.command(statement(name, **more))["ok"] == 0
        proxy.process.send(signal.SIGTERM)
        assert proxy.process.wait() == 0


def test_who_is_refused_does_not_end_the_transaction_of_another(start_proxy, simulated):
    """The server runs one statement under an lsid, and refuses another under the same lsid."""
    proxy = start_proxy(f"mongodb://{simulated.address}/", {"drain_timeout_ms": 600000})
    simulated.handlers["find"] = lambda *_: {"ok": 0.0, "code": 13, "codeName": "Unauthorized",
                                             "errmsg": "command find requires authentication"}
    with RawClient(proxy.endpoint()) as owner, RawClient(proxy.endpoint()) as other:
        begun = statement("insert", documents=[{}])
        assert owner.command(begun)["ok"] == 1
        assert other.command({**statement("find"), "lsid": begun["lsid"]})["code"] == 13
        proxy.process.send(signal.SIGTERM)
        proxy.wait_for_text("drain")
        same = {key: begun[key] for key in ("lsid", "txnNumber", "autocommit")}
        assert owner.command({"insert": "c", "$db": "d", "documents": [{}], **same})["ok"] == 1
        assert owner.command({"commitTransaction": 1, **same})["ok"] == 1
        assert proxy.process.wait() == 0


@pytest.mark.parametrize("size", [10, 1000, 40_000, 400_000])
def test_replies_of_every_size_tell(start_proxy, simulated, size):
    """The reply to a statement may be long, come in parts, or hold only a minimal error."""
    proxy = start_proxy(f"mongodb://{simulated.address}/", {"drain_timeout_ms": 600000})
    simulated.handlers["find"] = lambda *_: {
        "cursor": {"firstBatch": [{"x": "x" * size}], "id": Int64(0), "ns": "d.c"}, "ok": 1.0}
    with RawClient(proxy.endpoint()) as client:
        begun = statement("find")
        reply = client.command(begun)
        assert len(bson.encode(reply)) > size
        proxy.process.send(signal.SIGTERM)
        proxy.wait_for_text("drain")
        same = {key: begun[key] for key in ("lsid", "txnNumber", "autocommit")}
        assert client.command({"commitTransaction": 1, **same})["ok"] == 1
        eventually(lambda: proxy.process.exit_code() is not None, "the proxy ends")
        assert proxy.process.wait() == 0
