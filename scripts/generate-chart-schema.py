#!/usr/bin/env python3
"""Writes the schema of the value `config` in the Helm chart's values.schema.json, as the built program prints it.

usage: generate-chart-schema.py [--check] BUILD_DIR

The program's option table is the source of truth (mongosluice --print-options-schema). The other values of the schema
are written by hand. With --check the script writes nothing and returns status 1 if the file is not current.
"""
import argparse
import difflib
import json
import pathlib
import subprocess
import sys

FILE = pathlib.Path(__file__).resolve().parent.parent / "docker/helm/mongosluice/values.schema.json"
WIDTH = 120


def config_schema(build_dir):
    program = build_dir / "src" / "main" / "mongosluice"
    if not program.is_file():
        sys.exit(f"{program} does not exist: build it first, or name another build directory")
    text = subprocess.run([program, "--print-options-schema"], check=True, capture_output=True, text=True,
                          timeout=60).stdout
    schema = json.loads(text)
    return {key: value for key, value in schema.items() if key not in ("$schema", "title")}


def write(value, indent=0):
    """JSON with short values on one line."""
    line = json.dumps(value)
    if not isinstance(value, (dict, list)) or len(line) + indent + 30 <= WIDTH:
        return line
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        rows = [f"{pad}{json.dumps(key)}: {write(one, indent + 2)}" for key, one in value.items()]
        return "{\n" + ",\n".join(rows) + "\n" + " " * indent + "}"
    return "[\n" + ",\n".join(pad + write(one, indent + 2) for one in value) + "\n" + " " * indent + "]"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the file is not current")
    parser.add_argument("build_dir", type=pathlib.Path)
    arguments = parser.parse_args()

    old = FILE.read_text()
    schema = json.loads(old)
    schema["properties"]["config"] = config_schema(arguments.build_dir)
    new = write(schema) + "\n"
    if new == old:
        return 0
    if not arguments.check:
        FILE.write_text(new)
        return 0
    sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), str(FILE), "option table"))
    print(f"values.schema.json is not current; run scripts/generate-chart-schema.py {arguments.build_dir}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
