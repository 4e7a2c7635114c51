"""Schemas through the admin endpoint: listing, with refusals, writing and deleting."""

import json
import os
import subprocess

import pytest
from pymongo.errors import WriteError
from support.admin import Admin
from support.process import eventually
from support.proxy import BINARY

pytestmark = pytest.mark.proxy_only


def schema_file(ns, **more):
    return {"ns": ns, "schema": {"bsonType": "object", "required": ["total"],
                                 "properties": {"total": {"bsonType": "int", "minimum": 0}}}, **more}


def put(admin, ns, document):
    body = document if isinstance(document, bytes) else json.dumps(document)
    return admin.ask("PUT", f"/schemas/{ns}", body)


def refuse_one(proxy, ns, value="secret value"):
    database, _, collection = ns.partition(".")
    with proxy.endpoint().client() as client:
        client[database][collection].insert_one({"total": 1})
        with pytest.raises(WriteError) as refused:
            client[database][collection].insert_one({"total": value})
        assert refused.value.code == 121


def test_what_is_enforced_is_listed(start_admin, folder, collection_name):
    ns = f"shop.{collection_name}"
    (folder.path / "any-name.json").write_text(json.dumps(schema_file(ns, action="error", level="strict")))
    (folder.path / "other.json").write_text(json.dumps(schema_file("a.other", action="warn", unproved="reject")))
    proxy, admin = start_admin()
    refuse_one(proxy, ns)
    listing = admin.json("/schemas")
    assert [one["ns"] for one in listing["schemas"]] == ["a.other", ns]
    assert listing["total"] == 2 and listing["next"] is None
    one = listing["schemas"][1]
    assert (one["action"], one["level"], one["origin"], one["dialect"]) == ("error", "strict", "file", "mongodb")
    assert one["source"] == str(folder.path / "any-name.json")
    assert (one["counts"]["passed"], one["counts"]["refused"]) == (1, 1)
    assert len(one["hash"]) == 64
    page = admin.json("/schemas?limit=1")
    assert page["next"] == "a.other" and len(page["schemas"]) == 1
    assert admin.json("/schemas?limit=1&after=a.other")["schemas"] == [one]
    whole = admin.json(f"/schemas/{ns}")
    assert whole["schema"]["required"] == ["total"] and whole["hash"] == one["hash"]
    assert len(whole["refusals"]) == 1
    assert admin.get("/schemas/no.such").status == 404
    assert admin.get("/schemas?limit=0").status == 400


@pytest.mark.parametrize("shown", [False, True])
def test_values_are_shown_where_it_is_allowed(start_admin, folder, collection_name, shown):
    ns = f"shop.{collection_name}"
    (folder.path / "a.json").write_text(json.dumps(schema_file(ns)))
    proxy, admin = start_admin({"admin.show_values": str(shown).lower()})
    refuse_one(proxy, ns, "a very secret value")
    answers = admin.get(f"/schemas/{ns}").body + admin.get("/status").body
    assert (b"a very secret value" in answers) == shown
    refusal = admin.json("/status")["validation"]["refusals"][0]
    assert refusal["ns"] == ns and "total" in refusal["reason"] and refusal["warned"] is False
    assert ("info" in refusal) == shown


def test_metrics_by_schema_are_bounded(start_admin, folder, collection_name):
    ns = f"a.{collection_name}"
    (folder.path / "a.json").write_text(json.dumps(schema_file(ns)))
    (folder.path / "b.json").write_text(json.dumps(schema_file("b.b")))
    (folder.path / "c.json").write_text(json.dumps(schema_file("c.c")))
    proxy, admin = start_admin({"admin.metrics_schemas_max": 1})
    refuse_one(proxy, ns)
    metrics = admin.metrics()
    assert metrics["mongosluice_schemas"] == 3
    assert metrics[f'mongosluice_documents_total{{schema="{ns}",outcome="refused"}}'] == 1
    assert metrics[f'mongosluice_documents_total{{schema="{ns}",outcome="passed"}}'] == 1
    assert metrics[f'mongosluice_validation_seconds_total{{schema="{ns}"}}'] > 0
    assert metrics['mongosluice_documents_total{schema="other",outcome="passed"}'] == 0
    assert not [name for name in metrics if "b.b" in name or "c.c" in name]


def test_writing_needs_the_option_and_a_folder(start_admin, start_proxy, server):
    _, admin = start_admin()
    assert put(admin, "a.b", schema_file("a.b")).status == 403
    assert admin.ask("DELETE", "/schemas/a.b").status == 403
    without = Admin(start_proxy(server.endpoint.uri(), {"admin": "0", "admin.write": "true"}))
    assert put(without, "a.b", schema_file("a.b")).status == 409


def test_a_schema_is_written_changed_and_deleted(start_admin, folder, collection_name):
    ns = f"shop.{collection_name}"
    proxy, admin = start_admin({"admin.write": "true"})
    answer = put(admin, ns, schema_file(ns))
    assert answer.status == 201 and answer.json()["ns"] == ns
    path = folder.path / f"{ns}.json"
    assert json.loads(path.read_text()) == schema_file(ns)
    refuse_one(proxy, ns)  # in force before the reply
    first = answer.json()["hash"]
    changed = schema_file(ns, action="warn")
    changed["schema"]["required"] = ["total", "currency"]
    answer = put(admin, ns, changed)
    assert answer.status == 200 and answer.json()["action"] == "warn" and answer.json()["hash"] != first
    assert answer.json()["counts"]["refused"] == 1  # a change does not reset the counts
    with proxy.endpoint().client() as client:
        client["shop"][collection_name].insert_one({"total": "now let pass"})
    assert admin.json(f"/schemas/{ns}")["counts"]["warned"] == 1
    answer = admin.ask("DELETE", f"/schemas/{ns}")
    assert answer.status == 200 and answer.json() == {"deleted": ns}
    assert os.listdir(folder.path) == []
    assert admin.ask("DELETE", f"/schemas/{ns}").status == 404


def test_a_file_of_another_name_is_written_in_its_place(start_admin, folder):
    (folder.path / "orders.json").write_text(json.dumps(schema_file("shop.orders")))
    _, admin = start_admin({"admin.write": "true"})
    assert put(admin, "shop.orders", schema_file("shop.orders", level="moderate")).status == 200
    assert os.listdir(folder.path) == ["orders.json"]
    assert admin.json("/schemas/shop.orders")["level"] == "moderate"


def test_a_bad_schema_is_refused_with_every_place(start_admin, folder):
    _, admin = start_admin({"admin.write": "true"})
    bad = schema_file("a.b", level="sometimes")
    bad["schema"]["properties"]["total"]["bsonType"] = "nonsense"
    answer = put(admin, "a.b", bad)
    assert answer.status == 422
    problems = {one["pointer"]: one for one in answer.json()["problems"]}
    assert set(problems) == {"/level", "/schema/properties/total/bsonType"}
    assert all(one["reason"] and one["code"] for one in problems.values())
    for body, pointer in ((b"", ""), (b"{", ""), (b"[]", ""), (json.dumps({"bsonType": "object"}).encode(), ""),
                          (json.dumps(schema_file("c.d")).encode(), "/ns"), (b"\xff\xfe", "")):
        answer = put(admin, "a.b", body)
        assert answer.status == 422, body
        assert answer.json()["problems"][0]["pointer"] == pointer
    assert os.listdir(folder.path) == []
    assert admin.json("/schemas")["total"] == 0


def test_names_lead_nowhere_else(start_admin, folder):
    _, admin = start_admin({"admin.write": "true"})
    ns = "a../../outside"
    assert put(admin, ns.replace("/", "%2F"), schema_file(ns)).status == 201
    assert os.listdir(folder.path) == ["a..%2F..%2Foutside.json"]
    assert put(admin, "x." + "y" * 400, schema_file("x." + "y" * 400)).status == 422


def test_a_folder_that_cannot_be_written_is_said(start_admin, folder):
    _, admin = start_admin({"admin.write": "true"})
    folder.path.rmdir()
    answer = put(admin, "a.b", schema_file("a.b"))
    assert answer.status == 500 and str(folder.path) in answer.json()["error"]
    folder.path.mkdir()


def test_a_broken_file_is_counted_and_does_not_unready(start_admin, folder):
    (folder.path / "a.json").write_text(json.dumps(schema_file("a.b")))
    _, admin = start_admin()
    (folder.path / "b.json").write_text("{")
    admin.wait_for_metric("mongosluice_schema_files_broken", 1)
    eventually(lambda: admin.get("/readyz").status == 200, "it is ready")
    assert admin.json("/status")["validation"]["broken_files"] == 1
    assert admin.json("/schemas")["total"] == 1


def test_a_collections_own_validator_is_not_deleted_here(start_admin, server, collection_name):
    with server.endpoint.client() as direct:
        direct["shop"].create_collection(collection_name, validator={"$jsonSchema": {"required": ["total"]}})
        _, admin = start_admin({"admin.write": "true", "schemas_upstream": "true"})
        ns = f"shop.{collection_name}"
        eventually(lambda: admin.get(f"/schemas/{ns}").status == 200, "the validator was read")
        assert admin.json(f"/schemas/{ns}")["origin"] == "collection"
        assert admin.get("/readyz").status == 200
        assert admin.ask("DELETE", f"/schemas/{ns}").status == 409
        direct["shop"].drop_collection(collection_name)


def test_a_broken_file_is_shown_to_operators(start_admin, folder, collection_name):
    ns = f"shop.{collection_name}"
    good = json.dumps(schema_file(ns))
    (folder.path / "a.json").write_text(good)
    proxy, admin = start_admin()
    assert admin.json("/status")["validation"]["broken"] == []
    (folder.path / "a.json").write_text(good[:-1])
    admin.wait_for_metric("mongosluice_schema_files_broken", 1)
    [broken] = admin.json("/status")["validation"]["broken"]
    assert broken["file"] == str(folder.path / "a.json") and broken["error"]
    shown = subprocess.run([BINARY, "status", "--admin", admin.address], capture_output=True, text=True, timeout=60)
    assert "SCHEMA FILES WITH ERRORS" in shown.stdout and str(folder.path / "a.json") in shown.stdout
    (folder.path / "a.json").write_text(good)
    eventually(lambda: admin.json("/status")["validation"]["broken"] == [], "the file is whole again")
    assert admin.metrics()["mongosluice_schema_files_broken"] == 0
