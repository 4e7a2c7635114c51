/* OP_COMPRESSED messages as a whole, for both ends of a benchmark. */
#ifndef SLUICE_BENCH_PACKED_H
#define SLUICE_BENCH_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* Whether the message (its header is there) is compressed. */
bool packed_is(struct bytes message);

/* The message inside, memory_alloc'd, and how it was compressed. False when it is broken. */
bool packed_open(struct bytes message, size_t max_bytes, uint8_t **plain, size_t *len,
                 uint8_t *compressor);

#endif
