"""The admin endpoint of a proxy, over HTTP."""

import http.client
import json
import ssl
from dataclasses import dataclass

from .process import eventually

LISTENING = 1073  # log id


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        assert self.headers["Content-Type"] == "application/json; charset=utf-8"
        return json.loads(self.body)


class Admin:
    def __init__(self, proxy, token=None, ca_file=None):
        record = proxy.wait_for_record("the admin endpoint", id=LISTENING)
        self.address = record["attr"]["address"]
        host, _, port = self.address.rpartition(":")
        self.host, self.port = host.strip("[]"), int(port)
        self.token = token
        self.ca_file = ca_file
        self.url = f"http{'s' if ca_file else ''}://{self.address}"

    def connection(self, timeout=20):
        if self.ca_file is None:
            return http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        context = ssl.create_default_context(cafile=self.ca_file)
        return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=context)

    def ask(self, method, path, body=None, headers=None):
        headers = dict(headers or {})
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        connection = self.connection()
        try:
            connection.request(method, path, body=body, headers=headers)
            reply = connection.getresponse()
            return Answer(reply.status, reply.headers, reply.read())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.ask("GET", path, headers=headers)

    def post(self, path, **headers):
        return self.ask("POST", path, headers=headers)

    def json(self, path):
        answer = self.get(path)
        assert answer.status == 200, answer
        return answer.json()

    def metrics(self):
        """{name with labels: value}"""
        answer = self.get("/metrics")
        assert answer.status == 200, answer
        lines = answer.body.decode().splitlines()
        return {name: float(value) for name, _, value in
                (line.rpartition(" ") for line in lines if not line.startswith("#"))}

    def wait_for_metric(self, name, least):
        eventually(lambda: self.metrics()[name] >= least, f"{name} is at least {least}")
