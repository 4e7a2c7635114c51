#!/usr/bin/env python3
"""Draws tables of the benchmark pages as SVG files beside each page. A comment marks each table to draw.

usage: plot-benchmarks.py [--check] [FOLDER]

FOLDER has pages; default: docs/benchmarks, and docs/benchmarks.md beside it. A plot that no page names is removed.

The comment stands before the table (an empty line may stand between them):
  <!-- plot: file=plots/hop.svg; group=COLUMN; series=COLUMN; value=COLUMN; title=WORDS -->
For each value of `group` there is a bar for each value of `series`. The benchmark scripts write the tables, so the
plots show measured values.
--check changes nothing and returns status 1 if a plot is not current, or if no page names it.
"""
import argparse
import pathlib
import re
import sys
from html import escape

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"
COMMENT = re.compile(r"<!-- plot: (.*?) -->\s*\n((?:\|.*\n)+)")
COLOURS = ["#4c78a8", "#9c9c9c", "#e45756", "#54a24b", "#b279a2", "#eeca3b", "#72b7b2", "#ff9da6", "#9d755d", "#bab0ac",
           "#f58518", "#2f5d8a", "#7a1f6b", "#1b9e77", "#666666"]
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
    if text.startswith("failed"):
        return 0
    found = re.match(r"-?[\d,]+(?:\.\d+)?", text)
    if not found:
        sys.exit(f"a plot needs a number, not {text!r}")
    return float(found[0].replace(",", ""))


def draw(options: dict[str, str], rows: list[dict[str, str]]) -> str:
    groups: dict[str, dict[str, str]] = {}
    for row in rows:
        groups.setdefault(row[options["group"]], {})[row[options["series"]]] = row[options["value"]]
    series = list(dict.fromkeys(row[options["series"]] for row in rows))
    largest = max(number(text) for bars in groups.values() for text in bars.values()) or 1
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


def pages_of(folder: pathlib.Path) -> list[pathlib.Path]:
    beside = folder.parent / f"{folder.name}.md"
    return [*([beside] if beside.is_file() else []), *sorted(folder.glob("*.md"))]


def plots_of(page: pathlib.Path) -> dict[pathlib.Path, str]:
    """The files that a page names, with their content."""
    found = {}
    for words, table in COMMENT.findall(page.read_text(encoding="utf-8")):
        options = dict(part.strip().split("=", 1) for part in words.split(";"))
        found[page.parent / options["file"]] = draw(options, read_table(table))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a plot is not current")
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=DOCS / "benchmarks")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    wanted = {file: plot for page in pages_of(folder) for file, plot in plots_of(page).items()}
    wrong = [(file, "does not match its table") for file, plot in wanted.items()
             if not file.is_file() or file.read_text(encoding="utf-8") != plot]
    wrong += [(file, "is named by no page") for file in sorted((folder / "plots").glob("*.svg")) if file not in wanted]
    for file, why in wrong:
        if arguments.check:
            print(f"{file} {why}; run scripts/plot-benchmarks.py")
        elif file in wanted:
            file.parent.mkdir(exist_ok=True)
            file.write_text(wanted[file], encoding="utf-8")
        else:
            file.unlink()
    return 1 if arguments.check and wrong else 0


if __name__ == "__main__":
    sys.exit(main())
