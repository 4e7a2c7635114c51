"""Runs mixed load and faults from a seeded schedule for a given time: those of the history checker (tests/history:
drivers, cuts, kills, failpoints, and replies compared with stored documents), and besides a server that stops for a
while, reloads that switch merging, pauses, and hostile clients; readers that check their results; and a check of
the proxy's memory. Beside it, another proxy serves the many users of tests/crossing for the same time.

  python soak.py --seconds 3600 --seed 1

The last line: operations N, faults N, violations N. Exit status 1 when there were violations."""

import argparse
import contextlib
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import abuses
from history import run as history
from history.scene import DIRECT, Scene, wait_until_serving
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from support.process import Process

TESTS = Path(__file__).resolve().parents[1]
ABUSE_SCALE = 0.03
# A proxy that was not ended by a fault has no more than this beyond what it had at first.
GROWTH_BYTES = 64 * 1024 * 1024
# Proxies are ended and started anew in the first part only: after it one lives on, and its memory tells.
RESTARTS_UNTIL = 0.15


class Readers:
    """Writes and reads of other kinds than inserts, each checked where it was answered."""

    def __init__(self, scene, count=3):
        self.scene = scene
        self.operations = 0
        self.violations = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def _work(self, number):
        value = 0
        while not self._stop.is_set():
            with contextlib.suppress(PyMongoError), self._client() as client:
                documents = client.soak[f"readers{number}"]
                while not self._stop.wait(0.01):
                    value += 1
                    self._turn(documents, value)

    def _client(self):
        return MongoClient(f"mongodb://{self.scene.proxy.address()}/?{DIRECT}", serverSelectionTimeoutMS=1000,
                           socketTimeoutMS=20000)

    def _turn(self, documents, value):
        """Nobody else writes there, so what was acknowledged is what is read."""
        documents.update_one({"_id": 1}, {"$set": {"value": value, "text": "x" * (value % 5000)}}, upsert=True)
        found = documents.find_one({"_id": 1})
        listed = list(documents.aggregate([{"$match": {"value": value}}, {"$project": {"value": 1}}]))
        with self._lock:
            self.operations += 3
            if found is None or found["value"] != value or len(found["text"]) != value % 5000:
                self.violations.append(f"{value} was acknowledged, and {found} read")
            if listed != [{"_id": 1, "value": value}]:
                self.violations.append(f"{value} was acknowledged, and {listed} aggregated")

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            if thread.is_alive():
                self.violations.append("a reader hangs")


class SoakScene(Scene):
    """What else may happen."""

    def stop_server_for_a_while(self, chance):
        begin = time.monotonic()
        self.server.process.send(signal.SIGSTOP)
        time.sleep(chance.uniform(0.1, 3))
        self.server.process.send(signal.SIGCONT)
        self.happened("server stopped", begin)

    def pause_proxy(self, chance):
        begin = time.monotonic()
        self.proxy.process.send(signal.SIGUSR1)
        time.sleep(chance.uniform(0.1, 2))
        self.proxy.process.send(signal.SIGUSR2)
        self.happened("proxy paused", begin)

    def reload_proxy(self, chance):
        """With merging the other way round, and back."""
        begin = time.monotonic()
        usual = self._configuration.read_text()
        self._configuration.write_text(usual.replace("enabled: true", "enabled: false"))
        self.proxy.process.send(signal.SIGHUP)
        time.sleep(chance.uniform(0.2, 2))
        self._configuration.write_text(usual)
        self.proxy.process.send(signal.SIGHUP)
        self.happened("proxy reloaded", begin)

    def abuse_proxy(self, chance):
        name = chance.choice([name for name in abuses.ABUSES if not name.startswith("TLS")])
        begin = time.monotonic()
        port = int(self.proxy.address().rpartition(":")[2])
        with abuses.running(name, port, ABUSE_SCALE):
            time.sleep(chance.uniform(0.5, 3))
        self.happened(f"abuse: {name}", begin)


class Crossing:
    """tests/crossing in a process of its own."""

    CLIENTS = 40

    def __init__(self, seconds, seed):
        self.seconds = seconds
        path = os.pathsep.join([str(TESTS), str(TESTS / "integration")])
        self.process = Process([sys.executable, "-m", "crossing", "--seconds", seconds, "--seed", seed, "--clients",
                                self.CLIENTS], env={**os.environ, "PYTHONPATH": path})

    def finish(self):
        """(operations, faults, violations)"""
        try:
            self.process.wait(self.seconds + 180)
        finally:
            self.process.kill()
        words = re.fullmatch(r"operations (\d+), faults (\d+), crossings (\d+)", (self.process.stdout or [""])[-1])
        if not words:
            return 0, 0, [f"crossing did not end as it should: {self.process.output()}"]
        operations, faults, crossings = map(int, words.groups())
        return operations, faults, self.process.stdout[-40:] if crossings else []


def kinds_of_faults(scene, restarts):
    kinds = [(fault, weight) for fault, weight in history.kinds_of_faults(scene, kill_server=True)
             if restarts or fault != scene.drain_proxy]
    return kinds + [(scene.stop_server_for_a_while, 1), (scene.pause_proxy, 1), (scene.reload_proxy, 1),
                    (scene.abuse_proxy, 2)]


def soak(seconds, seed, say):
    """(operations, faults, violations, [resident bytes after each phase of the proxy that lived on])."""
    chance = random.Random(seed)
    begin = time.monotonic()
    operations, faults, violations, memory = 0, 0, [], []
    crossing = Crossing(seconds, seed)
    with tempfile.TemporaryDirectory(prefix="sluice-soak-") as folder:
        scene = SoakScene(Path(folder))
        try:
            wait_until_serving(scene)
            while (done := time.monotonic() - begin) < seconds or not (operations and memory):
                restarts = done < seconds * RESTARTS_UNTIL
                readers = Readers(scene)
                try:
                    verdict = history.run_phase(scene, chance, max(1.0, min(history.PHASE_SECONDS, seconds - done)),
                                                kinds_of_faults(scene, restarts))
                finally:
                    readers.stop()
                operations += verdict.operations + readers.operations
                faults += verdict.faults
                violations += verdict.violations + readers.violations
                if not restarts:
                    memory.append(scene.proxy.resident_bytes())
                say(f"{done:.0f} s: {operations} operations, {faults} faults, {len(violations)} violations, "
                    f"{scene.proxy.resident_bytes() / 1e6:.0f} MB resident, {scene.proxy.descriptors()} descriptors")
        except AssertionError as error:  # a process that did not end as it should
            violations.append(str(error))
        finally:
            try:
                scene.stop()
            except AssertionError as error:
                violations.append(str(error))
            more = crossing.finish()
            say(f"crossing: operations {more[0]}, faults {more[1]}, violations {len(more[2])}")
    operations, faults, violations = operations + more[0], faults + more[1], violations + more[2]
    return operations, faults, violations, memory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    operations, faults, violations, memory = soak(options.seconds, options.seed,
                                                  lambda line: print(line, flush=True))
    if memory:
        start, middle, end = memory[0], memory[len(memory) // 2], memory[-1]
        print(f"memory: {start / 1e6:.1f} MB at the start, {middle / 1e6:.1f} in the middle, {end / 1e6:.1f} at the end")
        if end > start + GROWTH_BYTES:
            violations.append("memory grew")
    for violation in violations[:50]:
        print(f"violation: {violation}")
    print(f"seed {options.seed}")
    print(f"operations {operations}, faults {faults}, violations {len(violations)}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
