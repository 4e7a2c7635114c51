/* The block of a large buffer serves the next one, is counted, and goes when it is in the way or
 * old. */
#include "../cmocka_all.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "net/buffer.h"

#define MEBIBYTE ((size_t)1024 * 1024)
#define LIMIT    (64 * MEBIBYTE)

enum { THREADS = 4, ROUNDS = 200 };

static struct budget budget;
static uint8_t pattern[MEBIBYTE];

static int start(void **state)
{
    (void)state;
    budget = (struct budget){.limit_bytes = LIMIT};
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)(i * 31 + i / 256);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    budget_drop_spare(&budget);
    assert_int_equal(budget.used_bytes, 0);
    return 0;
}

/* As messages arrive: in portions. */
static void fill(struct buffer *buffer, size_t bytes)
{
    enum { PORTION = 64 * 1024 };
    *buffer = (struct buffer){0};
    for (size_t done = 0; done < bytes; done += PORTION)
        assert_true(buffer_append(buffer, &budget, pattern + done % MEBIBYTE, PORTION));
}

static void assert_holds(const struct buffer *buffer, size_t bytes)
{
    assert_int_equal(buffer_length(buffer), bytes);
    for (size_t at = 0; at < bytes; at += MEBIBYTE)
        assert_memory_equal(buffer_begin(buffer) + at, pattern,
                            bytes - at < MEBIBYTE ? bytes - at : MEBIBYTE);
}

static void the_next_large_buffer_gets_the_block(void **state)
{
    (void)state;
    struct buffer first;
    struct buffer second;
    struct buffer third;
    fill(&first, 3 * MEBIBYTE);
    const uint8_t *block = first.data;
    assert_int_equal(first.cap, 4 * MEBIBYTE);
    buffer_consume(&first, &budget, 3 * MEBIBYTE);
    assert_int_equal(budget.used_bytes, 4 * MEBIBYTE);
    assert_int_equal(budget_used(&budget), 0);
    fill(&second, 2 * MEBIBYTE);
    assert_ptr_equal(second.data, block);
    assert_int_equal(second.cap, 4 * MEBIBYTE);
    assert_holds(&second, 2 * MEBIBYTE);
    assert_int_equal(budget_used(&budget), 4 * MEBIBYTE);
    fill(&third, 2 * MEBIBYTE);
    assert_holds(&third, 2 * MEBIBYTE);
    buffer_release(&third, &budget);
    buffer_release(&second, &budget); /* there is one already */
    assert_int_equal(budget.used_bytes, 2 * MEBIBYTE);
    fill(&first, MEBIBYTE / 2);
    assert_int_equal(budget_used(&budget), MEBIBYTE / 2); /* small ones do not take it */
    buffer_release(&first, &budget);
}

static void a_buffer_grows_beyond_the_block(void **state)
{
    (void)state;
    struct buffer buffer;
    fill(&buffer, 2 * MEBIBYTE);
    buffer_release(&buffer, &budget);
    fill(&buffer, 20 * MEBIBYTE);
    assert_holds(&buffer, 20 * MEBIBYTE);
    assert_int_equal(budget.used_bytes, buffer.cap);
    buffer_release(&buffer, &budget);
    assert_int_equal(budget.used_bytes, SPARE_MAX_BYTES); /* the rest is returned */
    buffer = (struct buffer){0};
    assert_true(buffer_reserve(&buffer, &budget, 17 * MEBIBYTE)); /* too much for it */
    assert_int_equal(budget.spare.bytes, SPARE_MAX_BYTES);
    buffer_release(&buffer, &budget);
}

static void the_block_goes_before_anything_is_refused(void **state)
{
    (void)state;
    struct buffer buffer;
    fill(&buffer, 16 * MEBIBYTE);
    buffer_release(&buffer, &budget);
    assert_true(budget_take(&budget, 48 * MEBIBYTE - MEBIBYTE));
    assert_int_equal(budget.spare.bytes, 16 * MEBIBYTE);
    assert_true(budget_take(&budget, 8 * MEBIBYTE));
    assert_int_equal(budget.spare.bytes, 0);
    assert_false(budget_take(&budget, 16 * MEBIBYTE));
    budget_give_back(&budget, 55 * MEBIBYTE);
}

static void the_block_does_not_make_memory_short(void **state)
{
    (void)state;
    struct buffer buffer;
    budget.limit_bytes = 20 * MEBIBYTE;
    fill(&buffer, 16 * MEBIBYTE);
    assert_true(budget_is_short(&budget));
    buffer_release(&buffer, &budget);
    assert_int_equal(budget.spare.bytes, 16 * MEBIBYTE);
    assert_false(budget_is_short(&budget));
}

static void an_old_block_is_freed(void **state)
{
    (void)state;
    struct buffer buffer;
    fill(&buffer, 2 * MEBIBYTE);
    buffer_release(&buffer, &budget);
    int64_t now_ms = clock_now_ms();
    budget_drop_old_spare(&budget, now_ms);
    assert_int_equal(budget.spare.bytes, 2 * MEBIBYTE);
    budget_drop_old_spare(&budget, now_ms + SPARE_KEPT_MS);
    assert_int_equal(budget.used_bytes, 0);
    budget_drop_old_spare(&budget, now_ms + SPARE_KEPT_MS);
}

static void *use(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        struct buffer buffer = {0};
        if (!buffer_reserve(&buffer, &budget, MEBIBYTE + (size_t)i % 3 * MEBIBYTE))
            continue;
        memset(buffer.data, i, 64);
        budget_drop_old_spare(&budget, i % 5 == 0 ? INT64_MAX : 0);
        buffer_release(&buffer, &budget);
    }
    return NULL;
}

static void threads_share_the_block(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, NULL), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(budget.used_bytes, budget.spare.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_next_large_buffer_gets_the_block, start, stop),
        cmocka_unit_test_setup_teardown(a_buffer_grows_beyond_the_block, start, stop),
        cmocka_unit_test_setup_teardown(the_block_goes_before_anything_is_refused, start, stop),
        cmocka_unit_test_setup_teardown(the_block_does_not_make_memory_short, start, stop),
        cmocka_unit_test_setup_teardown(an_old_block_is_freed, start, stop),
        cmocka_unit_test_setup_teardown(threads_share_the_block, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
