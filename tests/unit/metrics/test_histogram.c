#include "../cmocka_all.h"

#include <string.h>

#include "metrics/histogram.h"

static void every_value_is_within_the_bounds_of_its_bucket(void **state)
{
    (void)state;
    for (uint64_t value = 0; value < (UINT64_C(1) << 40); value += 1 + value / 97) {
        size_t at = histogram_index(value);
        assert_true(at < HISTOGRAM_BUCKETS);
        assert_true(value <= histogram_bound(at));
        if (at > 0)
            assert_true(value > histogram_bound(at - 1));
    }
    assert_int_equal(histogram_index(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void bounds_grow_and_hold_every_power_of_two(void **state)
{
    (void)state;
    unsigned powers = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t bound = histogram_bound(i);
        if (i > 0)
            assert_true(bound > histogram_bound(i - 1));
        if (i < HISTOGRAM_BUCKETS - 1 && (bound & (bound - 1)) == 0)
            powers++;
    }
    assert_int_equal(powers, HISTOGRAM_BOUND_LOG2 + 1); /* 2^0 to 2^27 */
    assert_true(histogram_bound(HISTOGRAM_BUCKETS - 2) == UINT64_C(1) << HISTOGRAM_BOUND_LOG2);
}

static void totals_sum_and_differ(void **state)
{
    (void)state;
    static struct histogram one;
    static struct histogram two;
    static struct histogram_totals before;
    static struct histogram_totals now;
    static struct histogram_totals since;
    histogram_note(&one, 10);
    histogram_note(&two, 1000);
    histogram_add(&one, &before);
    histogram_add(&two, &before);
    assert_int_equal(before.count, 2);
    assert_int_equal(before.sum, 1010);
    histogram_note(&two, 1000);
    histogram_add(&one, &now);
    histogram_add(&two, &now);
    histogram_subtract(&now, &before, &since);
    assert_int_equal(since.count, 1);
    assert_int_equal(since.sum, 1000);
    assert_int_equal(since.buckets[histogram_index(1000)], 1);
    assert_int_equal(since.buckets[histogram_index(10)], 0);
}

static void quantiles_are_right_to_an_eighth(void **state)
{
    (void)state;
    static struct histogram histogram;
    static struct histogram_totals totals;
    assert_true(histogram_quantile(&totals, 0.5) == 0);
    for (uint64_t value = 1; value <= 10000; value++)
        histogram_note(&histogram, value);
    histogram_add(&histogram, &totals);
    static const double parts[] = {0.01, 0.5, 0.95, 0.99, 1};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        double expected = parts[i] * 10000;
        double got = histogram_quantile(&totals, parts[i]);
        assert_true(got >= expected * 7 / 8 && got <= expected * 9 / 8);
    }
}

/* A value over the last bound is reported as that bound. */
static void a_value_over_all_bounds_is_the_last_bound(void **state)
{
    (void)state;
    static struct histogram histogram;
    static struct histogram_totals totals;
    histogram_note(&histogram, UINT64_C(1) << 50);
    histogram_add(&histogram, &totals);
    assert_true(histogram_quantile(&totals, 0.5) == (double)(UINT64_C(1) << HISTOGRAM_BOUND_LOG2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_is_within_the_bounds_of_its_bucket),
        cmocka_unit_test(bounds_grow_and_hold_every_power_of_two),
        cmocka_unit_test(totals_sum_and_differ),
        cmocka_unit_test(quantiles_are_right_to_an_eighth),
        cmocka_unit_test(a_value_over_all_bounds_is_the_last_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
