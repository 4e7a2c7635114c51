"""The address that a client connects to: a server, or the proxy in front of it."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_plus

from pymongo import MongoClient


@dataclass(frozen=True)
class Endpoint:
    address: str  # host:port, several separated by commas
    replica_set: str | None = None
    ca_file: Path | None = None  # TLS is used when it is set
    user: str | None = None
    password: str | None = None

    @property
    def host_port(self):
        host, _, port = self.address.split(",")[0].rpartition(":")
        return host, int(port)

    def uri(self, database="", **options):
        login = ""
        if self.user:
            login = f"{quote_plus(self.user)}:{quote_plus(self.password)}@"
            options.setdefault("authSource", "admin")
        if self.replica_set and "directConnection" not in options:
            options.setdefault("replicaSet", self.replica_set)
        if self.ca_file:
            options.setdefault("tls", "true")
            options.setdefault("tlsCAFile", self.ca_file)
        query = "&".join(f"{key}={quote_plus(str(value))}" for key, value in options.items()
                         if value is not None)
        return f"mongodb://{login}{self.address}/{database}?{query}"

    def client(self, **options):
        options.setdefault("serverSelectionTimeoutMS", 15000)
        return MongoClient(self.uri(**options))
