"""From models to the schema files that the proxy enforces: one module for each kind of model."""

from __future__ import annotations

from mongosluice.export.schema import Exported


def export(model: type, ns: str | None = None, database: str | None = None) -> Exported:
    """The schema of the namespace that a model is stored in. `ns` ("database.collection") is needed
    for a plain pydantic model, `database` for a document that is not initialised."""
    from mongosluice.export.targets import export_model

    return export_model(model, ns, database)
