// What Python says of a model class, read once.
#include "native.h"

void *specification_read(PyObject *specification, size_t size,
                         bool (*fill)(void *node, PyObject *specification),
                         void (*release)(void *node))
{
    if (!PyTuple_Check(specification)) {
        PyErr_SetString(PyExc_TypeError, "a node is a tuple");
        return NULL;
    }
    if (Py_EnterRecursiveCall(" while reading a plan"))
        return NULL;
    void *node = PyMem_Calloc(1, size);
    if (node == NULL) {
        PyErr_NoMemory();
    } else if (!fill(node, specification)) {
        release(node);
        node = NULL;
    }
    Py_LeaveRecursiveCall();
    return node;
}

bool bounds_read(struct bounds *bounds, bool is_int, PyObject *minimum, PyObject *maximum)
{
    bounds->has_minimum = minimum != Py_None;
    bounds->has_maximum = maximum != Py_None;
    if (bounds->has_minimum && is_int)
        bounds->minimum_int = PyLong_AsLongLong(minimum);
    if (bounds->has_minimum && !is_int)
        bounds->minimum = PyFloat_AsDouble(minimum);
    if (bounds->has_maximum && is_int)
        bounds->maximum_int = PyLong_AsLongLong(maximum);
    if (bounds->has_maximum && !is_int)
        bounds->maximum = PyFloat_AsDouble(maximum);
    return !PyErr_Occurred();
}

// ---- a field's node ----------------------------------------------------------------------------

static void node_free(struct node *node)
{
    if (node == NULL)
        return;
    Py_XDECREF(node->type);
    Py_XDECREF(node->validator);
    node_free(node->item);
    PyMem_Free(node);
}

static struct node *node_read(PyObject *specification);

// (kind, nullable, validator, type, item, (minimum, maximum, exclusive minimum, exclusive maximum,
// finite), minimum length, maximum length)
static bool node_fill(struct node *node, PyObject *specification)
{
    int kind, nullable, exclusive_minimum, exclusive_maximum, finite;
    PyObject *validator, *type, *item, *minimum, *maximum;
    if (!PyArg_ParseTuple(specification, "ipOOO(OOppp)nn", &kind, &nullable, &validator, &type,
                          &item, &minimum, &maximum, &exclusive_minimum, &exclusive_maximum,
                          &finite, &node->lengths.minimum, &node->lengths.maximum)) {
        return false;
    }
    if (kind < 0 || kind > NODE_LAST) {
        PyErr_Format(PyExc_ValueError, "no such kind of node: %d", kind);
        return false;
    }
    node->kind = (enum node_kind)kind;
    node->nullable = nullable;
    node->finite = finite;
    node->minimum_is_excluded = exclusive_minimum;
    node->maximum_is_excluded = exclusive_maximum;
    if (validator != Py_None)
        node->validator = Py_NewRef(validator);
    bool is_shape = Py_IS_TYPE(type, &shape_type);
    bool wants_type = kind == NODE_EXACT || kind == NODE_OBJECT_ID;
    if ((kind == NODE_MODEL && !is_shape) || (wants_type && !PyType_Check(type))) {
        PyErr_SetString(PyExc_TypeError, "a node of this kind needs a type or a Shape");
        return false;
    }
    bool has_pattern = kind == NODE_STR && type != Py_None;
    if ((has_pattern && !pattern_is_valid(type)) ||
        (kind == NODE_LITERAL && !PyDict_CheckExact(type))) {
        PyErr_SetString(PyExc_TypeError, "a pattern is made of atoms, a literal of a dict");
        return false;
    }
    if (is_shape || wants_type || has_pattern || kind == NODE_LITERAL)
        node->type = Py_NewRef(type);
    if (kind == NODE_LIST || kind == NODE_DICT) {
        node->item = node_read(item);
        if (node->item == NULL)
            return false;
    }
    return bounds_read(&node->bounds, node->kind == NODE_INT, minimum, maximum);
}

static bool node_fill_any(void *node, PyObject *specification)
{
    return node_fill(node, specification);
}

static void node_free_any(void *node)
{
    node_free(node);
}

static struct node *node_read(PyObject *specification)
{
    return specification_read(specification, sizeof(struct node), node_fill_any, node_free_any);
}

static void field_clear(struct field *field)
{
    Py_CLEAR(field->name);
    Py_CLEAR(field->first_key);
    Py_CLEAR(field->second_key);
    Py_CLEAR(field->initial.value);
    node_free(field->node);
    field->node = NULL;
}

// (name, key, second key or None, node, kind of default, default)
static bool field_read(struct field *field, PyObject *specification)
{
    PyObject *name, *first_key, *second_key, *node, *value;
    int default_kind;
    if (!PyTuple_Check(specification)) {
        PyErr_SetString(PyExc_TypeError, "a field is a tuple");
        return false;
    }
    if (!PyArg_ParseTuple(specification, "UUOOiO", &name, &first_key, &second_key, &node,
                          &default_kind, &value)) {
        return false;
    }
    field->name = Py_NewRef(name);
    PyUnicode_InternInPlace(&field->name);
    field->first_key = Py_NewRef(first_key);
    PyUnicode_InternInPlace(&field->first_key);
    Py_ssize_t key_size;
    field->key = PyUnicode_AsUTF8AndSize(field->first_key, &key_size);
    if (field->key == NULL)
        return false;
    field->key_size = (size_t)key_size;
    if (second_key != Py_None) {
        field->second_key = Py_NewRef(second_key);
        PyUnicode_InternInPlace(&field->second_key);
    }
    field->initial.kind = (enum default_kind)default_kind;
    field->initial.value = Py_NewRef(value);
    field->node = node_read(node);
    return field->node != NULL;
}

void build_free_fields(Shape *shape)
{
    for (Py_ssize_t i = 0; i < shape->field_count; i++)
        field_clear(&shape->fields[i]);
    PyMem_Free(shape->fields);
    shape->fields = NULL;
    shape->field_count = 0;
    Py_CLEAR(shape->private_names);
    Py_CLEAR(shape->private_values);
    Py_CLEAR(shape->dict_template);
    for (int i = 0; i < GIVEN_KEPT; i++)
        Py_CLEAR(shape->given[i].names);
}

// Whether it comes out the same whenever it is made.
static bool default_can_wait(int kind, PyObject *value)
{
    PyObject *type = kind == DEFAULT_FACTORY ? value : (PyObject *)Py_TYPE(value);
    bool is_container = type == (PyObject *)&PyDict_Type || type == (PyObject *)&PyList_Type ||
                        type == (PyObject *)&PySet_Type;
    if (kind == DEFAULT_COPY)
        return is_container && PyObject_Size(value) == 0;
    return kind == DEFAULT_FACTORY ? is_container : !PyObject_IS_GC(value);
}

// What instances begin with.
static bool make_templates(Shape *shape)
{
    shape->dict_template = PyDict_New();
    bool made = shape->dict_template != NULL;
    for (Py_ssize_t i = 0; made && i < shape->field_count; i++)
        made = PyDict_SetItem(shape->dict_template, shape->fields[i].name, Py_None) == 0;
    shape->private_can_wait = true;
    for (Py_ssize_t i = 0; made && i < PyTuple_GET_SIZE(shape->private_names); i++) {
        int kind;
        PyObject *value;
        made = PyArg_ParseTuple(PyTuple_GET_ITEM(shape->private_values, i), "iO", &kind, &value);
        shape->private_can_wait = made && shape->private_can_wait && default_can_wait(kind, value);
    }
    return made;
}

int build_set_fields(Shape *shape, PyObject *arguments)
{
    PyObject *fields, *private_names, *private_values;
    int ignores_unknown;
    if (!PyArg_ParseTuple(arguments, "O!O!O!p", &PyTuple_Type, &fields, &PyTuple_Type,
                          &private_names, &PyTuple_Type, &private_values, &ignores_unknown)) {
        return FAILED;
    }
    Py_ssize_t count = PyTuple_GET_SIZE(fields);
    if (PyTuple_GET_SIZE(private_names) != PyTuple_GET_SIZE(private_values)) {
        PyErr_SetString(PyExc_ValueError, "as many private names as values");
        return FAILED;
    }
    build_free_fields(shape);
    shape->fields = PyMem_Calloc((size_t)count + 1, sizeof *shape->fields);
    if (shape->fields == NULL) {
        PyErr_NoMemory();
        return FAILED;
    }
    shape->field_count = count;
    shape->has_second_keys = false;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!field_read(&shape->fields[i], PyTuple_GET_ITEM(fields, i))) {
            build_free_fields(shape);
            return FAILED;
        }
        shape->has_second_keys = shape->has_second_keys || shape->fields[i].second_key != NULL;
    }
    shape->private_names = Py_NewRef(private_names);
    shape->private_values = Py_NewRef(private_values);
    shape->ignores_unknown = ignores_unknown;
    if (make_templates(shape))
        return OK;
    build_free_fields(shape);
    return FAILED;
}

static int node_visit(struct node *node, visitproc visit, void *arg)
{
    for (; node != NULL; node = node->item) {
        Py_VISIT(node->type);
        Py_VISIT(node->validator);
    }
    return 0;
}

int build_visit_fields(Shape *shape, visitproc visit, void *arg)
{
    for (Py_ssize_t i = 0; i < shape->field_count; i++) {
        Py_VISIT(shape->fields[i].initial.value);
        int result = node_visit(shape->fields[i].node, visit, arg);
        if (result != 0)
            return result;
    }
    Py_VISIT(shape->private_values);
    return 0;
}
