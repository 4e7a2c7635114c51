/* OP_COMPRESSED: originalOpcode, uncompressedSize, compressorId, then the other message's payload
 * (what follows its header) compressed. Source: specification "Wire Compression". */
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
    int32_t opcode; /* of the message inside */
    uint32_t uncompressed_bytes;
    uint8_t compressor;
    struct bytes data;
};

/* Reads the fixed fields and checks what can be checked before anything is allocated: the
 * compressor is known, the message inside is no OP_COMPRESSED itself, and uncompressedSize with a
 * header fits into max_bytes. */
bool wire_compressed_read(struct bytes payload, size_t max_bytes, struct wire_compressed *out,
                          struct error *err);

/* Decompresses into `out`, which holds in->uncompressed_bytes. False unless exactly that many come
 * out: a lying size would show what was in the buffer before (as in SERVER-115508). */
bool wire_compressed_open(const struct wire_compressed *in, uint8_t *out, struct error *err);

/* The same in portions, for messages that take long to open: zlib makes 48 MB of 48 kB, in a tenth
 * of a second. The other compressors, five times as fast and more, are done in one. */
struct wire_opening;
enum wire_opened { WIRE_OPENED_PART, WIRE_OPENED_WHOLE, WIRE_OPENED_BROKEN };

/* NULL when memory is out. */
struct wire_opening *wire_opening_new(void);
/* NULL is allowed. */
void wire_opening_free(struct wire_opening *opening);

/* About `portion` bytes more. `in` and `out` hold the same each time, wherever they are. */
enum wire_opened wire_opening_go_on(struct wire_opening *opening, const struct wire_compressed *in,
                                    uint8_t *out, size_t portion, struct error *err);

/* Writes a whole message (header and payload) as OP_COMPRESSED with the same ids. *out is allocated
 * with memory_alloc, *len its size. False when memory is out. */
bool wire_compressed_write(uint8_t compressor, const uint8_t *message, size_t message_len,
                           uint8_t **out, size_t *len);

/* Whether we can read that compressor, by the name that hello uses. */
bool wire_compressor_is_known(const char *name, size_t len);
/* The same; *compressor is its enum wire_compressor. */
bool wire_compressor_find(const char *name, size_t len, uint8_t *compressor);

#endif
