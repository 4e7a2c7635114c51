/* The document that all benchmarks write and read: the six fields of docs/benchmarks.md (name,
 * email, age, city, score, created_at) with an _id in front. */
#ifndef SLUICE_BENCH_DOCUMENT_H
#define SLUICE_BENCH_DOCUMENT_H

#include <stddef.h>
#include <stdint.h>

/* Where the 12 bytes of the _id stand in every document made here: length, type byte, "_id\0". */
#define DOCUMENT_ID_OFFSET 9
#define DOCUMENT_ID_BYTES  12

/* A new document of *len bytes, released with memory_free; NULL when memory is out. Where `bytes`
 * is more than the six fields take, a string `padding` fills it up to that size. Its _id is that
 * of number 0. */
uint8_t *document_make(size_t bytes, size_t *len);

/* Makes the document's _id the one of `number`: distinct for distinct numbers below 2^40 of one
 * process, and between processes by time and a random part. */
void document_set_id(uint8_t *document, uint64_t number);

#endif
