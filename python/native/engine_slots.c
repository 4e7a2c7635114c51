// Slots of MongoEngine documents that make their contents on first access, and functions for many
// documents at a time.
#include "engine.h"

#include <structmember.h> // PyMemberDef, before Python 3.12

// A slot that makes its contents on first access. Most programs never read the dynamic fields or
// the changed fields of most documents.
typedef struct {
    PyObject_HEAD PyObject *member; // the slot's own descriptor
    PyObject *make;
} EngineSlot;

static PyObject *slot_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *member, *make;
    (void)keywords;
    if (!PyArg_ParseTuple(arguments, "O!O", &PyMemberDescr_Type, &member, &make))
        return NULL;
    EngineSlot *self = (EngineSlot *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->member = Py_NewRef(member);
    self->make = Py_NewRef(make);
    return (PyObject *)self;
}

static void slot_dealloc(EngineSlot *self)
{
    Py_XDECREF(self->member);
    Py_XDECREF(self->make);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *slot_get(EngineSlot *self, PyObject *instance, PyObject *type)
{
    if (instance == NULL || instance == Py_None)
        return Py_NewRef((PyObject *)self);
    PyObject *value = Py_TYPE(self->member)->tp_descr_get(self->member, instance, type);
    if (value == NULL || value != engine_hooks.waiting)
        return value;
    Py_DECREF(value);
    value = PyObject_CallNoArgs(self->make);
    if (value != NULL && Py_TYPE(self->member)->tp_descr_set(self->member, instance, value) < 0)
        Py_CLEAR(value);
    return value;
}

static int slot_set(EngineSlot *self, PyObject *instance, PyObject *value)
{
    return Py_TYPE(self->member)->tp_descr_set(self->member, instance, value);
}

static PyMemberDef slot_members[] = {
    {"member", T_OBJECT, offsetof(EngineSlot, member), READONLY, "the slot's own descriptor"},
    {NULL, 0, 0, 0, NULL},
};

PyTypeObject engine_slot_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "mongosluice._native.EngineSlot",
    .tp_basicsize = sizeof(EngineSlot),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = slot_new,
    .tp_dealloc = (destructor)(void (*)(void))slot_dealloc,
    .tp_descr_get = (descrgetfunc)(void (*)(void))slot_get,
    .tp_descr_set = (descrsetfunc)(void (*)(void))slot_set,
    .tp_members = slot_members,
};

// document.pk = id, of one that was made and never saved: nothing but these two changes.
static bool give_id(PyObject *document, PyObject *id)
{
    Engine *engine = engine_of(Py_TYPE(document));
    if (engine == NULL)
        return false;
    PyObject *data = *engine_slot(document, engine_hooks.data);
    bool simple = (engine->does & ENGINE_TAKES_IDS) && engine->id_position >= 0 &&
                  (engine->fields[engine->id_position].node->does & ENGINE_SETS) &&
                  engine_is_plain(id) && id != Py_None && data != NULL && PyDict_CheckExact(data) &&
                  *engine_slot(document, engine_hooks.changed_fields) == NULL &&
                  *engine_slot(document, engine_hooks.initialised) == Py_True &&
                  *engine_slot(document, engine_hooks.created) == Py_True;
    if (simple) {
        Py_XSETREF(*engine_slot(document, engine_hooks.created), Py_NewRef(Py_False));
        simple = PyDict_SetItem(data, engine->fields[engine->id_position].name, id) == 0;
    }
    Py_DECREF(engine);
    return simple;
}

// give_ids(documents, ids), lists of the same length
PyObject *engine_give_ids(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    (void)module;
    if (count != 2 || !PyList_CheckExact(arguments[0]) || !PyList_CheckExact(arguments[1]) ||
        PyList_GET_SIZE(arguments[0]) != PyList_GET_SIZE(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "give_ids(list of documents, list of as many ids)");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(arguments[0]); i++) {
        PyObject *document = list_item(arguments[0], i), *id = list_item(arguments[1], i);
        bool given = give_id(document, id);
        if (!given && !PyErr_Occurred())
            given = PyObject_SetAttrString(document, "pk", id) == 0;
        Py_DECREF(document);
        Py_DECREF(id);
        if (!given)
            return NULL;
    }
    Py_RETURN_NONE;
}

// ---- configure_engine --------------------------------------------------------------------------

static bool offset_in(PyObject *slots, const char *name, Py_ssize_t *offset)
{
    PyObject *member = PyDict_GetItemString(slots, name);
    if (member == NULL || !Py_IS_TYPE(member, &PyMemberDescr_Type)) {
        PyErr_Format(PyExc_TypeError, "%s must be a slot's descriptor", name);
        return false;
    }
    *offset = ((PyMemberDescrObject *)member)->d_member->offset;
    return true;
}

static bool take_slots(PyObject *slots)
{
    return offset_in(slots, "_data", &engine_hooks.data) &&
           offset_in(slots, "_initialised", &engine_hooks.initialised) &&
           offset_in(slots, "_created", &engine_hooks.created) &&
           offset_in(slots, "_dynamic_fields", &engine_hooks.dynamic_fields) &&
           offset_in(slots, "_changed_fields", &engine_hooks.changed_fields) &&
           offset_in(slots, "_instance", &engine_hooks.instance);
}

PyObject *engine_configure(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"slots", "embedded", "base_list", "base_dict", "date_time", "engines",
                            "plan",  "resolve",  "document",  "align",     "agree",     "from_son",
                            "show",  "pre_init", "post_init", NULL};
    PyObject *slots, *values[14];
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!OOOOO!OOOOOOOOO", names, &PyDict_Type,
                                     &slots, &values[0], &values[1], &values[2], &values[3],
                                     &PyDict_Type, &values[4], &values[5], &values[6], &values[7],
                                     &values[8], &values[9], &values[10], &values[11], &values[12],
                                     &values[13])) {
        return NULL;
    }
    for (int i = 0; i < 4; i++) {
        if (!PyType_Check(values[i])) {
            PyErr_Format(PyExc_TypeError, "%s must be a class", names[i + 1]);
            return NULL;
        }
    }
    if (!take_slots(slots))
        return NULL;
    PyObject **at[] = {&engine_hooks.embedded,
                       &engine_hooks.base_list,
                       &engine_hooks.base_dict,
                       &engine_hooks.date_time,
                       &engine_hooks.engines,
                       &engine_hooks.plan,
                       &engine_hooks.resolve,
                       &engine_hooks.document,
                       &engine_hooks.align,
                       &engine_hooks.agree,
                       &engine_hooks.from_son,
                       &engine_hooks.show,
                       &engine_hooks.pre_init_receivers,
                       &engine_hooks.post_init_receivers};
    for (int i = 0; i < 14; i++)
        Py_XSETREF(*at[i], Py_NewRef(values[i]));
    if (engine_hooks.waiting == NULL)
        engine_hooks.waiting = PyObject_CallNoArgs((PyObject *)&PyBaseObject_Type);
    engine_hooks.epoch++;
    return engine_hooks.waiting == NULL ? NULL : Py_NewRef(Py_None);
}

// dereferencing_changed(): of some field
PyObject *engine_dereferencing_changed(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    engine_hooks.epoch++;
    Py_RETURN_NONE;
}

// not_dereferencing(1 or -1): a context begins or ends
PyObject *engine_not_dereferencing(PyObject *module, PyObject *change)
{
    (void)module;
    long by = PyLong_AsLong(change);
    if (by == -1 && PyErr_Occurred())
        return NULL;
    engine_hooks.not_dereferencing += (int)by;
    Py_RETURN_NONE;
}
