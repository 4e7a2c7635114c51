"""A process with some threads that insert through PyMongo until they are told to stop (TERM).
Usage: python -m history.drivers '{"uri": …, "name": …, "log": …, …}'."""

import http.client
import json
import random
import signal
import sys
import threading
import time
import uuid
from dataclasses import dataclass

from pymongo import InsertOne, MongoClient, WriteConcern, monitoring
from pymongo.errors import (AutoReconnect, BulkWriteError, ConnectionFailure, OperationFailure, PyMongoError,
                            WriteConcernError, WriteError)

from . import record
from .record import BAD, DUPLICATE, NEW, Operation

COLLECTIONS = {"plain": 5, "guarded": 3, "lingering": 1, "pairs": 1}  # relative frequency
CONCERNS = (*[None] * 9, {"w": 1}, {"w": "majority"}, {"w": 1, "j": True})
SOCKET_SECONDS = 20
LONG_SECONDS = 15  # the sum of the waits that faults explain is shorter


@dataclass(frozen=True)
class Plan:
    """The task of the process; its argument as JSON."""
    uri: str
    name: str
    log: str
    seed: int
    threads: int = 6
    replica_set: bool = True  # with transactions and retryable writes
    database: str = "history"
    duplicates: int = 10  # of a hundred documents
    admin: str = ""  # the address of the proxy's pages


class Watcher(monitoring.CommandListener):
    """Checks each reply to an insert: is it a possible answer to that command?"""

    def __init__(self):
        self._here = threading.local()
        self._commands = {}

    def begin(self):
        self._here.sent, self._here.wrong = [], []

    def seen(self):
        """When each attempt was sent, and the wrong replies."""
        return self._here.sent, self._here.wrong

    def started(self, event):
        if event.command_name == "insert":
            self._here.sent.append(time.monotonic())
            self._commands[event.request_id] = [one["_id"] for one in event.command["documents"]]

    def succeeded(self, event):
        ids = self._commands.pop(event.request_id, None)
        reply = event.reply
        if ids is None or "n" not in reply:
            return
        errors = reply.get("writeErrors", [])
        wrong = len(errors) + reply["n"] > len(ids)
        for error in errors:
            value = error.get("keyValue")
            wrong |= error["index"] >= len(ids)
            wrong |= value is not None and value.get("_id") != ids[error["index"] % len(ids)]
        if wrong:
            self._here.wrong.append(f"{ids} was answered {reply}"[:2000])

    def failed(self, event):
        self._commands.pop(event.request_id, None)


class Thread(threading.Thread):
    def __init__(self, plan, number, clients, log, watcher, stop):
        super().__init__(name=f"{plan.name}.{number}")
        self.plan, self.clients, self.log, self.watcher, self.stop = plan, clients, log, watcher, stop
        self.random = random.Random(f"{plan.seed} {self.name}")
        self.count = 0
        self.under_way = None  # an Operation
        self.stored = {name: [] for name in COLLECTIONS}  # _ids that are certainly stored

    def look(self):
        """Keeps the proxy's pages if the operation under way takes long."""
        operation = self.under_way
        if operation and not operation.pages and time.monotonic() - operation.begin > LONG_SECONDS:
            for page in ("connections", "pools", "status"):
                operation.pages[page] = self.page(page)

    def page(self, name):
        connection = http.client.HTTPConnection(self.plan.admin, timeout=5)
        try:
            connection.request("GET", f"/{name}")
            return json.load(connection.getresponse())
        except (OSError, ValueError, http.client.HTTPException) as error:
            return repr(error)
        finally:
            connection.close()

    def run(self):
        kinds = [(self.one, 60), (self.many, 20), (self.in_session, 8), (self.unacknowledged, 8),
                 (self.large, 2)]
        if self.plan.replica_set:
            kinds.append((self.in_transaction, 5))
        while not self.stop.is_set():
            (kind,) = self.random.choices([one for one, _ in kinds], [weight for _, weight in kinds])
            kind()

    # --- what is inserted

    def fresh(self):
        self.count += 1
        return f"{self.name}.{self.count}"

    def document(self, identifier, what, **more):
        return {"_id": identifier, "n": "bad" if what == BAD else self.count, "by": self.name, **more}

    def some(self, name, count):
        """Returns [(_id, expected outcome)]; only the guarded collection refuses documents."""
        documents = []
        for _ in range(count):
            what = self.random.choices((NEW, DUPLICATE, BAD),
                                       (95 - self.plan.duplicates, self.plan.duplicates, 5))[0]
            if what == BAD and name != "guarded":
                what = NEW
            if what == DUPLICATE:
                known = self.stored[name][-50:] + [one for one, kind in documents if kind == NEW]
                if known:
                    documents.append((self.random.choice(known), DUPLICATE))
                    continue
                what = NEW
            documents.append((self.fresh(), what))
        return documents

    def any_collection(self):
        (name,) = self.random.choices(list(COLLECTIONS), list(COLLECTIONS.values()))
        return name

    def collection(self, name):
        client = self.random.choice(self.clients)
        concern = self.random.choice(CONCERNS)
        return client[self.plan.database].get_collection(
            name, write_concern=concern and WriteConcern(**concern))

    # --- operations

    def perform(self, operation, act):
        operation.begin = time.monotonic()
        self.under_way = operation
        self.log.write(operation)
        self.watcher.begin()
        try:
            act()
            if operation.outcome == record.UNKNOWN and not operation.cause:
                operation.outcome = record.DONE
        except (WriteError, BulkWriteError) as error:
            details = error.details or {}
            operation.outcome = record.DONE
            errors = details.get("writeErrors", [details] if isinstance(error, WriteError) else [])
            operation.errors = [(one["index"], one["code"]) for one in errors]
        except WriteConcernError:
            operation.outcome = record.DONE
        except (AutoReconnect, ConnectionFailure) as error:
            operation.cause = f"{type(error).__name__}: {error}"[:300]
        except OperationFailure as error:
            operation.outcome, operation.cause = record.REFUSED, f"{error.code}: {error}"[:300]
        except PyMongoError as error:
            operation.cause = f"{type(error).__name__}: {error}"[:300]
        if operation.transaction and operation.outcome not in (record.COMMITTED, record.ABORTED):
            operation.outcome, operation.errors = record.UNKNOWN, []
        operation.end = time.monotonic()
        sent, operation.wrong = self.watcher.seen()
        operation.attempts, operation.sent = len(sent), [round(one - operation.begin, 2) for one in sent]
        self.under_way = None
        self.log.write(operation)
        self.learn(operation)

    def learn(self, operation):
        """After an answer without an error, its new documents are stored."""
        if operation.outcome == record.COMMITTED or (operation.outcome == record.DONE and not operation.errors):
            self.stored[operation.collection] += [one for one, what in operation.documents if what == NEW]

    def insert(self, name, documents, *, ordered=True, collection=None, session=None, **more):
        collection = self.collection(name) if collection is None else collection
        retryable = self.plan.replica_set and collection.database.client.options.retry_writes
        operation = Operation(uuid.uuid4().hex, name, documents, ordered, retryable=retryable)
        bodies = [self.document(*one, **more) for one in documents]
        if len(bodies) == 1:
            self.perform(operation, lambda: collection.insert_one(bodies[0], session=session))
        else:
            self.perform(operation, lambda: collection.insert_many(bodies, ordered=ordered, session=session))

    def one(self, **more):
        name = self.any_collection()
        self.insert(name, self.some(name, 1), **more)

    def many(self):
        name = self.any_collection()
        self.insert(name, self.some(name, self.random.randint(2, 6)), ordered=self.random.random() < 0.3)

    def large(self):
        name = self.any_collection()
        self.insert(name, [(self.fresh(), NEW)], x="x" * self.random.randint(60_000, 200_000))

    def in_session(self):
        name = self.any_collection()
        client = self.random.choice(self.clients)
        with client.start_session(causal_consistency=self.random.random() < 0.3) as session:
            for _ in range(3):
                self.insert(name, self.some(name, 1), session=session,
                            collection=client[self.plan.database][name])

    def unacknowledged(self):
        name = self.any_collection()
        collection = self.random.choice(self.clients)[self.plan.database].get_collection(
            name, write_concern=WriteConcern(w=0))
        operation = Operation(uuid.uuid4().hex, name, [(self.fresh(), NEW)])
        operation.cause = "nobody asked"

        def act():
            collection.bulk_write([InsertOne(self.document(*operation.documents[0]))])
        self.perform(operation, act)

    def in_transaction(self):
        name = self.any_collection()
        client = self.random.choice(self.clients)
        collection = client[self.plan.database][name]
        documents = [(self.fresh(), NEW) for _ in range(2)]
        operation = Operation(uuid.uuid4().hex, name, documents, transaction=True)
        commit = self.random.random() < 0.7

        def act():
            operation.cause = "not ended"
            with client.start_session() as session:
                session.start_transaction()
                for one in documents:
                    collection.insert_one(self.document(*one), session=session)
                if commit:
                    session.commit_transaction()
                else:
                    session.abort_transaction()
            operation.outcome = record.COMMITTED if commit else record.ABORTED
        self.perform(operation, act)


def main():
    plan = Plan(**json.loads(sys.argv[1]))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    watcher = Watcher()
    options = {"event_listeners": [watcher], "socketTimeoutMS": SOCKET_SECONDS * 1000,
               "serverSelectionTimeoutMS": SOCKET_SECONDS * 1000}
    clients = [MongoClient(plan.uri, **options), MongoClient(plan.uri, compressors="zlib", **options),
               MongoClient(plan.uri, retryWrites=False, **options)]
    log = record.Writer(plan.log)
    threads = [Thread(plan, number, clients, log, watcher, stop) for number in range(plan.threads)]
    for thread in threads:
        thread.start()
    while not stop.is_set():  # so that the signal handler runs
        stop.wait(0.2)
        for thread in threads:
            thread.look()
    for thread in threads:
        while thread.is_alive():
            thread.join(1)
            thread.look()
    for client in clients:
        client.close()


if __name__ == "__main__":
    main()
