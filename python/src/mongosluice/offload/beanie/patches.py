"""Offload for Beanie 2.x and 1.30.

Beanie makes all sent documents in `get_dict`, and all instances from read documents in `parse_model`. This module
replaces both for the active models. A model becomes active at the end of init_beanie, if the proxy says that it
enforces the model's schema. Beanie's own code handles whatever the extension leaves to it, so Beanie's rules stay
in force."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
import time
import types
from typing import Any

import beanie.odm.documents as documents_module
import beanie.odm.queries.cursor as cursor_module
import beanie.odm.queries.find as find_module
import beanie.odm.queries.update as update_module
import beanie.odm.utils.encoder as encoder_module
import beanie.odm.utils.init as init_module
import beanie.odm.utils.parsing as parsing_module
import bson
from beanie import Document
from beanie.odm.bulk import BulkWriter
from beanie.odm.fields import WriteRules
from bson.codec_options import DatetimeConversion, TypeRegistry
from pymongo.asynchronous.cursor import AsyncCursor, AsyncRawBatchCursor
from pymongo.errors import PyMongoError
from pymongo.synchronous.cursor import Cursor, RawBatchCursor

from mongosluice.errors import translated
from mongosluice.offload import bulk_insert, enforcement
from mongosluice.offload.beanie.encoding import INSERT, REPLACE, SET, native
from mongosluice.offload.beanie.plans import (
    DOCUMENT_INIT,
    Plan,
    Unplannable,
    collection_of,
    exported_namespaces,
    make_plan,
    namespace_of,
)
from mongosluice.offload.bulk_insert import is_motor
from mongosluice.offload.state import (
    ENCODE_ONLY,
    FULL,
    OFF,
    Failed,
    Status,
    attempted,
    settings,
    statuses,
    warn_once,
)

# The active classes: the maps that the hot paths use.
_plans: dict[type, Plan] = {}
_builders: dict[type, Any] = {}
_readers: dict[type, Any] = {}
_originals: dict[str, Any] = {}
_checked_at = 0.0
_checking: asyncio.Task[None] | None = None


# ---- the two places ----------------------------------------------------------------------------


# Functions of Beanie that get a document to send it as a whole, and its form. They call get_dict under
# another name. All other callers need Beanie's dict.
SENDERS = {
    INSERT: (Document.insert, Document.insert_one, Document.insert_many),
    REPLACE: (find_module.FindOne.replace_one,),
    SET: (Document.save,),
}
GET_DICT = "get_dict"


def undecorated(function: Any) -> types.FunctionType:
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return getattr(function, "__func__", function)


def renamed(code: types.CodeType, name: str, instead: str) -> types.CodeType:
    """The code with another name for a global, also in its comprehensions."""
    return code.replace(
        co_names=tuple(instead if one == name else one for one in code.co_names),
        co_consts=tuple(renamed(one, name, instead) if isinstance(one, types.CodeType) else one for one in code.co_consts))


_codes: dict[types.FunctionType, types.CodeType] = {}


def tell_senders() -> None:
    for form, functions in SENDERS.items():
        for function in map(undecorated, functions):
            name = f"{GET_DICT}_{form}_of_mongosluice"
            function.__globals__[name] = functools.partial(get_dict, form)
            _codes[function] = function.__code__
            function.__code__ = renamed(function.__code__, GET_DICT, name)


def forget_senders() -> None:
    for function, code in _codes.items():
        function.__code__ = code
        for form in SENDERS:  # running code still uses the name
            function.__globals__[f"{GET_DICT}_{form}_of_mongosluice"] = _originals[GET_DICT]
    _codes.clear()


def get_dict(form: int, document: Any, to_db: bool = False, exclude: Any = None, keep_nulls: bool = True) -> Any:
    """Replaces Beanie's function: returns the document as BSON if it goes to the server as a whole."""
    plan = _plans.get(type(document))
    if plan is not None and to_db and (form != SET or plan.sets):
        recheck_when_due()
        encoded = plan.shape.encode(document, form, keep_nulls)
        if encoded is not None:
            return encoded
    return _originals[GET_DICT](document, to_db=to_db, exclude=exclude, keep_nulls=keep_nulls)


def parse_model(model: Any, data: Any) -> Any:
    """Replaces Beanie's function: makes an instance without pydantic if every value is valid already."""
    build = _builders.get(model)
    if build is not None and type(data) is dict:
        instance = build(data)
        if instance is not None:
            return instance
    return _originals["parse_model"](model, data)


def parse_obj(model: Any, data: Any, lazy_parse: bool = False) -> Any:
    """The same for whole queries, for models whose documents have one class and keep no state."""
    build = _readers.get(model)
    if build is not None and not lazy_parse and type(data) is dict:
        instance = build(data)
        if instance is not None:
            return instance
    return _originals["parse_obj"](model, data, lazy_parse)


async def to_list(self: Any, length: int | None = None) -> list[Any]:
    """Replaces a query's method: reads all of its documents at once."""
    projection = self.get_projection_model()
    if self.lazy_parse or projection not in _readers:
        return await _originals["to_list"](self, length)
    cursor = await cursor_of(self)
    plan = _plans[projection]
    found = self._get_cache()
    if found is None and not keeps_cache(self) and (length is None or (type(length) is int and length > 0)):
        source = source_of(plan, cursor)
        if source is not None:
            return await read_batches(source, sys.maxsize if length is None else length)
    if found is None:
        found = await cursor.to_list(length)
        self._set_cache(found)
    return plan.shape.build_many(found, lambda data: _originals["parse_obj"](projection, data))


async def cursor_of(query: Any) -> Any:
    return await query.get_cursor() if hasattr(query, "get_cursor") else query.motor_cursor


async def anext_(self: Any) -> Any:
    """Replaces a query's method: its next document. During a batch, native.NextDocument gives the documents."""
    if self.cursor is None and hasattr(self, "get_cursor"):
        self.cursor = as_batches(self, await self.get_cursor())
    if type(self.cursor) is not Batches:
        return await _originals["anext"](self)
    return await self.cursor.__anext__()


def aiter_(self: Any) -> Any:
    """Replaces a query's method: Beanie 1.30 makes the cursor here."""
    has_begun = self.cursor is not None
    _originals["aiter"](self)
    if not has_begun and self.cursor is not None:
        self.cursor = as_batches(self, self.cursor)
    return self


def as_batches(query: Any, cursor: Any) -> Any:
    """The query's new cursor as a cursor of raw batches, if the extension makes the instances."""
    projection = query.get_projection_model()
    if query.lazy_parse or projection not in _readers or cursor is None:
        return cursor
    source = source_of(_plans[projection], cursor)
    return cursor if source is None else Batches(source)


class Source:
    """The BSON of a query's documents, batch by batch.

        Beanie's query names each field of its model and no others. If the documents have no other fields, this class
        asks for whole documents, which is less work for the server, and the extension skips a field that the model
        does not have. After the first such field, queries name the fields again. A query whose first batch has such a
        field starts again before it returns a document."""

    def __init__(self, plan: Plan, cursor: Any):
        self.plan = plan
        self.query = cursor
        self.options = cursor.collection.codec_options
        self.are_whole = (plan.projection is not None and plan.projection == pymongo_cursor(cursor)._projection
                          and not plan.shape.met_others)
        self.cursor = raw_batches(cursor, self.are_whole)
        self.has_begun = False

    async def next(self) -> bytes:
        """Raises StopAsyncIteration, as a cursor does."""
        batch = await self.cursor.__anext__()
        if not self.has_begun and self.are_whole and self.plan.shape.finds_others(batch):
            await self.cursor.close()
            self.are_whole = False
            self.cursor = raw_batches(self.query, False)
            batch = await self.cursor.__anext__()
        self.has_begun = True
        return batch

    def instance(self, raw: bytes) -> Any:
        """Makes an instance of a document that the extension leaves to Python."""
        return _originals["parse_obj"](self.plan.cls, bson.decode(raw, self.options))

    def count(self, documents: int) -> None:
        """PyMongo counted one document for the batch. The number of documents tells how many it still wants."""
        if documents:
            pymongo_cursor(self.cursor)._retrieved += documents - 1


class Batches(native.Documents if native is not None else object):
    """A cursor whose documents are instances, made on demand. The rest is the original cursor."""

    def __new__(cls, source: Source) -> Batches:
        return super().__new__(cls, source.plan.shape, source.instance)

    def __init__(self, source: Source):
        self._source = source

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source.cursor, name)

    def __aiter__(self) -> Any:
        return self

    async def next(self) -> Any:
        return await self.__anext__()

    async def __anext__(self) -> Any:
        while True:
            for document in self:
                return document
            self._source.count(self.count)
            batch = await self._source.next()
            self.refill(batch, self._source.are_whole)


def pymongo_cursor(cursor: Any) -> Any:
    """The PyMongo object inside a Motor object."""
    return cursor.delegate if is_motor(cursor) else cursor


def keeps_cache(query: Any) -> bool:
    return query.document_model.get_settings().use_cache and query.ignore_cache is False


def source_of(plan: Plan, cursor: Any) -> Source | None:
    """None if the query's documents are not PyMongo's ordinary dicts."""
    if type(pymongo_cursor(cursor)) not in (AsyncCursor, Cursor):
        return None
    options, client = cursor.collection.codec_options, cursor.collection.database.client
    plain = (options.document_class is dict and not options.tz_aware and options.type_registry == TypeRegistry()
             and options.unicode_decode_error_handler == "strict"
             and options.datetime_conversion == DatetimeConversion.DATETIME)
    return Source(plan, cursor) if plain and client.options.auto_encryption_opts is None else None


def raw_batches(cursor: Any, are_whole: bool) -> Any:
    """The same query with batches of BSON; without its projection if `are_whole`."""
    inner, collection = pymongo_cursor(cursor), cursor.collection
    # _clone leaves these out
    kept = {"session": inner._session, "let": inner._let}
    if is_motor(cursor):
        raw = inner._clone(deepcopy=False, base=RawBatchCursor(collection.delegate, **kept))
    else:
        raw = inner._clone(deepcopy=False, base=AsyncRawBatchCursor(collection, **kept))
    if are_whole:
        raw._projection = None
    return type(collection.find_raw_batches())(raw, collection) if is_motor(cursor) else raw


async def read_batches(source: Source, longest: int) -> list[Any]:
    made: list[Any] = []
    read_many = source.plan.shape.read_many
    while len(made) < longest:
        before = len(made)
        try:
            batch = await source.next()
        except StopAsyncIteration:
            break
        read_many(made, batch, source.are_whole, source.instance, longest)
        source.count(len(made) - before)
    return made


def insertable(document: Any) -> Any:
    """The call as Beanie's insert_many makes it."""
    return get_dict(INSERT, document, to_db=True, keep_nulls=document.get_settings().keep_nulls)


async def insert_many(cls: type[Document], documents: Any, session: Any = None,
                      link_rule: WriteRules = WriteRules.DO_NOTHING, **options: Any) -> Any:
    """Replaces Beanie's method: encodes all documents at once, and gives them to PyMongo as one run."""
    instances = list(documents)
    plan = _plans.get(type(instances[0])) if instances else None
    if plan is None or native is None or link_rule == WriteRules.WRITE:
        return await _originals["insert_many"].__func__(cls, instances, session=session, link_rule=link_rule, **options)
    recheck_when_due()
    encoded, all_encoded = plan.shape.encode_many(
        instances, plan.cls.get_settings().keep_nulls, insertable)
    collection = collection_of(cls)
    if not all_encoded or not set(options) <= bulk_insert.OPTIONS or not bulk_insert.is_known(collection):
        return await collection.insert_many(encoded, session=session, **options)
    if not is_motor(collection):
        return await bulk_insert.insert_many(collection, encoded, session=session, **options)
    session = getattr(session, "delegate", session)
    return await collection._framework.run_on_executor(
        collection.get_io_loop(), bulk_insert.insert_many_now, collection.delegate, encoded, session=session, **options)


# ---- switching on and off ----------------------------------------------------------------------


def activate(plan: Plan) -> None:
    cls = plan.cls
    deactivate(cls)
    _plans[cls] = plan
    if native is None:
        return
    plan.shape.guard()
    if plan.builds:
        _builders[cls] = plan.shape.build
        if not cls._inheritance_inited and not cls.get_settings().use_state_management:
            _readers[cls] = plan.shape.build
        cls.__init__ = native.Init(DOCUMENT_INIT, plan.shape)


def deactivate(cls: type) -> None:
    _plans.pop(cls, None)
    _builders.pop(cls, None)
    _readers.pop(cls, None)
    # __getattribute__ stays: it works like Beanie's, and existing instances need it
    if native is not None and isinstance(cls.__dict__.get("__init__"), native.Init):
        del cls.__init__


_initialised: dict[type[Document], None] = {}


async def after_init(initializer: Any) -> None:
    """Decides for each model that init_beanie has just initialised."""
    classes = [cls for cls in initializer.inited_classes if cls is not Document]
    for cls in classes:
        deactivate(cls)
        _initialised[cls] = None
    touched = {namespace_of(cls) for cls in classes}
    sharing = [cls for cls in _initialised if is_current(cls) and namespace_of(cls) in touched]
    namespaces, failed = exported_namespaces(sharing)
    plans: dict[type[Document], Plan] = {}
    for cls in sharing:
        ns = namespace_of(cls)
        if ns in failed:
            switch_off(cls, ns, failed[ns])
            warn_once(cls.__name__, failed[ns])
        elif cls not in classes:
            # from an earlier init_beanie; the collection has more classes now, so ask again
            if cls in _plans:
                plans[cls] = _plans[cls]
                plans[cls].exported = namespaces[ns]
        else:
            try:
                plans[cls] = attempted("it cannot be planned", make_plan, cls, namespaces[ns])
            except Failed as reason:
                switch_off(cls, ns, str(reason))
                if not isinstance(reason, Unplannable):
                    warn_once(cls.__name__, str(reason))
    if not plans:
        return
    answer = await enforcement.ask(initializer.database.client, {namespace_of(cls) for cls in plans})
    decide(plans, answer)


def switch_off(cls: type[Document], ns: str, reason: str) -> None:
    deactivate(cls)
    statuses[cls] = Status(cls.__name__, ns, OFF, [reason], native is not None)


def is_current(cls: type[Document]) -> bool:
    return cls._document_settings is not None


def decide(plans: dict[type[Document], Plan], answer: Any) -> None:
    global _checked_at
    _checked_at = time.monotonic()
    refused = []
    for cls, plan in plans.items():
        ns = namespace_of(cls)
        found = enforcement.verdicts(answer, {ns: plan.exported.hash})[ns]
        if found is not None:
            switch_off(cls, ns, found)
            refused.append((cls.__name__, found))
            continue
        activate(plan)
        mode = FULL if plan.builds else ENCODE_ONLY
        statuses[cls] = Status(cls.__name__, ns, mode, plan.reasons, native is not None)
    for name, reason in refused:
        warn_once(name, reason)
    if refused and settings.require:
        raise enforcement.NotEnforced("; ".join(f"{name}: {reason}" for name, reason in refused))


def recheck_when_due() -> None:
    """Asks the proxy again in the background. Documents that are written meanwhile were checked: the extension
        accepts only values that pydantic would accept."""
    global _checking, _checked_at
    is_due = time.monotonic() - _checked_at > settings.recheck_seconds
    if not is_due or (_checking is not None and not _checking.done()):
        return
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    _checked_at = time.monotonic()
    _checking = loop.create_task(recheck())


async def recheck() -> None:
    by_client: dict[int, tuple[Any, dict[type[Document], Plan]]] = {}
    for cls, plan in list(_plans.items()):
        client = collection_of(cls).database.client
        by_client.setdefault(id(client), (client, {}))[1][cls] = plan
    for client, plans in by_client.values():
        try:
            answer = await enforcement.ask(client, {namespace_of(cls) for cls in plans})
        except PyMongoError:  # not reachable, so no write succeeds either; the next check decides
            continue
        current = {cls: plan for cls, plan in plans.items() if _plans.get(cls) is plan}
        # the models are then off, with a warning; no caller waits for the error here
        with contextlib.suppress(enforcement.NotEnforced):
            decide(current, answer)


def install() -> None:
    """Puts the two functions into Beanie's modules. init_beanie then activates models."""
    if _originals:
        return
    _originals.update(
        get_dict=documents_module.get_dict, parse_model=parsing_module.parse_model,
        parse_obj=parsing_module.parse_obj, to_list=cursor_module.BaseCursorQuery.to_list,
        anext=cursor_module.BaseCursorQuery.__anext__, aiter=cursor_module.BaseCursorQuery.__aiter__,
        initialize=init_module.Initializer.__await__, scalars=encoder_module.BSON_SCALAR_TYPES,
        insert_many=Document.__dict__["insert_many"],
    )
    tell_senders()
    parsing_module.parse_model = parse_model
    for module in (cursor_module, find_module, update_module):
        module.parse_obj = parse_obj
    cursor_module.BaseCursorQuery.to_list = to_list
    cursor_module.BaseCursorQuery.__anext__ = anext_ if native is None else native.NextDocument(anext_)
    cursor_module.BaseCursorQuery.__aiter__ = aiter_
    if native is not None:
        encoder_module.BSON_SCALAR_TYPES = (*encoder_module.BSON_SCALAR_TYPES, native.Encoded)

    def initialize(self: Any) -> Any:
        result = yield from _originals["initialize"](self)
        yield from after_init(self).__await__()
        return result

    init_module.Initializer.__await__ = initialize
    Document.insert_many = classmethod(insert_many)
    for cls, name in TRANSLATED:
        own = cls.__dict__[name]
        _originals[f"{cls.__name__}.{name}"] = own
        is_class_method = isinstance(own, classmethod)
        function = translated(own.__func__ if is_class_method else own)
        setattr(cls, name, classmethod(function) if is_class_method else function)


def uninstall() -> None:
    """Restores Beanie's functions."""
    if not _originals:
        return
    for cls in list(_plans):
        deactivate(cls)
    forget_senders()
    parsing_module.parse_model = _originals["parse_model"]
    for module in (cursor_module, find_module, update_module):
        module.parse_obj = _originals["parse_obj"]
    cursor_module.BaseCursorQuery.to_list = _originals["to_list"]
    cursor_module.BaseCursorQuery.__anext__ = _originals["anext"]
    cursor_module.BaseCursorQuery.__aiter__ = _originals["aiter"]
    encoder_module.BSON_SCALAR_TYPES = _originals["scalars"]
    init_module.Initializer.__await__ = _originals["initialize"]
    for cls, name in TRANSLATED:
        setattr(cls, name, _originals[f"{cls.__name__}.{name}"])
    Document.insert_many = _originals["insert_many"]
    _originals.clear()
    _initialised.clear()


# Methods whose refusals get pydantic's form.
TRANSLATED = (
    (Document, "insert"), (Document, "insert_many"), (find_module.FindOne, "replace_one"),
    (update_module.UpdateOne, "_update"), (update_module.UpdateMany, "_update"), (BulkWriter, "commit"),
)
