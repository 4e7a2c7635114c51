"""Servers that stop, answer in the wrong order, stay silent, or hold an election while clients write."""

import asyncio
import signal
import socket
import struct
import threading
import time

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from support.process import eventually
from support.servers import Server
from support.simulated import HANDLERS
from support.simulated_set import NAME, SimulatedSet
from support.wire import RawClient, op_msg

pytestmark = pytest.mark.proxy_only
FAST = {"stats_period_ms": 100}


def test_replies_in_the_wrong_order(start_proxy, simulated):
    """The server answers the second of two requests first: no client may receive the other's reply."""
    late = {}

    async def answer_second(server, connection, request):
        await server.reply(connection, request, {"ok": 1.0, "second": True}, response_to=late["second"])
        await server.reply(connection, request, {"ok": 1.0, "first": True})

    def note(server, connection, request):
        return None  # its answer went before that of the first

    simulated.handlers.update(first=answer_second, second=note)
    proxy = start_proxy(f"mongodb://{simulated.address}/", FAST)
    with RawClient(proxy.endpoint()) as bystander, RawClient(proxy.endpoint()) as client:
        assert bystander.command({"ping": 1})["ok"] == 1
        late["second"] = 77
        client.send(op_msg({"first": 1, "$db": "admin"}, request_id=76)
                    + op_msg({"second": 1, "$db": "admin"}, request_id=77))
        words = client.last_words()
        assert all(one.body["ok"] == 0 for one in words), words
        proxy.wait_for_counter("upstreamProtocolErrors", 1)
        assert bystander.command({"ping": 1})["ok"] == 1


def test_server_that_says_nothing(start_proxy, simulated):
    """Its connections are open and dead. Who waits may leave, and is not left behind; but for the
    connections that carry a batch: they stay until the server answers."""
    simulated.handlers["insert"] = HANDLERS["hold"]
    proxy = start_proxy(f"mongodb://{simulated.address}/", {**FAST, "merge.enabled": "true"})
    where = proxy.endpoint()
    clients = [RawClient(where) for _ in range(8)]
    for number, client in enumerate(clients):
        assert client.hello()["ok"] == 1
        client.send(op_msg({"insert": "c", "documents": [{"_id": number}], "$db": "d"}))
    simulated.wait_for_request("insert")
    with RawClient(where) as bystander:
        assert bystander.command({"ping": 1})["ok"] == 1
        proxy.wait_for_counter("clientsNow", len(clients) + 1)
        for client in clients:  # by a reset: one that only closes may still read its answer
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.__exit__()

        def carriers():
            return [one for one in simulated.requests("insert") if len(one.sequences.get("documents", ())) > 1]
        eventually(lambda: proxy.counter("clientsNow") <= 1 + len(carriers()), "those who left are gone")
        assert bystander.command({"ping": 1})["ok"] == 1


@pytest.mark.parametrize("merging", ["true", "false"])
def test_server_is_stopped_for_a_while(start_proxy, tmp_path, merging):
    server = Server(tmp_path / "data")
    try:
        proxy = start_proxy(server.endpoint.uri(), {**FAST, "merge.enabled": merging}, endpoint=server.endpoint)
        with proxy.endpoint().client(serverSelectionTimeoutMS=30000) as client:
            collection = client["fault"]["stopped"]
            collection.insert_one({"_id": -1})
            told = []

            def insert(number):
                told.append(collection.insert_one({"_id": number}).inserted_id)
            threads = [threading.Thread(target=insert, args=(number,)) for number in range(20)]
            server.process.halt()
            try:
                for thread in threads:
                    thread.start()
                time.sleep(1)
                assert not told
            finally:
                server.process.send(signal.SIGCONT)
            for thread in threads:
                thread.join(60)
            assert sorted(told) == list(range(20))
            assert collection.count_documents({}) == 21
    finally:
        server.stop()


@pytest.mark.parametrize("merging", ["true", "false"])
def test_elections_while_clients_write(start_proxy, merging):
    """Each acknowledged insert reached a server that was primary then. Drivers find the new primary by themselves.
    """
    stored, lock = set(), threading.Lock()

    def insert(server, connection, request):
        answer = HANDLERS["insert"](server, connection, request)
        if answer["ok"] == 1:
            with lock:
                stored.update(one["_id"] for one in request.sequences["documents"])
        return answer

    async def slow_insert(server, connection, request):
        await asyncio.sleep(0.002)  # so that others gather
        return insert(server, connection, request)

    with SimulatedSet(3) as members:
        for member in members.members:
            member.handlers["insert"] = slow_insert
        proxy = start_proxy(members.uri(heartbeatFrequencyMS=500), {**FAST, "merge.enabled": merging})
        seeds = ",".join(proxy.address(one.address) for one in members.members)
        told, stop = [], threading.Event()
        with MongoClient(f"mongodb://{seeds}/", replicaSet=NAME, heartbeatFrequencyMS=500,
                         localThresholdMS=20000, serverSelectionTimeoutMS=30000) as client:
            def work(number):
                count = 0
                while not stop.is_set():
                    count += 1
                    try:
                        told.append(client.d.c.insert_one({"_id": f"{number}.{count}"}).inserted_id)
                    except PyMongoError:
                        pass  # not told, so nothing is promised
            threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
            for thread in threads:
                thread.start()
            for turn in range(1, 5):
                enough = len(told) + 100
                eventually(lambda least=enough: len(told) >= least, "writes go on")
                members.reconfigure(primary=None)
                time.sleep(0.2)
                members.reconfigure(primary=members.members[turn % 3])
            enough = len(told) + 100
            eventually(lambda: len(told) >= enough, "writes go on after the last election")
            stop.set()
            for thread in threads:
                thread.join(60)
        assert len(told) == len(set(told)) and set(told) <= stored
