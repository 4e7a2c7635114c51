/* A hash of bytes that somebody outside chose: SipHash-1-3 (Aumasson and Bernstein, "SipHash: a
 * fast short-input PRF", 2012) under a key that nobody outside knows, so that nobody can choose
 * bytes that share a hash. All hashes of the process have one key. */
#ifndef SLUICE_BASE_KEYED_HASH_H
#define SLUICE_BASE_KEYED_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { KEYED_HASH_KEY_BYTES = 16 };

/* The key comes from the system's random source. It is set before the first hash and before the
 * first other thread; until then it is 0, as tests want it. */
void keyed_hash_set_key(const uint8_t key[KEYED_HASH_KEY_BYTES]);

uint64_t keyed_hash(const void *data, size_t len);

/* The hash of the 16 bytes of two numbers. */
uint64_t keyed_hash_pair(uint64_t a, uint64_t b);

#endif
