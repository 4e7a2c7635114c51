"""Runs in network and mount namespaces of its own, with a local DNS server and no access to other networks: a
replica set behind mongodb+srv://, the proxy in front of it, and a client. Prints the client's results as JSON."""

import ctypes
import fcntl
import json
import socket
import struct
import sys
import tempfile
import threading
from pathlib import Path

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.proxy import Proxy  # noqa: E402
from support.simulated_set import NAME, SimulatedSet  # noqa: E402
from support.wire import RawClient  # noqa: E402

DOMAIN = "example.test"
MS_BIND = 4096
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))


def look_names_up_here(folder):
    """Makes this mount namespace's resolver ask 127.0.0.1, with an empty hosts file."""
    libc = ctypes.CDLL(None, use_errno=True)
    for target, text in (("/etc/resolv.conf", "nameserver 127.0.0.1\n"), ("/etc/hosts", "")):
        source = folder / Path(target).name
        source.write_text(text)
        if libc.mount(str(source).encode(), target.encode(), None, MS_BIND, None) != 0:
            raise OSError(ctypes.get_errno(), f"bind mount over {target}")


def answers(members):
    """{(name, type): rdata texts}"""
    srv = [f"0 0 {one.address.rpartition(':')[2]} {one.address.rpartition(':')[0]}."
           for one in members]
    records = {(f"_mongodb._tcp.set.{DOMAIN}.", "SRV"): srv,
               (f"set.{DOMAIN}.", "TXT"): [f'"replicaSet={NAME}"']}
    for one in members:
        records[(one.address.rpartition(":")[0] + ".", "A")] = ["127.0.0.1"]
    return records


def serve_names(records):
    """A DNS server over UDP, on a thread that ends with the process."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))

    def serve():
        while True:
            data, peer = server.recvfrom(4096)
            query = dns.message.from_wire(data)
            reply = dns.message.make_response(query)
            reply.flags |= dns.flags.RA
            asked = query.question[0]
            kind = dns.rdatatype.to_text(asked.rdtype)
            texts = records.get((asked.name.to_text().lower(), kind))
            if texts:
                reply.answer.append(dns.rrset.from_text_list(asked.name, 60, "IN", kind, texts))
            server.sendto(reply.to_wire(), peer)

    threading.Thread(target=serve, daemon=True).start()


def main():
    loopback_up()
    with tempfile.TemporaryDirectory() as folder:
        look_names_up_here(Path(folder))
        with SimulatedSet(2, hosts={i: f"db{i}.{DOMAIN}" for i in range(2)}) as members:
            serve_names(answers(members.members))
            proxy = Proxy(f"mongodb+srv://set.{DOMAIN}/?tls=false")
            try:
                ports = {}
                for member in members.members:
                    with RawClient(proxy.endpoint(member.address)) as client:
                        hello = client.hello()
                        assert client.command({"ping": 1})["ok"] == 1
                    ports[member.address] = hello["me"]
                print(json.dumps({"me": ports, "hosts": sorted(hello["hosts"]),
                                  "setName": hello["setName"]}))
            finally:
                proxy.finish()


if __name__ == "__main__":
    main()
