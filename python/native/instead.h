// Objects that stand in the place of a function of Beanie's or MongoEngine's, in its class: they
// bind as it does, and have its name, signature and documentation.
#ifndef MONGOSLUICE_NATIVE_INSTEAD_H
#define MONGOSLUICE_NATIVE_INSTEAD_H

#include "native.h"

typedef struct {
    PyObject_HEAD PyObject *original;
    PyObject *subject; // the second argument, or None
    vectorcallfunc vectorcall;
} Instead;

// Such a type has a name, tp_new, and tp_call or the vectorcall that its tp_new sets; the rest
// comes from here. False with an exception.
bool instead_ready(PyTypeObject *type);
// type(original[, subject])
PyObject *instead_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords);

#endif
