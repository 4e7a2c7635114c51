"""Merging while clients come and go, options change, the proxy drains and pauses, and users and servers change."""

import signal
import socket
import ssl
import struct

import pytest
from support.inserts import Inserter, Inserts
from support.process import eventually
from support.simulated_set import SimulatedSet
from support.wire import RawClient, op_msg

pytestmark = pytest.mark.proxy_only


# --- identities and servers

def _login(server, connection, request):
    name = bytes(request.body["payload"]).split(b"\0")[1].decode()
    connection.users = [{"user": name, "db": "$external"}]
    return {"conversationId": 1, "done": True, "payload": b"", "ok": 1.0}


def _logout(server, connection, request):
    connection.users = []
    return {"ok": 1.0}


def login(client, user):
    reply = client.command({"saslStart": 1, "mechanism": "PLAIN", "$db": "$external",
                            "payload": f"\0{user}\0secret of {user}".encode()})
    assert reply["ok"] == 1


def logout(client):
    assert client.command({"logout": 1, "$db": "$external"})["ok"] == 1


@pytest.fixture
def users(start_merging, simulated):
    simulated.handlers["saslStart"] = _login
    simulated.handlers["logout"] = _logout
    scene = start_merging()

    def client(user):
        made = scene.client(known=False)
        login(made, user)
        scene.first_insert(made)
        return made
    return scene, client


def test_never_merged_across_users(users):
    scene, client = users
    a, b, c, d = client("ada"), client("bob"), client("ada"), client("bob")
    busy = [scene.busy(client("ada")), scene.busy(client("bob"))]
    messages = scene.gather((a, 1), (b, 2), (c, 3), (d, 4))
    for one in busy:
        one.answer()
    batches = [scene.inserts.next(), scene.inserts.next()]
    assert sorted(batch.ids for batch in batches) == [[1, 3], [2, 4]]
    for batch in batches:
        (start_of,) = {bytes(one.body["payload"]) for one in batch.connection.named("saslStart")}
        assert start_of.split(b"\0")[1] == (b"ada" if 1 in batch.ids else b"bob")
        batch.answer()
    for one, message in zip((a, b, c, d), messages, strict=True):
        assert one.answered(message).body["n"] == 1


def test_who_logs_in_as_another_goes_with_the_other(users):
    scene, client = users
    a, b, c = client("ada"), client("ada"), client("bob")
    logout(b)
    login(b, "bob")
    scene.first_insert(b)
    busy = scene.busy(client("bob"))
    other = scene.busy(client("ada"))
    messages = scene.gather((a, 1), (b, 2), (c, 3))
    busy.answer()
    assert scene.inserts.next().ids == [2, 3]
    other.answer()
    assert scene.inserts.next().ids == [1]
    for one in scene.inserts.all[-2:]:
        one.answer()
    for one, message in zip((a, b, c), messages, strict=True):
        assert one.answered(message).body["n"] == 1


def test_who_logged_out_is_nobody(users):
    scene, client = users
    a, b = client("ada"), client("ada")
    logout(b)
    busy = scene.busy(client("ada"))
    message = b.insert(2)
    arrived = scene.inserts.next()  # no insert without a user is under way
    assert arrived.request.raw == message
    (own,) = scene.gather((a, 1))
    arrived.answer()
    b.answered(message)
    busy.answer()
    scene.inserts.next().answer()
    a.answered(own)


def test_never_merged_across_servers(start_proxy):
    with SimulatedSet(2) as upstream:
        proxy = start_proxy(upstream.uri(), {"threads": 1, "merge.enabled": "true"})
        sides = [(Inserts(member), proxy.endpoint(member.address)) for member in upstream.members]
        clients, sent = [], []
        for inserts, where in sides:
            three = [Inserter(where, retryable=False) for _ in range(3)]
            clients += three
            sent.append((three[0], three[0].insert("busy"), inserts.next()))
        for at, (_, where) in enumerate(sides):
            for client in clients[3 * at + 1:3 * at + 3]:
                sent.append((client, client.insert(f"{at} {client.session}"), None))
        for client in clients:
            client.until_read()
        for client, message, arrived in sent[:2]:
            arrived.answer()
        for inserts, _ in sides:
            batch = inserts.next()
            assert len(batch.ids) == 2
            batch.answer()
        for client, message, _ in sent:
            assert client.answered(message).body["n"] == 1
            client.socket.close()


# --- many documents

def test_unordered_inserts_of_many_documents_join_while_they_fit(start_merging):
    scene = start_merging({"merge.max_docs": 5})
    a, b, c, d = scene.clients(4)
    busy = scene.busy()
    messages = scene.gather((a, 1, 2), (b, 3, 4, 5), (c, 6), (d, 7, 8, 9))
    busy.answer()
    for expected in ([1, 2, 3, 4, 5], [6, 7, 8, 9]):
        batch = scene.inserts.next()
        assert batch.ids == expected
        assert scene.inserts.none_waits()
        batch.answer()
    assert [one.answered(message).body["n"] for one, message in zip((a, b, c, d), messages, strict=True)] == [2, 3, 1, 3]


def test_batches_stay_below_max_bytes(start_merging):
    scene = start_merging({"merge.max_bytes": 10_000})
    clients = scene.clients(3)
    busy = scene.busy()
    sent = []
    for at, client in enumerate(clients):
        sent.append(client.insert(documents=[{"_id": at, "x": "x" * 4_500}]))
        scene.read_all()
    busy.answer()
    scene.answer_batches(([0, 1], [2]), clients, sent)


def test_the_servers_own_limits_hold(start_proxy, simulated, start_merging):
    simulated.topology = {"maxWriteBatchSize": 2, "maxBsonObjectSize": 2000}
    scene = start_merging()
    a, b, c, d = scene.clients(4)
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2), (c, 3))
    large = d.insert(documents=[{"_id": 4, "x": "x" * 3000}])
    assert scene.inserts.next().request.raw == large
    scene.inserts.all[-1].answer()
    d.answered(large)
    busy.answer()
    scene.answer_batches(([1, 2], [3]), (a, b, c), messages)


# --- the end of one client never affects another's insert

def reset(client):
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()


def test_whose_connection_is_reset_while_waiting_has_not_inserted(scene):
    a, b, c = scene.clients(3)
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2), (c, 3))
    before = scene.proxy.counter("clientsVanishedInCommand")
    reset(b)
    scene.proxy.wait_for_counter("clientsVanishedInCommand", before + 1)
    busy.answer()
    batch = scene.inserts.next()
    assert batch.ids == [1, 3]
    batch.answer()
    assert a.answered(messages[0]).body["n"] == c.answered(messages[2]).body["n"] == 1
    assert 2 not in scene.inserts.stored


def test_who_ends_its_side_while_waiting_gets_its_answer(scene):
    a, b, c = scene.clients(3)
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2), (c, 3))
    before = scene.proxy.counter("clientsVanishedInCommand")
    for client in (a, b):
        client.socket.shutdown(socket.SHUT_WR)
    scene.proxy.wait_for_counter("clientsVanishedInCommand", before + 2)
    busy.answer()
    batch = scene.inserts.next()
    assert batch.ids == [1, 2, 3]
    batch.answer()
    for client, message in zip((a, b, c), messages, strict=True):
        assert client.answered(message).body["n"] == 1
    for client in (a, b):
        client.assert_closed()
    assert c.command({"ping": 1})["ok"] == 1


def test_who_ends_its_side_and_asks_elsewhere_is_gone(scene):
    """Its first attempt was not sent yet: the second one goes instead."""
    a, b = scene.clients(2)
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2))
    a.socket.shutdown(socket.SHUT_WR)
    again = scene.open(Inserter(scene.proxy.endpoint(), session=a.session))
    again.send(messages[0])
    a.assert_closed()
    scene.read_all()
    busy.answer()
    batch = scene.inserts.next()
    assert sorted(batch.ids) == [1, 2]
    batch.answer()
    assert again.answered(messages[0]).body["n"] == b.answered(messages[1]).body["n"] == 1
    assert scene.inserts.stored[1] == 1


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("who", ["carrier", "other"])
def test_who_leaves_on_the_way_has_inserted(scene, how, who):
    clients = scene.clients(3)
    connections = [one.connection for one in scene.inserts.all[-3:]]
    busy = scene.busy()
    messages = scene.gather(*((one, at) for at, one in enumerate(clients)))
    busy.answer()
    batch = scene.inserts.next()
    carrier = connections.index(batch.connection)
    gone = carrier if who == "carrier" else (carrier + 1) % 3
    before = scene.proxy.counter("clientsVanishedInCommand")
    if how == "reset":
        reset(clients[gone])
    clients[gone].socket.close()
    scene.proxy.wait_for_counter("clientsVanishedInCommand", before + 1)
    assert not batch.connection.closed
    batch.answer()
    for at, (client, message) in enumerate(zip(clients, messages, strict=True)):
        if at != gone:
            assert client.answered(message).body == {"n": 1, "ok": 1.0}
    assert set(scene.inserts.stored) >= {0, 1, 2}
    # the remaining buffers of the carrying connection are freed, too
    eventually(lambda: connections[gone].closed, "the upstream connection of the client that left is closed")


def test_all_leave(scene):
    clients = scene.clients(3)
    busy = scene.busy()
    scene.gather(*((one, at) for at, one in enumerate(clients)))
    busy.answer()
    batch = scene.inserts.next()
    for client in clients:
        client.socket.close()
    scene.proxy.wait_for_counter("clientsVanishedInCommand", 3)
    batch.answer()
    eventually(lambda: batch.connection.closed, "the carrying connection is closed")
    busy = scene.busy()
    busy.answer()


# --- a dead connection that was not closed

def test_what_has_no_answer_does_not_keep_the_others_waiting(start_merging):
    scene = start_merging({"merge.stalled_after_ms": 300})
    a, b, c = scene.clients(3)
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2))
    stuck = [scene.inserts.next()]
    if len(stuck[0].ids) == 1:  # the two came too far apart to be merged
        stuck.append(scene.inserts.next())
    (later,) = scene.gather((c, 3))
    batch = scene.inserts.next()
    assert batch.ids == [3]
    assert batch.connection not in {busy.arrived.connection, *(one.connection for one in stuck)}
    batch.answer()
    assert c.answered(later).body["n"] == 1
    # the proxy stopped waiting for it, and neither resent it nor gave it up
    assert scene.inserts.none_waits()
    for one in (busy, *stuck):
        one.answer()
    for client, message in zip((a, b), messages, strict=True):
        assert client.answered(message).body["n"] == 1


def test_requests_behind_one_that_waits_are_answered_after_it(scene):
    a, b = scene.clients(2)
    busy = scene.busy()
    ping = op_msg({"ping": 1, "$db": "d"})
    first, second = a.message(1), a.message(2)
    a.send(first + ping + second)
    scene.read_all()
    (other,) = scene.gather((b, 3))
    busy.answer()
    batch = scene.inserts.next()
    assert batch.ids == [1, 3]
    batch.answer()
    assert a.answered(first).body["n"] == 1
    assert a.answered(ping).body == {"ok": 1.0}
    scene.inserts.next().answer()
    assert a.answered(second).body["n"] == 1
    b.answered(other)


def test_who_does_not_read_keeps_nobody_waiting(scene):
    """Its replies fill every buffer; its insert comes after buffers are free again."""
    scene.server.handlers["big"] = lambda *_: {"ok": 1.0, "x": "x" * 8_000_000}
    a, b = scene.clients(2)
    busy = scene.busy()
    slow = a.message(1)
    asks = [op_msg({"big": 1, "$db": "d"}) for _ in range(3)]
    a.send(b"".join(asks) + slow)
    scene.server.wait_for(lambda: len(scene.server.requests("big")) >= 1, "a big reply")
    (other,) = scene.gather((b, 2))
    busy.answer()
    arrived = scene.inserts.next()
    assert 2 in arrived.ids
    arrived.answer()
    assert b.answered(other).body["n"] == 1
    for ask in asks:
        a.answered(ask)
    if 1 not in arrived.ids:
        scene.inserts.next().answer()
    assert a.answered(slow).body["n"] == 1


def test_who_waits_is_not_idle(start_merging):
    scene = start_merging({"client_idle_timeout_ms": 1500})
    a, b = scene.clients(2)
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2))
    idle = RawClient(scene.proxy.endpoint())
    assert idle.hello()["ok"] == 1
    scene.proxy.wait_for_text("client_idle_timeout_ms")
    scene.open(idle).assert_closed()  # the proxy closed it: so the time was long enough
    busy.answer()
    scene.inserts.next().answer()
    assert a.answered(messages[0]).body["n"] == b.answered(messages[1]).body["n"] == 1


# --- when a batch is sent

def test_a_full_batch_does_not_wait(start_merging):
    scene = start_merging({"merge.max_docs": 3, "merge.max_in_flight": 2, "merge.linger_us": 1_000_000})
    clients = scene.clients(3)
    busy = scene.busy()
    messages = scene.gather((clients[0], 1), (clients[1], 2))
    assert scene.inserts.none_waits()
    (last,) = scene.gather((clients[2], 3))
    batch = scene.inserts.next()
    assert batch.ids == [1, 2, 3]
    batch.answer()
    for client, message in zip(clients, [*messages, last], strict=True):
        client.answered(message)
    busy.answer()


def test_lingering_ends(start_merging):
    scene = start_merging({"merge.linger_us": 200_000})
    a, b, c = scene.clients(3)
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2))
    busy.answer()
    assert scene.inserts.none_waits()  # it waits for more inserts
    messages += scene.gather((c, 3))
    batch = scene.inserts.next()
    assert batch.ids[:2] == [1, 2]
    batch.answer()
    if 3 not in batch.ids:
        scene.inserts.next().answer()
    for client, message in zip((a, b, c), messages, strict=True):
        client.answered(message)


def test_lingering_with_requests_that_wait_behind(start_merging):
    """A batch that is due when others are answered goes, while others linger."""
    scene = start_merging({"merge.linger_us": 100_000, "merge.max_docs": 2})
    clients = scene.clients(4)
    busy = scene.busy()
    messages = []
    for at, client in enumerate(clients):
        two = [client.message(2 * at), client.message(2 * at + 1)]
        messages.append(two)
        client.send(b"".join(two))
        scene.read_all()
    busy.answer()
    seen = []
    while len(seen) < 8:
        arrived = scene.inserts.next()
        seen += arrived.ids
        arrived.answer()
    assert sorted(seen) == list(range(8))
    for client, two in zip(clients, messages, strict=True):
        for message in two:
            assert client.answered(message).body["n"] == 1


@pytest.mark.parametrize("on_cap", ["passthrough", "reject"])
def test_over_max_waiters(start_merging, on_cap):
    scene = start_merging({"merge.max_waiters": 2, "merge.on_cap": on_cap})
    a, b, c = scene.clients(3)
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2))
    over = c.insert(3)
    if on_cap == "reject":
        reply = c.answered(over).body
        assert reply["ok"] == 0 and "merge.max_waiters" in reply["errmsg"]
        assert 3 not in scene.inserts.stored
    else:
        arrived = scene.inserts.next()
        assert arrived.request.raw == over
        arrived.answer()
        assert c.answered(over).body["n"] == 1
    busy.answer()
    batch = scene.inserts.next()
    assert batch.ids == [1, 2]
    batch.answer()
    assert a.answered(messages[0]).body["n"] == b.answered(messages[1]).body["n"] == 1
    # there is memory again: the same number may be retried
    again = c.insert(3, again=True)
    if on_cap == "reject":
        scene.inserts.next().answer()
        assert c.answered(again).body["n"] == 1
    else:
        arrived = scene.inserts.next()
        assert arrived.request.raw == again
        arrived.answer()
        assert c.answered(again).body["n"] == 1


def test_without_room_in_memory_it_is_not_gathered(start_merging):
    scene = start_merging({"memory_max": "4MiB", "max_message_bytes": "2MiB",
                   "merge.max_bytes": "8MiB"})
    a, b, c = scene.clients(3)
    busy = scene.busy()
    first = a.insert(documents=[{"_id": 1, "x": "x" * 1_500_000}])
    scene.read_all()
    second = b.insert(documents=[{"_id": 2, "x": "x" * 1_500_000}])
    arrived = scene.inserts.next()
    assert arrived.request.raw == second
    arrived.answer()
    assert b.answered(second).body["n"] == 1
    busy.answer()
    scene.inserts.next().answer()
    assert a.answered(first).body["n"] == 1


# --- options, namespaces, reload

@pytest.fixture
def filed(start_merging, simulated, tmp_path):
    """Returns (scene, write): its options are in a file."""
    file = tmp_path / "sluice.yaml"

    def write(*lines):
        file.write_text("\n".join([f"upstream: mongodb://{simulated.address}/", "listen: 127.0.0.1:0",
                                   "threads: 1", "stats_period_ms: 100", *lines]) + "\n")

    def begin(*lines):
        write(*lines)
        return start_merging({"upstream": None, "listen": None, "threads": None, "merge.enabled": None,
                      "stats_period_ms": None}, config_file=file)

    def reload(scene, *lines):
        write(*lines)
        seen = sum(record["msg"] == "Reloaded" for record in scene.proxy.records())
        scene.proxy.process.send(signal.SIGHUP)
        eventually(lambda: sum(record["msg"] == "Reloaded" for record in scene.proxy.records()) > seen,
                   "the options are read again")
        scene.read_all()
    return begin, reload


def test_namespaces_have_their_own_options(filed):
    begin, _ = filed
    scene = begin("merge:", "  enabled: false", "  namespaces:", "    d.c: {enabled: true, max_docs: 2}",
                  "    d.other: {enabled: true, max_waiters: 1}")
    a, b, c, d, e = scene.clients(5)
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2), (c, 3))
    alone = d.insert(4, insert="unnamed")
    assert scene.inserts.next().request.raw == alone
    scene.inserts.all[-1].answer()
    d.answered(alone)
    busy.answer()
    scene.answer_batches(([1, 2], [3]), (a, b, c), messages)
    other = scene.open(Inserter(scene.proxy.endpoint()))
    first = other.insert("busy in other", insert="other")
    held = scene.inserts.next()
    second = a.insert(5, insert="other")
    scene.read_all()
    third = b.insert(6, insert="other")
    assert scene.inserts.next().request.raw == third
    scene.inserts.all[-1].answer()
    b.answered(third)
    held.answer()
    other.answered(first)
    scene.inserts.next().answer()
    a.answered(second)
    del e


def test_switched_off_and_on_while_inserts_wait(filed):
    begin, reload = filed
    scene = begin("merge: {enabled: true}")
    a, b, c = scene.clients(3)
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2))
    reload(scene, "merge: {enabled: false}")
    alone = c.insert(3)
    arrived = scene.inserts.next()
    assert arrived.request.raw == alone
    arrived.answer()
    c.answered(alone)
    busy.answer()
    batch = scene.inserts.next()
    assert batch.ids == [1, 2]
    batch.answer()
    assert a.answered(messages[0]).body["n"] == b.answered(messages[1]).body["n"] == 1
    # the proxy still knows the merged inserts
    assert a.answered(a.insert(1, again=True)).body == {"n": 1, "ok": 1.0}
    reload(scene, "merge: {enabled: true}")
    busy = scene.busy()
    messages = scene.gather((a, 4), (b, 5), (c, 6))
    busy.answer()
    batch = scene.inserts.next()
    assert batch.ids == [4, 5, 6]
    batch.answer()
    for client, message in zip((a, b, c), messages, strict=True):
        client.answered(message)


def test_a_limit_that_sinks_does_not_hide_what_was_merged(filed):
    begin, reload = filed
    scene = begin("merge: {enabled: true, max_bytes: 200000}")
    a, b = scene.clients(2)
    busy = scene.busy()
    document = {"_id": 1, "x": "x" * 100_000}
    first = a.insert(documents=[document])
    scene.read_all()
    (second,) = scene.gather((b, 2))
    busy.answer()
    batch = scene.inserts.next()
    assert batch.ids == [1, 2]
    batch.answer()
    a.answered(first)
    b.answered(second)
    reload(scene, "merge: {enabled: true, max_bytes: 2000}")
    assert a.answered(a.insert(documents=[document], again=True)).body == {"n": 1, "ok": 1.0}


# --- draining, pausing, ending

def test_draining_sends_what_waits(start_merging):
    scene = start_merging({"merge.linger_us": 1_000_000, "merge.max_in_flight": 2})
    a, b = scene.clients(2)
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2))
    scene.proxy.process.send(signal.SIGTERM)
    batch = scene.inserts.next()
    assert batch.ids == [1, 2]
    batch.answer()
    for client, message in zip((a, b), messages, strict=True):
        assert client.answered(message).body["n"] == 1
        client.assert_closed()
    busy.answer()
    busy.client.assert_closed()
    scene.close()
    assert scene.proxy.process.wait() == 0


@pytest.mark.parametrize("state", ["waiting", "on its way", "attached", "resent", "left"])
def test_a_second_term_ends_all(scene, state):
    a, b = scene.clients(2)
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2))
    if state != "waiting":
        busy.answer()
        batch = scene.inserts.next()
        if state == "attached":
            again = scene.open(Inserter(scene.proxy.endpoint(), session=a.session))
            again.send(messages[0])
            scene.read_all()
        if state == "resent":
            batch.cut(run=True)
            scene.inserts.next()
        if state == "left":
            a.socket.close()
            b.socket.close()
            scene.proxy.wait_for_counter("clientsVanishedInCommand", 2)
    scene.proxy.process.send(signal.SIGTERM)
    scene.proxy.wait_for_text("drain")
    scene.proxy.process.send(signal.SIGTERM)
    assert scene.proxy.process.wait() == 0


def test_pausing_lets_what_waits_finish(scene):
    a, b, c = scene.clients(3)
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2))
    scene.proxy.process.send(signal.SIGUSR1)
    scene.proxy.wait_for_text("pause")
    held = c.insert(3)
    busy.answer()
    batch = scene.inserts.next()
    assert batch.ids == [1, 2]
    batch.answer()
    for client, message in zip((a, b), messages, strict=True):
        assert client.answered(message).body["n"] == 1
    assert scene.inserts.none_waits()
    scene.proxy.process.send(signal.SIGUSR2)
    arrived = scene.inserts.next()
    assert arrived.request.raw == held
    arrived.answer()
    c.answered(held)


# --- together with other parts of the proxy

def test_with_a_schema_in_force(start_merging, simulated, folder):
    folder.write("d.c", {"bsonType": "object", "properties": {"n": {"bsonType": "int"}}})
    scene = start_merging({"schemas": folder.path})
    a, b, c = scene.clients(3)
    busy = scene.busy()
    messages = [a.insert(documents=[{"_id": 1, "n": 1}])]
    scene.read_all()
    refused = b.insert(documents=[{"_id": 2, "n": "two"}])
    assert b.answered(refused).body["writeErrors"][0]["code"] == 121
    messages.append(c.insert(documents=[{"_id": 3, "n": 3}]))
    scene.read_all()
    busy.answer()
    batch = scene.inserts.next()
    assert batch.ids == [1, 3]
    batch.answer()
    assert a.answered(messages[0]).body["n"] == c.answered(messages[1]).body["n"] == 1
    assert 2 not in scene.inserts.stored


def test_through_tls(start_merging, simulated, authorities):
    certificate = authorities.proxy.issue("merging")
    scene = start_merging({"tls.mode": "allow", "tls.cert_file": certificate.cert_file,
                   "tls.key_file": certificate.key_file})
    context = ssl.create_default_context(cafile=certificate.ca_file)
    context.check_hostname = False
    a, b = (scene.client(context=context) for _ in range(2))
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2))
    busy.answer()
    batch = scene.inserts.next()
    assert batch.ids == [1, 2]
    batch.answer()
    assert a.answered(messages[0]).body["n"] == b.answered(messages[1]).body["n"] == 1
