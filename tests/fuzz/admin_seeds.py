#!/usr/bin/env python3
"""Writes the first inputs of the fuzz target admin_request into tests/fuzz/corpus. Needs only Python."""

import pathlib

CORPUS = pathlib.Path(__file__).parent / "corpus" / "admin_request"
SCHEMA = '{"ns": "d.new", "schema": {"required": ["x"]}}'


def request(line, body="", **headers):
    lines = [f"{line} HTTP/1.1", "Host: 127.0.0.1"] + [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines + ["", body]).encode()


def inputs():
    for path in ("/", "/livez", "/readyz", "/metrics", "/status", "/connections", "/pools", "/config", "/schemas",
                 "/schemas/d.guarded", "/schemas/d.x", "/none", "/%00", "/%zz", "/schemas/"):
        yield path.strip("/").replace("/", "_").replace("%", "percent").replace(".", "_") or "page", 0, request(f"GET {path}")
    for name, line in {"limit": "/connections?limit=2&sort=age", "limit_wrong": "/connections?limit=x", "query": "/status?%zz&a",
                       "pools_limit": "/pools?limit=1", "samples": "/status?minutes=3", "dry": "/schemas/d.guarded?dry_run=true"}.items():
        yield name, 0, request(f"GET {line}")
    for method in ("POST", "HEAD", "DELETE", "PUT", "OPTIONS"):
        yield f"status_{method}", 0, request(f"{method} /status")
    for name in ("pause", "resume", "drain"):
        for state in (0, 1, 2):
            yield f"{name}_{state}", state, request(f"POST /{name}")
    yield "put", 0, request("PUT /schemas/d.new", SCHEMA)
    yield "put_known", 0, request("PUT /schemas/d.guarded", SCHEMA.replace("d.new", "d.guarded"))
    yield "put_wrong", 0, request("PUT /schemas/d.new", '{"schema": 3}')
    yield "put_many", 0, request("PUT /schemas/d.new", SCHEMA) + request("PUT /schemas/d.new", SCHEMA) + request("DELETE /schemas/d.new")
    yield "put_no_json", 0, request("PUT /schemas/d.new", '{"ns"')
    yield "put_closed", 65, request("PUT /schemas/d.new", SCHEMA)
    yield "limit_none", 0, request("GET /schemas?limit=0")
    yield "since_wrong", 0, request("GET /status?since=x")
    yield "values", 4, request("GET /schemas/d.guarded", Authorization="Bearer a-long-token")
    yield "put_other", 0, request("PUT /schemas/d.new", '{"ns": "d.e", "schema": {}}')
    yield "put_odd", 0, request("PUT /schemas/..%2Fx", SCHEMA)
    yield "delete", 0, request("DELETE /schemas/d.guarded")
    yield "delete_none", 0, request("DELETE /schemas/d.none")
    yield "token", 4, request("POST /pause", Authorization="Bearer a-long-token")
    yield "token_wrong", 4, request("GET /status", Authorization="Bearer another-token")
    yield "token_none", 4, request("GET /livez")
    yield "origin", 0, request("GET /status", Origin="http://evil.example")
    yield "origin_own", 0, request("GET /status", Origin="http://127.0.0.1")
    yield "host", 0, request("GET /status").replace(b"127.0.0.1", b"evil.example")
    yield "host_listed", 0, request("GET /status").replace(b"127.0.0.1", b"Admin.Example:8080")
    yield "host_local", 0, request("GET /status").replace(b"127.0.0.1", b"localhost:1")
    yield "host_v6", 0, request("GET /status").replace(b"127.0.0.1", b"[::1]:1")
    yield "host_none", 0, b"GET /status HTTP/1.1\r\n\r\n"
    yield "openmetrics", 0, request("GET /metrics", Accept="application/openmetrics-text; version=1.0.0")
    yield "samples_after", 0, request("GET /status?since=1")
    yield "draining", 2, request("GET /readyz")
    yield "two", 0, request("GET /livez") + request("GET /readyz")
    yield "cut", 0, request("GET /livez")[:20]
    for state in (8, 16, 32, 48, 64, 128):
        for path in ("status", "metrics", "readyz", "schemas"):
            yield f"{path}_{state}", state, request(f"GET /{path}")


CORPUS.mkdir(parents=True, exist_ok=True)
for name, state, data in inputs():
    (CORPUS / name).write_bytes(bytes([state]) + data)
