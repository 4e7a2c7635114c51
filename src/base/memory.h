/* Allocation for the whole project. Tests can make the i-th allocation fail, for every i.
 * Thread-safe. */
#ifndef SLUICE_BASE_MEMORY_H
#define SLUICE_BASE_MEMORY_H

#include <stddef.h>

/* Returns NULL on failure. A size of 0 counts as 1. Release the block with memory_free. */
void *memory_alloc(size_t size_bytes);
void *memory_zalloc(size_t size_bytes);
/* Allocates count * size_bytes zeroed bytes. Returns NULL on overflow. */
void *memory_array(size_t count, size_t size_bytes);
/* On failure the old block stays valid. */
void *memory_resize(void *block, size_t size_bytes);
char *memory_copy_string(const char *text);
void memory_free(void *block);

/* Gives each block of a megabyte or more its own mapping. Call it once, at the start of the
 * process. Growth of such a block then moves no bytes (a move takes up to 20 ms for 48 MB), and a
 * free returns the memory to the system. By default glibc stops using mappings after the first such
 * block is freed. */
void memory_map_large_blocks(void);

/* For tests: the n-th allocation from now (1 is the next) fails, and so do all later ones until
 * memory_fail_never is called. */
void memory_fail_after(long n);
void memory_fail_never(void);

#endif
