// Validates a MongoEngine document without MongoEngine's Python code. Fields that are not certainly
// valid are left to that code, one by one.
#include "engine.h"

static bool is_right(struct engine_node *node, PyObject *value);

static bool is_right_int(const struct engine_node *node, PyObject *value)
{
    return PyLong_CheckExact(value) && bounds_hold_int(&node->bounds, value);
}

// Written as MongoEngine asks: NaN is neither too small nor too large.
static bool is_right_float(const struct engine_node *node, PyObject *value)
{
    if (!PyFloat_CheckExact(value))
        return false;
    double number = PyFloat_AS_DOUBLE(value);
    return !(node->bounds.has_minimum && number < node->bounds.minimum) &&
           !(node->bounds.has_maximum && number > node->bounds.maximum);
}

static bool is_right_list(const struct engine_node *node, PyObject *value)
{
    if (!engine_is_list(value) || !lengths_fit(&node->lengths, PyList_GET_SIZE(value)))
        return false;
    if (node->required && PyList_GET_SIZE(value) == 0)
        return false;
    bool right = true;
    for (Py_ssize_t i = 0; right && node->item != NULL && i < PyList_GET_SIZE(value); i++) {
        PyObject *item = PyList_GET_ITEM(value, i);
        right = item != Py_None && is_right(node->item, item);
    }
    return right;
}

// Keys are text without a dollar in front, in dicts within dicts too.
static bool has_right_keys(PyObject *dict)
{
    PyObject *name, *value;
    Py_ssize_t position = 0;
    bool right = !Py_EnterRecursiveCall(" while validating");
    if (!right) {
        PyErr_Clear();
        return false;
    }
    while (right && PyDict_Next(dict, &position, &name, &value)) {
        right = PyUnicode_CheckExact(name) &&
                !(PyUnicode_GET_LENGTH(name) > 0 && PyUnicode_READ_CHAR(name, 0) == '$');
        if (right && PyDict_Check(value))
            right = engine_is_dict(value) && has_right_keys(value);
    }
    Py_LeaveRecursiveCall();
    return right;
}

static bool is_right_dict(const struct engine_node *node, PyObject *value)
{
    if (!engine_is_dict(value) || (node->required && PyDict_GET_SIZE(value) == 0) ||
        !has_right_keys(value))
        return false;
    PyObject *name, *item;
    Py_ssize_t position = 0;
    bool right = true;
    while (right && node->item != NULL && PyDict_Next(value, &position, &name, &item))
        right = item != Py_None && is_right(node->item, item);
    return right;
}

static bool is_right_document(Engine *engine, PyObject *document)
{
    PyObject *data = *engine_slot(document, engine_hooks.data);
    if (data == NULL || !PyDict_CheckExact(data))
        return false;
    bool right = true;
    for (Py_ssize_t i = 0; right && i < engine->count; i++) {
        struct engine_field *field = &engine->fields[i];
        PyObject *value = PyDict_GetItemWithError(data, field->name);
        right = value == NULL || value == Py_None ? !field->required : is_right(field->node, value);
    }
    return right;
}

static bool is_right_embedded(struct engine_node *node, PyObject *value)
{
    Engine *engine = engine_of_field(node);
    if (engine == NULL) {
        PyErr_Clear();
        return false;
    }
    return (PyObject *)Py_TYPE(value) == engine->cls && (engine->does & ENGINE_VALIDATES) &&
           is_right_document(engine, value);
}

static bool is_chosen(const struct engine_node *node, PyObject *value)
{
    if (node->choices == NULL)
        return true;
    int known = PySet_Contains(node->choices, value);
    if (known < 0)
        PyErr_Clear();
    return known == 1;
}

static bool is_right_by_kind(struct engine_node *node, PyObject *value)
{
    switch (node->kind) {
    case ENGINE_STR:
        return PyUnicode_CheckExact(value) &&
               lengths_fit(&node->lengths, PyUnicode_GET_LENGTH(value)) && is_chosen(node, value);
    case ENGINE_INT:
    case ENGINE_LONG:
        return is_right_int(node, value) && is_chosen(node, value);
    case ENGINE_FLOAT:
        return is_right_float(node, value);
    case ENGINE_BOOL:
        return PyBool_Check(value);
    case ENGINE_DATE:
    case ENGINE_UUID:
    case ENGINE_ENUM:
        return (PyObject *)Py_TYPE(value) == node->type;
    case ENGINE_OBJECT_ID:
        return (PyObject *)Py_TYPE(value) == hooks.object_id;
    case ENGINE_BYTES:
        return PyBytes_CheckExact(value) && lengths_fit(&node->lengths, PyBytes_GET_SIZE(value));
    case ENGINE_EMBEDDED:
        return is_right_embedded(node, value);
    case ENGINE_LIST:
        return is_right_list(node, value);
    case ENGINE_DICT:
        return is_right_dict(node, value);
    case ENGINE_DYNAMIC:
        return engine_is_plain(value) || engine_is_list(value) || engine_is_dict(value);
    default:
        return false;
    }
}

// Asks no code of the user's, and no exception is left.
static bool is_right(struct engine_node *node, PyObject *value)
{
    if (!(node->does & ENGINE_CHECKS))
        return false;
    if (Py_EnterRecursiveCall(" while validating")) {
        PyErr_Clear();
        return false;
    }
    Py_INCREF(value); // planning a class runs Python
    bool right = is_right_by_kind(node, value);
    Py_DECREF(value);
    Py_LeaveRecursiveCall();
    return right;
}

PyObject *engine_check(Engine *self, PyObject *document)
{
    PyObject *data = (PyObject *)Py_TYPE(document) == self->cls
                         ? *engine_slot(document, engine_hooks.data)
                         : NULL;
    if (data == NULL || !PyDict_CheckExact(data)) {
        PyErr_SetString(PyExc_TypeError, "check(instance of the class)");
        return NULL;
    }
    PyObject *wrong = NULL;
    for (Py_ssize_t i = 0; i < self->count; i++) {
        struct engine_field *field = &self->fields[i];
        PyObject *value = PyDict_GetItemWithError(data, field->name);
        bool right =
            value == NULL || value == Py_None ? !field->required : is_right(field->node, value);
        if (right)
            continue;
        if (wrong == NULL)
            wrong = PyList_New(0);
        if (wrong == NULL || PyList_Append(wrong, field->name) < 0) {
            Py_XDECREF(wrong);
            return NULL;
        }
    }
    return wrong == NULL ? Py_NewRef(Py_None) : wrong;
}
