"""Finds the models of a module and makes their schema files."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from mongosluice.export.definitions import merge
from mongosluice.export.schema import Exported, is_class

DEFAULT_DATABASE = "test"  # the database that drivers use if the address names none


class ExportError(Exception):
    """A sentence that tells the user what to change."""


def in_one_line(error: BaseException) -> str:
    """The error, and its line in the user's code."""
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if frame.filename != __file__ and "importlib" not in frame.filename]
    return text if not frames or isinstance(error, SyntaxError) else f"{text} ({frames[-1].filename}:{frames[-1].lineno})"


def is_beanie(cls: Any) -> bool:
    if "beanie" not in sys.modules:
        return False
    from mongosluice.export.beanie import issubclass_of_document

    return issubclass_of_document(cls)


def is_mongoengine(cls: Any) -> bool:
    if "mongoengine" not in sys.modules:
        return False
    from mongosluice.export.mongoengine import is_document

    return is_document(cls)


def is_pydantic(cls: Any) -> bool:
    if "pydantic" not in sys.modules or not is_class(cls):
        return False
    from pydantic import BaseModel

    return issubclass(cls, BaseModel)


def unfinished() -> tuple[type[Exception], ...]:
    """The error of a model that cannot be completed: it names missing classes."""
    found: list[type[Exception]] = []
    if "pydantic" in sys.modules:
        from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

        found += [PydanticUndefinedAnnotation, PydanticUserError]
    if "mongoengine" in sys.modules:
        from mongoengine.errors import NotRegistered

        found.append(NotRegistered)
    return tuple(found)


def export_one(cls: type, ns: str | None, database: str | None) -> Exported:
    """The schema of this class only, without other classes of its collection."""
    try:
        return export_class(cls, ns, database)
    except unfinished() as error:
        reason = " ".join(str(error).split("\n\n")[0].split())
        raise ExportError(f"{cls.__module__}.{cls.__qualname__} is not complete: {reason}") from error


def export_class(cls: type, ns: str | None, database: str | None) -> Exported:
    if is_beanie(cls):
        from mongosluice.export.beanie import export_document

        one = export_document(cls, database or database_of(cls) or DEFAULT_DATABASE)
    elif is_mongoengine(cls):
        from mongosluice.export.mongoengine import export_engine

        one = export_engine(cls, database or DEFAULT_DATABASE)
    elif is_pydantic(cls):
        if ns is None:
            raise ExportError(f"{cls.__name__} is a plain model: name its collection, as MODULE:"
                              f"{cls.__name__}=DATABASE.COLLECTION")
        one = export_plain(cls, ns)
    else:
        raise ExportError(f"{cls!r} is not a model of Beanie, pydantic or MongoEngine")
    return one if ns is None else Exported(ns, one.schema, one.models, one.notes)


def database_of(cls: Any) -> str | None:
    """The database of an initialised document."""
    settings = cls.__dict__.get("_document_settings")
    collection = getattr(settings, "pymongo_collection", None)
    if collection is None:
        collection = getattr(settings, "motor_collection", None)
    return collection.database.name if collection is not None else None


def export_plain(cls: Any, ns: str) -> Exported:
    from mongosluice.export.pydantic import Exporter

    exporter = Exporter(cls.__name__, dumps=True)
    schema = exporter.model_schema(cls)
    if "additionalProperties" in schema and "_id" not in schema.get("properties", {}):
        schema = {**schema, "properties": {**schema.get("properties", {}), "_id": {}}}
    schema = exporter.finished(schema)
    return Exported(ns, schema, (f"{cls.__module__}.{cls.__qualname__}",), tuple(exporter.notes))


def export_model(cls: type, ns: str | None, database: str | None) -> Exported:
    """The whole namespace of a class, with the documents that share its collection."""
    one = export_one(cls, ns, database)
    if is_beanie(cls):
        from beanie import Document

        family = [sub for sub in family_of(cls, Document) if sub is not cls]
        others = [export_one(sub, ns, database) for sub in family]
        return merge([one, *(other for other in others if other.ns == one.ns)])
    return one


def family_of(cls: Any, top: type) -> list[type]:
    """The classes that may share a collection by inheritance."""
    from mongosluice.export.beanie import root_of

    root = root_of(cls)
    if root is None:
        return [cls]
    found, pending = [], [root]
    while pending:
        one = pending.pop()
        found.append(one)
        pending.extend(one.__subclasses__())
    return found


def models_in(module: ModuleType) -> list[type]:
    """The documents that a module defines or imports."""
    return [value for value in vars(module).values()
            if is_class(value) and (is_beanie(value) or is_mongoengine(value))]


class Importing:
    """Turns any exception of the user's module, even SystemExit, into an ExportError."""

    def __init__(self, name: str, what: str = "imported"):
        self.name = name
        self.what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> None:
        if isinstance(error, (Exception, SystemExit)):
            raise ExportError(f"{self.name} cannot be {self.what}: {in_one_line(error)}") from error


def import_module(name: str) -> ModuleType:
    with Importing(name):
        return importlib.import_module(name)


def read_target(target: str) -> list[tuple[type, str | None]]:
    """MODULE, MODULE:CLASS or MODULE:CLASS=DATABASE.COLLECTION."""
    name, colon, rest = target.partition(":")
    path, equals, ns = rest.partition("=")
    if not all(part.isidentifier() for part in name.split(".")) or (colon and not path) or (equals and not ns):
        raise ExportError(f"{target} is not a target: use MODULE, MODULE:CLASS or "
                          "MODULE:CLASS=DATABASE.COLLECTION, and a module as it is imported (app.models)")
    module = import_module(name)
    if not path:
        found: list[tuple[type, str | None]] = [(cls, None) for cls in models_in(module)]
        if not found:
            raise ExportError(f"{name} has no documents of Beanie or MongoEngine (a plain model is named: "
                              f"{name}:CLASS=DATABASE.COLLECTION)")
        return found
    value: Any = module
    for part in path.split("."):
        if not hasattr(value, part):
            raise ExportError(f"{name} has no {path}")
        value = getattr(value, part)
    if ns and "." not in ns:
        raise ExportError(f"{ns} is not a namespace: use DATABASE.COLLECTION")
    return [(value, ns or None)]


def export_targets(targets: Iterable[str], database: str | None) -> list[Exported]:
    """One schema for each namespace, in the order of their names."""
    found: dict[str, list[Exported]] = {}
    seen: set[tuple[type, str | None]] = set()
    for target in targets:
        for cls, ns in read_target(target):
            if (cls, ns) in seen:
                continue
            seen.add((cls, ns))
            one = export_one(cls, ns, database)
            found.setdefault(one.ns, []).append(one)
    return [merge(found[ns]) for ns in sorted(found)]
