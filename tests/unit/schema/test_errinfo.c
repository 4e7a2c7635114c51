/* errInfo: every operator of $jsonSchema, the frame, the order and the truncation. */
#include "support.h"

/* What schema_explain writes for the document, as BSON. */
static bson_t *explain(enum schema_dialect dialect, const char *schema, const bson_t *document)
{
    struct error err = {0};
    struct build build;
    struct bytes info;
    bson_t *bson = support_json(schema);
    struct schema *compiled = schema_compile(support_bytes(bson), dialect, NULL, NULL, &err);
    if (compiled == NULL)
        fail_msg("refused: %s: %s", schema, err.message);
    struct schema_scratch *scratch = schema_scratch_new();
    assert_int_equal(schema_check(compiled, scratch, support_bytes(document), &err),
                     SCHEMA_INVALID);
    assert_true(schema_explain(compiled, scratch, support_bytes(document), &build, &info, &err));
    bson_t *copy = bson_new_from_data(info.pos, bytes_left(&info));
    assert_non_null(copy);
    build_free(&build);
    schema_scratch_free(scratch);
    schema_free(compiled);
    bson_destroy(bson);
    return copy;
}

static void expect_info_in(enum schema_dialect dialect, const char *schema, const char *document,
                           const char *wanted)
{
    bson_t *bson = support_json(document);
    bson_t *want = support_json(wanted);
    bson_t *info = explain(dialect, schema, bson);
    if (!bson_equal(info, want)) {
        char *is = bson_as_canonical_extended_json(info, NULL);
        char *should = bson_as_canonical_extended_json(want, NULL);
        fail_msg("\n%s\nis not\n%s", is, should);
    }
    bson_destroy(info);
    bson_destroy(want);
    bson_destroy(bson);
}

static void expect_info(const char *schema, const char *document, const char *wanted)
{
    expect_info_in(SCHEMA_MONGODB, schema, document, wanted);
}

/* The errors of a schema for field v of {v: value}. */
static void expect_field(const char *schema, const char *value, const char *errors)
{
    char whole[1024];
    char document[256];
    char wanted[2048];
    (void)snprintf(whole, sizeof whole, "{\"properties\":{\"v\":%s}}", schema);
    (void)snprintf(document, sizeof document, "{\"v\":%s}", value);
    (void)snprintf(wanted, sizeof wanted,
                   "{\"details\":{\"operatorName\":\"$jsonSchema\",\"schemaRulesNotSatisfied\":["
                   "{\"operatorName\":\"properties\",\"propertiesNotSatisfied\":["
                   "{\"propertyName\":\"v\",\"details\":[%s]}]}]}}",
                   errors);
    expect_info(whole, document, wanted);
}

static void expect_top(const char *schema, const char *document, const char *errors)
{
    char wanted[2048];
    (void)snprintf(wanted, sizeof wanted,
                   "{\"details\":{\"operatorName\":\"$jsonSchema\","
                   "\"schemaRulesNotSatisfied\":[%s]}}",
                   errors);
    expect_info(schema, document, wanted);
}

static void test_frame(void **state)
{
    (void)state;
    expect_info("{\"title\":\"T\",\"description\":\"D\",\"required\":[\"b\",\"a\"],\"properties\":{"
                "\"n\":{\"title\":\"N\",\"description\":\"M\",\"bsonType\":\"int\"}}}",
                "{\"n\":\"x\",\"_id\":7}",
                "{\"failingDocumentId\":7,\"details\":{\"operatorName\":\"$jsonSchema\","
                "\"title\":\"T\",\"description\":\"D\",\"schemaRulesNotSatisfied\":["
                "{\"operatorName\":\"properties\",\"propertiesNotSatisfied\":[{\"propertyName\":"
                "\"n\",\"title\":\"N\",\"description\":\"M\",\"details\":[{\"operatorName\":"
                "\"bsonType\",\"specifiedAs\":{\"bsonType\":\"int\"},\"reason\":\"type did not "
                "match\",\"consideredValue\":\"x\",\"consideredType\":\"string\"}]}]},"
                "{\"operatorName\":\"required\",\"specifiedAs\":{\"required\":[\"b\",\"a\"]},"
                "\"missingProperties\":[\"a\",\"b\"]}]}}");
    expect_info("{\"bsonType\":\"array\"}", "{\"_id\":1}",
                "{\"failingDocumentId\":1,\"details\":{\"operatorName\":\"$jsonSchema\","
                "\"specifiedAs\":{\"$jsonSchema\":{\"bsonType\":\"array\"}},"
                "\"reason\":\"expression always evaluates to false\"}}");
}

/* A reference is shown as its target. A description in lines is left out, because it is not a
 * string. */
static void test_references(void **state)
{
    (void)state;
    expect_info_in(
        SCHEMA_MONGODB_EXTENDED,
        "{\"$defs\":{\"n\":{\"title\":\"N\",\"description\":[\"a\"],\"properties\":{\"v\":{"
        "\"bsonType\":"
        "\"int\"},\"k\":{\"items\":{\"$ref\":\"#/$defs/n\"}}}}},\"$ref\":\"#/$defs/n\"}",
        "{\"_id\":1,\"k\":[{},{\"k\":[{\"v\":\"x\"}]}]}",
        "{\"failingDocumentId\":1,\"details\":{\"operatorName\":\"$jsonSchema\","
        "\"schemaRulesNotSatisfied\":[{\"operatorName\":\"properties\",\"propertiesNotSatisfied\":["
        "{\"propertyName\":\"k\",\"details\":[{\"operatorName\":\"items\",\"reason\":\"At least "
        "one item "
        "did not match the "
        "sub-schema\",\"itemIndex\":1,\"details\":[{\"operatorName\":\"properties\","
        "\"propertiesNotSatisfied\":[{\"propertyName\":\"k\",\"details\":[{\"operatorName\":"
        "\"items\","
        "\"reason\":\"At least one item did not match the "
        "sub-schema\",\"itemIndex\":0,\"details\":["
        "{\"operatorName\":\"properties\",\"propertiesNotSatisfied\":[{\"propertyName\":\"v\","
        "\"details\":[{\"operatorName\":\"bsonType\",\"specifiedAs\":{\"bsonType\":\"int\"},"
        "\"reason\":\"type did not match\",\"consideredValue\":\"x\",\"consideredType\":\"string\"}"
        "]}]}]}]}]}]}]}]}]}}");
}

#define SCALAR(name, keyword, reason, value)                                                       \
    "{\"operatorName\":\"" name "\",\"specifiedAs\":{" keyword "},\"reason\":\"" reason            \
    "\",\"consideredValue\":" value "}"

static void test_scalars(void **state)
{
    (void)state;
    expect_field(
        "{\"minimum\":5,\"exclusiveMinimum\":true}", "5",
        SCALAR("minimum", "\"minimum\":5,\"exclusiveMinimum\":true", "comparison failed", "5"));
    expect_field("{\"maximum\":5,\"exclusiveMaximum\":false}", "6",
                 SCALAR("maximum", "\"maximum\":5", "comparison failed", "6"));
    expect_field("{\"multipleOf\":2}", "3",
                 SCALAR("multipleOf", "\"multipleOf\":2",
                        "considered value is not a multiple of the specified value", "3"));
    expect_field(
        "{\"type\":\"string\",\"enum\":[\"a\"],\"minLength\":3,\"pattern\":\"^x\"}", "\"b\"",
        SCALAR("pattern", "\"pattern\":\"^x\"", "regular expression did not match",
               "\"b\"") "," SCALAR("minLength", "\"minLength\":3",
                                   "specified string length was not satisfied",
                                   "\"b\"") "," SCALAR("enum", "\"enum\":[\"a\"]",
                                                       "value was not found in enum", "\"b\""));
    expect_field("{\"maxLength\":1}", "\"ab\"",
                 SCALAR("maxLength", "\"maxLength\":1", "specified string length was not satisfied",
                        "\"ab\""));
    expect_field("{\"encrypt\":{}}", "1",
                 "{\"operatorName\":\"encrypt\",\"reason\":\"value was not encrypted\"}");
    expect_field("{\"encrypt\":{\"bsonType\":\"int\"}}",
                 "{\"$binary\":{\"base64\":\"AgAAAAAAAAAAAAAAAAAAAAACAA==\",\"subType\":\"06\"}}",
                 "{\"operatorName\":\"encrypt\",\"reason\":\"encrypted value has wrong type\"}");
}

static void test_arrays(void **state)
{
    (void)state;
    expect_field("{\"minItems\":2}", "[1]",
                 "{\"operatorName\":\"minItems\",\"specifiedAs\":{\"minItems\":2},\"reason\":"
                 "\"array did not match specified length\",\"consideredValue\":[1],"
                 "\"numberOfItems\":1}");
    expect_field("{\"uniqueItems\":true}", "[1,2,1]",
                 "{\"operatorName\":\"uniqueItems\",\"specifiedAs\":{\"uniqueItems\":true},"
                 "\"reason\":\"found a duplicate item\",\"consideredValue\":[1,2,1],"
                 "\"duplicatedValue\":1}");
    expect_field("{\"items\":{\"title\":\"I\",\"minimum\":2}}", "[2,1,0]",
                 "{\"operatorName\":\"items\",\"title\":\"I\",\"reason\":\"At least one item did "
                 "not match the sub-schema\",\"itemIndex\":1,\"details\":[" SCALAR(
                     "minimum", "\"minimum\":2", "comparison failed", "1") "]}");
    expect_field("{\"items\":[{\"minimum\":2},{\"minimum\":2}]}", "[1,2]",
                 "{\"operatorName\":\"items\",\"details\":[{\"itemIndex\":0,\"details\":[" SCALAR(
                     "minimum", "\"minimum\":2", "comparison failed", "1") "]}]}");
    expect_field("{\"items\":[{}],\"additionalItems\":{\"minimum\":2}}", "[1,1]",
                 "{\"operatorName\":\"additionalItems\",\"reason\":\"At least one additional item "
                 "did not match the sub-schema\",\"itemIndex\":1,\"details\":[" SCALAR(
                     "minimum", "\"minimum\":2", "comparison failed", "1") "]}");
    expect_field("{\"items\":[{}],\"additionalItems\":false}", "[1,2,3]",
                 "{\"operatorName\":\"additionalItems\",\"specifiedAs\":{\"additionalItems\":"
                 "false},\"reason\":\"found additional items\",\"additionalItems\":[2,3]}");
}

static void test_objects(void **state)
{
    (void)state;
    expect_top("{\"maxProperties\":1}", "{\"a\":1,\"b\":1}",
               "{\"operatorName\":\"maxProperties\",\"specifiedAs\":{\"maxProperties\":1},"
               "\"reason\":\"specified number of properties was not satisfied\","
               "\"numberOfProperties\":2}");
    expect_top("{\"properties\":{\"a\":{}},\"additionalProperties\":false}",
               "{\"a\":1,\"b\":1,\"c\":1}",
               "{\"operatorName\":\"additionalProperties\",\"specifiedAs\":{"
               "\"additionalProperties\":false},\"additionalProperties\":[\"b\",\"c\"]}");
    expect_top("{\"additionalProperties\":{\"title\":\"A\",\"minimum\":2}}", "{\"a\":2,\"b\":1}",
               "{\"operatorName\":\"additionalProperties\",\"title\":\"A\",\"reason\":\"at least "
               "one additional property did not match the subschema\",\"failingProperty\":\"b\","
               "\"details\":[" SCALAR("minimum", "\"minimum\":2", "comparison failed", "1") "]}");
    expect_top("{\"patternProperties\":{\"^a\":{\"title\":\"P\",\"minimum\":2}}}",
               "{\"a\":2,\"ab\":1,\"ac\":1}",
               "{\"operatorName\":\"patternProperties\",\"details\":[{\"propertyName\":\"ab\","
               "\"title\":\"P\",\"regexMatched\":\"^a\",\"details\":[" SCALAR(
                   "minimum", "\"minimum\":2", "comparison failed", "1") "]}]}");
    expect_top("{\"dependencies\":{\"a\":[\"c\",\"b\"],\"d\":{\"required\":[\"b\"]}}}",
               "{\"a\":1,\"d\":1}",
               "{\"operatorName\":\"dependencies\",\"failingDependencies\":["
               "{\"conditionalProperty\":\"a\",\"missingProperties\":[\"c\",\"b\"]},"
               "{\"conditionalProperty\":\"d\",\"details\":[{\"operatorName\":\"required\","
               "\"specifiedAs\":{\"required\":[\"b\"]},\"missingProperties\":[\"b\"]}]}]}");
}

static void test_combinations(void **state)
{
    (void)state;
    expect_field(
        "{\"allOf\":[{\"minimum\":1},{\"title\":\"S\",\"minimum\":2}]}", "1",
        "{\"operatorName\":\"allOf\",\"schemasNotSatisfied\":[{\"index\":1,\"title\":"
        "\"S\",\"details\":[" SCALAR("minimum", "\"minimum\":2", "comparison failed", "1") "]}]}");
    expect_field("{\"oneOf\":[{\"minimum\":1},{\"minimum\":5},{\"maximum\":9}]}", "2",
                 "{\"operatorName\":\"oneOf\",\"reason\":\"more than one subschema matched\","
                 "\"matchingSchemaIndexes\":[0,2]}");
    expect_field("{\"not\":{\"minimum\":1}}", "2",
                 "{\"operatorName\":\"not\",\"reason\":\"child expression matched\"}");
}

/* A document with a long string: its error does not fit with the value, but does without. */
static void test_truncated(void **state)
{
    (void)state;
    size_t len = (size_t)7 * 1024 * 1024;
    char *text = calloc(1, len + 1);
    memset(text, 'x', len);
    bson_t *document = BCON_NEW("_id", BCON_INT32(1), "a", BCON_UTF8(text), "b", BCON_UTF8(text));
    bson_t *info =
        explain(SCHEMA_MONGODB,
                "{\"properties\":{\"a\":{\"maxLength\":1},\"b\":{\"maxLength\":1}}}", document);
    bson_iter_t iter;
    bson_iter_t inner;
    assert_true(bson_iter_init_find(&iter, info, "truncated") && bson_iter_bool(&iter));
    assert_true(bson_iter_init(&iter, info));
    assert_true(bson_iter_find_descendant(&iter,
                                          "details.schemaRulesNotSatisfied.0."
                                          "propertiesNotSatisfied.1.details.0.reason",
                                          &inner));
    assert_true(info->len < 1000);
    bson_destroy(info);
    bson_destroy(document);

    /* Field names too large for any details. */
    text[len - 1] = 0;
    document = bson_new();
    BSON_APPEND_INT32(document, "_id", 1);
    BSON_APPEND_INT32(document, text, 1);
    text[0] = 'y';
    BSON_APPEND_INT32(document, text, 1);
    info = explain(SCHEMA_MONGODB, "{\"properties\":{\"_id\":{}},\"additionalProperties\":false}",
                   document);
    assert_true(bson_iter_init_find(&iter, info, "note"));
    assert_string_equal(bson_iter_utf8(&iter, NULL), "detailed error was too large");
    bson_destroy(info);
    bson_destroy(document);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame),     cmocka_unit_test(test_references),
        cmocka_unit_test(test_scalars),   cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_objects),   cmocka_unit_test(test_combinations),
        cmocka_unit_test(test_truncated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
