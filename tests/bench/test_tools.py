"""Runs each program of scripts/bench.sh and scripts/abuse.sh briefly, to check that it completes and writes its page.
The measured values mean nothing here."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import given
import pymongo
import pytest
import rig

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build/release"
# Exit status 1 means a missed target, which may happen here; 2 means that a part could not run.
RAN = (0, 1)


def run(program, *arguments, may_end=RAN):
    done = subprocess.run([sys.executable, str(program), *map(str, arguments)], capture_output=True, text=True,
                          timeout=240, check=False, cwd=HERE.parents[1],
                          env={name: value for name, value in os.environ.items() if name != "SECANTUSD_RS"})
    assert done.returncode in may_end, (program, done.stdout[-2000:], done.stderr[-2000:])
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    return done.stdout + done.stderr if may_end is not RAN else done.stdout


@pytest.mark.parametrize(("program", "arguments", "columns"), [
    ("merge_bench.py", ["--servers", "standin,null", "--connections", "8", "--light-connections", "1", "--rounds", 1, "--lone-extra", 0,
                        "--light-rounds", 1, "--placements", "shared", "--variants", "retryable", "--rates", 3000, "--seconds", 0.1,
                        "--warmup", 0.05], "server's CPU µs an insert"),
    pytest.param("enforce_bench.py", ["--servers", "null,py", "--rounds", 2, "--documents", 500], "proxy CPU ns a document",
                 marks=pytest.mark.long),
    ("hop.py", ["--cases", "ping:1,insert*10:4", "--routes", "direct,mongosluice,validating,merging,TLS,compressed",
                "--rounds", 1, "--seconds", 0.1, "--idle", 100], "proxy CPU µs a command"),
    pytest.param("hop.py", ["--cases", "", "--routes", "direct,mongosluice,direct TLS,TLS,TLS both sides", "--rounds", 1, "--seconds", 0.1,
                            "--idle", 0, "--dials"], "connections/s", marks=pytest.mark.long),
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


@pytest.mark.long
def test_allocations_are_counted(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Page\n")
    run(HERE / "allocations.py", "--build", BUILD, "--append", page, "--operations", 6000)
    assert "allocations" in page.read_text()


@pytest.mark.long
def test_the_schema_bench_runs():
    assert "jsonschema-rs" in run(HERE / "schema_bench.py", "--binary", BUILD / "tests/bench/schema_bench",
                                  "--seconds", 0.01)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A SecantusDB that runs already: (URI, process ID)."""
    folder = tmp_path_factory.mktemp("server")
    port = rig.free_port()
    (folder / "empty.toml").touch()
    process = subprocess.Popen([rig.secantus_program("py"), "--config", folder / "empty.toml", "--port", str(port), "--storage-path",
                                folder / "data", "--log-level", "ERROR"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 30
        while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.05)
        yield f"mongodb://127.0.0.1:{port}/?directConnection=true", process.pid
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize(("program", "arguments"), [
    pytest.param("merge_bench.py", ["--connections", 2, "--variants", "plain", "--write-concerns", "majority", "--rounds", 1,
                                    "--seconds", 0.1, "--warmup", 0, "--rates", ""], marks=pytest.mark.long),
    ("hop.py", ["--cases", "ping:2", "--rounds", 1, "--seconds", 0.1, "--idle", 0]),
    pytest.param("enforce_bench.py", ["--rounds", 1, "--documents", 20], marks=pytest.mark.long),
])
def test_a_server_that_runs_already_is_measured_and_left_as_it_was(program, arguments, server, tmp_path):
    page = tmp_path / "page.md"
    run(HERE / program, "--build", BUILD, "--server", server[0], "--markdown", page, *arguments)
    text = page.read_text()
    assert server[0].split("/")[2] in text and "unknown" not in text
    with pymongo.MongoClient(server[0]) as client:
        assert "bench" not in client.list_database_names()


def test_a_servers_process_is_found_by_its_port(server):
    uri, pid = server
    found = given.GivenServer(uri)
    assert (found.pid, found.cpu_reason) == (pid, None)
    assert given.GivenServer(uri, os.getpid()).pid == os.getpid()
    assert not given.is_local("203.0.113.1") and given.is_local("localhost")
    assert given.find_process(rig.free_port()) is None


@pytest.mark.parametrize(("uri", "words"), [
    ("redis://127.0.0.1/", "not the URI of a MongoDB server"),
    ("mongodb://ada:secret@127.0.0.1/", "does not log in"),
    ("mongodb://127.0.0.1/?tls=true", "asks for TLS"),
])
def test_a_uri_that_cannot_be_used_is_refused(uri, words):
    with pytest.raises(given.Unusable, match=words) as refused:
        given.GivenServer(uri)
    assert "secret" not in str(refused.value)


def test_a_server_with_such_a_database_is_refused(server):
    with pymongo.MongoClient(server[0]) as client:
        client.bench.items.insert_one({})
        said = run(HERE / "hop.py", "--build", BUILD, "--server", server[0], may_end=(2,))
        assert "has a database 'bench'" in said and client.bench.items.count_documents({}) == 1
        client.drop_database("bench")
    with pytest.raises(given.Unusable, match="no such process"):
        given.GivenServer(server[0], 2**22 + 1)


@pytest.mark.parametrize(("arguments", "words"), [
    (["--server-pid", 1], "names the process of a server"),
    (["--servers", "rs,redis"], "'redis' is none of"),
    (["--connections", "1,x"], "is not a list of numbers"),
])
def test_a_wrong_option_is_named(arguments, words):
    assert words in run(HERE / "merge_bench.py", *arguments, may_end=(2,))


def test_the_pages_begin_with_the_figures_that_were_taken_elsewhere():
    """What a program writes before its own figures (tests/bench/lead) is what its page has."""
    for lead in rig.LEADS.iterdir():
        page = (HERE.parents[1] / "docs/benchmarks" / lead.name).read_text()
        assert page.partition("\n\n")[2].startswith(lead.read_text().strip()), lead.name


def test_a_ratio_to_nothing_is_no_number():
    def ratio(ones, others):
        return rig.ratio_text(rig.ratio_of(ones, others, float))

    assert ratio([3, 8, 5], [2, 2, 2]) == "2.50 (1.50–4.00)"
    assert ratio([3, 8], [2, 0]) == "–" and ratio([0, 0], [2, 2]) == "0.00 (0.00–0.00)"


def test_pages_and_options_of_the_script():
    for arguments, words in ((["--page", "hop,nothing"], "no such page: nothing"), (["--page"], "--page needs a value"),
                             (["--fast"], "no such option: --fast"), (["--server", "mongodb://a/"], "--server needs --out")):
        done = subprocess.run([HERE.parents[1] / "scripts/bench.sh", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 1 and words in done.stderr, done.stderr
