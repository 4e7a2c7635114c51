"""HUP: a valid change takes effect; an invalid one changes nothing, and the log names the fault and its place."""

import signal
import ssl

import pytest
from support.process import eventually
from support.proxy import CLOSED_BY_ERROR
from support.wire import RawClient, op_msg

pytestmark = pytest.mark.proxy_only
BIG = op_msg({"ping": 1, "$db": "admin", "x": bytes(150_000)})


@pytest.fixture
def scene(start_proxy, simulated, tmp_path):
    """(proxy, write): write(lines) writes them to its configuration file."""
    file = tmp_path / "sluice.yaml"

    def write(*lines):
        file.write_text("\n".join([f"upstream: mongodb://{simulated.address}/",
                                   "listen: 127.0.0.1:0", *lines]) + "\n")
        return file

    write("max_message_bytes: 100000")
    proxy = start_proxy(None, {"listen": None}, config_file=file)
    proxy.address()
    return proxy, write


def reload(proxy, *, good):
    """Sends HUP, and waits for its log record. Returns the new record."""
    seen = len(proxy.records())
    proxy.process.send(signal.SIGHUP)

    def answer():
        for record in proxy.records()[seen:]:
            if record["id"] == (1032 if good else 1030):
                return record
        return None
    return eventually(answer, f"an answer to HUP\n{proxy.process.output()}")


def takes(proxy, message):
    with RawClient(proxy.endpoint()) as client:
        return client.ask(message).body["ok"] == 1


def test_a_good_change(scene):
    proxy, write = scene
    with RawClient(proxy.endpoint()) as before:
        assert before.command({"ping": 1})["ok"] == 1
        assert not takes(proxy, BIG)
        write("max_message_bytes: 200000", "log:", "  level: debug")
        reload(proxy, good=True)
        assert takes(proxy, BIG)
        # and no client's connection was closed
        assert before.command({"ping": 1})["ok"] == 1
    proxy.wait_for_text('"s":"D', level="D")


@pytest.mark.parametrize(("line", "key"), [
    ("max_message_bytes: many", "max_message_bytes"),
    ("max_message_bytes: 12", "max_message_bytes"),
    ("max_client_connn: 5", "max_client_connn"),
    ("log: {level: loud}", "log.level"),
    ("connect_timeout_ms: -1", "connect_timeout_ms"),
    ("tls: {mode: require, cert_file: /no/such/file, key_file: /no/such/file}", "tls.cert_file"),
    ("advertise: [a, b]", "advertise"),
    ("advertise: {", None),
])
def test_a_bad_change_changes_nothing(scene, line, key):
    proxy, write = scene
    with RawClient(proxy.endpoint()) as before:
        assert before.command({"ping": 1})["ok"] == 1
        file = write("client_idle_timeout_ms: 0", line)
        text = reload(proxy, good=False)["attr"]["error"]
        assert f"{file}:4" in text or f"{file}:5" in text, text
        assert key is None or key in text, text
        assert not takes(proxy, BIG)
        assert before.command({"ping": 1})["ok"] == 1
    # and the proxy accepts a valid file after it
    write("max_message_bytes: 200000")
    reload(proxy, good=True)
    assert takes(proxy, BIG)


def test_a_file_that_is_gone(scene):
    proxy, write = scene
    file = write("max_message_bytes: 100000")
    file.unlink()
    assert str(file) in reload(proxy, good=False)["attr"]["error"]
    assert not takes(proxy, BIG)


def test_what_cannot_be_reloaded_is_named(scene):
    proxy, write = scene
    write("max_message_bytes: 200000", "threads: 7")
    seen = len(proxy.records())
    reload(proxy, good=True)
    proxy.wait_for_text("threads", level="WI")
    assert any("threads" in str(record["attr"]) for record in proxy.records()[seen:]
               if record["s"] in "WI")
    assert takes(proxy, BIG)


def test_a_lower_limit_holds_for_connections_that_are_open(scene):
    proxy, write = scene
    write("max_message_bytes: 200000")
    reload(proxy, good=True)
    with RawClient(proxy.endpoint()) as client:
        assert client.ask(BIG).body["ok"] == 1
        write("max_message_bytes: 100000")
        reload(proxy, good=True)
        assert client.ask(BIG).body["ok"] == 0
    proxy.wait_for_record("the refusal", id=CLOSED_BY_ERROR)


def serial(where, ca_files):
    context = ssl.create_default_context()
    for file in ca_files:
        context.load_verify_locations(file)
    with RawClient(where, context=context) as client:
        assert client.hello()["ok"] == 1
        return client.socket.getpeercert()["serialNumber"]


def test_certificates(start_proxy, simulated, authorities, tmp_path):
    """New files at the same place are read without HUP, and on HUP; open connections keep theirs; a broken one is
    refused and the old one stays."""
    cas = [authorities.proxy.ca_file]
    old, new = (authorities.proxy.issue(name) for name in ("old", "new"))
    cert, key = tmp_path / "front.crt", tmp_path / "front.key"

    def put(certificate):
        cert.write_bytes(certificate.cert_file.read_bytes())
        key.write_bytes(certificate.key_file.read_bytes())

    put(old)
    proxy = start_proxy(f"mongodb://{simulated.address}/",
                        {"tls.mode": "require", "tls.cert_file": cert, "tls.key_file": key})
    where = proxy.endpoint()
    first = serial(where, cas)
    context = ssl.create_default_context(cafile=cas[0])
    with RawClient(where, context=context) as before:
        assert before.hello()["ok"] == 1
        put(new)
        eventually(lambda: serial(where, cas) != first, "the new certificate is served")
        reload(proxy, good=True)
        second = serial(where, cas)
        assert second != first
        assert before.command({"ping": 1})["ok"] == 1
        cert.write_text("no certificate at all\n")
        assert str(cert) in reload(proxy, good=False)["attr"]["error"]
        assert serial(where, cas) == second
        key.write_bytes(old.key_file.read_bytes())
        cert.write_bytes(new.cert_file.read_bytes())
        reload(proxy, good=False)  # the key of another certificate
        assert serial(where, cas) == second
        assert before.command({"ping": 1})["ok"] == 1
