/* Memory of one history: taken piece by piece, given back at once. */
#ifndef SIMULATION_SERVER_REGION_H
#define SIMULATION_SERVER_REGION_H

#include <stddef.h>

struct region_block;

struct region {
    struct region_block *blocks;
    size_t left;
};

/* Zeroed and aligned; ends the program without memory. */
void *region_take(struct region *region, size_t bytes);
void *region_copy(struct region *region, const void *data, size_t bytes);
void region_free(struct region *region);

/* Grows an array to hold at least `count` elements; new ones are zeroed. */
void array_grow(void **array, size_t *capacity, size_t count, size_t element_bytes);

#endif
