/* The common parts of the search. A branch is one way to meet a goal. */
#ifndef SLUICE_COMPARE_SEARCH_INTERNAL_H
#define SLUICE_COMPARE_SEARCH_INTERNAL_H

#include "compare/search.h"

/* A fact that is certain for the value in a branch. */
enum fact_kind {
    FACT_HOLDS, /* the rule's own keywords hold */
    /* The rule's own keyword does not hold: */
    FACT_NOT_TYPE,
    FACT_NOT_INTEGRAL,
    FACT_NOT_SUBTYPE,
    FACT_NOT_ENCRYPTED,
    FACT_NOT_VALUE,
    FACT_NOT_PATTERN,
    FACT_TOO_SHORT,
    FACT_TOO_LONG,
    FACT_BELOW, /* lower[index] */
    FACT_ABOVE, /* upper[index] */
    FACT_NOT_MULTIPLE,
    FACT_FEW_ITEMS,
    FACT_MANY_ITEMS,
    FACT_REPEATED_ITEM,
    FACT_ITEM_BREAKS, /* the item at `index` breaks `rule` */
    FACT_REST_BREAKS, /* an item after the prefix breaks rule->rest, or must not exist */
    FACT_FEW_MATCHES, /* contains */
    FACT_MANY_MATCHES,
    FACT_FIELD_BREAKS,  /* the field `name` breaks `rule` */
    FACT_OTHER_FIELD,   /* an unlisted field breaks rule->additional, or must not exist */
    FACT_PATTERN_FIELD, /* a field that matches patterns[index] breaks its rule */
    FACT_BAD_NAME,
    FACT_FEW_FIELDS,
    FACT_MANY_FIELDS,
    FACT_PRESENT, /* the field `name` */
    FACT_ABSENT
};

struct fact {
    enum fact_kind kind;
    struct same_rule of;
    size_t index;
    const char *name;
    const struct fact *next;
};

struct branch {
    const struct goal *goal;
    type_mask types;
    const struct fact *facts;
};

/* Visits the rules that hold in a branch. */
static inline const struct fact *fact_held_from(const struct fact *fact)
{
    while (fact != NULL && fact->kind != FACT_HOLDS)
        fact = fact->next;
    return fact;
}
static inline const struct fact *fact_first_held(const struct branch *branch)
{
    return fact_held_from(branch->facts);
}
static inline const struct fact *fact_next_held(const struct fact *fact)
{
    return fact_held_from(fact->next);
}

/* Takes one step. False if no step is left. */
bool search_spend(struct search *s);

/* Asks the evaluator of rules whether the value meets the goal. On yes the value becomes *out.
 * ANSWER_UNKNOWN: the evaluator reached a limit. */
enum answer search_accept(struct search *s, const struct branch *branch, struct made_value value,
                          struct made_value *out);
/* The same for one rule. */
enum answer search_judge(struct search *s, struct same_rule of, const struct made_value *value);

/* Makes values in the arena. Without memory the kind is BSON_KIND_EOD, which nothing accepts. */
struct made_value made_bytes(struct search *s, uint8_t kind, const void *bytes, size_t len);
struct made_value made_string(struct search *s, const char *text, size_t len);
struct made_value made_integer(struct search *s, uint8_t kind, int64_t value);
struct made_value made_double(struct search *s, double value);
struct made_value made_decimal(struct search *s, number_u128 coefficient, int32_t exponent,
                               bool negative);
/* Makes the number in another type; kind BSON_KIND_EOD if that is not exact. */
struct made_value made_number(struct search *s, uint8_t kind, const struct number *number);

/* Searches the values of one kind or of one group of kinds, within branch->types. */
enum answer search_fixed(struct search *s, const struct branch *branch, struct made_value *out);
enum answer search_values(struct search *s, const struct branch *branch, const struct rule *rule,
                          struct made_value *out);
enum answer search_number(struct search *s, const struct branch *branch, uint8_t kind,
                          struct made_value *out);
enum answer search_text(struct search *s, const struct branch *branch, struct made_value *out);
enum answer search_array(struct search *s, const struct branch *branch, struct made_value *out);
enum answer search_object(struct search *s, const struct branch *branch, struct made_value *out);

/* The automaton of a pattern; NULL if it is not understood. */
const struct automaton *search_automaton(struct search *s, const char *text, size_t len,
                                         enum pattern_flavour flavour);

/* Combines two answers about conditions that must both hold. */
static inline enum answer answer_both(enum answer a, enum answer b)
{
    if (a == ANSWER_IMPOSSIBLE || b == ANSWER_IMPOSSIBLE)
        return ANSWER_IMPOSSIBLE;
    return a == ANSWER_FOUND ? b : a;
}

#endif
