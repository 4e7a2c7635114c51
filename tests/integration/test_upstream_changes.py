"""Changing validators of the upstream's collections: a proxy never refuses a write because of a dropped validator,
and other proxies follow by the change stream."""

import threading
import time

import pytest
from bson import SON
from pymongo.errors import OperationFailure, WriteError
from support.process import eventually
from support.schemas import in_force, wait_in_force, wait_not_in_force

pytestmark = pytest.mark.proxy_only

ROUNDS = 40
STRICT = {"$jsonSchema": {"required": ["name"]}}
LONG = 3_600_000  # a period that no test waits for


@pytest.fixture
def proxies(start_proxy, server):
    """start(number) returns clients of proxies that enforce the validators of the upstream."""
    clients = []

    def start(number=1, period_ms=LONG):
        for _ in range(number):
            proxy = start_proxy(server.endpoint.uri(), {"schemas_upstream": "true", "threads": 2,
                                                        "schemas_upstream_period_ms": period_ms},
                                endpoint=server.endpoint)
            clients.append(proxy.endpoint().client())
        return clients

    yield start
    for client in clients:
        client.close()


@pytest.fixture
def collection(server, collection_name):
    """Its name in the database `changes`, without a validator; what the test leaves is dropped."""
    with server.endpoint.client() as direct:
        yield direct, collection_name
        direct.drop_database("changes")
        direct.drop_database("changes_other")


def refused(collection, document=None):
    try:
        collection.insert_one(dict(document or {"other": 1}))
    except WriteError as error:
        assert error.code == 121
        return True
    return False


def loosened_by_coll_mod(db, name):
    db.command("collMod", name, validator={})


def loosened_by_level(db, name):
    db.command("collMod", name, validationLevel="off")


def loosened_by_drop(db, name):
    db.drop_collection(name)


def loosened_by_rename(db, name):
    db[name].rename(f"{name}_away")


def loosened_by_rename_over(db, name):
    db.create_collection(f"{name}_plain")
    db[f"{name}_plain"].rename(name, dropTarget=True)


def loosened_by_drop_database(db, name):
    db.client.drop_database(db.name)


WAYS = [loosened_by_coll_mod, loosened_by_level, loosened_by_drop, loosened_by_rename, loosened_by_rename_over,
        loosened_by_drop_database]


def strict(db, name):
    db.drop_collection(name)
    db.drop_collection(f"{name}_away")
    db.create_collection(name, validator=STRICT)


@pytest.mark.parametrize("loosen", WAYS, ids=lambda way: way.__name__)
def test_no_refusal_by_a_validator_that_is_gone(proxies, collection, loosen):
    direct, name = collection
    (client,) = proxies()
    db = client.changes
    wrong = 0
    for _ in range(ROUNDS // 4):
        strict(direct.changes, name)
        wait_in_force(client, f"changes.{name}")
        assert refused(db[name])
        loosen(db, name)
        wrong += refused(db[name])
    assert wrong == 0


def test_a_change_by_another_connection_counts_at_once(proxies, collection):
    """The connection of another worker sees the change as soon as its command is answered."""
    direct, name = collection
    (client,) = proxies()
    others = [type(client)(*client.address, directConnection=True) for _ in range(4)]
    wrong = 0
    for round_ in range(ROUNDS):
        strict(client.changes, name)
        wait_in_force(client, f"changes.{name}")
        loosened_by_coll_mod(client.changes, name)
        wrong += refused(others[round_ % 4].changes[name])
    for other in others:
        other.close()
    assert wrong == 0


@pytest.mark.long
def test_inserts_while_validators_change(proxies, collection):
    """200 changes under inserts of four clients: an insert that begins after a change that allows it was
    answered, and before the next one that forbids it is sent, is not refused."""
    direct, name = collection
    (client,) = proxies()
    state = {"allowed_since": 0, "forbidden": True, "end": False}
    lock, wrong, tried, right = threading.Lock(), [], [0], [0]
    strict(direct.changes, name)
    wait_in_force(client, f"changes.{name}")

    def write():
        with type(client)(*client.address, directConnection=True) as own:
            while not state["end"]:
                with lock:
                    before = (state["forbidden"], state["allowed_since"])
                is_refused = refused(own.changes[name])
                with lock:
                    after = (state["forbidden"], state["allowed_since"])
                    if before == after and not before[0]:
                        tried[0] += 1
                        if is_refused:
                            wrong.append(before)
                    right[0] += is_refused and before == after and before[0]

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    try:
        for number in range(200):
            with lock:
                state["forbidden"] = True
            client.changes.command("collMod", name, validator=STRICT)
            if number % 10 == 0:
                wait_in_force(client, f"changes.{name}")
                time.sleep(0.01)
            client.changes.command("collMod", name, validator={})
            with lock:
                state.update(forbidden=False, allowed_since=number)
                before = tried[0]
            eventually(lambda: tried[0] > before, "an insert begins and ends while inserts are allowed")
    finally:
        state["end"] = True
        for writer in writers:
            writer.join(30)
    assert not wrong and tried[0] > 100 and right[0] > 0, (len(wrong), tried[0], right[0])


def test_other_proxies_follow_by_the_change_stream(proxies, collection):
    """The period is an hour: the other proxy can know the change only from the stream."""
    direct, name = collection
    first, second = proxies(2)
    ns = f"changes.{name}"
    lags = []
    strict(first.changes, name)
    for client in (first, second):
        wait_in_force(client, ns)
    for loosen in (loosened_by_coll_mod, loosened_by_drop, loosened_by_rename, loosened_by_drop_database):
        assert refused(second.changes[name])
        loosen(first.changes, name)
        began = time.monotonic()
        assert not refused(first.changes[name])
        eventually(lambda: not refused(second.changes[name]), "the other proxy follows")
        lags.append(round(1000 * (time.monotonic() - began)))
        wait_not_in_force(second, ns)
        strict(direct.changes, name)  # through neither of the proxies
        for client in (first, second):
            wait_in_force(client, ns)
            assert refused(client.changes[name])
    print(f"the other proxy followed after {lags} ms")


def test_a_suspended_namespace_is_named_and_comes_back(proxies, collection):
    direct, name = collection
    (client,) = proxies()
    ns = f"changes.{name}"
    strict(direct.changes, name)
    one = wait_in_force(client, ns)
    assert refused(client.changes[name])
    with pytest.raises(OperationFailure):  # it changes nothing, and the proxy must read that first
        client.changes.command("collMod", name, validator={"$jsonSchema": {"nonsense": 1}})
    assert wait_in_force(client, ns)["hash"] == one["hash"]
    assert refused(client.changes[name])
    other = SON([("$jsonSchema", {"required": ["other"]})])
    client.changes.command("collMod", name, validator=other)
    assert not refused(client.changes[name])
    eventually(lambda: (in_force(client, ns) or one)["hash"] != one["hash"], "the new validator")
    assert refused(client.changes[name], {"name": "x"})


def test_a_standalone_is_read_from_time_to_time(start_proxy, standalone_server, collection_name):
    proxy = start_proxy(standalone_server.endpoint.uri(), {"schemas_upstream": "true", "schemas_upstream_period_ms": 1000},
                        endpoint=standalone_server.endpoint)
    ns = f"changes.{collection_name}"
    with standalone_server.endpoint.client() as direct, proxy.endpoint().client() as client:
        proxy.wait_for_record("no stream", id=3031)
        strict(direct.changes, collection_name)
        wait_in_force(client, ns)
        loosened_by_coll_mod(client.changes, collection_name)
        assert not refused(client.changes[collection_name])
        strict(direct.changes, collection_name)
        wait_in_force(client, ns)
        direct.drop_database("changes")
        wait_not_in_force(client, ns)
