/* The names of fields: each is found, and nothing that is not one of them. */
#include "../cmocka_all.h"

#include <string.h>

#include "wire/field_names.h"

static void each_name_is_found(void **state)
{
    (void)state;
    assert_string_equal(field_name_text(FIELD_OTHER), "");
    for (int i = FIELD_OTHER + 1; i < FIELD_NAME_COUNT; i++) {
        const char *text = field_name_text((enum field_name)i);
        const char *before = field_name_text((enum field_name)(i - 1));
        assert_int_equal(field_name_find(text, strlen(text)), i);
        assert_true(strlen(before) < strlen(text) ||
                    (strlen(before) == strlen(text) && strcmp(before, text) < 0));
    }
    assert_int_equal(field_name_find("lsid", 4), FIELD_LSID);
    assert_int_equal(field_name_find("$db", 3), FIELD_DB);
}

/* Each name with one byte changed, cut or longer. */
static void other_names_are_others(void **state)
{
    (void)state;
    assert_int_equal(field_name_find("", 0), FIELD_OTHER);
    for (int i = FIELD_OTHER + 1; i < FIELD_NAME_COUNT; i++) {
        char name[64];
        size_t len = strlen(field_name_text((enum field_name)i));
        memcpy(name, field_name_text((enum field_name)i), len + 1);
        for (size_t at = 0; at < len; at++) {
            name[at] ^= 1;
            assert_int_not_equal(field_name_find(name, len), i);
            name[at] ^= 1;
        }
        assert_int_not_equal(field_name_find(name, len - 1), i);
        assert_int_not_equal(field_name_find(name, len + 1), i);
    }
    for (int first = 0; first < 256; first++) {
        char name[2] = {(char)first, (char)(255 - first)};
        assert_int_equal(field_name_find(name, 2), FIELD_OTHER);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_name_is_found),
        cmocka_unit_test(other_names_are_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
