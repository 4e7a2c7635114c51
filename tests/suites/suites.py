"""The test suites of the drivers: where they lie, and the chosen fast part that every CI run covers."""

from c_suite import CSuite
from go_suite import GoSuite
from pytest_suite import PytestSuite
from suite import CACHE

SOURCES = CACHE / "suites"
BUILT = CACHE / "suites-built"  # by scripts/build-driver-suites.sh

PYMONGO = PytestSuite(
    name="pymongo",
    folder=SOURCES / "pymongo-4.20.0",
    arguments=("-m", "default or default_async"),
    fast=(
        "test/asynchronous/test_change_stream.py",
        "test/asynchronous/test_crud_unified.py",
        "test/asynchronous/test_streaming_protocol.py",
        "test/test_collection.py",
        "test/test_cursor.py",
        "test/test_database.py",
        "test/test_monitoring.py",
        "test/test_session.py",
    ),
    few=("test/test_session.py",),
    merged=(
        "test/asynchronous/test_crud_unified.py",
        "test/test_collection.py",
        "test/test_session.py",
    ),
    schemas=("test/test_collection.py",),
    shared=("test/test_cursor.py", "test/test_session.py"),
    shared_auth=("test/test_session.py",),
)

MOTOR = PytestSuite(
    name="motor",
    folder=SOURCES / "motor-3.7.1",
    # Its configuration makes an error of the warning that this option is not set.
    arguments=("-o", "asyncio_default_fixture_loop_scope=function"),
    fast=(
        "test/asyncio_tests/test_asyncio_change_stream.py",
        "test/asyncio_tests/test_asyncio_collection.py",
        "test/asyncio_tests/test_asyncio_cursor.py",
        "test/asyncio_tests/test_asyncio_session.py",
        "test/tornado_tests/test_motor_cursor.py",
        "test/tornado_tests/test_motor_transaction.py",
    ),
    few=("test/asyncio_tests/test_asyncio_cursor.py",),
    merged=(
        "test/asyncio_tests/test_asyncio_collection.py",
        "test/tornado_tests/test_motor_transaction.py",
    ),
    schemas=("test/asyncio_tests/test_asyncio_collection.py",),
    shared=("test/tornado_tests/test_motor_transaction.py",),
    shared_auth=("test/asyncio_tests/test_asyncio_session.py",),
)

GO = GoSuite(
    name="go",
    folder=BUILT / "go/source/mongo/integration",
    program=BUILT / "go/integration.test",
)

C = CSuite(
    name="c",
    folder=BUILT / "c/source",
    program=BUILT / "c/build/src/libmongoc/test-libmongoc",
)

PYTHON = (PYMONGO, MOTOR)
ALL = (*PYTHON, GO, C)
