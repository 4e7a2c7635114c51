"""A proxy that merges, in front of a simulated server that answers inserts on the test's request. It has one worker
thread, so that the inserts of any two clients can be merged."""

from .inserts import Inserter, Inserts
from .wire import RawClient


class Merging:
    def __init__(self, start_proxy, server, options=None, *, statements="exact", **more):
        self.server = server
        server.compressors = ["snappy", "zstd", "zlib"]  # clients negotiate these compressors
        self.inserts = Inserts(server, statements)
        self.proxy = start_proxy(f"mongodb://{server.address}/",
                                 {"threads": 1, "merge.enabled": "true", "stats_period_ms": 100,
                                  "merge.stalled_after_ms": 0,  # a test may take long between two steps
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
        """known: the proxy has seen its session, so that it may merge the inserts."""
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
        """Waits until the proxy has read all sent messages."""
        for _ in range(2):
            assert self._other.command({"ping": 1})["ok"] == 1

    def busy(self, client=None):
        """Sends an insert that stays under way, so that further inserts of its kind wait for a batch. answer()
        releases them."""
        client = client or self.client()
        message = client.insert(f"busy {client.session} {client.number}")
        arrived = self.inserts.next()
        return Busy(client, message, arrived)

    def gather(self, *calls):
        """Each (client, *ids) sends an insert; the proxy reads them in this order. Returns the messages."""
        messages = []
        for client, *ids in calls:
            messages.append(client.insert(*ids))
            self.read_all()
        return messages

    def answer_batches(self, batches, clients, messages):
        """Answers the next inserts, which arrive in these batches; then each client receives its answer. Returns the
        answers."""
        for expected in batches:
            batch = self.inserts.next()
            assert batch.ids == expected
            batch.answer()
        return [client.answered(message) for client, message in zip(clients, messages, strict=True)]

    def on_its_way(self, count=2):
        """Puts inserts of 1, 2, … documents of so many clients under way in one batch: returns clients, messages, the
        batch."""
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
