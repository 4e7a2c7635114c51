"""The start-up hook. mongosluice-offload.pth imports this module if MONGOSLUICE_OFFLOAD is set. The
module waits for the import of an ODM, and imports nothing itself until then."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable
from typing import Any

ODMS = ("beanie", "mongoengine")


class _Loader(importlib.abc.Loader):
    """Wraps a loader, and calls a function after its module has run."""

    def __init__(self, loader: Any, done: Callable[[], None]):
        self.loader = loader
        self.done = done

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Any:
        return self.loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        self.done()


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, done: Callable[[str], None]):
        self.done = done
        self.finding = False

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in ODMS or self.finding:
            return None
        self.finding = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.finding = False
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, lambda: self.done(name))
        return spec


def watch(done: Callable[[str], None]) -> None:
    """Calls `done` with the name of each ODM on its import."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Finder(done))


def start() -> None:
    """Called by the .pth file."""
    def begin(name: str) -> None:
        import mongosluice
        from mongosluice.offload import install_for
        from mongosluice.offload.state import required_by_environment

        mongosluice.offload(require=required_by_environment())
        install_for(name)

    watch(begin)
