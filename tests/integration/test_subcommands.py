"""The subcommands over schema files: `check` and `schema lint`."""

import json
import subprocess

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


def test_wrong_use_is_said():
    assert run("check").returncode == 2
    assert run("schema", "lint").returncode == 2
