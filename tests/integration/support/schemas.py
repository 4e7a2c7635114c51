"""Schema files for a proxy under test."""

from bson import json_util

from .process import eventually

SCHEMAS_IN_FORCE = 3000

PERSON = {
    "bsonType": "object",
    "required": ["_id", "name", "age"],
    "properties": {
        "_id": {},
        "name": {"bsonType": "string", "minLength": 1},
        "age": {"bsonType": "int", "minimum": 0, "maximum": 150},
    },
}


class Folder:
    """The folder for the option `--schemas`."""

    def __init__(self, path):
        self.path = path
        path.mkdir(exist_ok=True)

    def file_of(self, ns):
        return self.path / f"{ns}.json"

    def write(self, ns, schema=None, **fields):
        """Canonical extended JSON, which keeps the type of every number."""
        file = {"ns": ns, "schema": PERSON if schema is None else schema, **fields}
        self.file_of(ns).write_text(json_util.dumps(file,
                                                    json_options=json_util.CANONICAL_JSON_OPTIONS))

    def remove(self, ns):
        self.file_of(ns).unlink()


def in_force(client, ns):
    """Returns the proxy's report on the namespace; None if it has no schema for it."""
    reply = client.admin.command("mongosluice", namespaces=[ns])
    return reply["schemas"][0] if reply["schemas"] else None


def wait_in_force(client, ns, **wanted):
    """Waits until the schema of the namespace has these properties (hash=…, action=…; none: until there is a schema).
    """
    def look():
        entry = in_force(client, ns)
        return entry if entry and all(entry[k] == v for k, v in wanted.items()) else None
    return eventually(look, f"a schema for {ns} with {wanted}")


def wait_not_in_force(client, ns):
    return eventually(lambda: in_force(client, ns) is None, f"no schema for {ns}")
