// Instances that share unused parts.
//
// For a model instance, pydantic makes four objects: the instance, its dict, the set of the given
// fields, and the dict of its private values. The last two take as much memory as the others, are
// equal in most instances, and are seldom used. A class with the __getattribute__ of this file
// therefore starts its instances "lazy": with a shared frozenset, and with the Shape in place of
// the private values. An instance gets its own objects on the first access that could show the
// difference.
//
// An instance whose values are all inert (they hold nothing that could hold the instance) is in no
// cycle, so the garbage collector does not have to know it, just as Python does not track dicts of
// numbers and strings. The only way to change that is to get hold of something that can hold a
// reference: its dict, a bound method, a list. That is when it gets tracked, with all in it. With
// 50,000 documents alive the collector would otherwise take longer than making them.
#include "native.h"

bool lazy_is_inert(PyObject *value, bool ours)
{
    if (!PyObject_IS_GC(value))
        return true;
    if ((PyObject *)Py_TYPE(value) == hooks.object_id)
        return true; // holds bytes
    return ours && !PyObject_GC_IsTracked(value);
}

void lazy_begin(PyObject *instance, PyObject *given, Shape *shape)
{
    PyObject **slot = model_slot(instance, model_slots.fields_set);
    Py_XSETREF(*slot, Py_NewRef(given));
    slot = model_slot(instance, model_slots.private_values);
    Py_XSETREF(*slot, Py_NewRef((PyObject *)shape));
}

static bool is_lazy(PyObject *instance)
{
    PyObject *shape = *model_slot(instance, model_slots.private_values);
    return shape != NULL && Py_IS_TYPE(shape, &shape_type);
}

// Lists, dicts and models only: tuples and the like cannot be changed.
static int track(PyObject *value, void *unused)
{
    PyTypeObject *type = Py_TYPE(value);
    bool changes = PyList_CheckExact(value) || PyDict_CheckExact(value) ||
                   PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE);
    if (!changes || !PyObject_IS_GC(value) || PyObject_GC_IsTracked(value))
        return 0;
    PyObject_GC_Track(value);
    return type->tp_traverse(value, track, unused);
}

void lazy_track(PyObject *value)
{
    track(value, NULL);
}

// Gives a lazy instance its own data. False with an exception.
static bool complete(PyObject *instance)
{
    PyObject **given = model_slot(instance, model_slots.fields_set);
    PyObject **private_values = model_slot(instance, model_slots.private_values);
    PyObject *own_given = PySet_New(*given);
    PyObject *own_private = build_private_values((Shape *)*private_values);
    if (own_given == NULL || own_private == NULL) {
        Py_XDECREF(own_given);
        Py_XDECREF(own_private);
        return false;
    }
    Py_SETREF(*given, own_given);
    Py_SETREF(*private_values, own_private);
    lazy_track(instance);
    return true;
}

// What LazyModel.__getattribute__ does, but for values that are yet to be parsed: those go there.
static PyObject *get_attribute(PyObject *self, PyObject *name)
{
    PyObject *value = PyObject_GenericGetAttr(self, name);
    if (value == NULL)
        return NULL;
    if (value == hooks.missing) {
        Py_DECREF(value);
        return PyObject_CallFunctionObjArgs(hooks.lazy_getattribute, self, name, NULL);
    }
    if (!PyObject_IS_GC(value) || !is_lazy(self))
        return value;
    Py_DECREF(value);
    return complete(self) ? PyObject_GenericGetAttr(self, name) : NULL;
}

static PyMethodDef get_attribute_definition = {"__getattribute__", get_attribute, METH_O, NULL};

PyObject *shape_guard(PyObject *self, PyObject *unused)
{
    Shape *shape = (Shape *)self;
    (void)unused;
    PyObject *method = PyDescr_NewMethod((PyTypeObject *)shape->cls, &get_attribute_definition);
    if (method == NULL)
        return NULL;
    int result = PyObject_SetAttrString(shape->cls, "__getattribute__", method);
    Py_DECREF(method);
    if (result < 0)
        return NULL;
    shape->is_guarded = true;
    Py_RETURN_NONE;
}
