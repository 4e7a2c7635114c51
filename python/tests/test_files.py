"""Schema files that are there: the schema and its dialect are the models', all else is the operator's."""

import json
import os
import sys
from pathlib import Path

import pymongo
import pytest

import mongosluice
from conftest import completed

ROOT = Path(__file__).resolve().parents[2]
MODELS = """
from beanie import Document
class Shop(Document):
    name: {type}
    class Settings:
        name = "shops"
class Other(Document):
    n: int
"""
OPERATORS = {"action": "warn", "level": "moderate", "unproved": "reject", "allow_bypass": False}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "models.py").write_text(MODELS.format(type="str"))
    return tmp_path


def export(folder, *arguments):
    environment = {"MONGOSLUICE_BINARY": str(ROOT / "build/release/src/main/mongosluice"), **os.environ,
                   "PYTHONPATH": str(Path(mongosluice.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
    return completed(sys.executable, "-m", "mongosluice", "export", "models", "--database", "d", *arguments, cwd=folder,
                     env=environment)


def test_what_the_operator_set_is_kept(folder):
    assert export(folder, "-o", "schemas").returncode == 0
    path = folder / "schemas/d.shops.json"
    file = json.loads(path.read_text())
    assert (file["level"], file["action"]) == ("strict", "error")
    path.write_text(json.dumps({**file, **OPERATORS}))
    written = path.read_text()
    assert export(folder, "-o", "schemas", "--check").returncode == 0
    assert export(folder, "-o", "schemas").returncode == 0
    assert path.read_text() == written  # the same schema: the file is not touched

    path.chmod(0o640)
    (folder / "models.py").write_text(MODELS.format(type="int"))
    assert "d.shops.json differs from the schema of the models" in export(folder, "-o", "schemas", "--check").stderr
    assert export(folder, "-o", "schemas").returncode == 0
    changed = json.loads(path.read_text())
    assert changed["schema"]["properties"]["name"] == {"bsonType": ["int", "long"]}
    assert {key: changed[key] for key in OPERATORS} == OPERATORS
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(changed) == list({**file, **OPERATORS})
    assert [entry.name for entry in (folder / "schemas").iterdir() if entry.name.startswith(".")] == []
    assert export(folder, "-o", "schemas", "--check").returncode == 0


def test_the_dialect_and_the_namespace_count(folder):
    export(folder, "-o", "schemas")
    path = folder / "schemas/d.shops.json"
    file = json.loads(path.read_text())
    for wrong in ({"dialect": "json-schema"}, {"ns": "d.other"}):
        path.write_text(json.dumps({**file, **wrong}))
        assert export(folder, "-o", "schemas", "--check").returncode == 1
        assert export(folder, "-o", "schemas").returncode == 0
        assert json.loads(path.read_text()) == file
    path.write_text(json.dumps({"ns": file["ns"], "schema": file["schema"]}))  # the defaults are the proxy's
    assert export(folder, "-o", "schemas", "--check").returncode == 0
    path.write_text(json.dumps({"ns": file["ns"], "schema": {}}))
    assert export(folder, "-o", "schemas").returncode == 0
    assert json.loads(path.read_text()) == {"ns": file["ns"], "schema": file["schema"]}


def test_the_action_of_new_files(folder):
    (folder / "schemas").mkdir()
    for action in ("warn", "errorAndLog", "error"):
        done = export(folder, "-o", action, "--action", action)
        assert done.returncode == 0, done.stderr
        assert {json.loads(path.read_text())["action"] for path in (folder / action).iterdir()} == {action}
        assert "keeps its action" not in done.stderr
        assert f'"action": "{action}"' in export(folder, "--action", action).stdout
    done = export(folder, "-o", "warn", "--action", "error")
    assert done.returncode == 0 and done.stderr.count("keeps its action, warn") == 2
    assert export(folder, "-o", "warn", "--action", "refuse").returncode == 2
    # as a migration goes: made with warn, and checked all the while
    assert export(folder, "-o", "warn", "--check").returncode == 0


@pytest.mark.parametrize("text", [b"\xff", b"{", b"[1]", b'{"ns": "d.shops", "schema": {"$oid": "x"}}'])
def test_a_broken_file_is_named_and_left_alone(folder, text):
    export(folder, "-o", "schemas")
    path, other = folder / "schemas/d.shops.json", folder / "schemas/d.Other.json"
    path.write_bytes(text)
    other.unlink()
    check = export(folder, "-o", "schemas", "--check")
    assert check.returncode == 1 and "d.shops.json is not a schema file" in check.stderr
    done = export(folder, "-o", "schemas")
    assert done.returncode == 2 and "d.shops.json is not a schema file" in done.stderr.splitlines()[-1]
    assert path.read_bytes() == text and not other.exists()


def test_push(folder, server, database):
    """Into a registry by `schema push`: what the operator set there is kept."""
    registry = f"{database}.schemas"

    def push(*arguments):
        return export(folder, "--push", server, "--collection", registry, *arguments)

    def stored():
        with pymongo.MongoClient(server) as client:
            return {one["_id"]: one for one in client[database]["schemas"].find()}
    assert "would be pushed" in push("--dry-run").stdout and not stored()
    done = push("--action", "warn")
    assert done.returncode == 0, done.stderr
    assert "d.shops: pushed, revision 1" in done.stdout
    assert "d.shops: unchanged" in push().stdout
    (folder / "models.py").write_text(MODELS.format(type="int"))
    refused = push()
    assert refused.returncode == 1 and "refuses documents that pass by version 1 of d.shops" in refused.stderr
    assert push("--candidate").returncode == 0
    assert push("--allow-incompatible").returncode == 0
    one = stored()["d.shops"]
    assert one["state"]["action"] == "warn"
    assert [accepted["version"] for accepted in one["state"]["accepted"]] == [2, 1]
    assert stored()["d.Other"]["revision"] == 1
    assert "combined with --output" in push("-o", "schemas").stderr
    nowhere = export(folder, "--push", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100")
    assert nowhere.returncode == 2 and "cannot be read" in nowhere.stderr
