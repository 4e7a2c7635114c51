/* insert: the forwarded documents, the removed documents, and the reply to the client. */
#include "support.h"

#include <stdio.h>

#include "base/memory.h"
#include "wire/sections.h"

#define FILE_A  "{\"ns\":\"d.c\"," REQUIRES_A "}"
#define GOOD    "{\"_id\":1,\"a\":1}"
#define BAD     "{\"_id\":2}"
#define GOOD_3  "{\"_id\":3,\"a\":1}"
#define BAD_4   "{\"_id\":4}"
#define ORDERED "{\"insert\":\"c\",\"$db\":\"d\"}"
#define ANY     "{\"insert\":\"c\",\"ordered\":false,\"$db\":\"d\"}"

static struct support_message insert(const char *body, const char *documents)
{
    return (struct support_message){.body = body, .name = "documents", .documents = documents};
}

static void test_valid(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, FILE_A);
    struct support_message m = insert(ORDERED, "[" GOOD "," GOOD_3 "]");
    fixture_forwards(&f, &m);
    m.sequence_first = true;
    fixture_forwards(&f, &m);
    m.flags = WIRE_FLAG_CHECKSUM_PRESENT;
    fixture_forwards(&f, &m);
    fixture_forwards(&f, &(struct support_message){.body = "{\"insert\":\"c\",\"documents\":[" GOOD
                                                           "],\"$db\":\"d\"}"});
    fixture_counted(&f, REGISTRY_PASSED, 7);
    fixture_counted(&f, REGISTRY_REFUSED, 0);
    /* the time of each portion, without the time between them */
    fixture_counted(&f, REGISTRY_CHECK_NS, 4 * 3 * 7);
    assert_string_equal(f.told, "");
    fixture_close(&f);
}

static void test_other_commands(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, FILE_A);
    struct support_message m = insert("{\"insert\":\"other\",\"$db\":\"d\"}", "[" BAD "]");
    fixture_forwards(&f, &m);
    m.body = "{\"insert\":\"c\",\"$db\":\"other\"}";
    fixture_forwards(&f, &m);
    m.body = "{\"inserts\":\"c\",\"$db\":\"d\"}";
    fixture_forwards(&f, &m);
    /* A namespace that no server has. */
    char body[1024];
    char name[700];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = 0;
    (void)snprintf(body, sizeof body, "{\"insert\":\"%s\",\"$db\":\"d\"}", name);
    m = insert(body, "[" BAD "]");
    fixture_forwards(&f, &m);
    (void)snprintf(body, sizeof body, "{\"insert\":\"c\",\"$db\":\"%s\"}", name);
    fixture_forwards(&f, &m);
    fixture_close(&f);
}

static void test_all_bad(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, FILE_A);
    struct support_message m = insert(ANY, "[" BAD "," BAD_4 "]");
    fixture_answers(
        &f, &m,
        "{\"n\":0,\"writeErrors\":[" ERROR_A("0", "2") "," ERROR_A("1", "4") "],\"ok\":1.0}");
    assert_string_equal(f.told, "d.c refused required a|d.c refused required a|");
    assert_true(f.info_len > 0);
    m = insert(ORDERED, "[" BAD "," GOOD "," BAD_4 "]");
    fixture_answers(&f, &m, "{\"n\":0,\"writeErrors\":[" ERROR_A("0", "2") "],\"ok\":1.0}");
    fixture_counted(&f, REGISTRY_REFUSED, 3);
    fixture_counted(&f, REGISTRY_DROPPED, 0);
    fixture_counted(&f, REGISTRY_PASSED, 0);
    fixture_close(&f);
}

static void test_unordered(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, FILE_A);
    struct support_message m = insert(ANY, "[" BAD "," GOOD "," BAD_4 "," GOOD_3 "," BAD "]");
    struct support_message by = insert(ANY, "[" GOOD "," GOOD_3 "]");
    fixture_replaces(&f, &m, &by);
    fixture_splices(
        &f, "{\"n\":2,\"opTime\":{\"t\":1},\"ok\":1.0,\"more\":[1]}",
        "{\"n\":2,\"writeErrors\":[" ERROR_A("0", "2") "," ERROR_A("2", "4") "," ERROR_A(
            "4", "2") "],\"opTime\":{\"t\":1},\"ok\":1.0,\"more\":[1]}");
    /* The server's own errors between ours, and everything else in its place. */
    fixture_replaces(&f, &m, &by);
    fixture_splices(
        &f,
        "{\"electionId\":7,\"n\":0,\"writeErrors\":[{\"index\":0,\"code\":11000,\"keyPattern\":{"
        "\"_id\":1},\"errmsg\":\"dup\"},{\"index\":1,\"code\":11000,\"errmsg\":\"\"}],"
        "\"writeConcernError\":{\"code\":64},\"ok\":1.0}",
        "{\"electionId\":7,\"n\":0,\"writeErrors\":[" ERROR_A(
            "0", "2") ",{\"index\":1,\"code\":11000,\"keyPattern\":{\"_id\":1},\"errmsg\":\"dup\"}"
                      "," ERROR_A("2", "4") ",{\"index\":3,\"code\":11000,\"errmsg\":\"\"}"
                                            "," ERROR_A("4", "2") "],\"writeConcernError\":{"
                                                                  "\"code\":64},\"ok\":1.0}");
    fixture_counted(&f, REGISTRY_PASSED, 4);
    fixture_counted(&f, REGISTRY_REFUSED, 6);
    /* A command that failed did nothing: its error alone. */
    fixture_replaces(&f, &m, &by);
    fixture_splices(&f, "{\"ok\":0.0,\"errmsg\":\"no\",\"code\":10107}",
                    "{\"ok\":0.0,\"errmsg\":\"no\",\"code\":10107}");
    /* Replies that are none. */
    fixture_replaces(&f, &m, &by);
    fixture_splices(&f, "{\"ok\":1.0,\"writeErrors\":1}",
                    "{\"writeErrors\":[" ERROR_A("0", "2") "," ERROR_A("2", "4") "," ERROR_A(
                        "4", "2") "],\"ok\":1.0,\"writeErrors\":1}");
    fixture_replaces(&f, &m, &by);
    fixture_splices(&f, "{\"ok\":1,\"writeErrors\":[1,{\"index\":-1},{\"index\":\"x\"}]}",
                    "{\"ok\":1,\"writeErrors\":[1,{\"index\":-1},{\"index\":\"x\"}," ERROR_A(
                        "0", "2") "," ERROR_A("2", "4") "," ERROR_A("4", "2") "]}");
    fixture_close(&f);
}

static void test_ordered(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, FILE_A);
    struct support_message m = insert(ORDERED, "[" GOOD "," GOOD_3 "," BAD "," GOOD "]");
    struct support_message by = insert(ORDERED, "[" GOOD "," GOOD_3 "]");
    fixture_replaces(&f, &m, &by);
    fixture_splices(&f, "{\"n\":2,\"ok\":1.0}",
                    "{\"n\":2,\"writeErrors\":[" ERROR_A("2", "2") "],\"ok\":1.0}");
    fixture_replaces(&f, &m, &by);
    fixture_splices(&f, "{\"n\":2,\"writeErrors\":[],\"ok\":1.0}",
                    "{\"n\":2,\"writeErrors\":[" ERROR_A("2", "2") "],\"ok\":1.0}");
    /* The server stopped before it would have come to the bad one. */
    fixture_replaces(&f, &m, &by);
    fixture_splices(
        &f, "{\"n\":1,\"writeErrors\":[{\"index\":1,\"code\":11000,\"errmsg\":\"d\"}],\"ok\":1.0}",
        "{\"n\":1,\"writeErrors\":[{\"index\":1,\"code\":11000,\"errmsg\":\"d\"}],\"ok\":1.0}");
    fixture_counted(&f, REGISTRY_PASSED, 6);
    fixture_counted(&f, REGISTRY_REFUSED, 3);
    m = insert("{\"insert\":\"c\",\"ordered\":null,\"$db\":\"d\"}", "[" BAD "," GOOD "]");
    fixture_answers(&f, &m, "{\"n\":0,\"writeErrors\":[" ERROR_A("0", "2") "],\"ok\":1.0}");
    fixture_close(&f);
}

static void test_forms(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, FILE_A);
    struct support_message m = {.flags = WIRE_FLAG_CHECKSUM_PRESENT | WIRE_FLAG_EXHAUST_ALLOWED,
                                .body = ANY,
                                .name = "documents",
                                .documents = "[" BAD "," GOOD "]",
                                .sequence_first = true};
    struct support_message by = m;
    by.flags = WIRE_FLAG_EXHAUST_ALLOWED;
    by.documents = "[" GOOD "]";
    fixture_replaces(&f, &m, &by);
    /* In the body, with numbered statements. */
    m = (struct support_message){
        .body = "{\"insert\":\"c\",\"ordered\":false,\"stmtIds\":[5,6,7],\"documents\":[" BAD
                "," GOOD "," GOOD_3
                "],\"txnNumber\":{\"$numberLong\":\"3\"},\"lsid\":{\"id\":1},\"$db\":\"d\"}"};
    by = (struct support_message){
        .body =
            "{\"insert\":\"c\",\"ordered\":false,\"stmtIds\":[6,7],\"documents\":[" GOOD "," GOOD_3
            "],\"txnNumber\":{\"$numberLong\":\"3\"},\"lsid\":{\"id\":1},\"$db\":\"d\"}"};
    fixture_replaces(&f, &m, &by);
    m = insert("{\"insert\":\"c\",\"stmtId\":8,\"ordered\":false,\"$db\":\"d\"}",
               "[" BAD "," GOOD "," BAD "," GOOD_3 "]");
    by = insert("{\"insert\":\"c\",\"stmtIds\":[9,11],\"ordered\":false,\"$db\":\"d\"}",
                "[" GOOD "," GOOD_3 "]");
    fixture_replaces(&f, &m, &by);
    /* A retryable write: a retry after a change of the schema must have the same numbers. */
#define RETRYABLE "\"txnNumber\":{\"$numberLong\":\"3\"},\"lsid\":{\"id\":1},\"$db\":\"d\""
    m = insert("{\"insert\":\"c\",\"ordered\":false," RETRYABLE "}",
               "[" BAD "," GOOD "," BAD "," GOOD_3 "]");
    by = insert("{\"insert\":\"c\",\"ordered\":false," RETRYABLE ",\"stmtIds\":[1,3]}",
                "[" GOOD "," GOOD_3 "]");
    fixture_replaces(&f, &m, &by);
    m = (struct support_message){.body = "{\"insert\":\"c\",\"ordered\":false,\"documents\":[" BAD
                                         "," GOOD "]," RETRYABLE "}"};
    by = (struct support_message){.body = "{\"insert\":\"c\",\"ordered\":false,\"documents\":[" GOOD
                                          "]," RETRYABLE ",\"stmtIds\":[1]}"};
    fixture_replaces(&f, &m, &by);
    m = insert("{\"insert\":\"c\"," RETRYABLE "}", "[" GOOD "," BAD "]"); /* it stops there */
    by = insert("{\"insert\":\"c\"," RETRYABLE "}", "[" GOOD "]");
    fixture_replaces(&f, &m, &by);
    m = insert("{\"insert\":\"c\",\"ordered\":false,\"apiStrict\":true," RETRYABLE "}",
               "[" BAD "," GOOD "]");
    by = insert("{\"insert\":\"c\",\"ordered\":false,\"apiStrict\":true," RETRYABLE "}",
                "[" GOOD "]");
    fixture_replaces(&f, &m, &by);
#undef RETRYABLE
    m = insert("{\"insert\":\"c\",\"stmtId\":8,\"$db\":\"d\"}", "[" GOOD "," BAD "," GOOD_3 "]");
    by = insert("{\"insert\":\"c\",\"stmtIds\":[8],\"$db\":\"d\"}", "[" GOOD "]");
    fixture_replaces(&f, &m, &by);
    m = insert("{\"insert\":\"c\",\"stmtId\":-8,\"$db\":\"d\"}", "[" GOOD "," BAD "]");
    by = insert("{\"insert\":\"c\",\"stmtId\":-8,\"$db\":\"d\"}", "[" GOOD "]");
    fixture_replaces(&f, &m, &by);
    fixture_close(&f);
}

static void test_transaction(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, FILE_A);
    struct support_message m = insert(ANY, "[" GOOD "," BAD "," GOOD_3 "]");
    m.in_transaction = true;
    struct support_message by = insert(ANY, "[" GOOD "]");
    fixture_replaces(&f, &m, &by);
    fixture_splices(&f, "{\"n\":1,\"ok\":1.0}",
                    "{\"n\":1,\"writeErrors\":[" ERROR_A("1", "2") "],\"ok\":1.0}");
    m.documents = "[" BAD "," GOOD "," BAD_4 "]";
    fixture_answers(&f, &m, "{\"n\":0,\"writeErrors\":[" ERROR_A("0", "2") "],\"ok\":1.0}");
    m.documents = "[" GOOD "]";
    fixture_forwards(&f, &m);
    fixture_close(&f);
}

static void test_silent(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, FILE_A);
    struct support_message m = insert(ANY, "[" BAD "," GOOD "," BAD_4 "]");
    m.flags = WIRE_FLAG_MORE_TO_COME;
    struct support_message by = m;
    by.documents = "[" GOOD "]";
    fixture_replaces(&f, &m, &by);
    m.documents = "[" BAD "]";
    fixture_drops(&f, &m);
    m.body = ORDERED;
    m.documents = "[" GOOD "," BAD "," GOOD_3 "]";
    by.body = ORDERED;
    fixture_replaces(&f, &m, &by);
    m.documents = "[" BAD "," GOOD "]";
    fixture_drops(&f, &m);
    m.documents = "[" GOOD "]";
    fixture_forwards(&f, &m);
    fixture_counted(&f, REGISTRY_REFUSED, 5);
    fixture_counted(&f, REGISTRY_DROPPED, 5);
    fixture_close(&f);
}

/* w: 0, and it waits for a reply: {ok: 1}, as the server answers. */
static void test_unacknowledged(void **state)
{
    (void)state;
    static const char *const told[] = {"{\"w\":0,\"j\":true}", "{\"w\":0,\"fsync\":true}",
                                       "{\"w\":1}", "{\"w\":\"0\"}", "{}"};
    static const char *const unheard[] = {"{\"w\":0}", "{\"w\":{\"$numberLong\":\"0\"}}",
                                          "{\"w\":0.0,\"j\":false}"};
    char body[256];
    struct fixture f;
    fixture_open(&f, FILE_A);
    for (size_t i = 0; i < sizeof unheard / sizeof unheard[0]; i++) {
        (void)snprintf(body, sizeof body,
                       "{\"insert\":\"c\",\"ordered\":false,\"writeConcern\":%s,\"$db\":\"d\"}",
                       unheard[i]);
        struct support_message m = insert(body, "[" BAD "," GOOD "," BAD_4 "]");
        struct support_message by = m;
        by.documents = "[" GOOD "]";
        fixture_replaces(&f, &m, &by);
        fixture_splices(&f, "{\"ok\":1.0,\"operationTime\":5}", "{\"ok\":1.0,\"operationTime\":5}");
        fixture_replaces(&f, &m, &by);
        fixture_splices(&f, "{\"n\":0,\"writeErrors\":[{\"index\":0}],\"ok\":1.0}", "{\"ok\":1.0}");
        fixture_replaces(&f, &m, &by);
        fixture_splices(&f, "{\"ok\":0.0,\"code\":13}", "{\"ok\":0.0,\"code\":13}");
        m.documents = "[" BAD "]";
        fixture_answers(&f, &m, "{\"ok\":1.0}");
    }
    fixture_counted(&f, REGISTRY_DROPPED, 7 * 3);
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        (void)snprintf(body, sizeof body,
                       "{\"insert\":\"c\",\"ordered\":false,\"writeConcern\":%s,\"$db\":\"d\"}",
                       told[i]);
        struct support_message m = insert(body, "[" BAD "]");
        fixture_answers(&f, &m, "{\"n\":0,\"writeErrors\":[" ERROR_A("0", "2") "],\"ok\":1.0}");
    }
    fixture_counted(&f, REGISTRY_DROPPED, 7 * 3);
    fixture_close(&f);
}

static void test_bypass(void **state)
{
    (void)state;
    struct fixture f;
    const char *body = "{\"insert\":\"c\",\"bypassDocumentValidation\":true,\"$db\":\"d\"}";
    struct support_message m = insert(body, "[" BAD "," BAD_4 "]");
    fixture_open(&f, FILE_A);
    fixture_forwards(&f, &m);
    fixture_counted(&f, REGISTRY_BYPASSED, 2);
    fixture_counted(&f, REGISTRY_PASSED, 0);
    m.body = "{\"insert\":\"c\",\"bypassDocumentValidation\":false,\"$db\":\"d\"}";
    fixture_answers(&f, &m, "{\"n\":0,\"writeErrors\":[" ERROR_A("0", "2") "],\"ok\":1.0}");
    fixture_close(&f);
    fixture_open(&f, "{\"ns\":\"d.c\",\"allow_bypass\":false," REQUIRES_A "}");
    m.body = body;
    fixture_answers(&f, &m, "{\"n\":0,\"writeErrors\":[" ERROR_A("0", "2") "],\"ok\":1.0}");
    fixture_counted(&f, REGISTRY_BYPASSED, 0);
    fixture_close(&f);
}

static void test_actions_and_levels(void **state)
{
    (void)state;
    struct fixture f;
    struct support_message m = insert(ORDERED, "[" BAD "," GOOD "]");
    const char *refused = "{\"n\":0,\"writeErrors\":[" ERROR_A("0", "2") "],\"ok\":1.0}";
    fixture_open(&f, "{\"ns\":\"d.c\",\"action\":\"warn\"," REQUIRES_A "}");
    fixture_forwards(&f, &m);
    assert_string_equal(f.told, "d.c warned required a|");
    fixture_counted(&f, REGISTRY_WARNED, 1);
    fixture_counted(&f, REGISTRY_PASSED, 1);
    fixture_counted(&f, REGISTRY_REFUSED, 0);
    fixture_close(&f);
    fixture_open(&f, "{\"ns\":\"d.c\",\"action\":\"errorAndLog\"," REQUIRES_A "}");
    fixture_answers(&f, &m, refused);
    assert_string_equal(f.told, "d.c refused required a|");
    fixture_close(&f);
    fixture_open(&f, "{\"ns\":\"d.c\",\"level\":\"moderate\"," REQUIRES_A "}");
    fixture_answers(&f, &m, refused);
    fixture_close(&f);
    fixture_open(&f, "{\"ns\":\"d.c\",\"level\":\"off\"," REQUIRES_A "}");
    fixture_forwards(&f, &m);
    fixture_counted(&f, REGISTRY_PASSED, 0);
    fixture_close(&f);
}

/* The server adds an ObjectId in front. */
static void test_without_id(void **state)
{
    (void)state;
    struct fixture f;
    struct support_message m = insert(ORDERED, "[{\"a\":1},{\"a\":1,\"_id\":2}]");
    fixture_open(&f, "{\"ns\":\"d.c\",\"schema\":{\"required\":[\"_id\"],\"additionalProperties\":"
                     "false,\"properties\":{\"_id\":{},\"a\":{}}}}");
    fixture_forwards(&f, &m);
    m.documents = "[{\"b\":1}]";
    fixture_answers(&f, &m,
                    "{\"n\":0,\"writeErrors\":[{\"index\":0,\"code\":121,\"errInfo\":{\"details\":{"
                    "\"operatorName\":\"$jsonSchema\",\"schemaRulesNotSatisfied\":[{"
                    "\"operatorName\":\"additionalProperties\",\"specifiedAs\":{"
                    "\"additionalProperties\":false},\"additionalProperties\":[\"b\"]}]}},"
                    "\"errmsg\":\"Document failed validation\"}],\"ok\":1.0}");
    assert_string_equal(f.told, "d.c refused additionalProperties b|");
    fixture_close(&f);
    fixture_open(&f, "{\"ns\":\"d.c\",\"schema\":{\"properties\":{\"_id\":{\"bsonType\":\"int\"}}"
                     "}}");
    m.documents = "[{\"_id\":1},{}]";
    struct support_message by = insert(ORDERED, "[{\"_id\":1}]");
    fixture_replaces(&f, &m, &by);
    assert_string_equal(f.told, "d.c refused _id: bsonType|");
    fixture_close(&f);
}

static void test_malformed(void **state)
{
    (void)state;
    struct fixture f;
    struct error err = {0};
    struct enforce_result result;
    fixture_open(&f, FILE_A);
    /* In {"_id":1,"a":"xy"} and {"a":"xy"}: a string that is no UTF-8. */
    static const char *const documents[] = {"[{\"_id\":1,\"a\":\"xy\"}]", "[{\"a\":\"xy\"}]"};
    for (size_t i = 0; i < 2; i++) {
        struct support_message m = insert(ORDERED, documents[i]);
        size_t len = 0;
        uint8_t *payload = support_payload(&m, &len);
        struct wire_command parsed;
        struct enforce_command command = support_command(&m, bytes_of(payload, len), &parsed);
        assert_true(enforce_concerns(f.registry, &command));
        uint8_t *x = memchr(payload + len - 8, 'x', 8);
        *x = 0xFF;
        assert_false(enforce_check(f.registry, f.scratch, &command, NULL, &result, &err));
        assert_int_equal(err.code, ERROR_INVALID_BSON);
        *x = 'x';
        assert_false(parsed.lists[0].validated);
        assert_true(enforce_check(f.registry, f.scratch, &command, NULL, &result, &err));
        assert_true(parsed.lists[0].validated);
        /* Cut in a document, in a section, in the flags. */
        for (size_t cut = 1; cut <= 10; cut++) {
            assert_false(wire_command_read_whole(bytes_of(payload, len - cut), &parsed, &err));
            assert_int_equal(err.code, ERROR_PROTOCOL);
        }
        assert_false(wire_command_read_whole(bytes_of(payload, 3), &parsed, &err));
        memory_free(payload);
    }
    fixture_counted(&f, REGISTRY_PASSED, 2);
    fixture_counted(&f, REGISTRY_REFUSED, 0);
    fixture_fails(&f,
                  &(struct support_message){.body = "{\"insert\":\"c\",\"documents\":[" GOOD
                                                    "],\"$db\":\"d\"}",
                                            .name = "documents",
                                            .documents = "[" GOOD "]"},
                  40433);
    fixture_fails(&f,
                  &(struct support_message){.body = ORDERED,
                                            .name = "documents",
                                            .documents = "[" GOOD "]",
                                            .name_2 = "documents",
                                            .documents_2 = "[" GOOD "]"},
                  40431);
    fixture_fails(&f,
                  &(struct support_message){.body = "{\"insert\":\"c\",\"documents\":[" GOOD
                                                    "],\"documents\":[],\"$db\":\"d\"}"},
                  40413);
    fixture_close(&f);
}

/* A check that a limit cut off is a refusal that says so. */
static void test_cut_off(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "{\"ns\":\"d.c\",\"schema\":{\"properties\":{\"s\":{\"pattern\":"
                     "\"^(a+)+$\"}}}}");
    struct support_message m =
        insert(ORDERED, "[{\"_id\":1,\"s\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"}]");
    assert_true(fixture_check(&f, &m));
    assert_int_equal(f.result.outcome, ENFORCE_ANSWER);
    assert_non_null(strstr(f.told, "Document could not be validated: "));
    fixture_counted(&f, REGISTRY_REFUSED, 1);
    fixture_close(&f);
}

/* Errors of more than 1 MiB of text have "" from there on, and details end where a reply would
 * become too large. */
static void test_large_replies(void **state)
{
    (void)state;
    enum { MANY = 60000 };
    struct fixture f;
    fixture_open(&f, FILE_A);
    char *documents = memory_alloc((size_t)MANY * 8 + 8);
    size_t len = 0;
    documents[len++] = '[';
    static const uint8_t item[] = {'{', '"', 'b', '"', ':', '1', '}', ','};
    for (size_t i = 0; i < MANY; i++, len += sizeof item)
        memcpy(documents + len, item, sizeof item);
    documents[len - 1] = ']';
    documents[len] = 0;
    struct support_message m = insert(ANY, documents);
    assert_true(fixture_check(&f, &m));
    assert_int_equal(f.result.outcome, ENFORCE_ANSWER);
    assert_true(bytes_left(&f.result.reply) < 16777216);
    bson_t reply;
    bson_iter_t errors;
    bson_iter_t at;
    assert_true(bson_init_static(&reply, f.result.reply.pos, bytes_left(&f.result.reply)));
    unsigned texts = 0;
    unsigned infos = 0;
    unsigned count = 0;
    assert_true(bson_iter_init_find(&errors, &reply, "writeErrors"));
    assert_true(bson_iter_recurse(&errors, &at));
    for (; bson_iter_next(&at); count++) {
        bson_iter_t error_at;
        assert_true(bson_iter_recurse(&at, &error_at));
        assert_true(bson_iter_find(&error_at, "errmsg"));
        texts += bson_iter_utf8(&error_at, NULL)[0] != 0;
        assert_true(bson_iter_recurse(&at, &error_at));
        infos += bson_iter_find(&error_at, "errInfo");
    }
    assert_int_equal(count, MANY);
    assert_int_equal(texts, (1024 * 1024 + 25) / 26);
    assert_true(infos > 1000 && infos < MANY);
    memory_free(documents);
    fixture_close(&f);
}

/* In the server's words, and before any document is checked: 'Write batch sizes …'. */
static void refuses_as_too_many(struct fixture *f, const struct support_message *m, size_t count)
{
    char text[128];
    (void)snprintf(text, sizeof text,
                   "Write batch sizes must be between 1 and %u. Got %zu operations.",
                   f->max_statements, count);
    fixture_fails(f, m, ERROR_INVALID_LENGTH);
    assert_string_equal(f->err.message, text);
    assert_string_equal(f->told, "");
}

static void test_too_many(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, FILE_A);
    f.max_statements = 2;
    struct support_message m = insert(ANY, "[" GOOD "," BAD "," BAD "]");
    refuses_as_too_many(&f, &m, 3);
    m = insert(ORDERED, "[" BAD "," GOOD "," GOOD "," GOOD "]");
    refuses_as_too_many(&f, &m, 4);
    m.flags = WIRE_FLAG_MORE_TO_COME;
    refuses_as_too_many(&f, &m, 4);
    m = (struct support_message){.body = "{\"insert\":\"c\",\"documents\":[{},{},{}]}"};
    refuses_as_too_many(&f, &m, 3);
    m = (struct support_message){
        .body = "{\"update\":\"c\"}", .name = "updates", .documents = "[{},{},{}]"};
    refuses_as_too_many(&f, &m, 3);
    m = (struct support_message){.body = "{\"bulkWrite\":1,\"nsInfo\":[{\"ns\":\"d.c\"}]}",
                                 .name = "ops",
                                 .documents = "[{},{},{}]"};
    refuses_as_too_many(&f, &m, 3);
    m = (struct support_message){
        .body = "{\"bulkWrite\":1,\"ops\":[],\"nsInfo\":[{\"ns\":\"d.c\"},{},{}]}"};
    fixture_fails(&f, &m, ERROR_INVALID_LENGTH);
    m = insert(ANY, "[" GOOD "," GOOD_3 "]");
    fixture_forwards(&f, &m);
    fixture_counted(&f, REGISTRY_REFUSED, 0);
    fixture_close(&f);
}

/* What a check keeps is asked for first, and given back where the command ends there. */
static void test_room(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, FILE_A);
    struct support_message m = insert(ANY, "[" GOOD "," BAD "," BAD "," BAD "," BAD "," BAD "]");
    size_t refused = 0;
    for (f.room = 1;; f.room += 64) {
        if (fixture_check(&f, &m))
            break;
        assert_int_equal(f.err.code, ERROR_EXCEEDED_MEMORY_LIMIT);
        assert_non_null(strstr(f.err.message, "memory_max"));
        refused++;
    }
    assert_true(refused > 2);
    assert_int_equal(f.result.outcome, ENFORCE_REPLACE);
    m = insert(ANY, "[" BAD "]");
    f.room = 1;
    fixture_fails(&f, &m, ERROR_EXCEEDED_MEMORY_LIMIT);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_other_commands),
        cmocka_unit_test(test_all_bad),
        cmocka_unit_test(test_unordered),
        cmocka_unit_test(test_ordered),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_transaction),
        cmocka_unit_test(test_silent),
        cmocka_unit_test(test_unacknowledged),
        cmocka_unit_test(test_bypass),
        cmocka_unit_test(test_actions_and_levels),
        cmocka_unit_test(test_without_id),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_large_replies),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
