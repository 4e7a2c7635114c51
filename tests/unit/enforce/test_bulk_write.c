/* bulkWrite: operations on several namespaces, and its results. */
#include "support.h"

#include <stdio.h>

#include "base/memory.h"
#include "wire/sections.h"

#define HEAD    "{\"bulkWrite\":1,"
#define ORDERED HEAD "\"$db\":\"admin\"}"
#define ANY     HEAD "\"ordered\":false,\"$db\":\"admin\"}"
#define INFO    "[{\"ns\":\"d.free\"},{\"ns\":\"d.c\"},{\"ns\":\"e.warns\"}]"

#define FREE   "{\"insert\":0,\"document\":{\"_id\":9}}"
#define GOOD   "{\"insert\":1,\"document\":{\"_id\":1,\"a\":1}}"
#define BAD    "{\"insert\":1,\"document\":{\"_id\":2}}"
#define WARNED "{\"insert\":2,\"document\":{\"_id\":2}}"
#define UPDATE "{\"update\":1,\"filter\":{\"_id\":3},\"updateMods\":{\"$set\":{\"b\":1}}}"
#define UNSET  "{\"update\":1,\"filter\":{\"_id\":4},\"updateMods\":{\"$unset\":{\"a\":1}}}"
#define DELETE "{\"delete\":1,\"filter\":{\"_id\":5}}"

#define RESULT_BAD(idx)                                                                            \
    "{\"ok\":0.0,\"idx\":" idx ",\"code\":121,\"errmsg\":\"Document failed validation\","          \
    "\"errInfo\":" LACKS_A("2") ",\"n\":0}"
#define RESULT_UNSET(idx)                                                                          \
    "{\"ok\":0.0,\"idx\":" idx ",\"code\":121,\"errmsg\":\"Document failed validation\","          \
    "\"errInfo\":{\"failingDocumentId\":4,\"details\":{\"operatorName\":\"$jsonSchema\","          \
    "\"updateOperator\":\"$unset\",\"path\":\"a\",\"reason\":\"no document matches the schema "    \
    "after this update\"}},\"n\":0,\"nModified\":0}"
#define CURSOR(id, batch, items)                                                                   \
    "\"cursor\":{\"id\":{\"$numberLong\":\"" id "\"},\"" batch "\":[" items                        \
    "],\"ns\":\"admin.$cmd.bulkWrite\"}"

static struct support_message bulk(const char *body, const char *ops)
{
    return (struct support_message){
        .body = body, .name = "ops", .documents = ops, .name_2 = "nsInfo", .documents_2 = INFO};
}

static void open_bulk(struct fixture *f)
{
    fixture_open(f, "{\"ns\":\"d.c\"," REQUIRES_A "}");
    fixture_put(f, "{\"ns\":\"e.warns\",\"action\":\"warn\"," REQUIRES_A "}");
}

static void test_forward(void **state)
{
    (void)state;
    struct fixture f;
    open_bulk(&f);
    struct support_message m =
        bulk(ORDERED, "[" FREE "," GOOD "," UPDATE "," DELETE "," WARNED "," GOOD "]");
    fixture_forwards(&f, &m);
    fixture_counted(&f, REGISTRY_PASSED, 3);
    const struct registry_entry *warns = registry_find(f.registry, "e.warns", 7);
    assert_int_equal(warns->stats->counts[REGISTRY_WARNED], 1);
    assert_string_equal(f.told, "e.warns warned required a|");
    m.sequence_first = true;
    fixture_forwards(&f, &m);
    m.documents_2 = "[{\"ns\":\"d.free\"}]";
    m.documents = "[" FREE "]";
    fixture_forwards(&f, &m);
    fixture_forwards(&f, &(struct support_message){.body = ORDERED});
    fixture_forwards(&f, &(struct support_message){
                             .body = HEAD "\"ops\":[" BAD "],\"nsInfo\":[],\"$db\":\"admin\"}"});
    m = bulk(HEAD "\"bypassDocumentValidation\":true,\"$db\":\"admin\"}", "[" BAD "," UNSET "]");
    fixture_forwards(&f, &m);
    fixture_counted(&f, REGISTRY_BYPASSED, 2);
    fixture_close(&f);
}

static void test_answer(void **state)
{
    (void)state;
    struct fixture f;
    open_bulk(&f);
    struct support_message m = bulk(ANY, "[" BAD "," UNSET "]");
    fixture_answers(&f, &m,
                    "{" CURSOR("0", "firstBatch",
                               RESULT_BAD("0") "," RESULT_UNSET(
                                   "1")) ","
                                         "\"nErrors\":2,\"nInserted\":0,\"nMatched\":0,"
                                         "\"nModified\":0,\"nUpserted\":0,"
                                         "\"nDeleted\":0,\"ok\":1.0}");
    m = bulk(ORDERED, "[" BAD "," GOOD "]");
    m.in_transaction = true;
    fixture_answers(
        &f, &m,
        "{" CURSOR("0", "firstBatch", RESULT_BAD("0")) ","
                                                       "\"nErrors\":1,\"nInserted\":0,\"nMatched\":"
                                                       "0,\"nModified\":0,\"nUpserted\":0,"
                                                       "\"nDeleted\":0,\"ok\":1.0}");
    m.flags = WIRE_FLAG_MORE_TO_COME;
    fixture_drops(&f, &m);
    fixture_counted(&f, REGISTRY_REFUSED, 4);
    fixture_counted(&f, REGISTRY_DROPPED, 1);
    fixture_close(&f);
}

static void test_splice(void **state)
{
    (void)state;
    struct fixture f;
    open_bulk(&f);
    struct support_message m = bulk(ANY, "[" BAD "," GOOD "," UNSET "," UPDATE "," BAD "]");
    struct support_message by = bulk(ANY, "[" GOOD "," UPDATE "]");
    fixture_replaces(&f, &m, &by);
    fixture_splices(&f,
                    "{" CURSOR("0", "firstBatch",
                               "{\"ok\":1.0,\"idx\":0,\"n\":1},{\"ok\":1.0,\"idx\":1,\"n\":1,"
                               "\"nModified\":1}") ","
                                                   "\"nErrors\":0,\"nInserted\":1,\"nMatched\":1,"
                                                   "\"ok\":1.0,\"opTime\":3}",
                    "{" CURSOR("0", "firstBatch",
                               RESULT_BAD("0") ",{\"ok\":1.0,\"idx\":1,\"n\":1}," RESULT_UNSET(
                                   "2") ",{\"ok\":1.0,\"idx\":3,\"n\":1,\"nModified\":1}"
                                        "," RESULT_BAD("4")) ","
                                                             "\"nErrors\":3,\"nInserted\":1,"
                                                             "\"nMatched\":1,\"ok\":1.0,\"opTime\":"
                                                             "3}");
    assert_int_equal(enforce_splice_cursor(f.result.splice), 0);
    /* errorsOnly */
    fixture_replaces(&f, &m, &by);
    fixture_splices(
        &f,
        "{" CURSOR("0", "firstBatch",
                   "{\"ok\":0.0,\"idx\":1,\"code\":1,\"errmsg\":\"x\"}") ",\"nErrors\":1,\"ok\":1}",
        "{" CURSOR("0", "firstBatch",
                   RESULT_BAD("0") "," RESULT_UNSET("2") ",{\"ok\":0.0,\"idx\":3,"
                                                         "\"code\":1,\"errmsg\":\"x\"}," RESULT_BAD(
                                                             "4")) ","
                                                                   "\"nErrors\":4,\"ok\":1}");
    /* It failed as a whole. */
    fixture_replaces(&f, &m, &by);
    fixture_splices(&f, "{\"ok\":0.0,\"code\":13}", "{\"ok\":0.0,\"code\":13}");
    fixture_close(&f);
}

static void test_splice_over_batches(void **state)
{
    (void)state;
    struct fixture f;
    open_bulk(&f);
    struct support_message m =
        bulk(ANY, "[" GOOD "," BAD "," GOOD "," BAD "," BAD "," GOOD "," BAD "]");
    struct support_message by = bulk(ANY, "[" GOOD "," GOOD "," GOOD "]");
    fixture_replaces(&f, &m, &by);
    fixture_splices(&f, "{" CURSOR("77", "firstBatch", "{\"idx\":0}") ",\"nErrors\":0,\"ok\":1}",
                    "{" CURSOR("77", "firstBatch", "{\"idx\":0}") ",\"nErrors\":4,\"ok\":1}");
    assert_int_equal(enforce_splice_cursor(f.result.splice), 77);
    fixture_splices(&f, "{" CURSOR("77", "nextBatch", "{\"idx\":1}") ",\"ok\":1}",
                    "{" CURSOR("77", "nextBatch", RESULT_BAD("1") ",{\"idx\":2}") ",\"ok\":1}");
    fixture_splices(&f, "{" CURSOR("0", "nextBatch", "{\"idx\":2}") ",\"ok\":1}",
                    "{" CURSOR("0", "nextBatch",
                               RESULT_BAD("3") "," RESULT_BAD("4") ",{\"idx\":5}," RESULT_BAD(
                                   "6")) ",\"ok\":1}");
    assert_int_equal(enforce_splice_cursor(f.result.splice), 0);
    /* The cursor is lost. */
    fixture_replaces(&f, &m, &by);
    fixture_splices(&f, "{" CURSOR("78", "firstBatch", "") ",\"ok\":1}",
                    "{" CURSOR("78", "firstBatch", "") ",\"ok\":1}");
    assert_int_equal(enforce_splice_cursor(f.result.splice), 78);
    fixture_splices(&f, "{\"ok\":0,\"code\":43}", "{\"ok\":0,\"code\":43}");
    assert_int_equal(enforce_splice_cursor(f.result.splice), 0);
    fixture_close(&f);
}

static void test_ordered(void **state)
{
    (void)state;
    struct fixture f;
    open_bulk(&f);
    struct support_message m = bulk(ORDERED, "[" GOOD "," FREE "," BAD "," GOOD "]");
    struct support_message by = bulk(ORDERED, "[" GOOD "," FREE "]");
    fixture_replaces(&f, &m, &by);
    fixture_splices(
        &f, "{" CURSOR("0", "firstBatch", "{\"idx\":0},{\"idx\":1}") ",\"nErrors\":0,\"ok\":1}",
        "{" CURSOR("0", "firstBatch",
                   "{\"idx\":0},{\"idx\":1}," RESULT_BAD("2")) ","
                                                               "\"nErrors\":1,\"ok\":1}");
    fixture_replaces(&f, &m, &by);
    fixture_splices(
        &f,
        "{" CURSOR("0", "firstBatch",
                   "{\"idx\":0},{\"ok\":0.0,\"idx\":1,\"code\":1}") ",\"nErrors\":1,\"ok\":1}",
        "{" CURSOR("0", "firstBatch",
                   "{\"idx\":0},{\"ok\":0.0,\"idx\":1,\"code\":1}") ",\"nErrors\":1,\"ok\":1}");
    m.flags = WIRE_FLAG_MORE_TO_COME;
    by.flags = m.flags;
    fixture_replaces(&f, &m, &by);
    /* Everything in the body. */
    m = (struct support_message){.body = HEAD "\"ops\":[" GOOD "," BAD "],\"nsInfo\":" INFO
                                              ",\"$db\":\"admin\"}"};
    by = (struct support_message){.body = HEAD "\"ops\":[" GOOD "],\"nsInfo\":" INFO
                                               ",\"$db\":\"admin\"}"};
    fixture_replaces(&f, &m, &by);
    fixture_close(&f);
}

static void test_many_namespaces(void **state)
{
    (void)state;
    struct fixture f;
    char info[2048] = "[";
    for (int i = 0; i < 40; i++) {
        size_t len = strlen(info);
        (void)snprintf(info + len, sizeof info - len, "{\"ns\":\"d.x%d\"},", i);
    }
    (void)strcat(info, "{\"ns\":\"d.c\"},{\"ns\":\"d.last\"}]");
    open_bulk(&f);
    struct support_message m =
        bulk(ORDERED, "[{\"insert\":40,\"document\":{\"_id\":2}},{\"insert\":41,\"document\":{}}]");
    m.documents_2 = info;
    assert_true(fixture_check(&f, &m));
    assert_int_equal(f.result.outcome, ENFORCE_ANSWER);
    fixture_close(&f);
}

static void test_malformed(void **state)
{
    (void)state;
    struct fixture f;
    open_bulk(&f);
    struct support_message m =
        bulk(ORDERED, "[{\"insert\":1,\"document\":{\"a\":1},\"document\":{}}]");
    fixture_fails(&f, &m, 40413);
    m.documents = "[{\"update\":1,\"filter\":{},\"updateMods\":{\"a\":1},\"updateMods\":{}}]";
    fixture_fails(&f, &m, 40413);
    m = bulk(HEAD "\"nsInfo\":" INFO ",\"$db\":\"admin\"}", "[" GOOD "]");
    fixture_fails(&f, &m, 40433);
    static const struct {
        const char *operation;
        int code;
    } wrong[] = {
        {"{}", ERROR_FAILED_TO_PARSE},
        {"{\"upsert\":1,\"document\":{}}", ERROR_FAILED_TO_PARSE},
        {"{\"insert\":\"x\",\"document\":{}}", ERROR_TYPE_MISMATCH},
        {"{\"insert\":0.5,\"document\":{}}", ERROR_TYPE_MISMATCH},
        {"{\"insert\":{\"$numberDecimal\":\"1\"},\"document\":{}}", ERROR_TYPE_MISMATCH},
        {"{\"insert\":-1,\"document\":{}}", ERROR_BAD_VALUE},
        {"{\"insert\":3,\"document\":{}}", ERROR_BAD_VALUE},
        {"{\"insert\":1}", 40414},
        {"{\"insert\":1,\"document\":1}", ERROR_TYPE_MISMATCH},
        {"{\"insert\":0,\"document\":{},\"insert\":1}", 40415},
        {"{\"insert\":0,\"document\":{},\"upsert\":true}", 40415},
        {"{\"delete\":0,\"filter\":{},\"insert\":1,\"document\":{}}", 40415},
        {"{\"update\":1,\"filter\":{},\"updateMods\":{\"a\":1},\"upsert\":1}", ERROR_TYPE_MISMATCH},
        {"{\"update\":1,\"filter\":{},\"updateMods\":1}", ERROR_FAILED_TO_PARSE},
        {"{\"update\":1,\"updateMods\":{}}", 40414},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char operations[512];
        /* also behind a refusal, which alone would be the answer */
        (void)snprintf(operations, sizeof operations, "[" BAD ",%s]", wrong[i].operation);
        m = bulk(ORDERED, operations);
        fixture_fails(&f, &m, wrong[i].code);
        m.documents_2 = "[{\"ns\":\"d.free\"},{\"ns\":\"d.other\"},{\"ns\":\"x.c\"}]";
        fixture_forwards(&f, &m);
    }
    static const char *const infos[] = {"[{\"ns\":\"d.c\",\"ns\":\"d.free\"},{\"ns\":\"d.x\"}]",
                                        "[{\"ns\":1},{\"ns\":\"d.x\"}]",
                                        "[{\"ns\":{\"$symbol\":\"d.c\"}},{\"ns\":\"d.x\"}]",
                                        "[{},{\"ns\":\"d.x\"}]",
                                        "[{\"ns\":\"\"},{\"ns\":\"d.x\"}]",
                                        "[{\"ns\":\"d.c\"},{\"ns\":\"d\"}]",
                                        "[{\"ns\":\"d.c\",\"other\":1},{\"ns\":\"d.x\"}]"};
    for (size_t i = 0; i < sizeof infos / sizeof infos[0]; i++) {
        m = bulk(ORDERED, "[" FREE "]");
        m.documents_2 = infos[i];
        assert_false(fixture_check(&f, &m));
    }
    m = (struct support_message){
        .body = HEAD "\"ops\":[" FREE "],\"nsInfo\":[null,{\"ns\":\"d.c\"}],\"$db\":\"admin\"}"};
    fixture_fails(&f, &m, ERROR_TYPE_MISMATCH);
    m.body = HEAD "\"ops\":[null],\"nsInfo\":" INFO ",\"$db\":\"admin\"}";
    fixture_fails(&f, &m, ERROR_TYPE_MISMATCH);
    /* A sequence that ends in the middle of a document; ops are the last but one section. */
    m = bulk(ORDERED, "[" GOOD "]");
    size_t len = 0;
    struct error err = {0};
    struct enforce_result result;
    uint8_t *payload = support_payload(&m, &len);
    struct wire_command parsed;
    struct enforce_command command = support_command(&m, bytes_of(payload, len), &parsed);
    uint8_t *ns_document = (uint8_t *)memmem(payload, len, "\2ns", 4) - 4;
    bytes_store_i32(ns_document, 100000);
    struct wire_command broken;
    assert_false(wire_command_read_whole(bytes_of(payload, len), &broken, NULL));
    assert_true(enforce_concerns(f.registry, &command));
    assert_false(enforce_check(f.registry, f.scratch, &command, NULL, &result, &err));
    assert_int_equal(err.code, ERROR_INVALID_BSON);
    memory_free(payload);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward),   cmocka_unit_test(test_answer),
        cmocka_unit_test(test_splice),    cmocka_unit_test(test_splice_over_batches),
        cmocka_unit_test(test_ordered),   cmocka_unit_test(test_many_namespaces),
        cmocka_unit_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
