"""What the package has for the tests of applications: the plugin's fixtures, and a proxy of one's own."""

import importlib.metadata
import os
import sys
from pathlib import Path

import pymongo
import pytest
from pydantic import BaseModel, Field

import mongosluice
from conftest import ROOT, completed
from mongosluice import program
from mongosluice.testing import ProxyError, client_uri, proxy

MODELS = """
from pydantic import BaseModel, Field
class Order(BaseModel):
    customer: str
    total: float = Field(ge=0)
"""
TESTS = """
import pymongo, pytest
from models import Order

def test_fine(mongosluice_check):
    mongosluice_check(Order, {"customer": "Ada", "total": 1.0})

def test_wrong(mongosluice_check):
    mongosluice_check(Order, {"customer": "Ada", "total": -1.0})

@pytest.mark.parametrize("total", [1.0, -1.0])
def test_proxy(mongosluice_proxy, total):
    with pymongo.MongoClient(mongosluice_proxy.uri) as client:
        client["%s"].orders.insert_one({"customer": "Ada", "total": total})
"""


class Order(BaseModel):
    customer: str
    total: float = Field(ge=0)


@pytest.fixture(autouse=True)
def the_checkouts_program(monkeypatch):
    """Where the package is not installed but on the path, the program is that of build/release."""
    for name, variable, built in (("mongosluice", "MONGOSLUICE_BINARY", "src/main/mongosluice"),
                                  ("libmongosluice-validator.so", "MONGOSLUICE_VALIDATOR", "src/schema/libmongosluice-validator.so")):
        if not (program.FOLDER / name).exists() and variable not in os.environ:
            monkeypatch.setenv(variable, str(ROOT / "build/release" / built))


def test_a_proxy_of_ones_own(server, database):
    with proxy(server, Order, ns=f"{database}.orders") as started:
        with pymongo.MongoClient(started.uri) as client:
            orders = client[database].orders
            orders.insert_one({"customer": "Ada", "total": 1.0})
            with pytest.raises(pymongo.errors.WriteError) as refused:
                orders.insert_one({"customer": "Ada", "total": -1.0})
            assert refused.value.details["errInfo"]["details"] == mongosluice.check(
                Order, {"_id": 1, "customer": "Ada", "total": -1.0}).err_info["details"]
            started.enforce(Order, ns=f"{database}.orders", action="warn")
            orders.insert_one({"customer": "Ada", "total": -1.0})
            assert orders.count_documents({}) == 2
            orders.drop()
    assert started.process.returncode == 0 and not started.schemas.exists()


def test_a_proxy_that_does_not_start_says_why(server):
    with pytest.raises(ProxyError, match="no_such_option"), proxy(server, arguments=["--no_such_option=1"]):
        pass


def test_a_schema_that_is_not_taken_says_why(server):
    wrong = mongosluice.Exported("d.c", {"nothing": 1}, ("Wrong",))
    with proxy(server) as started, pytest.MonkeyPatch.context() as patch:
        patch.setattr("mongosluice.testing.PATIENCE_SECONDS", 0.5)
        with pytest.raises(ProxyError, match="the schemas of d.c are in force"):
            started.enforce(wrong)


@pytest.mark.parametrize(("upstream", "uri"), [
    ("mongodb://db1,db2:27018/?replicaSet=rs0&tls=true", "mongodb://127.0.0.1:5/?replicaSet=rs0"),
    ("mongodb+srv://me:p%40ss@db.example/shop?tlsCAFile=%2Fx&w=1", "mongodb://me:p%40ss@127.0.0.1:5/shop?w=1"),
    ("mongodb://db1", "mongodb://127.0.0.1:5/"),
])
def test_the_clients_address(upstream, uri):
    assert client_uri(upstream, 5) == uri
    with pytest.raises(ProxyError):
        client_uri("db1:27017", 5)


def test_the_plugin(server, database, tmp_path):
    (tmp_path / "models.py").write_text(MODELS)
    (tmp_path / "test_app.py").write_text(TESTS % database)
    (tmp_path / "pytest.ini").write_text(
        f"[pytest]\npythonpath = .\nmongosluice_models = models:Order={database}.orders\nmongosluice_upstream = mongodb://127.0.0.1:1/\n")
    loaded = any(point.name == "mongosluice" for point in importlib.metadata.entry_points(group="pytest11"))
    environment = {**os.environ, "MONGOSLUICE_UPSTREAM": server, "PYTEST_ADDOPTS": "",
                   "PYTHONPATH": os.pathsep.join([str(Path(mongosluice.__file__).parents[1])])}
    done = completed(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                     *([] if loaded else ["-p", "mongosluice.testing.plugin"]), cwd=tmp_path, env=environment)
    assert "2 failed, 2 passed" in done.stdout, done.stdout + done.stderr
    assert "mongosluice would refuse the document: Document failed validation\n  total: Input should be greater than or " \
        "equal to 0" in done.stdout
    assert "WriteError: Document failed validation" in done.stdout
