// A document that is BSON already. PyMongo takes it for a mutable mapping whose bytes it may send
// as they are, and asks it for _id. One that was made without may be given it, once.
#include "write.h"

#include <string.h>

typedef struct {
    PyObject_HEAD PyObject *raw;
    PyObject *id; // NULL until asked for, where it was made here or is stored as something else
    PyObject *mapping; // NULL until asked for
    bool lacks_id;
} Encoded;

PyObject *encoded_new(struct buffer *buffer, PyObject *id)
{
    Encoded *self = PyObject_New(Encoded, &encoded_type);
    if (self == NULL)
        return NULL;
    self->id = self->mapping = NULL;
    self->lacks_id = id == NULL;
    if (self->lacks_id)
        id = Py_None;
    self->raw = PyBytes_FromStringAndSize(buffer->data, (Py_ssize_t)buffer->length);
    if (self->raw == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    bool stored_as_it_is = PyUnicode_CheckExact(id) || PyLong_CheckExact(id) ||
                           PyObject_TypeCheck(id, (PyTypeObject *)hooks.object_id);
    if (stored_as_it_is)
        self->id = Py_NewRef(id);
    return (PyObject *)self;
}

static void encoded_dealloc(Encoded *self)
{
    Py_XDECREF(self->raw);
    Py_XDECREF(self->id);
    Py_XDECREF(self->mapping);
    PyObject_Free(self);
}

// The whole of it, decoded; borrowed.
static PyObject *encoded_mapping(Encoded *self)
{
    if (self->mapping == NULL)
        self->mapping = PyObject_CallOneArg(hooks.decode, self->raw);
    return self->mapping;
}

static bool has_object_id(Encoded *self)
{
    return PyBytes_GET_SIZE(self->raw) >= 22 &&
           memcmp(PyBytes_AS_STRING(self->raw) + 4, "\x07_id", 5) == 0;
}

PyObject *make_object_id_of(PyTypeObject *type, const char bytes[12])
{
    PyObject *member = hooks.object_id_member;
    PyObject *made = type->tp_alloc(type, 0);
    PyObject *value = PyBytes_FromStringAndSize(bytes, 12);
    if (made != NULL && (value == NULL || Py_TYPE(member)->tp_descr_set(member, made, value) < 0))
        Py_CLEAR(made);
    Py_XDECREF(value);
    if (made != NULL)
        PyObject_GC_UnTrack(made); // it holds bytes only
    return made;
}

// The _id, borrowed; NULL, without an exception, where it is not one that can be told so easily.
static PyObject *known_id(Encoded *self)
{
    if (self->id == NULL && has_object_id(self))
        self->id =
            make_object_id_of((PyTypeObject *)hooks.object_id, PyBytes_AS_STRING(self->raw) + 9);
    return self->id;
}

PyObject *encoded_ids(PyObject *module, PyObject *documents)
{
    (void)module;
    if (!PyList_CheckExact(documents)) {
        PyErr_SetString(PyExc_TypeError, "encoded_ids(list of Encoded)");
        return NULL;
    }
    PyObject *name = PyUnicode_InternFromString("_id");
    PyObject *ids = name == NULL ? NULL : PyList_New(PyList_GET_SIZE(documents));
    for (Py_ssize_t i = 0; ids != NULL && i < PyList_GET_SIZE(ids); i++) {
        PyObject *document = list_item(documents, i);
        bool is_encoded = Py_IS_TYPE(document, &encoded_type);
        PyObject *id = is_encoded ? Py_XNewRef(known_id((Encoded *)document)) : NULL;
        if (id == NULL && !PyErr_Occurred())
            id = PyObject_GetItem(document, name);
        Py_DECREF(document);
        if (id == NULL) {
            Py_CLEAR(ids);
        } else {
            PyList_SET_ITEM(ids, i, id);
        }
    }
    Py_XDECREF(name);
    return ids;
}

static bool is_id(PyObject *name)
{
    return PyUnicode_Check(name) && PyUnicode_CompareWithASCIIString(name, "_id") == 0;
}

static PyObject *encoded_get_item(Encoded *self, PyObject *name)
{
    if (is_id(name)) {
        PyObject *id = known_id(self);
        if (id != NULL || PyErr_Occurred())
            return Py_XNewRef(id);
    }
    PyObject *mapping = encoded_mapping(self);
    return mapping == NULL ? NULL : PyObject_GetItem(mapping, name);
}

static int encoded_contains(Encoded *self, PyObject *name)
{
    if (is_id(name) && (self->lacks_id || self->id != NULL || has_object_id(self)))
        return self->lacks_id ? 0 : 1;
    PyObject *mapping = encoded_mapping(self);
    return mapping == NULL ? -1 : PySequence_Contains(mapping, name);
}

static PyObject *encoded_get(Encoded *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count < 1 || count > 2) {
        PyErr_SetString(PyExc_TypeError, "get(key, default=None)");
        return NULL;
    }
    PyObject *value = encoded_get_item(self, arguments[0]);
    if (value != NULL || !PyErr_ExceptionMatches(PyExc_KeyError))
        return value;
    PyErr_Clear();
    return Py_NewRef(count == 2 ? arguments[1] : Py_None);
}

static Py_ssize_t encoded_length(Encoded *self)
{
    PyObject *mapping = encoded_mapping(self);
    return mapping == NULL ? -1 : PyObject_Size(mapping);
}

static PyObject *encoded_iter(Encoded *self)
{
    PyObject *mapping = encoded_mapping(self);
    return mapping == NULL ? NULL : PyObject_GetIter(mapping);
}

// As the first element, where PyMongo puts it.
static int put_id(Encoded *self, PyObject *id)
{
    struct writer writer;
    writer_init(&writer, true);
    const char *raw = PyBytes_AS_STRING(self->raw);
    int result = buffer_put_int32(&writer.buffer, 0);
    if (result == OK)
        result = write_raw(&writer, "_id", 4, id);
    if (result == OK)
        result = buffer_put(&writer.buffer, raw + 4, (size_t)PyBytes_GET_SIZE(self->raw) - 5);
    if (result == OK)
        result = close_container(&writer, 0);
    PyObject *made = NULL;
    if (result == OK) {
        made = PyBytes_FromStringAndSize(writer.buffer.data, (Py_ssize_t)writer.buffer.length);
    } else if (result == GIVE_UP) {
        PyErr_Format(PyExc_TypeError, "%R cannot be an _id", id);
    }
    buffer_free(&writer.buffer);
    if (made == NULL)
        return -1;
    Py_SETREF(self->raw, made);
    Py_CLEAR(self->mapping);
    self->id = Py_NewRef(id);
    self->lacks_id = false;
    return 0;
}

static int encoded_set_item(Encoded *self, PyObject *name, PyObject *value)
{
    if (self->lacks_id && value != NULL && is_id(name))
        return put_id(self, value);
    PyErr_Format(PyExc_TypeError, "%R cannot be changed: the document is encoded already", name);
    return -1;
}

static PyObject *encoded_call(Encoded *self, const char *method)
{
    PyObject *mapping = encoded_mapping(self);
    return mapping == NULL ? NULL : PyObject_CallMethod(mapping, method, NULL);
}

static PyObject *encoded_keys(Encoded *self, PyObject *unused)
{
    (void)unused;
    return encoded_call(self, "keys");
}

static PyObject *encoded_values(Encoded *self, PyObject *unused)
{
    (void)unused;
    return encoded_call(self, "values");
}

static PyObject *encoded_items(Encoded *self, PyObject *unused)
{
    (void)unused;
    return encoded_call(self, "items");
}

static PyObject *encoded_repr(Encoded *self)
{
    PyObject *mapping = encoded_mapping(self);
    return mapping == NULL ? NULL : PyObject_Repr(mapping);
}

static PyObject *encoded_compare(PyObject *self, PyObject *other, int operation)
{
    PyObject *mapping = encoded_mapping((Encoded *)self);
    if (mapping == NULL)
        return NULL;
    if (Py_IS_TYPE(other, &encoded_type))
        other = encoded_mapping((Encoded *)other);
    return other == NULL ? NULL : PyObject_RichCompare(mapping, other, operation);
}

static PyObject *encoded_raw(Encoded *self, void *unused)
{
    (void)unused;
    return Py_NewRef(self->raw);
}

static PyMethodDef encoded_methods[] = {
    {"get", (PyCFunction)(void (*)(void))encoded_get, METH_FASTCALL, NULL},
    {"keys", (PyCFunction)(void (*)(void))encoded_keys, METH_NOARGS, NULL},
    {"values", (PyCFunction)(void (*)(void))encoded_values, METH_NOARGS, NULL},
    {"items", (PyCFunction)(void (*)(void))encoded_items, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef encoded_getset[] = {
    {"raw", (getter)(void (*)(void))encoded_raw, NULL, "its BSON", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMappingMethods encoded_as_mapping = {
    .mp_length = (lenfunc)(void (*)(void))encoded_length,
    .mp_subscript = (binaryfunc)(void (*)(void))encoded_get_item,
    .mp_ass_subscript = (objobjargproc)(void (*)(void))encoded_set_item,
};

static PySequenceMethods encoded_as_sequence = {
    .sq_contains = (objobjproc)(void (*)(void))encoded_contains,
};

PyTypeObject encoded_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "mongosluice._native.Encoded",
    .tp_doc = "A document that is BSON already; a mapping that cannot be changed.",
    .tp_basicsize = sizeof(Encoded),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_dealloc = (destructor)(void (*)(void))encoded_dealloc,
    .tp_repr = (reprfunc)(void (*)(void))encoded_repr,
    .tp_as_mapping = &encoded_as_mapping,
    .tp_as_sequence = &encoded_as_sequence,
    .tp_iter = (getiterfunc)(void (*)(void))encoded_iter,
    .tp_richcompare = encoded_compare,
    .tp_hash = PyObject_HashNotImplemented,
    .tp_methods = encoded_methods,
    .tp_getset = encoded_getset,
};
