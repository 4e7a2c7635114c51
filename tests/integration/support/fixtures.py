"""Fixtures of all tests. A server lives as long as its pytest worker; a proxy lives as long as its test, except the
proxies whose fixture names begin with `target`."""

import uuid

import pytest

from .admin import Admin
from .certificates import Authority
from .endpoint import Endpoint
from .merging import Merging
from .proxy import BINARY, DIRECT, Proxy
from .schemas import Folder, wait_in_force
from .servers import Server, main_server, start_secure_server
from .simulated import SimulatedServer

__all__ = ["authorities", "collection_name", "folder", "guarded", "in_front_of", "ns",
           "pytest_collection_modifyitems", "pytest_sessionstart", "scene", "secure_server",
           "secure_target", "server", "simulated", "simulated_guard", "standalone_server",
           "standalone_target", "start_admin", "start_merging", "start_proxy", "start_server", "target"]


def pytest_sessionstart(session):
    if not DIRECT and not BINARY.exists():
        pytest.exit(f"no proxy at {BINARY}: build it, or name it in MONGOSLUICE_BINARY", 2)


def pytest_collection_modifyitems(items):
    if not DIRECT:
        return
    for item in items:
        if item.get_closest_marker("proxy_only") or "start_proxy" in item.fixturenames:
            item.add_marker(pytest.mark.skip(reason="needs the proxy, and SLUICE_DIRECT=1"))


class Authorities:
    """One CA signs the server's certificate, the other the proxy's, so that a mix-up fails."""

    def __init__(self, folder):
        self.folder = folder
        self.server = Authority(folder / "server", "Server Authority")
        self.proxy = Authority(folder / "proxy", "Proxy Authority")
        self.client = Authority(folder / "client", "Client Authority")


@pytest.fixture(scope="session")
def authorities(tmp_path_factory):
    return Authorities(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A replica-set member."""
    running = main_server(tmp_path_factory.mktemp("member") / "data")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def standalone_server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("standalone") / "data", "--enable-test-commands",
                     replica_set=None)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def secure_server(tmp_path_factory, authorities):
    """A replica-set member that requires authentication and TLS."""
    running = start_secure_server(tmp_path_factory.mktemp("secure") / "data",
                                  authorities.server.issue("server"))
    yield running
    running.stop()


@pytest.fixture
def start_server(tmp_path):
    """Starts a server for this test only."""
    running = []

    def start(*flags, **options):
        folder = tmp_path / options.pop("folder", f"server{len(running)}") / "data"
        running.append(Server(folder, *flags, **options))
        return running[-1]

    yield start
    for one in running:
        one.stop()


@pytest.fixture
def start_proxy():
    """Starts a proxy for this test only: start_proxy(upstream URI, {option: value}, …)."""
    running = []

    def start(upstream, options=None, **more):
        running.append(Proxy(upstream, options, **more))
        return running[-1]

    yield start
    for proxy in running:
        proxy.finish()


def _target_of(server):
    """Yields the endpoint of a proxy in front of the server, or of the server itself."""
    if DIRECT:
        yield server.endpoint
        return
    like = server.endpoint
    proxy = Proxy(like.uri(), endpoint=like)
    yield proxy.endpoint()
    proxy.finish()


@pytest.fixture(scope="session")
def target(server):
    """The endpoint for drivers: the proxy in front of `server`."""
    yield from _target_of(server)


@pytest.fixture(scope="session")
def standalone_target(standalone_server):
    yield from _target_of(standalone_server)


@pytest.fixture(scope="session")
def secure_target(secure_server, authorities):
    """TLS on both sides, each with its own CA; clients authenticate."""
    if DIRECT:
        yield secure_server.endpoint
        return
    like = secure_server.endpoint
    certificate = authorities.proxy.issue("front")
    proxy = Proxy(Endpoint(like.address, like.replica_set, like.ca_file).uri(),
                  {"tls.mode": "require", "tls.cert_file": certificate.cert_file,
                   "tls.key_file": certificate.key_file},
                  endpoint=Endpoint("", like.replica_set, certificate.ca_file, like.user,
                                    like.password))
    yield proxy.endpoint()
    proxy.finish()


@pytest.fixture
def collection_name():
    return f"c{uuid.uuid4().hex[:12]}"


@pytest.fixture
def simulated():
    with SimulatedServer() as server:
        yield server


@pytest.fixture
def in_front_of(request):
    """in_front_of(simulated server, {option: value}) returns the endpoint for clients."""
    def endpoint(simulated, options=None):
        if DIRECT:
            return simulated.endpoint
        start = request.getfixturevalue("start_proxy")
        return start(f"mongodb://{simulated.address}/", options,
                     endpoint=simulated.endpoint).endpoint()
    return endpoint


# --- schemas

@pytest.fixture
def folder(tmp_path):
    """The folder of schemas of the proxy under test."""
    return Folder(tmp_path / "schemas")


@pytest.fixture
def start_admin(start_proxy, server, folder):
    """start({option: value}, token): a proxy with the folder of schemas, and its admin endpoint."""
    def start(options=None, token=None):
        proxy = start_proxy(server.endpoint.uri(), {"admin": "0", "schemas": folder.path, **(options or {})},
                            endpoint=server.endpoint)
        return proxy, Admin(proxy, token)
    return start


@pytest.fixture
def ns(collection_name):
    return f"schemas.{collection_name}"


@pytest.fixture
def guarded(start_proxy, server, folder, ns):
    """(proxy, client, collection) with the schema PERSON in force."""
    folder.write(ns)
    proxy = start_proxy(server.endpoint.uri(), {"schemas": folder.path}, endpoint=server.endpoint)
    with proxy.endpoint().client() as client:
        wait_in_force(client, ns)
        database, _, name = ns.partition(".")
        yield proxy, client, client[database][name]


@pytest.fixture
def simulated_guard(start_proxy, simulated, folder):
    """start(schema, {option: value}, ns, **fields of the file): a proxy in front of the simulated
    server that holds d.c against the schema (PERSON)."""
    def start(schema=None, options=None, ns="d.c", **fields):
        folder.write(ns, schema, **fields)
        return start_proxy(f"mongodb://{simulated.address}/",
                           {"schemas": folder.path, "stats_period_ms": 100, **(options or {})},
                           endpoint=simulated.endpoint)
    return start


# --- merging

@pytest.fixture
def start_merging(start_proxy, simulated):
    """start({option: value}): a Merging, in front of `simulated`."""
    scenes = []

    def start(options=None, **more):
        scenes.append(Merging(start_proxy, simulated, options, **more))
        return scenes[-1]

    yield start
    for scene in scenes:
        scene.close()


@pytest.fixture
def scene(start_merging):
    return start_merging()
