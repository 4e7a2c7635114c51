"""A server that runs already: `--server URI` of the benchmarks. It is used as it is, and its process is looked for on this
machine, for its CPU time."""

import contextlib
import os
import socket
import sys
from pathlib import Path

DATABASES = ("bench",)  # most benchmarks write to it, and it is dropped at their end
WAIT_MS = 5000
# Processes that listen for a server in a container; their CPU time is not the server's.
FORWARDERS = ("docker-proxy", "rootlessport", "slirp4netns", "pasta", "kubectl", "ssh")


class Unusable(Exception):
    """Why the server cannot be measured, as a sentence for the user."""


def parse(uri, *, by_driver):
    """Refuses the parts of the URI that only a driver can do."""
    from pymongo import errors, uri_parser

    try:
        parsed = uri_parser.parse_uri(uri, warn=False)
    except (errors.PyMongoError, ValueError) as error:
        raise Unusable(f"this is not the URI of a MongoDB server: {error}") from None
    if by_driver:
        return parsed
    if parsed["username"] is not None:
        raise Unusable("the URI has a user, but the load generator does not log in: name a server without access control")
    if parsed["options"].get("tls"):
        raise Unusable("the URI asks for TLS, which these benchmarks measure with servers of their own only: name a "
                       "server without TLS")
    return parsed


def is_local(host):
    """Does the name lead to this machine?"""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    for family, kind, protocol, _, address in found:
        with contextlib.suppress(OSError), socket.socket(family, kind, protocol) as probe:
            probe.bind((address[0], 0, *address[2:]))
            return True
    return False


def listening_inodes(port):
    """The sockets of this machine that listen on the port."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(fields[9])
    return found


def find_process(port):
    """The ID of the process that listens on a port of this machine; None if it cannot be seen."""
    wanted = {f"socket:[{inode}]" for inode in listening_inodes(port)}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            for descriptor in (entry / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if os.readlink(descriptor) in wanted:
                        return int(entry.name)
    return None


def process_name(pid):
    return Path(f"/proc/{pid}/comm").read_text().strip()


class GivenServer:
    """Has what the benchmarks ask of a server that they started: address, processes. by_driver: only drivers and the proxy
    connect to it, with the whole URI."""

    def __init__(self, uri, pid=None, databases=DATABASES, *, by_driver=False):
        from pymongo import MongoClient, errors

        parsed = parse(uri, by_driver=by_driver)
        self.databases = databases
        self.client = MongoClient(uri, serverSelectionTimeoutMS=WAIT_MS, connectTimeoutMS=WAIT_MS)
        try:
            hello = self.client.admin.command("hello")
            info = self.client.admin.command("buildInfo")
            self.host, self.port = self.client.address
            self._check(hello)
        except KeyError as error:
            raise Unusable(f"a reply of the server has no field {error}: it is not a whole MongoDB server") from None
        except errors.PyMongoError as error:
            why = str(error).partition(", Timeout:")[0]  # what follows is the driver's view of the topology
            raise Unusable(f"the server cannot be used: {why}") from None
        self.retryable = "setName" in hello or hello.get("msg") == "isdbgrid"
        names = ",".join(f"{host}:{port}" for host, port in parsed["nodelist"])
        self.name = f"server {names}, version {info.get('version', 'unknown')}"
        self.pid, self.cpu_reason = self._process(pid)

    def _check(self, hello):
        if not hello.get("isWritablePrimary", hello.get("ismaster")):
            raise Unusable(f"{self.host}:{self.port} is not a primary: name the primary, or the set with replicaSet=")
        for name in set(self.databases) & set(self.client.list_database_names()):
            raise Unusable(f"{self.host}:{self.port} has a database '{name}', which the benchmark writes to and drops at "
                           "its end: drop it first if it may go")

    def _process(self, pid):
        """The server's process, and why it is not known."""
        if pid is not None:
            if not Path(f"/proc/{pid}").is_dir():
                raise Unusable(f"--server-pid {pid}: no such process runs on this machine")
            return pid, None
        if not is_local(self.host):
            return None, f"{self.host} is another machine"
        found = find_process(self.port)
        if found is None:
            return None, f"no process is seen that listens on port {self.port}; name it with --server-pid"
        if process_name(found).startswith(FORWARDERS):
            return None, (f"{process_name(found)} listens on port {self.port} for another process; name that with "
                          "--server-pid")
        return found, None

    @property
    def address(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def processes(self):
        return [] if self.pid is None else [self.pid]

    def stop(self):
        """Leaves it running, without what the benchmarks wrote."""
        for name in self.databases:
            self.client.drop_database(name)
        self.client.close()


def open_or_exit(*arguments, **how):
    """Ends the program with 2, and the reason, if the server cannot be used."""
    try:
        return GivenServer(*arguments, **how)
    except Unusable as error:
        print(f"--server: {error}", file=sys.stderr)
        sys.exit(2)
