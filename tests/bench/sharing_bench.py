#!/usr/bin/env python3
"""Measures shared upstream connections, in one run beside mongosluice's session mode, a direct connection, HAProxy as a
TCP proxy, and mongobetween: throughput, large fleets of which few clients are active, memory of idle clients, connections
of PyMongo clients, an idle fleet's commands, and login storms.

Routes and servers that are not installed are named and left out: haproxy, mongobetween (MONGOBETWEEN or PATH),
secantusd-rs (SECANTUSD_RS or PATH), mongod (PATH)."""

import argparse
import contextlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import rig as bench
from rig import BenchError, Table, latency, median_of, megabytes, plot, ratio_of, ratio_text, throughput

DIRECT, HAPROXY, SESSION, SHARED, MONGOBETWEEN = "direct", "HAProxy", "session", "shared", "mongobetween"
VERIFIER = "verifier"
WANTED_FILES = 60000
SPARE_FILES = 600
POOL = 64  # upstream connections
ACTIVE = 200
PYMONGO_CLIENTS = 20
LOGIN_USER, LOGIN_PASSWORD = "login", "a password of the bench"
ROOT_USER, ROOT_PASSWORD = "root", "root"
IDLE_BYTES_AT_MOST = 4096
MONITOR_SECONDS = 10  # a driver's monitor says hello as often
UPSTREAM_COMMANDS = "mongosluice_upstream_requests_total"


class Sharing(bench.Rig):
    """One upstream server, and the routes to it."""

    def __init__(self, options, folder, kind):
        super().__init__(options, folder)
        self.kind = kind
        self.upstream = start_server(self, kind)
        if kind != "null":
            self.load(self.upstream, "--command", "insert", "--documents", 1000, "--operations", 1,
                      "--collection", "found")

    def start_route(self, name, *more, login=None):
        address = self.upstream.address
        if name == DIRECT:
            return None
        if name == HAPROXY:
            return self.start_haproxy(self.upstream, most_clients(HAPROXY), self.options.threads)
        if name == MONGOBETWEEN:
            at = bench.free_port()
            uri = f"mongodb://{address}/?maxpoolsize={POOL}&label=bench&directConnection=true"
            return self.start(name, [self.options.mongobetween, "-loglevel", "error", f"127.0.0.1:{at}={uri}"], at)
        modes = {SESSION: [], SHARED: ["--pool.mode=shared", f"--pool.max_size={POOL}"]}
        modes[VERIFIER] = [*modes[SHARED], "--auth.verifiers=upstream"]
        uri = f"mongodb://{login + '@' if login else ''}{address}/?directConnection=true&authSource=admin"
        return self.keep(bench.Mongosluice(self.options.mongosluice, uri, self.folder, *modes[name], *more, name=name,
                                           threads=self.options.threads))

    def at(self, route):
        return route or self.upstream

    @contextlib.contextmanager
    def routes(self, names, **more):
        running = {name: self.start_route(name, **more) for name in names}
        try:
            yield running
        finally:
            for route in filter(None, running.values()):
                self.end(route)


def start_server(rig, kind, auth=False):
    if kind == "mongod":
        port, data = bench.free_port(), rig.folder / "mongod"
        data.mkdir(exist_ok=True)
        return rig.start("mongod", [shutil.which("mongod"), "--port", port, "--dbpath", data, "--bind_ip", "127.0.0.1",
                                    *(["--auth"] if auth else [])], port)
    if not auth:
        return rig.start_upstream(kind)
    raise BenchError(f"no access control with {kind}")


# --- throughput ---------------------------------------------------------------------------------------


def measured(sharing, route, *arguments, cpu_of=()):
    """A run of the load generator that may meet errors: then it says so."""
    try:
        result = sharing.load(sharing.at(route), *arguments, "--seconds", sharing.options.seconds,
                              "--warmup-seconds", sharing.options.seconds / 4, strict=False, cpu_of=cpu_of)
    except (BenchError, subprocess.TimeoutExpired) as error:
        return {"failed": str(error)[:200]}
    if result["errors"] or result["lost_connections"] or not result["operations"]:
        result["failed"] = result["reason"] or "no command was answered"
    return result


def failed(results):
    return next((one["failed"] for one in results if "failed" in one), None)


def report_throughput(sharing, tables, routes):
    table = Table("command:connections", "route", "ops/s", "p50 µs", "p99 µs", "ops/s ÷ session (range)",
                  "proxy CPU µs a command", "upstream connections", title=f"Throughput, on {named(sharing.kind)}",
                  plot=plot(f"sharing-{sharing.kind}", "command:connections", "route", "ops/s",
                            f"Operations a second through shared connections, on {named(sharing.kind)}"))
    tables.append(table)
    report, ratios = {}, []
    with sharing.routes(routes) as running:
        for case in sharing.options.cases.split(","):
            command, _, count = case.partition(":")
            arguments = ["--command", command, "--connections", count,
                         *(["--collection", "found"] if command == "find" else [])]

            def once(name, arguments=arguments):
                route = running[name]
                watched = [route] if route else []
                with peak_connections(sharing.upstream.port, route) as peak:
                    result = measured(sharing, route, *arguments, cpu_of=watched)
                cpu = result["cpu_us"][route.name] if route and "cpu_us" in result else 0
                return {**result, "upstream_connections": peak[0], "proxy_cpu_us": cpu}
            rounds = bench.alternate(list(running), sharing.options.rounds, once)
            report[case] = rounds
            for name, results in rounds.items():
                if failed(results):
                    table.row(case, name, f"failed: {failed(results)}", *["–"] * 5)
                    continue
                ratio = "–"
                if name != SESSION and not failed(rounds[SESSION]):
                    value = ratio_of(results, rounds[SESSION], throughput)
                    ratio = ratio_text(value)
                    if name == SHARED:
                        ratios.append((case, value[0]))
                table.row(case, name, f"{median_of(results, throughput):,.0f}",
                          f"{median_of(results, lambda r: latency(r, 'p50')):,.1f}",
                          f"{median_of(results, lambda r: latency(r, 'p99')):,.1f}", ratio,
                          f"{median_of(results, lambda r: r['proxy_cpu_us']):.2f}" if running[name] else "–",
                          f"{median_of(results, lambda r: r['upstream_connections']):.0f}")
    targets = [(f"{case} on {named(sharing.kind)}: {ratio:.2f} of session mode's throughput, ≥ 0.95", ratio >= 0.95)
               for case, ratio in ratios if case.endswith(":64")]
    return report, targets


# --- fleets: many clients, few of them active -------------------------------------------------------------


def files_allowed():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def most_clients(name):
    """Where each client has an upstream connection, a proxy needs two descriptors for it."""
    spare = files_allowed() - SPARE_FILES
    return spare // 2 if name in (HAPROXY, SESSION) else spare


def report_fleets(sharing, tables, routes):
    table = Table("clients", "route", "active", "ops/s", "p50 µs", "p99 µs", "ops/s ÷ session", "p99 ÷ session",
                  "upstream connections", title=f"Fleets of which {ACTIVE} clients are active, on {named(sharing.kind)}")
    tables.append(table)
    report, targets = {}, []
    for count in sharing.options.fleets:
        names = [name for name in routes if most_clients(name) >= count]
        for name in set(routes) - set(names):
            table.row(f"{count:,}", name, "–", f"needs more than {files_allowed():,} open files", *["–"] * 5)
        rounds = fleet(sharing, names, count)
        report[str(count)] = rounds
        base = rounds.get(SESSION)
        for name, results in rounds.items():
            if failed(results):
                table.row(f"{count:,}", name, ACTIVE, f"failed: {failed(results)}", *["–"] * 5)
                continue
            rate = tail = "–"
            if base and name != SESSION and not failed(base):
                rate = ratio_of(results, base, throughput)
                tail = ratio_of(results, base, lambda r: latency(r, "p99"))
                if name == SHARED:
                    what = f"{count:,} clients, {ACTIVE} active, on {named(sharing.kind)}"
                    targets += [(f"{what}: {rate[0]:.2f} of session mode's throughput, ≥ 1", rate[0] >= 1),
                                (f"{what}: p99 {tail[0]:.2f} of session mode's, ≤ 1", tail[0] <= 1)]
                rate, tail = ratio_text(rate), ratio_text(tail)
            table.row(f"{count:,}", name, ACTIVE, f"{median_of(results, throughput):,.0f}",
                      f"{median_of(results, lambda r: latency(r, 'p50')):,.1f}",
                      f"{median_of(results, lambda r: latency(r, 'p99')):,.1f}", rate, tail,
                      f"{median_of(results, lambda r: r['upstream_connections']):.0f}")
    return report, targets


def fleet(sharing, names, count):
    """All clients connect anew for each measurement, so that only one fleet is there at a time."""
    command = ["--command", sharing.options.fleet_command, "--connections", count, "--active", ACTIVE]
    if sharing.options.fleet_command == "find":
        command += ["--collection", "found"]
    results = {name: [] for name in names}
    with sharing.routes(names) as running:
        for number in range(sharing.options.rounds):
            for name in names[number % len(names):] + names[:number % len(names)]:
                with peak_connections(sharing.upstream.port, running[name]) as peak:
                    result = measured(sharing, running[name], *command)
                result["upstream_connections"] = peak[0]
                results[name].append(result)
                wait_for_few(sharing)
    return results


def wait_for_few(sharing):
    """Until the server has seen the end of the last fleet's connections."""
    end = time.monotonic() + 20
    while connections_to(sharing.upstream.port) > 2 * POOL + 50 and time.monotonic() < end:
        time.sleep(0.1)


@contextlib.contextmanager
def peak_connections(port, route):
    """[the largest number of connections to the port that the route has while the block runs], looked at some times a
    second. Direct: all that came in the block."""
    peak, ended = [0], threading.Event()
    others = connections_to(port) - (connections_to(port, route) if route else 0)

    def look():
        peak[0] = max(peak[0], connections_to(port) - others)

    def watch():
        while not ended.wait(0.2):
            look()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
        look()
    finally:
        ended.set()
        watcher.join()


def sockets_of(route):
    """The inodes of a process's sockets."""
    found = set()
    for pid in route.processes():
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                name = os.readlink(entry)
                if name.startswith("socket:["):
                    found.add(name[8:-1])
    return found


def connections_to(port, route=None):
    """The established TCP connections to a server's port: all, or those that a route has."""
    wanted, count = f":{port:04X}", 0
    owned = sockets_of(route) if route else None
    with open("/proc/net/tcp") as lines:
        next(lines)
        for line in lines:
            fields = line.split()
            if fields[3] == "01" and fields[2].endswith(wanted):
                count += owned is None or fields[9] in owned
    return count


# --- idle clients ---------------------------------------------------------------------------------------


def report_memory(sharing, tables, routes):
    table = Table("idle clients", "proxy", "RSS before MB", "with them MB", "bytes each", "upstream connections",
                  title=f"Memory of idle clients, on {named(sharing.kind)}")
    tables.append(table)
    report, targets = {}, []
    for name in (name for name in routes if name != DIRECT):
        count = min(sharing.options.idle, most_clients(name))
        with sharing.routes([name]) as running:
            row = report[name] = idle_memory(sharing, running[name], count)
        if row.get("failed"):
            table.row(f"{count:,}", name, f"failed: {row['failed']}", "–", "–", "–")
            continue
        table.row(f"{count:,}", name, f"{megabytes(row['before_kb']):.1f}", f"{megabytes(row['with_kb']):.1f}",
                  f"{row['bytes_each']:,.0f}", row["upstream_connections"])
        if name == SHARED:
            targets.append((f"{row['bytes_each']:,.0f} bytes of resident memory for each of {count:,} idle clients, ≤ "
                            f"{IDLE_BYTES_AT_MOST:,}", row["bytes_each"] <= IDLE_BYTES_AT_MOST))
    return report, targets


def idle_memory(sharing, route, count):
    sharing.load(route, "--operations", 2000, "--connections", ACTIVE)
    before = route.memory_kb()
    command = [sharing.tool("loadgen"), "--port", str(route.port), "--idle", str(count), "--hold-seconds",
               str(2 * sharing.options.settle), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
        ready = load.stdout.readline().split()
        time.sleep(sharing.options.settle)
        during, upstream = route.memory_kb(), connections_to(sharing.upstream.port, route)
        result = json.loads(load.stdout.readline())
    row = {"before_kb": before, "with_kb": during, "bytes_each": (during - before) * 1024 / count,
           "upstream_connections": upstream}
    if ready != ["ready", str(count)] or result["still_open"] != count:
        row["failed"] = f"{result['still_open']} of {count} stayed: {result['reason']}"
    return row


def report_idle_fleet(sharing, tables):
    """Clients that only say hello as often as a driver's monitor does."""
    table = Table("clients", "route", "hellos of clients", "commands on the server", "÷ session",
                  title="Commands of an idle fleet on the server")
    tables.append(table)
    report = {}
    for name in (SESSION, SHARED):
        count = min(sharing.options.idle, most_clients(SESSION))
        with sharing.routes([name]) as running:
            sharing.load(running[name], "--operations", 100)
            before = commands_of(sharing.upstream)
            result = sharing.load(running[name], "--command", "hello", "--connections", count, "--rate",
                                  count / MONITOR_SECONDS, "--seconds", sharing.options.idle_seconds, strict=False)
            report[name] = {"clients": count, "hellos": result["sent"] + count, "errors": result["errors"],
                            "commands": commands_of(sharing.upstream) - before}
        row = report[name]
        share = row["commands"] / max(report[SESSION]["commands"], 1)
        table.row(f"{count:,}", name, f"{row['hellos']:,}", f"{row['commands']:,}", f"{share:.4f}")
    return report, [(f"an idle fleet's commands on the server: {share:.2%} of session mode's, ≤ 1 %",
                     share <= 0.01 and not report[SHARED]["errors"])]


def commands_of(server):
    """What a server has been asked so far: only differences mean something."""
    from pymongo import MongoClient
    with MongoClient(server.host, server.port, directConnection=True) as client:
        status = client.admin.command("serverStatus")
    return status["commands"] if "commands" in status else sum(status["opcounters"].values())


def report_drivers(sharing, tables):
    """PyMongo clients that have sent one ping each."""
    from pymongo import MongoClient
    table = Table("PyMongo clients", "route", "upstream connections",
                  title=f"Connections of PyMongo clients, on {named(sharing.kind)}")
    tables.append(table)
    report = {}
    for name in (DIRECT, SESSION, SHARED):
        with sharing.routes([name]) as running, contextlib.ExitStack() as clients:
            time.sleep(0.5)
            before = connections_to(sharing.upstream.port) if name == DIRECT else 0
            for _ in range(PYMONGO_CLIENTS):
                client = clients.enter_context(MongoClient(sharing.at(running[name]).host, sharing.at(running[name]).port,
                                                           directConnection=True))
                client.admin.command("ping")
            time.sleep(2)
            report[name] = connections_to(sharing.upstream.port, running[name]) - before
        table.row(PYMONGO_CLIENTS, name, report[name])
        time.sleep(0.5)
    return report, [(f"{PYMONGO_CLIENTS} PyMongo clients: {report[SHARED]} upstream connections on {named(sharing.kind)}, "
                     "≤ 6", report[SHARED] <= 6)]


# --- logins -----------------------------------------------------------------------------------------------


class Logins(Sharing):
    """A server with access control: users are made before it is on."""

    def __init__(self, options, folder, kind):
        bench.Rig.__init__(self, options, folder)
        self.kind = kind
        self.upstream = self.start_with_users()

    def start_with_users(self):
        from pymongo import MongoClient
        program = shutil.which("mongod") if self.kind == "mongod" else bench.secantus_program(self.kind)
        port, data = bench.free_port(), self.folder / f"logins-{self.kind}"
        data.mkdir()
        empty = self.folder / "logins.toml"
        empty.touch()
        command = [program, "--port", port, "--dbpath", data] if self.kind == "mongod" else [
            program, "--config", empty, "--port", port, "--storage-path", data, "--log-level", "ERROR"]
        first = self.start("users", command, port)
        with MongoClient("127.0.0.1", port, directConnection=True) as client:
            for user, password in ((ROOT_USER, ROOT_PASSWORD), (LOGIN_USER, LOGIN_PASSWORD)):
                client.admin.command("createUser", user, pwd=password, roles=["root"], mechanisms=["SCRAM-SHA-256"])
        self.end(first)
        return self.start(f"{self.kind}-auth", [*command, "--auth"], port)

    def log_in(self, route):
        done = subprocess.run([self.tool("logingen"), "--port", str(self.at(route).port), "--user", LOGIN_USER, "--password",
                               LOGIN_PASSWORD, "--logins", str(self.options.logins), "--connections",
                               str(self.options.login_connections)], capture_output=True, text=True, timeout=600, check=False)
        if not done.stdout.startswith("{"):
            raise BenchError(f"logingen failed: {done.stderr}")
        return json.loads(done.stdout)


def upstream_commands(route):
    """The commands that the proxy sent to the server, with its own."""
    return sum(value for name, value in route.metrics().items() if name.startswith(UPSTREAM_COMMANDS))


def report_logins(options, folder, kind, tables):
    table = Table("logins", "route", "logins/s", "p50 µs", "p99 µs", "÷ direct (range)", "commands on the server",
                  title=f"Logins with SCRAM-SHA-256, on {named(kind)}")
    tables.append(table)
    rig = Logins(options, folder, kind)
    try:
        with rig.routes([DIRECT, SESSION, SHARED, VERIFIER], login=f"{ROOT_USER}:{ROOT_PASSWORD}") as running:
            def once(name):
                before = upstream_commands(running[name]) if running[name] else 0
                result = rig.log_in(running[name])
                result["commands"] = upstream_commands(running[name]) - before if running[name] else None
                return result
            rig.options.logins, wanted = 50, rig.options.logins
            for name in running:  # the verifier is read, and its pool made
                once(name)
            rig.options.logins = wanted
            rounds = bench.alternate(list(running), options.login_rounds, once)
    finally:
        rig.stop()
    if any(one["errors"] for one in rounds[DIRECT]):
        raise BenchError(f"direct logins on {named(kind)} fail: {rounds[DIRECT][0]['reason']}")
    for name, results in rounds.items():
        errors = sum(one["errors"] for one in results)
        reason = next((one["reason"] for one in results if one["reason"]), "")
        ratio = ratio_of(results, rounds[DIRECT], lambda r: r["logins_per_second"])
        commands = "–" if name == DIRECT else f"{median_of(results, lambda r: r['commands']):.0f}"
        table.row(f"{wanted:,}", name, f"{median_of(results, lambda r: r['logins_per_second']):,.0f}"
                  + (f" ({errors} failed: {reason})" if errors else ""),
                  f"{median_of(results, lambda r: r['p50_us']):,.0f}", f"{median_of(results, lambda r: r['p99_us']):,.0f}",
                  ratio_text(ratio), commands)
    ratio = ratio_of(rounds[VERIFIER], rounds[DIRECT], lambda r: r["logins_per_second"])[0]
    commands = statistics.median(one["commands"] for one in rounds[VERIFIER])
    bad = sum(one["errors"] for one in rounds[VERIFIER])
    return rounds, [(f"{wanted:,} logins in verifier mode on {named(kind)}: {ratio:.2f} times as fast as direct, ≥ 5",
                     ratio >= 5 and not bad),
                    (f"{wanted:,} logins in verifier mode on {named(kind)}: {commands:.0f} commands on the server, 0 but the "
                     f"pool's own logins", commands <= 3 * POOL)]


# --- the whole ----------------------------------------------------------------------------------------------


def named(kind):
    return {**bench.SERVERS, "mongod": "MongoDB"}[kind]


def have_server(kind):
    return shutil.which("mongod") is not None if kind == "mongod" else bench.have_upstream(kind)


PARTS = ("throughput", "fleets", "memory", "drivers", "idle", "logins")


def measure(options, folder, kind, tables, report):
    targets = []

    def take(part, found):
        report.setdefault(kind, {})[part] = found[0]
        targets.extend(found[1])
    parts = options.parts
    if {"throughput", "fleets", "memory", "drivers", "idle"} & set(parts):
        sharing = Sharing(options, folder, kind)
        try:
            if "throughput" in parts:
                take("throughput", report_throughput(sharing, tables, options.routes))
            if "fleets" in parts and (kind == "null" or options.all_fleets):
                take("fleets", report_fleets(sharing, tables, options.routes))
            if "memory" in parts and kind == "null":
                take("memory", report_memory(sharing, tables, options.routes))
            if "drivers" in parts and kind != "null":
                take("drivers", report_drivers(sharing, tables))
            if "idle" in parts and kind == "null":
                take("idle", report_idle_fleet(sharing, tables))
        finally:
            sharing.stop()
    if "logins" in parts and kind not in ("null", bench.GIVEN):  # those need a server with users of their own
        take("logins", report_logins(options, folder, kind, tables))
    return targets


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    bench.add_options(parser)
    add = parser.add_argument
    add("--haproxy", default=shutil.which("haproxy") or "/usr/sbin/haproxy")
    add("--mongobetween", default=os.environ.get("MONGOBETWEEN") or shutil.which("mongobetween"))
    add("--servers", default="null,rs,mongod", type=bench.choice_of(*bench.SERVERS, "mongod"),
        help="of null, rs (secantusd-rs), py (SecantusDB), mongod")
    add("--parts", default=",".join(PARTS), type=bench.choice_of(*PARTS), help="of these, separated by commas: %(default)s")
    add("--threads", type=int, default=1, help="of each proxy (default 1)")
    add("--rounds", type=int, default=5)
    add("--seconds", type=float, default=2, help="of each measurement (%(default)s)")
    add("--cases", default="ping:64,find:64,insert:64", help="command:connections (%(default)s)")
    add("--fleets", default="5000,9000,10000", type=bench.numbers, help="numbers of clients (%(default)s)")
    add("--fleet-command", default="find")
    add("--all-fleets", action="store_true", help="fleets on each server, not only on the null server")
    add("--idle", type=int, default=9000, help="idle clients (%(default)s)")
    add("--idle-seconds", type=float, default=20)
    add("--settle", type=float, default=2, help="seconds before the memory of idle clients is read (%(default)s)")
    add("--logins", type=int, default=5000)
    add("--login-rounds", type=int, default=3)
    add("--login-connections", type=int, default=64, help="logins at a time (%(default)s)")
    options = parser.parse_args()
    bench.finish_options(options)
    options.routes = [DIRECT, SESSION, SHARED]
    for name, program in ((HAPROXY, options.haproxy), (MONGOBETWEEN, options.mongobetween)):
        if program and Path(program).is_file():
            options.routes.append(name)
        else:
            print(f"{name} is not installed: its rows are left out", file=sys.stderr)
    if options.mongosluice is None:
        parser.error(f"mongosluice is not built in {options.build}")
    return options


def raise_file_limit():
    """The hard limit too, where this process may."""
    for wanted in (WANTED_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return


def main():
    options = parse_options()
    raise_file_limit()
    found = {**bench.environment(options), "open files": files_allowed(),
             "load before it began": f"{os.getloadavg()[0]:.1f}"}
    report, tables, targets = {"environment": found}, [], []
    print(bench.environment_text(found))
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        for kind in options.servers:
            if not have_server(kind):
                print(f"{named(kind)} is not here: its rows are left out", file=sys.stderr)
                continue
            try:
                targets += measure(options, Path(folder), kind, tables, report)
            except BenchError as error:
                print(f"sharing_bench: {error}", file=sys.stderr)
                return 2
    words = bench.verdict_lines(targets)
    print("", *words, sep="\n")
    report["targets"] = [{"target": what, "met": met} for what, met in targets]
    bench.write_results(options, report, tables, "Sharing upstream connections", found, words,
                        about=" ".join(__doc__.partition("\n\n")[0].split()))
    return 0 if all(met for _, met in targets) else 1


if __name__ == "__main__":
    sys.exit(main())
