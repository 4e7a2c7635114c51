/* The retry table: every state, eviction, the cap, and threads. */
#include "../cmocka_all.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/keyed_hash.h"
#include "base/memory.h"
#include "merge/retry_table.h"

enum { WHAT = 77, CAP = 1 << 20 };

static const struct retry_numbers numbers = {{9, 9}, 4, 2, 3};

static struct bytes reply_of(const char *text)
{
    return bytes_of(text, strlen(text));
}

static struct retry_key key_of(uint32_t n)
{
    struct retry_key key = {{1}, {0}};
    memcpy(key.lsid, &n, sizeof n);
    key.lsid[15] = (uint8_t)n;
    return key;
}

struct told {
    atomic_int count;
    enum retry_result result;
    char reply[64];
};

static void be_told(void *arg, enum retry_result result, struct bytes reply)
{
    struct told *told = arg;
    told->result = result;
    (void)snprintf(told->reply, sizeof told->reply, "%.*s", (int)bytes_left(&reply),
                   bytes_left(&reply) == 0 ? "" : (const char *)reply.pos);
    atomic_fetch_add(&told->count, 1);
}

static int64_t now_us = 1;

static enum retry_found begin(struct retry_table *table, uint32_t session, int64_t number,
                              enum retry_want want, struct told *told, struct retry_answer *answer)
{
    struct retry_listener listener = {told, be_told};
    struct retry_request request = {.key = key_of(session),
                                    .number = number,
                                    .what = WHAT,
                                    .want = want,
                                    .listener = &listener,
                                    .now_us = now_us};
    return retry_table_begin(table, &request, answer);
}

/* A session whose number 1 passed directly, and whose number 2 is PENDING. */
static struct retry_op *pending(struct retry_table *table, uint32_t session)
{
    struct retry_answer answer;
    assert_int_equal(begin(table, session, 1, RETRY_WANT_DIRECT, NULL, &answer),
                     RETRY_FOUND_UNKNOWN);
    assert_int_equal(begin(table, session, 2, RETRY_WANT_MERGED, NULL, &answer), RETRY_FOUND_MERGE);
    assert_non_null(answer.op);
    return answer.op;
}

static bool settle(struct retry_table *table, struct retry_op *op, enum retry_end end,
                   const char *reply)
{
    return retry_settle(table, op, end, &numbers, reply_of(reply), now_us);
}

static int make(void **state)
{
    now_us = 1;
    *state = retry_table_create(CAP);
    return *state == NULL ? -1 : 0;
}

static int end(void **state)
{
    retry_table_destroy(*state);
    return 0;
}

static void an_unknown_session_is_never_merged(void **state)
{
    struct retry_table *table = *state;
    struct retry_answer answer;
    assert_int_equal(begin(table, 1, 5, RETRY_WANT_KNOWN, NULL, &answer), RETRY_FOUND_UNKNOWN);
    assert_int_equal(begin(table, 1, 5, RETRY_WANT_NOTHING, NULL, &answer), RETRY_FOUND_UNKNOWN);
    assert_int_equal(retry_table_entries(table), 0);
    assert_int_equal(begin(table, 1, 5, RETRY_WANT_MERGED, NULL, &answer), RETRY_FOUND_UNKNOWN);
    assert_int_equal(retry_table_entries(table), 1);
    assert_int_equal(begin(table, 1, 5, RETRY_WANT_MERGED, NULL, &answer), RETRY_FOUND_DIRECT);
    assert_int_equal(begin(table, 1, 6, RETRY_WANT_NOTHING, NULL, &answer), RETRY_FOUND_NEW);
    assert_int_equal(begin(table, 1, 6, RETRY_WANT_KNOWN, NULL, &answer), RETRY_FOUND_NEW);
    assert_int_equal(begin(table, 1, 6, RETRY_WANT_MERGED, NULL, &answer), RETRY_FOUND_DIRECT);
    assert_int_equal(begin(table, 1, 4, RETRY_WANT_MERGED, NULL, &answer), RETRY_FOUND_DIRECT);
    assert_int_equal(begin(table, 1, 7, RETRY_WANT_DIRECT, NULL, &answer), RETRY_FOUND_NEW);
    assert_int_equal(begin(table, 1, 7, RETRY_WANT_MERGED, NULL, &answer), RETRY_FOUND_DIRECT);
}

static void identities_are_apart(void **state)
{
    struct retry_table *table = *state;
    struct retry_answer answer;
    struct retry_op *op = pending(table, 1);
    struct retry_request request = {
        .key = key_of(1), .number = 2, .what = WHAT, .want = RETRY_WANT_MERGED, .now_us = now_us};
    request.key.identity[31] = 1;
    assert_int_equal(retry_table_begin(table, &request, &answer), RETRY_FOUND_UNKNOWN);
    (void)settle(table, op, RETRY_END_UNSENT, "");
}

static void done_is_replayed_until_a_higher_number(void **state)
{
    struct retry_table *table = *state;
    struct retry_answer answer;
    assert_false(settle(table, pending(table, 1), RETRY_END_DONE, "fine"));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(begin(table, 1, 2, RETRY_WANT_MERGED, NULL, &answer), RETRY_FOUND_DONE);
        assert_int_equal(bytes_left(&answer.reply), 4);
        assert_memory_equal(answer.reply.pos, "fine", 4);
        memory_free((void *)(uintptr_t)answer.reply.pos);
    }
    assert_int_equal(begin(table, 1, 1, RETRY_WANT_MERGED, NULL, &answer), RETRY_FOUND_TOO_OLD);
    size_t with_reply = retry_table_bytes(table);
    assert_int_equal(begin(table, 1, 3, RETRY_WANT_DIRECT, NULL, &answer), RETRY_FOUND_NEW);
    assert_int_equal(retry_table_bytes(table), with_reply - 4);
    assert_int_equal(begin(table, 1, 2, RETRY_WANT_MERGED, NULL, &answer), RETRY_FOUND_DIRECT);
}

static void another_command_under_the_number_is_no_retry(void **state)
{
    struct retry_table *table = *state;
    struct retry_answer answer;
    assert_false(settle(table, pending(table, 1), RETRY_END_DONE, "fine"));
    struct retry_request request = {.key = key_of(1),
                                    .number = 2,
                                    .what = WHAT + 1,
                                    .want = RETRY_WANT_MERGED,
                                    .now_us = now_us};
    assert_int_equal(retry_table_begin(table, &request, &answer), RETRY_FOUND_DIRECT);
    struct bytes a = reply_of("a");
    struct bytes b = reply_of("b");
    assert_int_equal(retry_what(a, b, 3), retry_what(a, b, 3));
    assert_int_not_equal(retry_what(a, b, 3), retry_what(a, b, 4));
    assert_int_not_equal(retry_what(a, b, 3), retry_what(b, a, 3));
    assert_int_not_equal(retry_what(a, b, 3), 0);
}

static void unknown_keeps_the_numbers(void **state)
{
    struct retry_table *table = *state;
    struct retry_answer answer;
    assert_true(settle(table, pending(table, 1), RETRY_END_LOST, ""));
    for (int i = 0; i < 2; i++) { /* and again, when the retry was lost as well */
        assert_int_equal(begin(table, 1, 2, RETRY_WANT_KNOWN, NULL, &answer), RETRY_FOUND_RESEND);
        assert_memory_equal(answer.numbers.lsid, numbers.lsid, LSID_BYTES);
        assert_int_equal(answer.numbers.number, 4);
        assert_int_equal(answer.numbers.first_statement, 2);
        assert_int_equal(answer.numbers.statements, 3);
        assert_true(retry_settle(table, answer.op, RETRY_END_LOST, &answer.numbers,
                                 (struct bytes){0}, now_us));
    }
    assert_int_equal(begin(table, 1, 2, RETRY_WANT_KNOWN, NULL, &answer), RETRY_FOUND_RESEND);
    assert_false(
        retry_settle(table, answer.op, RETRY_END_DONE, &answer.numbers, reply_of("late"), now_us));
    assert_int_equal(begin(table, 1, 2, RETRY_WANT_KNOWN, NULL, &answer), RETRY_FOUND_DONE);
    memory_free((void *)(uintptr_t)answer.reply.pos);
    /* a reply that asks for a retry is no result; nor is one that could not be made */
    assert_true(settle(table, pending(table, 2), RETRY_END_REFUSED, "try again"));
    assert_int_equal(begin(table, 2, 2, RETRY_WANT_KNOWN, NULL, &answer), RETRY_FOUND_RESEND);
    (void)settle(table, answer.op, RETRY_END_LOST, "");
    assert_true(settle(table, pending(table, 3), RETRY_END_DONE, ""));
}

static void waiting_retries_are_told_once(void **state)
{
    struct retry_table *table = *state;
    static const struct {
        enum retry_end end;
        const char *reply;
        enum retry_result result;
    } ends[] = {
        {RETRY_END_DONE, "fine", RETRY_RESULT_REPLY},
        {RETRY_END_REFUSED, "again", RETRY_RESULT_REPLY},
        {RETRY_END_LOST, "", RETRY_RESULT_AGAIN},
        {RETRY_END_DIRECT, "", RETRY_RESULT_AGAIN},
        {RETRY_END_UNSENT, "", RETRY_RESULT_AGAIN},
    };
    for (uint32_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        struct told told[3] = {0};
        struct retry_answer answers[3];
        struct retry_op *op = pending(table, i);
        for (int k = 0; k < 3; k++)
            assert_int_equal(begin(table, i, 2, RETRY_WANT_MERGED, &told[k], &answers[k]),
                             RETRY_FOUND_PENDING);
        retry_stop_waiting(answers[1].retry_waiter);
        (void)settle(table, op, ends[i].end, ends[i].reply);
        for (int k = 0; k < 3; k += 2) {
            assert_int_equal(told[k].count, 1);
            assert_int_equal(told[k].result, ends[i].result);
            assert_string_equal(told[k].reply, ends[i].reply);
            retry_stop_waiting(answers[k].retry_waiter);
        }
        assert_int_equal(told[1].count, 0);
    }
}

static void a_higher_number_leaves_the_pending_one_to_its_waiters(void **state)
{
    struct retry_table *table = *state;
    struct told told = {0};
    struct retry_answer waiting;
    struct retry_answer answer;
    struct retry_answer late;
    struct retry_op *op = pending(table, 1);
    assert_int_equal(begin(table, 1, 2, RETRY_WANT_MERGED, &told, &waiting), RETRY_FOUND_PENDING);
    assert_int_equal(begin(table, 1, 3, RETRY_WANT_MERGED, NULL, &answer), RETRY_FOUND_MERGE);
    assert_int_equal(begin(table, 1, 2, RETRY_WANT_MERGED, NULL, &late), RETRY_FOUND_TOO_OLD);
    assert_false(
        settle(table, op, RETRY_END_LOST, "")); /* no client can ask: no need to retire it */
    assert_int_equal(told.count, 1);
    retry_stop_waiting(waiting.retry_waiter);
    assert_false(settle(table, answer.op, RETRY_END_DONE, "fine"));
}

static void told_of_a_waiter_that_was_replaced(void **state)
{
    struct retry_table *table = *state;
    struct told told = {0};
    struct retry_answer waiting;
    struct retry_answer answer;
    struct retry_op *op = pending(table, 1);
    assert_int_equal(begin(table, 1, 2, RETRY_WANT_MERGED, &told, &waiting), RETRY_FOUND_PENDING);
    assert_int_equal(begin(table, 1, 3, RETRY_WANT_DIRECT, NULL, &answer), RETRY_FOUND_NEW);
    assert_false(settle(table, op, RETRY_END_DONE, "fine"));
    assert_int_equal(told.count, 1);
    assert_string_equal(told.reply, "fine");
    retry_stop_waiting(waiting.retry_waiter);
}

static void ended_sessions_are_forgotten(void **state)
{
    struct retry_table *table = *state;
    struct retry_answer answer;
    struct retry_key key = key_of(1);
    (void)settle(table, pending(table, 1), RETRY_END_DONE, "fine");
    struct retry_op *op = pending(table, 2);
    retry_table_forget(table, &key);
    retry_table_forget(table, &key);
    assert_int_equal(begin(table, 1, 2, RETRY_WANT_KNOWN, NULL, &answer), RETRY_FOUND_UNKNOWN);
    (void)settle(table, pending(table, 3), RETRY_END_LOST, "");
    key = key_of(2);
    retry_table_forget(table, &key); /* under way: its retries must find it */
    retry_table_forget_all(table);
    assert_int_equal(retry_table_entries(table), 1);
    (void)settle(table, op, RETRY_END_DONE, "fine");
    retry_table_forget_all(table);
    assert_int_equal(retry_table_entries(table), 0);
    assert_int_equal(retry_table_bytes(table), 0);
}

static void idle_entries_go(void **state)
{
    struct retry_table *table = *state;
    struct retry_answer answer;
    (void)settle(table, pending(table, 0), RETRY_END_DONE, "fine");
    now_us += RETRY_IDLE_US - 1;
    assert_int_equal(begin(table, 0, 2, RETRY_WANT_KNOWN, NULL, &answer), RETRY_FOUND_DONE);
    memory_free((void *)(uintptr_t)answer.reply.pos);
    now_us += RETRY_IDLE_US;
    assert_int_equal(begin(table, 0, 2, RETRY_WANT_KNOWN, NULL, &answer), RETRY_FOUND_UNKNOWN);
    struct retry_op *op = pending(table, 0);
    now_us += 2 * RETRY_IDLE_US;
    assert_int_equal(begin(table, 0, 2, RETRY_WANT_KNOWN, &(struct told){0}, &answer),
                     RETRY_FOUND_PENDING);
    retry_stop_waiting(answer.retry_waiter);
    (void)settle(table, op, RETRY_END_UNSENT, "");
}

/* Sessions of one shard: the highest bits of their hash are the same. */
static uint32_t of_one_shard(uint32_t i)
{
    uint32_t n = 0;
    for (;; n++) {
        struct retry_key key = key_of(n);
        if (keyed_hash(key.lsid, sizeof key.lsid) >> 56 == 0 && i-- == 0)
            return n;
    }
}

static void at_the_cap_what_is_direct_goes_first(void **state)
{
    struct retry_table *table = *state;
    struct retry_answer answer;
    (void)settle(table, pending(table, of_one_shard(1)), RETRY_END_DONE, "fine");
    assert_int_equal(begin(table, of_one_shard(2), 1, RETRY_WANT_DIRECT, NULL, &answer),
                     RETRY_FOUND_UNKNOWN);
    size_t two = retry_table_bytes(table);
    retry_table_set_cap(table, two);
    /* the direct one makes room */
    assert_int_equal(begin(table, of_one_shard(3), 1, RETRY_WANT_DIRECT, NULL, &answer),
                     RETRY_FOUND_UNKNOWN);
    assert_int_equal(retry_table_entries(table), 2);
    assert_int_equal(retry_table_bytes(table), two);
    assert_int_equal(begin(table, of_one_shard(1), 2, RETRY_WANT_KNOWN, NULL, &answer),
                     RETRY_FOUND_DONE);
    memory_free((void *)(uintptr_t)answer.reply.pos);
    assert_int_equal(begin(table, of_one_shard(3), 2, RETRY_WANT_MERGED, NULL, &answer),
                     RETRY_FOUND_MERGE);
    struct retry_op *op = answer.op;
    /* recent results and pending inserts stay: a new session is not recorded, and so not merged */
    assert_int_equal(begin(table, of_one_shard(4), 1, RETRY_WANT_DIRECT, NULL, &answer),
                     RETRY_FOUND_UNKNOWN);
    assert_int_equal(begin(table, of_one_shard(4), 2, RETRY_WANT_MERGED, NULL, &answer),
                     RETRY_FOUND_UNKNOWN);
    assert_int_equal(retry_table_entries(table), 2);
    /* no room for the reply: the outcome is asked of the server again */
    assert_true(settle(table, op, RETRY_END_DONE, "a reply too long for it"));
    assert_int_equal(begin(table, of_one_shard(3), 2, RETRY_WANT_KNOWN, NULL, &answer),
                     RETRY_FOUND_RESEND);
    (void)settle(table, answer.op, RETRY_END_LOST, "");
    /* old results go */
    now_us += RETRY_KEEP_US + 1;
    assert_int_equal(begin(table, of_one_shard(4), 1, RETRY_WANT_DIRECT, NULL, &answer),
                     RETRY_FOUND_UNKNOWN);
    assert_int_equal(begin(table, of_one_shard(4), 2, RETRY_WANT_DIRECT, NULL, &answer),
                     RETRY_FOUND_NEW);
    assert_int_equal(begin(table, of_one_shard(1), 2, RETRY_WANT_KNOWN, NULL, &answer),
                     RETRY_FOUND_UNKNOWN);
}

static void without_memory_it_goes_as_it_came(void **state)
{
    struct retry_table *table = *state;
    struct retry_answer answer;
    struct told told = {0};
    for (long i = 1; i < 8; i++) { /* the entry, and the memory that uthash needs */
        retry_table_forget_all(table);
        memory_fail_after(i);
        assert_int_equal(begin(table, 1, 1, RETRY_WANT_DIRECT, NULL, &answer), RETRY_FOUND_UNKNOWN);
        memory_fail_never();
        assert_int_equal(retry_table_bytes(table) > 0, retry_table_entries(table) > 0);
    }
    assert_int_equal(begin(table, 2, 1, RETRY_WANT_DIRECT, NULL, &answer), RETRY_FOUND_UNKNOWN);
    memory_fail_after(1);
    assert_int_equal(begin(table, 2, 2, RETRY_WANT_MERGED, NULL, &answer), RETRY_FOUND_DIRECT);
    memory_fail_never();
    assert_int_equal(begin(table, 2, 2, RETRY_WANT_MERGED, NULL, &answer), RETRY_FOUND_DIRECT);
    assert_int_equal(begin(table, 2, 3, RETRY_WANT_MERGED, NULL, &answer), RETRY_FOUND_MERGE);
    struct retry_op *op = answer.op;
    memory_fail_after(1);
    assert_int_equal(begin(table, 2, 3, RETRY_WANT_MERGED, &told, &answer), RETRY_FOUND_NO_MEMORY);
    assert_true(settle(table, op, RETRY_END_DONE, "fine")); /* cannot be kept */
    assert_int_equal(begin(table, 2, 3, RETRY_WANT_MERGED, &told, &answer), RETRY_FOUND_NO_MEMORY);
    memory_fail_never();
    assert_int_equal(begin(table, 2, 3, RETRY_WANT_MERGED, &told, &answer), RETRY_FOUND_RESEND);
    assert_false(settle(table, answer.op, RETRY_END_DONE, "fine"));
    memory_fail_after(1);
    assert_int_equal(begin(table, 2, 3, RETRY_WANT_MERGED, &told, &answer), RETRY_FOUND_NO_MEMORY);
    memory_fail_never();
    assert_int_equal(told.count, 0);
}

/* --- threads: one carries the inserts, others retry the same and leave at times ----------------
 */

enum { ROUNDS = 3000, RETRIERS = 3 };

struct race {
    struct retry_table *table;
    atomic_llong number; /* the one that is under way or over */
    atomic_bool over;
    atomic_int waiting;
    atomic_int wrong;
};

static void *retry_all_the_time(void *arg)
{
    struct race *race = arg;
    for (unsigned turn = 0; !atomic_load(&race->over); turn++) {
        struct told told = {0};
        struct retry_answer answer;
        int64_t number = atomic_load(&race->number);
        enum retry_found found = begin(race->table, 1, number, RETRY_WANT_KNOWN, &told, &answer);
        if (found == RETRY_FOUND_PENDING) {
            atomic_fetch_add(&race->waiting, 1);
            for (int spin = 0; spin < 1000 && atomic_load(&told.count) == 0; spin++)
                if (turn % 3 == 0)
                    break;                           /* this one leaves */
            retry_stop_waiting(answer.retry_waiter); /* from here on nothing comes */
            if (atomic_load(&told.count) > 1)
                atomic_fetch_add(&race->wrong, 1);
        } else if (found == RETRY_FOUND_DONE) {
            char text[32];
            (void)snprintf(text, sizeof text, "%lld", (long long)number);
            if (bytes_left(&answer.reply) != strlen(text) ||
                memcmp(answer.reply.pos, text, strlen(text)) != 0)
                atomic_fetch_add(&race->wrong, 1);
            memory_free((void *)(uintptr_t)answer.reply.pos);
        } else if (found == RETRY_FOUND_RESEND) {
            (void)settle(race->table, answer.op, RETRY_END_LOST, "");
        } else if (found == RETRY_FOUND_MERGE || found == RETRY_FOUND_NO_MEMORY) {
            atomic_fetch_add(&race->wrong, 1);
        }
    }
    return NULL;
}

static void threads_wait_while_it_ends(void **state)
{
    struct race race = {.table = *state};
    struct retry_answer answer;
    pthread_t threads[RETRIERS];
    atomic_init(&race.number, 1);
    (void)begin(race.table, 1, 1, RETRY_WANT_DIRECT, NULL, &answer);
    for (int i = 0; i < RETRIERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, retry_all_the_time, &race), 0);
    for (int64_t number = 2; number < ROUNDS; number++) {
        char text[32];
        (void)snprintf(text, sizeof text, "%lld", (long long)number);
        enum retry_found found = begin(race.table, 1, number, RETRY_WANT_MERGED, NULL, &answer);
        assert_int_equal(found, RETRY_FOUND_MERGE);
        atomic_store(&race.number, number);
        if (number % 16 == 0) /* give them time, however slow the machine is */
            for (long i = 0; i < 10000000 && atomic_load(&race.waiting) < number / 64; i++)
                (void)sched_yield();
        (void)settle(race.table, answer.op, number % 5 == 0 ? RETRY_END_LOST : RETRY_END_DONE,
                     text);
    }
    atomic_store(&race.over, true);
    for (int i = 0; i < RETRIERS; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&race.wrong), 0);
    assert_true(atomic_load(&race.waiting) > 0);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, make, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(an_unknown_session_is_never_merged),
        WITH(identities_are_apart),
        WITH(done_is_replayed_until_a_higher_number),
        WITH(another_command_under_the_number_is_no_retry),
        WITH(unknown_keeps_the_numbers),
        WITH(waiting_retries_are_told_once),
        WITH(a_higher_number_leaves_the_pending_one_to_its_waiters),
        WITH(told_of_a_waiter_that_was_replaced),
        WITH(ended_sessions_are_forgotten),
        WITH(idle_entries_go),
        WITH(at_the_cap_what_is_direct_goes_first),
        WITH(without_memory_it_goes_as_it_came),
        WITH(threads_wait_while_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
