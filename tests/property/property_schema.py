#!/usr/bin/env python3
"""Random schemas and documents: this project's verdict and errInfo against independent oracles.

    property_schema.py [--library PATH] [--cases N | --seconds T] [--seed S]

Dialect mongodb is held against SecantusDB's implementation of $jsonSchema, errInfo included; dialect
json-schema against the package `jsonschema`. A seed is printed, and repeats the run. Ends with 1 at the
first difference, after printing schema, document and both answers.

What the oracle is known to get wrong (docs/schemas.md) is generated apart, in "loud" cases, whose
differences are counted and not held against anyone: bounds with NaN or decimals, multipleOf with
fractions, booleans beside the numbers they look like.
"""

import argparse
import json
import pathlib
import random
import sys
import time

import bson
from bson import Decimal128, Int64, ObjectId

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import engine  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "build/release/src/schema/libmongosluice-validator.so"
NAMES = ["a", "b", "c", "kind", "a_longer_field_name", "é"]
TEXTS = ["", "a", "b", "ab", "cat", "dog", "éé", "a-1", "zzzzzz"]
PATTERNS = ["^a", "b$", "^[a-z]+$", "a|b", "^.{2}$", "[0-9]"]
JSON_TYPES = ["object", "string", "number", "boolean", "null", "array"]
BSON_TYPES = ["int", "long", "double", "decimal", "string", "objectId", "null", "object", "array",
              "bool", "number"]


class Generator:
    def __init__(self, rng, mongodb, loud):
        self.rng, self.mongodb, self.loud = rng, mongodb, loud

    def one_in(self, n):
        return self.rng.randrange(n) == 0

    def pick(self, items):
        return self.rng.choice(items)

    # --- values

    def number(self):
        rng = self.rng
        kinds = [lambda: rng.randrange(-3, 8), lambda: rng.randrange(-6, 16) / 2]
        if self.mongodb:
            kinds += [lambda: Int64(rng.randrange(-3, 8))]
            if self.loud:
                kinds += [lambda: Decimal128(str(rng.randrange(-30, 80) / 10)),
                          lambda: self.pick([float("nan"), float("inf"), 0.1, 0.3])]
        return self.pick(kinds)()

    def value(self, depth):
        kinds = [lambda: None, lambda: self.pick(TEXTS), lambda: self.pick(TEXTS), self.number,
                 self.number]
        if self.loud or not self.mongodb:
            kinds.append(lambda: self.rng.random() < 0.5)
        if self.mongodb:
            kinds.append(lambda: ObjectId(b"0123456789ab"))
        if depth < 3:
            kinds += [lambda: self.object(depth + 1), lambda: self.object(depth + 1),
                      lambda: [self.value(depth + 1) for _ in range(self.rng.randrange(4))]]
        return self.pick(kinds)()

    def object(self, depth):
        names = self.rng.sample(NAMES, self.rng.randrange(len(NAMES)))
        return {name: self.value(depth) for name in names}

    # --- schemas

    def types(self, out):
        if self.mongodb and self.one_in(2):
            names = self.rng.sample(BSON_TYPES, self.rng.randrange(1, 3))
            out["bsonType"] = names[0] if len(names) == 1 else names
        else:
            names = JSON_TYPES if self.mongodb else JSON_TYPES + ["integer"]
            names = self.rng.sample(names, self.rng.randrange(1, 3))
            out["type"] = names[0] if len(names) == 1 else names

    def distinct(self, count):
        values = []
        for _ in range(count):
            value = self.value(2)
            if isinstance(value, float) and value != value:
                continue
            if not any(self.same(value, other) for other in values):
                values.append(value)
        return values or ["a"]

    @staticmethod
    def same(a, b):
        def plain(v):
            if isinstance(v, Decimal128):
                return float(v.to_decimal())
            if isinstance(v, dict):
                return {k: plain(x) for k, x in v.items()}
            return [plain(x) for x in v] if isinstance(v, list) else v
        return plain(a) == plain(b)

    def scalars(self, out):
        rng = self.rng
        for keyword in ("minimum", "maximum"):
            if self.one_in(3):
                out[keyword] = self.number()
                exclusive = "exclusive" + keyword.capitalize()
                if self.one_in(3):
                    out[exclusive] = True if self.mongodb else self.number()
                if not self.mongodb and self.one_in(2):
                    out.pop(exclusive, None)
        for keyword in ("minLength", "maxLength"):
            if self.one_in(3):
                out[keyword] = rng.randrange(4)
        if self.one_in(4):
            out["pattern"] = self.pick(PATTERNS)
        if self.one_in(5):
            out["multipleOf"] = self.pick([0.1, 0.5, 3] if self.loud else [1, 2, 3])

    def arrays(self, out, depth):
        prefix = "items" if self.mongodb else "prefixItems"
        rest = "additionalItems" if self.mongodb else "items"
        choice = self.rng.randrange(5)
        if choice == 0:
            out["items"] = self.schema(depth + 1)
        elif choice == 1:
            out[prefix] = [self.schema(depth + 1) for _ in range(self.rng.randrange(1, 3))]
            out[rest] = self.pick([False, self.schema(depth + 1)])
        elif choice == 2:
            out["minItems"], out["maxItems"] = self.rng.randrange(3), self.rng.randrange(4)
        elif choice == 3:
            out["uniqueItems"] = True
        elif not self.mongodb:
            out["contains"] = self.schema(depth + 1)

    def name_patterns(self):
        """MongoDB matches names as bytes, the oracle as characters (tests/unit/schema/test_mongodb.c)."""
        return [one for one in PATTERNS if not self.mongodb or "." not in one]

    def objects(self, out, depth):
        rng = self.rng
        if not self.one_in(4):
            names = rng.sample(NAMES, rng.randrange(1, 5))
            out["properties"] = {name: self.schema(depth + 1) for name in names}
        if self.one_in(3):
            out["required"] = rng.sample(NAMES, rng.randrange(1, 3))
        if self.one_in(4):
            out["additionalProperties"] = self.pick([False, self.schema(depth + 1)])
        if self.one_in(6):
            out["patternProperties"] = {p: self.schema(depth + 1)
                                        for p in rng.sample(self.name_patterns(), rng.randrange(1, 3))}
        if self.one_in(6):
            out["maxProperties"] = rng.randrange(5)
        if self.one_in(6):
            out["minProperties"] = rng.randrange(4)
        if self.one_in(6):
            name, *needs = rng.sample(NAMES, 3)
            if self.mongodb:
                out["dependencies"] = {name: self.pick([needs, {"required": needs}])}
            else:
                out["dependentRequired"] = {name: needs}

    def combinations(self, out, depth, whole):
        def sub():
            return self.schema(depth + 1, whole)
        choice = self.rng.randrange(6)
        if choice < 3:
            out[("allOf", "anyOf", "oneOf")[choice]] = [sub() for _ in
                                                        range(self.rng.randrange(1, 4))]
        elif choice == 3:
            out["not"] = sub()
        elif not self.mongodb:
            if choice == 4:
                out["$ref"] = "#/$defs/d"
            else:
                out["if"], out["then"], out["else"] = sub(), sub(), sub()

    def schema(self, depth=0, whole=False):
        """`whole`: for the document itself, where $jsonSchema gives types another meaning, which the
        oracle's errInfo lacks."""
        out = {}
        if not whole and self.one_in(2):
            self.types(out)
        if self.one_in(2):
            self.scalars(out)
        if self.one_in(6):
            out["enum"] = self.distinct(self.rng.randrange(1, 4))
        if depth < 3:
            if depth == 0 or self.one_in(2):
                self.objects(out, depth)
            if self.one_in(3):
                self.arrays(out, depth)
            if self.one_in(3):
                self.combinations(out, depth, whole)
        return out


def has_key(value, wanted):
    if isinstance(value, dict):
        return wanted in value or any(has_key(v, wanted) for v in value.values())
    return isinstance(value, list) and any(has_key(v, wanted) for v in value)


def comparable(info):
    """errInfo where the oracle sorts otherwise than the server: missingProperties."""
    if isinstance(info, dict):
        return {k: sorted(v) if k == "missingProperties" else comparable(v)
                for k, v in info.items()}
    return [comparable(v) for v in info] if isinstance(info, list) else info


class Run:
    def __init__(self, library, seed):
        from jsonschema import Draft202012Validator
        from secantus.query import matches
        from secantus.validation_errors import explain

        self.library = engine.Library(library)
        self.draft, self.matches, self.explain = Draft202012Validator, matches, explain
        self.seed, self.counts = seed, dict.fromkeys(
            ("cases", "valid", "invalid", "errinfo", "loud", "loud differences"), 0)

    def report(self, schema, document, ours, theirs):
        print("seed %d, case %d: a difference" % (self.seed, self.counts["cases"]))
        for title, thing in (("schema", schema), ("document", document), ("ours", ours),
                             ("oracle", theirs)):
            print("%s: %s" % (title, json.dumps(thing, default=repr, ensure_ascii=False)))
        return False

    def oracle(self, document, schema, loud):
        try:
            valid = self.matches(document, {"$jsonSchema": schema})
        except (TypeError, ArithmeticError, ValueError):
            if loud:
                return None  # it does not compare decimals with other numbers
            raise
        return engine.VALID if valid else engine.INVALID

    def mongodb_case(self, rng, loud):
        generator = Generator(rng, True, loud)
        schema = generator.schema(whole=True)
        compiled = engine.Schema(self.library, schema, engine.MONGODB)
        for _ in range(4):
            document = generator.object(0)
            data = bson.encode(document)
            document = bson.decode(data)
            ours = compiled.check(data)
            theirs = self.oracle(document, schema, loud)
            self.counts["valid" if ours == engine.VALID else "invalid"] += 1
            if ours != theirs:
                if loud:
                    self.counts["loud differences"] += 1
                    continue
                return self.report(schema, document, ours, theirs)
            # Of patternProperties the oracle lists every failing field, the server the first.
            if ours == engine.VALID or loud or has_key(schema, "patternProperties"):
                continue
            self.counts["errinfo"] += 1
            mine = compiled.explain(data)["details"]
            other = self.explain({"$jsonSchema": schema}, document)
            if bson.encode({"v": comparable(mine)}) != bson.encode({"v": comparable(other)}):
                return self.report(schema, document, mine, other)
        return True

    def json_case(self, rng):
        generator = Generator(rng, False, False)
        schema = generator.schema()
        if has_key(schema, "$ref"):
            definition = generator.schema(2)
            if has_key(definition, "$ref"):
                return True
            schema["$defs"] = {"d": definition}
        compiled = engine.Schema(self.library, schema, engine.JSON_SCHEMA)
        oracle = self.draft(schema)
        for _ in range(4):
            value = generator.value(0)
            ours = compiled.check_field(bson.encode({"v": value}), "v")
            theirs = engine.VALID if oracle.is_valid(value) else engine.INVALID
            self.counts["valid" if ours == engine.VALID else "invalid"] += 1
            if ours != theirs:
                return self.report(schema, value, ours, theirs)
        return True

    def one(self, index):
        rng = random.Random("%d/%d" % (self.seed, index))
        self.counts["cases"] += 1
        if index % 2:
            return self.json_case(rng)
        loud = index % 8 == 0
        self.counts["loud"] += loud
        return self.mongodb_case(rng, loud)


def run(library=LIBRARY, cases=3000, seconds=None, seed=None):
    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    print("seed %d" % seed, flush=True)
    state, end, index = Run(library, seed), time.monotonic() + (seconds or 0), 0
    while time.monotonic() < end if seconds else index < cases:
        if not state.one(index):
            return None
        index += 1
    print(", ".join("%s: %d" % item for item in state.counts.items()))
    return state.counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", default=LIBRARY)
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    try:
        import jsonschema  # noqa: F401
        import secantus  # noqa: F401
    except ImportError as error:
        print("skipped: %s (scripts/setup.sh makes the Python environment)" % error)
        sys.exit(77)
    sys.exit(0 if run(options.library, options.cases, options.seconds, options.seed) else 1)


if __name__ == "__main__":
    main()
