/* When a group waits for the clients of its last batch, and when it stops doing so. */
#include "merge/regather.h"
#include "support.h"

enum { STORE_US = 2000, TURN_US = 300, CLIENTS = 64 };

/* --- the choice alone --- */

/* Busy rounds: clients that all send again at once, and commands that take fixed_us and each_us for
 * each insert. Without waiting, half of the clients' inserts are in flight in turn. Returns the
 * inserts in a second over the rounds. */
static uint64_t run(struct regather *regather, int64_t *now_us, int rounds, int64_t fixed_us,
                    int64_t each_us)
{
    int64_t began_us = *now_us;
    uint64_t inserts = 0;
    uint32_t in_flight = regather->expected > 0 ? CLIENTS : CLIENTS / 2;
    for (int i = 0; i < rounds; i++) {
        int64_t took_us = fixed_us + each_us * in_flight;
        regather_note_sent(regather, in_flight, *now_us);
        *now_us += took_us;
        inserts += in_flight;
        regather_note_end(regather, in_flight, *now_us);
        regather_begin(regather, CLIENTS, took_us, *now_us);
        bool holds = regather_holds(regather, CLIENTS / 2, *now_us);
        assert_false(regather_holds(regather, CLIENTS, *now_us));
        if (holds)
            *now_us += TURN_US;
        in_flight = holds ? CLIENTS : CLIENTS / 2;
    }
    return inserts * 1000000 / (uint64_t)(*now_us - began_us);
}

static struct regather begun(void)
{
    struct regather regather;
    regather_init(&regather);
    return regather;
}

static void waiting_is_kept_where_a_command_takes_a_fixed_time(void **state)
{
    (void)state;
    struct regather regather = begun();
    int64_t now_us = 1000000;
    (void)run(&regather, &now_us, 2 * REGATHER_EPOCH_COMMANDS, STORE_US, 0);
    assert_true(regather.on && !regather.trial);
    assert_in_range(regather.rates[0], 15500, 16500);
    assert_in_range(regather.rates[1], 27000, 28500);
    /* with the trials of the other way, of which each takes one epoch in 17 */
    uint64_t rate = run(&regather, &now_us, 17 * 4 * REGATHER_EPOCH_COMMANDS, STORE_US, 0);
    assert_in_range(rate, 26800, 28000);
}

static void it_ends_where_the_time_grows_with_the_documents(void **state)
{
    (void)state;
    struct regather regather = begun();
    int64_t now_us = 1000000;
    (void)run(&regather, &now_us, 2 * REGATHER_EPOCH_COMMANDS, 0, 50);
    assert_true(!regather.on && !regather.trial);
    for (int i = 0; i < REGATHER_KEPT_EPOCHS; i++) {
        assert_false(regather.on);
        (void)run(&regather, &now_us, REGATHER_EPOCH_COMMANDS, 0, 50);
    }
    assert_true(regather.on && regather.trial); /* the server may have changed */
    (void)run(&regather, &now_us, REGATHER_EPOCH_COMMANDS, STORE_US, 0);
    assert_true(regather.on && !regather.trial);
}

static void it_ends_at_once_where_too_few_come_back(void **state)
{
    (void)state;
    struct regather regather = begun();
    int64_t now_us = 1000000;
    regather_note_end(&regather, 8, now_us);
    regather_begin(&regather, 8, 500, now_us);
    assert_true(regather_holds(&regather, 7, now_us + 499));
    assert_false(regather_holds(&regather, 7, now_us + 500));
    regather_note_sent(&regather, 6, now_us + 500); /* three quarters are enough */
    assert_true(regather.on);
    regather_begin(&regather, 8, 500, now_us);
    regather_note_sent(&regather, 1, now_us + 499); /* a full batch, or an uncertain user */
    assert_true(regather.on);
    regather_begin(&regather, 8, 500, now_us);
    regather_note_sent(&regather, 5, now_us + 500);
    assert_false(regather.on);
    regather_begin(&regather, 8, 500, now_us);
    assert_false(regather_holds(&regather, 0, now_us));
}

static void it_takes_no_longer_than_its_bound(void **state)
{
    (void)state;
    struct regather regather = begun();
    regather_begin(&regather, 8, 70000, 1000000);
    assert_true(regather_holds(&regather, 7, 1000000 + REGATHER_MAX_US - 1));
    assert_false(regather_holds(&regather, 7, 1000000 + REGATHER_MAX_US));
}

static void idle_time_counts_for_neither_way(void **state)
{
    (void)state;
    struct regather regather = begun();
    int64_t now_us = 1000000;
    (void)run(&regather, &now_us, REGATHER_EPOCH_COMMANDS / 2, STORE_US, 0);
    now_us += 5000000;
    (void)run(&regather, &now_us, REGATHER_EPOCH_COMMANDS / 2, STORE_US, 0);
    assert_false(regather.trial);
    (void)run(&regather, &now_us, REGATHER_EPOCH_COMMANDS / 2, STORE_US, 0);
    assert_true(regather.trial);
    assert_in_range(regather.rates[1], 26000, 28500);
}

static void a_clock_that_stands_does_no_harm(void **state)
{
    (void)state;
    struct regather regather = begun();
    for (int i = 0; i < 3 * REGATHER_EPOCH_COMMANDS; i++) {
        regather_note_sent(&regather, 5, 7);
        regather_note_end(&regather, 5, 7);
    }
    assert_int_equal(regather.rates[0], 5 * REGATHER_EPOCH_COMMANDS * UINT64_C(1000000));
}

/* --- in a merger --- */

static const char all_stored[] = "{\"n\":3,\"ok\":1}";

/* Inserts 1, 2 and 3 were a batch that took 500 µs, and have their answers; others may wait. */
static void answer_a_batch(struct fixture *f, bool one_more)
{
    struct answers answers = {0};
    struct batch *batch = batch_of(f, 3, 0);
    if (one_more)
        assert_int_equal(submit_id(f, 4, 0, 0), MERGER_WAIT);
    f->now_us += 500;
    assert_int_equal(answer(f, batch, all_stored, &answers), BATCH_ANSWERED);
    batch_end(f->merger, batch, f->now_us);
}

/* A batch of so many, whose connection breaks. */
static void take_and_lose(struct fixture *f, size_t inserts)
{
    struct batch *batch = merger_take(f->merger, f->now_us);
    assert_non_null(batch);
    assert_int_equal(batch_inserts(batch), inserts);
    batch_lost(f->merger, batch, true, f->now_us);
    batch_end(f->merger, batch, f->now_us);
    f->now_us += 500;
    assert_null(merger_take(f->merger, f->now_us));
    assert_int_equal(merger_next_due_us(f->merger), INT64_MAX);
}

static void a_batch_has_all_who_came_back(void **state)
{
    struct fixture *f = *state;
    answer_a_batch(f, true);
    assert_null(merger_take(f->merger, f->now_us));
    assert_int_equal(merger_next_due_us(f->merger), f->now_us + 500);
    for (int i = 1; i < 4; i++) {
        assert_null(merger_take(f->merger, f->now_us));
        assert_int_equal(submit_id(f, i, 0, 0), MERGER_WAIT);
    }
    take_and_lose(f, 4);
    /* lost clients do not come back soon */
    assert_int_equal(submit_id(f, 1, 0, 0), MERGER_GO);
    merger_finished(f->merger, f->answer.permit, f->now_us);
}

static void who_waits_goes_when_the_time_is_over(void **state)
{
    struct fixture *f = *state;
    answer_a_batch(f, true);
    assert_int_equal(submit_id(f, 1, 0, 0), MERGER_WAIT);
    f->now_us += 499;
    assert_null(merger_take(f->merger, f->now_us));
    f->now_us++;
    take_and_lose(f, 2);
}

static void nobody_is_left_waiting_when_clients_leave(void **state)
{
    struct fixture *f = *state;
    answer_a_batch(f, false);
    assert_true(merger_is_idle(f->merger));
    assert_int_equal(submit_id(f, 1, 0, 0), MERGER_WAIT);
    merger_leave(f->merger, f->answer.waiter, f->now_us);
    assert_true(merger_is_idle(f->merger));
    f->now_us += 500;
    assert_null(merger_take(f->merger, f->now_us));
    assert_int_equal(submit_id(f, 2, 0, 0), MERGER_GO);
    merger_finished(f->merger, f->answer.permit, f->now_us);
}

static void an_uncertain_user_goes_at_once(void **state)
{
    struct fixture *f = *state;
    answer_a_batch(f, false);
    f->origin.trust = MERGER_PROBABLE;
    assert_int_equal(submit_id(f, 1, 0, 0), MERGER_GO);
    merger_finished(f->merger, f->answer.permit, f->now_us);
}

static void a_full_batch_does_not_wait(void **state)
{
    struct fixture *f = *state;
    answer_a_batch(f, true);
    f->rules.max_docs = 2;
    assert_int_equal(submit_id(f, 1, 0, 0), MERGER_WAIT);
    take_and_lose(f, 2);
}

static void neither_draining_nor_lingering_gathers(void **state)
{
    struct fixture *f = *state;
    answer_a_batch(f, false);
    f->rules.linger_us = 100;
    assert_int_equal(submit_id(f, 1, 0, 0), MERGER_GO);
    f->rules.linger_us = 0;
    merger_finished(f->merger, f->answer.permit, f->now_us);
    answer_a_batch(f, true);
    assert_null(merger_take(f->merger, f->now_us));
    merger_drain(f->merger, f->now_us);
    struct bytes command;
    struct batch *batch = merger_take(f->merger, f->now_us);
    merger_finished(f->merger, batch_go_lone(f->merger, batch, f->now_us, &command), f->now_us);
    assert_int_equal(counted(f, MERGER_FLUSH_DRAIN), 1);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, fixture_make, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting_is_kept_where_a_command_takes_a_fixed_time),
        cmocka_unit_test(it_ends_where_the_time_grows_with_the_documents),
        cmocka_unit_test(it_ends_at_once_where_too_few_come_back),
        cmocka_unit_test(it_takes_no_longer_than_its_bound),
        cmocka_unit_test(idle_time_counts_for_neither_way),
        cmocka_unit_test(a_clock_that_stands_does_no_harm),
        WITH(a_batch_has_all_who_came_back),
        WITH(who_waits_goes_when_the_time_is_over),
        WITH(nobody_is_left_waiting_when_clients_leave),
        WITH(an_uncertain_user_goes_at_once),
        WITH(a_full_batch_does_not_wait),
        WITH(neither_draining_nor_lingering_gathers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
