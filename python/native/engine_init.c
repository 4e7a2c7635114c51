// Replaces BaseDocument.__init__ and EmbeddedDocument.__init__ for all callers.
#include "engine_make.h"
#include "instead.h"

// What was given to __init__: OK, GIVE_UP or FAILED.
static int take_values(Engine *engine, PyObject *values, struct values_given *given,
                       PyObject **converts, PyObject **created)
{
    PyObject *key, *value;
    Py_ssize_t place = 0, guess = 0;
    while (PyDict_Next(values, &place, &key, &value)) {
        Py_ssize_t position = engine_find(engine, key, guess, false);
        if (position >= 0) {
            given->order[given->count++] = position;
            given->values[position] = Py_NewRef(value);
            guess = position + 1;
            continue;
        }
        if (PyErr_Occurred())
            return FAILED;
        if (engine_is_text(key, "__auto_convert")) {
            *converts = value;
        } else if (engine_is_text(key, "_created")) {
            *created = value;
        } else if (engine_is_text(key, "_cls") && !(engine->does & ENGINE_INHERITS)) {
            Py_XSETREF(given->class_name, Py_NewRef(value));
        } else {
            return GIVE_UP; // another name of the key, or an error
        }
    }
    return OK;
}

static int init_natively(Engine *engine, PyObject *self, PyObject *values, bool embedded)
{
    struct values_given given;
    if (!engine_given_begin(&given, engine))
        return FAILED;
    PyObject *converts = Py_True, *created = Py_True;
    int result = values == NULL ? OK : take_values(engine, values, &given, &converts, &created);
    if (result == OK && given.class_name != NULL && given.class_name != Py_None &&
        !PyUnicode_CheckExact(given.class_name)) {
        result = GIVE_UP;
    }
    if (result == OK) {
        int wanted = PyObject_IsTrue(converts);
        result = wanted < 0 ? FAILED : engine_fill(engine, self, &given, wanted, created);
    }
    engine_given_end(&given, engine);
    if (result == OK && embedded)
        engine_end_embedded(engine, self);
    return result;
}

static PyObject *init_call(Instead *self, PyObject *arguments, PyObject *values)
{
    if (PyTuple_GET_SIZE(arguments) == 1 && !engine_is_watched()) {
        PyObject *document = PyTuple_GET_ITEM(arguments, 0);
        Engine *engine = engine_of(Py_TYPE(document));
        if (engine == NULL)
            return NULL;
        int result = GIVE_UP;
        if (engine->does & ENGINE_MAKES)
            result = init_natively(engine, document, values, self->subject == Py_True);
        Py_DECREF(engine);
        if (result != GIVE_UP)
            return result == OK ? Py_NewRef(Py_None) : NULL;
    }
    return PyObject_Call(self->original, arguments, values);
}

// EngineInit(original, whether it is EmbeddedDocument's)
PyTypeObject engine_init_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "mongosluice._native.EngineInit",
    .tp_new = instead_new,
    .tp_call = (ternaryfunc)(void (*)(void))init_call,
};
