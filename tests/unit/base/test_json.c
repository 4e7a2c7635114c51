/* JSON, written value by value. */
#include "../cmocka_all.h"

#include <math.h>
#include <string.h>

#include "base/json.h"

static void values_stand_between_commas(void **state)
{
    (void)state;
    struct text out = text_growing();
    struct json json = json_over(&out);
    json_open_object(&json, NULL);
    json_add_string(&json, "a\"b", "c\nd");
    json_add_string(&json, "none", NULL);
    json_open_array(&json, "list");
    json_close_array(&json);
    json_open_array(&json, "numbers");
    json_add_int(&json, NULL, INT64_MIN);
    json_add_uint(&json, NULL, UINT64_MAX);
    json_add_real(&json, NULL, 1.25, 1);
    json_add_real(&json, NULL, NAN, 1);
    json_add_real(&json, NULL, INFINITY, 1);
    json_close_array(&json);
    json_open_object(&json, "inner");
    json_add_bool(&json, "yes", true);
    json_add_null(&json, "nothing");
    json_close_object(&json);
    json_add_raw(&json, "raw", "{\"x\":1}");
    json_close_object(&json);
    assert_string_equal(out.data, "{\"a\\\"b\":\"c\\nd\",\"none\":null,\"list\":[],\"numbers\":["
                                  "-9223372036854775808,18446744073709551615,1.2,null,null],"
                                  "\"inner\":{\"yes\":true,\"nothing\":null},\"raw\":{\"x\":1}}");
    text_release(&out);
}

static void lines_break_before_a_value_or_an_end(void **state)
{
    (void)state;
    struct text out = text_growing();
    struct json json = json_over(&out);
    json_open_array(&json, NULL);
    for (int i = 0; i < 2; i++) {
        json_break_line(&json);
        json_add_int(&json, NULL, i);
    }
    json_break_line(&json);
    json_close_array(&json);
    assert_string_equal(out.data, "[\n0,\n1\n]");
    text_release(&out);
}

static void a_text_that_is_full_is_cut(void **state)
{
    (void)state;
    char buffer[8];
    struct text out = text_over(buffer, sizeof buffer);
    struct json json = json_over(&out);
    json_open_object(&json, NULL);
    json_add_string(&json, "name", "a long value");
    json_close_object(&json);
    assert_true(out.cut);
    assert_true(strlen(buffer) < sizeof buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_stand_between_commas),
        cmocka_unit_test(lines_break_before_a_value_or_an_end),
        cmocka_unit_test(a_text_that_is_full_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
