/* Tests the requests of the load generator, the replies of the null upstream, and the judging of
 * replies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "bench/document.h"
#include "bench/nullreply.h"
#include "bench/request.h"
#include "bson/scan.h"
#include "wire/query.h"
#include "wire/sections.h"

static struct null_replies *replies;
static struct null_counters counters;
static struct bench_buffer out;
static char reason[256];

static int setup(void **state)
{
    const struct null_options options = {.replica_set = "rs0",
                                         .address = "127.0.0.1:4",
                                         .find_documents = 12,
                                         .document_bytes = 400};
    (void)state;
    counters = (struct null_counters){0};
    replies = null_replies_make(&options);
    assert_non_null(replies);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    null_replies_free(replies);
    bench_buffer_free(&out);
    return 0;
}

static enum null_verdict answer(const void *message, size_t len, struct null_asked *asked)
{
    out.len = 0;
    return null_answer(replies, bytes_of(message, len), &counters, &out, asked);
}

/* Makes, stamps and answers a request; judges the reply as the load generator does. */
static enum reply_verdict round_trip(const struct request_options *options)
{
    static const uint8_t lsid[REQUEST_LSID_BYTES] = {1, 2, 3};
    const struct request_stamp stamp = {
        .request_id = 77, .first_document = 5, .lsid = lsid, .txn_number = 9};
    struct request request;
    struct null_asked asked;
    assert_true(request_make(options, &request));
    request_set(&request, &stamp);
    assert_int_equal(answer(request.bytes, request.len, &asked), NULL_ANSWERED);
    assert_int_equal(asked.handshake, options->command == REQUEST_HELLO);
    enum reply_verdict verdict =
        reply_check(bytes_of(out.data, out.len), 77, request.documents, reason, sizeof reason);
    request_free(&request);
    return verdict;
}

static struct bytes body_of_reply(void)
{
    struct bytes body;
    uint32_t flags = 0;
    struct bytes payload = bytes_of(out.data + WIRE_HEADER_BYTES, out.len - WIRE_HEADER_BYTES);
    assert_true(wire_sections_find_body(payload, &body, &flags, NULL));
    return body;
}

static void test_every_command_round_trips(void **state)
{
    (void)state;
    const struct request_options commands[] = {
        {.command = REQUEST_PING},
        {.command = REQUEST_HELLO},
        {.command = REQUEST_FIND, .database = "d", .collection = "c", .documents = 3},
        {.command = REQUEST_INSERT, .database = "d", .collection = "c", .documents = 1},
        {.command = REQUEST_INSERT,
         .database = "d",
         .collection = "c",
         .documents = 250,
         .document_bytes = 1000,
         .retryable = true,
         .unordered = true},
    };
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        assert_int_equal(round_trip(&commands[i]), REPLY_OK);
    assert_int_equal(counters.messages, 5);
    assert_int_equal(counters.documents, 251);
}

static int count_documents(struct bytes array)
{
    struct scan scan;
    struct scan_element element;
    struct scan_element id;
    int count = 0;
    assert_true(scan_open(&scan, array));
    while (scan_next(&scan, &element)) {
        char name[12];
        snprintf(name, sizeof name, "%d", count++);
        assert_string_equal(element.name, name);
        assert_int_equal(bytes_left(&element.value), 400);
        assert_true(scan_find(element.value, "_id", &id));
    }
    assert_false(scan.broken);
    return count;
}

static void test_find_obeys_its_limit(void **state)
{
    (void)state;
    const int32_t limits[] = {1, 3, 11, 12, 13, 1000};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        const struct request_options find = {
            .command = REQUEST_FIND, .database = "d", .collection = "c", .documents = limits[i]};
        struct scan_element cursor;
        struct scan_element element;
        int64_t id = -1;
        assert_int_equal(round_trip(&find), REPLY_OK);
        assert_true(scan_find(body_of_reply(), "cursor", &cursor));
        assert_true(scan_find(cursor.value, "firstBatch", &element));
        assert_int_equal(count_documents(element.value), limits[i] < 12 ? limits[i] : 12);
        assert_true(scan_find(cursor.value, "id", &element) && scan_as_int64(&element, &id));
        assert_int_equal(id, 0);
    }
}

static void test_stamped_values(void **state)
{
    (void)state;
    uint8_t lsid[REQUEST_LSID_BYTES];
    memset(lsid, 0xAB, sizeof lsid);
    const struct request_options options = {.command = REQUEST_INSERT,
                                            .database = "d",
                                            .collection = "c",
                                            .documents = 2,
                                            .retryable = true};
    const struct request_stamp stamp = {.request_id = -5,
                                        .first_document = UINT64_C(0xFF01020304),
                                        .lsid = lsid,
                                        .txn_number = INT64_C(0x123456789AB)};
    struct request request;
    assert_true(request_make(&options, &request));
    request_set(&request, &stamp);
    assert_int_equal(wire_header_read(request.bytes).request_id, -5);
    struct bytes body;
    uint32_t flags = 0;
    assert_true(wire_sections_find_body(
        bytes_of(request.bytes + WIRE_HEADER_BYTES, request.len - WIRE_HEADER_BYTES), &body, &flags,
        NULL));
    struct scan_element element;
    int64_t number = 0;
    assert_true(scan_find(body, "txnNumber", &element) && scan_as_int64(&element, &number));
    assert_int_equal(number, stamp.txn_number);
    assert_true(scan_find(body, "lsid", &element) && scan_find(element.value, "id", &element));
    assert_memory_equal(element.value.pos + 5, lsid, sizeof lsid);
    const uint8_t *first = request.bytes + request.documents_at + DOCUMENT_ID_OFFSET;
    const uint8_t *second = first + request.document_len;
    assert_memory_equal(first, second, 7);
    assert_memory_equal(first + 7, "\xFF\x01\x02\x03\x04", 5);
    assert_memory_equal(second + 7, "\xFF\x01\x02\x03\x05", 5);
    request_free(&request);
}

static void test_padding_gives_the_size(void **state)
{
    (void)state;
    for (size_t bytes = 200; bytes < 300; bytes++) {
        size_t len = 0;
        uint8_t *document = document_make(bytes, &len);
        assert_non_null(document);
        assert_int_equal(len, bytes);
        memory_free(document);
    }
    size_t len = 0;
    uint8_t *document = document_make(0, &len);
    struct scan_element element;
    assert_true(len < 200);
    assert_true(scan_find(bytes_of(document, len), "created_at", &element));
    assert_false(scan_find(bytes_of(document, len), "padding", &element));
    memory_free(document);
}

static void test_legacy_hello(void **state)
{
    (void)state;
    static const char query[] = "\x3a\0\0\0\x09\0\0\0\0\0\0\0\xd4\x07\0\0\0\0\0\0admin.$cmd\0"
                                "\0\0\0\0\xff\xff\xff\xff"
                                "\x13\0\0\0\x10ismaster\0\x01\0\0\0\0";
    struct null_asked asked;
    struct bytes document;
    struct scan_element element;
    assert_int_equal(answer(query, sizeof query - 1, &asked), NULL_ANSWERED);
    assert_true(asked.handshake);
    struct wire_header header = wire_header_read(out.data);
    assert_int_equal(header.opcode, WIRE_OP_REPLY);
    assert_int_equal(header.response_to, 9);
    assert_int_equal(header.length, out.len);
    assert_true(wire_reply_read(bytes_of(out.data + 16, out.len - 16), &document, NULL));
    assert_true(scan_find(document, "ismaster", &element) && scan_is_true(&element));
    assert_true(scan_find(document, "setName", &element));
}

static void test_more_to_come_gets_no_reply(void **state)
{
    (void)state;
    const struct request_options options = {
        .command = REQUEST_INSERT, .database = "d", .collection = "c", .documents = 4};
    struct request request;
    struct null_asked asked;
    assert_true(request_make(&options, &request));
    request.bytes[WIRE_HEADER_BYTES] = WIRE_FLAG_MORE_TO_COME;
    assert_int_equal(answer(request.bytes, request.len, &asked), NULL_SILENT);
    assert_int_equal(out.len, 0);
    assert_int_equal(counters.documents, 4);
    request_free(&request);
}

/* Returns what the null upstream sees in an insert with that w, as a server with that default. */
static struct null_asked asked_with(const char *w, bool retryable, bool default_majority)
{
    const struct request_options options = {.command = REQUEST_INSERT,
                                            .database = "d",
                                            .collection = "c",
                                            .documents = 4,
                                            .retryable = retryable,
                                            .write_concern = w};
    const struct null_options server = {.find_documents = 1, .default_majority = default_majority};
    struct null_replies *own = null_replies_make(&server);
    struct request request;
    struct null_asked asked;
    assert_non_null(own);
    assert_true(request_make(&options, &request));
    out.len = 0;
    assert_int_equal(
        null_answer(own, bytes_of(request.bytes, request.len), &counters, &out, &asked),
        NULL_ANSWERED);
    request_free(&request);
    null_replies_free(own);
    return asked;
}

static void test_write_concerns(void **state)
{
    (void)state;
    static const struct {
        const char *w;
        bool default_majority;
        bool durable;
    } cases[] = {{NULL, false, false},      {NULL, true, true},  {"1", false, false},
                 {"1", true, false},        {"0", true, false},  {"2", false, true},
                 {"majority", false, true}, {"tag", false, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct null_asked asked = asked_with(cases[i].w, i % 2 == 0, cases[i].default_majority);
        assert_int_equal(asked.durable, cases[i].durable);
        assert_true(asked.insert && asked.documents == 4 && !asked.handshake);
        assert_int_equal(asked.retryable, i % 2 == 0);
    }
}

/* Every byte of a message set wrong, and every cut of it: an answer or a refusal, nothing else. */
static void test_damaged_messages(void **state)
{
    (void)state;
    const struct request_options options = {.command = REQUEST_INSERT,
                                            .database = "d",
                                            .collection = "c",
                                            .documents = 2,
                                            .retryable = true};
    struct request request;
    struct null_asked asked;
    assert_true(request_make(&options, &request));
    uint8_t *copy = memory_alloc(request.len);
    for (size_t i = WIRE_HEADER_BYTES; i < request.len; i++) {
        memcpy(copy, request.bytes, request.len);
        copy[i] ^= 0xFF;
        (void)answer(copy, request.len, &asked);
        (void)answer(copy, i, &asked);
    }
    assert_int_equal(answer(request.bytes, WIRE_HEADER_BYTES + 3, &asked), NULL_BROKEN);
    memory_free(copy);
    request_free(&request);
}

static void test_errors_are_seen(void **state)
{
    (void)state;
    static const char ok_0[] = "\x37\0\0\0\0\0\0\0\x07\0\0\0\xdd\x07\0\0\0\0\0\0\0"
                               "\x22\0\0\0\x10ok\0\0\0\0\0\x02"
                               "errmsg\0\x03\0\0\0no\0\x10"
                               "code\0\x0b\0\0";
    uint8_t message[64] = {0};
    memcpy(message, ok_0, sizeof ok_0 - 1);
    message[0] = 16 + 5 + 39;
    message[21] = 39;
    struct bytes reply = bytes_of(message, message[0]);
    assert_int_equal(reply_check(reply, 7, 0, reason, sizeof reason), REPLY_ERROR);
    assert_string_equal(reason, "ok: 0: code 11: no");
    assert_int_equal(reply_check(reply, 8, 0, reason, sizeof reason), REPLY_BROKEN);

    const struct request_options ping = {.command = REQUEST_PING};
    assert_int_equal(round_trip(&ping), REPLY_OK);
    assert_int_equal(reply_check(bytes_of(out.data, out.len), 77, 1, reason, sizeof reason),
                     REPLY_ERROR);
    assert_string_equal(reason, "n is 0, but 1 documents were sent");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_command_round_trips, setup, teardown),
        cmocka_unit_test_setup_teardown(test_find_obeys_its_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stamped_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_padding_gives_the_size, setup, teardown),
        cmocka_unit_test_setup_teardown(test_legacy_hello, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_to_come_gets_no_reply, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_concerns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors_are_seen, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
