#!/usr/bin/env python3
"""Checks that each log id stands at one place in the source, so that a reader of a log finds that place, and that the
ids named in the documentation exist.

    check-log-ids.py [ROOT]

"""

import re
import sys
from collections import defaultdict
from pathlib import Path

# An id must be a literal number: a search for a number does not find a named constant.
CALL = re.compile(r"\bLOG_(?:[FEWID]\s*\(|(?:AT|SAMPLED)\s*\(\s*[^,]+,)\s*LOG_\w+\s*,\s*([^,]+?)\s*,")
NAMED = re.compile(r"\blog id `?(\d{4,})")


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1]
    places = defaultdict(list)
    wrong = []
    for path in sorted((root / "src").rglob("*.c")):
        text = path.read_text()
        for match in CALL.finditer(text):
            where = f"{path.relative_to(root)}:{text.count(chr(10), 0, match.start()) + 1}"
            if match[1].isdigit():
                places[int(match[1])].append(where)
            else:
                wrong.append(f"{where}: the id is not a number: {match[1]}")
    wrong += [f"log id {number} stands at {len(found)} places: {', '.join(found)}"
              for number, found in sorted(places.items()) if len(found) > 1]
    for page in sorted((root / "docs").glob("*.md")):
        wrong += [f"{page.relative_to(root)}: log id {number} is not in the source"
                  for number in NAMED.findall(page.read_text()) if int(number) not in places]
    for line in wrong:
        print(line)
    print(f"log ids: {len(places)} ids, {len(wrong)} wrong")
    return 1 if wrong or not places else 0


if __name__ == "__main__":
    sys.exit(main())
