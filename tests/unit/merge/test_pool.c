/* The proxy's own sessions. */
#include "../cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "merge/session_pool.h"

static uint8_t next_byte;
static bool random_fails;

static bool count_up(void *out, size_t len)
{
    memset(out, ++next_byte, len);
    return !random_fails;
}

static struct bytes owner_of(const char *text)
{
    return bytes_of(text, strlen(text));
}

static struct pool_session *take(struct session_pool *pool, const char *owner, int64_t now_us)
{
    bool made = false;
    return session_pool_take(pool, owner_of(owner), now_us, &made);
}

static void a_session_carries_one_batch_at_a_time(void **state)
{
    (void)state;
    bool made = false;
    struct session_pool *pool = session_pool_create(count_up);
    struct pool_session *a = session_pool_take(pool, owner_of("x"), 0, &made);
    assert_true(made);
    assert_int_equal(a->number, 1);
    assert_int_equal(a->lsid[6] >> 4, 4); /* a UUID of version 4 */
    assert_int_equal(a->lsid[8] >> 6, 2);
    struct pool_session *b = take(pool, "x", 0);
    assert_memory_not_equal(a->lsid, b->lsid, LSID_BYTES);
    session_pool_give_back(pool, a, 10);
    struct pool_session *other = take(pool, "y", 10); /* another owner's */
    assert_ptr_not_equal(other, a);
    assert_ptr_equal(session_pool_take(pool, owner_of("x"), 10, &made), a);
    assert_false(made);
    assert_int_equal(a->number, 2);
    session_pool_give_back(pool, a, 10);
    session_pool_give_back(pool, b, 10);
    session_pool_give_back(pool, other, 10);
    assert_int_equal(session_pool_idle(pool), 3);
    session_pool_destroy(pool);
}

static void a_retired_one_does_not_come_back(void **state)
{
    (void)state;
    struct session_pool *pool = session_pool_create(count_up);
    struct pool_session *a = take(pool, "x", 0);
    uint8_t lsid[LSID_BYTES];
    memcpy(lsid, a->lsid, sizeof lsid);
    session_pool_retire(pool, a);
    struct pool_session *b = take(pool, "x", 0);
    assert_memory_not_equal(b->lsid, lsid, sizeof lsid);
    assert_int_equal(b->number, 1);
    session_pool_give_back(pool, b, 0);
    session_pool_destroy(pool);
}

static void idle_ones_are_let_go(void **state)
{
    (void)state;
    struct session_pool *pool = session_pool_create(count_up);
    struct pool_session *a = take(pool, "x", 0);
    struct pool_session *b = take(pool, "x", 0);
    session_pool_give_back(pool, a, 0);
    session_pool_give_back(pool, b, 5);
    assert_ptr_equal(take(pool, "x", POOL_IDLE_US), b);
    assert_int_equal(session_pool_idle(pool), 0);
    session_pool_give_back(pool, b, POOL_IDLE_US);
    /* owners that never come back */
    char owner[20];
    for (int i = 0; i < 1000; i++) {
        int64_t now_us = 2 * POOL_IDLE_US + (int64_t)i * POOL_IDLE_US;
        (void)snprintf(owner, sizeof owner, "o%d", i);
        session_pool_give_back(pool, take(pool, owner, now_us), now_us);
    }
    assert_in_range(session_pool_idle(pool), 1, 200);
    session_pool_destroy(pool);
    session_pool_destroy(NULL);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    bool done = false;
    for (long i = 1; !done; i++) {
        assert_in_range(i, 1, 20);
        memory_fail_after(i);
        struct session_pool *pool = session_pool_create(count_up);
        struct pool_session *session = pool == NULL ? NULL : take(pool, "x", 0);
        memory_fail_never();
        done = session != NULL;
        if (session != NULL)
            session_pool_give_back(pool, session, 0);
        session_pool_destroy(pool);
    }
    struct session_pool *pool = session_pool_create(count_up);
    random_fails = true;
    assert_null(take(pool, "x", 0));
    random_fails = false;
    session_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_carries_one_batch_at_a_time),
        cmocka_unit_test(a_retired_one_does_not_come_back),
        cmocka_unit_test(idle_ones_are_let_go),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
