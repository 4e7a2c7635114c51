"""Clients that take random steps through the proxy, and compare each answer with the one that their user must get."""

import asyncio
import base64
import hashlib
import hmac
import itertools
import secrets
import struct
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field

from bson import Binary, Int64
from support import scram, wire

from .model import HASHES

SHARED = "commons"  # everybody with a login may read there
ANSWER_SECONDS = 60
CURSORS_KEPT = 60
UNAUTHORIZED, NOT_FOUND, WRONG_PROOF, UNKNOWN_COMMAND, NO_TRANSACTION = 13, 43, 18, 59, 251
APPLICATIONS = ("shop", "billing", None)
_salted = {}


@dataclass(eq=False)
class Account:
    name: str
    database: str  # of its login; the collections of database `name` are its own
    number: int
    password: str
    roles: dict
    created: float = field(default_factory=time.monotonic)
    dropping: float | None = None  # when the command that drops it was sent
    dropped: float | None = None  # when it was answered
    passwords: list = field(default_factory=list)  # earlier ones: (password, when the change was sent, answered)
    changing: float | None = None  # a change of its password is under way since
    judged: float | None = None  # when a login with the present password was first answered

    @property
    def text(self):
        return f"{self.name}@{self.database}#{self.number}"

    def states(self, begin, end):
        """Whether it existed in that time: {True}, {False} or both."""
        if self.dropping is None or self.dropping > end:
            return {True}
        return {False} if self.dropped is not None and self.dropped < begin else {True, False}

    def is_new(self, since):
        """Whether it came, or its password changed, after that time."""
        return self.created > since or any(answered > since for _, _, answered in self.passwords)

    def may(self, database, write):
        role = self.roles.get(database)
        return role == "readWrite" or (role == "read" and not write)


@dataclass
class Writer:
    client: object
    accounts: list
    begin: float
    end: float | None = None  # None: its answer did not come

    def identities(self):
        return identities(self.accounts, self.begin, self.end or self.begin + ANSWER_SECONDS)


def identities(accounts, begin, end):
    """The possible users in that time of a connection on which these were logged in."""
    possible = {frozenset()}
    for account in accounts:
        possible = {one | ({account} if alive else set()) for one in possible for alive in account.states(begin, end)}
    return possible


class Violations(list):
    def note(self, kind, client, text):
        if len(self) < 200:
            self.append(f"{kind}: client {client.number} as {client.expected_text()}: {text}")


@dataclass
class World:
    """What all clients share."""

    address: tuple
    chance: object
    accounts: list
    violations: Violations = field(default_factory=Violations)
    operations: Counter = field(default_factory=Counter)
    lost: int = 0  # connections that ended though their client did not end them
    lost_reasons: Counter = field(default_factory=Counter)
    refused_logins: int = 0
    cursors: list = field(default_factory=list)  # open ones: (id, users, lsid, namespace, label, next)
    # whose writes these are, for the end: {comment of a write without a reply, or _id: Writer}
    silent: dict = field(default_factory=dict)
    inserted: dict = field(default_factory=dict)
    numbers: object = field(default_factory=lambda: itertools.count(1))
    stale_seconds: float = 0.0  # for that long the proxy may know an earlier password, or not yet a user
    small_limits: bool = False  # the proxy refuses commands also in quiet phases
    single_user: bool = False  # the proxy may refuse a login as another user on a connection that has one
    ended: bool = False
    epoch: int = 0  # when it grows, every client connects anew
    quiet: bool = False  # nothing is cut, dropped or changed: every command must be answered

    def token(self):
        return next(self.numbers)


class Lost(Exception):
    pass


class Client:
    def __init__(self, world, number):
        self.world, self.number = world, number
        self.chance = world.chance
        self.logged_in = {}  # database: Account
        self.reader = self.stream = None
        self.lsid = uuid.uuid4().bytes
        self.txn_number = self.request_id = 0
        self.application = APPLICATIONS[number % len(APPLICATIONS)]

    def expected_text(self):
        return sorted(account.text for account in self.logged_in.values()) or "nobody"

    # --- the connection

    async def run(self):
        while not self.world.ended:
            try:
                if self.stream is None or self.epoch != self.world.epoch:
                    self.disconnect()
                    await self.connect()
                await self.step()
            except (Lost, ConnectionError, asyncio.IncompleteReadError, OSError) as error:
                self.disconnect()
                if not self.world.ended:
                    self.world.lost += 1
                    self.world.lost_reasons[type(error).__name__] += 1
                    await asyncio.sleep(0.02 * self.chance.random())
        self.disconnect()

    async def connect(self):
        self.epoch, self.request_id = self.world.epoch, self.chance.randrange(3)
        self.reader, self.stream = await asyncio.open_connection(*self.world.address)
        metadata = {"driver": {"name": "crossing", "version": "1"}, "os": {"type": "Linux"}}
        if self.application:
            metadata["application"] = {"name": self.application}
        if self.chance.random() < 0.9:
            await self.ask({"hello": 1, "client": metadata})
        if self.chance.random() < 0.7:
            await self.log_in()

    def disconnect(self):
        if self.stream is not None:
            self.stream.transport.abort()
        self.reader = self.stream = None
        self.logged_in = {}

    def send(self, body, flags=0, sequences=None):
        # as drivers do, each client counts from 1: the numbers of different clients are the same ones
        self.request_id += 1
        self.stream.write(wire.op_msg({**body, "$db": body.get("$db", "admin")}, sequences, flags=flags,
                                      request_id=self.request_id))
        return self.request_id

    async def receive(self, request_id):
        reply = await asyncio.wait_for(self.read(), ANSWER_SECONDS)
        if reply.response_to != request_id:
            self.violation("answer", f"it answers request {reply.response_to} in place of {request_id}: {reply.body}")
            raise Lost
        return reply

    async def read(self):
        head = await self.reader.readexactly(16)
        return wire.parse(head + await self.reader.readexactly(struct.unpack("<i", head[:4])[0] - 16))

    async def ask(self, body, flags=0, sequences=None):
        request_id = self.send(body, flags, sequences)
        try:
            return (await self.receive(request_id)).body
        except asyncio.TimeoutError:
            self.violation("answer", f"no answer to {body} within {ANSWER_SECONDS} s")
            raise Lost from None

    def violation(self, kind, text):
        self.world.violations.note(kind, self, text)

    # --- what an answer may be

    def identities(self, begin):
        """The possible users of a command that was sent at `begin` and has just been answered."""
        return identities(self.logged_in.values(), begin, time.monotonic())

    def writer_now(self):
        return Writer(self, list(self.logged_in.values()), time.monotonic())

    async def checked(self, body, allowed, flags=0, sequences=None):
        """Sends a command with a comment. `allowed(users)`: the codes of a correct answer to these users; 0: success.
        Returns the body."""
        token = self.world.token()
        begin = time.monotonic()
        body = {**body, "comment": token}
        self.world.operations[next(iter(body))] += 1
        reply = await self.ask(body, flags, sequences)
        self.judge(body, reply, begin, allowed)
        return reply

    def judge(self, body, reply, begin, allowed):
        if reply.get("echo") != body["comment"]:
            if reply.get("ok") == 0 and self.proxys_own(reply):
                return
            self.violation("answer", f"{body} got {reply}")
            return
        ran_as = set(reply["ranAs"])
        possible = {frozenset(one.text for one in users): users for users in self.identities(begin)}
        users = possible.get(frozenset(ran_as))
        if users is None:
            self.violation("identity", f"{body} ran as {sorted(ran_as) or 'nobody'} on {reply['ranOn']}")
            return
        code = 0 if reply["ok"] == 1 else reply.get("code")
        if code not in allowed(users):
            self.violation("outcome", f"{body} as {sorted(ran_as)} got {reply}, allowed: {allowed(users)}")

    def proxys_own(self, reply):
        """An error that the proxy gives by itself: it says so."""
        self.world.operations["refused by the proxy"] += 1
        if self.world.quiet and not self.world.small_limits:
            self.violation("outcome", f"the proxy refused a command: {reply}")
        text = reply.get("errmsg", "")
        return "mongosluice" in text or "pool" in text or "SystemOverloadedError" in reply.get("errorLabels", ())

    def rights(self, database, write):
        """Without a database: those of any user."""
        def allowed(users):
            may = users if database is None else any(user.may(database, write) for user in users)
            return {0} if may else {UNAUTHORIZED}
        return allowed

    # --- steps

    async def step(self):
        kinds, weights = zip(*STEPS, strict=True)
        await self.chance.choices(kinds, weights)[0](self)
        if self.chance.random() < 0.3:
            await asyncio.sleep(0.02 * self.chance.random())

    def database(self):
        """Mostly one that the user may use."""
        own = [database for account in self.logged_in.values() for database in account.roles]
        if own and self.chance.random() < 0.75:
            return self.chance.choice(own)
        return self.chance.choice([*(account.name for account in self.world.accounts[-8:]), SHARED])

    async def ping(self):
        await self.checked({"ping": 1}, lambda users: {0})

    async def unknown(self):
        await self.checked({"noSuchCommand": 1}, lambda users: {UNKNOWN_COMMAND} if users else {UNAUTHORIZED})

    async def greet(self):
        body = {"hello": 1}
        if self.chance.random() < 0.3 and self.world.accounts:
            account = self.chance.choice(self.world.accounts)
            body["saslSupportedMechs"] = f"{account.database}.{account.name}"
        reply = await self.ask(body)
        if reply.get("ok") != 1 and not self.proxys_own(reply):
            self.violation("outcome", f"hello got {reply}")

    async def status(self):
        begin = time.monotonic()
        reply = await self.checked({"connectionStatus": 1}, lambda users: {0})
        if "authInfo" not in reply:
            return
        told = frozenset((one["user"], one["db"]) for one in reply["authInfo"]["authenticatedUsers"])
        if told not in {frozenset((one.name, one.database) for one in users) for users in self.identities(begin)}:
            self.violation("identity", f"connectionStatus says {sorted(told)}")

    async def find(self):
        database, label = self.database(), self.world.token()
        begin = time.monotonic()
        size = self.chance.randrange(1, 5)
        with_session = self.chance.random() < 0.6
        body = {"find": "numbers", "$db": database, "filter": {"label": label, "count": self.chance.randrange(9)},
                "batchSize": size}
        if with_session:
            body["lsid"] = {"id": Binary(self.lsid, 4)}
        reply = await self.checked(body, self.rights(database, write=False))
        if reply.get("ok") != 1 or "cursor" not in reply:
            return
        self.documents(reply["cursor"]["firstBatch"], label, 0)
        if reply["cursor"]["id"]:
            users = self.identities(begin)
            if len(users) == 1:
                self.world.cursors.append((reply["cursor"]["id"], users.pop(), self.lsid if with_session else None,
                                           database, label, len(reply["cursor"]["firstBatch"])))
                del self.world.cursors[:-CURSORS_KEPT]

    def documents(self, documents, label, first):
        wanted = [{"_id": first + at, "label": label} for at in range(len(documents))]
        if documents != wanted:
            self.violation("answer", f"documents of {label} from {first}: {documents}")

    async def get_more(self):
        """On a cursor of its own, of another connection of its user, or of another user."""
        if not self.world.cursors:
            return await self.find()
        at = self.chance.randrange(len(self.world.cursors))
        identifier, owners, lsid, database, label, first = self.world.cursors.pop(at)  # nobody else uses it meanwhile
        exhaust = frozenset(self.logged_in.values()) == owners and self.chance.random() < 0.2
        used = lsid if exhaust or self.chance.random() < 0.8 else secrets.token_bytes(16)
        body = {"getMore": Int64(identifier), "$db": database, "collection": "numbers",
                "batchSize": self.chance.randrange(1, 5)}
        if used is not None:
            body["lsid"] = {"id": Binary(used, 4)}

        def allowed(users):
            right = users == owners and used == lsid and any(user.may(database, False) for user in users)
            return {0} if right else {UNAUTHORIZED}
        if exhaust:
            return await self.exhaust(body, allowed, label, first)
        reply = await self.checked(body, allowed)
        if reply.get("ok") == 1 and "cursor" in reply:
            batch = reply["cursor"]["nextBatch"]
            self.documents(batch, label, first)
            first += len(batch)
        if reply.get("ok") != 1 or reply["cursor"]["id"]:
            self.world.cursors.append((identifier, owners, lsid, database, label, first))
        return None

    async def exhaust(self, body, allowed, label, first):
        token = self.world.token()
        body = {**body, "comment": token}
        self.world.operations["exhaust getMore"] += 1
        begin = time.monotonic()
        request_id = self.send(body, wire.EXHAUST_ALLOWED)
        while True:
            reply = await self.receive(request_id)
            self.judge(body, reply.body, begin, allowed)
            if reply.body.get("ok") == 1 and "cursor" in reply.body:
                batch = reply.body["cursor"]["nextBatch"]
                self.documents(batch, label, first)
                first += len(batch)
            if not reply.flags & wire.MORE_TO_COME:
                return
            request_id = reply.request_id

    async def insert(self):
        database = self.database()
        document = {"_id": self.world.token(), "by": self.number}
        await self.checked({"insert": "c", "$db": database}, self.rights(database, write=True),
                           sequences={"documents": [document]})

    async def plain_insert(self):
        """As drivers send it, so that the proxy may merge it: the stored document tells who wrote it."""
        database = self.database()
        document = {"_id": f"plain {self.world.token()}", "by": self.number}
        begin = time.monotonic()
        self.world.operations["plain insert"] += 1
        writer = self.world.inserted[document["_id"]] = self.writer_now()
        reply = await self.ask({"insert": "c", "$db": database, "ordered": True}, sequences={"documents": [document]})
        possible = self.identities(begin)
        allowed = set().union(*(self.rights(database, write=True)(users) for users in possible))
        writer.end = time.monotonic()
        code = 0 if reply["ok"] == 1 and reply.get("n") == 1 else reply.get("code")
        if code not in allowed and not (code and self.proxys_own(reply)):
            self.violation("outcome", f"a plain insert into {database} got {reply}, allowed: {allowed}")

    async def silent_insert(self):
        """Writes without replies; the next acknowledged command of this client sees them."""
        own = [database for account in self.logged_in.values()
               for database, role in account.roles.items() if role == "readWrite"]
        if not own:
            return await self.ping()
        database = self.chance.choice(own)
        begin, identifier = time.monotonic(), None
        writer = self.writer_now()
        for _ in range(self.chance.randrange(1, 4)):
            token, identifier = self.world.token(), f"silent {self.world.token()}"
            # noted before the answer: the write may be executed even if the connection is lost now
            self.world.silent[token] = writer
            self.world.operations["insert w:0"] += 1
            self.send({"insert": "c", "$db": database, "comment": token, "writeConcern": {"w": 0}},
                      wire.MORE_TO_COME, {"documents": [{"_id": identifier, "by": self.number}]})
        if self.chance.random() < 0.7:  # so that the proxy has no more of this client's while the write runs
            await asyncio.sleep(0.005 * self.chance.random())
        if self.chance.random() < 0.2:  # answered by the proxy: it acknowledges nothing
            await self.greet()
        reply = await self.checked({"find": "c", "$db": database, "filter": {"_id": identifier}},
                                   self.rights(database, write=False))
        writer.end = time.monotonic()
        alive = all(account.states(begin, time.monotonic()) == {True} for account in self.logged_in.values())
        if alive and reply.get("ok") == 1 and "cursor" in reply and not reply["cursor"]["firstBatch"]:
            self.violation("order", f"the write without a reply is not seen by the next command: {reply}")

    async def transaction(self):
        """Its statements go over this client and others of its user."""
        own = [database for account in self.logged_in.values()
               for database, role in account.roles.items() if role == "readWrite"]
        if not own:
            return await self.ping()
        database = self.chance.choice(own)
        self.txn_number += 1
        session = {"lsid": {"id": Binary(uuid.uuid4().bytes, 4)}, "txnNumber": Int64(self.txn_number),
                   "autocommit": False}
        count, began_as = self.chance.randrange(1, 5), None

        def goes_on(rights):  # it belongs to the users who began it
            def allowed(users):
                changed = began_as is not None and sorted(one.text for one in users) != began_as
                return {NO_TRANSACTION} if changed and rights(users) == {0} else rights(users)
            return allowed

        for number in range(count):
            document = {"_id": f"transaction {self.world.token()}", "by": self.number}
            body = {"insert": "c", "$db": database, **session}
            if number == 0:
                body["startTransaction"] = True
            reply = await self.checked(body, goes_on(self.rights(database, write=True)),
                                       sequences={"documents": [document]})
            if reply.get("ok") != 1 or "ranAs" not in reply:
                return None
            began_as = began_as or reply["ranAs"]
        end = self.chance.choice(["commitTransaction", "commitTransaction", "abortTransaction"])
        reply = await self.checked({end: 1, "$db": "admin", **session}, goes_on(self.rights(None, write=True)))
        if reply.get("ok") == 1 and reply.get("statements") != count:
            self.violation("order", f"a transaction of {count} statements ended with {reply}")
        return None

    async def pipeline(self):
        """Several commands in one send, as no driver does, perhaps a logout among them: their answers come in order."""
        begin = time.monotonic()
        bodies = []
        for _ in range(self.chance.randrange(2, 6)):
            database = self.database()
            bodies.append(({"find": "numbers", "$db": database, "comment": self.world.token(),
                            "filter": {"label": 1, "count": 2}}, self.rights(database, write=False)))
        if self.logged_in and self.chance.random() < 0.2:
            bodies.insert(self.chance.randrange(len(bodies)),
                          ({"logout": 1, "$db": self.chance.choice(list(self.logged_in))}, None))
        ids = [self.send(body) for body, _ in bodies]
        for (body, allowed), request_id in zip(bodies, ids, strict=True):
            self.world.operations["pipelined"] += 1
            reply = (await self.receive(request_id)).body
            if allowed is not None:
                self.judge(body, reply, begin, allowed)
            else:
                self.note_logout(body["$db"], reply)

    async def leave(self):
        """Ends the connection while a command may run."""
        if self.chance.random() < 0.6:
            for _ in range(self.chance.randrange(1, 4)):
                self.send({"find": "numbers", "$db": self.database(), "comment": self.world.token(),
                           "filter": {"label": 2, "count": 3}})
            if self.chance.random() < 0.5:
                await asyncio.sleep(0.004)
        self.disconnect()
        self.world.operations["left"] += 1

    # --- identities

    def account(self):
        alive = [one for one in self.world.accounts if one.dropping is None]
        return self.chance.choice(alive) if alive else None

    async def log_in(self, wrong=False):
        account = self.account()
        if account is None:
            return
        begin = time.monotonic()
        password, changing = account.password, account.changing
        second = self.world.single_user and any(one is not account for one in self.logged_in.values())
        if wrong:
            old = [one for one, _, changed in account.passwords
                   if changed is not None and changed + self.world.stale_seconds < begin]
            password = old[-1] if old and self.chance.random() < 0.5 else "never this"
        mechanism = self.chance.choice(list(HASHES))
        reply = await self.converse(account, password, mechanism, self.chance.random() < 0.5,
                                    self.chance.random() < 0.7, 0.2)
        if reply is None:
            return
        self.world.operations["login" if not wrong else "wrong login"] += 1
        first = account.judged is None or account.judged > begin
        answered = reply.get("ok") == 1 or reply.get("code") == WRONG_PROOF
        if answered and not wrong and account.password == password and account.judged is None:
            account.judged = time.monotonic()
        # While the upstream does not tell users, it takes a refusal for the proxy to doubt what it knows.
        doubts = first and self.world.stale_seconds > 0
        if reply.get("ok") == 1:
            if wrong and not (doubts and password in [one for one, _, _ in account.passwords]):
                self.violation("login", f"{account.text} logged in with a wrong password {password!r}: {reply}")
            self.logged_in[account.database] = account
            if self.chance.random() < 0.2:
                await self.silent_insert()
            return
        self.world.refused_logins += 1
        changed = (second or doubts or changing is not None or account.changing is not None or account.password != password
                   or account.states(begin, time.monotonic()) != {True} or account.is_new(begin - self.world.stale_seconds))
        if reply.get("code") != WRONG_PROOF and not self.proxys_own(reply):
            self.violation("login", f"a refused login of {account.text} got {reply}")
        elif not wrong and not changed and not self.proxys_own_quietly(reply):
            self.violation("login", f"{account.text} was refused with the right password: {reply}")

    def proxys_own_quietly(self, reply):
        text = reply.get("errmsg", "")
        return (self.world.small_limits or not self.world.quiet) and ("mongosluice" in text or "pool" in text)

    async def converse(self, account, password, mechanism, speculative, short, between):
        """A whole conversation; None if this side left it half-way."""
        bare = b"n=%s,r=%s" % (account.name.encode(), base64.b64encode(secrets.token_bytes(18)))
        start = {"saslStart": 1, "mechanism": mechanism, "payload": Binary(b"n,," + bare), "autoAuthorize": 1}
        if short:
            start["options"] = {"skipEmptyExchange": True}
        if speculative:
            hello = await self.ask({"hello": 1, "speculativeAuthenticate": {**start, "db": account.database}})
            if hello.get("ok") != 1:
                return hello
            reply = hello.get("speculativeAuthenticate") or {"ok": 0.0, "code": WRONG_PROOF}
            reply = {"ok": 1.0, **reply}
        else:
            reply = await self.ask({**start, "$db": account.database})
        if reply["ok"] != 1:
            return reply
        if self.chance.random() < between:  # in the midst of it the identity is still the earlier one
            await self.ping()
        if self.chance.random() < 0.05:
            self.world.operations["login left half-way"] += 1
            return None
        step = {"saslContinue": 1, "conversationId": reply["conversationId"], "$db": account.database}
        reply = await self.ask({**step, "payload": Binary(self.proof(account, password, mechanism, bare,
                                                                      bytes(reply["payload"])))})
        if reply["ok"] == 1 and not reply["done"]:
            reply = await self.ask({**step, "payload": Binary(b"")})
        return reply

    def proof(self, account, password, mechanism, bare, challenge):
        digest = HASHES[mechanism]
        fields = dict(part.split(b"=", 1) for part in challenge.split(b","))
        key = (mechanism, account.name, password, fields[b"s"])
        if key not in _salted:
            _salted[key] = hashlib.pbkdf2_hmac(digest, scram._secret(mechanism, account.name, password),
                                               base64.b64decode(fields[b"s"]), int(fields[b"i"]))
        client_key = hmac.digest(_salted[key], b"Client Key", digest)
        without = b"c=biws,r=" + fields[b"r"]
        signature = hmac.digest(hashlib.new(digest, client_key).digest(), b",".join((bare, challenge, without)), digest)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        return without + b",p=" + base64.b64encode(proof)

    async def log_in_wrongly(self):
        await self.log_in(wrong=True)

    async def log_out(self):
        database = self.chance.choice([*self.logged_in, "admin"])
        reply = await self.ask({"logout": 1, "$db": database})
        self.world.operations["logout"] += 1
        self.note_logout(database, reply)

    def note_logout(self, database, reply):
        if reply.get("ok") == 1:
            self.logged_in.pop(database, None)
        elif not self.proxys_own(reply):
            self.violation("outcome", f"logout got {reply}")


STEPS = [(Client.ping, 6), (Client.find, 10), (Client.get_more, 12), (Client.insert, 5), (Client.plain_insert, 6),
         (Client.silent_insert, 4), (Client.transaction, 3), (Client.pipeline, 2), (Client.status, 3),
         (Client.greet, 2), (Client.unknown, 1), (Client.log_in, 2), (Client.log_in_wrongly, 1), (Client.log_out, 1),
         (Client.leave, 1)]
