"""Support shared by the benchmarks: processes that are started, awaited and ended by their own id, the load generator,
routes, alternating rounds, and tables."""

import argparse
import contextlib
import importlib.metadata
import json
import math
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import given

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
from support.ports import free_port  # noqa: E402

LEADS = Path(__file__).resolve().parent / "lead"  # what stands first on a page, figures that were taken elsewhere
# Nothing counts before each connection has had so many answers, on average; and then one answer for each counts at least.
WARM = ("--warmup-answers", 2, "--answers", 1)
START_SECONDS = 15
LOAD_SECONDS = 600  # no measurement takes so long
# A server whose backlog is short resets some of a thousand connections that come at once.
LOAD_ATTEMPTS = 3

HAPROXY_CONFIG = """\
global
    nbthread {threads}
    maxconn {connections}
    stats socket {folder}/{name}.sock
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen bench
    bind 127.0.0.1:{port} backlog 4096{bind}
    server upstream {upstream}{server}
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
        proxy_pass {upstream};
    }}
}}
"""


class BenchError(Exception):
    """The reason why the benchmark stopped, as a sentence for the user."""


def cpu_seconds_of(pid):
    """CPU time so far, of all threads, those that have ended too: the clock that clock_getcpuclockid gives."""
    return time.clock_gettime(~pid << 3 | 2)


class Server:
    """A process that listens. It is started, awaited, and ended by its own id."""

    host = "127.0.0.1"
    retryable = True  # it takes writes with a txnNumber
    cpu_reason = None  # its CPU time is known

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

    @property
    def address(self):
        return f"{self.host}:{self.port}"

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
        """CPU time so far."""
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
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended

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
        """A server of that kind; the one that --server names, if it does."""
        if self.options.server:
            return self.keep(given.GivenServer(self.options.server, self.options.server_pid))
        if kind in NULL_SERVERS:
            return self.start_null(*NULL_SERVERS[kind], pin=pin)
        return self.start_secantus(kind, pin)

    def start_haproxy(self, upstream, connections=2000, threads=1, pin=None, *, name="haproxy", certificate=None,
                      authority=None):
        """certificate: clients come by TLS; authority: it goes to the server by TLS, and checks its certificate."""
        port = free_port()
        config = self.folder / f"{name}.cfg"
        config.write_text(HAPROXY_CONFIG.format(
            threads=threads, connections=connections, port=port, folder=self.folder, name=name, upstream=upstream.address,
            bind=f" ssl crt {certificate}" if certificate else "",
            server=f" ssl verify required ca-file {authority}" if authority else ""))
        return self.start(name, [self.options.haproxy, "-db", "-f", config], port, pin)

    def start_nginx(self, upstream, connections=4096, threads=1, pin=None):
        port = free_port()
        config = self.folder / "nginx.conf"
        config.write_text(NGINX_CONFIG.format(threads=threads, connections=connections, port=port,
                                              folder=self.folder, upstream=upstream.address))
        return self.start("nginx", [self.options.nginx, "-c", config], port, pin)

    def start_mongosluice(self, upstream, *options, name="mongosluice", threads=1, pin=None,
                          environment=None, uri_options=""):
        uri = f"mongodb://{upstream.address}/?directConnection=true{uri_options}"
        return self.keep(Mongosluice(self.options.mongosluice, uri, self.folder, *options, name=name,
                                     threads=threads, pin=pin, environment=environment))

    def load(self, where, *arguments, pin=None, strict=True, cpu_of=()):
        """What loadgen found at a server, or at the path of a Unix socket. It must have met no error, unless
        strict is False. cpu_of: servers; `cpu_us` has the CPU time that each used for a counted command."""
        by = ["--socket", str(where)] if isinstance(where, Path) else ["--host", where.host, "--port", str(where.port)]
        command = [self.tool("loadgen"), *by, "--json", *map(str, arguments)]
        watched = {server.name: server.processes() for server in cpu_of}
        pids = ",".join(str(pid) for one in watched.values() for pid in one)
        if pids:
            command += ["--cpu-of", pids]
        if pin is not None:
            command = ["taskset", "--cpu-list", str(pin), *command]
        result = run_tool(command, strict)
        result["cpu_us"] = {name: sum(result["cpu_seconds"][str(pid)] for pid in one) * 1e6 / max(result["operations"], 1)
                            for name, one in watched.items() if one}
        return result

    def dial(self, where, *arguments, cpu_of=()):
        """What dialgen found at a server: new connections, as fast as they come."""
        pids = ",".join(str(pid) for server in cpu_of for pid in server.processes())
        command = [self.tool("dialgen"), "--host", where.host, "--port", str(where.port), *map(str, arguments),
                   *(["--cpu-of", pids] if pids else [])]
        result = run_tool(command)
        result["cpu_us"] = sum(result["cpu_seconds"].values()) * 1e6 / max(result["connections"], 1)
        return result


def run_tool(command, strict=True):
    """The JSON that a load generator prints."""
    for _ in range(LOAD_ATTEMPTS):
        done = subprocess.run(command, capture_output=True, text=True, timeout=LOAD_SECONDS, check=False)
        if done.returncode == 0:
            break
    if done.returncode != 0 and (strict or not done.stdout.startswith("{")):
        raise BenchError(f"{' '.join(command)}\nfailed: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


# The null server commits its journal as often as a real one does. The stand-in takes as much CPU time for an insert as
# MongoDB 4.4 was measured to take (docs/benchmarks/merging.md).
JOURNAL = ("--commit-us", "1000-3000")
NULL_SERVERS = {"null": JOURNAL, "standin": (*JOURNAL, "--cpu-us", "36,7.2,31,2.9,79"),
                "set": ("--replica-set", "rs0")}
SERVERS = {"rs": "secantusd-rs", "py": "SecantusDB", "null": "null server", "standin": "stand-in for MongoDB 4.4"}
GIVEN = "given"  # the server that --server names; its name joins SERVERS
MOST_CONNECTIONS = {"py": 960}  # it does not accept 1,000, whatever the options are


def secantus_program(kind):
    if kind == "py":
        program = Path(sys.executable).with_name("secantusd-py")
        return str(program) if program.is_file() else None
    named = os.environ.get("SECANTUSD_RS")
    return named if named and Path(named).is_file() else shutil.which("secantusd-rs")


def have_upstream(kind):
    return kind == GIVEN or kind in NULL_SERVERS or secantus_program(kind) is not None


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
    """Median, lowest and highest of the ratios within each round; not numbers if one of the others did nothing."""
    if not all(map(read, others)):
        return math.nan, math.nan, math.nan
    ratios = sorted(read(one) / read(other) for one, other in zip(results, others))
    return statistics.median(ratios), ratios[0], ratios[-1]


def ratio_text(ratio):
    return "–" if math.isnan(ratio[0]) else f"{ratio[0]:.2f} ({ratio[1]:.2f}–{ratio[2]:.2f})"


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
    add("--server", metavar="URI", help="a server that runs already, instead of those that the benchmark starts: it must not "
        "have the database that the benchmark writes to ('bench'), which is dropped at the end")
    add("--server-pid", metavar="PID", type=int, help="its process on this machine, whose CPU time is measured; default: the "
        "one that listens on its port")


def numbers(text):
    """The type of an option that is a list of numbers."""
    try:
        found = [int(part) for part in text.split(",") if part]
    except ValueError:
        found = [0]
    if any(one < 1 for one in found):
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of numbers above 0, separated by commas")
    return found


def choice_of(*words):
    """The type of an option that is a list of some of these words."""
    def read(text):
        found = [part for part in text.split(",") if part]
        for one in found:
            if one not in words:
                raise argparse.ArgumentTypeError(f"'{one}' is none of {', '.join(words)}")
        return found
    return read


def write_results(options, report, tables, title, found, words=(), by="scripts/bench.sh", about="", lead=None):
    """The JSON file, and a page: the text that leads it (tests/bench/lead), what was measured on what and how, then the
    tables, then what the targets say."""
    if options.markdown:
        parts = [f"# {title}", *([(LEADS / f"{lead}.md").read_text().strip()] if lead else []),
                 f"Written by `{by}`. {environment_text(found)}.", *filter(None, [about]),
                 *(table.text() for table in tables)]
        if words:
            parts.append("\n".join(f"- {line}" for line in words))
        Path(options.markdown).write_text("\n\n".join(parts) + "\n")
    if options.json:
        Path(options.json).write_text(json.dumps(report, separators=(",", ":")) + "\n")


def verdict_lines(targets):
    return [f"{'met' if met else '**missed**'}: {what}" for what, met in targets]


def run_servers(program, title, options, measure, about="", lead=None):
    """A whole benchmark: measure(rig, kind, tables) on each of options.servers that is here answers
    (what is reported, [(target, met)]). The exit status."""
    report = {"environment": environment(options), "servers": {}}
    tables, targets = [], []
    print(environment_text(report["environment"]))
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        rig = Rig(options, folder)
        try:
            for kind in options.servers:
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
    write_results(options, report, tables, title, report["environment"], words, about=about, lead=lead)
    return 0 if all(met for _, met in targets) else 1


def finish_options(options, databases=given.DATABASES):
    """Ends the program if --server cannot be used."""
    if options.server:
        server = given.open_or_exit(options.server, options.server_pid, databases)
        SERVERS[GIVEN] = server.name
        options.servers = [GIVEN]
        server.stop()
    elif options.server_pid is not None:
        print("--server-pid: names the process of a server that --server names", file=sys.stderr)
        sys.exit(2)
    built = Path(options.build) / "src" / "main" / "mongosluice"
    if options.mongosluice is None and built.is_file():
        options.mongosluice = str(built)
