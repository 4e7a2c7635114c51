/* Regular expressions as automata. They tell whether a string exists that some patterns match and
 * others do not, and give one such string. The search goes by the length of strings.
 *
 * The reader knows the common part of PCRE's syntax: literals, classes, groups, alternatives,
 * counts and anchors. It leaves an assertion or an atomic group out, so that the automaton accepts
 * more than the pattern (`exact` is false). */
#ifndef SLUICE_COMPARE_AUTOMATON_H
#define SLUICE_COMPARE_AUTOMATON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/arena.h"
#include "schema/pattern.h"

/* The answer of each search in this room. */
enum answer {
    ANSWER_IMPOSSIBLE, /* proved */
    ANSWER_FOUND,      /* one exists, and it was verified */
    ANSWER_UNKNOWN
};

struct automaton;

/* Lives in the arena. NULL if the pattern is not understood, or without memory. */
struct automaton *automaton_new(struct arena *arena, const char *text, size_t len,
                                enum pattern_flavour flavour);
bool automaton_is_exact(const struct automaton *automaton);

#define AUTOMATON_WISHES_MAX 16

struct automaton_wish {
    const struct automaton *automaton;
    bool matches; /* false: the string must not match; the automaton must then be exact */
};

/* Judges a candidate. True ends the search. */
typedef bool automaton_try_fn(void *arg, const char *text, size_t len);

/* Finds a string of min to max code points that fulfils all wishes and that `try` takes.
 * ANSWER_IMPOSSIBLE: no string fulfils the wishes. Subtracts the work from *steps. */
enum answer automaton_find(const struct automaton_wish *wishes, size_t count, uint32_t min,
                           uint32_t max, automaton_try_fn *try, void *arg, uint64_t *steps);

#endif
