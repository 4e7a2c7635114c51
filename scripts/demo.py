"""The program that scripts/demo.sh runs after it has installed and built all parts; see there."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APPS = ROOT / "tests/integration/apps"
sys.path.insert(0, str(ROOT / "tests/integration"))

from pymongo import MongoClient  # noqa: E402
from pymongo.errors import PyMongoError  # noqa: E402
from support.ports import free_port  # noqa: E402
from support.process import Process, eventually  # noqa: E402
from support.proxy import BINARY, LISTENING, Proxy  # noqa: E402
from support.servers import Server  # noqa: E402

# Options of the user's URI that concern the connection from the proxy to the server. The client's URI has none of
# them.
UPSTREAM_ONLY = ("tls", "ssl", "directconnection", "srvservicename", "srvmaxhosts")
CONNECTION_ACCEPTED = 1001  # log id
FAILED = (AssertionError, OSError, PyMongoError, subprocess.CalledProcessError)


def start_mongod(stack, folder):
    """A replica set of one member, because transactions and change streams need one."""
    port = free_port()
    process = Process(["mongod", "--dbpath", folder, "--port", port, "--bind_ip", "127.0.0.1",
                       "--replSet", "demo"])
    stack.callback(process.stop)
    uri = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    with MongoClient(uri, serverSelectionTimeoutMS=60000) as client:
        client.admin.command("replSetInitiate", {
            "_id": "demo", "members": [{"_id": 0, "host": f"127.0.0.1:{port}"}]})
        eventually(lambda: client.admin.command("hello").get("isWritablePrimary"),
                   "mongod becomes primary", 60)
    return "mongod", f"mongodb://127.0.0.1:{port}/?replicaSet=demo"


def start_server(stack, folder):
    """Returns the name of the running server, and its URI."""
    if os.environ.get("MONGODB_URI"):
        return "the server of MONGODB_URI", os.environ["MONGODB_URI"]
    wanted = os.environ.get("DEMO_SERVER") or ("mongod" if shutil.which("mongod") else "secantus")
    if wanted == "mongod":
        return start_mongod(stack, folder)
    server = Server(folder)
    stack.callback(server.stop)
    return "SecantusDB", server.endpoint.uri()


def client_uri(upstream, address, database):
    """The user's URI with the proxy's address in place of the servers'."""
    rest = upstream.split("://", 1)[1]
    hosts, _, tail = rest.partition("/")
    login, at, _ = hosts.rpartition("@")
    path, _, query = tail.partition("?")
    options = [one for one in query.split("&")
               if one and not one.lower().startswith(UPSTREAM_ONLY)]
    if at and not any(one.lower().startswith("authsource=") for one in options):
        options.append(f"authSource={path or 'admin'}")
    return f"mongodb://{login}{at}{address}/{database}?{'&'.join(options)}"


def export_schemas(database, folder):
    """Makes the schema files of the Beanie program from its models, with the companion package."""
    path = os.pathsep.join([str(ROOT / "python/src"), str(APPS)])
    subprocess.run([sys.executable, "-m", "mongosluice", "export", "beanie_app", "-o", folder,
                    "--database", database], check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "PYTHONPATH": path})


def tell_of_merging(program, address):
    """Prints the number of merged inserts, from the admin endpoint."""
    text = subprocess.run([program, "status", "--admin", address, "--json"], check=True,
                          capture_output=True, text=True).stdout
    merging = json.loads(text)["merging"]
    print(f"\n{merging['documents']} documents of concurrent inserts travelled in "
          f"{merging['batches']} commands.")


def run(stack):
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mongosluice-demo-")))
    (folder / "data").mkdir()
    name, upstream = start_server(stack, folder / "data")
    database = f"mongosluice_demo_{uuid.uuid4().hex[:8]}"
    export_schemas(database, folder / "schemas")
    admin = f"127.0.0.1:{free_port()}"
    proxy = Proxy(upstream, {"schemas": folder / "schemas", "merge.enabled": "true",
                             "admin": admin})
    stack.callback(proxy.process.stop)
    try:
        record = proxy.wait_for_record("the first listener", id=LISTENING)
        address, server = record["attr"]["address"], record["attr"]["server"]
        print(f"clients -> mongosluice {address} -> {name} {server}", flush=True)
        uri = client_uri(upstream, address, database)
        failed = [app for app in ("motor_app.py", "beanie_app.py", "guard_app.py")
                  if subprocess.run([sys.executable, APPS / app, uri], check=False).returncode]
    except FAILED:
        print(proxy.process.output(), file=sys.stderr)
        raise
    if failed:
        print(f"\nfailed: {', '.join(failed)}\n{proxy.process.output()}", file=sys.stderr)
        return 1
    tell_of_merging(BINARY, admin)
    connections = sum(record["id"] == CONNECTION_ACCEPTED for record in proxy.records())
    code = proxy.process.stop()
    if code != 0:
        print(f"\nthe proxy ended with exit code {code}\n{proxy.process.output()}", file=sys.stderr)
        return 1
    print(f"\nThe programs ran through the proxy, over {connections} connections, and ended well.")
    return 0


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    with ExitStack() as stack:
        try:
            return run(stack)
        except FAILED as error:
            print(f"error: {error}", file=sys.stderr)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
    return 1


sys.exit(main())
