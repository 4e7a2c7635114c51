/* Equality and hashes of values, as enum and uniqueItems mean them. */
#include "../json_document.h"

#include "bson/compare.h"
#include "bson/scan.h"

/* The values a and b of {"a":…,"b":…}, compared both ways; equal ones have equal hashes. */
static bool equal(const char *json)
{
    bson_t *bson = support_json(json);
    struct scan_element a;
    struct scan_element b;
    uint64_t budget = 1000;
    struct bytes all = support_bytes(bson);
    assert_true(scan_find(all, "a", &a) && scan_find(all, "b", &b));
    struct compare_value left = {a.kind, a.value};
    struct compare_value right = {b.kind, b.value};
    bool result = compare_equal(&left, &right, &budget);
    assert_int_equal(compare_equal(&right, &left, &budget), result);
    if (result)
        assert_true(compare_hash(&left) == compare_hash(&right));
    bson_destroy(bson);
    return result;
}

static void test_equal(void **state)
{
    (void)state;
    assert_true(equal("{\"a\":1,\"b\":1.0}"));
    assert_true(equal("{\"a\":{\"$numberDecimal\":\"1.50\"},\"b\":1.5}"));
    assert_true(equal("{\"a\":\"x\",\"b\":{\"$symbol\":\"x\"}}"));
    assert_true(equal("{\"a\":{\"x\":1,\"y\":[1,{\"p\":1,\"q\":2}]},"
                      "\"b\":{\"y\":[1,{\"q\":2,\"p\":1}],\"x\":1.0}}"));
    assert_true(equal("{\"a\":{\"x\":1,\"x\":2},\"b\":{\"x\":1,\"x\":2}}"));
    assert_true(equal("{\"a\":{\"x\":1,\"z\":0,\"x\":2},\"b\":{\"z\":0,\"x\":1,\"x\":2}}"));
    assert_true(equal("{\"a\":{\"$binary\":{\"base64\":\"AA==\",\"subType\":\"04\"}},"
                      "\"b\":{\"$binary\":{\"base64\":\"AA==\",\"subType\":\"04\"}}}"));
}

static void test_different(void **state)
{
    (void)state;
    assert_false(equal("{\"a\":1,\"b\":true}"));
    assert_false(equal("{\"a\":0,\"b\":null}"));
    assert_false(equal("{\"a\":null,\"b\":{\"$undefined\":true}}"));
    assert_false(equal("{\"a\":[1,2],\"b\":[2,1]}"));
    assert_false(equal("{\"a\":[1],\"b\":[1,1]}"));
    assert_false(equal("{\"a\":{\"0\":1},\"b\":[1]}"));
    assert_false(equal("{\"a\":{\"x\":1},\"b\":{\"x\":1,\"y\":1}}"));
    assert_false(equal("{\"a\":{\"x\":1,\"x\":2},\"b\":{\"x\":2,\"x\":1}}"));
    assert_false(equal("{\"a\":{\"x\":1,\"y\":2},\"b\":{\"x\":2,\"y\":1}}"));
    assert_false(equal("{\"a\":\"x\",\"b\":{\"$code\":\"x\"}}"));
    assert_false(equal("{\"a\":{\"$binary\":{\"base64\":\"AA==\",\"subType\":\"04\"}},"
                       "\"b\":{\"$binary\":{\"base64\":\"AA==\",\"subType\":\"00\"}}}"));
}

/* Objects of many fields in another order stop at the budget. */
static void test_budget(void **state)
{
    (void)state;
    bson_t forward = BSON_INITIALIZER;
    bson_t backward = BSON_INITIALIZER;
    for (int i = 0; i < 200; i++) {
        char up[8];
        char down[8];
        (void)snprintf(up, sizeof up, "%d", i);
        (void)snprintf(down, sizeof down, "%d", 199 - i);
        BSON_APPEND_INT32(&forward, up, i);
        BSON_APPEND_INT32(&backward, down, 199 - i);
    }
    struct compare_value a = {BSON_KIND_OBJECT, bytes_of(bson_get_data(&forward), forward.len)};
    struct compare_value b = {BSON_KIND_OBJECT, bytes_of(bson_get_data(&backward), backward.len)};
    uint64_t budget = 100;
    assert_false(compare_equal(&a, &b, &budget));
    assert_int_equal(budget, 0);
    budget = 1000000;
    assert_true(compare_equal(&a, &b, &budget));
    bson_destroy(&forward);
    bson_destroy(&backward);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_different),
        cmocka_unit_test(test_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
