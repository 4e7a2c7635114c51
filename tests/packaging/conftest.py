"""The Debian package of this tree, built by `cmake --preset package && cmake --build --preset package`."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def package() -> Path:
    found = sorted((ROOT / "build/package").glob("mongosluice_*.deb"))
    assert len(found) == 1, f"build the package first (build/package has {len(found)} of them)"
    return found[0]


@pytest.fixture(scope="session")
def root(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its files, as they would lie below /."""
    folder = tmp_path_factory.mktemp("root")
    subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    return folder


@pytest.fixture(scope="session")
def program(root: Path) -> Path:
    return root / "usr/bin/mongosluice"
