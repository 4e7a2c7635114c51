#include <string.h>

#include "../cmocka_all.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/utf8.h"

static void fixed_text_leaves_out_what_does_not_fit(void **state)
{
    (void)state;
    char buffer[6];
    struct text text = text_over(buffer, sizeof buffer);
    assert_string_equal(buffer, "");
    text_add(&text, "abc");
    text_format(&text, "%d", 4);
    assert_false(text.cut);
    text_add(&text, "56");
    assert_true(text.cut);
    text_add(&text, "7"); /* would fit, but then it would not be a prefix */
    assert_string_equal(buffer, "abc4");
    text_rewind(&text, 2);
    assert_false(text.cut);
    text_add(&text, "xyz");
    assert_string_equal(buffer, "abxyz");
    text_release(&text);
    assert_string_equal(buffer, "abxyz");
}

static void growing_text_holds_all(void **state)
{
    (void)state;
    struct text text = text_growing();
    for (int i = 0; i < 10000; i++)
        text_format(&text, "%d,", i % 10);
    assert_false(text.cut);
    assert_int_equal(text.len, 20000);
    assert_int_equal(strlen(text.data), 20000);
    text_release(&text);
    assert_null(text.data);
    assert_int_equal(text.len, 0);
}

static void growing_text_survives_failing_allocation(void **state)
{
    (void)state;
    for (long i = 1; i <= 4; i++) {
        struct text text = text_growing();
        memory_fail_after(i);
        for (int n = 0; n < 1000; n++)
            text_add(&text, "xy");
        memory_fail_never();
        assert_int_equal(text.cut, i <= 4);
        assert_int_equal(text.len % 2, 0);
        text_release(&text);
    }
}

static void json_strings_are_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        const char *out;
    } cases[] = {
        {"", "\"\""},
        {NULL, "null"},
        {"a\"b\\c/", "\"a\\\"b\\\\c/\""},
        {"\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""},
        {"\x01\x1F\x7F", "\"\\u0001\\u001f\\u007f\""},
        {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\""},
        {"a\xFFz", "\"a\xEF\xBF\xBDz\""},
        {"\xC3", "\"\xEF\xBF\xBD\""},
        {"\xC0\xAF", "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct text text = text_growing();
        text_add_json_string(&text, cases[i].in);
        assert_string_equal(text.data, cases[i].out);
        text_release(&text);
    }
}

static void escaping_stops_at_a_whole_character(void **state)
{
    (void)state;
    char buffer[4];
    struct text text = text_over(buffer, sizeof buffer);
    assert_int_equal(text_add_escaped(&text, "ab\xE2\x82\xAC", 5), 2);
    assert_true(text.cut);
    assert_string_equal(buffer, "ab");
    text = text_over(buffer, sizeof buffer);
    assert_int_equal(text_add_escaped(&text, "ab\n", 3), 2);
    assert_string_equal(buffer, "ab");
}

static void utf8_knows_its_limits(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"a", 1},
        {"\xC2\x80", 2},
        {"\xC1\xBF", 0}, /* overlong */
        {"\xE0\xA0\x80", 3},
        {"\xE0\x9F\xBF", 0}, /* overlong */
        {"\xED\x9F\xBF", 3},
        {"\xED\xA0\x80", 0}, /* surrogate */
        {"\xF0\x90\x80\x80", 4},
        {"\xF0\x8F\xBF\xBF", 0}, /* overlong */
        {"\xF4\x8F\xBF\xBF", 4},
        {"\xF4\x90\x80\x80", 0}, /* beyond U+10FFFF */
        {"\xF5\x80\x80\x80", 0},
        {"\x80", 0},
        {"\xE2\x82", 0}, /* cut */
        {"\xE2\x82z", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(utf8_length((const uint8_t *)cases[i].bytes, strlen(cases[i].bytes)),
                         cases[i].len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_text_leaves_out_what_does_not_fit),
        cmocka_unit_test(growing_text_holds_all),
        cmocka_unit_test(growing_text_survives_failing_allocation),
        cmocka_unit_test(json_strings_are_escaped),
        cmocka_unit_test(escaping_stops_at_a_whole_character),
        cmocka_unit_test(utf8_knows_its_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
