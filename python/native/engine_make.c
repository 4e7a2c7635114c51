// Instances of MongoEngine's documents: what BaseDocument.__init__ and BaseDocument._from_son do,
// in the same order, with the same calls of the user's code. Where they would raise, or where it is
// not known what they would do, the functions that stood in their place are called before anything
// is done.
#include "engine.h"

enum { VALUES_ON_STACK = 64 };

// The values given for the fields of an engine, by position, and in which order they come.
struct values_given {
    PyObject **values; // NULL where nothing was given
    Py_ssize_t *order;
    Py_ssize_t count;
    PyObject *class_name; // of _cls, where that is no field; borrowed, or NULL
    PyObject *values_on_stack[VALUES_ON_STACK];
    Py_ssize_t order_on_stack[VALUES_ON_STACK];
};

static bool given_begin(struct values_given *given, const Engine *engine)
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

static void given_end(struct values_given *given, const Engine *engine)
{
    for (Py_ssize_t i = 0; i < engine->count; i++)
        Py_XDECREF(given->values[i]);
    if (given->values != given->values_on_stack) {
        PyMem_Free(given->values);
        PyMem_Free(given->order);
    }
}

static PyObject *son_convert(Engine *engine, PyObject *son, PyObject *created);

// ---- a value: what to_python gives -------------------------------------------------------------

bool engine_is_plain(PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);
    return type == &PyUnicode_Type || type == &PyLong_Type || type == &PyFloat_Type ||
           type == &PyBool_Type || value == Py_None || (PyObject *)type == engine_hooks.date_time ||
           (PyObject *)type == hooks.object_id;
}

// Of a list or dict that is not said what it holds. NULL without an exception: not known.
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

static PyObject *convert(Engine *engine, struct engine_node *node, PyObject *value);

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
        PyObject *converted = convert(engine, node->item, item);
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
        PyObject *converted = convert(engine, node->item, item);
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
    return son_convert(engine, value, Py_False);
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

static PyObject *convert(Engine *engine, struct engine_node *node, PyObject *value)
{
    bool known = false;
    PyObject *made =
        node->does & ENGINE_CONVERTS ? convert_by_kind(engine, node, value, &known) : NULL;
    if (made != NULL || known || PyErr_Occurred())
        return made;
    return PyObject_CallOneArg(node->convert, value);
}

// ---- setting: what BaseField.__set__ does while the instance is not initialised ----------------

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

// A field that nothing was given for: what is there is set.
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

static void set_slot(PyObject *self, Py_ssize_t offset, PyObject *value)
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

// BaseDocument.__init__, and for embedded documents what EmbeddedDocument.__init__ adds.
static int fill(Engine *engine, PyObject *self, struct values_given *given, bool converts,
                PyObject *created)
{
    PyObject *data = PyDict_New();
    if (data == NULL)
        return FAILED;
    set_slot(self, engine_hooks.initialised, Py_False);
    set_slot(self, engine_hooks.created, Py_True);
    Py_XSETREF(*engine_slot(self, engine_hooks.data), data);
    set_slot(self, engine_hooks.dynamic_fields, engine_hooks.waiting);
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
            value = converted = convert(engine, field->node, value);
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
        set_slot(self, engine_hooks.initialised, Py_True);
        set_slot(self, engine_hooks.created, created);
    }
    return result;
}

static bool is_watched(PyObject *receivers)
{
    return receivers != NULL && PyDict_Check(receivers) && PyDict_GET_SIZE(receivers) > 0;
}

static bool signals_are_watched(void)
{
    return is_watched(engine_hooks.pre_init_receivers) ||
           is_watched(engine_hooks.post_init_receivers);
}

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

// ---- from a dict: BaseDocument._from_son -------------------------------------------------------

static bool is_text(PyObject *value, const char *text)
{
    return PyUnicode_CompareWithASCIIString(value, text) == 0;
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
            if (!is_text(key, "_cls") || !PyUnicode_CheckExact(value))
                return GIVE_UP; // not known, or by another name
            given->class_name = value;
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
        PyObject *made = convert(engine, engine->fields[position].node, value);
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

static void end_embedded(Engine *engine, PyObject *self)
{
    if (!(engine->does & ENGINE_EMBEDDED_DOCUMENT))
        return;
    set_slot(self, engine_hooks.instance, Py_None);
    set_slot(self, engine_hooks.changed_fields, engine_hooks.waiting);
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
    if ((engine->does & ENGINE_DIRECT) && !signals_are_watched()) {
        made = ((PyTypeObject *)engine->cls)->tp_alloc((PyTypeObject *)engine->cls, 0);
        if (made != NULL && fill(engine, made, given, false, created) != OK)
            Py_CLEAR(made);
        if (made != NULL)
            end_embedded(engine, made);
    } else {
        made = call_class(engine, given, created);
    }
    if (made == NULL)
        return NULL;
    if ((PyObject *)Py_TYPE(made) == engine->cls && (engine->does & ENGINE_MAKES)) {
        set_slot(made, engine_hooks.changed_fields, engine_hooks.waiting);
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
    if (align(engine) != OK || !given_begin(&given, engine))
        return NULL;
    int result = take_son(queried, engine, son, &given);
    if (result == OK)
        result = convert_all(engine, &given);
    PyObject *made = result == OK ? make_of_given(engine, &given, created) : NULL;
    given_end(&given, engine);
    return result == GIVE_UP ? son_by_python(queried, son, created) : made;
}

static PyObject *son_convert_inside(Engine *queried, PyObject *son, PyObject *created)
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
static PyObject *son_convert(Engine *queried, PyObject *son, PyObject *created)
{
    if (Py_EnterRecursiveCall(" while making a document"))
        return NULL;
    PyObject *made = son_convert_inside(queried, son, created);
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
        while (at < 4 && !is_text(PyTuple_GET_ITEM(names, i), parameters[at]))
            at++;
        known = at < 4 && at >= count;
        if (known)
            values[at] = arguments[count + i];
    }
    if (known && values[1] != NULL && PyDict_CheckExact(values[1]) && values[2] == Py_True &&
        PyType_Check(values[0]) && !engine_hooks.not_dereferencing) {
        Engine *engine = engine_of((PyTypeObject *)values[0]);
        PyObject *made = engine == NULL ? NULL : son_convert(engine, values[1], values[3]);
        Py_XDECREF(engine);
        return made;
    }
    return PyObject_Vectorcall(engine_hooks.from_son, arguments, (size_t)count, names);
}

// ---- __init__ ----------------------------------------------------------------------------------

typedef struct {
    PyObject_HEAD PyObject *original;
    int embedded; // EmbeddedDocument's
} EngineInit;

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
        if (is_text(key, "__auto_convert")) {
            *converts = value;
        } else if (is_text(key, "_created")) {
            *created = value;
        } else if (is_text(key, "_cls") && !(engine->does & ENGINE_INHERITS)) {
            given->class_name = value;
        } else {
            return GIVE_UP; // another name of the key, or an error
        }
    }
    return OK;
}

static int init_natively(Engine *engine, PyObject *self, PyObject *values, bool embedded)
{
    struct values_given given;
    if (!given_begin(&given, engine))
        return FAILED;
    PyObject *converts = Py_True, *created = Py_True;
    int result = values == NULL ? OK : take_values(engine, values, &given, &converts, &created);
    if (result == OK && given.class_name != NULL && given.class_name != Py_None &&
        !PyUnicode_CheckExact(given.class_name)) {
        result = GIVE_UP;
    }
    if (result == OK) {
        int wanted = PyObject_IsTrue(converts);
        result = wanted < 0 ? FAILED : fill(engine, self, &given, wanted, created);
    }
    given_end(&given, engine);
    if (result == OK && embedded)
        end_embedded(engine, self);
    return result;
}

static PyObject *init_call(EngineInit *self, PyObject *arguments, PyObject *values)
{
    if (PyTuple_GET_SIZE(arguments) == 1 && !signals_are_watched()) {
        PyObject *document = PyTuple_GET_ITEM(arguments, 0);
        Engine *engine = engine_of(Py_TYPE(document));
        if (engine == NULL)
            return NULL;
        int result = GIVE_UP;
        if (engine->does & ENGINE_MAKES)
            result = init_natively(engine, document, values, self->embedded);
        Py_DECREF(engine);
        if (result != GIVE_UP)
            return result == OK ? Py_NewRef(Py_None) : NULL;
    }
    return PyObject_Call(self->original, arguments, values);
}

static PyObject *init_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *original;
    int embedded;
    (void)keywords;
    if (!PyArg_ParseTuple(arguments, "Op", &original, &embedded))
        return NULL;
    EngineInit *self = (EngineInit *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->original = Py_NewRef(original);
    self->embedded = embedded;
    return (PyObject *)self;
}

static int init_traverse(EngineInit *self, visitproc visit, void *arg)
{
    Py_VISIT(self->original);
    return 0;
}

static int init_clear(EngineInit *self)
{
    Py_CLEAR(self->original);
    return 0;
}

static void init_dealloc(EngineInit *self)
{
    PyObject_GC_UnTrack(self);
    init_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *init_bind(PyObject *self, PyObject *instance, PyObject *type)
{
    (void)type;
    return instance == NULL ? Py_NewRef(self) : PyMethod_New(self, instance);
}

// Its name, signature and documentation are the original's.
static PyObject *init_get_attribute(PyObject *self, PyObject *name)
{
    PyObject *value = PyObject_GenericGetAttr(self, name);
    if (value != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError))
        return value;
    PyErr_Clear();
    return PyObject_GetAttr(((EngineInit *)self)->original, name);
}

PyTypeObject engine_init_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "mongosluice._native.EngineInit",
    .tp_basicsize = sizeof(EngineInit),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_METHOD_DESCRIPTOR,
    .tp_new = init_new,
    .tp_dealloc = (destructor)(void (*)(void))init_dealloc,
    .tp_traverse = (traverseproc)(void (*)(void))init_traverse,
    .tp_clear = (inquiry)(void (*)(void))init_clear,
    .tp_call = (ternaryfunc)(void (*)(void))init_call,
    .tp_descr_get = init_bind,
    .tp_getattro = init_get_attribute,
};
