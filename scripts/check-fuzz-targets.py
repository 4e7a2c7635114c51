#!/usr/bin/env python3
"""Checks that each fuzz target has a row in the table of docs/security.md, inputs in tests/fuzz/corpus, and files that
it is for in tests/fuzz/coverage.txt; and that nothing names a target that does not exist."""

import pathlib
import re
import sys

PROJECT = pathlib.Path(__file__).resolve().parent.parent
FUZZ = PROJECT / "tests" / "fuzz"


def defined() -> set[str]:
    files = [FUZZ / "CMakeLists.txt", *FUZZ.glob("*.cmake")]
    return {name for file in files for name in re.findall(r"^sluice_fuzz_target\((\w+)", file.read_text(), re.M)}


def in_table() -> set[str]:
    page = (PROJECT / "docs" / "security.md").read_text()
    _, _, table = page.partition("\n| target |")
    return set(re.findall(r"^\| (\w+) \|", table.partition("\n\n")[0], re.M))


def in_coverage() -> set[str]:
    lines = [line for line in (FUZZ / "coverage.txt").read_text().splitlines() if " | " in line and not line.startswith("#")]
    return {name for line in lines for name in line.partition(" | ")[0].split()} - {"none"}


def main() -> int:
    targets = defined()
    corpora = {folder.name for folder in (FUZZ / "corpus").iterdir() if any(folder.iterdir())}
    places = {"the table of docs/security.md": in_table(), "tests/fuzz/corpus": corpora, "tests/fuzz/coverage.txt": in_coverage()}
    problems = [f"{name}: not in {place}" for place, names in places.items() for name in sorted(targets - names)]
    problems += [f"{name}: in {place}, and no target" for place, names in places.items() for name in sorted(names - targets)]
    for problem in problems:
        print(f"fuzz targets: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
