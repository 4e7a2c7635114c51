/* The slow pass over the rules themselves: which of them a value breaks, written as MongoDB 5+
 * writes it. Without a builder it is a plain evaluator of rules, against which the flat program is
 * tested.
 *
 * Each function of this room named explain_… answers whether the value satisfies what it is about
 * and, given a builder, appends the errors to the array that is open there. */
#ifndef SLUICE_SCHEMA_EXPLAIN_H
#define SLUICE_SCHEMA_EXPLAIN_H

#include "schema/schema_internal.h"

struct explain {
    const struct schema *schema;
    struct schema_scratch *scratch;
    struct build *out; /* NULL: only the answer */
    uint64_t work;     /* left; at 0 the answers mean nothing */
    bool truncated;    /* leave out specifiedAs and consideredValue */
    bool cut_off;      /* a pattern reached its limit; answers mean nothing for a verdict */
};

/* A value of the document. `whole`: it is the document itself. */
struct explain_value {
    uint8_t kind;
    bool whole;
    struct bytes bytes;
};

bool explain_rule(struct explain *x, const struct rule *rule, const struct explain_value *value);

/* The same without writing errors. */
bool explain_satisfies(struct explain *x, const struct rule *rule,
                       const struct explain_value *value);

/* For the rules of one file in the other: */
bool explain_object(struct explain *x, const struct rule *rule, const struct explain_value *value);
bool explain_combinations(struct explain *x, const struct rule *rule,
                          const struct explain_value *value);
/* Opens the error of one operator in the open array; explain_close ends it. Nothing happens without
 * a builder. */
void explain_open(struct explain *x, const char *operator_name);
void explain_close(struct explain *x);
void explain_specified(struct explain *x, const struct rule *rule, enum keyword keyword);
void explain_text(struct explain *x, const char *name, const char *text);
void explain_titles(struct explain *x, const struct rule *rule);
void explain_considered(struct explain *x, const struct explain_value *value);
/* An array `details` with the errors of a rule for a value. */
void explain_details(struct explain *x, const struct rule *rule, const struct explain_value *value);

#endif
