#include "instead.h"

#include <stddef.h>

PyObject *instead_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *original, *subject = Py_None;
    (void)keywords;
    if (!PyArg_ParseTuple(arguments, "O|O", &original, &subject))
        return NULL;
    Instead *self = (Instead *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->original = Py_NewRef(original);
    self->subject = Py_NewRef(subject);
    return (PyObject *)self;
}

static int instead_traverse(Instead *self, visitproc visit, void *arg)
{
    Py_VISIT(self->original);
    Py_VISIT(self->subject);
    return 0;
}

static int instead_clear(Instead *self)
{
    Py_CLEAR(self->original);
    Py_CLEAR(self->subject);
    return 0;
}

static void instead_dealloc(Instead *self)
{
    PyObject_GC_UnTrack(self);
    instead_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *instead_bind(PyObject *self, PyObject *instance, PyObject *type)
{
    (void)type;
    return instance == NULL ? Py_NewRef(self) : PyMethod_New(self, instance);
}

static PyObject *instead_get_attribute(PyObject *self, PyObject *name)
{
    PyObject *value = PyObject_GenericGetAttr(self, name);
    if (value != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError))
        return value;
    PyErr_Clear();
    return PyObject_GetAttr(((Instead *)self)->original, name);
}

bool instead_ready(PyTypeObject *type)
{
    type->tp_basicsize = sizeof(Instead);
    type->tp_flags |= Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_METHOD_DESCRIPTOR;
    if (type->tp_call == NULL) {
        type->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
        type->tp_vectorcall_offset = offsetof(Instead, vectorcall);
        type->tp_call = PyVectorcall_Call;
    }
    type->tp_dealloc = (destructor)(void (*)(void))instead_dealloc;
    type->tp_traverse = (traverseproc)(void (*)(void))instead_traverse;
    type->tp_clear = (inquiry)(void (*)(void))instead_clear;
    type->tp_descr_get = instead_bind;
    type->tp_getattro = instead_get_attribute;
    return PyType_Ready(type) == 0;
}
