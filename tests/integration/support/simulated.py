"""A server for behaviour that real ones cannot be made to show. It runs in a thread with an event loop of its own;
tests read its records and change its answers."""

import asyncio
import inspect
import itertools
import struct
import threading
import time

from bson import Int64, ObjectId

from . import wire
from .endpoint import Endpoint
from .ports import free_port
from .process import PATIENCE, NotInTime


class Hangup(Exception):
    """A handler raises it to close the connection without an answer."""


class Connection:
    def __init__(self, server, number, reader, writer):
        self.server = server
        self.number = number
        self.reader = reader
        self.writer = writer
        self.requests = []  # wire.Message
        self.closed = False
        self.ended = False  # the peer sends nothing more
        self.users = []  # the logged-in users, as connectionStatus lists them
        self.tls = writer.get_extra_info("ssl_object")

    def named(self, name):
        return [request for request in self.requests if request.command == name]

    def abort(self):
        """Closes it with a reset."""
        self.server.call(self.writer.transport.abort)


class SimulatedServer:
    """handlers: {command: handler(server, connection, request)}, may be coroutines. What a handler
    returns is sent: a document, or bytes as they are, or nothing when it is None."""

    def __init__(self, handlers=None, *, host="127.0.0.1", port=0, compressors=(), tls=None,
                 name=None):
        self.handlers = dict(HANDLERS)
        self.handlers.update(handlers or {})
        self.compressors = list(compressors)
        self.connections = []
        self.malformed = []  # (the fault, the bytes)
        self.topology = {}  # additional fields of its hello
        self.counter = 0  # of the topologyVersion
        # True: answers received requests also after the peer ends its side; False: that end closes the connection at
        # once
        self.answers_after_end = False
        self._host, self._port, self._tls, self._name = host, port, tls, name
        self._process_id = ObjectId()
        self._news = threading.Condition()
        self._loop = None
        self._changed = None
        self._ids = itertools.count(1)
        self.start()

    # --- start and end

    def start(self):
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(PATIENCE), "the simulated server did not start"

    def _run(self, ready):
        asyncio.run(self._serve(ready))

    async def _serve(self, ready):
        self._loop = asyncio.get_running_loop()
        # a connection accepted during shutdown is not an error
        self._loop.set_exception_handler(lambda *_: None)
        self._changed = asyncio.Event()
        self._end = asyncio.Event()
        self._port = self._port or free_port(self._host)
        listener = await asyncio.start_server(self._accept, self._host, self._port, ssl=self._tls)
        ready.set()
        await self._end.wait()
        listener.close()
        for connection in self.connections:
            connection.writer.transport.abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self):
        """Resets all connections and refuses new ones. start() reopens it on the same port."""
        if self._thread.is_alive():
            self.call(self._end.set)
            self._thread.join(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def address(self):
        return f"{self._name or self._host}:{self._port}"

    @property
    def endpoint(self):
        return Endpoint(self.address, self.topology.get("setName"))

    def call(self, function, *arguments):
        self._loop.call_soon_threadsafe(function, *arguments)

    # --- records for tests

    def wait_for(self, condition, what, seconds=PATIENCE):
        end = time.monotonic() + seconds
        with self._news:
            while True:
                value = condition()
                if value:
                    return value
                if time.monotonic() > end:
                    raise NotInTime(f"not within {seconds} s: {what}")
                self._news.wait(0.1)

    def wait_for_request(self, name, seconds=PATIENCE):
        """Returns (connection, request) of the last request with this name."""
        def find():
            for connection in reversed(list(self.connections)):
                found = connection.named(name)
                if found:
                    return connection, found[-1]
            return None
        return self.wait_for(find, f"{name} arrives at {self.address}", seconds)

    def requests(self, name):
        return [request for connection in list(self.connections)
                for request in connection.named(name)]

    def open_connections(self, name=None):
        """Returns the open connections; with a name, those that sent this command."""
        return [connection for connection in list(self.connections) if not connection.closed
                and (name is None or connection.named(name))]

    def _tell(self):
        with self._news:
            self._news.notify_all()

    # --- the topology

    def change(self, topology):
        """Sets a new topology, and answers streamed hellos with it at once."""
        self.topology = dict(topology)
        self.counter += 1

        def wake():
            self._changed.set()
            self._changed = asyncio.Event()
        self.call(wake)

    def hello(self, request=None):
        primary = self.topology.get("isWritablePrimary", True)
        reply = {"isWritablePrimary": primary, "ismaster": primary, "helloOk": True,
                 "topologyVersion": {"processId": self._process_id, "counter": Int64(self.counter)},
                 "maxBsonObjectSize": 16777216, "maxMessageSizeBytes": 48000000,
                 "maxWriteBatchSize": 100000, "logicalSessionTimeoutMinutes": 30,
                 "minWireVersion": 0, "maxWireVersion": 21, "readOnly": False,
                 **self.topology, "ok": 1.0}
        asked = request.body.get("compression", []) if request else []
        agreed = [one for one in asked if one in self.compressors]
        if agreed:  # MongoDB has no field for an empty list
            reply["compression"] = agreed
        return reply

    async def until_changed(self, counter, seconds):
        if self.counter == counter:
            try:
                await asyncio.wait_for(self._changed.wait(), seconds)
            except asyncio.TimeoutError:
                pass

    # --- connections

    async def _accept(self, reader, writer):
        connection = Connection(self, len(self.connections) + 1, reader, writer)
        connection.wake = asyncio.Event()
        self.connections.append(connection)
        work = asyncio.ensure_future(self._answer_all(connection))
        try:
            while True:
                head = await reader.readexactly(16)
                rest = await reader.readexactly(struct.unpack("<i", head[:4])[0] - 16)
                try:
                    connection.requests.append(wire.parse(head + rest))
                except Exception as error:  # the proxy must not send a malformed request
                    self.malformed.append((error, head + rest))
                    return
                self._tell()
                connection.wake.set()
        except asyncio.IncompleteReadError:
            connection.ended = True
            self._tell()
            if self.answers_after_end:
                connection.wake.set()
                await asyncio.wait([work])
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            work.cancel()
            connection.closed = True
            if not (connection.ended and self.answers_after_end):
                writer.transport.abort()
            self._tell()

    async def _answer_all(self, connection):
        done = 0
        while True:
            while done == len(connection.requests):
                if connection.ended:
                    await connection.writer.drain()
                    connection.writer.close()
                    return
                await connection.wake.wait()
                connection.wake.clear()
            request = connection.requests[done]
            done += 1
            try:
                await self._answer(connection, request)
            except (Hangup, ConnectionError):
                connection.writer.transport.abort()
                return

    async def _answer(self, connection, request):
        handler = self.handlers.get(request.command, _unknown)
        reply = handler(self, connection, request)
        if inspect.isawaitable(reply):
            reply = await reply
        if reply is None or request.flags & wire.MORE_TO_COME:
            return
        await self.reply(connection, request, reply)

    async def reply(self, connection, request, reply, *, flags=0, response_to=None):
        """Returns its request id, for streams."""
        number = next(self._ids)
        if isinstance(reply, dict):
            header = {"request_id": number,
                      "response_to": request.request_id if response_to is None else response_to}
            if request.opcode == wire.OP_QUERY:
                reply = wire.op_reply(reply, **header)
            else:
                if request.checksum:
                    flags |= wire.CHECKSUM
                reply = wire.op_msg(reply, flags=flags, **header)
            if request.compressor is not None:
                reply = wire.compress(reply, request.compressor)
        connection.writer.write(reply)
        await connection.writer.drain()
        return number


def _unknown(server, connection, request):
    return {"ok": 0.0, "errmsg": f"no such command: '{request.command}'", "code": 59,
            "codeName": "CommandNotFound"}


async def _hello(server, connection, request):
    """Sends one reply, or with exhaustAllowed and a topologyVersion a stream of replies."""
    known = request.body.get("topologyVersion")
    if known is None:
        return server.hello(request)
    wait = request.body.get("maxAwaitTimeMS", 0) / 1000
    current = known["processId"] == server._process_id
    counter = known["counter"] if current else -1
    if not request.flags & wire.EXHAUST_ALLOWED:
        await server.until_changed(counter, wait)
        return server.hello(request)
    response_to = request.request_id
    while True:
        await server.until_changed(counter, wait)
        counter = server.counter
        response_to = await server.reply(connection, request, server.hello(), response_to=response_to,
                                         flags=wire.MORE_TO_COME)


def _ping(server, connection, request):
    return {"ok": 1.0}


def _insert(server, connection, request):
    documents = request.sequences.get("documents", request.body.get("documents", []))
    if not server.topology.get("isWritablePrimary", True):
        labels = ["RetryableWriteError"] if "txnNumber" in request.body else []
        return {"ok": 0.0, "errmsg": "not primary", "code": 10107, "codeName": "NotWritablePrimary",
                "errorLabels": labels, "topologyVersion": server.hello()["topologyVersion"]}
    return {"n": len(documents), "ok": 1.0}


def _find(server, connection, request):
    """Returns one document that names the server."""
    return cursor(request, [{"_id": 1, "server": server.address}])


def cursor(request, documents, cursor_id=0, batch="firstBatch"):
    collection = request.body.get("find") or request.body.get("collection")
    return {"cursor": {"id": Int64(cursor_id), "ns": f"{request.body['$db']}.{collection}",
                       batch: documents}, "ok": 1.0}


async def _hold(server, connection, request):
    await asyncio.Event().wait()


def _connection_status(server, connection, request):
    return {"authInfo": {"authenticatedUsers": connection.users, "authenticatedUserRoles": []}, "ok": 1.0}


HANDLERS = {"hello": _hello, "isMaster": _hello, "ismaster": _hello, "ping": _ping, "insert": _insert,
            "find": _find, "hold": _hold, "endSessions": _ping, "commitTransaction": _ping,
            "abortTransaction": _ping, "connectionStatus": _connection_status}
