/* Any payload of an OP_COMPRESSED: the output fills exactly the announced size, and can be walked.
 */
#include <stdlib.h>

#include "wire/compressed.h"
#include "wire/sections.h"

enum { MAX_BYTES = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_compressed in;
    struct error err;
    struct bytes body;
    uint32_t flags = 0;
    if (!wire_compressed_read(bytes_of(data, size), MAX_BYTES, &in, &err))
        return 0;
    if (in.uncompressed_bytes > MAX_BYTES - WIRE_HEADER_BYTES ||
        in.compressor > WIRE_COMPRESSOR_ZSTD || in.opcode == WIRE_OP_COMPRESSED ||
        in.data.pos < data || in.data.end != data + size)
        abort();
    uint8_t *out = malloc(in.uncompressed_bytes == 0 ? 1 : in.uncompressed_bytes);
    if (out == NULL)
        abort();
    if (wire_compressed_open(&in, out, &err)) {
        struct bytes payload = bytes_of(out, in.uncompressed_bytes);
        /* every byte is one that the compressor wrote (the memory sanitizer sees if not) */
        volatile uint8_t sum = 0;
        for (size_t i = 0; i < in.uncompressed_bytes; i++)
            sum = (uint8_t)(sum + out[i]);
        if (in.opcode == WIRE_OP_MSG && wire_sections_find_body(payload, &body, &flags, &err) &&
            (body.pos < payload.pos || body.end > payload.end))
            abort();
    }
    free(out);
    return 0;
}
