"""Merging uses the identity that the server reports for a connection: when the proxy asks for it, how it uses the
answer, and which events invalidate it."""

import asyncio
import itertools
import socket
import threading
import time

import pytest
from bson import Int64
from identity_play import raw
from support.inserts import lsid
from support.proxy import AUTHENTICATED
from support.simulated import Hangup
from support.wire import CHECKSUM, MORE_TO_COME, op_msg

pytestmark = pytest.mark.proxy_only
NAMED = 2003
BOB = {"user": "bob", "db": "$external"}


# --- a server with users

def _name(request):
    return bytes(request.body["payload"]).split(b"\0")[1].decode()


def _login(server, connection, request):
    connection.users = [{"user": _name(request), "db": "$external"}]
    return {"conversationId": 1, "done": True, "payload": b"", "ok": 1.0}


def _logout(server, connection, request):
    connection.users = []
    return {"ok": 1.0}


def start(user):
    return {"saslStart": 1, "mechanism": "PLAIN", "payload": f"\0{user}\0secret of {user}".encode(), "$db": "$external"}


class Users:
    def __init__(self, scene):
        self.scene = scene
        self.server = scene.server
        self.ids = itertools.count(1)
        self.server.handlers |= {"saslStart": _login, "logout": _logout}

    def client(self, *users, known=True):
        """Logged in as the last of them; known: the proxy has asked the server about it."""
        client = self.scene.client(known=False)
        for user in users:
            assert client.command(start(user))["done"]
        if known:
            self.scene.first_insert(client)
        return client

    def drop(self):
        """No connection is logged in any more, and the proxy received no message about it."""
        for connection in self.server.connections:
            connection.users = []

    def questions(self):
        return self.server.requests("connectionStatus")

    def who(self, arrived):
        return [one["user"] for one in arrived.connection.users]

    def together(self, first, second, busy):
        """Returns whether the inserts of the two clients, sent while `busy` is under way, are merged."""
        messages = self.scene.gather((first, next(self.ids)), (second, next(self.ids)))
        busy.answer()
        arrived = [self.scene.inserts.next()]
        arrived += [] if len(arrived[0].ids) == 2 else [self.scene.inserts.next()]
        for one in arrived:
            one.answer()
        for client, message in zip((first, second), messages, strict=True):
            assert client.answered(message).body["n"] == 1
        return len(arrived) == 1


@pytest.fixture
def users(scene):
    return Users(scene)


# --- when the proxy asks

def test_once_for_each_connection(users):
    clients = users.scene.clients(3)
    assert len(users.questions()) == 3
    for _ in range(3):
        for client in clients:
            users.scene.first_insert(client)
    assert len(users.questions()) == 3
    users.scene.proxy.wait_for_counter("identityQuestions", 3)


def test_it_comes_before_the_insert_on_the_same_connection(users):
    client = users.scene.client(known=False)
    message = client.insert(1)
    arrived = users.scene.inserts.next()
    commands = [one.command for one in arrived.connection.requests]
    assert commands == ["hello", "connectionStatus", "insert"]
    assert arrived.request.raw == message
    question = arrived.connection.named("connectionStatus")[0]
    assert question.body == {"connectionStatus": 1, "$db": "admin"}
    arrived.answer()
    assert client.answered(message).body["n"] == 1


@pytest.mark.parametrize("more", [{"readConcern": {"level": "local"}}, {"writeConcern": {"w": 0}}, {"maxTimeMS": 1000},
                                  {"flags": MORE_TO_COME, "writeConcern": {"w": 0}}])
def test_never_for_connections_that_never_merge(users, more):
    client = users.scene.client(known=False)
    for number in range(3):
        client.insert(number, **more)
        users.scene.inserts.next().answer()
    assert client.command({"ping": 1}) if more.get("flags") else client.receive()
    assert users.questions() == []


def test_never_without_merging(start_merging):
    scene = start_merging({"merge.enabled": "false"})
    scene.first_insert(scene.client(known=False))
    assert scene.server.requests("connectionStatus") == []


def test_never_for_a_namespace_that_is_not_merged(start_merging):
    scene = start_merging({"merge.enabled": "false", "merge.namespace": "d.other:enabled=on"})
    for _ in range(3):
        scene.first_insert(scene.client(known=False))
    assert scene.server.requests("connectionStatus") == []


def test_in_the_api_version_of_the_client(users):
    client = users.scene.client(known=False)
    message = client.insert(1, apiVersion="1", apiStrict=True, apiDeprecationErrors=True)
    users.scene.inserts.next().answer()
    assert client.answered(message).body["n"] == 1
    assert [one.body for one in users.questions()] == [{"connectionStatus": 1, "apiVersion": "1", "$db": "admin"}]


@pytest.mark.parametrize("command", [{"hello": 1}, {"isMaster": 1}, {"ismaster": 1, "speculativeAuthenticate": 7},
                                     {"saslStart": 1}, {"saslContinue": 1}, {"authenticate": 1}, {"logout": 1},
                                     {"somethingNew": 1}])
def test_again_after_what_may_change_it(users, command):
    client = users.scene.client()
    assert len(users.questions()) == 1
    client.command(command) if "saslStart" not in command else client.command(start("ada"))
    assert len(users.questions()) == 1
    users.scene.first_insert(client)
    assert len(users.questions()) == 2


@pytest.mark.parametrize("command", [{"ping": 1}, {"find": "c"}, {"endSessions": []}])
def test_not_again_after_what_cannot(users, command):
    client = users.scene.client()
    client.command({**command, "$db": "d"})
    users.scene.first_insert(client)
    assert len(users.questions()) == 1


def test_an_insert_in_one_breath_with_a_login_waits_for_both(users):
    client = users.scene.client(known=False)
    client.send(op_msg(start("ada")) + client.message(1))
    arrived = users.scene.inserts.next()
    assert [one.command for one in arrived.connection.requests] == ["hello", "saslStart", "connectionStatus", "insert"]
    arrived.answer()
    assert [client.receive().body.get("done"), client.receive().body.get("n")] == [True, 1]


def test_an_answer_about_a_user_ages_while_others_are_busy(users):
    ada, bob = users.client("ada"), users.client("bob")
    nobody = users.scene.client()
    asked = len(users.questions())
    time.sleep(5.2)
    users.scene.first_insert(ada)  # alone: the insert is sent by itself
    assert len(users.questions()) == asked
    busy = users.scene.busy(nobody)
    message = ada.insert("late")
    arrived = users.scene.inserts.next()
    assert len(users.questions()) == asked + 1
    arrived.answer()
    ada.answered(message)
    busy.answer()
    users.scene.first_insert(bob)
    busy = users.scene.busy(bob)
    users.scene.first_insert(nobody)  # the identity of no user does not expire
    assert len(users.questions()) == asked + 1
    busy.answer()


# --- use of the answer

def test_the_log_names_whom_the_server_names(users):
    users.client("ada")
    record = users.scene.proxy.wait_for_record("the users", id=NAMED)
    assert record["attr"]["users"] == "ada@$external"
    record = users.scene.proxy.wait_for_record("the claim", id=AUTHENTICATED)
    assert record["attr"]["claimedUser"] == "ada" and "user" not in record["attr"]


def test_equal_users_go_together(users):
    a, b, c = (users.client("ada") for _ in range(3))
    assert users.together(a, b, users.scene.busy(c))


def test_other_roles_do_not(users):
    asked = []

    def status(server, connection, request):
        if connection.number not in asked:
            asked.append(connection.number)
        roles = [{"role": "root", "db": "admin"}] if asked.index(connection.number) == 1 else []
        return {"authInfo": {"authenticatedUsers": connection.users, "authenticatedUserRoles": roles}, "ok": 1.0}
    users.server.handlers["connectionStatus"] = status
    a, b = users.client("ada"), users.client("ada", known=False)
    users.scene.first_insert(b)
    assert len(asked) == 2
    assert not users.together(a, b, users.scene.busy(users.client("ada")))


ANSWERS = {
    "an error": {"ok": 0.0, "code": 13, "errmsg": "not allowed to ask"},
    "nothing": {"ok": 1.0},
    "no list": {"authInfo": {"authenticatedUsers": "ada"}, "ok": 1.0},
    "a name of another type": {"authInfo": {"authenticatedUsers": [{"user": 1, "db": "d"}]}, "ok": 1.0},
    "no database": {"authInfo": {"authenticatedUsers": [{"user": "ada"}]}, "ok": 1.0},
    "too many": {"authInfo": {"authenticatedUsers": [{"user": f"u{i}", "db": "d"} for i in range(9)]}, "ok": 1.0},
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_who_is_not_known_goes_as_it_came(users, answer):
    users.server.handlers["connectionStatus"] = lambda *_: ANSWERS[answer]
    a, b = users.scene.client(), users.scene.client()
    asked = len(users.questions())
    busy = users.scene.busy()
    messages = [a.insert(1), b.insert(2)]
    arrived = [users.scene.inserts.next(), users.scene.inserts.next()]
    assert sorted(one.request.raw for one in arrived) == sorted(messages)
    for one in arrived:
        one.answer()
    assert a.answered(messages[0]).body == b.answered(messages[1]).body == {"n": 1, "ok": 1.0}
    busy.answer()
    assert len(users.questions()) == asked + 1, "the busy one's; nobody is asked all the time"


def test_a_server_that_knows_no_such_command(users):
    del users.server.handlers["connectionStatus"]
    for _ in range(2):
        users.scene.first_insert(users.scene.client())


def test_an_answer_that_goes_on_is_none(users):
    async def goes_on(server, connection, request):
        await server.reply(connection, request, {"authInfo": {"authenticatedUsers": []}, "ok": 1.0}, flags=MORE_TO_COME)
    users.server.handlers["connectionStatus"] = goes_on
    a, b = users.scene.client(), users.scene.client()
    busy = users.scene.busy()
    message = a.insert(1)
    assert users.scene.inserts.next().request.raw == message
    busy.answer()
    assert b.command({"ping": 1})["ok"] == 1


def test_an_answer_with_a_checksum_is_one(users):
    async def checked(server, connection, request):
        await server.reply(connection, request, {"authInfo": {"authenticatedUsers": []}, "ok": 1.0}, flags=CHECKSUM)
    users.server.handlers["connectionStatus"] = checked
    a, b, c = users.scene.clients(3)
    assert users.together(a, b, users.scene.busy(c))


def test_the_connection_breaks_over_the_question(users):
    def hang_up(*_):
        raise Hangup
    users.server.handlers["connectionStatus"] = hang_up
    client = users.scene.client(known=False)
    client.insert(1)
    client.assert_closed()
    assert users.scene.inserts.none_waits()


def test_after_a_refusal_it_is_asked_again(users):
    scene = users.scene
    a, b, c = (users.client("ada") for _ in range(3))
    busy = scene.busy(c)
    messages = scene.gather((a, 1), (b, 2))
    busy.answer()
    asked = len(users.questions())
    scene.inserts.next().answer({"ok": 0.0, "code": 13, "codeName": "Unauthorized", "errmsg": "not authorized"})
    for one in (scene.inserts.next(), scene.inserts.next()):
        one.answer()
    for client, message in zip((a, b), messages, strict=True):
        client.answered(message)
    for client in (a, b):
        scene.first_insert(client)
    assert len(users.questions()) == asked + 2


# --- events that invalidate it

def test_a_claim_is_nothing(users):
    """A hello that only starts a conversation, with a field in front that says otherwise."""
    ada, other = users.client("ada"), users.client("ada")
    reply = {"conversationId": 1, "done": False, "payload": b"r=x", "ok": 1.0}
    users.server.handlers["hello"] = lambda server, connection, request: {
        **server.hello(request), "speculativeAuthenticate": reply}
    nobody = users.scene.client(known=False)
    nobody.hello(speculativeAuthenticate={"authenticate": 1, "saslStart": 1, "user": "ada", "mechanism": "SCRAM-SHA-256",
                                          "payload": b"n,,n=ada,r=x", "db": "$external"})
    users.scene.first_insert(nobody)
    assert not users.together(ada, nobody, users.scene.busy(other))


def test_bobs_proof_does_not_make_him_ada(users):
    ada, other = users.client("ada"), users.client("ada")
    bob = users.scene.client(known=False)
    begun = {"conversationId": 1, "done": False, "payload": b"", "ok": 1.0}
    users.server.handlers["saslStart"] = lambda *_: begun
    users.server.handlers["hello"] = lambda server, connection, request: server.hello(request)

    def go_on(server, connection, request):
        connection.users = [BOB]
        return {**begun, "done": True}
    users.server.handlers["saslContinue"] = go_on
    bob.command(start("ada"))
    bob.ask(op_msg(raw([("hello", 1), ("speculativeAuthenticate", 1),
                        ("speculativeAuthenticate", [("saslStart", 1), ("payload", b"n,,n=bob,r=x")]),
                        ("$db", "admin")])))
    bob.command({"saslContinue": 1, "conversationId": 1, "payload": b""})
    users.scene.first_insert(bob)
    assert not users.together(ada, bob, users.scene.busy(other))


def test_logout_of_whatever_database(users):
    ada, other, third = (users.client("ada") for _ in range(3))
    twice = raw([("logout", 1), ("$db", "elsewhere"), ("$db", "$external")])
    assert ada.ask(op_msg(twice)).body["ok"] == 1
    users.scene.first_insert(ada)
    assert not users.together(other, ada, users.scene.busy(third))


@pytest.mark.parametrize("command", [{"logout": 1, "$db": "$external"}, start("bob")])
def test_without_a_reply_it_is_never_merged_again(users, command):
    ada, other, third = (users.client("ada") for _ in range(3))
    ada.send(op_msg(command, flags=MORE_TO_COME))
    assert ada.command({"ping": 1})["ok"] == 1
    asked = len(users.questions())
    users.scene.first_insert(ada)
    assert not users.together(other, ada, users.scene.busy(third))
    assert ada.command(start("ada"))["done"]
    users.scene.first_insert(ada)
    assert not users.together(other, ada, users.scene.busy(third))
    assert len(users.questions()) - asked < 6


def test_a_user_who_was_made_anew(users):
    """The server has forgotten the old connections; their inserts must not run as the new user of that name."""
    scene = users.scene
    old = [users.client("ada") for _ in range(3)]
    busy = scene.busy(old[0])
    users.drop()
    new = [users.client("ada") for _ in range(2)]
    messages = scene.gather((old[1], 1), (new[0], 2), (old[2], 3), (new[1], 4))
    busy.answer()
    seen = {}
    while len(seen) < 4:
        arrived = scene.inserts.next()
        seen |= {one: users.who(arrived) for one in arrived.ids}
        arrived.answer()
    assert seen == {1: [], 2: ["ada"], 3: [], 4: ["ada"]}
    for client, message in zip((old[1], new[0], old[2], new[1]), messages, strict=True):
        assert client.answered(message).body["n"] == 1


def test_who_was_there_already_is_of_the_same_user(users):
    """A new connection of a user who was not made anew is merged with the old ones."""
    a, b, new = (users.client("ada") for _ in range(3))
    assert users.together(b, new, users.scene.busy(a))
    assert users.together(new, a, users.scene.busy(b))


def test_a_batch_sent_again_goes_over_a_connection_of_its_users(users):
    scene = users.scene
    clients = [users.client("ada") for _ in range(4)]
    users.client("bob")
    busy = scene.busy(clients[0])
    messages = scene.gather(*((client, at) for at, client in enumerate(clients[1:], 1)))
    busy.answer()
    first = scene.inserts.next()
    assert first.ids == [1, 2, 3] and users.who(first) == ["ada"]
    first.cut(run=False)
    again = scene.inserts.next()
    assert again.ids == [1, 2, 3] and users.who(again) == ["ada"] and again.connection is not first.connection
    again.answer()
    answered = 0
    for client, message in zip(clients[1:], messages, strict=True):
        try:
            answered += client.answered(message).body["n"]
        except ConnectionError:
            pass  # the client whose connection broke
    assert answered >= 2


def test_a_retry_as_the_first_command_of_a_connection(users):
    """The proxy asks the server before it; otherwise it would not recognise the retry."""
    scene = users.scene
    a, b, c = (users.client("ada") for _ in range(3))
    busy = scene.busy(c)
    messages = scene.gather((a, 1), (b, 2))
    busy.answer()
    scene.inserts.next().answer()
    assert a.answered(messages[0]).body["n"] == b.answered(messages[1]).body["n"] == 1
    again = users.client("ada", known=False)
    message = again.message(1, lsid=lsid(a.session), txnNumber=Int64(a.number))
    again.send(message)
    assert again.answered(message).body == {"n": 1, "ok": 1.0}
    assert scene.inserts.none_waits()
    stranger = users.client("bob", known=False)
    stranger.send(stranger.message(1, lsid=lsid(a.session), txnNumber=Int64(a.number)))
    assert scene.inserts.next().ids == [1], "another's is no retry of it"


def test_a_client_that_ends_its_side_over_the_question(users):
    """It receives the answer to its insert, as on a direct connection."""
    asked = threading.Event()
    users.server.answers_after_end = True

    async def later(server, connection, request):
        while not asked.is_set():
            await asyncio.sleep(0.01)
        return {"authInfo": {"authenticatedUsers": []}, "ok": 1.0}
    users.server.handlers["connectionStatus"] = later
    client = users.scene.client(known=False)
    message = client.insert(1)
    users.server.wait_for_request("connectionStatus")
    client.socket.shutdown(socket.SHUT_WR)
    users.scene.read_all()
    asked.set()
    users.scene.inserts.next().answer()
    assert client.answered(message).body["n"] == 1
