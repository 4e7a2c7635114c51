/* The check of whole documents: refusals and their places; UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "bson/scan.h"
#include "bson/validate.h"

/* A document around the given elements. */
static bool check(const void *elements, size_t len, struct error *err)
{
    uint8_t data[256];
    assert_true(len + 5 <= sizeof data);
    bytes_store_i32(data, (int32_t)(len + 5));
    memcpy(data + 4, elements, len);
    data[4 + len] = 0;
    return validate_document(bytes_of(data, len + 5), err);
}

#define TAKEN(elements) assert_true(check(elements, sizeof(elements) - 1, &err))
#define REFUSED(elements)                                                                          \
    do {                                                                                           \
        err.code = 0;                                                                              \
        assert_false(check(elements, sizeof(elements) - 1, &err));                                 \
        assert_int_equal(err.code, ERROR_INVALID_BSON);                                            \
    } while (0)

static void test_values(void **state)
{
    (void)state;
    struct error err = {0};
    TAKEN("");
    TAKEN("\x10"
          "a\0\1\0\0\0");
    REFUSED("\x10"
            "a\0\1\0\0");
    TAKEN("\x02"
          "a\0\4\0\0\0"
          "b\0c\0"); /* NUL is a character */
    REFUSED("\x02"
            "a\0\4\0\0\0"
            "bcdx"); /* no terminator */
    REFUSED("\x02"
            "a\0\0\0\0\0");
    REFUSED("\x02"
            "a\0\xff\xff\xff\xff"
            "b\0");
    REFUSED("\x02"
            "a\0\x50\0\0\0"
            "b\0");
    REFUSED("\x02"
            "a\0\2\0\0\0"
            "\xff\0");
    TAKEN("\x08"
          "a\0\1");
    REFUSED("\x08"
            "a\0\2");
    REFUSED("\x08"
            "a\0");
    REFUSED("\x77"
            "a\0");
    REFUSED("\x10"
            "a");
    REFUSED("\x0a"
            "\xff\0");
    TAKEN("\x0a"
          "\xc3\xa9\0");
    TAKEN("\x05"
          "a\0\1\0\0\0\0x");
    REFUSED("\x05"
            "a\0\2\0\0\0\0x");
    TAKEN("\x05"
          "a\0\5\0\0\0\2\1\0\0\0x");
    REFUSED("\x05"
            "a\0\5\0\0\0\2\2\0\0\0x");
    REFUSED("\x05"
            "a\0\2\0\0\0\2xx");
    TAKEN("\x0b"
          "a\0x\0i\0");
    REFUSED("\x0b"
            "a\0x\0i");
    TAKEN("\x0c"
          "a\0\2\0\0\0x\0"
          "123456789012");
    REFUSED("\x0c"
            "a\0\2\0\0\0x\0"
            "12345678901");
    TAKEN("\x0f"
          "a\0\x0f\0\0\0\2\0\0\0x\0\5\0\0\0\0");
    REFUSED("\x0f"
            "a\0\x10\0\0\0\2\0\0\0x\0\5\0\0\0\0\0");
    TAKEN("\x03"
          "a\0\5\0\0\0\0");
    REFUSED("\x03"
            "a\0\6\0\0\0\0");
    REFUSED("\x03"
            "a\0\4\0\0\0");
    REFUSED("\x03"
            "a\0\5\0\0\0\1");
    TAKEN("\xff"
          "a\0\x7f"
          "b\0\x06"
          "c\0");
}

static void test_whole(void **state)
{
    (void)state;
    struct error err = {0};
    assert_false(validate_document(bytes_of("\5\0\0\0\0\0", 6), &err)); /* bytes follow */
    assert_false(validate_document(bytes_of("\5\0\0\0", 4), &err));
    assert_false(validate_document(bytes_of("", 0), &err));
    assert_true(validate_document(bytes_of("\5\0\0\0\0", 5), &err));
    assert_false(check("\x10"
                       "a\0\1\0\0\0\x08"
                       "b\0\7",
                       11, &err)); /* the value of b */
    assert_string_equal(err.message, "Invalid BSON: a boolean is neither 0 nor 1 at byte 14 of the "
                                     "document");
}

static bool is_utf8(const char *text, size_t len)
{
    return utf8_check((const uint8_t *)text, len);
}

static void test_utf8(void **state)
{
    (void)state;
    assert_true(is_utf8("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80"
                        "\xf4\x8f\xbf\xbf",
                        23));
    static const char *const broken[] = {
        "\x80",         "\xc0\x80",         "\xc1\xbf",         "\xe0\x9f\xbf",
        "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xc3",         "\xe2\x82",         "\xe2\x28\xa1",     "\xf0\x90\x80"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        char padded[40] = "0123456789abcdef0123";
        assert_false(is_utf8(broken[i], strlen(broken[i])));
        memcpy(padded + 13, broken[i], strlen(broken[i])); /* behind whole words of ASCII */
        assert_false(is_utf8(padded, 13 + strlen(broken[i])));
    }
    assert_int_equal(utf8_count((const uint8_t *)"a\xc3\xa9\xf0\x90\x80\x80", 7), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
