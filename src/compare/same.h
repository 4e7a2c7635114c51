/* Tells whether two rules certainly mean the same. Compares their keywords and follows references.
 */
#ifndef SLUICE_COMPARE_SAME_H
#define SLUICE_COMPARE_SAME_H

#include "schema/arena.h"
#include "schema/schema_internal.h"

/* A rule and its schema. */
struct same_rule {
    const struct schema *schema;
    const struct rule *rule;
};

struct same_pair;

struct same {
    struct arena *arena;
    struct same_pair **slots; /* in the arena */
    struct same_pair *added;  /* taken as the same since the outermost question began */
    uint64_t *steps;          /* borrowed; counted down. At 0 the answer is false */
    unsigned depth;
};

/* False without memory. */
bool same_begin(struct same *same, struct arena *arena, uint64_t *steps);

bool same_rules(struct same *same, struct same_rule a, struct same_rule b);

/* The text of a pattern keyword. */
bool same_pattern_text(const struct rule *rule, const char **text, size_t *len);

#endif
