"""Runs the clients against the model through the proxy, in three phases: quiet, with everything that may happen, and
quiet again. In the second the server cuts connections, users are dropped, made anew and get other passwords."""

import argparse
import asyncio
import contextlib
import os
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from support import wire
from support.endpoint import Endpoint
from support.process import Process
from support.proxy import ENDED, Proxy

from .clients import SHARED, Account, Client, World

HERE = Path(__file__).resolve().parent
USERS = 6
# What the proxy logs in with to read verifiers; as a user of the model.
KEEPER = ("root", "root's own")
VERIFIER_AGE_SECONDS = 0.5
# With one of these options of the proxy, it may refuse commands at any time.
SMALL_LIMITS = {"pool.wait_timeout_ms", "pool.waiters_max"}
WAYS = ("session", "shared", "verifier", "direct")
DEFAULT_WAYS = ("session", "shared", "verifier")


@dataclass
class Verdict:
    operations: int = 0
    faults: int = 0
    kinds: Counter = field(default_factory=Counter)
    violations: list = field(default_factory=list)
    lost: dict = field(default_factory=dict)  # by phase
    upstream_connections: int = 0
    reasons: Counter = field(default_factory=Counter)  # for which the proxy ended clients' connections
    commands: dict = field(default_factory=dict)


class Control:
    """Speaks to the model directly."""

    def __init__(self, port):
        self.port = port
        self.client = wire.RawClient(Endpoint(f"127.0.0.1:{port}"))

    def __call__(self, what, **arguments):
        reply = self.client.command({"control": what, "with": arguments})
        assert reply["ok"] == 1, reply
        return reply

    async def soon(self, what, **arguments):
        return await asyncio.to_thread(self, what, **arguments)


class Administrator:
    """Makes, changes and drops users."""

    def __init__(self, control, world, chance):
        self.control, self.world, self.chance = control, world, chance
        self.count = 0
        self.faults = 0

    def roles(self, name):
        roles = {name: "readWrite", SHARED: "read"}
        others = [one.name for one in self.world.accounts if one.name != name and one.dropping is None]
        if others:
            roles[self.chance.choice(others)] = "read"
        return roles

    async def add(self, name=None, database=None):
        self.count += 1
        name = name or f"user{self.count}"
        database = database or self.chance.choice(["admin", "admin", "other"])
        password, roles = f"{name}'s {self.count}", self.roles(name)
        number = (await self.control.soon("add", name=name, database=database, password=password, roles=roles))["number"]
        self.world.accounts.append(Account(name, database, number, password, roles))

    async def drop(self, account):
        account.dropping = time.monotonic()
        await self.control.soon("drop", name=account.name, database=account.database)
        account.dropped = time.monotonic()

    async def change_password(self, account):
        sent = account.changing = time.monotonic()
        new = f"{account.name}'s {self.chance.random()}"
        await self.control.soon("password", name=account.name, database=account.database, password=new)
        account.passwords.append((account.password, sent, time.monotonic()))
        account.password, account.changing, account.judged = new, None, None

    async def disturb(self, seconds):
        """Not for less than three faults, also on a busy machine."""
        end = time.monotonic() + seconds
        while time.monotonic() < end or self.faults < 3:
            alive = [one for one in self.world.accounts if one.dropping is None]
            account = self.chance.choice(alive)
            what = self.chance.random()
            self.faults += 1
            if what < 0.35 and len(alive) >= USERS:
                await self.drop(account)
                if self.chance.random() < 0.6:  # another user of the same name
                    await self.add(account.name, account.database)
                else:
                    await self.add()
            elif what < 0.7:
                await self.change_password(account)
            elif what < 0.8:
                await self.control.soon("cut_all")
            await asyncio.sleep(0.3 * self.chance.random())


def start_model(seed, cut, *flags):
    process = Process([sys.executable, "-m", "crossing.model", "--seed", seed, "--cut", cut, *flags], cwd=HERE.parent,
                      env=_environment())
    try:
        return process, int(process.wait_for_line(lambda line: line, "the model's port"))
    except BaseException:
        process.kill()
        raise


def _environment():
    return {**os.environ, "PYTHONPATH": f"{HERE.parent}:{HERE.parent / 'integration'}"}


def start_proxy(way, port, options, verifier_age_ms=round(1000 * VERIFIER_AGE_SECONDS)):
    more = {"threads": 2, **options}
    if way in ("shared", "verifier"):
        more["pool.mode"] = "shared"
    login = ""
    if way == "verifier":
        more |= {"auth.verifiers": "upstream", "auth.verifiers_max_age_ms": verifier_age_ms}
        login = f"{KEEPER[0]}:{KEEPER[1].replace(' ', '%20')}@"
    uri = f"mongodb://{login}127.0.0.1:{port}/?directConnection=true&authSource=admin"
    return Proxy(uri, more, endpoint=Endpoint(""))


async def phase(world, seconds, disturbance=None):
    """Lost connections in it."""
    world.quiet = disturbance is None
    world.epoch += 1
    before = world.lost
    if disturbance is None:
        await asyncio.sleep(seconds)
    else:
        await disturbance(seconds)
    return world.lost - before


async def play(world, control, chance, clients, seconds, say):
    """(lost connections by phase, the number of faults)."""
    administrator = Administrator(control, world, chance)
    for _ in range(USERS):
        await administrator.add()
    tasks = [asyncio.create_task(Client(world, number).run()) for number in range(clients)]

    async def disturbed(length):
        await control.soon("cutting", on=True)
        await administrator.disturb(length)
        await control.soon("cutting", on=False)
        await asyncio.sleep(0.5)  # what was under way ends

    lost = {}
    for name, share, disturbance in (("quiet", 0.3, None), ("disturbed", 0.5, disturbed), ("quiet again", 0.2, None)):
        lost[name] = await phase(world, seconds * share, disturbance)
        say(f"{name}: {sum(world.operations.values())} operations, {lost[name]} connections lost, "
            f"{len(world.violations)} violations")
    world.ended = True
    _, late = await asyncio.wait(tasks, timeout=120)
    for task in late:
        world.violations.append("a client hangs")
        task.cancel()
    for task in tasks:
        if task.done() and not task.cancelled() and task.exception():
            raise task.exception()
    return lost, administrator.faults


def check_writes(world, report):
    """Nobody's write without a reply, and no merged insert, ran as another user."""
    for comment, users, _ in report["silent"]:
        writer = world.silent.get(comment)
        if writer is not None:
            check_writer(world, writer, users, f"a write without a reply ({comment})")
    for namespace, document in report["stored"]:
        writer = world.inserted.get(document["_id"])
        if writer is not None:
            check_writer(world, writer, document["ranAs"], f"an insert into {namespace}")


def check_writer(world, writer, users, what):
    if frozenset(users) not in {frozenset(one.text for one in possible) for possible in writer.identities()}:
        accounts = [one.text for one in writer.accounts] or "nobody"
        world.violations.append(f"identity: {what} of {accounts} ran as {users}")


def run(seconds, seed, way="session", clients=150, options=None, say=print, cut=0.004):
    chance = random.Random(seed)
    model, port = start_model(seed, cut)
    with contextlib.ExitStack() as ends:
        ends.callback(model.kill)
        control = Control(port)
        proxy = None
        address = ("127.0.0.1", port)
        if way != "direct":
            proxy = start_proxy(way, port, options or {})
            ends.callback(proxy.process.kill)
            address = Endpoint(proxy.address()).host_port
        world = World(address, chance, [], small_limits=bool(options and SMALL_LIMITS & options.keys()))
        if way == "verifier":
            world.single_user, world.stale_seconds = True, VERIFIER_AGE_SECONDS + 1
        lost, faults = asyncio.run(play(world, control, chance, clients, seconds, say))
        report = control("report")
        check_writes(world, report)
        verdict = Verdict(sum(world.operations.values()), faults + report["cuts"], world.operations,
                          list(world.violations), lost, report["opened"], commands=report["counts"])
        if proxy is not None:
            verdict.reasons = Counter(record["attr"]["reason"] for record in proxy.records() if record["id"] == ENDED)
            early = proxy.process.exit_code()
            try:
                proxy.finish()
            except AssertionError:
                verdict.violations.append("\n".join([
                    f"the proxy did not end as it should: exit code {proxy.process.exit_code()}, before its end: {early}",
                    *proxy.process.stdout[-5:], *proxy.process.stderr[-40:]]))
        assert not model.stderr, "\n".join(model.stderr[-40:])
    return verdict


def summary(verdict):
    return (f"operations {verdict.operations}, faults {verdict.faults}, connections lost {verdict.lost}, upstream "
            f"connections {verdict.upstream_connections}, crossings {len(verdict.violations)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--way", choices=WAYS, action="append", help="one or more, an equal time each (default: "
                        f"{DEFAULT_WAYS})")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="one more of the proxy's")
    options = parser.parse_args()
    ways = options.way or DEFAULT_WAYS
    crossings = operations = faults = 0
    for way in ways:
        verdict = run(options.seconds / len(ways), options.seed, way, options.clients,
                      dict(one.split("=", 1) for one in options.option), lambda line: print(line, flush=True))
        for violation in verdict.violations[:30]:
            print(violation)
        print(dict(verdict.kinds))
        print("connections ended:", dict(verdict.reasons))
        print(f"{way}: seed {options.seed}, {summary(verdict)}", flush=True)
        crossings += len(verdict.violations)
        operations, faults = operations + verdict.operations, faults + verdict.faults
    print(f"operations {operations}, faults {faults}, crossings {crossings}")
    return 1 if crossings else 0
