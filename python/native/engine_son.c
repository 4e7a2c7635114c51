// BaseDocument._from_son: makes an instance from a dict of PyMongo's decoder. If _from_son would
// raise, or its effect is not known, the extension calls _from_son itself before it makes anything.
#include "engine_make.h"

// As _from_son does first: its fields dereference.
static int align(Engine *engine)
{
    if (engine->aligned == engine_hooks.epoch)
        return OK;
    PyObject *aligned = PyObject_CallOneArg(engine_hooks.align, engine->cls);
    if (aligned == NULL)
        return FAILED;
    Py_DECREF(aligned);
    engine->aligned = engine_hooks.epoch;
    return OK;
}

// OK, GIVE_UP or FAILED. `queried` is whose names are translated, `engine` the class that is made.
static int take_son(Engine *queried, Engine *engine, PyObject *son, struct values_given *given)
{
    PyObject *key, *value;
    Py_ssize_t place = 0, guess = 0, renamed = 0;
    while (PyDict_Next(son, &place, &key, &value)) {
        if (!PyUnicode_CheckExact(key))
            return GIVE_UP;
        Py_ssize_t position = engine_find(engine, key, guess, true);
        if (position < 0) {
            if (PyErr_Occurred())
                return FAILED;
            if (!engine_is_text(key, "_cls") || !PyUnicode_CheckExact(value))
                return GIVE_UP; // not known, or by another name
            Py_XSETREF(given->class_name, Py_NewRef(value));
            continue;
        }
        if (queried->has_renamed || engine->has_renamed) {
            Py_ssize_t named = engine_find(queried, key, guess, false);
            if (named >= 0 && queried->fields[named].name != queried->fields[named].stored)
                return GIVE_UP;
            if (PyErr_Occurred())
                return FAILED;
        }
        if (engine->fields[position].name == engine->fields[position].stored) {
            given->order[given->count++] = position;
        } else {
            renamed++;
        }
        given->values[position] = Py_NewRef(value);
        guess = position + 1;
    }
    for (Py_ssize_t i = 0; renamed > 0 && i < engine->count; i++) {
        const struct engine_field *field = &engine->fields[engine->order[i]];
        if (field->name != field->stored && given->values[engine->order[i]] != NULL)
            given->order[given->count++] = engine->order[i];
    }
    return OK;
}

// Errors that _from_son gathers are left to it.
static int convert_all(Engine *engine, struct values_given *given)
{
    for (Py_ssize_t i = 0; i < engine->count; i++) {
        Py_ssize_t position = engine->order[i];
        PyObject *value = given->values[position];
        if (value == NULL || value == Py_None)
            continue;
        PyObject *made = engine_convert(engine, engine->fields[position].node, value);
        if (made == NULL) {
            if (!PyErr_ExceptionMatches(PyExc_AttributeError) &&
                !PyErr_ExceptionMatches(PyExc_ValueError))
                return FAILED;
            PyErr_Clear();
            return GIVE_UP;
        }
        Py_SETREF(given->values[position], made);
    }
    return OK;
}

// cls(__auto_convert=False, _created=created, **data) of a class that has an __init__ of its own.
static PyObject *call_class(Engine *engine, struct values_given *given, PyObject *created)
{
    PyObject *arguments = PyTuple_New(0);
    PyObject *values = Py_BuildValue("{s:O,s:O}", "__auto_convert", Py_False, "_created", created);
    bool whole = arguments != NULL && values != NULL;
    if (whole && given->class_name != NULL)
        whole = PyDict_SetItemString(values, "_cls", given->class_name) == 0;
    for (Py_ssize_t i = 0; whole && i < given->count; i++) {
        Py_ssize_t position = given->order[i];
        whole = PyDict_SetItem(values, engine->fields[position].name, given->values[position]) == 0;
    }
    PyObject *made = whole ? PyObject_Call(engine->cls, arguments, values) : NULL;
    Py_XDECREF(arguments);
    Py_XDECREF(values);
    return made;
}

static PyObject *make_of_given(Engine *engine, struct values_given *given, PyObject *created)
{
    PyObject *made;
    if ((engine->does & ENGINE_DIRECT) && !engine_is_watched()) {
        made = ((PyTypeObject *)engine->cls)->tp_alloc((PyTypeObject *)engine->cls, 0);
        if (made != NULL && engine_fill(engine, made, given, false, created) != OK)
            Py_CLEAR(made);
        if (made != NULL)
            engine_end_embedded(engine, made);
    } else {
        made = call_class(engine, given, created);
    }
    if (made == NULL)
        return NULL;
    if ((PyObject *)Py_TYPE(made) == engine->cls && (engine->does & ENGINE_MAKES)) {
        engine_set_slot(made, engine_hooks.changed_fields, engine_hooks.waiting);
        return made;
    }
    PyObject *changed = PyList_New(0);
    if (changed == NULL || PyObject_SetAttrString(made, "_changed_fields", changed) < 0)
        Py_CLEAR(made);
    Py_XDECREF(changed);
    return made;
}

// Of the class that _cls names: the engine itself, or another. A new reference.
static Engine *engine_of_son(Engine *engine, PyObject *son)
{
    PyObject *name = PyDict_GetItemString(son, "_cls");
    if (name == NULL ||
        (PyUnicode_CheckExact(name) && PyUnicode_Compare(name, engine->class_name) == 0))
        return (Engine *)Py_NewRef((PyObject *)engine);
    PyObject *cls = PyObject_CallOneArg(engine_hooks.document, name);
    if (cls == NULL)
        return NULL;
    Engine *found = PyType_Check(cls) ? engine_of((PyTypeObject *)cls) : NULL;
    if (found == NULL && !PyErr_Occurred())
        PyErr_SetString(PyExc_TypeError, "_cls names no class");
    Py_DECREF(cls);
    return found;
}

static PyObject *son_by_python(Engine *queried, PyObject *son, PyObject *created)
{
    return PyObject_CallFunctionObjArgs(engine_hooks.from_son, queried->cls, son, Py_True, created,
                                        NULL);
}

static PyObject *son_natively(Engine *queried, Engine *engine, PyObject *son, PyObject *created)
{
    struct values_given given;
    if (align(engine) != OK || !engine_given_begin(&given, engine))
        return NULL;
    int result = take_son(queried, engine, son, &given);
    if (result == OK)
        result = convert_all(engine, &given);
    PyObject *made = result == OK ? make_of_given(engine, &given, created) : NULL;
    engine_given_end(&given, engine);
    return result == GIVE_UP ? son_by_python(queried, son, created) : made;
}

static PyObject *son_inside(Engine *queried, PyObject *son, PyObject *created)
{
    Engine *engine = engine_of_son(queried, son);
    if (engine == NULL)
        return NULL;
    bool natively = (engine->does & ENGINE_MAKES) && (queried->does & ENGINE_MAKES);
    PyObject *made = natively ? son_natively(queried, engine, son, created)
                              : son_by_python(queried, son, created);
    Py_DECREF(engine);
    return made;
}

// Of a dict, dereferencing.
PyObject *engine_son(Engine *queried, PyObject *son, PyObject *created)
{
    if (Py_EnterRecursiveCall(" while making a document"))
        return NULL;
    PyObject *made = son_inside(queried, son, created);
    Py_LeaveRecursiveCall();
    return made;
}

// _from_son(cls, son, _auto_dereference=True, created=False)
PyObject *engine_from_son(PyObject *module, PyObject *const *arguments, Py_ssize_t count,
                          PyObject *names)
{
    PyObject *values[4] = {NULL, NULL, Py_True, Py_False};
    static const char *const parameters[] = {"cls", "son", "_auto_dereference", "created"};
    (void)module;
    bool known = count >= 1 && count <= 4;
    for (Py_ssize_t i = 0; known && i < count; i++)
        values[i] = arguments[i];
    for (Py_ssize_t i = 0; known && names != NULL && i < PyTuple_GET_SIZE(names); i++) {
        Py_ssize_t at = 1;
        while (at < 4 && !engine_is_text(PyTuple_GET_ITEM(names, i), parameters[at]))
            at++;
        known = at < 4 && at >= count;
        if (known)
            values[at] = arguments[count + i];
    }
    if (known && values[1] != NULL && PyDict_CheckExact(values[1]) && values[2] == Py_True &&
        PyType_Check(values[0]) && !engine_hooks.not_dereferencing) {
        Engine *engine = engine_of((PyTypeObject *)values[0]);
        PyObject *made = engine == NULL ? NULL : engine_son(engine, values[1], values[3]);
        Py_XDECREF(engine);
        return made;
    }
    return PyObject_Vectorcall(engine_hooks.from_son, arguments, (size_t)count, names);
}
