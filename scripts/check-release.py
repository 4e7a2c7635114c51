#!/usr/bin/env python3
"""Checks that all files name the same version, and that CHANGELOG.md has a section for it. With --tagged it checks
also that this commit is the release: the working tree has no changes, [Unreleased] is empty, and the annotated tag
vVERSION names this commit.

    check-release.py [--tagged]
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# file: the text before the version.
PLACES = {
    "CMakeLists.txt": r"project\(mongosluice VERSION ",
    "python/pyproject.toml": r'^version = "',
    "docker/helm/mongosluice/Chart.yaml": r"^(?:version|appVersion): ",
    "docker/kubernetes/gateway.yaml": r"(?:image: \"?mongosluice:|kubernetes\.io/version: \")",
    "docker/kubernetes/sidecar.yaml": r"image: \"?mongosluice:",
}
VERSION = r"(\d+\.\d+\.\d+)"


def git(*arguments):
    run = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return run.stdout.strip() if run.returncode == 0 else None


def check_places(version):
    for name, before in PLACES.items():
        found = re.findall(before + VERSION, (ROOT / name).read_text(), re.MULTILINE)
        if not found:
            yield f"{name}: no version"
        for other in sorted(set(found) - {version}):
            yield f"{name}: version {other}, and {version} in CMakeLists.txt"


def check_changelog(version):
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## \[" + VERSION + r"\] - \d{4}-\d\d-\d\d$", text, re.MULTILINE)
    if version not in versions:
        yield f'CHANGELOG.md: no section "## [{version}] - YYYY-MM-DD"'
    if versions != sorted(versions, key=lambda one: [int(part) for part in one.split(".")], reverse=True):
        yield "CHANGELOG.md: the newest version must stand first"


def check_tag(version):
    tag = f"v{version}"
    if git("status", "--porcelain", "--untracked-files=no"):
        yield "the working tree has changes"
    unreleased = re.search(r"^## \[Unreleased\]\n(.*?)^## \[", (ROOT / "CHANGELOG.md").read_text(),
                           re.MULTILINE | re.DOTALL)
    if unreleased and unreleased[1].strip():
        yield f"CHANGELOG.md: entries under [Unreleased] belong under [{version}]"
    if git("cat-file", "-t", f"refs/tags/{tag}") != "tag":
        yield f"there is no annotated tag {tag}"
    elif git("rev-parse", f"{tag}^{{commit}}") != git("rev-parse", "HEAD"):
        yield f"the tag {tag} names another commit"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--tagged", action="store_true", help="check that this commit is the release")
    options = parser.parse_args()
    version = re.search(PLACES["CMakeLists.txt"] + VERSION, (ROOT / "CMakeLists.txt").read_text())[1]
    wrong = [*check_places(version), *check_changelog(version)]
    if options.tagged:
        wrong += check_tag(version)
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"release: version {version}, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
