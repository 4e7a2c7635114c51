"""Plays sequences of authentication commands and inserts through the proxy and directly, and compares the outcome.

Logins on one connection are unfinished, interleaved, doubled, with wrong types, without replies. Each play runs
twice, through a proxy that merges and directly on the
server, while alice's connections keep the proxy busy with inserts that the play's inserts may join. The inserts
must have the same outcome both times.

    python tests/attack/identity_play.py --seconds 600 --seed 7
"""

import argparse
import base64
import contextlib
import random
import secrets
import struct
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "integration"))

import bson
from bson import Binary, Code, Int64
from bson.son import SON
from support import scram, wire
from support.endpoint import Endpoint
from support.proxy import Proxy
from support.servers import PASSWORD, USER, start_secure_server

ALICE, BOB = "alice", "bob"
PASSWORDS = {ALICE: "alice's own", BOB: "bob's own"}
MECHANISMS = ["SCRAM-SHA-256", "SCRAM-SHA-1"]
BUSY = 5


def start_server(folder):
    """alice may write to d, bob may not. Without a login no command is allowed."""
    server = start_secure_server(folder / "data", None)
    with server.endpoint.client() as client:
        for user, database in ((ALICE, "d"), (BOB, "elsewhere")):
            client.admin.command("createUser", user, pwd=PASSWORDS[user], mechanisms=MECHANISMS,
                                 roles=[{"role": "readWrite", "db": database}])
    return server


class Scene:
    """A proxy before the server. Clients of alice's keep it busy. With `options`, the proxy has an account."""

    def __init__(self, server, options=None):
        self.server = server
        at = self.server.endpoint
        self.direct = Endpoint(at.address, at.replica_set)
        account = Endpoint(at.address, at.replica_set, None, USER, PASSWORD)
        busy = {"threads": 1, "merge.enabled": "true", "stats_period_ms": 100}
        self.proxy = Proxy((account if options else self.direct).uri(), {**busy, **(options or {})},
                           endpoint=Endpoint("", at.replica_set, None, USER, PASSWORD))
        self.through = self.proxy.endpoint()
        self._end = threading.Event()
        self._ready = threading.Barrier(BUSY + 1)
        self._threads = [threading.Thread(target=self._keep_busy, daemon=True) for _ in range(BUSY)]
        for thread in self._threads:
            thread.start()
        self._ready.wait(30)

    def _keep_busy(self):
        with wire.RawClient(self.through) as client:
            reply, _ = scram.authenticate(client, MECHANISMS[0], ALICE, PASSWORDS[ALICE], speculative=True)
            assert reply["done"], reply
            self._ready.wait(30)
            while not self._end.is_set():
                name = f"busy {uuid.uuid4()}"
                reply = client.command({"insert": "c", "$db": "d", "ordered": True, "documents": [{"_id": name}]})
                assert reply.get("n") == 1, reply

    def stored(self, prefix):
        with self.server.endpoint.client() as client:
            return {one["_id"] for one in client["d"]["c"].find({"_id": {"$regex": f"^{prefix}"}})}

    def close(self):
        self._end.set()
        for thread in self._threads:
            thread.join(30)
        self.proxy.finish()


# --- one side of a play

class Side:
    """A connection that takes the steps of a play. The name of each document begins with `prefix`."""

    def __init__(self, endpoint, prefix):
        self.client = wire.RawClient(endpoint)
        self.prefix = prefix
        self.session = Binary(uuid.uuid4().bytes, 4)
        self.starts = {}  # our nonce: (mechanism, user, first-bare)
        self.challenge = None  # the server's last
        self.outcomes = []
        self.sent = 0

    # sent bytes

    def first(self, user, mechanism):
        nonce = base64.b64encode(secrets.token_bytes(18))
        bare = b"n=" + user.encode() + b",r=" + nonce
        self.starts[nonce] = (mechanism, user, bare)
        return b"n,," + bare

    def proof(self, password_of):
        """Returns the client-final-message for the last challenge, of whichever conversation."""
        payload = self.challenge["payload"]
        payload = base64.b64decode(payload) if isinstance(payload, str) else bytes(payload)
        for nonce, (mechanism, user, bare) in self.starts.items():
            if b"r=" + nonce in payload:
                secret = scram._secret(mechanism, user, PASSWORDS[password_of or user])
                return scram.final_message(mechanism, secret, bare, payload)[0]
        return b"c=biws,r=none,p=bm9uZQ=="

    def send(self, pairs, flags=0, in_query=False):
        if in_query:
            self.client.send(wire.op_query(SON(pairs)))
        else:
            self.client.send(wire.op_msg(raw(pairs), flags=flags))

    def note(self, body):
        """A challenge comes in a reply, or in the reply to a hello."""
        inner = body.get("speculativeAuthenticate", body)
        if isinstance(inner, dict) and not inner.get("done") and inner.get("payload") and "conversationId" in inner:
            self.challenge = inner

    def receive(self):
        body = self.client.receive().body
        self.note(body)
        return body

    def insert_message(self, numbered):
        self.sent += 1
        body = [("insert", "c"), ("ordered", True), ("$db", "d")]
        if numbered:
            body += [("lsid", {"id": self.session}), ("txnNumber", Int64(self.sent))]
        return wire.op_msg(SON(body), {"documents": [{"_id": f"{self.prefix}{self.sent}"}]})

    def insert(self, numbered=False):
        self.client.send(self.insert_message(numbered))
        self.outcomes.append(outcome(self.receive()))

    # steps

    def run(self, steps):
        try:
            for name, arguments in steps:
                getattr(self, name)(**arguments)
        except (ConnectionError, TimeoutError) as error:
            self.outcomes.append(type(error).__name__)
        finally:
            self.client.socket.close()

    def command(self, pairs, *, flags=0, in_query=False, insert_behind=False):
        """Sends it; insert_behind: with an insert in the same send."""
        self.send(pairs, flags, in_query)
        if insert_behind:
            self.client.send(self.insert_message(False))
        if not flags & wire.MORE_TO_COME:
            self.receive()
        if insert_behind:
            self.outcomes.append(outcome(self.receive()))

    def inserts(self, count, numbered=False):
        for _ in range(count):
            self.insert(numbered)

    def start(self, users, *, mechanism=MECHANISMS[0], value=1, form="binary", shuffle=0, database="admin", **more):
        """saslStart. With several users the payload field stands there several times."""
        pairs = [("mechanism", mechanism)]
        pairs += [("payload", payload_form(self.first(user, mechanism), form)) for user in users]
        pairs += [("options", {"skipEmptyExchange": True})]
        pairs = rotate(pairs, shuffle)
        self.command([("saslStart", value), *pairs, ("$db", database)], **more)

    def speculate(self, specs, *, hello="hello", around=(), **more):
        pairs = [("speculativeAuthenticate", self.speculation(spec)) for spec in specs]
        self.command([(hello, 1), *pairs, *around, ("$db", "admin")], **more)

    def speculation(self, spec):
        kind, user = spec
        if kind == "odd":
            return user
        inner = [("saslStart", 1), ("mechanism", MECHANISMS[0]),
                 ("payload", Binary(self.first(user, MECHANISMS[0]))), ("db", "admin")]
        if kind == "disguised":  # The server supports SCRAM only, and the first field names another mechanism.
            inner = [("authenticate", 1), ("user", user), *inner]
        elif kind == "authenticate":
            inner = [("authenticate", 1), ("mechanism", "MONGODB-X509"), ("user", user), ("db", "$external")]
        return SON(inner)

    def go_on(self, *, password_of=None, conversation=None, payload=None, database="admin", twice=False, **more):
        """saslContinue for the last challenge. Without one only the insert goes, so that both sides of a play send the
        same inserts: the server may give a challenge where the proxy's own login refuses."""
        if self.challenge is None and payload is None:
            if more.get("insert_behind"):
                self.insert()
            return
        final = Binary(self.proof(password_of) if payload is None else payload)
        identifier = self.challenge["conversationId"] if conversation is None else conversation
        pairs = [("saslContinue", 1), ("conversationId", identifier), ("payload", final)]
        if twice:
            pairs.insert(2, ("payload", Binary(b"")))
        self.command([*pairs, ("$db", database)], **more)

    def log_in(self, user, mechanism=MECHANISMS[0]):
        self.start([user], mechanism=mechanism)
        self.go_on()

    def log_out(self, databases=("admin",), **more):
        self.command([("logout", 1), *(("$db", one) for one in databases)], **more)

    def authenticate(self, user, mechanism, **more):
        self.command([("authenticate", 1), ("mechanism", mechanism), ("user", user), ("$db", "$external")], **more)


class Symbol:
    """A string of the deprecated type symbol, which drivers no longer send."""

    def __init__(self, text):
        self.text = text


def raw(pairs):
    """A document that may hold a field twice. Lists of pairs in it are documents too."""
    body = b"".join(_element(name, value) for name, value in pairs)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def _element(name, value):
    if isinstance(value, Symbol):
        text = value.text.encode() + b"\0"
        return b"\x0e" + name.encode() + b"\0" + struct.pack("<i", len(text)) + text
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return b"\x03" + name.encode() + b"\0" + raw(value)
    return bson.encode({name: value})[4:-1]


def rotate(pairs, by):
    by %= len(pairs)
    return pairs[by:] + pairs[:by]


def payload_form(payload, form):
    if form == "base64":
        return base64.b64encode(payload).decode()
    return Binary(payload, 0 if form == "binary" else 128)


def outcome(body):
    return "stored" if body.get("ok") and body.get("n") == 1 else f"code {body.get('code')}"


# --- plays written by hand

def step(name, **arguments):
    return name, arguments


INSERTS = step("inserts", count=6)
NUMBERED = step("inserts", count=4, numbered=True)
SILENT = {"flags": wire.MORE_TO_COME}
BOB_TWICE = [("odd", 1), ("scram", BOB)]

PLAYS = {
    # no credentials: a hello whose first step only begins
    "a hello that only begins": [step("speculate", specs=[("disguised", ALICE)]), INSERTS],
    "the same with ismaster": [step("speculate", specs=[("disguised", ALICE)], hello="ismaster"), INSERTS],
    "the same with isMaster as OP_QUERY": [
        step("speculate", specs=[("disguised", ALICE)], hello="isMaster", in_query=True), INSERTS],
    "a plain speculation": [step("speculate", specs=[("scram", ALICE)]), INSERTS],
    "an authenticate that nobody takes": [step("speculate", specs=[("authenticate", ALICE)]), INSERTS],
    "the disguise after bob's own login": [
        step("log_in", user=BOB), step("speculate", specs=[("disguised", ALICE)]), INSERTS],
    "the disguise twice": [step("speculate", specs=[("disguised", ALICE), ("disguised", ALICE)]), INSERTS],
    "numbered inserts after the disguise": [step("speculate", specs=[("disguised", ALICE)]), NUMBERED],
    # bob's proof for alice's claim
    "alice's start, bob's hello of two, bob's proof": [
        step("start", users=[ALICE]), step("speculate", specs=BOB_TWICE), step("go_on"), INSERTS],
    "the two the other way round": [
        step("start", users=[ALICE]), step("speculate", specs=BOB_TWICE[::-1]), step("go_on"), INSERTS],
    "alice's start, two hellos of bob's": [
        step("start", users=[ALICE]), step("speculate", specs=[("scram", BOB), ("scram", BOB)]), step("go_on"), INSERTS],
    "alice's start after bob's hello": [
        step("speculate", specs=[("scram", BOB)]), step("start", users=[ALICE]), step("go_on", password_of=BOB), INSERTS],
    "a start with both payloads, bob's last": [step("start", users=[ALICE, BOB]), step("go_on"), INSERTS],
    "a start with both payloads, alice's last": [
        step("start", users=[BOB, ALICE]), step("go_on", password_of=BOB), INSERTS],
    "alice's start without a reply, bob's login": [
        step("start", users=[ALICE], **SILENT), step("log_in", user=BOB), INSERTS],
    "bob's login, alice's start without a reply": [
        step("log_in", user=BOB), step("start", users=[ALICE], **SILENT), INSERTS],
    "bob's proof without a reply": [step("start", users=[BOB]), step("go_on", **SILENT), INSERTS],
    "alice's proof without a reply": [step("start", users=[ALICE]), step("go_on", **SILENT), INSERTS],
    "alice's proof without a reply, then out": [
        step("start", users=[ALICE]), step("go_on", **SILENT), step("log_out", **SILENT), INSERTS],
    "alice's start in another database": [step("start", users=[ALICE], database="d"), step("go_on"), INSERTS],
    "a payload as base64": [step("start", users=[BOB], form="base64"), step("go_on"), INSERTS],
    "the wrong proof": [step("start", users=[ALICE]), step("go_on", password_of=BOB), INSERTS],
    "the wrong proof after bob's login": [
        step("log_in", user=BOB), step("start", users=[ALICE]), step("go_on", password_of=BOB), INSERTS],
    "a proof with the payload twice": [step("start", users=[BOB]), step("go_on", twice=True), INSERTS],
    "an empty proof": [step("start", users=[ALICE]), step("go_on", payload=b""), INSERTS],
    "a conversation of nobody's": [step("go_on", conversation=1, payload=b"c=biws,r=x,p=eA=="), INSERTS],
    "an insert in one breath with alice's start": [step("start", users=[ALICE], insert_behind=True), INSERTS],
    "an insert in one breath with the disguise": [
        step("speculate", specs=[("disguised", ALICE)], insert_behind=True), INSERTS],
    "inserts in the midst of alice's login": [
        step("start", users=[ALICE]), INSERTS, step("go_on", insert_behind=True), INSERTS],
    # logging out
    "alice out": [step("log_in", user=ALICE), INSERTS, step("log_out"), INSERTS],
    "alice out, of two databases": [
        step("log_in", user=ALICE), INSERTS, step("log_out", databases=("admin", "elsewhere")), INSERTS],
    "alice out, of the other two": [
        step("log_in", user=ALICE), INSERTS, step("log_out", databases=("elsewhere", "admin")), INSERTS],
    "alice out without a reply": [step("log_in", user=ALICE), INSERTS, step("log_out", **SILENT), INSERTS],
    "alice out in one breath with an insert": [
        step("log_in", user=ALICE), INSERTS, step("log_out", insert_behind=True), INSERTS],
    "alice out, numbered": [step("log_in", user=ALICE), NUMBERED, step("log_out"), NUMBERED],
    "alice, then bob": [step("log_in", user=ALICE), INSERTS, step("log_in", user=BOB), INSERTS],
    "alice out, then bob": [
        step("log_in", user=ALICE), INSERTS, step("log_out"), step("log_in", user=BOB), INSERTS],
    "bob, then alice": [step("log_in", user=BOB), INSERTS, step("log_in", user=ALICE), INSERTS],
    # the usual login
    "alice herself": [step("log_in", user=ALICE), INSERTS, NUMBERED],
    "nobody": [INSERTS, NUMBERED],
}


# --- random plays

def random_play(dice):
    steps = []
    for _ in range(dice.randrange(1, 7)):
        more = {}
        if dice.random() < 0.15:
            more["flags"] = wire.MORE_TO_COME
        elif dice.random() < 0.2:
            more["insert_behind"] = True
        steps.append(random_step(dice, more))
        if dice.random() < 0.5:
            steps.append(step("inserts", count=dice.randrange(1, 4), numbered=dice.random() < 0.4))
    steps.append(INSERTS)
    return steps


def random_step(dice, more):
    users = [dice.choice((ALICE, BOB)) for _ in range(dice.choice((1, 1, 1, 2, 3)))]
    kind = dice.randrange(8)
    if kind < 2:
        return step("start", users=users, mechanism=dice.choice(MECHANISMS), shuffle=dice.randrange(3),
                    value=dice.choice((1, 1, 1.0, True, Int64(1), "1", None)),
                    form=dice.choice(("binary", "binary", "base64", "odd")),
                    database=dice.choice(("admin", "admin", "admin", "d", "$external")), **more)
    if kind < 4:
        specs = [(dice.choice(("scram", "scram", "disguised", "authenticate")), user) for user in users]
        if dice.random() < 0.4:
            odd = dice.choice((1, "x", None, True, [], {}, Code("x"), [{"saslStart": 1}]))
            specs.insert(dice.randrange(len(specs) + 1), ("odd", odd))
        return step("speculate", specs=specs, hello=dice.choice(("hello", "isMaster", "ismaster")), **more)
    if kind < 6:
        return step("go_on", password_of=dice.choice((None, None, None, BOB)), twice=dice.random() < 0.1, **more)
    if kind == 6:
        return step("log_out", databases=[dice.choice(("admin", "d", "$external")) for _ in users], **more)
    return step("log_in", user=users[0], mechanism=dice.choice(MECHANISMS))


# --- the comparison

def compare(scene, steps):
    """Returns the differences between the proxy and a direct connection; empty if there are none."""
    mark = uuid.uuid4().hex[:8]
    sides = []
    for endpoint, way in ((scene.through, "through"), (scene.direct, "direct")):
        side = Side(endpoint, f"{way} {mark} ")
        side.run(steps)
        sides.append(side)
    through, direct = sides
    differences = []
    if through.outcomes != direct.outcomes:
        differences.append(f"outcomes through the proxy {through.outcomes}, directly {direct.outcomes}")
    numbers = [sorted(int(one.rpartition(" ")[2]) for one in scene.stored(side.prefix)) for side in sides]
    if numbers[0] != numbers[1]:
        differences.append(f"stored {numbers[0]} of {through.sent}, directly {numbers[1]} of {direct.sent}")
    return differences


def batches(scene):
    """Returns the number of merged commands that the proxy has sent so far."""
    return scene.proxy.counter("mergedBatches")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 31))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    dice = random.Random(options.seed)
    end = time.monotonic() + options.seconds
    plays = bad = 0
    with contextlib.ExitStack() as stack:
        server = start_server(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        stack.callback(server.stop)
        scene = stack.enter_context(contextlib.closing(Scene(server)))
        for name, steps in PLAYS.items():
            for difference in compare(scene, steps):
                bad += 1
                print(f"{name}: {difference}", flush=True)
            plays += 1
        while time.monotonic() < end:
            steps = random_play(dice)
            for difference in compare(scene, steps):
                bad += 1
                print(f"{steps}: {difference}", flush=True)
            plays += 1
        merged = batches(scene)
    print(f"seed {options.seed}: {plays} plays beside {merged} merged batches, {bad} differences")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
