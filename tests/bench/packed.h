/* Whole OP_COMPRESSED messages, for both ends of a benchmark. */
#ifndef SLUICE_BENCH_PACKED_H
#define SLUICE_BENCH_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* Returns whether the message (its header is complete) is compressed. */
bool packed_is(struct bytes message);

/* Returns the message inside, memory_alloc'd, and its compressor. False if it is broken. */
bool packed_open(struct bytes message, size_t max_bytes, uint8_t **plain, size_t *len,
                 uint8_t *compressor);

#endif
