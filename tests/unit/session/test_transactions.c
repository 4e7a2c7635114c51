/* The table of open transactions. */
#include "../cmocka_all.h"

#include <string.h>

#include "base/memory.h"
#include "session/request.h"
#include "session/transactions.h"

enum { MANY = 2000 };

static const uint8_t *lsid(uint32_t n)
{
    static uint8_t id[LSID_BYTES];
    memcpy(id, &n, sizeof n);
    return id;
}

static int create(void **state)
{
    *state = transactions_create();
    return *state == NULL ? -1 : 0;
}

static int destroy(void **state)
{
    transactions_destroy(*state);
    return 0;
}

static void a_transaction_is_open_until_it_ends(void **state)
{
    struct transactions *transactions = *state;
    assert_false(transactions_open_for_peer(transactions, 7));
    transactions_begin(transactions, lsid(1), 100, 7);
    transactions_begin(transactions, lsid(1), 100, 7);
    transactions_begin(transactions, lsid(2), 100, 7);
    assert_true(transactions_open_for_peer(transactions, 7));
    assert_false(transactions_open_for_peer(transactions, 8));
    transactions_end(transactions, lsid(1));
    assert_true(transactions_open_for_peer(transactions, 7));
    transactions_end(transactions, lsid(2));
    transactions_end(transactions, lsid(2));
    assert_false(transactions_open_for_peer(transactions, 7));
}

static void the_last_statements_connection_carries_it(void **state)
{
    struct transactions *transactions = *state;
    transactions_begin(transactions, lsid(1), 100, 7);
    transactions_begin(transactions, lsid(1), 101, 7);
    transactions_forget_connection(transactions, 100);
    assert_true(transactions_open_for_peer(transactions, 7));
    transactions_forget_connection(transactions, 101);
    assert_false(transactions_open_for_peer(transactions, 7));
}

/* Any client may send a statement, even without a login. */
static void what_was_never_carried_out_leaves_nothing(void **state)
{
    struct transactions *transactions = *state;
    transactions_begin(transactions, lsid(1), 100, 7);
    assert_true(transactions_open_for_peer(transactions, 7)); /* the server may yet take it */
    transactions_answered(transactions, lsid(1), 100, 7, false);
    assert_false(transactions_open_for_peer(transactions, 7));
    transactions_answered(transactions, lsid(1), 100, 7, false);
    assert_false(transactions_open_for_peer(transactions, 7));
    transactions_answered(transactions, lsid(1), 100, 7, true);
    assert_true(transactions_open_for_peer(transactions, 7));
}

static void others_cannot_take_an_open_one_away(void **state)
{
    struct transactions *transactions = *state;
    transactions_begin(transactions, lsid(1), 100, 7);
    transactions_answered(transactions, lsid(1), 100, 7, true);
    transactions_begin(transactions, lsid(1), 200, 9);
    assert_false(transactions_open_for_peer(transactions, 9));
    transactions_answered(transactions, lsid(1), 200, 9, false);
    transactions_forget_connection(transactions, 200);
    assert_true(transactions_open_for_peer(transactions, 7));
    transactions_answered(transactions, lsid(1), 101, 7, true);
    transactions_forget_connection(transactions, 100);
    assert_true(transactions_open_for_peer(transactions, 7));
}

static void a_lost_connection_takes_all_of_its_own(void **state)
{
    struct transactions *transactions = *state;
    for (uint32_t i = 0; i < MANY; i++)
        transactions_begin(transactions, lsid(i), i % 2, i % 2 + 10);
    transactions_forget_connection(transactions, 0);
    assert_false(transactions_open_for_peer(transactions, 10));
    assert_true(transactions_open_for_peer(transactions, 11));
    for (uint32_t i = 1; i < MANY; i += 2)
        transactions_end(transactions, lsid(i));
    assert_false(transactions_open_for_peer(transactions, 11));
}

static void open_ones_are_freed_at_the_end(void **state)
{
    for (uint32_t i = 0; i < MANY; i++)
        transactions_begin(*state, lsid(i), i, i);
    transactions_destroy(NULL);
}

static void one_that_cannot_be_noted_is_not_there(void **state)
{
    struct transactions *transactions = *state;
    bool noted = false;
    for (long i = 1; !noted; i++) {
        assert_true(i < 10);
        memory_fail_after(i);
        transactions_begin(transactions, lsid(1), 100, 7);
        memory_fail_never();
        noted = transactions_open_for_peer(transactions, 7);
    }
    memory_fail_after(1);
    transactions_begin(transactions, lsid(1), 101, 7);
    transactions_begin(transactions, lsid(2), 101, 8);
    memory_fail_never();
    assert_false(transactions_open_for_peer(transactions, 8));
    transactions_end(transactions, lsid(1));
    assert_false(transactions_open_for_peer(transactions, 7));
}

/* The second allocation of a note is the table's growth, whenever it grows. */
static void the_table_survives_every_growth_that_fails(void **state)
{
    struct transactions *transactions = *state;
    for (uint32_t i = 0; i < MANY; i++) {
        memory_fail_after(2);
        transactions_begin(transactions, lsid(i), 100, i);
        memory_fail_never();
        if (!transactions_open_for_peer(transactions, i))
            transactions_begin(transactions, lsid(i), 100, i);
        assert_true(transactions_open_for_peer(transactions, i));
    }
    for (uint32_t i = 0; i < MANY; i++) {
        transactions_end(transactions, lsid(i));
        assert_false(transactions_open_for_peer(transactions, i));
    }
}

/* Clients choose the sessions' names: their number is bounded. */
static void the_table_is_bounded(void **state)
{
    enum { MOST = 100000, PEER = 7, LATE_PEER = 8 };
    struct transactions *transactions = *state;
    for (uint32_t i = 0; i < MOST; i++)
        transactions_begin(transactions, lsid(i), 100, PEER);
    transactions_begin(transactions, lsid(MOST), 100, LATE_PEER);
    assert_false(transactions_open_for_peer(transactions, LATE_PEER));
    transactions_begin(transactions, lsid(0), 100, LATE_PEER);
    assert_true(transactions_open_for_peer(transactions, LATE_PEER));
    transactions_end(transactions, lsid(0));
    transactions_begin(transactions, lsid(MOST), 100, LATE_PEER);
    assert_true(transactions_open_for_peer(transactions, LATE_PEER));
    transactions_forget_connection(transactions, 100);
    assert_false(transactions_open_for_peer(transactions, PEER));
}

static void creating_may_fail(void **state)
{
    (void)state;
    memory_fail_after(1);
    struct transactions *transactions = transactions_create();
    memory_fail_never();
    assert_null(transactions);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_transaction_is_open_until_it_ends, create, destroy),
        cmocka_unit_test_setup_teardown(the_last_statements_connection_carries_it, create, destroy),
        cmocka_unit_test_setup_teardown(what_was_never_carried_out_leaves_nothing, create, destroy),
        cmocka_unit_test_setup_teardown(others_cannot_take_an_open_one_away, create, destroy),
        cmocka_unit_test_setup_teardown(a_lost_connection_takes_all_of_its_own, create, destroy),
        cmocka_unit_test_setup_teardown(open_ones_are_freed_at_the_end, create, destroy),
        cmocka_unit_test_setup_teardown(one_that_cannot_be_noted_is_not_there, create, destroy),
        cmocka_unit_test_setup_teardown(the_table_survives_every_growth_that_fails, create,
                                        destroy),
        cmocka_unit_test_setup_teardown(the_table_is_bounded, create, destroy),
        cmocka_unit_test(creating_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
