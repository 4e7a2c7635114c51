"""Reads the code blocks of a page, and the hidden comments that describe them.

A comment before a fence instructs the runner:

  <!-- skip: reason -->               the block cannot run here
  <!-- run: key, key=value, … -->     status=N   the expected exit status (0)
                                      file=NAME  the block is the content of this file
                                      checkout   runs in the project's folder, not in the sandbox
                                      seconds=N  instead of 60
                                      as=yaml    a YAML file that is not a configuration of the proxy
  <!-- output -->                     the output of the block before it; … stands for any text
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

COMMENT = re.compile(r"<!--\s*(skip|run|output)\s*(?::\s*(.*?))?\s*-->", re.DOTALL)
FENCE = re.compile(r"^( {0,3})(`{3,}|~{3,})\s*([^`\s]*)\s*$")
OPTIONS = {"status", "file", "checkout", "seconds", "as"}
LANGUAGES = {"sh", "console", "python", "yaml", "json", "text"}


class PageError(Exception):
    pass


@dataclass
class Block:
    page: Path
    line: int  # of the opening fence, from 1
    language: str
    text: str
    skip: str | None = None  # the reason
    is_output: bool = False
    options: dict[str, str] = field(default_factory=dict)

    @property
    def where(self) -> str:
        return f"{self.page.name}:{self.line}"


def _options(text: str, where: str) -> dict[str, str]:
    options = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        key, _, value = part.partition("=")
        if key not in OPTIONS:
            raise PageError(f"{where}: no such option: {key}")
        options[key] = value
    return options


def _apply(block: Block, comment: re.Match[str]) -> None:
    what, text = comment[1], comment[2] or ""
    if what == "skip":
        if len(text.split()) < 3:
            raise PageError(f"{block.where}: a skipped block needs a reason")
        block.skip = text
    elif what == "run":
        block.options = _options(text, block.where)
    else:
        block.is_output = True


def _check(block: Block, comment: re.Match[str] | None) -> None:
    if comment is not None:
        _apply(block, comment)
    if not block.language:
        raise PageError(f"{block.where}: the block has no language; `text` is not run")
    known = block.language in LANGUAGES or block.skip or "file" in block.options
    if not known:
        raise PageError(f"{block.where}: nothing runs {block.language}: add a reason to skip it")
    if block.is_output and block.language != "text":
        raise PageError(f"{block.where}: output is a block of `text`")


def read_page(page: Path) -> list[Block]:
    """Returns all blocks in their order. A page that hides code from the runner is an error."""
    blocks: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    comment: re.Match[str] | None = None
    at = 0
    while at < len(lines):
        line = lines[at]
        fence = FENCE.match(line)
        if fence:
            end = next((i for i in range(at + 1, len(lines)) if lines[i].strip() == fence[2]), None)
            if end is None:
                raise PageError(f"{page.name}:{at + 1}: the block does not end")
            indent = len(fence[1])
            text = "".join(one[indent:] + "\n" for one in lines[at + 1:end])
            block = Block(page, at + 1, fence[3], text)
            _check(block, comment)
            blocks.append(block)
            comment, at = None, end + 1
            continue
        if line.startswith("    ") and at > 0 and not lines[at - 1].strip():
            raise PageError(f"{page.name}:{at + 1}: an indented block; use a fence with a language")
        found = COMMENT.fullmatch(line.strip())
        if comment is not None and line.strip():
            raise PageError(f"{page.name}:{at + 1}: the comment above it belongs to no block")
        comment = found or (comment if not line.strip() else None)
        at += 1
    if comment is not None:
        raise PageError(f"{page.name}: the last comment belongs to no block")
    return blocks


def links(page: Path) -> list[tuple[int, str]]:
    """Returns line and target of each link within the project."""
    found = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            if not re.match(r"[a-z]+:", target):
                found.append((number, target))
    return found


def anchors(page: Path) -> set[str]:
    """Returns the anchors that GitHub makes of the headings."""
    found = set()
    for line in page.read_text(encoding="utf-8").splitlines():
        heading = re.match(r"#{1,6}\s+(.*?)\s*$", line)
        if heading:
            words = re.sub(r"[^\w\- ]", "", heading[1].lower())
            found.add(words.replace(" ", "-"))
    return found
