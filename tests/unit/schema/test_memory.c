/* Every allocation fails once: the i-th, for all i. Nothing leaks (the sanitizers check), the error
 * reports it, and work that does not need the memory succeeds. */
#include "support.h"

#include "base/memory.h"

static const char *const mongodb_schema =
    "{\"title\":\"T\",\"required\":[\"a\",\"z\"],\"properties\":{\"a\":{\"bsonType\":\"string\","
    "\"pattern\":\"(x|y)+\",\"enum\":[\"x\",\"y\"]},\"b\":{\"items\":{\"uniqueItems\":true}},"
    "\"c\":{\"anyOf\":[{\"properties\":{\"k\":{\"enum\":[\"1\"]}}},{\"properties\":{\"k\":{"
    "\"enum\":"
    "[\"2\"]}}}]},\"d\":{\"multipleOf\":2,\"minimum\":1}},\"patternProperties\":{\"^p[a-z]+$\":{}},"
    "\"dependencies\":{\"a\":[\"b\"],\"b\":{\"not\":{\"required\":[\"q\"]}}},\"encryptMetadata\":{"
    "\"keyId\":\"/k\"}"
    "}";

static const char *const json_schema =
    "{\"$defs\":{\"A\":{\"type\":\"object\",\"properties\":{\"id\":{\"const\":1},\"next\":{"
    "\"anyOf\":"
    "[{\"$ref\":\"#/$defs/A\"},{\"type\":\"null\"}]}},\"required\":[\"id\"]}},\"$ref\":\"#/$defs/"
    "A\"}";

/* Compiles with the i-th allocation failing. Returns whether it succeeded after all. */
static bool compile_failing(const bson_t *bson, enum schema_dialect dialect, long i)
{
    struct error err = {0};
    memory_fail_after(i);
    struct schema *schema = schema_compile(support_bytes(bson), dialect, NULL, NULL, &err);
    memory_fail_never();
    if (schema == NULL)
        assert_int_equal(err.code, ERROR_EXCEEDED_MEMORY_LIMIT);
    schema_free(schema);
    return schema != NULL;
}

static void compile_all(const char *json, enum schema_dialect dialect)
{
    bson_t *bson = support_json(json);
    long i = 1;
    while (i < 10000 && !compile_failing(bson, dialect, i))
        i++;
    assert_in_range(i, 10, 9999);
    bson_destroy(bson);
}

static void test_compile(void **state)
{
    (void)state;
    compile_all(mongodb_schema, SCHEMA_MONGODB);
    compile_all(json_schema, SCHEMA_JSON_SCHEMA);
}

static void test_scratch(void **state)
{
    (void)state;
    struct schema_scratch *scratch = NULL;
    long i = 0;
    while (scratch == NULL && i++ < 100) {
        memory_fail_after(i);
        scratch = schema_scratch_new();
        memory_fail_never();
    }
    assert_in_range(i, 2, 99);
    schema_scratch_free(scratch);
}

static void test_verdict_allocates_nothing(void **state)
{
    (void)state;
    struct error err = {0};
    bson_t *schema_bson = support_json(mongodb_schema);
    bson_t *valid = support_json("{\"a\":\"x\",\"z\":1,\"b\":[[1,2,3]],\"c\":{\"k\":\"2\"},\"d\":4,"
                                 "\"pq\":1}");
    bson_t *invalid = support_json("{\"a\":\"q\",\"d\":3}");
    struct schema *schema =
        schema_compile(support_bytes(schema_bson), SCHEMA_MONGODB, NULL, NULL, &err);
    struct schema_scratch *scratch = schema_scratch_new();
    memory_fail_after(1);
    assert_int_equal(schema_check(schema, scratch, support_bytes(valid), &err), SCHEMA_VALID);
    assert_int_equal(schema_check(schema, scratch, support_bytes(invalid), &err), SCHEMA_INVALID);
    memory_fail_never();
    /* errInfo does need memory. */
    bool explained = false;
    for (long i = 1; i < 100 && !explained; i++) {
        struct build build;
        struct bytes info;
        memory_fail_after(i);
        explained = schema_explain(schema, scratch, support_bytes(invalid), &build, &info, &err);
        memory_fail_never();
        if (!explained)
            assert_int_equal(err.code, ERROR_EXCEEDED_MEMORY_LIMIT);
        build_free(&build);
    }
    assert_true(explained);
    schema_scratch_free(scratch);
    schema_free(schema);
    bson_destroy(schema_bson);
    bson_destroy(valid);
    bson_destroy(invalid);
}

/* A verdict needs memory only for uniqueItems over many items. */
static void test_unique_without_memory(void **state)
{
    (void)state;
    struct error err = {0};
    bson_t *schema_bson = support_json("{\"properties\":{\"v\":{\"uniqueItems\":true}}}");
    bson_t document = BSON_INITIALIZER;
    bson_t array;
    BSON_APPEND_ARRAY_BEGIN(&document, "v", &array);
    for (int i = 0; i < 100; i++)
        BSON_APPEND_INT32(&array, "0", i);
    (void)bson_append_array_end(&document, &array);
    struct schema *schema =
        schema_compile(support_bytes(schema_bson), SCHEMA_MONGODB, NULL, NULL, &err);
    struct schema_scratch *scratch = schema_scratch_new();
    memory_fail_after(1);
    assert_int_equal(schema_check(schema, scratch, support_bytes(&document), &err), SCHEMA_CUT_OFF);
    memory_fail_never();
    assert_int_equal(schema_check(schema, scratch, support_bytes(&document), &err), SCHEMA_VALID);
    memory_fail_after(1); /* the table exists now */
    assert_int_equal(schema_check(schema, scratch, support_bytes(&document), &err), SCHEMA_VALID);
    memory_fail_never();
    schema_scratch_free(scratch);
    schema_free(schema);
    bson_destroy(schema_bson);
    bson_destroy(&document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compile),
        cmocka_unit_test(test_scratch),
        cmocka_unit_test(test_verdict_allocates_nothing),
        cmocka_unit_test(test_unique_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
