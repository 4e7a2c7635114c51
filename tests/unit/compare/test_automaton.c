/* Strings that some patterns match and others do not. */
#include "../cmocka_all.h"

#include "compare/automaton.h"

#include <string.h>

static bool keep(void *arg, const char *text, size_t len)
{
    char *kept = arg;
    if (len >= 64)
        return false;
    memcpy(kept, text, len);
    kept[len] = 0;
    return true;
}

/* What is found between min and max code points: matches `yes`, and not `no` (NULL: no such). */
static enum answer find(enum pattern_flavour flavour, const char *yes, const char *no, uint32_t min,
                        uint32_t max, char kept[64])
{
    struct arena arena = {0};
    struct automaton_wish wishes[2];
    uint64_t steps = 100000;
    size_t count = 0;
    wishes[count++] =
        (struct automaton_wish){automaton_new(&arena, yes, strlen(yes), flavour), true};
    if (no != NULL)
        wishes[count++] =
            (struct automaton_wish){automaton_new(&arena, no, strlen(no), flavour), false};
    for (size_t i = 0; i < count; i++)
        assert_non_null(wishes[i].automaton);
    enum answer answer = automaton_find(wishes, count, min, max, keep, kept, &steps);
    arena_free(&arena);
    return answer;
}

static void test_table(void **state)
{
    static const struct {
        enum pattern_flavour flavour;
        const char *yes, *no;
        uint32_t min, max;
        enum answer answer;
        const char *text; /* NULL: any value */
    } cases[] = {
        {PATTERN_MONGODB, "^[a-z]{3}$", NULL, 0, 100, ANSWER_FOUND, "aaa"},
        {PATTERN_MONGODB, "^a|b$", "^a", 0, 100, ANSWER_FOUND, "b"},
        {PATTERN_MONGODB, "^[a-y]+$", "^[a-z]+$", 0, 100, ANSWER_IMPOSSIBLE, NULL},
        {PATTERN_MONGODB, "^[a-z]+$", "^[a-y]+$", 0, 100, ANSWER_FOUND, "z"},
        /* $ also matches before a line feed at the end, but not in pydantic's expressions. */
        {PATTERN_MONGODB, "^a$", NULL, 2, 2, ANSWER_FOUND, "a\n"},
        {PATTERN_PYDANTIC, "^a$", NULL, 2, 2, ANSWER_IMPOSSIBLE, NULL},
        {PATTERN_MONGODB, "^a$", NULL, 3, 9, ANSWER_IMPOSSIBLE, NULL},
        {PATTERN_MONGODB, "^\\d+$", "^[0-9]+$", 0, 9, ANSWER_IMPOSSIBLE, NULL},
        {PATTERN_PYDANTIC, "^\\d+$", "^[0-9]+$", 0, 9, ANSWER_FOUND, "\331\243"},
        {PATTERN_MONGODB, "^.$", "^[\\x00]", 0, 9, ANSWER_UNKNOWN, NULL},
        {PATTERN_MONGODB, "^(ab?){2,3}$", "^aa", 0, 9, ANSWER_FOUND, "aba"},
        {PATTERN_MONGODB, "^\\S+@\\S+$", NULL, 0, 9, ANSWER_FOUND, "a@a"},
        {PATTERN_MONGODB_NAMES, "^.{2}$", "^..", 0, 9, ANSWER_IMPOSSIBLE, NULL},
        {PATTERN_MONGODB, "x", "x", 0, 9, ANSWER_IMPOSSIBLE, NULL},
        {PATTERN_MONGODB, "(?i)^ab$", "^ab$", 0, 2, ANSWER_FOUND, "aB"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char kept[64] = "";
        if (cases[i].answer == ANSWER_UNKNOWN) { /* not understood */
            struct arena arena = {0};
            assert_null(automaton_new(&arena, cases[i].no, strlen(cases[i].no), cases[i].flavour));
            arena_free(&arena);
            continue;
        }
        enum answer answer =
            find(cases[i].flavour, cases[i].yes, cases[i].no, cases[i].min, cases[i].max, kept);
        if (answer != cases[i].answer)
            fail_msg("%s without %s: %d, \"%s\"", cases[i].yes, cases[i].no, (int)answer, kept);
        if (cases[i].text != NULL)
            assert_string_equal(kept, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
