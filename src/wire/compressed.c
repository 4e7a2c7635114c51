#include "wire/compressed.h"

#include "base/memory.h"
#include "base/text.h"

#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

static const char *const compressor_names[] = {"noop", "snappy", "zlib", "zstd"};

bool wire_compressor_find(const char *name, size_t len, uint8_t *compressor)
{
    const size_t count = sizeof compressor_names / sizeof compressor_names[0];
    *compressor = (uint8_t)text_index(compressor_names, count, name, len);
    return *compressor < count;
}

const char *wire_compressor_name(uint8_t compressor)
{
    return compressor_names[compressor];
}

bool wire_compressor_is_known(const char *name, size_t len)
{
    uint8_t compressor = 0;
    return wire_compressor_find(name, len, &compressor);
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
    /* snappy writes as much as its own stream announces: check it first */
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

static bool open_failed(const struct wire_compressed *in, struct error *err)
{
    return error_set(err, ERROR_PROTOCOL,
                     "OP_COMPRESSED cannot be decompressed with %s into the %u bytes that its "
                     "uncompressedSize announces",
                     compressor_names[in->compressor], in->uncompressed_bytes);
}

bool wire_compressed_open(const struct wire_compressed *in, uint8_t *out, struct error *err)
{
    static bool (*const openers[])(const struct wire_compressed *, uint8_t *,
                                   size_t *) = {open_noop, open_snappy, open_zlib, open_zstd};
    size_t got = 0;
    return (openers[in->compressor](in, out, &got) && got == in->uncompressed_bytes) ||
           open_failed(in, err);
}

struct wire_opening {
    z_stream zlib;
};

/* Gives zlib our allocator. */
static voidpf zlib_alloc(voidpf opaque, uInt count, uInt size)
{
    (void)opaque;
    return memory_array(count, size);
}

static void zlib_free(voidpf opaque, voidpf block)
{
    (void)opaque;
    memory_free(block);
}

struct wire_opening *wire_opening_new(void)
{
    struct wire_opening *opening = memory_zalloc(sizeof *opening);
    if (opening == NULL)
        return NULL;
    opening->zlib.zalloc = zlib_alloc;
    opening->zlib.zfree = zlib_free;
    if (inflateInit(&opening->zlib) == Z_OK)
        return opening;
    memory_free(opening);
    return NULL;
}

void wire_opening_free(struct wire_opening *opening)
{
    if (opening == NULL)
        return;
    (void)inflateEnd(&opening->zlib);
    memory_free(opening);
}

enum wire_opened wire_opening_go_on(struct wire_opening *opening, const struct wire_compressed *in,
                                    uint8_t *out, size_t portion, struct error *err)
{
    z_stream *zlib = &opening->zlib;
    if (in->compressor != WIRE_COMPRESSOR_ZLIB)
        return wire_compressed_open(in, out, err) ? WIRE_OPENED_WHOLE : WIRE_OPENED_BROKEN;
    size_t room = in->uncompressed_bytes - zlib->total_out;
    /* zlib's input pointer is not const, but zlib does not write through it */
    zlib->next_in = (Bytef *)(uintptr_t)(in->data.pos + zlib->total_in);
    zlib->avail_in = (uInt)(bytes_left(&in->data) - zlib->total_in);
    zlib->next_out = out + zlib->total_out;
    zlib->avail_out = (uInt)(room < portion ? room : portion);
    int result = inflate(zlib, Z_NO_FLUSH);
    if (result == Z_STREAM_END && zlib->avail_in == 0 && zlib->total_out == in->uncompressed_bytes)
        return WIRE_OPENED_WHOLE;
    /* the checksum at the end needs no room: a call without progress returns Z_BUF_ERROR */
    if (result == Z_OK)
        return WIRE_OPENED_PART;
    (void)open_failed(in, err);
    return WIRE_OPENED_BROKEN;
}

static size_t compressed_bound(uint8_t compressor, size_t len)
{
    switch (compressor) {
    case WIRE_COMPRESSOR_SNAPPY:
        return snappy_max_compressed_length(len);
    case WIRE_COMPRESSOR_ZLIB:
        return compressBound((uLong)len);
    case WIRE_COMPRESSOR_ZSTD:
        return ZSTD_compressBound(len);
    default:
        return len;
    }
}

/* *got holds the room before the call and the number of written bytes after it. */
static bool compress_into(uint8_t compressor, struct bytes in, uint8_t *out, size_t *got)
{
    size_t len = bytes_left(&in);
    uLongf room = *got;
    switch (compressor) {
    case WIRE_COMPRESSOR_SNAPPY:
        return snappy_compress((const char *)in.pos, len, (char *)out, got) == SNAPPY_OK;
    case WIRE_COMPRESSOR_ZLIB:
        if (compress2(out, &room, in.pos, (uLong)len, Z_DEFAULT_COMPRESSION) != Z_OK)
            return false;
        *got = room;
        return true;
    case WIRE_COMPRESSOR_ZSTD:
        *got = ZSTD_compress(out, *got, in.pos, len, ZSTD_CLEVEL_DEFAULT);
        return ZSTD_isError(*got) == 0;
    default:
        memcpy(out, in.pos, len);
        *got = len;
        return true;
    }
}

bool wire_compressed_write(uint8_t compressor, const uint8_t *message, size_t message_len,
                           uint8_t **out, size_t *len)
{
    enum { FRONT = WIRE_HEADER_BYTES + WIRE_COMPRESSED_BYTES };
    struct wire_header header = wire_header_read(message);
    struct bytes payload = bytes_of(message + WIRE_HEADER_BYTES, message_len - WIRE_HEADER_BYTES);
    size_t got = compressed_bound(compressor, bytes_left(&payload));
    *out = memory_alloc(FRONT + got);
    if (*out == NULL)
        return false;
    if (!compress_into(compressor, payload, *out + FRONT, &got)) {
        memory_free(*out);
        *out = NULL;
        return false;
    }
    bytes_store_i32(*out + WIRE_HEADER_BYTES, header.opcode);
    bytes_store_i32(*out + WIRE_HEADER_BYTES + 4, (int32_t)bytes_left(&payload));
    (*out)[WIRE_HEADER_BYTES + 8] = compressor;
    *len = FRONT + got;
    header.opcode = WIRE_OP_COMPRESSED;
    header.length = (int32_t)*len;
    wire_header_write(*out, &header);
    return true;
}
