"""The record of a driver's operations: a line at the beginning of an operation, and one at its end."""

import json
import os
from dataclasses import asdict, dataclass, field

NEW, DUPLICATE, BAD = "new", "duplicate", "bad"  # the expected outcome of a document, by the server or the schema
DUPLICATE_CODE, BAD_CODE = 11000, 121
DONE, REFUSED, UNKNOWN, COMMITTED, ABORTED = "done", "refused", "unknown", "committed", "aborted"


@dataclass
class Operation:
    id: str
    collection: str
    documents: list  # [(_id, NEW | DUPLICATE | BAD)]
    ordered: bool = True
    transaction: bool = False
    retryable: bool = False  # it has a txnNumber: the driver retries it, and the server recognises the retry
    begin: float = 0.0
    end: float | None = None  # None: its process was killed
    attempts: int = 0
    sent: list = field(default_factory=list)  # when each attempt was sent, in seconds since begin
    pages: dict = field(default_factory=dict)  # the proxy's pages, while the operation took long
    outcome: str = UNKNOWN
    errors: list = field(default_factory=list)  # [(index, code)], of DONE
    cause: str = ""  # of REFUSED and UNKNOWN
    wrong: list = field(default_factory=list)  # replies that cannot belong to this command


class Writer:
    """The lines survive any end of the process."""

    def __init__(self, path):
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, operation):
        os.write(self._file, json.dumps(asdict(operation)).encode() + b"\n")


def read(path):
    """Returns {id: Operation}; the later line of each counts. A killed process may leave half a line."""
    operations = {}
    for line in path.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            fields = json.loads(line)
            operations[fields["id"]] = Operation(**fields)
    return operations
