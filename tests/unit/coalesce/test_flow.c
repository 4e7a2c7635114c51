/* When an insert goes at once, gathers, and goes with others. */
#include "support.h"

#define ID(n) ((void *)(intptr_t)(n))

/* Takes what is due and checks whose inserts are in it, in order; NULL where nothing is due. */
static struct batch *take(struct fixture *f, const int *ids, size_t count)
{
    struct batch *batch = coalesce_take(f->coalesce, f->now_us);
    if (count == 0) {
        assert_null(batch);
        return NULL;
    }
    assert_non_null(batch);
    assert_int_equal(batch_inserts(batch), count);
    struct coalesce_waiter *waiter = batch_first(batch);
    for (size_t i = 0; i < count; i++, waiter = batch_next(waiter))
        assert_ptr_equal(batch_waiter(waiter), ID(ids[i]));
    assert_null(waiter);
    return batch;
}

#define TAKE(f, ...)                                                                               \
    take(f, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static void end_lost(struct fixture *f, struct batch *batch)
{
    batch_lost(f->coalesce, batch, true, f->now_us);
    batch_end(f->coalesce, batch, f->now_us);
}

static struct coalesce_place *go_lone(struct fixture *f, struct batch *batch)
{
    struct bytes command;
    struct coalesce_place *ticket = batch_go_lone(f->coalesce, batch, f->now_us, &command);
    assert_true(bytes_left(&command) > 0);
    return ticket;
}

static struct coalesce_place *go_first(struct fixture *f, int id)
{
    assert_int_equal(submit_id(f, id, 0, 0), COALESCE_GO);
    return f->answer.ticket;
}

static struct coalesce_waiter *wait_next(struct fixture *f, int id)
{
    assert_int_equal(submit_id(f, id, 0, 0), COALESCE_WAIT);
    return f->answer.waiter;
}

static void a_client_alone_never_waits(void **state)
{
    struct fixture *f = *state;
    f->rules.linger_us = 500;
    for (int i = 1; i < 5; i++) {
        coalesce_finished(f->coalesce, go_first(f, i), f->now_us);
        assert_null(coalesce_take(f->coalesce, f->now_us));
        assert_int_equal(coalesce_next_due_us(f->coalesce), INT64_MAX);
    }
    assert_int_equal(counted(f, COALESCE_AT_ONCE), 4);
    assert_int_equal(coalesce_held_bytes(f->coalesce), 0);
}

static void what_gathers_goes_when_the_first_ends(void **state)
{
    struct fixture *f = *state;
    struct coalesce_place *first = go_first(f, 1);
    for (int i = 2; i < 5; i++)
        (void)wait_next(f, i);
    assert_int_equal(counted(f, COALESCE_WAITING_NOW), 3);
    assert_int_equal(counted(f, COALESCE_OLDEST_SINCE_US), 1000000);
    assert_true(coalesce_held_bytes(f->coalesce) > 0);
    (void)take(f, NULL, 0);
    f->now_us += 70;
    coalesce_finished(f->coalesce, first, f->now_us);
    struct batch *batch = TAKE(f, 2, 3, 4);
    (void)take(f, NULL, 0);
    (void)wait_next(f, 5); /* the batch is in flight */
    (void)take(f, NULL, 0);
    end_lost(f, batch);
    struct coalesce_place *lone = go_lone(f, TAKE(f, 5));
    assert_int_equal(submit_id(f, 6, 0, 0), COALESCE_WAIT);
    coalesce_finished(f->coalesce, lone, f->now_us);
    coalesce_finished(f->coalesce, go_lone(f, TAKE(f, 6)), f->now_us);
    coalesce_finished(f->coalesce, go_first(f, 7), f->now_us);
    assert_int_equal(counted(f, COALESCE_BATCHES), 1);
    assert_int_equal(counted(f, COALESCE_BATCH_INSERTS), 3);
    assert_int_equal(counted(f, COALESCE_LONE), 2);
    assert_int_equal(counted(f, COALESCE_FLUSH_IDLE), 3);
    assert_int_equal(atomic_load(&coalesce_counters(f->coalesce)->waited_us.sum), 70);
    assert_int_equal(atomic_load(&coalesce_counters(f->coalesce)->docs.sum), 3);
    assert_int_equal(counted(f, COALESCE_WAITING_NOW), 0);
    assert_int_equal(counted(f, COALESCE_OLDEST_SINCE_US), 0);
}

static void batches_are_bounded(void **state)
{
    struct fixture *f = *state;
    f->rules.max_docs = 3;
    struct coalesce_place *first = go_first(f, 1);
    for (int i = 2; i < 9; i++)
        (void)wait_next(f, i);
    coalesce_finished(f->coalesce, first, f->now_us);
    end_lost(f, TAKE(f, 2, 3, 4));
    f->rules.max_docs = 100;
    f->rules.max_bytes = 14 * 2 + 13; /* not quite three documents */
    (void)wait_next(f, 9);
    end_lost(f, TAKE(f, 5, 6));
    end_lost(f, TAKE(f, 7, 8));
    coalesce_finished(f->coalesce, go_lone(f, TAKE(f, 9)), f->now_us);
    assert_int_equal(counted(f, COALESCE_FLUSH_COUNT), 1);
    assert_int_equal(counted(f, COALESCE_FLUSH_BYTES), 2);
    assert_int_equal(counted(f, COALESCE_FLUSH_IDLE), 1);
}

static void what_is_large_by_itself_passes(void **state)
{
    struct fixture *f = *state;
    struct coalesce_place *first = go_first(f, 1);
    f->rules.max_docs = 2;
    struct command command = command_of(0, "{\"insert\":\"c\",\"$db\":\"test\",\"ordered\":false}",
                                        "[{\"_id\":1},{\"_id\":2},{\"_id\":3}]");
    assert_int_equal(submit(f, &command, f), COALESCE_PASS);
    assert_int_equal(barred(f, GROUPING_BAR_LARGE), 1);
    f->rules.max_docs = 3;
    assert_int_equal(submit(f, &command, ID(7)), COALESCE_WAIT);
    (void)wait_next(f, 8);
    coalesce_finished(f->coalesce, first, f->now_us);
    coalesce_finished(f->coalesce, go_lone(f, TAKE(f, 7)), f->now_us); /* 8 does not fit */
    coalesce_finished(f->coalesce, go_lone(f, TAKE(f, 8)), f->now_us);
    coalesce_rules_fit(&f->rules, 2, 48000000);
    assert_int_equal(f->rules.max_docs, 2);
    coalesce_rules_fit(&f->rules, 2, COALESCE_OVERHEAD_BYTES + 5);
    assert_int_equal(f->rules.max_bytes, 5);
    coalesce_rules_fit(&f->rules, 2, 5);
    assert_int_equal(f->rules.max_bytes, 0);
}

static void several_may_be_in_flight(void **state)
{
    struct fixture *f = *state;
    f->rules.max_in_flight = 2;
    f->rules.max_docs = 2;
    struct coalesce_place *first = go_first(f, 1);
    (void)wait_next(f, 2);
    (void)take(f, NULL, 0); /* something is in flight: gather on */
    (void)wait_next(f, 3);
    struct batch *second = TAKE(f, 2, 3); /* full, and there is a place */
    (void)wait_next(f, 4);
    (void)wait_next(f, 5);
    (void)wait_next(f, 6);
    (void)take(f, NULL, 0);
    coalesce_finished(f->coalesce, first, f->now_us);
    struct batch *third = TAKE(f, 4, 5);
    end_lost(f, second);
    coalesce_finished(f->coalesce, go_lone(f, TAKE(f, 6)), f->now_us);
    end_lost(f, third);
}

static void lingering_waits_for_more(void **state)
{
    struct fixture *f = *state;
    f->rules.linger_us = 500;
    f->rules.max_docs = 3;
    struct coalesce_place *first = go_first(f, 1);
    (void)wait_next(f, 2);
    f->now_us += 100;
    (void)wait_next(f, 3);
    coalesce_finished(f->coalesce, first, f->now_us);
    (void)take(f, NULL, 0);
    assert_int_equal(coalesce_next_due_us(f->coalesce), 1000000 + 500);
    f->now_us += 399;
    (void)take(f, NULL, 0);
    f->now_us++;
    struct batch *batch = TAKE(f, 2, 3);
    assert_int_equal(coalesce_next_due_us(f->coalesce), INT64_MAX);
    for (int i = 4; i < 7; i++)
        (void)wait_next(f, i);
    end_lost(f, batch);
    end_lost(f, TAKE(f, 4, 5, 6)); /* full: no lingering */
    assert_int_equal(counted(f, COALESCE_FLUSH_TIMER), 1);
    assert_int_equal(counted(f, COALESCE_FLUSH_COUNT), 1);
    assert_int_equal(coalesce_next_due_us(f->coalesce), INT64_MAX);
}

static void draining_does_not_linger(void **state)
{
    struct fixture *f = *state;
    f->rules.linger_us = 500;
    struct coalesce_place *first = go_first(f, 1);
    (void)wait_next(f, 2);
    coalesce_finished(f->coalesce, first, f->now_us);
    (void)take(f, NULL, 0);
    coalesce_drain(f->coalesce, f->now_us);
    coalesce_finished(f->coalesce, go_lone(f, TAKE(f, 2)), f->now_us);
    assert_int_equal(counted(f, COALESCE_FLUSH_DRAIN), 1);
}

static void what_stalls_is_waited_for_no_longer(void **state)
{
    struct fixture *f = *state;
    f->rules.stalled_after_us = 1000;
    struct coalesce_place *stuck = go_first(f, 1);
    (void)wait_next(f, 2);
    (void)wait_next(f, 3);
    assert_int_equal(coalesce_next_due_us(f->coalesce), 1000000 + 1000);
    f->now_us += 999;
    (void)take(f, NULL, 0);
    f->now_us++;
    struct batch *second = TAKE(f, 2, 3);
    (void)wait_next(f, 4);
    (void)take(f, NULL, 0); /* the second is waited for as usual */
    coalesce_finished(f->coalesce, stuck, f->now_us);
    (void)take(f, NULL, 0); /* that the first ends after all makes no difference */
    end_lost(f, second);
    coalesce_finished(f->coalesce, go_lone(f, TAKE(f, 4)), f->now_us);
    coalesce_finished(f->coalesce, go_first(f, 5), f->now_us);
    assert_int_equal(counted(f, COALESCE_STALLED), 1);
}

static void without_a_limit_it_waits_as_long_as_it_takes(void **state)
{
    struct fixture *f = *state;
    struct coalesce_place *stuck = go_first(f, 1);
    (void)wait_next(f, 2);
    assert_int_equal(coalesce_next_due_us(f->coalesce), INT64_MAX);
    f->now_us += INT64_C(1) << 40;
    (void)take(f, NULL, 0);
    coalesce_finished(f->coalesce, stuck, f->now_us);
    coalesce_finished(f->coalesce, go_lone(f, TAKE(f, 2)), f->now_us);
    assert_int_equal(counted(f, COALESCE_STALLED), 0);
}

/* An insert that comes when nobody has waited for what is stuck. */
static void who_comes_late_goes_in_the_same_turn(void **state)
{
    struct fixture *f = *state;
    f->rules.stalled_after_us = 1000;
    f->rules.linger_us = 300;
    struct coalesce_place *stuck = go_first(f, 1);
    f->now_us += 5000;
    (void)wait_next(f, 2);
    (void)take(f, NULL, 0); /* there is a place: it lingers for more */
    f->now_us += 300;
    coalesce_finished(f->coalesce, go_lone(f, TAKE(f, 2)), f->now_us);
    coalesce_finished(f->coalesce, go_first(f, 3), f->now_us);
    coalesce_finished(f->coalesce, stuck, f->now_us);
    f->rules.linger_us = 0;
    stuck = go_first(f, 4);
    f->now_us += 5000;
    (void)wait_next(f, 5);
    coalesce_finished(f->coalesce, go_lone(f, TAKE(f, 5)), f->now_us);
    coalesce_finished(f->coalesce, stuck, f->now_us);
}

static void what_stalls_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct coalesce_place *stuck[COALESCE_IN_FLIGHT_MAX];
    f->rules.stalled_after_us = 1;
    for (int i = 0; i < COALESCE_IN_FLIGHT_MAX; i++, f->now_us++) {
        if (i == 0) {
            stuck[i] = go_first(f, 1);
            continue;
        }
        (void)wait_next(f, i + 1);
        stuck[i] = go_lone(f, TAKE(f, i + 1));
    }
    (void)wait_next(f, 100);
    (void)take(f, NULL, 0);
    assert_int_equal(coalesce_next_due_us(f->coalesce), INT64_MAX);
    coalesce_finished(f->coalesce, stuck[7], f->now_us);
    coalesce_finished(f->coalesce, go_lone(f, TAKE(f, 100)), f->now_us);
    for (int i = 0; i < COALESCE_IN_FLIGHT_MAX; i++)
        if (i != 7)
            coalesce_finished(f->coalesce, stuck[i], f->now_us);
}

static void who_leaves_while_gathering_is_not_sent(void **state)
{
    struct fixture *f = *state;
    struct coalesce_place *first = go_first(f, 1);
    struct coalesce_waiter *second = wait_next(f, 2);
    (void)wait_next(f, 3);
    struct coalesce_waiter *fourth = wait_next(f, 4);
    coalesce_leave(f->coalesce, second, f->now_us);
    coalesce_finished(f->coalesce, first, f->now_us);
    struct batch *batch = TAKE(f, 3, 4);
    coalesce_leave(f->coalesce, fourth, f->now_us); /* its document goes on */
    assert_null(batch_waiter(batch_next(batch_first(batch))));
    uint8_t *payload = NULL;
    size_t len = 0;
    assert_true(batch_build(batch, &payload, &len));
    assert_int_equal(count_sequence(payload, len), 2);
    memory_free(payload);
    end_lost(f, batch);
    /* the last one that gathers leaves: nothing is due */
    first = go_first(f, 5);
    coalesce_leave(f->coalesce, wait_next(f, 6), f->now_us);
    coalesce_finished(f->coalesce, first, f->now_us);
    (void)take(f, NULL, 0);
    assert_int_equal(coalesce_held_bytes(f->coalesce), 0);
}

static void waiters_are_bounded(void **state)
{
    struct fixture *f = *state;
    f->rules.max_waiters = 2;
    struct coalesce_place *first = go_first(f, 1);
    struct coalesce_waiter *waiters[2] = {wait_next(f, 2), wait_next(f, 3)};
    assert_int_equal(submit_id(f, 4, 0, 0), COALESCE_PASS);
    assert_int_equal(barred(f, GROUPING_BAR_WAITERS_FULL), 1);
    f->rules.reject = true;
    assert_int_equal(submit_id(f, 4, 0, 0), COALESCE_REJECT);
    f->rules.max_waiters = 1000;
    f->rules.max_waiters_total = 2;
    assert_int_equal(submit_id(f, 4, 0, 0), COALESCE_REJECT);
    assert_int_equal(counted(f, COALESCE_REJECTED), 2);
    coalesce_leave(f->coalesce, waiters[0], f->now_us);
    waiters[0] = wait_next(f, 5);
    coalesce_finished(f->coalesce, first, f->now_us);
    end_lost(f, TAKE(f, 3, 5));
}

static void switched_off_it_passes(void **state)
{
    struct fixture *f = *state;
    struct coalesce_place *first = go_first(f, 1);
    (void)wait_next(f, 2);
    f->rules.enabled = false;
    assert_int_equal(submit_id(f, 3, 0, 0), COALESCE_PASS);
    assert_int_equal(barred(f, GROUPING_BAR_OFF), 1);
    coalesce_finished(f->coalesce, first, f->now_us); /* who waits already still goes */
    coalesce_finished(f->coalesce, go_lone(f, TAKE(f, 2)), f->now_us);
}

static void many_keys_are_let_go(void **state)
{
    struct fixture *f = *state;
    char body[100];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(body, sizeof body, "{\"insert\":\"c%d\",\"$db\":\"test\"}", i);
        struct command command = command_of(0, body, "[{\"_id\":1}]");
        assert_int_equal(submit(f, &command, f), COALESCE_GO);
        coalesce_finished(f->coalesce, f->answer.ticket, f->now_us);
    }
    assert_in_range(counted(f, COALESCE_GROUPS_NOW), 1, 64);
}

static void what_still_waits_at_the_end_is_dropped(void **state)
{
    struct fixture *f = *state;
    know(f, 1);
    know(f, 2);
    assert_int_equal(submit_id(f, 1, 1, 2), COALESCE_GO);
    struct coalesce_place *first = f->answer.ticket;
    assert_int_equal(submit_id(f, 2, 2, 2), COALESCE_WAIT);
    coalesce_finished(f->coalesce, first, f->now_us);
}

static void counters_add_up(void **state)
{
    (void)state;
    struct coalesce_counters counters = {0};
    struct coalesce_sums sums = {0};
    atomic_store(&counters.values[COALESCE_OLDEST_SINCE_US], 9);
    coalesce_counters_sum(&counters, &sums);
    atomic_store(&counters.values[COALESCE_OLDEST_SINCE_US], 0);
    coalesce_counters_sum(&counters, &sums);
    assert_int_equal(sums.values[COALESCE_OLDEST_SINCE_US], 9);
    atomic_store(&counters.values[COALESCE_OLDEST_SINCE_US], 5);
    coalesce_counters_sum(&counters, &sums);
    assert_int_equal(sums.values[COALESCE_OLDEST_SINCE_US], 5);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, fixture_make, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_client_alone_never_waits),
        WITH(what_gathers_goes_when_the_first_ends),
        WITH(batches_are_bounded),
        WITH(what_is_large_by_itself_passes),
        WITH(several_may_be_in_flight),
        WITH(lingering_waits_for_more),
        WITH(draining_does_not_linger),
        WITH(who_leaves_while_gathering_is_not_sent),
        WITH(waiters_are_bounded),
        WITH(switched_off_it_passes),
        WITH(what_stalls_is_waited_for_no_longer),
        WITH(without_a_limit_it_waits_as_long_as_it_takes),
        WITH(who_comes_late_goes_in_the_same_turn),
        WITH(what_stalls_is_bounded),
        WITH(many_keys_are_let_go),
        WITH(what_still_waits_at_the_end_is_dropped),
        cmocka_unit_test(counters_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
