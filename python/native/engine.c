// MongoEngine's documents as BSON. Its fields convert what they store: a value of the very type
// that comes out of that is written at once, any other goes through the field's to_mongo.
#include "write.h"

#include <string.h>

static int write_engine(struct writer *writer, Shape *shape, PyObject *data, bool top);

static bool is_stored_as_it_is(const struct node *node, PyObject *value)
{
    switch (node->kind) {
    case NODE_STR:
        return PyUnicode_CheckExact(value);
    case NODE_INT:
        return PyLong_CheckExact(value);
    case NODE_FLOAT:
        return PyFloat_CheckExact(value);
    case NODE_BOOL:
        return PyBool_Check(value);
    case NODE_EXACT:
        return (PyObject *)Py_TYPE(value) == node->type;
    default:
        return false;
    }
}

static int write_engine_document(struct writer *writer, const char *key, Py_ssize_t key_size,
                                 Shape *shape, PyObject *value)
{
    if ((PyObject *)Py_TYPE(value) != shape->cls || shape->engine == NULL)
        return GIVE_UP;
    PyObject *data = PyObject_GetAttrString(value, "_data");
    if (data == NULL)
        return give_up_on_exception();
    int result = GIVE_UP;
    if (PyDict_Check(data) && !Py_EnterRecursiveCall(" while encoding to BSON")) {
        Py_ssize_t start = open_container(writer, BSON_DOCUMENT, key, key_size);
        result = start < 0 ? FAILED : write_engine(writer, shape, data, false);
        if (result == OK)
            result = close_container(writer, start);
        Py_LeaveRecursiveCall();
    }
    if (PyErr_Occurred() && result != FAILED)
        result = give_up_on_exception();
    Py_DECREF(data);
    return result;
}

// Without to_mongo; GIVE_UP where that has to be asked.
static int write_engine_value(struct writer *writer, const char *key, Py_ssize_t key_size,
                              const struct node *node, PyObject *value)
{
    if (node->kind == NODE_MODEL) {
        return write_engine_document(writer, key, key_size, (Shape *)node->type, value);
    }
    if (node->kind != NODE_LIST) {
        if (!is_stored_as_it_is(node, value))
            return GIVE_UP;
        if (node->type == hooks.object_id && node->type != NULL) {
            return write_object_id(writer, key, key_size, value);
        }
        return write_value(writer, key, key_size, value);
    }
    if (!PyList_Check(value))
        return GIVE_UP;
    Py_ssize_t start = open_container(writer, BSON_ARRAY, key, key_size);
    int result = start < 0 ? FAILED : OK;
    char name[24];
    for (Py_ssize_t i = 0; result == OK && i < PyList_GET_SIZE(value); i++) {
        PyObject *item = Py_NewRef(PyList_GET_ITEM(value, i));
        result = write_engine_value(writer, name, index_key(name, i), node->item, item);
        Py_DECREF(item);
    }
    return result == OK ? close_container(writer, start) : result;
}

static int write_engine_field(struct writer *writer, const struct engine_key *key,
                              const struct node *node, PyObject *value)
{
    size_t before = writer->buffer.length;
    int result =
        value == Py_None ? GIVE_UP : write_engine_value(writer, key->utf8, key->size, node, value);
    if (result != GIVE_UP)
        return result;
    writer->buffer.length = before;
    PyObject *stored =
        value == Py_None ? Py_NewRef(value) : PyObject_CallOneArg(key->convert, value);
    if (stored == NULL)
        return give_up_on_exception();
    result = OK;
    if (stored != Py_None) {
        result = write_raw(writer, key->utf8, key->size, stored);
    } else if (key->keeps_null) {
        result = write_value(writer, key->utf8, key->size, stored);
    }
    Py_DECREF(stored);
    return result;
}

static int write_engine(struct writer *writer, Shape *shape, PyObject *data, bool top)
{
    if (shape->prefix != NULL && buffer_put(&writer->buffer, PyBytes_AS_STRING(shape->prefix),
                                            (size_t)PyBytes_GET_SIZE(shape->prefix)) != OK) {
        return FAILED;
    }
    for (Py_ssize_t i = 0; i < shape->field_count; i++) {
        const struct engine_key *key = &shape->engine[i];
        bool is_id_key = key->size == 4 && memcmp(key->utf8, "_id", 4) == 0;
        if (is_id_key && top)
            continue;
        if (is_id_key)
            return GIVE_UP; // its place is before _cls
        PyObject *value = PyDict_GetItemWithError(data, shape->fields[i].name);
        if (value == NULL && PyErr_Occurred())
            return give_up_on_exception();
        value = Py_NewRef(value == NULL ? Py_None : value);
        int result = write_engine_field(writer, key, shape->fields[i].node, value);
        Py_DECREF(value);
        if (result != OK)
            return result;
    }
    return OK;
}

// *has_id is whether there is an _id: one that is not given is made if `makes_id`.
static int write_engine_top(struct writer *writer, Shape *shape, PyObject *data, bool makes_id,
                            bool *has_id)
{
    if (buffer_put_int32(&writer->buffer, 0) != OK)
        return FAILED;
    int result = GIVE_UP;
    for (Py_ssize_t i = 0; i < shape->field_count; i++) {
        if (strcmp(shape->engine[i].utf8, "_id") != 0)
            continue;
        PyObject *id = PyDict_GetItemWithError(data, shape->fields[i].name);
        if (id == NULL && PyErr_Occurred())
            return give_up_on_exception();
        bool made = id == NULL || id == Py_None;
        id = Py_NewRef(made ? Py_None : id);
        *has_id = !made || makes_id;
        if (!made) {
            result = write_engine_field(writer, &shape->engine[i], shape->fields[i].node, id);
        } else {
            result = makes_id ? write_id(writer, id) : OK;
        }
        Py_DECREF(id);
    }
    if (result == OK)
        result = write_engine(writer, shape, data, true);
    return result == OK ? close_container(writer, 0) : result;
}

PyObject *shape_encode_engine(Shape *shape, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "encode_engine(_data, whether to make an _id)");
        return NULL;
    }
    PyObject *data = arguments[0];
    if (!PyDict_Check(data) || shape->engine == NULL)
        Py_RETURN_NONE;
    bool has_id = false;
    struct writer writer;
    writer_init(&writer, true);
    int result = write_engine_top(&writer, shape, data, arguments[1] == Py_True, &has_id);
    PyObject *encoded = NULL;
    if (result == OK) {
        encoded = encoded_new(&writer.buffer, has_id ? Py_None : NULL);
    } else if (result == GIVE_UP) {
        encoded = Py_NewRef(Py_None);
    }
    buffer_free(&writer.buffer);
    return encoded;
}
