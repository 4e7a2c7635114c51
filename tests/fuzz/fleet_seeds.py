"""Writes the seeds of the target fleet_document: good documents of a registry, and broken ones.

    fleet_seeds.py FOLDER
"""

import datetime
import hashlib
import sys
from pathlib import Path

import bson
from bson import Int64

NOW = datetime.datetime(2026, 11, 30, 12, 0, tzinfo=datetime.timezone.utc)
SETTINGS = {"level": "strict", "action": "error", "unproved": "allow", "allow_bypass": True}


def version(number, text='{"required": ["a"]}', schema=None, **more):
    sha = hashlib.sha256(bson.encode({"required": ["a"]} if schema is None else schema)).hexdigest()
    return {"version": number, "dialect": "mongodb", "hash": sha, "schema": text, "at": NOW, "by": "ada", **more}


def document(versions, accepted, ns="shop.orders", **more):
    state = {**SETTINGS, "accepted": accepted}
    step = {"revision": Int64(1), "at": NOW, "by": "ada", "action": "push", "note": "why",
            "state": {**SETTINGS, "accepted": [{"version": 1}]}}
    return {"_id": ns, "format": 1, "revision": Int64(2), "updated": NOW, "state": state, "versions": versions,
            "history": [step, {**step, "revision": Int64(2), "action": "retire", "state": state}], **more}


OTHER = version(2, '{"properties": {"b": {"bsonType": "int"}}}', {"properties": {"b": {"bsonType": "int"}}}, name="two")
LATER = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
SEEDS = {
    "one": document([version(1)], [{"version": 1}]),
    "two": document([version(1), OTHER], [{"version": 2}, {"version": 1, "until": LATER}]),
    "candidate": document([version(1), OTHER], [{"version": 1}]),
    "many": document([version(1)], [{"version": 1}]) | {"revision": Int64(9)},
    "nothing": document([version(1)], []),
    "odd_name": document([version(1)], [{"version": 1}], ns='db.a/../"b"\n'),
    "no_place": document([version(1)], [{"version": 1}], ns="../evil.x"),
    "unknown_version": document([version(1)], [{"version": 3}]),
    "out_of_place": document([version(1, '{"required": ["a"]}, "level": "off"')], [{"version": 1}]),
    "two_objects": document([version(1, '{"required": ["a"]} {}')], [{"version": 1}]),
    "other_hash": document([version(1, "{}")], [{"version": 1}]),
    "no_history": {key: value for key, value in document([version(1)], [{"version": 1}]).items() if key != "history"},
    "empty": {},
}
SEEDS["candidate"]["state"]["candidate"] = 2

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name, seed in SEEDS.items():
        (folder / name).write_bytes(bson.encode(seed))
