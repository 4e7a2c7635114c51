/* Clients that wait for the end of a loop's turn are served in order, and none overtakes another.
 */
#include "../cmocka_all.h"

#include "net/turn.h"

enum { MANY = 100 };

struct heavy {
    struct turn *turn;
    struct turn_waiter waiter;
    int runs;
    bool again;   /* it waits again when it ran */
    bool lasting; /* it uses the turn up */
};

static void run(void *arg)
{
    struct heavy *heavy = arg;
    heavy->runs++;
    if (heavy->lasting)
        heavy->turn->began_us -= TURN_HEAVY_US;
    if (heavy->again)
        turn_wait(heavy->turn, &heavy->waiter);
}

static void make(struct turn *turn, struct heavy *heavies, int count)
{
    for (int i = 0; i < count; i++) {
        heavies[i] = (struct heavy){.turn = turn, .again = true, .lasting = true};
        heavies[i].waiter = (struct turn_waiter){.run = run, .arg = &heavies[i]};
        turn_wait(turn, &heavies[i].waiter);
    }
}

static void an_empty_turn_takes_no_time(void **state)
{
    (void)state;
    struct turn turn = {0};
    assert_int_equal(turn_end(&turn), 0);
    turn_note(&turn);
    turn.began_us -= 1000;
    assert_true(turn_end(&turn) >= 1000);
    assert_int_equal(turn_end(&turn), 0);
}

/* For a whole turn's time where nothing else was done in it, else for a slice. */
static void portions_are_shorter_in_a_turn_that_is_spent(void **state)
{
    (void)state;
    struct turn turn = {0};
    turn.now_us = clock_now_us() + 1000000; /* later than the test can take */
    turn.began_us = turn.now_us;
    assert_true(turn_may_go_on(&turn));
    turn.now_us = clock_now_us() - TURN_HEAVY_US;
    turn.began_us = turn.now_us;
    assert_false(turn_may_go_on(&turn));
    turn.now_us = clock_now_us() - TURN_SLICE_US;
    turn.began_us = turn.now_us - TURN_HEAVY_US;
    assert_false(turn_may_go_on(&turn));
}

static void each_turn_serves_one_though_it_is_spent(void **state)
{
    (void)state;
    struct turn turn = {0};
    struct heavy heavies[3];
    make(&turn, heavies, 3);
    for (int i = 0; i < 3 * 5; i++) {
        turn_note(&turn);
        turn.began_us -= TURN_HEAVY_US; /* light work took all of it */
        assert_true(turn_is_spent(&turn));
        turn_end(&turn);
        for (int j = 0; j < 3; j++)
            assert_int_equal(heavies[j].runs, i / 3 + (j <= i % 3));
    }
}

static void heavy_work_waits_behind_those_that_wait(void **state)
{
    (void)state;
    struct turn turn = {0};
    struct heavy heavy;
    turn_note(&turn);
    turn.began_us = turn.now_us;
    assert_false(turn_is_spent(&turn));
    make(&turn, &heavy, 1);
    assert_true(turn_is_spent(&turn));
}

static void what_takes_no_time_is_all_done_in_one_turn(void **state)
{
    (void)state;
    struct turn turn = {0};
    struct heavy heavies[2];
    make(&turn, heavies, 2);
    heavies[0].lasting = heavies[1].lasting = false;
    heavies[0].again = heavies[1].again = false;
    for (int i = 0; i < 2 && turn.waiters != NULL; i++)
        turn_end(&turn);
    assert_int_equal(heavies[0].runs, 1);
    assert_int_equal(heavies[1].runs, 1);
    assert_null(turn.waiters);
}

static void who_is_forgotten_or_waits_twice(void **state)
{
    (void)state;
    struct turn turn = {0};
    struct heavy heavies[2];
    make(&turn, heavies, 2);
    turn_wait(&turn, &heavies[0].waiter);
    heavies[0].again = heavies[1].again = false;
    turn_forget(&turn, &heavies[1].waiter);
    turn_forget(&turn, &heavies[1].waiter);
    for (int i = 0; i < MANY; i++)
        turn_end(&turn);
    assert_int_equal(heavies[0].runs, 1);
    assert_int_equal(heavies[1].runs, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_turn_takes_no_time),
        cmocka_unit_test(portions_are_shorter_in_a_turn_that_is_spent),
        cmocka_unit_test(each_turn_serves_one_though_it_is_spent),
        cmocka_unit_test(heavy_work_waits_behind_those_that_wait),
        cmocka_unit_test(what_takes_no_time_is_all_done_in_one_turn),
        cmocka_unit_test(who_is_forgotten_or_waits_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
