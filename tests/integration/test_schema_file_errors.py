"""Invalid schema files: `schema lint`, `check`, the start and a reload name the file, the place and the remedy."""

import json
import subprocess

import pytest
from support.process import eventually
from support.proxy import BINARY, environment
from support.schemas import SCHEMAS_IN_FORCE

pytestmark = pytest.mark.proxy_only

PLAIN = b'{"ns": "d.c", "schema": {"properties": {"$date": {"bsonType": "int"}}}}'
BROKEN = {
    "two objects": (PLAIN + b"\n" + PLAIN, "line 2, column 1: text follows the object"),
    "a field twice": (b'{"ns": "d.c", "level": "off",\n"level": "strict", "schema": {}}',
                      "/level: line 2, column 1: 'level' is given a second time (the first is at line 1, column 15)"),
    "the schema twice": (b'{"ns": "d.c", "schema": {}, "schema": {}}', "/schema: line 1, column 29: 'schema' is given"),
    "a mark": (b"\xef\xbb\xbf" + PLAIN, "line 1, column 1: the file begins with a byte-order mark: save it as UTF-8"),
    "NUL": (PLAIN.replace(b"int", b"in\0t"), "line 1, column 66: the file contains a NUL byte: remove it"),
    "not UTF-8": (PLAIN.replace(b"$date", b"dat\xe9"), "line 1, column 45: the bytes are not UTF-8: save the file as"),
    "a validator": (b'{"ns": "d.c", "$jsonSchema": {}}', "/$jsonSchema: a schema file with 'ns' has its schema in the"),
    "wrapped": (b'{"ns": "d.c", "schema": {"$jsonSchema": {}}}', "/schema/$jsonSchema: the field 'schema' holds the"),
    "JSON Schema": (b'{"ns": "d.c", "schema": {"properties": {"n": {"type": "integer", "default": 1}}}}',
                    '/dialect: this is JSON Schema: add "dialect": "json-schema"'),
    "an older pattern": (b'{"ns": "d.c", "schema": {"pattern": "[\\\\w-.]"}}',
                         "/schema/pattern: Regular expression is invalid: invalid range in character class"),
}


def run(*words):
    return subprocess.run([BINARY, *map(str, words)], env=environment(), capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize(("text", "problem"), BROKEN.values(), ids=BROKEN)
def test_named_without_a_proxy(tmp_path, text, problem):
    path, documents = tmp_path / "one.json", tmp_path / "documents"
    path.write_bytes(text)
    documents.write_text("{}")
    lint = run("schema", "lint", path)
    assert lint.returncode == 1 and f"{path}: {problem}" in lint.stdout, lint.stdout
    check = run("check", "--schema", path, documents)
    assert check.returncode == 2 and f"{path}: {problem}" in check.stderr, check.stderr
    start = run("--listen", "127.0.0.1:0", "--upstream", "mongodb://127.0.0.1:1/", "--schemas", tmp_path)
    assert start.returncode != 0 and f"mongosluice: {path}: {problem}" in start.stderr, start.stderr


def test_named_in_a_reload(simulated, simulated_guard, folder):
    proxy = simulated_guard({})
    proxy.wait_for_record("the first set is in force", id=SCHEMAS_IN_FORCE)
    proxy.endpoint()  # the proxy listens: from here on a broken file is found in a reload
    for number, (text, problem) in enumerate(BROKEN.values()):
        (folder.path / f"broken{number}.json").write_bytes(text)
    records = eventually(lambda: (found := {one["attr"]["file"]: one["attr"]["error"] for one in proxy.records()
                                            if one["id"] == 3003}) and len(found) == len(BROKEN) and found,
                         "each is reported")
    for number, (_, problem) in enumerate(BROKEN.values()):
        assert problem in records[str(folder.path / f"broken{number}.json")]


def test_two_files_for_one_namespace(tmp_path):
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_bytes(PLAIN)
    problem = f"the namespace d.c already has a schema in {tmp_path / 'a.json'}; keep one of the two files"
    lint = run("schema", "lint", *sorted(tmp_path.iterdir()))
    assert lint.returncode == 1 and f"{tmp_path / 'b.json'}: /ns: {problem}" in lint.stdout
    start = run("--listen", "127.0.0.1:0", "--upstream", "mongodb://127.0.0.1:1/", "--schemas", tmp_path)
    assert start.returncode != 0 and f"{tmp_path / 'b.json'}: {problem}" in start.stdout + start.stderr


def test_extensions_are_marked(tmp_path):
    schema = {"$defs": {"n": {"properties": {"k": {"items": {"$ref": "#/$defs/n"}}, "v": {"bsonType": "int"}}}},
              "$ref": "#/$defs/n"}
    path, documents = tmp_path / "tree.json", tmp_path / "documents.json"
    path.write_text(json.dumps({"ns": "d.c", "schema": schema}))
    assert run("schema", "lint", path).stdout == f"{path}: ok (d.c, mongodb, extended: no server takes it)\n"
    documents.write_text('{"k": [{"k": [{"k": [{"k": [{"k": [{"v": 1}]}]}]}]}]}\n{"k": [{"k": [{"k": [{"k": [{"v": "x"}]}]}]}]}')
    check = run("check", "--schema", path, documents)
    assert f"{documents}:1: valid" in check.stdout and f"{documents}:2: invalid" in check.stdout
    path.write_text(json.dumps({"$jsonSchema": schema}))
    assert "/$jsonSchema/$ref: $jsonSchema keyword '$ref' is not currently supported" in run("schema", "lint", path).stdout


def test_check_names_all_that_it_does_not_check(tmp_path):
    path, documents = tmp_path / "validator.json", tmp_path / "documents.json"
    path.write_text('{"$jsonSchema": {}, "$expr": {"$gt": ["$a", 1]}, "b": {"$exists": true}}')
    documents.write_text("{}")
    check = run("check", "--schema", path, documents)
    assert check.returncode == 1
    for field in ("$expr", "b"):
        assert f"{path}: /{field}: stands beside $jsonSchema and is not checked here" in check.stderr


def large(properties):
    return {"properties": {f"field{i}": {"bsonType": "int", "minimum": i} for i in range(properties)}}


@pytest.mark.parametrize(("text", "flags", "problem"), [
    ({"schema": {}}, [], "the field 'ns' is missing"),
    ({"$jsonSchema": {"required": ["a"]}}, [], "the field 'ns' is missing"),
    ({"ns": "d.c", "schema": large(4000)}, ["--schemas_memory_max", "1MiB"], "(option schemas_memory_max)"),
], ids=["no namespace", "a bare schema", "too large"])
def test_lint_refuses_what_the_start_refuses(tmp_path, text, flags, problem):
    path = tmp_path / "one.json"
    path.write_text(json.dumps(text))
    start = run("--check-config", "--listen", "127.0.0.1:0", "--upstream", "mongodb://127.0.0.1:1/", "--schemas", tmp_path, *flags)
    assert start.returncode == 2 and problem in start.stderr and str(path) in start.stderr, start.stderr
    lint = run("schema", "lint", *(word.replace("--schemas_memory_max", "--memory-max") for word in flags), path)
    assert lint.returncode == 1 and lint.stdout.startswith(f"{path}: ") and problem in lint.stdout, lint.stdout
    if "$jsonSchema" in text:
        assert run("schema", "lint", "--bare", path).stdout == f"{path}: ok (no namespace, mongodb)\n"


def test_files_that_fit_alone_and_not_together(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.json").write_text(json.dumps(
            {"ns": f"d.{name}", "schema": large(700)}))
    files = sorted(tmp_path.iterdir())
    assert [run("schema", "lint", "--memory-max", "1MiB", file).returncode for file in files] == [0, 0, 0]
    start = run("--check-config", "--listen", "127.0.0.1:0", "--upstream", "mongodb://127.0.0.1:1/", "--schemas", tmp_path,
                "--schemas_memory_max", "1MiB")
    lint = run("schema", "lint", "--memory-max", "1MiB", *files)
    assert start.returncode == 2 and lint.returncode == 1
    refused = [file for file in files if f"{file}: " in start.stderr]
    assert refused == [file for file in files if f"{file}: compiled, the schema needs" in lint.stdout] != []


def test_lint_says_that_the_proxy_does_not_read_a_name(tmp_path):
    path = tmp_path / "one.jsonc"
    path.write_bytes(PLAIN)
    lint = run("schema", "lint", path)
    assert lint.returncode == 0 and f"{path}: note: the proxy reads only files named *.json" in lint.stdout
