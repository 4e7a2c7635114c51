#!/usr/bin/env python3
"""Writes the first inputs of the fuzz targets wire_*, bson_validate, bson_values, identity, enforce, trace_comment and
trace_export into tests/fuzz/corpus. Needs only Python. The findings of the fuzzers are kept beside them."""

import pathlib
import struct
import zlib

CORPUS = pathlib.Path(__file__).parent / "corpus"
OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013


def element(name, value):
    key = name.encode() + b"\0"
    if isinstance(value, bool):
        return b"\x08" + key + bytes([value])
    if isinstance(value, int):
        return b"\x10" + key + struct.pack("<i", value)
    if isinstance(value, float):
        return b"\x01" + key + struct.pack("<d", value)
    if isinstance(value, str):
        text = value.encode() + b"\0"
        return b"\x02" + key + struct.pack("<i", len(text)) + text
    if isinstance(value, bytes):
        return b"\x05" + key + struct.pack("<iB", len(value), 4) + value
    if isinstance(value, tuple):  # another type: its number and its bytes
        return bytes([value[0]]) + key + value[1]
    if isinstance(value, list):
        return b"\x04" + key + document({str(i): item for i, item in enumerate(value)})
    return b"\x03" + key + document(value)


def document(fields):
    inside = b"".join(element(name, value) for name, value in fields.items())
    return struct.pack("<i", len(inside) + 5) + inside + b"\0"


def framed(opcode, payload):
    return struct.pack("<iiii", len(payload) + 16, 7, 0, opcode) + payload


def body(fields):
    return b"\0" + document(fields)


def sequence(name, *documents):
    inside = name.encode() + b"\0" + b"".join(documents)
    return b"\x01" + struct.pack("<i", len(inside) + 4) + inside


def msg(flags, *sections):
    return struct.pack("<I", flags) + b"".join(sections)


PING = {"ping": 1, "$db": "admin"}
INSERT = {"insert": "c", "ordered": True, "$db": "d", "lsid": {"id": bytes(range(16))}, "txnNumber": 3}
IN_TRANSACTION = INSERT | {"startTransaction": True, "autocommit": False}
DOCUMENTS = sequence("documents", document({"_id": 1, "n": "x"}), document({"_id": 2}))


def frames():
    query = struct.pack("<i", 4) + b"admin.$cmd\0" + struct.pack("<ii", 0, -1)
    yield "ping", framed(OP_MSG, msg(0, body(PING)))
    yield "insert", framed(OP_MSG, msg(0, body(INSERT), DOCUMENTS))
    yield "sequence_first", framed(OP_MSG, msg(2, DOCUMENTS, body(INSERT)))
    yield "checksum", framed(OP_MSG, msg(1, body(PING), DOCUMENTS) + b"\1\2\3\4")
    yield "checksum_cut", framed(OP_MSG, msg(1, body(PING)) + b"\1\2")
    yield "exhaust", framed(OP_MSG, msg(1 << 16, body(PING)))
    yield "two_bodies", framed(OP_MSG, msg(0, body(PING), body(PING)))
    yield "no_body", framed(OP_MSG, msg(0, DOCUMENTS, DOCUMENTS))
    yield "bad_flag", framed(OP_MSG, msg(4, body(PING)))
    yield "size_over_end", framed(OP_MSG, msg(0, b"\0\xff\xff\xff\x7f", b"\0" * 8))
    yield "size_too_small", framed(OP_MSG, msg(0, body(PING), b"\1\4\0\0\0", b"\0" * 8))
    yield "query", framed(OP_QUERY, query + document({"isMaster": 1, "helloOk": True}))
    yield "query_wrapped", framed(OP_QUERY, query + document({"$query": {"isMaster": 1}}))
    yield "query_find", framed(OP_QUERY, query.replace(b"admin.$cmd", b"admin.find") + document({}))
    for opcode in (2001, 2002, 2005, 2006, 2007, 2012, 2013, 3000):
        yield f"opcode_{opcode}", framed(opcode, b"")
    for name, first in (("tls", b"\x16\3\1"), ("http", b"GET /"), ("alert", b"\x15\3\3"), ("answer", b"HTTP/1.1")):
        yield f"hint_{name}", first.ljust(16, b"\0")
    yield "telemetry_two", framed(OP_MSG, msg(0, body(PING), *[b"\3" + document({})] * 2))
    yield "reply", framed(OP_REPLY, struct.pack("<iqii", 8, 0, 0, 1) + document({"ok": 1.0}))


def snappy_literal(data):
    """One literal: a length of up to 127 in front, then the tag of up to 60 bytes."""
    return bytes([len(data)]) + bytes([(len(data) - 1) << 2]) + data


def zstd_raw(data):
    """A single segment with one raw block."""
    return b"\x28\xb5\x2f\xfd\x20" + bytes([len(data)]) + struct.pack("<I", len(data) << 3 | 1)[:3] + data


def compressed(opcode, size, compressor, data):
    return struct.pack("<iiB", opcode, size, compressor) + data


def compressed_messages():
    inside = msg(0, body(PING))
    yield "noop", compressed(OP_MSG, len(inside), 0, inside)
    yield "snappy", compressed(OP_MSG, len(inside), 1, snappy_literal(inside))
    yield "zlib", compressed(OP_MSG, len(inside), 2, zlib.compress(inside))
    yield "zstd", compressed(OP_MSG, len(inside), 3, zstd_raw(inside))
    long = msg(0, body(PING), sequence("documents", *[document({"_id": 1})] * 500))
    yield "zlib_long", compressed(OP_MSG, len(long), 2, zlib.compress(long))
    yield "snappy_lies", compressed(OP_MSG, len(inside) + 20, 1, snappy_literal(inside))
    yield "zlib_lies", compressed(OP_MSG, len(inside) - 1, 2, zlib.compress(inside))
    yield "zstd_lies", compressed(OP_MSG, 100000, 3, zstd_raw(inside))
    yield "nested", compressed(2012, len(inside), 0, inside)
    for name in (b"noop", b"snappy", b"zlib", b"zstd"):
        yield f"name_{name.decode()}", name


def hellos():
    member = {
        "hosts": ["a:1", "b:2", "c:3"],
        "passives": ["b:2"],
        "arbiters": ["c:3"],
        "setName": "rs0",
        "primary": "a:1",
        "me": "c:3",
        "tags": {"me": "a:1"},
        "compression": ["zstd", "lz4", "snappy"],
        "maxMessageSizeBytes": 90000000,
        "ok": 1.0,
    }
    yield "member", b"\xb7" + document(member)
    yield "standalone", b"\xb7" + document({"isWritablePrimary": True, "maxMessageSizeBytes": 48000000})
    yield "wrong_types", b"\1" + document({"hosts": "a:1", "me": ["a:1"], "compression": "lz4"})
    yield "mixed_lists", b"\1" + document({"hosts": [1, "a:1", {}, "b:2"], "compression": [1.0, "zlib"]})
    yield "small_limit", b"\0" + document({"maxMessageSizeBytes": 48e6})


def hello_pairs():
    version = {"processId": (7, bytes(range(12))), "counter": (18, struct.pack("<q", 6))}
    first = {"ismaster": 1, "helloOk": True, "client": {"driver": {}}, "compression": ["zstd", "lz4", "zlib"]}
    awaiting = {"hello": 1, "topologyVersion": version, "maxAwaitTimeMS": 10000}
    login = {"hello": 1, "saslSupportedMechs": "admin.a", "speculativeAuthenticate": {"saslStart": 1}}
    strict = {"hello": 1, "apiVersion": "1", "apiStrict": True, "loadBalanced": False}
    member = {
        "helloOk": True,
        "topologyVersion": version,
        "hosts": ["a:1", "b:2"],
        "setName": "rs0",
        "me": "a:1",
        "isWritablePrimary": True,
        "localTime": (9, struct.pack("<q", 10**12)),
        "connectionId": 7,
        "compression": ["zlib", "zstd"],
        "maxMessageSizeBytes": 90000000,
        "ok": 1.0,
    }
    for name, hello in (("first", first), ("awaiting", awaiting), ("login", login), ("strict", strict)):
        yield name, b"\x0e" + document(hello) + document(member)
    yield "standalone", b"\0" + document({"isMaster": 1}) + document({"ismaster": True, "ok": 1})


def commands():
    in_body = INSERT | {"documents": [{"_id": 1}, {"_id": 2}]}
    many = {"insert": "c"} | {f"f{i}": i for i in range(30)} | {"$db": "d", "documents": [{}]}
    twice = document(INSERT)[:-1] + element("insert", "other") + element("$db", "e") + b"\0"
    twice = struct.pack("<i", len(twice)) + twice[4:]
    cut = document(INSERT)[:-9]
    yield "ping", msg(0, body(PING))
    yield "insert", msg(0, body(INSERT), DOCUMENTS)
    yield "sequence_first", msg(2, DOCUMENTS, body(INSERT))
    yield "in_body", msg(0, body(in_body))
    yield "checksum", msg(1, body(INSERT), DOCUMENTS) + b"\1\2\3\4"
    yield "telemetry", msg(0, body(INSERT), DOCUMENTS, b"\3" + document({"otel": {"traceparent": "x"}}))
    yield "bulk_write", msg(0, body({"bulkWrite": 1, "$db": "admin"}), sequence("ops", document({"insert": 0})),
                            sequence("nsInfo", document({"ns": "d.c"})))
    yield "many_sequences", msg(0, *[sequence("documents", document({}))] * 6, body(INSERT), sequence("updates"))
    yield "many_fields", msg(0, body(many))
    yield "long_name", msg(0, body({"insert": "c", "n" * 70000: 1, "$db": "d"}))
    yield "twice", msg(0, b"\0" + twice)
    yield "in_transaction", msg(0, body(IN_TRANSACTION))
    yield "commit", msg(0, body({"commitTransaction": 1} | IN_TRANSACTION))
    yield "short_lsid", msg(0, body({"find": "c", "lsid": {"id": b"short"}}))
    yield "wrong_types", msg(0, body({"find": 1, "lsid": 1, "autocommit": "x", "$db": 3, "txnNumber": {}, "ops": 1}))
    yield "no_name", msg(0, body({"": "c", "$db": ""}))
    yield "empty", msg(0, body({}))
    yield "cut", msg(0, b"\0" + struct.pack("<i", len(cut)) + cut[4:])
    yield "legacy", document(PING)


def write_commands():
    good, bad = {"_id": 1, "a": 1}, {"_id": 2, "s": "z", "t": ["q", "q"], "o": {}}
    errors = {"n": 1, "nModified": 1, "upserted": [{"index": 0, "_id": 1}],
              "writeErrors": [{"index": 0, "code": 11000, "errmsg": "x"}], "opTime": {"t": 1}, "ok": 1.0}

    def case(settings, payload, reply):
        return bytes([settings]) + struct.pack("<I", len(payload)) + payload + document(reply)

    def command(name, collection="c", **more):
        return body({name: collection} | more | {"$db": "d"})

    def documents(*items):
        return sequence("documents", *map(document, items))

    def updates(*changes, **more):
        return sequence("updates", *(document({"q": {"_id": 1, "b": {"$eq": 1}}, "u": u} | more) for u in changes))

    ok = {"n": 1, "ok": 1.0}
    mixed = documents(bad, good, bad, good)
    yield "insert", case(0, msg(0, command("insert"), documents(good, good)), ok)
    yield "insert_ordered", case(0, msg(0, command("insert"), documents(good, bad, good)), ok)
    yield "insert_unordered", case(0, msg(0, command("insert", ordered=False), mixed), errors)
    yield "insert_checksum", case(0, msg(1, mixed, command("insert", ordered=False)) + b"abcd", ok)
    yield "insert_silent", case(0, msg(2, command("insert", ordered=False), mixed), {})
    yield "insert_transaction", case(1, msg(0, command("insert", ordered=False), mixed), ok)
    yield "insert_numbered", case(0, msg(0, command("insert", ordered=False, stmtId=3), mixed), {"ok": 0.0})
    yield "insert_in_body", case(0, msg(0, command("insert", ordered=False, documents=[bad, good], stmtIds=[1, 2])), ok)
    yield "insert_all_bad", case(0, msg(0, command("insert", ordered=False), documents(bad, bad)), {})
    yield "insert_no_id", case(0, msg(0, command("insert", "r", bypassDocumentValidation=True), documents({"a": 1})), ok)
    yield "insert_warned", case(0, msg(0, command("insert", "w"), documents(bad)), ok)
    yield "insert_json_schema", case(0, msg(0, command("insert", "j"), documents({"_id": 1}, {"_id": "x"})), ok)
    operators = [{"$set": {"a": "x"}}, {"$set": {"a": 1}, "$unset": {"s": 1}}, {"$inc": {"a": 1.5}},
                 {"$push": {"t": {"$each": ["x", 1]}}}, {"$rename": {"a": "b"}}, {"$currentDate": {"a": {"$type": "date"}}},
                 {"$bit": {"a": {"and": 1}}}, {"$min": {"a": 1}, "$max": {"o.x": 1}}, {"$setOnInsert": {"a": 1}}]
    yield "update", case(0, msg(0, command("update", ordered=False), updates(*operators, good, bad, [])), errors)
    yield "upsert", case(0, msg(0, command("update", ordered=False), updates(*operators, bad, upsert=True)), errors)
    yield "update_rejecting", case(0, msg(0, command("update", "r", ordered=False), updates(*operators, good)), errors)
    yield "update_moderate", case(1, msg(0, command("update", "m"), updates(*operators, bad)), errors)
    for name, seed in (("findAndModify", "find_modify"), ("findandmodify", "find_modify_lower")):
        yield seed, case(0, msg(0, command(name, query={"_id": 1}, update=bad)), ok)
    ops = [{"insert": 0, "document": good}, {"insert": 1, "document": bad}, {"update": 0, "filter": {"_id": 1},
           "updateMods": {"$unset": {"a": 1}}}, {"delete": 0, "filter": {}}, {"insert": 0, "document": bad}]
    spaces = [{"ns": "d.c"}, {"ns": "d.w"}, {"ns": "d.none"}]
    results = {"cursor": {"id": 7, "firstBatch": [{"ok": 1.0, "idx": 0, "n": 1}], "ns": "x"}, "nErrors": 0, "ok": 1.0}
    yield "bulk_write", case(0, msg(0, body({"bulkWrite": 1, "ordered": False, "$db": "admin"}),
                                    sequence("ops", *map(document, ops)), sequence("nsInfo", *map(document, spaces))), results)
    yield "bulk_write_in_body", case(0, msg(0, body({"bulkWrite": 1, "ops": ops, "nsInfo": spaces, "$db": "admin"})), results)
    long, undecided = {"_id": 1, "a": 1, "s": "x" * 3000}, [{"$inc": {"a": 1}}, {"$set": {"a": 1}}, {"$set": {"a": 0, "b": 1}},
                                                            {"$unset": {"b": 1}}, {"$setOnInsert": {"a": 5}}, good]
    lists = [{"_id": i, "a": "x"} for i in range(5)]
    yield "versions", case(0, msg(0, command("insert", "v", ordered=False), documents(good, bad, {"_id": 1, "a": 1, "b": 2}, *lists)), ok)
    yield "versions_writer", case(32, msg(0, command("insert", "v", ordered=False), documents(good, {"_id": 3, "b": 2, "a": 0})), ok)
    yield "versions_cut_off", case(0, msg(0, command("insert", "v"), documents(long)), ok)
    yield "versions_updates", case(0, msg(0, command("update", "v", ordered=False), updates(*undecided)), ok)
    yield "versions_upserts", case(0, msg(0, command("update", "v", ordered=False), updates(*undecided, upsert=True)), ok)
    yield "cut_off", case(0, msg(0, command("insert"), documents(long | {"t": [str(i) for i in range(50)]})), ok)
    wide = [{"ns": name} for name in ("d.c", "d.r", "d.m", "d.w", "d.v", "d.j")] * 4
    yield "bulk_write_wide", case(0, msg(0, body({"bulkWrite": 1, "ops": [{"insert": 20, "document": bad}], "nsInfo": wide,
                                                  "$db": "admin"})), results)
    yield "insert_inside", case(0, msg(0, command("insert", ordered=False), documents(
        {"a": 1, "o": {}}, {"a": 1, "t": [1]}, {"a": 1, "t": ["q", "q"]}, {"a": "x", "s": "z", "o": 3})), errors)
    yield "versions_set", case(0, msg(0, command("update", "v", ordered=False), updates(
        {"$set": {"a": 0}}, {"$set": {"b": 1}}, {"$max": {"a": 0}}, {"$set": {"s": "x"}})), ok)
    yield "versions_set_upsert", case(0, msg(0, command("update", "v", ordered=False), updates(
        {"$set": {"a": 0}}, {"$setOnInsert": {"a": 0}}, {"$set": {"a": 5, "b": 1}}, upsert=True)), ok)
    yield "modify_sequence", case(0, msg(0, command("findAndModify", update=bad), documents(good)), ok)
    yield "strict_sequence", case(0, msg(0, command("update", apiStrict=True), sequence("others", document(good))), ok)
    yield "nowhere", case(0, msg(0, body({"$eval": "x", "$db": "e"})), ok)
    yield "reduce_nowhere", case(0, msg(0, command("mapReduce", map="m", reduce="r", out={"db": "d"})), ok)
    yield "no_collection", case(0, msg(0, body({"aggregate": 1, "pipeline": [{"$match": {}}, {"$out": "r"}], "$db": "d"})), ok)
    stages = [{"$facet": {"x": 1}}, {"$lookup": {"from": "c", "pipeline": 1, "as": "x"}}, {"$unionWith": {"coll": "c", "pipeline": [
        {"$out": "r"}]}}]
    for i, one in enumerate(stages):
        yield f"pipeline_{i}", case(0, msg(0, command("aggregate", pipeline=[one])), ok)
    yield "no_room", case(8, msg(0, command("insert", ordered=False), mixed), ok)
    yield "leaves", case(18, msg(0, command("insert", ordered=False), mixed), ok)
    yield "limit", case(4, msg(0, command("insert", ordered=False), documents(*[good] * 5)), ok)
    yield "empty", case(0, msg(0, command("insert", documents=[])), ok)
    yield "legacy", case(64, document({"insert": "c", "documents": [bad], "$db": "d"}), ok)
    yield "statement_ids", case(0, msg(0, command("insert", ordered=False, stmtIds=[1]), mixed), ok)
    yield "session", case(0, msg(0, command("insert", lsid={}, txnNumber=1, maxTimeMS=-1), mixed), ok)
    yield "time", case(0, msg(0, command("insert", maxTimeMS=5, lsid={"id": bytes(16)}), mixed), ok)
    yield "number_alone", case(0, msg(0, command("insert", txnNumber=1), mixed), ok)
    yield "unheard", case(0, msg(0, command("insert", writeConcern={"w": 0}), mixed), ok)
    yield "unheard_journal", case(0, msg(0, command("insert", writeConcern={"w": 0, "j": True}), mixed), ok)
    yield "sequence_twice", case(0, msg(0, command("insert"), documents(good), documents(good)), ok)
    yield "sequence_odd", case(0, msg(0, command("insert"), sequence("others", document(good))), ok)
    yield "remove", case(0, msg(0, command("findAndModify", query={}, remove=True, new=True, update={})), ok)
    yield "map_reduce", case(0, msg(0, command("mapReduce", map="m", reduce="r", out="c")), ok)
    yield "map_reduce_merge", case(0, msg(0, command("mapReduce", map="m", reduce="r", out={"merge": "c", "db": "d"})), ok)
    yield "map_reduce_none", case(0, msg(0, command("mapReduce", map="m", reduce="r", out={"x": 1})), ok)
    yield "map_reduce_inline", case(0, msg(0, command("mapReduce", map="m", reduce="r", out={"inline": 1})), ok)
    yield "create_view", case(0, msg(0, command("create", "view", viewOn="c", pipeline=[{"$out": "r"}])), ok)
    yield "pipeline_sequence", case(0, msg(0, command("aggregate"), sequence("pipeline", document({"$out": "r"}))), ok)
    yield "clone", case(0, msg(0, body({"cloneCollectionAsCapped": "x", "toCollection": "c", "size": 1, "$db": "d"})), ok)
    yield "rename", case(0, msg(0, body({"renameCollection": "d.x", "to": "d.c", "$db": "admin"})), ok)
    yield "apply_ops", case(0, msg(0, body({"applyOps": [{"op": "n"}, {"op": "i", "ns": "d.c", "o": bad}, {"op": "u", "ns": "d.c"}],
                                            "$db": "admin"})), ok)
    yield "own_database", case(0, msg(0, body({"eval": "x", "$db": "d"})), ok)
    many = [{"ns": f"d.n{i}"} for i in range(12)]
    last = {"insert": 11, "document": bad}
    yield "bulk_write_many", case(4, msg(0, body({"bulkWrite": 1, "ops": [last], "nsInfo": many, "$db": "admin"})), results)
    yield "bulk_write_room", case(0, msg(0, body({"bulkWrite": 1, "ops": [{"insert": 12, "document": bad}], "nsInfo": many + spaces,
                                                  "$db": "admin"})), results)
    for name, stage in (("out", {"$out": "r"}), ("out_db", {"$out": {"db": "d", "coll": "r"}}), ("merge", {"$merge": {"into": "r"}})):
        yield "aggregate_" + name, case(0, msg(0, command("aggregate", pipeline=[{"$match": {}}, stage])), ok)


def comments():
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    datadog = f"dddbs='shop',dde='prod',ddps='web',traceparent='{parent}'"
    yield "document", b"\x03" + document({"traceparent": parent, "tracestate": "a=1"})
    yield "with_text", b"\x03" + document({"text": "job", "traceparent": parent})
    yield "future", b"\x03" + document({"traceparent": "01" + parent[2:] + "-x"})
    yield "datadog", b"\x02" + struct.pack("<i", len(datadog) + 1) + datadog.encode() + b"\0"
    yield "section", b"\x03" + document({"otel": {"traceparent": parent}})


def exports():
    yield "rejected", b"\0\x0a\x07\x08\xac\x02\x12\x02no"
    yield "pairs", b"\1api-key=a%3Db,x=2"
    yield "url", b"\2https://[::1]:4318/v1/traces"
    yield "names", b"\3\0\0deployment.environment.name=x,a=%3D,b=\xff"
    yield "server", b"\3\x3f\0db1.example:27017"
    yield "socket", b"\3\xbf\0x"
    yield "batch", b"\3\x48\x03find"
    yield "links", b"\3\x48\xfffind"
    yield "fixed", b"\0\x09" + bytes(8) + b"\x15" + bytes(4) + b"\x0a\x02\x08\x05\x1b"
    yield "reply", b"\3\0\0" + document({"ok": 0.0, "code": 13, "writeErrors": [{"code": 1}]})


def replies():
    for flags in range(32):
        yield f"error_{flags}", bytes([flags, 112, 0, 0, 0]) + b"no \xffserver"
        yield f"document_{flags}", bytes([flags, 1, 2, 3, 4]) + document({"ok": 1})


def values():
    """Documents with numbers of all types, and with each other type."""
    decimals = [struct.pack("<QQ", low, high) for low, high in
                ((1, 0x3040 << 48), (10, 0x303E << 48), (1, 0x303E << 48), (0, 0x7C00 << 48), (0, 0x7800 << 48),
                 (1, 0x6C10 << 48), (1, 0xB040 << 48), (5, 0x5FFE << 48), (5, 0x0000 << 48), (2**63, 0x31FFFFFFFFFFFFFF))]
    integers = [(18, struct.pack("<q", n)) for n in (0, 1, -1, 2**63 - 1, -(2**63), 2**53 + 1, 10**17)]
    doubles = [0.0, -0.0, 0.5, 0.1, 1e300, -1e300, 5e-324, float("nan"), float("inf"), float("-inf"), 2.0**53, 9.3e18]
    odd = {"u": (6, b""), "n": (10, b""), "o": (7, bytes(12)), "d": (9, bytes(8)), "r": (11, b"a\0i\0"), "t": (17, bytes(8)),
           "s": (14, struct.pack("<i", 2) + b"x\0"), "c": (13, struct.pack("<i", 2) + b"x\0"), "x": "x", "M": (127, b""),
           "m": (255, b""), "w": (15, struct.pack("<ii", 15, 2) + b"x\0" + document({})),
           "p": (12, struct.pack("<i", 2) + b"x\0" + bytes(12))}
    pairs = {"a": {"x": 1, "y": [1, 2.0]}, "b": {"y": [1, 2], "x": 1.0}, "l": [1, {"x": 1}], "k": [1, {"x": 1}],
             "B": b"data", "C": b"data", "t": True, "f": False}
    numbers = [(19, decimal) for decimal in decimals] + integers + doubles + [0, 1, -5]
    for i in range(0, len(numbers), 3):
        some = numbers[i : i + 3] + numbers[(i * 7) % len(numbers) :][:7]
        yield f"numbers_{i}", document({f"n{j}": number for j, number in enumerate(some)})
    names = list(odd)
    yield "odd_first", document({name: odd[name] for name in names[:8]})
    yield "odd_second", document({name: odd[name] for name in names[8:]} | {"twin": "x"})
    yield "pairs", document(pairs)


def deep():
    nested = {}
    for _ in range(184):
        nested = {"a": nested}
    yield "deep", document(nested)


def records(*bodies):
    """Of the target identity: kinds (0: a command, 1: a reply) and documents."""
    return b"".join(struct.pack("<BH", kind, len(data)) + data for kind, data in bodies)


def identities():
    def status(*users, **more):
        listed = [{"user": user, "db": db} for user, db in users]
        return document({"authInfo": {"authenticatedUsers": listed} | more, "ok": 1.0})

    roles = {"authenticatedUserRoles": [{"role": role, "db": "d"} for role in ("b", "a", "ab")]}
    one, two = ("ann", "admin"), ("bob", "admin")
    hello = {"hello": 1, "speculativeAuthenticate": {"authenticate": 1, "mechanism": "MONGODB-X509", "user": "CN=a"}}
    plain = {"saslStart": 1, "mechanism": "PLAIN", "payload": (5, struct.pack("<iB", 9, 0) + b"\0ann\0word"), "$db": "admin"}
    done = {"conversationId": 1, "done": True, "ok": 1}
    yield "status_one", records((1, status(one)))
    yield "status_roles", records((1, status(one, two, two, **roles)))
    yield "status_many", records((1, status(*((f"u{i}", "d") for i in range(9)))))
    yield "status_roles_many", records((1, status(one, authenticatedUserRoles=[{"role": "r"}] * 300)))
    yield "status_roles_wrong", records((1, status(one, authenticatedUserRoles={"role": "r"})))
    yield "status_wrong", records((1, status(("", "d"))), (1, status(("a", 1))))
    yield "doubted", records(*((1, document({"ok": 0.0, "code": code})) for code in (13, 18, 391, 1)))
    yield "plain", records((0, document(plain)), (1, document(done)), (0, document({"logout": 1})), (1, document({"ok": 1})))
    yield "plain_text", records((2, document(plain | {"payload": "AGFubgB3b3Jk"})), (1, document(done)))
    yield "hello_user", records((0, document(hello)), (1, document({"speculativeAuthenticate": {"user": "CN=a", "dbname": "e"}, "ok": 1})))
    yield "hello_done", records((0, document({"isMaster": 1, "speculativeAuthenticate": plain})),
                                (1, document({"speculativeAuthenticate": done, "ok": 1})))
    yield "authenticate", records((0, document({"authenticate": 1, "user": "a", "nonce": "x", "key": "y"})),
                                  (1, document({"dbname": "d", "user": "a", "ok": 1})))


def write(target, inputs, first=b""):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in inputs:
        (folder / name).write_bytes(first + data)


write("wire_frame", frames(), first=b"\x2a")
write("wire_compressed", compressed_messages())
write("wire_hello", hellos())
write("wire_hello_answer", hello_pairs())
write("wire_command", commands(), first=b"\x90")
write("enforce", write_commands())
write("trace_comment", comments())
write("trace_export", exports())
write("wire_reply", replies())
write("bson_values", values(), first=b"\x10")
write("identity", identities())
write("bson_validate", deep())
