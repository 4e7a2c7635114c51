"""Makes the proxy's schemas from Python models, and moves checking and encoding out of Python.

    mongosluice export app.models -o schemas/      writes the schema files that the proxy enforces
    mongosluice.offload()                          makes unchanged Beanie and MongoEngine code faster
    mongosluice.offload_report()                   lists each model's mode, with the reasons
    mongosluice.check(Model, document)             tells whether the proxy would accept a document

The functions `export` and `offload` replace the packages of the same names here."""

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
