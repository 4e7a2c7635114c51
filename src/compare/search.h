/* Whether a BSON value exists that some rules hold for and others do not, and one such value.
 *
 * "OLD is contained in NEW" is the question whether no value satisfies OLD and breaks NEW. The
 * search takes the rules apart (combinations, then one keyword that a broken rule fails by) until
 * only keywords about one type are left, and solves these (search_number.c, search_text.c,
 * search_array.c, search_object.c). It is sound both ways:
 *
 *   - ANSWER_IMPOSSIBLE comes from constraints that are certain only. What the search cannot handle
 *     it leaves out, so it looks at more values than the rules allow, never at fewer.
 *   - ANSWER_FOUND is given for a value that the evaluator of rules (schema/explain.h) has judged.
 *
 * All else is ANSWER_UNKNOWN. Work and memory are bounded. Everything lives in the arena. */
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

/* What a value must be. */
struct goal {
    const struct same_rule *holds;
    size_t hold_count;
    const struct same_rule *breaks;
    size_t break_count;
    const struct made_value *others; /* and equal to none of these */
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
    /* The last value that was made for this goal and does not meet it: it tells which of the
     * choices still open matters. */
    const struct goal *watched;
    struct made_value rejected;
    unsigned frames;  /* of the stack */
    unsigned assumed; /* the outermost goal under way that an answer rests on */
};

/* *out lives in the arena. `types`: what may be returned at all. */
enum answer search_value(struct search *s, const struct goal *goal, type_mask types,
                         struct made_value *out);

#endif
