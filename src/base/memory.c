#include "base/memory.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static atomic_long fail_countdown = 0; /* 0: off; 1: every allocation fails */

static bool must_fail(void)
{
    long left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    if (left == 0)
        return false;
    if (left > 1) {
        atomic_store_explicit(&fail_countdown, left - 1, memory_order_relaxed);
        return false;
    }
    return true;
}

void memory_fail_after(long n)
{
    atomic_store(&fail_countdown, n);
}

void memory_fail_never(void)
{
    atomic_store(&fail_countdown, 0);
}

void memory_map_large_blocks(void)
{
#ifdef __GLIBC__
    (void)mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
    /* A fixed threshold also fixes this one, at 128 KiB: each message of about 100 kB would return
     * its pages and fault them in again. */
    (void)mallopt(M_TRIM_THRESHOLD, 4 * 1024 * 1024);
#endif
}

void *memory_alloc(size_t size_bytes)
{
    return must_fail() ? NULL : malloc(size_bytes == 0 ? 1 : size_bytes);
}

void *memory_zalloc(size_t size_bytes)
{
    return memory_array(1, size_bytes);
}

void *memory_array(size_t count, size_t size_bytes)
{
    if (must_fail())
        return NULL;
    return calloc(count == 0 ? 1 : count, size_bytes == 0 ? 1 : size_bytes);
}

void *memory_resize(void *block, size_t size_bytes)
{
    return must_fail() ? NULL : realloc(block, size_bytes == 0 ? 1 : size_bytes);
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
    free(block);
}
