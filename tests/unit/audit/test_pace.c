/* The log never holds more documents than the rate allows, even if the clock jumps. */
#include "../cmocka_all.h"

#include "audit/audit_pace.h"

#include <stdbool.h>

/* Documents that arrive as soon as they may: how many in the first `us`. */
static uint64_t count_in(int64_t rate, int64_t us, int64_t pause_at_us, int64_t pause_us)
{
    struct audit_pace pace = {.rate = rate};
    int64_t now_us = 1000;
    uint64_t documents = 0;
    bool paused = false;
    while (now_us < 1000 + us) {
        documents++;
        now_us += audit_pace_next(&pace, now_us);
        if (!paused && now_us >= 1000 + pause_at_us) {
            now_us += pause_us;
            paused = true;
        }
    }
    return documents;
}

static void test_the_rate_is_the_most(void **state)
{
    static const int64_t rates[] = {1, 3, 7, 100, 999, 1000, 123457};
    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        uint64_t documents = count_in(rates[i], 10000000, 20000000, 0);
        assert_in_range(documents, (uint64_t)rates[i] * 10, (uint64_t)rates[i] * 10 + 1);
    }
}

/* After a pause of the server the reading does not run ahead. */
static void test_a_pause_is_not_made_up_for(void **state)
{
    (void)state;
    assert_in_range(count_in(100, 10000000, 2000000, 5000000), 495, 505);
}

static void test_no_limit(void **state)
{
    struct audit_pace pace = {0};
    (void)state;
    assert_int_equal(audit_pace_next(&pace, 5), 0);
    assert_int_equal(audit_pace_batch(0), 0);
}

static void test_replies_are_small(void **state)
{
    (void)state;
    assert_int_equal(audit_pace_batch(1), 2);
    assert_int_equal(audit_pace_batch(500), 50);
    assert_int_equal(audit_pace_batch(10000000), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_rate_is_the_most),
        cmocka_unit_test(test_a_pause_is_not_made_up_for),
        cmocka_unit_test(test_no_limit),
        cmocka_unit_test(test_replies_are_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
