"""Completion in bash, zsh and fish, with the packaged program: the tests read the completions that each shell offers.
"""

import os
import pty
import re
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ASK_BASH = r"""
source "$COMPLETION"
COMP_WORDS=("$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_mongosluice "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"""
ASK_ZSH = """
PS1='READY> '
fpath=({folder} $fpath)
autoload -Uz compinit && compinit -D -u
zstyle ':completion:*' list-prompt ''
unsetopt LIST_BEEP MENU_COMPLETE LIST_AMBIGUOUS LIST_PACKED
"""
CASES = [
    ("", {"audit", "check", "schema", "status", "top"}),
    ("sch", {"schema"}),
    ("status --js", {"--json"}),
    ("top --int", {"--interval"}),
    ("top --config sam", {"sample.yaml"}),
    ("--log.l", {"--log.level"}),
    ("--tls.mode ", {"off", "allow", "require"}),
    ("--config sam", {"sample.yaml"}),
    ("audit --reg", {"--registry"}),
    ("audit --schemas sam", {"sample.yaml"}),
    ("check --sch", {"--schema"}),
    ("check --cand", {"--candidate"}),
    ("check --schema sam", {"sample.yaml"}),
    ("schema ", {"lint", "diff", "push", "pull", "list", "show", "history", "promote", "rollback", "retire", "status"}),
    ("schema push --cand", {"--candidate"}),
    ("schema pull --ou", {"--out"}),
    ("schema status --wa", {"--wait"}),
    ("schema retire --al", {"--all"}),
    ("schema lint sam", {"sample.yaml"}),
    ("schema diff sam", {"sample.yaml"}),
]


@pytest.fixture
def here(tmp_path, monkeypatch, program):
    (tmp_path / "sample.yaml").touch()
    (tmp_path / ".zshrc").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def bash(root: Path, words: str) -> set[str]:
    done = subprocess.run(["bash", "-c", ASK_BASH, "bash", "mongosluice", *words.split(" ")],
                          env={**os.environ, "COMPLETION": str(root / "usr/share/bash-completion/completions/mongosluice")},
                          capture_output=True, text=True, timeout=30, check=True)
    return set(done.stdout.split()) - {""}


def fish(root: Path, words: str) -> set[str]:
    script = f"source {root}/usr/share/fish/vendor_completions.d/mongosluice.fish; complete -C 'mongosluice {words}'"
    done = subprocess.run(["fish", "--no-config", "-c", script], capture_output=True, text=True, timeout=30,
                          check=True)
    return {line.split("\t")[0].removesuffix("=") for line in done.stdout.splitlines()}


class Zsh:
    """A shell on a terminal of its own: completions exist only there."""

    def __init__(self, root: Path, home: Path):
        setup = home / "setup"
        setup.write_text(ASK_ZSH.format(folder=root / "usr/share/zsh/vendor-completions"))
        self.child, self.terminal = pty.fork()
        if self.child == 0:
            os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, "TERM": "dumb", "COLUMNS": "300", "LINES": "200"})
        self.send(f"stty -echo cols 300 rows 200; source {setup}; bindkey '^I' list-choices\n")
        self.read_until("READY> ")

    def send(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def read_until(self, mark: str, quiet: float = 15) -> str:
        text, end = "", time.monotonic() + quiet
        while time.monotonic() < end:
            if select.select([self.terminal], [], [], 0.1)[0]:
                text += os.read(self.terminal, 65536).decode(errors="replace")
                if mark and re.search(mark, text):
                    return text
        raise AssertionError(f"zsh did not show {mark!r}: {text!r}")

    def offers(self, words: str, wanted: set[str]) -> str:
        """What is listed for the words, once all that is wanted stands there."""
        self.send(f"mongosluice {words}\t")
        pattern = "".join(f"(?=.*{re.escape(one)})" for one in wanted)
        text = self.read_until(f"(?s){pattern}")
        self.send("\x15")
        return text

    def close(self) -> None:
        self.send("\x15exit\n")
        os.close(self.terminal)
        os.waitpid(self.child, 0)


@pytest.mark.parametrize("words, wanted", CASES)
def test_bash(here, root, words, wanted):
    assert bash(root, words) == wanted


def test_bash_knows_values_after_an_equals_sign(here, root):
    assert bash(root, "--tls.mode=re") == {"require"}
    assert bash(root, "--tls.mode = re") == {"require"}  # the words as bash separates them
    assert bash(root, "--tls.client-certificates o") == {"optional"}  # - for _


@pytest.mark.parametrize("words, wanted", CASES)
def test_fish(here, root, words, wanted):
    assert fish(root, words) >= wanted
    if words:
        assert not fish(root, words) - wanted


def test_zsh(here, root):
    shell = Zsh(root, here)
    try:
        for words, wanted in CASES:
            listed = shell.offers(words, wanted)
            if words == "--tls.mode ":
                assert "--log.level" not in listed
    finally:
        shell.close()


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_every_option_is_offered(here, root, program, shell):
    listing = subprocess.run([program, "--print-options"], capture_output=True, text=True, timeout=30, check=True)
    names = {"--" + line.split("\t")[0] for line in listing.stdout.splitlines()}
    assert len(names) > 20
    if shell == "zsh":
        running = Zsh(root, here)
        try:
            running.offers("--", names)
        finally:
            running.close()
    else:
        assert names <= (bash if shell == "bash" else fish)(root, "--")


@pytest.mark.parametrize("words", [["audit"], ["check"], ["schema", "lint"], ["schema", "diff"], ["status"], ["top"]])
def test_flags_of_subcommands_are_offered(here, root, program, words):
    usage = subprocess.run([program, *words, "--help"], capture_output=True, text=True, timeout=30, check=True)
    flags = set(re.findall(r"--[a-z-]+", usage.stdout)) | {"--help"}
    assert flags == bash(root, " ".join([*words, "--"]))
    assert flags == fish(root, " ".join([*words, "--"]))
    done = subprocess.run(["man", "-l", root / "usr/share/man/man1/mongosluice.1.gz"], capture_output=True,
                          text=True, timeout=30, check=True, env={**os.environ, "MANWIDTH": "300"})
    page = " ".join(done.stdout.split())
    assert f"mongosluice {' '.join(words)}" in page and all(flag in page for flag in flags - {"--help"})


def test_shells_are_there():
    assert all(shutil.which(shell) for shell in ("bash", "fish", "zsh"))
