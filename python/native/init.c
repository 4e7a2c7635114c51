// Init: __init__ of a model class.
#include "instead.h"

// Init(original, shape)
static PyObject *init_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *self = instead_new(type, arguments, keywords);
    if (self != NULL && !Py_IS_TYPE(((Instead *)self)->subject, &shape_type)) {
        PyErr_SetString(PyExc_TypeError, "Init(original, Shape)");
        Py_CLEAR(self);
    }
    return self;
}

static PyObject *init_call(Instead *self, PyObject *arguments, PyObject *keywords)
{
    Shape *shape = (Shape *)self->subject;
    if (PyTuple_GET_SIZE(arguments) == 1 && keywords != NULL &&
        (PyObject *)Py_TYPE(PyTuple_GET_ITEM(arguments, 0)) == shape->cls) {
        int result = build_fill(shape, PyTuple_GET_ITEM(arguments, 0), keywords, true);
        if (result == OK && !shape->is_guarded)
            lazy_track(PyTuple_GET_ITEM(arguments, 0));
        if (result == OK)
            Py_RETURN_NONE;
        if (result == FAILED)
            return NULL;
    }
    return PyObject_Call(self->original, arguments, keywords);
}

PyTypeObject init_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "mongosluice._native.Init",
    .tp_new = init_new,
    .tp_call = (ternaryfunc)(void (*)(void))init_call,
};
