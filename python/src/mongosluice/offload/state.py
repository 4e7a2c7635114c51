"""The common state of all ODMs' offload: settings, report, warnings."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

FULL, ENCODE_ONLY, OFF = "full", "encode-only", "off"
# How long an answer of the proxy stays valid while documents are written.
RECHECK_SECONDS = 30.0


class OffloadWarning(UserWarning):
    """A model stays unchanged, with a reason."""


@dataclass
class Status:
    """The mode of one model."""

    model: str
    ns: str
    mode: str
    reasons: list[str] = field(default_factory=list)
    extension: bool = True

    def as_dict(self) -> dict[str, Any]:
        return {"model": self.model, "ns": self.ns, "mode": self.mode, "reasons": list(self.reasons),
                "extension": self.extension}


class Failed(Exception):
    """The reason why a model cannot be exported or planned."""


def attempted(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Returns the function's result; raises Failed. A model's own code (default values, encoders, choices, enums,
        metaclasses) can raise any exception. In that case the model stays unchanged, and the application starts. No
        other place of the package catches all exceptions. The report and a warning give the reason, which names the
        exception."""
    try:
        return function(*arguments)
    except Failed:
        raise
    except Exception as error:
        raise Failed(f"{what}: {type(error).__name__}: {error}") from error


@dataclass
class Settings:
    active: bool = False
    require: bool = False
    recheck_seconds: float = RECHECK_SECONDS


settings = Settings()
statuses: dict[type, Status] = {}
_warned: set[tuple[str, str]] = set()
_lock = threading.Lock()


def warn_once(model: str, reason: str) -> None:
    with _lock:
        if (model, reason) in _warned:
            return
        _warned.add((model, reason))
    warnings.warn(f"mongosluice: {model} stays with Python: {reason}", OffloadWarning, stacklevel=3)


def forget_warnings() -> None:
    with _lock:
        _warned.clear()


def required_by_environment() -> bool:
    return os.environ.get("MONGOSLUICE_OFFLOAD_REQUIRE", "").lower() in ("1", "true", "yes", "on")
