"""Limits by user and by application name (limits.rules): connections, requests a second, written documents a second."""

import signal
import time

import pytest
from pymongo.errors import OperationFailure

from support.admin import Admin
from support.process import eventually
from support.wire import MORE_TO_COME, RawClient, op_msg

pytestmark = pytest.mark.proxy_only


@pytest.fixture(params=["session", "shared"])
def start(request, start_proxy, server):
    def begin(rules, **more):
        return start_proxy(server.endpoint.uri(), {"limits.rules": rules, "pool.mode": request.param, "threads": 2,
                                                   "admin.listen": "127.0.0.1:0", **more}, endpoint=server.endpoint)
    return begin


def hello(client, application=None, **more):
    metadata = {"driver": {"name": "test", "version": "1"}, "os": {"type": "Linux"}}
    if application is not None:
        metadata["application"] = {"name": application}
    assert client.hello(client=metadata, **more)["ok"] == 1


def refusals(client, count):
    """Of so many commands that are sent at once."""
    client.send(b"".join(op_msg({"ping": 1, "$db": "admin"}) for _ in range(count)))
    return [reply for reply in (client.receive().body for _ in range(count)) if reply["ok"] != 1]


def test_requests_of_an_application(start):
    proxy = start("requests=5 application=reports")
    with RawClient(proxy.endpoint()) as limited, RawClient(proxy.endpoint()) as other:
        hello(limited, "reports", backpressure="2")
        hello(other, "web")
        refused = refusals(limited, 12)
        assert 1 <= len(refused) <= 7
        assert refused[0]["code"] == 462
        assert sorted(refused[0]["errorLabels"]) == ["RetryableError", "SystemOverloadedError"]
        assert "application 'reports'" in refused[0]["errmsg"]
        assert "5 requests in a second (option limits.rules, rule 1)" in refused[0]["errmsg"]
        assert refusals(other, 30) == []
        time.sleep(0.5)  # two and a half requests more
        assert limited.command({"ping": 1})["ok"] == 1
        # what ends something is never refused
        assert all(limited.command({"endSessions": []})["ok"] == 1 for _ in range(10))
        assert all(limited.hello()["ok"] == 1 for _ in range(10))
    assert Admin(proxy).metrics()['mongosluice_errors_total{cause="limit"}'] == len(refused)


def test_without_backpressure_there_are_no_labels(start):
    with RawClient(start("requests=1 application=reports").endpoint()) as client:
        hello(client, "reports")
        refused = refusals(client, 5)
        assert refused and all("errorLabels" not in one and one["code"] == 462 for one in refused)


def test_one_count_for_all_connections_or_one_for_each_application(start):
    proxy = start("requests=10 application=reports; requests=10 application=*")
    with RawClient(proxy.endpoint()) as one, RawClient(proxy.endpoint()) as two, RawClient(proxy.endpoint()) as other:
        hello(one, "reports")
        hello(two, "reports")
        hello(other, "web")
        # 10 of 30 pass, and some more for the time that it takes; with a count for each connection, 20 would
        assert len(refusals(one, 15)) + len(refusals(two, 15)) > 12
        assert refusals(other, 8) == []
    with RawClient(proxy.endpoint()) as again:
        hello(again, "web")
        assert len(refusals(again, 15)) >= 5  # a new connection has the same count


def test_connections(start):
    proxy = start("connections=2 application=reports")
    clients = [RawClient(proxy.endpoint()) for _ in range(3)]
    for client in clients:
        hello(client, "reports", backpressure="2")
    assert [client.command({"ping": 1})["ok"] for client in clients[:2]] == [1, 1]
    refused = clients[2].command({"ping": 1})
    assert (refused["ok"], refused["code"]) == (0, 462)
    assert "2 connections" in refused["errmsg"]
    assert "SystemOverloadedError" in refused["errorLabels"]
    clients[2].assert_closed()
    clients[0].socket.close()

    def fits():
        with RawClient(proxy.endpoint()) as client:
            hello(client, "reports")
            return client.command({"ping": 1})["ok"] == 1
    eventually(fits, "a place is free again")
    for client in clients:
        client.socket.close()


def test_documents(start, ns):
    database, _, collection = ns.partition(".")
    proxy = start("documents=100 application=reports", max_message_bytes="16MiB")
    with RawClient(proxy.endpoint()) as client:
        hello(client, "reports")

        def insert(count):
            return client.ask(op_msg({"insert": collection, "$db": database}, {
                "documents": [{"x": i, "filler": "x" * 2000} for i in range(count)]})).body
        assert insert(99)["n"] == 99
        assert insert(400)["n"] == 400  # some are left, so it passes, and the next ones wait
        refused = insert(1)
        assert refused["code"] == 462
        assert "100 documents in a second" in refused["errmsg"]
        assert client.command({"find": collection, "$db": database, "limit": 1})["ok"] == 1
        assert client.command({"update": collection, "$db": database, "updates": [{"q": {}, "u": {"$set": {"a": 1}}}]})["code"] == 462
        eventually(lambda: insert(1).get("n") == 1, "the count recovers")


def test_a_write_without_a_reply_ends_the_connection(start, ns):
    database, _, collection = ns.partition(".")
    with RawClient(start("requests=1 application=reports").endpoint()) as client:
        hello(client, "reports")
        client.command({"ping": 1})
        client.send(op_msg({"insert": collection, "$db": database, "writeConcern": {"w": 0}}, {"documents": [{}]},
                           flags=MORE_TO_COME))
        client.assert_closed()


def test_a_driver_gets_through(start, ns):
    """PyMongo backs off and tries again by itself, as its specification says; a few times at most."""
    database, _, collection = ns.partition(".")
    proxy = start("requests=20 application=reports")
    done = others = 0

    def own_refusals():
        return Admin(proxy).metrics()['mongosluice_errors_total{cause="limit"}'] - others
    with proxy.endpoint().client(appname="reports") as client, RawClient(proxy.endpoint()) as greedy:
        hello(greedy, "reports")
        end = time.monotonic() + 60
        while (done < 40 or own_refusals() == 0) and time.monotonic() < end:
            if done % 10 == 0:
                others += len(refusals(greedy, 30))  # which leaves nothing for the driver
            try:
                client[database][collection].insert_one({"x": done})
                done += 1
            except OperationFailure as fault:
                assert fault.code == 462
                assert fault.has_error_label("RetryableError")
    assert done >= 40 and own_refusals() > 0


def test_rules_change_with_a_reload(start_proxy, server, tmp_path):
    file = tmp_path / "proxy.yaml"
    file.write_text("limits:\n  rules: requests=1 application=reports\n")
    proxy = start_proxy(server.endpoint.uri(), config_file=file, endpoint=server.endpoint)
    with RawClient(proxy.endpoint()) as client:
        hello(client, "reports")
        assert refusals(client, 5)
        file.write_text("limits:\n  rules: ''\n")
        proxy.process.send(signal.SIGHUP)
        proxy.wait_for_text("Reloaded")
        eventually(lambda: refusals(client, 5) == [], "the new rules are in force")
