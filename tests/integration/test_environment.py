"""Options from the environment, values from files and variables, and numbers with units."""

import json
import os

import pytest
from pymongo import MongoClient
from support.admin import Admin
from support.process import Process
from support.proxy import BINARY, Proxy, environment, run_proxy

pytestmark = pytest.mark.proxy_only
UPSTREAM = "mongodb://127.0.0.1:1/"
KUBERNETES = {
    "MONGOSLUICE_SERVICE_HOST": "10.0.0.1", "MONGOSLUICE_SERVICE_PORT": "27017", "MONGOSLUICE_PORT": "tcp://10.0.0.1:27017",
    "MONGOSLUICE_PORT_27017_TCP": "tcp://10.0.0.1:27017", "MONGOSLUICE_PORT_27017_TCP_ADDR": "10.0.0.1",
    "MONGOSLUICE_ADMIN_SERVICE_HOST": "10.0.0.2", "MONGOSLUICE_ADMIN_PORT": "tcp://10.0.0.2:9090"}


def checked(*words, **variables):
    """The options of --check-config by name, and its standard error."""
    code, out, err = run_proxy("--check-config", *words, **variables)
    assert code == 0, err
    return {option["name"]: option for option in json.loads(out)["options"]}, err


def refused(*words, **variables):
    code, out, err = run_proxy("--check-config", *words, **variables)
    assert (code, out) == (2, "") and err.startswith("mongosluice: "), (code, out, err)
    return err


@pytest.fixture
def config_file(tmp_path):
    def write(*lines, name="sluice.yaml"):
        file = tmp_path / name
        file.write_text("\n".join(lines) + "\n")
        return str(file)
    return write


def test_every_option_has_a_variable(tmp_path):
    code, out, _ = run_proxy("--print-options")
    assert code == 0
    names = [line.split("\t")[0] for line in out.splitlines()]
    listed, _ = checked("--upstream", UPSTREAM, "--listen", "127.0.0.1:0")
    assert set(listed) < set(names)
    folders = {"unix_domain_socket.path_prefix": str(tmp_path), "schemas": str(tmp_path)}
    values = {name: folders.get(name, str(option["value"])) for name, option in listed.items()}
    variables = {name: "MONGOSLUICE_" + name.upper().replace(".", "_") for name, value in values.items() if value}
    assert len(variables) > 60
    now, err = checked(**{variable: values[name] for name, variable in variables.items()})
    assert err == ""
    for name, variable in variables.items():
        assert now[name] | {"origin": "environment", "variable": variable} == now[name]
        assert str(now[name]["value"]) == values[name]


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(config_file):
    file = config_file(f"upstream: {UPSTREAM}", "listen: 127.0.0.1:0", "threads: 1", "max_client_conn: 1", "log.level: debug")
    listed, err = checked("--threads=3", MONGOSLUICE_CONFIG=file, MONGOSLUICE_THREADS="2", MONGOSLUICE_MAX_CLIENT_CONN="2",
                          MONGOSLUICE_ADVERTISE="")
    assert err == ""
    assert [(listed[name]["value"], listed[name]["origin"]) for name in
            ("threads", "max_client_conn", "log.level", "advertise")] == [
        (3, "flag"), (2, "environment"), ("debug", "file"), ("", "default")]
    # the flag --config wins over its variable
    other = config_file(f"upstream: {UPSTREAM}", "listen: 127.0.0.1:0", "threads: 7", name="other.yaml")
    assert checked("--config", other, MONGOSLUICE_CONFIG=file)[0]["threads"]["value"] == 7


@pytest.mark.parametrize(("variables", "parts"), [
    ({"MONGOSLUICE_THREADS": "many"}, ["MONGOSLUICE_THREADS", '"many"', "0 to 256"]),
    ({"MONGOSLUICE_TLS_MODE": "on"}, ["MONGOSLUICE_TLS_MODE", "off, allow, require"]),
    ({"MONGOSLUICE_TLS_MODE": "require"}, ["MONGOSLUICE_TLS_MODE", "tls.cert_file"]),
    ({"MONGOSLUICE_MERGE_NAMESPACE": "a.b:max=1"}, ["MONGOSLUICE_MERGE_NAMESPACE", "max_docs"]),
    ({"MONGOSLUICE_CONFIG": "/no/such"}, ["/no/such", "No such file"]),
    ({"MONGOSLUICE_UPSTREAM": "file:/no/such"}, ["MONGOSLUICE_UPSTREAM", "/no/such", "No such file"]),
    ({"MONGOSLUICE_LISTEN": ""}, ["listen", "MONGOSLUICE_LISTEN"]),
], ids=lambda value: " ".join(value) if isinstance(value, dict) else "")
def test_wrong_variables(variables, parts):
    good = {"MONGOSLUICE_UPSTREAM": UPSTREAM, "MONGOSLUICE_LISTEN": "127.0.0.1:0"}
    text = refused(**{**good, **variables})
    assert all(part in text for part in parts), text


def test_unknown_variables_are_named_with_a_remedy_and_those_of_kubernetes_are_not():
    words = ("--upstream", UPSTREAM, "--listen", "127.0.0.1:0")
    assert checked(*words, **KUBERNETES)[1] == ""
    _, err = checked(*words, **KUBERNETES, MONGOSLUICE_UPSTRAEM="x", MONGOSLUICE_WHATEVER_ELSE="y")
    assert len(err.splitlines()) == 2
    assert "MONGOSLUICE_UPSTRAEM names no option and is not used; did you mean MONGOSLUICE_UPSTREAM?" in err
    assert "MONGOSLUICE_WHATEVER_ELSE names no option" in err and "unset it" in err


def test_a_start_from_the_environment_alone(server, collection_name):
    proxy = Proxy(None, {"listen": None}, endpoint=server.endpoint, variables={
        **KUBERNETES, "MONGOSLUICE_UPSTREAM": server.endpoint.uri(), "MONGOSLUICE_LISTEN": "127.0.0.1:0",
        "MONGOSLUICE_ADMIN_LISTEN": "127.0.0.1:0", "MONGOSLUICE_THREEADS": "1"})
    try:
        unknown = proxy.wait_for_record("the unknown variable", id=1056, s="W")
        assert "did you mean MONGOSLUICE_THREADS?" in unknown["attr"]["problem"]
        with MongoClient(proxy.endpoint().uri()) as client:
            collection = client.test[collection_name]
            collection.insert_one({"_id": 1})
            assert collection.count_documents({}) == 1
            collection.drop()
        address = Admin(proxy).address
        process = Process([BINARY, "status"], env=environment(MONGOSLUICE_ADMIN_LISTEN=address))
        assert process.wait() == 0, process.output()
    finally:
        proxy.finish()


# --- values from files and variables

def test_secrets_from_files_and_variables_are_never_shown(config_file, tmp_path):
    password = "p@ss/w\u00f6rd"
    (tmp_path / "password").write_text(password + "\n")
    (tmp_path / "uri").write_text("mongodb://app:hush@127.0.0.1:1/?appName=secretname\n")
    encoded = "p%40ss%2Fw%C3%B6rd"
    file = config_file("upstream: mongodb://${DB_USER}:${percent:file:" + str(tmp_path / "password") + "}@127.0.0.1:1/",
                       f"schemas_registry_uri: file:{tmp_path / 'uri'}",
                       "listen: 127.0.0.1:${DB_PORT}", "advertise: a.example",
                       'tracing.headers: "x-key=LITERAL,x-set=${DB_USER}"')
    variables = {"DB_USER": "hiddenuser", "DB_PORT": "0"}
    code, out, err = run_proxy("--check-config", "--config", file, **variables)
    assert (code, err) == (0, "")
    assert not any(word in out for word in (password, encoded, "hiddenuser", "hush", "secretname", "LITERAL"))
    listed = {option["name"]: option for option in json.loads(out)["options"]}
    assert listed["listen"]["value"] == "127.0.0.1:${DB_PORT}" and listed["listen"]["substituted"] is True
    assert listed["schemas_registry_uri"]["value"] == f"file:{tmp_path / 'uri'}"
    assert listed["upstream"]["value"] == "mongodb://<redacted>@127.0.0.1:1/"
    assert listed["tracing.headers"]["value"] == "x-key=<redacted>,x-set=<redacted>"

    proxy = Proxy(None, {"listen": None, "admin.listen": "127.0.0.1:0"}, config_file=file, variables=variables)
    proxy.secrets = [password, encoded, "hiddenuser", "hush", "secretname"]
    try:
        admin = Admin(proxy)
        pages = admin.get("/config").body + admin.get("/status").body + admin.get("/metrics").body
        assert not any(word.encode() in pages for word in proxy.secrets)
    finally:
        proxy.finish()


@pytest.mark.parametrize(("line", "parts"), [
    ("threads: ${NO_SUCH}", ["sluice.yaml:3", "threads", "NO_SUCH is not set", "$${"]),
    ("advertise: ${", ["sluice.yaml:3", "advertise", "closing brace"]),
    ("schemas_registry_uri: file:/no/such", ["sluice.yaml:3", "schemas_registry_uri", "/no/such", "No such file"]),
    ("schemas_registry_uri: file:/dev/zero", ["/dev/zero", "65536"]),
    ("tls.key_file: file:/etc/hostname", ["tls.key_file", "without file:"]),
    ("threads: ${BAD_NUMBER}", ["threads", '"${BAD_NUMBER}"', "0 to 256"]),
])
def test_wrong_sources(line, parts, config_file):
    file = config_file(f"upstream: {UPSTREAM}", "listen: 127.0.0.1:0", line)
    text = refused("--config", file, BAD_NUMBER="s3cret")
    assert all(part in text for part in parts) and "s3cret" not in text, text


def test_flags_take_files_and_leave_dollars_alone(tmp_path):
    (tmp_path / "uri").write_text(UPSTREAM)
    listed, _ = checked("--upstream", f"file:{tmp_path / 'uri'}", "--listen", "127.0.0.1:0", "--log.file", str(tmp_path / "${X}"))
    assert listed["log.file"]["value"] == str(tmp_path / "${X}")
    assert listed["upstream"]["value"] == f"file:{tmp_path / 'uri'}"


# --- numbers with units

def test_times_and_sizes_with_units(config_file):
    file = config_file(f"upstream: {UPSTREAM}", "listen: 127.0.0.1:0", "drain_timeout_ms: 30s", "request_timeout_ms: 250ms",
                       "stats_period_ms: 5m", "client_idle_timeout_ms: 2 h", "merge: {linger_us: 2ms, max_bytes: 512KiB}",
                       "memory_max: 1GiB", "log.sample_period_ms: 1500")
    listed, _ = checked("--config", file, "--connect_timeout_ms=3s", MONGOSLUICE_QUERY_WAIT_TIMEOUT_MS="1d")
    wanted = {"drain_timeout_ms": 30000, "request_timeout_ms": 250, "stats_period_ms": 300000, "client_idle_timeout_ms": 7200000,
              "merge.linger_us": 2000, "merge.max_bytes": 524288, "memory_max": 1 << 30, "log.sample_period_ms": 1500,
              "connect_timeout_ms": 3000, "query_wait_timeout_ms": 86400000}
    assert {name: listed[name]["value"] for name in wanted} == wanted


@pytest.mark.parametrize("value", ["1.5s", "1us", "30 seconds", "-1s", "25h", "5MiB"])
def test_wrong_times(value):
    text = refused("--upstream", UPSTREAM, "--listen", "127.0.0.1:0", f"--drain_timeout_ms={value}")
    assert "drain_timeout_ms" in text and "plain or with a unit (ms, s, m, h, d)" in text


# --- commands that use the proxy's configuration

def test_status_needs_only_the_admin_options_of_the_file(server, start_proxy, config_file, tmp_path):
    (tmp_path / "token").write_text("t0ken-of-it\n")
    proxy = start_proxy(server.endpoint.uri(), {"admin.listen": "127.0.0.1:0", "admin.token_file": str(tmp_path / "token")})
    address = Admin(proxy, "t0ken-of-it").address
    file = config_file("upstream: file:/no/such", "schemas: /no/such/folder", "tls.key_file: /no/such/key",
                       f"admin: {{listen: '{address}', token_file: {tmp_path / 'token'}}}")
    for command in (["status", "--config", file], ["status", "--config", file, "--json"]):
        process = Process([BINARY, *command], env=environment())
        assert process.wait() == 0, process.output()
    process = Process([BINARY, "status"], env={**environment(MONGOSLUICE_CONFIG=file), "PATH": os.environ["PATH"]})
    assert process.wait() == 0, process.output()
