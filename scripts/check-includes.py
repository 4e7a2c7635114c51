#!/usr/bin/env python3
"""Checks the rooms of src/: the rooms that each may use, the libraries that each CMakeLists.txt links, and the
headers that each file includes. The core rooms use no sockets, no clock and no event loop.

    check-includes.py [ROOT]
"""

import re
import sys
from pathlib import Path

# room: the rooms that it may use (docs/architecture.md draws this).
GRAPH = {
    "base": (),
    "bson": ("base",),
    "wire": ("base", "bson"),
    "schema": ("base", "bson"),
    "compare": ("base", "bson", "schema"),
    "trace": ("base", "bson"),
    "config": ("base",),
    "metrics": ("base",),
    "net": ("base",),
    "upstream": ("base", "config", "net"),
    "otlp": ("base", "bson", "trace", "net"),
    "catalog": ("base", "bson", "schema", "config", "net", "upstream"),
    "enforce": ("base", "bson", "wire", "schema", "catalog"),
    "merge": ("base", "bson", "wire", "trace", "metrics"),
    "auth": ("base", "bson", "wire"),
    "credentials": ("base", "bson", "wire", "auth", "config", "net", "upstream"),
    "fleet": ("base", "bson", "schema", "net", "upstream", "catalog", "enforce"),
    "audit": ("base", "bson", "schema", "net", "upstream", "catalog", "enforce"),
    "session": ("base", "bson", "wire", "schema", "trace", "catalog", "enforce", "merge", "auth", "credentials",
                "config", "metrics", "net", "otlp", "upstream"),
    "admin": ("base", "bson", "schema", "catalog", "enforce", "merge", "config", "metrics", "net", "upstream",
              "session", "fleet", "trace", "otlp"),
    "cli": ("base", "bson", "schema", "compare", "config", "net", "upstream", "catalog", "enforce", "fleet", "audit"),
}
GRAPH["main"] = tuple(GRAPH)

# Libraries with a part of a room, for rooms that need only that part.
PARTS = {"schema_file": "schema", "registry": "catalog", "fleet_documents": "fleet", "audit_counts": "audit", "verifiers": "credentials"}

# These libraries are pure: no sockets, no clock, no event loop.
CORE = ("base", "bson", "wire", "schema", "schema_file", "compare", "trace", "registry", "enforce", "merge", "auth",
        "fleet_documents", "audit_counts")
IMPURE = re.compile(r"(sys/(socket|epoll|time|timerfd|select|un|eventfd)|netinet/.*|arpa/.*|netdb|poll"
                    r"|time|event2/.*|event|mongoc/.*|openssl/ssl|signal)\.h")
# A log line carries the time of its writing, and a full pipe must not block the writer.
EXEMPT = {"base/clock.h": {"time.h"}, "base/log.c": {"time.h", "poll.h", "signal.h"}}
CLOCK = "base/clock.h"
# External libraries that only one room may use.
OWNERS = {"event2/": ("net", "admin", "otlp", "upstream", "session", "cli", "main"),
          "mongoc/": ("upstream", "catalog", "credentials", "fleet", "audit"),
          "openssl/ssl.h": ("net",), "uthash.h": ("base",), "yaml.h": ("config",), "pcre2.h": ("schema",),
          "zlib.h": ("wire",), "zstd.h": ("wire",), "snappy-c.h": ("wire",)}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
LINKS = re.compile(r"sluice_room\((\w+)\b(.*?)\)", re.DOTALL)


class Library:
    """A static library: its room, the files it holds, the libraries it links."""

    def __init__(self, name, folder, body):
        sources, _, links = body.partition("LINKS")
        self.room = PARTS.get(name, folder)
        self.stems = {f"{folder}/{stem}" for stem in re.findall(r"([\w-]+)\.c\b", sources)}
        self.links = set(re.findall(r"\bsluice_(\w+)", links)) - {name}


def read_libraries(src):
    return {name: Library(name, listing.parent.name, body)
            for listing in src.glob("*/CMakeLists.txt") for name, body in LINKS.findall(listing.read_text())}


def reach(libraries, name):
    """The library and the libraries that it links."""
    return {name}.union(*(reach(libraries, one) for one in libraries[name].links if one in libraries))


def library_of(libraries, path):
    """The library that holds a file. A header without a .c of its name goes with its room's main library."""
    stem = path.rsplit(".", 1)[0]
    return next((name for name, library in libraries.items() if stem in library.stems), path.split("/")[0])


def check_links(libraries):
    for name, library in sorted(libraries.items()):
        if library.room not in GRAPH:
            yield f"src/{library.room}: a room that scripts/check-includes.py does not list"
            continue
        rooms = {libraries[one].room if one in libraries else one for one in library.links}
        for other in sorted(rooms - {library.room} - set(GRAPH[library.room])):
            yield f"src/{library.room}/CMakeLists.txt: {name} may not link {other}"


def check_file(path, src, libraries):
    relative = path.relative_to(src)
    room = relative.parts[0]
    library = library_of(libraries, str(relative))
    text = path.read_text()
    for match in INCLUDE.finditer(text):
        quoted, name = match[1] == '"', match[2]
        where = f"src/{relative}:{text.count(chr(10), 0, match.start(2)) + 1}"
        target = name.split("/")[0]
        if quoted and target in GRAPH and target != room and target not in GRAPH.get(room, ()):
            yield f"{where}: {room} may not know {target} ({name})"
        # The program links all rooms.
        elif quoted and target in GRAPH and library in libraries and relative.name != "main.c":
            holder = library_of(libraries, name)
            if holder not in reach(libraries, library):
                yield f"{where}: sluice_{library} does not link sluice_{holder} ({name})"
        if quoted and "/" not in name:
            yield f'{where}: write "{room}/{name}", from the root of src/'
        if quoted and name == CLOCK and library in CORE and library != "base":
            yield f"{where}: {library} is a core library and may not know the clock ({name})"
        if library in CORE and IMPURE.fullmatch(name) and name not in EXEMPT.get(str(relative), ()):
            yield f"{where}: {library} is a core library and may not include <{name}>"
        for prefix, owners in OWNERS.items():
            if not quoted and name.startswith(prefix) and room not in owners:
                yield f"{where}: <{name}> belongs to {', '.join(owners)}"


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1]
    src = root / "src"
    libraries = read_libraries(src)
    files = sorted(path for path in src.glob("*/**/*") if path.suffix in (".c", ".h"))
    wrong = list(check_links(libraries))
    for path in files:
        wrong += check_file(path, src, libraries)
    for line in wrong:
        print(line)
    print(f"includes: {len(files)} files in {len(libraries)} libraries, {len(wrong)} wrong")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main())
