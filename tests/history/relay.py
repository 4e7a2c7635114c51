"""A TCP relay between the proxy and its upstream server. It cuts connections at given points, or lets them go silent
before they end."""

import re
import socket
import struct
import threading
import time

BEFORE_REQUEST, IN_REQUEST, BEFORE_REPLY, IN_REPLY, SILENT = POINTS = (
    "before the request", "in the request", "before the reply", "in the reply", "after a silence before the reply")
SILENCE_SECONDS = 3
OP_MSG = 2013


class Closed(Exception):
    pass


def _read(source, count):
    parts = []
    while count:
        part = source.recv(min(count, 1 << 20))
        if not part:
            raise Closed
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _read_message(source):
    head = _read(source, 16)
    return head + _read(source, struct.unpack("<i", head[:4])[0] - 16)


def _is_insert(message):
    return struct.unpack("<i", message[12:16])[0] == OP_MSG and b"\2insert\0" in message[:64]


def _is_merged(message):
    """Returns whether it holds documents of several driver threads."""
    return len(set(re.findall(rb"\x02by\x00....([^\x00]+)\x00", message, re.DOTALL))) > 1


class _Pair:
    def __init__(self, relay, client):
        self.relay, self.client = relay, client
        self.server = socket.create_connection(("127.0.0.1", relay.upstream_port), 5)
        self.server.settimeout(None)
        for one in (self.client, self.server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._cuts = {}  # requestID: the point in its reply
        self._inserts = set()  # requestIDs
        self._sending = threading.Lock()
        self._aside = None  # the connection for the commands that relay.statements executes
        for way in (self._requests, self._replies):
            threading.Thread(target=self._run, args=(way,), daemon=True).start()

    def _run(self, way):
        try:
            while True:
                way()
        except (Closed, OSError):
            pass
        finally:
            self.close()
            if way == self._requests and self._aside:  # not before: what has been executed must be noted
                self._aside.socket.close()

    def _requests(self):
        message = _read_message(self.client)
        point = self.relay.take(message)
        if point == BEFORE_REQUEST:
            raise Closed
        if point == IN_REQUEST:
            self.server.sendall(message[:len(message) * 2 // 3])
            raise Closed
        if point is not None:
            self._cuts[message[4:8]] = point
        numbered = self.relay.statements and self.relay.statements.concern(message)
        if _is_insert(message) or numbered:
            self._inserts.add(message[4:8])
        if numbered:
            self._deliver(self._run_aside(numbered))
        else:
            self.server.sendall(message)

    def _run_aside(self, numbered):
        if self._aside is None:
            self._aside = self.relay.statements.connect()
        return self.relay.statements.run(numbered, self._aside)

    def _replies(self):
        self._deliver(_read_message(self.server))

    def _deliver(self, message):
        point = self._cuts.pop(message[8:12], None)
        if message[8:12] in self._inserts:
            self._inserts.discard(message[8:12])
            time.sleep(self.relay.delay)
        if point == SILENT:
            time.sleep(SILENCE_SECONDS)
        if point in (BEFORE_REPLY, SILENT):
            raise Closed
        with self._sending:
            if point == IN_REPLY:
                self.client.sendall(message[:len(message) // 2])
                raise Closed
            self.client.sendall(message)

    def close(self):
        for one in (self.client, self.server):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()
        self.relay.forget(self)


class Relay:
    """Listens on a port of its own. arm(point): the next insert that comes meets it. Replies to inserts come
    `delay` seconds late, so that others gather meanwhile. statements: a Statements, which runs inserts with numbers."""

    def __init__(self, upstream_port, delay=0.003, statements=None):
        self.upstream_port, self.delay, self.statements = upstream_port, delay, statements
        self.cuts = []  # (monotonic time of its beginning and its end, point)
        self._armed = []
        self._pairs = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._begin, args=(client,), daemon=True).start()

    def _begin(self, client):
        try:
            pair = _Pair(self, client)
        except OSError:
            client.close()
            return
        with self._lock:
            self._pairs.add(pair)

    def forget(self, pair):
        with self._lock:
            self._pairs.discard(pair)

    def arm(self, point, *, merged):
        """merged: the next that was merged."""
        with self._lock:
            self._armed.append((point, merged))

    def disarm(self):
        with self._lock:
            self._armed.clear()

    def take(self, message):
        """Returns the point for this message; None: it passes."""
        if not self._armed or not _is_insert(message):
            return None
        with self._lock:
            for armed in self._armed:
                point, merged = armed
                if not merged or _is_merged(message):
                    self._armed.remove(armed)
                    now = time.monotonic()
                    self.cuts.append((now, now + SILENCE_SECONDS * (point == SILENT), point))
                    return point
        return None

    def stop(self):
        self._listener.close()
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.close()
