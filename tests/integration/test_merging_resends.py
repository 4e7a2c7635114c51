"""Merging: the proxy believes the answer to a resent batch only if it says that all documents are stored. Otherwise
each client's documents are requested one by one. One client's input never reaches another's answer."""

import pytest
from bson import Timestamp
from support.inserts import Inserter, codes, duplicate
from support.statements import KINDS

pytestmark = pytest.mark.proxy_only

UNKNOWN_ERROR = {"ok": 0.0, "code": 8, "codeName": "UnknownError", "errmsg": "something broke"}


@pytest.fixture(params=KINDS)
def repeating(start_merging, request):
    """Both kinds of servers: exact answers to resent commands, and those of MongoDB 4.4."""
    return start_merging(statements=request.param)


def send_batch(scene, *inserts):
    """The ids of each client, merged; the batch is under way."""
    clients = scene.clients(len(inserts))
    busy = scene.busy()
    messages = scene.gather(*((client, *ids) for client, ids in zip(clients, inserts, strict=True)))
    busy.answer()
    batch = scene.inserts.next()
    assert batch.ids == [one for ids in inserts for one in ids]
    return clients, messages, batch


def answer_alone(scene, batch, statements):
    """This number of documents is requested, each by itself under the batch's number."""
    seen = []
    while len(seen) < statements:
        arrived = scene.inserts.next()
        assert arrived.number == batch.number and len(arrived.ids) == len(arrived.body["stmtIds"]) == 1
        (statement,) = arrived.body["stmtIds"]
        assert arrived.ids == [batch.ids[statement]]
        seen.append(statement)
        arrived.answer()
    return sorted(seen)


@pytest.mark.parametrize("run", [False, True], ids=["before it was run", "after it was run"])
def test_each_gets_its_own_truth_when_an_answer_is_lost(repeating, run):
    """new, duplicate, new, duplicate of four clients: MongoDB 4.4 then reports errors at others' places."""
    scene = repeating
    scene.inserts.stored |= {"dup 1": 1, "dup 3": 1}
    clients, messages, batch = send_batch(scene, ["new 0"], ["dup 1"], ["new 2"], ["dup 3"])
    carrier = [one.connection for one in scene.inserts.all[:4]].index(batch.connection)
    batch.cut(run=run)
    again = scene.inserts.next()
    assert again.ids == batch.ids and again.number == batch.number
    again.answer()
    others = [at for at in range(4) if at != carrier]
    assert answer_alone(scene, batch, 3) == others
    clients[carrier].assert_closed()
    driver = scene.open(Inserter(scene.proxy.endpoint(), session=clients[carrier].session))
    driver.send(messages[carrier])
    assert answer_alone(scene, batch, 1) == [carrier]
    clients[carrier] = driver
    expected = [(1, []), (0, [duplicate(0, "dup 1")]), (1, []), (0, [duplicate(0, "dup 3")])]
    for client, message, (count, errors) in zip(clients, messages, expected, strict=True):
        reply = client.answered(message)
        assert (reply.body["n"], codes(reply)) == (count, errors)
    assert scene.inserts.none_waits()
    # and the answer stays the same
    for client, message, (count, errors) in zip(clients, messages, expected, strict=True):
        client.send(message)
        reply = client.answered(message)
        assert (reply.body["n"], codes(reply)) == (count, errors)
    assert scene.inserts.none_waits()


@pytest.mark.parametrize("ids", [["new", "dup", "newer"], ["dup", "new"], ["new", "dup", "newer", "dap"],
                                 ["dup", "dap"], ["new", "new"]], ids=" ".join)
def test_many_documents_of_one_client_are_asked_for_one_by_one(repeating, ids):
    scene = repeating
    scene.inserts.stored |= {"dup": 1, "dap": 1}
    expected = [(at, one) for at, one in enumerate(ids) if one in ("dup", "dap") or one in ids[:at]]
    (a, b, c), messages, batch = send_batch(scene, ["first", "dup"], ids, ["last"])
    connections = {one.connection: client for one, client in zip(scene.inserts.all[:3], (a, b, c), strict=True)}
    carrier = connections[batch.connection]
    batch.cut(run=True)
    again = scene.inserts.next()
    again.answer()
    counts = {a: 2, b: len(ids), c: 1}
    answer_alone(scene, batch, sum(counts.values()) - counts[carrier])
    driver = scene.open(Inserter(scene.proxy.endpoint(), session=carrier.session))
    driver.send(messages[(a, b, c).index(carrier)])
    answer_alone(scene, batch, counts[carrier])
    for client, message, errors in zip((a, b, c), messages, ([(1, "dup")], expected, []), strict=True):
        reply = (driver if client is carrier else client).answered(message)
        assert codes(reply) == [duplicate(*one) for one in errors]
        assert reply.body["n"] == counts[client] - len(errors)
    assert scene.inserts.none_waits()


def test_a_retry_of_many_documents_goes_one_by_one(repeating):
    scene = repeating
    scene.inserts.stored["dup"] = 1
    (a, b), messages, batch = send_batch(scene, ["first"], ["new", "dup", "newer"])
    batch.cut(run=True)
    scene.inserts.next().cut(run=False)
    b.assert_closed()
    again = scene.open(Inserter(scene.proxy.endpoint(), session=b.session))
    again.send(messages[1])
    assert answer_alone(scene, batch, 3) == [1, 2, 3]
    reply = again.answered(messages[1])
    assert (reply.body["n"], codes(reply)) == (2, [duplicate(1, "dup")])
    assert again.command({"ping": 1})["ok"] == 1


def test_a_retry_whose_asking_is_lost_begins_anew(repeating):
    scene = repeating
    (a, b), messages, batch = send_batch(scene, ["first"], ["new", "newer"])
    batch.cut(run=True)
    scene.inserts.next().cut(run=False)
    for last in (False, True):
        again = scene.open(Inserter(scene.proxy.endpoint(), session=b.session))
        again.send(messages[1])
        answer_alone(scene, batch, 1)
        if not last:
            scene.inserts.next().cut(run=True)
            again.assert_closed()
    answer_alone(scene, batch, 1)
    assert again.answered(messages[1]).body["n"] == 2


# --- a batch that the server fails

@pytest.mark.parametrize("code", [8, 50, 130, 202, 14031, 11601])
@pytest.mark.parametrize("run", [0, 1, 2], ids=["nothing run", "half run", "all run"])
def test_what_may_have_been_run_is_found_out_by_its_number(repeating, code, run):
    scene = repeating
    (a, b), messages, batch = send_batch(scene, ["new"], ["other"])
    for value, key in list(zip(batch.ids, ((*batch.number, 0), (*batch.number, 1)), strict=True))[:run]:
        scene.inserts.stored[value] = 1
        scene.inserts._statements.add(key)
    batch.answer({**UNKNOWN_ERROR, "code": code})
    assert answer_alone(scene, batch, 2) == [0, 1]
    for client, message in ((a, messages[0]), (b, messages[1])):
        assert client.answered(message).body == {"n": 1, "ok": 1.0}
    assert {"new", "other"} <= set(scene.inserts.stored)


def test_who_fails_alone_fails_alone(repeating):
    """One of them is the cause: the documents of the others are stored."""
    scene = repeating
    (a, b, c), messages, batch = send_batch(scene, ["1"], ["2"], ["3"])
    batch.answer(UNKNOWN_ERROR)
    for _ in range(3):
        arrived = scene.inserts.next()
        arrived.answer(UNKNOWN_ERROR if arrived.ids == ["2"] else None)
    assert a.answered(messages[0]).body == c.answered(messages[2]).body == {"n": 1, "ok": 1.0}
    assert b.answered(messages[1]).body == UNKNOWN_ERROR
    # it is not final: the client may retry
    b.send(messages[1])
    answer_alone(scene, batch, 1)
    assert b.answered(messages[1]).body == {"n": 1, "ok": 1.0}


def test_that_nothing_was_run_is_not_told_of_what_may_have_been(repeating):
    """The first sending may have stored it; a refusal of the second does not change that."""
    scene = repeating
    clients, messages, batch = send_batch(scene, ["1"], ["2"])
    scene.inserts.run(batch)
    batch.answer(UNKNOWN_ERROR)
    for _ in range(2):
        scene.inserts.next().answer({"ok": 0.0, "code": 13, "codeName": "Unauthorized", "errmsg": "no"})
    for client, message in zip(clients, messages, strict=True):
        client.assert_closed()
        again = scene.open(Inserter(scene.proxy.endpoint(), session=client.session))
        again.send(message)
        answer_alone(scene, batch, 1)
        assert again.answered(message).body == {"n": 1, "ok": 1.0}


def test_without_numbers_it_ends_as_a_lost_connection(scene):
    clients = [scene.client(retryable=False) for _ in range(3)]
    busy = scene.busy(scene.client(retryable=False))
    scene.gather(*((one, at) for at, one in enumerate(clients)))
    busy.answer()
    scene.inserts.next().answer(UNKNOWN_ERROR)
    for client in clients:
        client.assert_closed()
    scene.read_all()
    assert scene.inserts.none_waits()


@pytest.mark.parametrize("retryable", [True, False], ids=["numbered", "plain"])
@pytest.mark.parametrize("code", [2, 9, 13, 14, 22, 73, 204, 205, 206, 210, 211, 225, 261, 391, 40415])
def test_what_was_not_run_is_sent_as_each_ones_own(scene, code, retryable):
    a, b = (scene.client(retryable=retryable) for _ in range(2))
    busy = scene.busy(scene.client(retryable=retryable))
    messages = scene.gather((a, 1), (b, 2))
    busy.answer()
    refusal = {"ok": 0.0, "code": code, "errmsg": "no"}
    scene.inserts.next().answer(refusal)
    own = [scene.inserts.next(), scene.inserts.next()]
    assert sorted(one.request.raw for one in own) == sorted(messages)
    for one in own:
        one.answer(refusal if one.ids == [1] else None)
    assert a.answered(messages[0]).body == refusal
    assert b.answered(messages[1]).body == {"n": 1, "ok": 1.0}


# --- $clusterTime

FORGED = {"clusterTime": Timestamp(4102444800, 1), "signature": {"hash": b"\x01" * 20, "keyId": 12345}}


def test_a_clients_cluster_time_is_on_no_batch(scene):
    """A server accepts times that it has sent. It may refuse any other time, and then refuses the whole command."""
    told = {"clusterTime": Timestamp(7, 1), "signature": {"hash": b"\0" * 20, "keyId": 0}}
    a, b, c = scene.clients(3)
    busy = scene.busy()
    messages = []
    for client, time in ((a, told), (b, FORGED), (c, None)):
        messages.append(client.insert(client.session.hex, **({"$clusterTime": time} if time else {})))
        scene.read_all()
    busy.answer()
    batch = scene.inserts.next()
    assert len(batch.ids) == 3 and "$clusterTime" not in batch.body
    batch.answer()
    for client, message in zip((a, b, c), messages, strict=True):
        assert client.answered(message).body["n"] == 1


def test_alone_a_cluster_time_goes_as_it_came(scene):
    client = scene.client()
    message = client.insert(1, **{"$clusterTime": FORGED})
    arrived = scene.inserts.next()
    assert arrived.request.raw == message
    arrived.answer({"ok": 0.0, "code": 211, "codeName": "KeyNotFound", "errmsg": "no such key"})
    assert client.answered(message).body["code"] == 211
