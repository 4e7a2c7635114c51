/* Bytes that grow and are used again. Start zeroed, end with buffer_free. */
#ifndef SLUICE_BENCH_BUFFER_H
#define SLUICE_BENCH_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *data; /* owned */
    size_t len;
    size_t room;
};

/* Makes room for `more` bytes behind `len`. False when memory is out. */
bool buffer_reserve(struct buffer *buffer, size_t more);
bool buffer_append(struct buffer *buffer, const uint8_t *data, size_t len);
/* Takes the first `len` bytes out. */
void buffer_drop(struct buffer *buffer, size_t len);
void buffer_free(struct buffer *buffer);

#endif
