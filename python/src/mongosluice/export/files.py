"""Schema files in a folder. The models own the schema and its dialect; the operator owns all other fields."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import bson
from bson import json_util
from bson.errors import BSONError

from mongosluice.export.schema import SETTINGS, Exported, text_of

ACTIONS = ("error", "warn", "errorAndLog")
# The defaults of a file; the proxy has the same.
DEFAULTS = {"dialect": "mongodb", "action": "error"}


class BrokenFileError(Exception):
    """An existing file is not a schema file."""


def read_file(path: Path) -> dict[str, Any] | None:
    """The contents of the file; None if there is none."""
    try:
        found = json_util.loads(path.read_bytes().decode())
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, BSONError) as error:
        raise BrokenFileError(f"{path} is not a schema file: {error}") from error
    if not isinstance(found, dict):
        raise BrokenFileError(f"{path} is not a schema file: it holds no JSON object")
    return found


def is_current(one: Exported, file: dict[str, Any]) -> bool:
    """Whether the proxy reads the models' schema from the file."""
    made = json_util.loads(one.text())
    given = {**DEFAULTS, **file}
    return all(bson.encode({"": made[key]}) == bson.encode({"": given.get(key)}) for key in ("ns", "dialect", "schema"))


def updated(one: Exported, file: dict[str, Any]) -> dict[str, Any]:
    """The file with the models' schema in it."""
    made = {**file, "ns": one.ns, "schema": one.schema}
    if "dialect" in file:
        made["dialect"] = SETTINGS["dialect"]
    return made


def differences(found: list[Exported], folder: Path) -> list[str]:
    """A sentence for each file that is missing, broken or different from the models."""
    problems = []
    for one in found:
        path = folder / one.file_name
        try:
            file = read_file(path)
        except BrokenFileError as error:
            problems.append(str(error))
            continue
        if file is None:
            problems.append(f"{path} is missing")
        elif not is_current(one, file):
            problems.append(f"{path} differs from the schema of the models")
    return problems


def write_file(path: Path, file: dict[str, Any]) -> None:
    """Writes a file and renames it, so that the proxy never sees half of it."""
    target = path.resolve()
    half = target.with_name(f".{target.name}.new")
    half.write_text(text_of(file), encoding="utf-8")
    if target.exists():
        shutil.copymode(target, half)
    half.replace(target)


def write_files(found: list[Exported], folder: Path, action: str | None) -> list[str]:
    """Writes the files that differ, after reading all of them. Returns a sentence for each file whose action
        differs from the requested one."""
    folder.mkdir(parents=True, exist_ok=True)
    before = {one.ns: read_file(folder / one.file_name) for one in found}
    kept = []
    for one in found:
        path, file = folder / one.file_name, before[one.ns]
        if file is None:
            write_file(path, {**one.file(), "action": action or SETTINGS["action"]})
            continue
        if not is_current(one, file):
            write_file(path, updated(one, file))
        current = file.get("action", DEFAULTS["action"])
        if action not in (None, current):
            kept.append(f"{path} keeps its action, {current}: --action is for new files")
    return kept
