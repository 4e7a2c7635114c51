/* What updates are proved wrong or right from their operand. */
#include "support.h"

#include "schema/prove.h"

#include "bson/scan.h"

static const char *const plain =
    "{\"required\":[\"name\",\"address\"],\"additionalProperties\":false,\"properties\":{\"_id\":{}"
    ","
    "\"name\":{\"bsonType\":\"string\",\"maxLength\":3},\"age\":{\"bsonType\":\"int\"},"
    "\"address\":{\"bsonType\":\"object\",\"required\":[\"city\"],\"properties\":{\"city\":{"
    "\"bsonType\":\"string\"},\"zip\":{\"bsonType\":\"string\"}}},"
    "\"extra\":{\"properties\":{\"x\":{\"bsonType\":\"int\"}}},"
    "\"tags\":{\"bsonType\":\"array\",\"items\":{\"bsonType\":\"string\"}},"
    "\"pair\":{\"bsonType\":\"array\",\"items\":[{\"bsonType\":\"int\"}],\"additionalItems\":false}"
    "}}";

struct fixture {
    struct schema *schema;
    struct schema_scratch *scratch;
};

static struct fixture open_fixture(const char *json)
{
    struct error err = {0};
    bson_t *bson = support_json(json);
    struct fixture f = {schema_compile(support_bytes(bson), SCHEMA_MONGODB, NULL, NULL, &err),
                        schema_scratch_new()};
    if (f.schema == NULL)
        fail_msg("%s", err.message);
    bson_destroy(bson);
    return f;
}

static void close_fixture(struct fixture *f)
{
    schema_free(f->schema);
    schema_scratch_free(f->scratch);
}

static enum schema_proof prove_set(struct fixture *f, const char *path, const char *json)
{
    bson_t *bson = support_json(json);
    struct scan_element value;
    assert_true(scan_find(support_bytes(bson), "v", &value));
    enum schema_proof proof =
        schema_prove_set(f->schema, f->scratch, path, value.kind, value.value);
    bson_destroy(bson);
    return proof;
}

static void test_set(void **state)
{
    (void)state;
    struct fixture f = open_fixture(plain);
    assert_int_equal(prove_set(&f, "name", "{\"v\":\"abc\"}"), SCHEMA_PROOF_RIGHT);
    assert_int_equal(prove_set(&f, "name", "{\"v\":\"abcd\"}"), SCHEMA_PROOF_WRONG);
    assert_int_equal(prove_set(&f, "other", "{\"v\":1}"), SCHEMA_PROOF_WRONG);
    assert_int_equal(prove_set(&f, "address.city", "{\"v\":\"x\"}"), SCHEMA_PROOF_RIGHT);
    assert_int_equal(prove_set(&f, "address.city", "{\"v\":1}"), SCHEMA_PROOF_WRONG);
    /* It may create an address without a city. */
    assert_int_equal(prove_set(&f, "address.zip", "{\"v\":\"x\"}"), SCHEMA_PROOF_NONE);
    assert_int_equal(prove_set(&f, "address.free", "{\"v\":1}"), SCHEMA_PROOF_NONE);
    assert_int_equal(prove_set(&f, "extra.x", "{\"v\":1}"), SCHEMA_PROOF_RIGHT);
    assert_int_equal(prove_set(&f, "extra.0", "{\"v\":1}"), SCHEMA_PROOF_NONE);
    assert_int_equal(prove_set(&f, "name.first", "{\"v\":1}"), SCHEMA_PROOF_WRONG);
    assert_int_equal(prove_set(&f, "tags.0", "{\"v\":1}"), SCHEMA_PROOF_WRONG);
    assert_int_equal(prove_set(&f, "tags.0", "{\"v\":\"a\"}"), SCHEMA_PROOF_NONE);
    assert_int_equal(prove_set(&f, "tags.$[]", "{\"v\":1}"), SCHEMA_PROOF_WRONG);
    assert_int_equal(prove_set(&f, "tags.$[x]", "{\"v\":\"a\"}"), SCHEMA_PROOF_NONE);
    assert_int_equal(prove_set(&f, "pair.0", "{\"v\":\"a\"}"), SCHEMA_PROOF_WRONG);
    assert_int_equal(prove_set(&f, "pair.1", "{\"v\":1}"), SCHEMA_PROOF_WRONG);
    assert_int_equal(prove_set(&f, "tags", "{\"v\":[\"a\",1]}"), SCHEMA_PROOF_WRONG);
    assert_int_equal(prove_set(&f, "", "{\"v\":1}"), SCHEMA_PROOF_NONE);
    assert_int_equal(prove_set(&f, "a..b", "{\"v\":1}"), SCHEMA_PROOF_WRONG);
    close_fixture(&f);
}

static void test_set_beside_combinations(void **state)
{
    (void)state;
    struct fixture f = open_fixture(
        "{\"properties\":{\"a\":{\"allOf\":[{\"minimum\":1},{\"maximum\":3}]},\"b\":{}},"
        "\"anyOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}");
    assert_int_equal(prove_set(&f, "a", "{\"v\":4}"), SCHEMA_PROOF_WRONG);
    assert_int_equal(prove_set(&f, "a", "{\"v\":2}"), SCHEMA_PROOF_NONE);
    close_fixture(&f);
}

static void test_unset(void **state)
{
    (void)state;
    struct fixture f = open_fixture(plain);
    assert_int_equal(schema_prove_unset(f.schema, "name"), SCHEMA_PROOF_WRONG);
    assert_int_equal(schema_prove_unset(f.schema, "age"), SCHEMA_PROOF_RIGHT);
    assert_int_equal(schema_prove_unset(f.schema, "address.city"), SCHEMA_PROOF_WRONG);
    assert_int_equal(schema_prove_unset(f.schema, "other"), SCHEMA_PROOF_NONE);
    assert_int_equal(schema_prove_unset(f.schema, "tags.0"), SCHEMA_PROOF_NONE);
    close_fixture(&f);
}

static void test_type(void **state)
{
    (void)state;
    struct fixture f = open_fixture(plain);
    assert_int_equal(schema_prove_type(f.schema, "name", TYPES_NUMBER), SCHEMA_PROOF_WRONG);
    assert_int_equal(schema_prove_type(f.schema, "age", TYPES_NUMBER), SCHEMA_PROOF_NONE);
    assert_int_equal(schema_prove_type(f.schema, "age", TYPE_BIT(BSON_KIND_ARRAY)),
                     SCHEMA_PROOF_WRONG);
    assert_int_equal(schema_prove_type(f.schema, "other", TYPES_NUMBER), SCHEMA_PROOF_WRONG);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_set_beside_combinations),
        cmocka_unit_test(test_unset),
        cmocka_unit_test(test_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
