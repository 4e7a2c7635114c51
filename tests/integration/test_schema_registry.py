"""A registry of schemas in MongoDB: changes by the command line, proxies that follow it, outages, garbage in it,
and concurrent changes."""

import datetime
import json
import os
import re
import signal
import threading

import bson
import pytest
from bson import Int64, json_util
from pymongo import MongoClient
from pymongo.errors import WriteError
from support.admin import Admin
from support.process import eventually
from support.proxy import Proxy, run_proxy
from support.registry import (AWAY, BACK, CONFLICT, DOCUMENT_BROKEN, FAILED, REFUSED, SILENT, Registry, schema_of,
                              wait_state)
from support.schemas import Folder, in_force, wait_in_force, wait_not_in_force

pytestmark = pytest.mark.proxy_only


@pytest.fixture
def registry(server, collection_name, tmp_path):
    return Registry(server.endpoint, f"fleet.{collection_name}", tmp_path / "pushed")


@pytest.fixture
def follow(start_proxy, server, registry, tmp_path):
    """follow(…) returns (proxy, admin) of a proxy that follows the registry into a folder of its own."""
    count = 0

    def start(folder=None, **options):
        nonlocal count
        count += 1
        folder = folder or Folder(tmp_path / f"schemas{count}")
        proxy = start_proxy(server.endpoint.uri(), registry.options(folder.path, **options),
                            endpoint=server.endpoint)
        return proxy, Admin(proxy), folder
    return start


def collection(client, ns):
    database, _, name = ns.partition(".")
    return client[database][name]


def accepts(client, ns, value):
    try:
        collection(client, ns).insert_one({"v": value})
        return True
    except WriteError as error:
        assert error.code == 121
        return False


def documents(registry):
    client = MongoClient(registry.endpoint.uri())
    database, _, name = registry.ns.partition(".")
    return client, client[database][name]


def test_a_push_is_enforced(registry, follow, ns):
    registry.push(ns, schema_of(1))
    proxy, admin, folder = follow(**{"admin.write": "true"})
    with proxy.endpoint().client() as client:
        wait_in_force(client, ns)
        assert accepts(client, ns, 1) and not accepts(client, ns, 2)
        other = ns + "2"
        registry.push(other, schema_of(2))
        wait_in_force(client, other)
        assert not accepts(client, other, 1)
    state = wait_state(admin, namespaces=2, mode="change stream", error="", problem_count=0, lag_ms=lambda lag: lag is not None)
    assert state["lag_ms"] >= 0 and state["contact_ms_ago"] < 10000
    assert admin.json("/readyz")["registry"]["mode"] == "change stream"
    shown = run_proxy("status", "--admin", admin.address)[1]
    assert re.search(rf"registry +{registry.ns} +change stream +2 namespaces +0 with problems", shown), shown
    for method in ("PUT", "DELETE"):
        answer = admin.ask(method, f"/schemas/{ns}", body=b"{}")
        assert answer.status == 409 and "schema push" in answer.json()["error"]
    assert admin.metrics()["mongosluice_schema_registry_up"] == 1
    assert sorted(path.name for path in folder.path.glob("*.json")) == [f"{ns}.json", f"{other}.json"]


def test_versions_side_by_side(registry, follow, ns):
    """push, promote, retire and rollback, as a deployment uses them; the history records author and time."""
    registry.push(ns, schema_of(1), "--by", "ada", "--note", "the first")
    proxy, _, _ = follow()
    with proxy.endpoint().client() as client:
        wait_in_force(client, ns)
        registry.push(ns, schema_of(2), "--allow-incompatible", "--by", "grace", "--name", "second")
        eventually(lambda: accepts(client, ns, 2), "version 2 is accepted")
        assert accepts(client, ns, 1) and not accepts(client, ns, 3)
        registry.do("retire", ns, "1")
        eventually(lambda: not accepts(client, ns, 1), "version 1 is retired")
        assert accepts(client, ns, 2)
        registry.push(ns, schema_of(3), "--candidate")
        assert "no version '9'" in registry.do("promote", ns, "9", code=REFUSED)
        registry.do("promote", ns)
        eventually(lambda: accepts(client, ns, 3), "the candidate was promoted")
        assert accepts(client, ns, 2)
        registry.do("rollback", ns, "2")
        eventually(lambda: accepts(client, ns, 1), "revision 2 is back")
        assert accepts(client, ns, 2) and not accepts(client, ns, 3)
        registry.do("retire", ns, "--all")
        wait_not_in_force(client, ns)
        assert accepts(client, ns, 99)
    history = registry.json("history", ns)
    assert [step["action"] for step in history] == ["push", "push", "retire", "push candidate", "promote",
                                                    "rollback", "retire"]
    assert [step["by"] for step in history[:2]] == ["ada", "grace"]
    assert history[0]["note"] == "the first"
    assert [step["revision"] for step in history] == list(range(1, 8))
    shown = registry.json("show", ns)
    assert [version["version"] for version in shown["versions"]] == [1, 2, 3]
    assert shown["versions"][1]["name"] == "second" and shown["state"]["accepted"] == []
    assert json_util.loads(registry.do("show", ns, "second")) == schema_of(2)


def test_a_version_for_a_time(registry, follow, ns):
    registry.push(ns, schema_of(1))
    proxy, _, _ = follow()
    with proxy.endpoint().client() as client:
        registry.push(ns, schema_of(2), "--allow-incompatible", "--keep", "2s")
        eventually(lambda: accepts(client, ns, 2), "version 2 is accepted")
        eventually(lambda: not accepts(client, ns, 1), "version 1 has ended")
    assert accepts_now(registry, ns) == [2, 1]
    registry.push(ns, schema_of(3), "--allow-incompatible")  # an ended version is not carried on
    assert accepts_now(registry, ns) == [3, 2]


def accepts_now(registry, ns):
    return [one["version"] for one in registry.json("show", ns)["state"]["accepted"]]


def test_polling_a_standalone(standalone_server, start_proxy, collection_name, tmp_path, ns):
    registry = Registry(standalone_server.endpoint, f"fleet.{collection_name}", tmp_path / "pushed")
    registry.push(ns, schema_of(1))
    folder = Folder(tmp_path / "schemas")
    proxy = start_proxy(standalone_server.endpoint.uri(), registry.options(folder.path),
                        endpoint=standalone_server.endpoint)
    admin = Admin(proxy)
    with proxy.endpoint().client() as client:
        wait_in_force(client, ns)
        registry.push(ns + "2", schema_of(1))
        wait_in_force(client, ns + "2")
        registry.push(ns, schema_of(2), "--allow-incompatible")
        eventually(lambda: accepts(client, ns, 2), "version 2 is accepted")
        registry.do("retire", ns, "--all")
        wait_not_in_force(client, ns)
    wait_state(admin, mode="polling", namespaces=1, error="")


def test_away_at_the_start_and_in_the_middle(start_server, start_proxy, server, tmp_path, ns):
    """The last known schemas are enforced, also by a proxy that starts during an outage of the registry."""
    (tmp_path / "registry").mkdir()
    holder = start_server(folder="registry")
    registry = Registry(holder.endpoint, "fleet.schemas", tmp_path / "pushed")
    registry.push(ns, schema_of(1))
    folder = Folder(tmp_path / "schemas")
    options = registry.options(folder.path)
    first = start_proxy(server.endpoint.uri(), options, endpoint=server.endpoint)
    with first.endpoint().client() as client:
        wait_in_force(client, ns)
        holder.process.stop()
        first.wait_for_record("the registry is away", id=AWAY)
        state = wait_state(Admin(first), mode="away", namespaces=1)
        assert state["loaded"] and "cannot be" in state["error"]
        assert Admin(first).get("/readyz").status == 200
        assert Admin(first).metrics()["mongosluice_schema_registry_up"] == 0
        assert not accepts(client, ns, 2)
    first.finish()
    second = start_proxy(server.endpoint.uri(), options, endpoint=server.endpoint)
    with second.endpoint().client() as client:
        assert in_force(client, ns) and not accepts(client, ns, 2)
        assert Admin(second).get("/readyz").status == 200
        second.wait_for_record("the registry is away", id=AWAY)
        start_server(folder="registry", port=holder.port)
        second.wait_for_record("the registry is back", id=BACK)
        registry.push(ns, schema_of(2), "--allow-incompatible")
        eventually(lambda: accepts(client, ns, 2), "version 2 is accepted")


def test_nothing_is_known_yet(registry, follow, ns):
    """An empty registry, or an unused name: the proxy is not ready before the registry has a schema."""
    _, admin, _ = follow()
    wait_state(admin, loaded=False, error=lambda error: "empty or missing" in error)
    answer = admin.get("/readyz")
    assert answer.status == 503 and "empty or missing" in answer.json()["reason"]
    registry.push(ns, schema_of(1))
    wait_state(admin, loaded=True, error="")
    assert admin.get("/readyz").status == 200


def test_a_registry_that_is_emptied(registry, follow, ns):
    """A removed document ends no schema: only `retire --all` does."""
    registry.push(ns, schema_of(1))
    registry.push(ns + "2", schema_of(1))
    proxy, admin, _ = follow()
    client, raw = documents(registry)
    with client, proxy.endpoint().client() as clients:
        wait_in_force(clients, ns)
        raw.delete_one({"_id": ns})
        state = wait_state(admin, problem_count=1)
        assert state["problems"][0]["ns"] == ns and "has lost its document" in state["problems"][0]["reason"]
        raw.drop()
        wait_state(admin, error=lambda error: "empty or missing" in error)
        assert not accepts(clients, ns, 2) and not accepts(clients, ns + "2", 2)
        assert admin.get("/readyz").status == 200
        registry.push(ns, schema_of(2))  # a new history
        eventually(lambda: accepts(clients, ns, 2), "the new version 1 is accepted")


def test_wrong_credentials(secure_server, server, start_proxy, tmp_path, ns):
    endpoint = secure_server.endpoint
    uri = endpoint.uri().replace(endpoint.uri().split("//")[1].split("@")[0], "ada:not-the-password")
    registry = Registry(endpoint, "fleet.secure", tmp_path / "pushed")
    folder = Folder(tmp_path / "schemas")
    proxy = start_proxy(server.endpoint.uri(), registry.options(folder.path, schemas_registry_uri=uri),
                        endpoint=server.endpoint)
    proxy.secrets.append("not-the-password")
    proxy.wait_for_record("the registry refuses", id=AWAY,
                          cause=lambda cause: cause and "uthentication" in cause)
    answer = Admin(proxy).get("/readyz")
    assert answer.status == 503 and "uthentication" in answer.json()["reason"]
    assert "not-the-password" not in Admin(proxy).get("/config").body.decode()
    code, out, err = registry.run("list", uri=uri)
    assert code == FAILED and "uthentication" in err and "not-the-password" not in out + err
    registry.push(ns, schema_of(1))  # with the right credentials, over TLS
    assert registry.json("list")[0]["ns"] == ns


GARBAGE = {
    "a string": {"_id": "garbage"},
    "no namespace": {"_id": 5},
    "half of it": {"_id": "half.of", "format": 1, "revision": Int64(1)},
    "another format": {"format": 2},
    "a version that is not there": {"state": {"level": "strict", "action": "error", "unproved": "allow",
                                              "allow_bypass": True, "accepted": [{"version": 7}]}},
    "a number as the schema": {"versions": [{"version": 1, "schema": 5}]},
    "a revision that is text": {"revision": "2"},
}


def good_document(raw, ns, **change):
    document = raw.find_one({"_id": ns})
    return {**document, **change}


def text_of(document, text, sha=None):
    version = {**document["versions"][0], "schema": text}
    if sha is not None:
        version["hash"] = sha
    return {**document, "versions": [version]}


def test_documents_that_cannot_be_used(registry, follow, ns):
    """A collection without a $jsonSchema of its own lets everything in; the proxy takes none of it, says
    what is wrong, and keeps what was good."""
    registry.push(ns, schema_of(1))
    proxy, admin, folder = follow()
    client, raw = documents(registry)
    with client, proxy.endpoint().client() as clients:
        wait_in_force(clients, ns)
        client[raw.database.name].command("collMod", raw.name, validator={})
        good = raw.find_one({"_id": ns})
        for what, change in GARBAGE.items():
            bad = {**good, "revision": Int64(99), **change} if "_id" not in change else change
            if bad["_id"] == ns:
                raw.replace_one({"_id": ns}, bad)
            else:
                raw.insert_one(bad)
            state = wait_state(admin, what, problem_count=1)
            assert state["problems"][0]["reason"], what
            assert not accepts(clients, ns, 2), what
            raw.delete_many({"_id": {"$ne": ns}})
            raw.replace_one({"_id": ns}, good)
            wait_state(admin, f"after {what}", problem_count=0)
        broken = {"no JSON": "{", "two objects": '{"a": 1}, "ns": "other.place"', "an array": "[1]", "a NUL": "{}\0",
                  "another schema": '{"required": ["w"]}', "no schema": '{"nonsense": 1}',
                  "out of its place": '{}, "level": "off", "x": {}'}
        for what, text in broken.items():
            raw.replace_one({"_id": ns}, {**text_of(good, text), "revision": Int64(50)})
            wait_state(admin, what, problem_count=1)
            assert not accepts(clients, ns, 2), what
            raw.replace_one({"_id": ns}, good)
            wait_state(admin, f"after {what}", problem_count=0)
    proxy.wait_for_record("a document that cannot be used", id=DOCUMENT_BROKEN)
    assert [path.name for path in folder.path.glob("*.json")] == [f"{ns}.json"]


def test_names_that_lead_out_of_the_folder(registry, follow, ns, tmp_path):
    registry.push(ns, schema_of(1))
    proxy, admin, folder = follow()
    client, raw = documents(registry)
    wait_state(admin, namespaces=1)
    with client:
        client[raw.database.name].command("collMod", raw.name, validator={})
        good = raw.find_one({"_id": ns})
        names = ["../evil.x", "..", "../..", "/etc/evil.x", "a/../../evil.x", "db.\0x", "db\0.x", ".hidden.x", "db.",
                 ".x", "", "x" * 64 + ".y", "db." + "y" * 300, "sub/dir.x", "db\\x.y", "d b.x", "db.../../evil"]
        raw.insert_many([{**good, "_id": name} for name in names])
        state = wait_state(admin, problem_count=len(names))
        assert all(problem["reason"] for problem in state["problems"])
        # MongoDB allows these as names of collections
        odd = ["db.a/../../evil", "db.a/b", "db.a b", "db.ä%2F", "db.a\nb", 'db."q"', "db." + "ü" * 80]
        raw.insert_many([{**good, "_id": name} for name in odd])
        wait_state(admin, namespaces=len(odd))  # the last one is too long for a file name
    files = sorted(os.listdir(folder.path))
    assert not [name for name in files if name.startswith(".") and not name.startswith(".registry")]
    assert sorted(path.name for path in tmp_path.rglob("*evil*")) == sorted(
        path.name for path in folder.path.glob("*evil*"))
    for path in folder.path.glob("*.json"):
        assert json.loads(path.read_text())["ns"] in [ns, *odd], path
    assert len(list(folder.path.glob("*.json"))) == len(odd)


def test_the_collection_holds_its_documents(registry, ns):
    """The registry's own $jsonSchema is in the server, for both collections."""
    registry.push(ns, schema_of(1))
    client, raw = documents(registry)
    with client:
        for change in GARBAGE.values():
            if "_id" in change or "state" in change:
                continue  # rules that a $jsonSchema cannot express; the proxies report violations
            with pytest.raises(WriteError) as refused:
                raw.replace_one({"_id": ns}, {**raw.find_one({"_id": ns}), **change, "_id": ns})
            assert refused.value.code == 121
        with pytest.raises(WriteError):
            raw.database[f"{raw.name}.proxies"].insert_one({"_id": "x"})


def test_pushes_at_once(registry, ns):
    """Of concurrent changes each is stored whole, or its author receives an error."""
    registry.push(ns, schema_of(0))
    files = [registry.file(ns, schema_of(number)) for number in range(1, 9)]
    codes = {}

    def push(path):
        codes[path] = registry.run("push", "--allow-incompatible", path)[0]

    threads = [threading.Thread(target=push, args=(path,)) for path in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = [path for path, code in codes.items() if code == 0]
    assert set(codes.values()) <= {0, CONFLICT} and stored
    shown = registry.json("show", ns)
    assert shown["revision"] == 1 + len(stored)
    texts = [version["schema"] for version in shown["versions"]]
    assert len(texts) == 1 + len(stored)
    for path in stored:
        assert json.loads(path.read_text())["schema"]["properties"] is not None
    # and a change that was prepared for an outdated revision
    assert "is at revision" in registry.do("push", "--revision", "1", files[0], code=CONFLICT)
    assert "is at revision" in registry.do("retire", "--revision", "1", ns, "--others", code=CONFLICT)


def test_killed_while_it_writes(registry, follow, ns, tmp_path, server):
    """Each file is whole, whenever the proxy is killed, and missed changes are there after a start."""
    names = [f"{ns}{number}" for number in range(40)]
    folder = Folder(tmp_path / "killed")
    pushed = tmp_path / "many"
    pushed.mkdir()
    for round_number in range(4):
        for name in names:
            (pushed / f"{name}.json").write_text(json.dumps({"ns": name, "schema": schema_of(round_number)}))
        proxy = Proxy(server.endpoint.uri(), registry.options(folder.path), endpoint=server.endpoint)
        try:
            proxy.wait_for_record("it listens", id=1073)
            pusher = threading.Thread(target=registry.do,
                                      args=("push", "--allow-incompatible", "--retire-others", pushed))
            pusher.start()
            proxy.wait_for_record("a schema is taken over", id=3021)
            proxy.process.send(signal.SIGKILL)
            pusher.join()
        finally:
            proxy.process.kill()
        for path in folder.path.glob("*.json"):
            assert json.loads(path.read_text())["ns"] in names
        listed = set((folder.path / ".registry").read_text().splitlines())
        assert {path.name for path in folder.path.glob("*.json")} <= listed
    proxy, admin, _ = follow(folder)
    wait_state(admin, namespaces=len(names), problem_count=0, mode="change stream")
    for name in names:
        assert json.loads(folder.file_of(name).read_text())["schema"] == schema_of(3)


def test_the_folder_of_a_proxy(registry, follow, ns, tmp_path):
    """A file that stood there is kept aside; a file that goes comes back; a folder that goes is reported,
    and filled again."""
    folder = Folder(tmp_path / "schemas")
    folder.write(ns, schema_of(7))
    folder.write("own.one", schema_of(7))
    registry.push(ns, schema_of(1))
    proxy, admin, _ = follow(folder)
    with proxy.endpoint().client() as client:
        eventually(lambda: accepts(client, ns, 1), "the registry's schema is in force")
        kept = json.loads((folder.path / f"{ns}.json.replaced").read_text())
        assert kept["schema"]["properties"]["v"]["enum"] == [{"$numberInt": "7"}]
        assert not accepts(client, "own.one", 1)
        moved = folder.path.with_name("moved")
        folder.path.rename(moved)
        registry.push(ns, schema_of(2), "--allow-incompatible")
        wait_state(admin, error=lambda error: "schemas" in error)
        assert not accepts(client, ns, 3)
        folder.path.mkdir()
        (moved / "own.one.json").rename(folder.path / "own.one.json")
        eventually(lambda: accepts(client, ns, 2), "version 2 is accepted")
        wait_state(admin, error="", namespaces=1)
        folder.path.joinpath("another.json").write_text(json.dumps({"ns": f"{ns}x", "schema": schema_of(7)}))
        wait_in_force(client, f"{ns}x")
        registry.push(f"{ns}x", schema_of(1))
        state = wait_state(admin, problem_count=1)
        assert state["problems"][0]["ns"] == f"{ns}x" and "does not enforce" in state["problems"][0]["reason"]
        eventually(lambda: f"behind: {ns}x" in registry.run("status")[1], "it is said to be behind")
        folder.path.joinpath("another.json").unlink()
        eventually(lambda: accepts(client, f"{ns}x", 1), "the registry's schema is in force")
        wait_state(admin, problem_count=0)
    # a second proxy may not write into the same folder
    _, second, _ = follow(folder)
    wait_state(second, mode="away", error=lambda error: "its own folder" in error)


def test_who_has_it(registry, follow, ns):
    registry.push(ns, schema_of(1))
    assert "0 proxies" in registry.do("status", code=REFUSED)
    proxies = [follow()[0] for _ in range(2)]
    eventually(lambda: registry.run("status")[1].count("has it") == 2, "both have it")
    said = registry.do("status", "--wait", "20s")
    assert said.count("has it") == 2 and "1 namespaces, 2 proxies, 0 silent, 0 behind" in said
    registry.push(ns + "2", schema_of(1))
    registry.do("status", "--wait", "20s", ns + "2")
    assert registry.do("status", "no.where", code=REFUSED)
    client, raw = documents(registry)
    with client:
        known = raw.database[f"{raw.name}.proxies"]
        known.update_one({}, {"$set": {"revisions": bson.encode({})}})
        said = registry.json("status", code=REFUSED)
        assert said["behind"] == 1 and sorted(one["behind_count"] for one in said["proxies"]) == [0, 2]
        known.update_one({"revisions": bson.encode({})}, {"$set": {
            "seen": datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=5)}})
        assert registry.json("status")["silent"] == 1
        proxies[0].finish()
        proxies[1].finish()
        assert known.count_documents({}) == 0


def test_pull(registry, ns, tmp_path):
    registry.push(ns, schema_of(1), level="moderate", unproved="reject")
    registry.push(ns, schema_of(2), "--allow-incompatible", "--name", "two", level="moderate")
    registry.push(ns + "2", schema_of(5))
    out = tmp_path / "out"
    assert "would change" in registry.do("pull", "--out", out, "--dry-run", code=REFUSED)
    registry.do("pull", "--out", out)
    registry.do("pull", "--out", out, "--dry-run")
    pulled = json.loads((out / f"{ns}.json").read_text())
    assert pulled["schema"]["properties"]["v"]["enum"] == [{"$numberInt": "2"}] and pulled["level"] == "moderate"
    assert "unchanged" in registry.do("push", out)
    registry.do("pull", "--versions", "--out", out, ns)
    pulled = json.loads((out / f"{ns}.json").read_text())
    assert [version["name"] for version in pulled["versions"]] == ["two", "v1"]
    assert "several versions" in registry.do("push", out / f"{ns}.json", code=REFUSED)
    assert "has no schema for" in registry.do("pull", "--out", out, "no.where", code=REFUSED)
    assert [one["ns"] for one in registry.json("list")] == [ns, ns + "2"]


def test_dry_runs_change_nothing(registry, ns):
    assert "would be pushed" in registry.push(ns, schema_of(1), "--dry-run")
    client, raw = documents(registry)
    with client:
        assert raw.name not in raw.database.list_collection_names()
        registry.push(ns, schema_of(1))
        registry.push(ns, schema_of(2), "--allow-incompatible")
        before = raw.find_one({"_id": ns})
        for words in (["retire", ns, "1"], ["rollback", ns], ["promote", ns, "1"], ["retire", ns, "--all"]):
            assert "would be" in registry.do(*words, "--dry-run")
        assert raw.find_one({"_id": ns}) == before


def test_wrong_use(registry, ns, tmp_path):
    registry.push(ns, schema_of(1))
    broken = tmp_path / "broken.json"
    broken.write_text('{"ns": "a.b", "schema": {"bsonType": "nonsense"}}')
    said = registry.do("push", broken, registry.file(ns, schema_of(4)), code=REFUSED)
    assert "/schema/bsonType" in said and "nothing was pushed" in said
    assert registry.json("show", ns)["revision"] == 1
    bare = tmp_path / "bare.json"
    bare.write_text('{"$jsonSchema": {}}')
    for words, part, code in [
            (["push", bare], "'ns' is missing", REFUSED), (["push", tmp_path / "none.json"], "cannot be read", FAILED),
            (["push"], "argument is missing", FAILED), (["push", "--all", broken], "this command has no flag", FAILED),
            (["show", "no.where"], "has no schema for", REFUSED), (["show", "nowhere"], "is not a namespace", FAILED),
            (["retire", ns, "1"], "is the newest", REFUSED), (["retire", ns], "name one version", REFUSED),
            (["promote", ns], "no candidate", REFUSED), (["rollback", ns], "no earlier", REFUSED),
            (["rollback", ns, "77"], "does not hold revision 77", REFUSED),
            (["push", "--keep", "soon", broken], "takes a time", FAILED),
            (["push", "--allow-incompatible", "--name", "7", registry.file(ns, schema_of(9))], "looks like", REFUSED),
            (["push", "--candidate", registry.file("new.one", schema_of(9))], "accepts no version yet", REFUSED)]:
        assert part in registry.do(*words, code=code), words
    assert registry.run("list", uri="mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100")[0] == FAILED


def test_a_reader_that_may_not_write(secure_server, server, start_proxy, tmp_path, ns):
    """A proxy with the role `read` follows the registry; only `schema status` does not list it."""
    endpoint = secure_server.endpoint
    registry = Registry(endpoint, "fleetread.schemas", tmp_path / "pushed")
    registry.push(ns, schema_of(1))
    with endpoint.client() as client:
        client.admin.command("createUser", "reader", pwd="reads", roles=[{"role": "read", "db": "fleetread"}],
                             mechanisms=["SCRAM-SHA-256"])
    uri = endpoint.uri().replace(endpoint.uri().split("//")[1].split("@")[0], "reader:reads")
    folder = Folder(tmp_path / "schemas")
    proxy = start_proxy(server.endpoint.uri(), registry.options(folder.path, schemas_registry_uri=uri),
                        endpoint=server.endpoint)
    wait_state(Admin(proxy), namespaces=1, error="")
    if not registry.json("status", code=REFUSED)["proxies"]:
        proxy.wait_for_record("it cannot be told", id=SILENT)


def test_an_incompatible_push_is_refused(registry, ns):
    """With a proof: a document that the newest version accepts and the new one refuses."""
    open_schema = {"properties": {"a": {"bsonType": "int", "maximum": 9}}}
    narrow = {"required": ["b"], **open_schema}
    registry.push(ns, open_schema)
    said = registry.push(ns, narrow, code=REFUSED)
    assert "refuses documents that pass by version 1" in said and "required" in said and "nothing was pushed" in said
    assert registry.json("show", ns)["revision"] == 1
    registry.push(ns, narrow, "--candidate")
    wide = {"properties": {"a": {"bsonType": "int", "maximum": 99}}}
    registry.push(ns, wide)
    assert accepts_now(registry, ns) == [3, 1]
    path = registry.file(ns, narrow)
    assert "required" in registry.do("diff", path, code=REFUSED)
    assert registry.json("diff", path, code=REFUSED)
    registry.do("diff", ns, "1", "3")
    registry.do("diff", ns, "newest", "v1", code=REFUSED)
    assert "no version" in registry.do("diff", ns, "1", "9", code=FAILED)
    registry.push(ns, narrow, "--allow-incompatible")
    assert accepts_now(registry, ns) == [2, 3, 1]


def test_settings_that_the_registry_keeps(registry, ns):
    registry.push(ns, schema_of(1), action="warn", level="moderate", allow_bypass=False)
    registry.push(ns, schema_of(2), "--keep-settings", "--allow-incompatible")
    state = registry.json("show", ns)["state"]
    assert (state["action"], state["level"], state["allow_bypass"]) == ("warn", "moderate", False)
    registry.push(ns, schema_of(2))
    state = registry.json("show", ns)["state"]
    assert (state["action"], state["level"], state["allow_bypass"]) == ("error", "strict", True)


def test_a_change_stream_without_a_cursor_is_reported(server, start_proxy, simulated, registry, folder):
    simulated.handlers["aggregate"] = lambda *_: {"ok": 1.0}
    proxy = start_proxy(server.endpoint.uri(), registry.options(
        folder.path, schemas_registry_uri=f"mongodb://{simulated.address}/"))
    record = proxy.wait_for_record("the registry is not followed", id=AWAY)
    assert "cannot be followed: the server's reply has no cursor" in record["attr"]["cause"]
