/* The tightest bounds that documents meet, and the counts by reason. */
#include "support.h"

#include "audit/audit_bounds.h"
#include "audit/audit_count.h"
#include "base/text.h"
#include "bson/scan.h"

#include <string.h>

static struct schema *compile(enum schema_dialect dialect, const char *json)
{
    struct error err = {0};
    bson_t *bson = support_json(json);
    struct schema *schema = schema_compile(support_bytes(bson), dialect, NULL, NULL, &err);
    if (schema == NULL)
        fail_msg("%s", err.message);
    bson_destroy(bson);
    return schema;
}

static void add_line(void *arg, const struct audit_bound *bound)
{
    struct scan_element stored;
    struct scan_element element;
    bson_t document;
    assert_true(scan_find(bound->value, "file", &element));
    assert_true(scan_find(bound->value, "stored", &stored));
    assert_true(bson_init_static(&document, bound->value.pos, bytes_left(&bound->value)));
    bson_t only = BSON_INITIALIZER;
    bson_copy_to_excluding_noinit(&document, &only, "file", NULL);
    char *json = bson_as_relaxed_extended_json(&only, NULL);
    text_format(arg, "%s %s%s\n", bound->path, json, bound->looser ? " !" : "");
    bson_free(json);
    bson_destroy(&only);
}

static void assert_bounds(enum schema_dialect dialect, const char *schema_json,
                          const char *documents, const char *expected)
{
    struct schema *schema = compile(dialect, schema_json);
    struct audit_bounds *bounds = audit_bounds_new(schema);
    bson_t *all = support_json(documents);
    struct text lines = text_growing();
    struct scan scan;
    struct scan_element document;
    assert_non_null(bounds);
    (void)scan_open(&scan, support_bytes(all));
    while (scan_next(&scan, &document))
        audit_bounds_add(bounds, document.value);
    assert_true(audit_bounds_each(bounds, add_line, &lines));
    assert_string_equal(lines.data == NULL ? "" : lines.data, expected);
    text_release(&lines);
    bson_destroy(all);
    audit_bounds_free(bounds);
    schema_free(schema);
}

static void test_bounds(void **state)
{
    (void)state;
    assert_bounds(SCHEMA_MONGODB, "{\"properties\":{\"a\":{\"minimum\":0,\"maximum\":9}}}",
                  "{\"0\":{\"a\":3},\"1\":{\"a\":12.5},\"2\":{\"a\":\"no number\"},\"3\":{}}",
                  "/properties/a/minimum { \"stored\" : 3 }\n"
                  "/properties/a/maximum { \"stored\" : 12.5 } !\n");
    assert_bounds(SCHEMA_MONGODB, "{\"properties\":{\"a\":{\"minimum\":3,\"maximum\":3}}}",
                  "{\"0\":{\"a\":3},\"1\":{\"a\":{\"$numberDouble\":\"NaN\"}}}", "");
    assert_bounds(SCHEMA_MONGODB,
                  "{\"properties\":{\"a\":{\"minimum\":3,\"exclusiveMinimum\":true}}}",
                  "{\"0\":{\"a\":3}}", "/properties/a/minimum { \"stored\" : 3 } !\n");
    assert_bounds(SCHEMA_MONGODB,
                  "{\"minProperties\":1,\"maxProperties\":5,\"allOf\":[{\"maxProperties\":4}]}",
                  "{\"0\":{\"a\":1,\"b\":2},\"1\":{\"a\":1,\"b\":2,\"c\":3}}",
                  "/minProperties { \"stored\" : 2 }\n/maxProperties { \"stored\" : 3 }\n"
                  "/allOf/0/maxProperties { \"stored\" : 3 }\n");
    assert_bounds(
        SCHEMA_MONGODB, "{\"properties\":{\"x/y\":{\"enum\":[1,2,\"a\"]}}}",
        "{\"0\":{\"x/y\":1.0},\"1\":{\"x/y\":\"a\"},\"2\":{\"x/y\":null},\"3\":{\"x/y\":null}}",
        "/properties/x~1y/enum { \"stored\" : [ 1, \"a\", null ] } !\n");
    /* Nothing is said of places that no document has. */
    assert_bounds(SCHEMA_MONGODB, "{\"properties\":{\"a\":{\"maxLength\":3,\"enum\":[\"x\"]}}}",
                  "{\"0\":{}}", "");
}

static void test_recursion(void **state)
{
    (void)state;
    assert_bounds(
        SCHEMA_JSON_SCHEMA,
        "{\"$defs\":{\"n\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\","
        "\"exclusiveMaximum\":99},\"k\":{\"type\":\"array\",\"maxItems\":9,\"items\":{\"$ref\":"
        "\"#/$defs/n\"}}}}},\"properties\":{\"tree\":{\"$ref\":\"#/$defs/n\"}}}",
        "{\"0\":{\"tree\":{\"v\":1,\"k\":[{\"v\":7,\"k\":[{\"v\":50}]},{\"v\":2}]}}}",
        "/$defs/n/properties/v/exclusiveMaximum { \"stored\" : 50 }\n"
        "/$defs/n/properties/k/maxItems { \"stored\" : 2 }\n");
}

static void test_counts(void **state)
{
    (void)state;
    struct schema *newest =
        compile(SCHEMA_MONGODB, "{\"properties\":{\"a\":{\"bsonType\":\"int\"}}}");
    struct schema *older = compile(SCHEMA_MONGODB, "{\"required\":[\"b\"]}");
    struct schema_scratch *scratch = schema_scratch_new();
    struct audit_schemas schemas = {{newest, older}, 2};
    struct audit_count count = {0};
    struct error err = {0};
    static const char *const documents[] = {"{\"_id\":1,\"a\":5}", "{\"_id\":2,\"a\":\"x\"}",
                                            "{\"_id\":3,\"a\":\"x\",\"b\":1}"};
    for (size_t i = 0; i < 3; i++) {
        bson_t *document = support_json(documents[i]);
        bool passes =
            audit_count_document(&count, &schemas, scratch, support_bytes(document), &err);
        assert_int_equal(passes, i != 1);
        bson_destroy(document);
    }
    for (int i = 0; i < AUDIT_IDS_MAX; i++) {
        bson_t *document = support_json("{\"_id\":9,\"a\":true}");
        (void)audit_count_document(&count, &schemas, scratch, support_bytes(document), &err);
        bson_destroy(document);
    }
    static const uint8_t no_bson[] = {5, 0, 0, 0, 1};
    assert_false(
        audit_count_document(&count, &schemas, scratch, bytes_of(no_bson, sizeof no_bson), &err));
    audit_count_sort(&count);
    assert_int_equal(count.documents, 9);
    assert_int_equal(count.broken, 7);
    assert_int_equal(count.reason_count, 2);
    assert_int_equal(count.reasons[0].count, 6);
    assert_int_equal(count.reasons[0].id_count, AUDIT_IDS_MAX);
    assert_string_equal(count.reasons[0].path, "a");
    assert_non_null(strstr(count.reasons[1].text, "malformed"));
    audit_count_release(&count);
    schema_scratch_free(scratch);
    schema_free(newest);
    schema_free(older);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_recursion),
        cmocka_unit_test(test_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
