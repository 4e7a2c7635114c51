#!/usr/bin/env python3
"""Measures the cost of an ODM, and the remaining cost with offload.

Motor, AsyncMongoClient, Beanie 2 and 1.30, MongoEngine; direct, through mongosluice with validation, and with
offload. One run, alternating rounds.

    scripts/setup.sh build python beanie1 && .venv/bin/python tests/bench/odm_bench.py

The package must be installed in both environments, or built in place (python/setup.py build_ext). All is measured
on a server that stores (--server, else secantusd-rs, which SECANTUSD_RS names or the PATH has, else SecantusDB),
and again on the null server of tests/bench, which acknowledges and stores nothing, and gives six-field documents of
its own when it is read: the remaining time there is the client's own cost."""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import given
import pymongo
import rig
from odm_documents import DATABASE

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PYTHON2, PYTHON1 = ROOT / ".venv/bin/python", ROOT / ".cache/venv-beanie1/bin/python"

ABOUT = """Rounds alternate within one run; ratios are medians of the ratios within a round. `client's CPU time writing` is that of
constructing and inserting, `server's` that of the database while it inserted. The null server stores nothing, and gives
documents of its own when it is read: what is left there is the client's own cost."""

# (row, environment, worker, offload, case, route)
ROWS = [
    ("raw BSON by PyMongo", PYTHON2, "drivers", False, "raw", "direct"),
    ("raw BSON by PyMongo", PYTHON2, "drivers", False, "raw", "proxy"),
    ("Motor", PYTHON2, "drivers", False, "motor", "direct"),
    ("Motor", PYTHON2, "drivers", False, "motor", "proxy"),
    ("AsyncMongoClient", PYTHON2, "drivers", False, "pymongo", "direct"),
    ("AsyncMongoClient", PYTHON2, "drivers", False, "pymongo", "proxy"),
    ("Beanie 2", PYTHON2, "beanie", False, "beanie", "direct"),
    ("Beanie 2", PYTHON2, "beanie", False, "beanie", "proxy"),
    ("Beanie 2", PYTHON2, "beanie", True, "beanie", "offload"),
    ("Beanie 1.30", PYTHON1, "beanie", False, "beanie", "direct"),
    ("Beanie 1.30", PYTHON1, "beanie", False, "beanie", "proxy"),
    ("Beanie 1.30", PYTHON1, "beanie", True, "beanie", "offload"),
    ("MongoEngine", PYTHON2, "mongoengine", False, "mongoengine", "direct"),
    ("MongoEngine", PYTHON2, "mongoengine", False, "mongoengine", "proxy"),
    ("MongoEngine", PYTHON2, "mongoengine", True, "mongoengine", "offload"),
]


class BenchError(Exception):
    """The reason why the benchmark stopped, as a sentence for the user."""


@contextlib.contextmanager
def running(command, port, folder):
    """(URI, process ID)"""
    log = Path(folder) / f"{Path(command[0]).name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=output, cwd=folder)
    try:
        end = time.monotonic() + 20
        while not answers(port):
            if process.poll() is not None or time.monotonic() > end:
                raise BenchError(f"{command[0]} does not answer: {log.read_text()[-1000:]}")
        yield f"mongodb://127.0.0.1:{port}/?directConnection=true", process.pid
    finally:
        process.terminate()
        process.wait(30)


def answers(port):
    uri = f"mongodb://127.0.0.1:{port}/?directConnection=true&serverSelectionTimeoutMS=300"
    with pymongo.MongoClient(uri) as client:
        try:
            return client.admin.command("ping")
        except pymongo.errors.PyMongoError:
            return None


class Route:
    """A server with the proxy in front of it."""

    def __init__(self, direct, proxy, name, stores, process):
        self.direct, self.proxy, self.name, self.stores, self.process = direct, proxy, name, stores, process


@contextlib.contextmanager
def upstream(options, folder, kind):
    """Returns (URI, its name, its process ID if this program started it)."""
    if kind == "real" and options.server:
        server = given.GivenServer(options.server, options.server_pid, (DATABASE,))
        try:
            yield f"mongodb://{server.address}/?directConnection=true", server.name, server.pid
        finally:
            server.stop()
        return
    port = rig.free_port()
    fast = rig.secantus_program("rs")
    if kind == "null":
        null = Path(options.build).resolve() / "tests/bench/nullserver"
        command = [null, "--port", port, "--find-documents", options.documents]
    elif fast:
        command = [fast, "--port", port, "--storage-path", Path(folder) / "data", "--log-level", "ERROR"]
    else:
        command = [rig.secantus_program("py"), "--port", port, "--storage-path", Path(folder) / "data"]
    with running(command, port, folder) as (uri, process):
        yield uri, Path(command[0]).name, process


@contextlib.contextmanager
def route(options, folder, kind):
    binary = Path(options.mongosluice).resolve()
    port = rig.free_port()
    with upstream(options, folder, kind) as (direct, name, process):
        command = [binary, "--upstream", direct, "--listen", f"127.0.0.1:{port}", "--schemas", Path(folder) / "schemas"]
        with running(command, port, folder) as (proxy, _):
            yield Route(direct, proxy, name, kind != "null", process)


class Worker:
    """A process of one environment."""

    def __init__(self, python, kind, offload):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(ROOT / "python/src")])}
        self.process = subprocess.Popen([python, HERE / "odm_worker.py", kind, "offload" if offload else "plain"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def ask(self, *case):
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline() or '{"error": "the worker ended"}')
        if "error" in answer:
            raise BenchError(f"{case}: {answer['error']}")
        return answer

    def end(self):
        self.process.stdin.close()
        self.process.wait(30)


def write_schemas(folder):
    """Generates it by the command line, as a project would."""
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(ROOT / "python/src")])}
    subprocess.run([PYTHON2, "-m", "mongosluice", "export", "odm_beanie", "odm_mongoengine", "--database", "odmbench",
                    "-o", folder], check=True, env=environment, cwd=HERE, stderr=subprocess.DEVNULL)


def documents_of(options, kind):
    return options.orders if kind == "order" else options.documents


def measure(options, through):
    """{kind: {(row, route): {part: [ms, …]}}}, in an order that turns with each round."""
    workers = {}
    found = {}
    rows = [row for row in ROWS if row[1].exists()]
    try:
        for kind in options.kinds.split(","):
            reads = through.stores or kind == "user"
            for round_ in range(options.rounds + 1):
                turn = round_ % len(rows)
                for name, python, worker, offload, case, route_ in rows[turn:] + rows[:turn]:
                    key = (python, worker, offload, route_)
                    if key not in workers:
                        workers[key] = Worker(python, worker, offload)
                    uri = through.direct if route_ == "direct" else through.proxy
                    answer = workers[key].ask(case, uri, kind, documents_of(options, kind), reads, through.process)
                    if round_ == 0:
                        continue  # warm
                    add(found.setdefault(kind, {}).setdefault((name, route_), {}), answer)
                print(f"{kind}: round {round_} of {options.rounds}", file=sys.stderr, flush=True)
            extension = workers[PYTHON2, "beanie", True, "offload"].ask("extension", through.proxy, kind, 0, False, None)
            found[kind]["extension"] = extension
            found[kind] = {key: found[kind][key] for key in [(row[0], row[5]) for row in rows] + ["extension"]}
    finally:
        for worker in workers.values():
            worker.end()
    return found


def add(parts, answer):
    for part, took in answer.items():
        if took is not None:
            parts.setdefault(part, []).append(took)
    if answer["construct"] is not None:
        parts.setdefault("total", []).append(answer["construct"] + answer["insert"])


def middle(parts, part):
    return statistics.median(parts[part]) if part in parts else None


class Section:
    """A part of the page: a heading, and the text below it."""

    def __init__(self, heading, *lines):
        self.heading, self.lines = heading, lines

    def text(self):
        return f"## {self.heading}\n\n" + "\n".join(self.lines)


def table(kind, rows, count, through):
    lines = ["| client | route | construct | insert | both | read | client's CPU time writing | reading | server's, inserting "
             "| reading |",
             "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"]
    for key, parts in rows.items():
        if key == "extension":
            continue
        cells = []
        for part in ("construct", "insert", "total", "read", "write CPU", "read CPU", "server CPU",
                     "server CPU reading"):
            part = "insert" if part == "total" and "total" not in parts else part
            cells.append(f"{middle(parts, part):,.0f} ({min(parts[part]):,.0f})" if part in parts else "–")
        lines.append(f"| {key[0]} | {key[1]} | {' | '.join(cells)} |")
    own = rows["extension"]
    what = "stores nothing" if not through.stores else "stores"
    return Section(f"{kind}: {count:,} documents, {through.name} ({what})", "ms, median (least)", "", *lines, "",
                   f"The extension alone: {own['encode']:.2f} µs to write a document, {own['build']:.2f} µs to make one.")


def ratio(rows, part, above, below, upper_part=None):
    """The median over rounds of the ratio above ÷ below within each round."""
    first, second = rows.get(above, {}).get(upper_part or part), rows.get(below, {}).get(part)
    if not first or not second:
        return None
    return statistics.median(a / b for a, b in zip(first, second))


def share(rows, row, cpu="write CPU", total="total"):
    """How much of constructing and inserting, or of reading, is waiting: for the server, the proxy, or a CPU."""
    parts = rows.get(row)
    if not parts or cpu not in parts:
        return None
    return statistics.median(1 - own / whole for own, whole in zip(parts[cpu], parts[total]))


# Compares constructing and inserting with PyMongo sending ready BSON.
NEAR_RAW = {"user": 1.1, "order": 1.25}


def judge(kind, rows, stores):
    """Returns [(what, value, met, or None for a value without a target)]."""
    beanie, offload = ("Beanie 2", "direct"), ("Beanie 2", "offload")
    old, old_offload = ("Beanie 1.30", "direct"), ("Beanie 1.30", "offload")
    motor, raw = ("Motor", "direct"), ("raw BSON by PyMongo", "direct")
    engine, engine_offload = ("MongoEngine", "direct"), ("MongoEngine", "offload")
    checks = [
        ("Beanie 2 direct ÷ with offload, constructing and inserting, ≥ 5 (stretch 10)",
         ratio(rows, "total", beanie, offload), lambda value: value >= 5),
        ("Beanie 1.30 the same, ≥ 5", ratio(rows, "total", old, old_offload), lambda value: value >= 5),
        ("Beanie 2 with offload ÷ Motor direct, ≤ 1.1",
         ratio(rows, "insert", offload, motor, "total"), lambda value: value <= 1.1),
        ("Motor through the proxy ÷ direct, ≤ 1.1",
         ratio(rows, "insert", ("Motor", "proxy"), motor), (lambda value: value <= 1.1) if stores else None),
        ("reading, Beanie 2 direct ÷ with offload, ≥ 5", ratio(rows, "read", beanie, offload), lambda value: value >= 5),
        ("the same by async for", ratio(rows, "read for", beanie, offload), lambda value: value >= 5),
        ("the same by to_list(length)", ratio(rows, "read length", beanie, offload), lambda value: value >= 5),
        ("reading, Beanie 1.30 the same, ≥ 5", ratio(rows, "read", old, old_offload), lambda value: value >= 5),
        ("the same by async for", ratio(rows, "read for", old, old_offload), lambda value: value >= 5),
        (f"Beanie 2 with offload ÷ ready BSON, constructing and inserting, ≤ {NEAR_RAW[kind]}",
         ratio(rows, "insert", offload, raw, "total") if stores else None, lambda value: value <= NEAR_RAW[kind]),
        ("the extension, µs a document, ≤ 1.5", rows["extension"]["encode"], lambda value: value <= 1.5),
        ("MongoEngine direct ÷ with offload, constructing and inserting, ≥ 4",
         ratio(rows, "total", engine, engine_offload), lambda value: value >= 4),
        ("reading, MongoEngine direct ÷ with offload, ≥ 3",
         ratio(rows, "read", engine, engine_offload), lambda value: value >= 3),
        ("the client's CPU time alone, Beanie 2 direct ÷ with offload, constructing and inserting",
         ratio(rows, "write CPU", beanie, offload), None),
        ("the same of Beanie 1.30", ratio(rows, "write CPU", old, old_offload), None),
        ("the same of MongoEngine", ratio(rows, "write CPU", engine, engine_offload), None),
        ("the same of MongoEngine, reading", ratio(rows, "read CPU", engine, engine_offload), None),
        ("the same of Beanie 2, reading", ratio(rows, "read CPU", beanie, offload), None),
        ("Beanie 2 with offload ÷ Motor direct, the client's CPU time", ratio(rows, "write CPU", offload, motor), None),
        ("share of waiting (server, proxy) in Beanie 2 direct", share(rows, beanie), None),
        ("the same with offload", share(rows, offload), None),
        ("the same in reading, Beanie 2 with offload", share(rows, offload, "read CPU", "read"), None),
        ("the same in MongoEngine with offload, constructing and inserting", share(rows, engine_offload), None),
        ("the most that any client could gain: Beanie 2 direct ÷ raw BSON (server and driver alone)",
         ratio(rows, "insert", beanie, raw, "total") if stores else None, None),
    ]
    return [(what, value, None if rule is None else rule(value)) for what, value, rule in checks if value is not None]


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    rig.add_options(parser)
    add = parser.add_argument
    add("--rounds", type=int, default=5)
    add("--documents", type=int, default=50_000, help="of six fields")
    add("--orders", type=int, default=20_000, help="documents of the kind order")
    add("--kinds", default="user,order", help="user: six fields; order: 361 bytes")
    add("--servers", default="real,null", type=rig.choice_of("real", "null"),
        help="real: one that stores; null: tests/bench/nullserver")
    options = parser.parse_args()
    servers = options.servers
    rig.finish_options(options, (DATABASE,))
    options.servers = servers
    return options


def main():
    options = parse_options()
    missed, report, sections, reached = 0, {}, [], {}
    with tempfile.TemporaryDirectory(prefix="sluice-odm-") as folder:
        try:
            write_schemas(Path(folder) / "schemas")
            for server in options.servers:
                with route(options, folder, server) as through:
                    found = measure(options, through)
                for kind, rows in found.items():
                    judged = judge(kind, rows, through.stores)
                    reached[f"{through.name}, {kind}"] = judged
                    missed += sum(met is False for _, _, met in judged) if kind == "user" else 0
                    sections.append(table(kind, rows, documents_of(options, kind), through))
                    sections.append(Section(f"{kind}: what is reached on {through.name}", *verdicts(judged)))
                    print("\n\n".join(section.text() for section in sections[-2:]), flush=True)
                report[through.name] = {
                    kind: {" ".join(key) if isinstance(key, tuple) else key: value for key, value in rows.items()}
                    for kind, rows in found.items()}
        except (BenchError, subprocess.CalledProcessError) as error:
            print(f"odm_bench: {error}", file=sys.stderr)
            return 2
    sections.insert(0, overview(reached))
    environment = rig.environment(options)
    rig.write_results(options, {"environment": environment, "servers": report}, sections,
                      "What an ODM costs, and what is left of it with offload", environment, about=ABOUT)
    return 1 if missed else 0


def overview(reached):
    """The targets, with a column for each server and kind; what is missed is bold."""
    cells = {}  # {target: {column: text}}
    for column, judged in reached.items():
        last = ""
        for what, value, met in judged:
            # "the same …" stands below what it is the same of; its limit may depend on the kind
            target = f"{last}; {what}" if what.startswith("the same") else what
            last = last if what.startswith("the same") else what
            if met is not None:
                text = f"{value:.2f}" if met else f"**{value:.2f}**"
                cells.setdefault(target, {})[column] = text
    lines = [f"| target | {' | '.join(reached)} |", "|---" + "|---:" * len(reached) + "|"]
    lines += [f"| {target} | {' | '.join(of.get(column, '–') for column in reached)} |" for target, of in cells.items()]
    return Section("What is reached", "Missed targets are bold. – : not measured, or no target there.", "", *lines)


def verdicts(judged):
    words = {None: "", True: "met: ", False: "**missed**: "}
    return [f"- {words[met]}{what}: {value:.2f}" for what, value, met in judged]


if __name__ == "__main__":
    sys.exit(main())
