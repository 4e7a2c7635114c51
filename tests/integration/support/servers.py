"""Real servers: SecantusDB of this Python environment, or the server in MONGODB_URI."""

import os
import sys
from pathlib import Path

from pymongo import MongoClient
from pymongo.uri_parser import parse_uri

from .endpoint import Endpoint
from .ports import free_port
from .process import Process, eventually

USER, PASSWORD = "ada", "Lovelace:1815/engine"


class Server:
    """A SecantusDB on a free port, its data in `folder`."""

    def __init__(self, folder, *flags, port=None, replica_set="secantus", certificate=None,
                 user=None, password=None, program=None):
        """program: another server program; it must take the same flags as SecantusDB."""
        program = program or Path(sys.executable).with_name("secantusd-py")
        self.port = port or free_port()
        self.folder = folder
        flags = [*flags, "--storage-path", folder, "--port", self.port, "--cache-size", "256M"]
        if replica_set is None:
            flags.append("--standalone")
        if certificate is not None:
            flags += ["--tls-cert-file", certificate.cert_file,
                      "--tls-key-file", certificate.key_file]
        if user is not None:
            flags.append("--auth")
        empty = folder.parent / "secantusd.toml"  # so that it reads no configuration of the user
        empty.touch()
        self.process = Process([program, "--config", empty, *flags], cwd=folder.parent)
        self.endpoint = Endpoint(f"127.0.0.1:{self.port}", replica_set,
                                 certificate and certificate.ca_file, user, password)
        self._wait_until_up()

    def _wait_until_up(self):
        with self.endpoint.client(directConnection="true", serverSelectionTimeoutMS=200,
                                  connectTimeoutMS=2000) as client:
            def up():
                assert self.process.exit_code() is None, self.process.output()
                try:
                    return client.admin.command("ping")
                except Exception:  # after any error the next attempt decides
                    return None
            eventually(up, "the server answers a ping")

    def stop(self):
        self.process.kill()  # its data is no longer needed


class GivenServer:
    """The server of MONGODB_URI: a member of a replica set, without users and TLS. Tests make and
    drop collections of their own in it."""

    def __init__(self, uri):
        parsed = parse_uri(uri)
        nodes = ",".join(f"{host}:{port}" for host, port in parsed["nodelist"])
        self.endpoint = Endpoint(nodes, parsed["options"].get("replicaSet"))

    def stop(self):
        """Leaves it running: the tests did not start it."""


def main_server(folder):
    given = os.environ.get("MONGODB_URI")
    return GivenServer(given) if given else Server(folder, "--enable-test-commands")


def start_secure_server(folder, certificate, user=USER, password=PASSWORD, flags=(), replica_set="secantus"):
    """With TLS and authentication, and one user who may do everything. Users can only be made
    before authentication is on, so it is started twice on the same data."""
    first = Server(folder, replica_set=replica_set)
    with MongoClient(first.endpoint.uri(directConnection="true")) as client:
        client.admin.command("createUser", user, pwd=password, roles=["root"],
                             mechanisms=["SCRAM-SHA-1", "SCRAM-SHA-256"])
    first.process.stop()
    return Server(folder, *flags, certificate=certificate, user=user, password=password, replica_set=replica_set)
