"""Schemas with action warn, as an operator meets them: sampled lines that say who wrote, without values, and one line a
period that sums up; status tells the warned from the refused."""

import json
import subprocess

import pytest
from support.admin import Admin
from support.process import eventually
from support.proxy import BINARY
from support.wire import RawClient

pytestmark = pytest.mark.proxy_only
SECRET = "a secret value"


@pytest.fixture
def start_warning(start_proxy, simulated, tmp_path):
    """start_warning({option: value}): a proxy whose schema of d.lenient warns; that of d.strict refuses."""
    def start(options=None):
        for ns, action in (("d.lenient", "warn"), ("d.strict", "error")):
            schema = {"bsonType": "object", "properties": {"n": {"bsonType": "int"}}}
            (tmp_path / f"{ns}.json").write_text(json.dumps({"ns": ns, "schema": schema, "action": action}))
        proxy = start_proxy(f"mongodb://{simulated.address}/", {
            "admin": "0", "schemas": tmp_path, "log.sample_first": 3, "log.sample_period_ms": 60000,
            **(options or {})})
        return proxy, Admin(proxy)
    return start


def write(proxy, count, collection="lenient"):
    """Returns the client's address."""
    with RawClient(proxy.endpoint()) as client:
        client.hello(client={"application": {"name": "shop"}, "driver": {"name": "raw", "version": "1"},
                             "os": {"type": "Linux"}})
        for at in range(count):
            reply = client.command({"insert": collection, "$db": "d", "documents": [{"_id": at, "n": SECRET}]})
            assert reply["ok"] == 1 and ("writeErrors" in reply) == (collection == "strict")
        return "{}:{}".format(*client.socket.getsockname())


def lines(proxy, number):
    return [record for record in proxy.records() if record["id"] == number]


def test_lines_say_who_wrote_and_no_values(start_warning):
    proxy, _ = start_warning()
    address = write(proxy, 5)
    write(proxy, 1, "strict")
    eventually(lambda: len(lines(proxy, 3010)) == 3, "the first three are logged")
    for record in lines(proxy, 3010):
        assert record["s"] == "W" and record["attr"] == {
            "ns": "d.lenient", "warned": True, "reason": record["attr"]["reason"], "remote": address, "user": "",
            "application": "shop"}
        assert record["attr"]["reason"] == "n: bsonType"
    proxy.finish()
    assert SECRET not in proxy.process.output()
    assert [record["attr"]["leftOut"] for record in lines(proxy, 1080) if record["attr"]["id"] == 3010] == [2]


def test_values_are_logged_where_it_is_asked_for(start_warning):
    proxy, _ = start_warning({"log.show_values": "true"})
    write(proxy, 1)
    record = proxy.wait_for_record("the warning", id=3010)
    assert SECRET in json.dumps(record["attr"]["errInfo"])


def test_one_line_sums_up_a_period(start_warning):
    proxy, _ = start_warning({"log.sample_period_ms": 300})
    write(proxy, 20)
    write(proxy, 2, "strict")
    eventually(lambda: sum(record["attr"]["warned"] for record in lines(proxy, 3011)) == 20, "all are summed up")
    for record in lines(proxy, 3011):
        assert record["attr"]["namespaces"] == 1 and record["attr"]["most"][0]["ns"] == "d.lenient"
        assert record["attr"]["most"][0]["warned"] == record["attr"]["warned"]
    count = len(lines(proxy, 3011))
    assert count <= 2  # not a line for each document
    write(proxy, 1, "strict")
    write(proxy, 1)
    eventually(lambda: sum(record["attr"]["warned"] for record in lines(proxy, 3011)) == 21, "the next period")
    assert sum(record["attr"]["refused"] for record in lines(proxy, 3011)) in (1, 3)  # a period without warnings is silent


def test_the_end_sums_up_the_last_period(start_warning):
    proxy, _ = start_warning()
    write(proxy, 7)
    proxy.finish()
    assert [record["attr"]["warned"] for record in lines(proxy, 3011)] == [7]


def test_status_tells_warned_from_refused(start_warning):
    proxy, admin = start_warning()
    write(proxy, 3)
    write(proxy, 2, "strict")
    validation = admin.json("/status")["validation"]
    assert (validation["warned"], validation["refused"]) == (3, 2)
    assert sorted(one["warned"] for one in validation["refusals"]) == [False, False, True, True, True]
    shown = subprocess.run([BINARY, "status", "--admin", admin.address], capture_output=True, text=True, timeout=60)
    assert "in all 3 warned, 2 refused" in shown.stdout
    assert shown.stdout.count("warned   d.lenient") == 3 and shown.stdout.count("refused  d.strict") == 2
    figures = admin.metrics()
    assert figures['mongosluice_documents_total{schema="d.lenient",outcome="warned"}'] == 3
    assert figures['mongosluice_documents_total{schema="d.lenient",outcome="passed"}'] == 0
    assert figures['mongosluice_documents_total{schema="d.strict",outcome="refused"}'] == 2
