"""Merging through PyMongo: many threads, real servers, failpoints."""

import threading
import uuid

import pytest
from pymongo import InsertOne, WriteConcern
from pymongo.errors import (AutoReconnect, BulkWriteError, DuplicateKeyError, OperationFailure,
                            WriteConcernError)

pytestmark = pytest.mark.proxy_only
THREADS, EACH = 12, 8


@pytest.fixture(params=["member", "standalone"])
def merged(request, start_proxy):
    """Returns (proxy, client, collection, a client of the server itself)."""
    server = request.getfixturevalue("server" if request.param == "member" else "standalone_server")
    proxy = start_proxy(server.endpoint.uri(), {"merge.enabled": "true", "threads": 1, "stats_period_ms": 100,
                                                    "connect_timeout_ms": 60000},
                        endpoint=server.endpoint)
    with proxy.endpoint().client() as client, server.endpoint.client() as direct:
        name = f"c{uuid.uuid4().hex[:12]}"
        client.merging[name].insert_one({"_id": "first"})
        yield proxy, client, client.merging[name], direct


def at_once(work):
    """Runs work(thread, i) in many threads; returns their results or exceptions, {(thread, i): …}."""
    results, begin = {}, threading.Barrier(THREADS)

    def run(thread):
        begin.wait()
        for i in range(EACH):
            try:
                results[thread, i] = work(thread, i)
            except Exception as error:  # the test looks at it
                results[thread, i] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_every_acknowledged_document_is_there_once(merged):
    proxy, _, collection, direct = merged
    results = at_once(lambda thread, i: collection.insert_one({"_id": f"{thread}.{i}"}).inserted_id)
    assert all(value == f"{thread}.{i}" for (thread, i), value in results.items())
    assert direct.merging[collection.name].count_documents({}) == THREADS * EACH + 1
    proxy.wait_for_counter("mergedBatches", 1)


def test_each_learns_of_its_own_duplicate(merged):
    _, _, collection, direct = merged
    collection.create_index("key", unique=True)
    results = at_once(lambda thread, i: collection.insert_one({"_id": f"{thread}.{i}", "key": i if thread < 4 else f"{thread}.{i}"}))
    for i in range(EACH):
        failed = [results[thread, i] for thread in range(4) if isinstance(results[thread, i], Exception)]
        assert len(failed) == 3
        for error in failed:
            assert isinstance(error, DuplicateKeyError)
            assert error.details["keyValue"] == {"key": i} and error.details["keyPattern"] == {"key": 1}
            assert error.details["index"] == 0
    assert not [one for (thread, _), one in results.items() if thread >= 4 and isinstance(one, Exception)]
    assert direct.merging[collection.name].count_documents({}) == THREADS * EACH + 1 - 3 * EACH


def test_bulks_get_their_own_indexes(merged):
    _, _, collection, _ = merged

    def work(thread, i):
        own = [{"_id": f"{thread}.{i}.{at}"} for at in range(4)]
        own[2] = {"_id": "first"}
        return collection.bulk_write([InsertOne(one) for one in own], ordered=False)
    for (_, _), error in at_once(work).items():
        assert isinstance(error, BulkWriteError)
        assert error.details["nInserted"] == 3
        (only,) = error.details["writeErrors"]
        assert (only["index"], only["code"], only["keyValue"]) == (2, 11000, {"_id": "first"})
    assert collection.count_documents({}) == 3 * THREADS * EACH + 1


def test_write_concerns_are_each_ones_own(merged):
    _, _, collection, _ = merged
    concerns = [None, {"w": 1}, {"w": "majority"}, {"w": 1, "j": True}]

    def work(thread, i):
        concern = concerns[thread % len(concerns)]
        own = collection.with_options(write_concern=concern and WriteConcern(**concern))
        return own.insert_one({"_id": f"{thread}.{i}"}).acknowledged
    assert set(at_once(work).values()) == {True}
    assert collection.count_documents({}) == THREADS * EACH + 1


@pytest.fixture
def failing(merged):
    """fail(times, **data): the server fails this number of inserts."""
    admin = merged[3].admin

    def fail(times, **data):
        admin.command({"configureFailPoint": "failCommand", "mode": {"times": times},
                       "data": {"failCommands": ["insert"], **data}})
    yield fail
    admin.command({"configureFailPoint": "failCommand", "mode": "off"})


def check_all(results, collection, allowed):
    """Every acknowledged insert is stored; the others failed with an allowed error."""
    there = {one["_id"] for one in collection.find({}, {"_id": 1})}
    for (thread, i), result in results.items():
        if isinstance(result, Exception):
            assert isinstance(result, allowed), repr(result)
        else:
            assert f"{thread}.{i}" in there
    return there


@pytest.mark.parametrize("data", [{"closeConnection": True},
                                  {"errorCode": 91, "errorLabels": ["RetryableWriteError"]}],
                         ids=["closed", "error with a label"])
def test_what_drivers_retry_is_stored_once(merged, failing, data):
    _, _, collection, _ = merged
    failing(5, **data)
    results = at_once(lambda thread, i: collection.insert_one({"_id": f"{thread}.{i}"}))
    check_all(results, collection, AutoReconnect)


def test_an_error_of_the_whole_command(merged, failing, request):
    """A standalone server knows no retries: who shared the failed batch learns that his insert may have run."""
    _, _, collection, _ = merged
    alone = request.node.callspec.params["merged"] == "standalone"
    failing(3, errorCode=8)
    results = at_once(lambda thread, i: collection.insert_one({"_id": f"{thread}.{i}"}))
    there = check_all(results, collection, (OperationFailure, AutoReconnect) if alone else OperationFailure)
    failed = {f"{thread}.{i}": one for (thread, i), one in results.items() if isinstance(one, Exception)}
    assert failed and not failed.keys() & there
    codes = {one.code for one in failed.values() if isinstance(one, OperationFailure)}
    assert codes == {8} or (alone and not codes)


def test_a_write_concern_error_is_told_and_the_documents_are_there(merged, failing):
    _, _, collection, _ = merged
    failing(3, writeConcernError={"code": 64, "errmsg": "waiting for replication timed out"})
    results = at_once(lambda thread, i: collection.insert_one({"_id": f"{thread}.{i}"}))
    there = check_all(results, collection, WriteConcernError)
    assert [one for one in results.values() if isinstance(one, WriteConcernError)]
    assert len(there) == THREADS * EACH + 1
