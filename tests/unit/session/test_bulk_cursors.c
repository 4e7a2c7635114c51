/* Cursors of bulkWrite: kept, taken once, lost when there are too many. */
#include "../cmocka_all.h"

#include <string.h>

#include "base/memory.h"
#include "enforce/enforce.h"
#include "enforce/splice.h"
#include "session/bulk_cursors.h"

enum { PLACES = 1024, MEBIBYTE = 1024 * 1024 };

struct fixture {
    struct budget budget;
    struct bulk_cursors *cursors;
};

static int create(void **state)
{
    struct fixture *fixture = memory_zalloc(sizeof *fixture);
    fixture->budget.limit_bytes = SIZE_MAX;
    fixture->cursors = bulk_cursors_create(&fixture->budget);
    *state = fixture;
    return fixture->cursors == NULL ? -1 : 0;
}

static int destroy(void **state)
{
    struct fixture *fixture = *state;
    bulk_cursors_destroy(fixture->cursors);
    assert_int_equal(fixture->budget.used_bytes, 0);
    memory_free(fixture);
    return 0;
}

/* A splice that holds about that many bytes. */
static void put(struct fixture *fixture, const char *server, int64_t id, size_t bytes)
{
    struct plan plan = {.total = 2};
    struct refusal refusal = {.index = 1};
    uint8_t *info = memory_zalloc(bytes);
    assert_true(
        refusals_add(&plan.refusals, &refusal, "no", bytes_of(info, bytes), SIZE_MAX, NULL));
    struct enforce_splice *splice = splice_new(SPLICE_BULK_WRITE, &plan);
    memory_free(info);
    assert_non_null(splice);
    assert_true(enforce_splice_bytes(splice) >= bytes);
    assert_true(budget_take(&fixture->budget, enforce_splice_bytes(splice)));
    bulk_cursors_put(fixture->cursors, server, id, splice);
}

static enum bulk_cursor_state take(struct fixture *fixture, const char *server, int64_t id)
{
    struct enforce_splice *splice = NULL;
    enum bulk_cursor_state state = bulk_cursors_take(fixture->cursors, server, id, &splice);
    assert_int_equal(splice != NULL, state == BULK_CURSOR_KEPT);
    if (splice == NULL)
        return state;
    budget_give_back(&fixture->budget, enforce_splice_bytes(splice));
    enforce_splice_free(splice);
    return state;
}

static void a_cursor_belongs_to_its_server_and_is_taken_once(void **state)
{
    assert_int_equal(take(*state, "a:1", 5), BULK_CURSOR_UNKNOWN);
    put(*state, "a:1", 5, 10);
    put(*state, "b:1", 5, 10);
    assert_int_equal(take(*state, "c:1", 5), BULK_CURSOR_UNKNOWN);
    assert_int_equal(take(*state, "a:1", 6), BULK_CURSOR_UNKNOWN);
    assert_int_equal(take(*state, "a:1", 5), BULK_CURSOR_KEPT);
    assert_int_equal(take(*state, "a:1", 5), BULK_CURSOR_UNKNOWN);
    assert_int_equal(take(*state, "b:1", 5), BULK_CURSOR_KEPT);
}

static void the_oldest_is_pushed_out(void **state)
{
    for (int64_t id = 0; id < PLACES + 10; id++)
        put(*state, "a:1", id, 10);
    for (int64_t id = 0; id < PLACES + 10; id++)
        assert_int_equal(take(*state, "a:1", id), id < 10 ? BULK_CURSOR_UNKNOWN : BULK_CURSOR_KEPT);
}

static void what_holds_too_much_is_lost_and_known_to_be(void **state)
{
    struct fixture *fixture = *state;
    for (int64_t id = 0; id < 20; id++) {
        put(fixture, "a:1", id, (size_t)10 * MEBIBYTE);
        assert_true(fixture->budget.used_bytes <= (size_t)65 * MEBIBYTE);
    }
    for (int64_t id = 0; id < 20; id++)
        assert_int_equal(take(fixture, "a:1", id), id < 14 ? BULK_CURSOR_LOST : BULK_CURSOR_KEPT);
    assert_int_equal(take(fixture, "a:1", 0), BULK_CURSOR_LOST);
}

static void without_memory_it_is_unknown(void **state)
{
    struct fixture *fixture = *state;
    struct plan plan = {.total = 1};
    struct enforce_splice *splice = splice_new(SPLICE_BULK_WRITE, &plan);
    assert_true(budget_take(&fixture->budget, enforce_splice_bytes(splice)));
    memory_fail_after(1);
    bulk_cursors_put(fixture->cursors, "a:1", 1, splice);
    memory_fail_never();
    assert_int_equal(take(fixture, "a:1", 1), BULK_CURSOR_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_cursor_belongs_to_its_server_and_is_taken_once, create,
                                        destroy),
        cmocka_unit_test_setup_teardown(the_oldest_is_pushed_out, create, destroy),
        cmocka_unit_test_setup_teardown(what_holds_too_much_is_lost_and_known_to_be, create,
                                        destroy),
        cmocka_unit_test_setup_teardown(without_memory_it_is_unknown, create, destroy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
