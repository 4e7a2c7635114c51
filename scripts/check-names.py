#!/usr/bin/env python3
"""File names and the tags of structs, unions and enums are unique in src/, so that each name has one definition.
The .c file and the header of one module share their name.

    check-names.py
"""

import re
import sys
from pathlib import Path

TAG = re.compile(r"^[ \t]*(?:typedef[ \t]+)?(struct|union|enum)[ \t]+(\w+)[ \t]*\{", re.MULTILINE)


def main():
    src = Path(__file__).resolve().parents[1] / "src"
    places = {}
    files = sorted(src.glob("*/**/*.[ch]"))
    for path in files:
        relative = path.relative_to(src)
        places.setdefault(("file", path.stem), set()).add(str(relative.with_suffix("")))
        text = path.read_text()
        for match in TAG.finditer(text):
            line = text.count("\n", 0, match.start(2)) + 1
            places.setdefault(("tag", match[2]), set()).add(f"{relative}:{line} ({match[1]})")
    wrong = [f"the {kind} name {name} stands {len(where)} times: {', '.join(sorted(where))}"
             for (kind, name), where in sorted(places.items()) if len(where) > 1]
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
    print(f"names: {len(files)} files, {len(places)} names, {len(wrong)} wrong")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main())
