/* Every allocation fails once: the i-th, for all i. Nothing leaks (the sanitizers look), the error
 * says so, and a command that is right in all its parts needs none. */
#include "support.h"

#include "base/memory.h"
#include "wire/sections.h"

#define GOOD "{\"_id\":1,\"a\":1}"
#define BAD  "{\"_id\":2}"

#define REPEAT_4(text)  text text text text
#define REPEAT_16(text) REPEAT_4(REPEAT_4(text))

static const char *file_a = "{\"ns\":\"d.c\",\"unproved\":\"reject\"," REQUIRES_A "}";

struct prepared {
    uint8_t *payload;
    struct wire_command parsed;
    struct enforce_command command;
};

static void prepare(const struct support_message *message, struct prepared *out)
{
    size_t len = 0;
    out->payload = support_payload(message, &len);
    out->command = support_command(message, bytes_of(out->payload, len), &out->parsed);
}

static void on_refused(void *arg, const struct registry_entry *entry, bool warned, bool silent,
                       const char *reason, struct bytes info)
{
    (void)silent;
    (void)arg;
    (void)warned;
    (void)info;
    assert_non_null(entry);
    assert_true(reason[0] != 0);
}

/* The splice with the i-th allocation failing. */
static bool splice_failing(struct enforce_splice *splice, long i)
{
    bson_t *document = support_json(
        "{\"n\":1,\"nErrors\":0,\"cursor\":{\"id\":0,\"firstBatch\":[{\"idx\":0}]},\"ok\":1}");
    struct build build;
    struct bytes reply;
    struct error err = {0};
    memory_fail_after(i);
    bool ok = enforce_splice_reply(splice, support_bytes(document), &build, &reply, &err);
    memory_fail_never();
    if (!ok)
        assert_int_equal(err.code, ERROR_EXCEEDED_MEMORY_LIMIT);
    build_free(&build);
    bson_destroy(document);
    return ok;
}

static void fail_each(const struct support_message *message, enum enforce_outcome outcome)
{
    struct fixture f;
    struct enforce_observer observer = {.refused = on_refused};
    struct prepared p;
    prepare(message, &p);
    bool ok = false;
    long failed = 0;
    fixture_open(&f, file_a);
    assert_true(enforce_concerns(f.registry, &p.command));
    for (long i = 1; i < 200; i++) {
        struct error err = {0};
        struct enforce_result result;
        memory_fail_after(i);
        ok = enforce_check(f.registry, f.scratch, &p.command, &observer, &result, &err);
        memory_fail_never();
        failed += !ok;
        if (!ok) {
            assert_int_equal(err.code, ERROR_EXCEEDED_MEMORY_LIMIT);
            continue;
        }
        assert_int_equal(result.outcome, outcome);
        if (result.splice != NULL && i % 8 == 0)
            for (long j = 1; j < 100 && !splice_failing(result.splice, j); j++)
                assert_in_range(j, 1, 98);
        enforce_result_release(&result);
    }
    assert_true(ok);
    assert_in_range(failed, 1, 50);
    fixture_close(&f);
    memory_free(p.payload);
}

static void test_each_allocation(void **state)
{
    (void)state;
    const char *documents = "[" GOOD "," BAD ",{\"b\":1},{\"a\":1}]";
    struct support_message m = {.body = "{\"insert\":\"c\",\"ordered\":false,\"stmtId\":1}",
                                .name = "documents",
                                .documents = documents};
    fail_each(&m, ENFORCE_REPLACE);
    m.flags = WIRE_FLAG_MORE_TO_COME;
    fail_each(&m, ENFORCE_REPLACE);
    m.documents = "[" BAD ",{\"b\":1}]";
    m.flags = 0;
    fail_each(&m, ENFORCE_ANSWER);
    m = (struct support_message){.body = "{\"insert\":\"c\",\"documents\":[" GOOD "," BAD "]}"};
    fail_each(&m, ENFORCE_REPLACE);
    m = (struct support_message){
        .body = "{\"update\":\"c\",\"ordered\":false}",
        .name = "updates",
        .documents = "[{\"q\":{\"_id\":1},\"u\":{\"$unset\":{\"a\":1}}},{\"q\":{},\"u\":{\"b\":1}},"
                     "{\"q\":{},\"u\":[]},{\"q\":{},\"u\":{\"$set\":{\"a\":1}},\"upsert\":true},"
                     "{\"q\":{},\"u\":{\"$set\":{\"a\":1}}}]"};
    fail_each(&m, ENFORCE_REPLACE);
    m = (struct support_message){
        .body = "{\"bulkWrite\":1,\"ordered\":false,\"ops\":[{\"insert\":0,\"document\":" GOOD
                "},{\"insert\":0,\"document\":" BAD "},{\"update\":0,\"filter\":{},\"updateMods\":{"
                "\"$unset\":{\"a\":1}}}],\"nsInfo\":[{\"ns\":\"d.c\"}" REPEAT_16(
                    ",{\"ns\":\"d.x\"}") "]}"};
    fail_each(&m, ENFORCE_REPLACE);
    m = (struct support_message){.body = "{\"findAndModify\":\"c\",\"update\":{\"b\":1}}"};
    fail_each(&m, ENFORCE_ANSWER);
    m = (struct support_message){.body = "{\"aggregate\":\"c\",\"pipeline\":[{\"$out\":\"c\"}]}"};
    fail_each(&m, ENFORCE_ANSWER);
}

static void test_set_details(void **state)
{
    (void)state;
    file_a = "{\"ns\":\"d.c\",\"schema\":{\"properties\":{\"a\":{\"bsonType\":\"int\"}}}}";
    struct support_message m = {.body = "{\"findAndModify\":\"c\",\"update\":{\"$set\":{\"a\":"
                                        "\"x\"}}}"};
    fail_each(&m, ENFORCE_ANSWER);
}

static void needs_none(const struct support_message *message)
{
    struct fixture f;
    struct error err = {0};
    struct enforce_result result;
    struct prepared p;
    prepare(message, &p);
    fixture_open(&f, "{\"ns\":\"d.c\"," REQUIRES_A "}");
    memory_fail_after(1);
    assert_true(enforce_concerns(f.registry, &p.command));
    bool ok = enforce_check(f.registry, f.scratch, &p.command, NULL, &result, &err);
    memory_fail_never();
    if (!ok)
        fail_msg("%s", err.message);
    assert_int_equal(result.outcome, ENFORCE_FORWARD);
    fixture_counted(&f, REGISTRY_PASSED, 2);
    enforce_result_release(&result);
    fixture_close(&f);
    memory_free(p.payload);
}

static void test_right_commands_allocate_nothing(void **state)
{
    (void)state;
    struct support_message m = {
        .body = "{\"insert\":\"c\"}", .name = "documents", .documents = "[" GOOD "," GOOD "]"};
    needs_none(&m);
    m = (struct support_message){.body = "{\"insert\":\"c\",\"documents\":[" GOOD "," GOOD "]}"};
    needs_none(&m);
    m = (struct support_message){.body = "{\"update\":\"c\"}",
                                 .name = "updates",
                                 .documents = "[{\"q\":{},\"u\":{\"$set\":{\"a\":1}}},{\"q\":{},"
                                              "\"u\":" GOOD "}]"};
    needs_none(&m);
    m = (struct support_message){
        .body = "{\"bulkWrite\":1,\"ops\":[{\"insert\":0,\"document\":" GOOD
                "},{\"update\":0,\"filter\":{},\"updateMods\":{\"$set\":{\"a\":1}}}],\"nsInfo\":[{"
                "\"ns\":\"d.c\"}]}"};
    needs_none(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_allocation),
        cmocka_unit_test(test_set_details),
        cmocka_unit_test(test_right_commands_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
