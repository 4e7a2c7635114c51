"""Compares the replies with the stored documents. Pure.

An operation without an answer may have been executed or not. Every other outcome is certain, with one exception: a
server that forgets retried statements answers E11000 about the operation's own document. The document is then stored
although the driver received an error (never if there was no retry). SecantusDB forgets on shutdown, also without a
proxy, and recognises only the exact repeat of the session's last command. The checker counts such answers if a fault
that may have caused them (`forgets`) fell into the operation's time. MongoDB 4.4 answers a driver's own repeat of an
unordered insert of many documents at wrong places; the server that answered it reports these (`inexact`). The checker
tolerates nothing else."""

from collections import Counter
from dataclasses import dataclass, field

from . import record
from .record import BAD, BAD_CODE, DUPLICATE, DUPLICATE_CODE, NEW

PRESENT, ABSENT, EITHER = "present", "absent", "either"
INEXACT = "repeated by the driver and not answered exactly"


@dataclass
class Verdict:
    operations: int = 0
    faults: int = 0
    violations: list = field(default_factory=list)
    ambiguous: Counter = field(default_factory=Counter)  # stored, but answered with E11000: after these faults
    batches: int = 0  # merged commands
    outcomes: Counter = field(default_factory=Counter)

    def add(self, other):
        self.operations += other.operations
        self.faults += other.faults
        self.violations += other.violations
        self.ambiguous += other.ambiguous
        self.batches += other.batches
        self.outcomes += other.outcomes


def expected_errors(operation):
    """Returns the errors that a server without any fault reports."""
    errors = []
    for index, (_, what) in enumerate(operation.documents):
        if what != NEW:
            errors.append((index, BAD_CODE if what == BAD else DUPLICATE_CODE))
            if operation.ordered:
                break
    return errors


class Check:
    def __init__(self, stored, faults, forgets, inexact):
        """stored: {collection: {_id: by}}; faults: [(begin, end, what)] in monotonic time; forgets([what]):
        whether a retry may not be recognised after these; inexact: _ids."""
        self.stored, self.faults, self.forgets, self.inexact = stored, faults, forgets, inexact
        self.verdict = Verdict()

    def wrong(self, operation, what):
        self.verdict.violations.append(f"{what}: {operation}; meanwhile: {self.faults_during(operation)}")

    def faults_of(self, operation):
        until = operation.begin if operation.end is None else operation.end
        return [fault for fault in self.faults if fault[0] <= until and fault[1] >= operation.begin]

    def faults_during(self, operation):
        return [what for _, _, what in self.faults_of(operation)]

    def is_there(self, operation, identifier):
        by = self.stored[operation.collection].get(identifier)
        if by is not None and by != identifier.rpartition(".")[0]:
            self.wrong(operation, f"{identifier} was stored by {by}")
        return by is not None

    def expect(self, operation, wanted):
        """wanted: {_id: PRESENT | ABSENT | EITHER}."""
        for identifier, state in wanted.items():
            there = self.is_there(operation, identifier)
            if state == PRESENT and not there:
                self.wrong(operation, f"acknowledged and not there: {identifier}")
            if state == ABSENT and there:
                self.wrong(operation, f"refused and there: {identifier}")

    def ambiguity(self, operation, index):
        """E11000 about an own document at this index. Whether it may be."""
        identifier, _ = operation.documents[index]
        if not self.is_there(operation, identifier):
            self.wrong(operation, f"E11000 answered, but the document is not stored: {identifier}")
        elif not operation.retryable or not self.forgets(self.faults_during(operation)):
            self.wrong(operation, f"E11000 answered about its own document: {identifier}")
        else:
            self.verdict.ambiguous[tuple(sorted({what.split(" ", 2)[0] for what in
                                                 self.faults_during(operation)}))] += 1

    def done(self, operation):
        told = dict(operation.errors)
        wanted, stopped, doubtful = {}, False, False
        for index, (identifier, what) in enumerate(operation.documents):
            code = told.pop(index, None)
            if what == NEW and code == DUPLICATE_CODE and not stopped:
                self.ambiguity(operation, index)
                doubtful = True
            elif not stopped and code != {NEW: None, BAD: BAD_CODE, DUPLICATE: DUPLICATE_CODE}[what]:
                self.wrong(operation, f"{code} answered about {identifier}, which is {what}")
            elif what == NEW:
                wanted[identifier] = PRESENT if not stopped else EITHER if doubtful else ABSENT
            elif what == BAD:
                wanted[identifier] = ABSENT
            stopped = stopped or (operation.ordered and code is not None)
        if told:
            self.wrong(operation, f"errors at indexes beyond its documents: {told}")
        self.expect(operation, wanted)

    def certain_absence(self, operation):
        """A command that was refused as a whole was not executed, but an earlier attempt may have been."""
        return EITHER if operation.attempts > 1 or self.faults_during(operation) else ABSENT

    def transaction(self, operation):
        ids = [one for one, _ in operation.documents]
        if operation.outcome == record.COMMITTED:
            self.expect(operation, dict.fromkeys(ids, PRESENT))
        elif operation.outcome == record.ABORTED:
            self.expect(operation, dict.fromkeys(ids, ABSENT))
        elif len({self.is_there(operation, one) for one in ids}) > 1:
            self.wrong(operation, "half of a transaction is there")

    def look_at(self, operation):
        self.verdict.operations += 1
        outcome = operation.outcome if operation.end is not None else "killed"
        if operation.attempts > 1 and self.inexact.intersection(one for one, _ in operation.documents):
            outcome = INEXACT
        self.verdict.outcomes[outcome] += 1
        for each in operation.wrong if outcome != INEXACT else ():
            self.wrong(operation, f"another's reply: {each}")
        new = [one for one, what in operation.documents if what == NEW]
        if operation.transaction:
            self.transaction(operation)
        elif outcome == record.DONE:
            self.done(operation)
        elif outcome == record.REFUSED:
            self.expect(operation, dict.fromkeys(new, self.certain_absence(operation)))
        else:
            self.expect(operation, dict.fromkeys(new, EITHER))
        self.expect(operation, {one: ABSENT for one, what in operation.documents if what == BAD})
        if "timed out" in operation.cause:
            meanwhile = [(round(begin - operation.begin, 2), round(end - operation.begin, 2), what)
                         for begin, end, what in self.faults_of(operation)]
            self.wrong(operation, f"hung; faults with their times: {meanwhile}")


def check(operations, stored, faults, *, forgets, inexact=frozenset()):
    """Returns the Verdict about the operations ([Operation])."""
    judge = Check(stored, faults, forgets, inexact)
    known = set()
    for operation in operations:
        judge.look_at(operation)
        known |= {(operation.collection, one) for one, _ in operation.documents}
    for collection, documents in stored.items():
        for identifier in documents:
            if (collection, identifier) not in known:
                judge.verdict.violations.append(f"{identifier} in {collection} belongs to no operation")
    return judge.verdict
