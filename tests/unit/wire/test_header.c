/* The message header: its bytes, its bounds, and the opcodes that a client may send. */
#include "../cmocka_all.h"
#include "wire/header.h"

enum { MAX_BYTES = 1000 };

static bool check(int32_t length, int32_t opcode, struct error *err)
{
    struct wire_header header = {.length = length, .opcode = opcode};
    return wire_header_check(&header, MAX_BYTES, err);
}

static void bytes_are_little_endian_both_ways(void **state)
{
    (void)state;
    static const uint8_t wire[WIRE_HEADER_BYTES] = {0x1A, 0,    0,    0,    0x04, 0x03, 0x02, 0x01,
                                                    0xFF, 0xFF, 0xFF, 0xFF, 0xDD, 0x07, 0,    0};
    uint8_t again[WIRE_HEADER_BYTES];
    struct wire_header header = wire_header_read(wire);
    assert_int_equal(header.length, 26);
    assert_int_equal(header.request_id, 0x01020304);
    assert_int_equal(header.response_to, -1);
    assert_int_equal(header.opcode, WIRE_OP_MSG);
    wire_header_write(again, &header);
    assert_memory_equal(again, wire, sizeof wire);
}

static void lengths_out_of_bounds_are_refused(void **state)
{
    (void)state;
    static const int32_t wrong[] = {INT32_MIN, -1, 0, 15, MAX_BYTES + 1, INT32_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct error err = {0};
        assert_false(check(wrong[i], WIRE_OP_MSG, &err));
        assert_int_equal(err.code, ERROR_PROTOCOL);
        assert_non_null(strstr(err.message, "max_message_bytes"));
    }
    assert_true(check(MAX_BYTES, WIRE_OP_MSG, NULL));
    assert_true(check(WIRE_HEADER_BYTES, 9999, NULL));
}

static void each_opcode_has_a_shortest_length(void **state)
{
    (void)state;
    static const int32_t shortest[][2] = {
        {WIRE_OP_MSG, 26}, {WIRE_OP_COMPRESSED, 25}, {WIRE_OP_QUERY, 34}, {WIRE_OP_REPLY, 36}};
    for (size_t i = 0; i < sizeof shortest / sizeof shortest[0]; i++) {
        struct error err = {0};
        assert_true(check(shortest[i][1], shortest[i][0], &err));
        assert_int_equal(err.code, ERROR_NONE);
        assert_false(check(shortest[i][1] - 1, shortest[i][0], &err));
        assert_int_equal(err.code, ERROR_PROTOCOL);
        assert_non_null(strstr(err.message, "too short for opcode"));
    }
}

static void clients_send_three_opcodes(void **state)
{
    (void)state;
    assert_true(wire_opcode_check_request(WIRE_OP_MSG, NULL));
    assert_true(wire_opcode_check_request(WIRE_OP_COMPRESSED, NULL));
    assert_true(wire_opcode_check_request(WIRE_OP_QUERY, NULL));
}

static void legacy_opcodes_have_names(void **state)
{
    (void)state;
    static const struct {
        int32_t opcode;
        const char *name;
    } legacy[] = {{2001, "OP_UPDATE"},
                  {2002, "OP_INSERT"},
                  {2005, "OP_GET_MORE"},
                  {2006, "OP_DELETE"},
                  {2007, "OP_KILL_CURSORS"}};
    for (size_t i = 0; i < sizeof legacy / sizeof legacy[0]; i++) {
        assert_true(wire_opcode_check_request(legacy[i].opcode, NULL));
        assert_string_equal(wire_legacy_opcode_name(legacy[i].opcode), legacy[i].name);
    }
    assert_null(wire_legacy_opcode_name(WIRE_OP_MSG));
    assert_null(wire_legacy_opcode_name(WIRE_OP_QUERY));
    assert_null(wire_legacy_opcode_name(WIRE_OP_COMPRESSED));
}

static void a_server_of_another_protocol_is_known(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        const char *name;
    } servers[] = {{"HTTP/1.1 400", "HTTP"},
                   {"SSH-2.0-", "SSH"},
                   {"220 mail", "SMTP"},
                   {"\x15\x03\x01\x00", "TLS"},
                   {"-ERR unknown", "Redis"}};
    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
        const char *hint = wire_reply_hint((const uint8_t *)servers[i].bytes);
        assert_non_null(hint);
        assert_non_null(strstr(hint, servers[i].name));
    }
    assert_null(wire_reply_hint((const uint8_t *)"\x26\0\0\0"));
}

static void other_opcodes_are_unknown(void **state)
{
    (void)state;
    static const int32_t unknown[] = {WIRE_OP_REPLY, 0, -1, 2003, 2010, 2011, 2014, INT32_MIN};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        struct error err = {0};
        assert_false(wire_opcode_check_request(unknown[i], &err));
        assert_int_equal(err.code, ERROR_PROTOCOL);
        assert_non_null(strstr(err.message, "unknown opcode"));
    }
}

static void other_protocols_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *first; /* 16 bytes */
        const char *hint;  /* NULL: none */
    } cases[] = {
        {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x5a\x5a\x5a\x5a\x5a", "TLS"},
        {"\x16\x02\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x5a\x5a\x5a\x5a\x5a", NULL},
        {"\x16\x03\x00\x00\x00\x01\x00\x01\xfc\x03\x03\x5a\x5a\x5a\x5a\x5a", NULL},
        {"GET / HTTP/1.1\r\n", "HTTP"},
        {"POST /x HTTP/1.1", "HTTP"},
        {"GETTING SOMEWHER", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *hint = wire_header_hint((const uint8_t *)cases[i].first);
        assert_int_equal(hint != NULL, cases[i].hint != NULL);
        if (hint != NULL)
            assert_non_null(strstr(hint, cases[i].hint));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_little_endian_both_ways),
        cmocka_unit_test(lengths_out_of_bounds_are_refused),
        cmocka_unit_test(each_opcode_has_a_shortest_length),
        cmocka_unit_test(clients_send_three_opcodes),
        cmocka_unit_test(legacy_opcodes_have_names),
        cmocka_unit_test(a_server_of_another_protocol_is_known),
        cmocka_unit_test(other_opcodes_are_unknown),
        cmocka_unit_test(other_protocols_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
