// What encode.c offers to engine.c and encoded.c: BSON elements into a buffer.
#ifndef MONGOSLUICE_NATIVE_WRITE_H
#define MONGOSLUICE_NATIVE_WRITE_H

#include "native.h"

struct writer {
    struct buffer buffer;
    bool keep_nulls;
    PyObject *raw; // as hooks.raw, by which values are written that only PyMongo knows; borrowed
};

// buffer_free() ends it.
void writer_init(struct writer *writer, bool keep_nulls);
// `key` with its NUL, which `key_size` counts.
int write_value(struct writer *writer, const char *key, Py_ssize_t key_size, PyObject *value);
// A value that is not encoded again, only written.
int write_raw(struct writer *writer, const char *key, Py_ssize_t key_size, PyObject *value);
int write_object_id(struct writer *writer, const char *key, Py_ssize_t key_size, PyObject *value);
// _id: the value, or a new ObjectId where it is None.
int write_id(struct writer *writer, PyObject *id);
// The start of the document or array, or -1 with an exception.
Py_ssize_t open_container(struct writer *writer, char type, const char *key, Py_ssize_t key_size);
int close_container(struct writer *writer, Py_ssize_t start);
// An index as a name; its size with the NUL. `out` holds 24 bytes.
Py_ssize_t index_key(char *out, Py_ssize_t index);

// ---- encoded.c ---------------------------------------------------------------------------------

// Makes an Encoded of the buffer's bytes. `id`: the given _id; None if the extension made it; NULL
// if there is none.
PyObject *encoded_new(struct buffer *buffer, PyObject *id);

#endif
