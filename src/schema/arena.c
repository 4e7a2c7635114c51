#include "schema/arena.h"

#include "base/memory.h"

#include <stdalign.h>
#include <stdint.h>

#define BLOCK_BYTES ((size_t)8192)

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t size;
    alignas(max_align_t) unsigned char data[];
};

void *arena_alloc(struct arena *arena, size_t count, size_t size_bytes)
{
    size_t align = alignof(max_align_t);
    if (size_bytes != 0 && count > (SIZE_MAX - BLOCK_BYTES) / size_bytes)
        return NULL;
    size_t len = (count * size_bytes + align - 1) / align * align;
    struct arena_block *block = arena->blocks;
    if (block == NULL || len > block->size - block->used) {
        size_t size = len > BLOCK_BYTES ? len : BLOCK_BYTES;
        block = memory_zalloc(sizeof *block + size);
        if (block == NULL)
            return NULL;
        block->size = size;
        arena->bytes += size;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *at = block->data + block->used;
    block->used += len;
    return at;
}

void arena_free(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *next = arena->blocks->next;
        memory_free(arena->blocks);
        arena->blocks = next;
    }
    arena->bytes = 0;
}
