"""The package as it is installed: a wheel in a fresh environment. The wheel is the one that MONGOSLUICE_WHEEL
names, else it is made from the checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from conftest import ROOT

CLEAN = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MONGOSLUICE_OFFLOAD")}


def run(*command, **more):
    done = subprocess.run([str(part) for part in command], text=True, capture_output=True, timeout=100, check=False, **more)
    assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    if "MONGOSLUICE_WHEEL" in os.environ:
        return Path(os.environ["MONGOSLUICE_WHEEL"])
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    run("cp", "-r", ROOT / "python", source)
    run("find", source, "-name", "*.so", "-delete")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, source)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The Python of an environment that has the wheel, and sees this environment's other packages."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin/python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, env=CLEAN)
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    with open(os.path.join(site, "zz-others.pth"), "w", encoding="utf-8") as others:
        others.write(sysconfig.get_path("purelib") + "\n")
    return python


def test_what_the_wheel_holds(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {"mongosluice-offload.pth", "mongosluice/py.typed", "mongosluice/_native.pyi"} <= set(names)
    assert any(name.startswith("mongosluice/_native.") and name.endswith(".so") for name in names)
    assert any(name.endswith("/LICENSE") for name in names) or "MONGOSLUICE_WHEEL" not in os.environ
    assert not any(name.endswith(".c") or name.startswith("tests") for name in names)


def test_it_runs_where_it_is_installed(installed):
    seen = run(installed, "-c", "import mongosluice, mongosluice._native as n; print(mongosluice.__version__, n.__file__)",
               env=CLEAN)
    assert seen.startswith("0.1.0 ") and str(installed.parents[1]) in seen


def test_the_hook_waits_for_an_odm(installed):
    """Set, it adds one module and waits; not set, nothing at all is imported."""
    look = "import sys; print(sorted(name for name in sys.modules if name.split('.')[0] in ('mongosluice', 'beanie', 'bson')))"
    assert run(installed, "-c", look, env=CLEAN).strip() == "[]"
    on = {**CLEAN, "MONGOSLUICE_OFFLOAD": "1"}
    assert "'beanie'" not in run(installed, "-c", look, env=on)
    installed_in = "import beanie; from mongosluice.offload.beanie import patches as ob; print(bool(ob._originals))"
    assert run(installed, "-c", installed_in, env=on).strip() == "True"
    assert run(installed, "-c", installed_in, env=CLEAN).strip() == "False"


def test_the_console_script_and_the_proxy_share_a_name(installed, tmp_path):
    """What the script does not know goes to the next mongosluice on the PATH."""
    script = installed.with_name("mongosluice")
    other = tmp_path / "mongosluice"
    other.write_text("#!/bin/sh\necho the proxy: \"$@\"\n")
    other.chmod(0o755)
    path = os.pathsep.join([str(installed.parent), str(tmp_path), "/usr/bin", "/bin"])
    assert run(script, "check", "--schema", "x", env={**CLEAN, "PATH": path}) == "the proxy: check --schema x\n"
    assert "usage: mongosluice export" in run(script, "export", "--help", env={**CLEAN, "PATH": path})
