"""TERM drains, a second TERM ends at once, QUIT ends now, HUP reloads."""

import signal

import pytest
from bson import Int64
from support.process import NotInTime, eventually
from support.scenes import Gate, begin_transaction, end_transaction
from support.simulated import SimulatedServer
from support.wire import RawClient, op_msg

pytestmark = pytest.mark.proxy_only


@pytest.fixture
def gate(simulated):
    """simulated answers the command `gated` after gate.open()."""
    return Gate(simulated)


def start(start_proxy, simulated, **options):
    return start_proxy(f"mongodb://{simulated.address}/", options)


def refuses(where):
    try:
        with RawClient(where, 3) as client:
            return client.hello()["ok"] == 0
    except OSError:
        return True


def test_term_without_clients_ends(start_proxy, simulated):
    proxy = start(start_proxy, simulated)
    proxy.address()
    proxy.process.send(signal.SIGTERM)
    assert proxy.process.wait() == 0


def test_term_with_idle_clients_does_not_wait_for_them(start_proxy, simulated):
    proxy = start(start_proxy, simulated, drain_timeout_ms=600000)
    with RawClient(proxy.endpoint()) as one, RawClient(proxy.endpoint()) as two:
        assert one.command({"ping": 1})["ok"] == two.hello()["ok"] == 1
        proxy.process.send(signal.SIGTERM)
        assert proxy.process.wait() == 0
        one.assert_closed()
        two.assert_closed()


def test_term_lets_a_running_command_finish(start_proxy, simulated, gate):
    proxy = start(start_proxy, simulated, drain_timeout_ms=600000)
    where = proxy.endpoint()
    with RawClient(where) as client:
        client.send(op_msg({"gated": 1, "$db": "admin"}, request_id=9))
        simulated.wait_for_request("gated")
        proxy.process.send(signal.SIGTERM)
        eventually(lambda: refuses(where), "new connections are refused")
        assert proxy.process.exit_code() is None
        gate.open()
        reply = client.receive()
        assert (reply.response_to, reply.body["ok"]) == (9, 1)
        assert proxy.process.wait() == 0
        client.assert_closed()


def test_term_lets_a_message_that_is_half_sent_finish(start_proxy, simulated):
    proxy = start(start_proxy, simulated, drain_timeout_ms=600000)
    where = proxy.endpoint()
    message = op_msg({"insert": "c", "$db": "d"}, {"documents": [{"x": bytes(500_000)}]})
    with RawClient(where) as client:
        assert client.command({"ping": 1})["ok"] == 1
        client.send(message[:250_000])
        connection, _ = simulated.wait_for_request("ping")
        proxy.process.send(signal.SIGTERM)
        eventually(lambda: refuses(where), "new connections are refused")
        client.send(message[250_000:])
        assert client.receive().body["n"] == 1
        assert proxy.process.wait() == 0


def test_term_ends_streams_of_hellos(start_proxy, simulated):
    """A monitoring connection never ends by itself, so draining does not wait for it."""
    from pymongo import MongoClient
    proxy = start(start_proxy, simulated, drain_timeout_ms=600000)
    # a short selection: closing the client looks for a server once more
    with MongoClient(proxy.endpoint().uri(), heartbeatFrequencyMS=500,
                     serverSelectionTimeoutMS=2000) as client:
        assert client.admin.command("ping")["ok"] == 1
        proxy.process.send(signal.SIGTERM)
        assert proxy.process.wait() == 0


def test_term_lets_an_open_transaction_finish(start_proxy, simulated):
    proxy = start(start_proxy, simulated, drain_timeout_ms=600000)
    where = proxy.endpoint()
    # from another address: a driver may continue its transaction on any connection of its pool
    with RawClient(where) as client, RawClient(where, source="127.0.0.2") as other:
        lsid = begin_transaction(client)
        assert other.command({"ping": 1})["ok"] == 1
        proxy.process.send(signal.SIGTERM)
        eventually(lambda: refuses(where), "new connections are refused")
        other.assert_closed()
        assert client.command({"insert": "c", "documents": [{"_id": 2}], "$db": "d", "lsid": lsid,
                               "txnNumber": Int64(1), "autocommit": False})["ok"] == 1
        assert proxy.process.exit_code() is None
        assert end_transaction(client, lsid)["ok"] == 1
        assert proxy.process.wait() == 0


def test_drain_timeout_cuts_an_open_transaction(start_proxy, simulated):
    proxy = start(start_proxy, simulated, drain_timeout_ms=500)
    with RawClient(proxy.endpoint()) as client:
        begin_transaction(client)
        proxy.process.send(signal.SIGTERM)
        client.assert_closed()
    assert proxy.process.wait() == 0


def test_a_driver_commits_its_transaction_during_the_drain(start_proxy, server, collection_name):
    """Against the real server: committed documents are stored."""
    proxy = start_proxy(server.endpoint.uri(), {"drain_timeout_ms": 600000},
                        endpoint=server.endpoint)
    where = proxy.endpoint()
    # a short selection: closing the client looks for a server once more
    with where.client(serverSelectionTimeoutMS=2000) as client, client.start_session() as session:
        collection = client["drain"][collection_name]
        collection.insert_one({"_id": 0})
        session.start_transaction()
        collection.insert_one({"_id": 1}, session=session)
        proxy.process.send(signal.SIGTERM)
        eventually(lambda: refuses(where), "new connections are refused")
        collection.insert_one({"_id": 2}, session=session)
        session.commit_transaction()
        assert proxy.process.wait() == 0
    with server.endpoint.client() as direct:
        assert direct["drain"][collection_name].count_documents({}) == 3


def test_second_term_ends_at_once(start_proxy, simulated, gate):
    proxy = start(start_proxy, simulated, drain_timeout_ms=600000)
    where = proxy.endpoint()
    with RawClient(where) as client:
        client.send(op_msg({"gated": 1, "$db": "admin"}))
        simulated.wait_for_request("gated")
        proxy.process.send(signal.SIGTERM)
        eventually(lambda: refuses(where), "the first TERM was seen")
        assert proxy.process.exit_code() is None
        proxy.process.send(signal.SIGTERM)
        assert proxy.process.wait() == 0
        client.assert_closed()


def test_quit_ends_now(start_proxy, simulated, gate):
    proxy = start(start_proxy, simulated, drain_timeout_ms=600000)
    with RawClient(proxy.endpoint()) as client:
        client.send(op_msg({"gated": 1, "$db": "admin"}))
        simulated.wait_for_request("gated")
        proxy.process.send(signal.SIGQUIT)
        assert proxy.process.wait() == 0
        client.assert_closed()


def test_signals_while_the_server_is_down(start_proxy):
    with SimulatedServer() as gone:
        address = gone.address
    for number in (signal.SIGTERM, signal.SIGQUIT):
        proxy = start_proxy(f"mongodb://{address}/?replicaSet=rs")
        proxy.address()
        proxy.process.send(signal.SIGHUP)
        proxy.process.send(number)
        assert proxy.process.wait() == 0


def test_a_client_that_closed_its_pipe_is_no_signal(start_proxy, simulated):
    """Writing to a socket that was reset raises SIGPIPE unless it is ignored."""
    simulated.handlers["big"] = lambda *_: {"ok": 1.0, "data": bytes(5_000_000)}
    proxy = start(start_proxy, simulated)
    for _ in range(10):
        with RawClient(proxy.endpoint()) as client:
            client.send(op_msg({"big": 1, "$db": "admin"}))
            client.socket.recv(10)
    with RawClient(proxy.endpoint()) as client:
        assert client.command({"ping": 1})["ok"] == 1
    with pytest.raises(NotInTime):
        proxy.process.wait(0.1)
