#!/usr/bin/env python3
"""Verdicts about pairs of schemas (src/compare): no document contradicts one, and most changes are decided.

    property_compatibility.py --pairs PROGRAM --library PATH [--cases N | --seconds T] [--seed S] [--undecided]

Three parts. Every change of a single keyword in the shapes of real validators is judged: at least nine in ten
must be decided in both directions. Random schemas with a random change, in both dialects, are judged, and
random documents are held against the verdict. Each document that proves a difference is judged by the validator.
Ends with 1 at the first contradiction, after printing the schemas and the document.
"""

import argparse
import copy
import json
import pathlib
import random
import struct
import subprocess
import sys
import time

import bson
from bson.raw_bson import RawBSONDocument

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import engine  # noqa: E402
from property_schema import PATTERNS, Generator  # noqa: E402
from validator_shapes import SHAPES  # noqa: E402

WANTED = 0.9
SCHEMAS_BELOW = ("properties", "patternProperties", "$defs")
SCHEMA_BELOW = ("items", "additionalProperties", "additionalItems", "not", "contains")
LISTS_BELOW = ("allOf", "anyOf", "oneOf", "items", "prefixItems")


class Judge:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, old, new, dialects):
        self.process.stdin.write(bson.encode({"old": old, "new": new, "old_dialect": dialects[0],
                                              "new_dialect": dialects[1]}))
        self.process.stdin.flush()
        head = self.process.stdout.read(4)
        if len(head) < 4:
            raise SystemExit(f"the program ended at old={old}\nnew={new}")
        return RawBSONDocument(head + self.process.stdout.read(struct.unpack("<i", head)[0] - 4))

    def close(self):
        self.process.stdin.close()
        if self.process.wait(60) != 0:
            raise SystemExit("the program failed")


# --- changes of one keyword

def sub_schemas(schema, path=()):
    """(path, sub-schema) of each, the schema itself first."""
    yield path, schema
    for key, value in schema.items():
        if key in SCHEMAS_BELOW:
            for name, sub in value.items():
                yield from sub_schemas(sub, (*path, key, name))
        elif key in LISTS_BELOW and isinstance(value, list):
            for index, sub in enumerate(value):
                yield from sub_schemas(sub, (*path, key, index))
        elif key in SCHEMA_BELOW and isinstance(value, dict):
            yield from sub_schemas(value, (*path, key))


def changed_counts(value):
    return [value + 1, value - 1, value * 2 + 1] if value > 0 else [value + 1]


def changes_of_list(values, more):
    return [values[:i] + values[i + 1:] for i in range(len(values)) if len(values) > 1] + [[*values, more]]


def changed_values(key, value, schema):
    """New values of a keyword; None: without it."""
    if key in ("title", "description"):
        return
    if not (key in ("minimum", "maximum") and "exclusive" + key.capitalize() in schema):
        yield None
    if key in ("minimum", "maximum"):
        yield from (value + 1, value - 1)
    elif key in ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"):
        yield from changed_counts(value)
    elif key in ("uniqueItems", "exclusiveMinimum", "exclusiveMaximum"):
        yield not value
    elif key == "multipleOf":
        yield from (value * 2, value * 3)
    elif key == "pattern":
        yield from ("^[a-z]+$", value.lstrip("^"), value.rstrip("$"), value.replace("a-z", "a-y"))
    elif key in ("bsonType", "type"):
        names = value if isinstance(value, list) else [value]
        yield from (one[0] if len(one) == 1 else one for one in changes_of_list(names, "null")
                    if len(set(one)) == len(one))
        yield "string" if value != "string" else ("long" if key == "bsonType" else "number")
    elif key == "enum":
        yield from changes_of_list(value, "another")
    elif key == "required":
        yield from changes_of_list(value, "another")
        yield from ([*value, name] for name in schema.get("properties", {}) if name not in value)
    elif key in SCHEMAS_BELOW:
        for name in value:
            yield {other: sub for other, sub in value.items() if other != name}
        yield {**value, "another": {"bsonType": "string"}}
    elif key == "additionalProperties":
        yield from (True, False, {"bsonType": "string"})
    elif key in ("anyOf", "oneOf", "allOf"):
        yield from changes_of_list(value, {"bsonType": "null"})
    elif key == "dependencies":
        yield {**value, "title": ["another"]}


def added_keywords(schema):
    types = schema.get("bsonType", schema.get("type", []))
    types = types if isinstance(types, list) else [types]
    new = []
    if "string" in types:
        new += [("maxLength", 20), ("minLength", 1), ("pattern", "^[A-Z]"), ("enum", ["a", "b"])]
    if set(types) & {"int", "double", "long", "decimal", "number"}:
        new += [("minimum", 0), ("maximum", 1000), ("multipleOf", 5)]
    if "array" in types:
        new += [("minItems", 1), ("maxItems", 10), ("uniqueItems", True), ("items", {"bsonType": "string"})]
    if "object" in types:
        new += [("additionalProperties", False), ("maxProperties", 10), ("minProperties", 1),
                ("required", ["another"]), ("properties", {"another": {"bsonType": "int"}})]
    return [(key, value) for key, value in new if key not in schema]


def single_changes(schema):
    for path, sub in list(sub_schemas(schema)):
        edits = [(key, new) for key in sub for new in changed_values(key, sub[key], sub)] + added_keywords(sub)
        for key, new in edits:
            changed = copy.deepcopy(schema)
            place = changed
            for step in path:
                place = place[step]
            if new is None:
                del place[key]
            else:
                place[key] = new
            if place.get(key) != sub.get(key):
                yield "/".join(map(str, (*path, key))), changed


# --- checks

class Contradiction(Exception):
    pass


def check(verdict, old, new, sides, documents):
    a, b = sides
    for answer, proof, accepts, refuses in ((verdict["backward"], verdict.get("refused_by_new"), a, b),
                                            (verdict["forward"], verdict.get("refused_by_old"), b, a)):
        if answer == "no":
            data = proof.raw
            if accepts.check(data) != engine.VALID or refuses.check(data) != engine.INVALID:
                raise Contradiction(f"the proof does not hold: {bson.decode(data)}", old, new)
        if answer == "yes":
            for data in documents:
                if accepts.check(data) == engine.VALID and refuses.check(data) == engine.INVALID:
                    raise Contradiction(f"a document contradicts a verdict: {bson.decode(data)}", old, new)


def judge_pair(judge, library, old, new, dialects, documents):
    """(backward, forward), or None where one of the schemas is none."""
    try:
        sides = (engine.Schema(library, old, dialects[0]), engine.Schema(library, new, dialects[1]))
    except engine.Refused:
        return None
    verdict = judge.ask(old, new, dialects)
    if "error" in verdict:
        return None
    check(verdict, old, new, sides, documents)
    return verdict["backward"], verdict["forward"]


def run_shapes(judge, library, show):
    decided = total = 0
    for number, shape in enumerate(SHAPES):
        for path, changed in single_changes(shape):
            answers = judge_pair(judge, library, shape, changed, (engine.MONGODB, engine.MONGODB), [])
            if answers is None:
                continue
            total += 1
            decided += "unknown" not in answers
            if show and "unknown" in answers:
                print(f"undecided: shape {number} {path}: {answers}", flush=True)
    share = decided / total
    print(f"shapes of real validators: {total} changes of one keyword, {decided} decided ({share:.1%})")
    return share


def changed_schema(rng, generator, schema):
    """The schema with one place replaced."""
    changed = copy.deepcopy(schema)
    places = [sub for _, sub in sub_schemas(changed)]
    place = rng.choice(places)
    other = generator.schema(2)
    keys = sorted(set(place) | set(other))
    for key in rng.sample(keys, min(len(keys), rng.randrange(1, 3))):
        if key in other:
            place[key] = other[key]
        else:
            place.pop(key, None)
    if rng.random() < 0.2:
        place["pattern"] = rng.choice(PATTERNS)
    return changed


def run_random(judge, library, rng, more):
    cases = decided = 0
    while more(cases):
        mongodb = rng.random() < 0.5
        generator = Generator(rng, mongodb, rng.random() < 0.5)
        old = generator.schema(0)
        new = changed_schema(rng, generator, old)
        documents = [bson.encode(generator.object(0)) for _ in range(60)]
        dialect = engine.MONGODB if mongodb else engine.JSON_SCHEMA
        dialects = (dialect, dialect if rng.random() < 0.95 else engine.MONGODB)
        answers = judge_pair(judge, library, old, new, dialects, documents)
        if answers is not None:
            cases += 1
            decided += "unknown" not in answers
    print(f"random pairs: {cases}, {decided} decided, no contradiction")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", required=True)
    parser.add_argument("--library", required=True)
    parser.add_argument("--cases", type=int, default=1500)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--undecided", action="store_true", help="print the changes that are not decided")
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    judge, library = Judge(args.pairs), engine.Library(args.library)
    end = None if args.seconds is None else time.monotonic() + args.seconds
    try:
        share = run_shapes(judge, library, args.undecided)
        run_random(judge, library, random.Random(args.seed),
                   lambda cases: cases < args.cases if end is None else time.monotonic() < end)
    except Contradiction as found:
        message, old, new = found.args
        print(message, json.dumps(old, default=str), json.dumps(new, default=str), sep="\n")
        return 1
    judge.close()
    return 0 if share >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
