/* When an insert goes at once, waits, and goes with others. */
#include "support.h"

#define ID(n) ((void *)(intptr_t)(n))

/* Takes the batch that is due and checks the owners of its inserts, in order; NULL: none is due. */
static struct batch *take(struct fixture *f, const int *ids, size_t count)
{
    struct batch *batch = merger_take(f->merger, f->now_us);
    if (count == 0) {
        assert_null(batch);
        return NULL;
    }
    assert_non_null(batch);
    assert_int_equal(batch_inserts(batch), count);
    struct merger_waiter *waiter = batch_first(batch);
    for (size_t i = 0; i < count; i++, waiter = batch_next(waiter))
        assert_ptr_equal(batch_waiter(waiter), ID(ids[i]));
    assert_null(waiter);
    return batch;
}

#define TAKE(f, ...)                                                                               \
    take(f, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static void end_lost(struct fixture *f, struct batch *batch)
{
    batch_lost(f->merger, batch, true, f->now_us);
    batch_end(f->merger, batch, f->now_us);
}

static struct merger_permit *go_lone(struct fixture *f, struct batch *batch)
{
    struct bytes command;
    struct merger_permit *permit = batch_go_lone(f->merger, batch, f->now_us, &command);
    assert_true(bytes_left(&command) > 0);
    return permit;
}

static struct merger_permit *go_first(struct fixture *f, int id)
{
    assert_int_equal(submit_id(f, id, 0, 0), MERGER_GO);
    return f->answer.permit;
}

static struct merger_waiter *wait_next(struct fixture *f, int id)
{
    assert_int_equal(submit_id(f, id, 0, 0), MERGER_WAIT);
    return f->answer.waiter;
}

static void a_client_alone_never_waits(void **state)
{
    struct fixture *f = *state;
    f->rules.linger_us = 500;
    for (int i = 1; i < 5; i++) {
        merger_finished(f->merger, go_first(f, i), f->now_us);
        assert_null(merger_take(f->merger, f->now_us));
        assert_int_equal(merger_next_due_us(f->merger), INT64_MAX);
    }
    assert_int_equal(counted(f, MERGER_AT_ONCE), 4);
    assert_int_equal(merger_held_bytes(f->merger), 0);
}

static void what_waits_goes_when_the_first_ends(void **state)
{
    struct fixture *f = *state;
    struct merger_permit *first = go_first(f, 1);
    for (int i = 2; i < 5; i++)
        (void)wait_next(f, i);
    assert_int_equal(counted(f, MERGER_WAITING_NOW), 3);
    assert_int_equal(counted(f, MERGER_OLDEST_SINCE_US), 1000000);
    assert_true(merger_held_bytes(f->merger) > 0);
    (void)take(f, NULL, 0);
    f->now_us += 70;
    merger_finished(f->merger, first, f->now_us);
    struct batch *batch = TAKE(f, 2, 3, 4);
    (void)take(f, NULL, 0);
    (void)wait_next(f, 5); /* the batch is in flight */
    (void)take(f, NULL, 0);
    end_lost(f, batch);
    struct merger_permit *lone = go_lone(f, TAKE(f, 5));
    assert_int_equal(submit_id(f, 6, 0, 0), MERGER_WAIT);
    merger_finished(f->merger, lone, f->now_us);
    merger_finished(f->merger, go_lone(f, TAKE(f, 6)), f->now_us);
    merger_finished(f->merger, go_first(f, 7), f->now_us);
    assert_int_equal(counted(f, MERGER_BATCHES), 1);
    assert_int_equal(counted(f, MERGER_BATCH_INSERTS), 3);
    assert_int_equal(counted(f, MERGER_LONE), 2);
    assert_int_equal(counted(f, MERGER_FLUSH_IDLE), 3);
    assert_int_equal(atomic_load(&merger_counters(f->merger)->waited_us.sum), 70);
    assert_int_equal(atomic_load(&merger_counters(f->merger)->docs.sum), 3);
    assert_int_equal(counted(f, MERGER_WAITING_NOW), 0);
    assert_int_equal(counted(f, MERGER_OLDEST_SINCE_US), 0);
}

static void batches_are_bounded(void **state)
{
    struct fixture *f = *state;
    f->rules.max_docs = 3;
    struct merger_permit *first = go_first(f, 1);
    for (int i = 2; i < 9; i++)
        (void)wait_next(f, i);
    merger_finished(f->merger, first, f->now_us);
    end_lost(f, TAKE(f, 2, 3, 4));
    f->rules.max_docs = 100;
    f->rules.max_bytes = 14 * 2 + 13; /* not quite three documents */
    (void)wait_next(f, 9);
    end_lost(f, TAKE(f, 5, 6));
    end_lost(f, TAKE(f, 7, 8));
    merger_finished(f->merger, go_lone(f, TAKE(f, 9)), f->now_us);
    assert_int_equal(counted(f, MERGER_FLUSH_COUNT), 1);
    assert_int_equal(counted(f, MERGER_FLUSH_BYTES), 2);
    assert_int_equal(counted(f, MERGER_FLUSH_IDLE), 1);
}

static void what_is_large_by_itself_passes(void **state)
{
    struct fixture *f = *state;
    struct merger_permit *first = go_first(f, 1);
    f->rules.max_docs = 2;
    struct command command = command_of(0, "{\"insert\":\"c\",\"$db\":\"test\",\"ordered\":false}",
                                        "[{\"_id\":1},{\"_id\":2},{\"_id\":3}]");
    assert_int_equal(submit(f, &command, f), MERGER_PASS);
    assert_int_equal(barred(f, GROUPING_BAR_LARGE), 1);
    f->rules.max_docs = 3;
    assert_int_equal(submit(f, &command, ID(7)), MERGER_WAIT);
    (void)wait_next(f, 8);
    merger_finished(f->merger, first, f->now_us);
    merger_finished(f->merger, go_lone(f, TAKE(f, 7)), f->now_us); /* 8 does not fit */
    merger_finished(f->merger, go_lone(f, TAKE(f, 8)), f->now_us);
    merger_rules_fit(&f->rules, 2, 48000000);
    assert_int_equal(f->rules.max_docs, 2);
    merger_rules_fit(&f->rules, 2, MERGER_OVERHEAD_BYTES + 5);
    assert_int_equal(f->rules.max_bytes, 5);
    merger_rules_fit(&f->rules, 2, 5);
    assert_int_equal(f->rules.max_bytes, 0);
}

static void several_may_be_in_flight(void **state)
{
    struct fixture *f = *state;
    f->rules.max_in_flight = 2;
    f->rules.max_docs = 2;
    struct merger_permit *first = go_first(f, 1);
    (void)wait_next(f, 2);
    (void)take(f, NULL, 0); /* something is in flight: wait on */
    (void)wait_next(f, 3);
    struct batch *second = TAKE(f, 2, 3); /* full, and there is a permit */
    (void)wait_next(f, 4);
    (void)wait_next(f, 5);
    (void)wait_next(f, 6);
    (void)take(f, NULL, 0);
    merger_finished(f->merger, first, f->now_us);
    struct batch *third = TAKE(f, 4, 5);
    end_lost(f, second);
    merger_finished(f->merger, go_lone(f, TAKE(f, 6)), f->now_us);
    end_lost(f, third);
}

static void lingering_waits_for_more(void **state)
{
    struct fixture *f = *state;
    f->rules.linger_us = 500;
    f->rules.max_docs = 3;
    struct merger_permit *first = go_first(f, 1);
    (void)wait_next(f, 2);
    f->now_us += 100;
    (void)wait_next(f, 3);
    merger_finished(f->merger, first, f->now_us);
    (void)take(f, NULL, 0);
    assert_int_equal(merger_next_due_us(f->merger), 1000000 + 500);
    f->now_us += 399;
    (void)take(f, NULL, 0);
    f->now_us++;
    struct batch *batch = TAKE(f, 2, 3);
    assert_int_equal(merger_next_due_us(f->merger), INT64_MAX);
    for (int i = 4; i < 7; i++)
        (void)wait_next(f, i);
    end_lost(f, batch);
    end_lost(f, TAKE(f, 4, 5, 6)); /* full: no lingering */
    assert_int_equal(counted(f, MERGER_FLUSH_TIMER), 1);
    assert_int_equal(counted(f, MERGER_FLUSH_COUNT), 1);
    assert_int_equal(merger_next_due_us(f->merger), INT64_MAX);
}

static void draining_does_not_linger(void **state)
{
    struct fixture *f = *state;
    f->rules.linger_us = 500;
    struct merger_permit *first = go_first(f, 1);
    (void)wait_next(f, 2);
    merger_finished(f->merger, first, f->now_us);
    (void)take(f, NULL, 0);
    merger_drain(f->merger, f->now_us);
    merger_finished(f->merger, go_lone(f, TAKE(f, 2)), f->now_us);
    assert_int_equal(counted(f, MERGER_FLUSH_DRAIN), 1);
}

static void what_stalls_is_waited_for_no_longer(void **state)
{
    struct fixture *f = *state;
    f->rules.stalled_after_us = 1000;
    struct merger_permit *stuck = go_first(f, 1);
    (void)wait_next(f, 2);
    (void)wait_next(f, 3);
    assert_int_equal(merger_next_due_us(f->merger), 1000000 + 1000);
    f->now_us += 999;
    (void)take(f, NULL, 0);
    f->now_us++;
    struct batch *second = TAKE(f, 2, 3);
    (void)wait_next(f, 4);
    (void)take(f, NULL, 0); /* the second is waited for as usual */
    merger_finished(f->merger, stuck, f->now_us);
    (void)take(f, NULL, 0); /* that the first ends after all makes no difference */
    end_lost(f, second);
    merger_finished(f->merger, go_lone(f, TAKE(f, 4)), f->now_us);
    merger_finished(f->merger, go_first(f, 5), f->now_us);
    assert_int_equal(counted(f, MERGER_STALLED), 1);
}

static void without_a_limit_it_waits_as_long_as_it_takes(void **state)
{
    struct fixture *f = *state;
    struct merger_permit *stuck = go_first(f, 1);
    (void)wait_next(f, 2);
    assert_int_equal(merger_next_due_us(f->merger), INT64_MAX);
    f->now_us += INT64_C(1) << 40;
    (void)take(f, NULL, 0);
    merger_finished(f->merger, stuck, f->now_us);
    merger_finished(f->merger, go_lone(f, TAKE(f, 2)), f->now_us);
    assert_int_equal(counted(f, MERGER_STALLED), 0);
}

/* An insert that comes when no client has waited for the stuck one. */
static void who_comes_late_goes_in_the_same_turn(void **state)
{
    struct fixture *f = *state;
    f->rules.stalled_after_us = 1000;
    f->rules.linger_us = 300;
    struct merger_permit *stuck = go_first(f, 1);
    f->now_us += 5000;
    (void)wait_next(f, 2);
    (void)take(f, NULL, 0); /* there is a permit: it lingers for more */
    f->now_us += 300;
    merger_finished(f->merger, go_lone(f, TAKE(f, 2)), f->now_us);
    merger_finished(f->merger, go_first(f, 3), f->now_us);
    merger_finished(f->merger, stuck, f->now_us);
    f->rules.linger_us = 0;
    stuck = go_first(f, 4);
    f->now_us += 5000;
    (void)wait_next(f, 5);
    merger_finished(f->merger, go_lone(f, TAKE(f, 5)), f->now_us);
    merger_finished(f->merger, stuck, f->now_us);
}

static void what_stalls_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct merger_permit *stuck[MERGER_IN_FLIGHT_MAX];
    f->rules.stalled_after_us = 1;
    for (int i = 0; i < MERGER_IN_FLIGHT_MAX; i++, f->now_us++) {
        if (i == 0) {
            stuck[i] = go_first(f, 1);
            continue;
        }
        (void)wait_next(f, i + 1);
        stuck[i] = go_lone(f, TAKE(f, i + 1));
    }
    (void)wait_next(f, 100);
    (void)take(f, NULL, 0);
    assert_int_equal(merger_next_due_us(f->merger), INT64_MAX);
    merger_finished(f->merger, stuck[7], f->now_us);
    merger_finished(f->merger, go_lone(f, TAKE(f, 100)), f->now_us);
    for (int i = 0; i < MERGER_IN_FLIGHT_MAX; i++)
        if (i != 7)
            merger_finished(f->merger, stuck[i], f->now_us);
}

static void who_leaves_while_waiting_is_not_sent(void **state)
{
    struct fixture *f = *state;
    struct merger_permit *first = go_first(f, 1);
    struct merger_waiter *second = wait_next(f, 2);
    (void)wait_next(f, 3);
    struct merger_waiter *fourth = wait_next(f, 4);
    merger_leave(f->merger, second, f->now_us);
    merger_finished(f->merger, first, f->now_us);
    struct batch *batch = TAKE(f, 3, 4);
    merger_leave(f->merger, fourth, f->now_us); /* its document passes */
    assert_null(batch_waiter(batch_next(batch_first(batch))));
    uint8_t *payload = NULL;
    size_t len = 0;
    assert_true(batch_build(batch, NULL, &payload, &len));
    assert_int_equal(count_sequence(payload, len), 2);
    memory_free(payload);
    end_lost(f, batch);
    /* the last waiter leaves: nothing is due */
    first = go_first(f, 5);
    merger_leave(f->merger, wait_next(f, 6), f->now_us);
    merger_finished(f->merger, first, f->now_us);
    (void)take(f, NULL, 0);
    assert_int_equal(merger_held_bytes(f->merger), 0);
}

static void waiters_are_bounded(void **state)
{
    struct fixture *f = *state;
    f->rules.max_waiters = 2;
    struct merger_permit *first = go_first(f, 1);
    struct merger_waiter *waiters[2] = {wait_next(f, 2), wait_next(f, 3)};
    assert_int_equal(submit_id(f, 4, 0, 0), MERGER_PASS);
    assert_int_equal(barred(f, GROUPING_BAR_WAITERS_FULL), 1);
    f->rules.reject = true;
    assert_int_equal(submit_id(f, 4, 0, 0), MERGER_REJECT);
    f->rules.max_waiters = 1000;
    f->rules.max_waiters_total = 2;
    assert_int_equal(submit_id(f, 4, 0, 0), MERGER_REJECT);
    assert_int_equal(counted(f, MERGER_REJECTED), 2);
    merger_leave(f->merger, waiters[0], f->now_us);
    waiters[0] = wait_next(f, 5);
    merger_finished(f->merger, first, f->now_us);
    end_lost(f, TAKE(f, 3, 5));
}

static void switched_off_it_passes(void **state)
{
    struct fixture *f = *state;
    struct merger_permit *first = go_first(f, 1);
    (void)wait_next(f, 2);
    f->rules.enabled = false;
    assert_int_equal(submit_id(f, 3, 0, 0), MERGER_PASS);
    assert_int_equal(barred(f, GROUPING_BAR_OFF), 1);
    merger_finished(f->merger, first, f->now_us); /* an earlier waiter still goes */
    merger_finished(f->merger, go_lone(f, TAKE(f, 2)), f->now_us);
}

static void many_keys_are_let_go(void **state)
{
    struct fixture *f = *state;
    char body[100];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(body, sizeof body, "{\"insert\":\"c%d\",\"$db\":\"test\"}", i);
        struct command command = command_of(0, body, "[{\"_id\":1}]");
        assert_int_equal(submit(f, &command, f), MERGER_GO);
        merger_finished(f->merger, f->answer.permit, f->now_us);
    }
    assert_in_range(counted(f, MERGER_GROUPS_NOW), 1, 64);
}

static void what_still_waits_at_the_end_is_dropped(void **state)
{
    struct fixture *f = *state;
    know(f, 1);
    know(f, 2);
    assert_int_equal(submit_id(f, 1, 1, 2), MERGER_GO);
    struct merger_permit *first = f->answer.permit;
    assert_int_equal(submit_id(f, 2, 2, 2), MERGER_WAIT);
    merger_finished(f->merger, first, f->now_us);
}

static void counters_add_up(void **state)
{
    (void)state;
    struct merger_counters counters = {0};
    struct merger_sums sums = {0};
    atomic_store(&counters.values[MERGER_OLDEST_SINCE_US], 9);
    merger_counters_sum(&counters, &sums);
    atomic_store(&counters.values[MERGER_OLDEST_SINCE_US], 0);
    merger_counters_sum(&counters, &sums);
    assert_int_equal(sums.values[MERGER_OLDEST_SINCE_US], 9);
    atomic_store(&counters.values[MERGER_OLDEST_SINCE_US], 5);
    merger_counters_sum(&counters, &sums);
    assert_int_equal(sums.values[MERGER_OLDEST_SINCE_US], 5);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, fixture_make, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_client_alone_never_waits),
        WITH(what_waits_goes_when_the_first_ends),
        WITH(batches_are_bounded),
        WITH(what_is_large_by_itself_passes),
        WITH(several_may_be_in_flight),
        WITH(lingering_waits_for_more),
        WITH(draining_does_not_linger),
        WITH(who_leaves_while_waiting_is_not_sent),
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
