#!/usr/bin/env python3
"""Judges the covered lines of the fuzz targets. Usage: judge_coverage.py [--lines] [--all] FILE.lcov…

coverage.txt names the files of src/ that each target is for. uncovered.txt holds reasons for lines that no input of a
target can reach. A target passes if it covers 95 % of the lines without such a reason.
"""
import argparse
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = HERE.parent.parent / "src"
ENOUGH = 0.95

Counts = dict[str, dict[int, int]]


def fail(message: str) -> None:
    sys.exit(f"error: {message}")


def read_lines(name: str) -> list[tuple[str, list[str]]]:
    """The place and the parts of each line of a file; '|' divides the parts."""
    lines = []
    for number, line in enumerate((HERE / name).read_text().splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            lines.append((f"tests/fuzz/{name}:{number}", [part.strip() for part in line.split(" | ")]))
    return lines


def expand(place: str, pattern: str) -> list[str]:
    files = sorted(str(file.relative_to(SOURCES)) for file in SOURCES.glob(pattern))
    if not files:
        fail(f"{place}: no file is named src/{pattern}")
    return files


def read_table() -> tuple[dict[tuple[str, ...], list[str]], set[str]]:
    """The files of each target or group of targets, and the files that need none."""
    targets: dict[tuple[str, ...], list[str]] = {}
    spared: set[str] = set()
    for place, parts in read_lines("coverage.txt"):
        files = [file for pattern in parts[1].split() for file in expand(place, pattern)]
        if parts[0] == "none":
            if len(parts) != 3 or not parts[2]:
                fail(f"{place}: a file without a target needs a reason")
            spared.update(files)
        else:
            targets.setdefault(tuple(parts[0].split()), []).extend(files)
    return targets, spared


class Reasons:
    """The lines of uncovered.txt: a file, a function ("name()") or a line's text, and a reason."""

    def __init__(self) -> None:
        self.functions: dict[str, set[str]] = {}
        self.texts: dict[str, set[str]] = {}
        for place, parts in read_lines("uncovered.txt"):
            if len(parts) < 3 or not parts[-1]:
                fail(f"{place}: expected FILE | FUNCTION() or TEXT | REASON")
            file, what = parts[0], " | ".join(parts[1:-1])
            source = (SOURCES / file).read_text()
            if what.endswith("()") and " " not in what:
                self.functions.setdefault(file, set()).add(what[:-2])
                known = f"{what[:-1]}" in source
            else:
                self.texts.setdefault(file, set()).add(what)
                known = what in (line.strip() for line in source.splitlines())
            if not known:
                fail(f"{place}: src/{file} has no such line or function: {what}")

    def explain(self, file: str, function: str, text: str) -> bool:
        return function in self.functions.get(file, ()) or text.strip() in self.texts.get(file, ())


def read_counts(path: str) -> tuple[Counts, dict[str, dict[int, str]]]:
    """The executions of each line of each file, and the functions by their first lines."""
    counts: Counts = {}
    functions: dict[str, dict[int, str]] = {}
    file = ""
    for line in pathlib.Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key == "SF":
            source = pathlib.Path(value).resolve()
            file = str(source.relative_to(SOURCES)) if source.is_relative_to(SOURCES) else ""
            counts[file], functions[file] = {}, {}
        elif key == "FN":
            first, _, name = value.partition(",")
            functions[file][int(first)] = name.rpartition(":")[2]
        elif key == "DA":
            number, count = value.split(",")[:2]
            counts[file][int(number)] = int(count)
    return counts, functions


def function_at(functions: dict[int, str], number: int) -> str:
    starts = [first for first in functions if first <= number]
    return functions[max(starts)] if starts else ""


def show(file: str, numbers: list[int], lines: list[str]) -> None:
    print(f"src/{file}")
    for number in numbers:
        print(f"  {number:5} {lines[number - 1]}")


def judge(files: list[str], paths: list[str], reasons: Reasons, show_lines: bool) -> tuple[int, int, int]:
    """The number of lines, and of those that are covered, and of those that have a reason instead."""
    read = [read_counts(path) for path in paths]
    total = covered = explained = 0
    for file in files:
        lines = (SOURCES / file).read_text().splitlines()
        counts: dict[int, int] = {}
        functions: dict[int, str] = {}
        for one, names in read:
            functions.update(names.get(file, {}))
            for number, count in one.get(file, {}).items():
                counts[number] = counts.get(number, 0) + count
        if not counts and "{" in lines:  # The linker took none of its functions.
            counts = {number: 0 for number, line in enumerate(lines, 1) if line.strip()}
        missed = [number for number in sorted(counts) if counts[number] == 0]
        left = [number for number in missed
                if not reasons.explain(file, function_at(functions, number), lines[number - 1])]
        total += len(counts)
        covered += len(counts) - len(missed)
        explained += len(missed) - len(left)
        if show_lines and left:
            show(file, left, lines)
    return total, covered, explained


def without_target(targets: dict[tuple[str, ...], list[str]], spared: set[str]) -> list[str]:
    named = spared.union(*targets.values())
    return [file for file in expand("src", "*/*.c") if file not in named]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("counts", nargs="*")
    options = parser.parse_args()
    paths = {pathlib.Path(path).stem: path for path in options.counts}
    targets, spared = read_table()
    reasons = Reasons()
    failures = []
    rows = []
    for names, files in targets.items():
        if any(name not in paths for name in names):
            if options.all:
                failures.append(f"{' '.join(names)}: no such target")
            continue
        total, covered, explained = judge(files, [paths[name] for name in names], reasons, options.lines)
        left = total - covered - explained
        rows.append(f"| {' + '.join(names)} | {total} | {covered} | {100 * covered / total:.1f} % | {explained} | {left} |")
        if covered < ENOUGH * (total - explained):
            failures.append(f"{' + '.join(names)}: {left} lines have neither an execution nor a reason")
    print("| target | lines | covered | share | with a reason | left |", "|---|---:|---:|---:|---:|---:|", *rows, sep="\n")
    if options.all:
        covered_targets = {name for names in targets for name in names}
        failures += [f"{name}: no files in tests/fuzz/coverage.txt" for name in paths if name not in covered_targets]
        failures += [f"src/{file}: no target and no reason in tests/fuzz/coverage.txt"
                     for file in without_target(targets, spared)]
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
