"""Support shared by the benchmarks: processes that are started, awaited and ended by their own id, the load generator,
routes, alternating rounds, and tables."""

import contextlib
import importlib.metadata
import json
import os
import platform
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

START_SECONDS = 15
LOAD_SECONDS = 600  # no measurement takes so long
# A server whose backlog is short resets some of a thousand connections that come at once.
LOAD_ATTEMPTS = 3

HAPROXY_CONFIG = """\
global
    nbthread {threads}
    maxconn {connections}
    stats socket {folder}/haproxy.sock
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen bench
    bind 127.0.0.1:{port} backlog 4096
    server upstream 127.0.0.1:{upstream_port}
"""

NGINX_CONFIG = """\
daemon off;
worker_processes {threads};
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log crit;
include /etc/nginx/modules-enabled/*.conf;
events {{ worker_connections {connections}; }}
stream {{
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        proxy_pass 127.0.0.1:{upstream_port};
    }}
}}
"""


class BenchError(Exception):
    """The reason why the benchmark stopped, as a sentence for the user."""


def free_port() -> int:
    """From below the range that the system takes for outgoing connections, which may take the port before its program
    listens."""
    while True:
        port = random.SystemRandom().randrange(10000, 32000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def cpu_seconds_of(pid):
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


class Server:
    """A process that listens. It is started, awaited, and ended by its own id."""

    def __init__(self, name, command, folder, port=None, pin=None, environment=None):
        self.name = name
        self.log = Path(folder) / f"{name}.log"
        if pin is not None:
            command = ["taskset", "--cpu-list", str(pin), *command]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command], stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True, env={**os.environ, **(environment or {})},
            )
        try:
            self.port = port or self._read_port()
            self._wait_for_port()
        except BaseException:
            self.stop()
            raise

    def _give_up(self, why):
        tail = self.log.read_text(errors="replace")[-2000:]
        raise BenchError(f"{self.name} {why}; its output ends with:\n{tail}")

    def _wait(self, condition):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                self._give_up(f"ended at once with status {self.process.returncode}")
            found = condition()
            if found:
                return found
            time.sleep(0.02)
        self._give_up(f"did not listen within {START_SECONDS} seconds")

    def _read_port(self):
        def port():
            text = self.log.read_text()
            return int(text.rsplit(":", 1)[1]) if text.endswith("\n") else 0

        return self._wait(port)

    def _wait_for_port(self):
        def connects():
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return True
            return False

        self._wait(connects)

    @property
    def pid(self):
        return self.process.pid

    def processes(self):
        """Its id and those of its children: nginx works in one."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [self.pid, *map(int, children)]

    def _status_kb(self, field):
        total = 0
        for pid in self.processes():
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith(field):
                    total += int(line.split()[1])
        if total == 0:
            raise BenchError(f"{self.name} has ended")
        return total

    def memory_kb(self):
        """VmRSS in kB."""
        return self._status_kb("VmRSS:")

    def peak_memory_kb(self):
        """VmHWM in kB."""
        return self._status_kb("VmHWM:")

    def descriptors(self):
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.processes())

    def cpu_seconds(self):
        """CPU time so far, of all threads, in nanoseconds."""
        return sum(map(cpu_seconds_of, self.processes()))

    def stop(self):
        if self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Mongosluice(Server):
    """The proxy; `admin_port` serves its figures."""

    def __init__(self, binary, upstream_uri, folder, *options, name="mongosluice", threads=1, pin=None,
                 environment=None):
        self.admin_port = free_port()
        port = free_port()
        command = [binary, f"--upstream={upstream_uri}", f"--listen=127.0.0.1:{port}",
                   f"--threads={threads}", f"--admin.listen={self.admin_port}", *options]
        super().__init__(name, command, folder, port, pin, environment)

    def metrics(self):
        """{name or name{labels}: value}"""
        url = f"http://127.0.0.1:{self.admin_port}/metrics"
        with urllib.request.urlopen(url, timeout=30) as reply:
            text = reply.read().decode()
        found = re.findall(r"^(mongosluice_\S+?(?:\{.*?\})?) (\S+)$", text, re.MULTILINE)
        return {name: float(value) for name, value in found}


class Rig:
    """The tools, and all running processes."""

    def __init__(self, options, folder):
        self.options = options
        self.folder = Path(folder)
        self.servers = []

    def tool(self, name):
        path = Path(self.options.build) / "tests" / "bench" / name
        if not path.is_file():
            raise BenchError(f"{path} is not there: build it with ninja -C {self.options.build}")
        return str(path)

    def keep(self, server):
        self.servers.append(server)
        return server

    def start(self, name, command, port=None, pin=None):
        return self.keep(Server(name, command, self.folder, port, pin or None))

    def end(self, server):
        server.stop()
        self.servers.remove(server)

    def stop(self):
        for server in reversed(self.servers):
            server.stop()
        self.servers.clear()

    def start_null(self, *options, pin=None):
        return self.start("nullserver", [self.tool("nullserver"), "--find-documents", "100000",
                                         *options], pin=pin)

    def start_secantus(self, kind, pin=None):
        """`rs`: secantusd-rs; `py`: the SecantusDB of the Python environment."""
        program = secantus_program(kind)
        port = free_port()
        data = self.folder / f"data-{kind}-{port}"
        empty = self.folder / "secantusd.toml"  # so that it reads no configuration of the user
        empty.touch()
        return self.start(f"secantus-{kind}", [program, "--config", empty, "--port", port,
                                               "--storage-path", data, "--cache-size", "1G",
                                               "--log-level", "ERROR",
                                               "--session-max", 4000],  # one for each connection
                          port, pin)

    def start_upstream(self, kind, pin=None):
        return self.start_null(pin=pin) if kind == "null" else self.start_secantus(kind, pin)

    def start_haproxy(self, upstream_port, connections=2000, threads=1, pin=None):
        port = free_port()
        config = self.folder / "haproxy.cfg"
        config.write_text(HAPROXY_CONFIG.format(threads=threads, connections=connections, port=port,
                                                folder=self.folder, upstream_port=upstream_port))
        return self.start("haproxy", [self.options.haproxy, "-db", "-f", config], port, pin)

    def start_nginx(self, upstream_port, connections=4096, threads=1, pin=None):
        port = free_port()
        config = self.folder / "nginx.conf"
        config.write_text(NGINX_CONFIG.format(threads=threads, connections=connections, port=port,
                                              folder=self.folder, upstream_port=upstream_port))
        return self.start("nginx", [self.options.nginx, "-c", config], port, pin)

    def start_mongosluice(self, upstream_port, *options, name="mongosluice", threads=1, pin=None,
                          environment=None):
        uri = f"mongodb://127.0.0.1:{upstream_port}/?directConnection=true"
        return self.keep(Mongosluice(self.options.mongosluice, uri, self.folder, *options, name=name,
                                     threads=threads, pin=pin, environment=environment))

    def load(self, where, *arguments, pin=None, strict=True):
        """What loadgen found at a port, or at the path of a Unix socket. It must have met no error, unless
        strict is False."""
        by = "--socket" if isinstance(where, Path) else "--port"
        command = [self.tool("loadgen"), by, str(where), "--json", *map(str, arguments)]
        if pin is not None:
            command = ["taskset", "--cpu-list", str(pin), *command]
        for _ in range(LOAD_ATTEMPTS):
            done = subprocess.run(command, capture_output=True, text=True, timeout=LOAD_SECONDS, check=False)
            if done.returncode == 0:
                break
        if done.returncode != 0 and (strict or not done.stdout.startswith("{")):
            raise BenchError(f"{' '.join(command)}\nfailed: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)


SERVERS = {"rs": "secantusd-rs", "py": "SecantusDB", "null": "null server"}
MOST_CONNECTIONS = {"py": 960}  # it does not accept 1,000, whatever the options are


def secantus_program(kind):
    if kind == "py":
        program = Path(sys.executable).with_name("secantusd-py")
        return str(program) if program.is_file() else None
    named = os.environ.get("SECANTUSD_RS")
    return named if named and Path(named).is_file() else shutil.which("secantusd-rs")


def have_upstream(kind):
    return kind == "null" or secantus_program(kind) is not None


# --- figures -----------------------------------------------------------------------------------------


def alternate(names, rounds, measure):
    """{name: [a result for each round]}; the order changes from round to round."""
    results = {name: [] for name in names}
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            results[name].append(measure(name))
    return results


def median_of(results, read):
    return statistics.median(map(read, results))


def ratio_of(results, others, read):
    """Median, lowest and highest of the ratios within each round."""
    ratios = sorted(read(one) / max(read(other), 1e-9) for one, other in zip(results, others))
    return statistics.median(ratios), ratios[0], ratios[-1]


def ratio_text(ratio):
    return f"{ratio[0]:.2f} ({ratio[1]:.2f}–{ratio[2]:.2f})"


def throughput(result):
    return result["ops_per_second"]


def latency(result, name):
    return result["latency_us"][name]


def megabytes(kb):
    """/proc says kB and means KiB."""
    return kb * 1024 / 1e6


class Table:
    """A Markdown table that is printed row by row; plot: the comment of scripts/plot-benchmarks.py."""

    WORDS = ("route", "proxy", "of which", "library", "function", "system call")

    def __init__(self, *columns, title=None, plot=None):
        self.title = title
        rule = ["---" if index == 0 or column in self.WORDS else "---:"
                for index, column in enumerate(columns)]
        self.lines = [f"<!-- plot: {plot} -->"] if plot else []
        self.lines += ["| " + " | ".join(columns) + " |", "|" + "|".join(rule) + "|"]
        print("\n" + "\n".join(self.lines), flush=True)

    def row(self, *cells):
        self.lines.append("| " + " | ".join(map(str, cells)) + " |")
        print(self.lines[-1], flush=True)

    def text(self):
        return "\n".join([f"## {self.title}", "", *self.lines] if self.title else self.lines)


def plot(name, group, series, value, title):
    return f"file=plots/{name}.svg; group={group}; series={series}; value={value}; title={title}"


def environment(options):
    """The conditions that the figures depend on."""

    def first_line(*command):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                              check=False)
        lines = (done.stdout or done.stderr).splitlines()
        return lines[0] if lines else ""

    found = {"kernel": platform.release(), "cpus": os.cpu_count()}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            found["cpu"] = line.split(":", 1)[1].strip()
            break
    for name, flag in (("haproxy", "-v"), ("nginx", "-v"), ("mongosluice", "--version")):
        program = getattr(options, name, None)
        if program and Path(program).is_file():
            found[name] = re.search(r"\d+\.\d+[.\d]*", first_line(program, flag))[0]
    if secantus_program("rs"):
        found["secantusd-rs"] = first_line(secantus_program("rs"), "--version").split()[-1]
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        found["SecantusDB"] = importlib.metadata.version("SecantusDB")
    return found


def environment_text(found):
    return "; ".join(f"{name} {value}" for name, value in found.items())


def add_options(parser):
    """The options of all benchmarks."""
    add = parser.add_argument
    add("--build", default="build/release", help="the build folder with nullserver and loadgen")
    add("--mongosluice", help="the proxy; default: that of the build folder")
    add("--json", help="file to write all results to")
    add("--markdown", help="file to write the tables to")


def write_results(options, report, tables, title, found, words=(), by="scripts/bench.sh", about=""):
    """The JSON file, and a page: what was measured on what and how, then the tables, then what the
    targets say."""
    if options.markdown:
        parts = [f"# {title}", f"Written by `{by}`. {environment_text(found)}.", *filter(None, [about]),
                 *(table.text() for table in tables)]
        if words:
            parts.append("\n".join(f"- {line}" for line in words))
        Path(options.markdown).write_text("\n\n".join(parts) + "\n")
    if options.json:
        Path(options.json).write_text(json.dumps(report, separators=(",", ":")) + "\n")


def verdict_lines(targets):
    return [f"{'met' if met else '**missed**'}: {what}" for what, met in targets]


def run_servers(program, title, options, measure, about=""):
    """A whole benchmark: measure(rig, kind, tables) on each of options.servers that is here answers
    (what is reported, [(target, met)]). The exit status."""
    report = {"environment": environment(options), "servers": {}}
    tables, targets = [], []
    print(environment_text(report["environment"]))
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        rig = Rig(options, folder)
        try:
            for kind in options.servers.split(","):
                if not have_upstream(kind):
                    print(f"{SERVERS[kind]} is not here: its rows are left out", file=sys.stderr)
                    continue
                report["servers"][kind], more = measure(rig, kind, tables)
                targets += more
                rig.stop()
        except BenchError as error:
            print(f"{program}: {error}", file=sys.stderr)
            return 2
        finally:
            rig.stop()
    report["targets"] = [{"target": what, "met": met} for what, met in targets]
    words = verdict_lines(targets)
    print("", *words, sep="\n")
    write_results(options, report, tables, title, report["environment"], words, about=about)
    return 0 if all(met for _, met in targets) else 1


def finish_options(options):
    built = Path(options.build) / "src" / "main" / "mongosluice"
    if options.mongosluice is None and built.is_file():
        options.mongosluice = str(built)
