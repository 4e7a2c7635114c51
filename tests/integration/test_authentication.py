"""The identity of a connection: the authentication mechanisms pass unchanged, and the proxy learns the user's name.
"""

import base64

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from support.endpoint import Endpoint
from support.proxy import AUTHENTICATED, DIRECT
from support.scram import authenticate as scram
from support.servers import PASSWORD, USER, start_secure_server
from support.simulated import SimulatedServer
from support.wire import RawClient

SCRAM = ["SCRAM-SHA-1", "SCRAM-SHA-256"]


@pytest.fixture(scope="module")
def plain_server(tmp_path_factory):
    """Authentication without TLS, which keeps raw messages simple."""
    running = start_secure_server(tmp_path_factory.mktemp("users") / "data", None)
    with running.endpoint.client() as client:
        client["shop"].command("createUser", "clerk", pwd="clerk's password", roles=["readWrite"],
                               mechanisms=["SCRAM-SHA-256"])
        client["admin"].command("createUser", "zoë@example", pwd="päss wörd",
                                roles=["readWriteAnyDatabase"], mechanisms=["SCRAM-SHA-256"])
    yield running
    running.stop()


@pytest.fixture
def proxy(plain_server, start_proxy):
    return start_proxy(f"mongodb://{plain_server.endpoint.address}/?replicaSet=secantus",
                       endpoint=plain_server.endpoint)


@pytest.fixture
def where(request, plain_server):
    return plain_server.endpoint if DIRECT else request.getfixturevalue("proxy").endpoint()


def as_user(where, user, password):
    return Endpoint(where.address, where.replica_set, where.ca_file, user, password)


@pytest.mark.parametrize("mechanism", SCRAM)
def test_scram_with_the_speculative_form_of_drivers(where, mechanism):
    with where.client(authMechanism=mechanism) as client:
        assert client["some"]["c"].insert_one({"by": mechanism}).acknowledged


@pytest.mark.parametrize("mechanism", SCRAM)
def test_identity_is_learned_and_logged(proxy, mechanism):
    with proxy.endpoint().client(authMechanism=mechanism) as client:
        client.admin.command("ping")
    record = proxy.wait_for_record("authentication", id=AUTHENTICATED, claimedMechanism=mechanism)
    assert record["msg"] == "Client authenticated"
    assert (record["attr"]["claimedUser"], record["attr"]["claimedDb"]) == (USER, "admin")


@pytest.mark.parametrize("speculative", [True, False], ids=["speculative", "explicit"])
@pytest.mark.parametrize("mechanism", SCRAM)
def test_scram_step_by_step(where, mechanism, speculative):
    with RawClient(where) as client:
        assert client.command({"listDatabases": 1})["code"] == 13
        reply, _ = scram(client, mechanism, USER, PASSWORD, speculative=speculative)
        assert reply["ok"] == 1 and reply["done"]
        assert client.command({"listDatabases": 1})["ok"] == 1


@pytest.mark.parametrize("speculative", [True, False], ids=["speculative", "explicit"])
@pytest.mark.parametrize("mechanism", SCRAM)
def test_no_part_of_the_conversation_is_logged(plain_server, start_proxy, mechanism, speculative):
    proxy = start_proxy(plain_server.endpoint.uri(), {"log.level": "debug"},
                        endpoint=plain_server.endpoint)
    with RawClient(proxy.endpoint()) as client:
        reply, payloads = scram(client, mechanism, USER, PASSWORD, speculative=speculative)
        assert reply["ok"] == 1
    proxy.wait_for_record("authentication", id=AUTHENTICATED, claimedMechanism=mechanism)
    log = "\n".join(proxy.process.stdout)
    for payload in payloads:
        for form in (payload.decode("latin-1"), payload.hex(), base64.b64encode(payload).decode()):
            assert form not in log
    for part in (PASSWORD, "Lovelace", "Lovelace%3A1815%2Fengine"):
        assert part not in log


@pytest.mark.parametrize("speculative", [True, False], ids=["speculative", "explicit"])
def test_a_refused_password_is_no_identity(proxy, speculative):
    with RawClient(proxy.endpoint()) as client:
        reply, _ = scram(client, "SCRAM-SHA-256", USER, "wrong password", speculative=speculative)
        assert (reply["ok"], reply["code"]) == (0, 18)
        assert client.command({"listDatabases": 1})["code"] == 13
        # the connection stays open, and accepts the right password
        assert scram(client, "SCRAM-SHA-256", USER, PASSWORD, speculative=False)[0]["ok"] == 1
    proxy.wait_for_record("authentication", id=AUTHENTICATED, claimedUser=USER)
    said = [one for one in proxy.records() if one["id"] == AUTHENTICATED]
    assert len(said) == 1
    assert "wrong password" not in "\n".join(proxy.process.stdout)


def test_a_driver_gets_the_servers_refusal(where):
    with as_user(where, USER, "wrong").client() as client:
        with pytest.raises(OperationFailure) as caught:
            client.admin.command("ping")
    assert caught.value.code == 18


def test_user_of_another_database(proxy):
    user = as_user(proxy.endpoint(), "clerk", "clerk's password")
    with MongoClient(user.uri(authSource="shop")) as client:
        client["shop"]["orders"].insert_one({"a": 1})
        with pytest.raises(OperationFailure) as caught:
            client["other"]["c"].insert_one({"a": 1})
        assert caught.value.code == 13
    proxy.wait_for_record("authentication", id=AUTHENTICATED, claimedUser="clerk", claimedDb="shop")


def test_name_that_needs_escaping(proxy):
    with as_user(proxy.endpoint(), "zoë@example", "päss wörd").client() as client:
        client["some"]["c"].insert_one({"a": 1})
    proxy.wait_for_record("authentication", id=AUTHENTICATED, claimedUser="zoë@example", claimedDb="admin")


def test_each_connection_has_its_own_identity(where):
    with RawClient(where) as one, RawClient(where) as two:
        assert scram(one, "SCRAM-SHA-256", USER, PASSWORD, speculative=True)[0]["done"]
        assert two.command({"listDatabases": 1})["code"] == 13
        assert one.command({"listDatabases": 1})["ok"] == 1


# --- PLAIN: no embedded server has it

def _plain(server, connection, request):
    payload = bytes(request.body["payload"])
    if request.body["mechanism"] == "PLAIN" and payload == b"\0ldap-user\0ldap-secret":
        return {"conversationId": 1, "done": True, "payload": b"", "ok": 1.0}
    return {"ok": 0.0, "errmsg": "Authentication failed.", "code": 18,
            "codeName": "AuthenticationFailed"}


@pytest.fixture
def ldap():
    with SimulatedServer({"saslStart": _plain}) as server:
        yield server


def plain_uri(where, password):
    return (f"mongodb://ldap-user:{password}@{where.address}/"
            "?authMechanism=PLAIN&authSource=$external")


def test_plain(ldap, start_proxy):
    proxy = start_proxy(f"mongodb://{ldap.address}/", {"log.level": "debug"})
    proxy.secrets.append("ldap-secret")
    with MongoClient(plain_uri(proxy.endpoint(), "ldap-secret")) as client:
        assert client.admin.command("ping")["ok"] == 1
    record = proxy.wait_for_record("authentication", id=AUTHENTICATED, claimedMechanism="PLAIN")
    assert (record["attr"]["claimedUser"], record["attr"]["claimedDb"]) == ("ldap-user", "$external")


def test_plain_refused(ldap, in_front_of):
    with MongoClient(plain_uri(in_front_of(ldap), "no")) as client:
        with pytest.raises(OperationFailure) as caught:
            client.admin.command("ping")
    assert caught.value.code == 18
