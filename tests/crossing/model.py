"""A server that holds what MongoDB was measured to do with identities: users of a connection, of cursors, of sessions and
of transactions. Each reply repeats the command's comment and names the users and the connection that it ran on. The
server also cuts connections by a seeded schedule.

  python -m crossing.model --port 0 --seed 1

Its first line of output is its port. It is driven by the command `control`, which clients send to it directly."""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import hmac
import itertools
import random
import secrets
import time
from dataclasses import dataclass, field

from bson import Binary, Int64, ObjectId
from support import wire

ITERATIONS = 4096
HASHES = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}
# Commands for which no login is needed.
OPEN = {"hello", "isMaster", "ismaster", "ping", "connectionStatus", "saslStart", "saslContinue", "logout", "buildInfo",
        "control", "endSessions", "getnonce"}
READS = {"find", "getMore", "killCursors", "aggregate", "count", "listCollections", "listIndexes"}
WRITES = {"insert", "update", "delete"}
READERS_CUT = 0.3  # the share of the handshakes for the proxy's readings of users that are cut


def begins_reading(hello):
    """Of the proxy's own connections, only those for readings log in."""
    application = hello.get("client", {}).get("application", {}).get("name")
    return application == "mongosluice" and ("saslSupportedMechs" in hello or "speculativeAuthenticate" in hello)


class Refused(Exception):
    def __init__(self, code, name, text):
        super().__init__(text)
        self.reply = {"ok": 0.0, "errmsg": text, "code": code, "codeName": name}


@dataclass
class User:
    name: str
    database: str
    number: int  # another one for each user that ever was
    roles: dict  # {database: "read" or "readWrite"}; {"*": "root"}
    credentials: dict = field(default_factory=dict)

    @property
    def text(self):
        return f"{self.name}@{self.database}#{self.number}"

    def may(self, database, write):
        role = self.roles.get("*") or self.roles.get(database)
        return role in ("root", "readWrite") or (role == "read" and not write)


def credentials_of(name, password):
    found = {}
    for mechanism, digest in HASHES.items():
        secret = password.encode()
        if mechanism == "SCRAM-SHA-1":
            secret = hashlib.md5(f"{name}:mongo:{password}".encode()).hexdigest().encode()
        salt = secrets.token_bytes(16 if digest == "sha1" else 28)
        salted = hashlib.pbkdf2_hmac(digest, secret, salt, ITERATIONS)
        stored = hashlib.new(digest, hmac.digest(salted, b"Client Key", digest)).digest()
        found[mechanism] = (salt, stored, hmac.digest(salted, b"Server Key", digest))
    return found


@dataclass
class Cursor:
    users: frozenset
    lsid: bytes | None
    namespace: str
    documents: list
    seen: int | None = None  # of a change stream: how many of the model's changes it has told


class Model:
    def __init__(self, options):
        self.options = options
        self.chance = random.Random(options.seed)
        self.users = {}  # (database, name): User
        self.numbers = itertools.count(1)
        self.connections = set()
        self.cursors = {}
        self.transactions = {}  # (users, lsid, txnNumber): [document]
        self.stored = {}  # namespace: {_id: document}
        self.changes = []  # [(namespace, _id)] in the order of the inserts
        self.changed = asyncio.Event()  # another one for each change
        self.silent = []  # [(comment, users)] of writes without a reply
        self.counts = {}  # commands by name
        self.logins = 0
        self.opened = 0
        self.cuts = 0
        self.cutting = False
        self.process_id = ObjectId()
        self.add_user("root", "admin", "root's own", {"*": "root"})

    def add_user(self, name, database, password, roles):
        user = User(name, database, next(self.numbers), roles, credentials_of(name, password))
        self.users[database, name] = user
        return user

    # --- control, from the checker

    def control(self, body):
        return getattr(self, "control_" + body["control"])(**body.get("with", {}))

    def control_add(self, name, database, password, roles):
        return {"number": self.add_user(name, database, password, roles).number}

    def control_drop(self, name, database):
        self.users.pop((database, name), None)
        return {}

    def control_password(self, name, database, password):
        self.users[database, name].credentials = credentials_of(name, password)
        return {}

    def control_roles(self, name, database, roles):
        self.users[database, name].roles = roles
        return {}

    def control_cutting(self, on):
        self.cutting = on
        return {}

    def control_cut_all(self):
        for connection in list(self.connections):
            if not connection.controls:
                self.cut(connection)
        return {}

    def control_insert(self, namespace, identifier):
        self.store([(namespace, {"_id": identifier})])
        return {}

    def control_report(self):
        return {"silent": self.silent, "cuts": self.cuts, "counts": self.counts, "logins": self.logins,
                "opened": self.opened, "connections": sum(not one.controls for one in self.connections),
                "stored": [[namespace, document] for namespace, documents in self.stored.items()
                           for document in documents.values()]}

    def store(self, pairs):
        for namespace, document in pairs:
            self.stored.setdefault(namespace, {})[document["_id"]] = document
            self.changes.append((namespace, document["_id"]))
        self.changed.set()
        self.changed = asyncio.Event()

    def cut(self, connection):
        self.cuts += 1
        connection.writer.transport.abort()

    # --- hello

    def hello(self, body, name):
        reply = {"helloOk": True, "topologyVersion": {"processId": self.process_id, "counter": Int64(0)},
                 "maxBsonObjectSize": 16777216, "maxMessageSizeBytes": 48000000, "maxWriteBatchSize": 100000,
                 "logicalSessionTimeoutMinutes": 30, "minWireVersion": 0, "maxWireVersion": 21, "readOnly": False,
                 "setName": "model", "hosts": [self.options.address], "me": self.options.address,
                 "primary": self.options.address, "secondary": False, "setVersion": 1,
                 "electionId": ObjectId("7fffffff0000000000000001")}
        reply["isWritablePrimary" if name == "hello" else "ismaster"] = True
        asked = body.get("saslSupportedMechs")
        if isinstance(asked, str):
            database, _, user = asked.partition(".")
            if (database, user) in self.users:
                reply["saslSupportedMechs"] = list(HASHES)
        return reply


class Connection:
    def __init__(self, model, reader, writer):
        self.model, self.reader, self.writer = model, reader, writer
        self.number = model.opened = model.opened + 1
        self.logged_in = {}  # database: User
        self.conversation = None
        self.controls = False

    def users(self):
        """Without those who were dropped since."""
        users = self.model.users
        return frozenset(user.text for user in self.logged_in.values() if users.get((user.database, user.name)) is user)

    async def serve(self):
        self.model.connections.add(self)
        try:
            while True:
                head = await self.reader.readexactly(16)
                length = int.from_bytes(head[:4], "little")
                message = wire.parse(head + await self.reader.readexactly(length - 16))
                await self.answer(message)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.model.connections.discard(self)
            self.writer.transport.abort()

    async def answer(self, message):
        model, name = self.model, message.command
        model.counts[name] = model.counts.get(name, 0) + 1
        if name == "control":
            self.controls = True
        greets = name in ("hello", "isMaster", "ismaster")
        faults = model.cutting and not self.controls and not greets
        dice = model.chance.random()
        if (faults and dice < model.options.cut / 2) or (
                model.cutting and greets and begins_reading(message.body) and dice < READERS_CUT):
            model.cut(self)  # not executed
            return
        if dice > 0.9 and "comment" in message.body:
            await asyncio.sleep(model.chance.random() * 0.02)
        if name in ("hello", "isMaster", "ismaster") and message.body.get("topologyVersion"):
            await self.await_hello(message)
            return
        await self.await_change(message)
        if name == "getMore" and message.flags & wire.EXHAUST_ALLOWED:
            self.stream(message)
            return
        reply = self.execute(message)
        if message.flags & wire.MORE_TO_COME:
            model.silent.append([message.body.get("comment"), sorted(self.users()), reply["ok"]])
            return
        if faults and dice < model.options.cut:
            frame = self.frame(message, reply)
            self.send(frame[:model.chance.randrange(len(frame))])  # executed, the reply is cut
            await self.flush()
            model.cut(self)
            return
        self.send(self.frame(message, reply))
        await self.flush()

    def send(self, frame):
        """A client may be gone: asyncio would tell that on standard error after some writes."""
        if not self.writer.is_closing():
            self.writer.write(frame)

    async def flush(self):
        await self.writer.drain()

    def frame(self, message, reply, flags=0, response_to=None):
        number = next(wire._ids)
        header = {"request_id": number, "response_to": message.request_id if response_to is None else response_to}
        self.last_id = number
        if message.opcode == wire.OP_QUERY:
            return wire.op_reply(reply, **header)
        return wire.op_msg(reply, flags=flags, **header)

    def stream(self, message):
        """Replies of an exhaust cursor: each but the last announces another."""
        response_to = None
        while True:
            reply = self.execute(message)
            more = reply["ok"] == 1 and reply["cursor"]["id"] != 0
            self.send(self.frame(message, reply, wire.MORE_TO_COME if more else 0, response_to))
            response_to = self.last_id
            if not more or self.writer.is_closing():  # asyncio complains about a fifth write to a lost connection
                return

    async def await_hello(self, message):
        wait = message.body.get("maxAwaitTimeMS", 0) / 1000
        response_to = None
        while True:
            await asyncio.sleep(wait)
            streams = bool(message.flags & wire.EXHAUST_ALLOWED)
            reply = {**self.model.hello(message.body, message.command), "ok": 1.0}
            self.send(self.frame(message, reply, wire.MORE_TO_COME if streams else 0, response_to))
            response_to = self.last_id
            await self.flush()
            if not streams:
                return

    async def await_change(self, message):
        """A getMore on a change stream waits until there is something to tell, up to maxTimeMS."""
        model, body = self.model, message.body
        cursor = model.cursors.get(body["getMore"]) if message.command == "getMore" else None
        if cursor is None or cursor.seen is None:
            return
        loop = asyncio.get_running_loop()
        end = loop.time() + body.get("maxTimeMS", 1000) / 1000
        while not self.news(cursor) and loop.time() < end:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(model.changed.wait(), end - loop.time())

    def news(self, cursor):
        return [identifier for namespace, identifier in self.model.changes[cursor.seen:] if namespace == cursor.namespace]

    # --- commands

    def execute(self, message):
        body, name = message.body, message.command
        users = self.users()
        try:
            handler = getattr(self, "do_" + name, None)
            if name not in OPEN:
                self.authorize(name, body)
            if handler is None:
                raise Refused(59, "CommandNotFound", f"no such command: '{name}'")
            reply = {**handler(message, body, users), "ok": 1.0}
        except Refused as refused:
            reply = dict(refused.reply)
        if "comment" in body:
            reply |= {"echo": body["comment"], "ranAs": sorted(users), "ranOn": self.number}
        return reply

    def authorize(self, name, body):
        if self.model.options.open:
            return
        users = [user for user in self.logged_in.values() if user.text in self.users()]
        if not users:
            raise Refused(13, "Unauthorized", f"Command {name} requires authentication")
        database = body["$db"]
        known = name in READS or name in WRITES or name == "usersInfo"
        if known and not any(user.may(database, name not in READS) for user in users):
            raise Refused(13, "Unauthorized", f"not authorized on {database} to execute command {{ {name}: 1 }}")

    def do_hello(self, message, body, users):
        reply = self.model.hello(body, message.command)
        speculation = body.get("speculativeAuthenticate")
        if isinstance(speculation, dict):
            with contextlib.suppress(Refused):
                reply["speculativeAuthenticate"] = self.sasl_start(speculation, speculation.get("db", "admin"))
        return reply

    do_isMaster = do_ismaster = do_hello  # noqa: N815

    def do_ping(self, message, body, users):
        return {}

    do_endSessions = do_ping  # noqa: N815

    def do_buildInfo(self, message, body, users):  # noqa: N802
        return {"version": "4.4.29", "versionArray": [4, 4, 29, 0]}

    def do_connectionStatus(self, message, body, users):  # noqa: N802
        alive = [user for user in self.logged_in.values() if user.text in users]
        return {"authInfo": {"authenticatedUsers": [{"user": one.name, "db": one.database} for one in alive],
                             "authenticatedUserRoles": [{"role": role, "db": database} for one in alive
                                                        for database, role in one.roles.items()]}}

    def do_control(self, message, body, users):
        return self.model.control(body)

    def do_usersInfo(self, message, body, users):  # noqa: N802
        wanted = body["usersInfo"]
        if isinstance(wanted, dict):
            wanted = [wanted]
        if isinstance(wanted, str):
            wanted = [{"user": wanted, "db": body["$db"]}]
        if not isinstance(wanted, list):
            wanted = [{"user": user.name, "db": user.database} for user in self.model.users.values()]
        found = []
        for one in wanted:
            user = self.model.users.get((one["db"], one["user"]))
            if user is not None:
                found.append(self.described(user, body.get("showCredentials")))
        return {"users": found}

    def described(self, user, with_credentials):
        described = {"_id": f"{user.database}.{user.name}", "userId": Binary(user.number.to_bytes(16, "big"), 4),
                     "user": user.name, "db": user.database, "mechanisms": list(HASHES), "roles": []}
        if with_credentials:
            described["credentials"] = {
                mechanism: {"iterationCount": ITERATIONS, "salt": _text(salt), "storedKey": _text(stored),
                            "serverKey": _text(server)}
                for mechanism, (salt, stored, server) in user.credentials.items()}
        return described

    # --- logins

    def do_saslStart(self, message, body, users):  # noqa: N802
        return self.sasl_start(body, body["$db"])

    def sasl_start(self, body, database):
        mechanism = body.get("mechanism")
        self.conversation = None
        if mechanism not in HASHES:
            raise Refused(18, "AuthenticationFailed", "Authentication failed.")
        bare = bytes(body["payload"]).removeprefix(b"n,,")
        fields = dict(part.split(b"=", 1) for part in bare.split(b","))
        name = fields[b"n"].decode().replace("=2C", ",").replace("=3D", "=")
        user = self.model.users.get((database, name))
        if user is None:
            raise Refused(18, "AuthenticationFailed", "Authentication failed.")
        salt = user.credentials[mechanism][0]
        first = b"r=%s%s,s=%s,i=%d" % (fields[b"r"], base64.b64encode(secrets.token_bytes(18)), base64.b64encode(salt),
                                       ITERATIONS)
        self.conversation = {"user": user, "mechanism": mechanism, "bare": bare, "first": first, "done": False,
                             "short": bool((body.get("options") or {}).get("skipEmptyExchange"))}
        return {"conversationId": 1, "done": False, "payload": Binary(first)}

    def do_saslContinue(self, message, body, users):  # noqa: N802
        conversation, payload = self.conversation, bytes(body["payload"])
        if conversation is None:
            raise Refused(17, "ProtocolError", "No SASL session state found")
        if not conversation["done"]:
            return self.judge(conversation, payload)
        self.conversation = None
        self.log_in(conversation["user"])
        return {"conversationId": 1, "done": True, "payload": Binary(b"")}

    def judge(self, conversation, payload):
        user, digest = conversation["user"], HASHES[conversation["mechanism"]]
        _, stored, server_key = user.credentials[conversation["mechanism"]]
        without, _, proof = payload.partition(b",p=")
        text = b",".join((conversation["bare"], conversation["first"], without))
        signature = hmac.digest(stored, text, digest)
        proof = base64.b64decode(proof)
        key = bytes(a ^ b for a, b in zip(proof, signature, strict=False))
        alive = self.model.users.get((user.database, user.name)) is user
        if not alive or hashlib.new(digest, key).digest() != stored:
            self.conversation = None
            raise Refused(18, "AuthenticationFailed", "Authentication failed.")
        done = conversation["short"]
        if done:
            self.conversation = None
            self.log_in(user)
        else:
            conversation["done"] = True
        return {"conversationId": 1, "done": done,
                "payload": Binary(b"v=" + base64.b64encode(hmac.digest(server_key, text, digest)))}

    def log_in(self, user):
        """As 4.4 does: it replaces the user of the same database, and is added to those of others."""
        self.model.logins += 1
        self.logged_in[user.database] = user

    def do_logout(self, message, body, users):
        self.logged_in.pop(body["$db"], None)
        return {}

    # --- reads and writes

    def do_insert(self, message, body, users):
        documents = [dict(one) for one in message.sequences.get("documents") or body.get("documents", [])]
        namespace = f"{body['$db']}.{body['insert']}"
        for document in documents:
            document["ranAs"] = sorted(users)
        if body.get("autocommit") is False:
            self.statements_of(body, users).extend((namespace, document) for document in documents)
            return {"n": len(documents)}
        self.model.store((namespace, document) for document in documents)
        return {"n": len(documents)}

    def statements_of(self, body, users, end=False):
        key = (users, bytes(body["lsid"]["id"]), body["txnNumber"])
        if body.get("startTransaction"):
            self.model.transactions[key] = []
        elif key not in self.model.transactions:
            raise Refused(251, "NoSuchTransaction", "the transaction is unknown")
        return self.model.transactions.pop(key) if end else self.model.transactions[key]

    def do_commitTransaction(self, message, body, users):  # noqa: N802
        statements = self.statements_of(body, users, end=True)
        self.model.store(statements)
        return {"statements": len(statements)}

    def do_abortTransaction(self, message, body, users):  # noqa: N802
        return {"statements": len(self.statements_of(body, users, end=True))}

    def do_find(self, message, body, users):
        """{label, count} gives so many documents with the label; else what is stored with that _id."""
        namespace, wanted = f"{body['$db']}.{body['find']}", body.get("filter", {})
        if "label" in wanted:
            documents = [{"_id": number, "label": wanted["label"]} for number in range(wanted["count"])]
        else:
            found = self.model.stored.get(namespace, {}).get(wanted.get("_id"))
            documents = [found] if found else []
        return self.batch(namespace, documents, body, users)

    def batch(self, namespace, documents, body, users):
        size = body.get("batchSize", 101)
        rest = documents[size:]
        identifier = 0
        if rest:
            identifier = self.model.chance.getrandbits(62)
            lsid = body.get("lsid")
            lsid = lsid and bytes(lsid["id"])
            self.model.cursors[identifier] = Cursor(users, lsid, namespace, rest)
        return {"cursor": {"firstBatch": documents[:size], "id": Int64(identifier), "ns": namespace}}

    def do_aggregate(self, message, body, users):
        """A change stream, from now on or after the change with the number of its resume token."""
        stage = body["pipeline"][0].get("$changeStream") if body["pipeline"] else None
        if stage is None:
            raise Refused(40324, "Location40324", "this server knows the stage $changeStream only")
        resumed = stage.get("resumeAfter")
        identifier, lsid = self.model.chance.getrandbits(62), body.get("lsid")
        namespace = f"{body['$db']}.{body['aggregate']}"
        self.model.cursors[identifier] = Cursor(users, lsid and bytes(lsid["id"]), namespace, [],
                                                len(self.model.changes) if resumed is None else int(resumed["_data"]))
        return {"cursor": {"firstBatch": [], "id": Int64(identifier), "ns": namespace,
                           "postBatchResumeToken": {"_data": str(self.model.cursors[identifier].seen)}}}

    def told(self, cursor, body):
        batch = []
        for number, (namespace, identifier) in enumerate(self.model.changes[cursor.seen:], cursor.seen + 1):
            if namespace == cursor.namespace:
                batch.append({"_id": {"_data": str(number)}, "operationType": "insert",
                              "ns": dict(zip(("db", "coll"), namespace.split(".", 1), strict=True)),
                              "documentKey": {"_id": identifier}})
        cursor.seen = len(self.model.changes)
        return {"cursor": {"nextBatch": batch, "id": Int64(body["getMore"]), "ns": cursor.namespace,
                           "postBatchResumeToken": {"_data": str(cursor.seen)}}}

    def cursor(self, identifier, body, users):
        cursor = self.model.cursors.get(identifier)
        if cursor is None:
            raise Refused(43, "CursorNotFound", f"cursor id {identifier} not found")
        lsid = body.get("lsid")
        if cursor.users != users or cursor.lsid != (lsid and bytes(lsid["id"])):
            raise Refused(13, "Unauthorized", f"cursor id {identifier} was not created by the authenticated user")
        return cursor

    def do_getMore(self, message, body, users):  # noqa: N802
        identifier = body["getMore"]
        cursor = self.cursor(identifier, body, users)
        if cursor.seen is not None:
            return self.told(cursor, body)
        size = body.get("batchSize", 101)
        documents, cursor.documents = cursor.documents[:size], cursor.documents[size:]
        if not cursor.documents:
            del self.model.cursors[identifier]
        return {"cursor": {"nextBatch": documents, "id": Int64(identifier if cursor.documents else 0),
                           "ns": cursor.namespace}}

    def do_killCursors(self, message, body, users):  # noqa: N802
        killed = [one for one in body["cursors"]
                  if one in self.model.cursors and self.model.cursors[one].users == users]
        for one in killed:
            del self.model.cursors[one]
        return {"cursorsKilled": killed, "cursorsNotFound": [one for one in body["cursors"] if one not in killed],
                "cursorsAlive": [], "cursorsUnknown": []}


def _text(data):
    return base64.b64encode(data).decode()


async def serve(options):
    model = Model(options)
    tasks = set()

    async def accept(reader, writer):
        task = asyncio.current_task()
        tasks.add(task)
        try:
            await Connection(model, reader, writer).serve()
        finally:
            tasks.discard(task)

    listener = await asyncio.start_server(accept, "127.0.0.1", options.port, backlog=4096)
    port = listener.sockets[0].getsockname()[1]
    options.address = f"127.0.0.1:{port}"
    print(port, flush=True)
    end = time.monotonic() + options.seconds
    while time.monotonic() < end:
        await asyncio.sleep(0.5)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cut", type=float, default=0.004, help="the share of commands whose connection is cut")
    parser.add_argument("--open", action="store_true", help="without access control")
    parser.add_argument("--seconds", type=float, default=36000, help="it ends by itself after that time")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
