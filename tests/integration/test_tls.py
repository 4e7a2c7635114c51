"""TLS on both sides: certificates, their verification, and protocol versions."""

import contextlib
import socket
import ssl

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from support.endpoint import Endpoint
from support.proxy import ENDED
from support.scenes import Gate
from support.simulated import SimulatedServer
from support.wire import RawClient, op_msg

pytestmark = pytest.mark.proxy_only


@pytest.fixture
def front(authorities):
    return authorities.proxy.issue("front")


def listening(certificate, **more):
    options = {"tls.mode": "require", "tls.cert_file": certificate.cert_file,
               "tls.key_file": certificate.key_file}
    options.update({f"tls.{name}": value for name, value in more.items()})
    return options


def trusting(certificate, own=None):
    context = ssl.create_default_context(cafile=certificate.ca_file)
    if own is not None:
        context.load_cert_chain(own.cert_file, own.key_file)
    return context


def talk(where, context=None):
    """Returns whether the proxy answers a hello."""
    with RawClient(where, context=context) as client:
        return client.hello()["ok"] == 1


def refused(where, context=None):
    """With TLS 1.3 a client learns of a refusal only when it reads."""
    try:
        with RawClient(where, context=context) as client:
            client.hello()
    except (ssl.SSLError, ConnectionError):
        return True
    return False


# --- towards clients

def test_require_wants_tls(start_proxy, simulated, front):
    proxy = start_proxy(f"mongodb://{simulated.address}/", listening(front))
    where = proxy.endpoint()
    assert refused(where)
    ended = proxy.wait_for_record("it is said", id=ENDED)
    assert "does not use TLS" in ended["attr"]["reason"]
    assert ended["attr"]["remote"].startswith("127.0.0.1:"), "though it is gone"
    assert talk(where, trusting(front)), "the others go on"


def test_allow_takes_both(start_proxy, simulated, front):
    proxy = start_proxy(f"mongodb://{simulated.address}/", listening(front, mode="allow"))
    assert talk(proxy.endpoint(), trusting(front))
    assert talk(proxy.endpoint())


def test_off_takes_no_tls(start_proxy, simulated, front):
    proxy = start_proxy(f"mongodb://{simulated.address}/")
    assert refused(proxy.endpoint(), trusting(front))
    assert talk(proxy.endpoint())


def test_key_and_certificate_in_one_file(start_proxy, simulated, front):
    proxy = start_proxy(f"mongodb://{simulated.address}/",
                        {"tls.mode": "require", "tls.cert_file": front.pem_file,
                         "tls.key_file": front.pem_file})
    assert talk(proxy.endpoint(), trusting(front))


@pytest.mark.parametrize("mode", ["optional", "required"])
def test_client_certificates(start_proxy, simulated, authorities, front, mode):
    good = authorities.client.issue("client-good")
    stranger = authorities.server.issue("client-stranger")
    proxy = start_proxy(f"mongodb://{simulated.address}/",
                        listening(front, ca_file=authorities.client.ca_file,
                                  client_certificates=mode))
    where = proxy.endpoint()
    assert talk(where, trusting(front, good))
    assert refused(where, trusting(front, stranger))
    assert (refused if mode == "required" else talk)(where, trusting(front))


def test_a_driver_shows_its_certificate(start_proxy, simulated, authorities, front):
    own = authorities.client.issue("driver")
    proxy = start_proxy(f"mongodb://{simulated.address}/",
                        listening(front, ca_file=authorities.client.ca_file,
                                  client_certificates="required"))
    where = Endpoint(proxy.address(), ca_file=front.ca_file)
    with MongoClient(where.uri(tlsCertificateKeyFile=own.pem_file)) as client:
        assert client.admin.command("ping")["ok"] == 1
    with MongoClient(where.uri(serverSelectionTimeoutMS=1000)) as client:
        with pytest.raises(PyMongoError):
            client.admin.command("ping")


def limited(certificate, version):
    context = trusting(certificate)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("least", "offered", "taken"), [
    ("1.2", ssl.TLSVersion.TLSv1, False),
    ("1.2", ssl.TLSVersion.TLSv1_1, False),
    ("1.2", ssl.TLSVersion.TLSv1_2, True),
    ("1.2", ssl.TLSVersion.TLSv1_3, True),
    ("1.3", ssl.TLSVersion.TLSv1_2, False),
    ("1.3", ssl.TLSVersion.TLSv1_3, True),
])
def test_versions(start_proxy, simulated, front, least, offered, taken):
    proxy = start_proxy(f"mongodb://{simulated.address}/", listening(front, min_version=least))
    where = proxy.endpoint()
    context = limited(front, offered)
    assert (talk if taken else refused)(where, context)
    assert talk(where, limited(front, ssl.TLSVersion.TLSv1_3))


def test_chain_is_sent(start_proxy, simulated, authorities, front, tmp_path):
    chain = tmp_path / "chain.pem"
    chain.write_bytes(front.cert_file.read_bytes() + authorities.proxy.ca_file.read_bytes())
    proxy = start_proxy(f"mongodb://{simulated.address}/",
                        {"tls.mode": "require", "tls.cert_file": chain,
                         "tls.key_file": front.key_file})
    assert talk(proxy.endpoint(), trusting(front))


# --- towards the server

def tls_server(certificate, **more):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert_file, certificate.key_file)
    if "ca" in more:
        context.load_verify_locations(more["ca"])
        context.verify_mode = ssl.CERT_REQUIRED
    if "version" in more:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = more["version"]
    if "names" in more:
        context.sni_callback = lambda _socket, name, _context: more["names"].append(name)
    return context


def upstream(server, certificate, host="127.0.0.1", **options):
    port = server.address.rpartition(":")[2]
    return Endpoint(f"{host}:{port}", ca_file=certificate.ca_file).uri(directConnection="true",
                                                                       **options)


def error_of(proxy):
    with RawClient(proxy.endpoint()) as client:
        return client.hello()


def test_good_certificate(start_proxy, authorities):
    certificate = authorities.server.issue("good")
    with SimulatedServer(tls=tls_server(certificate)) as server:
        proxy = start_proxy(upstream(server, certificate))
        assert talk(proxy.endpoint())


@pytest.mark.parametrize(("host", "names", "good"), [
    ("localhost", ("localhost",), True),
    ("127.0.0.1", ("127.0.0.1",), True),
    ("localhost", ("elsewhere.example",), False),
    ("127.0.0.1", ("localhost",), False),
    ("localhost", ("127.0.0.1",), False),
])
def test_host_names(start_proxy, authorities, host, names, good):
    certificate = authorities.server.issue("named", names)
    with SimulatedServer(tls=tls_server(certificate)) as server:
        proxy = start_proxy(upstream(server, certificate, host))
        reply = error_of(proxy)
        assert reply["ok"] == good
        if not good:
            assert server.address.rpartition(":")[2] in reply["errmsg"]
            assert "certificate" in reply["errmsg"].lower()
            lenient = start_proxy(upstream(server, certificate, host,
                                           tlsAllowInvalidHostnames="true"))
            assert talk(lenient.endpoint())


def test_unknown_authority(start_proxy, authorities):
    certificate = authorities.client.issue("unknown-authority")
    with SimulatedServer(tls=tls_server(certificate)) as server:
        uri = upstream(server, authorities.server.issue("any"))
        reply = error_of(start_proxy(uri))
        assert reply["ok"] == 0 and "certificate" in reply["errmsg"].lower()
        assert not server.requests("hello"), "nothing is said to a server that is not believed"
        lenient = start_proxy(uri + "&tlsAllowInvalidCertificates=true")
        assert talk(lenient.endpoint())


def test_name_is_sent(start_proxy, authorities):
    """SNI: the host's name, and none for an address (RFC 6066; but monitoring, which is the driver
    library's, sends the address too)."""
    certificate = authorities.server.issue("sni")
    for host, sent in (("localhost", {"localhost"}), ("127.0.0.1", {None, "127.0.0.1"})):
        names = []
        with SimulatedServer(tls=tls_server(certificate, names=names)) as server:
            assert talk(start_proxy(upstream(server, certificate, host)).endpoint())
        assert set(names) <= sent and (host == "localhost" or None in names)


def test_server_wants_a_certificate_of_the_proxy(start_proxy, authorities):
    certificate = authorities.server.issue("mutual")
    own = authorities.client.issue("proxy-itself")
    context = tls_server(certificate, ca=authorities.client.ca_file)
    with SimulatedServer(tls=context) as server:
        good = upstream(server, certificate, tlsCertificateKeyFile=own.pem_file)
        assert talk(start_proxy(good).endpoint())
        proxy = start_proxy(upstream(server, certificate))
        # with TLS 1.3 the server refuses after the handshake, when the first command is on its way
        with RawClient(proxy.endpoint()) as client:
            client.send(op_msg({"hello": 1, "$db": "admin"}))
            assert all(word.body["ok"] == 0 for word in client.last_words())
        proxy.wait_for_text("conn", "certificate")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("version", "good"), [(ssl.TLSVersion.TLSv1_1, False),
                                               (ssl.TLSVersion.TLSv1_2, True),
                                               (ssl.TLSVersion.TLSv1_3, True)])
def test_versions_of_the_server(start_proxy, authorities, version, good):
    certificate = authorities.server.issue("version")
    with SimulatedServer(tls=tls_server(certificate, version=version)) as server:
        assert error_of(start_proxy(upstream(server, certificate)))["ok"] == good


def test_server_without_tls(start_proxy, authorities, simulated):
    certificate = authorities.server.issue("none")
    reply = error_of(start_proxy(upstream(simulated, certificate), {"connect_timeout_ms": 2000}))
    assert reply["ok"] == 0 and simulated.address in reply["errmsg"]


def test_big_messages_over_tls_on_both_sides(start_proxy, authorities, front):
    """15 MB each way: records, partial writes, and reading that stops and goes on."""
    certificate = authorities.server.issue("big")

    def echo(server, connection, request):
        return {"ok": 1.0, "data": request.body["data"]}

    with SimulatedServer({"echo": echo}, tls=tls_server(certificate)) as server:
        proxy = start_proxy(upstream(server, certificate), listening(front))
        with RawClient(proxy.endpoint(), 60, context=trusting(front)) as client:
            data = bytes(range(256)) * 60_000
            for _ in range(3):
                assert client.command({"echo": 1, "data": data})["data"] == data


class HalfOpen:
    """TLS over a separate socket, so that it can send close_notify and still read."""

    def __init__(self, endpoint, context):
        self.client = RawClient(endpoint)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")
        self._until(self.tls.do_handshake)

    def _flush(self):
        if data := self.outgoing.read():
            self.client.send(data)

    def _until(self, act):
        while True:
            try:
                result = act()
                self._flush()
                return result
            except ssl.SSLWantReadError:
                self._flush()
                got = self.client.socket.recv(65536)
                if got:
                    self.incoming.write(got)
                else:
                    self.incoming.write_eof()

    def send(self, message):
        self.tls.write(message)
        self._flush()

    def say_goodbye(self):
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self._flush()
        self.client.socket.shutdown(socket.SHUT_WR)

    def read_all(self):
        data = b""
        with contextlib.suppress(ssl.SSLError):  # its end
            while part := self._until(lambda: self.tls.read(65536)):
                data += part
        return data


@pytest.mark.parametrize("slow", [False, True])
def test_who_ends_its_side_over_tls_gets_its_answer(start_proxy, simulated, front, slow):
    """After a close_notify."""
    simulated.answers_after_end = True
    gate = Gate(simulated)
    proxy = start_proxy(f"mongodb://{simulated.address}/", listening(front))
    client = HalfOpen(proxy.endpoint(), trusting(front))
    with client.client:
        client.send(op_msg({"ping": 1, "$db": "admin"}))
        client.send(op_msg({"gated": 1, "$db": "admin"}))
        connection, _ = simulated.wait_for_request("gated")
        if not slow:
            gate.open()
        client.say_goodbye()
        simulated.wait_for(lambda: connection.ended, "the server sees the end")
        gate.open()
        assert client.read_all().count(b"\x01ok\0") == 2
    simulated.wait_for(lambda: connection.closed, "the connection to the server ends")


def test_the_end_of_a_side_reaches_a_server_over_tls(start_proxy, secure_server):
    like = secure_server.endpoint
    proxy = start_proxy(Endpoint(like.address, like.replica_set, like.ca_file).uri())
    for _ in range(3):
        with RawClient(proxy.endpoint()) as client:
            client.send(op_msg({"hello": 1, "$db": "admin"}))
            client.socket.shutdown(socket.SHUT_WR)
            (reply,) = client.last_words()
            assert reply.body["ok"] == 1
