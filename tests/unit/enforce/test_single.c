/* Commands with one statement: findAndModify, and aggregate that writes. */
#include "support.h"

#include "wire/sections.h"

#define FILE_A   "{\"ns\":\"d.c\"," REQUIRES_A "}"
#define REJECT_A "{\"ns\":\"d.c\",\"unproved\":\"reject\"," REQUIRES_A "}"

static struct support_message body(const char *json)
{
    return (struct support_message){.body = json};
}

static void forwards(struct fixture *f, const char *json)
{
    struct support_message m = body(json);
    fixture_forwards(f, &m);
}

#define REFUSED(info)                                                                              \
    "{\"ok\":0.0,\"errmsg\":\"Document failed validation\",\"code\":121,\"codeName\":"             \
    "\"DocumentValidationFailure\",\"errInfo\":" info "}"

static void test_find_and_modify(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, FILE_A);
    forwards(&f, "{\"findAndModify\":\"c\",\"query\":{\"_id\":1},\"update\":{\"a\":1}}");
    forwards(&f, "{\"findandmodify\":\"c\",\"query\":{\"_id\":1},\"update\":{\"$set\":{\"b\":1}}}");
    fixture_counted(&f, REGISTRY_PASSED, 2);
    forwards(&f, "{\"findAndModify\":\"c\",\"query\":{\"_id\":1},\"remove\":true}");
    forwards(&f, "{\"findAndModify\":\"other\",\"query\":{\"_id\":1},\"update\":{}}");
    fixture_counted(&f, REGISTRY_PASSED, 2);
    forwards(&f, "{\"findAndModify\":\"c\",\"query\":{},\"update\":[{\"$unset\":\"a\"}]}");
    forwards(&f, "{\"findAndModify\":\"c\",\"update\":{\"$inc\":{\"a\":1}},\"upsert\":true}");
    fixture_counted(&f, REGISTRY_UNPROVED_ALLOWED, 2);
    forwards(&f,
             "{\"findAndModify\":\"c\",\"update\":{\"b\":1},\"bypassDocumentValidation\":true}");
    fixture_counted(&f, REGISTRY_BYPASSED, 1);
    struct support_message m =
        body("{\"findAndModify\":\"c\",\"query\":{\"_id\":2},\"update\":{\"b\":1},\"new\":true}");
    fixture_answers(&f, &m, REFUSED(LACKS_A("2")));
    m.in_transaction = true;
    fixture_answers(&f, &m, REFUSED(LACKS_A("2")));
    m.body = "{\"findandmodify\":\"c\",\"query\":{\"_id\":{\"$oid\":\"010203040506070809101112\"}},"
             "\"update\":{\"$unset\":{\"a\":1}},\"upsert\":true}";
    fixture_answers(
        &f, &m,
        REFUSED("{\"failingDocumentId\":{\"$oid\":\"010203040506070809101112\"},\"details\":{"
                "\"operatorName\":\"$jsonSchema\",\"updateOperator\":\"$unset\",\"path\":\"a\","
                "\"reason\":\"no document matches the schema after this update\"}}"));
    m.flags = WIRE_FLAG_MORE_TO_COME;
    fixture_drops(&f, &m);
    assert_true(f.result.aborts_transaction);
    fixture_counted(&f, REGISTRY_REFUSED, 4);
    fixture_counted(&f, REGISTRY_DROPPED, 1);
    m = body("{\"findAndModify\":\"c\",\"update\":{\"a\":1},\"update\":{}}");
    fixture_fails(&f, &m, 40413);
    m = body("{\"findAndModify\":\"c\",\"update\":{\"b\":1},\"documents\":1}");
    fixture_fails(&f, &m, 51177);
    fixture_close(&f);
}

static void test_aggregate_allowed(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, FILE_A);
    static const char *const writes[] = {
        "{\"aggregate\":\"x\",\"pipeline\":[{\"$match\":{}},{\"$out\":\"c\"}]}",
        "{\"aggregate\":\"x\",\"pipeline\":[{\"$out\":{\"db\":\"d\",\"coll\":\"c\"}}]}",
        "{\"aggregate\":\"x\",\"pipeline\":[{\"$out\":{\"coll\":\"c\"}}]}",
        "{\"aggregate\":\"x\",\"pipeline\":[{\"$merge\":\"c\"}]}",
        "{\"aggregate\":\"x\",\"pipeline\":[{\"$merge\":{\"into\":\"c\"}}]}",
        "{\"aggregate\":1,\"pipeline\":[{\"$merge\":{\"into\":{\"db\":\"d\",\"coll\":\"c\"}}}]}",
    };
    static const char *const others[] = {
        "{\"aggregate\":\"c\",\"pipeline\":[]}",
        "{\"aggregate\":\"c\",\"pipeline\":[{\"$match\":{}}]}",
        "{\"aggregate\":\"c\",\"pipeline\":[{\"$out\":\"x\"}]}",
        "{\"aggregate\":\"c\",\"pipeline\":[{\"$out\":{\"db\":\"x\",\"coll\":\"c\"}}]}",
        "{\"aggregate\":\"c\"}",
        "{\"aggregate\":\"c\",\"explain\":true,\"pipeline\":[{\"$out\":\"c\"}]}",
    };
    for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++) {
        forwards(&f, writes[i]);
        fixture_counted(&f, REGISTRY_UNPROVED_ALLOWED, i + 1);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        forwards(&f, others[i]);
    fixture_counted(&f, REGISTRY_UNPROVED_ALLOWED, 6);
    struct support_message m = {.body = "{\"aggregate\":\"x\"}",
                                .name = "pipeline",
                                .documents = "[{\"$match\":{}},{\"$out\":\"c\"}]"};
    fixture_fails(&f, &m, ERROR_TYPE_MISMATCH);
    fixture_close(&f);
}

static void test_aggregate_rejected(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, REJECT_A);
    struct support_message m = body("{\"aggregate\":\"x\",\"pipeline\":[{\"$merge\":\"c\"}]}");
    fixture_answers(&f, &m,
                    "{\"ok\":0.0,\"errmsg\":\"Document cannot be validated before the write, as "
                    "this namespace requires\",\"code\":121,\"codeName\":"
                    "\"DocumentValidationFailure\",\"errInfo\":{\"details\":{\"operatorName\":"
                    "\"$jsonSchema\",\"updateOperator\":\"$merge\",\"reason\":\"the documents of "
                    "the pipeline are not known before the write\"}}}");
    assert_string_equal(
        f.told,
        "d.c refused $merge: the documents of the pipeline are not known before the write|");
    fixture_counted(&f, REGISTRY_UNPROVED_REJECTED, 1);
    forwards(&f, "{\"aggregate\":\"x\",\"bypassDocumentValidation\":true,\"pipeline\":[{\"$out\":"
                 "\"c\"}]}");
    fixture_counted(&f, REGISTRY_BYPASSED, 1);
    m.name = "pipeline";
    m.documents = "[]";
    fixture_fails(&f, &m, 40472);
    fixture_close(&f);
}

enum { NESTED = 30, FIELDS = 1000, STAGES = 4 };

static void append_stage(bson_string_t *text)
{
    bson_string_append(text, "{\"$facet\":{");
    for (int i = 0; i < NESTED; i++)
        bson_string_append(text, "\"$merge\":{");
    for (int i = 0; i < FIELDS; i++)
        bson_string_append(text, i == 0 ? "\"f\":1" : ",\"f\":1");
    for (int i = 0; i < NESTED + 2; i++)
        bson_string_append(text, "}");
}

/* $merge in $merge: the check reads the inner stages once for each outer one, but within a limit.
 */
static void test_nested_writers(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, REJECT_A);
    for (int stages = 1; stages <= STAGES; stages += STAGES - 1) {
        bson_string_t *text =
            bson_string_new("{\"aggregate\":\"x\",\"$db\":\"free\",\"pipeline\":[");
        for (int i = 0; i < stages; i++) {
            bson_string_append(text, i == 0 ? "" : ",");
            append_stage(text);
        }
        bson_string_append(text, "]}");
        struct support_message m = body(text->str);
        if (stages == 1)
            fixture_forwards(&f, &m);
        else
            fixture_fails(&f, &m, 40600);
        bson_string_free(text, true);
    }
    fixture_close(&f);
}

/* Without a registry nothing is checked. */
static void test_no_schemas(void **state)
{
    (void)state;
    struct wire_command parsed = {.name = "insert", .name_len = 6, .known = COMMAND_INSERT};
    struct enforce_command command = {.parsed = &parsed};
    assert_false(enforce_concerns(NULL, &command));
    enforce_splice_free(NULL);
}

/* The line about a refusal: paths and operators, no values. */
static void test_reasons(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(
        &f, "{\"ns\":\"d.c\",\"action\":\"warn\",\"schema\":{\"required\":[\"x\",\"y\"],"
            "\"properties\":{\"s\":{\"properties\":{\"t\":{\"bsonType\":\"int\",\"minimum\":3}}},"
            "\"l\":{\"items\":{\"properties\":{\"q\":{\"enum\":[1]}}}},\"u\":{\"anyOf\":[{\"type\":"
            "\"string\"}]},\"m\":{\"additionalProperties\":{\"bsonType\":\"int\"}}},"
            "\"additionalProperties\":false}}");
    struct support_message m = {
        .body = "{\"insert\":\"c\"}",
        .name = "documents",
        .documents = "[{\"_id\":1,\"x\":1,\"s\":{\"t\":\"secret\"}},{\"_id\":1,\"x\":1,\"y\":1,"
                     "\"l\":[{\"q\":1},{\"q\":\"secret\"}]},{\"u\":1,\"m\":{\"k\":\"secret\"}}]"};
    fixture_forwards(&f, &m);
    assert_string_equal(f.told, "d.c warned s.t: bsonType; additionalProperties _id, x; required y|"
                                "d.c warned l.1.q: enum; additionalProperties _id, x, y|"
                                "d.c warned u: anyOf; m.k: bsonType; additionalProperties _id; "
                                "required x, y|");
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_and_modify),    cmocka_unit_test(test_aggregate_allowed),
        cmocka_unit_test(test_aggregate_rejected), cmocka_unit_test(test_nested_writers),
        cmocka_unit_test(test_no_schemas),         cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
