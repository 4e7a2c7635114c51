"""Streams of replies and hello, from a simulated server that behaves as MongoDB does, and records requests."""

import pytest
from bson import Int64
from support import wire
from support.simulated import cursor
from support.wire import RawClient


async def _count_down(server, connection, request):
    """A getMore with exhaustAllowed: a stream of batches, the last without moreToCome."""
    response_to = request.request_id
    batches = request.body.get("batches", 5)
    for number in range(batches):
        last = number == batches - 1
        reply = cursor(request, [{"number": number}], 0 if last else 99, "nextBatch")
        response_to = await server.reply(connection, request, reply, response_to=response_to,
                                         flags=0 if last else wire.MORE_TO_COME)


def test_stream_of_batches(simulated, in_front_of):
    simulated.handlers["getMore"] = _count_down
    with RawClient(in_front_of(simulated)) as client:
        client.send(wire.op_msg({"getMore": Int64(99), "collection": "c", "$db": "d", "batches": 50},
                                flags=wire.EXHAUST_ALLOWED, request_id=8))
        before, seen = 8, []
        while True:
            reply = client.receive()
            assert reply.response_to == before
            seen += [one["number"] for one in reply.body["cursor"]["nextBatch"]]
            before = reply.request_id
            if not reply.flags & wire.MORE_TO_COME:
                break
        assert seen == list(range(50))
        assert client.command({"ping": 1})["ok"] == 1


def test_each_streamed_hello_answers_the_one_before(simulated, in_front_of):
    with RawClient(in_front_of(simulated)) as client:
        version = client.hello()["topologyVersion"]
        client.send(wire.op_msg({"hello": 1, "topologyVersion": version, "maxAwaitTimeMS": 50,
                                 "$db": "admin"}, flags=wire.EXHAUST_ALLOWED, request_id=12))
        before = 12
        for _ in range(5):
            reply = client.receive()
            assert reply.response_to == before and reply.flags & wire.MORE_TO_COME
            before = reply.request_id


def test_a_change_is_streamed_at_once(simulated, in_front_of):
    simulated.change({"setName": "rs", "hosts": [simulated.address], "me": simulated.address,
                      "primary": simulated.address, "setVersion": 1})
    with RawClient(in_front_of(simulated)) as client:
        version = client.hello()["topologyVersion"]
        client.send(wire.op_msg({"hello": 1, "topologyVersion": version, "maxAwaitTimeMS": 60000,
                                 "$db": "admin"}, flags=wire.EXHAUST_ALLOWED))
        simulated.wait_for(lambda: any(one.flags & wire.EXHAUST_ALLOWED
                                       for one in simulated.requests("hello")), "the stream is open")
        simulated.change({**simulated.topology, "tags": {"news": "1"}})
        assert client.receive().body["tags"] == {"news": "1"}


def test_every_byte_of_an_ordinary_message_arrives(simulated, in_front_of):
    """The proxy forwards request and reply unchanged; only the ids in the header are its own."""
    simulated.handlers["odd"] = lambda server, connection, request: {"ok": 1.0, "back": "x" * 100}
    request = wire.op_msg({"odd": 1, "$db": "admin", "list": [1, {"a": None}]},
                          {"things": [{"_id": 1}, {"_id": 2}]}, sequences_first=True)
    with RawClient(in_front_of(simulated)) as client:
        reply = client.ask(request)
        assert reply.body == {"ok": 1.0, "back": "x" * 100}
    arrived = simulated.requests("odd")[0]
    assert arrived.raw[16:] == request[16:]


def test_checksums_arrive_and_come_back(simulated, in_front_of):
    """A message that passes unchanged keeps its checksum, which stays valid (the client checks it)."""
    with RawClient(in_front_of(simulated)) as client:
        reply = client.ask(wire.op_msg({"ping": 1, "$db": "admin"}, flags=wire.CHECKSUM))
        assert reply.body["ok"] == 1
        assert client.command({"hello": 1}, flags=wire.CHECKSUM)["ok"] == 1
    assert simulated.requests("ping")[0].checksum


def test_unknown_flags_and_fields_are_passed_on(simulated, in_front_of):
    """The upper sixteen flag bits are optional: a receiver ignores unknown ones."""
    with RawClient(in_front_of(simulated)) as client:
        assert client.command({"ping": 1, "someday": 1}, flags=1 << 20)["ok"] == 1


@pytest.mark.proxy_only
def test_the_limit_is_what_hello_says(simulated, in_front_of):
    options = {"max_message_bytes": 1_000_000, "memory_max": "64MiB"}
    with RawClient(in_front_of(simulated, options)) as client:
        assert client.hello()["maxMessageSizeBytes"] == 1_000_000


@pytest.mark.proxy_only
@pytest.mark.parametrize("spelling", ["hello", "isMaster"])
def test_hello_keeps_every_field_it_does_not_rewrite(simulated, in_front_of, spelling):
    me = simulated.address
    simulated.change({"setName": "rs", "setVersion": 3, "hosts": [me], "passives": [], "arbiters": [],
                      "primary": me, "me": me, "tags": {"dc": "east"}, "unheardOf": {"a": [1, me]},
                      "lastWrite": {"opTime": {"ts": 1, "t": 2}}})
    where = in_front_of(simulated)
    with RawClient(where) as client, RawClient(simulated.endpoint) as direct:
        through = client.command({spelling: 1})
        plain = direct.command({spelling: 1})
    assert through["hosts"] == [where.address]
    assert through["primary"] == through["me"] == where.address
    for changed in ("hosts", "primary", "me"):
        through[changed] = plain[changed]
    assert list(through) == list(plain), "the order of the fields"
    assert through == plain


def test_an_error_instead_of_hello_is_passed_on(simulated, in_front_of):
    where = in_front_of(simulated)
    refusal = {"ok": 0.0, "errmsg": "not now", "code": 91, "codeName": "ShutdownInProgress"}
    with RawClient(where) as client:
        assert client.hello()["ok"] == 1
        simulated.handlers["hello"] = lambda *_: refusal
        assert client.hello() == refusal
        del simulated.handlers["hello"]
