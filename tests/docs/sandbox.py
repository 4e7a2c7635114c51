"""The sandbox for the blocks of a page: a folder of its own, with a real server, and this build of the proxy on the
PATH. Addresses of the page become free ports of the loopback, and paths of the system become paths below the
folder."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import yaml
from markdown import Block
from support.ports import free_port
from support.process import eventually
from support.proxy import BINARY, environment
from support.servers import Server

ROOT = Path(__file__).resolve().parents[2]
SERVER_PORT = "27017"
# Ports of the proxy that pages use: clients, and the admin endpoint.
PROXY_PORTS = ("27117", "27100", "9117")
HOSTS = {
    "db1,db2,db3": f"127.0.0.1:{SERVER_PORT}",
    "db.example": "127.0.0.1",
    "replicaSet=rs0": "replicaSet=secantus",
}
# Folders of the system that pages name, and their files.
FOLDERS = ("/etc/mongosluice", "/var/lib/mongosluice", "/var/log/mongosluice")
SCHEMA_KEYS = {"ns", "schema", "$jsonSchema", "$schema", "bsonType", "properties"}


class Failed(AssertionError):
    pass


def matches(expected: str, actual: str) -> bool:
    """Returns whether the output matches the page; … stands for any text."""
    parts = [re.escape(part) for part in expected.strip().split("…")]
    lines = "\n".join(line.rstrip() for line in actual.strip().splitlines())
    return re.fullmatch(".*?".join(parts), lines, re.DOTALL) is not None


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Sandbox:
    def __init__(self, folder: Path):
        self.folder = folder / "sandbox"
        self.folder.mkdir()
        self.server_folder = folder / "server"
        self.outputs = folder / "outputs"  # one for each command: those in the background keep writing
        self.outputs.mkdir()
        self.server: Server | None = None
        self.groups: list[subprocess.Popen[bytes]] = []  # each leads a process group
        self.printed = ""  # by the block before
        self.ports = {port: free_port() for port in PROXY_PORTS}
        for name in FOLDERS:
            (self.folder / name[1:]).mkdir(parents=True)
        etc = self.folder / "etc/mongosluice"
        shutil.copy(ROOT / "config/mongosluice.yaml", etc)
        (etc / "schemas").mkdir()
        programs = self.folder / "bin"
        programs.mkdir()
        # The packaged command runs its own subcommands here, and passes all others to the proxy's program.
        program = programs / "mongosluice"
        program.write_text('#!/bin/sh\ncase "${1:-}" in export | report) exec python -m mongosluice "$@" ;; esac\n'
                           f'exec {shlex.quote(str(BINARY))} "$@"\n')
        program.chmod(0o755)
        self.environment = {
            **environment(),
            "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "PYTHONPATH": f"{self.folder}:{ROOT / 'python/src'}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "MONGOSLUICE_BINARY": str(BINARY),
            "MONGOSLUICE_VALIDATOR": str(BINARY.parents[1] / "schema/libmongosluice-validator.so"),
        }

    # --- the page's words in this place

    def here(self, text: str) -> str:
        for word, place in HOSTS.items():
            text = text.replace(word, place)
        for name in FOLDERS:
            text = re.sub(rf"(?<![\w/.]){name}\b", f"{self.folder}{name}", text)
        if re.search(rf"(?<!\d){SERVER_PORT}(?!\d)", text):
            text = re.sub(rf"(?<!\d){SERVER_PORT}(?!\d)", str(self._server_port()), text)
        for port, free in self.ports.items():
            text = re.sub(rf"(?<!\d){port}(?!\d)", str(free), text)
        return text

    def _server_port(self) -> int:
        if self.server is None:
            self.server_folder.mkdir()
            self.server = Server(self.server_folder / "data")
        return self.server.port

    # --- running

    def run(self, block: Block) -> str:
        """Returns the outcome of the block in a word. Failed names the difference from the page."""
        text = self.here(block.text)
        if block.is_output:
            if not matches(text, self.printed):
                raise Failed(f"the page shows\n{text}\nand this was printed:\n{self.printed}")
            return "output"
        if "file" in block.options:
            path = self.folder / self.here(block.options["file"]).lstrip("/")
            if block.options["file"].startswith(FOLDERS):
                path = Path(self.here(block.options["file"]))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        action = getattr(self, f"_run_{block.language}", None)
        if action is None or (block.language == "python" and "file" in block.options):
            return "file"
        return action(block, text)

    def _run_sh(self, block: Block, text: str) -> str:
        self._shell(block, "set -euo pipefail\n" + text)
        return "commands"

    def _run_console(self, block: Block, text: str) -> str:
        """Runs each `$ command`, and compares its output with the lines below it."""
        parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
        if parts[0].strip():
            raise Failed("a console block begins with a command: `$ …`")
        for part in parts[1:]:
            command, _, output = part.partition("\n")
            while command.endswith("\\"):
                more, _, output = output.partition("\n")
                command += "\n" + more
            self._shell(block, command)
            if not matches(output, self.printed):
                raise Failed(f"$ {command}\nThe page shows\n{output}\nand this was printed:\n"
                             f"{self.printed}")
        return "commands"

    def _run_python(self, block: Block, text: str) -> str:
        program = self.folder / "block.py"
        program.write_text(text, encoding="utf-8")
        self._shell(block, "exec python block.py")
        return "python"

    def _run_yaml(self, block: Block, text: str) -> str:
        if block.options.get("as") == "yaml":
            list(yaml.safe_load_all(text))
            return "yaml"
        path = self.folder / "block.yaml"
        path.write_text(text, encoding="utf-8")
        # A fragment may leave out required options.
        self._shell(block, "mongosluice --check-config --config block.yaml "
                           "--upstream mongodb://127.0.0.1:1/ --listen 127.0.0.1:0 >/dev/null")
        return "configurations"

    def _run_json(self, block: Block, text: str) -> str:
        value = json.loads(text)
        if not (isinstance(value, dict) and SCHEMA_KEYS & value.keys()):
            return "json"
        (self.folder / "block.json").write_text(text, encoding="utf-8")
        self._shell(block, "mongosluice schema lint --bare block.json")
        return "schemas"

    def _run_text(self, block: Block, text: str) -> str:
        return "text"

    def _shell(self, block: Block, script: str) -> None:
        """Runs it to its end. Its background processes live until the page ends, and are waited for until it
        listens."""
        out = self.outputs / str(len(self.groups))
        cwd = ROOT if "checkout" in block.options else self.folder
        with out.open("wb") as sink:
            child = subprocess.Popen(["bash", "-c", script], cwd=cwd, env=self.environment,
                                     stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
                                     start_new_session=True)
        self.groups.append(child)
        seconds = float(block.options.get("seconds", 60))
        try:
            status = child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"not finished after {seconds:.0f} s; it printed:\n{self._read(out)}") from None
        self.printed = self._read(out)
        wanted = int(block.options.get("status", 0))
        if status != wanted:
            raise Failed(f"status {status}, not {wanted}; it printed:\n{self.printed}")
        if re.search(r"&\s*$", script, re.MULTILINE):
            self._wait_for_listeners(script, out)

    def _wait_for_listeners(self, script: str, out: Path) -> None:
        ports = [port for port in self.ports.values() if str(port) in script + self._configured(script)]
        for port in ports:
            try:
                eventually(lambda port=port: listens(port), f"port {port} listens")
            except AssertionError as failure:
                raise Failed(f"{failure}; it printed:\n{self._read(out)}") from None

    def _configured(self, script: str) -> str:
        """The text of the configuration file that the command names."""
        named = re.search(r"--config[ =](\S+)", script)
        path = self.folder / named[1] if named else None
        return path.read_text(encoding="utf-8") if path and path.is_file() else ""

    @staticmethod
    def _read(path: Path) -> str:
        return path.read_text(encoding="utf-8", errors="backslashreplace")

    # --- the end

    def close(self) -> None:
        """Ends what still runs. A command that ran out of time is waited for, so that its group vanishes."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            groups = [child.pid for child in self.groups if self._signal(child.pid, number)]
            end = time.monotonic() + 5
            while number == signal.SIGTERM and time.monotonic() < end and any(
                    self._signal(group, 0) for group in groups):
                for child in self.groups:
                    child.poll()
                time.sleep(0.05)
        if self.server is not None:
            self.server.stop()

    @staticmethod
    def _signal(group: int, number: int) -> bool:
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            return False
        return True
