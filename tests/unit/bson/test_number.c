/* Exact order, equality, hashes and remainders of numbers across the four types. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <bson/bson.h>
#include <cmocka.h>
#include <math.h>

#include "bson/number.h"

static struct number real(double value)
{
    return (struct number){.form = NUMBER_DOUBLE, .real = value};
}

static struct number integer(int64_t value)
{
    return (struct number){.form = NUMBER_INTEGER, .integer = value};
}

static struct number decimal(const char *text)
{
    bson_decimal128_t d;
    uint8_t bytes[16];
    assert_true(bson_decimal128_from_string(text, &d));
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(d.low >> (8 * i));
        bytes[8 + i] = (uint8_t)(d.high >> (8 * i));
    }
    return (struct number){.form = NUMBER_DECIMAL, .decimal = decimal_load(bytes)};
}

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

/* Rows of equal numbers, each row above the one before. */
static void test_order(void **state)
{
    (void)state;
    const struct number rows[][3] = {
        {real(NAN), decimal("NaN"), decimal("-NaN")},
        {real(-INFINITY), decimal("-Infinity"), decimal("-Infinity")},
        {decimal("-1E400"), decimal("-10E399"), decimal("-1000E397")},
        {real(-1e308), real(-1e308), real(-1e308)},
        {integer(INT64_MIN), real(-9223372036854775808.0), decimal("-9223372036854775808")},
        {integer(-2), real(-2), decimal("-2.00")},
        {decimal("-0.1"), decimal("-0.10"), decimal("-1E-1")},
        {decimal("-1E-400"), decimal("-1E-400"), decimal("-1E-400")},
        {integer(0), real(-0.0), decimal("-0E+10")},
        {decimal("1E-400"), decimal("1E-400"), decimal("10E-401")},
        {real(4.9406564584124654e-324), real(4.9406564584124654e-324),
         real(4.9406564584124654e-324)},
        {decimal("0.1"), decimal("0.10"), decimal("1E-1")},
        {real(0.1), real(0.1), real(0.1)}, /* a little above a tenth */
        {real(0.5), decimal("0.5"), decimal("0.50000")},
        {integer(9007199254740992), real(9007199254740992.0), decimal("9007199254740992")},
        {integer(9007199254740993), decimal("9007199254740993"), decimal("9007199254740993.0")},
        {integer(INT64_MAX), decimal("9223372036854775807"), integer(INT64_MAX)},
        {real(9223372036854775808.0), decimal("9223372036854775808"),
         decimal("9223372036854775808.00")},
        {decimal("1E22"), real(1e22), decimal("10000000000000000000000")},
        {decimal("1E23"), decimal("10E22"), decimal("1E23")},
        {real(1e308), real(1e308), real(1e308)},
        {decimal("9.999999999999999999999999999999999E6144"),
         decimal("9.999999999999999999999999999999999E6144"),
         decimal("9999999999999999999999999999999999E6111")},
        {real(INFINITY), decimal("Infinity"), decimal("Infinity")},
    };
    size_t count = sizeof rows / sizeof rows[0];
    for (size_t i = 0; i < count * 3; i++) {
        for (size_t j = 0; j < count * 3; j++) {
            const struct number *a = &rows[i / 3][i % 3];
            const struct number *b = &rows[j / 3][j % 3];
            int wanted = (i / 3 > j / 3) - (i / 3 < j / 3);
            if (sign(number_compare(a, b)) != wanted)
                fail_msg("row %zu.%zu against %zu.%zu", i / 3, i % 3, j / 3, j % 3);
            if (wanted == 0)
                assert_true(number_hash(a) == number_hash(b));
        }
    }
}

static void test_beyond_34_digits(void **state)
{
    (void)state;
    /* 10^34, one more than fits, and the form with the implied prefix: both mean 0. */
    const uint64_t over[][2] = {{0x378D8E6400000000, 0x3041ED09BEAD87C0}, {1, 0x6C10000000000000}};
    const struct number zero = integer(0);
    for (size_t i = 0; i < 2; i++) {
        uint8_t bytes[16];
        memcpy(bytes, over[i], 16);
        struct number n = {.form = NUMBER_DECIMAL, .decimal = decimal_load(bytes)};
        assert_int_equal(number_compare(&n, &zero), 0);
    }
}

static void expect_multiple(struct number value, struct number divisor, bool wanted)
{
    assert_int_equal(number_is_multiple(&value, &divisor), wanted);
}

static void test_multiple(void **state)
{
    (void)state;
    expect_multiple(integer(9), integer(3), true);
    expect_multiple(integer(-9), integer(3), true);
    expect_multiple(integer(10), integer(3), false);
    expect_multiple(real(0.3), real(0.1), true); /* 15 digits */
    expect_multiple(integer(7), real(0.1), true);
    expect_multiple(real(0.30000000000001), real(0.1), false);
    expect_multiple(real(1e308), integer(7), false);
    expect_multiple(real(4.35), decimal("0.01"), true);
    expect_multiple(decimal("1E6144"), decimal("1E-6176"), true);
    expect_multiple(decimal("1E-6176"), decimal("1E6144"), false);
    expect_multiple(decimal("0E-6176"), integer(3), true);
    expect_multiple(decimal("3E6000"), integer(9), false);
    expect_multiple(decimal("9E6000"), integer(9), true);
    expect_multiple(decimal("9999999999999999999999999999999999"), integer(3), true);
    expect_multiple(decimal("9999999999999999999999999999999998"), integer(3), false);
    expect_multiple(integer(INT64_MIN), integer(2), true);
    expect_multiple(real(NAN), integer(2), false);
    expect_multiple(decimal("Infinity"), integer(2), false);
}

static void test_as_int64(void **state)
{
    (void)state;
    int64_t out = 0;
    struct number n = decimal("12E2");
    assert_true(number_as_int64(&n, &out) && out == 1200);
    n = decimal("-12.0");
    assert_true(number_as_int64(&n, &out) && out == -12);
    n = decimal("12.5");
    assert_false(number_as_int64(&n, &out));
    n = decimal("1E19");
    assert_false(number_as_int64(&n, &out));
    n = real(9223372036854775808.0);
    assert_false(number_as_int64(&n, &out));
    n = real(-9223372036854775808.0);
    assert_true(number_as_int64(&n, &out) && out == INT64_MIN);
    n = real(NAN);
    assert_false(number_as_int64(&n, &out) || number_is_integral(&n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_beyond_34_digits),
        cmocka_unit_test(test_multiple),
        cmocka_unit_test(test_as_int64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
