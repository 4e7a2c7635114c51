"""Fixtures shared by the fault tests, besides those of all tests."""

import pytest
from support.fixtures import *  # noqa: F403
from support.proxy import Proxy
from support.simulated import SimulatedServer
from support.wire import RawClient


@pytest.fixture(scope="module")
def scene():
    """A simulated server, the proxy in front of it, and a client that is not part of the fault."""
    with SimulatedServer() as server:
        proxy = Proxy(f"mongodb://{server.address}/", {"stats_period_ms": 100})
        with RawClient(proxy.endpoint()) as bystander:
            assert bystander.command({"ping": 1})["ok"] == 1
            yield server, proxy, bystander
            assert bystander.command({"ping": 1})["ok"] == 1
        proxy.finish()
