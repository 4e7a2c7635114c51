"""Reload and shutdown during other events: the proxy uses no freed object, and loses no write that a client may
rely on."""

import os
import signal
import time

import pytest
from support import wire
from support.process import eventually
from support.proxy import run_proxy
from support.simulated import SimulatedServer
from support.wire import RawClient, op_msg

pytestmark = pytest.mark.proxy_only
RELOADED, NO_PORT = 1032, 1015


def replica_set(*members, primary=0):
    return {"setName": "rs", "setVersion": len(members), "hosts": [one.address for one in members],
            "primary": members[primary].address}


def show(members, shown):
    for one in members:
        one.change({**replica_set(*shown), "me": one.address, "isWritablePrimary": one is shown[0],
                    "secondary": one is not shown[0]})


def test_member_added_after_a_reload(tmp_path, start_proxy):
    """The settings of the listeners outlive their configuration."""
    with SimulatedServer() as first, SimulatedServer() as second:
        show([first, second], [first])
        proxy = start_proxy(f"mongodb://{first.address}/?replicaSet=rs",
                            {"listen_port_count": 4, "stats_period_ms": 100})
        with RawClient(proxy.endpoint()) as client:
            client.command({"ping": 1})
        for _ in range(2):
            before = sum(one["id"] == RELOADED for one in proxy.records())
            proxy.process.send(signal.SIGHUP)
            eventually(lambda: sum(one["id"] == RELOADED for one in proxy.records()) > before,
                       "it reloads")
        eventually(lambda: RawClient(proxy.endpoint()).command({"ping": 1})["ok"], "a worker turns")
        show([first, second], [first, second])
        with RawClient(proxy.endpoint(second.address)) as client:
            assert client.command({"ping": 1})["ok"] == 1


@pytest.mark.parametrize("number", range(12))
def test_end_at_any_time(start_proxy, number):
    """Monitoring still reports during shutdown."""
    servers = [SimulatedServer() for _ in range(3)]
    try:
        show(servers, servers)
        proxy = start_proxy(f"mongodb://{servers[0].address}/?replicaSet=rs",
                            {"listen_port_count": 4})
        with RawClient(proxy.endpoint()) as client:
            client.command({"ping": 1})
            if number % 2:
                show(servers, servers[:2])
            time.sleep(0.01 * number)
            proxy.process.send(signal.SIGQUIT)
            assert proxy.process.wait() == 0
    finally:
        for server in servers:
            server.stop()


def test_draining_sends_on_what_wants_no_reply(start_proxy, simulated):
    """The proxy does not discard w:0 writes that the server has not received yet."""
    proxy = start_proxy(f"mongodb://{simulated.address}/", {"drain_timeout_ms": 15000})
    with RawClient(proxy.endpoint()) as client:
        client.command({"ping": 1})
        connection, _ = simulated.wait_for_request("ping")
        simulated.call(connection.writer.transport.pause_reading)
        insert = op_msg({"insert": "c", "$db": "d"}, {"documents": [{"x": bytes(1_000_000)}]},
                        flags=wire.MORE_TO_COME)
        client.socket.settimeout(0.5)
        whole = 0
        rest = b""
        try:
            while True:
                sent = 0
                while sent < len(insert):
                    sent += client.socket.send(insert[sent:sent + 50_000])
                whole += 1
        except TimeoutError:
            rest = insert[sent:]
        proxy.process.send(signal.SIGTERM)
        time.sleep(0.5)
        simulated.call(connection.writer.transport.resume_reading)
        client.socket.settimeout(20)
        try:
            client.send(rest)
        except ConnectionError:
            pass
        simulated.wait_for(lambda: connection.closed, "the end")
        assert len(connection.named("insert")) >= whole
    assert proxy.process.wait() == 0


def test_draining_waits_for_a_request_on_its_way(start_proxy, simulated):
    """A partly received command counts as under way."""
    proxy = start_proxy(f"mongodb://{simulated.address}/", {"drain_timeout_ms": 15000})
    message = op_msg({"ping": 1, "$db": "admin", "x": "y" * 300_000})
    with RawClient(proxy.endpoint()) as client:
        client.command({"ping": 1})
        client.send(message[:200_000])
        client.until_read()
        proxy.process.send(signal.SIGTERM)
        proxy.wait_for_text("drain")
        client.send(message[200_000:])
        assert client.receive().body["ok"] == 1
        client.assert_closed()
    assert proxy.process.wait() == 0


def test_member_replaced_when_no_port_is_spare(start_proxy):
    """A new member takes over the port of the removed one."""
    servers = [SimulatedServer() for _ in range(3)]
    first, second, third = servers
    try:
        show(servers, [first, second])
        proxy = start_proxy(f"mongodb://{first.address}/?replicaSet=rs", {"listen_port_count": 2})
        for one in (first, second):
            with RawClient(proxy.endpoint(one.address)) as client:
                assert client.command({"ping": 1})["ok"] == 1
        show(servers, [first, third])
        with RawClient(proxy.endpoint(third.address)) as client:
            assert client.command({"ping": 1})["ok"] == 1
        simulated_pings = third.requests("ping")
        assert simulated_pings
        with RawClient(proxy.endpoint(first.address)) as client:
            reply = client.hello()
            assert len(reply["hosts"]) == 2
    finally:
        for one in servers:
            one.stop()


def test_log_file_that_nobody_reads(tmp_path):
    """The error names a FIFO without a reader, and the start does not block on it."""
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    code, _, stderr = run_proxy("--listen=127.0.0.1:0", "--upstream=mongodb://127.0.0.1:1/",
                                f"--log.file={fifo}")
    assert code != 0 and str(fifo) in stderr


def test_no_port_is_left(start_proxy):
    """The proxy logs it once, not at each hello that names the member, and serves the other members."""
    with SimulatedServer() as first, SimulatedServer() as second:
        show([first, second], [first, second])
        proxy = start_proxy(f"mongodb://{first.address}/?replicaSet=rs", {"listen_port_count": 1})
        where = proxy.endpoint()
        with RawClient(where) as client:
            for _ in range(200):
                assert client.hello()["hosts"] == [where.address]
        proxy.wait_for_record("no port left", id=NO_PORT)
        assert sum(one["id"] == NO_PORT for one in proxy.records()) < 50
