"""Checks the content of the Debian package, and that it works from the folder where it is unpacked. clean_root.sh
tests its installation in a clean Debian; run it by hand."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from support.proxy import ROOT


def output_of(*words: object) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_kind_of_file_is_there(root):
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()}
    files = {re.sub(r"lib/[^/]+-linux-gnu[^/]*/", "lib/TRIPLET/", name) for name in files}
    pages = {f"usr/share/doc/mongosluice/{page.relative_to(ROOT)}"
             for page in [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs/benchmarks").glob("*.md"), *(ROOT / "docs/plots").iterdir(),
                          *(ROOT / "docker").rglob("*"), ROOT / "CHANGELOG.md", ROOT / "SECURITY.md",
                          ROOT / "config/mongosluice.yaml"] if page.is_file()}
    assert files == pages | {
        "etc/logrotate.d/mongosluice",
        "etc/mongosluice/mongosluice.yaml",
        "lib/systemd/system/mongosluice.service",
        "usr/bin/mongosluice",
        "usr/include/mongosluice/validator.h",
        "usr/lib/TRIPLET/libmongosluice-validator.so",
        "usr/lib/TRIPLET/libmongosluice-validator.so.0",
        "usr/lib/TRIPLET/libmongosluice-validator.so.0.1.0",
        "usr/share/bash-completion/completions/mongosluice",
        "usr/share/doc/mongosluice/LICENSE",
        "usr/share/doc/mongosluice/README.md",
        "usr/share/doc/mongosluice/changelog.Debian.gz",
        "usr/share/doc/mongosluice/copyright",
        "usr/share/fish/vendor_completions.d/mongosluice.fish",
        "usr/share/man/man1/mongosluice.1.gz",
        "usr/share/zsh/vendor-completions/_mongosluice",
    }
    assert (root / "etc/mongosluice/schemas").is_dir()


def test_installed_pages_have_no_dead_links(root):
    folder = root / "usr/share/doc/mongosluice"
    pages = [page for page in folder.rglob("*.md") if "docker" not in page.relative_to(folder).parts]
    assert len(pages) > 20
    dead = [f"{page.relative_to(folder)}: {target}" for page in pages
            for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text())
            if not re.match(r"[a-z]+:|#", target) and not (page.parent / target.split("#")[0]).exists()]
    assert dead == []


def test_control_file(package):
    fields = dict(re.findall(r"^([\w-]+): (.*)$", output_of("dpkg-deb", "-f", package), re.MULTILINE))
    depends = fields["Depends"]
    # found by dpkg-shlibdeps; one of each is enough to see that it ran
    for name in ("libc6 (>=", "libevent-core-2.1-7", "libmongoc-1.0-0", "libssl3", "libpcre2-8-0", "adduser"):
        assert name in depends, depends
    assert "-dev" not in depends
    assert fields["Version"].startswith("0.1.0-")
    conffiles = output_of("dpkg-deb", "--ctrl-tarfile", package)
    assert "/etc/mongosluice/mongosluice.yaml" in conffiles and "/etc/logrotate.d/mongosluice" in conffiles


def test_program_runs(root, program):
    assert output_of(program, "--version") == "mongosluice 0.1.0\n"
    listing = json.loads(output_of(program, "--check-config", "--config",
                                   root / "etc/mongosluice/mongosluice.yaml"))
    assert {"name": "upstream", "origin": "file"}.items() <= next(
        option for option in listing["options"] if option["name"] == "upstream").items()


def test_program_is_hardened(program):
    header, dynamic = output_of("readelf", "-hW", program), output_of("readelf", "-dW", program)
    assert "DYN (Position-Independent Executable" in header
    assert "BIND_NOW" in dynamic or "FLAGS_1) NOW" in dynamic.replace("  ", " ") or "NOW PIE" in dynamic
    assert "GNU_RELRO" in output_of("readelf", "-lW", program)
    assert "__stack_chk_fail" in output_of("readelf", "--dyn-syms", "-W", program)
    assert "RPATH" not in dynamic and "RUNPATH" not in dynamic


def test_manual_page(root, program):
    page = root / "usr/share/man/man1/mongosluice.1.gz"
    done = subprocess.run(["man", "--warnings", "-l", page], capture_output=True, text=True, timeout=60,
                          env={"LC_ALL": "C.UTF-8", "MANWIDTH": "100", "PATH": "/usr/bin:/bin"}, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    for name, _, _ in options(program):
        assert f"--{name}" in done.stdout.replace("‐", "-"), name


def options(program: Path) -> list[list[str]]:
    return [line.split("\t") for line in output_of(program, "--print-options").splitlines()]


def test_unit_is_understood(root):
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", f"--root={root}",
                           "/lib/systemd/system/mongosluice.service"],
                          capture_output=True, text=True, timeout=60, check=False)
    # the root has nothing but the package
    missing = ("sysinit.target not found", "Command /bin/kill is not executable", "Command /bin/sh is not executable")
    complaints = [line for line in done.stderr.splitlines() if not any(word in line for word in missing)]
    assert not complaints


def test_unit_is_hardened(root):
    verdict = output_of("systemd-analyze", "security", "--no-pager", "--offline=true", f"--root={root}",
                        "--threshold=20", "mongosluice.service")
    assert "Overall exposure level" in verdict


def test_log_rotation_sends_hup(root):
    text = (root / "etc/logrotate.d/mongosluice").read_text()
    assert text.count("{") == text.count("}") == 1
    script = re.search(r"postrotate\n(.*?)endscript", text, re.DOTALL)[1]
    output_of("sh", "-n", "-c", script)
    assert "--signal=HUP mongosluice.service" in script
    assert "/var/log/mongosluice/*.log {" in text  # LogsDirectory of the unit


@pytest.mark.parametrize("script", ["postinst", "prerm", "postrm"])
def test_maintainer_scripts_are_shell(script):
    path = ROOT / "config/packaging/debian" / script
    assert path.stat().st_mode & 0o111
    output_of("sh", "-n", path)
