#include "net/buffer.h"

#include <string.h>

#include "base/clock.h"
#include "base/memory.h"

enum { BUFFER_MIN_BYTES = 4096 };

static void move_to_front(struct buffer *buffer)
{
    size_t len = buffer_length(buffer);
    if (buffer->start == 0)
        return;
    memmove(buffer->data, buffer->data + buffer->start, len);
    buffer->start = 0;
    buffer->end = len;
}

/* Moves the content of a growing buffer into the spare block. False: there is none of this size. */
static bool use_spare(struct buffer *buffer, struct budget *budget, size_t bytes)
{
    size_t cap = 0;
    size_t len = buffer_length(buffer);
    uint8_t *data = spare_take(&budget->spare, &cap);
    if (data == NULL)
        return false;
    if (cap < len || cap - len < bytes) {
        budget_give_back(budget, spare_put(&budget->spare, data, cap, clock_now_ms()));
        return false;
    }
    if (len > 0)
        memcpy(data, buffer_begin(buffer), len);
    memory_free(buffer->data);
    budget_give_back(budget, buffer->cap);
    *buffer = (struct buffer){.data = data, .end = len, .cap = cap};
    return true;
}

static bool grow(struct buffer *buffer, struct budget *budget, size_t bytes)
{
    size_t cap = buffer->cap == 0 ? BUFFER_MIN_BYTES : buffer->cap;
    while (cap - buffer->end < bytes) {
        if (cap > SIZE_MAX / 2)
            return false;
        cap *= 2;
    }
    if (cap >= SPARE_MIN_BYTES && buffer->cap < SPARE_MIN_BYTES && use_spare(buffer, budget, bytes))
        return true;
    if (!budget_take(budget, cap - buffer->cap))
        return false;
    uint8_t *data = memory_resize(buffer->data, cap);
    if (data == NULL) {
        budget_give_back(budget, cap - buffer->cap);
        return false;
    }
    buffer->data = data;
    buffer->cap = cap;
    return true;
}

bool buffer_reserve(struct buffer *buffer, struct budget *budget, size_t bytes)
{
    size_t len = buffer_length(buffer);
    if (bytes <= buffer->cap - buffer->end)
        return true;
    bool fits = bytes <= buffer->cap - len;
    /* Moving pays if it frees at least half; otherwise the same bytes would move repeatedly. If the
     * buffer cannot grow, moving is still better than refusing. */
    if (!(fits && buffer->start >= len) && grow(buffer, budget, bytes))
        return true;
    if (fits)
        move_to_front(buffer);
    return fits;
}

bool buffer_append(struct buffer *buffer, struct budget *budget, const void *data, size_t len)
{
    if (!buffer_reserve(buffer, budget, len))
        return false;
    memcpy(buffer->data + buffer->end, data, len);
    buffer->end += len;
    return true;
}

void buffer_consume(struct buffer *buffer, struct budget *budget, size_t len)
{
    buffer->start += len;
    if (buffer->start == buffer->end)
        buffer_release(buffer, budget);
}

bool buffer_move(struct buffer *to, struct buffer *from, struct budget *budget, size_t len)
{
    size_t beyond = buffer_length(from) - len;
    struct buffer rest = {0};
    if (to->cap != 0 || beyond > len) {
        if (!buffer_append(to, budget, buffer_begin(from), len))
            return false;
        buffer_consume(from, budget, len);
        return true;
    }
    if (beyond > 0 && !buffer_append(&rest, budget, buffer_begin(from) + len, beyond))
        return false;
    *to = *from;
    to->end -= beyond;
    *from = rest;
    return true;
}

void buffer_release(struct buffer *buffer, struct budget *budget)
{
    size_t unused = buffer->cap;
    if (buffer->cap >= SPARE_MIN_BYTES)
        unused = spare_put(&budget->spare, buffer->data, buffer->cap, clock_now_ms());
    else
        memory_free(buffer->data);
    budget_give_back(budget, unused);
    *buffer = (struct buffer){0};
}
