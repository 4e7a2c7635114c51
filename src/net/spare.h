/* One large block that outlives its buffer. The kernel gives a new block page by page and zeroed,
 * which costs more than the check of the documents in it: successive large messages use the same
 * block. Its bytes stay taken from the budget. Thread-safe. */
#ifndef SLUICE_NET_SPARE_H
#define SLUICE_NET_SPARE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Smaller blocks are not returned to the kernel (memory_map_large_blocks). Of a larger one, this
 * much is kept. */
enum { SPARE_MIN_BYTES = 1024 * 1024, SPARE_MAX_BYTES = 16 * 1024 * 1024 };

enum { SPARE_KEPT_MS = 1000 };

/* Zeroed before use; the last owner calls spare_drop. */
struct spare {
    _Atomic(uint8_t *) block; /* NULL: none */
    _Atomic size_t bytes;
};

/* Keeps a block of at least SPARE_MIN_BYTES, and returns the number of its bytes that are no longer
 * used: all of it if there is one already. */
size_t spare_put(struct spare *spare, uint8_t *block, size_t bytes, int64_t now_ms);
/* The block, which the caller then owns; NULL: there is none. */
uint8_t *spare_take(struct spare *spare, size_t *bytes);
/* Frees the block. Returns its length, or 0. */
size_t spare_drop(struct spare *spare);
/* Does the same if nobody used the block for SPARE_KEPT_MS. */
size_t spare_drop_old(struct spare *spare, int64_t now_ms);

#endif
