/* The document that all benchmarks write and read: the six fields of docs/benchmarks.md (name,
 * email, age, city, score, created_at) with an _id in front. */
#ifndef SLUICE_BENCH_DOCUMENT_H
#define SLUICE_BENCH_DOCUMENT_H

#include <stddef.h>
#include <stdint.h>

/* Offset of the 12 bytes of the _id in every document made here: length, type byte, "_id\0". */
#define DOCUMENT_ID_OFFSET 9
#define DOCUMENT_ID_BYTES  12

/* Makes a new document of *len bytes, released with memory_free; NULL without memory. If `bytes` is
 * more than the size of the six fields, a string `padding` fills the document up to that size. Its
 * _id is that of number 0. */
uint8_t *document_make(size_t bytes, size_t *len);

/* Sets the document's _id to that of `number`. The _ids of distinct numbers below 2^40 are distinct
 * in a process; between processes time and a random part distinguish them. */
void document_set_id(uint8_t *document, uint64_t number);

#endif
