/* uthash for this project: it uses base/memory.h, it reports an allocation failure in the element's
 * `unhashed`, and its hash is keyed. */
#ifndef SLUICE_BASE_TABLE_H
#define SLUICE_BASE_TABLE_H

#include "base/keyed_hash.h"
#include "base/memory.h"

#define uthash_malloc(size)              memory_alloc(size)
#define uthash_free(block, size)         memory_free(block)
#define HASH_NONFATAL_OOM                1
#define uthash_nonfatal_oom(element)     ((element)->unhashed = true)
#define HASH_FUNCTION(key, length, hash) ((hash) = (unsigned)keyed_hash(key, length))
#include <uthash.h>

#endif
