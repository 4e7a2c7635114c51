/* Allocation with a seam for tests: the i-th allocation can be made to fail, for every i.
 * All of the project's own allocations go through here. Thread-safe. */
#ifndef SLUICE_BASE_MEMORY_H
#define SLUICE_BASE_MEMORY_H

#include <stddef.h>

/* NULL on failure; a size of 0 counts as 1. Released with memory_free. */
void *memory_alloc(size_t size_bytes);
void *memory_zalloc(size_t size_bytes);
/* count * size_bytes, NULL where that overflows. Zeroed. */
void *memory_array(size_t count, size_t size_bytes);
/* On failure the old block stays valid. */
void *memory_resize(void *block, size_t size_bytes);
char *memory_copy_string(const char *text);
void memory_free(void *block);

/* For the process, at its start: a block of a megabyte or more is a mapping of its own. Growing one
 * then moves no bytes, which takes up to 20 ms for a message of 48 MB, and freeing it gives the
 * memory back. By itself glibc leaves that way after the first such block. */
void memory_map_large_blocks(void);

/* Tests only: the n-th allocation from now (1 = the next) fails, and all after it until
 * memory_fail_never is called. */
void memory_fail_after(long n);
void memory_fail_never(void);

#endif
