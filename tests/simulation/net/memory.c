/* base/memory.h, which counts the living blocks and fails where the history says. */
#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "process.h"

static long live_blocks;
static uint64_t allocations;
static long fail_countdown; /* 0: off; 1: every allocation fails */

long memory_live_blocks(void)
{
    return live_blocks;
}

uint64_t memory_allocations(void)
{
    return allocations;
}

static bool must_fail(void)
{
    allocations++;
    if (fail_countdown > 1)
        fail_countdown--;
    else if (fail_countdown == 1)
        return true;
    return false;
}

void memory_fail_after(long n)
{
    fail_countdown = n;
}

void memory_fail_never(void)
{
    fail_countdown = 0;
}

void memory_map_large_blocks(void)
{
}

static void *count(void *block)
{
    live_blocks += block != NULL;
    return block;
}

void *memory_alloc(size_t size_bytes)
{
    return must_fail() ? NULL : count(malloc(size_bytes == 0 ? 1 : size_bytes));
}

void *memory_zalloc(size_t size_bytes)
{
    return memory_array(1, size_bytes);
}

void *memory_array(size_t count_of, size_t size_bytes)
{
    if (must_fail())
        return NULL;
    return count(calloc(count_of == 0 ? 1 : count_of, size_bytes == 0 ? 1 : size_bytes));
}

void *memory_resize(void *block, size_t size_bytes)
{
    if (must_fail())
        return NULL;
    void *grown = realloc(block, size_bytes == 0 ? 1 : size_bytes);
    return block == NULL ? count(grown) : grown;
}

char *memory_copy_string(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = memory_alloc(size);
    if (copy != NULL)
        memcpy(copy, text, size);
    return copy;
}

void memory_free(void *block)
{
    live_blocks -= block != NULL;
    free(block);
}
