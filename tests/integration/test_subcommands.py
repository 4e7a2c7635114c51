"""The subcommands over schema files: `check` and `schema lint`."""

import json
import subprocess

import pytest
from support.proxy import BINARY, environment

SCHEMA = {"ns": "t.c", "schema": {"bsonType": "object", "required": ["a"],
                                  "properties": {"a": {"bsonType": "int"}}}}


def run(*words):
    return subprocess.run([BINARY, *map(str, words)], env=environment(), capture_output=True,
                          text=True, timeout=30)


def test_check_tells_valid_from_refused(tmp_path):
    schema, good, bad = (tmp_path / name for name in ("schema.json", "good.json", "bad.json"))
    schema.write_text(json.dumps(SCHEMA))
    good.write_text('{"a": 1}')
    bad.write_text('{"a": "x"}')
    done = run("check", "--schema", schema, good)
    assert done.returncode == 0 and f"{good}:1: valid" in done.stdout
    done = run("check", "--schema", schema, good, bad)
    assert done.returncode == 1
    assert f"{bad}:1: invalid" in done.stdout and "consideredValue" in done.stdout


VERSIONS = {"ns": "t.c", "versions": [
    {"schema": {"required": ["a"]}}, {"schema": {"required": ["b"]}, "name": "old"},
    {"schema": {"required": ["c"]}, "accepted_until": {"$date": "2020-01-01T00:00:00Z"}}]}


def test_several_versions(tmp_path):
    schema, documents = tmp_path / "schema.json", tmp_path / "documents.json"
    schema.write_text(json.dumps(VERSIONS))
    documents.write_text('{"a": 1}{"b": 1}{"c": 1}')
    done = run("schema", "lint", schema)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"{schema}: ok (t.c, mongodb, 3 versions)",
        f"{schema}: note: /versions/2/accepted_until has passed: the proxy no longer accepts the version; remove it"]
    done = run("check", "--schema", schema, documents)
    assert done.returncode == 1
    assert done.stdout.splitlines()[:2] == [f"{documents}:1: valid", f"{documents}:2: valid (by the older version old)"]
    assert '"missingProperties" : [ "a" ]' in done.stdout.splitlines()[2]
    done = run("check", "--candidate", "--schema", schema, documents)
    assert done.returncode == 2 and "the file has no candidate" in done.stderr
    schema.write_text(json.dumps({**VERSIONS, "candidate": {"schema": {"required": ["c"]}}}))
    done = run("check", "--candidate", "--quiet", "--schema", schema, documents)
    assert done.returncode == 1 and "1 valid, 2 refused" in done.stdout
    schema.write_text(json.dumps({**VERSIONS, "candidate": {"schema": {"required": 1}}}))
    done = run("schema", "lint", schema)
    assert done.returncode == 1 and f"{schema}: /candidate/schema/required: " in done.stdout


def test_lint_names_the_place(tmp_path):
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(SCHEMA))
    assert run("schema", "lint", schema).returncode == 0
    broken = json.loads(json.dumps(SCHEMA))
    broken["schema"]["properties"]["a"]["bsonType"] = "nonsense"
    schema.write_text(json.dumps(broken))
    done = run("schema", "lint", schema)
    assert done.returncode == 1
    assert "/properties/a/bsonType" in done.stdout + done.stderr


@pytest.mark.parametrize(("words", "parts"), [
    (["frobnicate"], ['unknown command "frobnicate"', "check", "schema", "status", "top"]),
    (["schema"], ["mongosluice schema: ", "lint"]),
    (["schema", "check"], ["mongosluice schema: ", "lint"]),
    (["schema", "lint"], ["mongosluice schema lint: name a schema file"]),
    (["schema", "lint", "--all"], ["unknown flag --all"]),
    (["schema", "lint", "/no/such"], ["/no/such cannot be read: No such file"]),
    (["check"], ["mongosluice check: name the schema file", "--schema"]),
    (["check", "--schema", "x"], ["mongosluice check: name a file of documents"]),
    (["check", "--all"], ["mongosluice check: unrecognized option '--all'"]),
    (["status"], ["mongosluice status: name the admin endpoint", "--admin"]),
    (["status", "--admin", "nowhere"], ["'nowhere' is not an address"]),
])
def test_wrong_use_is_said(words, parts):
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert all(part in done.stderr for part in parts), done.stderr


def test_json_errors_name_line_and_column(tmp_path):
    schema, documents = tmp_path / "schema.json", tmp_path / "documents.json"
    schema.write_text('{"ns": "t.c",\n "schema": {,}}')
    done = run("schema", "lint", schema)
    assert done.returncode == 1 and "not valid JSON at line 2, column 13" in done.stdout
    schema.write_text(json.dumps(SCHEMA))
    for text, number, place in [('\n{"a": 2,, }', 1, "line 2, column 9"), ('[{"a": 2},\n,]', 1, "line 2, column 1"),
                                ('{"a": 1}\n{"a": 2,, }', 2, "byte 8 of the document")]:
        documents.write_text(text)
        done = run("check", "--schema", schema, documents)
        assert done.returncode == 1
        assert f":{number}: malformed: not valid JSON at {place}" in done.stdout, done.stdout


@pytest.mark.parametrize("words", [["--help"], ["schema", "lint", "schema.json"],
                                   ["check", "--schema", "schema.json", "schema.json"]])
def test_output_that_cannot_be_written_is_no_success(tmp_path, words):
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([BINARY, *words], env=environment(), stdout=full, stderr=subprocess.PIPE,
                              text=True, timeout=30, cwd=tmp_path)
    assert done.returncode != 0


def diff(tmp_path, new, *flags, old=SCHEMA):
    files = [tmp_path / "old.json", tmp_path / "new.json"]
    for file, schema in zip(files, (old, new), strict=True):
        file.write_text(json.dumps(schema))
    return run("schema", "diff", *files, *flags)


def with_bound(**bound):
    return {**SCHEMA, "schema": {**SCHEMA["schema"], "properties": {"a": {"bsonType": "int", **bound}}}}


def test_diff_ends_by_whether_old_documents_pass(tmp_path):
    assert diff(tmp_path, SCHEMA).returncode == 0
    assert diff(tmp_path, {**SCHEMA, "schema": {"bsonType": "object"}}).returncode == 0
    done = diff(tmp_path, with_bound(minimum=5))
    assert done.returncode == 1
    assert "/properties/a/minimum: narrower: (not there) -> 5" in done.stdout
    hard = {**SCHEMA, "schema": {"properties": {"a": {"bsonType": "string", "pattern": "(x)\\1"}}}}
    harder = {**SCHEMA, "schema": {"properties": {"a": {"bsonType": "string", "pattern": "(x|y)\\1"}}}}
    assert diff(tmp_path, harder, old=hard).returncode == 3


def test_a_proof_of_diff_is_what_check_says(tmp_path):
    done = diff(tmp_path, with_bound(minimum=5), "--json")
    answer = json.loads(done.stdout)
    assert (answer["verdict"], answer["backward"], answer["forward"]) == ("forward", "no", "yes")
    (change,) = answer["changes"]
    assert (change["path"], change["effect"]) == ("/properties/a/minimum", "narrower")
    proof = tmp_path / "proof.json"
    proof.write_text(json.dumps(change["refused_by_new"]))
    assert run("check", "--schema", tmp_path / "old.json", proof).returncode == 0
    assert run("check", "--schema", tmp_path / "new.json", proof).returncode == 1


def test_diff_counts_all_accepted_versions(tmp_path):
    old = SCHEMA["schema"]
    new = {"required": ["b"]}
    both = {"ns": "t.c", "versions": [{"schema": new}, {"schema": old}]}
    assert diff(tmp_path, both).returncode == 0
    assert diff(tmp_path, {"ns": "t.c", "schema": new}, old=both).returncode == 1


@pytest.mark.parametrize("words", [["diff"], ["diff", "one"], ["diff", "one", "two", "three"], ["diff", "--all", "a", "b"],
                                   ["diff", "/no/such", "/no/such"]])
def test_wrong_use_of_diff(words):
    done = run("schema", *words)
    assert (done.returncode, done.stdout) == (2, "") and "mongosluice" in done.stderr
