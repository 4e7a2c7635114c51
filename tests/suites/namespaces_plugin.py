"""A pytest plugin that notes the namespaces that the driver writes to: one JSON string in a line for each, in the file
that the variable SUITES_NAMESPACES names. It looks at what the driver encodes, so the tests see no listener."""

import json
import os
import threading

from pymongo import message

WRITES = {"insert", "update", "findAndModify"}


class Notes:
    def __init__(self, path):
        self._file = open(path, "w", buffering=1)  # line by line: a suite may be ended
        self._lock = threading.Lock()
        self._known = set()

    def close(self):
        with self._lock:
            self._file.close()

    def add(self, ns):
        with self._lock:
            if isinstance(ns, str) and ns not in self._known and not self._file.closed:
                self._known.add(ns)
                self._file.write(json.dumps(ns) + "\n")

    def passing(self, namespaces):
        """They may be an iterator, which only one may read."""
        for ns in namespaces:
            self.add(ns)
            yield ns

    def add_command(self, database, command):
        """The database is a name, or a namespace of it."""
        database = database.split(".", 1)[0]
        name = next(iter(command), None)
        if name in WRITES:
            self.add(f"{database}.{command[name]}")
        elif name == "aggregate":
            self._add_output(database, command.get("pipeline"))

    def _add_output(self, database, pipeline):
        last = pipeline[-1] if isinstance(pipeline, list) and pipeline else None
        for stage in ("$out", "$merge") if isinstance(last, dict) else ():
            target = last.get(stage)
            target = target.get("into", target) if isinstance(target, dict) else target
            if isinstance(target, dict):
                self.add(f"{target.get('db')}.{target.get('coll')}")
            elif isinstance(target, str):
                self.add(f"{database}.{target}")


def pytest_configure(config):
    notes = Notes(os.environ["SUITES_NAMESPACES"])
    config.add_cleanup(notes.close)
    command, batch, bulk_write = message._op_msg, message._do_batched_op_msg, message._client_do_batched_op_msg

    def note_command(flags, spec, database, *more, **options):
        notes.add_command(database, spec)
        return command(flags, spec, database, *more, **options)

    def note_batch(namespace, operation, spec, *more, **options):
        notes.add_command(namespace, spec)
        return batch(namespace, operation, spec, *more, **options)

    def note_bulk_write(spec, operations, namespaces, *more, **options):
        return bulk_write(spec, operations, notes.passing(namespaces), *more, **options)

    message._op_msg, message._do_batched_op_msg = note_command, note_batch
    message._client_do_batched_op_msg = note_bulk_write
