/* Dialect mongodb: verdicts and refusals of $jsonSchema. */
#include "support.h"

#include "bson/scan.h"

#define V(schema, document) support_valid(SCHEMA_MONGODB, schema, document)
#define I(schema, document) support_invalid(SCHEMA_MONGODB, schema, document)
#define R(schema, code)     support_refused(SCHEMA_MONGODB, schema, code)
/* The schema of field v. */
#define P(schema) "{\"properties\":{\"v\":" schema "}}"

#define NAMES_JSON(pattern) "{\"patternProperties\":{\"" pattern "\":{\"type\":\"integer\"}}}"
#define NAMES(pattern)      "{\"patternProperties\":{\"" pattern "\":{\"bsonType\":\"int\"}}}"

/* The server compiles `pattern` with UTF and the patterns of names without. */
static void test_names_are_bytes(void **state)
{
    (void)state;
    I(NAMES("^.{2}$"), "{\"\xc3\xa9\":\"x\"}");
    V(NAMES("^.{2}$"), "{\"\xc3\xa9\":1}");
    V(NAMES("^.{2}$"), "{\"\xc3\xa9\xc3\xa9\":\"x\"}");
    V(NAMES("^.$"), "{\"\xc3\xa9\":\"x\"}");
    I(NAMES("^.{3}$"), "{\"\xe2\x82\xac\":\"x\"}");
    I(NAMES("^.{4}$"), "{\"\xf0\x9f\x98\x80\":\"x\"}");
    I(NAMES("^[^a]{2}$"), "{\"\xc3\xa9\":\"x\"}");
    I(NAMES("^[\xc3\xa9]{2}$"), "{\"\xc3\xa9\":\"x\"}"); /* a class of two bytes */
    V(NAMES("^[\xc3\xa9]$"), "{\"\xc3\xa9\":\"x\"}");
    I(NAMES("^\xc3\xa9$"), "{\"\xc3\xa9\":\"x\"}");
    I(NAMES("\\\\xc3"), "{\"\xc3\xa9\":\"x\"}");
    I(NAMES("^[^@]+@$"), "{\"\xc3\xa9@\":\"x\"}");
    V(NAMES("^(?i)\xc3\x89$"), "{\"\xc3\xa9\":\"x\"}"); /* letters beyond ASCII have no case */
    V("{\"patternProperties\":{\"^.{2}$\":{}},\"additionalProperties\":false}", "{\"\xc3\xa9\":1}");
    I("{\"patternProperties\":{\"^.$\":{}},\"additionalProperties\":false}", "{\"\xc3\xa9\":1}");
    V(P("{\"pattern\":\"^.$\"}"), "{\"v\":\"\xc3\xa9\"}");
    /* valid in one of the two modes only */
    R("{\"patternProperties\":{\"\\\\x{100}\":{}}}", 51091);
    V(P("{\"pattern\":\"\\\\x{100}\"}"), "{\"v\":\"\xc4\x80\"}");
    R("{\"patternProperties\":{\"(*UTF)a\":{}}}", 51091);
    R("{\"patternProperties\":{\"(*UCP)a\":{}}}", 51091);
    support_valid(SCHEMA_JSON_SCHEMA, NAMES_JSON("^.$"), "{\"\xc3\xa9\":1}");
    support_invalid(SCHEMA_JSON_SCHEMA, NAMES_JSON("^.$"), "{\"\xc3\xa9\":\"x\"}");
    support_valid(SCHEMA_JSON_SCHEMA, NAMES_JSON("^.{2}$"), "{\"\xc3\xa9\":\"x\"}");
}

/* In MongoDB a dot in one of these names makes it a path. The schemas of which a server's verdicts
 * are known (42 documents) are none that a look at names alone could tell. */
static void test_paths_are_refused(void **state)
{
    static const char *const schemas[] = {
        "{\"required\":[\"a.b\"]}",
        "{\"properties\":{\"a.b\":{\"bsonType\":\"string\"}}}",
        "{\"properties\":{\"a.0\":{\"bsonType\":\"string\"}}}",
        "{\"required\":[\"a.0\"]}",
        "{\"properties\":{\"a.b\":{\"minimum\":3}}}",
        "{\"dependencies\":{\"a.b\":[\"c.d\"]}}",
        "{\"dependencies\":{\"a\":[\"c.d\"]}}",
        "{\"dependencies\":{\"a.b\":[\"c\"]}}",
        "{\"dependencies\":{\"a.b\":{\"required\":[\"c\"]}}}",
        "{\"properties\":{\"o\":{\"required\":[\"x.y\"]}}}",
        "{\"properties\":{\"a.b\":{\"items\":{\"bsonType\":\"int\"}}}}",
        "{\"properties\":{\"a.b\":{\"enum\":[1,2]}}}",
        "{\"not\":{\"anyOf\":[{\"required\":[\"a\",\".\"]}]}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++)
        R(schemas[i], 2);
    V("{\"patternProperties\":{\"^a\\\\.b$\":{\"bsonType\":\"string\"}}}", "{\"a\":{\"b\":1}}");
    I("{\"patternProperties\":{\"^a\\\\.b$\":{\"bsonType\":\"string\"}}}", "{\"a.b\":1}");
    I("{\"properties\":{\"a\":{}},\"additionalProperties\":false}", "{\"a.b\":1}");
    support_valid(SCHEMA_JSON_SCHEMA, "{\"required\":[\"a.b\"]}", "{\"a.b\":1}");
}

static void test_types(void **state)
{
    (void)state;
    V("{}", "{\"a\":1}");
    V("{\"type\":\"object\"}", "{}");
    I("{\"type\":\"string\"}", "{}");
    I("{\"bsonType\":[\"array\",\"int\"]}", "{}");
    V(P("{\"bsonType\":\"int\"}"), "{\"v\":1}");
    I(P("{\"bsonType\":\"int\"}"), "{\"v\":{\"$numberLong\":\"1\"}}");
    V(P("{\"bsonType\":\"number\"}"), "{\"v\":{\"$numberDecimal\":\"1\"}}");
    V(P("{\"type\":\"number\"}"), "{\"v\":1.5}");
    V(P("{\"type\":\"boolean\"}"), "{\"v\":true}");
    I(P("{\"type\":\"boolean\"}"), "{\"v\":1}");
    V(P("{\"bsonType\":[\"date\",\"null\"]}"), "{\"v\":null}");
    V(P("{\"bsonType\":\"minKey\"}"), "{\"v\":{\"$minKey\":1}}");
    I(P("{\"bsonType\":\"object\"}"), "{\"v\":[{}]}");
    I(P("{\"bsonType\":\"string\"}"), "{\"v\":{\"$symbol\":\"a\"}}");
    V(P("{\"bsonType\":\"string\"}"), "{\"w\":1}");
}

static void test_numbers(void **state)
{
    (void)state;
    V(P("{\"minimum\":5}"), "{\"v\":5}");
    I(P("{\"minimum\":5,\"exclusiveMinimum\":true}"), "{\"v\":5.0}");
    V(P("{\"minimum\":5}"), "{\"v\":\"a\"}");
    I(P("{\"maximum\":{\"$numberLong\":\"9007199254740992\"}}"),
      "{\"v\":{\"$numberLong\":\"9007199254740993\"}}");
    I(P("{\"maximum\":9007199254740992.0}"), "{\"v\":{\"$numberLong\":\"9007199254740993\"}}");
    V(P("{\"maximum\":{\"$numberLong\":\"9007199254740993\"}}"), "{\"v\":9007199254740992.0}");
    I(P("{\"minimum\":{\"$numberLong\":\"9007199254740993\"}}"), "{\"v\":9007199254740992.0}");
    I(P("{\"maximum\":{\"$numberDecimal\":\"0.1\"}}"), "{\"v\":0.1}");
    V(P("{\"minimum\":{\"$numberDecimal\":\"0.1\"}}"), "{\"v\":0.1}");
    V(P("{\"maximum\":0.1}"), "{\"v\":{\"$numberDecimal\":\"0.1\"}}");
    I(P("{\"minimum\":0.5,\"exclusiveMinimum\":true}"), "{\"v\":{\"$numberDecimal\":\"0.5\"}}");
    I(P("{\"minimum\":0.5,\"exclusiveMinimum\":true}"), "{\"v\":{\"$numberDouble\":\"NaN\"}}");
    I(P("{\"maximum\":5}"), "{\"v\":{\"$numberDecimal\":\"NaN\"}}");
    V(P("{\"maximum\":{\"$numberDouble\":\"NaN\"}}"), "{\"v\":{\"$numberDecimal\":\"NaN\"}}");
    I(P("{\"maximum\":{\"$numberDouble\":\"NaN\"}}"), "{\"v\":1}");
    V(P("{\"maximum\":{\"$numberDouble\":\"Infinity\"}}"),
      "{\"v\":{\"$numberDecimal\":\"Infinity\"}}");
    I(P("{\"minimum\":{\"$numberDecimal\":\"1E400\"}}"), "{\"v\":1e308}");
    V(P("{\"minimum\":{\"$numberDecimal\":\"-1E400\"}}"),
      "{\"v\":{\"$numberLong\":\"-9223372036854775808\"}}");
    I(P("{\"minimum\":9223372036854775808.0}"),
      "{\"v\":{\"$numberLong\":\"9223372036854775807\"}}");
    V(P("{\"minimum\":0}"), "{\"v\":-0.0}");
}

static void test_multiple_of(void **state)
{
    (void)state;
    V(P("{\"multipleOf\":0.1}"), "{\"v\":0.3}");
    V(P("{\"multipleOf\":0.1}"), "{\"v\":7}");
    I(P("{\"multipleOf\":0.1}"), "{\"v\":0.35}");
    V(P("{\"multipleOf\":3}"), "{\"v\":-9}");
    I(P("{\"multipleOf\":3}"), "{\"v\":{\"$numberLong\":\"10\"}}");
    V(P("{\"multipleOf\":{\"$numberDecimal\":\"0.01\"}}"),
      "{\"v\":{\"$numberDecimal\":\"1E+30\"}}");
    I(P("{\"multipleOf\":7}"), "{\"v\":{\"$numberDecimal\":\"1E+6000\"}}");
    V(P("{\"multipleOf\":7}"), "{\"v\":{\"$numberDecimal\":\"7E+6000\"}}");
    I(P("{\"multipleOf\":2}"), "{\"v\":{\"$numberDouble\":\"Infinity\"}}");
    V(P("{\"multipleOf\":2}"), "{\"v\":0.0}");
    I(P("{\"multipleOf\":2}"), "{\"v\":{\"$numberDecimal\":\"1E-6000\"}}");
}

static void test_strings(void **state)
{
    (void)state;
    V(P("{\"maxLength\":3}"), "{\"v\":\"\xc3\xa9\xc3\xa9\xc3\xa9\"}");
    I(P("{\"maxLength\":3}"), "{\"v\":\"abcd\"}");
    I(P("{\"minLength\":3.0}"), "{\"v\":\"ab\"}");
    V(P("{\"minLength\":3}"), "{\"v\":{\"$symbol\":\"a\"}}");
    V(P("{\"pattern\":\"b\"}"), "{\"v\":\"abc\"}");
    V(P("{\"pattern\":\"^[a-z]+$\"}"), "{\"v\":\"abc\\n\"}");
    I(P("{\"pattern\":\"^[a-z]+$\"}"), "{\"v\":\"abc\\n\\n\"}");
    I(P("{\"pattern\":\"^[A-Z]{3}-\\\\d{4}$\"}"), "{\"v\":\"ABC-123\"}");
    V(P("{\"pattern\":\"^[A-Z]{3}-\\\\d{4}$\"}"), "{\"v\":\"ABC-1234\"}");
    V(P("{\"pattern\":\"^(a|b)+$\"}"), "{\"v\":\"abab\"}");
    I(P("{\"pattern\":\"^.$\"}"), "{\"v\":\"ab\"}");
    V(P("{\"pattern\":\"^.$\"}"), "{\"v\":\"\xc3\xa9\"}");
    V(P("{\"pattern\":\"^[^@]+@[^@]+[.][a-z]+$\"}"), "{\"v\":\"j\xc3\xb6@x.org\"}");
}

static void test_cut_off(void **state)
{
    (void)state;
    struct error err = {0};
    enum schema_verdict verdict =
        support_check(SCHEMA_MONGODB, P("{\"pattern\":\"^(a+)+$\"}"),
                      "{\"v\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"}", &err);
    assert_int_equal(verdict, SCHEMA_CUT_OFF);
    assert_int_equal(err.code, ERROR_DOCUMENT_VALIDATION_FAILURE);
    /* `not` does not turn it into an acceptance. */
    verdict = support_check(SCHEMA_MONGODB, P("{\"not\":{\"pattern\":\"^(a+)+$\"}}"),
                            "{\"v\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"}", &err);
    assert_int_equal(verdict, SCHEMA_CUT_OFF);
}

static void test_enum(void **state)
{
    (void)state;
    V(P("{\"enum\":[1,\"a\",null]}"), "{\"v\":1.0}");
    V(P("{\"enum\":[1,\"a\",null]}"), "{\"v\":{\"$numberDecimal\":\"1.000\"}}");
    I(P("{\"enum\":[1,\"a\",null]}"), "{\"v\":true}");
    V(P("{\"enum\":[0.5]}"), "{\"v\":{\"$numberDecimal\":\"0.50\"}}");
    I(P("{\"enum\":[null]}"), "{\"v\":{\"$undefined\":true}}");
    V(P("{\"enum\":[{\"a\":1,\"b\":[1,2]}]}"),
      "{\"v\":{\"b\":[1,2],\"a\":{\"$numberLong\":\"1\"}}}");
    I(P("{\"enum\":[{\"a\":1,\"b\":[1,2]}]}"), "{\"v\":{\"b\":[2,1],\"a\":1}}");
    V(P("{\"enum\":[{\"$numberDouble\":\"NaN\"}]}"), "{\"v\":{\"$numberDecimal\":\"NaN\"}}");
    V("{\"enum\":[{\"a\":1}]}", "{\"a\":1}");
    I("{\"enum\":[{\"a\":1}]}", "{\"a\":2}");
    I(P("{\"enum\":[\"A\"]}"), "{\"v\":\"a\"}");
}

static void test_arrays(void **state)
{
    (void)state;
    V(P("{\"items\":{\"bsonType\":\"int\"}}"), "{\"v\":[1,2]}");
    I(P("{\"items\":{\"bsonType\":\"int\"}}"), "{\"v\":[1,\"a\"]}");
    V(P("{\"items\":[{\"bsonType\":\"int\"}]}"), "{\"v\":[1,\"a\"]}");
    I(P("{\"items\":[{\"bsonType\":\"int\"}],\"additionalItems\":false}"), "{\"v\":[1,\"a\"]}");
    V(P("{\"additionalItems\":false}"), "{\"v\":[1]}");
    I(P("{\"items\":[{}],\"additionalItems\":{\"bsonType\":\"int\"}}"), "{\"v\":[1,\"a\"]}");
    I(P("{\"minItems\":2}"), "{\"v\":[1]}");
    I(P("{\"maxItems\":1}"), "{\"v\":[1,2]}");
    I(P("{\"uniqueItems\":true}"), "{\"v\":[1,2,1.0]}");
    I(P("{\"uniqueItems\":true}"), "{\"v\":[{\"a\":1,\"b\":2},{\"b\":2,\"a\":1}]}");
    V(P("{\"uniqueItems\":true}"), "{\"v\":[[1,2],[2,1],1,true,\"1\"]}");
    V(P("{\"uniqueItems\":false}"), "{\"v\":[1,1]}");
}

static void test_unique_many(void **state)
{
    (void)state;
    char document[32000];
    size_t at = (size_t)snprintf(document, sizeof document, "{\"v\":[");
    for (int i = 0; i < 3000; i++)
        at += (size_t)snprintf(document + at, sizeof document - at, "%d,", i);
    (void)snprintf(document + at, sizeof document - at, "-1]}");
    V(P("{\"uniqueItems\":true}"), document);
    (void)snprintf(document + at, sizeof document - at, "77.0]}");
    I(P("{\"uniqueItems\":true}"), document);
}

static void test_objects(void **state)
{
    (void)state;
    I("{\"required\":[\"a\",\"b\"]}", "{\"a\":1}");
    V("{\"required\":[\"a\",\"b\"]}", "{\"b\":1,\"a\":null}");
    I("{\"additionalProperties\":false,\"properties\":{\"a\":{}}}", "{\"_id\":1,\"a\":1}");
    V("{\"additionalProperties\":false,\"properties\":{\"a\":{},\"_id\":{}}}",
      "{\"_id\":1,\"a\":1}");
    I("{\"additionalProperties\":{\"bsonType\":\"int\"}}", "{\"x\":1.5}");
    I("{\"additionalProperties\":false,\"required\":[\"a\"]}", "{\"a\":1}");
    V("{\"additionalProperties\":false,\"patternProperties\":{\"^a\":{\"type\":\"number\"}}}",
      "{\"ab\":1}");
    I("{\"patternProperties\":{\"^a\":{\"type\":\"number\"}}}", "{\"ab\":\"1\"}");
    I("{\"properties\":{\"ab\":{}},\"patternProperties\":{\"^a\":{\"type\":\"number\"}}}",
      "{\"ab\":\"1\"}");
    I("{\"minProperties\":2}", "{\"_id\":1}");
    I("{\"maxProperties\":1}", "{\"_id\":1,\"a\":1}");
    I("{\"dependencies\":{\"a\":[\"b\"]}}", "{\"a\":1}");
    V("{\"dependencies\":{\"a\":[\"b\"]}}", "{\"c\":1}");
    I("{\"dependencies\":{\"a\":{\"required\":[\"b\"]}}}", "{\"a\":1}");
    /* Only the first of fields with the same name counts. */
    V("{\"properties\":{\"a\":{\"bsonType\":\"int\"}}}", "{\"a\":1,\"a\":\"x\"}");
    V(P("{\"required\":[\"x\"]}"), "{\"v\":[]}");
}

static void test_long_names(void **state)
{
    (void)state;
    const char *schema = "{\"properties\":{\"abcdefghijklmno\":{\"type\":\"number\"},"
                         "\"abcdefghijklmnop\":{\"type\":\"string\"},"
                         "\"abcdefghijklmnopqrst\":{\"type\":\"boolean\"}}}";
    V(schema, "{\"abcdefghijklmno\":1,\"abcdefghijklmnop\":\"a\",\"abcdefghijklmnopqrst\":true}");
    V(schema, "{\"abcdefghijklmnopqrst\":true,\"abcdefghijklmnop\":\"a\",\"abcdefghijklmno\":1}");
    I(schema, "{\"abcdefghijklmnopqrst\":1}");
    V(schema, "{\"abcdefghijklmnopqrsu\":1}");
    I(schema, "{\"abcdefghijklmnop\":1}");
    I(schema, "{\"abcdefghijklmno\":\"\"}");
}

static void test_many_properties(void **state)
{
    (void)state;
    char schema[16000];
    char document[16000];
    size_t at = (size_t)snprintf(schema, sizeof schema,
                                 "{\"required\":[\"f0\",\"f199\"],"
                                 "\"additionalProperties\":false,"
                                 "\"properties\":{");
    size_t to = (size_t)snprintf(document, sizeof document, "{");
    for (int i = 0; i < 200; i++) {
        at += (size_t)snprintf(schema + at, sizeof schema - at, "%s\"f%d\":{\"type\":\"number\"}",
                               i == 0 ? "" : ",", i);
        to += (size_t)snprintf(document + to, sizeof document - to, "\"f%d\":%d%s", i, i,
                               i == 199 ? "}" : ",");
    }
    (void)snprintf(schema + at, sizeof schema - at, "}}");
    V(schema, document);
    I(schema, "{\"f0\":1}");
    V(schema, "{\"f199\":1,\"f0\":2}");
    I(schema, "{\"f199\":1,\"f0\":\"2\"}");
    I(schema, "{\"f199\":1,\"f0\":2,\"x\":1}");
}

static void test_combinations(void **state)
{
    (void)state;
    V(P("{\"anyOf\":[{\"bsonType\":\"int\"},{\"bsonType\":\"null\"}]}"), "{\"v\":null}");
    I(P("{\"anyOf\":[{\"bsonType\":\"int\"},{\"bsonType\":\"null\"}]}"), "{\"v\":\"\"}");
    I(P("{\"anyOf\":[{\"bsonType\":\"string\",\"maxLength\":1},{\"bsonType\":\"null\"}]}"),
      "{\"v\":\"ab\"}");
    V(P("{\"anyOf\":[{\"bsonType\":\"string\",\"maxLength\":1},{\"minLength\":2}]}"),
      "{\"v\":\"ab\"}");
    V(P("{\"anyOf\":[{\"bsonType\":\"string\",\"maxLength\":1},{\"bsonType\":\"string\"}]}"),
      "{\"v\":\"ab\"}");
    I(P("{\"allOf\":[{\"minimum\":1},{\"maximum\":3}]}"), "{\"v\":4}");
    I(P("{\"oneOf\":[{\"minimum\":1},{\"maximum\":3}]}"), "{\"v\":2}");
    V(P("{\"oneOf\":[{\"minimum\":1},{\"maximum\":3}]}"), "{\"v\":5}");
    I(P("{\"oneOf\":[{\"bsonType\":\"int\"},{\"bsonType\":\"number\"}]}"), "{\"v\":5}");
    I(P("{\"not\":{\"bsonType\":\"int\"}}"), "{\"v\":5}");
    V("{\"not\":{\"required\":[\"a\"]}}", "{\"b\":1}");
    V(P("{\"not\":{\"not\":{\"bsonType\":\"object\"}}}"), "{\"v\":{}}");
    I(P("{\"anyOf\":[{\"properties\":{\"k\":{\"enum\":[\"a\"]},\"x\":{\"type\":\"number\"}}},"
        "{\"properties\":{\"k\":{\"enum\":[\"b\",\"c\"]},\"x\":{\"type\":\"string\"}}}]}"),
      "{\"v\":{\"k\":\"c\",\"x\":1}}");
    V(P("{\"oneOf\":[{\"properties\":{\"k\":{\"enum\":[\"a\"]},\"x\":{\"type\":\"number\"}}},"
        "{\"properties\":{\"k\":{\"enum\":[\"b\",\"c\"]},\"x\":{\"type\":\"string\"}}}]}"),
      "{\"v\":{\"x\":1,\"k\":\"a\"}}");
    V(P("{\"anyOf\":[{\"properties\":{\"k\":{\"enum\":[\"a\"]},\"x\":{\"type\":\"number\"}}},"
        "{\"properties\":{\"k\":{\"enum\":[\"b\",\"c\"]},\"x\":{\"type\":\"string\"}}}]}"),
      "{\"v\":{\"x\":1}}");
}

static void test_encrypt(void **state)
{
    (void)state;
    const char *any = P("{\"encrypt\":{}}");
    const char *text = P("{\"encrypt\":{\"bsonType\":\"string\",\"algorithm\":"
                         "\"AEAD_AES_256_CBC_HMAC_SHA_512-Random\"}}");
    const char *blob = "{\"v\":{\"$binary\":{\"base64\":\"AgAAAAAAAAAAAAAAAAAAAAACAA==\","
                       "\"subType\":\"06\"}}}";
    const char *other = "{\"v\":{\"$binary\":{\"base64\":\"AgAAAAAAAAAAAAAAAAAAAAAQAA==\","
                        "\"subType\":\"06\"}}}";
    V(any, blob);
    I(any, "{\"v\":\"a\"}");
    I(any, "{\"v\":{\"$binary\":{\"base64\":\"AgAA\",\"subType\":\"00\"}}}");
    V(text, blob);
    I(text, other);
    V("{\"encryptMetadata\":{\"algorithm\":\"AEAD_AES_256_CBC_HMAC_SHA_512-Random\"}}", "{}");
    R("{\"encryptMetadata\":{}}", 9);
    R("{\"encrypt\":{},\"encryptMetadata\":{\"keyId\":\"/k\"}}", 9);
    R("{\"encryptMetadata\":{\"keyId\":\"/k\"},\"encrypt\":{}}", 9);
    V("{\"encryptMetadata\":{\"keyId\":\"/a~0b/c~1d\"}}", "{}");
    R("{\"encryptMetadata\":{\"keyId\":\"\"}}", 2);
    R("{\"encryptMetadata\":{\"keyId\":\"key\"}}", 2);
    R(P("{\"encrypt\":{\"keyId\":\"/a~\"}}"), 2);
    R(P("{\"encrypt\":{\"keyId\":\"/a~2\"}}"), 2);
    R(P("{\"encrypt\":{\"keyId\":1}}"), 14);
}

static void test_counts_are_numbers(void **state)
{
    static const char *const counts[] = {"minLength", "maxLength",     "minItems",
                                         "maxItems",  "minProperties", "maxProperties"};
    static const char *const values[] = {"\"1\"", "true", "null", "[1]", "{\"a\":1}"};
    char schema[64];
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        for (size_t j = 0; j < sizeof values / sizeof values[0]; j++) {
            (void)snprintf(schema, sizeof schema, "{\"%s\":%s}", counts[i], values[j]);
            R(schema, 9);
        }
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const unsupported[] = {"$ref",   "$schema", "default", "definitions",
                                              "format", "id",      "foo",     "const"};
    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++) {
        char schema[64];
        (void)snprintf(schema, sizeof schema, "{\"%s\":\"x\"}", unsupported[i]);
        R(schema, 9);
    }
    R("{\"minimum\":\"1\"}", 14);
    R("{\"minimum\":1,\"exclusiveMinimum\":1}", 14);
    R("{\"exclusiveMinimum\":true}", 9);
    R("{\"title\":1}", 14);
    R("{\"type\":1}", 14);
    R("{\"type\":\"object\",\"bsonType\":\"object\"}", 9);
    R("{\"type\":\"object\",\"type\":\"object\"}", 9);
    R("{\"type\":\"integer\"}", 9);
    R("{\"bsonType\":[\"string\",\"integer\"]}", 9);
    R("{\"type\":[]}", 9);
    R("{\"type\":[\"string\",\"string\"]}", 9);
    R("{\"type\":\"int\"}", 2);
    R("{\"bsonType\":\"boolean\"}", 2);
    R("{\"required\":[]}", 9);
    R("{\"required\":[\"a\",\"a\"]}", 9);
    R("{\"required\":[1]}", 14);
    R("{\"enum\":[]}", 9);
    R("{\"enum\":[1,1.0]}", 9);
    R("{\"dependencies\":{\"a\":[]}}", 9);
    R("{\"multipleOf\":0}", 9);
    R("{\"multipleOf\":{\"$numberDouble\":\"NaN\"}}", 2);
    R("{\"minLength\":-1}", 9);
    R("{\"minLength\":1.5}", 9);
    R("{\"minLength\":\"1\"}", 9);
    R("{\"anyOf\":[]}", 2);
    R("{\"anyOf\":{}}", 14);
    R("{\"anyOf\":[1]}", 14);
    R("{\"not\":1}", 14);
    R("{\"pattern\":\"(\"}", 51091);
    R("{\"patternProperties\":{\"(\":{}}}", 51091);
    R("{\"items\":1}", 14);
    R("{\"items\":[{},1]}", 14);
    R("{\"uniqueItems\":1}", 14);
    R("{\"properties\":{\"a\":1}}", 14);
    R("{\"additionalProperties\":1}", 14);
    R("{\"encrypt\":{},\"bsonType\":\"int\"}", 9);
    R("{\"properties\":{\"a\":{\"minimum\":\"x\"}}}", 14);
}

/* The extensions of schema files: references, and a description in lines. */
static void test_extended(void **state)
{
    (void)state;
    static const char *const tree =
        "{\"$defs\":{\"n\":{\"bsonType\":\"object\",\"required\":[\"v\"],\"properties\":{\"v\":{"
        "\"bsonType\":\"int\"},\"k\":{\"bsonType\":\"array\",\"items\":{\"$ref\":\"#/$defs/"
        "n\"}}}}},"
        "\"description\":[\"a\",\"tree\"],\"$ref\":\"#/$defs/n\"}";
    char document[4096];
    for (int depth = 1; depth <= 40; depth += 39)
        for (int good = 0; good < 2; good++) {
            size_t at = 0;
            for (int i = 0; i < depth; i++)
                at += (size_t)snprintf(document + at, sizeof document - at, "{\"v\":1,\"k\":[");
            at += (size_t)snprintf(document + at, sizeof document - at, "{\"v\":%s}",
                                   good ? "2" : "\"x\"");
            for (int i = 0; i < depth; i++)
                at += (size_t)snprintf(document + at, sizeof document - at, "]}");
            if (good)
                support_valid(SCHEMA_MONGODB_EXTENDED, tree, document);
            else
                support_invalid(SCHEMA_MONGODB_EXTENDED, tree, document);
        }
    /* Beside a reference other keywords count too, and `#` is the whole. */
    static const char *const beside = "{\"properties\":{\"o\":{\"$ref\":\"#\",\"required\":[\"x\"]}"
                                      ",\"x\":{\"bsonType\":\"int\"}}}";
    support_valid(SCHEMA_MONGODB_EXTENDED, beside, "{\"o\":{\"x\":1,\"o\":{\"x\":1}}}");
    support_invalid(SCHEMA_MONGODB_EXTENDED, beside, "{\"o\":{\"x\":1,\"o\":{}}}");
    support_invalid(SCHEMA_MONGODB_EXTENDED, beside, "{\"o\":{\"x\":\"y\"}}");
    support_refused(SCHEMA_MONGODB_EXTENDED, "{\"$ref\":\"#/$defs/none\"}", 9);
    support_refused(SCHEMA_MONGODB_EXTENDED, "{\"$ref\":\"other.json#/a\"}", 9);
    support_refused(SCHEMA_MONGODB_EXTENDED, "{\"$ref\":7}", 14);
    support_refused(SCHEMA_MONGODB_EXTENDED, "{\"$defs\":[]}", 14);
    support_refused(SCHEMA_MONGODB_EXTENDED, "{\"$ref\":\"#\"}", 9);
    support_refused(SCHEMA_MONGODB_EXTENDED, "{\"definitions\":{}}", 9);
    support_refused(SCHEMA_MONGODB_EXTENDED, "{\"title\":[\"a\"]}", 14);
    R("{\"$defs\":{}}", 9);
    R("{\"$ref\":\"#\"}", 9);
    R("{\"description\":[\"a\"]}", 14);
}

/* References that double the work with each level end at the limit, for a document and for a
 * command. */
static void test_extended_work(void **state)
{
    (void)state;
    struct error err = {0};
    bson_t *bson = support_json(
        "{\"$defs\":{\"A\":{\"bsonType\":\"object\",\"anyOf\":[{\"properties\":{\"x\":{\"$ref\":"
        "\"#/$defs/A\"}}},{\"properties\":{\"x\":{\"$ref\":\"#/$defs/A\"}},\"minProperties\":1}]}},"
        "\"$ref\":\"#/$defs/A\"}");
    struct schema *schema =
        schema_compile(support_bytes(bson), SCHEMA_MONGODB_EXTENDED, NULL, NULL, &err);
    struct schema_scratch *scratch = schema_scratch_new();
    char json[1024] = "";
    for (int i = 0; i < 40; i++)
        (void)strcat(json, "{\"x\":");
    (void)strcat(json, "7");
    for (int i = 0; i < 40; i++)
        (void)strcat(json, "}");
    bson_t *document = support_json(json);
    struct schema_allowance allowance = schema_allowance_of(document->len);
    uint64_t before = allowance.work;
    assert_non_null(schema);
    schema_scratch_allow(scratch, &allowance);
    assert_int_equal(schema_check(schema, scratch, support_bytes(document), &err), SCHEMA_CUT_OFF);
    assert_true(before - allowance.work <= SCHEMA_WORK_MAX);
    assert_int_equal(schema_check(schema, scratch, support_bytes(document), &err), SCHEMA_CUT_OFF);
    assert_int_equal(allowance.work, 0);
    schema_scratch_free(scratch);
    schema_free(schema);
    bson_destroy(bson);
    bson_destroy(document);
}

static void test_pointer(void **state)
{
    (void)state;
    struct error err = {0};
    bson_t *bson = support_json("{\"properties\":{\"a/b\":{\"anyOf\":[{},{\"minimum\":\"x\"}]}}}");
    assert_null(schema_compile(support_bytes(bson), SCHEMA_MONGODB, NULL, NULL, &err));
    assert_string_equal(err.message, "/properties/a~1b/anyOf/1/minimum: $jsonSchema keyword "
                                     "'minimum' must be a number, not string");
    bson_destroy(bson);
}

static void test_malformed(void **state)
{
    (void)state;
    struct error err = {0};
    bson_t *schema_bson = support_json("{\"properties\":{\"a\":{\"bsonType\":\"string\"}}}");
    struct schema *schema =
        schema_compile(support_bytes(schema_bson), SCHEMA_MONGODB, NULL, NULL, &err);
    struct schema_scratch *scratch = schema_scratch_new();
    /* Field a is refused, and the bytes after it are not BSON: the malformed BSON is the answer. */
    static const uint8_t broken[] = "\x12\0\0\0\x10"
                                    "a\0\1\0\0\0\x77"
                                    "b\0\0\0\0";
    assert_int_equal(schema_check(schema, scratch, bytes_of(broken, 18), &err), SCHEMA_MALFORMED);
    assert_int_equal(err.code, ERROR_INVALID_BSON);
    static const uint8_t field_head[] = {BSON_KIND_OBJECT, 'b', 0};
    /* 180 levels are taken, 181 are not. */
    for (size_t levels = 180; levels <= 181; levels++) {
        uint8_t deep[2000];
        size_t at = 0;
        size_t size = 5 + (levels - 1) * 8;
        for (size_t i = 0; i < levels; i++) {
            bytes_store_i32(deep + at, (int32_t)(size - 8 * i));
            at += 4;
            if (i + 1 < levels) {
                memcpy(deep + at, field_head, sizeof field_head);
                at += 3;
            }
        }
        memset(deep + at, 0, levels);
        assert_int_equal(schema_check(schema, scratch, bytes_of(deep, size), &err),
                         levels == 180 ? SCHEMA_VALID : SCHEMA_MALFORMED);
    }
    assert_int_equal(err.code, ERROR_OVERFLOW);
    schema_scratch_free(scratch);
    schema_free(schema);
    bson_destroy(schema_bson);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_are_numbers),
        cmocka_unit_test(test_names_are_bytes),
        cmocka_unit_test(test_paths_are_refused),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_multiple_of),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_extended),
        cmocka_unit_test(test_extended_work),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_enum),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_unique_many),
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_many_properties),
        cmocka_unit_test(test_combinations),
        cmocka_unit_test(test_encrypt),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_pointer),
        cmocka_unit_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
