#!/usr/bin/env python3
"""The BSON corpus that PyMongo's source distribution carries, against this project's check of BSON.

    bson_corpus.py --library PATH [--cache DIR]

Its valid documents are accepted, its decode errors refused. The corpus is CC BY-NC-SA and no part of
this project: scripts/setup.sh fetches the sdist, or pip when the test runs, and keeps it in the cache. Ends with 77
("skipped") where it cannot be had.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "property"))
ROOT = pathlib.Path(__file__).resolve().parents[2]


def download(cache):
    for fetched in (ROOT / ".cache/sdist").glob("pymongo-4.20.*.tar.gz"):  # by `scripts/setup.sh suites`
        return fetched
    cache.mkdir(parents=True, exist_ok=True)
    if not list(cache.glob("pymongo-4.20.*.tar.gz")):
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary",
                        "pymongo", "-d", str(cache), "pymongo==4.20.*"],
                       check=False, timeout=300, capture_output=True)
    return next(iter(cache.glob("pymongo-4.20.*.tar.gz")), None)


def corpus(sdist):
    with tarfile.open(sdist) as archive:
        for member in sorted(archive.getmembers(), key=lambda m: m.name):
            if "/bson_corpus/" in member.name and member.name.endswith(".json"):
                yield pathlib.PurePath(member.name).name, json.load(archive.extractfile(member))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", required=True)
    parser.add_argument("--cache", type=pathlib.Path, default=ROOT / ".cache/bson-corpus")
    options = parser.parse_args()
    try:
        import engine
    except ImportError as error:
        print("skipped: %s (scripts/setup.sh makes the Python environment)" % error)
        sys.exit(77)
    sdist = download(options.cache)
    if sdist is None:
        print("skipped: PyMongo's sdist cannot be downloaded")
        sys.exit(77)
    anything = engine.Schema(engine.Library(options.library), {}, engine.MONGODB)
    files = valid = refused = failed = 0
    for name, content in corpus(sdist):
        files += 1
        cases = [(case["description"], case[form], engine.VALID)
                 for case in content.get("valid", ())
                 for form in ("canonical_bson", "degenerate_bson", "converted_bson")
                 if form in case]
        cases += [(case["description"], case["bson"], engine.MALFORMED)
                  for case in content.get("decodeErrors", ())]
        for description, data, wanted in cases:
            verdict = anything.check(bytes.fromhex(data))
            if verdict != wanted:
                failed += 1
                print("FAILED %s: %s: %s" % (name, description, data))
            elif wanted == engine.VALID:
                valid += 1
            else:
                refused += 1
    print("%d files: %d valid documents accepted, %d decode errors refused, %d failed"
          % (files, valid, refused, failed))
    sys.exit(1 if failed or not valid else 0)


if __name__ == "__main__":
    main()
