"""What a driver did, as it is written down: a line when an operation begins, and one when it ended."""

import json
import os
from dataclasses import asdict, dataclass, field

NEW, DUPLICATE, BAD = "new", "duplicate", "bad"  # what the server or the schema must make of a document
DUPLICATE_CODE, BAD_CODE = 11000, 121
DONE, REFUSED, UNKNOWN, COMMITTED, ABORTED = "done", "refused", "unknown", "committed", "aborted"


@dataclass
class Operation:
    id: str
    collection: str
    documents: list  # [(_id, NEW | DUPLICATE | BAD)]
    ordered: bool = True
    transaction: bool = False
    retryable: bool = False  # it has a number: a driver tries it twice, a server recognises it
    begin: float = 0.0
    end: float | None = None  # None: its process was killed
    attempts: int = 0
    outcome: str = UNKNOWN
    errors: list = field(default_factory=list)  # [(index, code)], of DONE
    cause: str = ""  # of REFUSED and UNKNOWN
    wrong: list = field(default_factory=list)  # replies that cannot be this command's


class Writer:
    """Lines survive the end of the process, however it ends."""

    def __init__(self, path):
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, operation):
        os.write(self._file, json.dumps(asdict(operation)).encode() + b"\n")


def read(path):
    """{id: Operation}; the later line of each counts. Half a line is what a killed process left."""
    operations = {}
    for line in path.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            fields = json.loads(line)
            operations[fields["id"]] = Operation(**fields)
    return operations
