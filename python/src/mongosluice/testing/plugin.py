"""The plugin that pytest loads: the fixtures `mongosluice_check` and `mongosluice_proxy`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mongosluice.testing import Proxy

UPSTREAM, DATABASE, MODELS = "mongosluice_upstream", "mongosluice_database", "mongosluice_models"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(UPSTREAM, "the server behind the fixture mongosluice_proxy; MONGOSLUICE_UPSTREAM overrides it",
                  default="mongodb://127.0.0.1:27017/")
    parser.addini(DATABASE, "the database of the models", default=None)
    parser.addini(MODELS, "the targets of `mongosluice export` whose schemas the proxy enforces: app.models", type="args")


@pytest.fixture(scope="session")
def mongosluice_check() -> Callable[[Any, Any], None]:
    """Asserts that a schema accepts a document: mongosluice_check(Model, document)."""
    from mongosluice.checking import check

    def accepts(schema: Any, document: Any) -> None:
        verdict = check(schema, document)
        if not verdict:
            lines = "\n".join(f"  {'.'.join(map(str, one['loc'])) or '(the document)'}: {one['msg']}"
                              for one in verdict.errors())
            pytest.fail(f"mongosluice would refuse the document: {verdict.message}\n{lines}", pytrace=False)

    return accepts


@pytest.fixture(scope="session")
def mongosluice_proxy(pytestconfig: pytest.Config) -> Iterator[Proxy]:
    """A proxy for the whole test session that enforces the schemas of `mongosluice_models`."""
    from mongosluice.export.targets import export_targets
    from mongosluice.testing import proxy

    upstream = os.environ.get("MONGOSLUICE_UPSTREAM") or pytestconfig.getini(UPSTREAM)
    models = export_targets(pytestconfig.getini(MODELS), pytestconfig.getini(DATABASE) or None)
    with proxy(upstream, *models) as started:
        yield started
