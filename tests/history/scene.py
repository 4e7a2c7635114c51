"""A server, a relay in front of it, the proxy and driver processes, and the faults that hit them."""

import json
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from pymongo.errors import PyMongoError
from support.ports import free_port
from support.process import Process, eventually
from support.proxy import Proxy
from support.servers import Server

from . import record
from .drivers import COLLECTIONS, SOCKET_SECONDS, Plan
from .relay import Relay
from .statements import Statements

# The server behind the relay names its own address, so each client must connect directly.
DIRECT = "directConnection=true"
TESTS = Path(__file__).resolve().parents[1]
SCHEMA = {"bsonType": "object", "required": ["by"], "properties": {"n": {"bsonType": "int"}}}
CONFIGURATION = """
upstream: mongodb://127.0.0.1:{relay}/?directConnection=true
listen: 127.0.0.1:{port}
threads: 2
drain_timeout_ms: 10000
stats_period_ms: 100
admin: {{listen: 127.0.0.1:{admin}}}
schemas: {schemas}
merge:
  enabled: true
  max_bytes: 64KiB
  namespaces:
    history.lingering: {{linger_us: 3000}}
    history.pairs: {{max_in_flight: 3, max_docs: 8}}
"""
SERVER_KILLED, PROXY_DRAINED = "server killed", "proxy drained"
FAILURES = [{"closeConnection": True},
            {"errorCode": 91, "errorLabels": ["RetryableWriteError"]},
            {"errorCode": 11600, "errorLabels": ["RetryableWriteError"]},
            {"errorCode": 8},  # UnknownError: no driver retries it
            {"errorCode": 13},  # Unauthorized: the proxy then sends each insert alone
            {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}},
            {"writeConcernError": {"code": 91, "errmsg": "shutting down"}, "errorLabels": ["RetryableWriteError"]}]


class Scene:
    def __init__(self, folder, *, standalone=False, program=None, processes=3, threads=6, merging=True,
                 statements=None, sharing=False):
        """program: another server's; it must take the same flags. statements: a kind of support.statements, by
        which the server knows statements; else it is left to itself. sharing: clients share upstream connections."""
        self.folder, self.standalone, self.program, self.merging = folder, standalone, program, merging
        self.processes, self.threads, self.sharing = processes, threads, sharing
        self.faults = []  # (begin, end, what) in monotonic time
        self.fault_count = 0
        self._batches = 0  # of proxies that ended
        self._names = 0
        self.server = self._start_server(free_port())
        self.statements = statements and Statements(self.server.port, statements)
        self.relay = Relay(self.server.port, statements=self.statements)
        schemas = folder / "schemas"
        schemas.mkdir()
        (schemas / "history.guarded.json").write_text(json.dumps({"ns": "history.guarded", "schema": SCHEMA}))
        self._port, self._admin = free_port(), free_port()
        self._configuration = folder / "sluice.yaml"
        self._configuration.write_text(CONFIGURATION.format(relay=self.relay.port, port=self._port,
                                                            admin=self._admin, schemas=schemas))
        self.proxy = self._start_proxy()
        self.drivers = []
        with self.client() as client:
            if not standalone:  # some servers do not create collections in transactions
                for name in COLLECTIONS:
                    client.history.create_collection(name)

    def _start_server(self, port):
        flags = [] if self.program else ["--enable-test-commands"]
        return Server(self.folder / "data", "--sync-on-commit", *flags, port=port, program=self.program,
                      replica_set=None if self.standalone else "secantus")

    def _start_proxy(self):
        options = {"listen": None}
        if not self.merging:
            options["merge.enabled"] = "false"
        if self.sharing:
            options |= {"pool.mode": "shared", "pool.max_size": 8}
        proxy = Proxy(None, options, config_file=self._configuration)
        proxy.address()
        return proxy

    def client(self):
        """Of the server itself."""
        return self.server.endpoint.client(directConnection="true")

    def batches(self):
        """Returns the number of merged commands so far."""
        return self._batches + self.proxy.counter("mergedBatches")

    # --- drivers

    def start_driver(self, seed):
        self._names += 1
        name = f"d{self._names}"
        plan = Plan(f"mongodb://{self.proxy.address()}/?{DIRECT}", name, str(self.folder / f"{name}.log"),
                    seed, self.threads, not self.standalone, duplicates=40 if self.statements else 10,
                    admin=f"127.0.0.1:{self._admin}")
        path = os.pathsep.join([str(TESTS), str(TESTS / "integration")])
        process = Process([sys.executable, "-m", "history.drivers", json.dumps(asdict(plan))],
                          env={**os.environ, "PYTHONPATH": path})
        self.drivers.append((process, Path(plan.log)))

    def start_drivers(self, random):
        for _ in range(self.processes):
            self.start_driver(random.randrange(1 << 30))

    def collect(self):
        """Stops the drivers. Returns their operations, and the faults of the driver processes themselves."""
        operations, trouble = [], []
        for process, _ in self.drivers:
            if process.exit_code() is None:
                process.send(signal.SIGTERM)
        for process, log in self.drivers:
            try:
                code = process.wait(2 * SOCKET_SECONDS)
            except AssertionError as error:
                trouble.append(f"a driver does not end: {error}")
                process.kill()
                continue
            never_began = code == -signal.SIGTERM and not log.exists()  # it received the signal while Python started
            if (code not in (0, -signal.SIGKILL) and not never_began) or process.stderr:
                trouble.append(f"a driver failed: {process.output()}")
            if log.exists():
                operations += record.read(log).values()
        self.drivers.clear()
        return operations, trouble

    def stored(self):
        """Returns {collection: {_id: by}}, read from the server itself, and drops the collections."""
        with self.client() as client:
            found = {}
            for name in COLLECTIONS:
                found[name] = {one["_id"]: one["by"] for one in client.history[name].find({}, {"by": 1})}
                client.history[name].delete_many({})
        return found

    # --- faults

    def happened(self, what, begin, after=1.0):
        self.faults.append((begin, time.monotonic() + after, what))
        self.fault_count += 1

    def cut(self, random, points):
        """The next inserts meet these points. Most often merged ones; sometimes also the second sending, and rarely
        where it is the answer to that which is looked at."""
        count = random.choice((1, 1, 1, 2)) if self.statements else random.randint(1, 3)
        for _ in range(count):
            self.relay.arm(random.choice(points), merged=random.random() < 0.8)

    def note_cuts(self):
        for begin, end, point in self.relay.cuts:
            self.faults.append((begin - 0.5, end + 2, f"cut {point}"))
            self.fault_count += 1
        self.relay.cuts.clear()

    def kill_client(self, random):
        alive = [process for process, _ in self.drivers if process.exit_code() is None]
        if alive:
            random.choice(alive).kill()
            self.fault_count += 1
        self.start_driver(random.randrange(1 << 30))

    def restart_server(self, random):
        begin = time.monotonic()
        self.server.process.kill()
        time.sleep(random.uniform(0, 0.3))
        self.server = self._start_server(self.server.port)
        self.happened(SERVER_KILLED, begin)

    def drain_proxy(self, random):
        begin = time.monotonic()
        self._batches += self.proxy.counter("mergedBatches")
        self.proxy.finish()
        time.sleep(random.uniform(0, 0.3))
        self.proxy = self._start_proxy()
        self.happened(PROXY_DRAINED, begin)

    def fail(self, random):
        begin = time.monotonic()
        data = {"failCommands": ["insert"], **random.choice(FAILURES)}
        with self.client() as client:
            client.admin.command({"configureFailPoint": "failCommand", "mode": {"times": random.randint(1, 4)},
                                  "data": data})
            time.sleep(0.3)
            client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
        self.happened(f"failpoint {data}", begin)

    def forgets(self, faults):
        """Whether a retry may not be recognised after these: by SecantusDB after any; by others when they were
        ended, also without a proxy, or when an answer was lost and the proxy that knew of it ended."""
        if self.program is None and self.statements is None:
            return bool(faults)
        return SERVER_KILLED in faults or (PROXY_DRAINED in faults and len(faults) > 1)

    def inexact(self):
        """_ids of drivers' own repeats that the server answered inexactly."""
        return self.statements.inexact if self.statements else set()

    def knows_failpoints(self):
        with self.client() as client:
            try:
                client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
            except PyMongoError:
                return False
        return True

    # --- end

    def stop(self):
        """Runs also after a failure."""
        for process, _ in self.drivers:
            process.kill()
        try:
            self.proxy.finish()
        finally:
            self.proxy.process.kill()
            self.relay.stop()
            self.server.stop()


def wait_until_serving(scene):
    """Works through the proxy, so that drivers find the initial state again."""
    from pymongo import MongoClient

    def up():
        try:
            with MongoClient(f"mongodb://{scene.proxy.address()}/?{DIRECT}",
                             serverSelectionTimeoutMS=500) as client:
                return client.admin.command("ping")["ok"]
        except PyMongoError:
            return None
    eventually(up, "the proxy serves")
