"""The folder of schemas while it changes: rewritten under load, swapped as orchestrators do, large, gone
and back; and validators of a server that does not answer."""

import asyncio
import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from pymongo.errors import BulkWriteError, WriteError
from support.process import eventually
from support.schemas import PERSON, in_force, wait_in_force, wait_not_in_force
from support.simulated import SimulatedServer
from support.wire import RawClient, op_msg

pytestmark = pytest.mark.proxy_only


def only(name):
    """A schema that accepts only documents with kind `name`."""
    return {"required": ["kind"], "properties": {"kind": {"enum": [name, "both"]}}}


def insert(documents):
    return op_msg({"insert": "c", "$db": "d", "ordered": False}, {"documents": documents})


def refused_of(reply):
    return [one["index"] for one in reply.body.get("writeErrors", [])]


MIXED = [{"kind": kind} for kind in ("a", "b", "both", "none")] * 25


@pytest.mark.long
def test_rewritten_under_load(simulated, simulated_guard, folder):
    """Each command is judged by one version as a whole, and at the end by the last one."""
    proxy = simulated_guard(only("a"), {"threads": 2})
    where = proxy.endpoint()
    by_version = {name: [i for i, one in enumerate(MIXED) if one["kind"] not in (name, "both")]
                  for name in "ab"}
    end, seen = threading.Event(), []

    def write():
        with RawClient(where) as client:
            while not end.is_set():
                seen.append(refused_of(client.ask(insert(MIXED))))

    with ThreadPoolExecutor(6) as pool:
        writers = [pool.submit(write) for _ in range(6)]
        for number in range(60):
            path = folder.file_of("d.c")
            text = json.dumps({"ns": "d.c", "schema": only("ab"[number % 2])})
            if number % 3:  # in place, as some editors do; else by a new file that replaces the old one
                path.write_text(text)
            else:
                (folder.path / ".new").write_text(text)
                os.replace(folder.path / ".new", path)
            time.sleep(0.1)
        end.set()
        for writer in writers:
            writer.result()
    assert all(one in by_version.values() for one in seen)
    assert [seen.count(one) > 0 for one in by_version.values()] == [True, True]
    with RawClient(where) as client:
        eventually(lambda: refused_of(client.ask(insert(MIXED))) == by_version["b"], "the last one")


def test_written_twice_in_one_tick_of_the_clock(simulated, simulated_guard, folder):
    """Same length, same time, same file: the proxy notices the second one all the same."""
    proxy = simulated_guard(only("a"))
    path = folder.file_of("d.c")
    with RawClient(proxy.endpoint()) as client:
        assert refused_of(client.ask(insert([{"kind": "b"}]))) == [0]
        before = path.stat()
        path.write_text(path.read_text().replace('"a"', '"b"'))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert path.stat().st_size == before.st_size
        eventually(lambda: refused_of(client.ask(insert([{"kind": "b"}]))) == [], "the second one")


def test_a_file_that_is_touched_is_no_news(simulated, simulated_guard, folder):
    proxy = simulated_guard(only("a"))
    proxy.endpoint()
    for _ in range(5):
        os.utime(folder.file_of("d.c"))
        time.sleep(0.15)
    folder.write("d.other")
    proxy.wait_for_record("the other one", id=3002, ns="d.other")
    assert sum(one["id"] == 3002 and one["attr"]["ns"] == "d.c" for one in proxy.records()) == 1


@pytest.mark.long
def test_two_thousand_files(start_proxy, simulated, folder):
    for number in range(2000):
        folder.write(f"d.c{number}", {**PERSON, "title": f"number {number}"})
    proxy = start_proxy(f"mongodb://{simulated.address}/", {"schemas": folder.path})
    bad = {"_id": 1, "name": ""}

    def judged(client, number):
        reply = client.ask(op_msg({"insert": f"c{number}", "$db": "d"}, {"documents": [bad]})).body
        return [one["errInfo"]["details"]["title"] for one in reply.get("writeErrors", [])]

    with RawClient(proxy.endpoint()) as client:
        assert len(client.command({"mongosluice": 1})["schemas"]) == 2000
        for number in range(0, 2000, 97):
            assert judged(client, number) == [f"number {number}"]
        folder.write("d.c777", {**PERSON, "title": "another"})
        eventually(lambda: judged(client, 777) == ["another"], "one of them changes")
        for number in range(0, 2000, 2):
            folder.remove(f"d.c{number}")
        eventually(lambda: len(client.command({"mongosluice": 1})["schemas"]) == 1000, "half go")
        assert judged(client, 776) == [] and judged(client, 1999) == ["number 1999"]
        # while the proxy reads them, it accepts new clients
        for _ in range(20):
            with RawClient(proxy.endpoint()) as other:
                assert other.hello()["ok"] == 1


def mount(folder, version, files):
    """Mounted like a ConfigMap: files are links through ..data, which is swapped as a whole."""
    inner = folder / f"..{version}"
    inner.mkdir()
    for ns, schema in files.items():
        (inner / f"{ns}.json").write_text(json.dumps({"ns": ns, "schema": schema}))
    (folder / "..data_new").symlink_to(inner.name)
    os.replace(folder / "..data_new", folder / "..data")
    for ns in files:
        link = folder / f"{ns}.json"
        if not link.is_symlink():
            link.symlink_to(f"..data/{ns}.json")
    for link in folder.glob("*.json"):
        if link.stem not in files:
            link.unlink()


def test_swapped_as_a_config_map(start_proxy, simulated, tmp_path):
    folder = tmp_path / "mounted"
    folder.mkdir()
    mount(folder, 1, {"d.c": only("a"), "d.gone": only("a")})
    proxy = start_proxy(f"mongodb://{simulated.address}/", {"schemas": folder})
    with RawClient(proxy.endpoint()) as client:
        assert refused_of(client.ask(insert([{"kind": "a"}, {"kind": "b"}]))) == [1]
        mount(folder, 2, {"d.c": only("b"), "d.new": only("b")})
        eventually(lambda: refused_of(client.ask(insert([{"kind": "a"}, {"kind": "b"}]))) == [0],
                   "the second version")
        names = eventually(lambda: (found := [one["ns"] for one in
                                              client.command({"mongosluice": 1})["schemas"]])
                           and "d.gone" not in found and "d.new" in found and found, "all of it")
        assert names == ["d.c", "d.new"]
    assert not [one for one in proxy.records() if one["id"] == 3003]


def test_the_folder_goes_and_comes_back(guarded, folder, ns):
    """The loaded schemas stay in force meanwhile: a lost mount does not permit anything."""
    proxy, client, people = guarded
    aside = folder.path.with_name("aside")
    folder.path.rename(aside)
    proxy.wait_for_record("the missing folder", id=3004, s="E")
    with pytest.raises(WriteError):
        people.insert_one({"_id": 1})
    aside.rename(folder.path)
    folder.write(ns, only("a"))
    eventually(lambda: not fails(people, {"kind": "a"}), "the folder is read again")
    assert fails(people, {"kind": "b"})
    assert sum(one["id"] == 3004 for one in proxy.records()) == 1
    for path in folder.path.iterdir():
        path.unlink()
    wait_not_in_force(client, ns)


def fails(collection, document):
    try:
        collection.insert_one(document)
    except WriteError as error:
        assert error.code == 121
        return True
    return False


def test_what_is_no_schema_file_is_left_alone(guarded, folder, ns):
    proxy, client, _ = guarded
    (folder.path / "README.txt").write_text("not JSON")
    (folder.path / ".hidden.json").write_text("not JSON")
    (folder.path / "folder.json").mkdir()
    folder.write(f"{ns}2")
    wait_in_force(client, f"{ns}2")
    assert not [one for one in proxy.records() if one["id"] == 3003]


def test_a_link_to_nothing_is_reported_once_and_read_when_it_leads_somewhere(guarded, folder, ns):
    proxy, client, _ = guarded
    link = folder.path / "link.json"
    link.symlink_to("elsewhere")
    broken = proxy.wait_for_record("it is reported", id=3003)
    assert broken["attr"]["file"] == str(link) and "No such file" in broken["attr"]["error"]
    folder.write(f"{ns}2")
    wait_in_force(client, f"{ns}2")
    assert sum(one["id"] == 3003 for one in proxy.records()) == 1
    (folder.path / "elsewhere").write_text(json.dumps({"ns": f"{ns}3", "schema": PERSON}))
    wait_in_force(client, f"{ns}3")


def test_a_renamed_file_and_a_changed_namespace(guarded, folder, ns):
    _, client, people = guarded
    folder.file_of(ns).rename(folder.path / "another.json")
    time.sleep(0.3)
    assert fails(people, {"_id": 1}) and in_force(client, ns)
    (folder.path / "another.json").write_text(json.dumps({"ns": f"{ns}x", "schema": PERSON}))
    wait_in_force(client, f"{ns}x")
    assert in_force(client, ns) is None and not fails(people, {"_id": 1})


def test_of_two_files_for_a_namespace_the_other_takes_over(guarded, folder, ns):
    proxy, client, people = guarded
    (folder.path / "zz.json").write_text(json.dumps({"ns": ns, "schema": only("a")}))
    proxy.wait_for_record("the conflict", id=3003)
    assert fails(people, {"kind": "a"})
    folder.remove(ns)
    eventually(lambda: not fails(people, {"kind": "a"}), "the other one")
    assert fails(people, {"kind": "b"})


@pytest.mark.long
def test_ending_while_files_change(start_proxy, simulated, folder):
    for number in range(300):
        folder.write(f"d.c{number}")
    for turn in range(5):
        proxy = start_proxy(f"mongodb://{simulated.address}/", {"schemas": folder.path})
        proxy.endpoint()
        for number in range(300):
            folder.write(f"d.c{number}", only("ab"[turn % 2]))
        proxy.process.send(signal.SIGHUP)
        proxy.process.send(signal.SIGTERM)
        assert proxy.process.wait() == 0


async def _never(server, connection, request):
    await asyncio.Event().wait()


@pytest.mark.parametrize("silent", ["listDatabases", "listCollections"])
def test_a_server_that_does_not_tell_its_validators(start_proxy, silent):
    """Clients do not wait for it, and neither does the shutdown."""
    handlers = {"listDatabases": lambda *_: {"databases": [{"name": f"db{i}"} for i in range(50)],
                                             "ok": 1.0}, silent: _never}
    with SimulatedServer(handlers) as server:
        proxy = start_proxy(f"mongodb://{server.address}/", {"schemas_upstream": "true"})
        with RawClient(proxy.endpoint()) as client:
            assert client.command({"ping": 1})["ok"] == 1
            server.wait_for_request(silent)
            assert client.ask(insert([{"kind": "a"}])).body["n"] == 1
        proxy.process.send(signal.SIGTERM)
        assert proxy.process.wait(15) == 0


def test_a_validator_and_a_file_for_one_namespace(start_proxy, server, folder, ns):
    """The file has precedence; without it the collection's own validator comes into force."""
    database, _, name = ns.partition(".")
    with server.endpoint.client() as direct:
        direct[database].create_collection(name, validator={"$jsonSchema": only("a")},
                                           validationAction="warn")
        folder.write(ns, only("b"))
        proxy = start_proxy(server.endpoint.uri(), {"schemas": folder.path, "schemas_upstream": "true"},
                            endpoint=server.endpoint)
        with proxy.endpoint().client() as client:
            assert wait_in_force(client, ns)["origin"] == "file"
            assert fails(client[database][name], {"kind": "a"})
            folder.remove(ns)
            entry = wait_in_force(client, ns, origin="collection")
            assert entry["action"] == "warn"
            assert not fails(client[database][name], {"kind": "b"})
            folder.write(ns, only("b"))
            wait_in_force(client, ns, origin="file")
            with pytest.raises(BulkWriteError):
                client[database][name].insert_many([{"kind": "a"}])
        direct[database].drop_collection(name)
