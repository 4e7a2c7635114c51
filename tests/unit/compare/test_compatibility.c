/* Verdicts about pairs of schemas, and the effect of each change. */
#include "support.h"

#include "base/memory.h"
#include "bson/scan.h"
#include "compare/changes.h"

#include <stdio.h>
#include <string.h>

static struct schema *compile(enum schema_dialect dialect, const char *json)
{
    struct error err = {0};
    bson_t *bson = support_json(json);
    struct schema *schema = schema_compile(support_bytes(bson), dialect, NULL, NULL, &err);
    if (schema == NULL)
        fail_msg("%s: %s", json, err.message);
    bson_destroy(bson);
    return schema;
}

static void assert_proof(const struct schema *accepts, const struct schema *refuses,
                         enum compatibility_answer answer, struct bytes proof)
{
    struct schema_scratch *scratch = schema_scratch_new();
    if (answer == COMPATIBILITY_NO) {
        assert_int_equal(schema_check(accepts, scratch, proof, NULL), SCHEMA_VALID);
        assert_int_equal(schema_check(refuses, scratch, proof, NULL), SCHEMA_INVALID);
    } else {
        assert_int_equal(bytes_left(&proof), 0);
    }
    schema_scratch_free(scratch);
}

static void assert_verdict(enum schema_dialect dialect, const char *old_json, const char *new_json,
                           const char *expected)
{
    const struct schema *a = compile(dialect, old_json);
    const struct schema *b = compile(dialect, new_json);
    struct compatibility_side before = {&a, 1};
    struct compatibility_side after = {&b, 1};
    struct compatibility verdict;
    assert_true(compatibility_judge(&before, &after, &verdict, NULL));
    if (strcmp(compatibility_verdict(&verdict), expected) != 0)
        fail_msg("%s -> %s: %s", old_json, new_json, compatibility_verdict(&verdict));
    assert_proof(a, b, verdict.backward, verdict.refused_by_new);
    assert_proof(b, a, verdict.forward, verdict.refused_by_old);
    compatibility_release(&verdict);
    schema_free((struct schema *)a);
    schema_free((struct schema *)b);
}

struct verdict_case {
    const char *old_json, *new_json, *verdict;
};

#define A(x)   "{\"properties\":{\"a\":" x "}}"
#define STRING "\"bsonType\":\"string\""
#define INT    "\"bsonType\":\"int\""
#define DOUBLE "\"bsonType\":\"double\""
#define ARRAY  "\"bsonType\":\"array\""

static const struct verdict_case mongodb_cases[] = {
    {"{}", "{}", "full"},
    {A("{" INT "}"), A("{" INT ",\"description\":\"x\"}"), "full"},
    {A("{" INT "}"), A("{\"bsonType\":[\"int\",\"long\"]}"), "backward"},
    {A("{" INT "}"), A("{\"bsonType\":\"number\"}"), "backward"},
    {A("{" INT "}"), A("{" STRING "}"), "incompatible"},
    {"{}", "{\"required\":[\"a\"]}", "forward"},
    {"{\"required\":[\"a\"]}", "{\"required\":[\"b\"]}", "incompatible"},
    {"{\"required\":[\"a\",\"b\"]}", "{\"required\":[\"b\",\"a\"]}", "full"},
    /* numbers */
    {A("{\"minimum\":0}"), A("{\"minimum\":1}"), "forward"},
    {A("{\"minimum\":0}"), A("{\"minimum\":0,\"exclusiveMinimum\":true}"), "forward"},
    {A("{" INT ",\"minimum\":0,\"exclusiveMinimum\":true}"), A("{" INT ",\"minimum\":1}"), "full"},
    {A("{" DOUBLE ",\"minimum\":0,\"exclusiveMinimum\":true}"), A("{" DOUBLE ",\"minimum\":1}"),
     "forward"},
    {A("{" INT ",\"minimum\":1.5}"), A("{" INT ",\"minimum\":2}"), "full"},
    {A("{" INT ",\"multipleOf\":6}"), A("{" INT ",\"multipleOf\":3}"), "backward"},
    {A("{" INT ",\"multipleOf\":6}"), A("{" INT ",\"multipleOf\":4}"), "incompatible"},
    {A("{" INT "}"), A("{" INT ",\"multipleOf\":1}"), "full"},
    {A("{" DOUBLE "}"), A("{" DOUBLE ",\"multipleOf\":1}"), "forward"},
    {A("{" INT ",\"minimum\":1,\"maximum\":2}"), A("{\"enum\":[1,2]}"), "backward"},
    {A("{\"enum\":[1,2]}"), A("{\"enum\":[1,2,3]}"), "backward"},
    {A("{\"enum\":[1]}"), A("{\"bsonType\":\"number\",\"minimum\":1,\"maximum\":1}"), "full"},
    {A("{\"minimum\":{\"$numberDouble\":\"NaN\"}}"), A("{\"maximum\":0}"), "incompatible"},
    /* strings */
    {A("{" STRING ",\"maxLength\":5}"), A("{" STRING ",\"maxLength\":4}"), "forward"},
    {A("{" STRING ",\"maxLength\":0}"), A("{\"enum\":[\"\"]}"), "backward"},
    {A("{" STRING ",\"pattern\":\"^[a-f]{2}$\"}"), A("{" STRING ",\"pattern\":\"^[a-z]{2}$\"}"),
     "backward"},
    {A("{" STRING ",\"pattern\":\"^[a-f]{2}$\"}"),
     A("{" STRING ",\"pattern\":\"^[a-f]{2}$\",\"maxLength\":3}"), "full"},
    {A("{" STRING ",\"pattern\":\"^[a-f]{2}$\"}"),
     A("{" STRING ",\"pattern\":\"^[a-f]{2}$\",\"maxLength\":2}"), "forward"},
    {A("{" STRING ",\"pattern\":\"^\\\\bx\\\\b\"}"), A("{" STRING ",\"pattern\":\"^\\\\bx\\\\b\"}"),
     "full"},
    /* arrays */
    {A("{" ARRAY ",\"items\":{" INT "}}"), A("{" ARRAY ",\"items\":{\"bsonType\":\"number\"}}"),
     "backward"},
    {A("{" ARRAY ",\"minItems\":1}"), A("{" ARRAY ",\"minItems\":2}"), "forward"},
    {A("{" ARRAY "}"), A("{" ARRAY ",\"uniqueItems\":true}"), "forward"},
    {A("{" ARRAY ",\"maxItems\":1}"), A("{" ARRAY ",\"maxItems\":1,\"uniqueItems\":true}"), "full"},
    {A("{" ARRAY ",\"items\":[{" INT "}],\"additionalItems\":false}"),
     A("{" ARRAY ",\"items\":[{" INT "},{" STRING "}]}"), "backward"},
    {A("{" ARRAY ",\"items\":{\"enum\":[true]},\"uniqueItems\":true,\"minItems\":2}"),
     A("{" STRING "}"), "unknown"},
    /* objects */
    {"{\"properties\":{\"a\":{" INT "}},\"additionalProperties\":false}",
     "{\"properties\":{\"a\":{" INT "},\"b\":{}},\"additionalProperties\":false}", "backward"},
    {A("{" INT "}"), "{\"properties\":{\"a\":{" INT "}},\"additionalProperties\":false}",
     "forward"},
    /* If several fields have the same name, $jsonSchema checks the first. */
    {"{\"properties\":{\"a\":{" INT "}},\"additionalProperties\":false}",
     "{\"additionalProperties\":{" INT "}}", "incompatible"},
    {"{\"patternProperties\":{\"^a\":{" INT "}}}", A("{" INT "}"), "backward"},
    {A("{" INT "}"), "{\"patternProperties\":{\"^a\":{" INT "}}}", "forward"},
    {"{\"patternProperties\":{\"^a\":{" INT "}},\"additionalProperties\":false}",
     "{\"patternProperties\":{\"^[ab]\":{" INT "}},\"additionalProperties\":false}", "backward"},
    {"{\"maxProperties\":2,\"required\":[\"a\",\"b\",\"c\"]}", "{\"enum\":[{}]}", "backward"},
    {"{\"minProperties\":1}", "{\"minProperties\":2}", "forward"},
    {"{\"dependencies\":{\"a\":[\"b\"]}}", "{\"dependencies\":{\"a\":[\"b\",\"c\"]}}", "forward"},
    {"{\"dependencies\":{\"a\":[\"b\"]},\"required\":[\"a\"]}", "{\"required\":[\"a\",\"b\"]}",
     "full"},
    {"{\"dependencies\":{\"a\":{\"required\":[\"b\"]}}}", "{\"dependencies\":{\"a\":[\"b\"]}}",
     "full"},
    /* combinations */
    {"{\"anyOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}",
     "{\"anyOf\":[{\"required\":[\"b\"]},{\"required\":[\"a\"]},{\"required\":[\"c\"]}]}",
     "backward"},
    {"{\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}",
     "{\"anyOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}", "backward"},
    {"{\"allOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}", "{\"required\":[\"b\",\"a\"]}",
     "full"},
    {"{\"not\":{\"required\":[\"a\"]}}", "{\"not\":{\"required\":[\"a\",\"b\"]}}", "backward"},
    {A("{\"anyOf\":[{" INT "},{\"bsonType\":\"null\"}]}"), A("{\"bsonType\":[\"int\",\"null\"]}"),
     "full"},
    {A("{\"bsonType\":\"bool\"}"), A("{\"enum\":[true,false]}"), "full"},
    {A("{\"bsonType\":\"binData\"}"), A("{\"encrypt\":{}}"), "forward"},
    {A("{\"encrypt\":{\"bsonType\":\"int\"}}"), A("{\"encrypt\":{}}"), "backward"},
    {"{\"bsonType\":\"string\"}", "{\"required\":[\"a\"]}", "backward"}, /* accepts nothing */
};

static void test_mongodb(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mongodb_cases / sizeof mongodb_cases[0]; i++)
        assert_verdict(SCHEMA_MONGODB, mongodb_cases[i].old_json, mongodb_cases[i].new_json,
                       mongodb_cases[i].verdict);
}

#define TREE(bound)                                                                                \
    "{\"$defs\":{\"node\":{\"type\":\"object\",\"required\":[\"v\"],\"properties\":{\"v\":{"       \
    "\"type\":\"integer\"" bound "},\"kids\":{\"type\":\"array\",\"items\":{\"$ref\":"             \
    "\"#/$defs/node\"}}}}},\"$ref\":\"#/$defs/node\"}"

static const struct verdict_case json_schema_cases[] = {
    {TREE(""), TREE(""), "full"},
    {TREE(",\"minimum\":0"), TREE(""), "backward"},
    {A("{\"type\":\"integer\"}"), A("{\"type\":\"number\"}"), "backward"},
    {A("{\"type\":\"string\",\"format\":\"uuid\"}"), A("{\"type\":\"string\"}"), "incompatible"},
    {A("{\"type\":\"string\",\"format\":\"binary\",\"maxLength\":4}"),
     A("{\"type\":\"string\",\"format\":\"binary\",\"maxLength\":5}"), "backward"},
    {A("{\"const\":1}"), A("{\"enum\":[1,2]}"), "backward"},
    {A("{\"type\":\"array\",\"prefixItems\":[{\"type\":\"null\"}],\"items\":false}"),
     A("{\"type\":\"array\",\"maxItems\":1}"), "backward"},
    {A("{\"type\":\"array\",\"contains\":{\"type\":\"null\"}}"),
     A("{\"type\":\"array\",\"minItems\":1}"), "backward"},
    {A("{\"type\":\"array\",\"contains\":{\"type\":\"null\"},\"minContains\":2}"),
     A("{\"type\":\"array\",\"contains\":{\"type\":\"null\"}}"), "backward"},
    {"{\"propertyNames\":{\"pattern\":\"^[a-z_]+$\"}}", "{\"propertyNames\":{\"minLength\":1}}",
     "unknown"},
    {"{\"additionalProperties\":false,\"properties\":{\"id\":{}}}",
     "{\"additionalProperties\":false}", "full"}, /* id is stored as _id, and that is let through */
    {"{\"if\":{\"required\":[\"a\"]},\"then\":{\"required\":[\"b\"]}}",
     "{\"dependentRequired\":{\"a\":[\"b\"]}}", "full"},
    {A("{\"type\":\"integer\",\"exclusiveMinimum\":0}"), A("{\"type\":\"integer\",\"minimum\":1}"),
     "full"},
};

static void test_json_schema(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof json_schema_cases / sizeof json_schema_cases[0]; i++)
        assert_verdict(SCHEMA_JSON_SCHEMA, json_schema_cases[i].old_json,
                       json_schema_cases[i].new_json, json_schema_cases[i].verdict);
}

/* Alternatives that overlap: a search through all ways to break each of them would not end. */
static void test_many_alternatives(void **state)
{
    char old_json[4096] = "{\"anyOf\":[";
    char new_json[4096 + 64] = "";
    (void)state;
    for (int i = 0; i < 12; i++)
        (void)snprintf(old_json + strlen(old_json), sizeof old_json - strlen(old_json),
                       "%s{\"required\":[\"k%d\"],\"properties\":{\"k%d\":{" INT
                       "},\"k%d\":{\"minimum\":%d}}}",
                       i == 0 ? "" : ",", i % 6, (i * 5 + 1) % 6, (i * 3 + 2) % 6, i);
    (void)snprintf(new_json, sizeof new_json, "%s,{\"required\":[\"k7\"]}]}", old_json);
    (void)snprintf(old_json + strlen(old_json), sizeof old_json - strlen(old_json), "]}");
    assert_verdict(SCHEMA_MONGODB, old_json, new_json, "backward");
    assert_verdict(SCHEMA_MONGODB, new_json, old_json, "forward");
}

/* --- changes --- */

struct expected_change {
    const char *path, *effect;
};

struct listed {
    const struct expected_change *expected;
    size_t count;
};

static void check_change(void *arg, const struct compatibility_change *change)
{
    struct listed *listed = arg;
    const struct expected_change *expected = &listed->expected[listed->count++];
    assert_non_null(expected->path);
    assert_string_equal(change->path, expected->path);
    if (strcmp(compatibility_effect(change), expected->effect) != 0)
        fail_msg("%s is %s", change->path, compatibility_effect(change));
}

static void test_changes(void **state)
{
    static const struct expected_change expected[] = {
        {"/required", "narrower"},
        {"/properties/a/bsonType", "wider"},
        {"/properties/a/exclusiveMinimum", "narrower"},
        {"/properties/gone", "wider"},
        {"/properties/list/items/maxLength", "narrower"},
        {"/properties/new~1one", "narrower"},
        {"/anyOf/1/required", "both"},
        {NULL, NULL}};
    (void)state;
    const struct schema *a = compile(
        SCHEMA_MONGODB,
        "{\"title\":\"x\",\"required\":[\"a\"],\"properties\":{\"a\":{" INT ",\"minimum\":0},"
        "\"gone\":{" STRING "},\"list\":{" ARRAY ",\"items\":{" STRING "}}},"
        "\"anyOf\":[{\"required\":[\"a\",\"z\"]},{\"required\":[\"p\"]}]}");
    const struct schema *b = compile(
        SCHEMA_MONGODB,
        "{\"title\":\"y\",\"required\":[\"a\",\"b\"],\"properties\":{\"a\":{\"bsonType\":[\"int\","
        "\"long\"],\"minimum\":0,\"exclusiveMinimum\":true},\"list\":{" ARRAY ",\"items\":{" STRING
        ",\"maxLength\":3}},\"new/one\":{" INT "}},"
        "\"anyOf\":[{\"required\":[\"a\",\"z\"]},{\"required\":[\"q\"]}]}");
    struct compatibility_side before = {&a, 1};
    struct compatibility_side after = {&b, 1};
    struct listed listed = {expected, 0};
    assert_true(compatibility_list_changes(&before, &after, check_change, &listed, NULL));
    assert_int_equal(listed.count, sizeof expected / sizeof expected[0] - 1);
    schema_free((struct schema *)a);
    schema_free((struct schema *)b);
}

/* Moving a keyword refuses no further document. */
static void test_changes_that_make_up_for_each_other(void **state)
{
    static const struct expected_change expected[] = {
        {"/required", "none"}, {"/allOf", "none"}, {NULL, NULL}};
    (void)state;
    const struct schema *a = compile(SCHEMA_MONGODB, "{\"required\":[\"a\"]}");
    const struct schema *b = compile(SCHEMA_MONGODB, "{\"allOf\":[{\"required\":[\"a\"]}]}");
    struct compatibility_side before = {&a, 1};
    struct compatibility_side after = {&b, 1};
    struct listed listed = {expected, 0};
    assert_true(compatibility_list_changes(&before, &after, check_change, &listed, NULL));
    assert_int_equal(listed.count, 2);
    schema_free((struct schema *)a);
    schema_free((struct schema *)b);
}

/* A document passes if one of the accepted schemas accepts it. */
static void test_versions(void **state)
{
    (void)state;
    const struct schema *sides[] = {compile(SCHEMA_MONGODB, "{\"required\":[\"b\"]}"),
                                    compile(SCHEMA_MONGODB, "{\"required\":[\"a\"]}"),
                                    compile(SCHEMA_MONGODB, "{\"required\":[\"c\"]}")};
    struct compatibility_side old_side = {&sides[1], 1};
    struct compatibility_side both = {sides, 2};
    struct compatibility_side other = {&sides[2], 1};
    struct compatibility verdict;
    assert_true(compatibility_judge(&old_side, &both, &verdict, NULL));
    assert_string_equal(compatibility_verdict(&verdict), "backward");
    compatibility_release(&verdict);
    assert_true(compatibility_judge(&both, &other, &verdict, NULL));
    assert_string_equal(compatibility_verdict(&verdict), "incompatible");
    compatibility_release(&verdict);
    for (size_t i = 0; i < 3; i++)
        schema_free((struct schema *)sides[i]);
}

/* Each allocation fails in turn: no crash, and nothing is proved that is not so. */
static void test_memory(void **state)
{
    (void)state;
    const struct schema *a = compile(SCHEMA_MONGODB, A("{" STRING ",\"pattern\":\"^a+$\"}"));
    const struct schema *b =
        compile(SCHEMA_MONGODB, A("{" STRING ",\"pattern\":\"^a+$\",\"maxLength\":5}"));
    struct compatibility_side before = {&a, 1};
    struct compatibility_side after = {&b, 1};
    for (long n = 1; n < 60; n++) {
        struct compatibility verdict;
        memory_fail_after(n);
        bool judged = compatibility_judge(&before, &after, &verdict, NULL);
        memory_fail_never();
        if (!judged)
            continue;
        assert_int_not_equal(verdict.backward, COMPATIBILITY_YES);
        assert_int_not_equal(verdict.forward, COMPATIBILITY_NO);
        compatibility_release(&verdict);
    }
    schema_free((struct schema *)a);
    schema_free((struct schema *)b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mongodb),
        cmocka_unit_test(test_json_schema),
        cmocka_unit_test(test_many_alternatives),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_changes_that_make_up_for_each_other),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
