"""Tests the runner itself: it runs every block, and reports every fault."""

from pathlib import Path

import pytest
from markdown import PageError, anchors, links, read_page
from sandbox import Failed, Sandbox, listens, matches


def page(folder: Path, text: str) -> Path:
    path = folder / "page.md"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def sandbox(tmp_path):
    made = Sandbox(tmp_path)
    yield made
    made.close()


def run(sandbox: Sandbox, folder: Path, text: str) -> list[str]:
    return [sandbox.run(block) for block in read_page(page(folder, text))]


@pytest.mark.parametrize("text, problem", [
    ("```\nls\n```\n", "no language"),
    ("```ruby\nputs 1\n```\n", "nothing runs ruby"),
    ("```sh\nls\n", "does not end"),
    ("words\n\n    indented code\n", "indented block"),
    ("<!-- skip: no -->\n```sh\nls\n```\n", "needs a reason"),
    ("<!-- run: statsu=1 -->\n```sh\nls\n```\n", "no such option"),
    ("<!-- skip: for a good reason -->\nwords\n", "belongs to no block"),
    ("<!-- run: status=1 -->\n", "belongs to no block"),
    ("<!-- output -->\n```sh\nls\n```\n", "output is a block of `text`"),
])
def test_pages_that_hide_code_are_refused(tmp_path, text, problem):
    with pytest.raises(PageError, match=problem):
        read_page(page(tmp_path, text))


def test_comments_and_fences_are_read(tmp_path):
    blocks = read_page(page(tmp_path, "a\n\n<!-- run: status=2, file=a b.txt -->\n\n```sh\nx\ny\n```\n"
                                      "- item\n  ```text\n  z\n  ```\n"))
    assert [(one.line, one.language, one.text) for one in blocks] == [(5, "sh", "x\ny\n"),
                                                                    (10, "text", "z\n")]
    assert blocks[0].options == {"status": "2", "file": "a b.txt"} and blocks[0].skip is None


@pytest.mark.parametrize("text", [
    "```sh\nfalse\nls\n```\n",
    "<!-- run: status=3 -->\n```sh\nexit 2\n```\n",
    "```sh\necho one\n```\n<!-- output -->\n```text\ntwo\n```\n",
    "```console\n$ echo one\ntwo\n```\n",
    "```console\nno command\n```\n",
    "```python\nraise SystemExit(1)\n```\n",
    "```yaml\nno_such_option: 1\n```\n",
    "```json\n{\"ns\": \"a.b\", \"schema\": {\"$jsonSchema\": {\"bsonType\": \"nonsense\"}}}\n```\n",
    "<!-- run: seconds=0.2 -->\n```sh\nsleep 20\n```\n",
])
def test_what_is_wrong_fails(sandbox, tmp_path, text):
    with pytest.raises(Failed):
        run(sandbox, tmp_path, text)


def test_what_is_right_passes(sandbox, tmp_path):
    assert run(sandbox, tmp_path, """
```sh
echo one > file
cat file
```
<!-- output -->
```text
o…
```
```console
$ cat file
one
$ printf '%s\\n' a \\
  b
a
b
```
<!-- run: file=module.py -->
```python
value = 5
```
```python
import module
assert module.value == 5
```
```yaml
log: {level: debug, file: /var/log/mongosluice/mongosluice.log}
```
<!-- run: as=yaml -->
```yaml
kind: Pod
```
```json
{"ns": "a.b", "schema": {"bsonType": "object"}}
```
```json
[1]
```
""") == ["commands", "output", "commands", "file", "python", "configurations", "yaml", "schemas", "json"]


def test_what_runs_in_the_background_is_waited_for_and_ended(sandbox, tmp_path):
    run(sandbox, tmp_path, "```sh\nmongosluice --upstream mongodb://127.0.0.1:27017/ "
                           "--listen 127.0.0.1:27117 &\n```\n")
    assert listens(sandbox.ports["27117"]) and listens(sandbox.server.port)
    sandbox.close()
    assert not listens(sandbox.ports["27117"]) and not listens(sandbox.server.port)


def test_words_of_the_page_become_places_of_the_sandbox(sandbox):
    text = sandbox.here("mongodb://db1,db2,db3/?replicaSet=rs0 /etc/mongosluice/a 127017 27117 x/etc/mongosluice")
    port, folder = sandbox.server.port, sandbox.folder
    assert text == (f"mongodb://127.0.0.1:{port}/?replicaSet=secantus {folder}/etc/mongosluice/a 127017 "
                    f"{sandbox.ports['27117']} x/etc/mongosluice")


@pytest.mark.parametrize("expected, actual, same", [
    ("a\nb\n", "a  \nb", True), ("a…c", "a\nb\nc", True), ("a.c", "abc", False), ("…b", "b c", False),
])
def test_output_is_compared(expected, actual, same):
    assert matches(expected, actual) is same


def test_links_and_headings_are_found(tmp_path):
    written = page(tmp_path, "# The `first` one!\n[a](b.md#c) [d](https://e.example/) ![f](g.svg)\n")
    assert links(written) == [(2, "b.md#c"), (2, "g.svg")]
    assert anchors(written) == {"the-first-one"}
