"""Runs what the documentation shows: python -m pytest tests/docs/run_docs.py

Every fenced block of README.md and docs/*.md is run, checked, or skipped with a reason that the page
holds in a hidden comment (see markdown.py). The blocks of a page run in their order in one sandbox
(see sandbox.py).
"""

from collections import Counter
from pathlib import Path

import pytest
from markdown import PageError, anchors, links, read_page
from sandbox import ROOT, Failed, Sandbox

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_blocks(page: Path, tmp_path: Path, docs_counts: Counter[str], docs_skipped: list[str]) -> None:
    try:
        blocks = read_page(page)
    except PageError as error:
        pytest.fail(str(error), pytrace=False)
    sandbox = Sandbox(tmp_path)
    done = 0
    try:
        for block in blocks:
            done += 1
            if block.skip:
                docs_counts["skipped"] += 1
                docs_skipped.append(f"{block.where}: {block.skip}")
                continue
            try:
                docs_counts[sandbox.run(block)] += 1
            except Failed as failure:
                pytest.fail(f"{block.where}: {failure}", pytrace=False)
    finally:
        sandbox.close()
    assert done == len(blocks)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links(page: Path) -> None:
    for line, target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name}:{line}: there is no {path}"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{page.name}:{line}: no heading #{anchor} in {file.name}"
