/* Rewriting of hello replies: the necessary fields change, and all others stay byte for byte. */
#include "message.h"

#include "base/memory.h"
#include "wire/hello.h"

enum { MAX_MESSAGE_BYTES = 48000000 };

/* a:1 → proxy:1001, b:2 → proxy:1002, "long" → a name of the greatest length; others are unknown */
static bool map_address(void *context, const char *member, size_t len, char out[WIRE_ADDRESS_BYTES])
{
    size_t *calls = context;
    (*calls)++;
    if (len == 4 && memcmp(member, "long", 4) == 0) {
        memset(out, 'x', WIRE_ADDRESS_BYTES - 1);
        out[WIRE_ADDRESS_BYTES - 1] = 0;
        return true;
    }
    if (len != 3 || member[1] != ':')
        return false;
    (void)snprintf(out, WIRE_ADDRESS_BYTES, "proxy:100%c", member[2]);
    return true;
}

static size_t calls;
static const struct wire_hello_rules rules = {
    .map_address = map_address, .context = &calls, .max_message_bytes = MAX_MESSAGE_BYTES};

/* Both documents are destroyed. */
static void assert_rewritten(bson_t *reply, bson_t *want)
{
    bool changed = false;
    uint8_t *out = NULL;
    size_t len = 0;
    assert_true(wire_hello_rewrite(bson_bytes(reply), &rules, &changed, &out, &len));
    assert_true(changed);
    assert_bytes_equal(bytes_of(out, len), bson_get_data(want), want->len);
    memory_free(out);
    bson_destroy(reply);
    bson_destroy(want);
}

/* The document is destroyed. */
static void assert_untouched(bson_t *reply)
{
    bool changed = true;
    uint8_t *out = NULL;
    size_t len = 0;
    assert_true(wire_hello_rewrite(bson_bytes(reply), &rules, &changed, &out, &len));
    assert_false(changed);
    assert_null(out);
    bson_destroy(reply);
}

static void a_standalones_reply_stays(void **state)
{
    (void)state;
    assert_untouched(BCON_NEW("isWritablePrimary", BCON_BOOL(true), "maxBsonObjectSize",
                              BCON_INT32(16777216), "maxMessageSizeBytes", BCON_INT32(48000000),
                              "compression", "[", "snappy", "zstd", "zlib", "noop", "]", "ok",
                              BCON_DOUBLE(1)));
    assert_untouched(bson_new());
}

static void lists_of_members_are_mapped(void **state)
{
    (void)state;
    static const char *const lists[] = {"hosts", "passives", "arbiters"};
    for (size_t i = 0; i < 3; i++) {
        assert_rewritten(BCON_NEW(lists[i], "[", "a:1", "b:2", "]"),
                         BCON_NEW(lists[i], "[", "proxy:1001", "proxy:1002", "]"));
        assert_rewritten(BCON_NEW(lists[i], "[", "a:1", "unknown", "b:2", "]"),
                         BCON_NEW(lists[i], "[", "proxy:1001", "proxy:1002", "]"));
        assert_rewritten(BCON_NEW(lists[i], "[", "unknown", "]"), BCON_NEW(lists[i], "[", "]"));
        assert_rewritten(BCON_NEW(lists[i], "[", "a:1", BCON_INT32(7), "{", "}", "b:2", "]"),
                         BCON_NEW(lists[i], "[", "proxy:1001", "proxy:1002", "]"));
    }
}

static void single_addresses_are_mapped(void **state)
{
    (void)state;
    static const char *const names[] = {"me", "primary"};
    for (size_t i = 0; i < 2; i++) {
        assert_rewritten(BCON_NEW("x", BCON_INT32(1), names[i], "b:2", "y", BCON_INT32(2)),
                         BCON_NEW("x", BCON_INT32(1), names[i], "proxy:1002", "y", BCON_INT32(2)));
        assert_rewritten(BCON_NEW("x", BCON_INT32(1), names[i], "unknown", "y", BCON_INT32(2)),
                         BCON_NEW("x", BCON_INT32(1), "y", BCON_INT32(2)));
    }
}

static void the_longest_address_fits(void **state)
{
    (void)state;
    char longest[WIRE_ADDRESS_BYTES];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    assert_rewritten(BCON_NEW("me", "long", "hosts", "[", "long", "a:1", "long", "]"),
                     BCON_NEW("me", BCON_UTF8(longest), "hosts", "[", BCON_UTF8(longest),
                              "proxy:1001", BCON_UTF8(longest), "]"));
}

/* More than ten and more than a hundred: the keys of the array grow. */
static void a_long_list_keeps_its_order(void **state)
{
    (void)state;
    bson_t *reply = bson_new();
    bson_t *want = bson_new();
    bson_t from;
    bson_t to;
    char key[12];
    BSON_APPEND_ARRAY_BEGIN(reply, "hosts", &from);
    BSON_APPEND_ARRAY_BEGIN(want, "hosts", &to);
    for (unsigned i = 0; i < 120; i++) {
        (void)snprintf(key, sizeof key, "%u", i);
        BSON_APPEND_UTF8(&from, key, i % 2 == 0 ? "a:1" : "b:2");
        BSON_APPEND_UTF8(&to, key, i % 2 == 0 ? "proxy:1001" : "proxy:1002");
    }
    bson_append_array_end(reply, &from);
    bson_append_array_end(want, &to);
    assert_rewritten(reply, want);
}

static void compressors_that_are_not_ours_go(void **state)
{
    (void)state;
    assert_rewritten(BCON_NEW("compression", "[", "lz4", "zstd", BCON_INT32(3), "snappy", "]"),
                     BCON_NEW("compression", "[", "zstd", "snappy", "]"));
    assert_rewritten(BCON_NEW("compression", "[", "lz4", "]"), BCON_NEW("compression", "[", "]"));
    assert_untouched(BCON_NEW("compression", "[", "]"));
}

static void message_sizes_over_the_limit_are_lowered(void **state)
{
    (void)state;
    bson_t *want = BCON_NEW("maxMessageSizeBytes", BCON_INT32(MAX_MESSAGE_BYTES));
    assert_rewritten(BCON_NEW("maxMessageSizeBytes", BCON_INT32(MAX_MESSAGE_BYTES + 1)),
                     bson_copy(want));
    assert_rewritten(BCON_NEW("maxMessageSizeBytes", BCON_INT64(INT64_MAX)), bson_copy(want));
    assert_rewritten(BCON_NEW("maxMessageSizeBytes", BCON_DOUBLE(6e7)), want);
    assert_untouched(BCON_NEW("maxMessageSizeBytes", BCON_INT64(MAX_MESSAGE_BYTES)));
    assert_untouched(BCON_NEW("maxMessageSizeBytes", BCON_DOUBLE(1000)));
    assert_untouched(BCON_NEW("maxMessageSizeBytes", BCON_INT32(-1)));
}

static void fields_of_another_type_stay(void **state)
{
    (void)state;
    calls = 0;
    assert_untouched(BCON_NEW("hosts", "a:1", "passives", "{", "0", "a:1", "}", "arbiters",
                              BCON_NULL, "me", "[", "a:1", "]", "primary", BCON_INT32(1),
                              "compression", "lz4", "maxMessageSizeBytes", "99999999"));
    assert_untouched(BCON_NEW("Hosts", "[", "a:1", "]", "hostsx", "[", "a:1", "]", "host", "[",
                              "a:1", "]", "ME", "a:1", "lastWrite", "{", "me", "a:1", "}"));
    assert_int_equal(calls, 0);
}

/* A field of every BSON type, as no hello has them. */
static void append_every_type(bson_t *document)
{
    bson_oid_t oid;
    bson_decimal128_t decimal;
    bson_t *inner = BCON_NEW("deep", "[", "{", "me", "a:1", "}", "]");
    bson_oid_init_from_string(&oid, "0123456789abcdef01234567");
    assert_true(bson_decimal128_from_string("1.5E-30", &decimal));
    BSON_APPEND_DOUBLE(document, "double", 0.5);
    bson_append_utf8(document, "string", -1, "with\0nul", 8);
    BSON_APPEND_DOCUMENT(document, "document", inner);
    BSON_APPEND_ARRAY(document, "array", inner);
    BSON_APPEND_BINARY(document, "binary", BSON_SUBTYPE_USER, (const uint8_t *)"xyz", 3);
    BSON_APPEND_UNDEFINED(document, "undefined");
    BSON_APPEND_OID(document, "oid", &oid);
    BSON_APPEND_BOOL(document, "bool", true);
    BSON_APPEND_DATE_TIME(document, "date", -1);
    BSON_APPEND_NULL(document, "null");
    BSON_APPEND_REGEX(document, "regex", "^a", "i");
    BSON_APPEND_DBPOINTER(document, "pointer", "db.c", &oid);
    BSON_APPEND_CODE(document, "code", "f()");
    BSON_APPEND_SYMBOL(document, "symbol", "s");
    BSON_APPEND_CODE_WITH_SCOPE(document, "scope", "g()", inner);
    BSON_APPEND_INT32(document, "int32", -7);
    BSON_APPEND_TIMESTAMP(document, "timestamp", 5, 6);
    BSON_APPEND_INT64(document, "int64", INT64_MIN);
    BSON_APPEND_DECIMAL128(document, "decimal", &decimal);
    BSON_APPEND_MAXKEY(document, "max");
    BSON_APPEND_MINKEY(document, "min");
    BSON_APPEND_INT32(document, "", 1);
    bson_destroy(inner);
}

static void everything_else_stays_byte_for_byte(void **state)
{
    (void)state;
    bson_t *reply = bson_new();
    bson_t *want = bson_new();
    append_every_type(reply);
    append_every_type(want);
    BSON_APPEND_UTF8(reply, "me", "a:1");
    BSON_APPEND_UTF8(want, "me", "proxy:1001");
    append_every_type(reply);
    append_every_type(want);
    assert_rewritten(reply, want);
}

static void long_field_names_stay(void **state)
{
    (void)state;
    static char name[10001];
    memset(name, 'h', sizeof name - 1);
    assert_rewritten(BCON_NEW(name, BCON_INT32(1), "me", "a:1"),
                     BCON_NEW(name, BCON_INT32(1), "me", "proxy:1001"));
}

/* As a member of a replica set answers, fields in the server's order. */
static bson_t *whole_reply(const char *a, const char *b, int32_t max, const char *foreign)
{
    bson_t *reply = BCON_NEW(
        "topologyVersion", "{", "counter", BCON_INT64(6), "}", "hosts", "[", BCON_UTF8(a),
        BCON_UTF8(b), "]", "passives", "[", BCON_UTF8(b), "]", "arbiters", "[", BCON_UTF8(a), "]",
        "setName", "rs0", "setVersion", BCON_INT32(1), "isWritablePrimary", BCON_BOOL(true),
        "primary", BCON_UTF8(a), "me", BCON_UTF8(b), "tags", "{", "primary", "a:1", "}",
        "lastWrite", "{", "opTime", "{", "ts", BCON_TIMESTAMP(1, 2), "}", "}", "maxBsonObjectSize",
        BCON_INT32(16777216), "maxMessageSizeBytes", BCON_INT32(max), "maxWriteBatchSize",
        BCON_INT32(100000), "logicalSessionTimeoutMinutes", BCON_INT32(30));
    bson_t array;
    BSON_APPEND_ARRAY_BEGIN(reply, "compression", &array);
    BSON_APPEND_UTF8(&array, "0", "zlib");
    if (foreign != NULL)
        BSON_APPEND_UTF8(&array, "1", foreign);
    bson_append_array_end(reply, &array);
    BSON_APPEND_DOUBLE(reply, "ok", 1);
    return reply;
}

static void a_whole_reply(void **state)
{
    (void)state;
    assert_rewritten(whole_reply("a:1", "b:2", MAX_MESSAGE_BYTES + 1, "lz4"),
                     whole_reply("proxy:1001", "proxy:1002", MAX_MESSAGE_BYTES, NULL));
}

/* Every cut and every changed byte: the reply is refused, or rewritten into a readable one; never a
 * crash. */
static void broken_replies_are_refused_or_readable(void **state)
{
    (void)state;
    bson_t *whole = whole_reply("a:1", "b:2", MAX_MESSAGE_BYTES + 1, "lz4");
    for (size_t i = 0; i < whole->len; i++) {
        for (unsigned value = 0; value < 256; value += 17) {
            bool changed = false;
            uint8_t *out = NULL;
            size_t len = 0;
            uint8_t *copy = malloc(whole->len);
            assert_non_null(copy);
            memcpy(copy, bson_get_data(whole), whole->len);
            copy[i] = (uint8_t)value;
            if (wire_hello_rewrite(bytes_of(copy, whole->len), &rules, &changed, &out, &len) &&
                changed) {
                assert_int_equal(bytes_load_i32(out), len);
                assert_int_equal(out[len - 1], 0);
            }
            memory_free(out);
            free(copy);
        }
    }
    for (size_t len = 0; len < whole->len; len++) {
        bool changed = false;
        uint8_t *out = NULL;
        size_t out_len = 0;
        assert_false(wire_hello_rewrite(bytes_of(bson_get_data(whole), len), &rules, &changed, &out,
                                        &out_len));
        assert_null(out);
    }
    bson_destroy(whole);
}

static void broken_lists_are_refused(void **state)
{
    (void)state;
    static const char *const lists[] = {"hosts", "passives", "arbiters", "compression"};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        bool changed = false;
        uint8_t *out = NULL;
        size_t len = 0;
        bson_t *reply = BCON_NEW("me", "a:1", lists[i], "[", "a:1", "]");
        uint8_t *kind = (uint8_t *)bson_get_data(reply) + reply->len - 13;
        assert_int_equal(*kind, 2);
        *kind = 0x55; /* no BSON type */
        assert_false(wire_hello_rewrite(bson_bytes(reply), &rules, &changed, &out, &len));
        assert_false(changed);
        assert_null(out);
        bson_destroy(reply);
    }
}

static void out_of_memory_is_said(void **state)
{
    (void)state;
    bson_t *reply = whole_reply("a:1", "b:2", MAX_MESSAGE_BYTES + 1, "lz4");
    bool ok = false;
    long failed = 0;
    while (!ok) {
        bool changed = false;
        uint8_t *out = NULL;
        size_t len = 0;
        assert_true(failed < 1000);
        memory_fail_after(failed + 1);
        ok = wire_hello_rewrite(bson_bytes(reply), &rules, &changed, &out, &len);
        memory_fail_never();
        assert_int_equal(ok, out != NULL);
        memory_free(out);
        failed += ok ? 0 : 1;
    }
    assert_true(failed > 1);
    bson_destroy(reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_standalones_reply_stays),
        cmocka_unit_test(lists_of_members_are_mapped),
        cmocka_unit_test(single_addresses_are_mapped),
        cmocka_unit_test(the_longest_address_fits),
        cmocka_unit_test(a_long_list_keeps_its_order),
        cmocka_unit_test(compressors_that_are_not_ours_go),
        cmocka_unit_test(message_sizes_over_the_limit_are_lowered),
        cmocka_unit_test(fields_of_another_type_stay),
        cmocka_unit_test(everything_else_stays_byte_for_byte),
        cmocka_unit_test(long_field_names_stay),
        cmocka_unit_test(a_whole_reply),
        cmocka_unit_test(broken_replies_are_refused_or_readable),
        cmocka_unit_test(broken_lists_are_refused),
        cmocka_unit_test(out_of_memory_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
