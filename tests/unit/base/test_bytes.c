#include <limits.h>

#include "../cmocka_all.h"
#include "base/bytes.h"

static void reads_stay_inside(void **state)
{
    (void)state;
    const uint8_t data[] = {1, 0xFE, 0xFF, 0xFF, 0xFF, 2, 0, 0};
    struct bytes b = bytes_of(data, sizeof data);
    uint8_t u8 = 0;
    int32_t i32 = 0;
    int64_t i64 = 0;
    assert_true(bytes_read_u8(&b, &u8));
    assert_int_equal(u8, 1);
    assert_true(bytes_read_i32(&b, &i32));
    assert_int_equal(i32, -2);
    assert_int_equal(bytes_left(&b), 3);
    assert_false(bytes_read_i32(&b, &i32));
    assert_false(bytes_read_i64(&b, &i64));
    assert_int_equal(bytes_left(&b), 3);
    assert_true(bytes_skip(&b, 3));
    assert_false(bytes_read_u8(&b, &u8));
    assert_false(bytes_skip(&b, 1));
    assert_true(bytes_skip(&b, 0));
}

static void lengths_do_not_wrap(void **state)
{
    (void)state;
    const uint8_t data[4] = {0};
    struct bytes b = bytes_of(data, sizeof data);
    struct bytes part;
    assert_false(bytes_skip(&b, SIZE_MAX));
    assert_false(bytes_take(&b, SIZE_MAX - 1, &part));
    assert_int_equal(bytes_left(&b), 4);
    assert_true(bytes_take(&b, 4, &part));
    assert_int_equal(bytes_left(&part), 4);
    assert_int_equal(bytes_left(&b), 0);
}

static void numbers_are_little_endian(void **state)
{
    (void)state;
    uint8_t out[4];
    const uint8_t eight[] = {1, 2, 3, 4, 5, 6, 7, 0x80};
    struct bytes b = bytes_of(eight, sizeof eight);
    int64_t i64 = 0;
    assert_true(bytes_read_i64(&b, &i64));
    assert_true(i64 == (int64_t)0x8007060504030201);
    bytes_store_i32(out, INT_MIN + 1);
    assert_int_equal(bytes_load_i32(out), INT_MIN + 1);
    assert_int_equal(out[0], 1);
    assert_int_equal(out[3], 0x80);
}

static void strings_need_their_end(void **state)
{
    (void)state;
    struct bytes b = bytes_of("ab\0cd", 5);
    const char *text = NULL;
    size_t len = 0;
    assert_true(bytes_read_cstring(&b, &text, &len));
    assert_string_equal(text, "ab");
    assert_int_equal(len, 2);
    assert_false(bytes_read_cstring(&b, &text, &len));
    assert_int_equal(bytes_left(&b), 2);
    b.pos = b.end;
    assert_false(bytes_read_cstring(&b, &text, &len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_stay_inside),
        cmocka_unit_test(lengths_do_not_wrap),
        cmocka_unit_test(numbers_are_little_endian),
        cmocka_unit_test(strings_need_their_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
