"""A fleet's registry of schemas: the tests change it by `mongosluice schema …`, and proxies follow it."""

import json
import subprocess

from bson import json_util

from .process import PATIENCE, NotInTime, eventually
from .proxy import BINARY, environment
from .schemas import in_force

# exit codes of the commands
DONE, REFUSED, FAILED, CONFLICT = range(4)
DOCUMENT_BROKEN, TAKEN_OVER, AWAY, BACK, SILENT = 3020, 3021, 3022, 3023, 3024


def schema_of(number, **more):
    """A schema that accepts only documents whose `v` is `number`."""
    return {"required": ["v"], "properties": {"v": {"enum": [number]}}, **more}


class Registry:
    """A registry in `collection` of a server; its commands run as processes of their own."""

    def __init__(self, endpoint, ns, folder):
        self.endpoint, self.ns, self.folder = endpoint, ns, folder
        folder.mkdir(exist_ok=True)
        self.files = 0

    def options(self, schemas, **more):
        """The status of a proxy that follows it."""
        return {"schemas": schemas, "schemas_registry": self.ns,
                "schemas_registry_uri": self.endpoint.uri(), "schemas_registry_period_ms": 100,
                "admin.listen": "127.0.0.1:0", **more}

    def run(self, *words, uri=None, cwd=None, patience=PATIENCE):
        """(exit code, standard output, standard error)"""
        done = subprocess.run(
            [BINARY, "schema", words[0], "--collection", self.ns, *map(str, words[1:])],
            env={**environment(), "MONGOSLUICE_REGISTRY": uri or self.endpoint.uri()}, cwd=cwd,
            capture_output=True, text=True, timeout=patience * 3, check=False)
        return done.returncode, done.stdout, done.stderr

    def do(self, *words, code=DONE, **how):
        got, out, err = self.run(*words, **how)
        assert got == code, (words, got, out, err)
        return out + err

    def file(self, ns, schema, **fields):
        self.files += 1
        path = self.folder / f"file{self.files}.json"
        path.write_text(json_util.dumps({"ns": ns, "schema": schema, **fields},
                                        json_options=json_util.CANONICAL_JSON_OPTIONS))
        return path

    def push(self, ns, schema, *flags, code=DONE, **fields):
        return self.do("push", *flags, self.file(ns, schema, **fields), code=code)

    def json(self, *words, code=DONE):
        return json.loads(self.do(*words, "--json", code=code))


def wait_state(admin, what="the registry", **wanted):
    """Waits until /status reports this of the registry."""
    state = {}

    def look():
        state.update(admin.json("/status")["registry"])
        return state if all(value(state[key]) if callable(value) else state[key] == value
                            for key, value in wanted.items()) else None
    try:
        return eventually(look, f"{what} is {wanted}")
    except NotInTime as error:
        raise NotInTime(f"{error}; it is {state}") from None


def wait_hashes(client, ns, count):
    """Waits until the proxy accepts so many versions of the namespace."""
    def look():
        entry = in_force(client, ns)
        return entry if entry and len(entry["hashes"]) == count else None
    return eventually(look, f"{count} versions of {ns}")
