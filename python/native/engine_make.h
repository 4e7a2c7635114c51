// Shared by engine_make.c, engine_son.c and engine_init.c: makes an instance from the values of its
// fields.
#ifndef MONGOSLUICE_NATIVE_ENGINE_MAKE_H
#define MONGOSLUICE_NATIVE_ENGINE_MAKE_H

#include "engine.h"

enum { VALUES_ON_STACK = 64 };

// The values given for the fields of an engine, by position, and in which order they come.
struct values_given {
    PyObject **values; // NULL where nothing was given
    Py_ssize_t *order;
    Py_ssize_t count;
    PyObject *class_name; // of _cls, where that is no field; or NULL
    PyObject *values_on_stack[VALUES_ON_STACK];
    Py_ssize_t order_on_stack[VALUES_ON_STACK];
};

// False with an exception; engine_given_end() ends it otherwise.
bool engine_given_begin(struct values_given *given, const Engine *engine);
void engine_given_end(struct values_given *given, const Engine *engine);

// engine_convert.c: the result of the field's to_python, a new reference; NULL with an exception.
PyObject *engine_convert(Engine *engine, struct engine_node *node, PyObject *value);

// engine_make.c: BaseDocument.__init__ with the given values, converted if `converts`. OK or
// FAILED.
int engine_fill(Engine *engine, PyObject *self, struct values_given *given, bool converts,
                PyObject *created);
// What EmbeddedDocument.__init__ does beside that, to an embedded document.
void engine_end_embedded(Engine *engine, PyObject *self);
void engine_set_slot(PyObject *self, Py_ssize_t offset, PyObject *value);
// Whether somebody listens to pre_init or post_init.
bool engine_is_watched(void);
bool engine_is_text(PyObject *value, const char *text);

// engine_son.c: BaseDocument._from_son of a dict, dereferencing.
PyObject *engine_son(Engine *queried, PyObject *son, PyObject *created);

#endif
