"""A write with many refusals: the share that the proxy checks at a time, the wait of other clients, and the memory for
details."""

import select
import threading
from dataclasses import dataclass, field

import bson
import pytest
from support import wire
from support.admin import Admin
from support.process import eventually
from support.wire import MORE_TO_COME, RawClient, op_msg_of

pytestmark = pytest.mark.proxy_only
SCHEMA = {"required": ["a"]}
MAX_BATCH = 100_000
INVALID_LENGTH, MEMORY = 16, 146
MEGABYTE = 1024 * 1024
EMPTY = bson.encode({})
GOOD = bson.encode({"a": 1})
UPDATE = bson.encode({"q": {}, "u": {"b": 1}})
OPERATION = bson.encode({"insert": 0, "document": {}})


def sequence(name, documents):
    content = name.encode() + b"\0" + documents
    return b"\1" + (4 + len(content)).to_bytes(4, "little") + content


def array(name, document, count):
    items = b"".join(b"\3%d\0" % number + document for number in range(count))
    return b"\4" + name.encode() + b"\0" + (5 + len(items)).to_bytes(4, "little") + items + b"\0"


def body_with(fields, element):
    inside = bson.encode(fields)[4:-1] + element + b"\0"
    return b"\0" + (4 + len(inside)).to_bytes(4, "little") + inside


@dataclass
class Form:
    """The same statement `count` times in a command."""
    fields: dict
    name: str
    statement: bytes = EMPTY
    in_body: bool = False
    flags: int = 0
    compressor: str | None = None
    more: bytes = b""  # a section
    options: dict = field(default_factory=dict)

    def message(self, count, last=b""):
        fields = {**self.fields, "$db": "d"}
        if self.in_body:
            sections = body_with(fields, array(self.name, self.statement, count))
        else:
            sections = wire.body_section(fields) + sequence(self.name, self.statement * count + last) + self.more
        message = op_msg_of(sections, flags=self.flags)
        return wire.compress(message, self.compressor) if self.compressor else message


BULK = {"bulkWrite": 1, "ordered": False, "$db": "admin"}
FORMS = {
    "unordered": Form({"insert": "c", "ordered": False}, "documents"),
    "in the body": Form({"insert": "c", "ordered": False}, "documents", in_body=True),
    "zlib": Form({"insert": "c", "ordered": False}, "documents", compressor="zlib"),
    "merged": Form({"insert": "c", "ordered": False}, "documents",
                   options={"merge.enabled": "true", "merge.max_bytes": 16 * MEGABYTE}),
    "updates": Form({"update": "c", "ordered": False}, "updates", UPDATE),
    "bulkWrite": Form(BULK, "ops", OPERATION, more=sequence("nsInfo", bson.encode({"ns": "d.c"}))),
}
ORDERED = Form({"insert": "c", "ordered": True}, "documents")
SILENT = Form({"insert": "c", "ordered": False, "writeConcern": {"w": 0}}, "documents", flags=MORE_TO_COME)


@pytest.fixture
def start(simulated_guard):
    def start(form=None, **options):
        more = form.options if form else {}
        return simulated_guard(SCHEMA, {"threads": 1, "admin.listen": "127.0.0.1:0", **more, **options})
    return start


def documents_of(request):
    return [bson.decode(document.raw) for document in request.sequences["documents"]]


def errors_of(reply):
    if "cursor" in reply.body:
        return reply.body["cursor"]["firstBatch"], "idx"
    return reply.body["writeErrors"], "index"


@pytest.mark.parametrize("name", [*FORMS, "ordered"])
def test_no_more_statements_than_a_server_takes_are_looked_at(name, start, simulated):
    form = FORMS.get(name, ORDERED)
    with RawClient(start(form).endpoint()) as client:
        reply = client.ask(form.message(MAX_BATCH + 1)).body
        assert reply["ok"] == 0 and reply["code"] == INVALID_LENGTH and reply["codeName"] == "InvalidLength"
        assert reply["errmsg"] == ("Write batch sizes must be between 1 and 100000. "
                                   f"Got {MAX_BATCH + 1} operations.")
        assert client.command({"ping": 1})["ok"] == 1
    assert not simulated.requests(next(iter(form.fields)))


@pytest.mark.parametrize("command", ["ping", "insert"])
def test_nor_more_fields_than_any_command_has(command, start):
    """Five million fields would occupy a worker for a tenth of a second, whatever the command."""
    nulls = b"\x0a\0" * 1_000_000
    with RawClient(start().endpoint()) as client:
        assert client.command({"ping": 1})["ok"] == 1
        reply = client.ask(op_msg_of(body_with({command: "c", "$db": "d"}, nulls))).body
        assert reply["ok"] == 0 and "more than 65536 fields" in reply["errmsg"]
        client.assert_closed()


def test_nor_where_nobody_waits_for_an_answer(start, simulated):
    proxy = start()
    with RawClient(proxy.endpoint()) as client:
        client.send(SILENT.message(MAX_BATCH + 1))
        assert client.command({"ping": 1})["ok"] == 1
    assert not simulated.requests("insert")
    assert Admin(proxy).metrics()['mongosluice_documents_total{schema="d.c",outcome="refused"}'] == 0


def test_the_limit_is_the_servers(start, simulated):
    simulated.topology["maxWriteBatchSize"] = 1000
    with RawClient(start().endpoint()) as client:
        assert client.hello()["maxWriteBatchSize"] == 1000
        assert len(client.ask(FORMS["unordered"].message(1000)).body["writeErrors"]) == 1000
        assert "between 1 and 1000. Got 1001" in client.ask(FORMS["unordered"].message(1001)).body["errmsg"]


def asked_between(light, heavy):
    """Returns how often the proxy itself answered another client before the heavy one."""
    asked = 0
    while not select.select([heavy.socket], [], [], 0)[0]:
        assert light.command({"mongosluice": 1})["ok"] == 1
        asked += 1
    return asked


@pytest.mark.parametrize("name", FORMS)
def test_others_have_their_turns_while_it_is_checked(name, start):
    """The check takes some hundred turns of the loop. The proxy answers a client that asks repeatedly between them.
    """
    count = 20_000
    form = FORMS[name]
    where = start(form).endpoint()
    with RawClient(where) as heavy, RawClient(where) as light:
        assert heavy.command({"ping": 1})["ok"] == light.command({"ping": 1})["ok"] == 1
        asked = 0
        for _ in range(5):  # a busy machine gives this client few turns; a check in one portion gives it one at most
            heavy.send(form.message(count))
            asked += asked_between(light, heavy)
            errors, index = errors_of(heavy.receive())
            assert [error[index] for error in errors] == list(range(count))
            assert {error["code"] for error in errors} == {121}
            assert heavy.command({"ping": 1})["ok"] == 1
            if asked >= 20:
                break
    assert asked >= 20


def test_others_have_their_turns_while_nobody_waits(start):
    """A w:0 write; the client's next request comes after it."""
    where = start().endpoint()
    with RawClient(where) as heavy, RawClient(where) as light:
        assert light.command({"ping": 1})["ok"] == 1
        heavy.send(SILENT.message(60_000) + wire.op_msg({"ping": 1, "$db": "admin"}))
        assert asked_between(light, heavy) >= 20
        assert heavy.receive().body["ok"] == 1


def test_what_is_right_goes_on_after_it_was_checked_in_portions(start, simulated):
    """With valid documents only, the message passes byte for byte. With some invalid ones, it passes without these.
    The server's own errors keep their indexes."""
    simulated.handlers["insert"] = lambda *_: {
        "ok": 1, "n": 1, "writeErrors": [{"index": 0, "code": 11000, "errmsg": "dup"}]}
    count = 30_000
    with RawClient(start().endpoint()) as client:
        right = Form({"insert": "c", "ordered": False}, "documents", GOOD).message(count)
        reply = client.ask(right)
        assert simulated.requests("insert")[-1].raw[16:] == right[16:]
        assert [error["index"] for error in reply.body["writeErrors"]] == [0]
        reply = client.ask(FORMS["unordered"].message(count, last=GOOD + EMPTY + GOOD))
        assert documents_of(simulated.requests("insert")[-1]) == [{"a": 1}, {"a": 1}]
        found = [(error["index"], error["code"]) for error in reply.body["writeErrors"]]
        assert found == [(number, 121) for number in range(count)] + [(count, 11000), (count + 1, 121)]


def test_the_answer_is_no_larger_than_a_servers(start):
    """Error texts end after 1 MiB of them; details end at the size where the reply would exceed the document limit.
    """
    with RawClient(start().endpoint(), seconds=60) as client:
        client.send(FORMS["unordered"].message(MAX_BATCH))
        reply = client.receive()
        errors = reply.body["writeErrors"]
        assert len(reply.raw) <= 16 * MEGABYTE
        assert [error["index"] for error in errors] == list(range(MAX_BATCH))
        told = [error["errmsg"] != "" for error in errors]
        assert told.index(False) == -(-MEGABYTE // len(errors[0]["errmsg"])) and not any(told[told.index(False):])
        details = ["errInfo" in error for error in errors]
        assert details[0] and not details[-1]


def test_what_is_refused_counts_for_memory_max(start):
    """The details of the second write exceed the memory limit. Nothing of the first write's details is left."""
    proxy = start(memory_max=16 * MEGABYTE, max_message_bytes=8 * MEGABYTE)
    admin = Admin(proxy)
    with RawClient(proxy.endpoint(), seconds=60) as client:
        reply = client.ask(FORMS["unordered"].message(MAX_BATCH)).body
        assert reply["ok"] == 0 and reply["code"] == MEMORY and "memory_max" in reply["errmsg"]
        assert len(client.ask(FORMS["unordered"].message(100)).body["writeErrors"]) == 100
    eventually(lambda: admin.metrics()["mongosluice_buffer_bytes"] == 0, "no buffer is left")


def test_a_client_may_leave_meanwhile(start, simulated):
    """The client leaves during the check. A write that wanted no reply is executed all the same."""
    simulated.handlers["insert"] = lambda *_: None
    proxy = start()
    admin = Admin(proxy)
    for form in (FORMS["unordered"], FORMS["zlib"], FORMS["bulkWrite"]):
        with RawClient(proxy.endpoint()) as heavy:
            assert heavy.command({"ping": 1})["ok"] == 1
            heavy.send(form.message(50_000))
    with RawClient(proxy.endpoint()) as heavy:
        heavy.send(SILENT.message(20_000, last=GOOD))
    simulated.wait_for(lambda: simulated.requests("insert"), "the insert that nobody waits for")
    assert documents_of(simulated.requests("insert")[0]) == [{"a": 1}]
    eventually(lambda: admin.metrics()["mongosluice_buffer_bytes"] == 0, "no buffer is left")
    eventually(lambda: proxy.counter("clientsNow") == 0, "no client is left")


def test_schemas_may_change_meanwhile(start, folder):
    """The proxy checks a command to its end against the schemas that were in force when it began."""
    proxy = start()
    with RawClient(proxy.endpoint(), seconds=60) as heavy, RawClient(proxy.endpoint()) as light:
        heavy.send(FORMS["unordered"].message(50_000))
        changes = threading.Thread(target=lambda: [
            folder.write("d.c", {"required": ["a"], "title": str(number)}) for number in range(20)])
        changes.start()
        asked = asked_between(light, heavy)
        changes.join()
        assert len(heavy.receive().body["writeErrors"]) == 50_000 and asked >= 20
        folder.write("d.c", {"required": ["b"]})
        eventually(lambda: b"missingProperties" in heavy.ask(FORMS["unordered"].message(1)).raw
                   and b"b\0" in heavy.ask(FORMS["unordered"].message(1)).raw, "the last schema is in force")
