/* Waiting bytes: read but not yet understood, or accepted but not yet written. An empty buffer
 * holds no memory.
 *
 *     data        start             end        cap
 *      |-- gone ----|-- content -----|-- room --|       invariant: start <= end <= cap
 *  */
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

/* For a non-empty buffer. */
static inline uint8_t *buffer_begin(const struct buffer *buffer)
{
    return buffer->data + buffer->start;
}

/* Makes room for `bytes` more after the content; the content may move. On false (no budget or
 * memory) the buffer is unchanged. The buffer doubles its size, so it does not allocate an
 * announced length before the bytes arrive. */
bool buffer_reserve(struct buffer *buffer, struct budget *budget, size_t bytes);
bool buffer_append(struct buffer *buffer, struct budget *budget, const void *data, size_t len);
/* Drops `len` bytes from the front. An empty buffer releases its memory. */
void buffer_consume(struct buffer *buffer, struct budget *budget, size_t len);
/* Moves the first `len` bytes of `from` to the end of `to`. An empty `to` takes over the memory,
 * and only the other bytes of `from` are copied. On false (no budget or memory) both are unchanged.
 */
bool buffer_move(struct buffer *to, struct buffer *from, struct budget *budget, size_t len);
void buffer_release(struct buffer *buffer, struct budget *budget);

#endif
