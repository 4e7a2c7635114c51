/* The histogram against the sorted values themselves. */
#include "bench/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct histogram histogram;
static struct histogram other;

static int reset(void **state)
{
    (void)state;
    histogram_reset(&histogram);
    histogram_reset(&other);
    return 0;
}

static void test_empty(void **state)
{
    (void)state;
    assert_int_equal(histogram_percentile(&histogram, 50), 0);
    assert_int_equal(histogram_percentile(&histogram, 100), 0);
    assert_true(histogram_mean(&histogram) == 0);
}

static void test_small_values_are_exact(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 100; i++)
        histogram_record(&histogram, i);
    assert_int_equal(histogram.min, 1);
    assert_int_equal(histogram.max, 100);
    assert_int_equal(histogram_percentile(&histogram, 50), 50);
    assert_int_equal(histogram_percentile(&histogram, 99), 99);
    assert_int_equal(histogram_percentile(&histogram, 99.9), 100);
    assert_int_equal(histogram_percentile(&histogram, 0), 1);
    assert_true(histogram_mean(&histogram) == 50.5);
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* Values over all magnitudes from a fixed generator: each percentile is at least the exact one and
 * less than 1 % above it. */
static void test_precision(void **state)
{
    (void)state;
    static uint64_t values[20000];
    size_t count = sizeof values / sizeof values[0];
    uint64_t seed = 88172645463325252ULL;
    for (size_t i = 0; i < count; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        values[i] = seed >> (23 + seed % 40);
        histogram_record(&histogram, values[i]);
    }
    qsort(values, count, sizeof values[0], compare);
    const double percents[] = {1, 10, 50, 90, 99, 99.9, 100};
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        size_t rank = (size_t)(percents[i] / 100 * (double)count);
        uint64_t exact = values[rank > 0 ? rank - 1 : 0];
        uint64_t got = histogram_percentile(&histogram, percents[i]);
        assert_true(got >= exact);
        assert_true((double)got <= (double)exact * 1.01);
    }
}

/* Every bucket's neighbours: a value never falls into a bucket below that of a smaller value. */
static void test_bucket_borders(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < HISTOGRAM_MAX_BITS; bit++) {
        for (int64_t step = -1; step <= 1; step++) {
            uint64_t value = (uint64_t)((int64_t)(1ULL << bit) + step);
            histogram_reset(&histogram);
            histogram_record(&histogram, value);
            histogram_record(&histogram, UINT64_C(1) << HISTOGRAM_MAX_BITS);
            uint64_t got = histogram_percentile(&histogram, 50);
            assert_true(got >= value);
            assert_true(got - value <= value / HISTOGRAM_STEPS);
        }
    }
}

static void test_too_large_values_keep_the_maximum(void **state)
{
    (void)state;
    histogram_record(&histogram, UINT64_MAX / 4);
    assert_int_equal(histogram_percentile(&histogram, 50), UINT64_MAX / 4);
    assert_int_equal(histogram.max, UINT64_MAX / 4);
}

static void test_merge_is_as_recorded_together(void **state)
{
    (void)state;
    static struct histogram both;
    histogram_reset(&both);
    for (uint64_t i = 0; i < 3000; i++) {
        histogram_record(i % 3 == 0 ? &histogram : &other, 1000 + i * i);
        histogram_record(&both, 1000 + i * i);
    }
    histogram_merge(&histogram, &other);
    assert_memory_equal(&histogram, &both, sizeof both);
    histogram_reset(&other);
    histogram_merge(&histogram, &other);
    assert_memory_equal(&histogram, &both, sizeof both);
    histogram_merge(&other, &both);
    assert_memory_equal(&other, &both, sizeof both);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_empty, reset),
        cmocka_unit_test_setup(test_small_values_are_exact, reset),
        cmocka_unit_test_setup(test_precision, reset),
        cmocka_unit_test_setup(test_bucket_borders, reset),
        cmocka_unit_test_setup(test_too_large_values_keep_the_maximum, reset),
        cmocka_unit_test_setup(test_merge_is_as_recorded_together, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
