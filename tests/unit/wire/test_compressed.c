/* OP_COMPRESSED: every compressor, and sizes that lie in both directions. */
#include "message.h"

#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "base/memory.h"
#include "wire/compressed.h"

enum { MAX_BYTES = 1000000, SAMPLE_BYTES = 5000, PORTION_BYTES = 300 };

static uint8_t sample[SAMPLE_BYTES];

/* Half of it compresses well, half of it not at all. */
static int make_sample(void **state)
{
    (void)state;
    uint32_t seed = 12345;
    for (size_t i = 0; i < sizeof sample; i++) {
        seed = seed * 1664525U + 1013904223U;
        sample[i] = i < sizeof sample / 2 ? 'a' : (uint8_t)(seed >> 24);
    }
    return 0;
}

static size_t compress_into(uint8_t *out, size_t room, enum wire_compressor with, const void *data,
                            size_t len)
{
    size_t got = room;
    uLongf zlib_got = room;
    switch (with) {
    case WIRE_COMPRESSOR_NOOP:
        memcpy(out, data, len);
        return len;
    case WIRE_COMPRESSOR_SNAPPY:
        assert_int_equal(snappy_compress(data, len, (char *)out, &got), SNAPPY_OK);
        return got;
    case WIRE_COMPRESSOR_ZLIB:
        assert_int_equal(compress2(out, &zlib_got, data, len, 6), Z_OK);
        return zlib_got;
    case WIRE_COMPRESSOR_ZSTD:
        got = ZSTD_compress(out, room, data, len, 3);
        assert_false(ZSTD_isError(got));
        return got;
    }
    return 0;
}

/* The payload of an OP_COMPRESSED that holds `len` bytes of the sample. */
static void make_payload(struct message *payload, enum wire_compressor with, size_t len)
{
    *payload = (struct message){0};
    message_add_i32(payload, WIRE_OP_MSG);
    message_add_i32(payload, (int32_t)len);
    message_add_u8(payload, (uint8_t)with);
    payload->len += compress_into(payload->data + payload->len, sizeof payload->data - payload->len,
                                  with, sample, len);
}

/* It says the same as wire_compressed_open, wherever the bytes are each time. */
static bool open_in_portions(const struct wire_compressed *in, const uint8_t *expected, bool good)
{
    struct wire_opening *opening = wire_opening_new();
    struct error err = {0};
    enum wire_opened opened = WIRE_OPENED_PART;
    uint8_t *out = malloc(in->uncompressed_bytes == 0 ? 1 : in->uncompressed_bytes);
    assert_non_null(opening);
    assert_non_null(out);
    for (int steps = 0; opened == WIRE_OPENED_PART; steps++) {
        uint8_t *moved = malloc(bytes_left(&in->data) + 1);
        assert_non_null(moved);
        memcpy(moved, in->data.pos, bytes_left(&in->data));
        struct wire_compressed again = *in;
        again.data = bytes_of(moved, bytes_left(&in->data));
        opened = wire_opening_go_on(opening, &again, out, PORTION_BYTES, &err);
        free(moved);
        assert_in_range(steps, 0, in->uncompressed_bytes / PORTION_BYTES + 1);
    }
    assert_int_equal(err.code, opened == WIRE_OPENED_BROKEN ? ERROR_PROTOCOL : ERROR_NONE);
    if (good)
        assert_memory_equal(out, expected, in->uncompressed_bytes);
    wire_opening_free(opening);
    free(out);
    return opened == WIRE_OPENED_WHOLE;
}

/* Reads and opens the payload, from and into blocks of exactly the announced sizes: a sanitizer
 * finds an overrun. */
static bool open_payload(const struct message *payload, uint8_t **out, size_t *len,
                         struct error *err)
{
    struct wire_compressed in;
    uint8_t *exact = malloc(payload->len);
    assert_non_null(exact);
    memcpy(exact, payload->data, payload->len);
    *out = NULL;
    bool ok = wire_compressed_read(bytes_of(exact, payload->len), MAX_BYTES, &in, err);
    if (ok) {
        *len = in.uncompressed_bytes;
        *out = malloc(*len == 0 ? 1 : *len);
        assert_non_null(*out);
        ok = wire_compressed_open(&in, *out, err);
        assert_int_equal(open_in_portions(&in, *out, ok), ok);
    }
    free(exact);
    return ok;
}

static bool opens(const struct message *payload)
{
    struct error err = {0};
    uint8_t *out = NULL;
    size_t len = 0;
    bool ok = open_payload(payload, &out, &len, &err);
    assert_int_equal(err.code, ok ? ERROR_NONE : ERROR_PROTOCOL);
    free(out);
    return ok;
}

static void every_compressor_opens(void **state)
{
    (void)state;
    static const size_t lens[] = {10, 100, SAMPLE_BYTES};
    for (int with = WIRE_COMPRESSOR_NOOP; with <= WIRE_COMPRESSOR_ZSTD; with++) {
        for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
            struct message payload;
            uint8_t *out = NULL;
            size_t len = 0;
            make_payload(&payload, with, lens[i]);
            assert_true(open_payload(&payload, &out, &len, NULL));
            assert_bytes_equal(bytes_of(out, len), sample, lens[i]);
            free(out);
        }
    }
}

static void zlib_is_opened_in_portions(void **state)
{
    (void)state;
    struct message payload;
    struct wire_compressed in;
    uint8_t out[SAMPLE_BYTES] = {0};
    struct wire_opening *opening = wire_opening_new();
    make_payload(&payload, WIRE_COMPRESSOR_ZLIB, SAMPLE_BYTES);
    assert_non_null(opening);
    assert_true(wire_compressed_read(message_bytes(&payload), MAX_BYTES, &in, NULL));
    for (size_t at = PORTION_BYTES; at < SAMPLE_BYTES; at += PORTION_BYTES) {
        assert_int_equal(wire_opening_go_on(opening, &in, out, PORTION_BYTES, NULL),
                         WIRE_OPENED_PART);
        assert_memory_equal(out, sample, at);
        assert_int_equal(out[at], 0);
    }
    wire_opening_free(opening);
    wire_opening_free(NULL);
}

static void an_opening_without_memory(void **state)
{
    (void)state;
    for (long i = 1; i < 10; i++) {
        memory_fail_after(i);
        struct wire_opening *opening = wire_opening_new();
        memory_fail_never();
        wire_opening_free(opening);
        if (i == 1)
            assert_null(opening);
        if (opening != NULL)
            return;
    }
    fail_msg("it never had enough");
}

static void the_fixed_fields_are_read(void **state)
{
    (void)state;
    struct message payload;
    struct wire_compressed in;
    make_payload(&payload, WIRE_COMPRESSOR_ZLIB, 100);
    assert_true(wire_compressed_read(message_bytes(&payload), MAX_BYTES, &in, NULL));
    assert_int_equal(in.opcode, WIRE_OP_MSG);
    assert_int_equal(in.uncompressed_bytes, 100);
    assert_int_equal(in.compressor, WIRE_COMPRESSOR_ZLIB);
    assert_ptr_equal(in.data.pos, payload.data + WIRE_COMPRESSED_BYTES);
    assert_ptr_equal(in.data.end, payload.data + payload.len);
}

static void a_lying_size_is_refused(void **state)
{
    (void)state;
    static const int32_t lies[] = {1, -1, 10, -10, SAMPLE_BYTES, 100000};
    for (int with = WIRE_COMPRESSOR_NOOP; with <= WIRE_COMPRESSOR_ZSTD; with++) {
        for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
            struct message payload;
            struct error err = {0};
            uint8_t *out = NULL;
            size_t len = 0;
            make_payload(&payload, with, 2000);
            bytes_store_i32(payload.data + 4, 2000 + lies[i]);
            assert_false(open_payload(&payload, &out, &len, &err));
            assert_int_equal(err.code, ERROR_PROTOCOL);
            assert_non_null(strstr(err.message, "uncompressedSize"));
            free(out);
        }
    }
}

/* snappy's own stream says how much comes out: it must not be believed either. */
static void snappys_own_length_is_checked(void **state)
{
    (void)state;
    struct message payload;
    make_payload(&payload, WIRE_COMPRESSOR_SNAPPY, 100);
    assert_int_equal(payload.data[WIRE_COMPRESSED_BYTES], 100);
    payload.data[WIRE_COMPRESSED_BYTES] = 127;
    assert_false(opens(&payload));
    bytes_store_i32(payload.data + 4, 127);
    assert_false(opens(&payload));
}

static void every_cut_is_noticed(void **state)
{
    (void)state;
    for (int with = WIRE_COMPRESSOR_NOOP; with <= WIRE_COMPRESSOR_ZSTD; with++) {
        struct message payload;
        make_payload(&payload, with, 3000);
        for (payload.len--; payload.len > 0; payload.len--)
            assert_false(opens(&payload));
    }
}

static void bytes_behind_the_stream_are_noticed(void **state)
{
    (void)state;
    for (int with = WIRE_COMPRESSOR_NOOP; with <= WIRE_COMPRESSOR_ZSTD; with++) {
        struct message payload;
        make_payload(&payload, with, 3000);
        message_add_u8(&payload, 0);
        assert_false(opens(&payload));
    }
}

static void every_flipped_bit_is_survived(void **state)
{
    (void)state;
    for (int with = WIRE_COMPRESSOR_SNAPPY; with <= WIRE_COMPRESSOR_ZSTD; with++) {
        struct message payload;
        make_payload(&payload, with, 200);
        for (size_t bit = (size_t)WIRE_COMPRESSED_BYTES * 8; bit < payload.len * 8; bit++) {
            payload.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
            (void)opens(&payload);
            payload.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        assert_true(opens(&payload));
    }
}

static void read_fields(int32_t opcode, int32_t size, uint8_t compressor, const char *why)
{
    struct message payload = {0};
    struct wire_compressed in;
    struct error err = {0};
    message_add_i32(&payload, opcode);
    message_add_i32(&payload, size);
    message_add_u8(&payload, compressor);
    assert_int_equal(wire_compressed_read(message_bytes(&payload), MAX_BYTES, &in, &err),
                     why == NULL);
    if (why != NULL)
        assert_non_null(strstr(err.message, why));
}

static void what_cannot_be_right_is_refused_before_allocation(void **state)
{
    (void)state;
    read_fields(WIRE_OP_MSG, MAX_BYTES - WIRE_HEADER_BYTES, 1, NULL);
    read_fields(WIRE_OP_MSG, MAX_BYTES - WIRE_HEADER_BYTES + 1, 1, "max_message_bytes");
    read_fields(WIRE_OP_MSG, INT32_MAX, 1, "max_message_bytes");
    read_fields(WIRE_OP_MSG, -1, 1, "max_message_bytes");
    read_fields(WIRE_OP_MSG, INT32_MIN, 1, "max_message_bytes");
    read_fields(WIRE_OP_MSG, 10, 1, NULL);
    read_fields(WIRE_OP_MSG, 9, 1, "too short for opcode");
    read_fields(WIRE_OP_MSG, 100, 4, "compressor 4");
    read_fields(WIRE_OP_MSG, 100, 255, "compressor 255");
    read_fields(WIRE_OP_COMPRESSED, 100, 1, "inside OP_COMPRESSED");
    struct message payload;
    struct wire_compressed in;
    make_payload(&payload, WIRE_COMPRESSOR_NOOP, 10);
    for (payload.len = 0; payload.len < WIRE_COMPRESSED_BYTES; payload.len++)
        assert_false(wire_compressed_read(message_bytes(&payload), MAX_BYTES, &in, NULL));
}

static void an_empty_message_of_another_opcode_opens(void **state)
{
    (void)state;
    for (int with = WIRE_COMPRESSOR_NOOP; with <= WIRE_COMPRESSOR_ZSTD; with++) {
        struct message payload;
        make_payload(&payload, with, 0);
        bytes_store_i32(payload.data, 2010);
        assert_true(opens(&payload));
        bytes_store_i32(payload.data + 4, 1);
        assert_false(opens(&payload));
    }
}

static void compressors_are_known_by_name(void **state)
{
    (void)state;
    assert_true(wire_compressor_is_known("noop", 4));
    assert_true(wire_compressor_is_known("snappy", 6));
    assert_true(wire_compressor_is_known("zlib", 4));
    assert_true(wire_compressor_is_known("zstd", 4));
    assert_false(wire_compressor_is_known("zstd", 3));
    assert_false(wire_compressor_is_known("zstd\0", 5));
    assert_false(wire_compressor_is_known("Zstd", 4));
    assert_false(wire_compressor_is_known("", 0));
}

/* The ids stay outside, in front of the compressed bytes. */
static void what_is_written_can_be_read(void **state)
{
    (void)state;
    static const size_t lens[] = {0, 100, SAMPLE_BYTES};
    uint8_t message[WIRE_HEADER_BYTES + SAMPLE_BYTES];
    for (int with = WIRE_COMPRESSOR_NOOP; with <= WIRE_COMPRESSOR_ZSTD; with++) {
        for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
            struct wire_compressed in;
            uint8_t *out = NULL;
            uint8_t back[SAMPLE_BYTES];
            size_t len = 0;
            struct wire_header header = {
                .length = (int32_t)(WIRE_HEADER_BYTES + lens[i]), 7, 8, 2010};
            wire_header_write(message, &header);
            memcpy(message + WIRE_HEADER_BYTES, sample, lens[i]);
            assert_true(
                wire_compressed_write((uint8_t)with, message, (size_t)header.length, &out, &len));
            header = wire_header_read(out);
            assert_int_equal(header.length, len);
            assert_int_equal(header.request_id, 7);
            assert_int_equal(header.response_to, 8);
            assert_int_equal(header.opcode, WIRE_OP_COMPRESSED);
            assert_true(wire_compressed_read(
                bytes_of(out + WIRE_HEADER_BYTES, len - WIRE_HEADER_BYTES), MAX_BYTES, &in, NULL));
            assert_int_equal(in.opcode, 2010);
            assert_int_equal(in.uncompressed_bytes, lens[i]);
            assert_true(wire_compressed_open(&in, back, NULL));
            assert_memory_equal(back, sample, lens[i]);
            memory_free(out);
        }
    }
}

static void without_memory_nothing_is_written(void **state)
{
    (void)state;
    static const uint8_t message[WIRE_HEADER_BYTES + 10] = {0};
    uint8_t *out = NULL;
    size_t len = 0;
    memory_fail_after(1);
    assert_false(wire_compressed_write(WIRE_COMPRESSOR_ZLIB, message, sizeof message, &out, &len));
    memory_fail_never();
    assert_null(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_compressor_opens),
        cmocka_unit_test(zlib_is_opened_in_portions),
        cmocka_unit_test(an_opening_without_memory),
        cmocka_unit_test(the_fixed_fields_are_read),
        cmocka_unit_test(a_lying_size_is_refused),
        cmocka_unit_test(snappys_own_length_is_checked),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(bytes_behind_the_stream_are_noticed),
        cmocka_unit_test(every_flipped_bit_is_survived),
        cmocka_unit_test(what_cannot_be_right_is_refused_before_allocation),
        cmocka_unit_test(an_empty_message_of_another_opcode_opens),
        cmocka_unit_test(compressors_are_known_by_name),
        cmocka_unit_test(what_is_written_can_be_read),
        cmocka_unit_test(without_memory_nothing_is_written),
    };
    return cmocka_run_group_tests(tests, make_sample, NULL);
}
