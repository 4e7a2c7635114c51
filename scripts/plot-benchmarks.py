#!/usr/bin/env python3
"""Draws tables of the benchmark pages as SVG files beside each page. A comment marks each table to draw.

usage: plot-benchmarks.py [--check]

The comment stands before the table (an empty line may stand between them):
  <!-- plot: file=plots/hop.svg; group=COLUMN; series=COLUMN; value=COLUMN; title=WORDS -->
For each value of `group` there is a bar for each value of `series`. The benchmark scripts write the tables, so the
plots show measured values.
--check writes nothing and returns status 1 if a plot is not current.
"""
import argparse
import pathlib
import re
import sys
from html import escape

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"
PAGES = [DOCS / "benchmarks.md", *sorted((DOCS / "benchmarks").glob("*.md"))]
COMMENT = re.compile(r"<!-- plot: (.*?) -->\s*\n((?:\|.*\n)+)")
COLOURS = ["#4c78a8", "#9c9c9c", "#e45756", "#54a24b", "#b279a2", "#eeca3b", "#72b7b2", "#ff9da6"]
LABELS, BARS, BAR, GAP, TOP = 150, 470, 14, 12, 60  # pixels: columns, height of a bar, between groups
STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #222 }
.title { font-size: 14px; font-weight: 600 }
.axis { stroke: #888 }
@media (prefers-color-scheme: dark) { text { fill: #ddd } }
</style>"""


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def read_table(text: str) -> list[dict[str, str]]:
    lines = text.splitlines()
    names = cells(lines[0])
    return [dict(zip(names, cells(line), strict=True)) for line in lines[2:]]


def number(text: str) -> float:
    found = re.match(r"-?[\d,]+(?:\.\d+)?", text)
    if not found:
        sys.exit(f"a plot needs a number, not {text!r}")
    return float(found[0].replace(",", ""))


def draw(options: dict[str, str], rows: list[dict[str, str]]) -> str:
    groups: dict[str, dict[str, str]] = {}
    for row in rows:
        groups.setdefault(row[options["group"]], {})[row[options["series"]]] = row[options["value"]]
    series = list(dict.fromkeys(row[options["series"]] for row in rows))
    largest = max(number(text) for bars in groups.values() for text in bars.values())
    parts = [f'<text class="title" x="8" y="20">{escape(options["title"])}</text>']
    for place, name in enumerate(series):
        x, line = 8 + place % 5 * 130, 32 + place // 5 * 18
        parts.append(f'<rect x="{x}" y="{line}" width="12" height="12" fill="{COLOURS[place]}"/>'
                     f'<text x="{x + 18}" y="{line + 11}">{escape(name)}</text>')
    top = y = TOP + (len(series) - 1) // 5 * 18
    for group, bars in groups.items():
        middle = y + len(bars) * BAR / 2 + 4
        parts.append(f'<text x="{LABELS - 8}" y="{middle:.0f}" text-anchor="end">{escape(group)}</text>')
        for name, text in bars.items():
            width = max(1, BARS * number(text) / largest)
            parts.append(f'<rect x="{LABELS}" y="{y}" width="{width:.1f}" height="{BAR - 2}" '
                         f'fill="{COLOURS[series.index(name)]}"/>'
                         f'<text x="{LABELS + width + 5:.1f}" y="{y + BAR - 3}">{escape(text)}</text>')
            y += BAR
        y += GAP
    parts.append(f'<line class="axis" x1="{LABELS}" y1="{top - 4}" x2="{LABELS}" y2="{y - GAP + 4}"/>')
    size = f'width="{LABELS + BARS + 80}" height="{y}" viewBox="0 0 {LABELS + BARS + 80} {y}"'
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n{STYLE}\n{body}\n</svg>\n'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a plot is not current")
    arguments = parser.parse_args()
    stale = 0
    for page in PAGES:
        for words, table in COMMENT.findall(page.read_text(encoding="utf-8")):
            options = dict(part.strip().split("=", 1) for part in words.split(";"))
            file = page.parent / options["file"]
            plot = draw(options, read_table(table))
            if file.is_file() and file.read_text(encoding="utf-8") == plot:
                continue
            if arguments.check:
                print(f"{file.relative_to(DOCS.parent)} does not match its table; run scripts/plot-benchmarks.py")
                stale = 1
            else:
                file.parent.mkdir(exist_ok=True)
                file.write_text(plot, encoding="utf-8")
    return stale


if __name__ == "__main__":
    sys.exit(main())
