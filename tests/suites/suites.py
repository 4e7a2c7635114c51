"""The test suites of the drivers: where they lie, how pytest is started on them, and the chosen fast
part that every CI run covers."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / ".cache/suites"


@dataclass(frozen=True)
class Suite:
    name: str
    folder: Path
    arguments: tuple[str, ...]
    fast: tuple[str, ...]
    few: tuple[str, ...]  # of the fast part: what the short run of scripts/test.sh covers, on the replica set
    # Of the fast part: what is mostly about inserts. On the replica set it runs with merging on.
    merged: tuple[str, ...]
    # Of the fast part: what runs on the replica set with schemas besides.
    schemas: tuple[str, ...]
    # Of the fast part: what runs on the replica set through shared connections besides, and what does so with access
    # control.
    shared: tuple[str, ...]
    shared_auth: tuple[str, ...]

    def modules(self):
        """Paths below the folder, as pytest takes them."""
        found = (self.folder / "test").rglob("test_*.py")
        return sorted(str(path.relative_to(self.folder)) for path in found)


PYMONGO = Suite(
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

MOTOR = Suite(
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

ALL = (PYMONGO, MOTOR)
