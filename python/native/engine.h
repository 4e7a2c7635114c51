// The extension's plan of a MongoEngine class: how its instances are made, checked and written. The
// extension skips a part of MongoEngine's code only if it knows the effect of that part. Otherwise
// it calls the field, the class, or the replaced function.
#ifndef MONGOSLUICE_NATIVE_ENGINE_H
#define MONGOSLUICE_NATIVE_ENGINE_H

#include "native.h"

// How a field's values are handled.
enum engine_kind {
    ENGINE_OTHER, // by the field's own methods
    ENGINE_STR,
    ENGINE_INT,
    ENGINE_LONG,
    ENGINE_FLOAT,
    ENGINE_BOOL,
    ENGINE_DATE,
    ENGINE_OBJECT_ID,
    ENGINE_BYTES,
    ENGINE_ENUM,
    ENGINE_UUID,
    ENGINE_EMBEDDED,
    ENGINE_LIST,
    ENGINE_DICT,
    ENGINE_DYNAMIC,
    ENGINE_LAST = ENGINE_DYNAMIC,
};

// Which of a field's methods are those that the kind stands for, as bits.
enum {
    ENGINE_CONVERTS = 1, // to_python
    ENGINE_SETS = 2,     // __set__ is BaseField's
    ENGINE_GETS = 4,     // __get__ gives None where there is nothing
    ENGINE_CHECKS = 8,   // _validate, with the node's bounds and choices
    ENGINE_STORES = 16,  // to_mongo
    ENGINE_KEEPS = 32,   // the constructor does not convert: FileField
};

// What is done with a class, as bits.
enum {
    ENGINE_MAKES = 1,     // BaseDocument.__init__; its attributes are set as BaseDocument does
    ENGINE_DIRECT = 2,    // making an instance is only that
    ENGINE_VALIDATES = 4, // validate() is BaseDocument's and clean() does nothing
    ENGINE_ENCODES = 8,   // to_mongo() is MongoEngine's
    ENGINE_READS = 16,    // _from_son() is BaseDocument's
    ENGINE_EMBEDDED_DOCUMENT = 32,
    ENGINE_INHERITS = 64,   // _cls is a field
    ENGINE_SHOWS = 128,     // fields with choices have get_…_display()
    ENGINE_TAKES_IDS = 256, // pk is Document's, of the field that is stored as _id
};

struct engine_node {
    enum engine_kind kind;
    int does;
    bool required; // of a list or dict: that it is not empty
    struct bounds bounds;
    struct lengths lengths;
    PyObject *field;           // MongoEngine's
    PyObject *convert, *store; // its to_python and to_mongo
    PyObject *type;            // ENGINE_ENUM
    PyObject *choices;         // a frozenset, or NULL
    PyObject *engine;          // ENGINE_EMBEDDED: NULL until asked for
    struct engine_node *item;  // of a list or dict, or NULL
};

struct engine_field {
    struct engine_node *node;
    PyObject *name, *stored; // interned
    const char *utf8;        // of `stored`
    Py_ssize_t size;         // with the terminating NUL
    bool required;           // and does not make its own values
    bool keeps_null;
    bool default_is_called;
    PyObject *initial; // the default
};

typedef struct {
    PyObject_HEAD PyObject *cls;
    PyObject *class_name;
    struct engine_field *fields; // as in _fields_ordered
    Py_ssize_t count;
    Py_ssize_t *order;          // positions, as in _fields
    PyObject *positions;        // dict: name -> position
    PyObject *stored_positions; // dict: stored name -> position
    bool has_renamed;           // a field that is stored under another name
    int does;
    Py_ssize_t id_position; // of the field that is stored as _id, or -1
    // when its fields were last aligned, and last asked whether they agree
    unsigned long long aligned, asked;
    bool agrees;
} Engine;

struct engine_hooks {
    PyObject *embedded;  // EmbeddedDocument
    PyObject *base_list; // BaseList
    PyObject *base_dict; // BaseDict
    PyObject *date_time; // datetime
    PyObject *engines;   // dict: class -> Engine
    PyObject *plan;      // class -> Engine, which it puts into `engines`
    PyObject *resolve;   // field -> Engine of its document_type
    PyObject *document;  // get_document
    PyObject *align;     // class: its fields dereference from now on
    PyObject *agree;     // class -> whether all that are within its fields dereference as those
    PyObject *from_son;  // BaseDocument._from_son, as a function
    PyObject *show;      // BaseDocument.__set_field_display
    PyObject *pre_init_receivers, *post_init_receivers; // dicts of signals, or None
    PyObject *waiting;                                  // in a slot: values that are made on demand
    // offsets of BaseDocument's slots
    Py_ssize_t data, initialised, created, dynamic_fields, changed_fields, instance;
    unsigned long long epoch; // counts changes of any field's dereferencing
    int not_dereferencing;    // contexts that switch it off, in any thread
};
extern struct engine_hooks engine_hooks;

extern PyTypeObject engine_type;
extern PyTypeObject engine_init_type;
extern PyTypeObject engine_slot_type;

// The Engine of a class, a new reference; NULL with an exception.
Engine *engine_of(PyTypeObject *cls);
// The Engine that an embedded document's field names, borrowed from the node; NULL with an
// exception.
Engine *engine_of_field(struct engine_node *node);
// The position of a field: by its name, or by its stored name; -1 where there is none.
Py_ssize_t engine_find(const Engine *engine, PyObject *name, Py_ssize_t guess, bool stored);

static inline PyObject **engine_slot(PyObject *document, Py_ssize_t offset)
{
    return (PyObject **)(void *)((char *)document + offset);
}

bool engine_is_list(PyObject *value); // a list, or MongoEngine's
bool engine_is_dict(PyObject *value);
// A value that is neither converted nor stored as anything else by untyped fields.
bool engine_is_plain(PyObject *value);

// engine_check.c: the positions of the fields that Python has to look at, as a tuple; or None.
PyObject *engine_check(Engine *self, PyObject *document);
// engine_encode.c
PyObject *engine_encode(Engine *self, PyObject *const *arguments, Py_ssize_t count);
PyObject *engine_encode_new(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
// engine_son.c
PyObject *engine_from_son(PyObject *module, PyObject *const *arguments, Py_ssize_t count,
                          PyObject *names);
// engine_slots.c
PyObject *engine_give_ids(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *engine_configure(PyObject *module, PyObject *arguments, PyObject *keywords);
PyObject *engine_dereferencing_changed(PyObject *module, PyObject *unused);
PyObject *engine_not_dereferencing(PyObject *module, PyObject *change);

#endif
