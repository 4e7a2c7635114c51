/* Cursors of bulkWrite: kept while a client may fetch from them; lost rather than answered wrongly.
 */
#include "../json_document.h"

#include <string.h>

#include "base/memory.h"
#include "enforce/enforce.h"
#include "enforce/splice.h"
#include "session/bulk_cursors.h"

enum { PLACES = 4096, MEBIBYTE = 1024 * 1024 };

struct fixture {
    struct budget budget;
    struct bulk_cursors *cursors;
};

static const uint8_t lsid_1[LSID_BYTES] = {1};
static const uint8_t lsid_2[LSID_BYTES] = {2};

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

static struct bulk_cursor_use use_of(const char *server, uint64_t connection, int64_t now_ms)
{
    return (struct bulk_cursor_use){server, connection, now_ms};
}

static struct enforce_splice *splice_of(struct fixture *fixture, size_t bytes)
{
    struct plan plan = {.total = 2,
                        .refusals = {.form = SPLICE_BULK_WRITE, .limit_bytes = SIZE_MAX}};
    uint8_t *info = memory_zalloc(bytes);
    struct refusal_text text = {
        .index = 1, .code = 121, .message = "no", .info = bytes_of(info, bytes)};
    assert_true(refusals_add(&plan.refusals, &text, NULL));
    struct enforce_splice *splice = splice_new(&plan);
    memory_free(info);
    assert_non_null(splice);
    assert_true(enforce_splice_bytes(splice) >= bytes);
    assert_true(budget_take(&fixture->budget, enforce_splice_bytes(splice)));
    return splice;
}

static void put_of(struct fixture *fixture, struct bulk_cursor_use use, int64_t id, size_t bytes,
                   const uint8_t *lsid)
{
    bson_t *opened = BCON_NEW("cursor", "{", "id", BCON_INT64(id), "ns",
                              BCON_UTF8("admin.$cmd.bulkWrite"), "}", "ok", BCON_DOUBLE(1));
    bulk_cursors_put(fixture->cursors, &use, support_bytes(opened), lsid,
                     splice_of(fixture, bytes));
    bson_destroy(opened);
}

/* A cursor whose splice holds about so many bytes. */
static void put(struct fixture *fixture, const char *server, int64_t id, size_t bytes)
{
    put_of(fixture, use_of(server, 1, 0), id, bytes, NULL);
}

static enum bulk_cursor_state find_of(struct fixture *fixture, const char *server, int64_t id,
                                      const char *ns, struct bulk_cursor **cursor)
{
    struct bulk_cursor_use use = use_of(server, 1, 0);
    *cursor = NULL;
    enum bulk_cursor_state state =
        bulk_cursors_find(fixture->cursors, &use, id, bytes_of(ns, strlen(ns)), cursor);
    assert_int_equal(*cursor != NULL, state == BULK_CURSOR_KEPT);
    return state;
}

static enum bulk_cursor_state look(struct fixture *fixture, const char *server, int64_t id)
{
    struct bulk_cursor *cursor = NULL;
    enum bulk_cursor_state state = find_of(fixture, server, id, "admin.$cmd.bulkWrite", &cursor);
    bulk_cursor_release(cursor);
    return state;
}

/* The server answers a getMore. */
static void answer(struct bulk_cursor *cursor, struct bulk_cursor_use use, const char *json)
{
    struct build build;
    struct bytes reply;
    struct error err;
    bson_t *bson = support_json(json);
    assert_true(bulk_cursor_reply(cursor, &use, support_bytes(bson), &build, &reply, &err));
    build_free(&build);
    bson_destroy(bson);
}

#define GOES_ON                                                                                    \
    "{\"cursor\": {\"id\": {\"$numberLong\": \"5\"}, \"ns\": \"admin.$cmd.bulkWrite\", "           \
    "\"nextBatch\": []}, \"ok\": 1}"
#define IS_THROUGH                                                                                 \
    "{\"cursor\": {\"id\": {\"$numberLong\": \"0\"}, \"ns\": \"admin.$cmd.bulkWrite\", "           \
    "\"nextBatch\": []}, \"ok\": 1}"

static void a_cursor_belongs_to_its_server_and_namespace(void **state)
{
    struct bulk_cursor *cursor = NULL;
    assert_int_equal(look(*state, "a:1", 5), BULK_CURSOR_UNKNOWN);
    put(*state, "a:1", 5, 10);
    put(*state, "b:1", 5, 10);
    assert_int_equal(look(*state, "c:1", 5), BULK_CURSOR_UNKNOWN);
    assert_int_equal(look(*state, "a:1", 6), BULK_CURSOR_UNKNOWN);
    assert_int_equal(find_of(*state, "a:1", 5, "d.c", &cursor), BULK_CURSOR_UNKNOWN);
    assert_int_equal(find_of(*state, "a:1", 5, "", &cursor), BULK_CURSOR_UNKNOWN);
    assert_int_equal(look(*state, "a:1", 5), BULK_CURSOR_KEPT);
    assert_int_equal(look(*state, "b:1", 5), BULK_CURSOR_KEPT);
}

static void it_stays_until_the_server_says_that_it_is_through(void **state)
{
    struct bulk_cursor *one = NULL;
    struct bulk_cursor *other = NULL;
    struct bulk_cursor_use use = use_of("a:1", 1, 0);
    put(*state, "a:1", 5, 10);
    assert_int_equal(find_of(*state, "a:1", 5, "admin.$cmd.bulkWrite", &one), BULK_CURSOR_KEPT);
    assert_int_equal(find_of(*state, "a:1", 5, "admin.$cmd.bulkWrite", &other), BULK_CURSOR_KEPT);
    answer(other, use, "{\"ok\": 0, \"code\": 13, \"errmsg\": \"not authorized\"}");
    bulk_cursor_release(other);
    assert_int_equal(look(*state, "a:1", 5), BULK_CURSOR_KEPT);
    answer(one, use, GOES_ON);
    assert_int_equal(look(*state, "a:1", 5), BULK_CURSOR_KEPT);
    answer(one, use, IS_THROUGH);
    bulk_cursor_release(one);
    assert_int_equal(look(*state, "a:1", 5), BULK_CURSOR_UNKNOWN);
    assert_int_equal(((struct fixture *)*state)->budget.used_bytes, 0);
}

/* A getMore of a stranger is under way when the owner reads the last results. */
static void one_that_is_through_serves_who_still_uses_it(void **state)
{
    struct bulk_cursor *owner = NULL;
    struct bulk_cursor *stranger = NULL;
    struct bulk_cursor_use use = use_of("a:1", 1, 0);
    put(*state, "a:1", 5, 10);
    assert_int_equal(find_of(*state, "a:1", 5, "admin.$cmd.bulkWrite", &owner), BULK_CURSOR_KEPT);
    assert_int_equal(find_of(*state, "a:1", 5, "admin.$cmd.bulkWrite", &stranger),
                     BULK_CURSOR_KEPT);
    answer(owner, use, IS_THROUGH);
    bulk_cursor_release(owner);
    answer(stranger, use, "{\"ok\": 0, \"code\": 13, \"errmsg\": \"not authorized\"}");
    bulk_cursor_release(stranger);
    assert_int_equal(((struct fixture *)*state)->budget.used_bytes, 0);
}

static void the_server_does_not_know_it(void **state)
{
    struct bulk_cursor *cursor = NULL;
    put(*state, "a:1", 5, 10);
    assert_int_equal(find_of(*state, "a:1", 5, "admin.$cmd.bulkWrite", &cursor), BULK_CURSOR_KEPT);
    answer(cursor, use_of("a:1", 1, 0), "{\"ok\": 0, \"code\": 43}");
    bulk_cursor_release(cursor);
    assert_int_equal(look(*state, "a:1", 5), BULK_CURSOR_UNKNOWN);
}

static void the_oldest_is_pushed_out(void **state)
{
    for (int64_t id = 0; id < PLACES + 10; id++)
        put(*state, "a:1", id, 10);
    for (int64_t id = 0; id < PLACES + 10; id++)
        assert_int_equal(look(*state, "a:1", id), id < 10 ? BULK_CURSOR_UNKNOWN : BULK_CURSOR_KEPT);
}

static void what_holds_too_much_is_lost_and_known_to_be(void **state)
{
    struct fixture *fixture = *state;
    for (int64_t id = 0; id < 20; id++) {
        put(fixture, "a:1", id, (size_t)10 * MEBIBYTE);
        assert_true(fixture->budget.used_bytes <= (size_t)65 * MEBIBYTE);
    }
    for (int64_t id = 0; id < 20; id++)
        assert_int_equal(look(fixture, "a:1", id), id < 14 ? BULK_CURSOR_LOST : BULK_CURSOR_KEPT);
}

static void memory_pressure_frees_the_oldest_and_what_nobody_uses_first(void **state)
{
    struct fixture *fixture = *state;
    fixture->budget.limit_bytes = (size_t)10 * MEBIBYTE;
    for (int64_t id = 1; id <= 3; id++)
        put_of(fixture, use_of("a:1", (uint64_t)id, 0), id, (size_t)2 * MEBIBYTE, NULL);
    bulk_cursors_forget_connection(fixture->cursors, 2, 0);
    assert_true(budget_take(&fixture->budget, (size_t)5 * MEBIBYTE));
    assert_int_equal(look(fixture, "a:1", 1), BULK_CURSOR_KEPT);
    assert_int_equal(look(fixture, "a:1", 2), BULK_CURSOR_LOST);
    assert_true(budget_take(&fixture->budget, (size_t)2 * MEBIBYTE));
    assert_int_equal(look(fixture, "a:1", 1), BULK_CURSOR_LOST);
    assert_int_equal(look(fixture, "a:1", 3), BULK_CURSOR_KEPT);
    /* an entry that would not fit anyway evicts none */
    assert_false(budget_take(&fixture->budget, (size_t)20 * MEBIBYTE));
    assert_int_equal(look(fixture, "a:1", 3), BULK_CURSOR_KEPT);
    budget_give_back(&fixture->budget, (size_t)7 * MEBIBYTE);
}

/* Who uses a cursor when it is lost gets that batch. */
static void one_that_is_lost_in_use_is_freed_after_that(void **state)
{
    struct fixture *fixture = *state;
    struct bulk_cursor *cursor = NULL;
    fixture->budget.limit_bytes = MEBIBYTE;
    put(fixture, "a:1", 5, MEBIBYTE / 2);
    assert_int_equal(find_of(*state, "a:1", 5, "admin.$cmd.bulkWrite", &cursor), BULK_CURSOR_KEPT);
    assert_false(budget_take(&fixture->budget, MEBIBYTE - MEBIBYTE / 8));
    assert_int_equal(look(fixture, "a:1", 5), BULK_CURSOR_LOST);
    answer(cursor, use_of("a:1", 1, 0), GOES_ON);
    bulk_cursor_release(cursor);
    assert_true(budget_take(&fixture->budget, MEBIBYTE - MEBIBYTE / 8));
    budget_give_back(&fixture->budget, MEBIBYTE - MEBIBYTE / 8);
    assert_int_equal(look(fixture, "a:1", 5), BULK_CURSOR_LOST);
}

static void killed_ones_are_forgotten(void **state)
{
    struct fixture *fixture = *state;
    bson_t *killed = support_json("{\"cursorsKilled\": [{\"$numberLong\": \"5\"}, \"x\"], "
                                  "\"cursorsNotFound\": [{\"$numberLong\": \"6\"}], \"ok\": 1}");
    put(fixture, "a:1", 5, 10);
    put(fixture, "a:1", 6, 10);
    put(fixture, "b:1", 5, 10);
    bulk_cursors_killed(fixture->cursors, "a:1", support_bytes(killed));
    assert_int_equal(look(fixture, "a:1", 5), BULK_CURSOR_UNKNOWN);
    assert_int_equal(look(fixture, "a:1", 6), BULK_CURSOR_KEPT);
    assert_int_equal(look(fixture, "b:1", 5), BULK_CURSOR_KEPT);
    bson_destroy(killed);
}

static void the_end_of_its_session_frees_it(void **state)
{
    struct fixture *fixture = *state;
    for (int64_t id = 1; id <= 4; id++)
        put_of(fixture, use_of("a:1", 1, 0), id, 10, id <= 2 ? lsid_1 : lsid_2);
    put(fixture, "a:1", 5, 10);
    bulk_cursors_end_session(fixture->cursors, 7, lsid_1);
    assert_int_equal(look(fixture, "a:1", 1),
                     BULK_CURSOR_KEPT); /* the asking connection may have no user */
    bulk_cursors_session_ended(fixture->cursors, 8);
    assert_int_equal(look(fixture, "a:1", 1), BULK_CURSOR_KEPT);
    bulk_cursors_session_ended(fixture->cursors, 7);
    for (int64_t id = 1; id <= 5; id++)
        assert_int_equal(look(fixture, "a:1", id), id <= 2 ? BULK_CURSOR_LOST : BULK_CURSOR_KEPT);
}

static void the_end_of_its_client_frees_it(void **state)
{
    struct fixture *fixture = *state;
    struct bulk_cursor *cursor = NULL;
    put_of(fixture, use_of("a:1", 1, 0), 1, 10, NULL);
    put_of(fixture, use_of("a:1", 2, 0), 2, 10, NULL);
    put_of(fixture, use_of("a:1", 2, 0), 5, 10, NULL);
    bulk_cursors_forget_connection(fixture->cursors, 2, 1000);
    /* another connection of that client continues */
    assert_int_equal(find_of(fixture, "a:1", 5, "admin.$cmd.bulkWrite", &cursor), BULK_CURSOR_KEPT);
    answer(cursor, use_of("a:1", 3, 2000), GOES_ON);
    bulk_cursor_release(cursor);
    bulk_cursors_expire(fixture->cursors, 1000 + BULK_CURSOR_ORPHAN_MS - 1);
    assert_int_equal(look(fixture, "a:1", 2), BULK_CURSOR_KEPT);
    bulk_cursors_expire(fixture->cursors, 1000 + BULK_CURSOR_ORPHAN_MS);
    assert_int_equal(look(fixture, "a:1", 1), BULK_CURSOR_KEPT);
    assert_int_equal(look(fixture, "a:1", 2), BULK_CURSOR_LOST);
    assert_int_equal(look(fixture, "a:1", 5), BULK_CURSOR_KEPT);
}

static void after_all_sessions_ended_those_that_are_not_fetched_go(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "a:1", 1, 10);
    bulk_cursors_all_ended(fixture->cursors, 0);
    assert_int_equal(look(fixture, "a:1", 1), BULK_CURSOR_KEPT);
    bulk_cursors_expire(fixture->cursors, BULK_CURSOR_ORPHAN_MS);
    assert_int_equal(look(fixture, "a:1", 1), BULK_CURSOR_LOST);
}

static void nobody_fetches_for_long(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "a:1", 1, 10);
    bulk_cursors_expire(fixture->cursors, BULK_CURSOR_IDLE_MS - 1);
    assert_int_equal(look(fixture, "a:1", 1), BULK_CURSOR_KEPT);
    bulk_cursors_expire(fixture->cursors, BULK_CURSOR_IDLE_MS);
    assert_int_equal(look(fixture, "a:1", 1), BULK_CURSOR_LOST);
    assert_int_equal(fixture->budget.used_bytes, 0);
    bulk_cursors_expire(fixture->cursors, 2 * BULK_CURSOR_IDLE_MS);
    assert_int_equal(look(fixture, "a:1", 1), BULK_CURSOR_UNKNOWN);
}

static void without_memory_it_is_unknown_or_has_no_session(void **state)
{
    struct fixture *fixture = *state;
    bool kept = false;
    for (long i = 1; !kept; i++) {
        assert_true(i < 10);
        struct enforce_splice *splice = splice_of(fixture, 10);
        bson_t *opened = support_json(GOES_ON);
        struct bulk_cursor_use use = use_of("a:1", 1, 0);
        memory_fail_after(i);
        bulk_cursors_put(fixture->cursors, &use, support_bytes(opened), lsid_1, splice);
        memory_fail_never();
        kept = look(fixture, "a:1", 5) == BULK_CURSOR_KEPT;
        bson_destroy(opened);
    }
    bulk_cursors_end_session(fixture->cursors, 7, lsid_1);
    bulk_cursors_session_ended(fixture->cursors, 7);
    assert_int_equal(look(fixture, "a:1", 5), BULK_CURSOR_KEPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_cursor_belongs_to_its_server_and_namespace, create,
                                        destroy),
        cmocka_unit_test_setup_teardown(it_stays_until_the_server_says_that_it_is_through, create,
                                        destroy),
        cmocka_unit_test_setup_teardown(one_that_is_through_serves_who_still_uses_it, create,
                                        destroy),
        cmocka_unit_test_setup_teardown(the_server_does_not_know_it, create, destroy),
        cmocka_unit_test_setup_teardown(the_oldest_is_pushed_out, create, destroy),
        cmocka_unit_test_setup_teardown(what_holds_too_much_is_lost_and_known_to_be, create,
                                        destroy),
        cmocka_unit_test_setup_teardown(memory_pressure_frees_the_oldest_and_what_nobody_uses_first,
                                        create, destroy),
        cmocka_unit_test_setup_teardown(one_that_is_lost_in_use_is_freed_after_that, create,
                                        destroy),
        cmocka_unit_test_setup_teardown(killed_ones_are_forgotten, create, destroy),
        cmocka_unit_test_setup_teardown(the_end_of_its_session_frees_it, create, destroy),
        cmocka_unit_test_setup_teardown(the_end_of_its_client_frees_it, create, destroy),
        cmocka_unit_test_setup_teardown(after_all_sessions_ended_those_that_are_not_fetched_go,
                                        create, destroy),
        cmocka_unit_test_setup_teardown(nobody_fetches_for_long, create, destroy),
        cmocka_unit_test_setup_teardown(without_memory_it_is_unknown_or_has_no_session, create,
                                        destroy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
