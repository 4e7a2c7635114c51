/* A hash of bytes that clients choose: SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast
 * short-input PRF", 2012). Its key is secret, so no client can choose bytes with equal hashes. All
 * hashes of the process share the key. */
#ifndef SLUICE_BASE_KEYED_HASH_H
#define SLUICE_BASE_KEYED_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { KEYED_HASH_KEY_BYTES = 16 };

/* Sets the key, from the system's random source. Call it before the first hash and before the
 * second thread starts. Without a call the key is 0, for tests. */
void keyed_hash_set_key(const uint8_t key[KEYED_HASH_KEY_BYTES]);

uint64_t keyed_hash(const void *data, size_t len);

/* The hash of the 16 bytes of two numbers. */
uint64_t keyed_hash_pair(uint64_t a, uint64_t b);

#endif
