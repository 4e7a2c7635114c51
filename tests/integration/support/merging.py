"""A proxy that merges, in front of a simulated server that answers inserts when it is told to. One worker
thread, so that every client meets every other."""

from .inserts import Inserter, Inserts
from .wire import RawClient


class Merging:
    def __init__(self, start_proxy, server, options=None, *, statements="exact", **more):
        self.server = server
        server.compressors = ["snappy", "zstd", "zlib"]  # its clients negotiate them
        self.inserts = Inserts(server, statements)
        self.proxy = start_proxy(f"mongodb://{server.address}/",
                                 {"threads": 1, "merge.enabled": "true", "stats_period_ms": 100,
                                  "merge.stalled_after_ms": 0,  # a test's steps may take long
                                  **(options or {})}, endpoint=server.endpoint, **more)
        self._clients = []
        self._other = self.open(RawClient(self.proxy.endpoint()))

    def open(self, client):
        self._clients.append(client)
        return client

    def close(self):
        for client in self._clients:
            client.socket.close()

    def client(self, *, known=True, **more):
        """known: its session was seen by the proxy, so that its inserts may be merged."""
        client = self.open(Inserter(self.proxy.endpoint(), **more))
        if known and client.retryable:
            self.first_insert(client)
        return client

    def first_insert(self, client):
        message = client.insert(f"first of {client.session} {client.number}")
        self.inserts.next().answer()
        assert client.answered(message).body["n"] == 1

    def clients(self, count, **more):
        return [self.client(**more) for _ in range(count)]

    def read_all(self):
        """What was sent so far was read by the proxy."""
        for _ in range(2):
            assert self._other.command({"ping": 1})["ok"] == 1

    def busy(self, client=None):
        """An insert that is on its way: others of its kind gather behind it. answer() lets them go."""
        client = client or self.client()
        message = client.insert(f"busy {client.session} {client.number}")
        arrived = self.inserts.next()
        return Busy(client, message, arrived)

    def gather(self, *calls):
        """Each (client, *ids) sends; they are read one after another. The messages."""
        messages = []
        for client, *ids in calls:
            messages.append(client.insert(*ids))
            self.read_all()
        return messages

    def answer_batches(self, batches, clients, messages):
        """The next inserts arrive in these batches; then each client has its answer. The answers."""
        for expected in batches:
            batch = self.inserts.next()
            assert batch.ids == expected
            batch.answer()
        return [client.answered(message) for client, message in zip(clients, messages, strict=True)]

    def on_its_way(self, count=2):
        """So many clients, whose inserts of 1, 2, … are on their way in one batch: clients, messages, the batch."""
        clients = self.clients(count)
        busy = self.busy()
        messages = self.gather(*((client, at) for at, client in enumerate(clients, 1)))
        busy.answer()
        return clients, messages, self.inserts.next()


class Busy:
    def __init__(self, client, message, arrived):
        self.client, self.message, self.arrived = client, message, arrived

    def answer(self):
        self.arrived.answer()
        assert self.client.answered(self.message).body["n"] == 1
