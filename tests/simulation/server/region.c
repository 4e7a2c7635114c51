#include "server/region.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 64 * 1024 };

struct region_block {
    struct region_block *next;
    size_t bytes;
    max_align_t data[];
};

static void *must(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

void *region_take(struct region *region, size_t bytes)
{
    bytes = (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (region->left < bytes) {
        size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
        struct region_block *block = must(malloc(sizeof *block + size));
        block->next = region->blocks;
        block->bytes = size;
        region->blocks = block;
        region->left = size;
    }
    struct region_block *block = region->blocks;
    uint8_t *at = (uint8_t *)block->data + (block->bytes - region->left);
    region->left -= bytes;
    memset(at, 0, bytes);
    return at;
}

void *region_copy(struct region *region, const void *data, size_t bytes)
{
    void *copy = region_take(region, bytes);
    if (bytes > 0)
        memcpy(copy, data, bytes);
    return copy;
}

void region_free(struct region *region)
{
    while (region->blocks != NULL) {
        struct region_block *block = region->blocks;
        region->blocks = block->next;
        free(block);
    }
    region->left = 0;
}

void array_grow(void **array, size_t *capacity, size_t count, size_t element_bytes)
{
    if (count <= *capacity)
        return;
    size_t wanted = *capacity < 16 ? 16 : *capacity * 2;
    while (wanted < count)
        wanted *= 2;
    uint8_t *grown = must(realloc(*array, wanted * element_bytes));
    memset(grown + *capacity * element_bytes, 0, (wanted - *capacity) * element_bytes);
    *array = grown;
    *capacity = wanted;
}
