/* The names of commands: each is found, and nothing that is not one of them. */
#include "../cmocka_all.h"

#include <string.h>

#include "wire/command_names.h"

/* The search halves the table: a name out of order would not be found. */
static void each_name_is_found(void **state)
{
    (void)state;
    assert_string_equal(command_name_text(COMMAND_UNKNOWN), "");
    for (int i = COMMAND_UNKNOWN + 1; i < COMMAND_NAME_COUNT; i++) {
        const char *text = command_name_text((enum command_name)i);
        const char *before = command_name_text((enum command_name)(i - 1));
        assert_int_equal(command_name_find(text, strlen(text)), i);
        if (strlen(before) == strlen(text))
            assert_true(strcmp(before, text) < 0);
        else
            assert_true(strlen(before) < strlen(text));
    }
    assert_int_equal(command_name_find("insert", 6), COMMAND_INSERT);
    assert_int_equal(command_name_find("findandmodify", 13), COMMAND_FINDANDMODIFY);
    assert_int_equal(command_name_find("findAndModify", 13), COMMAND_FIND_AND_MODIFY);
    assert_int_equal(command_name_find("hello there", 5), COMMAND_HELLO);
}

static void other_names_are_unknown(void **state)
{
    (void)state;
    static const char *const others[] = {"",       "a",      "zzz",       "hell",
                                         "helloo", "HELLO",  "isMaster2", "isMaste",
                                         "\xFF",   "Insert", "insert ",   "$"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(command_name_find(others[i], strlen(others[i])), COMMAND_UNKNOWN);
    /* a NUL in the name */
    assert_int_equal(command_name_find("insert\0", 7), COMMAND_UNKNOWN);
    assert_int_equal(command_name_find("insert", 5), COMMAND_UNKNOWN);
    char longest[1000];
    memset(longest, 'a', sizeof longest);
    assert_int_equal(command_name_find(longest, sizeof longest), COMMAND_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_name_is_found),
        cmocka_unit_test(other_names_are_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
