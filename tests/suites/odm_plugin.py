"""A pytest plugin for the suites of Beanie and MongoEngine, which reach their server at the driver's
default address. Four variables say where it is and what else is done:

    ODM_SERVER   host:port that connections to port 27017 go to instead
    ODM_ADMIN    host:port of the proxy's admin endpoint, to write the schemas of the models to, as soon
                 as a model is used; unset: no schemas
    ODM_SUITE    beanie or mongoengine
    ODM_OFFLOAD  1: mongosluice.offload() is on"""

import http.client
import importlib
import os

import pymongo.pool_shared

ADMIN = os.environ.get("ODM_ADMIN")
DEFAULT_PORT = 27017


def redirect(server):
    """Connections to MongoDB's port go to `server`; addresses as the driver shows them stay."""
    host, _, port = server.rpartition(":")

    def address(given):
        return (host, int(port)) if given[1] == DEFAULT_PORT else given

    connect, connect_async = pymongo.pool_shared._create_connection, pymongo.pool_shared._async_create_connection

    def create_connection(given, options):
        return connect(address(given), options)

    async def async_create_connection(given, options):
        return await connect_async(address(given), options)

    pymongo.pool_shared._create_connection = create_connection
    pymongo.pool_shared._async_create_connection = async_create_connection


class Schemas:
    """What the proxy enforces: of each namespace the models that the running test uses."""

    def __init__(self):
        self.models = {}  # namespace -> {class: Exported}
        self.in_force = {}  # namespace -> hash

    def enforce(self, cls, exported):
        from mongosluice.export.definitions import merge

        models = self.models.setdefault(exported.ns, {})
        models[cls] = exported
        whole = merge(list({one.hash: one for one in models.values()}.values()))
        if self.in_force.get(whole.ns) != whole.hash:
            put(whole)
            self.in_force[whole.ns] = whole.hash

    @property
    def seen(self):
        return {cls for models in self.models.values() for cls in models}

    def forget_models(self):
        for namespace in self.models:
            ask_admin("DELETE", namespace)
            self.in_force.pop(namespace, None)
        self.models.clear()


def put(exported):
    ask_admin("PUT", exported.ns, exported.text().encode())


def ask_admin(method, namespace, body=None):
    host, _, port = ADMIN.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    connection.request(method, f"/schemas/{namespace.replace('/', '%2F')}", body)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    assert answer.status < 300, f"{method} {namespace}: {answer.status} {text}"


schemas = Schemas()


def export_mongoengine():
    """A model's schema is written when its database or collection is first asked for in a test, so before its
    first write; it is gone when the next test begins."""
    import mongoengine
    from mongosluice.export.mongoengine import export_engine, is_document

    def exporting(name):
        function = mongoengine.Document.__dict__[name].__func__

        def method(cls):
            result = function(cls)
            if is_document(cls) and cls._get_collection_name():
                if name == "_get_db" or cls not in schemas.seen:
                    schemas.enforce(cls, export_engine(cls, result.name if name == "_get_db" else result.database.name))
            return result

        setattr(mongoengine.Document, name, classmethod(method))

    exporting("_get_db")
    exporting("_get_collection")


def leave_out_text_indexes():
    """SecantusDB has none, and every test of Beanie's makes some."""
    from pymongo.asynchronous.collection import AsyncCollection
    from pymongo.collection import Collection

    create, create_async = Collection._create_indexes, AsyncCollection._create_indexes

    def kept(indexes):
        return [one for one in indexes if "text" not in one.document["key"].values()]

    # below create_indexes, of which Motor has kept its own
    def create_indexes(self, indexes, *rest, **options):
        return create(self, kept(indexes), *rest, **options) if kept(indexes) else []

    async def async_create_indexes(self, indexes, *rest, **options):
        return await create_async(self, kept(indexes), *rest, **options) if kept(indexes) else []

    Collection._create_indexes, AsyncCollection._create_indexes = create_indexes, async_create_indexes


def export_beanie():
    """The schemas are written when init_beanie has initialised the models, before offload asks for them. As
    offload does, all classes count that were ever initialised in a collection and still are."""
    from beanie import Document
    from beanie.odm.utils.init import Initializer
    from mongosluice.export.beanie import export_document
    from mongosluice.export.definitions import merge

    initialise, initialised = Initializer.__await__, {}

    def namespace_of(cls):
        collection = (getattr(cls, "get_pymongo_collection", None) or cls.get_motor_collection)()
        return collection.database.name, collection.name

    def initialise_and_export(self):
        result = yield from initialise(self)
        classes = [cls for cls in self.inited_classes if cls is not Document]
        initialised.update(dict.fromkeys(classes))
        touched = {namespace_of(cls) for cls in classes}
        found = {}
        for cls in initialised:
            if cls._document_settings is not None and namespace_of(cls) in touched:
                found.setdefault(namespace_of(cls), []).append(export_document(cls, namespace_of(cls)[0]))
        for exported in found.values():
            whole = merge(exported)
            if schemas.in_force.get(whole.ns) != whole.hash:
                put(whole)
                schemas.in_force[whole.ns] = whole.hash
        return result

    Initializer.__await__ = initialise_and_export


EXPORTERS = {"beanie": export_beanie, "mongoengine": export_mongoengine}


def pytest_configure():
    redirect(os.environ["ODM_SERVER"])
    if os.environ["ODM_SUITE"] == "beanie":
        leave_out_text_indexes()
    if ADMIN:
        EXPORTERS[os.environ["ODM_SUITE"]]()
    if os.environ.get("ODM_OFFLOAD"):
        importlib.import_module("mongosluice").offload()


def pytest_runtest_setup():
    schemas.forget_models()
