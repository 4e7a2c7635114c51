"""Servers of each version, by what their hello says (docs/servers.md): the proxy monitors them, passes the versions on, and
checks documents in front of them."""

import json

import pytest
from pymongo import MongoClient
from pymongo.errors import WriteError
from support.admin import Admin
from support.process import eventually
from support.simulated_set import NAME, SimulatedSet
from support.wire import RawClient

pytestmark = pytest.mark.proxy_only

# maxWireVersion of the driver specifications
VERSIONS = {"4.4": 9, "5.0": 13, "6.0": 17, "7.0": 21, "8.0": 25, "8.2": 27, "newer": 29}


@pytest.fixture
def schemas(tmp_path):
    folder = tmp_path / "schemas"
    folder.mkdir()
    (folder / "d.c.json").write_text(json.dumps({"ns": "d.c", "schema": {"required": ["x"]}}))
    return folder


@pytest.mark.parametrize("version", VERSIONS)
def test_replica_set_of_each_version(start_proxy, schemas, version):
    with SimulatedSet(2) as members:
        for member in members.members:
            member.change({**member.topology, "minWireVersion": 0, "maxWireVersion": VERSIONS[version]})
        proxy = start_proxy(members.uri(), {"admin": "0", "schemas": schemas})
        eventually(lambda: Admin(proxy).get("/readyz").status == 200, "the proxy accepts the servers")
        with RawClient(proxy.endpoint(members.members[0].address)) as client:
            hello = client.hello()
        assert (hello["minWireVersion"], hello["maxWireVersion"]) == (0, VERSIONS[version])
        with MongoClient(f"mongodb://{proxy.address(members.members[0].address)}/", replicaSet=NAME) as client:
            assert client.d.c.insert_one({"x": 1}).acknowledged
            with pytest.raises(WriteError) as refused:
                client.d.c.insert_one({})
        assert refused.value.code == 121
