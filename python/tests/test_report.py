"""mongosluice report: the mode of each model, the reasons, and what would have to change."""

import ast
import inspect
import json
import os
import re
import sys
from pathlib import Path

import pytest

import mongosluice
from conftest import completed
from mongosluice import reporting
from mongosluice.offload.beanie import instances, plans
from mongosluice.offload.beanie.encoding import native

MODELS = """
from typing import Optional
from beanie import BackLink, Document, Link
from pydantic import BaseModel, Field, field_validator

class Fast(Document):
    name: str = Field(max_length=5)
    class Settings:
        name = "fast"

class Checked(Document):
    n: int
    @field_validator("n")
    @classmethod
    def even(cls, value):
        return value

class Encoded(Document):
    n: int
    class Settings:
        bson_encoders = {int: str}

class Owner(Document):
    items: list[Link[Fast]] = []

class Plain(BaseModel):
    n: int
"""
ENGINE = """
import mongoengine as me
class Fast(me.Document):
    name = me.StringField(required=True)
class Open(me.DynamicDocument):
    name = me.StringField()
"""


def report(folder, *arguments, code=0):
    environment = {**os.environ, "PYTHONPATH": str(Path(mongosluice.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
    done = completed(sys.executable, "-m", "mongosluice", "report", *arguments, cwd=folder, env=environment)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_beanie(tmp_path):
    (tmp_path / "models.py").write_text(MODELS)
    found = {one["model"]: one for one in json.loads(report(tmp_path, "models", "models:Plain=d.plain", "--json"))}
    assert list(found) == [f"models.{name}" for name in ("Fast", "Checked", "Encoded", "Owner", "Plain")]
    best = "full" if native is not None else "encode-only"
    assert (found["models.Fast"]["mode"], found["models.Owner"]["mode"]) == (best, best)
    assert found["models.Fast"]["ns"] == "test.fast" and found["models.Plain"]["ns"] == "d.plain"
    assert found["models.Encoded"]["mode"] == "off" and "bson_encoders" in found["models.Encoded"]["reasons"][0]
    assert found["models.Plain"]["mode"] == "off"
    if native is not None:
        assert found["models.Fast"]["reasons"] == found["models.Fast"]["changes"] == []
        assert found["models.Checked"]["reasons"] == ["n is validated by Checked.even"]
        assert "validator" in [note["kind"] for note in found["models.Checked"]["notes"]]
        text = report(tmp_path, "models:Checked", "--database", "shop")
        assert text.startswith("models.Checked (shop.Checked): encode-only\n  because n is validated by Checked.even\n"
                               "  for full: express it in the field's type")
        assert "\n  stays with Python: Checked.n: validator" in text


def test_mongoengine(tmp_path):
    pytest.importorskip("mongoengine")
    (tmp_path / "models.py").write_text(ENGINE)
    found = json.loads(report(tmp_path, "models", "--json"))
    modes = [(one["model"], one["mode"]) for one in found]
    assert modes == [("models.Fast", "full" if native is not None else "off"), ("models.Open", "off")]
    if native is not None:
        assert found[1]["reasons"][0] == "dynamic fields" and "DictField" in found[1]["changes"][0]


def test_what_is_wrong_is_said(tmp_path):
    assert report(tmp_path, "nowhere", code=2).startswith("mongosluice: nowhere cannot be imported")
    (tmp_path / "models.py").write_text("from beanie import Document\nclass Wrong(Document):\n    class Settings:\n"
                                        "        projection = 1\n        name = 3\n")
    assert report(tmp_path, "models", code=2).startswith("mongosluice: models.Wrong cannot be initialised: ")


def reasons_in(module):
    """The reasons as they are written, with x for what is put in."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        texts = []
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            name = ast.unparse(node.exc.func).rpartition(".")[2]
            texts = node.exc.args[:1] if name in ("NotBuildable", "Unplannable") else []
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("why_not"):
            texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Return)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "reasons.append":
            texts = node.args
        for text in texts:
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                yield text.value
            elif isinstance(text, ast.JoinedStr):
                yield "".join(part.value if isinstance(part, ast.Constant) else "x" for part in text.values)


def test_each_reason_has_a_change():
    modules = [instances, plans]
    try:
        from mongosluice.offload.mongoengine import patches as engine_patches
        from mongosluice.offload.mongoengine import plans as engine_plans
    except ImportError:
        pass
    else:
        modules += [engine_plans, engine_patches]
    reasons = {reason for module in modules for reason in reasons_in(module)} - {"x: x: x"}  # "… cannot be exported: …"
    assert len(reasons) > 25 and "back links are filled in by Beanie" in reasons
    without = [reason for reason in reasons if not any(re.search(pattern, reason) for pattern, _ in reporting.CHANGES)]
    assert without == []
