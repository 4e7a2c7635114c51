/* Answers to hello that the proxy makes from a server's last reply. */
#include "message.h"

#include "base/memory.h"
#include "wire/compressed.h"
#include "wire/hello.h"

static bool map_address(void *context, const char *member, size_t len, char out[WIRE_ADDRESS_BYTES])
{
    (void)context;
    if (len != 3)
        return false;
    (void)snprintf(out, WIRE_ADDRESS_BYTES, "proxy:100%c", member[2]);
    return true;
}

static const struct wire_hello_rules rules = {.map_address = map_address,
                                              .max_message_bytes = 48000000};

/* Both documents are destroyed. */
static void assert_answer(bson_t *reply, const struct wire_hello_answer *answer, bson_t *want)
{
    struct build build;
    struct bytes out;
    assert_true(wire_hello_answer(bson_bytes(reply), answer, &rules, &build, &out));
    assert_bytes_equal(out, bson_get_data(want), want->len);
    build_free(&build);
    bson_destroy(reply);
    bson_destroy(want);
}

static const struct wire_hello_request modern = {0};
static const struct wire_hello_request legacy = {.legacy_name = true, .hello_ok = true};

/* As a member answers the proxy. */
static bson_t *reply_of_a_member(void)
{
    return BCON_NEW(
        "helloOk", BCON_BOOL(true), "topologyVersion", "{", "counter", BCON_INT64(6), "}", "hosts",
        "[", "a:1", "b:2", "hidden", "]", "setName", "rs0", "me", "b:2", "isWritablePrimary",
        BCON_BOOL(false), "secondary", BCON_BOOL(true), "maxMessageSizeBytes", BCON_INT32(48000001),
        "localTime", BCON_DATE_TIME(1000000000000), "connectionId", BCON_INT32(17), "compression",
        "[", "zlib", "snappy", "]", "ok", BCON_DOUBLE(1), "operationTime", BCON_TIMESTAMP(1, 2));
}

static void a_member_answers_a_modern_client(void **state)
{
    (void)state;
    const struct wire_hello_answer answer = {
        .request = &modern, .connection_id = 5, .elapsed_ms = 250, .compressors = 0xFF};
    assert_answer(reply_of_a_member(), &answer,
                  BCON_NEW("topologyVersion", "{", "counter", BCON_INT64(6), "}", "hosts", "[",
                           "proxy:1001", "proxy:1002", "]", "setName", "rs0", "me", "proxy:1002",
                           "isWritablePrimary", BCON_BOOL(false), "secondary", BCON_BOOL(true),
                           "maxMessageSizeBytes", BCON_INT32(48000000), "localTime",
                           BCON_DATE_TIME(1000000000250), "connectionId", BCON_INT32(5), "ok",
                           BCON_DOUBLE(1), "operationTime", BCON_TIMESTAMP(1, 2)));
}

static void the_older_name_has_its_field(void **state)
{
    (void)state;
    const struct wire_hello_answer answer = {.request = &legacy};
    assert_answer(BCON_NEW("isWritablePrimary", BCON_BOOL(true), "helloOk", BCON_BOOL(true)),
                  &answer, BCON_NEW("ismaster", BCON_BOOL(true), "helloOk", BCON_BOOL(true)));
    const struct wire_hello_answer modern_answer = {.request = &modern};
    assert_answer(BCON_NEW("ismaster", BCON_BOOL(false)), &modern_answer,
                  BCON_NEW("isWritablePrimary", BCON_BOOL(false)));
}

static void compressors_are_those_of_all_three(void **state)
{
    (void)state;
    struct wire_hello_request request = {
        .compressor_count = 3,
        .compressors = {WIRE_COMPRESSOR_ZSTD, WIRE_COMPRESSOR_ZLIB, WIRE_COMPRESSOR_SNAPPY}};
    struct wire_hello_answer answer = {.request = &request,
                                       .compressors = 1U << WIRE_COMPRESSOR_SNAPPY |
                                                      1U << WIRE_COMPRESSOR_ZSTD};
    assert_answer(BCON_NEW("ok", BCON_DOUBLE(1)), &answer,
                  BCON_NEW("compression", "[", "zstd", "snappy", "]", "ok", BCON_DOUBLE(1)));
    /* the client's order, not the server's */
    answer.compressors = 1U << WIRE_COMPRESSOR_ZLIB;
    assert_answer(BCON_NEW("compression", "[", "snappy", "]"), &answer,
                  BCON_NEW("compression", "[", "zlib", "]"));
    answer.compressors = 0;
    assert_answer(BCON_NEW("ok", BCON_DOUBLE(1)), &answer, BCON_NEW("ok", BCON_DOUBLE(1)));
}

static void further_fields_stand_before_ok(void **state)
{
    (void)state;
    bson_t *extra = BCON_NEW("saslSupportedMechs", "[", "SCRAM-SHA-256", "]",
                             "speculativeAuthenticate", "{", "done", BCON_BOOL(false), "}");
    const struct wire_hello_answer answer = {.request = &modern, .extra = bson_bytes(extra)};
    bson_t *want = BCON_NEW("maxWireVersion", BCON_INT32(21));
    assert_true(bson_concat(want, extra));
    BSON_APPEND_DOUBLE(want, "ok", 1);
    assert_answer(BCON_NEW("maxWireVersion", BCON_INT32(21), "saslSupportedMechs", "[", "PLAIN",
                           "]", "ok", BCON_DOUBLE(1)),
                  &answer, want);
    bson_destroy(extra);
}

static void large_connection_ids_and_early_times(void **state)
{
    (void)state;
    const struct wire_hello_answer answer = {
        .request = &modern, .connection_id = INT64_C(1) << 31, .elapsed_ms = 10};
    assert_answer(
        BCON_NEW("connectionId", BCON_INT64(3), "localTime", BCON_DATE_TIME(-5)), &answer,
        BCON_NEW("connectionId", BCON_INT64(INT64_C(1) << 31), "localTime", BCON_DATE_TIME(5)));
    /* of another type: nothing of it is changed */
    assert_answer(BCON_NEW("localTime", "noon"), &answer, BCON_NEW("localTime", "noon"));
}

static void the_server_s_version_and_compressors(void **state)
{
    (void)state;
    bson_oid_t process;
    struct wire_topology_version version = {.counter = 0};
    bson_oid_init_from_string(&process, "0123456789abcdef01234567");
    bson_t *reply =
        BCON_NEW("topologyVersion", "{", "processId", BCON_OID(&process), "counter", BCON_INT64(9),
                 "}", "compression", "[", "zstd", "lz4", BCON_INT32(1), "]");
    assert_true(wire_hello_version(bson_bytes(reply), &version));
    assert_int_equal(version.counter, 9);
    assert_memory_equal(version.process_id, process.bytes, WIRE_PROCESS_ID_BYTES);
    assert_int_equal(wire_hello_compressors(bson_bytes(reply)), 1U << WIRE_COMPRESSOR_ZSTD);
    bson_destroy(reply);
    reply = BCON_NEW("ok", BCON_INT32(1), "compression", "zlib");
    assert_false(wire_hello_version(bson_bytes(reply), &version));
    assert_int_equal(wire_hello_compressors(bson_bytes(reply)), 0);
    bson_destroy(reply);
}

static void broken_documents_are_refused(void **state)
{
    (void)state;
    struct build build;
    struct bytes out;
    bson_t *reply = reply_of_a_member();
    bson_t *extra = BCON_NEW("a", BCON_INT32(1));
    struct wire_hello_answer answer = {.request = &modern};
    for (size_t len = 0; len < reply->len; len++) {
        assert_false(
            wire_hello_answer(bytes_of(bson_get_data(reply), len), &answer, &rules, &build, &out));
        build_free(&build);
    }
    answer.extra = bytes_of(bson_get_data(extra), extra->len - 1);
    assert_false(wire_hello_answer(bson_bytes(reply), &answer, &rules, &build, &out));
    build_free(&build);
    bson_destroy(extra);
    bson_destroy(reply);
}

static void out_of_memory_is_said(void **state)
{
    (void)state;
    struct build build;
    struct bytes out;
    bson_t *reply = reply_of_a_member();
    const struct wire_hello_answer answer = {.request = &modern};
    memory_fail_after(1);
    bool ok = wire_hello_answer(bson_bytes(reply), &answer, &rules, &build, &out);
    memory_fail_never();
    assert_false(ok);
    build_free(&build);
    bson_destroy(reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_answers_a_modern_client),
        cmocka_unit_test(the_older_name_has_its_field),
        cmocka_unit_test(compressors_are_those_of_all_three),
        cmocka_unit_test(further_fields_stand_before_ok),
        cmocka_unit_test(large_connection_ids_and_early_times),
        cmocka_unit_test(the_server_s_version_and_compressors),
        cmocka_unit_test(broken_documents_are_refused),
        cmocka_unit_test(out_of_memory_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
