#include "bench/packed.h"

#include "base/memory.h"
#include "wire/compressed.h"

bool packed_is(struct bytes message)
{
    return wire_header_read(message.pos).opcode == WIRE_OP_COMPRESSED;
}

bool packed_open(struct bytes message, size_t max_bytes, uint8_t **plain, size_t *len,
                 uint8_t *compressor)
{
    struct error err;
    struct wire_compressed inside;
    struct wire_header header = wire_header_read(message.pos);
    message.pos += WIRE_HEADER_BYTES;
    if (!wire_compressed_read(message, max_bytes, &inside, &err))
        return false;
    *len = WIRE_HEADER_BYTES + inside.uncompressed_bytes;
    *compressor = inside.compressor;
    uint8_t *out = memory_alloc(*len);
    if (out == NULL || !wire_compressed_open(&inside, out + WIRE_HEADER_BYTES, &err)) {
        memory_free(out);
        return false;
    }
    header.length = (int32_t)*len;
    header.opcode = inside.opcode;
    wire_header_write(out, &header);
    *plain = out;
    return true;
}
