"""Clients on the same machine over a Unix socket beside each port."""

import asyncio
import shutil
import signal
import socket
import stat
import tempfile
import uuid
from pathlib import Path
from urllib.parse import quote

import motor.motor_asyncio
import pymongo
import pytest
from support.process import eventually
from support.proxy import ACCEPTED, LISTENING, run_proxy
from support.simulated_set import NAME, SimulatedSet

pytestmark = pytest.mark.proxy_only
GOOD = ("--upstream", "mongodb://127.0.0.1:1/", "--listen", "127.0.0.1:0")


@pytest.fixture
def folder():
    """Short, because the path of a socket is limited to 107 bytes; without capitals, because PyMongo lower-cases
    addresses."""
    path = Path(tempfile.gettempdir()) / f"sluice-{uuid.uuid4().hex[:8]}"
    path.mkdir()
    yield path
    shutil.rmtree(path)


def uri(path, **options):
    text = "&".join(f"{name}={value}" for name, value in {"serverSelectionTimeoutMS": 10000, **options}.items())
    return f"mongodb://{quote(str(path), safe='')}/?{text}"


def socket_of(proxy, server=None):
    """Returns the path of the proxy's listener from its log."""
    record = proxy.wait_for_record("Unix socket", id=LISTENING,
                                   address=lambda has: has.startswith("/"),
                                   server=lambda has: server in (None, has))
    return Path(record["attr"]["address"])


def start(start_proxy, upstream, folder, **options):
    return start_proxy(upstream, {"unix_domain_socket.path_prefix": folder, **options})


def test_a_driver_over_the_socket(start_proxy, server, folder, collection_name):
    proxy = start(start_proxy, server.endpoint.uri(), folder)
    path = socket_of(proxy)
    assert path == folder / f"mongodb-{proxy.address().rpartition(':')[2]}.sock"
    with pymongo.MongoClient(uri(path)) as client:
        items = client["sockets"][collection_name]
        items.insert_many([{"_id": i, "padding": "x" * 5000} for i in range(2000)])
        assert [one["_id"] for one in items.find().sort("_id")] == list(range(2000))
        with pytest.raises(pymongo.errors.DuplicateKeyError):
            items.insert_one({"_id": 3})
        assert {host for host, _ in client.nodes} == {str(path)}
    proxy.wait_for_record("client", id=ACCEPTED, remote="unix socket")


def test_motor_over_the_socket(start_proxy, server, folder, collection_name):
    path = socket_of(start(start_proxy, server.endpoint.uri(), folder, **{"merge.enabled": "true"}))

    async def many():
        client = motor.motor_asyncio.AsyncIOMotorClient(uri(path))
        items = client["sockets"][collection_name]
        await asyncio.gather(*(items.insert_one({"_id": i}) for i in range(300)))
        count = await items.count_documents({})
        client.close()
        return count

    assert asyncio.run(many()) == 300


def test_each_member_has_its_socket_and_names_no_port(start_proxy, folder):
    with SimulatedSet(3) as members:
        proxy = start(start_proxy, members.uri(), folder)
        paths = {one.address: socket_of(proxy, one.address) for one in members.members}
        assert len(set(paths.values())) == 3
        first = paths[members.members[0].address]
        with pymongo.MongoClient(uri(first, replicaSet=NAME)) as client:
            eventually(lambda: len(client.nodes) == 3, "the driver knows all three")
            assert {host for host, _ in client.nodes} == set(map(str, paths.values()))
            client["d"]["c"].insert_one({"_id": 1})
        assert members.primary.requests("insert")


def test_who_comes_by_the_port_is_told_of_ports(start_proxy, folder):
    with SimulatedSet(2) as members:
        proxy = start(start_proxy, members.uri(), folder)
        with pymongo.MongoClient(f"mongodb://{proxy.address()}/?replicaSet={NAME}") as client:
            eventually(lambda: len(client.nodes) == 2, "the driver knows both")
            assert {host for host, _ in client.nodes} == {"127.0.0.1"}


def test_tls_over_the_socket(start_proxy, server, folder, authorities):
    """No certificate has the name of a socket."""
    certificate = authorities.proxy.issue("socket")
    path = socket_of(start(start_proxy, server.endpoint.uri(), folder,
                           **{"tls.mode": "require", "tls.cert_file": certificate.cert_file,
                              "tls.key_file": certificate.key_file}))
    with pymongo.MongoClient(uri(path), tls=True, tlsCAFile=str(certificate.ca_file),
                             tlsAllowInvalidHostnames=True) as client:
        assert client.admin.command("ping")["ok"] == 1


def test_a_reload_does_not_need_the_folder(start_proxy, server, folder):
    """Options that hold until the end are not checked again."""
    proxy = start(start_proxy, server.endpoint.uri(), folder)
    path = socket_of(proxy)
    path.unlink()
    folder.rmdir()
    proxy.process.send(signal.SIGHUP)
    proxy.wait_for_text("Reloaded", level="I")
    folder.mkdir()


@pytest.mark.parametrize(("given", "mode"), [(None, 0o700), ("0770", 0o770), ("0777", 0o777)])
def test_permissions(start_proxy, server, folder, given, mode):
    path = socket_of(start(start_proxy, server.endpoint.uri(), folder,
                           **{"unix_domain_socket.file_permissions": given}))
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_the_file_goes_with_the_proxy(start_proxy, server, folder):
    proxy = start(start_proxy, server.endpoint.uri(), folder)
    path = socket_of(proxy)
    assert path.is_socket()
    proxy.process.send(signal.SIGTERM)
    assert proxy.process.wait() == 0
    assert not path.exists()


def test_a_killed_proxy_leaves_nothing_that_stops_the_next(start_proxy, server, folder):
    proxy = start(start_proxy, server.endpoint.uri(), folder)
    port = proxy.address().rpartition(":")[2]
    path = socket_of(proxy)
    proxy.expected_exit_code = -signal.SIGKILL
    proxy.process.send(signal.SIGKILL)
    proxy.process.wait()
    assert path.is_socket()
    again = start(start_proxy, server.endpoint.uri(), folder, listen=f"127.0.0.1:{port}")
    assert socket_of(again) == path
    with pymongo.MongoClient(uri(path)) as client:
        assert client.admin.command("ping")["ok"] == 1


def test_a_socket_of_somebody_else_is_left_alone(server, folder):
    with socket.socket() as free, socket.socket(socket.AF_UNIX) as other:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        path = folder / f"mongodb-{port}.sock"
        other.bind(str(path))
        other.listen()
        free.close()
        code, _, err = run_proxy("--upstream", server.endpoint.uri(), "--listen", f"127.0.0.1:{port}",
                                 "--unix_domain_socket.path_prefix", folder)
        assert code == 1 and str(path) in err and "unix_domain_socket.path_prefix" in err, err
        assert "another process listens on it" in err and path.is_socket()


@pytest.mark.parametrize(("value", "parts"), [
    ("/no/such/folder", ["cannot read the folder", "/no/such/folder"]),
    ("run", ["must begin with /"]),
    ("/" + "a" * 120, ["too long", "107"]),
    ("/tmp/a:b", ["colon"]),
])
def test_wrong_folders(value, parts):
    code, _, err = run_proxy(*GOOD, "--unix_domain_socket.path_prefix", value)
    assert code == 2 and err.startswith("mongosluice: ") and "\n" not in err
    assert all(part in err for part in [*parts, "unix_domain_socket.path_prefix"]), err
