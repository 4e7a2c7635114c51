"""One worker serves all clients: the work for one client does not block the others."""

import select
import threading

import pytest
from support import wire
from support.wire import RawClient, op_msg

pytestmark = pytest.mark.proxy_only
STEPS = 32  # SESSION_AUTHENTICATION_STEPS
MEGABYTE = 1024 * 1024


def proxy_for(start_proxy, simulated, **options):
    return start_proxy(f"mongodb://{simulated.address}/", {"threads": 1, "stats_period_ms": 100, **options})


def sasl(done):
    return lambda *_: {"ok": 1.0, "conversationId": 1, "done": done(), "payload": b""}


def start_login(client):
    return client.command({"saslStart": 1, "mechanism": "SCRAM-SHA-256", "payload": b"n,,n=ada,r=abc"})


def go_on(client):
    return client.command({"saslContinue": 1, "conversationId": 1, "payload": b"c=biws,r=abc"})


def test_authentication_that_never_ends_is_ended(start_proxy, simulated):
    simulated.handlers.update(saslStart=sasl(lambda: False), saslContinue=sasl(lambda: False))
    where = proxy_for(start_proxy, simulated).endpoint()
    with RawClient(where) as endless, RawClient(where) as good:
        assert start_login(endless)["ok"] == 1
        for _ in range(STEPS - 1):
            assert go_on(endless)["ok"] == 1
        refused = go_on(endless)
        assert refused["ok"] == 0 and refused["code"] == 18 and str(STEPS) in refused["errmsg"]
        endless.assert_closed()
        assert good.command({"ping": 1})["ok"] == 1
    assert len(simulated.requests("saslContinue")) == STEPS - 1


def test_each_login_begins_the_count_anew(start_proxy, simulated):
    """A connection may log in again and again."""
    step = iter(range(1000))
    simulated.handlers.update(saslStart=sasl(lambda: False), saslContinue=sasl(lambda: next(step) % 2 == 1))
    with RawClient(proxy_for(start_proxy, simulated).endpoint()) as client:
        for _ in range(STEPS):
            assert start_login(client)["ok"] == 1
            assert not go_on(client)["done"]
            assert go_on(client)["done"]


def test_thousands_of_requests_at_once_are_answered_in_order(start_proxy, simulated, folder):
    """It takes more than one turn of the loop; the proxy answers some requests, the server the others."""
    folder.write("shop.c", {"bsonType": "object", "required": ["name"]})
    proxy = proxy_for(start_proxy, simulated, schemas=folder.path)
    requests = [op_msg({"ping": 1, "$db": "admin"} if number % 100 == 99 else
                       {"insert": "c", "documents": [{"_id": number}], "$db": "shop"}, request_id=number)
                for number in range(1, 5001)]
    with RawClient(proxy.endpoint()) as client:
        sender = threading.Thread(target=client.send, args=(b"".join(requests),))
        sender.start()
        for number in range(1, 5001):
            reply = client.receive()
            assert reply.response_to == number
            assert ("writeErrors" in reply.body) == (number % 100 != 99)
        sender.join()
    assert len(simulated.requests("ping")) == 50 and not simulated.requests("insert")


def test_a_large_compressed_request_lets_others_between(start_proxy, simulated):
    """Opening it takes some hundred turns. The proxy answers a client that asks repeatedly between them."""
    where = proxy_for(start_proxy, simulated).endpoint()
    large = wire.compress(op_msg({"ping": 1, "$db": "admin", "fill": bytes(45 * MEGABYTE)}), "zlib")
    with RawClient(where) as heavy, RawClient(where) as light:
        assert heavy.command({"ping": 1})["ok"] == light.command({"ping": 1})["ok"] == 1
        heavy.send(large)
        between = 0
        while not select.select([heavy.socket], [], [], 0)[0]:
            assert light.command({"ping": 1})["ok"] == 1
            between += 1
        assert heavy.receive().body["ok"] == 1
    assert between >= 5, "the others waited until it was open"


@pytest.mark.parametrize("leaves", ["client", "size"])
def test_a_compressed_request_that_is_not_opened_to_its_end(start_proxy, simulated, leaves):
    """Its client leaves, or its end shows that its size is wrong: the proxy frees all of it."""
    proxy = proxy_for(start_proxy, simulated)
    message = op_msg({"ping": 1, "$db": "admin", "fill": bytes(45 * MEGABYTE)})
    lie = {"size": len(message) - 16 + 1} if leaves == "size" else {}
    with RawClient(proxy.endpoint()) as client:
        client.send(wire.compress(message, "zlib", **lie))
        if leaves == "size":
            refused = client.receive().body
            assert refused["ok"] == 0 and "uncompressedSize" in refused["errmsg"]
            client.assert_closed()
    proxy.wait_for_counter("clientsNow", 0)
    proxy.wait_for_counter("bufferBytesNow", 0)
