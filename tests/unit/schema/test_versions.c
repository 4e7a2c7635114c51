/* Several versions of a schema in one file, and a candidate. */
#include "file_support.h"

#include "base/memory.h"

#define ANY "{\"schema\":{}}"

static void test_versions(void **state)
{
    (void)state;
    struct schema_file file;
    struct error err = {0};
    assert_true(parse("{\"ns\":\"a.b\",\"dialect\":\"json-schema\",\"versions\":["
                      "{\"schema\":{\"required\":[\"x\"]},\"name\":\"2\"},"
                      "{\"name\":\"1\",\"dialect\":\"mongodb\",\"schema\":{\"required\":[\"x\"]},"
                      "\"accepted_until\":{\"$date\":\"2030-01-01T00:00:00Z\"}}],"
                      "\"candidate\":{\"schema\":{\"required\":[\"y\"]}}}",
                      &file, &err));
    assert_int_equal(file.version_count, 2);
    assert_string_equal(file.versions[0].name, "2");
    assert_int_equal(file.versions[0].dialect, SCHEMA_JSON_SCHEMA);
    assert_int_equal(file.versions[0].accepted_until_ms, 0);
    assert_string_equal(file.versions[1].name, "1");
    assert_int_equal(file.versions[1].dialect, SCHEMA_MONGODB);
    assert_int_equal(file.versions[1].accepted_until_ms, 1893456000000);
    assert_string_equal(file.versions[0].hash, file.versions[1].hash);
    assert_false(schema_version_is_same(&file.versions[0], &file.versions[1]));
    assert_non_null(file.candidate.schema);
    assert_null(file.candidate.name);
    assert_ptr_equal(schema_file_newest(&file), file.versions[0].schema);
    assert_int_equal(schema_file_bytes(&file), schema_bytes(file.versions[0].schema) +
                                                   schema_bytes(file.versions[1].schema) +
                                                   schema_bytes(file.candidate.schema));
    schema_file_release(&file);

    assert_true(parse("{\"ns\":\"a.b\",\"schema\":{},\"name\":\"only\"}", &file, &err));
    assert_int_equal(file.version_count, 1);
    assert_string_equal(file.versions[0].name, "only");
    assert_null(file.candidate.schema);
    schema_file_release(&file);
}

static void test_accepted(void **state)
{
    (void)state;
    const struct schema_version versions[4] = {
        {.accepted_until_ms = 0}, {.accepted_until_ms = 200}, {.accepted_until_ms = 100}, {0}};
    assert_int_equal(schema_versions_accepted(versions, 4, 99), 0xF);
    assert_int_equal(schema_versions_accepted(versions, 4, 100), 0xB);
    assert_int_equal(schema_versions_accepted(versions, 4, 199), 0xB);
    assert_int_equal(schema_versions_accepted(versions, 4, 200), 0x9);
    assert_int_equal(schema_versions_accepted(versions, 1, INT64_MAX), 0x1);
}

static void expect_problem(const char *fields, int code, const char *message)
{
    char text[4096];
    struct schema_file file;
    struct error err = {0};
    (void)snprintf(text, sizeof text, "{\"ns\":\"a.b\",%s}", fields);
    assert_false(parse(text, &file, &err));
    assert_string_equal(err.message, message);
    assert_int_equal(err.code, code);
    assert_null(file.versions);
    assert_null(file.candidate.schema);
}

static void test_problems(void **state)
{
    (void)state;
    expect_problem("\"versions\":[],\"schema\":{}", ERROR_FAILED_TO_PARSE,
                   "/versions: stands beside 'schema': give one of the two");
    expect_problem("\"versions\":[" ANY "],\"name\":\"x\"", ERROR_FAILED_TO_PARSE,
                   "/name: stands beside 'versions': each of them has its own name");
    expect_problem("\"versions\":[]", ERROR_BAD_VALUE, "/versions: must hold one version at least");
    expect_problem("\"versions\":{}", ERROR_TYPE_MISMATCH, "/versions: must be an array");
    expect_problem("\"versions\":[1]", ERROR_TYPE_MISMATCH, "/versions/0: must be an object");
    expect_problem("\"versions\":[{}]", ERROR_FAILED_TO_PARSE,
                   "/versions/0: the field 'schema' is missing");
    expect_problem("\"versions\":[{\"schema\":1}]", ERROR_TYPE_MISMATCH,
                   "/versions/0/schema: must be an object");
    expect_problem(
        "\"versions\":[{\"schema\":{\"minimum\":\"x\"}}]", ERROR_TYPE_MISMATCH,
        "/versions/0/schema/minimum: $jsonSchema keyword 'minimum' must be a number, not string");
    expect_problem("\"versions\":[" ANY ",{\"schema\":{},\"name\":\"\"}]", ERROR_BAD_VALUE,
                   "/versions/1/name: must be a string of 1 to 64 bytes without spaces");
    expect_problem("\"versions\":[{\"schema\":{},\"dialect\":\"x\"}]", ERROR_BAD_VALUE,
                   "/versions/0/dialect: must be one of \"mongodb\", \"json-schema\"");
    expect_problem("\"versions\":[{\"schema\":{},\"level\":\"off\"}]", ERROR_FAILED_TO_PARSE,
                   "/versions/0/level: unknown field: a version has schema, dialect, name and "
                   "accepted_until");
    expect_problem("\"versions\":[{\"schema\":{},\"accepted_until\":{\"$date\":\"2030-01-01T00:00:"
                   "00Z\"}}]",
                   ERROR_BAD_VALUE,
                   "/versions/0/accepted_until: is for versions that are not the newest: the "
                   "newest is accepted for good");
    expect_problem("\"versions\":[" ANY ",{\"schema\":{\"minimum\":1},\"accepted_until\":\"2030-01-"
                   "01T00:00:00Z\"}]",
                   ERROR_TYPE_MISMATCH,
                   "/versions/1/accepted_until: must be a date after 1970: {\"$date\": "
                   "\"2030-01-31T12:00:00Z\"}");
    expect_problem("\"versions\":[" ANY "," ANY "]", ERROR_BAD_VALUE,
                   "/versions/1: is the schema of another version");
    expect_problem("\"versions\":[{\"schema\":{},\"name\":\"a\"},{\"schema\":{\"minimum\":1},"
                   "\"name\":\"a\"}]",
                   ERROR_BAD_VALUE, "/versions/1/name: is the name of another version");
    expect_problem("\"schema\":{},\"candidate\":{\"schema\":{\"bsonType\":\"x\"}}", ERROR_BAD_VALUE,
                   "/candidate/schema/bsonType: Unknown type name alias: x");
    expect_problem("\"schema\":{},\"candidate\":1", ERROR_TYPE_MISMATCH,
                   "/candidate: must be an object");
    expect_problem("\"candidate\":{\"schema\":{}}", ERROR_FAILED_TO_PARSE,
                   "the field 'schema' is missing");
    expect_problem("\"action\":\"warn\",\"versions\":[" ANY ",{\"schema\":{\"encryptMetadata\":"
                   "{\"algorithm\":\"AEAD_AES_256_CBC_HMAC_SHA_512-Random\"}}}]",
                   ERROR_QUERY_FEATURE_NOT_ALLOWED,
                   "/action: a schema with 'encrypt' or 'encryptMetadata' cannot have the action "
                   "'warn'");
}

static void test_too_many(void **state)
{
    (void)state;
    char text[4096] = "\"versions\":[{\"schema\":{}}";
    for (int i = 0; i < SCHEMA_VERSIONS_MAX; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text),
                       ",{\"schema\":{\"minimum\":%d}}", i);
    (void)strcat(text, "]");
    expect_problem(text, ERROR_BAD_VALUE,
                   "/versions: has more than 16 versions: take out those that no client writes any "
                   "more");
}

static void test_memory(void **state)
{
    (void)state;
    static const char text[] = "{\"ns\":\"a.b\",\"versions\":[{\"schema\":{\"required\":[\"x\"]},"
                               "\"name\":\"2\"},{\"schema\":{}}],\"candidate\":" ANY "}";
    struct schema_file file;
    struct error err;
    bool ok = false;
    for (long i = 1; i < 500 && !ok; i++) {
        memory_fail_after(i);
        ok = parse(text, &file, &err);
        memory_fail_never();
        if (!ok)
            assert_int_equal(err.code, ERROR_EXCEEDED_MEMORY_LIMIT);
    }
    assert_true(ok);
    schema_file_release(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions), cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_problems), cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
