#include "server/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 64 * 1024 };

struct arena_block {
    struct arena_block *next;
    size_t bytes;
    max_align_t data[];
};

static void *must(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

void *arena_take(struct arena *arena, size_t bytes)
{
    bytes = (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (arena->left < bytes) {
        size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
        struct arena_block *block = must(malloc(sizeof *block + size));
        block->next = arena->blocks;
        block->bytes = size;
        arena->blocks = block;
        arena->left = size;
    }
    struct arena_block *block = arena->blocks;
    uint8_t *at = (uint8_t *)block->data + (block->bytes - arena->left);
    arena->left -= bytes;
    memset(at, 0, bytes);
    return at;
}

void *arena_copy(struct arena *arena, const void *data, size_t bytes)
{
    void *copy = arena_take(arena, bytes);
    if (bytes > 0)
        memcpy(copy, data, bytes);
    return copy;
}

void arena_free(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->next;
        free(block);
    }
    arena->left = 0;
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
