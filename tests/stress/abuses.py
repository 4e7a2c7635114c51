"""Abuses by hostile or broken clients. Each is a function of (port, count, stop): it runs until `stop` is set, and
ignores errors on its connections. Those that come again and again pause between: the abuser is not to win by taking
the CPU that it shares with the proxy."""

import contextlib
import os
import random
import selectors
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
import zlib

import bson

OP_MSG, OP_COMPRESSED = 2013, 2012
ZLIB = 2
MAX_MESSAGE = 48_000_000
TURN_SECONDS = 0.02
SLICES = 10
PAUSE_SECONDS = 0.001


def frame(opcode, payload, request_id=1):
    return struct.pack("<iiii", 16 + len(payload), request_id, 0, opcode) + payload


def message(body, documents=()):
    payload = b"\0\0\0\0" + b"\0" + bson.encode(body)
    if documents:
        section = b"documents\0" + b"".join(documents)
        payload += b"\x01" + struct.pack("<i", 4 + len(section)) + section
    return frame(OP_MSG, payload)


PING = message({"ping": 1, "$db": "admin"})
FIND = message({"find": "items", "limit": 3000, "$db": "bench"})


def connect(port):
    one = socket.create_connection(("127.0.0.1", port), timeout=5)
    one.setblocking(False)
    return one


def open_many(port, count, stop):
    """As many as the proxy and the machine let in."""
    sockets = []
    for _ in range(count):
        if stop.is_set():
            break
        with contextlib.suppress(OSError):
            sockets.append(connect(port))
    return sockets


def close_all(sockets):
    for one in sockets:
        one.close()


def evenly(connections, stop):
    """All of them again and again, spread over each turn: independent clients are not in step."""
    while not stop.is_set():
        now = list(connections)
        for first in range(SLICES):
            yield from now[first::SLICES]
            stop.wait(TURN_SECONDS / SLICES)


def drip(port, count, stop, data, piece):
    """Each connection sends its data piece by piece, and comes again when it was thrown out. Each has begun
    somewhere: else there would be nothing for a while, and then all messages at the same moment."""
    at = {}
    for number, one in enumerate(open_many(port, count, stop)):
        at[one] = number % len(data)
        with contextlib.suppress(OSError):
            one.send(data[:at[one]])
    for one in evenly(at, stop):
        try:
            one.send(data[at[one]:at[one] + piece])
            at[one] = (at[one] + piece) % len(data)
        except BlockingIOError:
            pass
        except OSError:
            del at[one]
            one.close()
            with contextlib.suppress(OSError):
                at[connect(port)] = 0
    close_all(at)


def slow_senders(port, count, stop):
    drip(port, count, stop, PING, 1)


def slow_readers(port, count, stop):
    """They ask for much, twice, and read nothing."""
    sockets = open_many(port, count, stop)
    for one in sockets:
        with contextlib.suppress(OSError):
            one.send(FIND + FIND)
    stop.wait()
    close_all(sockets)


def half_open(port, count, stop):
    """Some say nothing, some stop in the middle of a message, some hold only their own direction closed."""
    sockets = open_many(port, count, stop)
    for number, one in enumerate(sockets):
        with contextlib.suppress(OSError):
            if number % 3 > 0:
                one.send(PING[:20])
            if number % 3 == 2:
                one.shutdown(socket.SHUT_WR)
    stop.wait()
    close_all(sockets)


def cut_frames(port, count, stop):
    """A message that ends after 1, 2, 3 … bytes, by FIN and by RST."""
    insert = message({"insert": "items", "$db": "bench"}, [bson.encode({"_id": 1, "name": "a"})])
    while not stop.is_set():
        for data in (PING, insert, frame(OP_COMPRESSED, struct.pack("<iiB", OP_MSG, 100, ZLIB) + b"x" * 30)):
            for cut in range(1, len(data)):
                if stop.wait(PAUSE_SECONDS):
                    return
                with contextlib.suppress(OSError), connect(port) as one:
                    one.send(data[:cut])
                    if cut % 2:
                        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def random_bytes(port, count, stop):
    choice = random.Random(7)
    while not stop.wait(PAUSE_SECONDS):
        with contextlib.suppress(OSError), connect(port) as one:
            data = choice.randbytes(choice.randrange(1, 4000))
            if choice.random() < 0.5:  # with a header that makes sense
                data = frame(choice.choice([OP_MSG, OP_COMPRESSED, 2004, 1]), data)
            one.send(data)


def compressed_bombs(port, count, stop):
    """48 kB that become 48 MB, and sizes that lie."""
    inside = PING[16:] + b"\0" * (MAX_MESSAGE - len(PING))
    squeezed = zlib.compress(inside, 9)
    bombs = [frame(OP_COMPRESSED, struct.pack("<iiB", OP_MSG, size, ZLIB) + squeezed)
             for size in (len(inside), len(inside) - 16, 2**31 - 1, 10)]
    sockets = open_many(port, count, stop)
    for number in evenly(range(len(sockets)), stop):
        try:
            sockets[number].send(bombs[number % len(bombs)])
        except BlockingIOError:
            pass
        except OSError:
            sockets[number].close()
            with contextlib.suppress(OSError):
                sockets[number] = connect(port)
    close_all(sockets)


def large_messages(port, count, stop):
    """Inserts of 48 MB that must be whole to be checked, from all connections at once."""
    document = bson.encode({"_id": 1, "padding": "x" * 15_000_000})
    data = memoryview(message({"insert": "items", "$db": "bench"}, [document] * 3))
    sockets = open_many(port, count, stop)
    at = dict.fromkeys(sockets, 0)
    with selectors.DefaultSelector() as ready:
        for one in sockets:
            ready.register(one, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while not stop.is_set() and at:
            for key, events in ready.select(0.1):
                one = key.fileobj
                try:
                    if events & selectors.EVENT_READ and not one.recv(65536):
                        raise OSError
                    if events & selectors.EVENT_WRITE:
                        at[one] = (at[one] + one.send(data[at[one]:at[one] + 262144])) % len(data)
                except BlockingIOError:
                    pass
                except OSError:
                    ready.unregister(one)
                    del at[one]
                    one.close()
                    with contextlib.suppress(OSError):
                        again = connect(port)
                        at[again] = 0
                        ready.register(again, selectors.EVENT_READ | selectors.EVENT_WRITE)
    close_all(at)


def connection_flood(port, count, stop):
    while not stop.wait(TURN_SECONDS):
        sockets = open_many(port, count, stop)
        for one in sockets:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        close_all(sockets)


def endless_authentication(port, count, stop):
    """saslContinue after saslContinue, that never comes to an end."""
    start = message({"saslStart": 1, "mechanism": "SCRAM-SHA-256", "payload": b"n,,n=ada,r=abc",
                     "$db": "admin"})
    go_on = message({"saslContinue": 1, "conversationId": 1, "payload": b"c=biws," + b"r" * 4000,
                     "$db": "admin"})
    sockets = open_many(port, count, stop)
    for one in sockets:
        with contextlib.suppress(OSError):
            one.send(start)
    for number in evenly(range(len(sockets)), stop):
        with contextlib.suppress(BlockingIOError):
            try:
                if sockets[number].recv(65536) == b"":
                    raise ConnectionResetError
                sockets[number].send(go_on)
            except ConnectionError:
                sockets[number].close()
                with contextlib.suppress(OSError):
                    sockets[number] = connect(port)
                    sockets[number].send(start)
    close_all(sockets)


def tls_garbage(port, count, stop):
    """A ClientHello, and then what is no TLS; records cut; handshakes that stop."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    hello = outgoing.read()
    choice = random.Random(9)
    held = []
    while not stop.wait(2 * PAUSE_SECONDS):
        with contextlib.suppress(OSError):
            one = connect(port)
            kind = choice.randrange(3)
            one.send(hello if kind else hello[:choice.randrange(1, len(hello))])
            if kind == 1:
                one.send(choice.randbytes(2000))
            held.append(one)
        if len(held) > count:
            held.pop(0).close()
    close_all(held)


def tls_renegotiation(port, count, stop):
    """TLS 1.2 clients that ask for a new handshake again and again, as `R` makes openssl do."""
    while not stop.is_set():
        with subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_2", "-legacy_renegotiation"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as client:
            for _ in range(20):
                if stop.wait(0.05) or client.poll() is not None:
                    break
                with contextlib.suppress(OSError):
                    client.stdin.write(b"R\n")
                    client.stdin.flush()
            client.kill()
            with contextlib.suppress(OSError):
                client.stdin.close()


def again_and_again(port, count, stop, data):
    """Each connection sends the message, and once more when it has an answer; what comes is thrown away."""
    sockets = open_many(port, count, stop)
    left = dict.fromkeys(sockets, memoryview(data))
    with selectors.DefaultSelector() as ready:
        for one in sockets:
            ready.register(one, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while not stop.is_set() and left:
            for key, events in ready.select(0.1):
                one = key.fileobj
                try:
                    if events & selectors.EVENT_READ:
                        if not one.recv(1 << 20):
                            raise OSError
                        left[one] = left[one] or memoryview(data)
                        ready.modify(one, selectors.EVENT_READ | selectors.EVENT_WRITE)
                    if events & selectors.EVENT_WRITE and left[one]:
                        left[one] = left[one][one.send(left[one][:262144]):]
                    if not left[one]:
                        ready.modify(one, selectors.EVENT_READ)
                except BlockingIOError:
                    pass
                except OSError:
                    ready.unregister(one)
                    del left[one]
                    one.close()
                    with contextlib.suppress(OSError):
                        again = connect(port)
                        left[again] = memoryview(data)
                        ready.register(again, selectors.EVENT_READ | selectors.EVENT_WRITE)
                        stop.wait(PAUSE_SECONDS)
    close_all(left)


HOSTILE = {"insert": "hostile", "ordered": False, "$db": "bench"}


def refused_documents(port, count, stop):
    """As many as a server takes, all refused."""
    again_and_again(port, count, stop, message(HOSTILE, [bson.encode({})] * 100_000))


def too_many_documents(port, count, stop):
    """A million, of which none is to be looked at."""
    again_and_again(port, count, stop, message(HOSTILE, [bson.encode({})] * 1_000_000))


def warned_documents(port, count, stop):
    """Let pass, and logged."""
    again_and_again(port, count, stop, message({**HOSTILE, "insert": "logged"}, [bson.encode({})] * 100_000))


def dear_patterns(port, count, stop):
    """2,000 documents of some forty bytes, each with a string that a pattern fails on after long."""
    document = bson.encode({"a": 1, "text": "a" * 29 + "!"})
    again_and_again(port, count, stop, message(HOSTILE, [document] * 2000))


def half_messages(port, count, stop):
    """Half of 47 MB each, and then nothing."""
    half = message({"insert": "hostile", "$db": "bench"}, [bson.encode({"a": "x" * 15_000_000})] * 3)[:23_500_000]
    again_and_again(port, count, stop, half)


# name: (function, connections at full size)
ABUSES = {
    "slow senders": (slow_senders, 3000),
    "slow readers": (slow_readers, 1000),
    "half-open connections": (half_open, 3000),
    "frames cut at every byte": (cut_frames, 1),
    "random bytes": (random_bytes, 1),
    "compressed bombs": (compressed_bombs, 40),
    "48 MB messages": (large_messages, 30),
    "connection flood": (connection_flood, 500),
    "authentication that never ends": (endless_authentication, 300),
    "TLS garbage": (tls_garbage, 500),
    "TLS renegotiation": (tls_renegotiation, 1),
    "refused documents": (refused_documents, 4),
    "a million documents": (too_many_documents, 4),
    "logged documents": (warned_documents, 4),
    "a pattern that takes long": (dear_patterns, 8),
    "half messages": (half_messages, 12),
}


@contextlib.contextmanager
def running(name, port, scale=1.0, humble=False):
    """The abuse goes on inside, in a process of its own: it must not slow down who measures. humble: it takes
    no CPU that anybody else wants, as if it had a machine of its own."""
    function, count = ABUSES[name]
    pid = os.fork()
    if pid == 0:
        if humble:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        code = 1
        try:
            function(port, max(1, int(count * scale)), stop)
            code = 0
        finally:
            os._exit(code)
    try:
        yield pid
    finally:
        end_child(pid)


def end_child(pid):
    """TERM, and KILL when that does not help within ten seconds; it must have ended by itself."""
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            if os.waitstatus_to_exitcode(status) != 0:
                raise RuntimeError("the abuse itself failed")
            return
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise RuntimeError("the abuse did not end")
