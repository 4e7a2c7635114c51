"""The admin endpoint: the answer of each path, and access to it."""

import asyncio
import json
import re
import socket
import subprocess
import threading

import pytest
from bson import Int64
from support.admin import Admin
from support.process import eventually
from support.proxy import ROOT, run_proxy
from support.scenes import Gate
from support.simulated import SimulatedServer, cursor
from support.wire import RawClient, op_msg, op_query

pytestmark = pytest.mark.proxy_only

TOKEN = "a-token-of-some-length"


@pytest.fixture
def start_admin(start_proxy, simulated):
    """start_admin({option: value}): a proxy in front of `simulated`, and its admin endpoint."""
    def start(options=None, token=None, ca_file=None):
        proxy = start_proxy(f"mongodb://{simulated.address}/", {"admin": "0", **(options or {})})
        return proxy, Admin(proxy, token, ca_file)
    return start


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    return path


# --- health

def test_health(start_admin):
    proxy, admin = start_admin()
    assert admin.address.startswith("127.0.0.1:")  # a port alone is one of the loopback
    assert admin.json("/livez") == {"ok": True}
    eventually(lambda: admin.get("/readyz").status == 200, "the upstream is reachable")
    assert admin.json("/readyz") == {"ok": True}


def test_not_ready_without_an_upstream(start_proxy):
    with SimulatedServer() as gone:
        address = gone.address
    admin = Admin(start_proxy(f"mongodb://{address}/", {"admin.listen": "127.0.0.1:0"}))
    assert admin.get("/livez").status == 200
    answer = admin.get("/readyz")
    assert answer.status == 503
    assert answer.json()["ok"] is False and answer.json()["reason"]
    assert admin.metrics()["mongosluice_ready"] == 0


def test_off_by_default(start_proxy, simulated):
    proxy = start_proxy(f"mongodb://{simulated.address}/")
    proxy.address()
    assert not [record for record in proxy.records() if record["id"] == 1073]


def test_a_port_in_use_is_said(simulated):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        code, _, errors = run_proxy("--upstream", f"mongodb://{simulated.address}/", "--listen",
                                    "127.0.0.1:0", "--admin", str(port))
    assert code == 1
    assert f"127.0.0.1:{port}" in errors and "admin.listen" in errors


# --- figures

def test_metrics_are_what_promtool_takes(start_admin):
    proxy, admin = start_admin()
    with RawClient(proxy.endpoint()) as client:
        assert client.command({"ping": 1})["ok"] == 1
        checked = subprocess.run([ROOT / ".cache/bin/promtool", "check", "metrics"],
                                 input=admin.get("/metrics").body, capture_output=True, timeout=60)
    assert checked.returncode == 0 and not checked.stderr, checked.stderr.decode()


def test_metrics_count(start_admin, simulated):
    # With shared connections the proxy's own hellos are requests too.
    proxy, admin = start_admin({"memory_max": "64MiB", "pool.mode": "session"})
    before = admin.metrics()
    assert before['mongosluice_commands_total{command="find"}'] == 0
    with RawClient(proxy.endpoint()) as client:
        for _ in range(3):
            client.command({"find": "c", "$db": "d"})
        client.command({"noSuchCommand": 1})
        client.command({"other": 1})
        after = admin.metrics()
        assert after['mongosluice_commands_total{command="find"}'] == 3
        assert after['mongosluice_commands_total{command="other"}'] == 2
        assert after["mongosluice_requests_total"] == 5
        assert after["mongosluice_replies_total"] == 5
        assert after["mongosluice_request_bytes_total"] > 100
        assert after["mongosluice_upstream_requests_total"] == 5
        latency = "mongosluice_upstream_latency_seconds"
        assert after[f'{latency}_count{{command="find"}}'] == 3
        assert after[f'{latency}_count{{command="other"}}'] == 2
        assert after[f'{latency}_bucket{{command="find",le="+Inf"}}'] == 3
        assert 0 < after[f'{latency}_sum{{command="find"}}'] < 20
        assert after[f'mongosluice_server_latency_seconds_count{{server="{simulated.address}"}}'] == 5
        assert after["mongosluice_buffer_limit_bytes"] == 64 * 2**20
        assert after['mongosluice_upstream_servers{type="Standalone"}'] == 1
        assert after['mongosluice_state{state="running"}'] == 1
        admin.wait_for_metric('mongosluice_client_connections{state="idle"}', 1)
    # names that clients make up are no labels
    assert not [name for name in after if "noSuchCommand" in name]
    assert {name for name in after.keys() ^ before.keys() if '{server="' not in name and "_latency_seconds" not in name} == set()


def test_a_request_counts_once_whatever_becomes_of_it(start_admin, simulated, tmp_path):
    """Forwarded, answered by the proxy, refused by a schema, refused as a whole: each is a request,
    and only the first kind goes upstream."""
    schema = {"ns": "d.things", "schema": {"bsonType": "object", "required": ["name"]}}
    (tmp_path / "things.json").write_text(json.dumps(schema))
    proxy, admin = start_admin({"schemas": tmp_path, "merge.enabled": "true", "pool.mode": "session"})
    with RawClient(proxy.endpoint()) as client:
        client.hello()
        before = admin.metrics()
        client.command({"find": "c", "$db": "d"})
        client.command({"mongosluice": 1})
        refused = client.command({"insert": "things", "$db": "d", "documents": [{"_id": 1}]})
        assert refused["writeErrors"][0]["code"] == 121
        client.command({"insert": "things", "$db": "d", "documents": [{"_id": 1, "name": "a"}]})
        assert client.ask(op_query({"find": "c"}, namespace="d.$cmd")).body["code"] == 352
        after = admin.metrics()

    def grew(name):
        return after[name] - before[name]
    assert grew("mongosluice_requests_total") == 5
    assert sum(grew(name) for name in after if name.startswith("mongosluice_commands_total")) == 5
    assert grew("mongosluice_replies_total") == 5
    assert grew("mongosluice_upstream_requests_total") == 2 + grew("mongosluice_identity_questions_total")
    assert grew('mongosluice_inserts_total{way="schema"}') == 1
    assert grew('mongosluice_inserts_total{way="at_once"}') == 1
    assert grew('mongosluice_inserts_total{way="passed"}') == 0
    assert grew('mongosluice_inserts_passed_total{reason="large"}') == 0


@pytest.mark.parametrize("opens", [
    {"aggregate": "c", "pipeline": [{"$changeStream": {}}], "cursor": {}, "$db": "d"},
    {"find": "c", "tailable": True, "awaitData": True, "$db": "d"},
], ids=lambda body: next(iter(body)))
def test_waiting_for_data_is_no_latency(start_admin, simulated, opens):
    """A getMore of a change stream or a tailable cursor waits on purpose: no latency, no oldest
    command. Another cursor's getMore is as long as it is."""
    gate = asyncio.Event()

    async def get_more(server, connection, request):
        await gate.wait()
        return cursor(request, [], request.body["getMore"], "nextBatch")
    name = next(iter(opens))
    simulated.handlers[name] = lambda server, connection, request: cursor(request, [], 77)
    simulated.handlers["getMore"] = get_more
    proxy, admin = start_admin()
    latency = 'mongosluice_upstream_latency_seconds_count{command="getMore"}'
    with RawClient(proxy.endpoint()) as opener, RawClient(proxy.endpoint()) as client:
        assert opener.command(opens)["cursor"]["id"] == 77
        client.send(op_msg({"getMore": Int64(77), "collection": "c", "$db": "d"}))  # on any connection
        admin.wait_for_metric('mongosluice_client_connections{state="awaiting"}', 1)
        figures = admin.metrics()
        assert figures['mongosluice_client_connections{state="running"}'] == 0
        assert figures["mongosluice_oldest_command_seconds"] == 0
        opener.send(op_msg({"getMore": Int64(78), "collection": "c", "$db": "d"}))
        admin.wait_for_metric('mongosluice_client_connections{state="running"}', 1)
        simulated.call(gate.set)
        assert client.receive().body["cursor"]["id"] == 77
        assert opener.receive().body["cursor"]["id"] == 78
        assert admin.metrics()[latency] == 1


def test_every_metric_is_documented(start_admin):
    _, admin = start_admin()
    printed = re.findall(r"^# TYPE (\w+) (\w+)$", admin.get("/metrics").body.decode(), re.MULTILINE)
    pages = (ROOT / "docs/operations.md").read_text()
    assert re.findall(r"^\| `(\w+)`[^|]* \| (counter|gauge|histogram) \|", pages, re.MULTILINE) == printed
    body = admin.get("/metrics").body.decode()
    for family, label in (("errors_total", "cause"), ("client_connections", "state")):
        values = re.findall(rf'^mongosluice_{family}{{{label}="(\w+)"}}', body, re.MULTILINE)
        assert len(values) > 5 and not [value for value in values if f"`{value}`" not in pages]


def test_errors_have_their_causes(start_admin):
    proxy, admin = start_admin()
    with RawClient(proxy.endpoint()) as client:
        client.send(b"\x10\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\x7f")
        client.assert_closed()
    admin.wait_for_metric('mongosluice_errors_total{cause="client_protocol"}', 1)


def test_status_has_rates_and_samples(start_admin, simulated):
    proxy, admin = start_admin()
    with RawClient(proxy.endpoint()) as client:
        def busy():
            for _ in range(20):
                client.command({"ping": 1})
            status = admin.json("/status?since=0")
            return status["now"] and status["now"]["requests"] > 0 and status
        status = eventually(busy, "a rate is seen")
    assert status["version"] and status["state"] == "running"
    assert status["upstream"]["servers"][0]["address"] == simulated.address
    assert status["commands"]["ping"] >= 20
    assert status["now"]["latency_p50_ms"] > 0
    rows = [dict(zip(status["samples"]["columns"], row)) for row in status["samples"]["rows"]]
    assert rows[-1] == status["now"]
    assert admin.json(f"/status?since={rows[-1]['at_ms']}")["samples"]["rows"] != status["samples"]["rows"]
    assert admin.json("/status")["samples"]["rows"] == []
    assert admin.get("/status?since=yesterday").status == 400


# --- connections

def test_connections(start_admin, simulated):
    gate = Gate(simulated)
    proxy, admin = start_admin({"threads": 2})
    where = proxy.endpoint()
    clients = [RawClient(where) for _ in range(7)]
    try:
        for client in clients:
            assert client.command({"ping": 1})["ok"] == 1
        clients[3].send(op_msg({"gated": 1, "$db": "admin"}))
        simulated.wait_for_request("gated")
        answer = admin.json("/connections")
        assert answer["complete"] is True and answer["next"] is None and answer["clients"] == 7
        rows = answer["connections"]
        ids = [row["id"] for row in rows]
        assert ids == sorted(ids) and len(ids) == 7
        remotes = {client.socket.getsockname()[1]: client for client in clients}
        for row in rows:
            client = remotes[int(row["remote"].rpartition(":")[2])]
            running = client is clients[3]
            assert row["state"] == ("running" if running else "idle")
            assert row["command"] == ("other" if running else "")
            assert row["server"] == simulated.address
            assert row["identity"] == "" and row["tls"] is False
        pages, after = [], 0
        while after is not None:
            page = admin.json(f"/connections?limit=3&after={after}")
            assert len(page["connections"]) <= 3
            pages += [row["id"] for row in page["connections"]]
            after = page["next"]
        assert pages == ids
        for query in ("limit=0", "limit=501", "limit=x", "after=-1", "limit="):
            assert admin.get(f"/connections?{query}").status == 400
        gate.open()
        assert clients[3].receive().body["ok"] == 1
    finally:
        for client in clients:
            client.socket.close()


def test_connections_name_their_users(start_proxy, secure_server, authorities):
    from pymongo import MongoClient
    like = secure_server.endpoint
    proxy = start_proxy(f"mongodb://{like.address}/?replicaSet={like.replica_set}&tls=true&tlsCAFile={like.ca_file}",
                        {"admin": "0"})
    admin = Admin(proxy)
    with MongoClient(proxy.address(), username=like.user, password=like.password,
                     directConnection=True) as client:
        assert client.db.command("ping")["ok"] == 1
        rows = admin.json("/connections")["connections"]
    assert any(row["identity"].startswith(f"{like.user}@admin") for row in rows), rows


# --- who may ask

def test_wrong_methods_and_paths(start_admin):
    _, admin = start_admin()
    for path, method, allowed in (("/metrics", "POST", "GET, HEAD"), ("/livez", "DELETE", "GET, HEAD"),
                                  ("/pause", "GET", "POST"), ("/drain", "PUT", "POST"),
                                  ("/schemas", "PUT", "GET, HEAD"),
                                  ("/schemas/a.b", "POST", "GET, HEAD, PUT, DELETE"),
                                  ("/config", "OPTIONS", "GET, HEAD")):
        answer = admin.ask(method, path)
        assert (answer.status, answer.headers["Allow"]) == (405, allowed), path
        assert answer.json()["status"] == 405
    for path in ("/nothing", "/metrics/", "/schemas/", "/livez/x", "/%2e%2e/config"):
        assert admin.get(path).status == 404, path
    assert admin.get("/schemas/a%00b").status == 400
    head = admin.ask("HEAD", "/metrics")
    assert head.status == 200 and head.body == b""


def test_a_token_is_asked_for(start_admin, token_file):
    proxy, admin = start_admin({"admin.token_file": token_file})
    proxy.secrets.append(TOKEN)
    paths = ("/metrics", "/status", "/connections", "/config", "/schemas", "/schemas/a.b", "/nothing")
    for path in paths:
        answer = admin.get(path)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="mongosluice"')
        assert admin.get(path, Authorization=f"Bearer {TOKEN}x").status == 401
    assert admin.post("/pause").status == admin.post("/drain").status == 401
    for path in ("/", "/livez"):
        assert admin.get(path).status == 200
    assert admin.get("/readyz").status in (200, 503)
    known = Admin(proxy, TOKEN)
    assert all(known.get(path).status in (200, 404) for path in paths)
    assert known.get("/metrics", Host="some.name.example").status == 200


def test_names_that_the_operator_allows(start_admin):
    proxy, admin = start_admin({"admin.allowed_hosts": "proxy.example,metrics"})
    assert admin.get("/metrics", Host="metrics:9187").status == 200
    assert admin.get("/metrics", Host="Proxy.Example").status == 200
    answer = admin.get("/metrics", Host="rebound.example")
    assert answer.status == 403 and "admin.allowed_hosts" in answer.json()["error"]


def test_the_reason_is_not_for_everybody(start_proxy, token_file):
    with SimulatedServer() as gone:
        address = gone.address
    proxy = start_proxy(f"mongodb://{address}/", {"admin": "0", "admin.token_file": token_file})
    assert Admin(proxy).get("/readyz").json() == {"ok": False}
    assert "reason" in Admin(proxy, TOKEN).get("/readyz").json()


def test_other_sites_and_names_are_refused_without_a_token(start_admin):
    proxy, admin = start_admin()
    assert admin.get("/metrics", Host="rebound.example").status == 403
    assert admin.post("/pause", Origin="https://elsewhere.example").status == 403
    assert admin.post("/pause", Origin="null").status == 403
    assert admin.get("/metrics", Origin="https://elsewhere.example").status == 403
    assert admin.get("/status", Origin=admin.url).status == 200
    assert admin.json("/status")["state"] == "running"
    assert admin.post("/pause", Origin=admin.url).status == 200


def test_no_credential_is_shown(start_proxy, simulated):
    proxy = start_proxy(f"mongodb://ada:secret-word@{simulated.address}/", {"admin": "0"})
    admin = Admin(proxy)
    listing = admin.json("/config")
    upstream = next(one for one in listing["options"] if one["name"] == "upstream")
    assert upstream["value"] == f"mongodb://<redacted>@{simulated.address}/"
    for path in ("/config", "/status", "/metrics"):
        assert b"secret-word" not in admin.get(path).body


def test_tls(start_admin, authorities, token_file):
    certificate = authorities.proxy.issue("admin")
    proxy, admin = start_admin({"admin.tls_cert_file": certificate.cert_file,
                                "admin.tls_key_file": certificate.key_file,
                                "admin.token_file": token_file}, TOKEN, certificate.ca_file)
    assert admin.json("/livez") == {"ok": True}
    assert admin.get("/metrics").status == 200
    connection = admin.connection()
    for _ in range(3):  # one connection, several requests
        connection.request("GET", "/status", headers={"Authorization": f"Bearer {TOKEN}"})
        assert json.loads(connection.getresponse().read())["state"] == "running"
    connection.close()
    for _ in range(100):  # a descriptor that is freed late could be another connection's by then
        assert admin.get("/livez").status == 200
    with socket.create_connection((admin.host, admin.port)) as plain:
        plain.settimeout(20)
        plain.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200" not in plain.recv(1000)


def test_reload_takes_a_new_token(start_admin, token_file):
    import signal
    proxy, admin = start_admin({"admin.token_file": token_file})
    token_file.write_text("another-token-entirely\n")
    proxy.process.send(signal.SIGHUP)
    changed = Admin(proxy, "another-token-entirely")
    eventually(lambda: changed.get("/status").status == 200, "the new token is taken")
    assert Admin(proxy, TOKEN).get("/status").status == 401
    token_file.write_text("short")
    proxy.process.send(signal.SIGHUP)
    proxy.wait_for_record("a failed reload", id=1030)
    assert changed.get("/status").status == 200


def test_a_bad_token_file_is_an_error_at_the_start(simulated, tmp_path):
    path = tmp_path / "empty"
    path.touch()
    code, _, errors = run_proxy("--upstream", f"mongodb://{simulated.address}/", "--listen", "127.0.0.1:0",
                                "--admin", "0", "--admin.token_file", path)
    assert code == 1 and str(path) in errors


# --- limits

def raw(admin, data, timeout=20):
    with socket.create_connection((admin.host, admin.port)) as one:
        one.settimeout(timeout)
        one.sendall(data)
        answer = b""
        try:
            while part := one.recv(65536):
                answer += part
        except ConnectionResetError:
            pass
        return answer


def test_a_huge_header_and_a_huge_body_are_refused(start_admin):
    _, admin = start_admin()
    answer = raw(admin, b"GET /livez HTTP/1.1\r\nX: " + b"x" * 40000 + b"\r\nConnection: close\r\n\r\n")
    assert b" 200 " not in answer
    answer = raw(admin, b"PUT /schemas/a.b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000000\r\n\r\nx")
    assert answer.startswith(b"HTTP/1.1 4")
    assert admin.get("/livez").status == 200


@pytest.mark.parametrize("data", [b"\x00\x01\x02\x03", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                                  b"BREW /pot HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                                  b"GET /%zz%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                                  b"GET http://other.example/config HTTP/1.1\r\nHost: other.example\r\n"
                                  b"Connection: close\r\n\r\n",
                                  b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
def test_what_is_no_request_gets_nothing(start_admin, data):
    _, admin = start_admin()
    assert b" 200 " not in raw(admin, data + b"\r\n\r\n")
    assert admin.get("/livez").status == 200


def test_slow_clients_hold_up_nobody(start_admin):
    """The highest number of admin connections, each with half a request: the data path keeps working, and when they
    are gone the endpoint does too."""
    proxy, admin = start_admin()
    held = []
    try:
        for _ in range(80):  # more than HTTP_CONNECTIONS_MAX: the rest wait in the kernel
            one = socket.create_connection((admin.host, admin.port))
            one.sendall(b"GET /metrics HTTP/1.1\r\nHost: lo")
            held.append(one)
        with RawClient(proxy.endpoint()) as client:
            for _ in range(50):
                assert client.command({"ping": 1})["ok"] == 1
        descriptors = proxy.descriptors()
        assert descriptors < 64 + 60
    finally:
        for one in held:
            one.close()
    eventually(lambda: admin.get("/livez").status == 200, "the endpoint answers again")
    eventually(lambda: admin.metrics()["mongosluice_admin_connections"] <= 2, "connections are given back")


def test_a_silent_client_is_cut_off(start_admin):
    _, admin = start_admin()
    with socket.create_connection((admin.host, admin.port)) as one:
        one.sendall(b"GET /livez HTTP/1.1\r\n")
        one.settimeout(20)
        assert b" 200 " not in one.recv(1000)


def test_a_trickling_client_is_cut_off(start_admin):
    """An occasional byte does not count as activity, and the whole request has a time limit."""
    _, admin = start_admin()
    with socket.create_connection((admin.host, admin.port)) as one:
        one.sendall(b"GET /livez HTTP/1.1\r\nX: ")
        one.settimeout(2)
        for _ in range(40):
            try:
                one.sendall(b"x")
                if one.recv(1000) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("it was served for 80 s")


def test_many_ask_at_once(start_admin):
    proxy, admin = start_admin()
    failures = []

    def ask():
        try:
            for path in ("/metrics", "/status?since=0", "/connections", "/"):
                if admin.get(path).status != 200:
                    failures.append(path)
        except OSError as error:
            failures.append(error)
    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


# --- drain

def test_drain(start_admin, simulated):
    gate = Gate(simulated)
    proxy, admin = start_admin({"drain_timeout_ms": 600000})
    with RawClient(proxy.endpoint()) as client:
        client.send(op_msg({"gated": 1, "$db": "admin"}))
        simulated.wait_for_request("gated")
        answer = admin.post("/drain")
        assert answer.status == 202 and answer.json() == {"state": "draining"}
        eventually(lambda: admin.json("/status")["state"] == "draining", "it drains")
        assert admin.get("/readyz").status == 503
        assert admin.get("/livez").status == 200
        assert admin.post("/pause").status == admin.post("/resume").status == 409
        gate.open()
        assert client.receive().body["ok"] == 1
    assert proxy.process.wait() == 0


# --- merging

def test_metrics_of_merging(start_admin, simulated):
    """While the first insert is under way, two others wait and are merged."""
    gate = asyncio.Event()

    async def insert(server, connection, request):
        await gate.wait()
        return {"n": len(request.sequences["documents"]), "ok": 1.0}
    simulated.handlers["insert"] = insert
    proxy, admin = start_admin({"merge.enabled": "true", "threads": 1})
    where = proxy.endpoint()
    clients = [RawClient(where) for _ in range(3)]
    try:
        for at, client in enumerate(clients):
            assert client.hello()["ok"] == 1
            client.send(op_msg({"insert": "c", "$db": "d"}, {"documents": [{"_id": at}]}))
            if at == 0:
                simulated.wait_for_request("insert")
        admin.wait_for_metric("mongosluice_batch_waiting", 2)
        assert admin.metrics()["mongosluice_batch_held_bytes"] > 0
        running = [row["command"] for row in admin.json("/connections")["connections"] if row["state"] == "running"]
        assert running == ["insert"] * 3  # also those that wait in a batch
        simulated.call(gate.set)
        assert [client.receive().body["n"] for client in clients] == [1, 1, 1]
    finally:
        for client in clients:
            client.socket.close()
    metrics = admin.metrics()
    assert metrics['mongosluice_inserts_total{way="at_once"}'] == 1
    assert metrics['mongosluice_inserts_total{way="gathered"}'] == 2
    assert metrics["mongosluice_batch_documents_count"] == 1
    assert metrics["mongosluice_batch_documents_sum"] == 2
    assert metrics['mongosluice_batch_documents_bucket{le="1"}'] == 0
    assert metrics['mongosluice_batch_documents_bucket{le="2"}'] == 1
    assert metrics['mongosluice_batch_flushes_total{reason="idle"}'] == 1
    assert metrics["mongosluice_batch_linger_seconds_count"] >= 1
    assert metrics["mongosluice_batch_waiting"] == 0
    eventually(lambda: admin.metrics()["mongosluice_batch_held_bytes"] == 0, "the inserts are let go")
    assert admin.json("/status")["merging"]["batches"] == 1
