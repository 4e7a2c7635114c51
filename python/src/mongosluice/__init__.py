"""Schemas for the mongosluice proxy from Python's models, and their cost out of Python.

    mongosluice export app.models -o schemas/      the schema files that the proxy enforces
    mongosluice.offload()                          unchanged Beanie and MongoEngine code gets faster
    mongosluice.offload_report()                   what was done with each model, and why
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from mongosluice import offload_state as _state
from mongosluice.errors import DocumentRefused, DocumentsRefused, Refused
from mongosluice.guard import NotEnforced
from mongosluice.offload_state import OffloadWarning
from mongosluice.schema import Exported, Note

__all__ = [
    "DocumentRefused", "DocumentsRefused", "Exported", "NotEnforced", "Note", "OffloadWarning", "Refused",
    "export", "offload", "offload_report",
]
__version__ = "0.1.0"

_ODMS = {"beanie": "mongosluice.offload_beanie", "mongoengine": "mongosluice.offload_mongoengine"}


def export(model: type, ns: str | None = None, database: str | None = None) -> Exported:
    """The schema of the namespace that a model is stored in. `ns` ("database.collection") is needed
    for a plain pydantic model, `database` for a document that is not initialised."""
    from mongosluice.exporting import export_model

    return export_model(model, ns, database)


def offload(require: bool = False, recheck_seconds: float = _state.RECHECK_SECONDS) -> None:
    """Takes checking and encoding out of Python, for the ODMs that are imported and those that will
    be. Call it before init_beanie, or before MongoEngine's first write. Models whose schema the proxy
    does not enforce stay as they are, with a warning; with `require` that is an error, NotEnforced."""
    _state.settings.active = True
    _state.settings.require = require
    _state.settings.recheck_seconds = recheck_seconds
    from mongosluice import _hook

    for name, module in _ODMS.items():
        if name in sys.modules:
            importlib.import_module(module).install()
    _hook.watch(install_for)


def install_for(odm: str) -> None:
    """Called by the import hook when an ODM was imported."""
    importlib.import_module(_ODMS[odm]).install()


def offload_report() -> list[dict[str, Any]]:
    """For each model that was looked at: `model`, `ns`, `mode` (full, encode-only, off), `reasons`."""
    return [status.as_dict() for status in _state.statuses.values()]
