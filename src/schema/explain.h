/* The slow pass over the rules: finds the rules that a value breaks and writes them as MongoDB 5+
 * does. Without a builder it only evaluates the rules; the tests compare the flat program with it.
 *
 * Each function explain_… of this room returns whether the value satisfies the rule. With a
 * builder, it also appends the errors to the open array. */
#ifndef SLUICE_SCHEMA_EXPLAIN_H
#define SLUICE_SCHEMA_EXPLAIN_H

#include "schema/schema_internal.h"

struct explain {
    const struct schema *schema;
    struct schema_scratch *scratch;
    struct build *out; /* NULL: only the answer */
    uint64_t work;     /* the rest of the budget; at 0 the answers are meaningless */
    bool truncated;    /* omit specifiedAs and consideredValue */
    bool cut_off;      /* a pattern reached its limit; the answers are meaningless for a verdict */
};

/* A value of the document. `whole` marks the document itself. */
struct explain_value {
    uint8_t kind;
    bool whole;
    struct bytes bytes;
};

bool explain_rule(struct explain *x, const struct rule *rule, const struct explain_value *value);

/* Does the same without writing errors. */
bool explain_satisfies(struct explain *x, const struct rule *rule,
                       const struct explain_value *value);

/* Rules whose code is in the other file: */
bool explain_object(struct explain *x, const struct rule *rule, const struct explain_value *value);
bool explain_combinations(struct explain *x, const struct rule *rule,
                          const struct explain_value *value);
/* Opens the error of one operator in the open array; explain_close ends it. Does nothing without a
 * builder. */
void explain_open(struct explain *x, const char *operator_name);
void explain_close(struct explain *x);
void explain_specified(struct explain *x, const struct rule *rule, enum keyword keyword);
void explain_text(struct explain *x, const char *name, const char *text);
void explain_titles(struct explain *x, const struct rule *rule);
void explain_considered(struct explain *x, const struct explain_value *value);
/* Writes an array `details` with the errors of a rule for a value. */
void explain_details(struct explain *x, const struct rule *rule, const struct explain_value *value);

#endif
