// The instances of a query's batches: all at once, or each when it is asked for.
#include "instead.h"
#include "read.h"

#include <structmember.h> // PyMemberDef, before Python 3.12

// The batch may be read: it is bytes, and lazy instances can be made of it.
static bool open_batch(const Shape *shape, PyObject *batch, Py_buffer *view)
{
    if (!shape->is_guarded) {
        PyErr_SetString(PyExc_TypeError, "the shape's class is not guarded");
        return false;
    }
    return PyObject_GetBuffer(batch, view, PyBUF_SIMPLE) == 0;
}

static struct bytes bytes_of(const Py_buffer *view)
{
    const unsigned char *start = view->buf;
    return (struct bytes){start, start + view->len};
}

static enum documents kind_of(PyObject *are_whole)
{
    return are_whole == Py_True ? DOCUMENTS_WHOLE : DOCUMENTS_PROJECTED;
}

// finds_others(bytes)
PyObject *shape_finds_others(Shape *self, PyObject *batch)
{
    Py_buffer view;
    if (!open_batch(self, batch, &view))
        return NULL;
    bool found = read_finds_others(self, bytes_of(&view));
    PyBuffer_Release(&view);
    self->met_others = self->met_others || found;
    return PyBool_FromLong(found);
}

// The garbage collector rests meanwhile, as in build_many.
PyObject *shape_read_many(Shape *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 5 || !PyList_CheckExact(arguments[0])) {
        PyErr_SetString(PyExc_TypeError,
                        "read_many(list to extend, bytes, are whole, function, longest)");
        return NULL;
    }
    Py_ssize_t longest = PyLong_AsSsize_t(arguments[4]);
    Py_buffer batch;
    if ((longest == -1 && PyErr_Occurred()) || !open_batch(self, arguments[1], &batch))
        return NULL;
    struct bytes bytes = bytes_of(&batch);
    enum documents kind = kind_of(arguments[2]);
    int collects = PyGC_Disable();
    bool read = true;
    while (read && bytes.at < bytes.end && PyList_GET_SIZE(arguments[0]) < longest) {
        PyObject *made = read_document(self, &bytes, kind, arguments[3]);
        read = made != NULL && PyList_Append(arguments[0], made) == 0;
        Py_XDECREF(made);
    }
    if (collects)
        PyGC_Enable();
    PyBuffer_Release(&batch);
    return read ? Py_NewRef(Py_None) : NULL;
}

// ---- Documents: one by one ---------------------------------------------------------------------

typedef struct {
    PyObject_HEAD PyObject *shape, *otherwise;
    Py_buffer batch; // its buf is NULL where there is none
    enum documents kind;
    Py_ssize_t at, count;
} Documents;

// Documents(shape, function that makes those that are given up): without a batch
static PyObject *documents_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *shape, *otherwise;
    (void)keywords;
    if (!PyArg_ParseTuple(arguments, "O!O", &shape_type, &shape, &otherwise))
        return NULL;
    Documents *self = (Documents *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->shape = Py_NewRef(shape);
    self->otherwise = Py_NewRef(otherwise);
    return (PyObject *)self;
}

static void release_batch(Documents *self)
{
    if (self->batch.buf != NULL)
        PyBuffer_Release(&self->batch);
    self->batch.buf = NULL;
    self->at = self->count = 0;
}

// refill(bytes, are whole)
static PyObject *documents_refill(Documents *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "refill(bytes, are whole)");
        return NULL;
    }
    release_batch(self);
    if (!open_batch((Shape *)self->shape, arguments[0], &self->batch)) {
        self->batch.buf = NULL;
        return NULL;
    }
    self->kind = kind_of(arguments[1]);
    Py_RETURN_NONE;
}

static PyObject *documents_next(Documents *self)
{
    if (self->batch.buf == NULL || self->at >= self->batch.len)
        return NULL;
    struct bytes bytes = bytes_of(&self->batch);
    bytes.at += self->at;
    PyObject *made = read_document((Shape *)self->shape, &bytes, self->kind, self->otherwise);
    // as a cursor does, it goes on behind a document that led to an exception
    self->at = bytes.at - (const unsigned char *)self->batch.buf;
    self->count++;
    if (made == NULL && !PyErr_Occurred())
        PyErr_SetString(PyExc_SystemError, "a document without an instance");
    return made;
}

static int documents_traverse(Documents *self, visitproc visit, void *arg)
{
    Py_VISIT(self->shape);
    Py_VISIT(self->otherwise);
    return 0;
}

static int documents_clear(Documents *self)
{
    release_batch(self);
    Py_CLEAR(self->shape);
    Py_CLEAR(self->otherwise);
    return 0;
}

static void documents_dealloc(Documents *self)
{
    PyObject_GC_UnTrack(self);
    documents_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMemberDef documents_members[] = {
    {"count", T_PYSSIZET, offsetof(Documents, count), READONLY, "how many were asked for"},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef documents_methods[] = {
    {"refill", (PyCFunction)(void (*)(void))documents_refill, METH_FASTCALL,
     "refill(bytes, are whole): the next batch"},
    {NULL, NULL, 0, NULL},
};

PyTypeObject documents_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "mongosluice._native.Documents",
    .tp_doc = "An iterator over the instances of a batch, each made when it is asked for.",
    .tp_basicsize = sizeof(Documents),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .tp_new = documents_new,
    .tp_dealloc = (destructor)(void (*)(void))documents_dealloc,
    .tp_traverse = (traverseproc)(void (*)(void))documents_traverse,
    .tp_clear = (inquiry)(void (*)(void))documents_clear,
    .tp_members = documents_members,
    .tp_methods = documents_methods,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = (iternextfunc)(void (*)(void))documents_next,
};

// ---- Awaited: a query's next document ----------------------------------------------------------

// Acts like the coroutine of Python's __anext__, at the same time. If the query's cursor has
// another document in its batch, it does not need that coroutine.
typedef struct {
    PyObject_HEAD PyObject *query, *otherwise; // NULL once it has ended
    PyObject *coroutine;                       // the result of `otherwise`; NULL until needed
} Awaited;

static Awaited *spare_awaited; // of the last loop: it is used again when nobody else has it

static PyObject *awaited_new(PyObject *query, PyObject *otherwise)
{
    Awaited *self = spare_awaited;
    if (self == NULL || Py_REFCNT(self) > 1) {
        self = PyObject_New(Awaited, &awaited_type);
        if (self == NULL)
            return NULL;
        self->query = self->otherwise = self->coroutine = NULL;
        Py_XSETREF(spare_awaited, self);
    }
    Py_XSETREF(self->query, Py_NewRef(query));
    Py_XSETREF(self->otherwise, Py_NewRef(otherwise));
    Py_CLEAR(self->coroutine);
    return Py_NewRef((PyObject *)self);
}

static void awaited_end(Awaited *self)
{
    Py_CLEAR(self->query);
    Py_CLEAR(self->otherwise);
    Py_CLEAR(self->coroutine);
}

static void awaited_dealloc(Awaited *self)
{
    awaited_end(self);
    PyObject_Free(self);
}

// The next of the batch; NULL without an exception where Python's code has to look for it.
static PyObject *next_of_batch(PyObject *query)
{
    static PyObject *name;
    if (name == NULL && (name = PyUnicode_InternFromString("cursor")) == NULL)
        return NULL;
    PyObject *cursor = PyObject_GetAttr(query, name);
    if (cursor == NULL)
        return NULL;
    PyObject *made =
        PyObject_TypeCheck(cursor, &documents_type) ? documents_next((Documents *)cursor) : NULL;
    Py_DECREF(cursor);
    return made;
}

static PySendResult awaited_send(PyObject *object, PyObject *value, PyObject **result)
{
    Awaited *self = (Awaited *)object;
    *result = NULL;
    if (self->query == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
        return PYGEN_ERROR;
    }
    if (self->coroutine == NULL) {
        *result = next_of_batch(self->query);
        if (*result == NULL && !PyErr_Occurred())
            self->coroutine = PyObject_CallOneArg(self->otherwise, self->query);
        if (self->coroutine == NULL) {
            awaited_end(self);
            return *result == NULL ? PYGEN_ERROR : PYGEN_RETURN;
        }
    }
    PyObject *coroutine = Py_NewRef(self->coroutine);
    PySendResult sent = PyIter_Send(coroutine, value, result);
    Py_DECREF(coroutine);
    if (sent != PYGEN_NEXT)
        awaited_end(self);
    return sent;
}

// As a generator tells its value: an exception of its own, which may hold a tuple too.
static PyObject *told(PySendResult sent, PyObject *result)
{
    if (sent != PYGEN_RETURN)
        return result;
    PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, result);
    Py_DECREF(result);
    if (stop != NULL)
        PyErr_SetObject(PyExc_StopIteration, stop);
    Py_XDECREF(stop);
    return NULL;
}

static PyObject *awaited_send_method(PyObject *self, PyObject *value)
{
    PyObject *result;
    PySendResult sent = awaited_send(self, value, &result);
    return told(sent, result);
}

static PyObject *awaited_next(PyObject *self)
{
    return awaited_send_method(self, Py_None);
}

// throw(exception) or throw(type, value, traceback)
static PyObject *awaited_throw(Awaited *self, PyObject *arguments)
{
    PyObject *type, *value = NULL, *traceback = NULL;
    if (!PyArg_ParseTuple(arguments, "O|OO:throw", &type, &value, &traceback))
        return NULL;
    if (self->query != NULL && self->coroutine == NULL) // throw() before the start
        self->coroutine = PyObject_CallOneArg(self->otherwise, self->query);
    if (self->coroutine == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
        return NULL;
    }
    PyObject *coroutine = Py_NewRef(self->coroutine);
    PyObject *method = PyObject_GetAttrString(coroutine, "throw");
    PyObject *result = method == NULL ? NULL : PyObject_Call(method, arguments, NULL);
    Py_XDECREF(method);
    Py_DECREF(coroutine);
    if (result == NULL)
        awaited_end(self);
    return result;
}

static PyObject *awaited_close(Awaited *self, PyObject *unused)
{
    (void)unused;
    PyObject *coroutine = Py_XNewRef(self->coroutine);
    PyObject *result =
        coroutine == NULL ? Py_NewRef(Py_None) : PyObject_CallMethod(coroutine, "close", NULL);
    Py_XDECREF(coroutine);
    awaited_end(self);
    return result;
}

static PyMethodDef awaited_methods[] = {
    {"send", awaited_send_method, METH_O, NULL},
    {"throw", (PyCFunction)(void (*)(void))awaited_throw, METH_VARARGS, NULL},
    {"close", (PyCFunction)(void (*)(void))awaited_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyAsyncMethods awaited_as_async = {.am_await = PyObject_SelfIter, .am_send = awaited_send};

PyTypeObject awaited_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "mongosluice._native.Awaited",
    .tp_doc = "What __anext__ of a query gives.",
    .tp_basicsize = sizeof(Awaited),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_dealloc = (destructor)(void (*)(void))awaited_dealloc,
    .tp_as_async = &awaited_as_async,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = awaited_next,
    .tp_methods = awaited_methods,
};

// ---- NextDocument: __anext__ of a query --------------------------------------------------------

static PyObject *next_call(PyObject *self, PyObject *const *arguments, size_t count,
                           PyObject *keywords)
{
    PyObject *original = ((Instead *)self)->original;
    if (PyVectorcall_NARGS(count) != 1 || keywords != NULL)
        return PyObject_Vectorcall(original, arguments, count, keywords);
    return awaited_new(arguments[0], original);
}

static PyObject *next_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *self = instead_new(type, arguments, keywords);
    if (self != NULL)
        ((Instead *)self)->vectorcall = next_call;
    return self;
}

PyTypeObject next_document_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "mongosluice._native.NextDocument",
    .tp_new = next_new,
};
