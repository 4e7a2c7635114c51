"""Clients that take more than their share: they pay for it, and other clients do not."""

import os
import socket
import ssl
import struct
import time
from pathlib import Path

import pytest
from support import wire
from support.process import eventually
from support.simulated import SimulatedServer
from support.wire import RawClient, op_msg, op_msg_of

pytestmark = pytest.mark.proxy_only
FAST = {"stats_period_ms": 100}
HOLD = {"hold": 1, "$db": "admin"}


def processor_seconds(proxy):
    fields = Path(f"/proc/{proxy.process.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def reset(client):
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()


def test_reset_while_not_being_read(start_proxy, simulated):
    """With many commands under way the proxy stops reading, but still notices that the client closes."""
    proxy = start_proxy(f"mongodb://{simulated.address}/", FAST)
    client = RawClient(proxy.endpoint())
    client.send(op_msg(HOLD) * 12)
    connection, _ = simulated.wait_for_request("hold")
    simulated.wait_for(lambda: len(connection.requests) >= 4, "what may be under way at once")
    time.sleep(0.2)
    reset(client)
    simulated.wait_for(lambda: connection.closed, "the connection to the server ends", 5)


def test_reset_while_the_server_does_not_read(start_proxy, simulated):
    """The proxy stopped reading because of the server, then the client resets: the proxy notices it."""
    proxy = start_proxy(f"mongodb://{simulated.address}/", FAST)
    with RawClient(proxy.endpoint()) as client:
        client.command({"ping": 1})
        connection, _ = simulated.wait_for_request("ping")
        simulated.call(connection.writer.transport.pause_reading)
        client.socket.setblocking(False)
        data = op_msg({"insert": "c", "$db": "d"}, {"documents": [{"x": bytes(40_000_000)}]})
        sent, stuck = 0, 0
        while stuck < 30:
            try:
                sent += client.socket.send(data[sent:sent + 1_000_000])
                stuck = 0
            except BlockingIOError:
                stuck += 1
                time.sleep(0.01)
        reset(client)
    proxy.wait_for_counter("clientsVanishedInCommand", 1)


def test_first_message_byte_by_byte(start_proxy, simulated):
    """An occasional byte does not postpone the handshake timeout."""
    proxy = start_proxy(f"mongodb://{simulated.address}/", {**FAST, "handshake_timeout_ms": 500})
    message = op_msg({"ping": 1, "$db": "admin", "x": "y" * 1000})
    with RawClient(proxy.endpoint()) as slow:
        try:
            for at in range(60):
                slow.send(message[at:at + 1])
                time.sleep(0.1)
            pytest.fail("it was never closed")
        except ConnectionError:
            pass
    proxy.wait_for_counter("handshakeTimeouts", 1)


def test_thousands_of_sections_before_the_body(start_proxy, simulated):
    """The proxy walks the sections once, however many pieces the message comes in."""
    proxy = start_proxy(f"mongodb://{simulated.address}/", FAST)
    section = wire.sequence_section("", [])
    count = 47_000_000 // len(section)
    message = op_msg_of(section * count + wire.body_section({"ping": 1, "$db": "admin"}))
    with RawClient(proxy.endpoint(), 60) as client:
        client.command({"ping": 1})
        used = processor_seconds(proxy)
        client.send(message[:-1])
        assert processor_seconds(proxy) - used < 10, "walked again and again"
    with RawClient(proxy.endpoint()) as client:
        assert client.command({"ping": 1})["ok"] == 1


def test_refused_clients_take_no_place(start_proxy, simulated):
    proxy = start_proxy(f"mongodb://{simulated.address}/", {**FAST, "max_client_conn": 3})
    where = proxy.endpoint()
    clients = [RawClient(where) for _ in range(3)]
    for client in clients:
        assert client.command({"ping": 1})["ok"] == 1
    silent = [RawClient(where) for _ in range(20)]
    proxy.wait_for_counter("clientsRefused", 20)
    clients.pop().__exit__()

    def fits():
        with RawClient(where) as next_one:
            return next_one.command({"ping": 1})["ok"] == 1
    eventually(fits, "the place is free")
    for client in clients + silent:
        client.__exit__()


def test_refused_driver_is_told_to_come_back_later(start_proxy, simulated):
    """Only a client that declared support receives the error labels."""
    proxy = start_proxy(f"mongodb://{simulated.address}/", {**FAST, "max_client_conn": 1})
    where = proxy.endpoint()
    with RawClient(where) as client:
        assert client.command({"ping": 1})["ok"] == 1
        with RawClient(where) as refused:
            assert "errorLabels" not in refused.hello()
        with RawClient(where) as refused:
            reply = refused.command({"hello": 1, "backpressure": "2"})
            assert set(reply["errorLabels"]) == {"SystemOverloadedError", "RetryableError"}


def test_upstream_with_an_ipv6_address(start_proxy):
    """This works also on a host whose only IPv6 address is the loopback's."""
    with SimulatedServer(host="::1", name="[::1]") as server:
        proxy = start_proxy(f"mongodb://{server.address}/", FAST)
        with RawClient(proxy.endpoint()) as client:
            reply = client.command({"ping": 1})
            assert reply["ok"] == 1, reply


def test_first_byte_alone_that_could_begin_tls(start_proxy, simulated, authorities):
    """A plain message of 790 bytes begins like a TLS handshake; the third byte distinguishes them."""
    certificate = authorities.proxy.issue("peek")
    proxy = start_proxy(f"mongodb://{simulated.address}/",
                        {**FAST, "tls.mode": "allow", "tls.cert_file": certificate.cert_file,
                         "tls.key_file": certificate.key_file})
    empty = op_msg({"ping": 1, "$db": "admin", "x": ""})
    message = op_msg({"ping": 1, "$db": "admin", "x": "y" * (0x316 - len(empty))})
    assert message[:2] == b"\x16\x03"
    with RawClient(proxy.endpoint()) as client:
        for at in range(5):
            client.send(message[at:at + 1])
            time.sleep(0.05)
        client.send(message[5:])
        assert client.receive().body["ok"] == 1


def test_goodbye_over_tls_is_said(start_proxy, simulated, authorities):
    """After an error the client sees a clean end of the stream, not a reset."""
    certificate = authorities.proxy.issue("goodbye")
    proxy = start_proxy(f"mongodb://{simulated.address}/",
                        {**FAST, "tls.mode": "require", "tls.cert_file": certificate.cert_file,
                         "tls.key_file": certificate.key_file})
    where = proxy.endpoint()
    context = ssl.create_default_context(cafile=certificate.ca_file)
    with socket.create_connection(where.host_port, 20) as plain:
        client = context.wrap_socket(plain, server_hostname=where.host_port[0],
                                     suppress_ragged_eofs=False)
        client.sendall(wire.frame(wire.OP_MSG, b"", length=48_000_001))
        words = b""
        while part := client.recv(10_000):
            words += part
        assert wire.parse(words).body["ok"] == 0
        client.close()
