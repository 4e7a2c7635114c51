"""A server and a proxy that holds a folder of schemas before it, for one run of a property test."""

import contextlib
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support.proxy import Proxy  # noqa: E402
from support.schemas import Folder  # noqa: E402
from support.servers import Server  # noqa: E402


@contextlib.contextmanager
def guarded_server(prepare=None):
    """(server, folder, proxy); prepare(folder) writes the schemas that are there at the start. Without an
    exception the proxy must end well."""
    with tempfile.TemporaryDirectory() as place:
        (pathlib.Path(place) / "server").mkdir()
        folder = Folder(pathlib.Path(place) / "schemas")
        if prepare is not None:
            prepare(folder)
        server = Server(pathlib.Path(place) / "server/data")
        proxy = None
        try:
            proxy = Proxy(server.endpoint.uri(), {"schemas": folder.path}, endpoint=server.endpoint)
            yield server, folder, proxy
            proxy.finish()
        finally:
            server.stop()
            if proxy is not None:
                proxy.process.kill()
