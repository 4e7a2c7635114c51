"""A process that odm_bench.py starts in one Python environment: reads a case a line, answers with the
milliseconds of each of its parts as JSON, and those of CPU time that this process and, in inserting, the
server (where it is known) had. One process keeps its clients, so that only the work counts.

    python odm_worker.py beanie|mongoengine|drivers offload|plain"""

import asyncio
import gc
import json
import os
import sys
import time
import warnings
from pathlib import Path

import bson
import pymongo
from bson.raw_bson import RawBSONDocument
from odm_documents import DATABASE, make_order, make_user

MAKERS = {"user": make_user, "order": make_order}


class Clock:
    """The cost of one part; use it by `with` or `async with`."""

    def __init__(self, server=None):
        self.server = server

    def __enter__(self):
        gc.collect()
        self.cpu, self.server_cpu, self.start = time.process_time(), cpu_ms(self.server), time.perf_counter()
        return self

    def __exit__(self, *error):
        self.ms = (time.perf_counter() - self.start) * 1000
        self.cpu_ms = (time.process_time() - self.cpu) * 1000
        self.server_ms = cpu_ms(self.server) - self.server_cpu if self.server else None


def cpu_ms(process):
    """Of all threads of a process, including ended ones."""
    if not process:
        return 0
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def told(construct, insert, read):
    return {"construct": construct and construct.ms, "insert": insert.ms, "read": read and read.ms,
            "write CPU": insert.cpu_ms + (construct.cpu_ms if construct else 0), "read CPU": read and read.cpu_ms,
            "server CPU": insert.server_ms, "server CPU reading": read and read.server_ms}


def emptied(uri, collection):
    with pymongo.MongoClient(uri) as client:
        client[DATABASE][collection].delete_many({})


class Drivers:
    """Motor, AsyncMongoClient, and raw BSON by PyMongo: the cost without work in Python."""

    def __init__(self, offload):
        self.clients = {}

    async def run(self, case, uri, kind, count, reads, server):
        documents = [MAKERS[kind](i) for i in range(count)]
        emptied(uri, kind)
        if case == "raw":
            raw = [RawBSONDocument(bson.encode({"_id": bson.ObjectId(), **one})) for one in documents]
            client = self.client(pymongo.MongoClient, uri)
            with Clock(server) as insert:
                client[DATABASE][kind].insert_many(raw)
            return told(None, insert, None)
        if case == "motor":
            from motor.motor_asyncio import AsyncIOMotorClient as cls
        else:
            cls = pymongo.AsyncMongoClient
        collection = self.client(cls, uri)[DATABASE][kind]
        with Clock(server) as insert:
            await collection.insert_many(documents)
        del documents
        if not reads:
            return told(None, insert, None)
        with Clock(server) as read:
            found = await collection.find().to_list(None)
        return told(None, insert, read if len(found) == count else None)

    def client(self, cls, uri):
        if (cls, uri) not in self.clients:
            self.clients[cls, uri] = cls(uri)
        return self.clients[cls, uri]


class Beanie:
    def __init__(self, offload):
        import beanie
        import odm_beanie

        self.models = odm_beanie
        self.init = beanie.init_beanie
        self.offload = offload
        self.old = beanie.__version__.startswith("1.")
        self.initialised = None
        if offload:
            import mongosluice

            mongosluice.offload(require=True)

    async def run(self, case, uri, kind, count, reads, server):
        if self.initialised != uri:
            if self.old:
                from motor.motor_asyncio import AsyncIOMotorClient as cls
            else:
                cls = pymongo.AsyncMongoClient
            await self.init(database=cls(uri)[DATABASE], document_models=[self.models.User, self.models.Order])
            self.initialised = uri
        model = {"user": self.models.User, "order": self.models.Order}[kind]
        emptied(uri, kind)
        values = [MAKERS[kind](i) for i in range(count)]
        with Clock() as construct:
            made = [model(**one) for one in values]
        del values
        with Clock(server) as insert:
            await model.insert_many(made)
        del made
        if not reads:
            return told(construct, insert, None)
        with Clock(server) as read:
            found = await model.find_all().to_list()
        if len(found) != count:
            return told(construct, insert, None)
        del found
        with Clock() as read_for:
            found = [one async for one in model.find_all()]
        del found
        with Clock() as read_length:
            await model.find_all().to_list(count)
        return {**told(construct, insert, read), "read for": read_for.ms, "read length": read_length.ms}


class MongoEngine:
    def __init__(self, offload):
        import mongoengine
        import odm_mongoengine

        self.engine = mongoengine
        self.models = odm_mongoengine
        self.connected = None
        if offload:
            import mongosluice

            mongosluice.offload(require=True)

    async def run(self, case, uri, kind, count, reads, server):
        if self.connected != uri:
            self.engine.disconnect()
            for model in (self.models.EngineUser, self.models.EngineOrder):
                model._collection = None
            self.engine.connect(DATABASE, host=uri, uuidRepresentation="standard")
            self.connected = uri
        model = {"user": self.models.EngineUser, "order": self.models.EngineOrder}[kind]
        emptied(uri, model._get_collection_name())
        values = [MAKERS[kind](i) for i in range(count)]
        with Clock() as construct:
            made = [model(**one) for one in values]
        del values
        with Clock(server) as insert:
            model.objects.insert(made, load_bulk=False)
        del made
        if not reads:
            return told(construct, insert, None)
        with Clock(server) as read:
            found = list(model.objects)
        return told(construct, insert, read if len(found) == count else None)


def extension(kind, count=50_000):
    """µs a document of the extension alone: an instance to bytes, and a dict to an instance."""
    from beanie import Document

    import odm_beanie
    from mongosluice.offload.beanie import patches as offload_beanie
    from mongosluice.offload.beanie.encoding import INSERT

    assert Document is not None
    model = {"user": odm_beanie.User, "order": odm_beanie.Order}[kind]
    plan = offload_beanie._plans[model]
    document = model(**MAKERS[kind](1))
    data = bson.decode(plan.shape.encode(document, INSERT, True).raw)
    best = {}
    for name, work in (("encode", lambda: plan.shape.encode(document, INSERT, True)), ("build", lambda: plan.shape.build(data))):
        for _ in range(5):
            with Clock() as clock:
                for _ in range(count):
                    work()
            best[name] = min(best.get(name, clock.ms), clock.ms)
    return {name: ms * 1000 / count for name, ms in best.items()}


async def serve(what):
    for line in sys.stdin:
        case, uri, kind, count, reads, server = json.loads(line)
        try:
            answer = extension(kind) if case == "extension" else await what.run(case, uri, kind, count, reads, server)
        except Exception as error:  # reported to the caller
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        gc.collect()
        print(json.dumps(answer), flush=True)


def main():
    warnings.simplefilter("ignore")
    kinds = {"drivers": Drivers, "beanie": Beanie, "mongoengine": MongoEngine}
    asyncio.run(serve(kinds[sys.argv[1]](sys.argv[2] == "offload")))


if __name__ == "__main__":
    main()
