"""The PROXY protocol, version 2: from a load balancer before the proxy, and to servers behind it."""

import ipaddress
import json
import socket
import ssl
import struct
import time

import pytest
from support.admin import Admin
from support.process import eventually
from support.proxy import ACCEPTED, ENDED
from support.wire import RawClient, op_msg

pytestmark = pytest.mark.proxy_only

INTRODUCED, NOT_INTRODUCED = 1120, 1121
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
TRUSTED = {"listen_proxy_protocol": "127.0.0.0/8"}


def header(address, port, more=b""):
    """Returns what a load balancer sends for a client with this address."""
    host = ipaddress.ip_address(address)
    body = host.packed * 2 + struct.pack(">HH", port, 27017) + more
    return SIGNATURE + bytes([0x21, 0x11 if host.version == 4 else 0x21]) + struct.pack(">H", len(body)) + body


class Balanced(RawClient):
    """A client behind a load balancer."""

    def __init__(self, endpoint, head, context=None):
        super().__init__(endpoint)
        self.send(head)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_the_client_is_the_named_one(start_proxy, server, address):
    proxy = start_proxy(server.endpoint.uri(), {**TRUSTED, "admin.listen": "127.0.0.1:0"})
    shown = f"[{address}]:51234" if ":" in address else f"{address}:51234"
    # with an extension that the proxy does not know
    with Balanced(proxy.endpoint(), header(address, 51234, b"\xe0\x00\x02xy")) as client:
        assert client.hello()["ok"] == 1
        record = proxy.wait_for_record("the client's address", id=INTRODUCED)
        assert record["attr"]["remote"] == shown and record["attr"]["via"].startswith("127.0.0.1:")
        connections = json.loads(Admin(proxy).get("/connections").body)["connections"]
        assert [one["remote"] for one in connections] == [shown]
    assert proxy.wait_for_record("its end", id=ENDED)["attr"]["remote"] == shown


def test_a_header_in_pieces_with_a_message(start_proxy, server):
    proxy = start_proxy(server.endpoint.uri(), TRUSTED)
    head = header("192.0.2.7", 51234)
    with RawClient(proxy.endpoint()) as client:
        for byte in head[:-1]:
            client.send(bytes([byte]))
            time.sleep(0.001)
        client.send(head[-1:] + op_msg({"hello": 1, "$db": "admin"}))
        assert client.receive().body["ok"] == 1


def test_a_check_of_the_load_balancer_itself(start_proxy, server):
    proxy = start_proxy(server.endpoint.uri(), TRUSTED)
    with Balanced(proxy.endpoint(), LOCAL) as client:
        assert client.hello()["ok"] == 1
    assert proxy.wait_for_record("the address", id=INTRODUCED)["attr"]["remote"].startswith("127.0.0.1:")


@pytest.mark.parametrize("first", [op_msg({"hello": 1, "$db": "admin"}), b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n",
                                   SIGNATURE + b"\x21\x11\x00\x04abcd", b"\x16\x03\x01\x02\x00"],
                         ids=["a message", "version 1", "too short", "TLS"])
def test_without_a_header(start_proxy, server, first):
    proxy = start_proxy(server.endpoint.uri(), TRUSTED)
    with RawClient(proxy.endpoint()) as client:
        client.send(first)
        with pytest.raises(ConnectionError):
            client.receive()
    record = proxy.wait_for_record("the reason", id=NOT_INTRODUCED)
    assert record["s"] == "W" and "listen_proxy_protocol" in record["attr"]["reason"]


def test_a_connection_that_says_nothing(start_proxy, server):
    proxy = start_proxy(server.endpoint.uri(), {**TRUSTED, "handshake_timeout_ms": 300})
    with RawClient(proxy.endpoint()) as silent, RawClient(proxy.endpoint()) as half:
        half.send(SIGNATURE)
        for client in silent, half:
            with pytest.raises(ConnectionError):
                client.receive()


def test_half_a_header_and_no_more(start_proxy, server):
    proxy = start_proxy(server.endpoint.uri(), TRUSTED)
    with RawClient(proxy.endpoint()) as client:
        client.send(SIGNATURE)
        client.socket.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionError):
            client.receive()
    record = proxy.wait_for_record("the reason", id=NOT_INTRODUCED)
    assert "closed before" in record["attr"]["reason"]


def test_from_elsewhere_a_header_is_no_message(start_proxy, server):
    proxy = start_proxy(server.endpoint.uri(), {"listen_proxy_protocol": "192.0.2.0/24,2001:db8::/32"})
    with RawClient(proxy.endpoint()) as client:
        assert client.hello()["ok"] == 1
    with Balanced(proxy.endpoint(), header("192.0.2.7", 51234)) as client, pytest.raises(ConnectionError):
        client.receive()


@pytest.mark.parametrize("mode", ["require", "allow"])
def test_tls_follows_the_header(start_proxy, server, authorities, mode):
    certificate = authorities.proxy.issue("balanced")
    proxy = start_proxy(server.endpoint.uri(), {**TRUSTED, "tls.mode": mode, "tls.cert_file": certificate.cert_file,
                                                "tls.key_file": certificate.key_file})
    context = ssl.create_default_context(cafile=certificate.ca_file)
    with Balanced(proxy.endpoint(), header("192.0.2.7", 51234), context) as client:
        assert client.hello()["ok"] == 1
    assert proxy.wait_for_record("its end", id=ENDED)["attr"]["remote"] == "192.0.2.7:51234"


def test_servers_learn_the_client(start_proxy, server, collection_name):
    """The second proxy stands for a server with net.proxyPort."""
    behind = start_proxy(server.endpoint.uri(), TRUSTED)
    port = behind.endpoint().host_port[1]
    proxy = start_proxy(server.endpoint.uri(), {"upstream_proxy_protocol": port})
    with proxy.endpoint().client() as client:
        client["proxied"][collection_name].insert_one({"_id": 1})
        assert client["proxied"][collection_name].find_one() == {"_id": 1}

    def remotes(of, number):
        return {record["attr"]["remote"] for record in of.records() if record["id"] == number}
    eventually(lambda: remotes(behind, INTRODUCED), "the clients are named")
    eventually(lambda: remotes(behind, INTRODUCED) <= remotes(proxy, ACCEPTED), "they are those of the proxy")


def test_a_shared_connection_names_nobody(start_proxy, server, collection_name):
    behind = start_proxy(server.endpoint.uri(), TRUSTED)
    port = behind.endpoint().host_port[1]
    proxy = start_proxy(server.endpoint.uri(), {"upstream_proxy_protocol": port, "pool.mode": "shared"})
    with proxy.endpoint().client() as client:
        client["proxied"][collection_name].insert_one({"_id": 1})
    for record in behind.records():
        if record["id"] == INTRODUCED:
            assert record["attr"]["remote"] == record["attr"]["via"]


def test_a_server_without_the_port(start_proxy, server):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    proxy = start_proxy(server.endpoint.uri(), {"upstream_proxy_protocol": port})
    with RawClient(proxy.endpoint()) as client:
        client.send(op_msg({"ping": 1, "$db": "admin"}))
        assert client.receive().body["code"] == 6  # HostUnreachable
