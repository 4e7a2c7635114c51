"""Spans of requests, as an OpenTelemetry collector receives them."""

import signal
import time

import bson
import pytest
from bson import Int64
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as plain_families
from pymongo.errors import OperationFailure
from support import wire
from support.admin import Admin
from support.collector import CLIENT, INTERNAL, SERVER, Collector
from support.endpoint import Endpoint
from support.process import eventually
from support.scenes import Gate
from support.schemas import PERSON, wait_in_force

pytestmark = pytest.mark.proxy_only

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"
FAST = {"tracing.period_ms": 20, "tracing.timeout_ms": 60000}


@pytest.fixture
def collector():
    with Collector() as running:
        yield running


def telemetry_section(traceparent):
    return b"\3" + bson.encode({"otel": {"traceparent": traceparent}})


@pytest.fixture
def traced(start_proxy, simulated, collector):
    """start({option: value}): a proxy with tracing, and a raw client."""
    clients = []

    def start(options=None, server=None):
        server = server or simulated
        proxy = start_proxy(f"mongodb://{server.address}/",
                            {"tracing.endpoint": collector.url, **FAST, **(options or {})}, endpoint=server.endpoint)
        clients.append(wire.RawClient(proxy.endpoint()))
        return proxy, clients[-1]

    yield start
    for client in clients:
        client.socket.close()


def test_a_request_and_its_upstream_command(traced, simulated, collector):
    proxy, client = traced({"tracing.resource_attributes": "deployment.environment.name=test%20bed,team=a"})
    assert client.command({"find": "orders", "$db": "shop", "comment": {"traceparent": SAMPLED}})["ok"] == 1
    request, upstream = collector.wait_for(2)
    assert (request.name, request.kind, request.trace, request.parent) == ("find orders", SERVER, TRACE, SPAN)
    assert (upstream.name, upstream.kind, upstream.trace, upstream.parent) == ("find orders", CLIENT, TRACE, request.id)
    assert len({SPAN, request.id, upstream.id}) == 3
    assert request.start <= upstream.start <= upstream.end <= request.end
    database = {"db.system.name": "mongodb", "db.namespace": "shop", "db.collection.name": "orders",
                "db.operation.name": "find"}
    host, port = simulated.endpoint.host_port
    assert upstream.attributes == {**database, "server.address": host, "server.port": port, "network.transport": "tcp"}
    local = client.socket.getsockname()
    connection = request.attributes.pop("mongosluice.connection_id")
    assert connection > 0
    assert request.attributes == {**database, "client.address": local[0], "client.port": local[1]}
    assert request.flags == 0x301 and upstream.flags == 0x101  # sampled; the parent of the first one is remote
    (resource,) = collector.resources
    assert resource.pop("service.instance.id") and resource.pop("service.version")
    assert resource == {"service.name": "mongosluice", "deployment.environment.name": "test bed", "team": "a"}
    assert collector.paths == ["/v1/traces"]
    assert collector.headers[0]["Content-Type"] == "application/x-protobuf"
    proxy.finish()


def test_times_are_wall_clock_times(traced, collector):
    _, client = traced()
    before = time.time_ns()
    client.command({"ping": 1, "$db": "admin", "comment": {"traceparent": SAMPLED}})
    after = time.time_ns()
    request = collector.wait_for(2)[0]
    second = 10**9  # the clocks of this process and of the proxy are one; the proxy converts to microseconds
    assert before - second < request.start <= request.end < after + second
    assert request.name == "ping" and "db.collection.name" not in request.attributes


@pytest.mark.parametrize(("ratio", "comments", "spans"), [
    ("0", [None, "text", {"traceparent": UNSAMPLED}, {"traceparent": "broken"}, {"traceparent": SAMPLED}], 2),
    ("1", [{"traceparent": UNSAMPLED}, None, {"traceparent": "broken"}], 4)])
def test_sampling(traced, collector, ratio, comments, spans):
    proxy, client = traced({"tracing.sample_ratio": ratio})
    for comment in comments:
        fields = {} if comment is None else {"comment": comment}
        client.command({"ping": 1, "$db": "admin", **fields})
    proxy.finish()  # exports the rest
    assert len(collector.spans) == spans
    assert {span.parent for span in collector.spans if span.kind == SERVER} == ({SPAN} if ratio == "0" else {""})


def test_a_ratio_between(traced, collector):
    proxy, client = traced({"tracing.sample_ratio": "0.5"})
    for _ in range(400):
        client.command({"ping": 1, "$db": "admin"})
    proxy.finish()
    assert 100 < len([span for span in collector.spans if span.kind == SERVER]) < 300
    assert len({span.trace for span in collector.spans}) == len(collector.spans) / 2


def test_logins_and_hellos_are_not_traced(start_proxy, secure_server, authorities, collector):
    like, certificate = secure_server.endpoint, authorities.proxy.issue("front")
    proxy = start_proxy(Endpoint(like.address, like.replica_set, like.ca_file).uri(), {
        "tls.mode": "require", "tls.cert_file": certificate.cert_file, "tls.key_file": certificate.key_file,
        "tracing.endpoint": collector.url, "tracing.sample_ratio": "1", **FAST},
        endpoint=Endpoint("", like.replica_set, certificate.ca_file, like.user, like.password))
    with proxy.endpoint().client() as client:
        client.admin.command("ping")
    proxy.finish()
    assert {span.attributes["db.operation.name"] for span in collector.spans} == {"ping", "endSessions"}


@pytest.mark.parametrize("compressor", [None, "zstd"])
def test_a_telemetry_section_is_forwarded_and_read(traced, simulated, collector, compressor):
    simulated.compressors = ["zstd"]
    _, client = traced()
    sections = (wire.body_section({"insert": "c", "$db": "d"}) + wire.sequence_section("documents", [{"_id": 1}])
                + telemetry_section(SAMPLED))
    received = []
    simulated.handlers["insert"] = lambda server, connection, request: received.append(request.raw) or {"n": 1, "ok": 1.0}
    message = wire.op_msg_of(sections)
    if compressor:
        message = wire.compress(message, compressor)
    client.send(message)
    assert client.receive().body["ok"] == 1
    assert received == [message]
    request = collector.wait_for(2)[0]
    assert (request.name, request.trace, request.parent) == ("insert c", TRACE, SPAN)


def test_a_rewritten_insert_keeps_its_telemetry_section(simulated_guard, simulated):
    """A schema refuses one of its documents, so the proxy writes the command anew."""
    good, bad = {"_id": 1, "name": "A", "age": 1}, {"_id": 2, "name": "", "age": 1}
    proxy = simulated_guard(PERSON)
    received = []
    simulated.handlers["insert"] = lambda server, connection, request: received.append(request) or {"n": 1, "ok": 1.0}
    sections = (wire.body_section({"insert": "c", "$db": "d", "ordered": False})
                + wire.sequence_section("documents", [good, bad]) + telemetry_section(SAMPLED))
    with wire.RawClient(proxy.endpoint()) as client:
        reply = client.ask(wire.op_msg_of(sections))
    assert reply.body["n"] == 1 and [one["index"] for one in reply.body["writeErrors"]] == [1]
    assert [one["_id"] for one in received[0].sequences["documents"]] == [1]
    assert received[0].telemetry == {"otel": {"traceparent": SAMPLED}}


def test_a_datadog_comment_is_a_parent(traced, collector):
    _, client = traced()
    client.command({"count": "c", "$db": "d", "comment": f"my job,dddbs='x',traceparent='{SAMPLED}'"})
    assert collector.wait_for(2)[0].parent == SPAN


def test_errors_of_the_server(traced, simulated, collector):
    _, client = traced()
    replies = [{"ok": 0.0, "code": 26, "codeName": "NamespaceNotFound", "errmsg": "no"},
               {"n": 0, "writeErrors": [{"index": 0, "code": 11000, "errmsg": "dup"}], "ok": 1.0}, {"n": 1, "ok": 1.0}]
    simulated.handlers["insert"] = lambda *_: replies.pop(0)
    for number in range(3):
        client.command({"insert": "c", "documents": [{"_id": number}], "$db": "d", "comment": {"traceparent": SAMPLED}})
    spans = collector.wait_for(6)
    assert [span.attributes.get("db.response.status_code") for span in spans] == ["26", "26", "11000", "11000", None, None]
    assert [span.attributes.get("error.type") for span in spans] == ["26", "26", "11000", "11000", None, None]
    assert [span.failed for span in spans] == [True] * 4 + [False] * 2


def test_a_lost_connection_is_an_error(traced, simulated, collector):
    _, client = traced()
    simulated.handlers["ping"] = lambda server, connection, request: connection.abort()
    client.send(wire.op_msg({"ping": 1, "$db": "admin", "comment": {"traceparent": SAMPLED}}))
    request, upstream = collector.wait_for(2)
    assert request.failed and request.attributes["error.type"] == "_OTHER" and upstream.failed


def test_a_refusal_by_a_schema_has_no_upstream_command(start_proxy, server, folder, ns, collector):
    folder.write(ns, PERSON)
    proxy = start_proxy(server.endpoint.uri(), {"schemas": folder.path, "tracing.endpoint": collector.url, **FAST},
                        endpoint=server.endpoint)
    database, _, name = ns.partition(".")
    with proxy.endpoint().client() as client:
        wait_in_force(client, ns)
        with pytest.raises(OperationFailure):
            client[database][name].insert_one({"age": "x"}, comment={"traceparent": SAMPLED})
        (request,) = collector.wait_for(1)
    assert request.attributes["error.type"] == "121" and request.failed and request.kind == SERVER
    proxy.finish()
    assert len(collector.spans) == 1


def test_a_refusal_by_a_limit_is_traced(traced, collector):
    """Also a request that the proxy answers before any handler sees it has a span, and its memory comes back."""
    _, client = traced({"limits.rules": "requests=1 application=shop"})
    client.command({"hello": 1, "client": {"application": {"name": "shop"}}, "$db": "admin"})
    replies = [client.command({"ping": 1, "$db": "admin", "comment": {"traceparent": SAMPLED}}) for _ in range(5)]
    refused = [reply for reply in replies if reply["ok"] == 0]
    assert refused and {reply["code"] for reply in refused} == {462}
    requests = [span for span in collector.wait_for(5 + (5 - len(refused))) if span.kind == SERVER]
    assert [span.attributes["error.type"] for span in requests if span.failed] == ["462"] * len(refused)
    assert len(requests) == 5


def test_names_that_are_no_utf8_do_not_spoil_the_message(traced, collector):
    _, client = traced()
    name = b"c\xff\xfe"
    body = bson.encode({"find": "cXY", "$db": "d", "comment": {"traceparent": SAMPLED}}).replace(b"cXY", name)
    client.send(wire.op_msg(body))  # the simulated server cannot read it and closes the connection
    assert collector.wait_for(2)[0].attributes["db.collection.name"] == "c??"


def test_a_write_without_a_reply(traced, simulated, collector):
    _, client = traced()
    client.send(wire.op_msg({"insert": "c", "documents": [{"_id": 1}], "$db": "d", "writeConcern": {"w": 0},
                             "comment": {"traceparent": SAMPLED}}, flags=wire.MORE_TO_COME))
    request, upstream = collector.wait_for(2)
    assert not request.failed and request.id == upstream.parent


# --- waits

def test_a_pause_is_a_wait(traced, collector):
    proxy, client = traced({"admin": "0"})
    admin = Admin(proxy)
    admin.post("/pause")
    client.send(wire.op_msg({"ping": 1, "$db": "admin", "comment": {"traceparent": SAMPLED}}))
    admin.wait_for_metric('mongosluice_client_connections{state="paused"}', 1)
    admin.post("/resume")
    client.receive()
    request, wait, upstream = collector.wait_for(3)
    assert (wait.name, wait.kind, wait.parent) == ("wait for the resume", INTERNAL, request.id)
    assert wait.start <= wait.end <= upstream.start


def test_a_full_pool_is_a_wait(traced, simulated, collector):
    gate = Gate(simulated)
    proxy, first = traced({"threads": 1, "pool.mode": "shared", "pool.max_size": 1})
    with wire.RawClient(proxy.endpoint()) as second:
        for client in (first, second):
            assert client.hello()["ok"] == 1 and client.command({"ping": 1})["ok"] == 1
        first.send(wire.op_msg({"gated": 1, "$db": "admin"}))
        simulated.wait_for(lambda: any(one.named("gated") for one in simulated.connections), "the command")
        second.send(wire.op_msg({"ping": 1, "$db": "admin", "comment": {"traceparent": SAMPLED}}))
        with wire.RawClient(proxy.endpoint()) as third:  # two round trips: the only worker has read the ping
            assert third.hello()["ok"] == third.hello()["ok"] == 1
        gate.open()
        assert first.receive().body["ok"] == second.receive().body["ok"] == 1
    request, wait, upstream = collector.wait_for(3)
    assert (wait.name, wait.kind, wait.parent) == ("wait for the pool", INTERNAL, request.id)
    assert wait.start <= wait.end <= upstream.start


def parent_of(number, flags="01"):
    return f"00-{number:032x}-{number:016x}-{flags}"


def test_a_batch_links_its_inserts(start_merging, collector):
    scene = start_merging({"tracing.endpoint": collector.url, **FAST})
    clients = scene.clients(4)
    busy = scene.busy()
    sent = []
    for number, client in enumerate(clients, 1):
        comment = {"comment": {"traceparent": parent_of(number, "00" if number == 4 else "01")}} if number != 2 else {}
        sent.append((client, client.insert(number, **comment)))
        scene.read_all()
    busy.answer()
    batch = scene.inserts.next()
    assert batch.ids == [1, 2, 3, 4]
    own = batch.body["comment"]["traceparent"]
    batch.answer()
    for client, message in sent:
        assert client.answered(message).body["n"] == 1
    spans = collector.wait_for(7)  # two traced inserts with three spans each, and the batch
    (carried,) = [span for span in spans if "db.operation.batch.size" in span.attributes]
    assert own == f"00-{carried.trace}-{carried.id}-01" and carried.parent == "" and carried.kind == CLIENT
    requests = [span for span in spans if span.kind == SERVER]
    assert sorted(carried.links) == sorted((one.trace, one.id) for one in requests)
    assert [one.trace for one in requests] == [f"{number:032x}" for number in (1, 3)]
    assert carried.attributes["db.operation.batch.size"] == 4
    assert carried.attributes["mongosluice.batch.documents"] == 4
    assert carried.attributes["db.collection.name"] == "c" and carried.name == "insert c"
    for request in requests:
        assert request.attributes["mongosluice.merged"] is True
        wait, inside = (span for span in spans if span.parent == request.id)
        assert (wait.name, wait.kind) == ("wait for the batch", INTERNAL)
        assert (inside.name, inside.kind, inside.links) == ("batch", INTERNAL, [(carried.trace, carried.id)])
        assert request.start <= wait.start <= wait.end <= inside.start <= inside.end <= request.end


def test_a_batch_without_a_traced_insert_has_no_comment(start_merging, collector):
    scene = start_merging({"tracing.endpoint": collector.url, **FAST})
    clients = scene.clients(2)
    busy = scene.busy()
    sent = [(client, client.insert(number, comment={"traceparent": parent_of(number, "00")}))
            for number, client in enumerate(clients, 1)]
    scene.read_all()
    busy.answer()
    batch = scene.inserts.next()
    assert "comment" not in batch.body
    batch.answer()
    for client, message in sent:
        client.answered(message)
    scene.proxy.finish()
    assert not collector.spans


def test_a_server_that_may_not_know_comments_gets_none(start_merging, collector):
    """No insert had a comment: servers before 4.4 would refuse the batch."""
    scene = start_merging({"tracing.endpoint": collector.url, "tracing.sample_ratio": "1", **FAST})
    a, b = scene.clients(2)
    busy = scene.busy()
    messages = scene.gather((a, 1), (b, 2))
    busy.answer()
    batch = scene.inserts.next()
    assert batch.ids == [1, 2] and "comment" not in batch.body
    batch.answer()
    for client, message in zip((a, b), messages, strict=True):
        client.answered(message)
    scene.proxy.finish()
    (carried,) = [span for span in collector.spans if "db.operation.batch.size" in span.attributes]
    assert len(carried.links) == 2


def test_an_insert_that_waited_and_goes_alone(start_merging, collector):
    scene = start_merging({"tracing.endpoint": collector.url, **FAST})
    client = scene.client()
    busy = scene.busy()
    message = client.insert(1, comment={"traceparent": SAMPLED})
    scene.read_all()
    busy.answer()
    scene.inserts.next().answer()
    client.answered(message)
    request, wait, upstream = collector.wait_for(3)
    assert wait.name == "wait for the batch" and upstream.kind == CLIENT and not request.failed
    assert wait.end <= upstream.start


def test_a_refused_batch_and_a_lost_one(start_merging, collector):
    scene = start_merging({"tracing.endpoint": collector.url, **FAST})
    clients = scene.clients(2)
    busy = scene.busy()
    sent = [(client, client.insert(number, comment={"traceparent": parent_of(number)}))
            for number, client in enumerate(clients, 1)]
    scene.read_all()
    busy.answer()
    scene.inserts.next().answer({"ok": 0.0, "code": 40415, "errmsg": "unknown field"})
    for _ in sent:
        scene.inserts.next().answer()
    for client, message in sent:
        assert client.answered(message).body["n"] == 1
    spans = collector.wait_for(7)
    (carried,) = [span for span in spans if "db.operation.batch.size" in span.attributes]
    assert carried.failed and carried.attributes["db.response.status_code"] == "40415"
    assert len([span for span in spans if span.kind == CLIENT and not span.failed]) == 2


# --- the collector

def figures(admin):
    return {name.removeprefix("mongosluice_trace_").removeprefix("mongosluice_"): value
            for name, value in admin.metrics().items() if name.startswith("mongosluice_trace")}


def ping(client, parent=SAMPLED):
    return client.command({"ping": 1, "$db": "admin", "comment": {"traceparent": parent}})


def test_headers_and_a_path(traced, collector):
    _, client = traced({"tracing.endpoint": collector.url + "/own/path", "tracing.service": "shop-proxy",
                        "tracing.headers": "x-api-key=a%3Db,x-other=2"})
    ping(client)
    collector.wait_for(2)
    assert collector.paths == ["/own/path"] and collector.resources[0]["service.name"] == "shop-proxy"
    assert collector.headers[0]["x-api-key"] == "a=b" and collector.headers[0]["x-other"] == "2"


def test_the_connection_is_kept(traced, collector):
    _, client = traced()
    for count in range(1, 4):
        ping(client)
        collector.wait_for(2 * count)
    assert collector.connections == 1


def test_what_a_busy_collector_refuses_is_sent_again(traced, collector):
    collector.refusals = [503, 429]
    proxy, client = traced({"admin": "0"})
    ping(client)
    assert len(collector.wait_for(2)) == 2
    eventually(lambda: figures(Admin(proxy)).get("spans_exported_total") == 2, "the export is counted")
    assert figures(Admin(proxy))["export_failures_total"] == 2


def test_what_it_refuses_for_good_is_dropped_and_counted(traced, collector):
    collector.refusals = [400]
    proxy, client = traced({"admin": "0"})
    ping(client)
    collector.wait_for_requests(1)
    ping(client, parent_of(7))
    assert {span.trace for span in collector.wait_for(2)} == {f"{7:032x}"}
    eventually(lambda: figures(Admin(proxy)).get("spans_exported_total") == 2, "the export is counted")
    assert figures(Admin(proxy))['spans_dropped_total{reason="rejected"}'] == 2
    proxy.wait_for_record("the refusal", id=6002, status=400)


def test_a_partial_success_counts(traced, collector):
    collector.rejects = 1
    proxy, client = traced({"admin": "0"})
    ping(client)
    collector.wait_for(2)
    eventually(lambda: figures(Admin(proxy)).get("spans_exported_total") == 1, "the export is counted")
    assert figures(Admin(proxy))['spans_dropped_total{reason="rejected"}'] == 1


def test_without_a_collector_requests_go_on(start_proxy, simulated):
    with Collector() as gone:
        url = gone.url
    proxy = start_proxy(f"mongodb://{simulated.address}/", {
        "threads": 1, "admin": "0", "tracing.endpoint": url, "tracing.queue_max": 16, **FAST}, endpoint=simulated.endpoint)
    admin = Admin(proxy)
    with wire.RawClient(proxy.endpoint()) as client:
        ping(client)
        eventually(lambda: figures(admin)["export_failures_total"] >= 1, "the export fails")
        # the queue is full; the exporter waits to try again
        eventually(lambda: ping(client)["ok"] == 1 and figures(admin)["traces_dropped_total"] >= 20, "traces are dropped")
    proxy.finish()


def test_tls_to_the_collector(traced, authorities):
    certificate = authorities.server.issue("collector")
    with Collector(certificate=certificate) as secure:
        proxy, client = traced({"tracing.endpoint": secure.url, "tracing.ca_file": certificate.ca_file})
        for count in range(1, 3):
            ping(client)
            secure.wait_for(2 * count)
        proxy.finish()
        assert secure.connections == 1


def test_an_untrusted_collector_gets_nothing(traced, authorities):
    certificate = authorities.server.issue("collector")
    with Collector(certificate=certificate) as secure:
        proxy, client = traced({"admin": "0", "tracing.endpoint": secure.url,
                                "tracing.ca_file": authorities.proxy.ca_file})
        ping(client)
        eventually(lambda: figures(Admin(proxy))["export_failures_total"] >= 1, "the export fails")
        proxy.wait_for_record("the failure", id=6002, error=lambda text: "certificate" in text)
        assert not secure.spans


def reload(proxy):
    before = len([one for one in proxy.records() if one["msg"] == "Reloaded"])
    proxy.process.send(signal.SIGHUP)
    eventually(lambda: len([one for one in proxy.records() if one["msg"] == "Reloaded"]) > before, "the reload")


def test_reload_switches_it_on_and_off(start_proxy, simulated, collector, tmp_path):
    file = tmp_path / "proxy.yaml"
    base = f"upstream: mongodb://{simulated.address}/\nlisten: 127.0.0.1:0\n"
    on = base + f"tracing: {{endpoint: '{collector.url}', period_ms: 20ms}}\n"
    file.write_text(base)
    proxy = start_proxy(None, {"listen": None}, config_file=file, endpoint=simulated.endpoint)
    with wire.RawClient(proxy.endpoint()) as client:
        ping(client)
        file.write_text(on)
        reload(proxy)
        ping(client, parent_of(1))
        assert {span.trace for span in collector.wait_for(2)} == {f"{1:032x}"}
        file.write_text(base)
        reload(proxy)
        ping(client, parent_of(2))
        file.write_text(on)
        reload(proxy)
        ping(client, parent_of(3))
        assert {span.trace for span in collector.wait_for(4)} == {f"{1:032x}", f"{3:032x}"}
    proxy.finish()


def test_the_end_exports_the_rest(traced, collector):
    proxy, client = traced({"tracing.period_ms": 60000})
    for number in range(1, 50):
        ping(client, parent_of(number))
    assert not collector.spans
    proxy.finish()
    assert len(collector.spans) == 98


def test_a_getmore_names_its_collection(traced, simulated, collector):
    simulated.handlers["getMore"] = lambda *_: {"cursor": {"id": Int64(0), "nextBatch": [], "ns": "d.c"}, "ok": 1.0}
    _, client = traced()
    client.command({"getMore": Int64(5), "collection": "orders", "$db": "d", "comment": {"traceparent": SAMPLED}})
    assert collector.wait_for(2)[0].name == "getMore orders"


# --- exemplars

def test_latencies_have_exemplars(traced, simulated, collector):
    proxy, client = traced({"admin": "0"})
    client.command({"count": "c", "$db": "d"})
    ping(client)
    request = collector.wait_for(2)[0]
    admin = Admin(proxy)
    answer = admin.get("/metrics", Accept="application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3")
    assert answer.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(answer.body.decode())}
    for name, label in (("mongosluice_upstream_latency_seconds", "ping"), ("mongosluice_server_latency_seconds", None)):
        found = [sample.exemplar for sample in families[name].samples if sample.exemplar]
        assert [one.labels for one in found] == [{"trace_id": request.trace, "span_id": request.id}]
        assert 0 < found[0].value < 60 and abs(float(found[0].timestamp) - request.end / 1e9) < 60
        assert label is None or {sample.labels["command"] for sample in families[name].samples if sample.exemplar} == {label}
    assert families["mongosluice_requests"].type == "counter"
    plain = admin.get("/metrics")
    assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8" and b"trace_id" not in plain.body
    assert {family.name for family in families.values()} == {
        family.name for family in plain_families(plain.body.decode())}


def test_a_batch_has_an_exemplar(start_merging, collector):
    scene = start_merging({"tracing.endpoint": collector.url, "admin": "0", **FAST})
    a, b = scene.clients(2)
    busy = scene.busy()
    sent = [(client, client.insert(number, comment={"traceparent": parent_of(number)}))
            for number, client in ((1, a), (2, b))]
    scene.read_all()
    busy.answer()
    scene.inserts.next().answer()
    for client, message in sent:
        client.answered(message)
    (carried,) = [span for span in collector.wait_for(7) if "db.operation.batch.size" in span.attributes]
    body = Admin(scene.proxy).get("/metrics", Accept="application/openmetrics-text").body.decode()
    assert f'trace_id="{carried.trace}",span_id="{carried.id}"' in body
