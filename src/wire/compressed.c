#include "wire/compressed.h"

#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

static const char *const compressor_names[] = {"noop", "snappy", "zlib", "zstd"};

bool wire_compressor_is_known(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof compressor_names / sizeof compressor_names[0]; i++)
        if (strlen(compressor_names[i]) == len && memcmp(compressor_names[i], name, len) == 0)
            return true;
    return false;
}

bool wire_compressed_read(struct bytes payload, size_t max_bytes, struct wire_compressed *out,
                          struct error *err)
{
    int32_t opcode = 0;
    int32_t size = 0;
    uint8_t compressor = 0;
    if (!bytes_read_i32(&payload, &opcode) || !bytes_read_i32(&payload, &size) ||
        !bytes_read_u8(&payload, &compressor))
        return error_set(err, ERROR_PROTOCOL, "OP_COMPRESSED is shorter than its fixed fields");
    if (compressor > WIRE_COMPRESSOR_ZSTD)
        return error_set(err, ERROR_PROTOCOL,
                         "OP_COMPRESSED names compressor %u; known are 0 noop, 1 snappy, 2 zlib "
                         "and 3 zstd",
                         compressor);
    if (size < 0 || (size_t)size > max_bytes - WIRE_HEADER_BYTES)
        return error_set(err, ERROR_PROTOCOL,
                         "OP_COMPRESSED announces an uncompressedSize of %d bytes; with a header "
                         "at most %zu are allowed (option max_message_bytes)",
                         size, max_bytes);
    if (opcode == WIRE_OP_COMPRESSED)
        return error_set(err, ERROR_PROTOCOL, "OP_COMPRESSED inside OP_COMPRESSED");
    struct wire_header inside = {.length = size + WIRE_HEADER_BYTES, .opcode = opcode};
    if (!wire_header_check(&inside, max_bytes, err))
        return false;
    *out = (struct wire_compressed){opcode, (uint32_t)size, compressor, payload};
    return true;
}

static bool open_snappy(const struct wire_compressed *in, uint8_t *out, size_t *got)
{
    const char *data = (const char *)in->data.pos;
    size_t len = bytes_left(&in->data);
    size_t announced = 0;
    /* snappy writes as much as its own stream says: ask before */
    if (snappy_uncompressed_length(data, len, &announced) != SNAPPY_OK ||
        announced != in->uncompressed_bytes)
        return false;
    *got = in->uncompressed_bytes;
    return snappy_uncompress(data, len, (char *)out, got) == SNAPPY_OK;
}

static bool open_zlib(const struct wire_compressed *in, uint8_t *out, size_t *got)
{
    uLongf room = in->uncompressed_bytes;
    uLong len = (uLong)bytes_left(&in->data);
    if (uncompress2(out, &room, in->data.pos, &len) != Z_OK)
        return false;
    *got = room;
    return len == bytes_left(&in->data);
}

static bool open_zstd(const struct wire_compressed *in, uint8_t *out, size_t *got)
{
    size_t n = ZSTD_decompress(out, in->uncompressed_bytes, in->data.pos, bytes_left(&in->data));
    *got = n;
    return ZSTD_isError(n) == 0;
}

static bool open_noop(const struct wire_compressed *in, uint8_t *out, size_t *got)
{
    *got = bytes_left(&in->data);
    if (*got != in->uncompressed_bytes)
        return false;
    memcpy(out, in->data.pos, *got);
    return true;
}

bool wire_compressed_open(const struct wire_compressed *in, uint8_t *out, struct error *err)
{
    static bool (*const openers[])(const struct wire_compressed *, uint8_t *,
                                   size_t *) = {open_noop, open_snappy, open_zlib, open_zstd};
    size_t got = 0;
    if (openers[in->compressor](in, out, &got) && got == in->uncompressed_bytes)
        return true;
    return error_set(err, ERROR_PROTOCOL,
                     "OP_COMPRESSED cannot be decompressed with %s into the %u bytes that its "
                     "uncompressedSize announces",
                     compressor_names[in->compressor], in->uncompressed_bytes);
}
