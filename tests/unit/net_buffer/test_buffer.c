/* Buffers: they return the bytes that they received, the budget counts every byte, and a failure
 * changes nothing. */
#include "../cmocka_all.h"

#include <string.h>

#include "base/memory.h"
#include "net/buffer.h"

enum { LIMIT = 1 << 20, FIRST_BYTES = 4096 };

struct state {
    struct budget budget;
    struct buffer a;
    struct buffer b;
    uint8_t pattern[LIMIT];
};

static struct state it;

static int start(void **state)
{
    *state = &it;
    it.budget.limit_bytes = LIMIT;
    it.budget.used_bytes = 0;
    it.a = it.b = (struct buffer){0};
    for (size_t i = 0; i < sizeof it.pattern; i++)
        it.pattern[i] = (uint8_t)(i * 31 + i / 256);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    buffer_release(&it.a, &it.budget);
    buffer_release(&it.b, &it.budget);
    assert_int_equal(it.budget.used_bytes, 0);
    return 0;
}

/* The budget's and the buffers' ideas agree, and `buffer` holds the pattern from `from` to `to`. */
static void assert_holds(const struct buffer *buffer, size_t from, size_t to)
{
    assert_int_equal(it.budget.used_bytes, it.a.cap + it.b.cap);
    assert_true(buffer->start <= buffer->end && buffer->end <= buffer->cap);
    assert_int_equal(buffer_length(buffer), to - from);
    if (to > from)
        assert_memory_equal(buffer_begin(buffer), it.pattern + from, to - from);
}

static void an_empty_buffer_holds_no_memory(void **state)
{
    (void)state;
    assert_true(buffer_append(&it.a, &it.budget, it.pattern, 10));
    assert_int_equal(it.a.cap, FIRST_BYTES);
    assert_holds(&it.a, 0, 10);
    buffer_consume(&it.a, &it.budget, 4);
    assert_holds(&it.a, 4, 10);
    buffer_consume(&it.a, &it.budget, 6);
    assert_holds(&it.a, 0, 0);
    assert_null(it.a.data);
    assert_int_equal(it.budget.used_bytes, 0);
}

static void it_grows_by_doubling(void **state)
{
    (void)state;
    assert_true(buffer_append(&it.a, &it.budget, it.pattern, FIRST_BYTES));
    assert_int_equal(it.a.cap, FIRST_BYTES);
    assert_true(buffer_append(&it.a, &it.budget, it.pattern + FIRST_BYTES, 1));
    assert_int_equal(it.a.cap, 2 * FIRST_BYTES);
    assert_true(buffer_reserve(&it.a, &it.budget, (size_t)5 * FIRST_BYTES));
    assert_int_equal(it.a.cap, 8 * FIRST_BYTES);
    assert_holds(&it.a, 0, FIRST_BYTES + 1);
}

static void room_at_the_front_is_used_before_growing(void **state)
{
    (void)state;
    assert_true(buffer_append(&it.a, &it.budget, it.pattern, FIRST_BYTES));
    buffer_consume(&it.a, &it.budget, FIRST_BYTES / 2);
    assert_true(buffer_append(&it.a, &it.budget, it.pattern + FIRST_BYTES, 100));
    assert_int_equal(it.a.cap, FIRST_BYTES);
    assert_holds(&it.a, FIRST_BYTES / 2, FIRST_BYTES + 100);
}

static void the_limit_refuses_and_changes_nothing(void **state)
{
    (void)state;
    assert_true(buffer_append(&it.a, &it.budget, it.pattern, 5000));
    assert_false(buffer_reserve(&it.a, &it.budget, LIMIT));
    assert_false(buffer_append(&it.a, &it.budget, it.pattern, LIMIT));
    assert_false(buffer_append(&it.b, &it.budget, it.pattern, LIMIT));
    assert_holds(&it.a, 0, 5000);
    assert_holds(&it.b, 0, 0);
}

static void room_at_the_front_is_used_at_the_limit(void **state)
{
    (void)state;
    it.budget.limit_bytes = FIRST_BYTES;
    assert_true(buffer_append(&it.a, &it.budget, it.pattern, FIRST_BYTES));
    buffer_consume(&it.a, &it.budget, 100);
    assert_false(buffer_append(&it.a, &it.budget, it.pattern + FIRST_BYTES, 101));
    assert_holds(&it.a, 100, FIRST_BYTES);
    assert_true(buffer_append(&it.a, &it.budget, it.pattern + FIRST_BYTES, 100));
    assert_holds(&it.a, 100, FIRST_BYTES + 100);
}

static void sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    it.budget.limit_bytes = SIZE_MAX;
    assert_true(buffer_append(&it.a, &it.budget, it.pattern, 100));
    assert_false(buffer_reserve(&it.a, &it.budget, SIZE_MAX));
    assert_false(buffer_reserve(&it.a, &it.budget, SIZE_MAX - 100));
    assert_false(buffer_reserve(&it.b, &it.budget, SIZE_MAX));
    assert_holds(&it.a, 0, 100);
}

/* Moves `len` of 6000 bytes behind `before` that are there. */
static void move(size_t before, size_t len)
{
    if (before > 0)
        assert_true(buffer_append(&it.b, &it.budget, it.pattern, before));
    assert_true(buffer_append(&it.a, &it.budget, it.pattern + before - 1, 6001));
    buffer_consume(&it.a, &it.budget, 1);
    assert_true(buffer_move(&it.b, &it.a, &it.budget, len));
    assert_holds(&it.b, 0, before + len);
    assert_holds(&it.a, before + len, before + 6000);
    if (len == 6000)
        assert_null(it.a.data);
    buffer_release(&it.a, &it.budget);
    buffer_release(&it.b, &it.budget);
}

static void moving_keeps_the_order(void **state)
{
    (void)state;
    static const size_t lens[] = {1, 100, 2999, 3000, 3001, 5999, 6000};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        move(1, lens[i]);
        move(5000, lens[i]);
    }
}

static void an_empty_target_takes_the_memory_over(void **state)
{
    (void)state;
    assert_true(buffer_append(&it.a, &it.budget, it.pattern, 6000));
    const uint8_t *memory = it.a.data;
    assert_true(buffer_move(&it.b, &it.a, &it.budget, 5990));
    assert_ptr_equal(it.b.data, memory);
    assert_holds(&it.b, 0, 5990);
    assert_holds(&it.a, 5990, 6000);
    buffer_release(&it.b, &it.budget);
    memory = it.a.data;
    assert_true(buffer_move(&it.b, &it.a, &it.budget, 10));
    assert_ptr_equal(it.b.data, memory);
    assert_null(it.a.data);
}

static bool append_twice_and_move(size_t len)
{
    return buffer_append(&it.a, &it.budget, it.pattern, 4000) &&
           buffer_append(&it.a, &it.budget, it.pattern + 4000, 4000) &&
           buffer_move(&it.b, &it.a, &it.budget, len) &&
           buffer_append(&it.b, &it.budget, it.pattern + len, 20000);
}

static void a_failing_allocation_changes_nothing(void **state)
{
    (void)state;
    static const size_t lens[] = {10, 5000, 8000};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        bool ok = false;
        for (long n = 1; !ok; n++) {
            assert_true(n < 20);
            memory_fail_after(n);
            ok = append_twice_and_move(lens[i]);
            memory_fail_never();
            size_t all = buffer_length(&it.a) + buffer_length(&it.b);
            assert_int_equal(it.budget.used_bytes, it.a.cap + it.b.cap);
            assert_int_equal(all, ok ? 28000 : all < 8000 ? all / 4000 * 4000 : 8000);
            buffer_release(&it.a, &it.budget);
            buffer_release(&it.b, &it.budget);
        }
    }
}

/* Any order of appending, consuming and moving: a stream through two buffers stays a stream. */
static void a_stream_stays_a_stream(void **state)
{
    (void)state;
    uint32_t seed = 4711;
    size_t in = 0;    /* appended to a */
    size_t moved = 0; /* from a to b */
    size_t out = 0;   /* consumed from b */
    for (unsigned turn = 0; turn < 20000; turn++) {
        seed = seed * 1664525U + 1013904223U;
        size_t n = (seed >> 8) % 9000;
        unsigned what = seed >> 30;
        if (what <= 1 && n <= sizeof it.pattern - in && buffer_length(&it.a) < 50000) {
            assert_true(buffer_append(&it.a, &it.budget, it.pattern + in, n + (n == 0)));
            in += n + (n == 0);
        } else if (what == 2 && moved < in) {
            n = n % (in - moved) + 1;
            assert_true(buffer_move(&it.b, &it.a, &it.budget, n));
            moved += n;
        } else if (what == 3 && out < moved) {
            n = n % (moved - out) + 1;
            buffer_consume(&it.b, &it.budget, n);
            out += n;
        }
        assert_holds(&it.a, moved, in);
        assert_holds(&it.b, out, moved);
        if (in > sizeof it.pattern - 9001) {
            buffer_release(&it.a, &it.budget);
            buffer_release(&it.b, &it.budget);
            in = moved = out = 0;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_buffer_holds_no_memory, start, stop),
        cmocka_unit_test_setup_teardown(it_grows_by_doubling, start, stop),
        cmocka_unit_test_setup_teardown(room_at_the_front_is_used_before_growing, start, stop),
        cmocka_unit_test_setup_teardown(the_limit_refuses_and_changes_nothing, start, stop),
        cmocka_unit_test_setup_teardown(room_at_the_front_is_used_at_the_limit, start, stop),
        cmocka_unit_test_setup_teardown(sizes_that_overflow_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(moving_keeps_the_order, start, stop),
        cmocka_unit_test_setup_teardown(an_empty_target_takes_the_memory_over, start, stop),
        cmocka_unit_test_setup_teardown(a_failing_allocation_changes_nothing, start, stop),
        cmocka_unit_test_setup_teardown(a_stream_stays_a_stream, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
