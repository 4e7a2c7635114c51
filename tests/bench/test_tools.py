"""Runs each program of scripts/bench.sh and scripts/abuse.sh briefly, to check that it completes and writes its page.
The measured values mean nothing here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build/release"
# Exit status 1 means a missed target, which may happen here; 2 means that a part could not run.
RAN = (0, 1)


def run(program, *arguments):
    done = subprocess.run([sys.executable, str(program), *map(str, arguments)], capture_output=True, text=True,
                          timeout=240, check=False, cwd=HERE.parents[1],
                          env={name: value for name, value in os.environ.items() if name != "SECANTUSD_RS"})
    assert done.returncode in RAN, (program, done.stdout[-2000:], done.stderr[-2000:])
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize(("program", "arguments", "columns"), [
    ("merge_bench.py", ["--servers", "null,py", "--connections", "1,8", "--rounds", 1, "--lone-extra", 0,
                        "--rates", 3000, "--seconds", 0.2, "--warmup", 0.1], "documents a batch"),
    ("enforce_bench.py", ["--servers", "null,py", "--rounds", 2, "--documents", 500], "proxy CPU ns a document"),
    ("hop.py", ["--cases", "ping:1,insert*10:4", "--routes", "direct,mongosluice,validating,merging,TLS,compressed",
                "--rounds", 1, "--seconds", 0.2, "--idle", 100], "proxy CPU µs a command"),
    pytest.param("growth.py", ["--rounds", 1, "--seconds", 0.2, "--connection-counts", 16, "--document-sizes", 100,
                   "--namespace-counts", 10], "CPU µs an insert", marks=pytest.mark.long),
    pytest.param("sharing_bench.py", ["--servers", "null", "--rounds", 1, "--seconds", 0.2, "--cases", "ping:8", "--fleets", 300,
                          "--idle", 300, "--idle-seconds", 1, "--settle", 0.3, "--parts", "throughput,fleets,memory,idle"],
     "÷ session", marks=pytest.mark.long),
    pytest.param("../stress/abuse.py", ["--abuses", "slow senders,random bytes", "--seconds", 0.5, "--rounds", 1,
                            "--scale", 0.02], "÷ usual", marks=pytest.mark.long),
])
def test_it_runs_and_writes_its_page(program, arguments, columns, tmp_path):
    page, report = tmp_path / "page.md", tmp_path / "report.json"
    run(HERE / program, "--build", BUILD, "--markdown", page, "--json", report, *arguments)
    text = page.read_text()
    assert columns in text and text.count("\n| ") >= 3
    assert json.loads(report.read_text())


def test_allocations_are_counted(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Page\n")
    run(HERE / "allocations.py", "--build", BUILD, "--append", page, "--operations", 6000)
    assert "allocations" in page.read_text()


def test_the_schema_bench_runs():
    assert "jsonschema-rs" in run(HERE / "schema_bench.py", "--binary", BUILD / "tests/bench/schema_bench",
                                  "--seconds", 0.01)
