/* OP_COMPRESSED: originalOpcode, uncompressedSize, compressorId, then the compressed payload of the
 * inner message (without its header). Source: specification "Wire Compression". */
#ifndef SLUICE_WIRE_COMPRESSED_H
#define SLUICE_WIRE_COMPRESSED_H

#include "wire/header.h"

#define WIRE_COMPRESSED_BYTES 9 /* its fixed fields */

enum wire_compressor {
    WIRE_COMPRESSOR_NOOP = 0,
    WIRE_COMPRESSOR_SNAPPY = 1,
    WIRE_COMPRESSOR_ZLIB = 2,
    WIRE_COMPRESSOR_ZSTD = 3
};

struct wire_compressed {
    int32_t opcode; /* of the inner message */
    uint32_t uncompressed_bytes;
    uint8_t compressor;
    struct bytes data;
};

/* Reads the fixed fields and makes all checks that need no memory: the compressor is known, the
 * inner message is not an OP_COMPRESSED, and uncompressedSize with a header fits into max_bytes. */
bool wire_compressed_read(struct bytes payload, size_t max_bytes, struct wire_compressed *out,
                          struct error *err);

/* Decompresses into `out`, which holds in->uncompressed_bytes. False unless exactly this number of
 * bytes results: a wrong size would reveal old contents of the buffer (as in SERVER-115508). */
bool wire_compressed_open(const struct wire_compressed *in, uint8_t *out, struct error *err);

/* Does the same in portions, for messages that take long to open: zlib expands 48 kB to 48 MB in a
 * tenth of a second. The other compressors are at least five times as fast and finish in one
 * portion. */
struct wire_opening;
enum wire_opened { WIRE_OPENED_PART, WIRE_OPENED_WHOLE, WIRE_OPENED_BROKEN };

/* NULL without memory. */
struct wire_opening *wire_opening_new(void);
/* NULL is allowed. */
void wire_opening_free(struct wire_opening *opening);

/* Opens about `portion` more bytes. `in` and `out` have the same contents in each call, but may
 * move. */
enum wire_opened wire_opening_go_on(struct wire_opening *opening, const struct wire_compressed *in,
                                    uint8_t *out, size_t portion, struct error *err);

/* Writes a whole message (header and payload) as OP_COMPRESSED with the same ids. Allocates *out
 * with memory_alloc; *len is its size. False without memory. */
bool wire_compressed_write(uint8_t compressor, const uint8_t *message, size_t message_len,
                           uint8_t **out, size_t *len);

/* True if the proxy can read the compressor with this name in hello. */
bool wire_compressor_is_known(const char *name, size_t len);
/* Does the same; *compressor is its enum wire_compressor. */
bool wire_compressor_find(const char *name, size_t len, uint8_t *compressor);
/* The name of an enum wire_compressor. */
const char *wire_compressor_name(uint8_t compressor);

#endif
