/* Regular expressions as automata: whether a string exists that some patterns match and others do
 * not, and one such string. Strings are searched in order of length.
 *
 * The reader knows the common part of PCRE's syntax: literals, classes, groups, alternatives,
 * counts and anchors. An assertion or an atomic group is left out, which makes the automaton accept
 * more than the pattern (`exact` is false). */
#ifndef SLUICE_COMPARE_AUTOMATON_H
#define SLUICE_COMPARE_AUTOMATON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/arena.h"
#include "schema/pattern.h"

/* An answer of every search of this room. */
enum answer {
    ANSWER_IMPOSSIBLE, /* proved */
    ANSWER_FOUND,      /* there is one, and it was verified */
    ANSWER_UNKNOWN
};

struct automaton;

/* Lives in the arena. NULL where the pattern is not understood or memory is short. */
struct automaton *automaton_new(struct arena *arena, const char *text, size_t len,
                                enum pattern_flavour flavour);
bool automaton_is_exact(const struct automaton *automaton);

#define AUTOMATON_WISHES_MAX 16

struct automaton_wish {
    const struct automaton *automaton;
    bool matches; /* false: the string must not match. Such an automaton must be exact */
};

/* Judges a candidate. True ends the search. */
typedef bool automaton_try_fn(void *arg, const char *text, size_t len);

/* Looks for a string of min to max code points that fulfils all wishes and that `try` takes.
 * ANSWER_IMPOSSIBLE: no string fulfils the wishes. *steps counts the work down. */
enum answer automaton_find(const struct automaton_wish *wishes, size_t count, uint32_t min,
                           uint32_t max, automaton_try_fn *try, void *arg, uint64_t *steps);

#endif
