"""Shows that the checker fails where it must: builds copies of the proxy with a bug planted into each, and expects the
checker to find it.

  python -m crossing.planted [--seconds N]      as scripts/crossing.sh --planted does

The last line: planted N, found N. Exit status 1 if a bug was not found."""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPY = ROOT / ".cache/planted"
# {name: (the kinds of violations that tell of it, [(file, regular expression, what stands there instead)])}
BUGS = {
    "anybody's connection for everybody": (("identity", "outcome"), [
        ("src/session/lease.c", r"sluice_assert\(lease_fits\(client, connection\)\);", ""),
        ("src/session/lease.c", r"if \(lease_fits\(client, connection\)\)", "if (true)"),
        ("src/session/pooled.c", r"if \(lease_fits\(client, connection\)\)", "if (true)"),
        ("src/session/pool_pump.c", r"if \(!lease_fits\(client, connection\)\)", "if (false)"),
        ("src/session/sharing.c", r"\.identity = [^;}]*?,(\s*\.application)", r".identity = NULL,\1")]),
    "a connection whose answer is still to come for the next client": (("answer",), [
        ("src/session/lease.c", r"pool_rest_abandon\(connection\);", "pool_rest_put(connection);")]),
    "any connection after a write without a reply": (("order",), [
        ("src/session/pooled.c", r"else if \(client->unacknowledged\)", "else if (false)")]),
}


def copy_tree():
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        target = COPY / "tree" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file():
            text = (ROOT / name).read_bytes()
            if not target.is_file() or target.read_bytes() != text:
                target.write_bytes(text)


def plant(changes):
    for name, text, other in changes:
        path = COPY / "tree" / name
        before = path.read_text()
        after, count = re.subn(text, other, before)
        if count == 0:
            raise SystemExit(f"{name} has no {text!r} any more: change tests/crossing/planted.py with it")
        path.write_text(after)


def build():
    if not (COPY / "build/build.ninja").is_file():
        subprocess.run(["cmake", "-S", COPY / "tree", "-B", COPY / "build", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                        "-DCMAKE_C_FLAGS=-w"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", COPY / "build", "--target", "mongosluice"], check=True, stdout=subprocess.DEVNULL)
    return COPY / "build/src/main/mongosluice"


def check(program, seconds):
    done = subprocess.run([sys.executable, "-m", "crossing", "--way", "shared", "--seconds", str(seconds)],
                          env={**os.environ, "MONGOSLUICE_BINARY": str(program)}, capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if ": client " in line or line.startswith(("identity:", "the proxy"))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="for each bug (%(default)s)")
    options = parser.parse_args()
    found = 0
    for name, (kinds, changes) in BUGS.items():
        copy_tree()
        plant(changes)
        violations = check(build(), options.seconds)
        telling = [line for line in violations if line.startswith(kinds)]
        found += bool(telling)
        print(f"{name}: {len(violations)} violations" + (f", such as\n  {telling[0][:300]}" if telling else ", none telling"))
    print(f"planted {len(BUGS)}, found {found}")
    return 0 if found == len(BUGS) else 1


if __name__ == "__main__":
    sys.exit(main())
