/* Bytes in waiting: read and not yet understood, or accepted and not yet written. Holds no memory
 * while it is empty.
 *
 *     data        start             end        cap
 *      |-- gone ----|-- content -----|-- room --|       invariant: start <= end <= cap
 */
#ifndef SLUICE_NET_BUFFER_H
#define SLUICE_NET_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/budget.h"

struct buffer {
    uint8_t *data;
    size_t start;
    size_t end;
    size_t cap;
};

static inline size_t buffer_length(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

/* Of a buffer that is not empty. */
static inline uint8_t *buffer_begin(const struct buffer *buffer)
{
    return buffer->data + buffer->start;
}

/* Room for `bytes` more after the content (the content may move). False when the budget or the
 * memory is out; the buffer is as it was. Grows by doubling: what a peer announces is not
 * allocated before it arrives. */
bool buffer_reserve(struct buffer *buffer, struct budget *budget, size_t bytes);
bool buffer_append(struct buffer *buffer, struct budget *budget, const void *data, size_t len);
/* Drops `len` bytes from the front; an empty buffer gives its memory back. */
void buffer_consume(struct buffer *buffer, struct budget *budget, size_t len);
/* The first `len` bytes of `from` go to the end of `to`. An empty `to` takes over the memory, and
 * only what `from` holds beyond them is copied. False, with both as they were, when out of budget
 * or memory. */
bool buffer_move(struct buffer *to, struct buffer *from, struct budget *budget, size_t len);
void buffer_release(struct buffer *buffer, struct budget *budget);

#endif
