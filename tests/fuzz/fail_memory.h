/* Inputs that run once more while allocations fail. */
#ifndef SLUICE_FUZZ_FAIL_MEMORY_H
#define SLUICE_FUZZ_FAIL_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

/* True for one of four inputs, drawn from all their bytes. The allocation with a number drawn in
 * the same way and all later ones then fail, until memory_fail_never. The small numbers come more
 * often than the large ones. */
static inline bool fail_memory_for(const uint8_t *data, size_t size)
{
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ data[i]) * 16777619U;
    hash ^= hash >> 15;
    if ((hash & 3) != 0)
        return false;
    unsigned bits = hash >> 2 & 7; /* 0: the first */
    memory_fail_after(1 + (long)((hash >> 8) & ((1U << bits) - 1)));
    return true;
}

#endif
