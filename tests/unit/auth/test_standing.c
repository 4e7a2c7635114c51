/* Which connections are of one user for certain, against a server that drops users and makes them
 * anew. */
#include "auth/standing.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the three above first. */
#include <cmocka.h>

static struct identity user(uint8_t which)
{
    struct identity identity = {.nobody = which == 0};
    memset(identity.users, which, sizeof identity.users);
    memset(identity.rights, which, sizeof identity.rights);
    if (which != 0)
        (void)snprintf(identity.text, sizeof identity.text, "user%d@admin", which);
    return identity;
}

static void learn(struct standings *all, struct standing *one, uint8_t which, int64_t asked_us)
{
    struct identity identity = user(which);
    assert_true(standing_learn(all, one, &identity, "h:1", asked_us));
}

static void test_it_is_known_until_it_may_have_changed(void **state)
{
    (void)state;
    struct standings *all = standings_create();
    struct standing one = {0};
    assert_true(standing_may_ask(&one, 1));
    assert_false(standing_is_certain(&one, 1));
    learn(all, &one, 1, 10);
    assert_true(standing_is_certain(&one, 11));
    assert_false(standing_may_ask(&one, 11));
    assert_string_equal(standing_text(&one), "user1@admin");
    standing_forget(all, &one);
    assert_false(standing_is_known(&one));
    assert_true(standing_may_ask(&one, 12));
    standings_destroy(all);
}

static void test_an_answer_ages_but_not_nobodys(void **state)
{
    (void)state;
    struct standings *all = standings_create();
    struct standing one = {0};
    struct standing nobody = {0};
    learn(all, &one, 1, 10);
    learn(all, &nobody, 0, 10);
    assert_true(standing_is_certain(&one, 9 + STANDING_AGE_US));
    assert_false(standing_is_certain(&one, 10 + STANDING_AGE_US));
    assert_true(standing_is_known(&one) && standing_may_ask(&one, 10 + STANDING_AGE_US));
    assert_true(standing_is_certain(&nobody, 10 + 100 * STANDING_AGE_US));
    standing_forget(all, &one);
    standing_forget(all, &nobody);
    standings_destroy(all);
}

static void test_a_server_that_does_not_say_is_not_asked_all_the_time(void **state)
{
    (void)state;
    struct standings *all = standings_create();
    struct standing one = {0};
    assert_true(standing_learn(all, &one, NULL, "h:1", 10));
    assert_false(standing_is_known(&one));
    assert_false(standing_may_ask(&one, 11));
    assert_true(standing_may_ask(&one, 10 + STANDING_AGE_US));
    standing_forget(all, &one); /* a login passed */
    assert_true(standing_may_ask(&one, 12));
    one.in_doubt = true;
    assert_false(standing_may_ask(&one, 12));
    learn(all, &one, 1, 13);
    assert_false(standing_is_known(&one));
    standings_destroy(all);
}

static void test_users_servers_and_roles_are_kept_apart(void **state)
{
    (void)state;
    struct standings *all = standings_create();
    struct standing at[4] = {{0}};
    struct identity other_roles = user(1);
    struct identity same = user(1);
    other_roles.rights[0] ^= 1;
    learn(all, &at[0], 1, 10);
    learn(all, &at[1], 2, 10);
    assert_true(standing_learn(all, &at[2], &other_roles, "h:1", 10));
    assert_true(standing_learn(all, &at[3], &same, "h:2", 10));
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < i; j++)
            assert_true(standing_incarnation(&at[i]) != standing_incarnation(&at[j]));
    assert_memory_equal(standing_users(&at[0]), standing_users(&at[2]), IDENTITY_KEY_BYTES);
    for (size_t i = 0; i < 4; i++)
        standing_forget(all, &at[i]);
    standings_destroy(all);
}

/* Who was asked at a time when another was logged in is of the same user. */
static void test_times_that_meet(void **state)
{
    (void)state;
    struct standings *all = standings_create();
    struct standing a = {0};
    struct standing b = {0};
    struct standing c = {0};
    learn(all, &a, 1, 10);
    learn(all, &b, 1, 20); /* a may be gone since 10 */
    assert_true(standing_is_certain(&b, 21));
    assert_false(standing_is_certain(&a, 21));
    assert_true(standing_may_ask(&a, 21));
    learn(all, &a, 1, 22); /* from 10 to 22: b was there */
    assert_true(standing_is_certain(&a, 23) && standing_is_certain(&b, 23));
    assert_true(standing_incarnation(&a) == standing_incarnation(&b));
    learn(all, &c, 1, 30);
    assert_false(standing_is_certain(&a, 31) || standing_is_certain(&b, 31));
    learn(all, &b, 1, 32); /* it speaks for all that came later, and not for a */
    assert_true(standing_is_certain(&b, 33) && standing_is_certain(&c, 33));
    assert_false(standing_is_certain(&a, 33));
    learn(all, &a, 1, 34);
    assert_true(standing_is_certain(&a, 35));
    assert_true(standing_incarnation(&a) == standing_incarnation(&c));
    standing_forget(all, &a);
    standing_forget(all, &b);
    standing_forget(all, &c);
    standings_destroy(all);
}

static void test_a_user_that_was_made_anew(void **state)
{
    (void)state;
    struct standings *all = standings_create();
    struct standing old[2] = {{0}};
    struct standing new = {0};
    learn(all, &old[0], 1, 10);
    learn(all, &old[1], 1, 11);
    learn(all, &old[0], 1, 12);
    uint64_t before = standing_incarnation(&old[0]);
    learn(all, &new, 1, 20); /* dropped and made anew at some time after 12 */
    assert_false(standing_is_certain(&old[0], 21) || standing_is_certain(&old[1], 21));
    assert_true(standing_incarnation(&new) != before);
    learn(all, &old[0], 0, 22); /* the server has taken the login away */
    assert_false(standing_is_certain(&old[1], 23));
    assert_true(standing_is_certain(&new, 23));
    assert_true(standing_incarnation(&old[0]) != standing_incarnation(&new));
    standing_forget(all, &old[0]);
    standing_forget(all, &old[1]);
    standing_forget(all, &new);
    standings_destroy(all);
}

/* Its answer comes after the answer to a later request. */
static void test_answers_that_overtake(void **state)
{
    (void)state;
    struct standings *all = standings_create();
    struct standing a = {0};
    struct standing b = {0};
    learn(all, &a, 1, 10);
    learn(all, &b, 1, 30);
    learn(all, &a, 1, 20); /* asked before b was */
    assert_true(standing_is_certain(&b, 31));
    assert_false(standing_is_certain(&a, 31));
    assert_true(standing_may_ask(&a, 31));
    standing_forget(all, &a);
    standing_forget(all, &b);
    standings_destroy(all);
}

/* A connection is dropped and logs in anew: its times before that do not count. */
static void test_a_login_begins_a_time_of_its_own(void **state)
{
    (void)state;
    struct standings *all = standings_create();
    struct standing a = {0};
    struct standing b = {0};
    learn(all, &a, 1, 10);
    standing_forget(all, &a);
    learn(all, &b, 1, 15);
    learn(all, &a, 1, 20);
    assert_true(standing_is_certain(&a, 21));
    assert_false(standing_is_certain(&b, 21));
    standing_forget(all, &a);
    standing_forget(all, &b);
    standings_destroy(all);
}

/* A server with users that are dropped and made anew, and connections that come, log in and ask at
 * random: no two that are certain and of one incarnation are ever of two users. */
static void test_random_lives(void **state)
{
    (void)state;
    enum { CONNECTIONS = 6, STEPS = 200000 };
    struct standings *all = standings_create();
    struct standing standing[CONNECTIONS] = {{0}};
    uint64_t of[CONNECTIONS] = {
        0}; /* the identity: the user's incarnation at the server; 0: no user */
    uint64_t live = 1;
    uint64_t met = 0;
    srand(7);
    for (int64_t now = 1; now < STEPS; now++) {
        size_t i = (size_t)rand() % CONNECTIONS;
        switch (rand() % 8) {
        case 0: /* logs in */
            standing_forget(all, &standing[i]);
            of[i] = live;
            break;
        case 1: /* the user is dropped and made anew */
            if (rand() % 8 != 0)
                break;
            for (size_t j = 0; j < CONNECTIONS; j++)
                of[j] = 0;
            live++;
            break;
        default:
            learn(all, &standing[i], of[i] != 0, now);
            break;
        }
        for (size_t a = 0; a < CONNECTIONS; a++)
            for (size_t b = 0; b < a; b++) {
                if (!standing_is_certain(&standing[a], now) ||
                    !standing_is_certain(&standing[b], now) ||
                    standing_incarnation(&standing[a]) != standing_incarnation(&standing[b]) ||
                    of[a] == 0 || of[b] == 0)
                    continue;
                met++;
                assert_true(of[a] == of[b]);
            }
    }
    assert_true(met > STEPS); /* else nothing was tried */
    for (size_t i = 0; i < CONNECTIONS; i++)
        standing_forget(all, &standing[i]);
    standings_destroy(all);
}

static void test_failing_allocations(void **state)
{
    (void)state;
    memory_fail_after(1);
    assert_null(standings_create());
    memory_fail_never();
    struct standings *all = standings_create();
    bool learned = false;
    for (long i = 1; !learned; i++) {
        struct standing one = {0};
        struct identity identity = user(1);
        assert_in_range(i, 1, 20);
        memory_fail_after(i);
        learned = standing_learn(all, &one, &identity, "h:1", 10);
        memory_fail_never();
        assert_int_equal(standing_is_known(&one), learned);
        standing_forget(all, &one);
    }
    standings_destroy(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_known_until_it_may_have_changed),
        cmocka_unit_test(test_an_answer_ages_but_not_nobodys),
        cmocka_unit_test(test_a_server_that_does_not_say_is_not_asked_all_the_time),
        cmocka_unit_test(test_users_servers_and_roles_are_kept_apart),
        cmocka_unit_test(test_times_that_meet),
        cmocka_unit_test(test_a_user_that_was_made_anew),
        cmocka_unit_test(test_answers_that_overtake),
        cmocka_unit_test(test_a_login_begins_a_time_of_its_own),
        cmocka_unit_test(test_random_lives),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
