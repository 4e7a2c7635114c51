/* Any bytes as a pattern, and as a string. Byte classes give PCRE2's result. Where an automaton
 * stands for the pattern, it finds no proof against the string, and each string that it finds is
 * judged by the pattern itself.
 * Input: a byte for the flavour, one for the pattern's length, the pattern, the string. */
#include "base/bytes.h"
#include "base/utf8.h"
#include "compare/automaton.h"
#include "fail_memory.h"
#include "schema/pattern.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PATTERN_BYTES_MAX = 200, TEXT_BYTES_MAX = 300, STEPS = 200000 };

static bool without_memory; /* an allocation fails */

static void require(bool holds)
{
    if (!holds && !without_memory)
        abort();
}

/* An empty group in front hides the byte classes. */
static struct pattern *make_slow(const char *text, size_t len, enum pattern_flavour flavour)
{
    struct error err;
    char slow[PATTERN_BYTES_MAX + 4];
    memcpy(slow, "(?:)", 4);
    memcpy(slow + 4, text, len);
    return pattern_new(slow, len + 4, flavour, &err);
}

struct search {
    const struct pattern *pattern;
    struct pattern_scratch *scratch;
    bool wanted;
    bool exact;
};

static bool judge(void *arg, const char *text, size_t len)
{
    struct search *search = arg;
    enum pattern_result result =
        pattern_match(search->pattern, (const uint8_t *)text, len, search->scratch);
    require(utf8_check((const uint8_t *)text, len));
    if (search->exact && result != PATTERN_CUT_OFF)
        require((result == PATTERN_YES) == search->wanted);
    return (result == PATTERN_YES) == search->wanted;
}

static uint32_t count_characters(const uint8_t *text, size_t len)
{
    uint32_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += (text[i] & 0xC0) != 0x80;
    return count;
}

/* The string is a witness: what it fulfils is not impossible. */
static void check_automaton(struct search *search, struct bytes pattern, struct bytes text,
                            enum pattern_flavour flavour, enum pattern_result result)
{
    struct arena arena = {0};
    uint64_t steps = STEPS;
    uint32_t length = count_characters(text.pos, bytes_left(&text));
    struct automaton *automaton =
        automaton_new(&arena, (const char *)pattern.pos, bytes_left(&pattern), flavour);
    if (automaton != NULL && result != PATTERN_CUT_OFF) {
        struct automaton_wish wish = {automaton, result == PATTERN_YES};
        search->wanted = wish.matches;
        search->exact = automaton_is_exact(automaton);
        if (wish.matches || search->exact)
            require(automaton_find(&wish, 1, length, length, judge, search, &steps) !=
                    ANSWER_IMPOSSIBLE);
        steps = STEPS;
        wish.matches = search->wanted = true;
        (void)automaton_find(&wish, 1, 0, length + 8, judge, search, &steps);
        steps = STEPS;
        wish.matches = search->wanted = false;
        if (search->exact)
            (void)automaton_find(&wish, 1, 0, length + 8, judge, search, &steps);
    }
    arena_free(&arena);
}

static void run(enum pattern_flavour flavour, struct bytes pattern, struct bytes text)
{
    struct error err = {0};
    const char *written = (const char *)pattern.pos;
    size_t len = bytes_left(&pattern);
    struct pattern_scratch *scratch = pattern_scratch_new();
    struct pattern *fast = pattern_new(written, len, flavour, &err);
    require(scratch != NULL && (fast != NULL || err.message[0] != 0));
    if (scratch != NULL && fast != NULL) {
        uint64_t shared = 1000;
        struct search search = {fast, scratch, true, false};
        pattern_scratch_reset(scratch);
        enum pattern_result result = pattern_match(fast, text.pos, bytes_left(&text), scratch);
        require(result != PATTERN_CUT_OFF || pattern_cut_off_reason(scratch) != NULL);
        require(pattern_bytes(fast) > 0);
        struct pattern *slow = make_slow(written, len, flavour);
        if (slow != NULL && pattern_row(fast) != NULL) {
            enum pattern_result other = pattern_match(slow, text.pos, bytes_left(&text), scratch);
            require(result != PATTERN_CUT_OFF && (other == PATTERN_CUT_OFF || result == other));
        }
        pattern_free(slow);
        check_automaton(&search, pattern, text, flavour, result);
        pattern_scratch_share(scratch, &shared);
        (void)pattern_match(fast, text.pos, bytes_left(&text), scratch);
    }
    pattern_free(fast);
    pattern_scratch_free(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes head;
    struct bytes pattern;
    struct bytes text = bytes_of(data, size);
    if (!bytes_take(&text, 2, &head) || head.pos[1] > PATTERN_BYTES_MAX ||
        !bytes_take(&text, head.pos[1], &pattern) || bytes_left(&text) > TEXT_BYTES_MAX)
        return 0;
    enum pattern_flavour flavour = (enum pattern_flavour)(head.pos[0] % 3);
    bool valid =
        utf8_check(pattern.pos, bytes_left(&pattern)) && utf8_check(text.pos, bytes_left(&text));
    if (!valid || memchr(pattern.pos, 0, bytes_left(&pattern)) != NULL)
        return 0;
    run(flavour, pattern, text);
    without_memory = fail_memory_for(data, size);
    if (without_memory)
        run(flavour, pattern, text);
    memory_fail_never();
    without_memory = false;
    return 0;
}
