"""A proxy for the tests of applications, and a pytest plugin."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from mongosluice import program
from mongosluice.export.schema import Exported, text_of
from mongosluice.export.targets import export_model

DEFAULT_UPSTREAM = "mongodb://127.0.0.1:27017/"
LISTENING = 1000  # the id of the log line
PATIENCE_SECONDS = 30.0


class ProxyError(RuntimeError):
    """The proxy did not start, or did not accept a schema; with the end of its log."""


class Proxy:
    """A running proxy. Clients connect to `uri`; `schemas` is the folder of its schema files."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, schemas: Path):
        self.process = process
        self.log = log
        self.schemas = schemas
        self.uri = ""
        self.port = 0

    def enforce(self, *models: type | Exported, database: str | None = None, ns: str | None = None,
                action: str = "error") -> None:
        """Writes the schema files of models and waits until the proxy enforces them."""
        wanted = {}
        for model in models:
            one = model if isinstance(model, Exported) else export_model(model, ns, database)
            (self.schemas / one.file_name).write_text(text_of({**one.file(), "action": action}), encoding="utf-8")
            wanted[one.ns] = (one.hash, action)
        self.process.send_signal(signal.SIGHUP)
        client: pymongo.MongoClient[Any]
        with pymongo.MongoClient(self.uri) as client:
            self._wait(lambda: self._enforced(client, wanted) == wanted, f"the schemas of {', '.join(sorted(wanted))} are in force")

    def _enforced(self, client: pymongo.MongoClient[Any], wanted: Iterable[str]) -> dict[str, tuple[str, str]]:
        answer = client.admin.command({"mongosluice": 1, "namespaces": sorted(wanted)})
        return {one["ns"]: (one["hash"], one["action"]) for one in answer["schemas"]}

    def _wait(self, look: Any, what: str) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        cause = ""
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if look():
                    return
            except PyMongoError as error:
                cause = f" ({error})"
            time.sleep(0.02)
        tail = self.log.read_text(errors="replace")[-3000:]
        raise ProxyError(f"not within {PATIENCE_SECONDS:.0f} s: {what}{cause}; the proxy's log:\n{tail}")

    def _listens(self) -> bool:
        for line in self.log.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                record = json.loads(line)
                if record.get("id") == LISTENING:
                    self.port = int(record["attr"]["address"].rpartition(":")[2])
                    return True
        return False


def client_uri(upstream: str, port: int) -> str:
    """The upstream's address with the proxy in place of its hosts; the proxy ends TLS."""
    found = re.fullmatch(r"mongodb(?:\+srv)?://((?:[^@/]*@)?)([^/?]*)(/[^?]*)?(?:\?(.*))?", upstream)
    if found is None:
        raise ProxyError(f"{upstream} is not a connection string: it must begin with mongodb:// or mongodb+srv://")
    user, _, path, options = found.groups()
    kept = [one for one in (options or "").split("&") if one and not one.lower().startswith(("tls", "ssl", "srv"))]
    return f"mongodb://{user}127.0.0.1:{port}{path or '/'}{'?' if kept else ''}{'&'.join(kept)}"


@contextlib.contextmanager
def proxy(upstream: str = DEFAULT_UPSTREAM, *models: type | Exported, database: str | None = None,
          ns: str | None = None, arguments: Sequence[str] = ()) -> Iterator[Proxy]:
    """Starts a proxy in front of a server, on a free port, with the schemas of models. The proxy ends with the block.
        `arguments` are further command-line options."""
    with tempfile.TemporaryDirectory(prefix="mongosluice-") as name:
        folder = Path(name)
        schemas, log = folder / "schemas", folder / "log"
        schemas.mkdir()
        command: list[str | Path] = [program.program(), "--upstream", upstream, "--listen", "127.0.0.1:0", "--schemas", schemas, *arguments]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env=program.environment())
        started = Proxy(process, log, schemas)
        try:
            started._wait(started._listens, f"the proxy listens, in front of {hidden(upstream)}")
            started.uri = client_uri(upstream, started.port)
            if models:
                started.enforce(*models, database=database, ns=ns)
            yield started
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def hidden(uri: str) -> str:
    """The address without its password."""
    return re.sub(r"://[^@/]*@", "://…@", uri)
