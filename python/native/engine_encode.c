// Writes MongoEngine documents as BSON. A field converts its value before it stores it. A value
// that has exactly the type of that result is written directly; any other goes through to_mongo.
#include "engine.h"
#include "write.h"

#include <string.h>

static int write_fields(struct writer *writer, Engine *engine, PyObject *data);
static int write_node(struct writer *writer, const char *key, Py_ssize_t size,
                      struct engine_node *node, PyObject *value);

static int write_long(struct writer *writer, const char *key, Py_ssize_t size, PyObject *value)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0)
        return GIVE_UP;
    char type = BSON_INT64;
    if (buffer_put(&writer->buffer, &type, 1) != OK ||
        buffer_put(&writer->buffer, key, (size_t)size) != OK)
        return FAILED;
    return buffer_put_int64(&writer->buffer, number);
}

static int write_enum_value(struct writer *writer, const char *key, Py_ssize_t size,
                            PyObject *value)
{
    PyObject *inner = PyObject_GetAttrString(value, "_value_");
    if (inner == NULL)
        return give_up_on_exception();
    int result = write_raw(writer, key, size, inner);
    Py_DECREF(inner);
    return result;
}

static int write_embedded(struct writer *writer, const char *key, Py_ssize_t size,
                          struct engine_node *node, PyObject *value)
{
    Engine *declared = engine_of_field(node);
    if (declared == NULL)
        return give_up_on_exception();
    if (!(declared->does & ENGINE_ENCODES) ||
        !PyType_IsSubtype(Py_TYPE(value), (PyTypeObject *)declared->cls))
        return GIVE_UP;
    Engine *engine = engine_of(Py_TYPE(value));
    if (engine == NULL)
        return give_up_on_exception();
    PyObject *data = Py_XNewRef(*engine_slot(value, engine_hooks.data));
    // where there is an _id, it comes before _cls
    bool known = (engine->does & ENGINE_ENCODES) && engine->id_position < 0 && data != NULL &&
                 PyDict_CheckExact(data);
    int result = GIVE_UP;
    if (known) {
        Py_ssize_t start = open_container(writer, BSON_DOCUMENT, key, size);
        result = start < 0 ? FAILED : write_fields(writer, engine, data);
        if (result == OK)
            result = close_container(writer, start);
    }
    Py_XDECREF(data);
    Py_DECREF(engine);
    return result;
}

// For a list or dict without a declared item type.
static int write_untyped(struct writer *writer, const char *key, Py_ssize_t size, PyObject *value)
{
    if (engine_is_plain(value))
        return write_value(writer, key, size, value);
    return write_node(writer, key, size, NULL, value);
}

static int write_item(struct writer *writer, const char *key, Py_ssize_t size,
                      struct engine_node *node, PyObject *value)
{
    Py_INCREF(value);
    int result = node != NULL ? write_node(writer, key, size, node, value)
                              : write_untyped(writer, key, size, value);
    Py_DECREF(value);
    return result;
}

static int write_list(struct writer *writer, const char *key, Py_ssize_t size,
                      struct engine_node *item, PyObject *value)
{
    Py_ssize_t start = open_container(writer, BSON_ARRAY, key, size);
    int result = start < 0 ? FAILED : OK;
    char name[24];
    for (Py_ssize_t i = 0; result == OK && i < PyList_GET_SIZE(value); i++)
        result = write_item(writer, name, index_key(name, i), item, PyList_GET_ITEM(value, i));
    return result == OK ? close_container(writer, start) : result;
}

static int write_dict(struct writer *writer, const char *key, Py_ssize_t size,
                      struct engine_node *item, PyObject *value)
{
    PyObject *name, *inner;
    Py_ssize_t position = 0;
    Py_ssize_t start = open_container(writer, BSON_DOCUMENT, key, size);
    int result = start < 0 ? FAILED : OK;
    while (result == OK && PyDict_Next(value, &position, &name, &inner)) {
        Py_ssize_t length;
        const char *utf8 =
            PyUnicode_CheckExact(name) ? PyUnicode_AsUTF8AndSize(name, &length) : NULL;
        if (utf8 == NULL)
            return PyErr_Occurred() ? give_up_on_exception() : GIVE_UP;
        if (memchr(utf8, 0, (size_t)length) != NULL)
            return GIVE_UP;
        Py_INCREF(name);
        result = write_item(writer, utf8, length + 1, item, inner);
        Py_DECREF(name);
    }
    return result == OK ? close_container(writer, start) : result;
}

static int write_by_kind(struct writer *writer, const char *key, Py_ssize_t size,
                         struct engine_node *node, PyObject *value)
{
    bool right = false;
    switch (node->kind) {
    case ENGINE_STR:
        right = PyUnicode_CheckExact(value);
        break;
    case ENGINE_INT:
        right = PyLong_CheckExact(value);
        break;
    case ENGINE_LONG:
        return PyLong_CheckExact(value) ? write_long(writer, key, size, value) : GIVE_UP;
    case ENGINE_FLOAT:
        right = PyFloat_CheckExact(value);
        break;
    case ENGINE_BOOL:
        right = PyBool_Check(value);
        break;
    case ENGINE_DATE:
        right = (PyObject *)Py_TYPE(value) == node->type;
        break;
    case ENGINE_BYTES:
        right = PyBytes_CheckExact(value);
        break;
    case ENGINE_OBJECT_ID:
        return (PyObject *)Py_TYPE(value) == hooks.object_id
                   ? write_object_id(writer, key, size, value)
                   : GIVE_UP;
    case ENGINE_ENUM:
        return (PyObject *)Py_TYPE(value) == node->type ? write_enum_value(writer, key, size, value)
                                                        : GIVE_UP;
    case ENGINE_UUID: // as the collection's options say
        return (PyObject *)Py_TYPE(value) == node->type ? write_raw(writer, key, size, value)
                                                        : GIVE_UP;
    case ENGINE_EMBEDDED:
        return write_embedded(writer, key, size, node, value);
    case ENGINE_LIST:
        return engine_is_list(value) ? write_list(writer, key, size, node->item, value) : GIVE_UP;
    case ENGINE_DICT:
        return engine_is_dict(value) ? write_dict(writer, key, size, node->item, value) : GIVE_UP;
    case ENGINE_DYNAMIC:
        return write_untyped(writer, key, size, value);
    default:
        return GIVE_UP;
    }
    return right ? write_value(writer, key, size, value) : GIVE_UP;
}

// Without to_mongo; GIVE_UP if to_mongo must be called. No node: a list or dict of any values.
static int write_node(struct writer *writer, const char *key, Py_ssize_t size,
                      struct engine_node *node, PyObject *value)
{
    if (node != NULL && !(node->does & ENGINE_STORES))
        return GIVE_UP;
    if (Py_EnterRecursiveCall(" while encoding to BSON"))
        return give_up_on_exception();
    int result = GIVE_UP;
    if (node != NULL) {
        result = write_by_kind(writer, key, size, node, value);
    } else if (engine_is_list(value)) {
        result = write_list(writer, key, size, NULL, value);
    } else if (engine_is_dict(value)) {
        result = write_dict(writer, key, size, NULL, value);
    }
    Py_LeaveRecursiveCall();
    return result;
}

static int write_field(struct writer *writer, const struct engine_field *field, PyObject *value)
{
    size_t before = writer->buffer.length;
    int result = GIVE_UP;
    if (value != Py_None)
        result = write_node(writer, field->utf8, field->size, field->node, value);
    if (result != GIVE_UP)
        return result;
    writer->buffer.length = before;
    PyObject *stored =
        value == Py_None ? Py_NewRef(value) : PyObject_CallOneArg(field->node->store, value);
    if (stored == NULL)
        return give_up_on_exception();
    result = OK;
    if (stored != Py_None) {
        result = write_raw(writer, field->utf8, field->size, stored);
    } else if (field->keeps_null) {
        result = write_value(writer, field->utf8, field->size, stored);
    }
    Py_DECREF(stored);
    return result;
}

// A new reference, None where there is nothing; NULL with an exception.
static PyObject *value_of(PyObject *data, const struct engine_field *field)
{
    PyObject *value = PyDict_GetItemWithError(data, field->name);
    if (value == NULL && PyErr_Occurred())
        return NULL;
    return Py_NewRef(value == NULL ? Py_None : value);
}

// _cls stands first; a value that somebody gave it counts.
static int write_class_name(struct writer *writer, Engine *engine, PyObject *data)
{
    PyObject *given = PyDict_GetItemString(data, "_cls");
    if (given != NULL && given != Py_None && !PyUnicode_CheckExact(given))
        return GIVE_UP;
    PyObject *name = given == NULL || given == Py_None ? engine->class_name : given;
    return write_value(writer, "_cls", 5, name);
}

// All but _id.
static int write_fields(struct writer *writer, Engine *engine, PyObject *data)
{
    int result = engine->does & ENGINE_INHERITS ? write_class_name(writer, engine, data) : OK;
    for (Py_ssize_t i = 0; result == OK && i < engine->count; i++) {
        const struct engine_field *field = &engine->fields[i];
        if (i == engine->id_position ||
            ((engine->does & ENGINE_INHERITS) && strcmp(field->utf8, "_cls") == 0))
            continue;
        PyObject *value = value_of(data, field);
        if (value == NULL)
            return give_up_on_exception();
        result = write_field(writer, field, value);
        Py_DECREF(value);
    }
    return result;
}

// *has_id is whether there is an _id: one that is not given is made if `makes_id`.
static int write_top(struct writer *writer, Engine *engine, PyObject *data, bool makes_id,
                     bool *has_id)
{
    if (buffer_put_int32(&writer->buffer, 0) != OK)
        return FAILED;
    if (engine->id_position < 0)
        return GIVE_UP;
    const struct engine_field *field = &engine->fields[engine->id_position];
    PyObject *id = value_of(data, field);
    if (id == NULL)
        return give_up_on_exception();
    int result = OK;
    *has_id = id != Py_None || makes_id;
    if (id != Py_None) {
        size_t before = writer->buffer.length;
        result = write_field(writer, field, id);
        if (result == OK && writer->buffer.length == before)
            result = GIVE_UP; // to_mongo made nothing of it
    } else if (makes_id) {
        result = write_id(writer, id);
    }
    Py_DECREF(id);
    if (result == OK)
        result = write_fields(writer, engine, data);
    return result == OK ? close_container(writer, 0) : result;
}

// An Encoded; None where Python must do it.
static PyObject *encode_document(Engine *engine, PyObject *document, bool makes_id, PyObject *raw)
{
    PyObject *data = *engine_slot(document, engine_hooks.data);
    if (!(engine->does & ENGINE_ENCODES) || data == NULL || !PyDict_CheckExact(data))
        Py_RETURN_NONE;
    bool has_id = false;
    struct writer writer;
    writer_init(&writer, true);
    writer.raw = raw;
    Py_INCREF(data);
    int result = write_top(&writer, engine, data, makes_id, &has_id);
    Py_DECREF(data);
    PyObject *encoded = NULL;
    if (result == OK) {
        encoded = encoded_new(&writer.buffer, has_id ? Py_None : NULL);
    } else if (result == GIVE_UP) {
        encoded = Py_NewRef(Py_None);
    }
    buffer_free(&writer.buffer);
    return encoded;
}

PyObject *engine_encode(Engine *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 3 || (PyObject *)Py_TYPE(arguments[0]) != self->cls) {
        PyErr_SetString(
            PyExc_TypeError,
            "encode(instance of the class, whether to make an _id, PyMongo's encoding)");
        return NULL;
    }
    return encode_document(self, arguments[0], arguments[1] == Py_True, arguments[2]);
}

// One that was never saved, to be inserted; None where Python must do it.
static PyObject *encode_new(PyObject *document, PyObject *raw)
{
    Engine *engine = engine_of(Py_TYPE(document));
    if (engine == NULL)
        return NULL;
    PyObject *encoded =
        (engine->does & ENGINE_ENCODES) && *engine_slot(document, engine_hooks.created) == Py_True
            ? encode_document(engine, document, true, raw)
            : Py_NewRef(Py_None);
    Py_DECREF(engine);
    return encoded;
}

// encode_new(list of documents, PyMongo's encoding)
PyObject *engine_encode_new(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    (void)module;
    if (count != 2 || !PyList_CheckExact(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "encode_new(list of documents, PyMongo's encoding)");
        return NULL;
    }
    Py_ssize_t size = PyList_GET_SIZE(arguments[0]);
    PyObject *made = PyList_New(size);
    for (Py_ssize_t i = 0; made != NULL && i < size; i++) {
        PyObject *document = list_item(arguments[0], i);
        PyObject *encoded = encode_new(document, arguments[1]);
        Py_DECREF(document);
        if (encoded == NULL || encoded == Py_None) {
            Py_DECREF(made);
            return encoded;
        }
        PyList_SET_ITEM(made, i, encoded);
    }
    return made;
}
