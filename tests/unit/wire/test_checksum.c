/* CRC-32C, and the checksum of a message. */
#include "../cmocka_all.h"
#include "wire/checksum.h"
#include "wire/sections.h"

/* RFC 3720, appendix B.4, and the usual check value. */
static void known_values(void **state)
{
    (void)state;
    uint8_t bytes[32] = {0};
    assert_int_equal(wire_crc32c(0, (const uint8_t *)"123456789", 9), 0xE3069283);
    assert_int_equal(wire_crc32c(0, bytes, sizeof bytes), 0x8A9136AA);
    memset(bytes, 0xFF, sizeof bytes);
    assert_int_equal(wire_crc32c(0, bytes, sizeof bytes), 0x62A8AB43);
    for (uint8_t i = 0; i < sizeof bytes; i++)
        bytes[i] = i;
    assert_int_equal(wire_crc32c(0, bytes, sizeof bytes), 0x46DD794E);
}

static void parts_are_the_whole(void **state)
{
    (void)state;
    const uint8_t *text = (const uint8_t *)"123456789";
    for (size_t cut = 0; cut <= 9; cut++)
        assert_int_equal(wire_crc32c(wire_crc32c(0, text, cut), text + cut, 9 - cut), 0xE3069283);
}

static void a_checksum_is_that_of_header_and_payload(void **state)
{
    (void)state;
    struct error err;
    uint8_t message[WIRE_HEADER_BYTES + 12] = {0};
    struct wire_header header = {
        .length = sizeof message, .request_id = 7, .response_to = 3, .opcode = WIRE_OP_MSG};
    struct bytes payload = bytes_of(message + WIRE_HEADER_BYTES, 12);
    wire_header_write(message, &header);
    message[WIRE_HEADER_BYTES] = WIRE_FLAG_CHECKSUM_PRESENT;
    uint32_t crc = wire_crc32c(0, message, sizeof message - 4);
    bytes_store_i32(message + sizeof message - 4, (int32_t)crc);
    assert_true(wire_checksum_fits(&header, payload, WIRE_FLAG_CHECKSUM_PRESENT, &err));
    header.length = 5; /* of the compressed message */
    header.opcode = WIRE_OP_COMPRESSED;
    assert_true(wire_checksum_fits(&header, payload, WIRE_FLAG_CHECKSUM_PRESENT, &err));
    header.request_id = 8;
    assert_false(wire_checksum_fits(&header, payload, WIRE_FLAG_CHECKSUM_PRESENT, &err));
    assert_int_equal(err.code, ERROR_PROTOCOL);
    assert_true(wire_checksum_fits(&header, payload, 0, &err));
    assert_false(
        wire_checksum_fits(&header, bytes_of(message, 3), WIRE_FLAG_CHECKSUM_PRESENT, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(parts_are_the_whole),
        cmocka_unit_test(a_checksum_is_that_of_header_and_payload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
