#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the three above first. */
#include <cmocka.h>

/* RFC 4648, section 10. */
static const struct {
    const char *plain;
    const char *text;
} vectors[] = {{"", ""},
               {"f", "Zg=="},
               {"fo", "Zm8="},
               {"foo", "Zm9v"},
               {"foob", "Zm9vYg=="},
               {"fooba", "Zm9vYmE="},
               {"foobar", "Zm9vYmFy"}};

static void test_the_vectors_of_the_specification(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        char text[16] = {0};
        uint8_t plain[16] = {0};
        size_t len = 0;
        size_t plain_len = strlen(vectors[i].plain);
        size_t text_len = base64_write((const uint8_t *)vectors[i].plain, plain_len, text);
        assert_int_equal(text_len, BASE64_TEXT_BYTES(plain_len));
        assert_string_equal(text, vectors[i].text);
        assert_true(base64_read(bytes_of(text, text_len), plain, plain_len, &len));
        assert_int_equal(len, plain_len);
        assert_string_equal((char *)plain, vectors[i].plain);
        assert_false(plain_len > 0 &&
                     base64_read(bytes_of(text, text_len), plain, plain_len - 1, &len));
    }
}

static void test_other_texts_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "Z",        "Zg",    "Zg=",  "Zh==", "Zm9=",   "Zg==Zg==", "Zg==",
        "Zm9v====", "Zm 9v", "=Zg=", "====", "Zm9v\n", "Zm-v"};
    uint8_t out[16];
    size_t len = 0;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        bool good = strcmp(texts[i], "Zg==") == 0;
        assert_int_equal(base64_read(bytes_of(texts[i], strlen(texts[i])), out, sizeof out, &len),
                         good);
    }
}

static void test_the_front_is_read_up_to_another_character(void **state)
{
    (void)state;
    uint8_t out[16] = {0};
    assert_int_equal(base64_read_front(bytes_of("Zm9v!Zm9v", 9), out, sizeof out), 3);
    assert_memory_equal(out, "foo", 3);
    assert_int_equal(base64_read_front(bytes_of("Zm9vYmFy", 8), out, 4), 4);
    assert_memory_equal(out, "foob", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_vectors_of_the_specification),
        cmocka_unit_test(test_other_texts_are_refused),
        cmocka_unit_test(test_the_front_is_read_up_to_another_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
