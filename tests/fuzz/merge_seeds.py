"""Writes seeds of the target merge into tests/fuzz/corpus/merge: inserts as drivers send them, and
replies as servers give them. usage: merge_seeds.py"""

import struct
from pathlib import Path

from bson import Binary, Int64, Timestamp, encode

FOLDER = Path(__file__).parent / "corpus" / "merge"


def payload(body: dict, documents: list[dict] | None) -> bytes:
    out = struct.pack("<I", 0) + b"\0" + encode(body)
    if documents is not None:
        sequence = b"documents\0" + b"".join(encode(one) for one in documents)
        out += b"\1" + struct.pack("<i", len(sequence) + 4) + sequence
    return out


def insert(session: int | None, *documents: dict, in_body: bool = False, **more: object) -> bytes:
    body: dict = {"insert": "c", "ordered": len(documents) == 1, **more}
    if session is not None:
        body |= {"lsid": {"id": Binary(bytes([session]) * 16, 4)}, "txnNumber": Int64(5)}
    if in_body:
        body["documents"] = list(documents)
    return payload(body | {"$db": "d"}, None if in_body else list(documents))


def seed(name: str, inserts: list[bytes], reply: dict | None) -> None:
    pieces = [*inserts, b"" if reply is None else encode(reply)]
    data = b"".join(struct.pack("<H", len(piece)) + piece for piece in pieces)
    (FOLDER / name).write_bytes(data)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    time = {"$clusterTime": {"clusterTime": Timestamp(5, 1), "signature": {"keyId": Int64(1)}}}
    concern = {"writeConcern": {"w": "majority"}, "comment": "x"}
    many = [insert(1, {"_id": 1}), insert(2, {"_id": 2}, {"_id": 3}), insert(3, {"_id": 4})]
    error = {"index": 1, "code": 11000, "keyPattern": {"_id": 1}, "keyValue": {"_id": 3}, "errmsg": "E"}
    done = {"n": 3, "opTime": {"t": Int64(1)}, "ok": 1.0, **time, "operationTime": Timestamp(5, 1)}
    seed("numbered", many, done)
    seed("numbered_lost", many, None)
    seed("write_error", many, {"n": 2, "ok": 1.0, "writeErrors": [error], **time})
    seed("retried", many, done | {"retriedStmtIds": [0, 2]})
    seed("not_primary", many, {"ok": 0.0, "code": 10107, "errorLabels": ["RetryableWriteError"]})
    seed("unauthorized", many, {"ok": 0.0, "errmsg": "no", "code": 13})
    seed("write_concern_error", many, {"n": 3, "writeConcernError": {"code": 91}, "ok": 1})
    seed("plain", [insert(None, {"_id": i, "a": [i]}, **concern) for i in range(3)], {"n": 2, "ok": 1.0})
    seed("in_body", [insert(None, {"_id": i}, in_body=True, **time) for i in range(3)], {"n": 2, "ok": 1})
    seed("apart", [insert(None, {"_id": i}, comment=i) for i in range(3)], {"n": 1, "ok": 1.0})
    seed("barred", [insert(None, {"_id": i}, maxTimeMS=5) for i in range(3)], {"n": 1, "ok": 1.0})
    seed("same_number", [insert(1, {"_id": 1})] + [insert(2, {"_id": 2})] * 2, {"n": 1, "ok": 1.0})
    seed("count_is_wrong", many, {"n": 9, "ok": 1.0})


if __name__ == "__main__":
    main()
