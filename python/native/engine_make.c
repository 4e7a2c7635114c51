// Makes instances of MongoEngine documents. Does the steps of BaseDocument.__init__ in the same
// order, with the same calls of the user's code.
#include "engine_make.h"

bool engine_given_begin(struct values_given *given, const Engine *engine)
{
    given->count = 0;
    given->class_name = NULL;
    given->values = given->values_on_stack;
    given->order = given->order_on_stack;
    if (engine->count > VALUES_ON_STACK) {
        given->values = PyMem_Calloc((size_t)engine->count, sizeof(PyObject *));
        given->order = PyMem_Calloc((size_t)engine->count, sizeof(Py_ssize_t));
        if (given->values == NULL || given->order == NULL) {
            PyMem_Free(given->values);
            PyMem_Free(given->order);
            PyErr_NoMemory();
            return false;
        }
        return true;
    }
    for (Py_ssize_t i = 0; i < engine->count; i++)
        given->values[i] = NULL;
    return true;
}

void engine_given_end(struct values_given *given, const Engine *engine)
{
    Py_XDECREF(given->class_name);
    for (Py_ssize_t i = 0; i < engine->count; i++)
        Py_XDECREF(given->values[i]);
    if (given->values != given->values_on_stack) {
        PyMem_Free(given->values);
        PyMem_Free(given->order);
    }
}

bool engine_is_text(PyObject *value, const char *text)
{
    return PyUnicode_CompareWithASCIIString(value, text) == 0;
}

// ---- setting: as BaseField.__set__ does before the instance is initialised ---------------------

static int is_embedded(PyObject *value)
{
    if (PyObject_TypeCheck(value, (PyTypeObject *)engine_hooks.embedded))
        return 1;
    return PyWeakref_CheckProxy(value) ? PyObject_IsInstance(value, engine_hooks.embedded) : 0;
}

// Whether attributes of the document can be put straight into its slots.
static int has_plain_slots(PyObject *document)
{
    if (PyWeakref_CheckProxy(document))
        return 0;
    Engine *engine = engine_of(Py_TYPE(document));
    if (engine == NULL)
        return -1;
    int plain = (engine->does & ENGINE_MAKES) != 0;
    Py_DECREF(engine);
    return plain;
}

// value._instance = weakref.proxy(owner)
static int set_owner(PyObject *value, PyObject *owner)
{
    int plain = has_plain_slots(value);
    PyObject *proxy = plain < 0 ? NULL : PyWeakref_NewProxy(owner, NULL);
    if (proxy == NULL)
        return FAILED;
    if (plain) {
        Py_XSETREF(*engine_slot(value, engine_hooks.instance), proxy);
        return OK;
    }
    int result = PyObject_SetAttrString(value, "_instance", proxy) < 0 ? FAILED : OK;
    Py_DECREF(proxy);
    return result;
}

static int set_owners(PyObject *sequence, PyObject *owner)
{
    PyObject *items = PySequence_Fast(sequence, "a list or tuple");
    if (items == NULL)
        return FAILED;
    int result = OK;
    for (Py_ssize_t i = 0; result == OK && i < PySequence_Fast_GET_SIZE(items); i++) {
        PyObject *item = Py_NewRef(PySequence_Fast_GET_ITEM(items, i));
        int embedded = is_embedded(item);
        if (embedded != 0)
            result = embedded < 0 ? FAILED : set_owner(item, owner);
        Py_DECREF(item);
    }
    Py_DECREF(items);
    return result;
}

static int set_natively(PyObject *self, const struct engine_field *field, PyObject *value)
{
    PyObject *kept = NULL;
    if (value == Py_None && !field->keeps_null && field->initial != Py_None) {
        kept = field->default_is_called ? PyObject_CallNoArgs(field->initial)
                                        : Py_NewRef(field->initial);
        if (kept == NULL)
            return FAILED;
        value = kept;
    }
    int result = OK;
    if (PyList_Check(value) || PyTuple_Check(value)) {
        result = set_owners(value, self);
    } else if (!engine_is_plain(value)) {
        int embedded = is_embedded(value);
        if (embedded != 0)
            result = embedded < 0 ? FAILED : set_owner(value, self);
    }
    PyObject *data = *engine_slot(self, engine_hooks.data);
    if (result == OK && (data == NULL || !PyDict_CheckExact(data))) {
        PyErr_SetString(PyExc_AttributeError, "_data");
        result = FAILED;
    }
    if (result == OK && PyDict_SetItem(data, field->name, value) < 0)
        result = FAILED;
    Py_XDECREF(kept);
    return result;
}

static int set_field(PyObject *self, const struct engine_field *field, PyObject *value)
{
    if (field->node->does & ENGINE_SETS)
        return set_natively(self, field, value);
    return PyObject_SetAttr(self, field->name, value) < 0 ? FAILED : OK;
}

// A field without a given value: sets its default.
static int set_default(PyObject *self, const struct engine_field *field)
{
    if (field->node->does & ENGINE_GETS)
        return set_field(self, field, Py_None);
    PyObject *value = PyObject_GetAttr(self, field->name);
    if (value == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError))
            return FAILED;
        PyErr_Clear();
        value = Py_NewRef(Py_None);
    }
    int result = set_field(self, field, value);
    Py_DECREF(value);
    return result;
}

void engine_set_slot(PyObject *self, Py_ssize_t offset, PyObject *value)
{
    Py_XSETREF(*engine_slot(self, offset), Py_NewRef(value));
}

static int set_class_name(Engine *engine, PyObject *self, PyObject *value)
{
    static PyObject *name;
    if (name == NULL)
        name = PyUnicode_InternFromString("_cls");
    if (name == NULL)
        return FAILED;
    if (engine->does & ENGINE_INHERITS)
        return PyObject_SetAttr(self, name, value) < 0 ? FAILED : OK;
    return PyObject_GenericSetAttr(self, name, value) < 0 ? FAILED : OK;
}

static Py_ssize_t class_name_position(const Engine *engine)
{
    static PyObject *name;
    if (name == NULL)
        name = PyUnicode_InternFromString("_cls");
    return name == NULL ? -1 : engine_find(engine, name, 0, false);
}

static int fill_class_name(Engine *engine, PyObject *self, const struct values_given *given)
{
    if (!(engine->does & ENGINE_INHERITS)) {
        PyObject *name = given->class_name == NULL ? engine->class_name : given->class_name;
        return set_class_name(engine, self, name);
    }
    Py_ssize_t position = class_name_position(engine);
    if (position < 0)
        return PyErr_Occurred() ? FAILED : set_class_name(engine, self, engine->class_name);
    if (given->values[position] != NULL)
        return OK;
    return set_field(self, &engine->fields[position], engine->class_name);
}

// BaseDocument.__init__, and for embedded documents the additions of EmbeddedDocument.__init__.
int engine_fill(Engine *engine, PyObject *self, struct values_given *given, bool converts,
                PyObject *created)
{
    PyObject *data = PyDict_New();
    if (data == NULL)
        return FAILED;
    engine_set_slot(self, engine_hooks.initialised, Py_False);
    engine_set_slot(self, engine_hooks.created, Py_True);
    Py_XSETREF(*engine_slot(self, engine_hooks.data), data);
    engine_set_slot(self, engine_hooks.dynamic_fields, engine_hooks.waiting);
    int result = OK;
    for (Py_ssize_t i = 0; result == OK && i < engine->count; i++) {
        if (given->values[engine->order[i]] == NULL)
            result = set_default(self, &engine->fields[engine->order[i]]);
    }
    if (result == OK)
        result = fill_class_name(engine, self, given);
    for (Py_ssize_t i = 0; result == OK && i < given->count; i++) {
        struct engine_field *field = &engine->fields[given->order[i]];
        PyObject *value = given->values[given->order[i]], *converted = NULL;
        if (converts && value != Py_None && !(field->node->does & ENGINE_KEEPS)) {
            value = converted = engine_convert(engine, field->node, value);
        }
        result = value == NULL ? FAILED : set_field(self, field, value);
        Py_XDECREF(converted);
    }
    if (result == OK && (engine->does & ENGINE_SHOWS)) {
        PyObject *shown = PyObject_CallOneArg(engine_hooks.show, self);
        result = shown == NULL ? FAILED : OK;
        Py_XDECREF(shown);
    }
    if (result == OK) {
        engine_set_slot(self, engine_hooks.initialised, Py_True);
        engine_set_slot(self, engine_hooks.created, created);
    }
    return result;
}

void engine_end_embedded(Engine *engine, PyObject *self)
{
    if (!(engine->does & ENGINE_EMBEDDED_DOCUMENT))
        return;
    engine_set_slot(self, engine_hooks.instance, Py_None);
    engine_set_slot(self, engine_hooks.changed_fields, engine_hooks.waiting);
}

static bool is_watched(PyObject *receivers)
{
    return receivers != NULL && PyDict_Check(receivers) && PyDict_GET_SIZE(receivers) > 0;
}

bool engine_is_watched(void)
{
    return is_watched(engine_hooks.pre_init_receivers) ||
           is_watched(engine_hooks.post_init_receivers);
}
