"""Schemas that the proxy evaluates for every write and that refuse none, so that no outcome may change. Each has a
candidate that no document satisfies: the proxy finds a reason for each, too."""

import json

TYPES = ("double string object array binData undefined objectId bool date null regex dbPointer javascript symbol "
         "javascriptWithScope int timestamp long decimal minKey maxKey").split()
SCHEMA = {
    "bsonType": "object",
    "required": ["_id"],
    # The first half of the types or the other: every value fits one branch, but it has to be looked at.
    "properties": {"_id": {"anyOf": [{"bsonType": TYPES[:10]}, {"bsonType": TYPES[10:]}]}},
    "additionalProperties": {"anyOf": [{"bsonType": ["object", "array"]}, {"not": {"bsonType": ["object", "array"]}}]},
}
CANDIDATE = {"required": ["nobody writes this field"]}


def write(folder, namespaces):
    """A file for each namespace into the new folder."""
    folder.mkdir()
    for number, ns in enumerate(namespaces):
        file = {"ns": ns, "schema": SCHEMA, "candidate": {"schema": CANDIDATE}}
        (folder / f"{number}.json").write_text(json.dumps(file))


def read_namespaces(path):
    """The namespaces that the plugin noted, of those that a server could have."""
    if not path.exists():
        return []
    noted = [json.loads(line) for line in path.read_text().splitlines()]
    return sorted(ns for ns in noted if is_name(ns))


def is_name(ns):
    database, _, collection = ns.partition(".")
    return bool(database and collection) and "\0" not in ns and is_utf8(ns)


def is_utf8(text):
    try:
        return bool(text.encode())
    except UnicodeEncodeError:
        return False
