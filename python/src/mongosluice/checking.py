"""The proxy's own validator, run in this process without a server."""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bson
from bson import json_util
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from mongosluice import program
from mongosluice.errors import lines_of_info
from mongosluice.export.schema import Exported, text_of
from mongosluice.export.targets import export_model, is_beanie, is_mongoengine, is_pydantic

DIALECTS = {"mongodb": 0, "json-schema": 1}
PLAIN, EXTENDED = 0, 2  # `mongodb` as a server accepts it, and as a schema file may extend it with `$defs` and `$ref`
VALID, INVALID = 0, 1
# The ODMs store a uuid.UUID in this way.
OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(uuid_representation=bson.UuidRepresentation.STANDARD)


class SchemaError(ValueError):
    """The validator refuses the schema; `code` is MongoDB's error code."""

    def __init__(self, message: str, code: int):
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Verdict:
    """The proxy's verdict on a document; true if the proxy would accept it."""

    code: int = 0  # 121: the schema refuses it; 22: it is not BSON; 15: it is nested too deep
    message: str = ""
    err_info: dict[str, Any] | None = None  # in the form of the server's error

    def __bool__(self) -> bool:
        return self.code == 0

    def errors(self) -> list[dict[str, Any]]:
        """The same as `Refused.errors()`: `loc`, `type`, `msg`, `input` of every error."""
        return [] if self else lines_of_info(self.err_info)


class _Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("message", ctypes.c_char * 512)]

    @property
    def text(self) -> str:
        return self.message.decode(errors="replace")


@functools.cache
def _library() -> ctypes.CDLL:
    """The functions of include/mongosluice/validator.h, which describes them."""
    library = ctypes.CDLL(str(program.validator()))
    pointer, size, error = ctypes.c_void_p, ctypes.c_size_t, ctypes.POINTER(_Error)
    for name, answer, arguments in (
        ("schema_compile", pointer, [ctypes.c_char_p, size, ctypes.c_int, error]),
        ("schema_free", None, [pointer]),
        ("scratch_new", pointer, []),
        ("scratch_free", None, [pointer]),
        ("schema_check", ctypes.c_int, [pointer, pointer, ctypes.c_char_p, size, error]),
        ("schema_explain", ctypes.c_int, [pointer, pointer, ctypes.c_char_p, size, ctypes.POINTER(pointer),
                                          ctypes.POINTER(size), error]),
        ("bytes_free", None, [pointer]),
    ):
        function = getattr(library, f"sluice_{name}")
        function.restype, function.argtypes = answer, arguments
    return library


class _Scratch:
    """The state of one thread for its checks."""

    def __init__(self) -> None:
        self.library = _library()
        self.pointer = self.library.sluice_scratch_new()
        if not self.pointer:
            raise MemoryError

    def __del__(self) -> None:
        self.library.sluice_scratch_free(self.pointer)


class _Compiled:
    def __init__(self, schema: bytes, dialect: int):
        self.library = _library()
        error = _Error()
        self.pointer = self.library.sluice_schema_compile(schema, len(schema), dialect, error)
        if not self.pointer:
            raise SchemaError(error.text, error.code)

    def __del__(self) -> None:
        if getattr(self, "pointer", None):
            self.library.sluice_schema_free(self.pointer)

    def check(self, document: bytes) -> Verdict:
        if not hasattr(_local, "scratch"):
            _local.scratch = _Scratch()
        scratch, error = _local.scratch.pointer, _Error()
        verdict = self.library.sluice_schema_check(self.pointer, scratch, document, len(document), error)
        if verdict == VALID:
            return Verdict()
        code, message = error.code, error.text
        return Verdict(code, message, self.explain(document) if verdict == INVALID else None)

    def explain(self, document: bytes) -> dict[str, Any]:
        info, length, error = ctypes.c_void_p(), ctypes.c_size_t(), _Error()
        scratch = _local.scratch.pointer
        if self.library.sluice_schema_explain(self.pointer, scratch, document, len(document), info, length, error) != 0:
            raise MemoryError(error.text)
        try:
            return bson.decode(ctypes.string_at(info.value or 0, length.value), OPTIONS)
        finally:
            self.library.sluice_bytes_free(info)


_local = threading.local()
_compiled = functools.lru_cache(maxsize=256)(_Compiled)


def _read(file: dict[str, Any]) -> tuple[bytes, int]:
    """The schema as BSON and its dialect, from a schema file or a bare schema."""
    if "ns" in file and isinstance(file.get("schema"), Mapping):
        schema, named = file["schema"], file.get("dialect", "mongodb")
        if named not in DIALECTS:
            raise SchemaError(f"no such dialect: {named}", 2)
        return bson.encode(schema), EXTENDED if named == "mongodb" else DIALECTS[named]
    if set(file) == {"$jsonSchema"}:
        return bson.encode(file["$jsonSchema"]), PLAIN
    if "$defs" in file and "$schema" not in file and _names_bson_types(file):
        return bson.encode(file), EXTENDED
    return bson.encode(file), DIALECTS["json-schema" if {"$schema", "$defs"} & set(file) else "mongodb"]


def _names_bson_types(value: Any) -> bool:
    """Whether a schema has dialect `mongodb`: JSON Schema has no `bsonType`."""
    if isinstance(value, list):
        return any(map(_names_bson_types, value))
    return isinstance(value, dict) and (isinstance(value.get("bsonType"), (str, list)) or any(map(_names_bson_types, value.values())))


def _schema_of(source: Any) -> tuple[bytes, int]:
    if isinstance(source, type):
        ns = "of.models" if is_pydantic(source) and not is_beanie(source) else None
        source = export_model(source, ns, None)
    if isinstance(source, Exported):
        source = json_util.loads(source.text())  # in the way of the proxy
    elif isinstance(source, (str, os.PathLike)):
        source = json_util.loads(Path(source).read_bytes().decode())
    elif isinstance(source, Mapping):
        source = json_util.loads(text_of(dict(source)))
    if not isinstance(source, dict):
        raise TypeError("a schema is a model class, what export() makes, a schema file's path, or a dict")
    return _read(source)


def _stored(document: Any) -> bytes:
    """The document as the driver would send it."""
    if isinstance(document, (bytes, bytearray, memoryview)):
        return bytes(document)
    if isinstance(document, RawBSONDocument):
        return bytes(document.raw)
    if isinstance(document, Mapping):
        return bson.encode(document, codec_options=OPTIONS)
    if is_beanie(type(document)):
        from beanie.odm.utils.dump import get_dict

        keep_nulls = document.get_settings().keep_nulls
        return bson.encode(get_dict(document, to_db=True, keep_nulls=keep_nulls), codec_options=OPTIONS)
    if is_mongoengine(type(document)):
        return bson.encode(document.to_mongo(), codec_options=OPTIONS)
    raise TypeError("a document is a dict or BSON as it is stored, or an instance of Beanie or MongoEngine")


def check(schema: Any, document: Any) -> Verdict:
    """Checks a document against a schema with the proxy's code. The schema is a model, a result of `export`,
        the path of a schema file, or a dict. The document is a dict of stored values, BSON, or an instance of a
        Beanie or MongoEngine document."""
    return _compiled(*_schema_of(schema)).check(_stored(document))
