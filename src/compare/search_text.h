/* Strings by length and patterns. */
#ifndef SLUICE_COMPARE_SEARCH_TEXT_H
#define SLUICE_COMPARE_SEARCH_TEXT_H

#include "compare/search_internal.h"

#define TEXT_PATTERNS_MAX 14

struct text_pattern {
    const char *text;
    size_t len;
    enum pattern_flavour flavour;
    bool matches;
};

struct text_goal {
    uint32_t min, max; /* code points */
    struct text_pattern patterns[TEXT_PATTERNS_MAX];
    size_t count;
    bool left_out; /* there are further patterns */
};

void search_add_pattern(struct text_goal *goal, const char *text, size_t len,
                        enum pattern_flavour flavour, bool matches);

/* ANSWER_FOUND: `try` has taken a string. ANSWER_IMPOSSIBLE: no string meets the goal. */
enum answer search_text_goal(struct search *s, const struct text_goal *goal, automaton_try_fn *try,
                             void *arg);

#endif
