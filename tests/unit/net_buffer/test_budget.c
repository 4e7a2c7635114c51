#include "../cmocka_all.h"

#include <pthread.h>

#include "net/budget.h"

enum { THREADS = 4, ROUNDS = 20000, LIMIT = 100 };

static void the_limit_can_be_reached_and_not_passed(void **state)
{
    (void)state;
    struct budget budget = {.limit_bytes = LIMIT};
    assert_true(budget_take(&budget, 60));
    assert_false(budget_take(&budget, 41));
    assert_int_equal(budget.used_bytes, 60);
    assert_true(budget_take(&budget, 40));
    assert_true(budget_take(&budget, 0));
    assert_false(budget_take(&budget, 1));
    assert_false(budget_take(&budget, SIZE_MAX));
    budget_give_back(&budget, 100);
    assert_int_equal(budget.used_bytes, 0);
}

static void a_lowered_limit_holds_at_once(void **state)
{
    (void)state;
    struct budget budget = {.limit_bytes = LIMIT};
    assert_true(budget_take(&budget, 80));
    budget.limit_bytes = 50;
    assert_false(budget_take(&budget, 1));
    assert_false(budget_take(&budget, 0));
    budget_give_back(&budget, 40);
    assert_true(budget_take(&budget, 10));
    assert_false(budget_take(&budget, 1));
}

static void what_is_large_leaves_room_for_what_is_small(void **state)
{
    (void)state;
    enum { MIB = 1024 * 1024 };
    struct budget budget = {.limit_bytes = 64 * MIB};
    assert_true(budget_take(&budget, 62 * MIB));
    assert_false(budget_take(&budget, 2 * MIB));
    assert_true(budget_take(&budget, MIB));
    assert_false(budget_take(&budget, 4097));
    for (int i = 0; i < MIB / 4096; i++)
        assert_true(budget_take(&budget, 4096));
    assert_int_equal(budget.used_bytes, budget.limit_bytes);
    assert_false(budget_take(&budget, 1));
}

static void *take_and_give_back(void *arg)
{
    struct budget *budget = arg;
    size_t over = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        size_t bytes = 1 + i % (LIMIT / 2);
        if (!budget_take(budget, bytes))
            continue;
        over += budget->used_bytes > LIMIT;
        budget_give_back(budget, bytes);
    }
    return over == 0 ? NULL : arg;
}

static void threads_share_it(void **state)
{
    (void)state;
    struct budget budget = {.limit_bytes = LIMIT};
    pthread_t threads[THREADS];
    void *over = NULL;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give_back, &budget), 0);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], &over), 0);
        assert_null(over);
    }
    assert_int_equal(budget.used_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_can_be_reached_and_not_passed),
        cmocka_unit_test(a_lowered_limit_holds_at_once),
        cmocka_unit_test(what_is_large_leaves_room_for_what_is_small),
        cmocka_unit_test(threads_share_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
