"""insert_many of documents that are BSON already, as one run of PyMongo's own bulk write.

PyMongo inspects each document (is it a mapping? has it an _id?) and copies the list three times before it sends
anything. That costs several times as much as the encoding. All other parts are PyMongo's: batches, sessions, retries,
events, errors. `is_known` tells whether the run may take the place of insert_many: not with an unknown version of PyMongo,
and not if a tool has put a function of its own there, which must see each write."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from pymongo import _csot
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.results import InsertManyResult
from pymongo.synchronous.collection import Collection

try:
    from mongosluice import _native as native
except ImportError:  # not built: no encoded document can come here
    native = None  # type: ignore[assignment]

try:
    from pymongo.asynchronous.bulk import _AsyncBulk
    from pymongo.bulk_shared import _Run
    from pymongo.message import _INSERT
    from pymongo.operations import _Op
    from pymongo.synchronous.bulk import _Bulk
except ImportError:
    _AsyncBulk = None  # type: ignore[assignment,misc]

PARAMETERS = ("self", "documents", "ordered", "bypass_document_validation", "session", "comment")
OPTIONS = {"ordered", "bypass_document_validation", "comment"}
KNOWN = {cls for cls in (AsyncCollection, Collection)
         if _AsyncBulk is not None and hasattr(cls, "_write_concern_for")
         and tuple(inspect.signature(cls.insert_many).parameters) == PARAMETERS}


def is_known(collection: Any) -> bool:
    """Whether insert_many is the known one: of PyMongo's collection, and of Motor's around it."""
    inner = collection.delegate if is_motor(collection) else collection
    return type(inner) in KNOWN and all(map(is_drivers, (collection.insert_many, inner.insert_many, inner._write_concern_for)))


def is_motor(one: Any) -> bool:
    """Whether a cursor or collection is Motor's wrapper of PyMongo's."""
    return hasattr(type(one), "get_io_loop")


def is_drivers(method: Any) -> bool:
    """Whether PyMongo or Motor made the method, and each function that it wraps."""
    function = getattr(method, "__func__", method)
    while isinstance(function, FunctionType) and function.__globals__["__name__"].startswith(("pymongo.", "motor.")):
        if not hasattr(function, "__wrapped__"):
            return True
        function = function.__wrapped__
    return False


if _AsyncBulk is not None:
    class _WholeRun:
        """Bulk writes that consist of one run of inserts."""

        ops: list[Any]

        def gen_ordered(self) -> Iterator[_Run]:
            run = _Run(_INSERT)
            run.ops = self.ops
            run.index_map = range(len(self.ops))  # type: ignore[assignment]
            yield run

        gen_unordered = gen_ordered

    class _AsyncInserts(_WholeRun, _AsyncBulk):
        pass

    class _Inserts(_WholeRun, _Bulk):
        pass


def whole_run(kind: Any, collection: Any, documents: list[Any], ordered: bool = True,
              bypass_document_validation: bool | None = None, comment: Any = None) -> Any:
    bulk = kind(collection, ordered, bypass_document_validation, comment=comment)
    bulk.ops = documents
    return bulk


@_csot.apply
async def insert_many(collection: AsyncCollection[Any], documents: list[Any], session: Any = None,
                      **options: Any) -> InsertManyResult:
    """Inserts at least one Encoded document; requires `is_known(collection)`; options: those of OPTIONS."""
    ids = native.encoded_ids(documents)
    write_concern = collection._write_concern_for(session)
    await whole_run(_AsyncInserts, collection, documents, **options).execute(write_concern, session, _Op.INSERT)
    return InsertManyResult(ids, write_concern.acknowledged)


@_csot.apply
def insert_many_now(collection: Collection[Any], documents: list[Any], session: Any = None,
                    **options: Any) -> InsertManyResult:
    """The same for a synchronous collection."""
    ids = native.encoded_ids(documents)
    write_concern = collection._write_concern_for(session)
    whole_run(_Inserts, collection, documents, **options).execute(write_concern, session, _Op.INSERT)
    return InsertManyResult(ids, write_concern.acknowledged)
