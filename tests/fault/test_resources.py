"""Exhausted resources: descriptors and disk; and clock changes during operation."""

import contextlib
import re
import resource
import time
import urllib.request
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support import proxy as proxies
from support.endpoint import Endpoint
from support.ports import free_ports
from support.process import eventually
from support.wire import RawClient

pytestmark = pytest.mark.proxy_only
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


def cpu_seconds(pid):
    return sum(int(task.joinpath("schedstat").read_text().split()[0])
               for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


@pytest.mark.long
def test_descriptors_run_out(start_proxy, simulated):
    proxy = start_proxy(f"mongodb://{simulated.address}/", {"stats_period_ms": 100})
    where = proxy.endpoint()
    with RawClient(where) as good:
        assert good.command({"ping": 1})["ok"] == 1
        room = proxy.descriptors() + 11
        resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (room, room))
        crowd, refusals = [], []
        for _ in range(40):  # the others wait in the kernel's accept queue
            crowd.append(RawClient(where, 1))
        for client in crowd:
            with contextlib.suppress(OSError):  # not accepted yet
                refusals.append(client.command({"ping": 1}))
        # the accepted clients used the descriptors that their upstream connections need
        assert any("open files" in answer.get("errmsg", "") for answer in refusals), refusals
        assert good.command({"ping": 1})["ok"] == 1
        used = cpu_seconds(proxy.process.pid)
        time.sleep(2)
        assert cpu_seconds(proxy.process.pid) - used < 1.5, "it spins while there are no descriptors"
        for client in crowd:
            client.__exit__()

        def served_again():
            try:
                with RawClient(where, 5) as client:
                    return client.command({"ping": 1})["ok"] == 1
            except OSError:
                return False
        eventually(served_again, "a client that came later is served")
        assert good.command({"ping": 1})["ok"] == 1


def test_polling_ends(start_proxy, simulated):
    """A worker that polls serves its clients, and an idle one sleeps."""
    proxy = start_proxy(f"mongodb://{simulated.address}/", {"busy_poll_us": 1000, "threads": 2})
    with RawClient(proxy.endpoint()) as first, RawClient(proxy.endpoint()) as second:
        for _ in range(200):
            assert first.command({"ping": 1})["ok"] == second.command({"ping": 1})["ok"] == 1
        used = cpu_seconds(proxy.process.pid)
        time.sleep(2)
        assert cpu_seconds(proxy.process.pid) - used < 1.5, "it polls without work"
        assert first.command({"ping": 1})["ok"] == 1


def test_disk_is_full(start_proxy, simulated):
    """The proxy loses its log lines, and nothing else."""
    port = free_ports(2)
    admin = port + 1
    start_proxy(f"mongodb://{simulated.address}/",
                {"log.file": "/dev/full", "log.level": "debug", "listen": f"127.0.0.1:{port}",
                 "admin.listen": f"127.0.0.1:{admin}"})
    where = Endpoint(f"127.0.0.1:{port}")

    def served():
        with contextlib.suppress(OSError), RawClient(where) as client:
            return all(client.command({"ping": 1})["ok"] == 1 for _ in range(100))
        return False
    eventually(served, "clients are served without a log")
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=20) as page:
        dropped = re.search(r"^mongosluice_log_lines_dropped_total (\d+)$", page.read().decode(), re.M)
    assert int(dropped[1]) > 0


def test_clock_is_set(simulated, tmp_path, monkeypatch):
    """The clock moves a day forward and two back: no timeout fires, and the log follows the clock."""
    if not FAKETIME.is_file():
        pytest.skip("libfaketime is not installed (scripts/setup.sh checks)")
    clock = tmp_path / "clock"
    clock.write_text("+0d")
    monkeypatch.setenv("LD_PRELOAD", str(FAKETIME))
    monkeypatch.setenv("ASAN_OPTIONS", "verify_asan_link_order=0")
    monkeypatch.setenv("DONT_FAKE_MONOTONIC", "1")
    monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(clock))
    proxy = proxies.Proxy(f"mongodb://{simulated.address}/", {
        "handshake_timeout_ms": 60000, "client_idle_timeout_ms": 60000, "stats_period_ms": 100,
        "merge.enabled": "true"})
    monkeypatch.undo()
    try:
        with RawClient(proxy.endpoint()) as silent, RawClient(proxy.endpoint()) as client:
            for days in ("+1d", "-1d", "+0d"):
                assert client.command({"ping": 1})["ok"] == 1
                seen = len(proxy.records())
                clock.write_text(days)
                wanted = timedelta(days=int(days[:-1]))
                eventually(lambda: any(is_near(record, wanted) for record in proxy.records()[seen:]),
                           f"the log follows the clock by {days}")
                time.sleep(0.3)
                assert client.command({"ping": 1})["ok"] == 1
            assert silent.command({"ping": 1})["ok"] == 1
            assert proxy.counter("handshakeTimeouts") == proxy.counter("clientIdleTimeouts") == 0
    finally:
        proxy.finish()


def is_near(record, wanted):
    shown = datetime.fromisoformat(record["t"]["$date"])
    return abs(shown - datetime.now(shown.tzinfo) - wanted) < timedelta(hours=1)
