"""insert_many of documents that are BSON already, as one run of PyMongo's own bulk write.

PyMongo inspects each document (is it a mapping? has it an _id?) and copies the list three times before it sends
anything. That costs several times as much as the encoding. All other parts are PyMongo's: batches, sessions, retries,
events, errors. With an unknown version of PyMongo, this module calls its insert_many."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
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
OWN_METHODS = ("_write_concern_for", "insert_many")


def own_methods(cls: Any) -> tuple[Any, ...]:
    return tuple(getattr(cls, name, None) for name in OWN_METHODS)


# The methods of the known classes, before any replacement.
_known = {cls: own_methods(cls) for cls in (AsyncCollection, Collection)
          if _AsyncBulk is not None and hasattr(cls, "_write_concern_for")
          and tuple(inspect.signature(cls.insert_many).parameters) == PARAMETERS}


def is_known(collection: Any) -> bool:
    """Whether the collection's insert_many is the known one."""
    cls = type(collection)
    return cls in _known and _known[cls] == own_methods(cls)


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
