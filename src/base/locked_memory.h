/* Memory for keys: it is never written to swap (mlock) and is left out of core dumps
 * (MADV_DONTDUMP). Blocks have one size and are wiped when they are released. Thread-safe.
 *
 * The process may lock RLIMIT_MEMLOCK bytes. Beyond that, blocks are still left out of core dumps
 * but may reach the swap; locked_memory_fault tells. */
#ifndef SLUICE_BASE_LOCKED_MEMORY_H
#define SLUICE_BASE_LOCKED_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

enum { LOCKED_BLOCK_BYTES = 256 };

/* A zeroed block of LOCKED_BLOCK_BYTES, aligned to 16 bytes. NULL without memory. */
void *locked_memory_alloc(void);
/* Wipes the block. NULL is allowed. */
void locked_memory_free(void *block);

/* The error number of the first page that the system did not lock; 0: all are locked. */
int locked_memory_fault(void);
/* The number of used blocks. */
size_t locked_memory_used(void);

#endif
