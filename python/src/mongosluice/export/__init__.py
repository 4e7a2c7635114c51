"""Makes the proxy's schema files from models. Each kind of model has one module."""

from __future__ import annotations

from mongosluice.export.schema import Exported


def export(model: type, ns: str | None = None, database: str | None = None) -> Exported:
    """The schema of a model's namespace. A plain pydantic model needs `ns` ("database.collection"). A document
        that is not initialised needs `database`."""
    from mongosluice.export.targets import export_model

    return export_model(model, ns, database)
