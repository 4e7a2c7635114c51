"""Moves checking and encoding out of Python. Each ODM has one package; the rest is common."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from mongosluice.offload.state import RECHECK_SECONDS, settings, statuses

_ODMS = {"beanie": "mongosluice.offload.beanie.patches", "mongoengine": "mongosluice.offload.mongoengine.patches"}


def offload(require: bool = False, recheck_seconds: float = RECHECK_SECONDS) -> None:
    """Moves checking and encoding out of Python, for ODMs that are imported already or later. Call it before
        init_beanie, or before MongoEngine's first write. A model whose schema the proxy does not enforce stays
        unchanged, with a warning; with `require`, that raises NotEnforced."""
    settings.active = True
    settings.require = require
    settings.recheck_seconds = recheck_seconds
    from mongosluice import _hook

    for name, module in _ODMS.items():
        if name in sys.modules:
            importlib.import_module(module).install()
    _hook.watch(install_for)


def install_for(odm: str) -> None:
    """The import hook calls it after the import of an ODM."""
    importlib.import_module(_ODMS[odm]).install()


def offload_report() -> list[dict[str, Any]]:
    """Returns `model`, `ns`, `mode` (full, encode-only, off) and `reasons` for each model that was checked."""
    return [status.as_dict() for status in statuses.values()]
