"""The validator's shared library through ctypes (include/mongosluice/validator.h)."""

import ctypes
import pathlib

import bson
from bson.codec_options import CodecOptions

VALID, INVALID, MALFORMED, CUT_OFF = range(4)
MONGODB, JSON_SCHEMA = range(2)
RAW = CodecOptions(tz_aware=False)


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("message", ctypes.c_char * 512)]


class Refused(Exception):
    def __init__(self, error):
        super().__init__(error.message.decode(errors="replace"))
        self.code = error.code


class Library:
    def __init__(self, path):
        lib = ctypes.CDLL(str(pathlib.Path(path).resolve()))
        pointer, size, text = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
        error = ctypes.POINTER(Error)
        for name, result, arguments in (
            ("sluice_version", text, []),
            ("sluice_schema_compile", pointer, [text, size, ctypes.c_int, error]),
            ("sluice_schema_free", None, [pointer]),
            ("sluice_scratch_new", pointer, []),
            ("sluice_schema_check", ctypes.c_int, [pointer, pointer, text, size, error]),
            ("sluice_schema_check_field", ctypes.c_int,
             [pointer, pointer, text, size, text, error]),
            ("sluice_schema_explain", ctypes.c_int,
             [pointer, pointer, text, size, ctypes.POINTER(pointer), ctypes.POINTER(size), error]),
            ("sluice_bytes_free", None, [pointer]),
        ):
            function = getattr(lib, name)
            function.restype, function.argtypes = result, arguments
        self.lib = lib
        self.scratch = lib.sluice_scratch_new()


class Schema:
    def __init__(self, library, schema, dialect):
        self.lib, self.scratch = library.lib, library.scratch
        data, error = bson.encode(schema), Error()
        self.handle = self.lib.sluice_schema_compile(data, len(data), dialect, error)
        if not self.handle:
            raise Refused(error)

    def __del__(self):
        if getattr(self, "handle", None):
            self.lib.sluice_schema_free(self.handle)

    def check(self, data):
        return self.lib.sluice_schema_check(self.handle, self.scratch, data, len(data), Error())

    def check_field(self, data, name):
        return self.lib.sluice_schema_check_field(
            self.handle, self.scratch, data, len(data), name.encode(), Error())

    def explain(self, data):
        info, size, error = ctypes.c_void_p(), ctypes.c_size_t(), Error()
        if self.lib.sluice_schema_explain(self.handle, self.scratch, data, len(data), info, size,
                                          error) != 0:
            raise Refused(error)
        document = bson.decode(ctypes.string_at(info, size.value), RAW)
        self.lib.sluice_bytes_free(info)
        return document
