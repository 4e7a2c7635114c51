"""Arguments and files: accepted ones, refused ones with their errors, and the log lines about them."""

import json

import pytest
from support.proxy import run_proxy
from support.wire import RawClient, op_msg

pytestmark = pytest.mark.proxy_only
GOOD = ("--upstream", "mongodb://127.0.0.1:1/", "--listen", "127.0.0.1:0")


def refused(*words):
    code, out, err = run_proxy(*words)
    assert code == 2, (code, out, err)
    assert out == ""
    assert err.startswith("mongosluice: ") and "\n" not in err
    return err


def test_help_names_every_option():
    code, out, err = run_proxy("--help")
    assert (code, err) == (0, "")
    for option in ("--upstream", "--listen", "--config", "--max_client_conn", "--max_message_bytes",
                   "--memory_max", "--handshake_timeout_ms", "--client_idle_timeout_ms",
                   "--connect_timeout_ms", "--drain_timeout_ms", "--advertise", "--tls.mode",
                   "--check-config", "--version"):
        assert option in out


def test_version():
    code, out, err = run_proxy("--version")
    assert (code, err) == (0, "") and out.startswith("mongosluice ")


@pytest.mark.parametrize(("words", "parts"), [
    ((*GOOD, "--bogus", "1"), ["bogus"]),
    ((*GOOD, "--max_client_con", "1"), ["max_client_con", "--max_client_conn"]),
    ((*GOOD, "--max_client_conn", "many"), ["max_client_conn", "many"]),
    ((*GOOD, "--max_client_conn", "0"), ["max_client_conn", "1"]),
    ((*GOOD, "--max_client_conn"), ["max_client_conn", "value"]),
    ((*GOOD, "--max_client_conn", "5", "--max_client_conn", "6"), ["max_client_conn", "twice"]),
    ((*GOOD, "--log.level", "loud"), ["log.level", "debug"]),
    ((*GOOD, "--tls.mode", "require"), ["tls.cert_file"]),
    ((*GOOD, "--tls.client_certificates", "required", "--tls.mode", "require"), ["tls."]),
    ((*GOOD, "stray"), ["stray"]),
    (("--listen", "127.0.0.1:0"), ["upstream"]),
    (("--upstream", "mongodb://127.0.0.1:1/"), ["listen"]),
    ((*GOOD[:2], "--listen", "nonsense"), ["listen", "nonsense"]),
    ((*GOOD[:2], "--listen", "127.0.0.1:99999"), ["listen", "65535"]),
    (("--upstream", "http://x/", *GOOD[2:]), ["upstream", "mongodb://"]),
    (("--config", "/no/such/file.yaml"), ["/no/such/file.yaml", "No such file"]),
    ((), ["upstream"]),
], ids=lambda value: " ".join(value[-2:]) if isinstance(value, tuple) else "")
def test_wrong_arguments(words, parts):
    text = refused(*words)
    assert all(part in text for part in parts), text


@pytest.mark.parametrize(("lines", "line", "parts"), [
    (["max_client_connn: 5"], 3, ["max_client_connn", "max_client_conn"]),
    (["", "max_client_conn: five"], 4, ["max_client_conn", "five"]),
    (["max_client_conn: 0"], 3, ["max_client_conn"]),
    (["max_client_conn: -5"], 3, ["max_client_conn"]),
    (["max_client_conn: [1, 2]"], 3, ["max_client_conn"]),
    (["max_client_conn: 5", "max_client_conn: 6"], 4, ["max_client_conn"]),
    (["tls:", "  mode: require", "  cert_fil: x"], 5, ["tls.cert_fil"]),
    (["tls: {mode: sometimes}"], 3, ["tls.mode", "sometimes"]),
    (["log:", "  level: 7"], 4, ["log.level"]),
    (["connect_timeout_ms: 1.5"], 3, ["connect_timeout_ms"]),
    (["\tindented: x"], 3, []),
    (["max_client_conn: 'unclosed"], 3, []),
    (["max_message_bytes: 10MiB", "memory_max: 1MiB"], 4, ["memory_max", "max_message_bytes"]),
])
def test_wrong_files_are_named_with_line_and_key(tmp_path, lines, line, parts):
    file = tmp_path / "wrong.yaml"
    file.write_text("\n".join(["upstream: mongodb://127.0.0.1:1/", "listen: 127.0.0.1:0", *lines])
                    + "\n")
    for words in (("--config", file), ("--config", file, "--check-config")):
        text = refused(*words)
        assert str(file) in text, text
        # the parser sees the end of an open quote at the end of the file
        assert f":{line}" in text or (not parts and f"{file}:" in text), text
        assert all(part in text for part in parts), text


def test_check_config_lists_what_holds(tmp_path):
    file = tmp_path / "good.yaml"
    file.write_text("upstream: mongodb://some-user:secret-word@127.0.0.1:1/?replicaSet=rs\n"
                    "listen: 127.0.0.1:0\nmax_client_conn: 7\nmemory_max: 64MiB\n")
    code, out, err = run_proxy("--config", file, "--check-config", "--max_client_conn=9")
    assert (code, err) == (0, "")
    assert "secret-word" not in out and "some-user" not in out
    options = {one["name"]: one for one in json.loads(out)["options"]}
    assert options["max_client_conn"]["value"] == 9, "flags win"
    assert options["memory_max"]["value"] == 64 * 1024 * 1024
    assert options["drain_timeout_ms"]["value"] == 30000


def test_check_config_reads_what_a_start_would_read(tmp_path):
    """Every problem in one run, each with its place; the program writes nothing."""
    schemas, log = tmp_path / "schemas", tmp_path / "sluice.log"
    schemas.mkdir()
    (schemas / "a.json").write_text('{"ns": "t.a", "schema": {"bsonType": "nonsense"}}')
    (schemas / "b.json").write_text('{"ns": "t.b",\n')
    (schemas / "c.json").write_text('{"ns": "t.c", "schema": {}}')
    (schemas / "d.json").write_text('{"ns": "t.c", "schema": {}}')
    (schemas / "e.json").symlink_to(tmp_path / "nowhere")
    empty = tmp_path / "empty"
    empty.write_text("")
    file = tmp_path / "wrong.yaml"
    words = ("--config", file, "--check-config")
    file.write_text(f"upstream: mongodb://127.0.0.1:1/\nlisten: 127.0.0.1:0\nschemas: {schemas}\n"
                    f"tls: {{mode: require, cert_file: {empty}, key_file: {empty}}}\n"
                    f"log: {{file: /no/such/folder/x.log}}\n"
                    f"admin: {{listen: 9117, token_file: {empty}}}\n")
    code, out, err = run_proxy(*words)
    assert (code, out) == (2, "")
    for problem in (f"{schemas}/a.json: /schema/bsonType: ", f"{schemas}/b.json: not valid JSON",
                    f"{schemas}/d.json: the namespace t.c already has a schema in {schemas}/c.json",
                    f"{schemas}/e.json: ", f"'{empty}'", f"admin.token_file: cannot read {empty}",
                    f"{file}:5: log.file: cannot open /no/such/folder/x.log"):
        assert problem in err, (problem, err)
    assert all(line.startswith("mongosluice: ") for line in err.splitlines()), err
    assert f"{schemas}/c.json:" not in err

    file.write_text("upstream: mongodb://127.0.0.1:x/\nlisten: 127.0.0.1:0\n")
    for one in (words, words[:2]):
        code, _, err = run_proxy(*one)
        assert code != 0 and f"{file}:1: upstream: the connection string is not valid" in err

    file.write_text(f"upstream: mongodb://127.0.0.1:1/?nonsense=1\nlisten: 127.0.0.1:0\nlog: {{file: {log}}}\n")
    code, _, err = run_proxy(*words)
    assert code == 0 and "upstream" in err and "nonsense" in err
    assert not log.exists()


def test_the_documented_file_is_good():
    from support.proxy import ROOT
    code, _, err = run_proxy("--config", ROOT / "config/mongosluice.yaml", "--check-config")
    assert (code, err) == (0, "")


@pytest.mark.parametrize("words", [
    ("--upstream", "mongodb://who:secret-word@127.0.0.1:1/?nonsense", "--listen", "bad"),
    ("--upstream", "mongodb://who:secret-word@host:badport/", "--listen", "127.0.0.1:0"),
    ("--upstream", "http://who:secret-word@host/", "--listen", "127.0.0.1:0"),
    ("--upstraem", "mongodb://who:secret-word@host/", "--listen", "127.0.0.1:0"),
    ("--listen=mongodb://who:secret-word@host/",),
])
def test_errors_never_repeat_a_password(words):
    code, out, err = run_proxy(*words)
    assert code != 0 and err
    assert "secret-word" not in out + err


def test_port_that_is_taken(simulated):
    """An error that names the address, and a nonzero exit code."""
    import socket
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, err = run_proxy("--upstream", f"mongodb://{simulated.address}/", "--listen",
                                 f"127.0.0.1:{port}", "--listen_port_count", "1")
    assert code == 1 and f"127.0.0.1:{port}" in err and "in use" in err.lower()


# --- logs

@pytest.mark.parametrize("level", ["fatal", "error", "warning", "info", "debug"])
def test_level_bounds_what_is_written(start_proxy, simulated, level):
    import signal
    proxy = start_proxy(f"mongodb://{simulated.address}/", {"log.level": level})
    if level in ("info", "debug"):
        with RawClient(proxy.endpoint()) as client:
            assert client.hello()["ok"] == 1
    else:
        simulated.wait_for(lambda: simulated.connections, "the proxy monitors the server")
    proxy.process.send(signal.SIGTERM)
    proxy.process.wait()
    order = ["F", "E", "W", "I", "D"]
    allowed = order[:["fatal", "error", "warning", "info", "debug"].index(level) + 1]
    assert {record["s"][0] for record in proxy.records()} <= set(allowed)


def test_log_file_is_opened_again_on_hup(start_proxy, simulated, tmp_path):
    """Log rotation: the file is moved away, and HUP makes a new one."""
    import signal
    from support.process import eventually
    file = tmp_path / "sluice.log"
    proxy = start_proxy(f"mongodb://{simulated.address}/", {"log.file": file})
    eventually(lambda: file.exists() and "Listening" in file.read_text(), "the log is in the file")
    moved = tmp_path / "sluice.log.1"
    file.rename(moved)
    proxy.process.send(signal.SIGHUP)
    eventually(lambda: file.exists() and "eload" in file.read_text() + moved.read_text(),
               "a new file is written")
    for line in (moved.read_text() + file.read_text()).splitlines():
        assert json.loads(line)["msg"]
    assert proxy.process.stdout == []


def test_text_format(start_proxy, simulated, tmp_path):
    from support.process import eventually
    file = tmp_path / "sluice.txt"
    start_proxy(f"mongodb://{simulated.address}/", {"log.file": file, "log.format": "text"})
    eventually(lambda: file.exists() and "Listening" in file.read_text(), "the log is in the file")
    assert not file.read_text().startswith("{")


def test_hostile_names_do_not_break_the_log(start_proxy, simulated):
    """A client's own text is in the log: quotes, newlines, control characters, bad UTF-8."""
    proxy = start_proxy(f"mongodb://{simulated.address}/", {"log.level": "debug"})
    for name in ('"},"s":"F"', "line\nbreak", "nul\\u0000", "\x01\x1f\x7f", "\u2028 ü 😀", "x" * 5000):
        with RawClient(proxy.endpoint()) as client:
            client.send(op_msg({"hello": 1, "$db": "admin", "client": {
                "application": {"name": name}, "driver": {"name": name, "version": name}}}))
            client.receive()
        with RawClient(proxy.endpoint()) as client:
            client.send(op_msg({name.replace("\0", "") or "x": 1, "$db": "admin"}))
            client.receive()
    invalid = op_msg({"hello": 1, "$db": "admin", "client": {"application": {"name": "BADUTF"}}})
    with RawClient(proxy.endpoint()) as client:
        client.send(invalid.replace(b"BADUTF", b"\xff\xfe\xc3\x28\x80\x81"))
        client.socket.recv(1)
    assert len(proxy.records()) > 10  # each line is parsed
