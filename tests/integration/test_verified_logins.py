"""Logins that the proxy checks itself (auth.verifiers), for clients that share upstream connections. The server is a
SecantusDB with access control; each test has users of its own."""

import base64
import json
import os
import random
import secrets
import signal
import threading
import time
import uuid
from dataclasses import dataclass

import pytest
from bson import Binary
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from support.admin import Admin
from support.endpoint import Endpoint
from support.process import eventually
from support.proxy import Proxy, run_proxy
from support.scram import authenticate, final_message
from support.servers import Server
from support.wire import MORE_TO_COME, OP_REPLY, RawClient, op_msg, op_query

pytestmark = pytest.mark.proxy_only

PROXY_PASSWORD = "Proxy:secret/1"
MECHANISMS = ["SCRAM-SHA-1", "SCRAM-SHA-256"]


@dataclass
class Guarded:
    """A server with access control, and an administrator."""

    server: Server

    @property
    def address(self):
        return self.server.endpoint.address

    def client(self, user="root", password=PROXY_PASSWORD, **options):
        return MongoClient(f"mongodb://{self.address}/?directConnection=true", username=user, password=password,
                           serverSelectionTimeoutMS=15000, **options)

    def run(self, *args, **more):
        with self.client() as root:
            return root.admin.command(*args, **more)

    def add_user(self, password="pencil", roles=("readWriteAnyDatabase",), mechanisms=MECHANISMS, name=None):
        name = name or f"u{uuid.uuid4().hex[:10]}"
        self.run("createUser", name, pwd=password, roles=list(roles), mechanisms=list(mechanisms))
        return name

    def upstream(self, user="root", password=PROXY_PASSWORD):
        return Endpoint(self.address, None, None, user, password).uri(directConnection="true")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """Users can only be made before authentication is on, so it is started twice on the same data."""
    folder = tmp_path_factory.mktemp("verified") / "data"
    first = Server(folder, replica_set=None)
    with MongoClient(first.endpoint.uri(directConnection="true")) as client:
        client.admin.command("createUser", "root", pwd=PROXY_PASSWORD, roles=["root"], mechanisms=MECHANISMS)
    first.process.stop()
    running = Server(folder, "--enable-test-commands", replica_set=None, user="root", password=PROXY_PASSWORD)
    yield Guarded(running)
    running.stop()


OPTIONS = {"pool.mode": "shared", "auth.verifiers": "upstream", "threads": 1, "admin.listen": "127.0.0.1:0"}


@pytest.fixture(scope="module")
def front(guarded):
    """A proxy that checks logins itself."""
    proxy = Proxy(guarded.upstream(), OPTIONS)
    yield proxy
    proxy.finish()


@pytest.fixture
def start(start_proxy, guarded):
    """Starts a proxy that checks logins itself: start({option: value}, account)."""
    def begin(options=None, upstream=None):
        return start_proxy(upstream or guarded.upstream(), {**OPTIONS, **(options or {})})
    return begin


def address(proxy):
    return proxy.endpoint().address


def connect(proxy, user, password="pencil", **options):
    return MongoClient(f"mongodb://{address(proxy)}/?directConnection=true", username=user, password=password,
                       serverSelectionTimeoutMS=15000, **options)


def users_of(client):
    status = client.admin.command("connectionStatus")
    return [f"{user['user']}@{user['db']}" for user in status["authInfo"]["authenticatedUsers"]]


def wire(proxy):
    return RawClient(proxy.endpoint())


def start_of(user, mechanism="SCRAM-SHA-256", header=b"n,,", **more):
    first = header + b"n=" + user.encode() + b",r=" + base64.b64encode(secrets.token_bytes(18))
    return {"saslStart": 1, "mechanism": mechanism, "payload": Binary(first), "autoAuthorize": 1, "$db": "admin",
            **more}


def fields(payload):
    return dict(part.split(b"=", 1) for part in bytes(payload).split(b","))


def assert_failed(reply):
    assert reply["ok"] == 0
    assert (reply["code"], reply["codeName"]) == (18, "AuthenticationFailed")
    assert reply["errmsg"] == "Authentication failed."


# --- logins


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_driver_logs_in(front, guarded, mechanism):
    user = guarded.add_user()
    proxy = front
    with connect(proxy, user, authMechanism=mechanism) as client:
        assert users_of(client) == [f"{user}@admin"]
        client.shop[user].insert_one({"a": 1})
        assert client.shop[user].count_documents({}) == 1
    proxy.wait_for_record("the login", id=2006, user=user, mechanism=mechanism)


def test_a_driver_asks_for_the_mechanisms(front, guarded):
    both, one = guarded.add_user(), guarded.add_user(mechanisms=["SCRAM-SHA-1"])
    with wire(front) as client:
        def mechanisms(user):
            return client.command({"hello": 1, "saslSupportedMechs": f"admin.{user}", "$db": "admin"})["saslSupportedMechs"]
        assert sorted(mechanisms(both)) == MECHANISMS
        assert mechanisms(one) == ["SCRAM-SHA-1"]
        assert sorted(mechanisms("nobody")) == MECHANISMS


@pytest.mark.parametrize("speculative", [False, True])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_step_by_step(front, guarded, mechanism, speculative):
    user = guarded.add_user()
    with wire(front) as client:
        reply, _ = authenticate(client, mechanism, user, "pencil", speculative=speculative)
        assert reply["ok"] == 1
        assert reply["done"] is True
        status = client.command({"connectionStatus": 1, "$db": "admin"})
        assert [one["user"] for one in status["authInfo"]["authenticatedUsers"]] == [user]


def test_names_and_passwords_of_any_characters(front, guarded):
    """PyMongo prepares the password. (SecantusDB does not unescape = and comma in names; tests/unit/auth does.)"""
    choice = random.Random(20261130)
    for mechanism in MECHANISMS * 4:
        name = "".join(choice.choices("aZ09@.:/% \u00e9\u4e2d\U0001f600", k=choice.randint(1, 20))) + uuid.uuid4().hex[:6]
        password = "".join(choice.choices("aZ09=,@.:/% \u00e9\u2126\u4e2d", k=choice.randint(1, 20)))
        guarded.add_user(password, mechanisms=[mechanism], name=name)
        with connect(front, name, password, authMechanism=mechanism) as client:
            assert users_of(client) == [f"{name}@admin"]
        with connect(front, name, password + "x", authMechanism=mechanism) as client, \
                pytest.raises(OperationFailure) as caught:
            client.admin.command("ping")
        assert caught.value.code == 18


@pytest.mark.parametrize("speculative", [False, True])
@pytest.mark.parametrize("exists", [True, False])
def test_a_wrong_password_is_refused(front, guarded, exists, speculative):
    """For a user that does not exist, everything is the same: the refusal comes after the proof."""
    user = guarded.add_user() if exists else "nobody"
    with wire(front) as client:
        reply, (challenge, *_) = authenticate(client, "SCRAM-SHA-256", user, "wrong", speculative=speculative)
        assert_failed(reply)
        assert fields(challenge)[b"i"] == b"15000"
        assert len(base64.b64decode(fields(challenge)[b"s"])) == 28
        # the connection goes on, as nobody
        assert client.command({"ping": 1, "$db": "admin"})["ok"] in (0, 1)
        reply, _ = authenticate(client, "SCRAM-SHA-256", guarded.add_user(), "pencil", speculative=False)
        assert reply["done"] is True


def test_a_driver_sees_the_refusal(front, guarded):
    user = guarded.add_user()
    proxy = front
    for name in (user, "nobody"):
        with connect(proxy, name, "wrong") as client, pytest.raises(OperationFailure) as caught:
            client.admin.command("ping")
        assert caught.value.code == 18


def test_users_that_do_not_exist_have_stable_salts(start, guarded, tmp_path):
    """All proxies with the same secret invent the same ones, also after a restart."""
    secret = base64.b64encode(secrets.token_bytes(32)).decode()
    file = tmp_path / "verifiers.json"
    file.write_text(json.dumps({"users": [], "secret": secret}))
    salts = []
    for _ in range(2):
        with wire(start({"auth.verifiers": file})) as client:
            for _ in range(2):
                reply = client.command(start_of("nobody"))
                salts.append(fields(reply["payload"])[b"s"])
            other = fields(client.command(start_of("someone"))["payload"])[b"s"]
    assert len(set(salts)) == 1
    assert other not in salts


def test_many_logins_cost_the_server_few(start, guarded):
    user = guarded.add_user()
    proxy = start({"auth.verifiers_max_age_ms": 60000})
    admin = Admin(proxy)
    with connect(proxy, user) as first:
        first.admin.command("ping")
    before = admin.metrics()
    for _ in range(40):
        with wire(proxy) as client:
            reply, _ = authenticate(client, "SCRAM-SHA-256", user, "pencil", speculative=True)
            assert reply["done"] is True
    after = admin.metrics()

    def grown(name):
        return after[name] - before[name]
    assert grown("mongosluice_authentications_total") == 40
    assert grown("mongosluice_upstream_requests_total") < 20  # the proxy's own hellos, one a second


# --- conversations that no driver holds


def test_messages_out_of_order(front, guarded):
    user = guarded.add_user()
    with wire(front) as client:
        def go_on(**fields_of):
            return client.command({"saslContinue": 1, "conversationId": 1, "payload": Binary(b""), "$db": "admin",
                                   **fields_of})
        assert go_on()["code"] == 17
        for wrong in ({"conversationId": 2}, {"payload": Binary(b"c=biws,r=x,p=AAAA")}, {"payload": "!"}, {}):
            assert client.command(start_of(user))["done"] is False
            assert_failed(go_on(**wrong))
            assert go_on()["code"] == 17
        # a second saslStart begins anew; a command between two steps is served
        client.command(start_of("nobody"))
        assert client.command({"hello": 1, "$db": "admin"})["ok"] == 1
        reply, _ = authenticate(client, "SCRAM-SHA-1", user, "pencil", speculative=False)
        assert reply["done"] is True


@pytest.mark.parametrize("payload", [
    b"n,a=root,n=alice,r=abc", b"p=tls-unique,,n=alice,r=abc", b"n,,m=x,n=alice,r=abc", b"n,,n=alice", b"", b"n,,n=,r=a"])
def test_first_messages_that_are_refused(front, payload):
    with wire(front) as client:
        assert_failed(client.command({"saslStart": 1, "mechanism": "SCRAM-SHA-256", "payload": Binary(payload),
                                      "$db": "admin"}))
        hello = client.command({"hello": 1, "$db": "admin", "speculativeAuthenticate": {
            "saslStart": 1, "mechanism": "SCRAM-SHA-256", "payload": Binary(payload), "db": "admin"}})
        assert hello["ok"] == 1
        assert "speculativeAuthenticate" not in hello


def test_payloads_as_text(front, guarded):
    user = guarded.add_user()
    with wire(front) as client:
        command = start_of(user)
        command["payload"] = base64.b64encode(command["payload"]).decode()
        reply = client.command(command)
        assert fields(base64.b64decode(reply["payload"]))[b"i"] == b"15000"


def test_with_an_empty_message_at_the_end(front, guarded):
    """Without skipEmptyExchange, the client is logged in after its third message and not before."""
    user = guarded.add_user()
    with wire(front) as client:
        command = start_of(user)
        challenge = client.command(command)["payload"]
        last, _ = final_message("SCRAM-SHA-256", b"pencil", bytes(command["payload"])[3:], bytes(challenge))
        step = {"saslContinue": 1, "conversationId": 1, "$db": "admin"}
        reply = client.command({**step, "payload": Binary(last)})
        assert (reply["ok"], reply["done"], bytes(reply["payload"])[:2]) == (1, False, b"v=")
        assert client.command({"connectionStatus": 1, "$db": "admin"}).get("code") == 13  # still nobody
        reply = client.command({**step, "payload": Binary(b"")})
        assert (reply["ok"], reply["done"], bytes(reply["payload"])) == (1, True, b"")
        status = client.command({"connectionStatus": 1, "$db": "admin"})
        assert [one["user"] for one in status["authInfo"]["authenticatedUsers"]] == [user]
        assert client.command({**step, "payload": Binary(b"")})["code"] == 17


@pytest.mark.parametrize("name", ["isMaster", "hello"])
def test_a_login_begun_in_op_query(front, guarded, name):
    """As the drivers for Go, Node.js and C do."""
    user = guarded.add_user()
    with wire(front) as client:
        start = start_of(user, options={"skipEmptyExchange": True})
        start.pop("$db")
        reply = client.ask(op_query({name: 1, "helloOk": True, "saslSupportedMechs": f"admin.{user}",
                                     "speculativeAuthenticate": {**start, "db": "admin"}}))
        assert reply.opcode == OP_REPLY
        assert sorted(reply.body["saslSupportedMechs"]) == MECHANISMS
        challenge = bytes(reply.body["speculativeAuthenticate"]["payload"])
        last, _ = final_message("SCRAM-SHA-256", b"pencil", bytes(start["payload"])[3:], challenge)
        reply = client.command({"saslContinue": 1, "conversationId": 1, "payload": Binary(last), "$db": "admin"})
        assert reply["done"] is True
        status = client.command({"connectionStatus": 1, "$db": "admin"})
        assert [one["user"] for one in status["authInfo"]["authenticatedUsers"]] == [user]


def test_compression(front, guarded):
    """Connections that the proxy opens and logs in have the compressors of their clients."""
    user = guarded.add_user()
    for options in ({"compressors": "zlib"}, {"compressors": "snappy,zlib"}, {}):
        with connect(front, user, **options) as client:
            client.shop[user].insert_one({"x": "y" * 1000})
            assert users_of(client) == [f"{user}@admin"]
    with connect(front, user) as client:
        assert client.shop[user].count_documents({}) == 3


def test_logout_and_other_users(front, guarded):
    one, two = guarded.add_user(), guarded.add_user()

    def names(client):
        """SecantusDB answers connectionStatus only after a login."""
        status = client.command({"connectionStatus": 1, "$db": "admin"})
        if status["ok"] != 1:
            assert status["code"] == 13
            return []
        return [user["user"] for user in status["authInfo"]["authenticatedUsers"]]
    with wire(front) as client:
        assert authenticate(client, "SCRAM-SHA-256", one, "pencil", speculative=False)[0]["done"] is True
        assert authenticate(client, "SCRAM-SHA-1", one, "pencil", speculative=False)[0]["done"] is True
        assert names(client) == [one]
        refused = client.command(start_of(two))
        assert (refused["ok"], refused["code"]) == (0, 18)
        assert "log out first" in refused["errmsg"]
        assert names(client) == [one]
        assert client.command({"logout": 1, "$db": "other"})["ok"] == 1
        assert names(client) == [one]
        assert client.command({"logout": 1, "$db": "admin"})["ok"] == 1
        assert names(client) == []
        assert authenticate(client, "SCRAM-SHA-256", two, "pencil", speculative=True)[0]["done"] is True
        assert names(client) == [two]


def test_a_failed_login_leaves_the_identity(front, guarded):
    user = guarded.add_user()
    with wire(front) as client:
        authenticate(client, "SCRAM-SHA-256", user, "pencil", speculative=False)
        assert_failed(authenticate(client, "SCRAM-SHA-256", user, "wrong", speculative=False)[0])
        status = client.command({"connectionStatus": 1, "$db": "admin"})
        assert [one["user"] for one in status["authInfo"]["authenticatedUsers"]] == [user]


def test_other_mechanisms_go_to_the_server(front):
    proxy = front
    with wire(proxy) as client:
        reply = client.command({"saslStart": 1, "mechanism": "PLAIN", "payload": Binary(b"\0alice\0pencil"),
                                "$db": "$external"})
        assert "Unsupported SASL mechanism" in reply["errmsg"]  # SecantusDB's own words


@pytest.mark.parametrize("body", [{"saslStart": 1}, {"hello": 1, "saslSupportedMechs": "admin.nobody"}])
def test_endless_logins_end(front, body):
    body = start_of("nobody") if "saslStart" in body else body
    with wire(front) as client:
        for _ in range(32):
            assert client.command(body)["ok"] == 1
        assert "32 authentication commands without a login" in client.command(body)["errmsg"]
        client.assert_closed()


# --- requests that arrive together, and limits of the pool


def begin(client, user, application="app"):
    """The saslContinue with the right proof, for a conversation that it begins."""
    assert client.hello(client={"application": {"name": application}, "driver": {"name": "x", "version": "1"},
                                "os": {"type": "x"}})["ok"] == 1
    return begin_again(client, user)


def begin_again(client, user):
    command = start_of(user, options={"skipEmptyExchange": True})
    challenge = client.command(command)
    last, _ = final_message("SCRAM-SHA-256", b"pencil", bytes(command["payload"])[3:], bytes(challenge["payload"]))
    return {"saslContinue": 1, "conversationId": 1, "payload": Binary(last), "$db": "admin"}


def test_pipelined_requests_after_a_logout_run_as_nobody(front, guarded):
    user = guarded.add_user()
    with wire(front) as client:
        assert client.command(begin(client, user))["done"] is True
        client.send(b"".join(op_msg({**body, "$db": database}) for body, database in (
            ({"ping": 1}, "admin"), ({"logout": 1}, "admin"), ({"connectionStatus": 1}, "admin"),
            ({"insert": user, "documents": [{"after": "logout"}]}, "shop"))))
        ping, logout, status, insert = (client.receive().body for _ in range(4))
        assert (ping["ok"], logout["ok"]) == (1, 1)
        assert status["code"] == insert["code"] == 13
    with connect(front, user) as client:
        assert client.shop[user].count_documents({}) == 0


def test_pipelined_requests_after_a_login_run_as_the_user(front, guarded):
    user = guarded.add_user()
    with wire(front) as client:
        step = begin(client, user)
        client.send(op_msg({"ping": 1, "$db": "admin"}) + op_msg(step) + op_msg({"connectionStatus": 1, "$db": "admin"}))
        _, login, status = (client.receive().body for _ in range(3))
        assert login["done"] is True
        assert [one["user"] for one in status["authInfo"]["authenticatedUsers"]] == [user]


def test_a_write_without_a_reply_before_a_logout_runs_as_the_user(front, guarded):
    user = guarded.add_user()
    with wire(front) as client:
        assert client.command(begin(client, user))["done"] is True
        client.send(op_msg({"insert": user, "$db": "shop", "writeConcern": {"w": 0}}, {"documents": [{}]},
                           flags=MORE_TO_COME) + op_msg({"logout": 1, "$db": "admin"}))
        assert client.receive().body["ok"] == 1
        assert client.command({"find": user, "$db": "shop"})["code"] == 13
    with connect(front, user) as client:
        assert client.shop[user].count_documents({}) == 1


def start_own_server(tmp_path):
    """Starts a server with access control that the test may stop; its user is root."""
    folder = tmp_path / "server" / "data"
    folder.parent.mkdir()
    first = Server(folder, replica_set=None)
    with MongoClient(first.endpoint.uri(directConnection="true")) as client:
        client.admin.command("createUser", "root", pwd="pencil", roles=["root"], mechanisms=MECHANISMS)
    first.process.stop()
    return Server(folder, replica_set=None, user="root", password="pencil")


def test_a_login_that_the_pool_refuses_changes_nothing(start_proxy, tmp_path):
    """The server stands still, so the pool gets no connection in time."""
    running = start_own_server(tmp_path)
    try:
        proxy = start_proxy(running.endpoint.uri(directConnection="true"), {
            **OPTIONS, "pool.wait_timeout_ms": 300, "auth.verifiers_max_age_ms": 60000})
        with wire(proxy) as one, wire(proxy) as two:
            assert one.command(begin(one, "root"))["done"] is True
            running.process.halt()
            try:
                steps = begin(two, "root", "another")
                refused = two.command(steps)
                assert refused["ok"] == 0
                assert "pool" in refused["errmsg"]
                two.command({"logout": 1})
            finally:
                running.process.send(signal.SIGCONT)
            assert two.command({**steps, "payload": Binary(b"x")})["code"] == 17
            assert two.command({"connectionStatus": 1, "$db": "admin"})["code"] == 13
            assert two.command(begin_again(two, "root"))["done"] is True
    finally:
        running.stop()


@pytest.mark.parametrize(("user", "database"), [(b"\xff\xfe", "admin"), (b"a", "a" * 70), (b"a", "a/b"), (b"a", "$x")])
def test_a_name_that_cannot_exist_does_not_spoil_the_reading_of_others(front, guarded, user, database):
    with wire(front) as client:
        command = start_of("a")
        command["payload"] = Binary(b"n,,n=" + user + b",r=" + base64.b64encode(secrets.token_bytes(18)))
        assert client.command({**command, "$db": database})["ok"] in (0, 1)
        assert authenticate(client, "SCRAM-SHA-256", guarded.add_user(), "pencil", speculative=False)[0]["done"] is True
    assert not any(record["id"] == 2011 for record in front.records())


@pytest.mark.parametrize("body", [
    {"hello": 1, "saslSupportedMechs": "admin.a\0b"}, {"hello": 1, "saslSupportedMechs": "ad\0min.a"},
    {"hello": 1, "speculativeAuthenticate": {"saslStart": 1, "mechanism": "SCRAM-SHA-1", "db": "x\0y",
                                             "payload": Binary(b"n,,n=a,r=abc")}},
    {"saslStart": 1, "mechanism": "SCRAM-SHA-1", "payload": Binary(b"n,,n=a,r=abc"), "$db": "x\0y"}])
def test_a_name_with_a_nul_asks_nothing_again_and_again(front, body):
    admin = Admin(front)
    with wire(front) as client:
        client.command(body)
        before = admin.metrics()["mongosluice_upstream_requests_total"]
        time.sleep(0.3)
        assert admin.metrics()["mongosluice_upstream_requests_total"] == before
        assert client.command({"hello": 1})["ok"] == 1


# --- changes


def test_a_password_changed_at_the_server(start, guarded):
    user = guarded.add_user("old")
    proxy = start({"auth.verifiers_max_age_ms": 0})
    with connect(proxy, user, "old") as client:
        client.admin.command("ping")
        guarded.run("updateUser", user, pwd="new", mechanisms=MECHANISMS)
        with wire(proxy) as other:
            assert_failed(authenticate(other, "SCRAM-SHA-256", user, "old", speculative=True)[0])
            assert authenticate(other, "SCRAM-SHA-256", user, "new", speculative=False)[0]["done"] is True
        client.admin.command("ping")  # as with MongoDB, connections stay logged in


def test_a_password_changed_through_the_proxy(start, guarded):
    """The known verifier is young, and not used any more."""
    user = guarded.add_user("old")
    proxy = start({"auth.verifiers_max_age_ms": 3600000})
    with connect(proxy, "root", PROXY_PASSWORD) as root, wire(proxy) as other:
        assert authenticate(other, "SCRAM-SHA-256", user, "old", speculative=True)[0]["done"] is True
        assert other.command({"logout": 1, "$db": "admin"})["ok"] == 1
        root.admin.command("updateUser", user, pwd="new", mechanisms=MECHANISMS)
        assert_failed(authenticate(other, "SCRAM-SHA-256", user, "old", speculative=False)[0])
        assert authenticate(other, "SCRAM-SHA-256", user, "new", speculative=False)[0]["done"] is True
        assert other.command({"logout": 1, "$db": "admin"})["ok"] == 1
        root.admin.command("dropUser", user)
        assert_failed(authenticate(other, "SCRAM-SHA-256", user, "new", speculative=False)[0])


def test_a_stale_credential_is_refused_as_the_server_does(start, guarded):
    """The verifier is old, the pool has no connection, and the server refuses the login of the proxy."""
    user = guarded.add_user("old")
    proxy = start({"auth.verifiers_max_age_ms": 3600000, "pool.idle_timeout_ms": 1})
    with wire(proxy) as client:
        assert authenticate(client, "SCRAM-SHA-256", user, "wrong", speculative=True)[0]["ok"] == 0
        guarded.run("updateUser", user, pwd="new", mechanisms=MECHANISMS)
        assert_failed(authenticate(client, "SCRAM-SHA-256", user, "old", speculative=False)[0])
        # the refusal made the proxy read the user again
        assert authenticate(client, "SCRAM-SHA-256", user, "new", speculative=False)[0]["done"] is True


def test_a_new_user_is_known_at_once(start, guarded):
    proxy = start({"auth.verifiers_max_age_ms": 0})
    name = f"u{uuid.uuid4().hex[:10]}"
    with wire(proxy) as client:
        assert_failed(authenticate(client, "SCRAM-SHA-256", name, "pencil", speculative=False)[0])
        guarded.add_user(name=name)
        assert authenticate(client, "SCRAM-SHA-256", name, "pencil", speculative=False)[0]["done"] is True


def test_a_pool_refills_itself(start, guarded):
    """Its connections are gone; clients go on without a login."""
    user = guarded.add_user()
    proxy = start({"pool.idle_timeout_ms": 100})
    with connect(proxy, user) as client:
        client.admin.command("ping")
        admin = Admin(proxy)
        before = admin.metrics()["mongosluice_authentications_total"]
        time.sleep(0.5)  # longer than the time of an idle connection
        for _ in range(3):
            assert users_of(client) == [f"{user}@admin"]
        assert admin.metrics()["mongosluice_authentications_total"] == before


def test_after_a_restart_of_the_server_no_client_logs_in_again(start_proxy, tmp_path):
    """All connections of the pool are lost; the clients' own stay, and the proxy logs in again."""
    running = start_own_server(tmp_path)
    try:
        proxy = start_proxy(running.endpoint.uri(directConnection="true"), OPTIONS)
        with wire(proxy) as one, wire(proxy) as two, wire(proxy) as nobody:
            for client in (one, two):
                assert authenticate(client, "SCRAM-SHA-256", "root", "pencil", speculative=False)[0]["done"] is True
            nobody.hello()
            running.process.stop()
            # a write that wants no reply gets none, also if no connection can be opened for it
            nobody.send(op_msg({"insert": "x", "$db": "shop"}, {"documents": [{}]}, flags=MORE_TO_COME))
            nobody.assert_closed()
            running = Server(tmp_path / "server" / "data", port=running.port, replica_set=None, user="root", password="pencil")
            for client in (one, two):
                status = client.command({"connectionStatus": 1, "$db": "admin"})
                assert [user["user"] for user in status["authInfo"]["authenticatedUsers"]] == ["root"]
        assert Admin(proxy).metrics()["mongosluice_authentications_total"] == 2
    finally:
        running.stop()


# --- the source


def take_users(guarded, *names):
    users = guarded.run("usersInfo", [{"user": name, "db": "admin"} for name in names], showCredentials=True)["users"]
    return {"users": [{key: user[key] for key in ("user", "db", "credentials")} for user in users]}


def test_a_file_of_verifiers(start, guarded, tmp_path):
    one, two = guarded.add_user(), guarded.add_user()
    file = tmp_path / "verifiers.json"
    file.write_text(json.dumps(take_users(guarded, one)))
    file.chmod(0o600)
    proxy = start({"auth.verifiers": file}, f"mongodb://{guarded.address}/?directConnection=true")
    with wire(proxy) as client:
        assert authenticate(client, "SCRAM-SHA-256", one, "pencil", speculative=True)[0]["done"] is True
        assert client.command({"logout": 1, "$db": "admin"})["ok"] == 1
        assert_failed(authenticate(client, "SCRAM-SHA-256", two, "pencil", speculative=False)[0])
        changed = tmp_path / "changed.json"
        changed.write_text(json.dumps(take_users(guarded, one, two)))
        changed.chmod(0o600)
        os.replace(changed, file)
        proxy.wait_for_record("the new file", id=2015)
        assert authenticate(client, "SCRAM-SHA-256", two, "pencil", speculative=False)[0]["done"] is True
        file.write_text('{"users": [{"user": "a", "db": "b", "credentials": {"SCRAM-SHA-1": {}}}]}')
        record = proxy.wait_for_record("the broken file", id=2016)
        assert "users[0].credentials.SCRAM-SHA-1.iterationCount" in record["attr"]["error"]
        assert client.command({"logout": 1, "$db": "admin"})["ok"] == 1
        assert authenticate(client, "SCRAM-SHA-256", two, "pencil", speculative=False)[0]["done"] is True


def test_a_start_without_the_right_to_read_users(guarded):
    weak = guarded.add_user(roles=["readWriteAnyDatabase"])
    cases = [(guarded.upstream(weak, "pencil"), "viewUser"),
             (guarded.upstream(weak, "wrong"), "refuses the account"),
             (f"mongodb://{guarded.address}/?directConnection=true", "upstream names no account")]
    for upstream, why in cases:
        for more in ([], ["--check-config"]):
            code, _, errors = run_proxy("--upstream", upstream, "--listen", "127.0.0.1:0", "--pool.mode", "shared",
                                        "--auth.verifiers", "upstream", *more)
            assert code != 0
            assert "auth.verifiers" in errors
            assert why in errors
            assert "wrong" not in errors


def test_without_shared_mode_a_warning(start, guarded):
    proxy = start({"pool.mode": "session"})
    assert proxy.wait_for_record("the warning", id=2017)["s"] == "W"
    with connect(proxy, guarded.add_user()) as client:
        client.admin.command("ping")  # the server checks the login
    assert not any(record["id"] == 2006 for record in proxy.records())


def test_a_start_with_a_bad_file(guarded, tmp_path):
    file = tmp_path / "verifiers.json"
    file.write_text("{}")
    for more in ([], ["--check-config"]):
        code, _, errors = run_proxy("--upstream", f"mongodb://{guarded.address}/", "--listen", "127.0.0.1:0",
                                    "--auth.verifiers", file, *more)
        assert code != 0
        assert f"{file}: users must be an array" in errors


@pytest.mark.parametrize("fault", [{"closeConnection": True}, {"errorCode": 13}])
def test_the_source_is_away(start, guarded, fault):
    """Known users are checked with the known verifiers for a while, others by the server."""
    known, other = guarded.add_user(), guarded.add_user()
    proxy = start({"auth.verifiers_max_age_ms": 0})
    with connect(proxy, known) as client:
        client.admin.command("ping")
    guarded.run("configureFailPoint", "failCommand", mode="alwaysOn",
                data={"failCommands": ["usersInfo"], "appName": "mongosluice", **fault})
    try:
        with connect(proxy, known) as client:
            assert users_of(client) == [f"{known}@admin"]
        with connect(proxy, other) as client:
            assert users_of(client) == [f"{other}@admin"]
        with wire(proxy) as client:
            assert_failed(authenticate(client, "SCRAM-SHA-256", known, "wrong", speculative=True)[0])
        proxy.wait_for_record("the failed reading", id=2011)
        proxy.wait_for_record("the login at the server", id=2008)
        checked = [record for record in proxy.records() if record["id"] == 2006]
        assert {record["attr"]["user"] for record in checked} == {known}
    finally:
        guarded.run("configureFailPoint", "failCommand", mode="off")

    def is_back():
        with connect(proxy, other) as client:
            assert users_of(client) == [f"{other}@admin"]
        return any(record["id"] == 2012 for record in proxy.records())
    eventually(is_back, "the source is back")


@pytest.mark.parametrize("fault", [{"closeConnection": True}, {"errorCode": 13}])
def test_while_the_source_is_away_a_right_password_is_not_refused_for_long(start, guarded, fault):
    """A password changes, and a user that did not exist is created: the known answers are wrong."""
    changed, created = guarded.add_user("old"), f"u{uuid.uuid4().hex[:10]}"
    proxy = start({"auth.verifiers_max_age_ms": 0})
    with wire(proxy) as client:
        assert authenticate(client, "SCRAM-SHA-256", changed, "old", speculative=True)[0]["done"] is True
    with wire(proxy) as client:
        assert_failed(authenticate(client, "SCRAM-SHA-256", created, "pencil", speculative=False)[0])
    guarded.run("updateUser", changed, pwd="new", mechanisms=MECHANISMS)
    guarded.add_user(name=created)
    guarded.run("configureFailPoint", "failCommand", mode="alwaysOn",
                data={"failCommands": ["usersInfo"], "appName": "mongosluice", **fault})
    try:
        with connect(proxy, created) as client:
            assert users_of(client) == [f"{created}@admin"]
        with wire(proxy) as client:  # the refusal casts doubt on the known verifier
            assert_failed(authenticate(client, "SCRAM-SHA-256", changed, "new", speculative=True)[0])
        with connect(proxy, changed, "new") as client:
            assert users_of(client) == [f"{changed}@admin"]
        with wire(proxy) as client:  # the server refuses it
            assert authenticate(client, "SCRAM-SHA-256", changed, "old", speculative=False)[0]["code"] == 18
    finally:
        guarded.run("configureFailPoint", "failCommand", mode="off")


def test_one_lost_connection_is_no_failed_reading(start, guarded):
    """As when a firewall closes the idle connection of the readings."""
    user = guarded.add_user("old")
    proxy = start({"auth.verifiers_max_age_ms": 0})
    with wire(proxy) as client:
        assert authenticate(client, "SCRAM-SHA-256", user, "old", speculative=True)[0]["done"] is True
    guarded.run("updateUser", user, pwd="new", mechanisms=MECHANISMS)
    guarded.run("configureFailPoint", "failCommand", mode={"times": 1},
                data={"failCommands": ["usersInfo"], "appName": "mongosluice", "closeConnection": True})
    with wire(proxy) as client:
        assert authenticate(client, "SCRAM-SHA-256", user, "new", speculative=True)[0]["done"] is True


def test_a_server_that_comes_back_is_read_at_once(start_proxy, tmp_path):
    """libmongoc by itself leaves a server alone for 5 s after it did not answer."""
    running = start_own_server(tmp_path)
    try:
        upstream = running.endpoint.uri(directConnection="true")
        running.process.stop()
        proxy = start_proxy(upstream, OPTIONS)
        proxy.wait_for_record("the failed reading", id=2011)
        running = Server(tmp_path / "server" / "data", port=running.port, replica_set=None, user="root", password="pencil")
        with wire(proxy) as client:
            assert authenticate(client, "SCRAM-SHA-256", "root", "pencil", speculative=False)[0]["done"] is True
        proxy.wait_for_record("the login at the proxy", id=lambda number: number in (2006, 2008))
        assert not any(record["id"] == 2008 for record in proxy.records())
    finally:
        running.stop()


def test_two_clients_log_in_at_once(front, guarded):
    """All of them wait for the first connection of the pool, which logs in once."""
    user = guarded.add_user()
    proxy = front
    failures = []

    def log_in():
        try:
            with connect(proxy, user) as client:
                assert users_of(client) == [f"{user}@admin"]
        except Exception as fault:  # of a thread: reported by the test
            failures.append(fault)
    threads = [threading.Thread(target=log_in) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def test_no_key_is_logged(start, guarded):
    user = guarded.add_user("Pencil:4711/x")
    proxy = start({"log.level": "debug"})
    verifiers = take_users(guarded, user)["users"][0]["credentials"]
    with wire(proxy) as client:
        _, payloads = authenticate(client, "SCRAM-SHA-256", user, "Pencil:4711/x", speculative=True)
        _, more = authenticate(client, "SCRAM-SHA-1", user, "wrong", speculative=False)
    eventually(lambda: any(record["id"] == 2007 for record in proxy.records()), "the refusal is logged")
    log = "\n".join(proxy.process.stdout)
    words = ["Pencil:4711/x", *(text for keys in verifiers.values() for text in keys.values() if isinstance(text, str))]
    words += [base64.b64encode(bytes(one)).decode() for one in (*payloads, *more)]
    words += [bytes(one).decode(errors="replace") for one in (*payloads[:2], *more[:2])]
    assert [word for word in words if word in log] == []


def test_operators_see_pools_of_verified_users(start, guarded):
    """The pool has the user's name, the proxy can refill it, and each login has its outcome."""
    user = guarded.add_user()
    proxy = start()
    admin = Admin(proxy)
    with connect(proxy, user, appname="till") as client:
        client.admin.command("ping")
        [pool] = [one for one in admin.json("/pools")["pools"] if one["users"]]
        assert (pool["users"], pool["application"], pool["kind"]) == (f"{user}@admin", "till", "users")
        assert pool["refillable"] and pool["size"] >= 1
        named = {row["identity"] for row in admin.json("/connections")["connections"]}
        assert f"{user}@admin" in named
        assert client.admin.command("mongosluice")["pool"]["users"] == f"{user}@admin"
    with pytest.raises(OperationFailure), connect(proxy, user, "wrong") as client:
        client.admin.command("ping")
    figures = admin.metrics()
    assert figures['mongosluice_verifier_logins_total{outcome="accepted"}'] >= 1
    assert figures['mongosluice_verifier_logins_total{outcome="refused"}'] >= 1


@pytest.mark.parametrize("options", [{"pool.mode": "session", "auth.verifiers": "none"}, {"auth.verifiers": "none"}, {}],
                         ids=["session", "relay", "verifiers"])
def test_limits_of_a_user(start, guarded, options):
    """Whoever checked the login: the limit is that of the user."""
    limited, other = guarded.add_user(), guarded.add_user()
    proxy = start({"limits.rules": f"requests=5 user={limited}@admin", **options})
    with wire(proxy) as one, wire(proxy) as two, wire(proxy) as nobody:
        for client, user in ((one, limited), (two, other)):
            assert authenticate(client, "SCRAM-SHA-256", user, "pencil", speculative=True)[0]["done"] is True
        answers = [one.command({"ping": 1}) for _ in range(12)]
        assert {reply["code"] for reply in answers if reply["ok"] != 1} == {462}
        assert f"user '{limited}@admin' has more than 5 requests" in answers[-1]["errmsg"]
        assert all(client.command({"ping": 1}).get("code") != 462 for client in (two, nobody) for _ in range(12))
        assert all(nobody.command({"ping": 1}).get("code") != 462 for _ in range(12))
        if not options:  # (SecantusDB knows no logout)
            assert one.command({"logout": 1})["ok"] == 1
            assert one.command({"ping": 1}).get("code") != 462
