/* Memory of one history: taken piece by piece, given back at once. */
#ifndef SIMULATION_SERVER_ARENA_H
#define SIMULATION_SERVER_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks;
    size_t left;
};

/* Zeroed and aligned; ends the program without memory. */
void *arena_take(struct arena *arena, size_t bytes);
void *arena_copy(struct arena *arena, const void *data, size_t bytes);
void arena_free(struct arena *arena);

/* Grows an array to hold at least `count` elements; new ones are zeroed. */
void array_grow(void **array, size_t *capacity, size_t count, size_t element_bytes);

#endif
