"""mongodb+srv://, with a DNS server in the test's own namespaces."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.proxy_only
SCENE = Path(__file__).parent / "apps" / "srv_scene.py"
NAMESPACES = ["unshare", "--net", "--mount"]


def can_make_namespaces():
    return (os.geteuid() == 0 and shutil.which("unshare") is not None
            and subprocess.run([*NAMESPACES, "true"], capture_output=True).returncode == 0)


def test_a_replica_set_found_by_srv_records():
    if not can_make_namespaces():
        pytest.skip("namespaces of one's own need root")
    done = subprocess.run([*NAMESPACES, sys.executable, SCENE], capture_output=True, text=True,
                          timeout=90)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["setName"] == "simulated"
    assert len(set(seen["me"].values())) == 2
    assert seen["hosts"] == sorted(seen["me"].values())
