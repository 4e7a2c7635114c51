/* Schema files. */
#include "file_support.h"

#include "schema/file_text.h"

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
    expect_problem("{\"ns\":", ERROR_FAILED_TO_PARSE,
                   "/ns: not valid JSON: it ends too early, at line 1");
    expect_problem("{\"ns\":\"a.b\",\n\n \"schema\": {,}}", ERROR_FAILED_TO_PARSE,
                   "/schema: not valid JSON at line 3, column 13: expected a name in double "
                   "quotes");
    expect_problem("\x01", ERROR_FAILED_TO_PARSE,
                   "not valid JSON at line 1, column 1: a schema file is one object, in braces");
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
    expect_problem("{\"ns\":\"a.b\",\"$jsonSchema\":{}}", ERROR_FAILED_TO_PARSE,
                   "/$jsonSchema: a schema file with 'ns' has its schema in the field 'schema': "
                   "name the field so");
    expect_problem("{\"ns\":\"a.b\",\"schema\":{\"$jsonSchema\":{}}}", ERROR_FAILED_TO_PARSE,
                   "/schema/$jsonSchema: the field 'schema' holds the schema itself: take out "
                   "$jsonSchema around it");
    unsigned problems = 0;
    struct schema_file file;
    const char *text = "{\"ns\":\"ab\",\"more\":1,\"schema\":{\"foo\":1,\"minimum\":\"x\","
                       "\"properties\":{\"a\":{\"type\":7}}}}";
    assert_false(schema_file_parse(text, strlen(text), count_problem, &problems, &file, NULL));
    assert_int_equal(problems, 5);
}

static void expect_broken(const char *text, size_t len, const char *message)
{
    struct schema_file file;
    struct error err = {0};
    assert_false(schema_file_parse(text, len, NULL, NULL, &file, &err));
    assert_int_equal(err.code, ERROR_FAILED_TO_PARSE);
    if (message != NULL)
        assert_string_equal(err.message, message);
}

#define BROKEN(text, message) expect_broken(text, sizeof(text) - 1, message)

/* Each error of the text names the place and the remedy. */
static void test_broken_text(void **state)
{
    (void)state;
    BROKEN("{\"ns\":\"a.b\",\"schema\":{}}\n {\"ns\":\"c.d\"}",
           "line 2, column 2: text follows the object: a schema file holds one object; give each "
           "schema a file of its own");
    BROKEN("{\"ns\":\"a.b\",\"level\":\"off\",\n\"level\":\"strict\",\"schema\":{}}",
           "/level: line 2, column 1: 'level' is given a second time (the first is at line 1, "
           "column 13): keep one of them");
    BROKEN("{\"ns\":\"a.b\",\"schema\":{},\"sch\\u0065ma\":{}}",
           "/schema: line 1, column 25: 'schema' is given a second time (the first is at line 1, "
           "column 13): keep one of them");
    BROKEN(
        "{\"$jsonSchema\":{\"enum\":[{\"\xc3\xa9\":1,\"\xc3\xa9\":1}]}}",
        "/$jsonSchema/enum/0/\xc3\xa9: line 1, column 32: '\xc3\xa9' is given a second time (the "
        "first is at line 1, column 26): keep one of them");
    BROKEN("\xef\xbb\xbf{}", "line 1, column 1: the file begins with a byte-order mark: save it as "
                             "UTF-8 without one");
    BROKEN("\xff\xfe{", "line 1, column 1: the file is UTF-16: save it as UTF-8");
    BROKEN("{\n\"ns\0\":1}", "line 2, column 4: the file contains a NUL byte: remove it (a schema "
                             "file is text, not BSON)");
    BROKEN("{\"title\":\"\xff\"}",
           "line 1, column 11: the bytes are not UTF-8: save the file as UTF-8");
    BROKEN("{\"a\\u0000\":1}", "not valid JSON at line 1, column 2: a name cannot hold a NUL "
                               "character (\\u0000)");
    BROKEN("{\"pattern\":\"\\d\"}",
           "/pattern: not valid JSON at line 1, column 13: no such escape; a backslash in a string "
           "is written as \\\\");
    BROKEN("{\"title\":\"a\nb\"}", "/title: not valid JSON at line 1, column 12: a control "
                                   "character in a string; a line break is written as \\n");
    BROKEN("{\"title\":\"\\ud800\"}",
           "/title: not valid JSON at line 1, column 11: half of a surrogate pair");
    BROKEN("{\"required\":[\"a\" \"b\"]}",
           "/required/0: not valid JSON at line 1, column 18: expected a comma or ]");
    BROKEN("{'a':1}", "not valid JSON at line 1, column 2: expected a name in double quotes");
    BROKEN("{\"minimum\":01}", "not valid JSON at line 1, column 13: expected a comma or }");
    BROKEN("{\"minimum\":1.}", "/minimum: not valid JSON at line 1, column 14: expected a digit");
    BROKEN("{\"enum\":[{\"$date\":\"today\"}]}",
           "/enum/0: line 1, column 10: not extended JSON: Could not parse \"today\" as date: use "
           "ISO8601 format yyyy-mm-ddThh:mm plus timezone, either \"Z\" or like \"+0500\"");
    static char deep[5 * 300];
    for (size_t i = 0; i < 300; i++)
        memcpy(&deep[5 * i], "{\"a\":", 5);
    expect_broken(deep, sizeof deep, NULL);
}

static void expect_same(const char *text, struct bytes made)
{
    bson_t *wanted = support_json(text);
    assert_int_equal(bytes_left(&made), wanted->len);
    assert_memory_equal(made.pos, bson_get_data(wanted), wanted->len);
    bson_destroy(wanted);
}

static void fail_problem(void *arg, const struct schema_problem *problem)
{
    (void)arg;
    fail_msg("%s: %s", problem->pointer, problem->message);
}

/* Values are those that libbson reads. */
static void test_values(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"enum\":[0,-1,2147483647,2147483648,-9223372036854775808,1.5,-0.0,1e3,true,false,null]}",
        "{\"enum\":[\"\",\"a\\\"\\\\\\/"
        "\\b\\f\\n\\r\\t\",\"\\u00e9\\u20ac\\ud83d\\ude00\",\"\xc3\xa9\"]}",
        "{\"enum\":[{\"$numberLong\":\"5\"},{\"$numberDecimal\":\"1.5\"},{\"$oid\":"
        "\"0123456789abcdef01234567\"},{\"$date\":{\"$numberLong\":\"7\"}},[{\"a\":{\"$minKey\":1}}"
        "]]}",
        " { \"a\" : [ ] , \"b\" : { } , \"minimum\" : { \"$numberInt\" : \"3\" } } \n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        bson_t *made = schema_text_read(texts[i], strlen(texts[i]), fail_problem, NULL);
        assert_non_null(made);
        expect_same(texts[i], bytes_of(bson_get_data(made), made->len));
        bson_destroy(made);
    }
}

/* Names of properties are names, also those of extended JSON. */
static void test_names(void **state)
{
    (void)state;
    struct schema_file file;
    struct error err = {0};
    struct build out;
    struct bytes document;
    const char *text =
        "{\"ns\":\"a.b\",\"dialect\":\"json-schema\",\"schema\":{\"properties\":{\"$date\":{"
        "\"type\":"
        "\"string\"},\"$undefined\":false,\"$regex\":{\"minimum\":{\"$numberLong\":\"5\"}}},"
        "\"dependentRequired\":{\"$oid\":[\"$date\"]}}}";
    struct schema_scratch *scratch = schema_scratch_new();
    assert_true(parse(text, &file, &err));
    for (int i = 0; i < 4; i++) {
        build_begin(&out, 1024);
        if (i == 1)
            build_int32(&out, "$date", 1);
        if (i == 2)
            build_int32(&out, "$undefined", 1);
        if (i == 3)
            build_int32(&out, "$regex", 4);
        assert_true(build_finish(&out, &document));
        assert_int_equal(schema_check(schema_file_newest(&file), scratch, document, &err),
                         i == 0 ? SCHEMA_VALID : SCHEMA_INVALID);
        build_free(&out);
    }
    schema_scratch_free(scratch);
    schema_file_release(&file);
}

/* A JSON Schema without a dialect is distinguished from a MongoDB schema with a mistake. */
static void test_dialect_hint(void **state)
{
    (void)state;
    expect_problem(
        "{\"ns\":\"a.b\",\"schema\":{\"$defs\":{\"A\":{\"type\":\"integer\"}},\"properties\":"
        "{\"a\":{\"anyOf\":[{\"$ref\":\"#/$defs/A\"},{\"type\":\"null\"}],\"default\":null}}}}",
        ERROR_FAILED_TO_PARSE, "/dialect: this is JSON Schema: add \"dialect\": \"json-schema\"");
    expect_problem("{\"type\":\"integer\"}", ERROR_FAILED_TO_PARSE,
                   "/$schema: this is JSON Schema: add \"$schema\": "
                   "\"https://json-schema.org/draft/2020-12/schema\"");
    expect_problem("{\"ns\":\"a.b\",\"dialect\":\"mongodb\",\"schema\":{\"type\":\"integer\"}}",
                   ERROR_FAILED_TO_PARSE,
                   "/schema/type: $jsonSchema type 'integer' is not currently supported.");
    expect_problem("{\"ns\":\"a.b\",\"schema\":{\"required\":[\"site.town\"]}}", ERROR_BAD_VALUE,
                   NULL);
    expect_problem("{\"ns\":\"a.b\",\"schema\":{\"bsonType\":\"object\",\"default\":1}}",
                   ERROR_FAILED_TO_PARSE,
                   "/schema/default: $jsonSchema keyword 'default' is not currently supported");
}

/* A schema file may hold keywords that no server accepts. A schema that may be meant for a server
 * may not. */
static void test_extensions(void **state)
{
    (void)state;
    struct schema_file file;
    struct error err = {0};
#define TREE                                                                                       \
    "{\"$defs\":{\"n\":{\"description\":[\"a\"],\"properties\":{\"k\":{\"items\":{\"$ref\":"       \
    "\"#/$defs/n\"}}}}},\"bsonType\":\"object\",\"$ref\":\"#/$defs/n\"}"
    assert_true(parse("{\"ns\":\"a.b\",\"schema\":" TREE "}", &file, &err));
    assert_true(schema_file_is_extended(&file));
    schema_file_release(&file);
    assert_true(parse("{\"ns\":\"a.b\",\"schema\":{\"description\":\"a\"}}", &file, &err));
    assert_false(schema_file_is_extended(&file));
    schema_file_release(&file);
    expect_problem("{\"$jsonSchema\":" TREE "}", ERROR_FAILED_TO_PARSE,
                   "/$jsonSchema/$defs: Unknown $jsonSchema keyword: $defs");
    expect_problem("{\"$jsonSchema\":{\"description\":[\"a\"]}}", ERROR_TYPE_MISMATCH,
                   "/$jsonSchema/description: $jsonSchema keyword 'description' must be of type "
                   "string, not array");
    bson_t *schema = bson_new_from_json((const uint8_t *)TREE, -1, NULL);
    assert_non_null(schema);
    assert_false(schema_file_of_validator("a.b", bytes_of(bson_get_data(schema), schema->len),
                                          SCHEMA_LEVEL_STRICT, SCHEMA_ACTION_ERROR, &file, &err));
    assert_int_equal(err.code, ERROR_FAILED_TO_PARSE);
    bson_destroy(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),     cmocka_unit_test(test_bare),
        cmocka_unit_test(test_problems),     cmocka_unit_test(test_broken_text),
        cmocka_unit_test(test_values),       cmocka_unit_test(test_names),
        cmocka_unit_test(test_dialect_hint), cmocka_unit_test(test_extensions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
