#include "../cmocka_all.h"
#include "base/memory.h"

static void overflow_is_refused(void **state)
{
    (void)state;
    assert_null(memory_array(SIZE_MAX / 2, 3));
}

static void zero_bytes_are_a_block(void **state)
{
    (void)state;
    void *block = memory_alloc(0);
    assert_non_null(block);
    block = memory_resize(block, 0);
    assert_non_null(block);
    memory_free(block);
    memory_free(NULL);
}

static void memory_is_zeroed(void **state)
{
    (void)state;
    unsigned char *block = memory_zalloc(64);
    assert_non_null(block);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(block[i], 0);
    memory_free(block);
}

static void the_nth_allocation_and_all_after_it_fail(void **state)
{
    (void)state;
    memory_fail_after(2);
    char *first = memory_copy_string("x");
    void *second = memory_alloc(1);
    void *third = memory_zalloc(1);
    void *resized = memory_resize(first, 100);
    memory_fail_never();
    assert_string_equal(first, "x");
    assert_null(second);
    assert_null(third);
    assert_null(resized);
    memory_free(first);
    first = memory_alloc(1);
    assert_non_null(first);
    memory_free(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overflow_is_refused),
        cmocka_unit_test(zero_bytes_are_a_block),
        cmocka_unit_test(memory_is_zeroed),
        cmocka_unit_test(the_nth_allocation_and_all_after_it_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
