/* Replies of the proxy's own making, read back as a driver would. */
#include "message.h"

#include "base/memory.h"
#include "bson/scan.h"
#include "wire/query.h"
#include "wire/reply.h"
#include "wire/sections.h"

static const struct wire_reply_to to_msg = {.request_id = 77};
static const struct wire_reply_to to_query = {.request_id = 78, .legacy = true};

/* The document of a framed reply; its header and flags are checked on the way. */
static struct bytes unframe(const uint8_t *message, size_t len, struct wire_reply_to to,
                            int32_t request_id, uint32_t flags)
{
    struct bytes document;
    uint32_t got = flags;
    struct error err = {0};
    struct wire_header header = wire_header_read(message);
    struct bytes payload = bytes_of(message + WIRE_HEADER_BYTES, len - WIRE_HEADER_BYTES);
    assert_int_equal(header.length, len);
    assert_int_equal(header.request_id, request_id);
    assert_int_equal(header.response_to, to.request_id);
    assert_int_equal(header.opcode, to.legacy ? WIRE_OP_REPLY : WIRE_OP_MSG);
    assert_true(wire_header_check(&header, 48000000, &err));
    if (to.legacy)
        assert_true(wire_reply_read(payload, &document, &err));
    else
        assert_true(wire_sections_find_body(payload, &document, &got, &err));
    assert_int_equal(got, flags);
    return document;
}

static void a_document_is_framed(void **state)
{
    (void)state;
    bson_t *document = BCON_NEW("ok", BCON_DOUBLE(1));
    uint8_t *out = NULL;
    size_t len = 0;
    assert_true(
        wire_reply_frame(to_msg, -5, WIRE_FLAG_MORE_TO_COME, bson_bytes(document), &out, &len));
    assert_bytes_equal(unframe(out, len, to_msg, -5, WIRE_FLAG_MORE_TO_COME),
                       bson_get_data(document), document->len);
    assert_int_equal(len, 21 + document->len);
    memory_free(out);
    bson_destroy(document);
}

static void a_query_failure_has_err_and_its_flag(void **state)
{
    (void)state;
    struct error err = {0};
    struct scan_element element;
    uint8_t *out = NULL;
    size_t len = 0;
    (void)error_set(&err, ERROR_LEGACY_OPCODE_REMOVED, "gone \xff");
    assert_true(wire_reply_query_failure(to_query.request_id, &err, &out, &len));
    struct bytes document = unframe(out, len, to_query, 0, 0);
    assert_int_equal(bytes_load_i32(out + 16), 2); /* QueryFailure */
    assert_int_equal(bytes_load_i32(out + 32), 1); /* numberReturned */
    assert_true(scan_find(document, "$err", &element));
    assert_int_equal(element.kind, BSON_KIND_STRING);
    assert_string_equal((const char *)element.value.pos + 4, "gone ?");
    assert_true(scan_find(document, "code", &element));
    assert_int_equal(bytes_load_i32(element.value.pos), 5739101);
    memory_free(out);
}

static void a_legacy_reply_has_one_document_and_no_cursor(void **state)
{
    (void)state;
    bson_t *document = BCON_NEW("ok", BCON_DOUBLE(1));
    uint8_t *out = NULL;
    size_t len = 0;
    assert_true(wire_reply_frame(to_query, 9, 0, bson_bytes(document), &out, &len));
    assert_bytes_equal(unframe(out, len, to_query, 9, 0), bson_get_data(document), document->len);
    assert_int_equal(bytes_load_i32(out + 16), 8); /* AwaitCapable */
    assert_int_equal(bytes_load_i64(out + 20), 0);
    assert_int_equal(bytes_load_i32(out + 28), 0);
    assert_int_equal(bytes_load_i32(out + 32), 1);
    memory_free(out);
    bson_destroy(document);
}

static void assert_error_reply(struct wire_reply_to to, const struct error *error, uint32_t labels,
                               bson_t *want)
{
    uint8_t *out = NULL;
    size_t len = 0;
    assert_true(wire_reply_error(to, error, labels, &out, &len));
    assert_bytes_equal(unframe(out, len, to, 0, 0), bson_get_data(want), want->len);
    memory_free(out);
    bson_destroy(want);
}

static bson_t *error_document(const char *message, int code, const char *name)
{
    return BCON_NEW("ok", BCON_DOUBLE(0), "errmsg", message, "code", BCON_INT32(code), "codeName",
                    name);
}

static void an_error_has_mongodbs_fields(void **state)
{
    (void)state;
    struct error err = {.code = ERROR_HOST_UNREACHABLE, .message = "no server \xC3\xA4"};
    bson_t *want = error_document(err.message, 6, "HostUnreachable");
    assert_error_reply(to_msg, &err, 0, bson_copy(want));
    assert_error_reply(to_query, &err, 0, want);
    err.code = 123456;
    assert_error_reply(to_msg, &err, 0, error_document(err.message, 123456, "Location123456"));
    err.message[0] = 0;
    assert_error_reply(to_msg, &err, 0, error_document("", 123456, "Location123456"));
}

/* Messages quote bytes of a peer, and are cut to fit: neither may hide the rest of the message, and
 * a driver must be able to read it. */
static void what_is_no_utf8_is_replaced_alone(void **state)
{
    (void)state;
    static const struct {
        const char *message;
        const char *want;
    } cases[] = {
        {"opcode \xFF of '\xC3\xA4'", "opcode ? of '\xC3\xA4'"},
        {"cut \xC3\xA4\xC3", "cut \xC3\xA4?"},
        {"overlong \xC0\x80, surrogate \xED\xA0\x80", "overlong ??, surrogate ???"},
        {"cut \xF0\x9F\x98", "cut ???"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {.code = ERROR_PROTOCOL};
        (void)snprintf(err.message, sizeof err.message, "%s", cases[i].message);
        assert_error_reply(to_msg, &err, 0, error_document(cases[i].want, 17, "ProtocolError"));
    }
}

static void labels_are_an_array(void **state)
{
    (void)state;
    static const struct {
        uint32_t labels;
        const char *names[4];
    } cases[] = {
        {WIRE_LABEL_RETRYABLE_WRITE, {"RetryableWriteError"}},
        {WIRE_LABEL_TRANSIENT_TRANSACTION, {"TransientTransactionError"}},
        {WIRE_LABEL_OVERLOADED, {"SystemOverloadedError", "RetryableError"}},
        {WIRE_LABEL_RETRYABLE_WRITE | WIRE_LABEL_OVERLOADED,
         {"RetryableWriteError", "SystemOverloadedError", "RetryableError"}},
    };
    struct error err = {.code = ERROR_OVERLOADED, .message = "busy"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bson_t *want = error_document("busy", 462, "IngressRequestRateLimitExceeded");
        bson_t array;
        char key[12];
        BSON_APPEND_ARRAY_BEGIN(want, "errorLabels", &array);
        for (unsigned n = 0; n < 4 && cases[i].names[n] != NULL; n++) {
            (void)snprintf(key, sizeof key, "%u", n);
            BSON_APPEND_UTF8(&array, key, cases[i].names[n]);
        }
        bson_append_array_end(want, &array);
        if ((cases[i].labels & WIRE_LABEL_OVERLOADED) != 0)
            BSON_APPEND_INT32(want, "baseBackoffMS", 100);
        assert_error_reply(to_msg, &err, cases[i].labels, want);
    }
}

static void out_of_memory_is_said(void **state)
{
    (void)state;
    struct error err = {.code = ERROR_INTERNAL, .message = "x"};
    uint8_t *out = NULL;
    size_t len = 0;
    bool ok = false;
    for (long i = 1; !ok; i++) {
        assert_true(i < 100);
        memory_fail_after(i);
        ok = wire_reply_error(to_msg, &err, WIRE_LABEL_OVERLOADED, &out, &len);
        memory_fail_never();
        assert_int_equal(ok, out != NULL);
    }
    memory_free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_is_framed),
        cmocka_unit_test(a_query_failure_has_err_and_its_flag),
        cmocka_unit_test(a_legacy_reply_has_one_document_and_no_cursor),
        cmocka_unit_test(an_error_has_mongodbs_fields),
        cmocka_unit_test(what_is_no_utf8_is_replaced_alone),
        cmocka_unit_test(labels_are_an_array),
        cmocka_unit_test(out_of_memory_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
