#!/usr/bin/env python3
"""Runs clang-tidy over the C files of a build, on all cores, with one file a call, because clang-tidy 14 carries state
from one file to the next. It skips a file that was clean before if the file, its headers, its flags and .clang-tidy
have not changed.

    run-clang-tidy.py BUILD_DIR [FOLDER…]     only the files below these folders
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache/clang-tidy"
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def with_headers(path, seen):
    """Returns the file and every header of the project that it includes."""
    if path in seen or not path.is_file():
        return
    seen[path] = path.read_bytes()
    for name in INCLUDE.findall(seen[path].decode()):
        for folder in (path.parent, ROOT / "src", ROOT / "include", ROOT / "tests", ROOT / "tests/unit"):
            with_headers(Path(os.path.normpath(folder / name)), seen)


def key(entry, version):
    seen = {}
    with_headers(Path(entry["file"]), seen)
    parts = [version, (ROOT / ".clang-tidy").read_bytes(), entry["command"].encode()]
    for path, content in sorted(seen.items()):
        parts += [str(path).encode(), content]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def look_at(entry, build, version):
    """Returns clang-tidy's output, or None if the file was clean before."""
    mark = CACHE / key(entry, version)
    if mark.exists():
        return None
    done = subprocess.run(["clang-tidy", "--quiet", "-p", build, entry["file"]], check=False,
                          capture_output=True, text=True)
    if done.returncode == 0:
        mark.touch()
        return ""
    return done.stdout + done.stderr


def main():
    build = Path(sys.argv[1]).resolve()
    CACHE.mkdir(parents=True, exist_ok=True)
    version = subprocess.run(["clang-tidy", "--version"], check=True, capture_output=True).stdout
    folders = [ROOT / name for name in sys.argv[2:] or ["."]]
    entries = {entry["file"]: entry
               for entry in json.loads((build / "compile_commands.json").read_text())
               if any(Path(entry["file"]).is_relative_to(folder) for folder in folders)}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        said = list(pool.map(lambda entry: look_at(entry, build, version), entries.values()))
    wrong = [text for text in said if text]
    print("".join(wrong), end="")
    print(f"clang-tidy: {len(said)} files, {said.count(None)} unchanged, {len(wrong)} wrong")
    return 1 if wrong or not said else 0


if __name__ == "__main__":
    sys.exit(main())
