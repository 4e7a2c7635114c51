"""Random write commands through the proxy (tests/property): well-formed ones compared with the same commands sent
directly, and malformed ones. This is a short run; the scripts run for a given time."""

import sys

import pytest
from support.proxy import ROOT

sys.path.append(str(ROOT / "tests/property"))
import property_bypass  # noqa: E402
import property_writes  # noqa: E402

pytestmark = pytest.mark.proxy_only


@pytest.mark.long
def test_random_writes(start_proxy, server, folder):
    proxy = start_proxy(server.endpoint.uri(), {"schemas": folder.path}, endpoint=server.endpoint)
    counts = property_writes.run(server, proxy, folder, cases=1500)
    assert counts, "the difference, and the seed that repeats it, are printed above"
    assert counts["commands"] == 1500
    # a run without refusals, or without accepted writes, proves nothing
    assert counts["refused"] > 300 and counts["accepted"] > 300


@pytest.mark.long
def test_random_forms_of_commands(start_proxy, server, folder):
    """No document bypasses a schema, however malformed the command is."""
    property_bypass.guard(folder)
    proxy = start_proxy(server.endpoint.uri(), {"schemas": folder.path}, endpoint=server.endpoint)
    counts = property_bypass.run(server, proxy, seconds=20)
    assert counts, "the document that got past, and the seed that repeats it, are printed above"
    # a run without refusals, or without stored documents, proves nothing
    assert counts["refused"] > 0.3 * counts["commands"] and counts["stored"] > 0.01 * counts["commands"]
