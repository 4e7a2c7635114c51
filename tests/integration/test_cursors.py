"""Exhaust cursors, tailable cursors, change streams and sessions, as on a direct connection."""

import threading

import pytest
from pymongo import CursorType
from pymongo.errors import OperationFailure


@pytest.fixture(scope="module")
def client(target):
    with target.client() as connected:
        yield connected


@pytest.fixture
def collection(client, collection_name):
    made = client["cursors"][collection_name]
    made.insert_many([{"_id": i, "text": "x" * 200} for i in range(2500)])
    yield made
    made.drop()


@pytest.mark.parametrize("batch", [2, 100, 1000, 5000])
def test_exhaust_cursor(client, collection, batch):
    cursor = collection.find(cursor_type=CursorType.EXHAUST, batch_size=batch).sort("_id")
    assert [one["_id"] for one in cursor] == list(range(2500))
    assert client.admin.command("ping")["ok"] == 1


def test_exhaust_cursor_that_is_left_early(client, collection):
    """The driver closes the connection; the stream must not fill up any buffer."""
    for _ in range(5):
        cursor = collection.find(cursor_type=CursorType.EXHAUST, batch_size=10)
        assert next(cursor)
        cursor.close()
    assert collection.count_documents({}) == 2500


def test_exhaust_cursors_of_many_threads(collection):
    seen = []

    def read():
        seen.append(sum(1 for _ in collection.find(cursor_type=CursorType.EXHAUST, batch_size=50)))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert seen == [2500] * 8


def test_tailable_cursor_waits_for_what_comes(client, collection_name):
    capped = client["cursors"].create_collection(collection_name, capped=True, size=1_000_000)
    capped.insert_one({"_id": 0})
    cursor = capped.find(cursor_type=CursorType.TAILABLE_AWAIT).max_await_time_ms(200)
    assert next(cursor)["_id"] == 0
    for i in range(1, 4):
        capped.insert_one({"_id": i})
        assert next(cursor)["_id"] == i
    cursor.close()
    capped.drop()


def test_cursor_that_is_not_known_any_more(client, collection):
    cursor = collection.find(batch_size=10)
    next(cursor)
    client["cursors"].command("killCursors", collection.name, cursors=[cursor.cursor_id])
    with pytest.raises(OperationFailure) as caught:
        list(cursor)
    assert caught.value.code == 43


def test_cursors_of_one_session_on_many_connections(client, collection):
    """The server ties a cursor to its session, not to the connection."""
    with client.start_session() as session:
        cursors = [collection.find({}, batch_size=100, session=session).sort("_id")
                   for _ in range(5)]
        together = list(zip(*cursors, strict=True))
    assert len(together) == 2500 and all(len({one["_id"] for one in row}) == 1 for row in together)


def test_transaction_conflict(client, collection):
    with client.start_session() as one, client.start_session() as two:
        one.start_transaction()
        two.start_transaction()
        collection.update_one({"_id": 1}, {"$set": {"by": "one"}}, session=one)
        with pytest.raises(OperationFailure) as caught:
            collection.update_one({"_id": 1}, {"$set": {"by": "two"}}, session=two)
        assert caught.value.has_error_label("TransientTransactionError")
        one.commit_transaction()
        two.abort_transaction()
    assert collection.find_one({"_id": 1})["by"] == "one"


def test_large_transaction(client, collection):
    with client.start_session() as session, session.start_transaction():
        for start in range(3000, 6000, 500):
            collection.insert_many([{"_id": i, "x": "y" * 500} for i in range(start, start + 500)],
                                   session=session)
    assert collection.count_documents({}) == 5500
