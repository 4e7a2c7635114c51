"""No command runs as another user than its client's when clients share upstream connections, whether the server or the
proxy checks the logins. alice may read d only, bob elsewhere only, and nobody nothing. Clients of alice's keep the
proxy busy meanwhile, so that connections of hers are always near. The random plays are the same each time, or those of
the seed SLUICE_ATTACK_SEED."""

import contextlib
import os
import random
import secrets

import identity_play
import pytest
from bson import Binary
from bson.son import SON
from identity_play import ALICE, BOB, MECHANISMS, Side
from support import wire

pytestmark = pytest.mark.proxy_only
SEED = int(os.environ.get("SLUICE_ATTACK_SEED", "1"))
RANDOM_PLAYS = 6
SHARED = {"pool.mode": "shared"}
MODES = {"server": SHARED, "proxy": {**SHARED, "auth.verifiers": "upstream"}}
DATABASES = {ALICE: "d", BOB: "elsewhere"}
UNAUTHORIZED = 13
STREAM = 30  # documents


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = identity_play.start_server(tmp_path_factory.mktemp("shared_identity"))
    with server.endpoint.client() as client:
        for database in DATABASES.values():
            client[database]["stream"].insert_many({"of": database} for _ in range(STREAM))
    yield server
    server.stop()


@pytest.fixture(scope="module", params=MODES)
def scene(request, server):
    """The parameter tells who checks logins."""
    with contextlib.closing(identity_play.Scene(server, MODES[request.param])) as scene:
        scene.proxy_logs_in = request.param == "proxy"
        yield scene
        assert_nobody_took_harm(scene)


@pytest.fixture
def client(scene):
    with contextlib.closing(Client(scene.through)) as client:
        yield client


class Client(Side):
    """A client that does what no driver does."""

    def __init__(self, endpoint):
        super().__init__(endpoint, "none ")

    def close(self):
        self.client.socket.close()

    def ask(self, body, **more):
        return self.client.command(body, **more)

    def read_message(self, database):
        return wire.op_msg({"find": "stream", "limit": 1, "singleBatch": True, "$db": database})

    def rights(self):
        """Returns the users whose database it can read."""
        return {user for user, database in DATABASES.items()
                if may_read(self.client.ask(self.read_message(database)))}

    def users(self):
        """Returns the users that the server knows on its connection. SecantusDB does not tell nobody."""
        status = self.ask({"connectionStatus": 1})
        if status.get("code") == UNAUTHORIZED:
            return set()
        return {one["user"] for one in status["authInfo"]["authenticatedUsers"]}

    def assert_is(self, *allowed):
        """It is one of these sets of users, in the server's words and by what it can read."""
        users = self.users()
        assert users in [set(one) for one in allowed]
        assert self.rights() == users
        return users

    def start_body(self, user):
        return {"saslStart": 1, "mechanism": MECHANISMS[0], "payload": Binary(self.first(user, MECHANISMS[0])),
                "options": {"skipEmptyExchange": True}, "$db": "admin"}

    def final_body(self):
        return {"saslContinue": 1, "conversationId": self.challenge["conversationId"],
                "payload": Binary(self.proof(None)), "$db": "admin"}


def may_read(reply):
    body = reply.body
    if body["ok"] == 1:
        assert len(body["cursor"]["firstBatch"]) == 1
        return True
    assert body["code"] == UNAUTHORIZED, body
    return False


def assert_nobody_took_harm(scene):
    """New clients of each kind get their own rights."""
    for user in (ALICE, None, BOB, None, ALICE):
        with contextlib.closing(Client(scene.through)) as other:
            if user is not None:
                other.log_in(user)
            other.assert_is([user] if user else [])


# --- logins in one breath with other commands


@pytest.mark.parametrize("user", [ALICE, BOB])
def test_commands_behind_the_last_step_run_as_the_new_user(client, user):
    client.start([user])
    reads = [client.read_message(database) for database in DATABASES.values()]
    client.client.send(b"".join([wire.op_msg(client.final_body()), *reads, *reads]))
    assert client.receive()["done"] is True
    for _ in range(2):
        assert {one for one in DATABASES if may_read(client.client.receive())} == {user}
    client.assert_is([user])


def test_commands_around_the_first_step_run_as_nobody(client):
    read = client.read_message(DATABASES[ALICE])
    client.client.send(b"".join([read, wire.op_msg(client.start_body(ALICE)), read, read]))
    assert not may_read(client.client.receive())
    client.receive()
    assert not may_read(client.client.receive())
    assert not may_read(client.client.receive())
    client.go_on()
    client.assert_is([ALICE])


def test_a_command_before_the_last_step_runs_as_nobody(client):
    """The connection that the first command had is not the new user's."""
    client.start([BOB])
    read = client.read_message(DATABASES[BOB])
    client.client.send(b"".join([read, wire.op_msg(client.final_body()), read]))
    assert not may_read(client.client.receive())
    assert client.receive()["done"] is True
    assert may_read(client.client.receive())
    client.assert_is([BOB])


def test_commands_around_a_wrong_proof_run_as_nobody(client):
    client.start([ALICE])
    read = client.read_message(DATABASES[ALICE])
    wrong = {**client.final_body(), "payload": Binary(client.proof(BOB))}
    client.client.send(b"".join([wire.op_msg(wrong), read, read]))
    assert client.receive()["code"] == 18
    assert not may_read(client.client.receive())
    assert not may_read(client.client.receive())
    client.assert_is([])


def test_a_login_behind_a_stream(client):
    """bob's login is sent while a stream of replies to alice is under way."""
    client.log_in(ALICE)
    found = client.ask({"find": "stream", "batchSize": 1, "$db": "d"})["cursor"]
    more = wire.op_msg({"getMore": found["id"], "collection": "stream", "batchSize": 5, "$db": "d"},
                       flags=wire.EXHAUST_ALLOWED)
    client.client.send(more + wire.op_msg(client.start_body(BOB)))
    documents = 0
    while True:
        reply = client.client.receive()
        documents += len(reply.body["cursor"]["nextBatch"])
        assert all(one["of"] == "d" for one in reply.body["cursor"]["nextBatch"])
        if not reply.flags & wire.MORE_TO_COME:
            break
    assert documents > 0
    if client.receive()["ok"] == 1:
        client.go_on()
    client.assert_is([ALICE], [BOB], [ALICE, BOB])


# --- other forms of a login


def test_a_compressed_login(scene, client):
    """SecantusDB knows no compression, and closes the connection."""
    client.client.send(wire.compress(wire.op_msg(client.start_body(BOB)), "zlib"))
    if not scene.proxy_logs_in:
        client.client.assert_closed()
        return
    client.receive()
    client.client.send(wire.compress(wire.op_msg(client.final_body()), "zlib"))
    assert client.receive()["done"] is True
    client.assert_is([BOB])


@pytest.mark.parametrize("user", [ALICE, BOB])
def test_a_login_that_a_query_begins(client, user):
    inner = {**client.start_body(user), "db": "admin"}
    del inner["$db"]
    client.client.send(wire.op_query(SON([("isMaster", 1), ("speculativeAuthenticate", inner)])))
    assert client.receive()["speculativeAuthenticate"]["payload"]
    assert client.rights() == set()
    client.go_on()
    client.assert_is([user])


def test_a_login_in_queries_only(client):
    for body in (client.start_body, lambda _: client.final_body()):
        pairs = body(BOB)
        del pairs["$db"]
        client.client.send(wire.op_query(SON(pairs)))
        assert client.receive()["ok"] == 1
    client.assert_is([BOB])


# --- several logins


def test_a_second_conversation_replaces_the_first(client):
    client.start([ALICE])
    old = client.challenge
    client.start([BOB])
    client.challenge = old
    client.go_on()
    assert BOB not in client.assert_is([], [ALICE])


def test_a_conversation_of_another_client(scene, client):
    with contextlib.closing(Client(scene.through)) as other:
        other.start([ALICE])
        client.client.send(wire.op_msg(other.final_body()))
        assert client.receive()["ok"] == 0
        client.assert_is([])
        other.go_on()
        other.assert_is([ALICE])


def test_a_second_login_as_another_user(client):
    client.log_in(ALICE)
    client.assert_is([ALICE])
    client.log_in(BOB)
    client.assert_is([ALICE], [BOB], [ALICE, BOB])


@pytest.mark.parametrize("flags", [0, wire.MORE_TO_COME])
def test_commands_behind_a_logout(scene, client, flags):
    """SecantusDB knows no logout, and leaves the user logged in. The proxy's own logins end."""
    client.log_in(ALICE)
    read = client.read_message(DATABASES[ALICE])
    client.client.send(read + wire.op_msg({"logout": 1, "$db": "admin"}, flags=flags) + read)
    assert may_read(client.client.receive())
    if not flags:
        assert client.receive()["ok"] == scene.proxy_logs_in
    reads = may_read(client.client.receive())
    users = client.assert_is([], [ALICE])
    assert reads == (users == {ALICE})
    if scene.proxy_logs_in:
        assert users == set()
        client.log_in(BOB)
        client.assert_is([BOB])


@pytest.mark.parametrize("user", [None, ALICE, BOB])
def test_commands_that_are_in_no_list(scene, client, user):
    if user is not None:
        client.log_in(user)
    is_user = [user] if user else []
    unknown = wire.op_msg({"becomeSomebody": 1, "user": ALICE, "$db": "admin"})
    read = client.read_message(DATABASES[ALICE])
    client.client.send(unknown + read + unknown + read)
    for _ in range(2):
        assert client.receive()["ok"] == 0
        assert may_read(client.client.receive()) == (user == ALICE)
    client.assert_is(is_user)


# --- malformed ones


@pytest.mark.parametrize("body", [
    {"saslStart": 1, "$db": "admin"},
    {"saslStart": 1, "mechanism": 7, "payload": Binary(b"n,,n=alice,r=x"), "$db": "admin"},
    {"saslStart": 1, "mechanism": MECHANISMS[0], "payload": {"n": "alice"}, "$db": "admin"},
    {"saslStart": 1, "mechanism": MECHANISMS[0], "payload": Binary(b"n,a=bob,n=alice,r=x"), "$db": "admin"},
    {"saslStart": 1, "mechanism": MECHANISMS[0], "payload": Binary(b"\xff" * 4096), "$db": "admin"},
    {"saslContinue": 1, "conversationId": "1", "payload": Binary(b""), "$db": "admin"},
    {"saslContinue": 1, "conversationId": 1, "payload": 3, "$db": "admin"},
    {"saslContinue": 1, "$db": "admin"},
    {"logout": "x", "$db": "no.where"},
    {"authenticate": 1, "mechanism": "MONGODB-X509", "user": ALICE, "$db": "$external"},
])
def test_malformed_logins(client, body):
    read = client.read_message(DATABASES[ALICE])
    client.client.send(wire.op_msg(body) + read)
    client.receive()
    assert not may_read(client.client.receive())
    client.assert_is([])
    client.log_in(BOB)
    client.assert_is([BOB])


def test_a_client_that_leaves_in_the_middle_of_its_last_step(scene):
    for part in (20, 60, None):
        with contextlib.closing(Client(scene.through)) as client:
            client.start([ALICE])
            client.client.send(wire.op_msg(client.final_body())[:part])
    assert_nobody_took_harm(scene)


# --- plays


def assert_no_more_than_directly(scene, steps):
    """SecantusDB does not log out, and lets a second user log in; the proxy's own logins do otherwise. So inserts of
    the client may fail that run directly, and never the other way round."""
    through, direct = Side(scene.through, f"{secrets.token_hex(4)} "), Side(scene.direct, f"{secrets.token_hex(4)} ")
    for side in (through, direct):
        side.run(steps)
    assert len(through.outcomes) == len(direct.outcomes), steps
    numbers = [{int(one.rpartition(" ")[2]) for one in scene.stored(side.prefix)} for side in (through, direct)]
    assert numbers[0] <= numbers[1], steps


def play(scene, steps):
    if scene.proxy_logs_in:
        assert_no_more_than_directly(scene, steps)
    else:
        assert identity_play.compare(scene, steps) == [], steps


@pytest.mark.parametrize("name", [name for name in identity_play.PLAYS if "reply" in name or "hello" in name])
def test_plays_that_a_person_thought_of(scene, name):
    play(scene, identity_play.PLAYS[name])


@pytest.mark.long
def test_plays_that_nobody_thought_of(scene, capsys):
    with capsys.disabled():
        print(f"\n  shared identity: seed {SEED}")
    dice = random.Random(SEED)
    for _ in range(RANDOM_PLAYS):
        play(scene, identity_play.random_play(dice))


def test_inserts_are_merged_meanwhile(scene):
    """Checks the precondition of the plays."""
    scene.proxy.wait_for_counter("mergedBatches", 51)  # this process may have run none of them
    assert identity_play.batches(scene) > 50
