"""A server and a mongosluice before it, for the tests of the package; both major versions of Beanie.

The server is SecantusDB of the project's environment, or what MONGODB_URI names; the proxy is the one
that MONGOSLUICE_BINARY names, else that of build/release."""

import asyncio
import contextlib
import ctypes
import gc
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import tracemalloc
import uuid
from pathlib import Path

import bson
import pymongo
import pytest
from bson import json_util

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 240  # ends a test that hangs; no test expects that something happens within a time
LISTENING = 1000  # the id of the proxy's log line with its address


def pytest_addoption(parser):
    parser.addoption("--fewer-examples", action="store_true", help="a fifth of what the tests with hypothesis make up")
    parser.addoption("--models", type=int, default=60, help="how many models test_made_models.py makes up (%(default)s)")
    parser.addoption("--models-seed", type=int, default=random.SystemRandom().randrange(10**6), help="and from what")


def pytest_configure(config):
    examples.divisor = 5 if config.getoption("--fewer-examples") else 1


def examples(count):
    """For settings(max_examples=…)."""
    return count // examples.divisor


def pytest_report_header(config):
    return f"models: --models {config.getoption('--models')} --models-seed {config.getoption('--models-seed')}"


def free_port():
    """From below the range that the system takes for outgoing connections, which may take the port before its program
    listens."""
    while True:
        port = random.SystemRandom().randrange(10000, 32000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def completed(*command, **more):
    """A process that ran to its end, with its output as text."""
    return subprocess.run([str(part) for part in command], text=True, capture_output=True, timeout=PATIENCE_SECONDS,
                          check=False, **more)


def wait_until(look, what):
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(pymongo.errors.PyMongoError):
            if look():
                return
        time.sleep(0.05)
    raise AssertionError(f"not within {PATIENCE_SECONDS} s: {what}")


def listening_port(log):
    """The port in the proxy's log, or 0."""
    for line in log.read_text(errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            record = json.loads(line)
            if record.get("id") == LISTENING:
                return int(record["attr"]["address"].rpartition(":")[2])
    return 0


def ping(port):
    uri = f"mongodb://127.0.0.1:{port}/?directConnection=true&serverSelectionTimeoutMS=300"
    with pymongo.MongoClient(uri) as client:
        return client.admin.command("ping")


@contextlib.contextmanager
def running(command, folder, port_of):
    """The process and its port, as soon as it answers. port_of: the port that its log names, or a known one; 0: not yet."""
    log = folder / f"{Path(str(command[0])).name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=output, cwd=folder)
    try:
        wait_until(lambda: process.poll() is not None or (port_of(log) and ping(port_of(log))), f"{command[0]} answers")
        assert process.poll() is None, log.read_text()[-3000:]
        yield process, port_of(log)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def assert_nothing_leaks(work):
    """A leak grows in every round; what other threads and caches keep does not."""
    grown, more = [], []
    for _ in range(3):
        work()
    for _ in range(6):
        gc.collect()
        before = sys.gettotalrefcount() if hasattr(sys, "gettotalrefcount") else len(gc.get_objects())
        tracemalloc.start()
        for _ in range(2):
            work()
        gc.collect()
        grown.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        more.append((sys.gettotalrefcount() if hasattr(sys, "gettotalrefcount") else len(gc.get_objects())) - before)
        if grown[-1] < 8_000 and more[-1] < 40:
            return
    raise AssertionError(f"bytes {grown} and objects {more} more after each two rounds")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Its URI."""
    given = os.environ.get("MONGODB_URI")
    if given:
        yield given
        return
    beside = Path(sys.executable).with_name("secantusd-py")
    program = beside if beside.exists() else ROOT / ".venv/bin/secantusd-py"
    folder = tmp_path_factory.mktemp("server")
    (folder / "secantusd.toml").touch()
    port = free_port()
    command = [program, "--config", folder / "secantusd.toml", "--storage-path", folder / "data",
               "--port", port, "--cache-size", "256M"]
    with running(command, folder, lambda log: port):
        yield f"mongodb://127.0.0.1:{port}/?directConnection=true"


class Proxy:
    """A mongosluice, and the schemas that it enforces."""

    def __init__(self, port, schemas, process):
        self.uri = f"mongodb://127.0.0.1:{port}/?directConnection=true"
        self.schemas = schemas
        self.process = process
        self.client = pymongo.MongoClient(self.uri)

    def enforce(self, *exported, **changes):
        """Writes the files and waits until the proxy has them."""
        for one in exported:
            text = one.text()
            for name, value in changes.items():
                text = text.replace(f'"{name}": "{one.file()[name]}"', f'"{name}": "{value}"')
            (self.schemas / f"{one.ns}.json").write_text(text)
        self.reload()
        wanted = {one.ns: (one.hash, *(changes.get(key, one.file()[key]) for key in ("level", "action")))
                  for one in exported}
        wait_until(lambda: self.enforced(wanted) == wanted, f"the proxy enforces {sorted(wanted)}")

    def enforced(self, namespaces):
        answer = self.client.admin.command({"mongosluice": 1, "namespaces": list(namespaces)})
        return {one["ns"]: (one["hash"], one["level"], one["action"]) for one in answer["schemas"]}

    def forget(self, *exported):
        for one in exported:
            (self.schemas / f"{one.ns}.json").unlink()
        self.reload()
        wait_until(lambda: not self.enforced([one.ns for one in exported]), "the schemas are gone")

    def reload(self):
        self.process.send_signal(signal.SIGHUP)


@pytest.fixture(scope="session")
def proxy(server, tmp_path_factory):
    binary = Path(os.environ.get("MONGOSLUICE_BINARY", ROOT / "build/release/src/main/mongosluice"))
    assert binary.exists(), f"no {binary}: cmake --build --preset release makes it"
    folder = tmp_path_factory.mktemp("proxy")
    schemas = folder / "schemas"
    schemas.mkdir()
    command = [binary, "--upstream", server, "--listen", "127.0.0.1:0", "--schemas", schemas]
    with running(command, folder, listening_port) as (process, port):
        made = Proxy(port, schemas, process)
        yield made
        made.client.close()


@pytest.fixture
def database():
    """A name of its own."""
    return f"py{uuid.uuid4().hex[:12]}"


@pytest.fixture
def direct(server, database):
    """The test's database by PyMongo, not through the proxy."""
    with pymongo.MongoClient(server) as client:
        yield client[database]
        client.drop_database(database)


@pytest.fixture(scope="session")
def loop():
    made = asyncio.new_event_loop()
    asyncio.set_event_loop(made)
    yield made
    made.close()


@pytest.fixture
def offloaded():
    """Offload is on; afterwards Beanie is as it was."""
    import mongosluice
    from mongosluice.offload import state as offload_state

    offload_state.forget_warnings()
    mongosluice.offload()
    yield
    switch_off()


def switch_off():
    """Both ODMs as they were."""
    from mongosluice.offload import state as offload_state

    for name in ("mongosluice.offload.beanie.patches", "mongosluice.offload.mongoengine.patches"):
        if name in sys.modules:
            sys.modules[name].uninstall()
    offload_state.statuses.clear()
    offload_state.forget_warnings()
    offload_state.settings.active = offload_state.settings.require = False
    offload_state.settings.recheck_seconds = offload_state.RECHECK_SECONDS


def async_client(uri, **options):
    """The client of the Beanie that is there."""
    try:
        from motor.motor_asyncio import AsyncIOMotorClient
    except ImportError:
        AsyncIOMotorClient = None
    import beanie

    if beanie.__version__.startswith("1."):
        return AsyncIOMotorClient(uri, **options)
    return pymongo.AsyncMongoClient(uri, **options)


class SchemaError(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("message", ctypes.c_char * 512)]


class Validator:
    """The proxy's validator as a library: whether a schema accepts a document."""

    def __init__(self, path):
        self.native = ctypes.CDLL(str(path))
        for name in ("sluice_schema_compile", "sluice_scratch_new"):
            getattr(self.native, name).restype = ctypes.c_void_p
        self.native.sluice_schema_check.argtypes = [
            ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p]
        self.native.sluice_schema_free.argtypes = [ctypes.c_void_p]
        self.scratch = self.native.sluice_scratch_new()

    def __call__(self, exported, document):
        # as the proxy reads it: from the file's text
        schema = bson.encode(json_util.loads(exported.text())["schema"])
        error = SchemaError()
        compiled = self.native.sluice_schema_compile(schema, len(schema), 2, ctypes.byref(error))
        assert compiled, (error.message, exported.schema)
        data = document if isinstance(document, bytes) else bson.encode(document)
        verdict = self.native.sluice_schema_check(compiled, self.scratch, data, len(data), ctypes.byref(error))
        self.native.sluice_schema_free(compiled)
        assert verdict in (0, 1), error.message
        return verdict == 0


@pytest.fixture(scope="session", autouse=True)
def the_checkouts_validator():
    """Where the package is not installed but on the path, the validator is that of build/release."""
    from mongosluice import program

    with pytest.MonkeyPatch.context() as patch:
        if not (program.FOLDER / "libmongosluice-validator.so").exists():
            patch.setenv("MONGOSLUICE_VALIDATOR", str(ROOT / "build/release/src/schema/libmongosluice-validator.so"))
        yield


@pytest.fixture(scope="session")
def validator():
    library = os.environ.get("MONGOSLUICE_VALIDATOR",
                             ROOT / "build/release/src/schema/libmongosluice-validator.so")
    return Validator(library)
