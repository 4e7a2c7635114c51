#!/usr/bin/env python3
"""Two proxies at one name: for how long can a client not write when one of them goes away?

    run.py [--drivers pymongo,node,go,java] [--ways dns,haproxy] [--faults kill,drain,hang] [--seconds N]

Both proxies serve the same simulated replica set, on the same ports of two loopback addresses, and advertise the name
`sluice.test`. Way `dns`: the name has both addresses. Way `haproxy`: it has the address of a HAProxy that checks both.
Fault `kill`: the first proxy's process is killed. `drain`: it gets TERM, and drains. `hang`: it is stopped, as on a
machine that hangs; its connections stay open. A driver writes without a pause; the table shows its longest time without
a successful write, and the errors that the application got.

Needs Linux, root or user namespaces (for an own /etc/hosts), and for the further drivers npm, go or mvn; it puts their
packages into .cache/failover. MONGOSLUICE_BINARY names the proxy (default: the release build)."""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
CACHE = PROJECT / ".cache" / "failover"
PATIENCE_SECONDS = 15  # for a write that hangs
NAME, FIRST, SECOND, BALANCER = "sluice.test", "127.0.0.1", "127.0.0.2", "127.0.0.3"
os.environ.setdefault("MONGOSLUICE_BINARY", str(PROJECT / "build/release/src/main/mongosluice"))
sys.path.insert(0, str(HERE.parent / "integration"))


def enter_namespace():
    """Runs this program again where /etc/hosts may be replaced."""
    if "MONGOSLUICE_FAILOVER_INSIDE" in os.environ:
        return
    os.environ["MONGOSLUICE_FAILOVER_INSIDE"] = "1"
    os.execvp("unshare", ["unshare", "--map-root-user", "--mount", sys.executable, *sys.argv])


def set_hosts(folder, addresses):
    hosts = folder / "hosts"
    hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{address} {NAME}\n" for address in addresses))
    subprocess.run(["umount", "/etc/hosts"], stderr=subprocess.DEVNULL, check=False)
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)


# --- drivers


def run(*words, folder):
    subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def prepare(driver):
    """Returns the words that start the driver's probe."""
    folder = CACHE / driver
    folder.mkdir(parents=True, exist_ok=True)
    if driver == "pymongo":
        return [sys.executable, HERE / "probe.py"]
    if driver == "node":
        shutil.copy(HERE / "probe.js", folder)
        if not (folder / "node_modules").exists():
            run("npm", "install", "--silent", "--prefix", ".", "mongodb@6", folder=folder)
        return ["node", folder / "probe.js"]
    if driver == "go":
        shutil.copy(HERE / "probe.go", folder)
        if not (folder / "go.mod").exists():
            run("go", "mod", "init", "probe", folder=folder)
            run("go", "get", "go.mongodb.org/mongo-driver/v2", folder=folder)
        run("go", "mod", "tidy", folder=folder)
        run("go", "build", "-o", "probe", "probe.go", folder=folder)
        return [folder / "probe"]
    shutil.copy(HERE / "pom.xml", folder)
    if not (folder / "target" / "dependency").exists():
        run("mvn", "-q", "dependency:copy-dependencies", folder=folder)
    jars = folder / "target" / "dependency" / "*"
    run("javac", "-cp", str(jars), "-d", str(folder), str(HERE / "Probe.java"), folder=folder)
    return ["java", "-cp", f"{folder}:{jars}", "Probe"]


# --- one measurement


def start_balancer(folder, first_port, count, admin_port):
    """HAProxy, with a listener for each port. It asks the proxies whether they are ready."""
    lines = ["defaults", "  mode tcp", "  option redispatch 1", "  timeout connect 2s", "  timeout client 1h", "  timeout server 1h",
             f"  default-server check port {admin_port} inter 1s fall 2 rise 1 on-marked-down shutdown-sessions",
             "  option httpchk GET /readyz", "  timeout check 1s"]
    for port in range(first_port, first_port + count):
        lines += [f"listen p{port}", f"  bind {BALANCER}:{port}",
                  f"  server a {FIRST}:{port}", f"  server b {SECOND}:{port}"]
    config = folder / "haproxy.cfg"
    config.write_text("\n".join(lines) + "\n")
    return subprocess.Popen(["haproxy", "-db", "-f", config], stderr=subprocess.DEVNULL)


def measure(words, way, fault, seconds, folder):
    from support.ports import free_ports
    from support.proxy import Proxy
    from support.simulated_set import NAME as SET
    from support.simulated_set import SimulatedSet
    signals = {"kill": signal.SIGKILL, "drain": signal.SIGTERM, "hang": signal.SIGSTOP}
    count = 2
    set_hosts(folder, [FIRST, SECOND] if way == "dns" else [BALANCER])
    with SimulatedSet(count) as members:
        port = free_ports(count + 1)
        admin_port = port + count
        proxies = [Proxy(members.uri(), {"listen": f"{host}:{port}", "listen_port_count": count, "advertise": NAME,
                                         "admin.listen": f"{host}:{admin_port}"})
                   for host in (FIRST, SECOND)]
        for proxy in proxies:
            for address in members.addresses:
                proxy.address(address)
        balancer = start_balancer(folder, port, count, admin_port) if way == "haproxy" else None
        time.sleep(1)
        probe = subprocess.Popen([*words, f"mongodb://{NAME}:{port}/?replicaSet={SET}", str(seconds)],
                                 stdout=subprocess.PIPE, text=True)
        time.sleep(4)
        proxies[0].process.send(signals[fault])
        out = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            out, _ = probe.communicate(timeout=seconds + PATIENCE_SECONDS)
        probe.kill()
        if fault == "hang":
            proxies[0].process.send(signal.SIGCONT)
        if balancer is not None:
            balancer.terminate()
            balancer.wait()
        for proxy in proxies:
            proxy.process.kill()
    if out is None:
        return {"writes": "", "errors": {}, "longest_ms": f"> {(seconds + PATIENCE_SECONDS - 4) * 1000:.0f}"}
    return json.loads(out.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drivers", default="pymongo")
    parser.add_argument("--ways", default="dns,haproxy")
    parser.add_argument("--faults", default="kill,drain")
    parser.add_argument("--seconds", type=float, default=15)
    options = parser.parse_args()
    enter_namespace()
    print("| driver | way | fault | writes | longest time without a write (ms) | errors in the application |")
    print("|---|---|---|---:|---:|---|")
    with tempfile.TemporaryDirectory() as folder:
        for driver in options.drivers.split(","):
            words = [str(word) for word in prepare(driver)]
            for way in options.ways.split(","):
                for fault in options.faults.split(","):
                    seconds = 60 if fault == "hang" else options.seconds
                    found = measure(words, way, fault, seconds, Path(folder))
                    errors = ", ".join(f"{count} {name}" for name, count in found["errors"].items()) or "none"
                    print(f"| {driver} | {way} | {fault} | {found['writes']} | {found['longest_ms']} | {errors} |",
                          flush=True)
        subprocess.run(["umount", "/etc/hosts"], check=True)


main()
