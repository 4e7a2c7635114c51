"""An OpenTelemetry collector: receives spans by OTLP over HTTP and decodes them with opentelemetry-proto."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (ExportTraceServiceRequest,
                                                                     ExportTraceServiceResponse)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Encoded

from .process import PATIENCE, NotInTime

INTERNAL, SERVER, CLIENT = Encoded.SPAN_KIND_INTERNAL, Encoded.SPAN_KIND_SERVER, Encoded.SPAN_KIND_CLIENT
ERROR = 2


def _value(any_value):
    return getattr(any_value, any_value.WhichOneof("value"))


def _attributes(message):
    return {one.key: _value(one.value) for one in message.attributes}


class Span:
    def __init__(self, encoded):
        self.trace, self.id, self.parent = encoded.trace_id.hex(), encoded.span_id.hex(), encoded.parent_span_id.hex()
        self.name, self.kind, self.flags = encoded.name, encoded.kind, encoded.flags
        self.start, self.end = encoded.start_time_unix_nano, encoded.end_time_unix_nano
        self.attributes = _attributes(encoded)
        self.links = [(link.trace_id.hex(), link.span_id.hex()) for link in encoded.links]
        self.failed = encoded.status.code == ERROR

    def __repr__(self):
        return f"<{self.name} {self.trace}:{self.id} in {self.parent} {self.attributes}>"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, headers, answer = self.server.collector.take(self.path, dict(self.headers), body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def get_request(self):
        connection, address = super().get_request()
        self.collector.connections += 1
        return connection, address

    def handle_error(self, request, client_address):
        self.collector.faults += 1  # such as a failed TLS handshake


class Collector:
    """`refusals`: the statuses of the next answers, then 200. `rejects`: spans of each message that count as rejected."""

    def __init__(self, *, certificate=None, refusals=(), rejects=0):
        self.spans, self.resources, self.headers, self.paths = [], [], [], []
        self.refusals, self.rejects = list(refusals), rejects
        self.connections = self.faults = 0
        self._news = threading.Condition()
        self._scheme = "https" if certificate else "http"
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.collector = self
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.cert_file, certificate.key_file)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True,
                                                      do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE)

    @property
    def url(self):
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    def take(self, path, headers, body):
        with self._news:
            self.paths.append(path)
            self.headers.append(headers)
            self._news.notify_all()
            if self.refusals:
                return self.refusals.pop(0), {"Retry-After": "0"}, b"no"
            message = ExportTraceServiceRequest()
            message.ParseFromString(body)
            assert not message.DiscardUnknownFields()
            for resource in message.resource_spans:
                self.resources.append(_attributes(resource.resource))
                for scope in resource.scope_spans:
                    assert scope.scope.name == "mongosluice"
                    self.spans += map(Span, scope.spans)
            response = ExportTraceServiceResponse()
            if self.rejects:
                response.partial_success.rejected_spans = self.rejects
            return 200, {"Content-Type": "application/x-protobuf"}, response.SerializeToString()

    def wait_for(self, count, seconds=PATIENCE):
        """Returns the spans when there are at least so many."""
        with self._news:
            if not self._news.wait_for(lambda: len(self.spans) >= count, seconds):
                raise NotInTime(f"{len(self.spans)} spans instead of {count}: {self.spans}")
            return list(self.spans)

    def wait_for_requests(self, count, seconds=PATIENCE):
        with self._news:
            if not self._news.wait_for(lambda: len(self.paths) >= count, seconds):
                raise NotInTime(f"{len(self.paths)} requests instead of {count}")

    def named(self, name):
        return [span for span in self.spans if span.name == name]
