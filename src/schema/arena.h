/* Blocks that live as long as their schema and are freed together. Not thread-safe. */
#ifndef SLUICE_SCHEMA_ARENA_H
#define SLUICE_SCHEMA_ARENA_H

#include <stddef.h>

struct arena_block;
struct arena {
    struct arena_block *blocks; /* owned; a zeroed arena is empty */
    size_t bytes;               /* of all blocks */
};

/* Zeroed memory, aligned for any object; NULL without memory. */
void *arena_alloc(struct arena *arena, size_t count, size_t size_bytes);
void arena_free(struct arena *arena);

#endif
