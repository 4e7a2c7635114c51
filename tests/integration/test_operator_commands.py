"""`mongosluice status` and `mongosluice top`, which read the admin endpoint."""

import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import fcntl
import pytest
from support.admin import Admin
from support.process import eventually
from support.proxy import BINARY, environment
from support.simulated import SimulatedServer
from support.wire import RawClient

pytestmark = pytest.mark.proxy_only

TOKEN = "a-token-of-some-length"


def run(*words):
    return subprocess.run([BINARY, *map(str, words)], env=environment(), capture_output=True, text=True, timeout=60)


@pytest.fixture
def started(start_proxy, simulated):
    proxy = start_proxy(f"mongodb://{simulated.address}/", {"admin": "0"})
    admin = Admin(proxy)
    eventually(lambda: admin.get("/readyz").status == 200, "it is ready")
    return proxy, admin


def test_status(started, simulated):
    proxy, admin = started
    with RawClient(proxy.endpoint()) as client:
        client.command({"ping": 1})
        for address in (admin.port, admin.address, admin.url, admin.url + "/"):
            done = run("status", "--admin", address)
            assert done.returncode == 0 and not done.stderr
            assert re.search(r"running +up \d+ s", done.stdout)
            assert re.search(rf"{simulated.address} +Standalone +reachable", done.stdout)
            assert "clients    1 of 10.0k" in done.stdout
        assert "\033" not in done.stdout
        said = json.loads(run("status", "--admin", admin.port, "--json").stdout)
        assert said["commands"] == {"ping": 1}


def test_status_of_a_proxy_that_is_not_ready(start_proxy):
    with SimulatedServer() as gone:
        address = gone.address
    admin = Admin(start_proxy(f"mongodb://{address}/", {"admin": "0"}))
    done = run("status", "--admin", admin.port)
    assert done.returncode == 1 and "not ready" in done.stdout and "no upstream server" in done.stdout


def test_status_with_token_and_tls_out_of_the_configuration(start_proxy, simulated, authorities, tmp_path):
    certificate = authorities.proxy.issue("operator")
    token = tmp_path / "token"
    token.write_text(TOKEN)
    file = tmp_path / "mongosluice.yaml"
    from support.ports import free_port
    port = free_port()
    file.write_text(f"upstream: mongodb://{simulated.address}/\nlisten: 127.0.0.1:0\nadmin:\n  listen: {port}\n"
                    f"  token_file: {token}\n  tls_cert_file: {certificate.cert_file}\n"
                    f"  tls_key_file: {certificate.key_file}\n")
    proxy = start_proxy(None, {"listen": None}, config_file=file)
    admin = Admin(proxy, TOKEN, certificate.ca_file)
    eventually(lambda: admin.get("/readyz").status == 200, "it is ready")
    assert run("status", "--config", file, "--ca-file", certificate.ca_file).returncode == 0
    by_flags = ("status", "--admin", f"https://127.0.0.1:{port}", "--ca-file", certificate.ca_file)
    assert run(*by_flags, "--token-file", token).returncode == 0
    refused = run(*by_flags)
    assert refused.returncode == 2 and "401" in refused.stderr and refused.stderr.count("\n") == 1
    distrusted = run("status", "--config", file)
    assert distrusted.returncode == 2 and "certificate verify failed" in distrusted.stderr


def test_wrong_use_is_said(tmp_path):
    for words in (("status",), ("top",), ("status", "--admin", "x"), ("status", "--admin", "h:99999"),
                  ("status", "--admin", "1", "more"), ("status", "--nonsense"),
                  ("top", "--admin", "1", "--interval", "1"), ("status", "--config", tmp_path / "none"),
                  ("status", "--admin", "1", "--token-file", tmp_path / "none")):
        done = run(*words)
        assert done.returncode == 2 and "usage: mongosluice" in done.stderr, words
    done = run("status", "--admin", "1")
    assert done.returncode == 2 and "127.0.0.1:1 does not answer" in done.stderr
    assert run("top", "--admin", "1").returncode == 2  # no terminal
    file = tmp_path / "any.yaml"
    file.write_text("upstream: mongodb://h/\nlisten: 127.0.0.1:0\nadmin: {listen: 0}\n")
    assert "any free port" in run("status", "--config", file).stderr
    assert run("status", "--help").returncode == run("top", "--help").returncode == 0


def test_status_of_something_else(simulated):
    """A server that does not speak HTTP."""
    done = run("status", "--admin", simulated.address)
    assert done.returncode == 2 and done.stderr


class Terminal:
    """A pseudo terminal that runs `top`; keeps the output since the last clear."""

    def __init__(self, *words, columns=100, rows=30):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(BINARY, [str(BINARY), *map(str, words)], environment())
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.output = ""

    def read(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.fd], [], [], min(left, 0.1))[0]:
                try:
                    self.output += os.read(self.fd, 65536).decode("utf-8", "replace")
                except OSError:  # its end
                    return False
                return True
        return True

    def wait_for(self, pattern):
        def seen():
            self.read(0.1)
            return re.search(pattern, self.text())
        return eventually(seen, f"{pattern} on the screen")

    def text(self):
        return re.sub(r"\033\[[?0-9;]*[A-Za-z]", "", self.output)

    def press(self, keys, pattern):
        """Returns the lines of the first screen after these keys that matches the pattern."""
        self.output = ""
        os.write(self.fd, keys.encode())

        def seen():
            self.read(0.1)
            for screen in self.output.split("\033[H")[1:]:
                text = re.sub(r"\033\[[?0-9;]*[A-Za-z]", "", screen)
                if "q quits" in text and re.search(pattern, text):
                    return [line.rstrip() for line in text.split("\r\n")]
            return None
        return eventually(seen, f"{pattern} on the screen after {keys!r}")

    def end(self):
        eventually(lambda: not self.read(0.1), "it ends")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_top(started, simulated):
    proxy, admin = started
    with RawClient(proxy.endpoint()) as client:
        client.command({"ping": 1})
        terminal = Terminal("top", "--admin", admin.port, "--interval", 100)
        terminal.wait_for(r"running +up")
        terminal.wait_for(rf"{simulated.address} +Standalone")
        terminal.wait_for(r"CONNECTIONS")

        def busy():
            client.command({"ping": 1})
            terminal.read(0.05)
            return re.search(r"requests +[1-9]", terminal.text())
        eventually(busy, "the rate moves")
        terminal.wait_for("[▁▂▃▄▅▆▇█]")
    os.write(terminal.fd, b"q")
    assert terminal.end() == 0
    assert terminal.output.startswith("\033[?1049h") and "\033[?25h\033[?1049l" in terminal.output


def test_top_scrolls_and_sorts(started):
    """Without asking the proxy again: the interval is a minute."""
    proxy, admin = started
    clients = [RawClient(proxy.endpoint()) for _ in range(20)]
    try:
        for client in clients:
            client.command({"ping": 1})
        terminal = Terminal("top", "--admin", admin.port, "--interval", 60000, rows=16)
        terminal.wait_for("q quits")

        def ids(lines):
            return [int(found[1]) for line in lines if (found := re.match(r"  (\d+) +127\.0\.0\.1:\d+ ", line))]
        end = terminal.press("\033[F", "sorts by id")
        first = ids(end)[0]
        assert len(end) == 16 and end[0].startswith("mongosluice ") and len(ids(end)) > 10
        assert ids(end) == list(range(first, first + len(ids(end))))
        up = ids(terminal.press("k", "q quits"))
        assert up[0] in (first, first - 1) and up[-1] == ids(end)[-2]
        assert ids(terminal.press("\033[B", "q quits")) == ids(end)  # down again
        assert ids(terminal.press("\033[B", "q quits")) == ids(end)  # there is no more
        backwards = ids(terminal.press("r", "by id, reversed"))
        assert backwards == sorted(backwards, reverse=True) and backwards[-1] < first
        by_client = terminal.press("rs", "sorts by client ")
        remotes = [re.match(r"  \d+ +(\S+)", line)[1] for line in by_client if ids([line])]
        assert remotes == sorted(remotes) and len(remotes) > 10
        terminal.press("sss", "sorts by time")
        home = terminal.press("g", "requests ")
        assert home[0].startswith("mongosluice ") and not ids(home)
        down = terminal.press(" \033[6~\033[6~\033[6~\033[6~\033[6~", "CONNECTIONS|127.0.0.1:")
        assert down[0].startswith("mongosluice ")
        os.write(terminal.fd, b"\033[1;5Cq")
        assert terminal.end() == 0
    finally:
        for client in clients:
            client.socket.close()


def test_top_ends_by_a_signal_and_leaves_the_terminal_as_it_was(started):
    _, admin = started
    terminal = Terminal("top", "--admin", admin.port)
    terminal.wait_for("q quits")
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.end() == 0
    assert "\033[?1049l" in terminal.output


def test_top_waits_for_a_proxy_that_is_away(start_proxy, simulated):
    from support.ports import free_port
    port = free_port()
    terminal = Terminal("top", "--admin", port, "--interval", 100)
    terminal.wait_for(f"127.0.0.1:{port} does not answer")
    start_proxy(f"mongodb://{simulated.address}/", {"admin": port})
    terminal.wait_for(r"running +up")
    os.write(terminal.fd, b"q")
    assert terminal.end() == 0


def test_top_lists_pools(start_proxy, simulated):
    proxy = start_proxy(f"mongodb://{simulated.address}/", {"admin": "0", "pool.mode": "shared"})
    admin = Admin(proxy)
    with RawClient(proxy.endpoint()) as client:
        assert client.hello(client={"application": {"name": "till"}})["ok"] == 1
        assert client.command({"ping": 1})["ok"] == 1
        terminal = Terminal("top", "--admin", admin.port, "--interval", 100, columns=140, rows=40)
        terminal.wait_for(r"pools +1 idle +0 leased")
        terminal.wait_for(rf"\(nobody\) +till +{simulated.address} +1 idle")
    os.write(terminal.fd, b"q")
    assert terminal.end() == 0
