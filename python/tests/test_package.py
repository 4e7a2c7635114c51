"""The package as it is installed: a wheel in a fresh environment. The wheel is the one that MONGOSLUICE_WHEEL
names (of the source archive, the proxy compiled with it), else it is made from the checkout and the build of it."""

import os
import signal
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import beanie
import pytest

from conftest import PATIENCE_SECONDS, ROOT, completed, listening_port, wait_until

BUILT = Path(os.environ.get("MONGOSLUICE_BUILT", ROOT / "build/release"))
CLEAN = {key: value for key, value in os.environ.items()
         if key not in ("PYTHONPATH", "MONGOSLUICE_OFFLOAD", "MONGOSLUICE_BINARY", "MONGOSLUICE_VALIDATOR")}
WITH_BUILT = {**CLEAN, "MONGOSLUICE_PROXY": str(BUILT)}
PROGRAM = "src/main/mongosluice"
# What is the same whatever the Beanie and the extension is tested once.
once = pytest.mark.skipif(beanie.__version__.startswith("1.") or "MONGOSLUICE_PURE" in os.environ, reason="tested elsewhere")


def run(*command, **more):
    done = completed(*command, **more)
    assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


def copied(folder):
    """python/ alone, as git has it."""
    names = run("git", "-C", ROOT / "python", "ls-files", "--cached", "--others", "--exclude-standard").split()
    for name in names:
        target = folder / "python" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / "python" / name).read_bytes())
    return folder / "python"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    if "MONGOSLUICE_WHEEL" in os.environ:
        return Path(os.environ["MONGOSLUICE_WHEEL"])
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder,
        copied(folder), env=WITH_BUILT)
    return next(folder.glob("*.whl"))


def fresh_environment(folder):
    """The Python of an environment that sees this environment's other packages."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin/python"
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    with open(os.path.join(site, "zz-others.pth"), "w", encoding="utf-8") as others:
        others.write(sysconfig.get_path("purelib") + "\n")
    return python


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The Python of an environment that has the wheel."""
    python = fresh_environment(tmp_path_factory.mktemp("fresh"))
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, env=CLEAN)
    return python


def test_what_the_wheel_holds(wheel):
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        modes = {info.filename: info.external_attr >> 16 for info in packed.infolist()}
        metadata = packed.read(next(name for name in names if name.endswith(".dist-info/METADATA"))).decode()
    assert {"mongosluice-offload.pth", "mongosluice/py.typed", "mongosluice/_native.pyi",
            "mongosluice/_proxy/libmongosluice-validator.so"} <= set(names)
    assert modes["mongosluice/_proxy/mongosluice"] & 0o111
    assert any(name.startswith("mongosluice/_native.") and name.endswith(".so") for name in names)
    assert any(name.endswith("/LICENSE") for name in names)
    assert not any(name.endswith(".c") or name.startswith("tests") for name in names)
    for line in ("Author: The mongosluice authors", "License-Expression: Apache-2.0", "Project-URL: Homepage, https://"):
        assert line in metadata
    assert "Classifier: Programming Language :: Python :: 3.13\n" in metadata


@once
def test_one_licence_and_one_version():
    assert (ROOT / "python/LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    version = run(BUILT / PROGRAM, "--version").split()[1]
    for file, line in (("pyproject.toml", f'version = "{version}"'),
                       ("src/mongosluice/__init__.py", f'__version__ = "{version}"')):
        assert line in (ROOT / "python" / file).read_text().splitlines()


@once
def test_the_source_archive_is_complete(tmp_path):
    folder = copied(tmp_path)
    for part in ("CMakeLists.txt", "config", "include", "src"):
        (tmp_path / part).symlink_to(ROOT / part)
    run(sys.executable, "setup.py", "-q", "sdist", "-d", tmp_path / "dist", cwd=folder)
    with tarfile.open(next((tmp_path / "dist").glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tracked = run("git", "-C", ROOT, "ls-files", "CMakeLists.txt", "config", "include", "src").split()
    assert {f"proxy/{name}" for name in tracked} <= names
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in (".py", ".c", ".h", ".pth", ".toml")
            and "egg-info" not in str(path)} <= names
    assert "LICENSE" in names


@once
def test_what_the_build_misses_is_named(tmp_path):
    """Without the libraries, without the sources: one sentence, and nothing is compiled."""
    folder = copied(tmp_path)

    def build(**environment):
        return completed(sys.executable, "setup.py", "-q", "build_ext", cwd=folder, env={**CLEAN, **environment})

    alone = build()
    assert alone.returncode != 0 and "the proxy's sources are neither in this folder nor beside it" in alone.stderr
    (tmp_path / "src").symlink_to(ROOT / "src")
    bare = build(PKG_CONFIG_LIBDIR=str(tmp_path))
    assert bare.returncode != 0 and "apt-get install libevent-dev libmongoc-dev libbson-dev libssl-dev" in bare.stderr
    assert "libpcre2-8, yaml-0.1, zlib, libzstd" in bare.stderr and "MONGOSLUICE_PROXY=none" in bare.stderr
    wrong = build(MONGOSLUICE_PROXY=str(tmp_path))
    assert wrong.returncode != 0 and f"there is no {tmp_path}/src/main/mongosluice" in wrong.stderr
    assert not list(folder.rglob("*.so"))


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


MODELS = """
from pydantic import BaseModel, Field
class Order(BaseModel):
    customer: str
    total: float = Field(ge=0)
"""


def test_one_command(installed, server, tmp_path):
    """The wheel alone: a proxy that enforces what the same command exported. Another program of the name does not clash."""
    script = installed.with_name("mongosluice")
    other = tmp_path / "mongosluice"
    other.write_text("#!/bin/sh\nexit 7\n")
    other.chmod(0o755)
    environment = {**CLEAN, "PATH": os.pathsep.join([str(installed.parent), str(tmp_path), "/usr/bin", "/bin"])}
    (tmp_path / "models.py").write_text(MODELS)
    run(script, "export", "models:Order=shop.orders", "-o", "schemas", cwd=tmp_path, env=environment)
    assert run(script, "schema", "lint", "schemas/shop.orders.json", cwd=tmp_path, env=environment).endswith(
        ": ok (shop.orders, mongodb)\n")
    assert run(script, "--version", env=environment) == run(installed, "-m", "mongosluice", "--version", env=environment)
    words = run(script, "--help", env=environment)
    assert "--upstream URI" in words and "mongosluice export --help" in words
    assert "usage: mongosluice export" in run(script, "export", "--help", env=environment)
    wrong = completed(script, "check", "--schema", "nowhere", env=environment)
    assert wrong.returncode not in (0, 7)

    command = [script, "--upstream", server, "--listen", "127.0.0.1:0", "--schemas", tmp_path / "schemas"]
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([str(part) for part in command], env=environment, stdout=output, stderr=output)
    try:
        wait_until(lambda: process.poll() is not None or listening_port(log), "the installed proxy listens")
        write = ("import pymongo, sys; orders = pymongo.MongoClient(sys.argv[1]).shop.orders\n"
                 "try: orders.insert_one({'customer': 'x', 'total': -1.0})\n"
                 "except pymongo.errors.WriteError as refused: print(refused.code)")
        uri = f"mongodb://127.0.0.1:{listening_port(log)}/?directConnection=true"
        assert run(installed, "-c", write, uri, env=environment) == "121\n"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0, log.read_text()[-2000:]


@once
def test_without_the_proxy(tmp_path):
    """MONGOSLUICE_PROXY=none: the Python part alone, which says so; another program on the PATH serves."""
    folder = copied(tmp_path)
    environment = {**CLEAN, "PYTHONPATH": str(folder / "src"), "PATH": "/usr/bin:/bin"}
    done = completed(sys.executable, "-m", "mongosluice", "--version", env=environment)
    assert done.returncode == 2 and "this installation has no proxy" in done.stderr
    checked = completed(sys.executable, "-c", "import mongosluice; mongosluice.check({}, {})", env=environment)
    assert "this installation has no validator" in checked.stderr
    other = tmp_path / "mongosluice"
    other.write_text("#!/bin/sh\necho the proxy: \"$@\"\n")
    other.chmod(0o755)
    environment["PATH"] = f"{tmp_path}:/usr/bin:/bin"
    assert run(sys.executable, "-m", "mongosluice", "status", "x", env=environment) == "the proxy: status x\n"


@once
def test_editable(tmp_path):
    """pip install -e: the checkout's files, the proxy in place, and the hook."""
    folder = copied(tmp_path)
    python = fresh_environment(tmp_path / "fresh")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--no-build-isolation", "-e",
        folder, env={**WITH_BUILT, "CC": "false"})  # without the extension, which takes its time
    look = "import beanie; from mongosluice.offload.beanie import patches; print(bool(patches._originals), patches.__file__)"
    assert run(python, "-c", look, env={**CLEAN, "MONGOSLUICE_OFFLOAD": "1"}).strip() == \
        f"True {folder}/src/mongosluice/offload/beanie/patches.py"
    assert run(python, "-c", look, env=CLEAN).startswith("False")
    script = python.with_name("mongosluice")
    assert run(script, "--version", env=CLEAN).startswith("mongosluice 0.1.0")
    assert run(python, "-c", "import mongosluice; print(bool(mongosluice.check({}, {})))", env=CLEAN).strip() == "True"
