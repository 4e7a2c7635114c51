"""Each field of the write commands as each BSON type, twice, and in document sequences. In a namespace with a
schema the answers are those that a MongoDB 4.4 server was measured to give (field_types in the conformance data),
and no document is stored that breaks the schema. Without a schema every answer is the server's own."""

import json
import os
from pathlib import Path

import pytest
from support.field_types import GUARD, Asker, every, guarded_asker
from support.proxy import ROOT

pytestmark = pytest.mark.proxy_only
CONFORMANCE = Path(os.environ.get("SLUICE_CONFORMANCE_DIR", ROOT.parent / "shared/conformance"))
MEASURED = CONFORMANCE / "field_types/mongodb-4.4.json"
REFUSED = {"121", "writeError 121"}

# Cases with another answer than MongoDB 4.4's: (case, type or None for all): (answers, reason).
ALLOWED_BY_SERVER = "the proxy takes it and SecantusDB, which is asked then, answers otherwise"
DEVIATIONS = {
    ("insert: documents[0], a good one after it", "object"):
        ({"writeError 121"}, "the first is good, the second is refused"),
    ("update: updates.hint (matching nothing)", "string"):
        (REFUSED, "only the server knows which indexes there are"),
    ("update: updates.hint (matching nothing)", "empty string"):
        (REFUSED, "only the server knows which indexes there are"),
    ("update: updates.u.$set", "object"):
        ({"ok"}, "newer servers take an operator without fields"),
    ("findAndModify: hint (matching nothing)", "string"):
        (REFUSED, "newer servers know the field"),
    ("findAndModify: hint (matching nothing)", "empty string"):
        (REFUSED, "newer servers know the field"),
    ("findAndModify: hint (matching nothing)", "object"):
        (REFUSED, "newer servers know the field"),
    ("aggregate: aggregate", "string"):
        (REFUSED, "newer servers merge into the collection that is read"),
    ("explain: explain", None):
        ({"14", "59"}, "explain writes nothing and is the server's business: SecantusDB's codes"),
    ("renameCollection: to", "string"): ({"73"}, ALLOWED_BY_SERVER),
    ("mapReduce: out", "string"): (REFUSED, "the server finds the collection empty first"),
}

# Commands that may be for another database than the one with a schema.
UNCLEAR = {"insert: $db", "insert: $db twice, typ then typ2", "renameCollection: to"}


def measured():
    """Returns {(group, name, type): (answer, stored documents)}."""
    table = json.loads(MEASURED.read_text())
    out = {}

    def put(key, text):
        said, _, stored = text.partition(" stored ")
        out[key] = said, [one for one in stored.split(",") if one]

    for name, answers in table["types"].items():
        for text, kinds in answers.items():
            for kind in kinds:
                put(("types", name, kind), text)
    for group in ("twice", "sections"):
        for name, text in table[group].items():
            put((group, name, None), text)
    return out


def wanted(key, said, stored):
    """Returns the accepted answers."""
    _, name, kind = key
    for which in (kind, None):
        if (name, which) in DEVIATIONS and (kind is not None or which is None):
            return DEVIATIONS[name, which][0]
    if any(one.endswith("*") for one in stored):
        return REFUSED
    # a wrong operator is refused even if it matches no document
    return {said, *REFUSED} if said == "ok" else {said}


def test_all_cases_are_measured():
    assert {(group, name, kind) for group, name, kind, _ in every()} == set(measured())


@pytest.fixture
def guard(start_proxy, server, folder):
    with guarded_asker(start_proxy, server, folder) as asker:
        yield asker


@pytest.mark.long
def test_with_a_schema(guard):
    table = measured()
    wrong = []
    for group, name, kind, request in every():
        key = group, name, kind
        said, stored = guard.ask(request)
        if said not in wanted(key, *table[key]) or any(one.endswith("*") for one in stored):
            wrong.append((*key, "measured", table[key], "got", said, stored))
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.long
@pytest.mark.parametrize("elsewhere", [False, True], ids=["no schema", "a schema elsewhere"])
def test_without_a_schema(start_proxy, server, folder, elsewhere):
    """The message passes byte for byte, so every answer is the server's own."""
    if elsewhere:
        folder.write("elsewhere.t", GUARD, unproved="reject")
    proxy = start_proxy(server.endpoint.uri(), {"schemas": folder.path}, endpoint=server.endpoint)
    through, direct = Asker(proxy.endpoint(), server.endpoint), Asker(server.endpoint, server.endpoint)
    differ = []
    for group, name, kind, request in every():
        if elsewhere and name in UNCLEAR:
            continue
        answers = through.ask(request), direct.ask(request)
        if answers[0] != answers[1]:
            differ.append((group, name, kind, *answers))
    through.close()
    direct.close()
    assert not differ, "\n".join(map(str, differ))
