"""Pausing: commands that run and transactions that are open go on, new commands wait."""

import contextlib
import signal
import threading

import pytest
from support.admin import Admin
from support.process import eventually
from support.scenes import Gate, begin_transaction, end_transaction
from support.wire import RawClient, compress, op_msg

pytestmark = pytest.mark.proxy_only


@pytest.fixture
def start(start_proxy, simulated):
    def start(options=None):
        proxy = start_proxy(f"mongodb://{simulated.address}/", {"admin": "0", "threads": 1, **(options or {})})
        return proxy, Admin(proxy)
    return start


def pause(admin):
    answer = admin.post("/pause")
    assert answer.status == 200 and answer.json() == {"state": "paused"}


def resume(admin):
    assert admin.post("/resume").json() == {"state": "running"}


def wait_until_held(admin, count=1):
    admin.wait_for_metric('mongosluice_client_connections{state="paused"}', count)


def test_a_command_waits_until_the_proxy_is_resumed(start, simulated):
    proxy, admin = start()
    with RawClient(proxy.endpoint()) as client:
        assert client.command({"ping": 1})["ok"] == 1
        pause(admin)
        # longer than one read, so that its end still waits in the kernel
        client.send(op_msg({"insert": "c", "$db": "d"}, {"documents": [{"x": bytes(1_000_000)}]}, request_id=7))
        wait_until_held(admin)
        assert admin.metrics()["mongosluice_oldest_wait_seconds"] >= 0
        row = admin.json("/connections")["connections"][0]
        assert row["state"] == "paused"
        assert simulated.requests("insert") == []
        resume(admin)
        reply = client.receive()
        assert (reply.response_to, reply.body["n"]) == (7, 1)
        assert client.command({"ping": 1})["ok"] == 1


@pytest.mark.parametrize("compressor", ["snappy", "zlib", "zstd"])
def test_a_compressed_command_that_waits_stays_open(start, simulated, compressor):
    """The proxy opens it once, counts its inner message for memory_max, and frees it when it is decided on."""
    size = 1_000_000
    proxy, admin = start()
    with RawClient(proxy.endpoint()) as client:
        assert client.command({"ping": 1})["ok"] == 1
        pause(admin)
        plain = op_msg({"insert": "c", "$db": "d"}, {"documents": [{"x": bytes(size)}]}, request_id=7)
        client.send(compress(plain, compressor))
        wait_until_held(admin)
        admin.wait_for_metric("mongosluice_buffer_bytes", size)
        resume(admin)
        reply = client.receive()
        assert (reply.response_to, reply.body["n"]) == (7, 1)
        eventually(lambda: admin.metrics()["mongosluice_buffer_bytes"] < size, "the inner message is freed")
        pause(admin)
        client.send(compress(plain, compressor))
        wait_until_held(admin)
        admin.wait_for_metric("mongosluice_buffer_bytes", size)
    eventually(lambda: admin.metrics()["mongosluice_buffer_bytes"] == 0, "no buffer is left")


def test_compressed_commands_that_wait_leave_room_for_others(start, simulated):
    """Opened, all of them would take three times memory_max."""
    megabyte, count = 1 << 20, 64
    proxy, admin = start({"memory_max": 4 * megabyte, "max_message_bytes": megabyte})
    plain = op_msg({"insert": "c", "$db": "d"}, {"documents": [{"x": bytes(200_000)}]}, request_id=7)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(RawClient(proxy.endpoint())) for _ in range(count)]
        for client in clients:
            assert client.command({"ping": 1})["ok"] == 1
        pause(admin)
        for client in clients:
            client.send(compress(plain, "zstd"))
        wait_until_held(admin, count)
        assert admin.metrics()["mongosluice_buffer_bytes"] < 3 * megabyte
        resume(admin)
        for client in clients:
            reply = client.receive()
            assert (reply.response_to, reply.body.get("n")) == (7, 1), reply.body
    eventually(lambda: admin.metrics()["mongosluice_buffer_bytes"] == 0, "no buffer is left")


def test_signals_do_the_same(start, simulated):
    proxy, admin = start()
    with RawClient(proxy.endpoint()) as client:
        proxy.process.send(signal.SIGUSR1)
        eventually(lambda: admin.json("/status")["state"] == "paused", "it is paused")
        client.send(op_msg({"ping": 1, "$db": "admin"}))
        wait_until_held(admin)
        proxy.process.send(signal.SIGUSR2)
        assert client.receive().body["ok"] == 1
        assert admin.json("/status")["state"] == "running"


def test_what_runs_goes_on(start, simulated):
    gate = Gate(simulated)
    proxy, admin = start()
    with RawClient(proxy.endpoint()) as client:
        client.send(op_msg({"gated": 1, "$db": "admin"}))
        simulated.wait_for_request("gated")
        pause(admin)
        gate.open()
        assert client.receive().body["ok"] == 1


def test_open_transactions_go_on_and_new_ones_wait(start, simulated):
    proxy, admin = start()
    with RawClient(proxy.endpoint()) as client, RawClient(proxy.endpoint()) as other:
        lsid = begin_transaction(client)
        assert other.command({"ping": 1})["ok"] == 1
        pause(admin)
        assert end_transaction(client, lsid)["ok"] == 1
        other.send(op_msg({"insert": "c", "documents": [{"_id": 1}], "$db": "d", "lsid": lsid,
                           "txnNumber": 2, "startTransaction": True, "autocommit": False}))
        wait_until_held(admin)
        resume(admin)
        assert other.receive().body["ok"] == 1


def test_hellos_pass_and_new_clients_are_let_in(start, simulated):
    proxy, admin = start()
    pause(admin)
    with RawClient(proxy.endpoint()) as client:
        assert client.hello()["ok"] == 1
        client.send(op_msg({"ping": 1, "$db": "admin"}))
        wait_until_held(admin)
        resume(admin)
        assert client.receive().body["ok"] == 1


def test_waiting_has_an_end(start, simulated):
    proxy, admin = start({"query_wait_timeout_ms": 300})
    pause(admin)
    with RawClient(proxy.endpoint()) as client:
        reply = client.command({"find": "c", "$db": "d"})
        assert (reply["ok"], reply["code"], reply["codeName"]) == (0, 262, "ExceededTimeLimit")
        assert "query_wait_timeout_ms" in reply["errmsg"]
        assert client.command({"find": "c", "$db": "d"})["code"] == 262  # the retry waits anew
        assert admin.metrics()['mongosluice_errors_total{cause="query_wait_timeout"}'] == 2
        assert simulated.requests("find") == []
        resume(admin)
        assert client.command({"find": "c", "$db": "d"})["ok"] == 1


def test_requests_that_wait_together_end_in_their_order(start, simulated):
    proxy, admin = start({"query_wait_timeout_ms": 300})
    pause(admin)
    with RawClient(proxy.endpoint()) as client:
        sent = [client.send(op_msg({"find": "c", "$db": "d"})) for _ in range(2)]
        answers = [client.receive() for _ in sent]
        assert [answer.body["code"] for answer in answers] == [262, 262]
        assert simulated.requests("find") == []


def test_a_drivers_retry_outlasts_the_pause(start_proxy, server, collection_name):
    """The proxy keeps the connection after its refusal, so the driver's only retry waits once more."""
    proxy = start_proxy(server.endpoint.uri(), {"admin": "0", "query_wait_timeout_ms": 1000}, endpoint=server.endpoint)
    admin = Admin(proxy)
    with proxy.endpoint().client(maxPoolSize=1) as client:
        collection = client["pause"][collection_name]
        assert collection.find_one({"_id": 0}) is None
        pause(admin)
        found = []
        thread = threading.Thread(target=lambda: found.append(collection.find_one({"_id": 0})))
        thread.start()
        eventually(lambda: admin.metrics()['mongosluice_errors_total{cause="query_wait_timeout"}'] == 1, "it was refused")
        wait_until_held(admin)
        resume(admin)
        thread.join()
        assert found == [None]


def test_a_waiting_write_without_a_reply_gets_none(start, simulated):
    """A driver would take an answer to it for the answer to its next request."""
    proxy, admin = start({"query_wait_timeout_ms": 300})
    pause(admin)
    with RawClient(proxy.endpoint()) as client:
        client.send(op_msg({"insert": "c", "writeConcern": {"w": 0}, "documents": [{"_id": 1}], "$db": "d"}, flags=2))
        client.send(op_msg({"find": "c", "$db": "d"}))
        client.assert_closed()
    assert admin.metrics()['mongosluice_errors_total{cause="query_wait_timeout"}'] == 1
    assert simulated.requests("insert") == []


def test_a_client_that_goes_away_while_it_waits_is_forgotten(start, simulated):
    proxy, admin = start()
    pause(admin)
    with RawClient(proxy.endpoint()) as client:
        client.send(op_msg({"ping": 1, "$db": "admin"}))
        wait_until_held(admin)
    eventually(lambda: admin.json("/status")["connections"]["clients"] == 0, "it is gone")
    resume(admin)
    assert simulated.requests("ping") == []


def test_idle_timeouts_do_not_end_those_who_wait(start, simulated):
    proxy, admin = start({"client_idle_timeout_ms": 200})
    pause(admin)
    with RawClient(proxy.endpoint()) as client:
        client.send(op_msg({"ping": 1, "$db": "admin"}))
        wait_until_held(admin)
        admin.wait_for_metric("mongosluice_oldest_wait_seconds", 0.6)
        resume(admin)
        assert client.receive().body["ok"] == 1


def test_draining_resumes(start, simulated):
    proxy, admin = start({"drain_timeout_ms": 600000})
    pause(admin)
    with RawClient(proxy.endpoint()) as client:
        client.send(op_msg({"ping": 1, "$db": "admin"}))
        wait_until_held(admin)
        proxy.process.send(signal.SIGTERM)
        assert client.receive().body["ok"] == 1
    assert proxy.process.wait() == 0


def test_a_driver_waits_too(start_proxy, server, collection_name):
    proxy = start_proxy(server.endpoint.uri(), {"admin": "0"}, endpoint=server.endpoint)
    admin = Admin(proxy)
    with proxy.endpoint().client() as client:
        collection = client["pause"][collection_name]
        collection.insert_one({"_id": 0})
        pause(admin)
        done = []
        threads = [threading.Thread(target=lambda n=n: done.append(collection.insert_one({"_id": n})))
                   for n in range(1, 9)]
        for thread in threads:
            thread.start()
        wait_until_held(admin, 8)
        assert not done
        resume(admin)
        for thread in threads:
            thread.join()
        assert len(done) == 8
        assert collection.count_documents({}) == 9
