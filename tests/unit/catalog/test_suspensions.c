/* The readings that end a suspension, and the collections that a suspension covers. */
#include "../cmocka_all.h"

#include <stdio.h>

#include "catalog/suspensions.h"

static uint32_t begin(struct suspensions *list, const char *first, const char *second)
{
    return suspensions_begin(list, &(struct suspension_scope){{first, second}});
}

static void test_scopes(void **state)
{
    (void)state;
    struct suspensions list = {0};
    assert_false(suspensions_cover(&list, "a.b"));
    uint32_t one = begin(&list, "a.b", NULL);
    assert_true(suspensions_cover(&list, "a.b"));
    assert_false(suspensions_cover(&list, "a.bc"));
    assert_false(suspensions_cover(&list, "a.b.c"));
    uint32_t two = begin(&list, "d.", NULL);
    assert_true(suspensions_cover(&list, "d.x.y"));
    assert_false(suspensions_cover(&list, "dd.x"));
    uint32_t three = begin(&list, "e.f", "g.h");
    assert_true(suspensions_cover(&list, "e.f") && suspensions_cover(&list, "g.h"));
    assert_true(one != two && two != three);
    (void)begin(&list, "", NULL);
    assert_true(suspensions_cover(&list, "any.thing"));
    suspensions_release(&list);
    assert_false(suspensions_cover(&list, "a.b"));
}

/* Only a reading that began after the answer to the command shows the new state. */
static void test_readings(void **state)
{
    (void)state;
    struct suspensions list = {0};
    suspensions_reading_begins(&list, 100);
    uint32_t number = begin(&list, "a.b", NULL);
    suspensions_reading_ends(&list);
    assert_true(suspensions_cover(&list, "a.b")); /* began before the command was sent */
    suspensions_reading_begins(&list, 110);
    assert_true(suspensions_end(&list, number, false, 115));
    suspensions_reading_ends(&list);
    assert_true(suspensions_cover(&list, "a.b")); /* … before it was answered */
    suspensions_reading_begins(&list, 120);
    suspensions_reading_ends(&list);
    assert_false(suspensions_cover(&list, "a.b"));
    assert_false(suspensions_end(&list, number, false, 130));
    suspensions_release(&list);
}

/* Two commands for one namespace: the second still holds it. */
static void test_overlapping(void **state)
{
    (void)state;
    struct suspensions list = {0};
    uint32_t first = begin(&list, "a.b", NULL);
    uint32_t second = begin(&list, "a.", NULL);
    assert_true(suspensions_end(&list, first, false, 10));
    suspensions_reading_begins(&list, 20);
    suspensions_reading_ends(&list);
    assert_true(suspensions_cover(&list, "a.b"));
    assert_true(suspensions_end(&list, second, false, 30));
    suspensions_reading_begins(&list, 30);
    suspensions_reading_ends(&list);
    assert_false(suspensions_cover(&list, "a.b"));
    suspensions_release(&list);
}

/* A command without an answer may still be carried out for a while. */
static void test_lost(void **state)
{
    (void)state;
    struct suspensions list = {0};
    uint32_t number = begin(&list, "a.b", NULL);
    assert_true(suspensions_end(&list, number, true, 1000));
    suspensions_reading_begins(&list, 1000 + SUSPENSION_LOST_MS - 1);
    suspensions_reading_ends(&list);
    assert_true(suspensions_cover(&list, "a.b"));
    suspensions_reading_begins(&list, 1000 + SUSPENSION_LOST_MS);
    suspensions_reading_ends(&list);
    assert_false(suspensions_cover(&list, "a.b"));
    suspensions_release(&list);
}

static void test_many(void **state)
{
    (void)state;
    struct suspensions list = {0};
    char ns[16];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(ns, sizeof ns, "a.%d", i);
        uint32_t number = begin(&list, ns, NULL);
        assert_true(i % 2 == 1 || suspensions_end(&list, number, false, 1));
    }
    suspensions_reading_begins(&list, 2);
    suspensions_reading_ends(&list);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(ns, sizeof ns, "a.%d", i);
        assert_int_equal(suspensions_cover(&list, ns), i % 2);
    }
    suspensions_release(&list);
}

/* Without a reading, the list does not grow for ever, and nothing is enforced too early. */
static void test_no_reading(void **state)
{
    (void)state;
    struct suspensions list = {0};
    char ns[16];
    uint32_t running = begin(&list, "x.y", NULL);
    for (int i = 0; i < 20000; i++) {
        (void)snprintf(ns, sizeof ns, "a.%d", i);
        uint32_t number = begin(&list, ns, i % 2 == 0 ? "b.c" : NULL);
        assert_true(suspensions_end(&list, number, i == 7, i));
        assert_true(suspensions_cover(&list, ns));
        assert_true(list.count <= SUSPENSIONS_WAITING_MAX + 2);
    }
    assert_true(suspensions_cover(&list, "a.0"));
    suspensions_reading_begins(&list, 20000);
    assert_true(suspensions_end(&list, running, false, 20000));
    suspensions_reading_ends(&list);
    assert_true(suspensions_cover(&list, "x.y"));
    assert_false(suspensions_cover(&list, "a.19999"));
    suspensions_reading_begins(&list, 20001);
    suspensions_reading_ends(&list);
    assert_int_equal(list.count, 0);
    suspensions_release(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scopes),      cmocka_unit_test(test_readings),
        cmocka_unit_test(test_overlapping), cmocka_unit_test(test_lost),
        cmocka_unit_test(test_many),        cmocka_unit_test(test_no_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
