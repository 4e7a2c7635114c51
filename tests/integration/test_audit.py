"""`mongosluice audit`: checks stored documents against schemas."""

import json
import os
import pty
import signal
import subprocess
import uuid

import pytest
from bson import Int64, ObjectId, json_util
from support.ports import free_port
from support.process import eventually
from support.proxy import BINARY, environment
from support.registry import Registry

PERSON = {"bsonType": "object", "required": ["name"], "properties": {
    "name": {"bsonType": "string", "maxLength": 10}, "age": {"bsonType": "int", "minimum": 0, "maximum": 150}}}


def people(count):
    return [{"_id": i, "name": f"p{i}", "age": i % 100} for i in range(count)]


class Audit:
    def __init__(self, endpoint, folder):
        self.endpoint, self.folder = endpoint, folder
        self.database = f"audit{uuid.uuid4().hex[:8]}"
        self.schemas = folder / "schemas"
        self.schemas.mkdir()
        self.client = endpoint.client()

    def __getitem__(self, collection):
        return self.client[self.database][collection]

    def ns(self, collection):
        return f"{self.database}.{collection}"

    def write(self, collection, schema=PERSON, **more):
        fields = {"schema": schema} if schema is not None else {}
        file = self.schemas / f"{collection}.json"
        file.write_text(json_util.dumps({"ns": self.ns(collection), **fields, **more}))

    def words(self, *flags, uri=None, schemas=True):
        given = ["--schemas", self.schemas] if schemas else []
        return [BINARY, "audit", "--upstream", uri or self.endpoint.uri(), *given, *flags]

    def run(self, *flags, **how):
        return subprocess.run([str(word) for word in self.words(*flags, **how)], env=environment(), capture_output=True,
                              text=True, timeout=120, check=False)

    def json(self, *flags, code=0, **how):
        done = self.run("--json", *flags, **how)
        assert done.returncode == code, (done.stdout, done.stderr)
        answer = json_util.loads(done.stdout)
        return answer, {one["ns"].partition(".")[2]: one for one in answer["namespaces"]}

    def close(self):
        self.client.drop_database(self.database)
        self.client.close()


@pytest.fixture
def audit(server, tmp_path):
    one = Audit(server.endpoint, tmp_path)
    yield one
    one.close()


def test_says_what_breaks_and_where(audit):
    audit.write("people")
    audit["people"].insert_many(people(2000))
    audit["people"].insert_many([{"_id": "x", "name": "X", "age": -1}, {"_id": 3.5, "age": 1},
                                 *({"_id": ObjectId(), "name": "n" * 20} for _ in range(7))])
    answer, found = audit.json(code=1)
    assert (answer["documents"], answer["broken"], answer["errors"]) == (2009, 9, 0)
    reasons = {(one["path"], one["reason"]): one for one in found["people"]["reasons"]}
    assert {reason: one["count"] for reason, one in reasons.items()} == {
        ("name", "maxLength"): 7, ("age", "minimum"): 1, ("", "required name"): 1}
    assert reasons["age", "minimum"]["ids"] == ["x"]
    assert len(reasons["name", "maxLength"]["ids"]) == 5
    done = audit.run()
    assert done.returncode == 1
    assert f"{audit.ns('people')}: 2009 documents, 9 break the schema" in done.stdout
    assert "7  name: maxLength" in done.stdout and '_id: "x"' in done.stdout
    audit["people"].delete_many({"$or": [{"age": -1}, {"name": None}, {"name": "n" * 20}]})
    assert audit.run().returncode == 0


def test_each_namespace_by_itself(audit):
    for name in ("one", "two", "three"):
        audit.write(name)
    audit["one"].insert_many(people(10))
    audit["two"].insert_one({"_id": 1})
    answer, found = audit.json(code=1)
    assert {name: one["broken"] for name, one in found.items()} == {"one": 0, "two": 1, "three": 0}
    assert found["three"]["note"] == "the collection does not exist"
    _, found = audit.json("--namespace", audit.ns("one"))
    assert list(found) == ["one"]


@pytest.mark.long
def test_reads_all_of_a_large_collection(audit):
    audit.write("people")
    for start in range(0, 30000, 10000):
        audit["people"].insert_many([{**one, "_id": one["_id"] + start, "note": "x" * 200} for one in people(10000)])
    audit["people"].update_many({"_id": {"$mod": [1000, 7]}}, {"$set": {"age": 200}})
    answer, _ = audit.json(code=1)
    assert (answer["documents"], answer["broken"]) == (30000, 30)


def test_a_sample_has_as_many_as_it_asks_for(audit):
    audit.write("people")
    audit["people"].insert_many(people(500))
    answer, _ = audit.json("--sample", "100")
    assert 0 < answer["documents"] <= 100


def mixed_ids(count):
    """_ids of several types: audit reads in the order of _id, across types."""
    kinds = [lambda i: i, lambda i: f"s{i:05}", lambda i: ObjectId(f"{i:024x}"), lambda i: {"n": i},
             lambda i: Int64(i + 100000)]
    return [{"_id": kinds[i % len(kinds)](i), "name": "x" if i % 10 else 5} for i in range(count)]


@pytest.mark.parametrize("kind", ["member", "standalone"])
def test_goes_on_after_it_was_killed(request, tmp_path, kind):
    server = request.getfixturevalue("server" if kind == "member" else "standalone_server")
    audit = Audit(server.endpoint, tmp_path)
    audit.write("people", {"properties": {"name": {"bsonType": "string"}}})
    audit.write("zoo", {})
    audit["people"].insert_many(mixed_ids(3000))
    audit["zoo"].insert_many(people(5))
    file = tmp_path / "progress.json"
    words = [str(word) for word in audit.words("--resume", file, "--rate", "400")]
    with subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        eventually(file.exists, "the progress is saved")
        running.send_signal(signal.SIGKILL)
    saved = json_util.loads(file.read_text())["namespaces"][audit.ns("people")]
    assert 0 < saved["documents"] < 3000 and not saved["done"]
    answer, found = audit.json("--resume", file, code=1)
    assert (answer["documents"], answer["broken"]) == (3005, 300)
    assert found["people"]["reasons"][0]["count"] == 300
    assert not file.exists()  # it is through
    audit.close()


def test_a_resume_file_is_of_one_audit(audit, tmp_path):
    audit.write("people")
    audit.write("view")
    audit["people"].insert_many(people(10))
    audit.client[audit.database].create_collection("view", viewOn="people")
    file = tmp_path / "progress.json"
    assert audit.run("--resume", file).returncode == 2  # 2 because of the view; the file stays
    _, found = audit.json("--resume", file, code=2)
    assert found["people"]["note"] == "counted by an earlier run" and found["people"]["documents"] == 10
    audit.write("people", {})
    _, found = audit.json("--resume", file, code=2)
    assert "from other schemas" in found["people"]["error"]
    for text in ("{", "{}", '{"mongosluice_audit": 1}', '{"mongosluice_audit": 2, "namespaces": {}}'):
        file.write_text(text)
        done = audit.run("--resume", file)
        assert done.returncode == 2 and "is not a resume file of an audit" in done.stderr, text
    entry = {"schemas": saved_schemas(audit, file), "last_id": 5, "documents": -3, "reasons": []}
    file.write_text(json.dumps({"mongosluice_audit": 1, "namespaces": {audit.ns("people"): entry}}))
    _, found = audit.json("--resume", file, code=2)
    assert "last_id, documents or reasons" in found["people"]["error"]


def saved_schemas(audit, file):
    file.unlink()
    assert audit.run("--resume", file).returncode == 2
    return json.loads(file.read_text())["namespaces"][audit.ns("people")]["schemas"]


def test_accepted_versions_and_the_candidate(audit):
    old, new = {"required": ["name"]}, {"required": ["title"]}
    audit.write("people", None, versions=[{"schema": new}, {"schema": old}],
                candidate={"schema": {"required": ["title", "name"]}})
    audit.write("plain")
    audit["people"].insert_many([{"name": "a"}, {"title": "b"}, {"title": "c", "name": "d"}, {"x": 1}])
    _, found = audit.json(code=1)
    assert found["people"]["broken"] == 1 and found["people"]["reasons"][0]["reason"] == "required title"
    _, found = audit.json("--candidate", code=1)
    assert list(found) == ["people"] and found["people"]["broken"] == 3


def test_proposes_the_tightest_bounds(audit):
    audit.write("people", {"bsonType": "object", "required": ["name", "age"], "properties": {
        "name": {"bsonType": "string", "minLength": 1, "maxLength": 10},
        "age": {"bsonType": ["int", "double"], "minimum": 0, "maximum": 150},
        "state": {"enum": ["new", "old", "gone"]},
        "tags": {"bsonType": "array", "maxItems": 10, "items": {"bsonType": "string", "maxLength": 5}}}})
    audit["people"].insert_many([
        {"name": "Ada", "age": 36, "state": "new", "tags": ["a", "abc"]},
        {"name": "Grace Hopper", "age": 85, "state": "other"}, {"name": "Al", "state": "new", "tags": []}])
    _, found = audit.json("--propose", code=1)
    proposals = {one["path"]: (one["stored"], one["broken"]) for one in found["people"]["proposals"]}
    assert proposals == {
        "/required": (["name"], True), "/properties/name/minLength": (2, False),
        "/properties/name/maxLength": (12, True), "/properties/age/bsonType": (["int"], False),
        "/properties/age/minimum": (36, False), "/properties/age/maximum": (85, False),
        "/properties/state/enum": (["new", "other"], True), "/properties/tags/maxItems": (2, False),
        "/properties/tags/items/maxLength": (3, False)}
    done = audit.run("--propose")
    assert "/properties/age/minimum: the file says 0, the documents need 36" in done.stdout


def test_schemas_of_a_registry(audit, tmp_path):
    registry = Registry(audit.endpoint, f"{audit.database}.registry", tmp_path / "push")
    file = tmp_path / "people.json"
    file.write_text(json.dumps({"ns": audit.ns("people"), "schema": PERSON}))
    audit["people"].insert_many([{"_id": 1, "name": "a"}, {"_id": 2}])
    empty = audit.run("--registry", registry.ns, schemas=False)
    assert empty.returncode == 2 and "accepts no schemas" in empty.stderr
    registry.do("push", file)
    answer, found = audit.json("--registry", registry.ns, schemas=False, code=1)
    assert found["people"]["broken"] == 1 and answer["documents"] == 2


def test_progress_is_shown_on_a_terminal_only(audit):
    audit.write("people")
    audit["people"].insert_many(people(300))
    assert audit.run("--rate", "250").stderr == ""
    main, end = pty.openpty()
    with subprocess.Popen([str(word) for word in audit.words("--rate", "250")], env=environment(), stderr=end,
                          stdout=subprocess.DEVNULL) as running:
        os.close(end)
        shown = b""
        try:
            while piece := os.read(main, 4096):
                shown += piece
        except OSError:  # the other end is closed
            pass
        assert running.wait(60) == 0
    os.close(main)
    assert f"{audit.ns('people')}: ".encode() in shown and b"of about 300 documents" in shown


def test_a_view_and_a_schema_without_its_collection(audit):
    audit.write("view")
    audit["people"].insert_many(people(3))
    audit.client[audit.database].create_collection("view", viewOn="people")
    _, found = audit.json(code=2)
    assert "it is a view" in found["view"]["error"] and "audit that one" in found["view"]["error"]


def test_who_may_not_read_is_told_which_role(secure_server, tmp_path):
    audit = Audit(secure_server.endpoint, tmp_path)
    audit.write("people")
    audit["people"].insert_many(people(3))
    audit.client["admin"].command("createUser", "nobody", pwd="secret", roles=[])
    host = secure_server.endpoint.address
    try:
        uri = secure_server.endpoint.uri().replace(secure_server.endpoint.uri().split("@")[0], "mongodb://nobody:secret")
        _, found = audit.json(uri=uri, code=2)
        error = found["people"]["error"]
        assert audit.ns("people") in error and "role 'read'" in error and "secret" not in error
        done = audit.run(uri=uri.replace("secret", "wrong"))
        assert done.returncode == 2 and "check user, password" in done.stdout and "wrong" not in done.stdout, host
        assert audit.json()[0]["documents"] == 3
    finally:
        audit.client["admin"].command("dropUser", "nobody")
        audit.close()


@pytest.mark.parametrize(("words", "parts"), [
    ([], ["name the deployment", "--upstream"]),
    (["--upstream", "mongodb://127.0.0.1:1"], ["name the schemas", "--schemas"]),
    (["--upstream", "nonsense", "--schemas", "."], ["mongosluice audit: "]),
    (["--upstream", "mongodb://127.0.0.1:1", "--schemas", "/no/such"], ["cannot read the schema folder /no/such: No such file"]),
    (["--upstream", "mongodb://127.0.0.1:1", "--schemas", "EMPTY"], ["has no schema files"]),
    (["--upstream", "mongodb://127.0.0.1:1", "--schemas", "GOOD", "--namespace", "a.b"],
     ["no schema has the namespace a.b", "t.c"]),
    (["--upstream", "mongodb://127.0.0.1:1", "--schemas", "GOOD", "--candidate"], ["has a candidate"]),
    (["--upstream", "mongodb://127.0.0.1:1", "--schemas", "x", "--rate", "0"], ["--rate takes a number from 1"]),
    (["--upstream", "mongodb://127.0.0.1:1", "--schemas", "x", "--sample", "1", "--resume", "y"], ["leave out --sample"]),
    (["--upstream", "mongodb://127.0.0.1:1", "--schemas", "x", "--registry", "y"], ["name the schemas"]),
    (["--all"], ["unrecognized option '--all'"]), (["all"], ["unknown flag 'all'"]),
])
def test_wrong_use(tmp_path, words, parts):
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "GOOD").mkdir()
    (tmp_path / "GOOD" / "a.json").write_text(json.dumps({"ns": "t.c", "schema": PERSON}))
    done = subprocess.run([BINARY, "audit", *words], cwd=tmp_path, env=environment(), capture_output=True, text=True,
                          timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert all(part in done.stderr for part in parts), done.stderr


def test_a_server_that_is_down(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"ns": "t.c", "schema": PERSON}))
    uri = f"mongodb://user:secret@127.0.0.1:{free_port()}/?serverSelectionTimeoutMS=300"
    done = subprocess.run([BINARY, "audit", "--upstream", uri, "--schemas", tmp_path], env=environment(),
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "cannot read from a server of" in done.stdout and "secret" not in done.stdout
