/* Requests for hello: the ones that the proxy answers, and the ones that only the server can judge.
 */
#include "message.h"

#include "wire/compressed.h"
#include "wire/hello_request.h"

static struct wire_hello_request hello;

/* As an OP_MSG with these flags. The document is destroyed. */
static enum wire_hello_kind read_message(uint32_t flags, bson_t *body)
{
    struct message message = {.len = 0};
    struct wire_command command;
    struct error err;
    message_add_i32(&message, (int32_t)flags);
    message_add_u8(&message, 0);
    message_add_document(&message, body);
    assert_true(wire_command_read_whole(message_bytes(&message), &command, &err));
    return wire_hello_request_read(&command, &hello);
}

static enum wire_hello_kind read_body(bson_t *body)
{
    return read_message(0, body);
}

#define VERSION(counter)                                                                           \
    "topologyVersion", "{", "processId", BCON_OID(&process), "counter", BCON_INT64(counter), "}"

static bson_oid_t process;

static void a_first_hello_of_a_driver(void **state)
{
    (void)state;
    assert_int_equal(
        read_body(BCON_NEW("ismaster", BCON_INT32(1), "helloOk", BCON_BOOL(true), "backpressure",
                           "2", "client", "{", "driver", "{", "}", "}", "compression", "[", "zstd",
                           "lz4", "noop", "snappy", "zstd", "]", "$db", "admin")),
        WIRE_HELLO_PLAIN);
    assert_true(hello.legacy_name && hello.hello_ok && hello.has_metadata);
    assert_false(hello.has_version || hello.has_await);
    assert_int_equal(hello.compressor_count, 2);
    assert_int_equal(hello.compressors[0], WIRE_COMPRESSOR_ZSTD);
    assert_int_equal(hello.compressors[1], WIRE_COMPRESSOR_SNAPPY);
}

static void an_op_query_needs_no_database_field(void **state)
{
    (void)state;
    struct wire_command command;
    struct error err;
    bson_t *body = BCON_NEW("isMaster", BCON_INT32(1));
    assert_true(wire_command_read_legacy(bson_bytes(body), bytes_of("admin", 5), &command, &err));
    assert_int_equal(wire_hello_request_read(&command, &hello), WIRE_HELLO_PLAIN);
    assert_true(hello.legacy_name);
    bson_destroy(body);
    assert_int_equal(read_body(BCON_NEW("hello", BCON_INT32(1))), WIRE_HELLO_OTHER);
}

static void an_awaitable_hello(void **state)
{
    (void)state;
    bson_oid_init_from_string(&process, "0123456789abcdef01234567");
    assert_int_equal(
        read_message(1U << 16, BCON_NEW("hello", BCON_INT32(1), VERSION(7), "maxAwaitTimeMS",
                                        BCON_INT32(10000), "$db", "admin")),
        WIRE_HELLO_PLAIN);
    assert_true(hello.has_version && hello.has_await && !hello.legacy_name);
    assert_memory_equal(hello.version.process_id, process.bytes, WIRE_PROCESS_ID_BYTES);
    assert_int_equal(hello.version.counter, 7);
    assert_int_equal(hello.await_ms, 10000);
    /* one without the other, and negative numbers, are faults with codes of their own */
    assert_int_equal(read_body(BCON_NEW("hello", BCON_INT32(1), VERSION(-1), "$db", "admin")),
                     WIRE_HELLO_PLAIN);
    assert_true(hello.has_version && !hello.has_await);
    assert_int_equal(read_body(BCON_NEW("hello", BCON_INT32(1), "maxAwaitTimeMS", BCON_INT64(-5),
                                        "$db", "admin")),
                     WIRE_HELLO_PLAIN);
    assert_int_equal(hello.await_ms, -5);
    assert_int_equal(read_body(BCON_NEW("hello", BCON_INT32(1), "maxAwaitTimeMS",
                                        BCON_INT64(INT64_MAX), VERSION(7), "$db", "admin")),
                     WIRE_HELLO_PLAIN);
    assert_int_equal(hello.await_ms, INT32_MAX);
}

static void the_start_of_a_login(void **state)
{
    (void)state;
    assert_int_equal(read_body(BCON_NEW("hello", BCON_INT32(1), "saslSupportedMechs", "admin.a",
                                        "$db", "admin")),
                     WIRE_HELLO_LOGIN);
    assert_int_equal(
        read_body(BCON_NEW("hello", BCON_INT32(1), "speculativeAuthenticate", "{", "saslStart",
                           BCON_INT32(1), "}", "compression", "[", "zlib", "]", "$db", "admin")),
        WIRE_HELLO_LOGIN);
    assert_int_equal(hello.compressor_count, 1);
}

static void unknown_fields_do_not_matter(void **state)
{
    (void)state;
    assert_int_equal(
        read_body(BCON_NEW("hello", BCON_INT32(1), "$readPreference", "{", "mode", "primary", "}",
                           "someday", "{", "}", "apiVersion", "1", "apiStrict", BCON_BOOL(true),
                           "apiDeprecationErrors", BCON_BOOL(true), "loadBalanced",
                           BCON_BOOL(false), "$db", "admin")),
        WIRE_HELLO_PLAIN);
}

static void assert_other(bson_t *field)
{
    bson_t *body = BCON_NEW("isMaster", BCON_INT32(1));
    assert_true(bson_concat(body, field));
    BSON_APPEND_UTF8(body, "$db", "admin");
    assert_int_equal(read_body(body), WIRE_HELLO_OTHER);
    bson_destroy(field);
}

static void only_the_server_can_judge_these(void **state)
{
    (void)state;
    char long_name[600];
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    assert_other(BCON_NEW("internalClient", "{", "}"));
    assert_other(BCON_NEW("loadBalanced", BCON_BOOL(true)));
    assert_other(BCON_NEW("loadBalanced", BCON_INT32(0)));
    assert_other(BCON_NEW("apiVersion", "2"));
    assert_other(BCON_NEW("apiVersion", BCON_INT32(1)));
    assert_other(BCON_NEW("apiVersion", "1", "apiStrict", BCON_BOOL(true)));
    assert_other(BCON_NEW("apiStrict", BCON_BOOL(false)));
    assert_other(BCON_NEW("helloOk", "yes"));
    assert_other(BCON_NEW("client", "me"));
    assert_other(BCON_NEW("client", "{", "name", BCON_UTF8(long_name), "}"));
    assert_other(BCON_NEW("compression", "zlib"));
    assert_other(BCON_NEW("compression", "[", BCON_INT32(1), "]"));
    assert_other(BCON_NEW("topologyVersion", BCON_INT32(1)));
    assert_other(BCON_NEW("topologyVersion", "{", "counter", BCON_INT64(1), "}"));
    assert_other(BCON_NEW("topologyVersion", "{", "processId", BCON_OID(&process), "counter",
                          BCON_INT32(1), "}"));
    assert_other(BCON_NEW("maxAwaitTimeMS", "long"));
    assert_other(BCON_NEW("maxAwaitTimeMS", BCON_DOUBLE(0.5)));
    assert_other(BCON_NEW("helloOk", BCON_BOOL(true), "helloOk", BCON_BOOL(false)));
    assert_other(BCON_NEW("$db", "local"));
    assert_int_equal(read_message(2, BCON_NEW("hello", BCON_INT32(1), "$db", "admin")),
                     WIRE_HELLO_OTHER);
}

static void versions_are_compared_whole(void **state)
{
    (void)state;
    struct wire_topology_version a = {.process_id = {1, 2, 3}, .counter = 5};
    struct wire_topology_version b = a;
    assert_true(wire_topology_version_equal(&a, &b));
    b.counter = 6;
    assert_false(wire_topology_version_equal(&a, &b));
    b = a;
    b.process_id[WIRE_PROCESS_ID_BYTES - 1] = 1;
    assert_false(wire_topology_version_equal(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_hello_of_a_driver),
        cmocka_unit_test(an_op_query_needs_no_database_field),
        cmocka_unit_test(an_awaitable_hello),
        cmocka_unit_test(the_start_of_a_login),
        cmocka_unit_test(unknown_fields_do_not_matter),
        cmocka_unit_test(only_the_server_can_judge_these),
        cmocka_unit_test(versions_are_compared_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
