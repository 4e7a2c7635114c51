/* Byte classes against PCRE2 itself, both flavours; the match limit. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <pcre2.h>

#include "schema/byte_class.h"
#include "schema/pattern.h"

/* Those that are byte classes in both flavours, … */
static const char *const simple[] = {"^",
                                     "^$",
                                     "^a",
                                     "^a$",
                                     "^abc$",
                                     "^[a-c]+$",
                                     "^[^@]+@",
                                     "^[^@]*$",
                                     "^a{2}b?$",
                                     "^[0-9]{2,3}$",
                                     "^[A-Z]{2,}$",
                                     "^x*y+z?$",
                                     "^a\\.b$",
                                     "^[a-]+$",
                                     "^[\\-a]*b$",
                                     "^[^a\\]]+$",
                                     "^a?b?c?$",
                                     "^[.]$",
                                     "^[a-c]?d$",
                                     "^-?[0-9]+",
                                     "^a{0}b$",
                                     "^[A-Z]{3}-[0-9]{4}$",
                                     "^[^@ ]+@[^@ ]+$",
                                     "^[a-z0-9]{2,40}$",
                                     "^[0-9a-f]{16}$",
                                     "^[0-9a-f]{24}$",
                                     "^[0-9A-Za-z]{32}$",
                                     "^[0-9A-Za-z_-]{33}$",
                                     "^[a-z]{8}-[0-9]{7}$",
                                     "^[a-z]{4,20}-[0-9]*$"};
/* … those of $jsonSchema only, … */
static const char *const ascii[] = {"^\\d+$", "^\\w{2}$", "^[\\da]+$", "^\\w+-\\d{2}$"};
/* … and those that are none: alternatives, backtracking, counts of wide characters. */
static const char *const none[] = {
    "a",          "a$",    "^a|b$",   "^(a)$",         "^a+a$",    "^.$",
    "^[^a]{2}$",  "^a+?$", "^a{,3}$", "^[[:alpha:]]$", "^a*[ab]$", "^\\s$",
    "^\xc3\xa9$", "^a\\b", "^[a",     "^a$b",          "^\\D"};

static const char *const strings[] = {"",
                                      "a",
                                      "b",
                                      "ab",
                                      "abc",
                                      "aab",
                                      "aa",
                                      "a\n",
                                      "a\n\n",
                                      "12",
                                      "123",
                                      "1234",
                                      "x@y",
                                      "\xc3\xa9",
                                      "AB",
                                      "ABC-1234",
                                      "ABC-1234\n",
                                      "y",
                                      "xyz",
                                      "a.b",
                                      "-a-",
                                      "\n",
                                      "d",
                                      "cd",
                                      "-5",
                                      "a-12",
                                      "_a",
                                      "axb",
                                      "bbb",
                                      "\xd9\xa3",
                                      "user17@example.org",
                                      "user17@example.org and more",
                                      "user17@example.org@",
                                      "a name that is longer than two blocks@example.org",
                                      "\xc3\xa9\xc3\xa9@\xc3\xa9",
                                      "0123456789abcdef",
                                      "0123456789abcdeg",
                                      "0123456789abcdef01234567",
                                      "0123456789abcdef012345\xc3\xa9",
                                      "0123456789abcdef0123456",
                                      "0123456789ABCDEFabcdefghijklmnop",
                                      "0123456789ABCDEFabcdefghijklmno-",
                                      "0123456789ABCDEFabcdefghijklmnop_",
                                      "abcdefgh-1234567",
                                      "abcdefgh-1234567\n",
                                      "abcdefghijklmnopqrstuvwxyz0123456789abcd",
                                      "abcdefghijklmnopqrstuvwxyz0123456789abcde",
                                      "abcdefghijklmnopqrst-12",
                                      "abcdefghijklmnopqrstu-"};

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

enum mode { UTF, UNICODE, BYTES };

static bool reference(const char *pattern, const char *text, enum mode mode)
{
    int code = 0;
    PCRE2_SIZE offset = 0;
    uint32_t options = mode == BYTES ? 0 : PCRE2_UTF;
    if (mode == UNICODE)
        options |= PCRE2_UCP | PCRE2_DOLLAR_ENDONLY;
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)pattern, strlen(pattern), options, &code, &offset, NULL);
    assert_non_null(compiled);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    int result = pcre2_match(compiled, (PCRE2_SPTR)text, strlen(text), 0, 0, data, NULL);
    pcre2_match_data_free(data);
    pcre2_code_free(compiled);
    return result >= 0;
}

static void compare(const char *pattern, enum mode mode)
{
    struct byte_class_row *row = byte_class_compile(pattern, strlen(pattern), mode == UNICODE);
    if (row == NULL)
        fail_msg("no byte class: %s", pattern);
    for (size_t i = 0; i < COUNT(strings); i++) {
        /* Bytes behind the text belong to others, may be anything, and may not be there at all. */
        uint8_t text[128];
        size_t len = strlen(strings[i]);
        bool expected = reference(pattern, strings[i], mode);
        memset(text, i % 2 == 0 ? 'a' : '@', sizeof text);
        memcpy(text, strings[i], len);
        for (size_t room = len; room <= sizeof text; room += room == len ? 16 - len % 16 : 16)
            if (byte_class_match(row, text, len, room) != expected)
                fail_msg("%s on '%s', room %zu, mode %d", pattern, strings[i], room, (int)mode);
        const struct byte_class_code *code = byte_class_code(row);
        if (code != NULL && code->len == len && byte_class_code_match(code, text) != expected)
            fail_msg("code %s on '%s'", pattern, strings[i]);
    }
    byte_class_free(row);
}

static void test_byte_classes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(simple); i++) {
        compare(simple[i], UTF);
        compare(simple[i], UNICODE);
        compare(simple[i], BYTES);
    }
    for (size_t i = 0; i < COUNT(ascii); i++) {
        compare(ascii[i], UTF);
        compare(ascii[i], BYTES);
        assert_null(byte_class_compile(ascii[i], strlen(ascii[i]), true));
    }
    for (size_t i = 0; i < COUNT(none); i++)
        if (byte_class_compile(none[i], strlen(none[i]), false) != NULL)
            fail_msg("a byte class: %s", none[i]);
}

/* Patterns that are matched byte by byte, without decoding UTF-8. */
static void test_codes(void **state)
{
    static const struct {
        const char *pattern;
        size_t len;
    } cases[] = {{"^[A-Z]{3}-\\d{6}$", 10},
                 {"^[0-9A-Za-z]{32}$", 32},
                 {"^[0-9a-f]{33}$", 0},
                 {"^a+$", 0},
                 {"^abc", 0},
                 {"^[a-z0-9_-]{4}$", 0},
                 {"^[^a]$", 0},
                 {"^[a\x7f]$", 1},
                 {"^$", 0}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct byte_class_row *row =
            byte_class_compile(cases[i].pattern, strlen(cases[i].pattern), false);
        const struct byte_class_code *code = row == NULL ? NULL : byte_class_code(row);
        if ((code == NULL ? 0 : code->len) != cases[i].len)
            fail_msg("%s", cases[i].pattern);
        byte_class_free(row);
    }
}

static void test_limit(void **state)
{
    (void)state;
    struct error err = {0};
    static const char text[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!";
    struct pattern *pattern = pattern_new("^(a+)+$", 7, PATTERN_MONGODB, &err);
    struct pattern_scratch *scratch = pattern_scratch_new();
    uint64_t steps = PATTERN_COMMAND_STEPS;
    unsigned cut_off[3] = {0};
    pattern_scratch_share(scratch, &steps);
    /* Some strings may be dear, then all that are not cheap are cut off: first for themselves, then
     * for their document, and in the end for the command. */
    for (int i = 0; i < 5000; i++) {
        if (i % 50 == 0)
            pattern_scratch_reset(scratch);
        assert_int_equal(pattern_match(pattern, (const uint8_t *)text, sizeof text - 1, scratch),
                         PATTERN_CUT_OFF);
        const char *why = pattern_cut_off_reason(scratch);
        cut_off[0] += strstr(why, "one string") != NULL;
        cut_off[1] += strstr(why, "one document") != NULL;
        cut_off[2] += strstr(why, "one command") != NULL;
    }
    unsigned in_document = PATTERN_DOCUMENT_STEPS / (PATTERN_CHEAP_LIMIT + PATTERN_MATCH_LIMIT);
    unsigned in_command = PATTERN_COMMAND_STEPS / (PATTERN_CHEAP_LIMIT + PATTERN_MATCH_LIMIT);
    assert_in_range(cut_off[0], in_command - 3 * in_document, in_command);
    assert_true(cut_off[1] > cut_off[0] && cut_off[2] > cut_off[1]);
    assert_int_equal(cut_off[0] + cut_off[1] + cut_off[2], 5000);
    assert_true(steps < PATTERN_MATCH_LIMIT);
    assert_int_equal(pattern_match(pattern, (const uint8_t *)"aa", 2, scratch), PATTERN_YES);
    assert_int_equal(pattern_match(pattern, (const uint8_t *)"ab", 2, scratch), PATTERN_NO);
    pattern_scratch_free(scratch);
    pattern_free(pattern);
}

static void test_refused(void **state)
{
    (void)state;
    struct error err = {0};
    assert_null(pattern_new("a(b", 3, PATTERN_MONGODB, &err));
    assert_int_equal(err.code, ERROR_INVALID_REGEX);
    assert_string_equal(err.message, "Regular expression is invalid: missing closing parenthesis "
                                     "(at character 3 of the pattern)");
    assert_null(pattern_new("\xff", 1, PATTERN_MONGODB, &err));
    assert_int_equal(err.code, ERROR_INVALID_REGEX);
}

/* Patterns that servers with PCRE 8 take: the error says so, and how they are written for both. */
static void test_older_servers(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"[\\w-.]", "write \\- for a hyphen"},
                                           {"^[a-\\d]$", "write \\- for a hyphen"},
                                           {"\\y", "leave out the backslash"},
                                           {"\\i+", "leave out the backslash"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        size_t len = strlen(cases[i][0]);
        assert_null(pattern_new(cases[i][0], len, PATTERN_MONGODB, &err));
        assert_int_equal(err.code, ERROR_INVALID_REGEX);
        assert_non_null(strstr(err.message, "MongoDB before 6.1 (PCRE 8) takes the"));
        assert_non_null(strstr(err.message, cases[i][1]));
        assert_null(pattern_new(cases[i][0], len, PATTERN_PYDANTIC, &err));
        assert_null(strstr(err.message, "MongoDB"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_byte_classes),  cmocka_unit_test(test_codes),
        cmocka_unit_test(test_limit),         cmocka_unit_test(test_refused),
        cmocka_unit_test(test_older_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
