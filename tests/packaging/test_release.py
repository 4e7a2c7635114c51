"""The parts of scripts/release.sh that take seconds, and the recipe of the RPM. tests/packaging/release.sh tests the whole."""

import hashlib
import json
import re
import subprocess
import tarfile
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml
from support.proxy import ROOT

CHART = ROOT / "docker/helm/mongosluice"


@pytest.fixture(scope="module")
def dist(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run("scripts/release.sh", "--dist", folder, "deb", "chart", "sbom", "sums")
    return folder


def run(*words: object) -> str:
    done = subprocess.run([str(word) for word in words], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_sums_name_every_file(dist):
    sums = dict(reversed(line.split("  ")) for line in (dist / "SHA256SUMS").read_text().splitlines())
    files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in dist.iterdir()}
    del files["SHA256SUMS"]
    assert sums == files and len(files) == 3


def test_chart_package_has_the_chart(dist):
    (archive,) = dist.glob("*.tgz")
    with tarfile.open(archive) as files:
        names = {member.name for member in files if member.isfile()}
        chart = yaml.safe_load(files.extractfile("mongosluice/Chart.yaml").read())
    expected = {f"mongosluice/{file.relative_to(CHART)}" for file in CHART.rglob("*") if file.is_file()}
    assert names == {name for name in expected if "/ci/" not in name}
    assert archive.name == f"mongosluice-{chart['version']}.tgz"


def test_list_of_components_is_what_the_program_loads(dist, package, program):
    bom = json.loads(next(dist.glob("*-deb.cdx.json")).read_text())
    assert bom["bomFormat"] == "CycloneDX" and bom["specVersion"] == "1.6"
    names = {one["name"]: one for one in bom["components"]}
    depends = re.search(r"^Depends: (.*)$", run("dpkg-deb", "-f", package), re.MULTILINE)[1]
    direct = set(re.findall(r"(?:^|, )([\w.+-]+)", depends)) - {"adduser"}
    assert direct <= set(names) and "libicu72" in names, "also those that libraries load"
    for name, one in names.items():
        assert one["version"] == run("dpkg-query", "-W", "-f", "${Version}", f"{name}:amd64")
        assert one["purl"].startswith(f"pkg:deb/debian/{quote(name)}@") and "+" not in one["purl"]
    (delivered,) = bom["metadata"]["component"]["components"]
    content = (dist / delivered["name"]).read_bytes()
    assert delivered["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}]
    assert {one["ref"] for one in bom["dependencies"]} == {bom["metadata"]["component"]["bom-ref"]}


def test_unknown_parts_are_refused():
    done = subprocess.run([ROOT / "scripts/release.sh", "debs"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "no such part: debs" in done.stderr and "arm64" in done.stdout + done.stderr


def test_recipe_of_the_rpm(package, tmp_path):
    """Of the package's own build; the released one holds its libraries."""
    run("cpack", "-G", "RPM", "--config", ROOT / "build/package/CPackConfig.cmake", "-B", tmp_path)
    (rpm,) = tmp_path.glob("*.rpm")
    assert run("rpm", "-qp", "--qf", "%{name} %{license} %{arch}", rpm) == "mongosluice Apache-2.0 x86_64"
    assert run("rpm", "-qp", "--configfiles", rpm).split() == [
        "/etc/logrotate.d/mongosluice", "/etc/mongosluice/mongosluice.yaml"]
    files = {line.split()[-1]: line.split()[0] for line in run("rpm", "-qplv", rpm).splitlines()}
    assert files["/etc/mongosluice/mongosluice.yaml"] == "-rw-r-----" and files["/usr/bin/mongosluice"] == "-rwxr-xr-x"
    # folders of other packages are not this one's
    assert not {"/etc", "/usr/bin", "/usr/share/man", "/usr/share/man/man1", "/lib/systemd/system"} & set(files)
    scripts = run("rpm", "-qp", "--scripts", rpm)
    for part in ("preinstall", "postinstall", "preuninstall", "postuninstall"):
        assert f"{part} scriptlet" in scripts
    requires = run("rpm", "-qp", "--requires", rpm).split("\n")
    assert "shadow-utils" in requires and any(one.startswith("libmongoc") for one in requires)
