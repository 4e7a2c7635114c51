"""Checking and encoding out of Python: a package for each ODM, and what they share."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from mongosluice.offload.state import RECHECK_SECONDS, settings, statuses

_ODMS = {"beanie": "mongosluice.offload.beanie.patches", "mongoengine": "mongosluice.offload.mongoengine.patches"}


def offload(require: bool = False, recheck_seconds: float = RECHECK_SECONDS) -> None:
    """Takes checking and encoding out of Python, for the ODMs that are imported and those that will
    be. Call it before init_beanie, or before MongoEngine's first write. Models whose schema the proxy
    does not enforce stay as they are, with a warning; with `require` that is an error, NotEnforced."""
    settings.active = True
    settings.require = require
    settings.recheck_seconds = recheck_seconds
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
    return [status.as_dict() for status in statuses.values()]
