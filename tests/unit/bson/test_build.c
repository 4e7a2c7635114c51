/* Building documents: nesting, indexes, limits, failing memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"
#include "bson/build.h"
#include "bson/scan.h"
#include "bson/validate.h"

static void fill(struct build *b)
{
    build_text(b, "s", "text");
    build_open_array(b, "list");
    for (int i = 0; i < 12; i++)
        build_int32(b, NULL, i);
    build_open_object(b, NULL);
    build_bool(b, "yes", true);
    build_int64(b, "long", -2);
    build_close(b);
    build_close(b);
    build_value(b, "null", BSON_KIND_NULL, bytes_of("", 0));
}

static void test_build(void **state)
{
    (void)state;
    struct build b;
    struct bytes out;
    struct scan_element list;
    struct scan_element item;
    struct error err = {0};
    build_begin(&b, 4096);
    fill(&b);
    assert_true(build_finish(&b, &out));
    assert_true(validate_document(out, &err));
    assert_true(scan_find(out, "list", &list) && list.kind == BSON_KIND_ARRAY);
    assert_true(scan_find(list.value, "11", &item) && bytes_load_i32(item.value.pos) == 11);
    assert_true(scan_find(list.value, "12", &item) && item.kind == BSON_KIND_OBJECT);
    assert_true(scan_find(item.value, "long", &item) && bytes_load_i64(item.value.pos) == -2);
    build_free(&b);
}

/* Builds a document behind reserved bytes for a frame, with elements of another document. */
static void test_behind(void **state)
{
    (void)state;
    struct build b;
    struct bytes out;
    struct scan_element list;
    struct scan_element item;
    struct error err = {0};
    static const uint8_t elements[] = {0x0A, '1', 0, 0x0A, '2', 0};
    build_begin_behind(&b, 21, 30, 4096);
    build_open_array(&b, "list");
    build_bool(&b, NULL, true);
    assert_int_equal(build_next_index(&b), 1);
    build_elements(&b, bytes_of(elements, sizeof elements), 2);
    build_int32(&b, NULL, 7);
    build_close(&b);
    assert_true(build_finish(&b, &out));
    assert_int_equal(out.pos - b.data, 21);
    assert_true(validate_document(out, &err));
    assert_true(scan_find(out, "list", &list));
    assert_true(scan_find(list.value, "3", &item) && bytes_load_i32(item.value.pos) == 7);
    build_free(&b);
    memory_fail_after(1);
    build_begin_behind(&b, 21, 30, 4096);
    memory_fail_never();
    assert_false(build_finish(&b, &out));
    build_free(&b);
}

/* Keys of arrays are numbers as everybody writes them. */
static void test_keys(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {0, 9, 10, 99, 100, 99999, 100000, UINT32_MAX};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char wanted[16];
        char key[BUILD_KEY_BYTES];
        int len = snprintf(wanted, sizeof wanted, "%u", numbers[i]);
        assert_int_equal(build_key(numbers[i], key), len);
        assert_memory_equal(key, wanted, (size_t)len);
    }
}

static void test_limits(void **state)
{
    (void)state;
    struct build b;
    struct bytes out;
    build_begin(&b, 4096);
    fill(&b);
    assert_true(build_finish(&b, &out));
    size_t len = bytes_left(&out);
    build_free(&b);
    for (size_t limit = 0; limit <= len; limit++) {
        build_begin(&b, limit);
        fill(&b);
        assert_int_equal(build_finish(&b, &out), limit == len);
        assert_int_equal(b.too_big, limit < len);
        build_free(&b);
    }
    build_begin(&b, 1 << 20);
    for (int i = 0; i < BUILD_DEPTH_MAX; i++)
        build_open_object(&b, "a");
    assert_true(b.failed && b.too_big);
    build_free(&b);
}

static void test_memory(void **state)
{
    (void)state;
    struct build b;
    struct bytes out;
    bool done = false;
    for (long i = 1; i < 20 && !done; i++) {
        memory_fail_after(i);
        build_begin(&b, 1 << 20);
        for (int n = 0; n < 200; n++)
            build_int32(&b, "name", n);
        done = build_finish(&b, &out);
        memory_fail_never();
        assert_false(b.too_big);
        build_free(&b);
    }
    assert_true(done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build),  cmocka_unit_test(test_behind), cmocka_unit_test(test_keys),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
