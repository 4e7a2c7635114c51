/* The known verifiers: their age, questions to the source, a source that is away. */
#include "credentials/verifiers.h"

#include "base/locked_memory.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the headers above first. */
#include <cmocka.h>

enum { MAX_AGE = 1000, AWAY_USE = 60 * 1000 * 1000 };

static unsigned asked;

static void count_question(void *arg)
{
    (void)arg;
    asked++;
}

static struct verifiers *make(bool complete)
{
    struct verifiers_settings settings = {.complete = complete,
                                          .max_age_us = MAX_AGE,
                                          .away_use_us = AWAY_USE,
                                          .ask = count_question};
    struct verifiers *verifiers = verifiers_new(&settings);
    assert_non_null(verifiers);
    asked = 0;
    return verifiers;
}

static struct bytes text_bytes(const char *text)
{
    return bytes_of(text, strlen(text));
}

static enum verifiers_result find(struct verifiers *verifiers, const char *user, int64_t now_us,
                                  int64_t since_us, struct verifier *of[SCRAM_HASHES])
{
    struct verifiers_question question = {.user = text_bytes(user),
                                          .database = text_bytes("admin"),
                                          .now_us = now_us,
                                          .since_us = since_us};
    return verifiers_find(verifiers, &question, of);
}

/* Without a look at the verifiers. */
static enum verifiers_result ask_for(struct verifiers *verifiers, const char *user, int64_t now_us,
                                     int64_t since_us)
{
    struct verifier *of[SCRAM_HASHES];
    enum verifiers_result result = find(verifiers, user, now_us, since_us, of);
    for (enum scram_hash hash = 0; hash < SCRAM_HASHES; hash++)
        verifier_release(of[hash]);
    return result;
}

static void store(struct verifiers *verifiers, const char *user, uint8_t salt, int64_t read_us)
{
    struct verifier_user found = {.user = text_bytes(user), .database = text_bytes("admin")};
    found.has[SCRAM_SHA_256] = salt != 0;
    found.keys[SCRAM_SHA_256] = (struct scram_keys){
        .hash = SCRAM_SHA_256, .iterations = 5, .salt_bytes = 1, .salt = {salt}};
    (void)verifiers_store(verifiers, found.user, found.database, salt == 0 ? NULL : &found,
                          read_us);
}

static void fail_reading(struct verifiers *verifiers, const char *user, int64_t read_us)
{
    verifiers_fail(verifiers, text_bytes(user), text_bytes("admin"), read_us);
}

static void test_a_login_waits_for_the_source_once(void **state)
{
    (void)state;
    struct verifiers_name names[4];
    struct verifiers *verifiers = make(false);
    assert_int_equal(ask_for(verifiers, "ann", 100, 0), VERIFIERS_WAIT);
    assert_int_equal(ask_for(verifiers, "ann", 101, 0), VERIFIERS_WAIT);
    assert_int_equal(ask_for(verifiers, "bob", 102, 0), VERIFIERS_WAIT);
    assert_int_equal(asked, 2);
    assert_int_equal(verifiers_take_wanted(verifiers, names, 4), 2);
    assert_string_equal(names[0].user, "ann");
    assert_string_equal(names[0].database, "admin");
    assert_string_equal(names[1].user, "bob");
    assert_int_equal(verifiers_take_wanted(verifiers, names, 4), 0);
    store(verifiers, "ann", 1, 103);
    store(verifiers, "bob", 0, 103);
    assert_int_equal(ask_for(verifiers, "ann", 110, 100), VERIFIERS_FOUND);
    assert_int_equal(ask_for(verifiers, "bob", 110, 102), VERIFIERS_NO_USER);
    assert_int_equal(asked, 2);
    verifiers_free(verifiers);
    assert_int_equal(locked_memory_used(), 0);
}

/* Users that are known stay so without memory, and a new one is reported as not stored. */
static void test_known_users_stay_without_memory(void **state)
{
    (void)state;
    struct verifier_user found = {.user = text_bytes("cat"), .database = text_bytes("admin")};
    struct verifiers *verifiers = make(true);
    store(verifiers, "ann", 1, 100);
    memory_fail_after(1);
    store(verifiers, "ann", 1, 200);
    assert_false(verifiers_store(verifiers, found.user, found.database, &found, 200));
    memory_fail_never();
    assert_int_equal(ask_for(verifiers, "ann", 210, 0), VERIFIERS_FOUND);
    store(verifiers, "bob", 2, 300);
    memory_fail_after(1);
    store(verifiers, "ann", 1, 400);
    store(verifiers, "bob", 2, 400);
    verifiers_drop_before(verifiers, 400);
    memory_fail_never();
    assert_int_equal(ask_for(verifiers, "ann", 410, 0), VERIFIERS_FOUND);
    assert_int_equal(ask_for(verifiers, "bob", 410, 0), VERIFIERS_FOUND);
    verifiers_free(verifiers);
}

static void test_an_old_verifier_is_read_again(void **state)
{
    (void)state;
    struct verifiers_name names[4];
    struct verifier *first[SCRAM_HASHES];
    struct verifier *second[SCRAM_HASHES];
    struct verifiers *verifiers = make(false);
    store(verifiers, "ann", 1, 100);
    assert_int_equal(find(verifiers, "ann", 100 + MAX_AGE, 0, first), VERIFIERS_FOUND);
    assert_null(first[SCRAM_SHA_1]);
    assert_int_equal(ask_for(verifiers, "ann", 101 + MAX_AGE, 0), VERIFIERS_WAIT);
    assert_int_equal(verifiers_take_wanted(verifiers, names, 4), 1);
    store(verifiers, "ann", 1, 2000);
    assert_int_equal(find(verifiers, "ann", 2001, 1101, second), VERIFIERS_FOUND);
    assert_ptr_equal(first[SCRAM_SHA_256], second[SCRAM_SHA_256]); /* the same credential */
    verifier_release(second[SCRAM_SHA_256]);
    store(verifiers, "ann", 2, 2500);
    assert_true(verifier_is_stale(first[SCRAM_SHA_256]));
    assert_int_equal(find(verifiers, "ann", 2501, 0, second), VERIFIERS_FOUND);
    assert_ptr_not_equal(first[SCRAM_SHA_256], second[SCRAM_SHA_256]);
    assert_int_equal(verifier_keys(second[SCRAM_SHA_256])->salt[0], 2);
    verifier_release(first[SCRAM_SHA_256]);
    verifier_release(second[SCRAM_SHA_256]);
    verifiers_free(verifiers);
}

/* An answer from before the question is not used, however young it is; one of a reading that began
 * after it is, however long it took. */
static void test_an_expired_verifier_is_read_again(void **state)
{
    (void)state;
    struct verifiers *verifiers = make(false);
    store(verifiers, "ann", 1, 100);
    verifiers_expire(verifiers, 150);
    assert_int_equal(ask_for(verifiers, "ann", 160, 0), VERIFIERS_WAIT);
    store(verifiers, "ann", 1, 149); /* a reading that began before the change */
    assert_int_equal(ask_for(verifiers, "ann", 160, 160), VERIFIERS_WAIT);
    store(verifiers, "ann", 1, 170);
    assert_int_equal(ask_for(verifiers, "ann", 170 + 2 * MAX_AGE, 160), VERIFIERS_FOUND);
    store(verifiers, "bob", 1, 170);
    verifiers_forget(verifiers, text_bytes("ann"), text_bytes("admin"));
    assert_int_equal(ask_for(verifiers, "ann", 180, 0), VERIFIERS_WAIT);
    assert_int_equal(ask_for(verifiers, "bob", 180, 0), VERIFIERS_FOUND);
    verifiers_free(verifiers);
}

static void test_while_the_source_is_away_known_verifiers_serve(void **state)
{
    (void)state;
    struct verifiers *verifiers = make(false);
    store(verifiers, "ann", 1, 100);
    assert_int_equal(ask_for(verifiers, "ann", 5000, 0), VERIFIERS_WAIT);
    assert_int_equal(ask_for(verifiers, "new", 5000, 0), VERIFIERS_WAIT);
    verifiers_fail(verifiers, text_bytes("ann"), text_bytes("admin"), 6000);
    verifiers_fail(verifiers, text_bytes("new"), text_bytes("admin"), 6000);
    verifiers_fail(verifiers, text_bytes("other"), text_bytes("admin"), 6000);
    assert_int_equal(ask_for(verifiers, "ann", 6001, 5000), VERIFIERS_FOUND);
    assert_int_equal(ask_for(verifiers, "ann", 6001, 0), VERIFIERS_FOUND);
    assert_int_equal(ask_for(verifiers, "new", 6001, 5000), VERIFIERS_AWAY);
    assert_int_equal(ask_for(verifiers, "new", 6001, 0), VERIFIERS_AWAY);
    /* later logins try the source again */
    assert_int_equal(ask_for(verifiers, "new", 6001 + 1000001, 0), VERIFIERS_WAIT);
    /* the known one serves for a limited time, and not at all after a change */
    verifiers_fail(verifiers, text_bytes("ann"), text_bytes("admin"), 100 + AWAY_USE);
    assert_int_equal(ask_for(verifiers, "ann", 100 + AWAY_USE, 0), VERIFIERS_FOUND);
    assert_int_equal(ask_for(verifiers, "ann", 101 + AWAY_USE, 0), VERIFIERS_AWAY);
    verifiers_expire(verifiers, 50 + AWAY_USE);
    assert_int_equal(ask_for(verifiers, "ann", 100 + AWAY_USE, 0), VERIFIERS_AWAY);
    store(verifiers, "ann", 1, 200 + AWAY_USE);
    assert_int_equal(ask_for(verifiers, "ann", 201 + AWAY_USE, 0), VERIFIERS_FOUND);
    verifiers_free(verifiers);
}

/* While the source is away, a wrong proof may be one of a new password, and an unknown user may be
 * a new one: the server judges. */
static void test_while_the_source_is_away_a_doubted_verifier_does_not_serve(void **state)
{
    (void)state;
    struct verifier *of[SCRAM_HASHES];
    struct verifiers *verifiers = make(false);
    store(verifiers, "ann", 1, 100);
    store(verifiers, "bob", 1, 100);
    store(verifiers, "gone", 0, 100);
    assert_int_equal(find(verifiers, "ann", 6000, 5000, of), VERIFIERS_WAIT);
    fail_reading(verifiers, "ann", 6000);
    fail_reading(verifiers, "bob", 6000);
    fail_reading(verifiers, "gone", 6000);
    assert_int_equal(ask_for(verifiers, "gone", 6001, 0), VERIFIERS_AWAY);
    assert_int_equal(find(verifiers, "ann", 6001, 0, of), VERIFIERS_FOUND);
    verifiers_doubt(verifiers, of[SCRAM_SHA_256], 6002);
    assert_int_equal(ask_for(verifiers, "ann", 6003, 0), VERIFIERS_AWAY);
    assert_int_equal(ask_for(verifiers, "bob", 6003, 0), VERIFIERS_FOUND);
    /* later logins try the source again, and a reading from after the wrong proof ends the doubt */
    assert_int_equal(ask_for(verifiers, "ann", 6001 + 1000001, 0), VERIFIERS_WAIT);
    store(verifiers, "ann", 1, 6001);
    fail_reading(verifiers, "ann", 7000);
    assert_int_equal(ask_for(verifiers, "ann", 7002, 6500), VERIFIERS_AWAY);
    store(verifiers, "ann", 1, 7010);
    fail_reading(verifiers, "ann", 9000);
    assert_int_equal(ask_for(verifiers, "ann", 9001, 0), VERIFIERS_FOUND);
    /* a wrong proof for the verifier from before the last reading says nothing about the next */
    store(verifiers, "ann", 2, 9010);
    verifiers_doubt(verifiers, of[SCRAM_SHA_256], 9020);
    fail_reading(verifiers, "ann", 11000);
    assert_int_equal(ask_for(verifiers, "ann", 11001, 0), VERIFIERS_FOUND);
    verifier_release(of[SCRAM_SHA_256]);
    /* a doubt from before the source went away; until then the young verifier serves */
    assert_int_equal(find(verifiers, "ann", 9020, 0, of), VERIFIERS_FOUND);
    verifiers_doubt(verifiers, of[SCRAM_SHA_256], 9030);
    assert_int_equal(ask_for(verifiers, "ann", 9040, 0), VERIFIERS_FOUND);
    assert_int_equal(ask_for(verifiers, "ann", 11001, 0), VERIFIERS_AWAY);
    verifier_release(of[SCRAM_SHA_256]);
    verifiers_free(verifiers);
}

static void test_a_file_is_complete(void **state)
{
    (void)state;
    struct verifiers *verifiers = make(true);
    store(verifiers, "ann", 1, 100);
    store(verifiers, "bob", 1, 100);
    verifiers_expire(verifiers, 1000000);
    assert_int_equal(ask_for(verifiers, "ann", INT32_MAX, 0), VERIFIERS_FOUND);
    assert_int_equal(ask_for(verifiers, "new", INT32_MAX, 0), VERIFIERS_NO_USER);
    store(verifiers, "ann", 1, 200);
    verifiers_drop_before(verifiers, 200);
    assert_int_equal(ask_for(verifiers, "bob", INT32_MAX, 0), VERIFIERS_NO_USER);
    assert_int_equal(ask_for(verifiers, "ann", INT32_MAX, 0), VERIFIERS_FOUND);
    assert_int_equal(asked, 0);
    verifiers_free(verifiers);
}

static void test_invented_users(void **state)
{
    (void)state;
    struct scram_keys a;
    struct scram_keys b;
    struct verifiers *verifiers = make(false);
    verifiers_set_secret(verifiers, text_bytes("0123456789abcdef"));
    assert_true(verifiers_invents(verifiers, SCRAM_SHA_1));
    verifiers_set_shape(verifiers, SCRAM_SHA_1, (struct scram_shape){0});
    verifiers_set_shape(verifiers, SCRAM_SHA_256, (struct scram_shape){20000, 28});
    assert_false(verifiers_invents(verifiers, SCRAM_SHA_1));
    assert_true(
        verifiers_invent(verifiers, SCRAM_SHA_256, text_bytes("x"), text_bytes("admin"), &a));
    assert_int_equal(a.iterations, 20000);
    assert_true(verifiers_invent(verifiers, SCRAM_SHA_1, text_bytes("x"), text_bytes("admin"), &b));
    assert_int_equal(b.iterations, 10000);
    verifiers_free(verifiers);
    /* another proxy with the same secret */
    verifiers = make(false);
    verifiers_set_secret(verifiers, text_bytes("0123456789abcdef"));
    verifiers_set_shape(verifiers, SCRAM_SHA_256, (struct scram_shape){20000, 28});
    assert_true(
        verifiers_invent(verifiers, SCRAM_SHA_256, text_bytes("x"), text_bytes("admin"), &b));
    assert_true(scram_keys_equal(&a, &b));
    verifiers_free(verifiers);
}

static void test_names_that_cannot_exist_are_nobodys(void **state)
{
    (void)state;
    static const struct {
        const char *user;
        size_t user_len;
        const char *database;
        size_t database_len;
    } names[] = {{"a\0b", 3, "admin", 5},
                 {"a", 1, "x\0", 2},
                 {"\xFF\xFE", 2, "admin", 5},
                 {"a", 1, "\xC3", 1},
                 {"a", 1, "a.b", 3},
                 {"a", 1, "a/b", 3},
                 {"a", 1, "$x", 2},
                 {"a", 1, "a b", 3},
                 {"", 0, "admin", 5},
                 {"a", 1, "", 0},
                 {"a", 1, "0123456789012345678901234567890123456789012345678901234567890123", 64}};
    struct verifiers *verifiers = make(false);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct verifier *of[SCRAM_HASHES];
        struct verifiers_question question = {
            .user = bytes_of(names[i].user, names[i].user_len),
            .database = bytes_of(names[i].database, names[i].database_len),
            .now_us = 10};
        assert_int_equal(verifiers_find(verifiers, &question, of), VERIFIERS_NO_USER);
    }
    assert_int_equal(asked, 0);
    verifiers_free(verifiers);
}

/* Names that nobody has do not fill the memory, and known users that somebody waits for stay. */
static void test_a_flood_of_names_is_bounded(void **state)
{
    (void)state;
    char name[32];
    struct verifiers_name *names = memory_array(2, sizeof *names);
    struct verifiers *verifiers = make(false);
    store(verifiers, "ann", 1, 1);
    for (int i = 0; i < 30000; i++) {
        (void)snprintf(name, sizeof name, "u%d", i);
        enum verifiers_result result = ask_for(verifiers, name, 10, 0);
        assert_int_equal(result, i < 2000 ? VERIFIERS_WAIT : VERIFIERS_AWAY);
    }
    assert_int_equal(asked, 2000);
    assert_int_equal(verifiers_take_wanted(verifiers, names, 2), 2);
    store(verifiers, names[0].user, 0, 20); /* answered: its place is free again */
    assert_int_equal(ask_for(verifiers, "late", 30, 0), VERIFIERS_WAIT);
    memory_free(names);
    verifiers_free(verifiers);
}

static void test_without_memory(void **state)
{
    (void)state;
    struct verifiers_settings settings = {.ask = count_question};
    for (long n = 1; n < 3; n++) {
        memory_fail_after(n);
        struct verifiers *none = verifiers_new(&settings);
        memory_fail_never();
        verifiers_free(none);
    }
    struct verifiers *verifiers = make(false);
    memory_fail_after(1);
    assert_int_equal(ask_for(verifiers, "ann", 10, 0), VERIFIERS_AWAY);
    store(verifiers, "ann", 1, 20);
    memory_fail_never();
    assert_int_equal(ask_for(verifiers, "ann", 30, 0), VERIFIERS_WAIT);
    for (long n = 1; n < 6; n++) {
        memory_fail_after(n);
        store(verifiers, "ann", (uint8_t)n, 40);
        memory_fail_never();
    }
    verifiers_free(verifiers);
    assert_int_equal(locked_memory_used(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_login_waits_for_the_source_once),
        cmocka_unit_test(test_known_users_stay_without_memory),
        cmocka_unit_test(test_an_old_verifier_is_read_again),
        cmocka_unit_test(test_an_expired_verifier_is_read_again),
        cmocka_unit_test(test_while_the_source_is_away_known_verifiers_serve),
        cmocka_unit_test(test_while_the_source_is_away_a_doubted_verifier_does_not_serve),
        cmocka_unit_test(test_a_file_is_complete),
        cmocka_unit_test(test_invented_users),
        cmocka_unit_test(test_names_that_cannot_exist_are_nobodys),
        cmocka_unit_test(test_a_flood_of_names_is_bounded),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
