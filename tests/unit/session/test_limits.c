/* The counts of limits.rules. */
#include "../cmocka_all.h"

#include "base/memory.h"
#include "session/limits.h"

enum { SECOND = 1000000 };

static struct config_limit limit_of(int64_t connections, int64_t requests, int64_t documents)
{
    return (struct config_limit){
        .number = 1, .application = "", .user = "", .of = {connections, requests, documents}};
}

static struct limits_held hold_one(struct limits *limits, const struct config_limit *limit,
                                   int64_t now_us)
{
    struct limits_held held = {.count = 1, .of = {limits_hold(limits, limit, now_us)}};
    assert_non_null(held.of[0]);
    return held;
}

static enum config_limit_kind take(struct limits *limits, const struct limits_held *held,
                                   uint64_t documents, int64_t now_us)
{
    return limits_take(limits, held, documents, now_us).kind;
}

static void requests_of_a_second(void **state)
{
    (void)state;
    struct limits *limits = limits_create();
    struct config_limit limit = limit_of(0, 10, 0);
    struct limits_held held = hold_one(limits, &limit, SECOND);
    for (int i = 0; i < 10; i++)
        assert_int_equal(take(limits, &held, 1, SECOND), CONFIG_LIMITS);
    struct limits_answer answer = limits_take(limits, &held, 1, SECOND);
    assert_int_equal(answer.kind, CONFIG_LIMIT_REQUESTS);
    assert_int_equal(answer.rule, 1);
    assert_int_equal(answer.limit, 10);
    /* a tenth of a second gives one more */
    assert_int_equal(take(limits, &held, 1, SECOND + SECOND / 10 - 1), CONFIG_LIMIT_REQUESTS);
    assert_int_equal(take(limits, &held, 1, SECOND + SECOND / 10), CONFIG_LIMITS);
    assert_int_equal(take(limits, &held, 1, SECOND + SECOND / 10), CONFIG_LIMIT_REQUESTS);
    /* a long pause gives no more than a second's */
    unsigned passed = 0;
    while (take(limits, &held, 1, INT64_C(1000000) * SECOND) == CONFIG_LIMITS)
        passed++;
    assert_int_equal(passed, 10);
    limits_release(limits, held.of[0]);
    limits_destroy(limits);
}

static void documents_may_go_into_debt(void **state)
{
    (void)state;
    struct limits *limits = limits_create();
    struct config_limit limit = limit_of(0, 0, 100);
    struct limits_held held = hold_one(limits, &limit, 0);
    assert_true(limits_count_documents(limits, &held));
    assert_int_equal(take(limits, &held, 99, 0), CONFIG_LIMITS);
    assert_int_equal(take(limits, &held, 1000, 0), CONFIG_LIMITS); /* one is left */
    assert_int_equal(take(limits, &held, 1, 9 * SECOND), CONFIG_LIMIT_DOCUMENTS);
    assert_int_equal(take(limits, &held, 0, 0), CONFIG_LIMITS); /* a read */
    assert_int_equal(take(limits, &held, 1, 10 * SECOND), CONFIG_LIMITS);
    limits_release(limits, held.of[0]);
    limits_destroy(limits);
}

static void nothing_is_taken_if_one_limit_is_reached(void **state)
{
    (void)state;
    struct limits *limits = limits_create();
    struct config_limit many = limit_of(0, 5, 0);
    struct config_limit few = limit_of(0, 1, 0);
    few.number = 2;
    struct limits_held both = hold_one(limits, &many, 0);
    both.of[both.count++] = limits_hold(limits, &few, 0);
    assert_int_equal(take(limits, &both, 0, 0), CONFIG_LIMITS);
    for (int i = 0; i < 10; i++)
        assert_int_equal(limits_take(limits, &both, 0, 0).rule, 2);
    struct limits_held first = {.count = 1, .of = {both.of[0]}};
    for (int i = 0; i < 4; i++)
        assert_int_equal(take(limits, &first, 0, 0), CONFIG_LIMITS);
    assert_int_equal(take(limits, &first, 0, 0), CONFIG_LIMIT_REQUESTS);
    limits_release(limits, both.of[0]);
    limits_release(limits, both.of[1]);
    limits_destroy(limits);
}

static void connections(void **state)
{
    (void)state;
    struct limits *limits = limits_create();
    struct config_limit limit = limit_of(2, 0, 0);
    struct limits_held held[3];
    for (size_t i = 0; i < 3; i++) {
        held[i] = hold_one(limits, &limit, 0);
        assert_int_equal(limits_look_at_connections(limits, &held[i]).kind,
                         i < 2 ? CONFIG_LIMITS : CONFIG_LIMIT_CONNECTIONS);
    }
    limits_release(limits, held[2].of[0]);
    assert_int_equal(limits_look_at_connections(limits, &held[0]).kind, CONFIG_LIMITS);
    limit.user = "another@admin";
    held[2] = hold_one(limits, &limit, 0);
    assert_int_equal(limits_look_at_connections(limits, &held[2]).kind, CONFIG_LIMITS);
    for (size_t i = 0; i < 3; i++)
        limits_release(limits, held[i].of[0]);
    limits_destroy(limits);
}

/* A client that connects anew for each command does not get a new count. */
static void a_count_outlives_its_connections_while_it_is_used(void **state)
{
    (void)state;
    struct limits *limits = limits_create();
    struct config_limit limit = limit_of(0, 2, 0);
    unsigned passed = 0;
    for (int i = 0; i < 20; i++) {
        struct limits_held held = hold_one(limits, &limit, 10 * SECOND + i);
        passed += take(limits, &held, 0, 10 * SECOND + i) == CONFIG_LIMITS;
        limits_release(limits, held.of[0]);
    }
    assert_int_equal(passed, 2);
    struct limits_held held = hold_one(limits, &limit, 20 * SECOND);
    assert_int_equal(take(limits, &held, 0, 20 * SECOND), CONFIG_LIMITS);
    limits_release(limits, held.of[0]);
    limits_destroy(limits);
}

static void a_reload_changes_the_limit(void **state)
{
    (void)state;
    struct limits *limits = limits_create();
    struct config_limit limit = limit_of(0, 1, 0);
    struct limits_held held = hold_one(limits, &limit, 0);
    assert_int_equal(take(limits, &held, 0, 0), CONFIG_LIMITS);
    assert_int_equal(take(limits, &held, 0, 0), CONFIG_LIMIT_REQUESTS);
    limit.of[CONFIG_LIMIT_REQUESTS] = 3;
    struct limits_held again = hold_one(limits, &limit, 0);
    assert_ptr_equal(held.of[0], again.of[0]);
    assert_int_equal(take(limits, &held, 0, 0), CONFIG_LIMITS);
    limits_release(limits, held.of[0]);
    limits_release(limits, again.of[0]);
    limits_destroy(limits);
}

static void without_memory(void **state)
{
    (void)state;
    struct config_limit limit = limit_of(0, 1, 0);
    memory_fail_after(1);
    assert_null(limits_create());
    memory_fail_never();
    struct limits *limits = limits_create();
    for (long n = 1; n < 4; n++) {
        memory_fail_after(n);
        struct limit_count *count = limits_hold(limits, &limit, 0);
        memory_fail_never();
        if (count != NULL)
            limits_release(limits, count);
    }
    limits_destroy(limits);
    limits_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_of_a_second),
        cmocka_unit_test(documents_may_go_into_debt),
        cmocka_unit_test(nothing_is_taken_if_one_limit_is_reached),
        cmocka_unit_test(connections),
        cmocka_unit_test(a_count_outlives_its_connections_while_it_is_used),
        cmocka_unit_test(a_reload_changes_the_limit),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
