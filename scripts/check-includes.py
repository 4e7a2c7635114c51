#!/usr/bin/env python3
"""Holds the rooms of src/ against each other: which room may know which, what each CMakeLists.txt
links, and what each file includes. The core rooms know no sockets, no clock and no event loop.

    check-includes.py [ROOT]
"""

import re
import sys
from pathlib import Path

# room: the rooms it may know (docs/architecture.md draws this).
GRAPH = {
    "base": (),
    "bson": ("base",),
    "wire": ("base", "bson"),
    "schema": ("base", "bson"),
    "enforce": ("base", "bson", "wire", "schema"),
    "coalesce": ("base", "bson", "wire", "metrics"),
    "auth": ("base", "bson", "wire"),
    "config": ("base",),
    "metrics": ("base",),
    "net": ("base",),
    "upstream": ("base", "config", "net"),
    "session": ("base", "bson", "wire", "schema", "enforce", "coalesce", "auth", "config", "metrics",
                "net", "upstream"),
    "admin": ("base", "bson", "schema", "enforce", "coalesce", "config", "metrics", "net", "upstream", "session"),
    "cli": ("base", "bson", "schema", "config", "net"),
}
GRAPH["main"] = tuple(GRAPH)

# A library that holds a part of a room, for those who need only that.
PARTS = {"schema_file": "schema"}

CORE = ("base", "bson", "wire", "schema", "enforce", "coalesce", "auth")
IMPURE = re.compile(r"(sys/(socket|epoll|time|timerfd|select|un|eventfd)|netinet/.*|arpa/.*|netdb|poll"
                    r"|time|event2/.*|event|mongoc/.*|openssl/ssl|signal)\.h")
# A log line carries the time at which it was written, and a full pipe must not hold its writer up.
EXEMPT = {"base/log.c": {"time.h", "poll.h", "signal.h"}, "base/log_sample.c": {"time.h"}}
# A library that one room alone wraps.
OWNERS = {"event2/": ("net", "admin", "upstream", "session", "cli", "main"), "mongoc/": ("upstream",),
          "openssl/ssl.h": ("net",), "uthash.h": ("base",), "yaml.h": ("config",), "pcre2.h": ("schema",),
          "zlib.h": ("wire",), "zstd.h": ("wire",), "snappy-c.h": ("wire",)}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
LINKS = re.compile(r"sluice_room\((\w+)\b(.*?)\)", re.DOTALL)


def links_of(src):
    """{room: the rooms its CMakeLists.txt links, and those that come with them}."""
    direct = {}
    for listing in src.glob("*/CMakeLists.txt"):
        for room, body in LINKS.findall(listing.read_text()):
            linked = re.findall(r"\bsluice_(\w+)", body.partition("LINKS")[2])
            room = PARTS.get(room, room)
            direct.setdefault(room, set()).update(PARTS.get(one, one) for one in linked)
            direct[room].discard(room)

    def closure(room):
        return set().union(*({one} | closure(one) for one in direct.get(room, ())))
    # main is an executable and links all that it wires together.
    return direct, {room: closure(room) for room in direct if room != "main"}


def check_links(direct):
    for room, linked in sorted(direct.items()):
        if room not in GRAPH:
            yield f"src/{room}: a room that scripts/check-includes.py does not know"
            continue
        for other in sorted(linked - set(GRAPH[room])):
            yield f"src/{room}/CMakeLists.txt: {room} may not link {other}"


def check_file(path, src, linked):
    relative = path.relative_to(src)
    room = relative.parts[0]
    text = path.read_text()
    for match in INCLUDE.finditer(text):
        quoted, name = match[1] == '"', match[2]
        where = f"src/{relative}:{text.count(chr(10), 0, match.start(2)) + 1}"
        target = name.split("/")[0]
        if quoted and target in GRAPH and target != room:
            if target not in GRAPH.get(room, ()):
                yield f"{where}: {room} may not know {target} ({name})"
            elif room in linked and target not in linked[room]:
                yield f"{where}: {room} does not link sluice_{target} ({name})"
        if quoted and "/" not in name:
            yield f'{where}: write "{room}/{name}", from the root of src/'
        if room in CORE and IMPURE.fullmatch(name) and name not in EXEMPT.get(str(relative), ()):
            yield f"{where}: {room} is a core room and may not include <{name}>"
        for library, owners in OWNERS.items():
            if not quoted and name.startswith(library) and room not in owners:
                yield f"{where}: <{name}> belongs to {', '.join(owners)}"


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1]
    src = root / "src"
    direct, linked = links_of(src)
    files = sorted(path for path in src.glob("*/**/*") if path.suffix in (".c", ".h"))
    wrong = list(check_links(direct))
    for path in files:
        wrong += check_file(path, src, linked)
    for line in wrong:
        print(line)
    print(f"includes: {len(files)} files in {len(direct) + 1} rooms, {len(wrong)} wrong")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main())
