/* Searches a BSON value that satisfies some rules and breaks others.
 *
 * OLD is contained in NEW if no value satisfies OLD and breaks NEW. The search splits the rules
 * (combinations first, then one keyword by which a broken rule fails) until only keywords for one
 * type are left, and solves these (search_number.c, search_text.c, search_array.c,
 * search_object.c). It is sound in both directions:
 *
 *   - ANSWER_IMPOSSIBLE follows only from certain constraints. The search leaves out constraints
 *     that it cannot handle, so it considers more values than the rules allow, never fewer.
 *   - ANSWER_FOUND comes with a value that the evaluator of rules (schema/explain.h) has judged.
 *
 * Otherwise the answer is ANSWER_UNKNOWN. Work and memory are bounded. Everything lives in the
 * arena. */
#ifndef SLUICE_COMPARE_SEARCH_H
#define SLUICE_COMPARE_SEARCH_H

#include "compare/automaton.h"
#include "compare/same.h"
#include "schema/explain.h"

#define SEARCH_STEPS_MAX  400000
#define SEARCH_BYTES_MAX  ((size_t)64 * 1024 * 1024)
#define SEARCH_DEPTH_MAX  60
#define SEARCH_FRAMES_MAX 2000

struct made_value {
    uint8_t kind;
    struct bytes bytes;
};

/* The conditions for a value. */
struct goal {
    const struct same_rule *holds;
    size_t hold_count;
    const struct same_rule *breaks;
    size_t break_count;
    const struct made_value *others; /* the value equals none of these */
    size_t other_count;
};

struct known_goal;
struct pattern_automaton;

struct search {
    struct arena *arena;
    struct schema_scratch *scratch;
    struct same *same;
    uint64_t steps; /* left */
    struct known_goal *known;
    struct known_goal *under_way;
    struct pattern_automaton *automata;
    unsigned depth;
    /* The last value that was made for this goal and did not meet it. It tells which of the open
     * choices matters. */
    const struct goal *watched;
    struct made_value rejected;
    unsigned frames;  /* of the stack */
    unsigned assumed; /* the outermost unfinished goal on which an answer depends */
};

/* *out lives in the arena. `types`: the allowed types of the result. */
enum answer search_value(struct search *s, const struct goal *goal, type_mask types,
                         struct made_value *out);

#endif
