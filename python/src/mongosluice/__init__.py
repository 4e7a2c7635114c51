"""Schemas for the mongosluice proxy from Python's models, and their cost out of Python.

    mongosluice export app.models -o schemas/      the schema files that the proxy enforces
    mongosluice.offload()                          unchanged Beanie and MongoEngine code gets faster
    mongosluice.offload_report()                   what was done with each model, and why
    mongosluice.check(Model, document)             what the proxy would say of a document

The functions `export` and `offload` stand here in the place of the packages of the same names."""

from __future__ import annotations

from mongosluice.checking import SchemaError, Verdict, check
from mongosluice.errors import DocumentRefused, DocumentsRefused, Refused
from mongosluice.export import export
from mongosluice.export.schema import Exported, Note
from mongosluice.offload import offload, offload_report
from mongosluice.offload.enforcement import NotEnforced
from mongosluice.offload.state import OffloadWarning

__all__ = [
    "DocumentRefused", "DocumentsRefused", "Exported", "NotEnforced", "Note", "OffloadWarning", "Refused", "SchemaError",
    "Verdict", "check", "export", "offload", "offload_report",
]
__version__ = "0.1.0"
