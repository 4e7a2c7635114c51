// What Python says of a MongoEngine class, read once.
#include "engine.h"

#include <string.h>
#include <structmember.h> // PyMemberDef, before Python 3.12

struct engine_hooks engine_hooks;

// ---- nodes -------------------------------------------------------------------------------------

static void node_free(struct engine_node *node)
{
    if (node == NULL)
        return;
    Py_XDECREF(node->field);
    Py_XDECREF(node->convert);
    Py_XDECREF(node->store);
    Py_XDECREF(node->type);
    Py_XDECREF(node->choices);
    Py_XDECREF(node->engine);
    node_free(node->item);
    PyMem_Free(node);
}

static PyObject *kept(PyObject *value)
{
    return value == Py_None ? NULL : Py_NewRef(value);
}

static struct engine_node *node_read(PyObject *specification);

// (kind, flags, field, type, choices, (minimum, maximum), shortest, longest, required, item)
static bool node_fill(struct engine_node *node, PyObject *specification)
{
    int kind, required;
    PyObject *field, *type, *choices, *minimum, *maximum, *item;
    if (!PyArg_ParseTuple(specification, "iiOOO(OO)nnpO", &kind, &node->does, &field, &type,
                          &choices, &minimum, &maximum, &node->lengths.minimum,
                          &node->lengths.maximum, &required, &item)) {
        return false;
    }
    if (kind < 0 || kind > ENGINE_LAST) {
        PyErr_Format(PyExc_ValueError, "no such kind of field: %d", kind);
        return false;
    }
    node->kind = (enum engine_kind)kind;
    node->required = required;
    node->field = Py_NewRef(field);
    node->type = kept(type);
    node->choices = kept(choices);
    node->convert = PyObject_GetAttrString(field, "to_python");
    node->store = PyObject_GetAttrString(field, "to_mongo");
    if (item != Py_None)
        node->item = node_read(item);
    if (node->choices != NULL && !PyFrozenSet_CheckExact(node->choices)) {
        PyErr_SetString(PyExc_TypeError, "choices are a frozenset");
        return false;
    }
    bool whole =
        node->convert != NULL && node->store != NULL && (item == Py_None || node->item != NULL);
    bool is_int = node->kind == ENGINE_INT || node->kind == ENGINE_LONG;
    return whole && bounds_read(&node->bounds, is_int, minimum, maximum);
}

static bool node_fill_any(void *node, PyObject *specification)
{
    return node_fill(node, specification);
}

static void node_free_any(void *node)
{
    node_free(node);
}

static struct engine_node *node_read(PyObject *specification)
{
    return specification_read(specification, sizeof(struct engine_node), node_fill_any,
                              node_free_any);
}

// (name, stored name, node, required, keeps null, default)
static bool field_read(struct engine_field *field, PyObject *specification)
{
    PyObject *name, *stored, *node, *initial;
    int required, keeps_null;
    if (!PyTuple_Check(specification)) {
        PyErr_SetString(PyExc_TypeError, "a field is a tuple");
        return false;
    }
    if (!PyArg_ParseTuple(specification, "UUOppO", &name, &stored, &node, &required, &keeps_null,
                          &initial))
        return false;
    field->name = Py_NewRef(name);
    PyUnicode_InternInPlace(&field->name);
    field->stored = Py_NewRef(stored);
    PyUnicode_InternInPlace(&field->stored);
    Py_ssize_t size;
    field->utf8 = PyUnicode_AsUTF8AndSize(field->stored, &size);
    if (field->utf8 == NULL)
        return false;
    field->size = size + 1;
    field->required = required;
    field->keeps_null = keeps_null;
    field->initial = Py_NewRef(initial);
    field->default_is_called = PyCallable_Check(initial);
    field->node = node_read(node);
    return field->node != NULL;
}

// ---- the class ---------------------------------------------------------------------------------

static bool add_position(PyObject *positions, PyObject *name, Py_ssize_t position)
{
    PyObject *number = PyLong_FromSsize_t(position);
    bool added = number != NULL && PyDict_SetItem(positions, name, number) == 0;
    Py_XDECREF(number);
    return added;
}

static bool read_fields(Engine *self, PyObject *fields)
{
    Py_ssize_t count = PyTuple_GET_SIZE(fields);
    self->fields = PyMem_Calloc((size_t)count + 1, sizeof *self->fields);
    self->positions = PyDict_New();
    self->stored_positions = PyDict_New();
    if (self->fields == NULL || self->positions == NULL || self->stored_positions == NULL) {
        PyErr_NoMemory();
        return false;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        struct engine_field *field = &self->fields[i];
        self->count = i + 1;
        if (!field_read(field, PyTuple_GET_ITEM(fields, i)) ||
            !add_position(self->positions, field->name, i) ||
            !add_position(self->stored_positions, field->stored, i)) {
            return false;
        }
        self->has_renamed = self->has_renamed || field->name != field->stored;
        if (strcmp(field->utf8, "_id") == 0)
            self->id_position = i;
    }
    return true;
}

static bool read_order(Engine *self, PyObject *order)
{
    self->order = PyMem_Calloc((size_t)self->count + 1, sizeof *self->order);
    if (self->order == NULL) {
        PyErr_NoMemory();
        return false;
    }
    bool whole = PyTuple_GET_SIZE(order) == self->count;
    for (Py_ssize_t i = 0; whole && i < self->count; i++) {
        self->order[i] = engine_find(self, PyTuple_GET_ITEM(order, i), i, false);
        whole = self->order[i] >= 0;
    }
    if (!whole && !PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "the order has to name each field");
    return whole;
}

// Engine(class, class name, flags, fields, names in the order of _fields)
static PyObject *engine_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *cls, *class_name, *fields, *order;
    int does;
    (void)keywords;
    if (!PyArg_ParseTuple(arguments, "O!UiO!O!", &PyType_Type, &cls, &class_name, &does,
                          &PyTuple_Type, &fields, &PyTuple_Type, &order)) {
        return NULL;
    }
    if (engine_hooks.waiting == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "configure_engine() comes first");
        return NULL;
    }
    Engine *self = (Engine *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->cls = Py_NewRef(cls);
    self->class_name = Py_NewRef(class_name);
    self->does = does;
    self->id_position = -1;
    if (!read_fields(self, fields) || !read_order(self, order)) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int node_visit(struct engine_node *node, visitproc visit, void *arg)
{
    for (; node != NULL; node = node->item) {
        Py_VISIT(node->field);
        Py_VISIT(node->convert);
        Py_VISIT(node->store);
        Py_VISIT(node->type);
        Py_VISIT(node->choices);
        Py_VISIT(node->engine);
    }
    return 0;
}

static int engine_traverse(Engine *self, visitproc visit, void *arg)
{
    Py_VISIT(self->cls);
    for (Py_ssize_t i = 0; i < self->count; i++) {
        Py_VISIT(self->fields[i].initial);
        int result = node_visit(self->fields[i].node, visit, arg);
        if (result != 0)
            return result;
    }
    return 0;
}

static int engine_clear(Engine *self)
{
    Py_CLEAR(self->cls);
    self->does = 0;
    for (Py_ssize_t i = 0; i < self->count; i++) {
        struct engine_field *field = &self->fields[i];
        Py_CLEAR(field->name);
        Py_CLEAR(field->stored);
        Py_CLEAR(field->initial);
        node_free(field->node);
        field->node = NULL;
    }
    self->count = 0;
    return 0;
}

static void engine_dealloc(Engine *self)
{
    PyObject_GC_UnTrack(self);
    engine_clear(self);
    PyMem_Free(self->fields);
    PyMem_Free(self->order);
    Py_CLEAR(self->class_name);
    Py_CLEAR(self->positions);
    Py_CLEAR(self->stored_positions);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

Py_ssize_t engine_find(const Engine *engine, PyObject *name, Py_ssize_t guess, bool stored)
{
    if (guess < engine->count) {
        PyObject *guessed = stored ? engine->fields[guess].stored : engine->fields[guess].name;
        if (guessed == name ||
            (PyUnicode_Check(name) && PyUnicode_GET_LENGTH(name) == PyUnicode_GET_LENGTH(guessed) &&
             PyUnicode_Compare(name, guessed) == 0)) {
            return guess;
        }
    }
    PyObject *position =
        PyDict_GetItemWithError(stored ? engine->stored_positions : engine->positions, name);
    return position == NULL ? -1 : PyLong_AsSsize_t(position);
}

// Borrowed, as it comes.
static Engine *as_engine(PyObject *value)
{
    if (value != NULL && !Py_IS_TYPE(value, &engine_type)) {
        PyErr_SetString(PyExc_TypeError, "an Engine was wanted");
        value = NULL;
    }
    return (Engine *)value;
}

Engine *engine_of(PyTypeObject *cls)
{
    PyObject *known = PyDict_GetItemWithError(engine_hooks.engines, (PyObject *)cls);
    if (known == NULL && PyErr_Occurred())
        return NULL;
    PyObject *engine =
        known != NULL ? Py_NewRef(known) : PyObject_CallOneArg(engine_hooks.plan, (PyObject *)cls);
    if (as_engine(engine) == NULL)
        Py_CLEAR(engine);
    return (Engine *)engine;
}

Engine *engine_of_field(struct engine_node *node)
{
    if (node->engine == NULL)
        node->engine = PyObject_CallOneArg(engine_hooks.resolve, node->field);
    return as_engine(node->engine);
}

bool engine_is_list(PyObject *value)
{
    return PyList_CheckExact(value) ||
           (PyList_Check(value) &&
            PyType_IsSubtype(Py_TYPE(value), (PyTypeObject *)engine_hooks.base_list));
}

bool engine_is_dict(PyObject *value)
{
    return PyDict_CheckExact(value) || (PyObject *)Py_TYPE(value) == engine_hooks.base_dict;
}

static PyMethodDef engine_methods[] = {
    {"check", (PyCFunction)(void (*)(void))engine_check, METH_O,
     "check(document) -> None, or the names of the fields that Python has to validate"},
    {"encode", (PyCFunction)(void (*)(void))engine_encode, METH_FASTCALL,
     "encode(document, whether to make an _id) -> Encoded, or None where Python must do it"},
    {NULL, NULL, 0, NULL},
};

PyTypeObject engine_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "mongosluice._native.Engine",
    .tp_doc = "How the instances of one of MongoEngine's classes are made, checked and written.",
    .tp_basicsize = sizeof(Engine),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = engine_new,
    .tp_dealloc = (destructor)(void (*)(void))engine_dealloc,
    .tp_traverse = (traverseproc)(void (*)(void))engine_traverse,
    .tp_clear = (inquiry)(void (*)(void))engine_clear,
    .tp_methods = engine_methods,
};
