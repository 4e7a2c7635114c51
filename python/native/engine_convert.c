// What MongoEngine's fields make of the values that they are given: their to_python.
#include "engine_make.h"

// ---- a value: the result of to_python -----------------------------------------------------------

bool engine_is_plain(PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);
    return type == &PyUnicode_Type || type == &PyLong_Type || type == &PyFloat_Type ||
           type == &PyBool_Type || value == Py_None || (PyObject *)type == engine_hooks.date_time ||
           (PyObject *)type == hooks.object_id;
}

// For a list or dict without a declared item type. NULL without an exception: unknown.
static PyObject *convert_untyped(PyObject *value)
{
    if (engine_is_plain(value))
        return Py_NewRef(value);
    bool is_list = PyList_CheckExact(value);
    if ((!is_list && !PyDict_CheckExact(value)) ||
        Py_EnterRecursiveCall(" while making a document"))
        return NULL;
    PyObject *made = is_list ? PyList_New(0) : PyDict_New();
    PyObject *name, *item;
    Py_ssize_t position = 0;
    while (made != NULL && (is_list ? position < PyList_GET_SIZE(value)
                                    : PyDict_Next(value, &position, &name, &item))) {
        if (is_list)
            item = PyList_GET_ITEM(value, position++);
        PyObject *converted = convert_untyped(item);
        if (converted == NULL || (is_list ? PyList_Append(made, converted)
                                          : PyDict_SetItem(made, name, converted)) < 0) {
            Py_CLEAR(made);
        }
        Py_XDECREF(converted);
    }
    Py_LeaveRecursiveCall();
    return made;
}

// to_python hands a field's dereferencing on to those within it: once they agree, that changes
// nothing.
static bool agrees(Engine *engine)
{
    if (engine_hooks.not_dereferencing)
        return false;
    if (engine->asked != engine_hooks.epoch) {
        PyObject *answer = PyObject_CallOneArg(engine_hooks.agree, engine->cls);
        if (answer == NULL) {
            PyErr_Clear();
            return false;
        }
        engine->agrees = answer == Py_True;
        engine->asked = engine_hooks.epoch;
        Py_DECREF(answer);
    }
    return engine->agrees;
}

static PyObject *convert_list(Engine *engine, struct engine_node *node, PyObject *value)
{
    Py_ssize_t count = PyList_GET_SIZE(value);
    PyObject *made = PyList_New(count);
    for (Py_ssize_t i = 0; made != NULL && i < count; i++) {
        PyObject *item = list_item(value, i);
        PyObject *converted = engine_convert(engine, node->item, item);
        Py_DECREF(item);
        if (converted == NULL) {
            Py_CLEAR(made);
        } else {
            PyList_SET_ITEM(made, i, converted);
        }
    }
    return made;
}

static PyObject *convert_dict(Engine *engine, struct engine_node *node, PyObject *value)
{
    PyObject *made = PyDict_New(), *name, *item;
    Py_ssize_t position = 0;
    while (made != NULL && PyDict_Next(value, &position, &name, &item)) {
        Py_INCREF(name);
        Py_INCREF(item);
        PyObject *converted = engine_convert(engine, node->item, item);
        if (converted == NULL || PyDict_SetItem(made, name, converted) < 0)
            Py_CLEAR(made);
        Py_XDECREF(converted);
        Py_DECREF(name);
        Py_DECREF(item);
    }
    return made;
}

static PyObject *convert_container(Engine *engine, struct engine_node *node, PyObject *value)
{
    bool is_list = node->kind == ENGINE_LIST;
    if (is_list ? !PyList_CheckExact(value) : !PyDict_CheckExact(value))
        return NULL;
    if (node->item == NULL) {
        PyObject *made = convert_untyped(value);
        if (made == NULL && PyErr_Occurred())
            PyErr_Clear();
        return made;
    }
    if (!agrees(engine) || Py_EnterRecursiveCall(" while making a document"))
        return NULL;
    PyObject *made =
        is_list ? convert_list(engine, node, value) : convert_dict(engine, node, value);
    Py_LeaveRecursiveCall();
    return made;
}

static PyObject *convert_embedded(Engine *owner, struct engine_node *node, PyObject *value,
                                  bool *known)
{
    *known = false;
    Engine *engine = engine_of_field(node);
    if (engine == NULL) {
        PyErr_Clear(); // to_python raises it
        return NULL;
    }
    if ((PyObject *)Py_TYPE(value) == engine->cls) {
        *known = true;
        return Py_NewRef(value);
    }
    if (!PyDict_CheckExact(value) || !(engine->does & ENGINE_READS) || !agrees(owner))
        return NULL;
    *known = true;
    return engine_son(engine, value, Py_False);
}

// What is known without asking; NULL without an exception where it is not.
static PyObject *convert_by_kind(Engine *engine, struct engine_node *node, PyObject *value,
                                 bool *known)
{
    bool same = false;
    switch (node->kind) {
    case ENGINE_STR:
        same = PyUnicode_CheckExact(value);
        break;
    case ENGINE_INT:
    case ENGINE_LONG:
        same = PyLong_CheckExact(value);
        break;
    case ENGINE_FLOAT:
        same = PyFloat_CheckExact(value);
        break;
    case ENGINE_BOOL:
        same = PyBool_Check(value);
        break;
    case ENGINE_DATE:
    case ENGINE_BYTES:
    case ENGINE_UUID:
        same = true; // BaseField.to_python
        break;
    case ENGINE_OBJECT_ID:
        same = (PyObject *)Py_TYPE(value) == hooks.object_id;
        break;
    case ENGINE_ENUM:
        same = (PyObject *)Py_TYPE(value) == node->type;
        break;
    case ENGINE_DYNAMIC:
        same = engine_is_plain(value) || PyList_CheckExact(value);
        break;
    case ENGINE_EMBEDDED:
        return convert_embedded(engine, node, value, known);
    case ENGINE_LIST:
    case ENGINE_DICT:
        return convert_container(engine, node, value);
    default:
        break;
    }
    return same ? Py_NewRef(value) : NULL;
}

PyObject *engine_convert(Engine *engine, struct engine_node *node, PyObject *value)
{
    bool known = false;
    PyObject *made =
        node->does & ENGINE_CONVERTS ? convert_by_kind(engine, node, value, &known) : NULL;
    if (made != NULL || known || PyErr_Occurred())
        return made;
    return PyObject_CallOneArg(node->convert, value);
}
