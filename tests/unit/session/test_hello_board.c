/* The latest hello reply of each server, and the changes that waiting clients must see. */
#include "../cmocka_all.h"

#include <bson/bson.h>

#include "base/memory.h"
#include "session/hello_board.h"

static bson_oid_t process;

static struct hello_state *state_of(int64_t counter, bool mongos)
{
    bson_t *reply = counter < 0 ? BCON_NEW("ok", BCON_INT32(1))
                                : BCON_NEW("topologyVersion", "{", "processId", BCON_OID(&process),
                                           "counter", BCON_INT64(counter), "}");
    if (mongos)
        BSON_APPEND_UTF8(reply, "msg", "isdbgrid");
    struct hello_state *state = hello_state_up(bytes_of(bson_get_data(reply), reply->len), 2, 1000);
    assert_non_null(state);
    assert_int_equal(bytes_left(&(struct bytes){state->data, state->data + state->bytes}),
                     reply->len);
    bson_destroy(reply);
    return state;
}

static void a_state_keeps_its_reply(void **unused)
{
    (void)unused;
    struct hello_state *state = state_of(5, true);
    assert_true(state->up && state->has_version && state->is_mongos);
    assert_int_equal(state->version.counter, 5);
    assert_int_equal(state->compressors, 2);
    hello_state_release(state);
    state = hello_state_down("gone", 0);
    assert_false(state->up);
    assert_string_equal(state->data, "gone");
    hello_state_release(state);
}

/* Both states are released. */
static void assert_differs(struct hello_state *before, struct hello_state *now, bool differs)
{
    assert_int_equal(hello_state_differs(before, now), differs);
    hello_state_release(before);
    hello_state_release(now);
}

static void only_changes_of_the_topology_count(void **unused)
{
    (void)unused;
    assert_differs(NULL, NULL, false);
    assert_differs(NULL, state_of(1, false), true);
    assert_differs(state_of(1, false), NULL, true);
    assert_differs(state_of(1, false), state_of(1, true), false);
    assert_differs(state_of(1, false), state_of(2, false), true);
    assert_differs(state_of(-1, false), state_of(-1, true), false);
    assert_differs(state_of(-1, false), state_of(1, false), true);
    assert_differs(state_of(1, false), hello_state_down("x", 0), true);
    /* clients that asked since then wait for each failure */
    assert_differs(hello_state_down("x", 0), hello_state_down("x", 0), true);
    bson_oid_t before = process;
    struct hello_state *old = state_of(1, false);
    process.bytes[3] ^= 1;
    assert_differs(old, state_of(1, false), true);
    process = before;
}

static void readers_hold_what_they_read(void **unused)
{
    (void)unused;
    struct hello_board board;
    struct hello_state *held = NULL;
    hello_board_init(&board);
    struct hello_server *server = hello_board_server(&board, "a:1");
    assert_non_null(server);
    assert_ptr_equal(hello_board_server(&board, "a:1"), server);
    assert_ptr_not_equal(hello_board_server(&board, "a:2"), server);
    assert_false(hello_board_read(server, &held));
    hello_board_publish(server, state_of(1, false));
    assert_true(hello_board_read(server, &held));
    assert_false(hello_board_read(server, &held));
    assert_int_equal(held->number, 1);
    hello_board_publish(server, state_of(2, false));
    assert_int_equal(held->version.counter, 1);
    assert_true(hello_board_read(server, &held));
    assert_int_equal(held->number, 2);
    hello_board_publish(server, NULL);
    assert_true(hello_board_read(server, &held));
    assert_null(held);
    hello_board_publish(server, state_of(3, false));
    assert_true(hello_board_read(server, &held));
    assert_int_equal(held->number, 3);
    hello_state_release(held);
    hello_board_release(&board);
}

static void without_memory_there_is_no_state(void **unused)
{
    (void)unused;
    struct hello_board board;
    hello_board_init(&board);
    memory_fail_after(1);
    assert_null(hello_state_down("gone", 0));
    memory_fail_never();
    memory_fail_after(1);
    assert_null(hello_board_server(&board, "a:1"));
    memory_fail_never();
    hello_board_release(&board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_keeps_its_reply),
        cmocka_unit_test(only_changes_of_the_topology_count),
        cmocka_unit_test(readers_hold_what_they_read),
        cmocka_unit_test(without_memory_there_is_no_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
