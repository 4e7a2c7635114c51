#!/usr/bin/env python3
"""Renders README.md and docs/ as a site in .cache/site/html, and checks every link and anchor in it.

usage: build-site.py

Links to files outside of docs/ lead to copies of these files in the site. The Python environment comes from
`scripts/setup.sh site`.
"""
import html.parser
import os
import re
import shutil
import subprocess
import sys
import urllib.parse
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / ".cache/site"
PAGES, HTML = SITE / "pages", SITE / "html"
MKDOCS = ROOT / ".cache/venv-site/bin/mkdocs"
# pages outside of docs/: their names in the site
OUTSIDE = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md",
           "SECURITY.md": "security-policy.md"}
FENCE = re.compile(r"^( {0,3})(```|~~~)")
INSTRUCTION = re.compile(r"^ *<!--\s*(skip|run|output)\b.*-->\s*$")
LINK = re.compile(r"(\]\()([^)\s]+)(\))")


def place_of(source):
    """The place of a project's file in the site, relative to its root."""
    name = source.relative_to(ROOT).as_posix()
    if name in OUTSIDE:
        return OUTSIDE[name]
    if name.startswith("docs/"):
        return name.removeprefix("docs/")
    return f"files/{name}/index.md" if source.is_dir() else f"files/{name}"


def list_folder(folder):
    """A page that lists a folder, for a link to it."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    rows = [f"- [{name}]({name})" for name in names]
    for name in names:
        copy(folder / name)
    return f"# {folder.relative_to(ROOT).as_posix()}\n\n" + "\n".join(rows) + "\n"


def copy(source):
    """Puts a file that is no page of docs/ into the site, once."""
    target = PAGES / place_of(source)
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        target.write_text(list_folder(source))
    else:
        shutil.copy(source, target)


def rewrite(source, target_name):
    def link(match):
        path, hash_mark, anchor = match[2].partition("#")
        if not path or re.match(r"[a-z]+:", path):
            return match[0]
        linked = (source.parent / urllib.parse.unquote(path)).resolve()
        if not linked.exists():
            sys.exit(f"{source.relative_to(ROOT)}: there is no {path}")
        place = place_of(linked)
        if place.startswith("files/"):
            copy(linked)
        relative = os.path.relpath(PAGES / place, (PAGES / target_name).parent)
        return f"{match[1]}{relative}{hash_mark}{anchor}{match[3]}"
    return link


def indented(line, indent):
    """MkDocs wants four spaces for each level of a list; the pages have two or three."""
    return " " * ((indent + 2) // 3 * 4 - indent if indent < 4 else indent) + line if line else line


def stage_page(source):
    """Copies a page without the instructions for tests/docs, and with its links leading to the site's files."""
    name = place_of(source)
    lines, indent = [], None  # the indent of the present fence
    for line in source.read_text().splitlines():
        fence = FENCE.match(line)
        if indent is None and not fence and INSTRUCTION.match(line):
            continue
        if indent is None and fence:
            indent = len(fence[1])
            lines.append(indented(line, indent))
        elif indent is None:
            lines.append(LINK.sub(rewrite(source, name), indented(line, len(line) - len(line.lstrip(" ")))))
        else:
            lines.append(indented(line, indent))
            indent = None if fence else indent
    target = PAGES / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(lines) + "\n")


def stage():
    shutil.rmtree(SITE, ignore_errors=True)
    PAGES.mkdir(parents=True)
    pages = [*(ROOT / name for name in OUTSIDE), *sorted((ROOT / "docs").rglob("*.md"))]
    for page in pages:
        stage_page(page)
    for file in sorted((ROOT / "docs").rglob("*")):
        if file.is_file() and file.suffix != ".md":
            target = PAGES / file.relative_to(ROOT / "docs")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    return pages


def configure():
    """Writes the configuration with the pages that its nav does not list."""
    text = (ROOT / "mkdocs.yml").read_text()
    nav = text[text.index("\nnav:"):]
    listed = set(re.findall(r"[\w./-]+\.md", nav))
    figures = sorted(page.relative_to(PAGES).as_posix() for page in PAGES.glob("benchmarks/*.md"))
    text = text.replace("[benchmarks.md]", f"[benchmarks.md, {', '.join(figures)}]")
    more = sorted(page.relative_to(PAGES).as_posix() for page in PAGES.rglob("*.md"))
    more = [name for name in more if name not in listed and name not in figures and not name.startswith("files/")]
    text += f"  - More: [{', '.join(more)}]\n" if more else ""
    for key in ("docs_dir", "site_dir"):
        text = re.sub(rf"^{key}: (.*)$", lambda match, key=key: f"{key}: {ROOT / match[1]}", text, flags=re.MULTILINE)
    (SITE / "mkdocs.yml").write_text(text)


class Document(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.ids, self.links = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for key, value in attributes:
            if key == "id":
                self.ids.add(value)
            elif key in ("href", "src") and value and tag != "base":
                self.links.append(value)


def check_links():
    """The faults of all links in the rendered pages: missing files and missing anchors."""
    documents = {page.resolve(): Document(page.read_text()) for page in HTML.rglob("*.html")}
    count, faults = 0, []
    for page, document in documents.items():
        if page.name == "404.html":  # its links are absolute
            continue
        for link in document.links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            count += 1
            target = (page.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            fragment = urllib.parse.unquote(parts.fragment)
            if not target.is_file():
                faults.append(f"{page.relative_to(HTML)}: {link}: there is no such file")
            elif fragment and target in documents and fragment not in documents[target].ids and fragment != "__skip":
                faults.append(f"{page.relative_to(HTML)}: {link}: there is no such anchor")
    return count, faults


def main():
    if len(sys.argv) > 1:
        sys.exit(__doc__)
    if not MKDOCS.exists():
        sys.exit(f"{MKDOCS} does not exist: run scripts/setup.sh site")
    pages = stage()
    configure()
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}
    built = subprocess.run([MKDOCS, "build", "--strict", "-f", SITE / "mkdocs.yml"], env=environment, check=False,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if built.returncode != 0:
        print(built.stdout, file=sys.stderr)
        return built.returncode
    count, faults = check_links()
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"site: {len(pages)} pages, {count} links, {len(faults)} broken; open {HTML.relative_to(ROOT)}/index.html")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
