// Writes a model instance as BSON, with the same result as Beanie's Encoder and PyMongo. Like
// Beanie, it goes by the type of a value and not by the field's annotation, so values that were
// assigned without validation get the same BSON.
#include "write.h"

#include <datetime.h>
#include <string.h>
#include <time.h>

struct model_slots model_slots;

int give_up_on_exception(void)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(PyExc_MemoryError)) {
        return FAILED;
    }
    PyErr_Clear();
    return GIVE_UP;
}

void writer_init(struct writer *writer, bool keep_nulls)
{
    buffer_init(&writer->buffer);
    writer->keep_nulls = keep_nulls;
    writer->raw = hooks.raw;
}

// The head of an element and `size` bytes for its value.
static char *element(struct writer *writer, char type, const char *key, Py_ssize_t key_size,
                     size_t size)
{
    char *at = buffer_take(&writer->buffer, 1 + (size_t)key_size + size);
    if (at == NULL)
        return NULL;
    *at = type;
    memcpy(at + 1, key, (size_t)key_size);
    return at + 1 + key_size;
}

static void store_int64(char *at, int64_t value)
{
    uint64_t bits = (uint64_t)value;
    for (int i = 0; i < 8; i++)
        at[i] = (char)(bits >> (8 * i));
}

static int write_double(struct writer *writer, const char *key, Py_ssize_t key_size, double value)
{
    char *at = element(writer, BSON_DOUBLE, key, key_size, 8);
    if (at == NULL)
        return FAILED;
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    store_int64(at, bits);
    return OK;
}

static int write_date(struct writer *writer, const char *key, Py_ssize_t key_size, int64_t value_ms)
{
    char *at = element(writer, BSON_DATE, key, key_size, 8);
    if (at == NULL)
        return FAILED;
    store_int64(at, value_ms);
    return OK;
}

static int write_str(struct writer *writer, const char *key, Py_ssize_t key_size, PyObject *value)
{
    Py_ssize_t size;
    const char *utf8 = PyUnicode_AsUTF8AndSize(value, &size);
    if (utf8 == NULL)
        return give_up_on_exception();
    if (size >= INT32_MAX)
        return GIVE_UP;
    char *at = element(writer, BSON_STRING, key, key_size, 4 + (size_t)size + 1);
    if (at == NULL)
        return FAILED;
    store_int32(at, (int32_t)size + 1);
    memcpy(at + 4, utf8, (size_t)size + 1);
    return OK;
}

static int write_int(struct writer *writer, const char *key, Py_ssize_t key_size, PyObject *value,
                     bool always_long)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0)
        return GIVE_UP;
    if (number == -1 && PyErr_Occurred())
        return give_up_on_exception();
    bool small = !always_long && number >= INT32_MIN && number <= INT32_MAX;
    char *at = element(writer, small ? BSON_INT32 : BSON_INT64, key, key_size, small ? 4 : 8);
    if (at == NULL)
        return FAILED;
    if (small) {
        store_int32(at, (int32_t)number);
    } else {
        store_int64(at, number);
    }
    return OK;
}

static int write_binary(struct writer *writer, const char *key, Py_ssize_t key_size, char subtype,
                        const char *bytes, Py_ssize_t size)
{
    if (size >= INT32_MAX)
        return GIVE_UP;
    char *at = element(writer, BSON_BINARY, key, key_size, 5 + (size_t)size);
    if (at == NULL)
        return FAILED;
    store_int32(at, (int32_t)size);
    at[4] = subtype;
    memcpy(at + 5, bytes, (size_t)size);
    return OK;
}

static int64_t days_since_1970(int year, int month, int day)
{
    int64_t shifted = year - (month <= 2);
    int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
    int64_t year_of_era = shifted - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static int64_t date_ms(PyObject *date)
{
    return days_since_1970(PyDateTime_GET_YEAR(date), PyDateTime_GET_MONTH(date),
                           PyDateTime_GET_DAY(date)) *
           86400000;
}

// What PyMongo stores: UTC, cut to milliseconds.
static int datetime_ms(PyObject *value, int64_t *out_ms)
{
    PyObject *zone = PyDateTime_DATE_GET_TZINFO(value);
    int64_t micros = PyDateTime_DATE_GET_MICROSECOND(value);
    int64_t seconds = date_ms(value) / 1000 + PyDateTime_DATE_GET_HOUR(value) * 3600 +
                      PyDateTime_DATE_GET_MINUTE(value) * 60 + PyDateTime_DATE_GET_SECOND(value);
    if (zone != Py_None && zone != hooks.utc) {
        PyObject *offset = PyObject_CallMethod(value, "utcoffset", NULL);
        if (offset == NULL)
            return give_up_on_exception();
        bool whole = PyDelta_Check(offset) && PyDateTime_DELTA_GET_MICROSECONDS(offset) == 0;
        if (whole) {
            seconds -= (int64_t)PyDateTime_DELTA_GET_DAYS(offset) * 86400 +
                       PyDateTime_DELTA_GET_SECONDS(offset);
        }
        Py_DECREF(offset);
        // year 0 and year 10000 exist for us, not for Python
        if (!whole || seconds < -62135596800 || seconds > 253402300799)
            return GIVE_UP;
    }
    *out_ms = seconds * 1000 + micros / 1000;
    return OK;
}

static int write_datetime(struct writer *writer, const char *key, Py_ssize_t key_size,
                          PyObject *value)
{
    int64_t value_ms = 0;
    int result = datetime_ms(value, &value_ms);
    return result == OK ? write_date(writer, key, key_size, value_ms) : result;
}

static int write_timedelta(struct writer *writer, const char *key, Py_ssize_t key_size,
                           PyObject *value)
{
    int64_t micros =
        ((int64_t)PyDateTime_DELTA_GET_DAYS(value) * 86400 + PyDateTime_DELTA_GET_SECONDS(value)) *
            1000000 +
        PyDateTime_DELTA_GET_MICROSECONDS(value);
    // both are exact up to here, so the quotient is rounded once, as Python's is
    if (micros > (INT64_C(1) << 53) || micros < -(INT64_C(1) << 53))
        return GIVE_UP;
    return write_double(writer, key, key_size, (double)micros / 1e6);
}

int write_object_id(struct writer *writer, const char *key, Py_ssize_t key_size, PyObject *value)
{
    PyObject *bytes = Py_TYPE(hooks.object_id_member)
                          ->tp_descr_get(hooks.object_id_member, value, (PyObject *)Py_TYPE(value));
    if (bytes == NULL)
        return give_up_on_exception();
    int result = GIVE_UP;
    if (PyBytes_CheckExact(bytes) && PyBytes_GET_SIZE(bytes) == 12) {
        char *at = element(writer, BSON_OBJECT_ID, key, key_size, 12);
        result = at == NULL ? FAILED : OK;
        if (at != NULL)
            memcpy(at, PyBytes_AS_STRING(bytes), 12);
    }
    Py_DECREF(bytes);
    return result;
}

static int write_uuid(struct writer *writer, const char *key, Py_ssize_t key_size, PyObject *value)
{
    PyObject *bytes = PyObject_GetAttrString(value, "bytes");
    if (bytes == NULL)
        return give_up_on_exception();
    int result = GIVE_UP;
    if (PyBytes_CheckExact(bytes) && PyBytes_GET_SIZE(bytes) == 16) {
        result = write_binary(writer, key, key_size, 4, PyBytes_AS_STRING(bytes), 16);
    }
    Py_DECREF(bytes);
    return result;
}

// A value that PyMongo writes: the single element of the document that writer->raw gives.
static int write_by_pymongo(struct writer *writer, const char *key, Py_ssize_t key_size,
                            PyObject *value)
{
    PyObject *answer = PyObject_CallOneArg(writer->raw, value);
    if (answer == NULL)
        return give_up_on_exception();
    int result = GIVE_UP;
    // int32 length, type, an empty name's NUL, the value, NUL
    if (PyBytes_CheckExact(answer) && PyBytes_GET_SIZE(answer) >= 7) {
        const char *bytes = PyBytes_AS_STRING(answer);
        size_t size = (size_t)PyBytes_GET_SIZE(answer) - 7;
        char *at = element(writer, bytes[4], key, key_size, size);
        result = at == NULL ? FAILED : OK;
        if (at != NULL)
            memcpy(at, bytes + 6, size);
    }
    Py_DECREF(answer);
    return result;
}

// Writes a value without encoding it again: the value of an enum, or a converter's result.
int write_raw(struct writer *writer, const char *key, Py_ssize_t key_size, PyObject *value)
{
    if (PyUnicode_CheckExact(value))
        return write_str(writer, key, key_size, value);
    if (PyLong_CheckExact(value))
        return write_int(writer, key, key_size, value, false);
    if (PyFloat_CheckExact(value)) {
        return write_double(writer, key, key_size, PyFloat_AS_DOUBLE(value));
    }
    return write_by_pymongo(writer, key, key_size, value);
}

static int write_enum(struct writer *writer, const char *key, Py_ssize_t key_size, PyObject *value)
{
    PyObject *inner = PyObject_GetAttrString(value, "_value_");
    if (inner == NULL)
        return give_up_on_exception();
    int result = write_raw(writer, key, key_size, inner);
    Py_DECREF(inner);
    return result;
}

// Opens a document or array; its start, or -1 with an exception.
Py_ssize_t open_container(struct writer *writer, char type, const char *key, Py_ssize_t key_size)
{
    if (element(writer, type, key, key_size, 4) == NULL)
        return -1;
    return (Py_ssize_t)writer->buffer.length - 4;
}

int close_container(struct writer *writer, Py_ssize_t start)
{
    if (buffer_put(&writer->buffer, "", 1) != OK)
        return FAILED;
    store_int32(writer->buffer.data + start, (int32_t)(writer->buffer.length - (size_t)start));
    return OK;
}

// An index as a name, with its NUL.
Py_ssize_t index_key(char *out, Py_ssize_t index)
{
    char digits[24];
    Py_ssize_t count = 0, size = 0;
    do {
        digits[count++] = (char)('0' + index % 10);
        index /= 10;
    } while (index > 0);
    while (count > 0)
        out[size++] = digits[--count];
    out[size++] = '\0';
    return size;
}

static int write_dict_items(struct writer *writer, PyObject *dict)
{
    PyObject *name, *value;
    Py_ssize_t position = 0, size = PyDict_GET_SIZE(dict);
    while (PyDict_Next(dict, &position, &name, &value)) {
        Py_ssize_t name_size;
        if (!PyUnicode_CheckExact(name))
            return GIVE_UP;
        const char *utf8 = PyUnicode_AsUTF8AndSize(name, &name_size);
        if (utf8 == NULL)
            return give_up_on_exception();
        if (memchr(utf8, 0, (size_t)name_size) != NULL)
            return GIVE_UP;
        Py_INCREF(name);
        Py_INCREF(value);
        int result = write_value(writer, utf8, name_size + 1, value);
        Py_DECREF(name);
        Py_DECREF(value);
        if (result != OK)
            return result;
        if (PyDict_GET_SIZE(dict) != size)
            return GIVE_UP; // a converter changed it
    }
    return OK;
}

static int write_sequence_items(struct writer *writer, PyObject *sequence)
{
    bool is_list = PyList_Check(sequence);
    char name[24];
    for (Py_ssize_t i = 0; i < (is_list ? PyList_GET_SIZE(sequence) : PyTuple_GET_SIZE(sequence));
         i++) {
        PyObject *value = is_list ? PyList_GET_ITEM(sequence, i) : PyTuple_GET_ITEM(sequence, i);
        Py_INCREF(value);
        int result = write_value(writer, name, index_key(name, i), value);
        Py_DECREF(value);
        if (result != OK)
            return result;
    }
    return OK;
}

static int write_iterable_items(struct writer *writer, PyObject *iterable)
{
    PyObject *list = PySequence_List(iterable);
    if (list == NULL)
        return give_up_on_exception();
    int result = write_sequence_items(writer, list);
    Py_DECREF(list);
    return result;
}

// value.to_ref() of a link: a DBRef.
static int write_reference(struct writer *writer, const char *key, Py_ssize_t key_size,
                           PyObject *value)
{
    if (value == Py_None)
        return write_value(writer, key, key_size, value);
    PyObject *reference = PyObject_CallMethod(value, "to_ref", NULL);
    if (reference == NULL)
        return give_up_on_exception();
    int result = write_raw(writer, key, key_size, reference);
    Py_DECREF(reference);
    return result;
}

static int write_references(struct writer *writer, const char *key, Py_ssize_t key_size,
                            PyObject *value)
{
    if (value == Py_None)
        return write_value(writer, key, key_size, value);
    if (!PyList_CheckExact(value))
        return GIVE_UP;
    Py_ssize_t start = open_container(writer, BSON_ARRAY, key, key_size);
    if (start < 0)
        return FAILED;
    char name[24];
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(value); i++) {
        PyObject *link = PyList_GET_ITEM(value, i);
        Py_INCREF(link);
        int result =
            link == Py_None ? GIVE_UP : write_reference(writer, name, index_key(name, i), link);
        Py_DECREF(link);
        if (result != OK)
            return result;
    }
    return close_container(writer, start);
}

static const struct key *find_key(Shape *shape, PyObject *name, Py_ssize_t guess)
{
    if (guess < shape->key_count && shape->keys[guess].name == name)
        return &shape->keys[guess];
    PyObject *position = PyDict_GetItemWithError(shape->positions, name);
    return position == NULL ? NULL : &shape->keys[PyLong_AsSsize_t(position)];
}

// An item of the instance that is no field: an extra value, a cached property.
static int write_unknown(struct writer *writer, Shape *shape, PyObject *name, PyObject *value)
{
    Py_ssize_t size;
    if (!PyUnicode_Check(name))
        return GIVE_UP;
    int known = PySet_Contains(shape->stored, name);
    if (known != 0)
        return known < 0 ? give_up_on_exception() : GIVE_UP;
    if (value == Py_None && !writer->keep_nulls)
        return OK;
    const char *utf8 = PyUnicode_AsUTF8AndSize(name, &size);
    if (utf8 == NULL)
        return give_up_on_exception();
    if (memchr(utf8, 0, (size_t)size) != NULL)
        return GIVE_UP;
    return write_value(writer, utf8, size + 1, value);
}

static int write_item(struct writer *writer, Shape *shape, PyObject *name, PyObject *value,
                      Py_ssize_t guess, enum form form, bool top)
{
    const struct key *key = find_key(shape, name, guess);
    if (key == NULL) {
        if (PyErr_Occurred())
            return give_up_on_exception();
        bool hidden = PyUnicode_Check(name) && PyUnicode_GET_LENGTH(name) > 0 &&
                      PyUnicode_READ_CHAR(name, 0) == '_';
        return hidden ? OK : write_unknown(writer, shape, name, value);
    }
    if (key->flags & FIELD_SKIP)
        return OK;
    if (value == Py_None && !writer->keep_nulls)
        return OK;
    if (top && (key->flags & FIELD_ID)) {
        if (form != FORM_SET || value == Py_None)
            return OK;
    }
    if (key->flags & FIELD_LINK)
        return write_reference(writer, key->utf8, key->size, value);
    if (key->flags & FIELD_LINKS)
        return write_references(writer, key->utf8, key->size, value);
    return write_value(writer, key->utf8, key->size, value);
}

static int write_extra(struct writer *writer, Shape *shape, PyObject *instance)
{
    PyObject *extra = Py_XNewRef(*model_slot(instance, model_slots.extra));
    if (extra == NULL)
        return GIVE_UP;
    int result = extra == Py_None || PyDict_CheckExact(extra) ? OK : GIVE_UP;
    PyObject *name, *value;
    Py_ssize_t position = 0;
    Py_ssize_t size = result == OK && extra != Py_None ? PyDict_GET_SIZE(extra) : 0;
    while (size > 0 && result == OK && PyDict_Next(extra, &position, &name, &value)) {
        Py_INCREF(name);
        Py_INCREF(value);
        // a field of that name in the instance as well: the later one wins, in the place of the
        // first
        int known = PyDict_Contains(shape->positions, name);
        result = known != 0 ? (known < 0 ? give_up_on_exception() : GIVE_UP)
                            : write_unknown(writer, shape, name, value);
        Py_DECREF(name);
        Py_DECREF(value);
        if (PyDict_GET_SIZE(extra) != size)
            result = result == OK ? GIVE_UP : result;
    }
    Py_DECREF(extra);
    return result;
}

static int write_model_items(struct writer *writer, Shape *shape, PyObject *instance,
                             enum form form, bool top)
{
    PyObject *dict = PyObject_GenericGetDict(instance, NULL);
    if (dict == NULL)
        return give_up_on_exception();
    PyObject *name, *value;
    Py_ssize_t position = 0, index = 0, size = PyDict_GET_SIZE(dict);
    int result = OK;
    while (result == OK && PyDict_Next(dict, &position, &name, &value)) {
        Py_INCREF(name);
        Py_INCREF(value);
        result = write_item(writer, shape, name, value, index++, form, top);
        Py_DECREF(name);
        Py_DECREF(value);
        if (result == OK && PyDict_GET_SIZE(dict) != size)
            result = GIVE_UP;
    }
    Py_DECREF(dict);
    if (result == OK && shape->has_extra)
        result = write_extra(writer, shape, instance);
    return result;
}

static int write_container(struct writer *writer, const char *key, Py_ssize_t key_size,
                           PyObject *value, char type,
                           int (*items)(struct writer *writer, PyObject *value))
{
    if (Py_EnterRecursiveCall(" while encoding to BSON"))
        return give_up_on_exception();
    Py_ssize_t start = open_container(writer, type, key, key_size);
    int result = start < 0 ? FAILED : items(writer, value);
    if (result == OK)
        result = close_container(writer, start);
    Py_LeaveRecursiveCall();
    return result;
}

static int write_model(struct writer *writer, const char *key, Py_ssize_t key_size, PyObject *value,
                       Shape *shape)
{
    if (Py_EnterRecursiveCall(" while encoding to BSON"))
        return give_up_on_exception();
    Py_ssize_t start = open_container(writer, BSON_DOCUMENT, key, key_size);
    int result = start < 0 ? FAILED : write_model_items(writer, shape, value, FORM_SET, false);
    if (result == OK)
        result = close_container(writer, start);
    Py_LeaveRecursiveCall();
    return result;
}

// What a RootModel holds.
static int write_root(struct writer *writer, const char *key, Py_ssize_t key_size, PyObject *value)
{
    PyObject *root = PyObject_GetAttrString(value, "root");
    if (root == NULL)
        return give_up_on_exception();
    int result = GIVE_UP;
    if (!Py_EnterRecursiveCall(" while encoding to BSON")) {
        result = write_value(writer, key, key_size, root);
        Py_LeaveRecursiveCall();
    } else {
        result = give_up_on_exception();
    }
    Py_DECREF(root);
    return result;
}

static int write_kind(struct writer *writer, const char *key, Py_ssize_t key_size, PyObject *value,
                      long kind)
{
    switch (kind) {
    case KIND_STR:
        return write_str(writer, key, key_size, value);
    case KIND_INT:
        return write_int(writer, key, key_size, value, false);
    case KIND_INT64:
        return write_int(writer, key, key_size, value, true);
    case KIND_FLOAT:
        return write_double(writer, key, key_size, PyFloat_AS_DOUBLE(value));
    case KIND_OBJECT_ID:
        return write_object_id(writer, key, key_size, value);
    case KIND_ENUM:
        return write_enum(writer, key, key_size, value);
    case KIND_UUID:
        return write_uuid(writer, key, key_size, value);
    case KIND_DATETIME:
        return write_datetime(writer, key, key_size, value);
    case KIND_DICT:
        return write_container(writer, key, key_size, value, BSON_DOCUMENT, write_dict_items);
    case KIND_SEQUENCE:
        return write_container(writer, key, key_size, value, BSON_ARRAY, write_sequence_items);
    case KIND_ITERABLE:
        return write_container(writer, key, key_size, value, BSON_ARRAY, write_iterable_items);
    case KIND_ROOT:
        return write_root(writer, key, key_size, value);
    default:
        return GIVE_UP;
    }
}

// What classify said of the type, asked once; borrowed.
static PyObject *kind_of(PyTypeObject *type)
{
    PyObject *known = PyDict_GetItemWithError(hooks.kinds, (PyObject *)type);
    if (known != NULL || PyErr_Occurred())
        return known;
    known = PyObject_CallOneArg(hooks.classify, (PyObject *)type);
    if (known == NULL)
        return NULL;
    int stored = PyDict_SetItem(hooks.kinds, (PyObject *)type, known);
    Py_DECREF(known);
    return stored < 0 ? NULL : known; // the dict holds it
}

static int write_by_kind(struct writer *writer, const char *key, Py_ssize_t key_size,
                         PyObject *value)
{
    if (value == hooks.missing)
        return GIVE_UP; // parsed lazily
    PyObject *kind = kind_of(Py_TYPE(value));
    if (kind == NULL)
        return give_up_on_exception();
    if (PyLong_CheckExact(kind))
        return write_kind(writer, key, key_size, value, PyLong_AsLong(kind));
    if (Py_IS_TYPE(kind, &shape_type)) {
        return write_model(writer, key, key_size, value, (Shape *)kind);
    }
    if (kind == Py_None)
        return write_by_pymongo(writer, key, key_size, value);
    PyObject *converted = PyObject_CallOneArg(kind, value);
    if (converted == NULL)
        return give_up_on_exception();
    int result = write_raw(writer, key, key_size, converted);
    Py_DECREF(converted);
    return result;
}

int write_value(struct writer *writer, const char *key, Py_ssize_t key_size, PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);
    if (type == &PyUnicode_Type)
        return write_str(writer, key, key_size, value);
    if (type == &PyLong_Type)
        return write_int(writer, key, key_size, value, false);
    if (type == &PyFloat_Type)
        return write_double(writer, key, key_size, PyFloat_AS_DOUBLE(value));
    if (value == Py_None)
        return element(writer, BSON_NULL, key, key_size, 0) == NULL ? FAILED : OK;
    if (type == &PyBool_Type) {
        char *at = element(writer, BSON_BOOL, key, key_size, 1);
        if (at == NULL)
            return FAILED;
        *at = value == Py_True ? 1 : 0;
        return OK;
    }
    if (type == PyDateTimeAPI->DateTimeType)
        return write_datetime(writer, key, key_size, value);
    if (type == &PyList_Type || type == &PyTuple_Type) {
        return write_kind(writer, key, key_size, value, KIND_SEQUENCE);
    }
    if (type == &PyDict_Type)
        return write_kind(writer, key, key_size, value, KIND_DICT);
    if (type == &PyBytes_Type) {
        return write_binary(writer, key, key_size, 0, PyBytes_AS_STRING(value),
                            PyBytes_GET_SIZE(value));
    }
    if (type == PyDateTimeAPI->DateType)
        return write_date(writer, key, key_size, date_ms(value));
    if (type == PyDateTimeAPI->DeltaType)
        return write_timedelta(writer, key, key_size, value);
    return write_by_kind(writer, key, key_size, value);
}

// ---- a whole document --------------------------------------------------------------------------

static struct {
    char random[5];
    uint32_t counter;
} ids;

int encode_reset_ids(const char random[5], uint32_t counter)
{
    memcpy(ids.random, random, sizeof ids.random);
    ids.counter = counter;
    return OK;
}

static void make_object_id(char out[12])
{
    uint32_t now_s = (uint32_t)time(NULL), count = ids.counter++;
    for (int i = 0; i < 4; i++)
        out[i] = (char)(now_s >> (24 - 8 * i));
    memcpy(out + 4, ids.random, 5);
    for (int i = 0; i < 3; i++)
        out[9 + i] = (char)(count >> (16 - 8 * i));
}

static PyObject *id_of(Shape *shape, PyObject *instance)
{
    PyObject *dict = PyObject_GenericGetDict(instance, NULL);
    if (dict == NULL)
        return NULL;
    PyObject *value = Py_None;
    for (Py_ssize_t i = 0; i < shape->key_count; i++) {
        if (!(shape->keys[i].flags & FIELD_ID))
            continue;
        value = PyDict_GetItemWithError(dict, shape->keys[i].name);
        break;
    }
    Py_XINCREF(value);
    Py_DECREF(dict);
    if (value == NULL && !PyErr_Occurred())
        Py_RETURN_NONE;
    return value;
}

int write_id(struct writer *writer, PyObject *id)
{
    if (id != Py_None)
        return write_value(writer, "_id", 4, id);
    char *at = element(writer, BSON_OBJECT_ID, "_id", 4, 12);
    if (at == NULL)
        return FAILED;
    make_object_id(at);
    return OK;
}

static int write_document(struct writer *writer, Shape *shape, PyObject *instance, enum form form,
                          PyObject *id)
{
    if (buffer_put_int32(&writer->buffer, 0) != OK)
        return FAILED;
    int result = form == FORM_INSERT ? write_id(writer, id) : OK;
    if (result == OK && shape->prefix != NULL) {
        result = buffer_put(&writer->buffer, PyBytes_AS_STRING(shape->prefix),
                            (size_t)PyBytes_GET_SIZE(shape->prefix));
    }
    if (result == OK)
        result = write_model_items(writer, shape, instance, form, true);
    return result == OK ? close_container(writer, 0) : result;
}

// The document as an Encoded, None where it was given up. The writer is used again and again.
static PyObject *encode_instance(struct writer *writer, Shape *shape, PyObject *instance,
                                 enum form form)
{
    PyObject *id = id_of(shape, instance);
    if (id == NULL)
        return NULL;
    writer->buffer.length = 0;
    int result = id == hooks.missing ? GIVE_UP : write_document(writer, shape, instance, form, id);
    PyObject *encoded = NULL;
    if (result == OK) {
        encoded = encoded_new(&writer->buffer, id);
    } else if (result == GIVE_UP) {
        encoded = Py_NewRef(Py_None);
    }
    Py_DECREF(id);
    return encoded;
}

PyObject *shape_encode(Shape *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 3 || (PyObject *)Py_TYPE(arguments[0]) != self->cls) {
        PyErr_SetString(PyExc_TypeError, "encode(instance of the shape's class, form, keep_nulls)");
        return NULL;
    }
    long form = PyLong_AsLong(arguments[1]);
    if (form == -1 && PyErr_Occurred())
        return NULL;
    struct writer writer;
    writer_init(&writer, arguments[2] == Py_True);
    PyObject *encoded = encode_instance(&writer, self, arguments[0], (enum form)form);
    buffer_free(&writer.buffer);
    return encoded;
}

static PyObject *encode_list(struct writer *writer, Shape *shape, PyObject *instances,
                             PyObject *otherwise, bool *all_encoded)
{
    PyObject *made = PyList_New(PyList_GET_SIZE(instances));
    for (Py_ssize_t i = 0; made != NULL && i < PyList_GET_SIZE(made); i++) {
        PyObject *instance = list_item(instances, i);
        bool is_ours = (PyObject *)Py_TYPE(instance) == shape->cls;
        PyObject *encoded =
            is_ours ? encode_instance(writer, shape, instance, FORM_INSERT) : Py_NewRef(Py_None);
        if (encoded == Py_None) {
            *all_encoded = false;
            Py_SETREF(encoded, PyObject_CallOneArg(otherwise, instance));
        }
        Py_DECREF(instance);
        if (encoded == NULL) {
            Py_CLEAR(made);
        } else {
            PyList_SET_ITEM(made, i, encoded);
        }
    }
    return made;
}

PyObject *shape_encode_many(Shape *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 3 || !PyList_CheckExact(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "encode_many(list of instances, keep_nulls, function)");
        return NULL;
    }
    struct writer writer;
    writer_init(&writer, arguments[1] == Py_True);
    bool all_encoded = true;
    PyObject *made = encode_list(&writer, self, arguments[0], arguments[2], &all_encoded);
    buffer_free(&writer.buffer);
    return made == NULL ? NULL : Py_BuildValue("NO", made, all_encoded ? Py_True : Py_False);
}

// Each file that uses the datetime macros needs its own pointer to the API.
int encode_import_datetime(void)
{
    PyDateTime_IMPORT;
    return PyDateTimeAPI == NULL ? FAILED : OK;
}
