"""One client's input cannot fill the log: the proxy logs the first lines of a kind and counts the rest."""


import pytest
from support.admin import Admin
from support.process import eventually
from support.wire import MORE_TO_COME, RawClient, op_msg

pytestmark = pytest.mark.proxy_only
REFUSED, LEFT_OUT, LOGGED_OUT = 3010, 1080, 2002
COUNT = 10_000
FIRST = 3
OPTIONS = {"threads": 1, "admin.listen": "127.0.0.1:0", "log.sample_first": FIRST, "log.sample_period_ms": 1000}
COUNTED = 'mongosluice_documents_total{schema="d.c",outcome="%s"}'


def lines(proxy, number):
    return [record.get("attr", {}) for record in proxy.records() if record["id"] == number]


def left_out(proxy, number):
    return sum(attr["leftOut"] for attr in lines(proxy, LEFT_OUT) if attr["id"] == number)


@pytest.mark.parametrize(("action", "flags", "outcome"), [
    ("warn", 0, "warned"), ("errorAndLog", 0, "refused"), ("error", MORE_TO_COME, "refused"), ("warn", MORE_TO_COME, "warned")])
def test_refused_documents(action, flags, outcome, simulated_guard, simulated):
    simulated.handlers["insert"] = lambda _, __, request: None if flags else {
        "ok": 1, "n": len(request.sequences["documents"])}
    proxy = simulated_guard({"required": ["a"]}, {**OPTIONS, "log.show_values": "true"}, action=action)
    body = {"insert": "c", "ordered": False, "$db": "d"}
    if flags:
        body["writeConcern"] = {"w": 0}
    with RawClient(proxy.endpoint(), seconds=60) as client:
        message = op_msg(body, {"documents": [{}] * COUNT}, flags=flags)
        if flags:
            client.send(message)
        else:
            client.ask(message)
        assert client.command({"ping": 1})["ok"] == 1
    metrics = Admin(proxy).metrics()
    assert metrics[COUNTED % outcome] == COUNT
    eventually(lambda: left_out(proxy, REFUSED) + len(lines(proxy, REFUSED)) == COUNT, "every line is accounted for")
    periods = len(lines(proxy, LEFT_OUT))
    assert 1 <= len(lines(proxy, REFUSED)) <= FIRST * periods <= FIRST * 30
    for attr in lines(proxy, REFUSED):
        assert attr["ns"] == "d.c" and attr["reason"] == "required a" and attr["errInfo"]["details"]
    assert sum(map(len, proxy.process.stdout)) < 200_000


def test_what_is_left_out_is_said_at_the_end(simulated_guard):
    """The count includes a period that is not over."""
    proxy = simulated_guard({"required": ["a"]}, {**OPTIONS, "log.sample_period_ms": 3_600_000}, action="errorAndLog")
    with RawClient(proxy.endpoint()) as client:
        client.ask(op_msg({"insert": "c", "ordered": False, "$db": "d"}, {"documents": [{}] * 50}))
    eventually(lambda: len(lines(proxy, REFUSED)) == FIRST, "the first lines are there")
    assert not lines(proxy, LEFT_OUT)
    proxy.finish()
    assert left_out(proxy, REFUSED) == 50 - FIRST


def test_all_where_that_is_wanted(simulated_guard):
    proxy = simulated_guard({"required": ["a"]}, {**OPTIONS, "log.sample_first": 0}, action="errorAndLog")
    with RawClient(proxy.endpoint()) as client:
        client.ask(op_msg({"insert": "c", "ordered": False, "$db": "d"}, {"documents": [{}] * 50}))
    eventually(lambda: len(lines(proxy, REFUSED)) == 50, "every line is there")


def test_logouts_in_a_loop(simulated_guard, simulated):
    """With a line for each message a client could make the log as large as it likes."""
    simulated.handlers.update(saslStart=lambda *_: {"ok": 1.0, "conversationId": 1, "done": True, "payload": b""},
                              logout=lambda *_: {"ok": 1})
    proxy = simulated_guard({"required": ["a"]}, OPTIONS)
    with RawClient(proxy.endpoint()) as client:
        for _ in range(100):
            client.command({"saslStart": 1, "mechanism": "SCRAM-SHA-256", "payload": b"n,,n=ada,r=abc"})
            client.command({"logout": 1})
    eventually(lambda: len(lines(proxy, LOGGED_OUT)) + left_out(proxy, LOGGED_OUT) == 100, "all are accounted for")
    assert len(lines(proxy, LOGGED_OUT)) < 100
