"""The life of a proxy whose clients share upstream connections: pauses, drains, restarts, reloads, TLS, Unix sockets,
the limit on memory."""

import asyncio
import contextlib
import signal
import ssl
import tempfile
import threading
import uuid
from pathlib import Path
from urllib.parse import quote

import pymongo
import pytest
from support.admin import Admin
from support.ports import free_ports
from support.process import eventually
from support.proxy import LISTENING, Proxy
from support.scenes import begin_transaction, end_transaction
from support.simulated import SimulatedServer
from support.wire import RawClient, op_msg

pytestmark = pytest.mark.proxy_only
SHARED = {"pool.mode": "shared", "threads": 1}


def shared(server, name="app"):
    """The server's connections that the proxy opened for the clients of this application."""
    return [one for one in server.open_connections() if any(
        request.body.get("client", {}).get("application", {}).get("name") == name for request in one.requests)]


@contextlib.contextmanager
def connected(proxy, count=1, name="app"):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(RawClient(proxy.endpoint())) for _ in range(count)]
        for client in clients:
            assert client.hello(client={"application": {"name": name}, "driver": {"name": "d", "version": "1"}})["ok"]
        yield clients


class Held:
    """The server answers `count` after a call of open()."""

    def __init__(self, server):
        self._server, self._event = server, asyncio.Event()
        server.handlers["count"] = self._answer

    async def _answer(self, server, connection, request):
        await self._event.wait()
        return {"n": 7, "ok": 1.0}

    def begin(self, client):
        client.send(op_msg({"count": "c", "$db": "d"}))

    def wait_for(self, number):
        self._server.wait_for(lambda: len(self._server.requests("count")) == number, f"{number} counts arrive")

    def open(self):
        self._server.call(self._event.set)


@pytest.fixture
def start(start_proxy, simulated):
    def start(options=None, **more):
        return start_proxy(f"mongodb://{simulated.address}/", {**SHARED, **(options or {})},
                           endpoint=simulated.endpoint, **more)
    return start


# --- pauses


def test_a_pause_holds_commands_and_lets_hello_pass(start, simulated):
    proxy = start({"admin": "0"})
    admin, held = Admin(proxy), Held(simulated)
    with connected(proxy, 6) as clients:
        running, statement, *others = clients
        held.begin(running)
        held.wait_for(1)
        lsid = begin_transaction(statement)
        assert admin.post("/pause").status == 200
        for client in others:
            client.send(op_msg({"ping": 1, "$db": "admin"}))
        admin.wait_for_metric('mongosluice_client_connections{state="paused"}', len(others))
        assert simulated.requests("ping") == []
        with connected(proxy) as (late,):
            assert late.hello()["ok"] == 1
        assert end_transaction(statement, lsid)["ok"] == 1
        held.open()
        assert running.receive().body["n"] == 7
        assert admin.post("/resume").status == 200
        assert all(client.receive().body["ok"] == 1 for client in others)


# --- ends


def test_a_drain_lets_commands_end(start, simulated):
    proxy, held = start(), Held(simulated)
    with connected(proxy, 5) as clients:
        running, waiting, *idle = clients
        for client in idle:
            assert client.command({"ping": 1})["ok"] == 1
        held.begin(running)
        held.wait_for(1)
        version = waiting.hello()["topologyVersion"]
        waiting.send(op_msg({"hello": 1, "topologyVersion": version, "maxAwaitTimeMS": 60000, "$db": "admin"}))
        proxy.process.send(signal.SIGTERM)
        for client in (waiting, *idle):
            client.assert_closed()
        held.open()
        assert running.receive().body["n"] == 7
        running.assert_closed()
    assert proxy.process.wait() == 0
    simulated.wait_for(lambda: not simulated.open_connections(), "the proxy has left the server")


def test_a_proxy_is_restarted_under_writing_clients(simulated):
    port = free_ports(1)
    options = {**SHARED, "listen": f"127.0.0.1:{port}"}
    proxy = Proxy(f"mongodb://{simulated.address}/", options, endpoint=simulated.endpoint)
    simulated.change({"setName": "rs", "hosts": [simulated.address], "me": simulated.address,
                      "primary": simulated.address, "setVersion": 1})
    done, errors, end = [0] * 4, [], threading.Event()

    def write(number):
        uri = f"mongodb://127.0.0.1:{port}/?replicaSet=rs&serverSelectionTimeoutMS=20000"
        with pymongo.MongoClient(uri) as client:
            while not end.is_set():
                try:
                    client.d.c.insert_one({})
                    done[number] += 1
                except pymongo.errors.PyMongoError as error:
                    errors.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(len(done))]
    for writer in writers:
        writer.start()
    try:
        for _ in range(2):
            before = list(done)
            eventually(lambda before=before: all(now > then + 5 for now, then in zip(done, before, strict=True)),
                       "all clients write")
            proxy.process.send(signal.SIGTERM)
            assert proxy.process.wait() == 0
            proxy = Proxy(f"mongodb://{simulated.address}/", options, endpoint=simulated.endpoint)
        before = list(done)
        eventually(lambda: all(now > then + 5 for now, then in zip(done, before, strict=True)), "all go on")
    finally:
        end.set()
        for writer in writers:
            writer.join()
    assert errors == []
    proxy.finish()


# --- reloads


def test_the_mode_changes_with_a_reload(start, simulated, tmp_path):
    """New clients have the new mode; those that are there go on."""
    file = tmp_path / "sluice.yaml"

    def write(mode):
        file.write_text(f"upstream: mongodb://{simulated.address}/\nlisten: 127.0.0.1:0\nthreads: 1\npool:\n  mode: {mode}\n")

    def reload(proxy, mode):
        write(mode)
        seen = len([one for one in proxy.records() if one["id"] == 1032])
        proxy.process.send(signal.SIGHUP)
        eventually(lambda: len([one for one in proxy.records() if one["id"] == 1032]) > seen, "it reloads")

    write("session")
    proxy = Proxy(None, {"listen": None}, config_file=file)
    with connected(proxy, 5) as before:
        assert all(client.command({"ping": 1})["ok"] == 1 for client in before)
        assert len(shared(simulated)) == 5
        reload(proxy, "shared")
        assert all(client.command({"ping": 1})["ok"] == 1 for client in before)
        with connected(proxy, 5, "later") as after:
            assert all(client.command({"ping": 1})["ok"] == 1 for client in after)
            assert len(shared(simulated, "later")) == 1
            reload(proxy, "session")
            assert all(client.command({"ping": 1})["ok"] == 1 for client in (*before, *after))
            assert len(shared(simulated, "later")) == 1
            with connected(proxy, 3, "last") as last:
                assert all(client.command({"ping": 1})["ok"] == 1 for client in last)
                assert len(shared(simulated, "last")) == 3
    proxy.finish()


# --- transports


def test_the_server_speaks_tls(start_proxy, authorities):
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate = authorities.server.issue("server")
    tls.load_cert_chain(certificate.pem_file)
    with SimulatedServer(tls=tls) as server:
        proxy = start_proxy(f"mongodb://{server.address}/?tls=true&tlsCAFile={certificate.ca_file}", SHARED)
        with connected(proxy, 5) as clients:
            for client in clients:
                assert client.command({"ping": 1})["ok"] == 1
            assert len(shared(server)) == 1
            assert all(connection.tls for connection in server.open_connections())
            version = clients[0].hello()["topologyVersion"]
            clients[0].send(op_msg({"hello": 1, "topologyVersion": version, "maxAwaitTimeMS": 60000, "$db": "admin"}))
            server.change({"tags": {"a": "1"}})
            assert clients[0].receive().body["tags"] == {"a": "1"}


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix=f"sluice-{uuid.uuid4().hex[:6]}-") as path:
        yield Path(path)


def test_clients_come_over_a_unix_socket(start, simulated, folder):
    simulated.change({"setName": "rs", "hosts": [simulated.address], "me": simulated.address,
                      "primary": simulated.address, "setVersion": 1})
    prefix = str(folder).lower()
    proxy = start({"unix_domain_socket.path_prefix": prefix})
    path = proxy.wait_for_record("Unix socket", id=LISTENING,
                                 address=lambda has: has.startswith("/"))["attr"]["address"]
    clients = [pymongo.MongoClient(f"mongodb://{quote(path, safe='')}/", replicaSet="rs", appname="app",
                                   serverSelectionTimeoutMS=10000) for _ in range(3)]
    for client in clients:
        client.d.c.insert_one({})
        assert [host for host, _ in client.nodes] == [path]
    assert len(shared(simulated)) <= 2
    for client in clients:
        client.close()


# --- memory


def test_the_limit_on_memory_holds(start, simulated):
    """Large commands that wait for a connection are refused over the limit, and all others go on."""
    limit = 16_000_000
    proxy = start({"memory_max": limit, "max_message_bytes": 8_000_000, "pool.max_size": 2, "admin": "0"})
    admin, held = Admin(proxy), Held(simulated)

    def used():
        return admin.metrics()["mongosluice_buffer_bytes"]

    with connected(proxy, 12) as clients:
        small, first, second, *large = clients
        for client in (first, second):
            held.begin(client)
        held.wait_for(2)
        message = op_msg({"find": "c", "filter": {"x": bytes(4_000_000)}, "$db": "d"})
        senders = [threading.Thread(target=suppressed, args=(client, message)) for client in large]
        for sender in senders:
            sender.start()
        eventually(lambda: used() > limit / 2, "the commands wait")
        assert used() <= limit
        held.open()
        assert [client.receive().body["n"] for client in (first, second)] == [7, 7]
        replies = [last_reply(client) for client in large]
        for sender in senders:
            sender.join()
        assert {None if reply is None else reply["ok"] or reply["code"] for reply in replies} <= {None, 1, 146, 462}
        assert [reply for reply in replies if reply and reply["ok"] == 1]
        assert small.command({"ping": 1})["ok"] == 1
        eventually(lambda: used() == 0, "nothing is left")


def suppressed(client, message):
    with contextlib.suppress(OSError):
        client.send(message)


def last_reply(client):
    try:
        return client.receive().body
    except OSError:
        return None
