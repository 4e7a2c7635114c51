/* Pairs of names and values. */
#include <string.h>

#include "../cmocka_all.h"
#include "base/name_values.h"

static void pairs_are_read(void **state)
{
    (void)state;
    struct name_value pair;
    char value[NAME_VALUE_BYTES];
    const char *rest = "a=1,b=x%3Dy%20%zz%,c=";
    assert_true(name_values_are_valid(rest));
    assert_true(name_values_next(&rest, &pair));
    assert_int_equal(pair.name_len, 1);
    assert_int_equal(name_value_decode(&pair, value), 1);
    assert_int_equal(value[0], '1');
    assert_true(name_values_next(&rest, &pair));
    assert_int_equal(pair.name[0], 'b');
    assert_int_equal(name_value_decode(&pair, value), strlen("x=y %zz%"));
    assert_memory_equal(value, "x=y %zz%", strlen("x=y %zz%"));
    assert_true(name_values_next(&rest, &pair));
    assert_int_equal(pair.value_len, 0);
    assert_int_equal(name_value_decode(&pair, value), 0);
    assert_false(name_values_next(&rest, &pair));
}

static void validity(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {{"", true},           {"a=1", true},       {"a==", true},       {"a=1,b=2", true},
                 {"a", false},         {"=1", false},       {",", false},        {"a=1,", false},
                 {",a=1", false},      {"a=1,,b=2", false}, {"a=1, b=2", false}, {"a=\t", false},
                 {"a=\xC3\xA9", false}};
    static char longest[NAME_VALUE_BYTES + 1];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(name_values_are_valid(cases[i].text), cases[i].valid);
    memset(longest, 'x', NAME_VALUE_BYTES);
    longest[1] = '=';
    assert_false(name_values_are_valid(longest));
    longest[NAME_VALUE_BYTES - 1] = 0;
    assert_true(name_values_are_valid(longest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pairs_are_read),
                                       cmocka_unit_test(validity)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
