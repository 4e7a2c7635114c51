"""If a client vanishes, the proxy closes its connection to the server; if a server vanishes, the proxy closes the
client's. The proxy waits for a server that has not started yet."""

import socket
import struct
import time

import pytest
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, PyMongoError, ServerSelectionTimeoutError
from support import wire
from support.endpoint import Endpoint
from support.ports import free_port, refusing_port
from support.process import eventually
from support.scenes import Gate
from support.simulated import Hangup, SimulatedServer
from support.wire import RawClient, op_msg

HOLD = op_msg({"hold": 1, "$db": "admin"})


def reset(client):
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()


def close(client):
    client.socket.close()


def shut_writing(client):
    client.socket.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("leave", [close, reset, shut_writing])
def test_client_leaves_in_the_middle_of_a_command(simulated, in_front_of, leave):
    with RawClient(in_front_of(simulated)) as client:
        client.send(HOLD)
        connection, _ = simulated.wait_for_request("hold")
        leave(client)
        simulated.wait_for(lambda: connection.closed, "the connection to the server ends")


@pytest.mark.parametrize("leave", [close, reset, shut_writing])
def test_idle_client_leaves(simulated, in_front_of, leave):
    with RawClient(in_front_of(simulated)) as client:
        client.command({"ping": 1})
        connection, _ = simulated.wait_for_request("ping")
        leave(client)
        simulated.wait_for(lambda: connection.closed, "the connection to the server ends")


@pytest.mark.parametrize("leave", [close, reset])
def test_client_leaves_in_the_middle_of_sending(simulated, in_front_of, leave):
    message = op_msg({"insert": "c", "$db": "d"}, {"documents": [{"x": "y" * 1_000_000}] * 4})
    with RawClient(in_front_of(simulated)) as client:
        client.command({"ping": 1})
        connection, _ = simulated.wait_for_request("ping")
        client.send(message[:2_000_000])
        leave(client)
        simulated.wait_for(lambda: connection.closed, "the connection to the server ends")
    assert not simulated.requests("insert")


def test_client_leaves_in_the_middle_of_a_big_reply(simulated, in_front_of):
    simulated.handlers["big"] = lambda *_: {"ok": 1.0, "data": bytes(15_000_000)}
    with RawClient(in_front_of(simulated)) as client:
        client.send(b"".join(op_msg({"big": 1, "$db": "admin"}) for _ in range(10)))
        connection, _ = simulated.wait_for_request("big")
        client.socket.recv(100_000)
        reset(client)
    simulated.wait_for(lambda: connection.closed, "the connection to the server ends")


def test_client_leaves_a_stream_of_hellos(simulated, in_front_of):
    with RawClient(in_front_of(simulated)) as client:
        version = client.hello()["topologyVersion"]
        client.send(op_msg({"hello": 1, "topologyVersion": version, "maxAwaitTimeMS": 60000,
                            "$db": "admin", "mine": 1}, flags=wire.EXHAUST_ALLOWED))
        connection = simulated.wait_for(
            lambda: next((one for one in simulated.connections
                          if any("mine" in request.body for request in one.requests)), None),
            "the stream is open")
    simulated.wait_for(lambda: connection.closed, "the connection to the server ends")


def test_other_clients_go_on_when_one_leaves(simulated, in_front_of):
    where = in_front_of(simulated)
    with RawClient(where) as other:
        assert other.command({"ping": 1})["ok"] == 1
        for _ in range(20):
            with RawClient(where) as client:
                client.send(HOLD)
                simulated.wait_for(lambda: simulated.open_connections("hold"), "hold arrives")
                reset(client)
            simulated.wait_for(lambda: not simulated.open_connections("hold"), "it ends")
            assert other.command({"ping": 1})["ok"] == 1


def _hang_up(server, connection, request):
    raise Hangup


def test_server_hangs_up_instead_of_answering(simulated, in_front_of):
    """Like the failpoint closeConnection: the client sees a closed connection and no error."""
    simulated.handlers["hangup"] = _hang_up
    with RawClient(in_front_of(simulated)) as client:
        client.command({"ping": 1})
        client.send(op_msg({"hangup": 1, "$db": "admin"}))
        client.assert_closed()


def test_server_vanishes_in_the_middle_of_a_command(simulated, in_front_of):
    with RawClient(in_front_of(simulated)) as client:
        client.send(HOLD)
        simulated.wait_for_request("hold")[0].abort()
        client.assert_closed()


def test_server_vanishes_while_the_client_is_idle(simulated, in_front_of):
    with RawClient(in_front_of(simulated)) as client:
        client.command({"ping": 1})
        simulated.wait_for_request("ping")[0].abort()
        client.assert_closed()


def test_server_vanishes_in_the_middle_of_a_reply(simulated, in_front_of):
    """The proxy passes the received part on, and never invents the rest."""
    def half(server, connection, request):
        whole = op_msg({"ok": 1.0, "text": "x" * 100_000}, response_to=request.request_id)
        connection.writer.write(whole[:50_000])
        server._loop.call_later(0.2, connection.writer.close)

    simulated.handlers["half"] = half
    with RawClient(in_front_of(simulated)) as client:
        client.send(op_msg({"half": 1, "$db": "admin"}))
        got = b""
        while part := client.socket.recv(65536):
            got += part
    assert len(got) <= 50_000


def test_failpoint_close_connection_reaches_the_driver(target):
    with target.client(retryReads="false", retryWrites="false") as client:
        client.admin.command("configureFailPoint", "failCommand", mode={"times": 1},
                             data={"failCommands": ["find"], "closeConnection": True})
        with pytest.raises(AutoReconnect) as caught:
            client["fault"]["c"].find_one()
        assert "closed" in str(caught.value)
        assert client["fault"]["c"].count_documents({}) == 0


def test_retryable_write_survives_a_closed_connection(target, collection_name):
    with target.client() as client:
        collection = client["fault"][collection_name]
        client.admin.command("configureFailPoint", "failCommand", mode={"times": 1},
                             data={"failCommands": ["insert"], "closeConnection": True})
        assert collection.insert_one({"_id": 1}).acknowledged
        assert collection.count_documents({}) == 1


# --- the server is not there

def ask_until_it_works(where, seconds=30):
    def ask():
        try:
            with RawClient(where, 5) as client:
                return client.hello().get("ok") == 1 and client.command({"ping": 1})["ok"] == 1
        except OSError:
            return False
    eventually(ask, "the server answers through the proxy", seconds)


@pytest.mark.parametrize("options", ["", "?replicaSet=rs", "?directConnection=true"])
def test_server_is_down_at_the_start(start_proxy, options):
    with refusing_port() as port:
        check_errors_name_the_cause(start_proxy, f"127.0.0.1:{port}", options)


def check_errors_name_the_cause(start_proxy, server, options):
    proxy = start_proxy(f"mongodb://{server}/{options}")
    where = proxy.endpoint()
    proxy.wait_for_text(server, "does not answer", level="WE")
    with RawClient(where) as client:
        error = client.ask(op_msg({"hello": 1, "$db": "admin"})).body
        assert error["ok"] == 0 and error["code"] and error["codeName"]
        assert server in error["errmsg"] and "refused" in error["errmsg"].lower()
    with RawClient(where) as client:
        error = client.ask(wire.op_query({"isMaster": 1}))
        assert error.opcode == wire.OP_REPLY and server in error.body["errmsg"]
    with MongoClient(where.uri(), serverSelectionTimeoutMS=1500) as client:
        with pytest.raises(ServerSelectionTimeoutError) as caught:
            client.admin.command("ping")
        assert server in str(caught.value) and "refused" in str(caught.value).lower()


def test_proxy_waits_for_the_server(start_proxy):
    port = free_port()
    proxy = start_proxy(f"mongodb://127.0.0.1:{port}/")
    where = proxy.endpoint()
    proxy.wait_for_text(f"127.0.0.1:{port}", "does not answer", level="WE")
    with MongoClient(where.uri(), serverSelectionTimeoutMS=30000) as client:
        with SimulatedServer(port=port) as server:
            assert client.admin.command("ping")["ok"] == 1
            ask_until_it_works(where)
            assert server.requests("ping")
            client.close()  # it looks for a server once more


def test_server_restarts(start_proxy):
    with SimulatedServer() as server:
        proxy = start_proxy(f"mongodb://{server.address}/")
        where = proxy.endpoint()
        with MongoClient(where.uri(), serverSelectionTimeoutMS=30000) as client:
            assert client.admin.command("ping")["ok"] == 1
            server.stop()
            with pytest.raises(PyMongoError):
                # one may be left in the pool, so the second at the latest
                for _ in range(2):
                    with MongoClient(where.uri(), serverSelectionTimeoutMS=800) as other:
                        other.admin.command("ping")
            server.start()
            assert client.admin.command("ping")["ok"] == 1


def test_name_that_does_not_resolve(start_proxy):
    proxy = start_proxy("mongodb://no-such-host.invalid:27017/?serverSelectionTimeoutMS=2000")
    with RawClient(proxy.endpoint()) as client:
        error = client.ask(op_msg({"hello": 1, "$db": "admin"})).body
        assert error["ok"] == 0 and "no-such-host.invalid" in error["errmsg"]


class BlackHole:
    """A port that accepts connections and never sends a byte."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(100)
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def test_connect_timeout_covers_the_tls_handshake(start_proxy, authorities):
    with BlackHole() as hole:
        uri = Endpoint(hole.address, ca_file=authorities.server.ca_file).uri(directConnection="true")
        proxy = start_proxy(uri, {"connect_timeout_ms": 400})
        with RawClient(proxy.endpoint()) as client:
            error = client.ask(op_msg({"hello": 1, "$db": "admin"})).body
        assert error["ok"] == 0 and hole.address in error["errmsg"]
        assert "400" in error["errmsg"] or "time" in error["errmsg"].lower()


def test_connect_timeout_of_a_full_backlog(start_proxy):
    """The kernel drops connections beyond the backlog, so connecting never ends."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = f"127.0.0.1:{full.getsockname()[1]}"
        waiting = []
        try:
            for _ in range(3):
                waiting.append(socket.socket())
                waiting[-1].setblocking(False)
                waiting[-1].connect_ex(full.getsockname())
            time.sleep(0.1)
            proxy = start_proxy(f"mongodb://{address}/?directConnection=true",
                                {"connect_timeout_ms": 400})
            with RawClient(proxy.endpoint()) as client:
                error = client.ask(op_msg({"hello": 1, "$db": "admin"})).body
            assert error["ok"] == 0 and address in error["errmsg"]
        finally:
            for one in waiting:
                one.close()


# --- a client that only ends its side

def ask_and_end(client, *messages):
    """Returns every reply until the end of the stream."""
    client.send(b"".join(messages))
    client.socket.shutdown(socket.SHUT_WR)
    return client.last_words()


INSERT = op_msg({"insert": "c", "$db": "d"}, {"documents": [{"_id": 1}]})
PING = op_msg({"ping": 1, "$db": "admin"})


def test_who_ends_its_side_gets_its_answer(target, collection_name):
    """Against a real server."""
    for body in ({"ping": 1, "$db": "admin"}, {"hello": 1, "$db": "admin"},
                 {"insert": collection_name, "$db": "fault", "documents": [{"_id": 1}]},
                 {"find": collection_name, "$db": "fault"}):
        with RawClient(target) as client:
            (reply,) = ask_and_end(client, op_msg(body))
            assert reply.body["ok"] == 1
    with target.client() as client:
        assert client["fault"][collection_name].count_documents({}) == 1


@pytest.mark.parametrize("count", [1, 3, 20])
@pytest.mark.parametrize("connected", [True, False])
def test_who_ends_its_side_gets_all_its_answers(simulated, in_front_of, count, connected):
    simulated.answers_after_end = True
    with RawClient(in_front_of(simulated)) as client:
        if connected:
            client.command({"ping": 1})
        messages = [op_msg({"ping": 1, "$db": "admin"}, request_id=number) for number in range(1, count + 1)]
        assert [reply.response_to for reply in ask_and_end(client, *messages)] == list(range(1, count + 1))
    simulated.wait_for(lambda: not simulated.open_connections("ping"), "the connection to the server ends")


def test_a_slow_answer_comes_after_the_end_of_its_side(simulated, in_front_of):
    simulated.answers_after_end = True
    gate = Gate(simulated)
    with RawClient(in_front_of(simulated)) as client:
        client.send(op_msg({"gated": 1, "$db": "admin"}))
        connection, _ = simulated.wait_for_request("gated")
        client.socket.shutdown(socket.SHUT_WR)
        simulated.wait_for(lambda: connection.ended, "the server sees the end, too")
        gate.open()
        (reply,) = client.last_words()
        assert reply.body == {"ok": 1.0}
    simulated.wait_for(lambda: connection.closed, "the connection to the server ends")


def test_a_big_answer_comes_after_the_end_of_its_side(simulated, in_front_of):
    simulated.answers_after_end = True
    simulated.handlers["big"] = lambda *_: {"ok": 1.0, "data": bytes(15_000_000)}
    big = op_msg({"big": 1, "$db": "admin"})
    with RawClient(in_front_of(simulated)) as client:
        replies = ask_and_end(client, *[big] * 3, PING)
    assert [len(reply.body.get("data", b"")) for reply in replies] == [15_000_000] * 3 + [0]


def test_half_a_message_and_the_end_of_its_side(simulated, in_front_of):
    """The proxy answers the complete request, and discards the incomplete one."""
    simulated.answers_after_end = True
    long = op_msg({"insert": "c", "$db": "d"}, {"documents": [{"x": "y" * 1_000_000}]})
    for half in (INSERT[:-1], INSERT[:10], long[:500_000]):
        with RawClient(in_front_of(simulated)) as client:
            client.command({"ping": 1})
            replies = ask_and_end(client, PING, half)
            assert [reply.body for reply in replies] == [{"ok": 1.0}]
    assert not simulated.requests("insert")
