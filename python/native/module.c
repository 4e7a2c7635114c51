// The module: its types, and configure(), which passes the objects that only Python knows.
#include "engine.h"
#include "instead.h"

#include <stddef.h>
#include <string.h>
#include <structmember.h> // PyMemberDef, before Python 3.12

struct hooks hooks;

// ---- Shape -------------------------------------------------------------------------------------

static void free_keys(Shape *self)
{
    for (Py_ssize_t i = 0; i < self->key_count; i++) {
        Py_XDECREF(self->keys[i].name);
        Py_XDECREF(self->keys[i].text);
    }
    PyMem_Free(self->keys);
    self->keys = NULL;
    self->key_count = 0;
}

static bool read_key(struct key *key, PyObject *specification)
{
    PyObject *name, *text;
    if (!PyArg_ParseTuple(specification, "UUi", &name, &text, &key->flags))
        return false;
    key->name = Py_NewRef(name);
    PyUnicode_InternInPlace(&key->name);
    key->text = Py_NewRef(text);
    Py_ssize_t size;
    key->utf8 = PyUnicode_AsUTF8AndSize(text, &size);
    if (key->utf8 == NULL)
        return false;
    key->size = size + 1;
    if (memchr(key->utf8, 0, (size_t)size) != NULL) {
        PyErr_SetString(PyExc_ValueError, "a stored name cannot hold a null byte");
        return false;
    }
    return true;
}

static bool read_keys(Shape *self, PyObject *keys)
{
    Py_ssize_t count = PyTuple_GET_SIZE(keys);
    self->keys = PyMem_Calloc((size_t)count + 1, sizeof *self->keys);
    self->positions = PyDict_New();
    self->stored = PySet_New(NULL);
    if (self->keys == NULL || self->positions == NULL || self->stored == NULL) {
        PyErr_NoMemory();
        return false;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        struct key *key = &self->keys[i];
        self->key_count = i + 1;
        if (!PyTuple_Check(PyTuple_GET_ITEM(keys, i))) {
            PyErr_SetString(PyExc_TypeError, "a key is a tuple");
            return false;
        }
        if (!read_key(key, PyTuple_GET_ITEM(keys, i)))
            return false;
        PyObject *position = PyLong_FromSsize_t(i);
        bool added = position != NULL &&
                     PyDict_SetItem(self->positions, key->name, position) == 0 &&
                     PySet_Add(self->stored, key->text) == 0;
        Py_XDECREF(position);
        if (!added)
            return false;
    }
    return true;
}

// Shape(class, ((name, stored name, flags), …), first elements as BSON or None, has extra)
static PyObject *shape_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *cls, *keys, *prefix;
    int has_extra;
    (void)keywords;
    if (!PyArg_ParseTuple(arguments, "O!O!Op", &PyType_Type, &cls, &PyTuple_Type, &keys, &prefix,
                          &has_extra)) {
        return NULL;
    }
    if (prefix != Py_None && !PyBytes_CheckExact(prefix)) {
        PyErr_SetString(PyExc_TypeError, "the first elements are bytes or None");
        return NULL;
    }
    Shape *self = (Shape *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->cls = Py_NewRef(cls);
    self->has_extra = has_extra;
    if (prefix != Py_None)
        self->prefix = Py_NewRef(prefix);
    if (!read_keys(self, keys)) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int shape_traverse(Shape *self, visitproc visit, void *arg)
{
    Py_VISIT(self->cls);
    return build_visit_fields(self, visit, arg);
}

static int shape_clear(Shape *self)
{
    Py_CLEAR(self->cls);
    build_free_fields(self);
    return 0;
}

static void shape_dealloc(Shape *self)
{
    PyObject_GC_UnTrack(self);
    shape_clear(self);
    free_keys(self);
    Py_CLEAR(self->positions);
    Py_CLEAR(self->stored);
    Py_CLEAR(self->prefix);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *shape_set_fields(PyObject *self, PyObject *arguments)
{
    if (build_set_fields((Shape *)self, arguments) != OK)
        return NULL;
    Py_RETURN_NONE;
}

static PyMemberDef shape_members[] = {
    {"met_others", T_BOOL, offsetof(Shape, met_others), READONLY,
     "whether a document was met that has a field that the class has not"},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef shape_methods[] = {
    {"encode", (PyCFunction)(void (*)(void))shape_encode, METH_FASTCALL,
     "encode(instance, form, keep_nulls) -> Encoded, or None where Python must do it"},
    {"encode_many", (PyCFunction)(void (*)(void))shape_encode_many, METH_FASTCALL,
     "encode_many(list of instances, keep_nulls, function) -> (list of Encoded to be inserted, "
     "whether all are such); the function makes the others"},
    {"guard", shape_guard, METH_NOARGS, "guard(): gives the class a fast __getattribute__"},
    {"set_fields", shape_set_fields, METH_VARARGS,
     "set_fields(fields, private names, private defaults, ignores unknown)"},
    {"build", shape_build, METH_O, "build(dict) -> instance, or None where Python must do it"},
    {"build_many", (PyCFunction)(void (*)(void))shape_build_many, METH_FASTCALL,
     "build_many(list of dicts, function) -> list of instances; the function makes the others"},
    {"read_many", (PyCFunction)(void (*)(void))shape_read_many, METH_FASTCALL,
     "read_many(list, bytes, are whole, function, longest): extends the list by the batch's "
     "instances; the function makes the others of their bytes"},
    {"finds_others", (PyCFunction)(void (*)(void))shape_finds_others, METH_O,
     "finds_others(bytes): whether a document has a field that the class has not"},
    {NULL, NULL, 0, NULL},
};

PyTypeObject shape_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "mongosluice._native.Shape",
    .tp_doc = "How the instances of a model class are written and made.",
    .tp_basicsize = sizeof(Shape),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = shape_new,
    .tp_dealloc = (destructor)(void (*)(void))shape_dealloc,
    .tp_traverse = (traverseproc)(void (*)(void))shape_traverse,
    .tp_clear = (inquiry)(void (*)(void))shape_clear,
    .tp_methods = shape_methods,
    .tp_members = shape_members,
};

// ---- configure ---------------------------------------------------------------------------------

static void replace(PyObject **at, PyObject *value)
{
    PyObject *old = *at;
    *at = Py_NewRef(value);
    Py_XDECREF(old);
}

static Py_ssize_t offset_of(PyObject *slot)
{
    return ((PyMemberDescrObject *)slot)->d_member->offset;
}

static PyObject *configure(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {
        "object_id", "object_id_member", "classify", "raw",     "decode", "int64",
        "utc",       "fields_set",       "extra",    "private", NULL};
    PyObject *values[10];
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOOOOOOOOO", names, &values[0],
                                     &values[1], &values[2], &values[3], &values[4], &values[5],
                                     &values[6], &values[7], &values[8], &values[9])) {
        return NULL;
    }
    PyObject **at[] = {&hooks.object_id, &hooks.object_id_member, &hooks.classify,
                       &hooks.raw,       &hooks.decode,           &hooks.int64,
                       &hooks.utc};
    for (int i = 1; i < 10; i++) {
        bool descriptor = i == 1 || i >= 7;
        if (descriptor && !Py_IS_TYPE(values[i], &PyMemberDescr_Type)) {
            PyErr_Format(PyExc_TypeError, "%s must be a slot's descriptor", names[i]);
            return NULL;
        }
    }
    if (!PyType_Check(values[0])) {
        PyErr_SetString(PyExc_TypeError, "object_id must be a class");
        return NULL;
    }
    for (int i = 0; i < 7; i++)
        replace(at[i], values[i]);
    model_slots = (struct model_slots){.fields_set = offset_of(values[7]),
                                       .extra = offset_of(values[8]),
                                       .private_values = offset_of(values[9])};
    Py_RETURN_NONE;
}

static PyObject *configure_lazy(PyObject *module, PyObject *arguments)
{
    PyObject *missing, *getattribute;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OO", &missing, &getattribute))
        return NULL;
    replace(&hooks.missing, missing);
    replace(&hooks.lazy_getattribute, getattribute);
    Py_RETURN_NONE;
}

static PyObject *forget_kinds(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    PyDict_Clear(hooks.kinds);
    Py_RETURN_NONE;
}

static PyObject *reset_ids(PyObject *module, PyObject *arguments)
{
    const char *random;
    Py_ssize_t size;
    unsigned int counter;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "y#I", &random, &size, &counter))
        return NULL;
    if (size != 5) {
        PyErr_SetString(PyExc_ValueError, "five random bytes are needed");
        return NULL;
    }
    encode_reset_ids(random, counter);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"configure", (PyCFunction)(void (*)(void))configure, METH_VARARGS | METH_KEYWORDS,
     "Gives the extension the classes and functions that it calls; before anything else."},
    {"configure_lazy", configure_lazy, METH_VARARGS,
     "configure_lazy(NAO, LazyModel's getattribute)"},
    {"configure_engine", (PyCFunction)(void (*)(void))engine_configure,
     METH_VARARGS | METH_KEYWORDS, "The same for MongoEngine."},
    {"dereferencing_changed", engine_dereferencing_changed, METH_NOARGS,
     "Of some field of MongoEngine's."},
    {"not_dereferencing", engine_not_dereferencing, METH_O,
     "not_dereferencing(1 or -1): a context begins or ends"},
    {"from_son", (PyCFunction)(void (*)(void))engine_from_son, METH_FASTCALL | METH_KEYWORDS,
     "from_son(class, son, _auto_dereference=True, created=False): BaseDocument._from_son"},
    {"encode_new", (PyCFunction)(void (*)(void))engine_encode_new, METH_FASTCALL,
     "encode_new(documents, PyMongo's encoding) -> list of Encoded to be inserted, or None where "
     "one is not new or Python must do it"},
    {"give_ids", (PyCFunction)(void (*)(void))engine_give_ids, METH_FASTCALL,
     "give_ids(documents, ids): document.pk = id of each"},
    {"encoded_ids", encoded_ids, METH_O, "encoded_ids(list of Encoded) -> list of their _id"},
    {"forget_kinds", forget_kinds, METH_NOARGS, "Drops the remembered results of classify."},
    {"reset_ids", reset_ids, METH_VARARGS, "reset_ids(five random bytes, first count)"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    "mongosluice._native",
    "Models to BSON and back, in C.",
    -1,
    methods,
    NULL,
    NULL,
    NULL,
    NULL,
};

PyMODINIT_FUNC PyInit__native(void)
{
    if (encode_import_datetime() != OK || read_import_datetime() != OK ||
        PyType_Ready(&shape_type) < 0 || !instead_ready(&init_type) ||
        PyType_Ready(&engine_type) < 0 || !instead_ready(&engine_init_type) ||
        PyType_Ready(&engine_slot_type) < 0 || PyType_Ready(&documents_type) < 0 ||
        PyType_Ready(&awaited_type) < 0 || !instead_ready(&next_document_type)) {
        return NULL;
    }
    encoded_type.tp_dict = Py_BuildValue("{s:i}", "_type_marker", 101); // as in RawBSONDocument
    if (encoded_type.tp_dict == NULL || PyType_Ready(&encoded_type) < 0)
        return NULL;
    PyObject *module = PyModule_Create(&definition);
    hooks.kinds = PyDict_New();
    if (module == NULL || hooks.kinds == NULL || !add_constants(module) ||
        PyModule_AddObjectRef(module, "Shape", (PyObject *)&shape_type) < 0 ||
        PyModule_AddObjectRef(module, "Init", (PyObject *)&init_type) < 0 ||
        PyModule_AddObjectRef(module, "Encoded", (PyObject *)&encoded_type) < 0 ||
        PyModule_AddObjectRef(module, "Documents", (PyObject *)&documents_type) < 0 ||
        PyModule_AddObjectRef(module, "NextDocument", (PyObject *)&next_document_type) < 0 ||
        PyModule_AddObjectRef(module, "Engine", (PyObject *)&engine_type) < 0 ||
        PyModule_AddObjectRef(module, "EngineInit", (PyObject *)&engine_init_type) < 0 ||
        PyModule_AddObjectRef(module, "EngineSlot", (PyObject *)&engine_slot_type) < 0) {
        Py_XDECREF(module);
        return NULL;
    }
    return module;
}
