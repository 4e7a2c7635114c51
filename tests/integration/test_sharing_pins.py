"""What keeps a client on its connection in shared mode, and what a client may send without ever getting a connection of
another identity."""

import asyncio
import contextlib
import itertools
import struct
import time
import zlib

import pytest
from support.process import eventually
from support.wire import EXHAUST_ALLOWED, MORE_TO_COME, RawClient, op_msg

pytestmark = pytest.mark.proxy_only
OPEN = {"conversationId": 1, "done": False, "payload": b"more", "ok": 1.0}
IDS = itertools.count(1)


def login(server, connection, request):
    """PLAIN: the first message may log in; a user whose name begins with x needs a second message."""
    name = bytes(request.body["payload"]).split(b"\0")[1].decode()
    if name.startswith("x"):
        connection.half = name
        return OPEN
    if name == "wrong":
        return {"ok": 0.0, "errmsg": "Authentication failed.", "code": 18, "codeName": "AuthenticationFailed"}
    connection.users = [{"user": name, "db": "$external"}]
    return {"conversationId": 1, "done": True, "payload": b"", "ok": 1.0}


def go_on(server, connection, request):
    if not hasattr(connection, "half"):
        return {"ok": 0.0, "errmsg": "No SASL session state found", "code": 17}
    connection.users = [{"user": connection.half, "db": "$external"}]
    return {"conversationId": 1, "done": True, "payload": b"", "ok": 1.0}


def logout(server, connection, request):
    connection.users = []
    return {"ok": 1.0}


def who(server, connection, request):
    return {"who": [one["user"] for one in connection.users], "number": connection.number, "ok": 1.0}


@pytest.fixture
def server(simulated):
    simulated.handlers |= {"saslStart": login, "saslContinue": go_on, "logout": logout, "count": who, "mystery": who}
    return simulated


@pytest.fixture
def start(start_proxy, server):
    def start(**options):
        options = {name.replace("__", "."): value for name, value in options.items()}
        return start_proxy(f"mongodb://{server.address}/?directConnection=true",
                           {"threads": 1, "pool.mode": "shared", **options}, endpoint=server.endpoint)
    return start


@pytest.fixture
def connect():
    with contextlib.ExitStack() as ends:
        def connect(proxy, user=None, **hello):
            client = ends.enter_context(RawClient(proxy.endpoint()))
            assert client.hello(**hello)["ok"] == 1
            if user is not None:
                assert client.command(start_of(user))["ok"] == 1
            return client
        yield connect


def start_of(user):
    return {"saslStart": 1, "mechanism": "PLAIN", "payload": f"\0{user}\0secret".encode(), "$db": "$external"}


def asked(client):
    return client.command({"count": "c"})["who"]


def framed(body, flags=0):
    """A message, and its requestID."""
    number = next(IDS) + 5000
    return op_msg(body, flags=flags, request_id=number), number


# --- identity

def test_users_never_meet(start, server, connect):
    proxy = start()
    clients = [(user, connect(proxy, user)) for user in ("alice", "bob", None) for _ in range(4)]
    for _ in range(3):
        for user, client in clients:
            assert asked(client) == ([] if user is None else [user])
    used = {}
    for connection in server.connections:
        for _ in connection.named("count"):
            used.setdefault(tuple(one["user"] for one in connection.users), set()).add(connection.number)
    assert all(len(numbers) == 1 for numbers in used.values()), used


def test_commands_behind_a_login_run_as_its_user(start, server, connect):
    proxy = start()
    client, other = connect(proxy), connect(proxy)
    messages = [framed(body) for body in
                ({"count": "c", "$db": "a"}, start_of("alice"), {"count": "c", "$db": "a"},
                 {"logout": 1, "$db": "$external"}, {"count": "c", "$db": "a"})]
    client.send(b"".join(message for message, _ in messages))
    replies = [client.receive() for _ in messages]
    assert [reply.response_to for reply in replies] == [number for _, number in messages]
    assert [reply.body.get("who") for reply in replies] == [[], None, ["alice"], None, []]
    assert asked(other) == []


def test_half_a_login_stays_with_its_client(start, server, connect):
    proxy = start()
    client, thief = connect(proxy), connect(proxy)
    assert client.command(start_of("xavier"))["done"] is False
    assert asked(client) == []
    for _ in range(3):
        assert asked(thief) == []
    # the conversation belongs to one connection, which the other client never gets
    assert thief.command({"saslContinue": 1, "conversationId": 1, "payload": b"", "$db": "$external"})["ok"] == 0
    assert client.command({"saslContinue": 1, "conversationId": 1, "payload": b"", "$db": "$external"})["done"] is True
    assert asked(client) == ["xavier"] and asked(thief) == []


def test_a_wrong_login_changes_nothing(start, server, connect):
    proxy = start()
    client, other = connect(proxy, "alice"), connect(proxy)
    assert client.command(start_of("wrong"))["code"] == 18
    assert asked(client) == ["alice"] and asked(other) == []


def test_a_login_without_a_reply_makes_its_connection_the_client_s_own(start, server, connect):
    proxy = start()
    client, other = connect(proxy), connect(proxy)
    client.send(framed(start_of("alice"), MORE_TO_COME)[0])
    for _ in range(3):
        assert asked(other) == []
    assert asked(client) == ["alice"]
    for _ in range(3):
        assert asked(other) == []


def test_an_unknown_command_may_log_in(start, server, connect):
    def secret_login(server, connection, request):
        connection.users = [{"user": "alice", "db": "$external"}]
        return {"ok": 1.0}
    server.handlers["loginByMagic"] = secret_login
    proxy = start()
    client, other = connect(proxy), connect(proxy)
    assert client.command({"loginByMagic": 1})["ok"] == 1
    assert asked(other) == [] and asked(client) == ["alice"] and asked(other) == []


def test_a_compressed_login(start, server, connect):
    server.compressors.append("zlib")
    proxy = start()
    client, other = connect(proxy, compression=["zlib"]), connect(proxy, compression=["zlib"])
    message, number = framed(start_of("alice"))
    body = message[16:]
    packed = zlib.compress(body)
    client.send(struct.pack("<iiiiiiB", 25 + len(packed), number, 0, 2012, 2013, len(body), 2) + packed)
    assert client.receive().body["done"] is True
    assert asked(client) == ["alice"] and asked(other) == []


def test_a_lost_login_is_noticed_before_others_use_the_connection(start, server, connect):
    proxy = start()
    first, second = connect(proxy, "alice"), connect(proxy, "alice")
    assert asked(first) == asked(second) == ["alice"]

    broken = []

    def refused(server, connection, request):
        connection.users = []
        broken.append((connection, len(connection.named("count"))))
        return {"ok": 0.0, "errmsg": "command count requires authentication", "code": 13, "codeName": "Unauthorized"}
    server.handlers["count"] = refused
    assert first.command({"count": "c"})["code"] == 13
    server.handlers["count"] = who
    for client in (second, first, second):
        assert asked(client) == ["alice"]
    (connection, counts), = broken
    assert len(connection.named("count")) == counts
    server.wait_for(lambda: connection.closed or connection.ended, "the proxy closes the connection")


def test_rules_for_users(start, server, connect):
    proxy = start(pool__rules="session user=bob@$external")
    clients = [connect(proxy, user) for user in ("alice", "alice", "bob", "bob")]
    for _ in range(2):
        assert [asked(client) for client in clients] == [["alice"], ["alice"], ["bob"], ["bob"]]
    numbers = [client.command({"count": "c"})["number"] for client in clients]
    assert numbers[0] == numbers[1] and len(set(numbers)) == 3


# --- pins

def test_an_unacknowledged_write_keeps_the_order(start, server, connect):
    ran = []

    async def insert(server, connection, request):
        await asyncio.sleep(0.02)  # a command on another connection would overtake it
        ran.append("insert")

    def find(server, connection, request):
        ran.append("find")
        return {"ok": 1.0}

    server.handlers |= {"insert": insert, "find": find}
    proxy = start()
    client, other = connect(proxy), connect(proxy)
    for number in range(30):
        client.send(framed({"insert": "c", "documents": [{"_id": number}], "$db": "a"}, MORE_TO_COME)[0])
        other.send(framed({"ping": 1, "$db": "admin"})[0])  # takes a connection
        client.command({"find": "c"})
        other.receive()
    assert ran == ["insert", "find"] * 30


def test_an_unacknowledged_write_does_not_keep_its_connection_for_good(start, server, connect):
    proxy = start(pool__max_size=1)
    client, other = connect(proxy), connect(proxy)
    client.send(framed({"insert": "c", "documents": [{"_id": 1}], "$db": "a"}, MORE_TO_COME)[0])
    eventually(lambda: server.requests("insert"), "the write arrives")
    assert other.command({"ping": 1})["ok"] == 1
    assert len(server.requests("connectionStatus")) == 1


def test_an_answer_of_the_proxy_is_no_acknowledgement(start, server, connect):
    arrived = []

    async def slow(server, connection, request):
        await asyncio.sleep(0.2)
        arrived.append("insert")

    def find(server, connection, request):
        arrived.append("find")
        return {"ok": 1.0}

    server.handlers |= {"insert": slow, "find": find}
    proxy = start()
    client, other = connect(proxy), connect(proxy)
    other.command({"ping": 1})
    client.send(framed({"insert": "c", "documents": [{"_id": 1}], "$db": "a"}, MORE_TO_COME)[0])
    assert client.hello()["ok"] == 1
    assert client.command({"mongosluice": 1})["ok"] == 1
    assert client.command({"find": "c", "$db": "a"})["ok"] == 1
    assert arrived == ["insert", "find"]


def test_a_reply_that_its_client_does_not_take_reaches_nobody(start, server, connect):
    """The middle of the reply looks like a reply to another client's command."""
    stolen = op_msg({"ok": 1.0, "stolen": "x"}, response_to=4242, request_id=78)
    sent = []

    async def answer(server, connection, request):
        if request.body["count"] == "one":
            return {"n": 1, "ok": 1.0}
        rest = 1000 - len(stolen)
        shortest = len(op_msg({"ok": 1.0, "p": ""}))
        head = op_msg({"ok": 1.0, "p": "y" * (rest - shortest)}, response_to=request.request_id, request_id=77)
        whole = struct.pack("<i", 1000) + head[4:] + stolen
        for begin, end in ((0, 8), (8, len(stolen)), (len(stolen), rest), (rest, 1000)):
            connection.writer.write(whole[begin:end])
            await connection.writer.drain()
            await asyncio.sleep(0.05)
        sent.append(len(whole))

    server.handlers["count"] = answer
    proxy = start()
    leaving, staying = connect(proxy), connect(proxy)
    leaving.send(op_msg({"count": "one", "$db": "d"}) + op_msg({"count": "two", "$db": "d"}))
    leaving.socket.close()
    eventually(lambda: server.requests("count"), "the command arrives")
    for _ in range(5):
        staying.send(op_msg({"ping": 1, "$db": "admin"}, request_id=4242))
        assert "stolen" not in staying.receive().body


def test_a_server_that_is_down_is_not_asked_without_a_pause(start, server, connect):
    proxy = start(pool__min_idle=1)
    client = connect(proxy)
    assert client.command({"ping": 1})["ok"] == 1
    server.stop()
    proxy.wait_for_record("a connection that cannot be opened", id=1102)
    time.sleep(0.5)
    assert sum(record["id"] == 1102 for record in proxy.records()) < 20


def test_an_exhaust_stream_keeps_its_connection(start, server, connect):
    streams = []

    async def stream(server, connection, request):
        streams.append((connection, request))

    server.handlers["find"] = stream
    proxy = start()
    client, other = connect(proxy), connect(proxy)
    message, number = framed({"find": "c", "$db": "a"}, EXHAUST_ALLOWED)
    client.send(message)
    eventually(lambda: streams, "the stream begins")
    connection, _ = streams[0]
    first = op_msg({"n": 1, "ok": 1.0}, flags=MORE_TO_COME, request_id=77, response_to=number)
    server.call(connection.writer.write, first)
    assert client.receive().body["n"] == 1
    assert other.command({"count": "c"})["number"] != connection.number
    last = op_msg({"n": 2, "ok": 1.0}, request_id=78, response_to=77)
    server.call(connection.writer.write, last)
    assert client.receive().body["n"] == 2
    assert client.command({"count": "c"})["ok"] == 1
