/* The keys of a terminal, from the bytes that it sends. */
#include "../cmocka_all.h"

#include <string.h>

#include "cli/terminal_key.h"

static void assert_keys(const char *bytes, size_t len, const enum terminal_key *keys, size_t count)
{
    size_t at = 0;
    char character = 0;
    for (size_t i = 0; i < count; i++) {
        enum terminal_key key = TERMINAL_KEY_OTHER;
        assert_true(at < len);
        at += terminal_key_read(bytes + at, len - at, &key, &character);
        assert_int_equal(key, keys[i]);
    }
    assert_int_equal(at, len);
}

#define KEYS(bytes, ...)                                                                           \
    assert_keys(bytes, sizeof(bytes) - 1, (const enum terminal_key[]){__VA_ARGS__},                \
                sizeof((const enum terminal_key[]){__VA_ARGS__}) / sizeof(enum terminal_key))

static void keys_are_recognised(void **state)
{
    (void)state;
    KEYS("q", TERMINAL_KEY_CHARACTER);
    KEYS("\033[A\033OB", TERMINAL_KEY_UP, TERMINAL_KEY_DOWN);
    KEYS("\033[5~\033[6~", TERMINAL_KEY_PAGE_UP, TERMINAL_KEY_PAGE_DOWN);
    KEYS("\033[H\033[1~\033OH\033[7~", TERMINAL_KEY_HOME, TERMINAL_KEY_HOME, TERMINAL_KEY_HOME,
         TERMINAL_KEY_HOME);
    KEYS("\033[F\033[4~\033OF\033[8~", TERMINAL_KEY_END, TERMINAL_KEY_END, TERMINAL_KEY_END,
         TERMINAL_KEY_END);
}

/* A sequence that top does not know is skipped as a whole: its last letter is no command. */
static void others_are_skipped(void **state)
{
    (void)state;
    KEYS("\033[1;5Aq", TERMINAL_KEY_OTHER, TERMINAL_KEY_CHARACTER);
    KEYS("\033[24~s", TERMINAL_KEY_OTHER, TERMINAL_KEY_CHARACTER);
    KEYS("\033OPs", TERMINAL_KEY_OTHER, TERMINAL_KEY_CHARACTER);
    KEYS("\033", TERMINAL_KEY_OTHER);
    KEYS("\033\033[A", TERMINAL_KEY_OTHER, TERMINAL_KEY_UP);
    KEYS("\033[", TERMINAL_KEY_OTHER);
    KEYS("\033[12", TERMINAL_KEY_OTHER);
    KEYS("\033O", TERMINAL_KEY_OTHER);
    KEYS("\0q", TERMINAL_KEY_CHARACTER, TERMINAL_KEY_CHARACTER);
}

/* Whatever the bytes are, each call takes at least one and no more than there are. */
static void every_input_ends(void **state)
{
    (void)state;
    static const char alphabet[] = "\033[O5~Aq;";
    for (unsigned n = 0; n < 8 * 8 * 8 * 8 * 8; n++) {
        char bytes[5];
        unsigned rest = n;
        for (size_t i = 0; i < sizeof bytes; i++, rest /= 8)
            bytes[i] = alphabet[rest % 8];
        for (size_t at = 0; at < sizeof bytes;) {
            enum terminal_key key = TERMINAL_KEY_OTHER;
            char character = 0;
            size_t took = terminal_key_read(bytes + at, sizeof bytes - at, &key, &character);
            assert_true(took >= 1 && took <= sizeof bytes - at);
            at += took;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_recognised),
        cmocka_unit_test(others_are_skipped),
        cmocka_unit_test(every_input_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
