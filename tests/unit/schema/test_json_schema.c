/* Dialect json-schema: schemas as pydantic writes them, over documents as Beanie stores them. */
#include "support.h"

#define V(schema, document) support_valid(SCHEMA_JSON_SCHEMA, schema, document)
#define I(schema, document) support_invalid(SCHEMA_JSON_SCHEMA, schema, document)
#define R(schema, code)     support_refused(SCHEMA_JSON_SCHEMA, schema, code)
#define P(schema)           "{\"type\":\"object\",\"properties\":{\"v\":" schema "}}"

#define DATE       "{\"$date\":\"2024-01-01T00:00:00Z\"}"
#define UUID_VALUE "{\"$binary\":{\"base64\":\"AAAAAAAAAAAAAAAAAAAAAA==\",\"subType\":\"04\"}}"
#define BYTES      "{\"$binary\":{\"base64\":\"AAAA\",\"subType\":\"00\"}}"
#define OBJECT_ID  "{\"$oid\":\"5eb7cf5a86d9755df3a6c593\"}"

static void test_stored_types(void **state)
{
    (void)state;
    V(P("{\"type\":\"string\"}"), "{\"v\":\"a\"}");
    V(P("{\"type\":\"integer\"}"), "{\"v\":1}");
    V(P("{\"type\":\"integer\"}"), "{\"v\":{\"$numberLong\":\"5000000000\"}}");
    V(P("{\"type\":\"integer\"}"), "{\"v\":1.0}");
    I(P("{\"type\":\"integer\"}"), "{\"v\":1.5}");
    I(P("{\"type\":\"integer\"}"), "{\"v\":true}");
    V(P("{\"type\":\"number\"}"), "{\"v\":1.5}");
    V(P("{\"type\":\"string\",\"format\":\"date-time\"}"), "{\"v\":" DATE "}");
    I(P("{\"type\":\"string\",\"format\":\"date-time\"}"), "{\"v\":\"2024-01-01T00:00:00Z\"}");
    V(P("{\"type\":\"string\",\"format\":\"date\"}"), "{\"v\":" DATE "}");
    V(P("{\"type\":\"string\",\"format\":\"duration\"}"), "{\"v\":3.0}");
    I(P("{\"type\":\"string\",\"format\":\"duration\"}"), "{\"v\":\"PT3S\"}");
    V(P("{\"type\":\"string\",\"format\":\"uuid\"}"), "{\"v\":" UUID_VALUE "}");
    I(P("{\"type\":\"string\",\"format\":\"uuid\"}"), "{\"v\":" BYTES "}");
    V(P("{\"type\":\"string\",\"format\":\"binary\",\"maxLength\":3}"), "{\"v\":" BYTES "}");
    I(P("{\"type\":\"string\",\"format\":\"binary\",\"maxLength\":2}"), "{\"v\":" BYTES "}");
    I(P("{\"type\":\"string\",\"format\":\"binary\"}"), "{\"v\":" UUID_VALUE "}");
    V(P("{\"anyOf\":[{\"type\":\"number\"},{\"type\":\"string\"}]}"),
      "{\"v\":{\"$numberDecimal\":\"1.50\"}}");
    V(P("{\"type\":\"string\",\"minLength\":24,\"maxLength\":24,\"pattern\":\"^[0-9a-f]{24}$\"}"),
      "{\"v\":" OBJECT_ID "}");
    V(P("{\"type\":\"string\",\"format\":\"email\"}"), "{\"v\":\"a@b.org\"}");
    V(P("{\"type\":\"string\",\"format\":\"regex\"}"), "{\"v\":{\"$regex\":\"a\"}}");
    I(P("{\"type\":\"string\",\"format\":\"regex\"}"), "{\"v\":\"a\"}");
    V(P("{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"uniqueItems\":true}"),
      "{\"v\":[\"a\",\"b\"]}");
    V(P("{\"anyOf\":[{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"}},"
        "\"required\":[\"id\"]},{\"type\":\"object\",\"additionalProperties\":true}]}"),
      "{\"v\":{\"$ref\":\"others\",\"$id\":" OBJECT_ID "}}");
    V(P("{\"type\":\"string\",\"contentMediaType\":\"application/json\"}"), "{\"v\":{\"a\":1}}");
}

static void test_keywords(void **state)
{
    (void)state;
    I(P("{\"exclusiveMinimum\":0}"), "{\"v\":0}");
    V(P("{\"exclusiveMinimum\":0,\"minimum\":0}"), "{\"v\":1}");
    I(P("{\"exclusiveMaximum\":5,\"maximum\":4}"), "{\"v\":4.5}");
    I(P("{\"const\":\"a\"}"), "{\"v\":\"b\"}");
    V(P("{\"const\":\"a\",\"enum\":[\"a\",\"b\"]}"), "{\"v\":\"a\"}");
    I(P("{\"const\":\"c\",\"enum\":[\"a\",\"b\"]}"), "{\"v\":\"c\"}");
    V(P("{\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"string\"}],\"minItems\":2,"
        "\"maxItems\":2}"),
      "{\"v\":[1,\"a\"]}");
    I(P("{\"prefixItems\":[{\"type\":\"integer\"}],\"items\":false}"), "{\"v\":[1,2]}");
    I(P("{\"propertyNames\":{\"pattern\":\"^a\"}}"), "{\"v\":{\"ab\":1,\"b\":1}}");
    V(P("{\"propertyNames\":{\"type\":\"string\",\"format\":\"uuid\"}}"), "{\"v\":{\"x\":1}}");
    I(P("{\"type\":\"string\",\"pattern\":\"^a$\"}"), "{\"v\":\"a\\n\"}"); /* unlike $jsonSchema */
    I(P("{\"type\":\"string\",\"pattern\":\"^(a|b)$\"}"), "{\"v\":\"a\\n\"}");
    V(P("{\"type\":\"string\",\"pattern\":\"^\\\\d$\"}"), "{\"v\":\"\xd9\xa3\"}");
    I(P("{\"properties\":{\"x\":{\"type\":\"integer\"}}}"), "{\"v\":{\"x\":1,\"x\":\"2\"}}");
    V(P("true"), "{\"v\":1}");
    I(P("false"), "{\"v\":1}");
}

static void test_recursion_and_tags(void **state)
{
    (void)state;
    const char *tree = "{\"$defs\":{\"Node\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":"
                       "\"integer\"},\"next\":{\"anyOf\":[{\"$ref\":\"#/$defs/Node\"},{\"type\":"
                       "\"null\"}],\"default\":null}},\"required\":[\"id\"]}},\"$ref\":"
                       "\"#/$defs/Node\"}";
    /* Of the document the id is stored as _id, of a part it is not. */
    V(tree, "{\"_id\":1,\"next\":{\"id\":2,\"next\":null}}");
    I(tree, "{\"_id\":1,\"next\":{\"_id\":2}}");
    I(tree, "{\"_id\":1,\"next\":{\"id\":2,\"next\":{\"id\":\"x\"}}}");
    const char *pets = P(
        "{\"oneOf\":[{\"$ref\":\"#/$defs/Cat\"},{\"$ref\":\"#/$defs/Dog\"}],\"discriminator\":{"
        "\"propertyName\":\"kind\",\"mapping\":{\"cat\":\"#/$defs/Cat\"}}}},\"$defs\":{\"Cat\":{"
        "\"type\":\"object\",\"properties\":{\"kind\":{\"const\":\"cat\"},\"n\":{\"type\":"
        "\"integer\"}}},\"Dog\":{\"type\":\"object\",\"properties\":{\"kind\":{\"const\":\"dog\"},"
        "\"n\":{\"type\":\"string\"}},\"required\":[\"kind\"]}");
    V(pets, "{\"v\":{\"kind\":\"cat\",\"n\":1}}");
    I(pets, "{\"v\":{\"n\":\"1\",\"kind\":\"cat\"}}");
    V(pets, "{\"v\":{\"n\":\"1\",\"kind\":\"dog\"}}");
    I(pets, "{\"v\":{\"kind\":\"cow\"}}");
    V(pets, "{\"v\":{\"n\":1}}"); /* without a tag: a cat */
}

static void test_stored_names(void **state)
{
    (void)state;
    const char *strict = "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
                         "\"id\":{\"type\":\"integer\"},\"a\":{}},\"required\":[\"id\"]}";
    V(strict, "{\"_id\":1,\"a\":2,\"revision_id\":" UUID_VALUE ",\"_class_id\":\"A\"}");
    I(strict, "{\"_id\":\"x\"}");
    I(strict, "{\"id\":1}");
    I(strict, "{\"_id\":1,\"b\":1}");
    V("{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{}}", "{\"_id\":7}");
}

static void test_refusals(void **state)
{
    (void)state;
    R("{\"unevaluatedProperties\":false}", 9);
    R("{\"properties\":{\"a\":{\"bsonType\":\"int\"}}}", 9);
    R("{\"$ref\":\"#/$defs/none\"}", 9);
    R("{\"$ref\":\"other.json\"}", 9);
    R("{\"$defs\":{\"A\":{\"$ref\":\"#/$defs/B\"},\"B\":{\"$ref\":\"#/$defs/A\"}},"
      "\"$ref\":\"#/$defs/A\"}",
      9);
    R("{\"allOf\":[{\"$ref\":\"#\"}]}", 9);
    R("{\"exclusiveMinimum\":true}", 14);
    R("{\"propertyNames\":{\"minimum\":1}}", 9);
    R("{\"properties\":{\"a\":{\"$id\":\"x\"}}}", 9);
}

/* A schema that doubles the work with each level of the document is cut off. */
static void test_work(void **state)
{
    (void)state;
    struct error err = {0};
    char document[4096];
    size_t at = 0;
    for (int i = 0; i < 60; i++)
        at += (size_t)snprintf(document + at, sizeof document - at, "{\"x\":");
    at += (size_t)snprintf(document + at, sizeof document - at, "\"no\"");
    for (int i = 0; i < 60; i++)
        at += (size_t)snprintf(document + at, sizeof document - at, "}");
    enum schema_verdict verdict = support_check(
        SCHEMA_JSON_SCHEMA,
        "{\"$defs\":{\"A\":{\"anyOf\":[{\"properties\":{\"x\":{\"$ref\":\"#/$defs/A\"}}},"
        "{\"properties\":{\"x\":{\"$ref\":\"#/$defs/A\"}},\"minProperties\":1}],\"type\":"
        "\"object\"}},\"$ref\":\"#/$defs/A\"}",
        document, &err);
    assert_int_equal(verdict, SCHEMA_CUT_OFF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stored_types),       cmocka_unit_test(test_keywords),
        cmocka_unit_test(test_recursion_and_tags), cmocka_unit_test(test_stored_names),
        cmocka_unit_test(test_refusals),           cmocka_unit_test(test_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
