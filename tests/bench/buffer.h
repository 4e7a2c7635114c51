/* A growing, reusable byte buffer. Start zeroed, end with bench_buffer_free. */
#ifndef SLUICE_BENCH_BUFFER_H
#define SLUICE_BENCH_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_buffer {
    uint8_t *data; /* owned */
    size_t len;
    size_t room;
};

/* Makes room for `more` bytes behind `len`. Returns false without memory. */
bool bench_buffer_reserve(struct bench_buffer *buffer, size_t more);
bool bench_buffer_append(struct bench_buffer *buffer, const uint8_t *data, size_t len);
/* Removes the first `len` bytes. */
void bench_buffer_drop(struct bench_buffer *buffer, size_t len);
void bench_buffer_free(struct bench_buffer *buffer);

#endif
