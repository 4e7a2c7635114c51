"""Pools of shared connections, as operators see them: /pools, metrics, status, top, the command mongosluice."""

import asyncio
import subprocess

import pytest
from support.admin import Admin
from support.endpoint import Endpoint
from support.process import eventually
from support.proxy import BINARY, Proxy
from support.wire import RawClient, op_msg

pytestmark = pytest.mark.proxy_only
CLIENT = {"application": {"name": "shop"}, "driver": {"name": "raw", "version": "1"}, "os": {"type": "Linux"}}


@pytest.fixture
def start_shared(start_proxy, simulated):
    def start(options=None):
        proxy = start_proxy(f"mongodb://{simulated.address}/", {
            "admin": "0", "threads": 1, "pool.mode": "shared", "pool.max_size": 2, **(options or {})})
        return proxy, Admin(proxy)
    return start


@pytest.fixture
def gate(simulated):
    """gate() lets the server answer `find`."""
    event = asyncio.Event()

    async def find(server, connection, request):
        await event.wait()
        return {"ok": 1.0}
    simulated.handlers["find"] = find
    return lambda: simulated.call(event.set)


@pytest.fixture
def clients():
    """clients(proxy, count): clients of the application `shop`."""
    opened = []

    def connect(proxy, count):
        new = [RawClient(proxy.endpoint()) for _ in range(count)]
        opened.extend(new)
        for one in new:
            assert one.hello(client=CLIENT)["ok"] == 1
        return new
    yield connect
    for one in opened:
        one.socket.close()


def pools(admin, kind="nobody"):
    answer = admin.json("/pools")
    assert answer["complete"] and answer["left_out"] == 0
    return [one for one in answer["pools"] if one["kind"] == kind]


def test_clients_that_wait_are_shown(start_shared, simulated, gate, clients):
    proxy, admin = start_shared()
    many = clients(proxy, 5)
    for one in many:
        one.send(op_msg({"find": "c", "$db": "d"}))
        one.send(op_msg({"ping": 1, "$db": "admin"}))
    server = f'server="{simulated.address}"'
    eventually(lambda: admin.metrics().get(f"mongosluice_pool_waiting_clients{{{server}}}") == 3, "three wait")
    eventually(lambda: pools(admin) and pools(admin)[0]["leased"] == 2, "both connections run a command")
    [pool] = pools(admin)
    assert (pool["server"], pool["users"], pool["application"]) == (simulated.address, "", "shop")
    assert (pool["size"], pool["idle"], pool["waiting"], pool["awaiting"], pool["own"]) == (2, 0, 3, 0, 0)
    assert pool["oldest_wait_ms"] > 0 and pool["pinned"]["command"] == 2 and pool["compressors"] == []
    assert pool["refillable"]
    figures = admin.metrics()
    assert figures[f'mongosluice_pool_connections{{{server},state="leased"}}'] == 2
    assert figures[f'mongosluice_pool_pinned_connections{{{server},reason="command"}}'] == 2
    assert figures[f"mongosluice_pool_oldest_wait_seconds{{{server}}}"] > 0
    assert figures['mongosluice_client_connections{state="waiting"}'] == 3
    assert figures["mongosluice_oldest_wait_seconds"] > 0
    rows = admin.json("/connections")["connections"]
    assert sorted(row["state"] for row in rows) == ["running"] * 2 + ["waiting"] * 3
    assert {(row["application"], row["mode"]) for row in rows} == {("shop", "shared")}
    status = admin.json("/status")["pools"]
    assert (status["mode"], status["leased"], status["waiting"]) == ("shared", 2, 3)
    shown = subprocess.run([BINARY, "status", "--admin", admin.address], capture_output=True, text=True, timeout=60)
    assert "2 leased" in shown.stdout and "3 wait" in shown.stdout
    gate()
    for one in many:
        assert one.receive().body["ok"] == 1 and one.receive().body["ok"] == 1
    eventually(lambda: pools(admin)[0]["idle"] == 2, "both are idle")
    [pool] = pools(admin)
    assert (pool["leased"], pool["waiting"], pool["oldest_wait_ms"], pool["pinned"]["command"]) == (0, 0, 0, 0)
    assert admin.metrics()["mongosluice_pool_refills_total"] == 2


def test_refusals_have_their_cause(start_shared, gate, clients):
    """Each refused command has one cause: it waited too long, or too many waited."""
    proxy, admin = start_shared({"pool.wait_timeout_ms": 4000, "pool.waiters_max": 2})
    busy = clients(proxy, 2)
    for one in busy:
        one.send(op_msg({"find": "c", "$db": "d"}))
    admin.wait_for_metric('mongosluice_client_connections{state="running"}', 2)
    waiting = clients(proxy, 2)
    for one in waiting:
        one.send(op_msg({"ping": 1, "$db": "admin"}))
    admin.wait_for_metric('mongosluice_client_connections{state="waiting"}', 2)
    [last] = clients(proxy, 1)
    assert "pool.waiters_max" in last.command({"ping": 1})["errmsg"]
    for one in waiting:
        assert "pool" in one.receive().body["errmsg"]
    figures = admin.metrics()
    assert figures['mongosluice_errors_total{cause="pool_full"}'] == 1
    assert figures['mongosluice_errors_total{cause="pool_wait_timeout"}'] == 2
    assert figures['mongosluice_errors_total{cause="request_refused"}'] == 0
    gate()
    for one in busy:
        assert one.receive().body["ok"] == 1


def test_the_command_knows_its_pool(start_shared, clients):
    proxy, _ = start_shared()
    [one] = clients(proxy, 1)
    assert one.command({"ping": 1})["ok"] == 1
    told = one.command({"mongosluice": 1})["pool"]
    assert told["mode"] == "shared" and told["application"] == "shop" and told["users"] == ""
    assert told["size"] == 1 and told["idle"] == 1 and told["leased"] == 0 and told["waiting"] == 0


def test_the_command_of_session_mode(start_proxy, simulated):
    proxy = start_proxy(f"mongodb://{simulated.address}/")
    with RawClient(proxy.endpoint()) as one:
        assert one.command({"mongosluice": 1})["pool"] == {"mode": "session"}


def test_no_pools_in_session_mode(start_proxy, simulated):
    proxy = start_proxy(f"mongodb://{simulated.address}/", {"admin": "0"})
    admin = Admin(proxy)
    with RawClient(proxy.endpoint()) as one:
        one.command({"ping": 1})
        assert admin.json("/pools") == {"pools": [], "left_out": 0, "complete": True}
        assert admin.json("/connections")["connections"][0]["mode"] == "session"


def test_users_are_named(secure_server):
    """The pool of a user has the user's name, and never a secret."""
    like = secure_server.endpoint
    proxy = Proxy(Endpoint(like.address, like.replica_set, like.ca_file).uri(),
                  {"admin": "0", "pool.mode": "shared", "threads": 2},
                  endpoint=Endpoint("", like.replica_set, None, like.user, like.password))
    try:
        admin = Admin(proxy)
        with proxy.endpoint().client(appname="till") as one, proxy.endpoint().client(appname="till") as other:
            one.admin.command("ping")
            other.admin.command("ping")
            found = eventually(lambda: pools(admin, "users"), "a pool of users")
            assert len(found) == 1  # the parts of both workers are one row
            assert "@admin" in found[0]["users"] and found[0]["application"] == "till"
            assert admin.metrics()["mongosluice_pool_logins_total"] >= 2
    finally:
        proxy.finish()
