#include "../cmocka_all.h"

#include <string.h>

#include "metrics/counters.h"

static void every_counter_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < COUNTER_COUNT; i++) {
        assert_true(strlen(counters_name(i)) > 0);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(counters_name(i), counters_name(j));
    }
    assert_string_equal(counters_name(COUNTER_CLIENTS_ACCEPTED), "clientsAccepted");
    assert_string_equal(counters_name(COUNTER_UPSTREAM_CLOSED), "upstreamClosedByServer");
}

static void sums_add_to_what_is_there(void **state)
{
    (void)state;
    static struct counters first;
    static struct counters second;
    uint64_t sum[COUNTER_COUNT] = {0};
    counters_add(&first, COUNTER_REQUESTS, 5);
    counters_add(&first, COUNTER_REQUESTS, 2);
    counters_add(&second, COUNTER_REQUESTS, 10);
    counters_add(&second, COUNTER_REPLY_BYTES, UINT64_C(1) << 40);
    counters_sum(&first, sum);
    counters_sum(&second, sum);
    assert_int_equal(sum[COUNTER_REQUESTS], 17);
    assert_int_equal(sum[COUNTER_REPLY_BYTES], UINT64_C(1) << 40);
    assert_int_equal(sum[COUNTER_REPLIES], 0);
}

/* A gauge goes down by adding -1. */
static void gauges_go_down(void **state)
{
    (void)state;
    static struct counters counters;
    uint64_t sum[COUNTER_COUNT] = {0};
    counters_add(&counters, COUNTER_CLIENTS_NOW, 2);
    counters_add(&counters, COUNTER_CLIENTS_NOW, (uint64_t)-1);
    counters_sum(&counters, sum);
    assert_int_equal(sum[COUNTER_CLIENTS_NOW], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_counter_has_a_name_of_its_own),
        cmocka_unit_test(sums_add_to_what_is_there),
        cmocka_unit_test(gauges_go_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
