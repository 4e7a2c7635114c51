"""The work budget of a command: all its documents, operands and operations share it."""

import itertools

import bson
import pytest
from support.wire import RawClient, op_msg

pytestmark = pytest.mark.proxy_only
PATTERN = r"^(\w+\s?)*$"
SCHEMA = {"properties": {name: {"bsonType": "string", "pattern": PATTERN} for name in "abcdefghij"}}
BAD = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"
ALLOWED = 10_000_000 // 50_000


@pytest.fixture
def client(simulated_guard, simulated):
    simulated.handlers["insert"] = simulated.handlers["update"] = lambda _, __, request: {
        "ok": 1, "n": sum(map(len, request.sequences.values()))}
    proxy = simulated_guard(SCHEMA, {"threads": 1}, unproved="reject")
    with RawClient(proxy.endpoint(), seconds=60) as client:
        yield client


def reasons(errors):
    return [error["errmsg"] for error in errors]


def test_documents_share_it(client):
    """2,000 documents of 41 bytes share one budget. The proxy refuses documents beyond the budget, and passes
    those that need none of it."""
    documents = [{"a": BAD}] * 2000 + [{"a": "sound"}]
    assert len(bson.encode(documents[0])) <= 45
    reply = client.ask(op_msg({"insert": "c", "ordered": False, "$db": "d"}, {"documents": documents})).body
    assert reply["n"] == 1 and len(reply["writeErrors"]) == 2000
    found = [(why, len(list(group))) for why, group in itertools.groupby(reasons(reply["writeErrors"]))]
    assert len(found) == 2 and 100 < found[0][1] <= ALLOWED
    assert "allowed for one string; make it simpler" in found[0][0]
    assert "allowed for one command" in found[1][0] and "fewer documents" in found[1][0]


def test_the_next_command_has_its_own(client):
    for _ in range(2):
        reply = client.ask(op_msg({"insert": "c", "ordered": False, "$db": "d"}, {"documents": [{"a": BAD}] * 400})).body
        assert "one string" in reasons(reply["writeErrors"])[0] and "one command" in reasons(reply["writeErrors"])[-1]


def test_operands_and_statements_share_it(client):
    """The ten operands of a statement, and all statements, share one budget."""
    update = {"q": {"_id": 1}, "u": {"$set": dict.fromkeys("abcdefghij", BAD)}}
    dear = {"q": {"_id": 1}, "u": {"$set": {"a": "aaaaaaaaaa!"}}}
    sound = {"q": {"_id": 1}, "u": {"$set": dict.fromkeys("abcdefghij", "sound words")}}
    reply = client.ask(op_msg({"update": "c", "ordered": False, "$db": "d"},
                              {"updates": [dear] + [update] * 300 + [sound, dear]})).body
    assert reply["n"] == 1 and len(reply["writeErrors"]) == 302
    first, *_, last = reasons(reply["writeErrors"])
    assert first == "Document failed validation"  # the document is known to be invalid
    assert last == "Document cannot be validated before the write, as this namespace requires"
