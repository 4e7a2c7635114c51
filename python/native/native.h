// The common declarations of the extension. All functions need the GIL. A function that returns int
// returns OK, GIVE_UP (no exception: the caller runs the Python code instead) or FAILED (exception
// set). The extension handles only cases in which it certainly does the same as Beanie or pydantic.
// It gives up all other cases, so that they handle these.
#ifndef MONGOSLUICE_NATIVE_H
#define MONGOSLUICE_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

enum { OK = 0, FAILED = -1, GIVE_UP = 1 };

// constants.c: the enums below, as constants of the module; false with an exception set.
bool add_constants(PyObject *module);

// ---- buffer.c: bytes that grow -----------------------------------------------------------------

struct buffer {
    char *data;
    size_t length, capacity;
    char small[2048]; // most documents need no allocation
};

void buffer_init(struct buffer *buffer);
void buffer_free(struct buffer *buffer);
// Makes room for `size` more bytes and counts them as written; NULL with MemoryError set.
char *buffer_take(struct buffer *buffer, size_t size);
int buffer_put(struct buffer *buffer, const void *bytes, size_t size);
int buffer_put_int32(struct buffer *buffer, int32_t value);
int buffer_put_int64(struct buffer *buffer, int64_t value);
void store_int32(char *at, int32_t value);

// ---- hooks: the arguments of module.configure() ------------------------------------------------

// The kinds of elements.
enum bson_type {
    BSON_DOUBLE = 0x01,
    BSON_STRING = 0x02,
    BSON_DOCUMENT = 0x03,
    BSON_ARRAY = 0x04,
    BSON_BINARY = 0x05,
    BSON_UNDEFINED = 0x06,
    BSON_OBJECT_ID = 0x07,
    BSON_BOOL = 0x08,
    BSON_DATE = 0x09,
    BSON_NULL = 0x0A,
    BSON_REGEX = 0x0B,
    BSON_POINTER = 0x0C,
    BSON_CODE = 0x0D,
    BSON_SYMBOL = 0x0E,
    BSON_SCOPED_CODE = 0x0F,
    BSON_INT32 = 0x10,
    BSON_TIMESTAMP = 0x11,
    BSON_INT64 = 0x12,
    BSON_DECIMAL128 = 0x13,
    BSON_MAXIMUM = 0x7F,
    BSON_MINIMUM = 0xFF,
};

struct hooks {
    PyObject *object_id;         // bson.ObjectId
    PyObject *object_id_member;  // the descriptor of its 12 bytes
    PyObject *classify;          // type -> kind (int), Shape, callable that converts, or None: raw
    PyObject *raw;               // value -> BSON document {"": value}, by PyMongo
    PyObject *decode;            // bytes -> mapping
    PyObject *missing;           // lazy_model.NAO, or None
    PyObject *lazy_getattribute; // LazyModel.__getattribute__, or None
    PyObject *int64;             // bson.Int64
    PyObject *utc;               // datetime.timezone.utc
    PyObject *kinds;             // dict: type -> result of classify
};
extern struct hooks hooks;

// ---- encode.c: a value, by its type ------------------------------------------------------------

// What hooks.classify may answer, beside a Shape, a callable and None.
enum kind {
    KIND_GIVE_UP,
    KIND_STR,
    KIND_INT,
    KIND_INT64,
    KIND_FLOAT,
    KIND_OBJECT_ID,
    KIND_ENUM,
    KIND_UUID,
    KIND_DATETIME,
    KIND_DICT,
    KIND_SEQUENCE,
    KIND_ITERABLE,
    KIND_ROOT,
};

// How a field is written, as bits.
enum {
    FIELD_SKIP = 1,  // not stored
    FIELD_LINK = 2,  // value.to_ref()
    FIELD_LINKS = 4, // a list of such
    FIELD_ID = 8,    // stored as _id
};

struct key {
    PyObject *name; // as in the instance's __dict__; interned
    PyObject *text; // as stored; holds `utf8`
    const char *utf8;
    Py_ssize_t size; // with the terminating NUL
    int flags;
};

// ---- bounds and lengths ------------------------------------------------------------------------

struct bounds {
    bool has_minimum, has_maximum;
    long long minimum_int, maximum_int; // of an int
    double minimum, maximum;            // of a float
};

struct lengths {
    Py_ssize_t minimum, maximum; // -1: none
};

static inline bool lengths_fit(const struct lengths *lengths, Py_ssize_t length)
{
    return (lengths->minimum < 0 || length >= lengths->minimum) &&
           (lengths->maximum < 0 || length <= lengths->maximum);
}

static inline bool bounds_hold_int(const struct bounds *bounds, PyObject *number)
{
    if (!bounds->has_minimum && !bounds->has_maximum)
        return true;
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(number, &overflow);
    return overflow == 0 && (!bounds->has_minimum || value >= bounds->minimum_int) &&
           (!bounds->has_maximum || value <= bounds->maximum_int);
}

// specification.c: of None or numbers; false with an exception.
bool bounds_read(struct bounds *bounds, bool is_int, PyObject *minimum, PyObject *maximum);
// A node of `size` bytes, zero at first, that `fill` reads from a tuple; it may read others within.
// NULL with an exception.
void *specification_read(PyObject *specification, size_t size,
                         bool (*fill)(void *node, PyObject *specification),
                         void (*release)(void *node));

// ---- build.c: the values that a field takes as they are ----------------------------------------

enum node_kind {
    NODE_GENERIC,
    NODE_ANY,
    NODE_STR,
    NODE_INT,
    NODE_FLOAT,
    NODE_BOOL,
    NODE_EXACT,
    NODE_OBJECT_ID,
    NODE_LIST,
    NODE_DICT,
    NODE_MODEL,
    NODE_LITERAL,
    NODE_LAST = NODE_LITERAL,
};

struct node {
    enum node_kind kind;
    bool nullable;
    bool finite;          // float
    struct bounds bounds; // int, float
    bool minimum_is_excluded, maximum_is_excluded;
    struct lengths lengths;
    // exact type, ObjectId class or Shape; of a literal a dict of the strings to themselves; of a
    // string its pattern's atoms, or NULL
    PyObject *type;
    PyObject *validator; // or NULL: the field's own, pydantic's
    struct node *item;
};

enum default_kind { DEFAULT_NONE, DEFAULT_VALUE, DEFAULT_FACTORY, DEFAULT_COPY };

struct default_value {
    enum default_kind kind;
    PyObject *value;
};

struct field {
    PyObject *name, *first_key, *second_key;
    const char *key; // first_key, which holds it
    size_t key_size;
    struct node *node;
    struct default_value initial;
};

// The names of the fields that were given for an instance, by the bits of their positions.
struct given {
    uint64_t bits;
    PyObject *names; // a frozenset, or NULL
};
enum { GIVEN_KEPT = 8, GIVEN_BITS = 64 };

// A model class: how its instances are written and, where `fields` is set, made.
typedef struct {
    PyObject_HEAD PyObject *cls;
    PyObject *positions; // dict: name -> position in keys
    PyObject *stored;    // set of the names that are stored
    struct key *keys;
    Py_ssize_t key_count;
    PyObject *prefix; // BSON elements that come first (the class id), or NULL
    bool has_extra;   // __pydantic_extra__ may hold something
    // build.c
    struct field *fields;
    Py_ssize_t field_count;
    PyObject *private_names, *private_values; // tuples; a value is (kind of default, default)
    PyObject *dict_template;                  // {name: None} of all fields
    struct given given[GIVEN_KEPT];
    unsigned next_given;
    bool ignores_unknown, has_second_keys;
    bool private_can_wait; // the private values need not be made with the instance
    bool met_others;       // a stored document had a field that the class has not (read.c)
    bool is_guarded;       // the class has our __getattribute__: its instances may be lazy (lazy.c)
} Shape;

// Of a model with no more fields the values are gathered without an allocation.
enum { FIELDS_ON_STACK = 32 };

extern PyTypeObject shape_type;
extern PyTypeObject encoded_type;
extern PyTypeObject init_type;

enum form {
    FORM_INSERT,  // _id first, made where there is none
    FORM_REPLACE, // no _id
    FORM_SET,     // in the order of the fields, _id only where there is one
};

// The document as an Encoded, or None where it was given up.
PyObject *shape_encode(Shape *self, PyObject *const *arguments, Py_ssize_t count);
// A list of those, for an insert; a Python function makes the others.
PyObject *shape_encode_many(Shape *self, PyObject *const *arguments, Py_ssize_t count);
int encode_reset_ids(const char random[5], uint32_t counter);
int encode_import_datetime(void);

// Where a pydantic model's slots are in an instance.
struct model_slots {
    Py_ssize_t fields_set, extra, private_values;
};
extern struct model_slots model_slots;

static inline PyObject **model_slot(PyObject *instance, Py_ssize_t offset)
{
    return (PyObject **)(void *)((char *)instance + offset);
}

// ---- lazy.c: instances that share unused parts -------------------------------------------------

// Gives the class a __getattribute__ like LazyModel's, which also completes lazy instances.
PyObject *shape_guard(PyObject *self, PyObject *unused);
// True if the collector may ignore the value as long as its holder is untouched. `ours`: nothing
// else holds the value.
bool lazy_is_inert(PyObject *value, bool ours);
// Shows the value and all its contents to the collector, because its holder is not inert, or no
// longer ours alone.
void lazy_track(PyObject *value);
// In an instance of a guarded class, whose private values can wait.
void lazy_begin(PyObject *instance, PyObject *given, Shape *shape);

// ---- encoded.c ---------------------------------------------------------------------------------

// An ObjectId, of that class or a subclass, of 12 bytes. The collector does not know it.
PyObject *make_object_id_of(PyTypeObject *type, const char bytes[12]);
// The _id of each of a list of Encoded, as a list.
PyObject *encoded_ids(PyObject *module, PyObject *documents);

// ---- pattern.c: patterns that are a row of classes ---------------------------------------------

enum { MOST_ATOMS = 16 };
bool pattern_is_valid(PyObject *pattern);
// False where pydantic must be asked.
bool pattern_matches(PyObject *pattern, PyObject *text);

// ---- build.c: an instance from a dict ----------------------------------------------------------

// specification.c
int build_set_fields(Shape *shape, PyObject *specifications);
void build_free_fields(Shape *shape);
int build_visit_fields(Shape *shape, visitproc visit, void *arg);
// The private values of a new instance; NULL with an exception.
PyObject *build_private_values(Shape *shape);
// The same of single values, for read.c: new references, or NULL, without an exception where given
// up.
PyObject *build_accept(struct node *node, PyObject *value);
// Of as many values as fields, NULL where a default is to be made.
PyObject *build_of_values(Shape *shape, PyObject **values);
// Of a list of accepted items: whether it is as long as it may be; the collector need not know it
// if its items are inert.
bool build_finish_list(const struct node *node, PyObject *list);
// Fills an empty instance: OK, GIVE_UP or FAILED. As keyword arguments `data` may not hold self,
// which the ordinary __init__ has a parameter for.
int build_fill(Shape *shape, PyObject *instance, PyObject *data, bool are_keywords);
PyObject *shape_build(PyObject *self, PyObject *data);
PyObject *shape_build_many(Shape *self, PyObject *const *arguments, Py_ssize_t count);

// ---- read.c, batches.c: instances from BSON ----------------------------------------------------

int read_import_datetime(void);
PyObject *shape_read_many(Shape *self, PyObject *const *arguments, Py_ssize_t count);
PyObject *shape_finds_others(Shape *self, PyObject *batch);
extern PyTypeObject documents_type;
extern PyTypeObject next_document_type;
extern PyTypeObject awaited_type;

// A new reference; None if called code has shortened the list.
static inline PyObject *list_item(PyObject *list, Py_ssize_t at)
{
    return Py_NewRef(at < PyList_GET_SIZE(list) ? PyList_GET_ITEM(list, at) : Py_None);
}

// What an exception means: GIVE_UP and cleared, unless it must reach the user.
int give_up_on_exception(void);

#endif
