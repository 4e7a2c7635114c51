"""Runs the code blocks of the documentation: python -m pytest tests/docs/run_docs.py

Every fenced block of README.md and docs/*.md is run, checked, or skipped with a reason in a hidden comment of the
page (see markdown.py). The blocks of a page run in order in one sandbox (see sandbox.py).
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from markdown import PageError, anchors, links, read_page
from sandbox import ROOT, Failed, Sandbox

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_blocks(page: Path, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    problem, counts, skipped = run_page(page, tmp_path)
    record_property("docs_counts", dict(counts))
    record_property("docs_skipped", skipped)
    if problem:
        pytest.fail(problem, pytrace=False)


def run_page(page: Path, folder: Path) -> tuple[str, Counter[str], list[str]]:
    """Returns the faults of the page (empty: none), the outcome of each block, and the skipped blocks."""
    counts: Counter[str] = Counter()
    skipped: list[str] = []
    try:
        blocks = read_page(page)
    except PageError as error:
        return str(error), counts, skipped
    sandbox = Sandbox(folder)
    block = None
    try:
        for block in blocks:
            counts["skipped" if block.skip else sandbox.run(block)] += 1
            if block.skip:
                skipped.append(f"{block.where}: {block.skip}")
    except Failed as failure:
        return f"{block.where}: {failure}", counts, skipped
    finally:
        sandbox.close()
    assert counts.total() == len(blocks)
    return "", counts, skipped


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links(page: Path) -> None:
    for line, target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name}:{line}: there is no {path}"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{page.name}:{line}: no heading #{anchor} in {file.name}"
