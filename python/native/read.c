// Makes instances directly from the BSON of a query's batches. The result is the same as with
// PyMongo's decoder (default options) and build.c. A document with an unknown value (types that
// PyMongo decodes to its own classes, values that it refuses) is given up and goes through
// PyMongo's decoder.
#include "read.h"

#include <datetime.h>
#include <string.h>

// The functions that give a PyObject give a new reference or NULL: with an exception, or without
// one where it is given up.
static PyObject *read_value(int type, struct bytes *bytes);
static PyObject *read_by_node(struct node *node, int type, struct bytes *bytes);

static PyObject *read_string(struct bytes *bytes)
{
    const unsigned char *length = bytes_take(bytes, 4);
    int64_t size = length == NULL ? 0 : (int32_t)(uint32_t)bytes_load(length, 4);
    const unsigned char *text = size < 1 ? NULL : bytes_take(bytes, (size_t)size);
    if (text == NULL || text[size - 1] != 0)
        return NULL;
    PyObject *made = PyUnicode_DecodeUTF8((const char *)text, size - 1, "strict");
    if (made == NULL)
        give_up_on_exception();
    return made;
}

static PyObject *read_binary(struct bytes *bytes)
{
    const unsigned char *head = bytes_take(bytes, 5);
    int64_t size = head == NULL ? -1 : (int32_t)(uint32_t)bytes_load(head, 4);
    if (size < 0 || head[4] != 0)
        return NULL;
    const unsigned char *data = bytes_take(bytes, (size_t)size);
    return data == NULL ? NULL : PyBytes_FromStringAndSize((const char *)data, size);
}

static PyObject *read_object_id(PyObject *type, struct bytes *bytes)
{
    const unsigned char *data = bytes_take(bytes, 12);
    return data == NULL ? NULL : make_object_id_of((PyTypeObject *)type, (const char *)data);
}

// From days since 1970-01-01: the civil calendar, by eras of 400 years.
static PyObject *make_datetime(int64_t days, int64_t day_ms)
{
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    int month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    int year = (int)(year_of_era + era * 400 + (month <= 2));
    int seconds = (int)(day_ms / 1000);
    return PyDateTimeAPI->DateTime_FromDateAndTime(
        year, month, day, seconds / 3600, seconds / 60 % 60, seconds % 60,
        (int)(day_ms % 1000) * 1000, Py_None, PyDateTimeAPI->DateTimeType);
}

static PyObject *read_date(struct bytes *bytes)
{
    const int64_t first_ms = -62135596800000, last_ms = 253402300799999, day = 86400000;
    const unsigned char *data = bytes_take(bytes, 8);
    int64_t value_ms = data == NULL ? INT64_MIN : (int64_t)bytes_load(data, 8);
    if (value_ms < first_ms || value_ms > last_ms)
        return NULL;
    int64_t days = (value_ms >= 0 ? value_ms : value_ms - (day - 1)) / day;
    return make_datetime(days, value_ms - days * day);
}

static PyObject *read_double(struct bytes *bytes)
{
    const unsigned char *data = bytes_take(bytes, 8);
    if (data == NULL)
        return NULL;
    uint64_t bits = bytes_load(data, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return PyFloat_FromDouble(value);
}

static PyObject *read_name(const struct element *element)
{
    PyObject *made = PyUnicode_DecodeUTF8(element->name, (Py_ssize_t)element->name_size, "strict");
    if (made == NULL)
        give_up_on_exception();
    return made;
}

static PyObject *read_dict(struct bytes *bytes)
{
    struct bytes elements;
    if (!bytes_open_document(bytes, &elements))
        return NULL;
    PyObject *made = PyDict_New();
    while (made != NULL && elements.at < elements.end) {
        struct element element;
        // $ref makes another class of it
        if (!bytes_next_element(&elements, &element) || element.name[0] == '$') {
            Py_CLEAR(made);
            break;
        }
        PyObject *name = read_name(&element);
        PyObject *value = name == NULL ? NULL : read_value(element.type, &elements);
        if (value == NULL || PyDict_SetItem(made, name, value) < 0)
            Py_CLEAR(made);
        Py_XDECREF(name);
        Py_XDECREF(value);
    }
    if (made == NULL && PyErr_Occurred())
        give_up_on_exception();
    return made;
}

static PyObject *read_item(struct node *node, int type, struct bytes *bytes)
{
    return node == NULL ? read_value(type, bytes) : read_by_node(node, type, bytes);
}

// The items as `node` wants them; NULL: as PyMongo gives them.
static PyObject *read_list(struct node *node, struct bytes *bytes)
{
    struct bytes elements;
    if (!bytes_open_document(bytes, &elements))
        return NULL;
    PyObject *made = PyList_New(0);
    while (made != NULL && elements.at < elements.end) {
        struct element element;
        PyObject *value = bytes_next_element(&elements, &element)
                              ? read_item(node, element.type, &elements)
                              : NULL;
        if (value == NULL || PyList_Append(made, value) < 0)
            Py_CLEAR(made);
        Py_XDECREF(value);
    }
    return made;
}

static PyObject *read_container(int type, struct bytes *bytes)
{
    if (Py_EnterRecursiveCall(" while reading BSON")) {
        give_up_on_exception();
        return NULL;
    }
    PyObject *made = type == BSON_DOCUMENT ? read_dict(bytes) : read_list(NULL, bytes);
    Py_LeaveRecursiveCall();
    return made;
}

static PyObject *read_bool(struct bytes *bytes)
{
    const unsigned char *data = bytes_take(bytes, 1);
    return data == NULL || *data > 1 ? NULL : PyBool_FromLong(*data);
}

// By PyMongo: the value of a document of one element.
static PyObject *read_decimal(struct bytes *bytes)
{
    char document[4 + 2 + 16 + 1] = {sizeof document, 0, 0, 0, BSON_DECIMAL128};
    const unsigned char *data = bytes_take(bytes, 16);
    if (data == NULL)
        return NULL;
    memcpy(document + 6, data, 16);
    PyObject *decoded =
        PyObject_CallFunction(hooks.decode, "y#", document, (Py_ssize_t)sizeof document);
    PyObject *made = decoded == NULL ? NULL : PyMapping_GetItemString(decoded, "");
    Py_XDECREF(decoded);
    return made;
}

static PyObject *read_value(int type, struct bytes *bytes)
{
    const unsigned char *data;
    switch (type) {
    case BSON_DOUBLE:
        return read_double(bytes);
    case BSON_STRING:
        return read_string(bytes);
    case BSON_DOCUMENT:
    case BSON_ARRAY:
        return read_container(type, bytes);
    case BSON_BINARY:
        return read_binary(bytes);
    case BSON_OBJECT_ID:
        return read_object_id(hooks.object_id, bytes);
    case BSON_BOOL:
        return read_bool(bytes);
    case BSON_DATE:
        return read_date(bytes);
    case BSON_DECIMAL128:
        return read_decimal(bytes);
    case BSON_NULL:
        return Py_NewRef(Py_None);
    case BSON_INT32:
        data = bytes_take(bytes, 4);
        return data == NULL ? NULL : PyLong_FromLong((int32_t)(uint32_t)bytes_load(data, 4));
    case BSON_INT64:
        data = bytes_take(bytes, 8);
        return data == NULL ? NULL
                            : PyObject_CallFunction(hooks.int64, "L",
                                                    (long long)(int64_t)bytes_load(data, 8));
    default:
        return NULL;
    }
}

// ---- by the fields of a model ------------------------------------------------------------------

static PyObject *read_model(Shape *shape, struct bytes *bytes, enum documents kind);

static PyObject *read_items(struct node *node, struct bytes *bytes)
{
    PyObject *made = read_list(node->item, bytes);
    if (made != NULL && !build_finish_list(node, made))
        Py_CLEAR(made);
    return made;
}

// Reads directly into the node's type; NULL if the value has another type.
static PyObject *read_straight(struct node *node, int type, struct bytes *bytes)
{
    if (node->kind == NODE_OBJECT_ID && type == BSON_OBJECT_ID)
        return read_object_id(node->type, bytes);
    bool is_model = node->kind == NODE_MODEL && type == BSON_DOCUMENT;
    bool is_list = node->kind == NODE_LIST && type == BSON_ARRAY;
    if (!is_model && !is_list)
        return NULL;
    if (Py_EnterRecursiveCall(" while reading BSON")) {
        give_up_on_exception();
        return NULL;
    }
    PyObject *made = is_model ? read_model((Shape *)node->type, bytes, DOCUMENTS_PROJECTED)
                              : read_items(node, bytes);
    Py_LeaveRecursiveCall();
    return made;
}

static PyObject *read_by_node(struct node *node, int type, struct bytes *bytes)
{
    const unsigned char *start = bytes->at;
    PyObject *made = read_straight(node, type, bytes);
    if (made != NULL || PyErr_Occurred())
        return made;
    bytes->at = start;
    PyObject *value = read_value(type, bytes);
    made = value == NULL ? NULL : build_accept(node, value);
    Py_XDECREF(value);
    return made;
}

static bool is_key(const struct field *field, const struct element *element)
{
    return field->key_size == element->name_size &&
           memcmp(field->key, element->name, element->name_size) == 0;
}

// The field's place, from `guess` on; the count of fields where there is none.
static Py_ssize_t find_field(const Shape *shape, const struct element *element, Py_ssize_t guess)
{
    for (Py_ssize_t i = 0; i < shape->field_count; i++) {
        Py_ssize_t at = guess + i < shape->field_count ? guess + i : guess + i - shape->field_count;
        if (is_key(&shape->fields[at], element))
            return at;
    }
    return shape->field_count;
}

// A field that the model has not. Where the server sent it PyMongo decodes it, and may refuse it.
static bool pass_other(Shape *shape, const struct element *element, struct bytes *elements,
                       enum documents kind)
{
    if (kind == DOCUMENTS_WHOLE) {
        shape->met_others = true;
        return bytes_skip_value(element->type, elements);
    }
    if (!shape->ignores_unknown || shape->has_second_keys)
        return false;
    PyObject *name = read_name(element);
    PyObject *ignored = name == NULL ? NULL : read_value(element->type, elements);
    bool passed = ignored != NULL;
    Py_XDECREF(name);
    Py_XDECREF(ignored);
    return passed;
}

static bool read_fields(Shape *shape, struct bytes elements, enum documents kind, PyObject **values)
{
    Py_ssize_t guess = 0;
    while (elements.at < elements.end) {
        struct element element;
        if (!bytes_next_element(&elements, &element) ||
            (element.name[0] == '$' && kind == DOCUMENTS_PROJECTED))
            return false; // $ref makes another class of it
        Py_ssize_t at = find_field(shape, &element, guess);
        if (at < shape->field_count) {
            if (values[at] != NULL)
                return false; // twice
            values[at] = read_by_node(shape->fields[at].node, element.type, &elements);
            if (values[at] == NULL)
                return false;
            guess = at + 1;
            continue;
        }
        if (!pass_other(shape, &element, &elements, kind))
            return false;
    }
    return true;
}

static PyObject *read_model(Shape *shape, struct bytes *bytes, enum documents kind)
{
    struct bytes elements;
    PyObject *values[FIELDS_ON_STACK] = {NULL};
    if (shape->fields == NULL || shape->field_count > FIELDS_ON_STACK ||
        !bytes_open_document(bytes, &elements))
        return NULL;
    bool read = read_fields(shape, elements, kind, values);
    for (Py_ssize_t i = 0; read && i < shape->field_count; i++)
        read = values[i] != NULL || shape->fields[i].initial.kind != DEFAULT_NONE;
    PyObject *made = read ? build_of_values(shape, values) : NULL;
    for (Py_ssize_t i = 0; i < shape->field_count; i++)
        Py_XDECREF(values[i]);
    return made;
}

// ---- a document --------------------------------------------------------------------------------

// Without the fields that the model has not, as the server would have sent it.
static PyObject *without_others(const Shape *shape, const unsigned char *start,
                                struct bytes elements)
{
    struct buffer buffer;
    buffer_init(&buffer);
    int result = buffer_put_int32(&buffer, 0);
    struct element element;
    while (result == OK && elements.at < elements.end) {
        const unsigned char *from = elements.at;
        if (!bytes_next_element(&elements, &element) ||
            !bytes_skip_value(element.type, &elements)) {
            buffer_free(&buffer); // PyMongo reports the error
            return PyBytes_FromStringAndSize((const char *)start, elements.end + 1 - start);
        }
        if (find_field(shape, &element, 0) < shape->field_count)
            result = buffer_put(&buffer, from, (size_t)(elements.at - from));
    }
    if (result == OK)
        result = buffer_put(&buffer, "", 1);
    PyObject *made = NULL;
    if (result == OK) {
        store_int32(buffer.data, (int32_t)buffer.length);
        made = PyBytes_FromStringAndSize(buffer.data, (Py_ssize_t)buffer.length);
    }
    buffer_free(&buffer);
    return made;
}

PyObject *read_document(Shape *shape, struct bytes *bytes, enum documents kind, PyObject *otherwise)
{
    const unsigned char *start = bytes->at;
    struct bytes elements;
    if (!bytes_open_document(bytes, &elements)) {
        PyErr_SetString(PyExc_ValueError, "the batch does not hold whole documents");
        return NULL;
    }
    struct bytes document = {start, bytes->at};
    PyObject *made = read_model(shape, &document, kind);
    if (made != NULL || PyErr_Occurred())
        return made;
    PyObject *raw = kind == DOCUMENTS_WHOLE
                        ? without_others(shape, start, elements)
                        : PyBytes_FromStringAndSize((const char *)start, bytes->at - start);
    made = raw == NULL ? NULL : PyObject_CallOneArg(otherwise, raw);
    Py_XDECREF(raw);
    return made;
}

bool read_finds_others(const Shape *shape, struct bytes bytes)
{
    while (bytes.at < bytes.end) {
        struct bytes elements;
        Py_ssize_t guess = 0;
        if (!bytes_open_document(&bytes, &elements))
            return true;
        while (elements.at < elements.end) {
            struct element element;
            if (!bytes_next_element(&elements, &element) ||
                !bytes_skip_value(element.type, &elements))
                return true;
            guess = find_field(shape, &element, guess) + 1;
            if (guess > shape->field_count)
                return true;
        }
    }
    return false;
}

// This file's pointer to the API.
int read_import_datetime(void)
{
    PyDateTime_IMPORT;
    return PyDateTimeAPI == NULL ? FAILED : OK;
}
