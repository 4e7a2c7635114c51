"""A proxy that shows the server a client certificate of its own: no client gains the identity of that certificate.
"""

import ssl

import pytest
from bson import Binary, Code
from identity_play import Symbol, raw
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from support import scram, wire
from support.endpoint import Endpoint
from support.servers import PASSWORD, USER, Server
from support.simulated import SimulatedServer

pytestmark = pytest.mark.proxy_only
SUBJECT = "CN=proxy-of-all"
X509 = "MONGODB-X509"


START = [("payload", Binary(b"")), ("$db", "$external")]
SPECULATION = [("authenticate", 1), ("mechanism", X509), ("db", "$external")]

ATTEMPTS = {
    "saslStart": [("saslStart", 1), ("mechanism", X509), *START],
    "saslStart, mechanism last": [("saslStart", 1), *START, ("mechanism", X509)],
    "authenticate": [("authenticate", 1), ("mechanism", X509), ("$db", "$external")],
    "authenticate with the name": [("authenticate", 1), ("mechanism", X509), ("user", SUBJECT), ("$db", "$external")],
    "authenticate without a mechanism": [("authenticate", 1), ("$db", "$external")],
    "another first": [("saslStart", 1), ("mechanism", "SCRAM-SHA-256"), ("mechanism", X509), *START],
    "another last": [("saslStart", 1), ("mechanism", X509), ("mechanism", "SCRAM-SHA-256"), *START],
    "small letters": [("saslStart", 1), ("mechanism", X509.lower()), *START],
    "a symbol": [("saslStart", 1), ("mechanism", Symbol(X509)), *START],
    "code": [("saslStart", 1), ("mechanism", Code(X509)), *START],
    "no mechanism": [("saslStart", 1), *START],
    "a hello": [("hello", 1), ("speculativeAuthenticate", SPECULATION), ("$db", "admin")],
    "ismaster": [("ismaster", 1), ("speculativeAuthenticate", SPECULATION), ("$db", "admin")],
    "a hello with saslStart": [
        ("hello", 1), ("speculativeAuthenticate", [("saslStart", 1), *SPECULATION[1:], ("payload", Binary(b""))]),
        ("$db", "admin")],
    "a hello of two": [
        ("hello", 1), ("speculativeAuthenticate", [("saslStart", 1), ("mechanism", "SCRAM-SHA-256")]),
        ("speculativeAuthenticate", [("saslStart", 1), *SPECULATION[1:], ("payload", Binary(b""))]), ("$db", "admin")],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory, authorities):
    """A server with a user for the proxy's certificate, and a user with a password."""
    folder = tmp_path_factory.mktemp("certificate") / "data"
    first = Server(folder)
    with first.endpoint.client() as client:
        client.admin.command("createUser", USER, pwd=PASSWORD, roles=["root"], mechanisms=["SCRAM-SHA-256"])
        client["$external"].command("createUser", SUBJECT, mechanisms=[X509],
                                    roles=[{"role": "readWriteAnyDatabase", "db": "admin"}])
    first.process.stop()
    running = Server(folder, "--tls-ca-file", authorities.client.ca_file,
                     certificate=authorities.server.issue("x509-server"), user=USER, password=PASSWORD)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def own(authorities):
    return authorities.client.issue("proxy-of-all")


@pytest.fixture
def proxy(server, own, start_proxy):
    at = server.endpoint
    upstream = Endpoint(at.address, at.replica_set, at.ca_file).uri(tlsCertificateKeyFile=own.pem_file)
    return start_proxy(upstream, endpoint=Endpoint("", at.replica_set, None, USER, PASSWORD))


def may_write(client, name):
    return client.command({"insert": "c", "documents": [{"_id": name}], "$db": "d"})["ok"] == 1


def test_the_server_takes_the_certificate(server, own):
    """Checks the precondition of the other tests."""
    context = ssl.create_default_context(cafile=server.endpoint.ca_file)
    context.load_cert_chain(own.pem_file)
    for name in ("saslStart", "authenticate", "another first", "a hello with saslStart", "a hello of two"):
        with wire.RawClient(server.endpoint, context=context) as client:
            assert client.ask(wire.op_msg(raw(ATTEMPTS[name]))).body["ok"] == 1
            assert may_write(client, f"direct {name}")


@pytest.mark.parametrize("name", ATTEMPTS)
def test_no_client_uses_it(proxy, name):
    with wire.RawClient(proxy.endpoint()) as client:
        reply = client.ask(wire.op_msg(raw(ATTEMPTS[name]))).body
        assert (reply["ok"], reply["code"]) == (0, 18)
        assert "tlsCertificateKeyFile" in reply["errmsg"] and X509 in reply["errmsg"]
        client.assert_closed()


@pytest.mark.parametrize("form", ["OP_QUERY", "zlib", "checksum", "a section beside the body", "no reply"])
def test_no_client_uses_it_in_another_form(proxy, server, form):
    body = raw(ATTEMPTS["a hello with saslStart" if form == "OP_QUERY" else "saslStart"])
    message = {"OP_QUERY": lambda: wire.frame(wire.OP_QUERY, bytes(4) + b"admin.$cmd\0" + bytes(4) + b"\xff" * 4 + body),
               "zlib": lambda: wire.compress(wire.op_msg(body), "zlib"),
               "checksum": lambda: wire.op_msg(body, flags=wire.CHECKSUM),
               "a section beside the body": lambda: wire.op_msg(
                   raw([("saslStart", 1), *START]), {"mechanism": [{"a": X509}]}),
               "no reply": lambda: wire.op_msg(body, flags=wire.MORE_TO_COME)}[form]()
    with wire.RawClient(proxy.endpoint()) as client:
        client.send(message)
        words = client.last_words()
        assert [one.body["code"] for one in words] == ([] if form == "no reply" else [18])


def test_other_logins_pass(proxy):
    for speculative in (True, False):
        with wire.RawClient(proxy.endpoint()) as client:
            assert client.hello(client={"driver": {"name": "x", "version": "1"}})["ok"] == 1
            reply, _ = scram.authenticate(client, "SCRAM-SHA-256", USER, PASSWORD, speculative=speculative)
            assert reply["done"] and may_write(client, f"by {speculative}")
    with proxy.endpoint().client() as client:
        assert client["d"]["c"].count_documents({}) >= 2


@pytest.mark.parametrize("form", ["plain", "zlib", "checksum"])
def test_a_start_of_another_mechanism_passes_in_each_form(own, authorities, start_proxy, form):
    """Uses a simulated server, because SecantusDB does not support compression."""
    certificate = authorities.server.issue("x509-simulated")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert_file, certificate.key_file)
    context.load_verify_locations(authorities.client.ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    start = [("saslStart", 1), ("mechanism", "SCRAM-SHA-256"), ("payload", Binary(b"n,,n=ada,r=abcdefgh")), ("$db", "admin")]
    message = wire.op_msg(raw(start), flags=wire.CHECKSUM if form == "checksum" else 0)
    answer = {"conversationId": 1, "done": False, "payload": b"", "ok": 1.0}
    with SimulatedServer({"saslStart": lambda *_: answer}, tls=context) as server:
        upstream = Endpoint(server.address, ca_file=certificate.ca_file)
        proxy = start_proxy(upstream.uri(tlsCertificateKeyFile=own.pem_file))
        with wire.RawClient(proxy.endpoint()) as client:
            reply = client.ask(wire.compress(message, "zlib") if form == "zlib" else message).body
            assert reply == answer


def test_a_driver_is_told_why(proxy):
    address = proxy.endpoint().address
    with MongoClient(f"mongodb://{address}/?authMechanism={X509}&authSource=$external&directConnection=true",
                     serverSelectionTimeoutMS=5000) as client:
        with pytest.raises(OperationFailure) as caught:
            client["d"]["c"].insert_one({"a": 1})
    assert caught.value.code == 18 and "tlsCertificateKeyFile" in str(caught.value)


def test_without_a_certificate_it_passes_to_the_server(server, start_proxy):
    at = server.endpoint
    proxy = start_proxy(Endpoint(at.address, at.replica_set, at.ca_file).uri(), endpoint=Endpoint("", at.replica_set))
    with wire.RawClient(proxy.endpoint()) as client:
        reply = client.ask(wire.op_msg(raw(ATTEMPTS["saslStart"]))).body
        assert reply["code"] == 18 and "tlsCertificateKeyFile" not in reply["errmsg"]
        assert client.command({"ping": 1})["ok"] == 1
