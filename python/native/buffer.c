#include "native.h"

#include <string.h>

void buffer_init(struct buffer *buffer)
{
    buffer->data = buffer->small;
    buffer->length = 0;
    buffer->capacity = sizeof buffer->small;
}

void buffer_free(struct buffer *buffer)
{
    if (buffer->data != buffer->small)
        PyMem_Free(buffer->data);
}

static bool buffer_grow(struct buffer *buffer, size_t size)
{
    size_t wanted = buffer->capacity * 2;
    if (size > (size_t)INT32_MAX - buffer->length) {
        PyErr_SetString(PyExc_OverflowError, "the document is longer than BSON can be");
        return false;
    }
    while (wanted < buffer->length + size)
        wanted *= 2;
    bool first = buffer->data == buffer->small;
    char *data = PyMem_Realloc(first ? NULL : buffer->data, wanted);
    if (data == NULL) {
        PyErr_NoMemory();
        return false;
    }
    if (first)
        memcpy(data, buffer->small, buffer->length);
    buffer->data = data;
    buffer->capacity = wanted;
    return true;
}

char *buffer_take(struct buffer *buffer, size_t size)
{
    if (size > buffer->capacity - buffer->length && !buffer_grow(buffer, size))
        return NULL;
    char *at = buffer->data + buffer->length;
    buffer->length += size;
    return at;
}

int buffer_put(struct buffer *buffer, const void *bytes, size_t size)
{
    char *at = buffer_take(buffer, size);
    if (at == NULL)
        return FAILED;
    memcpy(at, bytes, size);
    return OK;
}

void store_int32(char *at, int32_t value)
{
    uint32_t bits = (uint32_t)value;
    for (int i = 0; i < 4; i++)
        at[i] = (char)(bits >> (8 * i));
}

int buffer_put_int32(struct buffer *buffer, int32_t value)
{
    char *at = buffer_take(buffer, 4);
    if (at == NULL)
        return FAILED;
    store_int32(at, value);
    return OK;
}

int buffer_put_int64(struct buffer *buffer, int64_t value)
{
    char *at = buffer_take(buffer, 8);
    if (at == NULL)
        return FAILED;
    uint64_t bits = (uint64_t)value;
    for (int i = 0; i < 8; i++)
        at[i] = (char)(bits >> (8 * i));
    return OK;
}
