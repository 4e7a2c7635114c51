#include "bench/buffer.h"

#include <string.h>

#include "base/memory.h"

bool bench_buffer_reserve(struct bench_buffer *buffer, size_t more)
{
    if (more <= buffer->room - buffer->len)
        return true;
    size_t room = buffer->room < 4096 ? 4096 : buffer->room;
    while (room - buffer->len < more)
        room *= 2;
    uint8_t *data = memory_resize(buffer->data, room);
    if (data == NULL)
        return false;
    buffer->data = data;
    buffer->room = room;
    return true;
}

bool bench_buffer_append(struct bench_buffer *buffer, const uint8_t *data, size_t len)
{
    if (!bench_buffer_reserve(buffer, len))
        return false;
    memcpy(buffer->data + buffer->len, data, len);
    buffer->len += len;
    return true;
}

void bench_buffer_drop(struct bench_buffer *buffer, size_t len)
{
    if (len == 0)
        return;
    buffer->len -= len;
    memmove(buffer->data, buffer->data + len, buffer->len);
}

void bench_buffer_free(struct bench_buffer *buffer)
{
    memory_free(buffer->data);
    *buffer = (struct bench_buffer){0};
}
