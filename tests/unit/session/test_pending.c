/* The requests that the server has not answered yet. */
#include "../cmocka_all.h"

#include "session/pending.h"

static void push(struct pending_ring *ring, int32_t request_id)
{
    struct pending pending = {.request_id = request_id};
    assert_int_equal(pending_push(ring, &pending)->request_id, request_id);
}

static void the_oldest_leaves_first(void **state)
{
    (void)state;
    struct pending_ring ring = {0};
    assert_true(pending_is_empty(&ring));
    assert_null(pending_oldest(&ring));
    int32_t in = 0;
    int32_t out = 0;
    for (int round = 0; round < 3 * PENDING_MAX; round++) { /* every place is the first once */
        while (!pending_is_full(&ring))
            push(&ring, in++);
        for (unsigned i = 0; i < ring.count; i++) {
            assert_int_equal(pending_at(&ring, i)->request_id, out + (int32_t)i);
            assert_int_equal(pending_look_at(&ring, i)->request_id, out + (int32_t)i);
        }
        assert_int_equal(pending_oldest(&ring)->request_id, out);
        assert_int_equal(pending_pop(&ring).request_id, out++);
        assert_false(pending_is_full(&ring));
    }
    while (!pending_is_empty(&ring))
        assert_int_equal(pending_pop(&ring).request_id, out++);
    assert_int_equal(out, in);
}

static void a_change_of_the_oldest_stays(void **state)
{
    (void)state;
    struct pending_ring ring = {0};
    push(&ring, 1);
    push(&ring, 2);
    pending_oldest(&ring)->streaming = true;
    assert_true(pending_look_at(&ring, 0)->streaming);
    assert_false(pending_look_at(&ring, 1)->streaming);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_leaves_first),
        cmocka_unit_test(a_change_of_the_oldest_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
