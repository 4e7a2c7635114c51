"""Users that are dropped, made anew and get other passwords while their clients share connections, on the model of
tests/crossing: whoever is gone stays gone, also when a pool has to be filled again."""

import contextlib
import signal
import time

import pytest
from crossing.run import Control, start_model, start_proxy
from support import scram
from support.process import eventually
from support.wire import RawClient, op_msg

pytestmark = pytest.mark.proxy_only
UNAUTHORIZED, WRONG_PROOF = 13, 18
AGE_MS = 100
READ, WRITE = {"d": "read"}, {"d": "readWrite"}


class Scene:
    def __init__(self, way, ends):
        self.model, self.port = start_model(1, 0)
        ends.callback(self.model.kill)
        self.control = Control(self.port)
        self.proxy = start_proxy(way, self.port, {"threads": 1}, verifier_age_ms=AGE_MS)
        ends.callback(self.proxy.process.kill)
        self.endpoint = self.proxy.endpoint()
        self.ends = ends

    def add(self, name, password, roles=WRITE):
        return f"{name}@admin#" + str(self.control("add", name=name, database="admin", password=password,
                                                    roles=roles)["number"])

    def connect(self):
        return self.ends.enter_context(RawClient(self.endpoint))

    def login(self, name, password, mechanism="SCRAM-SHA-256"):
        """(client, the last reply)"""
        client = self.connect()
        return client, scram.authenticate(client, mechanism, name, password, speculative=False)[0]

    def logged_in(self, name, password):
        client, reply = self.login(name, password)
        assert reply["ok"] == 1, reply
        return client


@pytest.fixture(params=["shared", "verifier"])
def scene(request):
    with contextlib.ExitStack() as ends:
        scene = Scene(request.param, ends)
        yield scene
        scene.proxy.finish()
        assert not scene.model.stderr, scene.model.output()


def write(client, name="c"):
    return client.command({"insert": name, "$db": "d", "documents": [{"x": 1, "_id": time.monotonic_ns()}],
                           "comment": "mine"})


def outcome(client):
    """(the code of a write, or "closed"; the users that it ran as)"""
    try:
        reply = write(client)
    except ConnectionError:
        return "closed", None
    return (0 if reply["ok"] == 1 else reply["code"]), reply.get("ranAs")


def test_a_dropped_user_may_do_nothing(scene):
    user = scene.add("eve", "first")
    clients = [scene.logged_in("eve", "first") for _ in range(3)]
    assert [outcome(client) for client in clients] == [(0, [user])] * 3
    scene.control("drop", name="eve", database="admin")
    for client in clients:
        assert outcome(client) in ((UNAUTHORIZED, []), ("closed", None))
    eventually(lambda: scene.login("eve", "first")[1]["ok"] != 1, "the dropped user is refused")


def test_another_user_of_the_same_name_is_another(scene):
    """It may do more; those who knew the earlier password get none of it, also when their pool is filled again."""
    scene.add("eve", "first", READ)
    old = [scene.logged_in("eve", "first") for _ in range(3)]
    assert {outcome(client)[0] for client in old} == {UNAUTHORIZED}
    scene.control("drop", name="eve", database="admin")
    user = scene.add("eve", "second", WRITE)
    new = eventually(lambda: accepted(scene.login("eve", "second")), "the new password is accepted")
    assert outcome(new) == (0, [user])
    for client in old:
        assert outcome(client) in ((UNAUTHORIZED, []), ("closed", None))
    scene.control("cut_all")
    for client in old:
        assert outcome(client)[0] in (UNAUTHORIZED, "closed")
    again = eventually(lambda: accepted(scene.login("eve", "second")), "the new password is accepted again")
    assert outcome(again) == (0, [user])


def accepted(login):
    client, reply = login
    return client if reply["ok"] == 1 else None


def test_a_password_changes(scene):
    user = scene.add("eve", "first")
    old = scene.logged_in("eve", "first")
    scene.control("password", name="eve", database="admin", password="second")
    assert outcome(old) == (0, [user])  # it stays logged in, as at the server
    eventually(lambda: scene.login("eve", "first")[1].get("code") == WRONG_PROOF, "the old password is refused")
    new = scene.logged_in("eve", "second")
    assert outcome(new) == (0, [user])
    scene.control("cut_all")
    assert outcome(old) in ((0, [user]), ("closed", None))
    assert outcome(scene.logged_in("eve", "second")) == (0, [user])


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
def test_a_password_changes_in_the_middle_of_a_login(scene, mechanism):
    """Either the proof is refused, or the login is the one that began before: it is never another's."""
    user = scene.add("eve", "first")
    client = scene.connect()
    reply = scram.authenticate(Changing(client, scene, "second"), mechanism, "eve", "first", speculative=False)[0]
    if reply["ok"] == 1:  # the proxy knew the earlier verifier
        assert outcome(client) in ((0, [user]), ("closed", None), (WRONG_PROOF, None))
    else:
        assert reply["code"] == WRONG_PROOF
        assert outcome(client) == (UNAUTHORIZED, [])
    eventually(lambda: scene.login("eve", "first", mechanism)[1].get("code") == WRONG_PROOF, "the old password is refused")
    assert outcome(scene.logged_in("eve", "second")) == (0, [user])


class Changing:
    """A client that changes the password between the server's challenge and its own proof."""

    def __init__(self, client, scene, new):
        self.client, self.scene, self.new = client, scene, new

    def hello(self):
        return self.client.hello()

    def command(self, body):
        if "saslContinue" in body and self.new:
            self.scene.control("password", name="eve", database="admin", password=self.new)
            self.new = None
        return self.client.command(body)


def test_the_server_stands_still_for_a_while(scene):
    """Nobody's command is lost or runs as another when it goes on."""
    users = {name: scene.add(name, name) for name in ("ada", "bob")}
    clients = [(name, scene.logged_in(name, name)) for name in users for _ in range(3)]
    nobody = scene.connect()
    assert nobody.hello()["ok"] == 1
    scene.model.halt()
    try:
        for number, (_, client) in enumerate(clients):
            client.send(ping(number))
        nobody.send(ping("nobody"))
        time.sleep(0.5)
    finally:
        scene.model.send(signal.SIGCONT)
    for number, (name, client) in enumerate(clients):
        body = client.receive().body
        assert (body["echo"], body["ranAs"]) == (number, [users[name]])
    body = nobody.receive().body
    assert (body["echo"], body["ranAs"]) == ("nobody", [])


def ping(mark):
    return op_msg({"ping": 1, "$db": "admin", "comment": mark})

