"""What an operator sees and changes while the proxy runs: readiness in the log, reloads, the service manager,
certificates."""

import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from support.admin import Admin
from support.endpoint import Endpoint
from support.ports import free_port, refusing_port
from support.process import Process, eventually
from support.proxy import BINARY, Proxy, environment
from support.wire import RawClient

pytestmark = pytest.mark.proxy_only
READY, NOT_READY, RELOADED, RELOAD_FAILED = 1034, 1038, 1032, 1030


class Manager:
    """The socket of a service manager, and the messages that arrive on it."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(0.2)
        self.name = address if isinstance(address, str) else "@" + address[1:].decode()
        self.messages = []

    def receive(self):
        try:
            self.messages.append(self.socket.recv(4096).decode())
        except TimeoutError:
            pass
        return self.messages

    def wait_for(self, wanted, what):
        return eventually(lambda: next((m for m in self.receive() if wanted(m)), None), what)


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    one = Manager(str(tmp_path / "notify") if request.param == "path" else f"\0mongosluice-{os.getpid()}".encode())
    yield one
    one.socket.close()


def write_config(folder, upstream, *lines):
    file = folder / "sluice.yaml"
    file.write_text("\n".join([f"upstream: {upstream}", "listen: 127.0.0.1:0", "admin.listen: 127.0.0.1:0", *lines]) + "\n")
    return file


def hup(proxy, good):
    """Sends HUP, and waits for the outcome in the log."""
    seen = sum(record["id"] in (RELOADED, RELOAD_FAILED) for record in proxy.records())

    def outcome():
        found = [record for record in proxy.records() if record["id"] in (RELOADED, RELOAD_FAILED)]
        return found[seen] if len(found) > seen else None
    proxy.process.send(signal.SIGHUP)
    record = eventually(outcome, "the reload ends")
    assert record["id"] == (RELOADED if good else RELOAD_FAILED), record
    return record


def metric(admin, name):
    """The value of a sample with its labels."""
    text = admin.get("/metrics").body.decode()
    return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)[1])


# --- readiness

def test_a_healthy_start_prints_no_warning_and_logs_ready_when_it_is(server, start_proxy):
    proxy = start_proxy(server.endpoint.uri(), {"admin.listen": "127.0.0.1:0", "max_client_conn": 100})
    proxy.wait_for_record("ready", id=READY)
    admin = Admin(proxy)
    assert admin.get("/readyz").status == 200
    assert [record["msg"] for record in proxy.records() if record["s"] in "FEW"] == []


def test_ready_is_logged_when_readyz_says_so(start_server, start_proxy, tmp_path):
    port = free_port()
    proxy = start_proxy(f"mongodb://127.0.0.1:{port}/?heartbeatFrequencyMS=500", {"admin.listen": "127.0.0.1:0"})
    admin = Admin(proxy)
    proxy.wait_for_text("does not answer", level="W")
    assert admin.get("/readyz").status == 503
    assert not any(record["id"] == READY for record in proxy.records())
    (tmp_path / "server0").mkdir()
    server = start_server(port=port, replica_set=None)
    proxy.wait_for_record("ready", id=READY)
    assert admin.get("/readyz").status == 200
    server.stop()
    record = proxy.wait_for_record("no longer ready", id=NOT_READY, s="W")
    assert "no upstream server is reachable" in record["attr"]["reason"]


# --- the service manager

def test_the_service_manager_is_told(server, manager, tmp_path):
    file = write_config(tmp_path, server.endpoint.uri(), "log.level: info")
    proxy = Proxy(None, {"listen": None}, config_file=file, variables={
        "NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "400000"})
    try:
        manager.wait_for(lambda m: m == "READY=1", "READY")
        manager.wait_for(lambda m: m == "STATUS=Ready", "the status")
        # twice: it repeats
        eventually(lambda: manager.receive().count("WATCHDOG=1") >= 2, "the watchdog is fed")
        hup(proxy, good=True)
        begun = manager.wait_for(lambda m: m.startswith("RELOADING=1"), "RELOADING")
        assert 0 < int(re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", begun)[1])
        eventually(lambda: manager.receive().count("READY=1") == 2, "the end of the reload")
        write_config(tmp_path, server.endpoint.uri(), "log.level: loud")
        hup(proxy, good=False)
        manager.wait_for(lambda m: m.startswith("STATUS=Ready; the last reload failed: ") and "log.level" in m, "the failure")
        eventually(lambda: manager.receive().count("READY=1") == 3, "the end of the reload")
        proxy.process.send(signal.SIGTERM)
        manager.wait_for(lambda m: m == "STOPPING=1", "STOPPING")
    finally:
        proxy.finish()


def test_a_wrong_notify_socket_is_named_and_no_hindrance(server):
    proxy = Proxy(server.endpoint.uri(), variables={"NOTIFY_SOCKET": "nonsense"})
    try:
        assert proxy.wait_for_record("the wrong name", id=1057, s="W")["attr"]["socket"] == "nonsense"
        proxy.wait_for_record("ready", id=READY)
    finally:
        proxy.finish()


def test_the_unit_tells_systemd_and_its_reload_fails_visibly(server, tmp_path):
    """Runs the commands of ExecReload as systemd does."""
    unit = next((BINARY.parent).glob("mongosluice.service")).read_text()
    assert re.search(r"^Type=notify$", unit, re.MULTILINE) and re.search(r"^WatchdogSec=\d+$", unit, re.MULTILINE)
    file = write_config(tmp_path, server.endpoint.uri())
    proxy = Proxy(None, {"listen": None}, config_file=file)
    commands = re.findall(r"^ExecReload=(.*)$", unit, re.MULTILINE)
    program, config = re.search(r"(\S+/mongosluice) --check-config --config (\S+)", commands[-1]).groups()

    def systemctl_reload():
        """The exit code of the first command that fails, and what the journal gets."""
        for command in commands:
            words = command.replace("$MAINPID", str(proxy.process.pid)).replace(program, str(BINARY)).replace(config, str(file))
            process = Process(["/bin/sh", "-c", words], env=environment())
            code = process.wait()
            if code != 0:
                return code, process.stdout, process.stderr
        return 0, [], []
    try:
        proxy.wait_for_record("ready", id=READY)
        assert systemctl_reload() == (0, [], [])
        proxy.wait_for_record("reloaded", id=RELOADED)
        write_config(tmp_path, server.endpoint.uri(), "log.level: loud")
        code, out, err = systemctl_reload()
        assert code != 0 and out == [] and "log.level" in err[0]
        proxy.wait_for_record("the failure", id=RELOAD_FAILED)
    finally:
        proxy.finish()


# --- reloads

def test_a_rotated_log_is_released_although_the_configuration_has_errors(server, tmp_path):
    log = tmp_path / "proxy.log"
    file = write_config(tmp_path, server.endpoint.uri(), f"log.file: {log}")
    proxy = Proxy(None, {"listen": None}, config_file=file)
    try:
        eventually(lambda: log.exists() and "mongosluice is ready" in log.read_text(), "ready")
        file.write_text("nonsense: [\n")
        log.rename(tmp_path / "proxy.log.1")
        proxy.process.send(signal.SIGHUP)
        eventually(lambda: log.exists() and '"id":1030' in log.read_text(), "the new file has the failure")
        assert '"id":1030' not in (tmp_path / "proxy.log.1").read_text()
    finally:
        proxy.finish()


def test_the_last_reload_is_a_metric_and_in_status_and_readyz(server, tmp_path):
    file = write_config(tmp_path, server.endpoint.uri())
    proxy = Proxy(None, {"listen": None}, config_file=file)
    try:
        admin = Admin(proxy)
        proxy.wait_for_record("ready", id=READY)
        assert "reload" not in admin.json("/status") and "reload" not in admin.json("/readyz")
        started = metric(admin, "process_start_time_seconds")
        assert metric(admin, "mongosluice_last_reload_successful") == 1
        assert metric(admin, "mongosluice_last_reload_timestamp_seconds") == pytest.approx(started)
        write_config(tmp_path, server.endpoint.uri(), "threads: many")
        hup(proxy, good=False)
        for page in ("/status", "/readyz"):
            reload = admin.json(page)["reload"]
            assert reload["ok"] is False and "threads" in reload["error"] and reload["at_ms"] > started * 1000
        assert metric(admin, "mongosluice_last_reload_successful") == 0
        assert metric(admin, 'mongosluice_reloads_total{outcome="failed"}') == 1
        status = Process([BINARY, "status", "--admin", admin.address], env=environment())
        assert status.wait() == 0
        assert any("last reload failed" in line and "threads" in line for line in status.stdout), status.stdout
        write_config(tmp_path, server.endpoint.uri(), "threads: 3")
        hup(proxy, good=True)
        reload = admin.json("/readyz")["reload"]
        assert reload["ok"] is True and reload["needs_restart"] == ["threads"] and reload["error"] == ""
        assert metric(admin, "mongosluice_last_reload_successful") == 1
        assert metric(admin, 'mongosluice_reloads_total{outcome="succeeded"}') == 1
    finally:
        proxy.finish()


# --- certificates

def serve(start_proxy, simulated, cert, key, **options):
    return start_proxy(f"mongodb://{simulated.address}/", {
        "tls.mode": "require", "tls.cert_file": cert, "tls.key_file": key, "admin.listen": "127.0.0.1:0", **options})


def serial(where, ca_file):
    with RawClient(where, context=ssl.create_default_context(cafile=ca_file)) as client:
        assert client.hello()["ok"] == 1
        return client.socket.getpeercert()["serialNumber"]


def test_replaced_certificates_are_served_without_a_signal(start_proxy, simulated, authorities, tmp_path):
    """As Kubernetes replaces a Secret: a link to the folder changes."""
    ca_file = authorities.proxy.ca_file
    certificates = [authorities.proxy.issue(f"swap{i}", days=(-1, 30 + i)) for i in range(2)]
    for i, one in enumerate(certificates):
        folder = tmp_path / f"data{i}"
        folder.mkdir()
        (folder / "tls.crt").write_bytes(one.cert_file.read_bytes())
        (folder / "tls.key").write_bytes(one.key_file.read_bytes())
    (tmp_path / "..data").symlink_to("data0")
    (tmp_path / "tls.crt").symlink_to("..data/tls.crt")
    (tmp_path / "tls.key").symlink_to("..data/tls.key")
    proxy = serve(start_proxy, simulated, tmp_path / "tls.crt", tmp_path / "tls.key")
    admin = Admin(proxy)
    expiry = 'mongosluice_certificate_expiry_seconds{certificate="tls.cert_file"}'
    first = serial(proxy.endpoint(), ca_file)
    assert metric(admin, expiry) == certificates[0].expiry()
    (tmp_path / "..next").symlink_to("data1")
    (tmp_path / "..next").rename(tmp_path / "..data")
    eventually(lambda: serial(proxy.endpoint(), ca_file) != first, "the new certificate is served")
    proxy.wait_for_record("the change", id=1063, s="I")
    assert metric(admin, expiry) == certificates[1].expiry()
    listed = admin.json("/status")["certificates"]
    assert [(one["option"], one["valid_until_ms"]) for one in listed] == [("tls.cert_file", certificates[1].expiry() * 1000)]


def test_changed_files_with_errors_leave_the_old_certificate(start_proxy, simulated, authorities, tmp_path):
    old, new = (authorities.proxy.issue(f"half-{name}") for name in ("old", "new"))
    cert, key = tmp_path / "front.crt", tmp_path / "front.key"
    cert.write_bytes(old.cert_file.read_bytes())
    key.write_bytes(old.key_file.read_bytes())
    proxy = serve(start_proxy, simulated, cert, key)
    admin = Admin(proxy)
    first = serial(proxy.endpoint(), old.ca_file)
    cert.write_bytes(new.cert_file.read_bytes())
    warning = proxy.wait_for_record("the mismatch", id=1064, s="W")
    assert str(key) in warning["attr"]["error"]
    assert serial(proxy.endpoint(), old.ca_file) == first
    assert metric(admin, "mongosluice_certificate_files_broken") == 1
    assert str(key) in admin.json("/status")["certificates_problem"]
    key.write_bytes(new.key_file.read_bytes())
    eventually(lambda: serial(proxy.endpoint(), old.ca_file) != first, "the whole pair is served")
    assert metric(admin, "mongosluice_certificate_files_broken") == 0
    assert sum(record["id"] == 1064 for record in proxy.records()) == 1


@pytest.mark.parametrize(("days", "part"), [
    ((-80, 10.5), "expires in 10 days"), ((-400, 2.5), "expires in 2 days"), ((-3, 0.52), "expires in 12 hours"),
    ((-30, -1), "expired at"), ((1, 30), "is not valid before"), ((-1, 100), None), ((-2, 10), None)])
def test_warnings_of_expiry_at_check_start_and_reload(start_proxy, simulated, authorities, days, part):
    one = authorities.proxy.issue(f"expiry{days[1]}", days=days)
    words = ["--check-config", "--upstream", f"mongodb://{simulated.address}/", "--listen", "127.0.0.1:0", "--tls.mode=require",
             f"--tls.cert_file={one.cert_file}", f"--tls.key_file={one.key_file}"]
    check = Process([BINARY, *words], env=environment())
    assert check.wait() == 0
    proxy = serve(start_proxy, simulated, one.cert_file, one.key_file)
    proxy.wait_for_record("ready", id=READY)
    hup(proxy, good=True)
    warnings = [record["attr"] for record in proxy.records() if record["id"] == 1059 and record["s"] == "W"]
    if part is None:
        assert (check.stderr, warnings) == ([], [])
        return
    assert len(check.stderr) == 1 and part in check.stderr[0] and str(one.cert_file) in check.stderr[0]
    assert check.stderr[0].startswith("mongosluice: warning: tls.cert_file: ")
    assert len(warnings) == 2 and all(part in warning["warning"] for warning in warnings), warnings


# --- failed handshakes

def fail_with(where, context, **more):
    host, port = where.address.rsplit(":", 1)
    with pytest.raises((ssl.SSLError, OSError)):
        with socket.create_connection((host, int(port)), 5) as plain, \
                context.wrap_socket(plain, server_hostname=more.get("name", "localhost")) as secure:
            secure.settimeout(5)
            secure.sendall(b"x" * 16)
            if secure.recv(1) == b"":
                raise OSError("closed")


@pytest.fixture
def strict(start_proxy, simulated, authorities):
    one = authorities.proxy.issue("strict")
    proxy = serve(start_proxy, simulated, one.cert_file, one.key_file, **{
        "tls.ca_file": authorities.client.ca_file, "tls.client_certificates": "required", "tls.min_version": "1.3",
        "handshake_timeout_ms": "1500"})
    return proxy, Admin(proxy)


def plain_bytes(where, data):
    host, port = where.address.rsplit(":", 1)
    client = socket.create_connection((host, int(port)), 5)
    client.sendall(data)
    return client


def test_failed_handshakes_of_clients_are_warned_of_and_counted_by_cause(strict, authorities):
    proxy, admin = strict
    where = proxy.endpoint()

    def trusting():
        return ssl.create_default_context(cafile=authorities.proxy.ca_file)
    suspicious = ssl.create_default_context(cafile=authorities.server.ca_file)
    other = trusting()
    other.load_cert_chain(authorities.server.issue("other").pem_file)
    old = trusting()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    expired = trusting()
    expired.load_cert_chain(authorities.client.issue("expired", days=(-9, -2)).pem_file)
    causes = {"no_certificate": lambda: fail_with(where, trusting()), "refused_by_peer": lambda: fail_with(where, suspicious),
              "certificate": lambda: (fail_with(where, other), fail_with(where, expired)),
              "version": lambda: fail_with(where, old),
              "not_tls": lambda: plain_bytes(where, b"GET / HTTP/1.1\r\n\r\n").recv(64),
              "closed": lambda: plain_bytes(where, b"\x16\x03\x01\x02").close()}
    slow = plain_bytes(where, b"\x16\x03\x01")
    plain_bytes(where, b"").close()  # a health check is no failure
    for cause, fail in causes.items():
        fail()
        record = proxy.wait_for_record(cause, id=1085, s="W", cause=cause)
        assert record["attr"]["remote"].startswith("127.0.0.1:") and record["attr"]["reason"]
    proxy.wait_for_record("the timeout", id=1085, s="W", cause="timeout")
    slow.close()
    counts = {cause: metric(admin, f'mongosluice_tls_handshake_failures_total{{side="client",cause="{cause}"}}')
              for cause in (*causes, "timeout", "other")}
    assert counts == {"no_certificate": 1, "refused_by_peer": 1, "certificate": 2, "version": 1, "not_tls": 1, "closed": 1,
                      "timeout": 1, "other": 0}
    reasons = " ".join(record["attr"]["reason"] for record in proxy.records() if record["id"] == 1085)
    assert "certificate has expired" in reasons and "tlsCertificateKeyFile" in reasons


@pytest.mark.parametrize("mode", ["session", "shared"])
def test_failed_handshakes_with_servers_are_warned_of_and_counted(secure_server, authorities, start_proxy, mode):
    like = secure_server.endpoint
    proxy = start_proxy(f"mongodb://{like.address}/?tls=true&tlsCAFile={authorities.proxy.ca_file}",
                        {"admin.listen": "127.0.0.1:0", "pool.mode": mode})
    with RawClient(proxy.endpoint()) as client:
        assert client.command({"ping": 1})["ok"] == 0
    record = proxy.wait_for_record("the failure", id=1086, s="W", cause="certificate")
    assert record["attr"]["server"] == like.address and "check the CA file" in record["attr"]["reason"]
    assert metric(Admin(proxy), 'mongosluice_tls_handshake_failures_total{side="upstream",cause="certificate"}') >= 1


# --- starts that cannot succeed

def failed_start(*words, **popen):
    """The standard error of a start that fails."""
    done = subprocess.run([BINARY, *map(str, words)], env=environment(), capture_output=True, text=True, timeout=20, check=False,
                          **popen)
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    return done.stderr


def test_a_port_in_use_may_be_another_program(server):
    with refusing_port() as port:
        text = failed_start("--upstream", server.endpoint.uri(), "--listen", f"127.0.0.1:{port}")
    assert "Address already in use" in text and "is another program using the port?" in text


def test_an_address_of_another_machine_is_no_other_program(server):
    text = failed_start("--upstream", server.endpoint.uri(), "--listen", "192.0.2.1:27017")
    assert "Cannot assign requested address" in text and "no network interface of this machine has this address" in text
    assert "another program" not in text


@pytest.fixture
def public_folder():
    """A folder that every user may enter; those of pytest are private."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 1, reason="every user may bind port 1")
def test_a_port_that_needs_a_capability_is_no_other_program(server, public_folder):
    program = public_folder / "mongosluice"
    shutil.copy(BINARY, program)
    nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    done = subprocess.run([program, "--upstream", server.endpoint.uri(), "--listen", "127.0.0.1:1"], env=environment(),
                          capture_output=True, text=True, timeout=60, check=False, **nobody)
    assert done.returncode == 1 and "Permission denied" in done.stderr and "CAP_NET_BIND_SERVICE" in done.stderr, done.stderr
    assert "another program" not in done.stderr


def test_a_set_name_that_does_not_match_names_both(server, start_proxy):
    port = free_port()  # the log names it only while the server is in the topology
    proxy = start_proxy(f"mongodb://{server.endpoint.address}/?replicaSet=other",
                        {"admin.listen": "127.0.0.1:0", "listen": f"127.0.0.1:{port}"})
    record = proxy.wait_for_record("the mismatch", id=1021, s="W")
    assert 'belongs to the replica set "secantus"' in record["attr"]["cause"] and '"other"' in record["attr"]["cause"]
    reason = Admin(proxy).get("/readyz").json()["reason"]
    assert '"secantus"' in reason and '"other"' in reason
    with RawClient(Endpoint(f"127.0.0.1:{port}")) as client:
        answer = client.hello()
        assert answer["ok"] == 0 and '"secantus"' in answer["errmsg"] and '"other"' in answer["errmsg"]


def test_a_standalone_where_a_set_is_named(standalone_server, start_proxy):
    proxy = start_proxy(f"mongodb://{standalone_server.endpoint.address}/?replicaSet=other")
    cause = proxy.wait_for_record("the mismatch", id=1021, s="W")["attr"]["cause"]
    assert "Standalone, a member of no replica set" in cause and '"other"' in cause


@pytest.mark.parametrize(("listen", "upstream"), [
    ("127.0.0.1:{}", "127.0.0.1:{}"), ("127.0.0.1:{}", "localhost:{}"), ("0.0.0.0:{}", "127.0.0.1:{}"), ("0.0.0.0:{}", "127.3.4.5:{}"),
    ("0.0.0.0:{}", socket.gethostname() + ":{}"), ("localhost:{}", "127.0.0.1:{}"), ("127.0.0.1:{}", "192.0.2.1:1,127.0.0.1:{}")])
def test_a_proxy_in_front_of_itself_does_not_start(listen, upstream):
    port = free_port()
    words = ["--listen", listen.format(port), "--upstream", f"mongodb://{upstream.format(port)}/"]
    text = failed_start(*words)
    assert "upstream: " in text and "is the proxy's own address (option listen)" in text
    check = subprocess.run([BINARY, "--check-config", *words], env=environment(), capture_output=True, text=True, timeout=30)
    assert check.returncode == 2 and "is the proxy's own address" in check.stderr


@pytest.mark.parametrize("upstream", ["127.0.0.2:{}", "127.0.0.1:{}"])
def test_other_addresses_and_ports_are_not_the_proxy(upstream, start_proxy):
    with refusing_port() as port:
        proxy = start_proxy(f"mongodb://{upstream.format(port)}/", {"listen": f"127.0.0.1:{free_port()}"})
        proxy.wait_for_text("does not answer", level="W")


@contextlib.contextmanager
def forwarded(port):
    """A port that leads to `port`, like a forwarded port of a container."""
    def copy(one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", port), 5)
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=copy, args=pair, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def test_a_way_back_through_another_port_ends_the_start():
    port = free_port()
    with forwarded(port) as other:
        text = failed_start("--listen", f"127.0.0.1:{port}", "--upstream", f"mongodb://127.0.0.1:{other}/")
    assert "upstream: leads back to this proxy" in text


def test_a_member_that_is_the_proxy_itself_is_named_and_the_others_serve(server, start_proxy):
    port = free_port()
    with forwarded(port) as other:
        proxy = start_proxy(f"mongodb://127.0.0.1:{other},{server.endpoint.address}/?replicaSet=secantus",
                            {"listen": f"127.0.0.1:{port}"})
        proxy.wait_for_record("the way back", id=1087, s="E")
        proxy.wait_for_record("ready", id=READY)
