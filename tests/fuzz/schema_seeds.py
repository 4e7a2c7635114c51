#!/usr/bin/env python3
"""Writes inputs of the fuzz targets schema_compile (schemas with each keyword, each followed by documents) and
schema_file.

    schema_seeds.py FOLDER      the folder holds one for each target
"""

import json
import sys
from pathlib import Path

import bson
from bson import Binary, Decimal128, Int64, ObjectId, Regex

MONGODB, JSON_SCHEMA, EXTENDED = 0, 1, 2
PARTS = {"a": {"minimum": 1}, "b": {"maxLength": 2}}


def within(schema):
    return {"properties": {"a": schema}}


# Schemas of both dialects, and values for the field "a".
BOTH = {
    "types": (within({"type": ["string", "number"]}), ["x", 1, True]),
    "bounds": (within({"minimum": 1, "maximum": 5.5}), [0, 5, 6, Int64(7), Decimal128("5.25"), float("nan")]),
    "big": (within({"minimum": Int64(2**60), "maximum": Decimal128("1E+300")}), [Int64(2**61), 1e301]),
    "empty_range": (within({"minimum": 5, "maximum": 1}), [3]),
    "multiple": (within({"multipleOf": 0.1}), [0.3, 0.35, 7, Decimal128("0.7")]),
    "multiple_wrong": (within({"multipleOf": float("inf")}), []),
    "lengths": (within({"minLength": 1, "maxLength": 3}), ["", "\u00e9\u00e9", "abcd"]),
    "length_wrong": (within({"minLength": -1}), []),
    "length_broken": (within({"maxLength": 1.5}), []),
    "pattern": (within({"pattern": "^[A-Z]{3}-[0-9]+$"}), ["ABC-12", "abc", "ABC-"]),
    "pattern_fixed": (within({"pattern": "^[0-9a-f]{24}$"}), ["0" * 24, "g" * 24]),
    "pattern_word": (within({"pattern": "^\\w+$"}), ["abc_1", "a b", "w" * 40]),
    "pattern_class": (within({"pattern": "^[^@\\s]+@[^@]+$"}), ["a@b", "@", "x" * 50 + "@y"]),
    "pattern_long": (within({"pattern": "^(a+)+$"}), ["a" * 30 + "b"]),
    "pattern_wrong": (within({"pattern": "("}), []),
    "enum": (within({"enum": ["x", 1, None, {"k": 1}, [1, 2], True]}), ["x", 1.0, None, {"k": 1}, [1, 2], "y"]),
    "enum_many": (within({"enum": [f"v{i}" for i in range(12)]}), ["v3", "v30"]),
    "enum_twice": (within({"enum": [1, 1.0]}), []),
    "enum_none": (within({"enum": []}), []),
    "unique": (within({"uniqueItems": True}), [[1, 2], [1, 1.0], [{"a": 1, "b": 2}, {"b": 2, "a": 1}], list(range(40)) + [3]]),
    "unique_wrong": (within({"uniqueItems": 1}), []),
    "items": (within({"items": {"type": "number"}, "minItems": 1, "maxItems": 2}), [[], [1], ["x"], [1, 2, 3]]),
    "all": (within({"allOf": [{"type": "number"}, {"minimum": 3}]}), [1, 4, "x"]),
    "any": (within({"anyOf": [{"type": "string"}, {"minimum": 3, "type": "number"}, {"type": "object"}]}), [1, 4, "x", {}]),
    "any_same": (within({"anyOf": [{"type": "string", "minLength": 3}, {"type": "string", "pattern": "^x"}]}), ["x", "abc", "y"]),
    "one": (within({"oneOf": [{"minimum": 1}, {"maximum": 3}]}), [0, 2, 5]),
    "one_tag": (within({"oneOf": [{"required": ["k"], "properties": {"k": {"enum": [name]}, **PARTS}} for name in ("p", "q")]}),
                [{"k": "p", "a": 1}, {"k": "q", "b": "xyz"}, {"k": "r"}, {}]),
    "not": (within({"not": {"type": "string"}}), ["x", 1]),
    "not_all": ({"not": {"required": ["a"]}}, [1]),
    "objects": (within({"required": ["x"], "properties": PARTS, "additionalProperties": {"type": "number"}, "minProperties": 1,
                        "maxProperties": 2}), [{"x": 1}, {"a": 0}, {"x": "s"}, {}, {"x": 1, "a": 2, "b": "c"}]),
    "closed": ({"required": ["a"], "properties": PARTS, "additionalProperties": False}, [1, "x"]),
    "patterns": (within({"patternProperties": {"^a": {"type": "number"}, "b$": {"minLength": 1}}, "additionalProperties": False}),
                 [{"ab": 1}, {"cb": ""}, {"c": 1}]),
    "titles": (within({"title": "t", "description": "d"}), [1]),
    "title_wrong": (within({"title": 1}), []),
    "required_twice": ({"required": ["a", "a"]}, []),
    "required_none": ({"required": []}, []),
    "deep": (within(within(within({"minimum": 1}))), [{"a": {"a": 0}}]),
    "unknown": ({"unknownWord": 1}, []),
}
MONGODB_ONLY = {
    "bson_types": (within({"bsonType": ["int", "date"]}), [1, "x"]),
    "bson_number": (within({"bsonType": "number"}), [1, "x"]),
    "bson_all": ({"properties": {name: {"bsonType": name} for name in (
        "double", "string", "object", "array", "binData", "undefined", "objectId", "bool", "date", "null", "regex", "dbPointer",
        "javascript", "symbol", "javascriptWithScope", "int", "timestamp", "long", "decimal", "minKey", "maxKey")}}, [1]),
    "type_both": (within({"type": "string", "bsonType": "string"}), []),
    "type_twice": (within({"bsonType": ["int", "int"]}), []),
    "type_none": (within({"bsonType": []}), []),
    "type_unknown": (within({"bsonType": "text"}), []),
    "exclusive": (within({"minimum": 1, "exclusiveMinimum": True, "maximum": 3, "exclusiveMaximum": True}), [1, 2, 3]),
    "fixed_bool": ({"properties": {"a": {"bsonType": "bool"}, "b": {"bsonType": "string"}}}, [True, 1]),
    "fixed_int": ({"properties": {"a": {"bsonType": "int", "minimum": 1, "maximum": 5}}}, [0, 3, 9, Int64(1)]),
    "fixed_long": ({"properties": {"a": {"bsonType": "long", "minimum": 1}}}, [Int64(0), Int64(3)]),
    "fixed_double": ({"properties": {"a": {"bsonType": "double", "minimum": 1, "maximum": 2.5}}}, [0.5, 2.0, 3.0]),
    "fixed_array": ({"properties": {"a": {"bsonType": "array", "items": {"bsonType": "int"}}}}, [[1], ["x"], 1]),
    "fixed_object": ({"properties": {"a": {"bsonType": "object", "required": ["x"]}}}, [{"x": 1}, {}, 1]),
    "fixed_date": ({"properties": {"a": {"bsonType": "date"}}}, [1]),
    "wide": (within({"properties": {f"p{i}": {"bsonType": "int"} for i in range(80)}, "required": ["p3", "p70"]}),
             [{f"p{i}": i for i in range(0, 80, 5)}, {"p3": 1, "p70": 2}, {"p3": 1}, {"p70": "x"}]),
    "exclusive_alone": (within({"exclusiveMinimum": True}), []),
    "items_list": (within({"items": [{"type": "number"}, {}], "additionalItems": False}), [[1, 2], [1, 2, 3], ["x"]]),
    "items_more": (within({"items": [{"type": "number"}], "additionalItems": {"type": "string"}}), [[1, "x"], [1, 2]]),
    "dependencies": ({"dependencies": {"a": ["b", "c"], "b": {"required": ["d"], "properties": {"d": {"minimum": 1}}}}}, [1]),
    "dependencies_wrong": ({"dependencies": {"a": []}}, []),
    "encrypt": (within({"encrypt": {"bsonType": "string", "keyId": [Binary(bytes(16), 4)],
                                    "algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Random"}}),
                [Binary(b"\2" + bytes(20), 6), "x", Binary(b"", 6)]),
    "encrypt_pointer": (within({"encrypt": {"keyId": "/a~1b", "algorithm": "AEAD_AES_256_CBC_HMAC_SHA_512-Deterministic"}}), ["x"]),
    "encrypt_wrong": (within({"encrypt": {"keyId": "a~", "algorithm": "none", "x": 1}}), []),
    "encrypt_key": (within({"encrypt": {"keyId": [1]}}), []),
    "encrypt_both": ({"encryptMetadata": {"algorithm": 1}, "properties": {"a": {"encrypt": {}, "encryptMetadata": {}}}}, []),
    "regex": (within({"pattern": Regex("^x")}), []),
    "ref": ({"$ref": "#"}, []),
    "format": (within({"format": "date"}), []),
    "id": ({"properties": {"_id": {"bsonType": "objectId"}}}, [ObjectId(bytes(12))]),
}
JSON_ONLY = {
    "exclusive": (within({"exclusiveMinimum": 1, "exclusiveMaximum": 3}), [1, 2, 3]),
    "integer": (within({"type": ["integer", "number"]}), [1.5]),
    "const": (within({"const": {"x": 1}}), [{"x": 1.0}, 1]),
    "booleans": ({"properties": {"a": True, "b": False}, "additionalProperties": True}, [1]),
    "prefix": (within({"prefixItems": [{"type": "number"}, True], "items": False}), [[1, 2], [1, 2, 3]]),
    "contains": (within({"contains": {"minimum": 3}, "minContains": 2, "maxContains": 3}), [[1, 4], [4, 5], [4] * 4]),
    "names": (within({"propertyNames": {"pattern": "^x"}}), [{"x": 1}, {"y": 1}]),
    "dependent": ({"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"a": {"required": ["c"]}}}, [1]),
    "if": (within({"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"minimum": 3}}), ["x", "xy", 1, 4]),
    "if_alone": (within({"if": {"type": "string"}}), ["x"]),
    "refs": ({"$defs": {"d": {"minimum": 1, "properties": {"e": {"$ref": "#/$defs/d"}}}}, **within({"$ref": "#/$defs/d"})}, [0, 1, {"e": 0}]),
    "ref_circle": ({"$defs": {"d": {"$ref": "#/$defs/d"}}, "$ref": "#/$defs/d"}, []),
    "ref_none": ({"$ref": "#/$defs/none"}, []),
    "ref_tilde": ({"$defs": {"a/b~c": {"minimum": 1}}, **within({"$ref": "#/$defs/a~1b~0c"})}, [0]),
    "notes": ({"$schema": "https://json-schema.org/draft/2020-12/schema", "$comment": "c", "default": 1, "examples": [1],
               "deprecated": True, "readOnly": False, "format": "date", "discriminator": {"propertyName": "k"}}, [1]),
    "unevaluated": (within({"unevaluatedProperties": False}), []),
}


FILES = {
    "level": {"ns": "d.c", "level": "moderate", "action": "warn", "unproved": "reject", "allow_bypass": False, "schema": {}},
    "level_wrong": {"ns": "d.c", "level": "odd", "action": 1, "unproved": "x", "allow_bypass": 1, "schema": {}},
    "ns_wrong": {"ns": "d", "schema": {}},
    "ns_two": {"ns": 1, "schema": 1},
    "encrypt_moderate": {"ns": "d.c", "level": "moderate", "schema": {"properties": {"a": {"encrypt": {}}}}},
    "dialect": {"ns": "d.c", "dialect": "json-schema", "schema": {"$defs": {"d": {}}}},
    "dialect_wrong": {"ns": "d.c", "dialect": "x", "schema": {}},
    "unknown": {"ns": "d.c", "schema": {}, "x": 1},
    "none": {"ns": "d.c"},
    "both": {"ns": "d.c", "schema": {}, "versions": [{"schema": {}}]},
    "versions_none": {"ns": "d.c", "versions": []},
    "versions_many": {"ns": "d.c", "versions": [{"schema": {"minProperties": i}} for i in range(18)]},
    "versions_same": {"ns": "d.c", "versions": [{"schema": {}}, {"schema": {}}]},
    "versions_wrong": {"ns": "d.c", "versions": [1, {"schema": 1}, {"schema": {}, "x": 1}, {"name": "n"}]},
    "versions_ends": {"ns": "d.c", "versions": [
        {"name": "two", "schema": {"required": ["a"]}},
        {"name": "one", "schema": {"required": ["b"]}, "accepted_until": {"$date": "2030-01-01T00:00:00Z"}}]},
    "newest_ends": {"ns": "d.c", "versions": [{"schema": {}, "accepted_until": {"$date": "2030-01-01T00:00:00Z"}}]},
    "end_wrong": {"ns": "d.c", "versions": [{"schema": {}}, {"schema": {"required": ["a"]}, "accepted_until": 1}]},
    "names_same": {"ns": "d.c", "versions": [{"name": "n", "schema": {}}, {"name": "n", "schema": {"required": ["a"]}}]},
    "name": {"ns": "d.c", "name": "first", "schema": {}},
    "name_beside": {"ns": "d.c", "name": "first", "versions": [{"schema": {}}]},
    "candidate": {"ns": "d.c", "schema": {}, "candidate": {"name": "next", "schema": {"required": ["a"]}}},
    "candidate_same": {"ns": "d.c", "schema": {}, "candidate": {"schema": {}}},
    "candidate_wrong": {"ns": "d.c", "schema": {}, "candidate": 1},
    "candidate_ends": {"ns": "d.c", "schema": {}, "candidate": {"schema": {"required": ["a"]}, "accepted_until": 1}},
    "numbers": {"ns": "d.c", "schema": {"properties": {"a": {"minimum": {"$numberLong": "5"}, "enum": [
        {"$date": {"$numberLong": "1"}}, {"$oid": "0" * 24}, {"$numberDecimal": "1.5"}, {"$numberInt": "1"}, {"$numberDouble": "NaN"},
        {"$binary": {"base64": "AA==", "subType": "00"}}, {"$minKey": 1}, {"$undefined": True}]}}}},
}


def write(prefix, dialect, seeds):
    for name, (schema, values) in seeds.items():
        documents = b"".join(bson.encode({"a": value, "b": "x"}) for value in values)
        Path(sys.argv[1], "schema_compile", f"{prefix}_{name}").write_bytes(bytes([dialect]) + bson.encode(schema) + documents)


write("mongodb", MONGODB, BOTH | MONGODB_ONLY)
write("json", JSON_SCHEMA, BOTH | JSON_ONLY)
write("extended", EXTENDED, MONGODB_ONLY | {name: JSON_ONLY[name] for name in ("refs", "notes", "ref_none")})
for name, file in FILES.items():
    Path(sys.argv[1], "schema_file", f"file_{name}").write_text(json.dumps(file))
