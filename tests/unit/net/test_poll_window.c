/* The window opens while pauses are short, and a long one closes it. */
#include "../cmocka_all.h"

#include "net/poll_window.h"

/* A turn of 5 µs after a pause. */
static void pass(struct poll_window *window, int64_t *now_us, int64_t pause_us)
{
    *now_us += pause_us;
    poll_window_note(window, *now_us, *now_us + 5);
    *now_us += 5;
}

/* A window of at most 50 µs after its start and ten pauses. */
static struct poll_window after_pauses(int64_t *now_us, int64_t pause_us)
{
    struct poll_window window = {.most_us = 50};
    pass(&window, now_us, 1000000);
    for (int i = 0; i < 10; i++)
        pass(&window, now_us, pause_us);
    return window;
}

static void it_stays_closed_without_a_limit(void **state)
{
    (void)state;
    struct poll_window window = {0};
    int64_t now_us = 1000;
    for (int i = 0; i < 10; i++) {
        pass(&window, &now_us, 0);
        assert_false(poll_window_is_open(&window, now_us));
    }
}

static void it_grows_while_pauses_are_short(void **state)
{
    (void)state;
    struct poll_window window = {.most_us = 50};
    int64_t now_us = 1000;
    static const int64_t windows_us[] = {10, 20, 40, 50, 50};
    pass(&window, &now_us, 1000000); /* it has just begun */
    assert_false(poll_window_is_open(&window, now_us));
    for (size_t i = 0; i < sizeof windows_us / sizeof *windows_us; i++) {
        pass(&window, &now_us, 45);
        assert_int_equal(window.window_us, windows_us[i]);
        assert_true(poll_window_is_open(&window, now_us + windows_us[i] - 1));
        assert_false(poll_window_is_open(&window, now_us + windows_us[i]));
    }
}

static void it_stays_as_wide_as_the_pauses(void **state)
{
    (void)state;
    int64_t now_us = 1000;
    struct poll_window window = after_pauses(&now_us, 8);
    assert_int_equal(window.window_us, POLL_WINDOW_FIRST_US);
}

static void a_long_pause_closes_it(void **state)
{
    (void)state;
    int64_t now_us = 1000;
    struct poll_window window = after_pauses(&now_us, 45);
    pass(&window, &now_us, 51);
    assert_false(poll_window_is_open(&window, now_us));
    for (int i = 0; i < 10; i++) { /* seldom work never opens it */
        pass(&window, &now_us, 300);
        assert_false(poll_window_is_open(&window, now_us));
    }
}

static void a_lower_limit_holds_at_once(void **state)
{
    (void)state;
    int64_t now_us = 1000;
    struct poll_window window = after_pauses(&now_us, 45);
    window.most_us = 0;
    pass(&window, &now_us, 45);
    assert_false(poll_window_is_open(&window, now_us));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_stays_closed_without_a_limit),
        cmocka_unit_test(it_grows_while_pauses_are_short),
        cmocka_unit_test(it_stays_as_wide_as_the_pauses),
        cmocka_unit_test(a_long_pause_closes_it),
        cmocka_unit_test(a_lower_limit_holds_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
