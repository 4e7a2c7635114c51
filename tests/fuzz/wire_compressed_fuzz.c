/* Any payload of an OP_COMPRESSED: opened at once and in portions, the output is the same and fills
 * exactly the announced size. What opens is compressed again by each compressor, and opens again.
 * Input: the payload; its last byte gives the portions. */
#include <stdlib.h>

#include "fail_memory.h"
#include "wire/compressed.h"
#include "wire/sections.h"

enum { MAX_BYTES = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void open_in_portions(const struct wire_compressed *in, size_t portion, const uint8_t *whole,
                             bool opens)
{
    struct error err;
    uint8_t *out = malloc(in->uncompressed_bytes + 1);
    struct wire_opening *opening = wire_opening_new();
    require(out != NULL && opening != NULL);
    enum wire_opened state = WIRE_OPENED_PART;
    for (uint32_t i = 0; state == WIRE_OPENED_PART; i++) {
        state = wire_opening_go_on(opening, in, out, portion, &err);
        require(i <= in->uncompressed_bytes + bytes_left(&in->data));
    }
    require((state == WIRE_OPENED_WHOLE) == opens);
    if (opens)
        require(memcmp(out, whole, in->uncompressed_bytes) == 0);
    wire_opening_free(opening);
    free(out);
}

/* `message` has room for a header before its payload. */
static void compress_again(uint8_t compressor, const uint8_t *message, size_t len)
{
    struct wire_compressed in;
    struct error err;
    uint8_t *out = NULL;
    size_t out_len = 0;
    require(wire_compressed_write(compressor, message, len, &out, &out_len));
    struct wire_header header = wire_header_read(out);
    require(header.length == (int32_t)out_len && header.opcode == WIRE_OP_COMPRESSED);
    require(wire_compressed_read(bytes_of(out + WIRE_HEADER_BYTES, out_len - WIRE_HEADER_BYTES),
                                 SIZE_MAX, &in, &err));
    require(in.uncompressed_bytes == len - WIRE_HEADER_BYTES && in.compressor == compressor);
    uint8_t *back = malloc(in.uncompressed_bytes + 1);
    require(back != NULL && wire_compressed_open(&in, back, &err));
    require(memcmp(back, message + WIRE_HEADER_BYTES, in.uncompressed_bytes) == 0);
    free(back);
    memory_free(out);
}

static void check_opened(const struct wire_compressed *in, uint8_t *message)
{
    struct error err;
    struct bytes body;
    uint32_t flags = 0;
    const uint8_t *out = message + WIRE_HEADER_BYTES;
    struct bytes payload = bytes_of(out, in->uncompressed_bytes);
    /* every byte is one that the compressor wrote (the memory sanitizer sees if not) */
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < in->uncompressed_bytes; i++)
        sum = (uint8_t)(sum + out[i]);
    if (in->opcode == WIRE_OP_MSG && wire_sections_find_body(payload, &body, &flags, &err))
        require(body.pos >= payload.pos && body.end <= payload.end);
    if (in->uncompressed_bytes > 4096)
        return;
    struct wire_header header = {.length = (int32_t)(WIRE_HEADER_BYTES + in->uncompressed_bytes),
                                 .opcode = in->opcode};
    wire_header_write(message, &header);
    for (uint8_t compressor = 0; compressor <= WIRE_COMPRESSOR_ZSTD; compressor++)
        compress_again(compressor, message, WIRE_HEADER_BYTES + in->uncompressed_bytes);
}

static void try_without_memory(const struct wire_compressed *in, uint8_t *message)
{
    uint8_t *out = NULL;
    size_t len = 0;
    wire_opening_free(wire_opening_new());
    wire_opening_free(NULL);
    wire_header_write(message, &(struct wire_header){.opcode = in->opcode});
    for (uint8_t compressor = 0; compressor <= WIRE_COMPRESSOR_ZSTD; compressor++)
        if (wire_compressed_write(compressor, message, WIRE_HEADER_BYTES + in->uncompressed_bytes,
                                  &out, &len))
            memory_free(out);
}

static void check_names(const uint8_t *data, size_t size)
{
    uint8_t compressor = 0;
    if (!wire_compressor_find((const char *)data, size, &compressor))
        return;
    const char *name = wire_compressor_name(compressor);
    require(strlen(name) == size && memcmp(name, data, size) == 0);
    require(wire_compressor_is_known(name, size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_compressed in;
    struct error err;
    check_names(data, size);
    if (!wire_compressed_read(bytes_of(data, size), MAX_BYTES, &in, &err))
        return 0;
    require(in.uncompressed_bytes <= MAX_BYTES - WIRE_HEADER_BYTES &&
            in.compressor <= WIRE_COMPRESSOR_ZSTD && in.opcode != WIRE_OP_COMPRESSED &&
            in.data.pos >= data && in.data.end == data + size);
    uint8_t *message = malloc(WIRE_HEADER_BYTES + in.uncompressed_bytes);
    require(message != NULL);
    bool opens = wire_compressed_open(&in, message + WIRE_HEADER_BYTES, &err);
    size_t portion = 1 + (size_t)data[size - 1] * 64;
    if (in.uncompressed_bytes < 1000 || portion > 1000)
        open_in_portions(&in, portion, message + WIRE_HEADER_BYTES, opens);
    if (opens) {
        check_opened(&in, message);
        if (fail_memory_for(data, size))
            try_without_memory(&in, message);
        memory_fail_never();
    }
    free(message);
    return 0;
}
