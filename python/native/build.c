// Makes an instance from a dict, with the same result as pydantic, if every value already has
// exactly its field's type. For other values it calls the field's own validator. If that fails, it
// gives up, and pydantic validates the whole model and reports the errors.
#include "native.h"

#include <math.h>

static PyObject *build_instance(Shape *shape, PyObject *data);

// ---- a value -----------------------------------------------------------------------------------
// build_accept and accept_… give a new reference, or NULL: with an exception, or without one where
// the value is not simply right.

// The kind of accept()'s result for the node.
static bool is_inert(const struct node *node, PyObject *value)
{
    bool made_here = node->kind >= NODE_OBJECT_ID &&
                     node->kind <= NODE_MODEL; // or by pydantic-core, where it is tracked
    return lazy_is_inert(value, made_here);
}

// Strings with half a surrogate pair are no text for pydantic.
static bool is_text(PyObject *value)
{
    if (!PyUnicode_CheckExact(value))
        return false;
    if (PyUnicode_IS_ASCII(value))
        return true;
    if (PyUnicode_AsUTF8AndSize(value, NULL) != NULL)
        return true;
    PyErr_Clear();
    return false;
}

static PyObject *accept_str(const struct node *node, PyObject *value)
{
    bool accepted = is_text(value) && lengths_fit(&node->lengths, PyUnicode_GET_LENGTH(value)) &&
                    (node->type == NULL || pattern_matches(node->type, value));
    return accepted ? Py_NewRef(value) : NULL;
}

// pydantic gives back the string of the annotation.
static PyObject *accept_literal(const struct node *node, PyObject *value)
{
    PyObject *literal =
        PyUnicode_CheckExact(value) ? PyDict_GetItemWithError(node->type, value) : NULL;
    return Py_XNewRef(literal);
}

static PyObject *accept_int(const struct node *node, PyObject *value)
{
    bool accepted = PyLong_CheckExact(value) && bounds_hold_int(&node->bounds, value);
    return accepted ? Py_NewRef(value) : NULL;
}

static PyObject *accept_float(const struct node *node, PyObject *value)
{
    if (!PyFloat_CheckExact(value))
        return NULL;
    double number = PyFloat_AS_DOUBLE(value);
    if (node->finite && !isfinite(number))
        return NULL;
    // written so that NaN satisfies no bound
    bool above =
        !node->bounds.has_minimum || (node->minimum_is_excluded ? number > node->bounds.minimum
                                                                : number >= node->bounds.minimum);
    bool below =
        !node->bounds.has_maximum || (node->maximum_is_excluded ? number < node->bounds.maximum
                                                                : number <= node->bounds.maximum);
    return above && below ? Py_NewRef(value) : NULL;
}

// pydantic makes a new instance of the field's class from every ObjectId.
static PyObject *accept_object_id(const struct node *node, PyObject *value)
{
    PyTypeObject *type = (PyTypeObject *)node->type;
    if (!Py_IS_TYPE(value, type) && (PyObject *)Py_TYPE(value) != hooks.object_id)
        return NULL;
    PyObject *member = hooks.object_id_member;
    PyObject *bytes = Py_TYPE(member)->tp_descr_get(member, value, (PyObject *)Py_TYPE(value));
    if (bytes == NULL)
        return NULL;
    bool whole = PyBytes_CheckExact(bytes) && PyBytes_GET_SIZE(bytes) == 12;
    PyObject *made = whole ? make_object_id_of(type, PyBytes_AS_STRING(bytes)) : NULL;
    Py_DECREF(bytes);
    return made;
}

bool build_finish_list(const struct node *node, PyObject *list)
{
    Py_ssize_t count = PyList_GET_SIZE(list);
    bool inert = true;
    for (Py_ssize_t i = 0; inert && i < count; i++)
        inert = is_inert(node->item, PyList_GET_ITEM(list, i));
    for (Py_ssize_t i = 0; !inert && i < count; i++)
        lazy_track(PyList_GET_ITEM(list, i));
    if (inert)
        PyObject_GC_UnTrack(list);
    return lengths_fit(&node->lengths, count);
}

static PyObject *accept_list(struct node *node, PyObject *value)
{
    if (!PyList_CheckExact(value) || !lengths_fit(&node->lengths, PyList_GET_SIZE(value)))
        return NULL;
    Py_ssize_t count = PyList_GET_SIZE(value);
    PyObject *made = PyList_New(count);
    for (Py_ssize_t i = 0; made != NULL && i < count; i++) {
        PyObject *item = i < PyList_GET_SIZE(value) ? Py_NewRef(PyList_GET_ITEM(value, i)) : NULL;
        PyObject *accepted = item == NULL ? NULL : build_accept(node->item, item);
        Py_XDECREF(item);
        if (accepted == NULL) {
            Py_CLEAR(made);
        } else {
            PyList_SET_ITEM(made, i, accepted);
        }
    }
    if (made != NULL)
        build_finish_list(node, made);
    return made;
}

static PyObject *accept_dict(struct node *node, PyObject *value)
{
    if (!PyDict_CheckExact(value) || !lengths_fit(&node->lengths, PyDict_GET_SIZE(value)))
        return NULL;
    PyObject *made = PyDict_New(), *name, *item;
    Py_ssize_t position = 0, size = PyDict_GET_SIZE(value);
    bool inert = true;
    while (made != NULL && PyDict_Next(value, &position, &name, &item)) {
        if (!is_text(name)) {
            Py_CLEAR(made);
            break;
        }
        Py_INCREF(name);
        Py_INCREF(item);
        PyObject *accepted = build_accept(node->item, item);
        if (accepted == NULL || PyDict_SetItem(made, name, accepted) < 0 ||
            PyDict_GET_SIZE(value) != size) {
            Py_CLEAR(made);
        } else {
            inert = inert && is_inert(node->item, accepted);
        }
        Py_XDECREF(accepted);
        Py_DECREF(name);
        Py_DECREF(item);
    }
    for (position = 0; made != NULL && !inert && PyDict_Next(made, &position, &name, &item);)
        lazy_track(item);
    if (made != NULL && inert)
        PyObject_GC_UnTrack(made);
    return made;
}

static PyObject *accept_model(struct node *node, PyObject *value)
{
    Shape *shape = (Shape *)node->type;
    if ((PyObject *)Py_TYPE(value) == shape->cls)
        return Py_NewRef(value);
    if (!PyDict_CheckExact(value) || shape->fields == NULL)
        return NULL;
    if (Py_EnterRecursiveCall(" while making a model"))
        return NULL;
    PyObject *made = build_instance(shape, value);
    Py_LeaveRecursiveCall();
    return made;
}

static PyObject *accept_natively(struct node *node, PyObject *value)
{
    switch (node->kind) {
    case NODE_ANY:
        return Py_NewRef(value);
    case NODE_STR:
        return accept_str(node, value);
    case NODE_INT:
        return accept_int(node, value);
    case NODE_FLOAT:
        return accept_float(node, value);
    case NODE_BOOL:
        return PyBool_Check(value) ? Py_NewRef(value) : NULL;
    case NODE_EXACT:
        return (PyObject *)Py_TYPE(value) == node->type ? Py_NewRef(value) : NULL;
    case NODE_OBJECT_ID:
        return accept_object_id(node, value);
    case NODE_LIST:
        return accept_list(node, value);
    case NODE_DICT:
        return accept_dict(node, value);
    case NODE_MODEL:
        return accept_model(node, value);
    case NODE_LITERAL:
        return accept_literal(node, value);
    default:
        return NULL;
    }
}

PyObject *build_accept(struct node *node, PyObject *value)
{
    if (value == Py_None && node->nullable)
        return Py_NewRef(value);
    PyObject *made = accept_natively(node, value);
    if (made != NULL || node->validator == NULL)
        return made;
    if (PyErr_Occurred() && give_up_on_exception() == FAILED)
        return NULL;
    made = PyObject_CallOneArg(node->validator, value);
    if (made == NULL)
        give_up_on_exception();
    return made;
}

// ---- an instance -------------------------------------------------------------------------------

// Whether the default is a list or dict that begins empty.
static bool default_is_empty(const struct default_value *initial, PyTypeObject *type)
{
    if (initial->kind == DEFAULT_FACTORY)
        return initial->value == (PyObject *)type;
    return initial->kind == DEFAULT_COPY && Py_IS_TYPE(initial->value, type) &&
           PyObject_Size(initial->value) == 0;
}

static bool begins_empty(const struct default_value *initial)
{
    return default_is_empty(initial, &PyList_Type) || default_is_empty(initial, &PyDict_Type);
}

// The collector does not know it if it is an empty list or dict.
static PyObject *default_make(const struct default_value *initial)
{
    static PyObject *deepcopy;
    if (begins_empty(initial)) {
        PyObject *empty = default_is_empty(initial, &PyDict_Type) ? PyDict_New() : PyList_New(0);
        if (empty != NULL)
            PyObject_GC_UnTrack(empty); // since Python 3.14 dicts are known from the start
        return empty;
    }
    switch (initial->kind) {
    case DEFAULT_VALUE:
        return Py_NewRef(initial->value);
    case DEFAULT_FACTORY:
        return PyObject_CallNoArgs(initial->value);
    case DEFAULT_COPY:
        if (deepcopy == NULL) {
            PyObject *copy = PyImport_ImportModule("copy");
            deepcopy = copy == NULL ? NULL : PyObject_GetAttrString(copy, "deepcopy");
            Py_XDECREF(copy);
            if (deepcopy == NULL)
                return NULL;
        }
        return PyObject_CallOneArg(deepcopy, initial->value);
    default:
        return NULL;
    }
}

// The given value of a field, borrowed; NULL without one. *used counts the given values.
static PyObject *given_value(const struct field *field, PyObject *data, Py_ssize_t *used)
{
    PyObject *value = PyDict_GetItemWithError(data, field->first_key);
    if (value != NULL || field->second_key == NULL || PyErr_Occurred()) {
        if (value != NULL)
            ++*used;
        return value;
    }
    value = PyDict_GetItemWithError(data, field->second_key);
    if (value != NULL)
        ++*used;
    return value;
}

// Everything that only looks at the values given, and asks no code of the user's.
static bool fill_given(Shape *shape, PyObject *data, PyObject **values, Py_ssize_t *used)
{
    for (Py_ssize_t i = 0; i < shape->field_count; i++) {
        struct field *field = &shape->fields[i];
        PyObject *given = given_value(field, data, used);
        if (given == NULL) {
            if (PyErr_Occurred() || field->initial.kind == DEFAULT_NONE)
                return false;
            continue;
        }
        Py_INCREF(given);
        values[i] = build_accept(field->node, given);
        Py_DECREF(given);
        if (values[i] == NULL)
            return false;
    }
    return true;
}

PyObject *build_private_values(Shape *shape)
{
    Py_ssize_t count = PyTuple_GET_SIZE(shape->private_names);
    if (count == 0)
        return Py_NewRef(Py_None);
    PyObject *values = PyDict_New();
    bool inert = true;
    for (Py_ssize_t i = 0; values != NULL && i < count; i++) {
        PyObject *pair = PyTuple_GET_ITEM(shape->private_values, i);
        struct default_value initial = {(enum default_kind)PyLong_AsLong(PyTuple_GET_ITEM(pair, 0)),
                                        PyTuple_GET_ITEM(pair, 1)};
        PyObject *value = default_make(&initial);
        if (value != NULL)
            lazy_track(value);
        inert = inert && value != NULL && !PyObject_IS_GC(value);
        if (value == NULL ||
            PyDict_SetItem(values, PyTuple_GET_ITEM(shape->private_names, i), value) < 0) {
            Py_CLEAR(values);
        }
        Py_XDECREF(value);
    }
    if (values != NULL && inert)
        PyObject_GC_UnTrack(values);
    return values;
}

static PyObject *make_given(const Shape *shape, PyObject *const *values)
{
    PyObject *names = PySet_New(NULL);
    for (Py_ssize_t i = 0; names != NULL && i < shape->field_count; i++) {
        if (values[i] != NULL && PySet_Add(names, shape->fields[i].name) < 0)
            Py_CLEAR(names);
    }
    return names;
}

// The names of the values that are there, as a frozenset that is kept: most instances of a class
// are given the same fields. Borrowed; NULL with an exception.
static PyObject *shared_given(Shape *shape, PyObject *const *values)
{
    uint64_t bits = 0;
    for (Py_ssize_t i = 0; i < shape->field_count; i++)
        bits |= (uint64_t)(values[i] != NULL) << i;
    for (int i = 0; i < GIVEN_KEPT; i++) {
        if (shape->given[i].bits == bits && shape->given[i].names != NULL)
            return shape->given[i].names;
    }
    PyObject *names = make_given(shape, values);
    PyObject *frozen = names == NULL ? NULL : PyFrozenSet_New(names);
    Py_XDECREF(names);
    if (frozen == NULL)
        return NULL;
    struct given *kept = &shape->given[shape->next_given++ % GIVEN_KEPT];
    kept->bits = bits;
    Py_XSETREF(kept->names, frozen);
    return frozen;
}

// Takes over the reference.
static void set_slot(PyObject *instance, Py_ssize_t offset, PyObject *value)
{
    PyObject **slot = model_slot(instance, offset);
    Py_XSETREF(*slot, value);
}

// fields_set and the private values: shared as long as nobody asks for them, where that is noticed.
static bool set_bookkeeping(Shape *shape, PyObject *instance, PyObject *given)
{
    if (shape->is_guarded && shape->private_can_wait && PyFrozenSet_CheckExact(given)) {
        lazy_begin(instance, given, shape);
        return true;
    }
    PyObject *names = PySet_New(given), *private_values = build_private_values(shape);
    if (names == NULL || private_values == NULL) {
        Py_XDECREF(names);
        Py_XDECREF(private_values);
        return false;
    }
    // names only: it is in no cycle, so the collector need not look at it (as with dicts of such)
    PyObject_GC_UnTrack(names);
    set_slot(instance, model_slots.fields_set, names);
    set_slot(instance, model_slots.private_values, private_values);
    return true;
}

// The instance's dict of the values given and the defaults, which `values` then hold as well.
static PyObject *make_dict(Shape *shape, PyObject **values, bool *inert)
{
    PyObject *dict = PyDict_Copy(shape->dict_template);
    for (Py_ssize_t i = 0; dict != NULL && i < shape->field_count; i++) {
        struct field *field = &shape->fields[i];
        bool given = values[i] != NULL;
        if (!given)
            values[i] = default_make(&field->initial);
        if (values[i] == NULL || PyDict_SetItem(dict, field->name, values[i]) < 0) {
            Py_CLEAR(dict);
        } else {
            *inert = *inert && (given ? is_inert(field->node, values[i])
                                      : lazy_is_inert(values[i], begins_empty(&field->initial)));
        }
    }
    return dict;
}

static bool holds_no_tracked_private(PyObject *instance)
{
    PyObject *values = *model_slot(instance, model_slots.private_values);
    return !PyDict_Check(values) || !PyObject_GC_IsTracked(values);
}

static bool set_all(Shape *shape, PyObject *instance, PyObject **values)
{
    bool inert = !shape->has_extra;
    PyObject *given = shape->field_count <= GIVEN_BITS ? Py_XNewRef(shared_given(shape, values))
                                                       : make_given(shape, values);
    PyObject *dict = given == NULL ? NULL : make_dict(shape, values, &inert);
    PyObject *extra = shape->has_extra ? PyDict_New() : Py_NewRef(Py_None);
    bool made = dict != NULL && extra != NULL && set_bookkeeping(shape, instance, given) &&
                PyObject_GenericSetDict(instance, dict, NULL) == 0;
    if (made)
        set_slot(instance, model_slots.extra, Py_NewRef(extra));
    inert = inert && made && holds_no_tracked_private(instance);
    if (inert) {
        PyObject_GC_UnTrack(dict);
        PyObject_GC_UnTrack(instance);
    }
    for (Py_ssize_t i = 0; made && !inert && i < shape->field_count; i++)
        lazy_track(values[i]);
    Py_XDECREF(dict);
    Py_XDECREF(given);
    Py_XDECREF(extra);
    return made;
}

static bool holds_self(PyObject *keywords)
{
    return PyDict_GetItemString(keywords, "self") != NULL;
}

int build_fill(Shape *shape, PyObject *instance, PyObject *data, bool are_keywords)
{
    if (shape->fields == NULL)
        return GIVE_UP;
    PyObject *on_stack[FIELDS_ON_STACK] = {NULL};
    PyObject **values = on_stack;
    Py_ssize_t count = shape->field_count, used = 0;
    if (count > FIELDS_ON_STACK)
        values = PyMem_Calloc((size_t)count, sizeof(PyObject *));
    if (values == NULL) {
        PyErr_NoMemory();
        return FAILED;
    }
    int result = GIVE_UP;
    bool given = fill_given(shape, data, values, &used);
    if (given && used != PyDict_GET_SIZE(data))
        given = shape->ignores_unknown && !(are_keywords && holds_self(data));
    if (given) {
        result = set_all(shape, instance, values) ? OK : FAILED;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        Py_XDECREF(values[i]);
    if (values != on_stack)
        PyMem_Free(values);
    if (result != OK && PyErr_Occurred()) {
        // a default factory's exception is the user's; pydantic reports errors of values
        return result == FAILED ? FAILED : give_up_on_exception();
    }
    return result;
}

// NULL without an exception: given up. The collector may not know it.
static PyObject *build_instance(Shape *shape, PyObject *data)
{
    PyTypeObject *type = (PyTypeObject *)shape->cls;
    PyObject *instance = type->tp_alloc(type, 0);
    if (instance != NULL && build_fill(shape, instance, data, false) != OK)
        Py_CLEAR(instance);
    return instance;
}

PyObject *build_of_values(Shape *shape, PyObject **values)
{
    PyTypeObject *type = (PyTypeObject *)shape->cls;
    PyObject *instance = type->tp_alloc(type, 0);
    if (instance != NULL && !set_all(shape, instance, values))
        Py_CLEAR(instance);
    return instance;
}

// The same for one that will be given away.
static PyObject *build_whole(Shape *shape, PyObject *data)
{
    PyObject *instance = build_instance(shape, data);
    if (instance != NULL && !shape->is_guarded)
        lazy_track(instance);
    return instance;
}

PyObject *shape_build(PyObject *self, PyObject *data)
{
    if (!PyDict_CheckExact(data))
        Py_RETURN_NONE;
    PyObject *instance = build_whole((Shape *)self, data);
    if (instance != NULL || PyErr_Occurred())
        return instance;
    Py_RETURN_NONE;
}

static PyObject *build_many(Shape *shape, PyObject *documents, PyObject *otherwise)
{
    Py_ssize_t count = PyList_GET_SIZE(documents);
    PyObject *made = PyList_New(count);
    for (Py_ssize_t i = 0; made != NULL && i < count; i++) {
        PyObject *data = list_item(documents, i);
        PyObject *instance = PyDict_CheckExact(data) ? build_whole(shape, data) : NULL;
        if (instance == NULL && !PyErr_Occurred())
            instance = PyObject_CallOneArg(otherwise, data);
        Py_DECREF(data);
        if (instance == NULL) {
            Py_CLEAR(made);
        } else {
            PyList_SET_ITEM(made, i, instance);
        }
    }
    return made;
}

// The garbage collector rests meanwhile: nothing is thrown away here, and going through everything
// again with each quarter more of it would take longer than making it.
PyObject *shape_build_many(Shape *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 2 || !PyList_CheckExact(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "build_many(list, function for those that are given up)");
        return NULL;
    }
    int collects = PyGC_Disable();
    PyObject *made = build_many(self, arguments[0], arguments[1]);
    if (collects)
        PyGC_Enable();
    return made;
}
