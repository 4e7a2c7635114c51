/* The table of cursors that await data. */
#include "../cmocka_all.h"

#include "session/awaited_cursors.h"

static void a_cursor_belongs_to_its_server(void **state)
{
    (void)state;
    struct awaited_cursors *cursors = awaited_cursors_create();
    assert_false(awaited_cursors_find(cursors, "a:1", 7));
    awaited_cursors_put(cursors, "a:1", 7);
    awaited_cursors_put(cursors, "a:1", 7);
    assert_true(awaited_cursors_find(cursors, "a:1", 7));
    assert_false(awaited_cursors_find(cursors, "a:2", 7));
    assert_false(awaited_cursors_find(cursors, "a:1", -7));
    awaited_cursors_put(cursors, "a:2", INT64_MIN);
    assert_true(awaited_cursors_find(cursors, "a:2", INT64_MIN));
    awaited_cursors_destroy(cursors);
}

static void a_closed_cursor_has_no_number(void **state)
{
    (void)state;
    struct awaited_cursors *cursors = awaited_cursors_create();
    awaited_cursors_put(cursors, "a:1", 0);
    assert_false(awaited_cursors_find(cursors, "a:1", 0));
    awaited_cursors_put(cursors, "a:1", 1);
    assert_false(awaited_cursors_find(cursors, "a:1", 0));
    awaited_cursors_destroy(cursors);
}

static void the_one_in_use_stays(void **state)
{
    (void)state;
    struct awaited_cursors *cursors = awaited_cursors_create();
    awaited_cursors_put(cursors, "a:1", -1);
    for (int64_t id = 1; id <= 100000; id++) {
        awaited_cursors_put(cursors, "a:1", id);
        assert_true(awaited_cursors_find(cursors, "a:1", id));
        assert_true(awaited_cursors_find(cursors, "a:1", -1));
    }
    size_t kept = 0;
    for (int64_t id = 1; id <= 100000; id++)
        kept += awaited_cursors_find(cursors, "a:1", id);
    assert_int_equal(kept, 8192 - 1); /* the table is full, and no larger */
    awaited_cursors_destroy(cursors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor_belongs_to_its_server),
        cmocka_unit_test(a_closed_cursor_has_no_number),
        cmocka_unit_test(the_one_in_use_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
