/* Schema files. */
#include "support.h"

#include "schema/file.h"

static bool parse(const char *text, struct schema_file *file, struct error *err)
{
    return schema_file_parse(text, strlen(text), NULL, NULL, file, err);
}

static void test_settings(void **state)
{
    (void)state;
    struct schema_file file;
    struct error err = {0};
    assert_true(parse("{\"ns\":\"shop.orders\",\"schema\":{}}", &file, &err));
    assert_string_equal(file.ns, "shop.orders");
    assert_int_equal(file.versions[0].dialect, SCHEMA_MONGODB);
    assert_int_equal(file.level, SCHEMA_LEVEL_STRICT);
    assert_int_equal(file.action, SCHEMA_ACTION_ERROR);
    assert_false(file.reject_unproved);
    assert_true(file.allow_bypass);
    schema_file_release(&file);
    assert_true(parse("{\"ns\":\"shop.a.b\",\"dialect\":\"json-schema\",\"level\":\"moderate\","
                      "\"action\":\"errorAndLog\",\"unproved\":\"reject\",\"allow_bypass\":false,"
                      "\"schema\":{\"type\":\"object\",\"properties\":{\"n\":{\"type\":"
                      "\"integer\"}}}}",
                      &file, &err));
    assert_string_equal(file.ns, "shop.a.b");
    assert_int_equal(file.versions[0].dialect, SCHEMA_JSON_SCHEMA);
    assert_int_equal(file.level, SCHEMA_LEVEL_MODERATE);
    assert_int_equal(file.action, SCHEMA_ACTION_ERROR_AND_LOG);
    assert_true(file.reject_unproved);
    assert_false(file.allow_bypass);
    schema_file_release(&file);
}

static void test_bare(void **state)
{
    (void)state;
    struct schema_file file;
    struct error err = {0};
    assert_true(parse("{\"$jsonSchema\":{\"required\":[\"a\"]}}", &file, &err));
    assert_null(file.ns);
    assert_int_equal(file.versions[0].dialect, SCHEMA_MONGODB);
    schema_file_release(&file);
    assert_true(parse("{\"$defs\":{},\"type\":\"object\"}", &file, &err));
    assert_int_equal(file.versions[0].dialect, SCHEMA_JSON_SCHEMA);
    schema_file_release(&file);
}

static void expect_problem(const char *text, int code, const char *message)
{
    struct schema_file file;
    struct error err = {0};
    assert_false(parse(text, &file, &err));
    assert_int_equal(err.code, code);
    if (message != NULL)
        assert_string_equal(err.message, message);
}

static void count_problem(void *arg, const struct schema_problem *problem)
{
    assert_non_null(problem->pointer);
    ++*(unsigned *)arg;
}

static void test_problems(void **state)
{
    (void)state;
    expect_problem("", ERROR_FAILED_TO_PARSE, "the file is empty");
    expect_problem(" \n", ERROR_FAILED_TO_PARSE, "the file is empty");
    expect_problem("[1]", ERROR_TYPE_MISMATCH, "must be an object, not an array");
    expect_problem("{\"ns\":", ERROR_FAILED_TO_PARSE, "not valid JSON: it ends too early");
    expect_problem("{\"ns\":\"a.b\",\n\n \"schema\": {,}}", ERROR_FAILED_TO_PARSE,
                   "not valid JSON at line 3, column 13");
    expect_problem("\x01", ERROR_FAILED_TO_PARSE, "not valid JSON at line 1, column 1");
    expect_problem("{\"ns\":\"a.b\"}", ERROR_FAILED_TO_PARSE, "the field 'schema' is missing");
    expect_problem("{\"schema\":{}}", ERROR_FAILED_TO_PARSE, "the field 'ns' is missing");
    expect_problem("{\"ns\":\"ab\",\"schema\":{}}", ERROR_BAD_VALUE,
                   "/ns: must be given once, as \"database.collection\"");
    expect_problem("{\"ns\":\"a.b\",\"level\":\"hard\",\"schema\":{}}", ERROR_BAD_VALUE,
                   "/level: must be one of \"strict\", \"moderate\", \"off\"");
    expect_problem("{\"ns\":\"a.b\",\"more\":1,\"schema\":{}}", ERROR_FAILED_TO_PARSE, NULL);
    expect_problem("{\"ns\":\"a.b\",\"schema\":1}", ERROR_TYPE_MISMATCH, NULL);
    expect_problem("{\"ns\":\"a.b\",\"schema\":{\"properties\":{\"x\":{\"type\":\"int\"}}}}",
                   ERROR_BAD_VALUE, "/schema/properties/x/type: Unknown type name alias: int");

#define SECRET "\"schema\":{\"properties\":{\"x\":{\"encrypt\":{}}}}}"
    expect_problem("{\"ns\":\"a.b\",\"action\":\"warn\"," SECRET, 224,
                   "/action: a schema with 'encrypt' or 'encryptMetadata' cannot have the action "
                   "'warn'");
    expect_problem("{\"ns\":\"a.b\",\"level\":\"moderate\"," SECRET, 224,
                   "/level: a schema with 'encrypt' or 'encryptMetadata' cannot have the level "
                   "'moderate'");
    expect_problem("{\"$jsonSchema\":{},\"$expr\":{\"$gt\":[1,2]}}", ERROR_FAILED_TO_PARSE,
                   "/$expr: stands beside $jsonSchema and is not checked here: only the server can "
                   "judge it");
    expect_problem("{\"$jsonSchema\":{},\"$jsonSchema\":{}}", ERROR_FAILED_TO_PARSE, NULL);
    expect_problem("{\"ns\":\"a.b\",\"$jsonSchema\":{}}", ERROR_FAILED_TO_PARSE,
                   "/ns: a schema file with 'ns' has its schema in the field 'schema', without "
                   "$jsonSchema around it");
    unsigned problems = 0;
    struct schema_file file;
    const char *text = "{\"ns\":\"ab\",\"more\":1,\"schema\":{\"foo\":1,\"minimum\":\"x\","
                       "\"properties\":{\"a\":{\"type\":7}}}}";
    assert_false(schema_file_parse(text, strlen(text), count_problem, &problems, &file, NULL));
    assert_int_equal(problems, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_bare),
        cmocka_unit_test(test_problems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
