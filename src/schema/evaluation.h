/* One evaluation: its state, and the functions that the evaluator's files share. */
#ifndef SLUICE_SCHEMA_EVALUATION_H
#define SLUICE_SCHEMA_EVALUATION_H

#include "bson/validate.h"
#include "schema/schema_internal.h"

struct evaluation {
    const struct program *program;
    struct schema_scratch *scratch;
    const uint8_t *limit;        /* bytes from here on must not be read */
    struct validate_fault fault; /* set if the bytes are not BSON */
    const char *cut_off;         /* the reached limit; NULL: none */
    uint64_t given;              /* its budget: SCHEMA_WORK_MAX, or the command's budget */
    uint64_t work;               /* the rest of it */
    size_t bits_used;            /* of the scratch's bits */
    unsigned tentative;          /* enclosing combinations that may overrule a refusal */
    bool refused;                /* the document is invalid, unless its bytes are not BSON */
};

/* The reason when it is used up. */
extern const char evaluate_work_cut_off[];

#define HOT   inline __attribute__((always_inline))
#define RARE  __attribute__((noinline))
#define IF(x) __builtin_expect(!!(x), 1)

typedef const uint8_t *place;

/* Notes a reached limit. Returns NULL. */
place evaluate_cut_off(struct evaluation *e, const char *limit);

/* Refuses a value that ends at `after` and whose bytes are BSON. Returns the position at which the
 * walk continues. */
place evaluate_refuse(struct evaluation *e, place after);

/* Refuses a value whose bytes are unchecked. */
place evaluate_refuse_value(struct evaluation *e, uint8_t kind, place pos, place end,
                            unsigned depth);

/* Checks the node's combinations for a value that satisfies the other rules. `after` is the end of
 * the value, if a walk has found it, or NULL. */
place evaluate_combinations(struct evaluation *e, const struct node *node, uint8_t kind, place pos,
                            place end, unsigned depth, place after);

/* After a NULL: it was not a refusal, so no other alternative helps. */
static inline bool stopped(const struct evaluation *e)
{
    return e->fault.what != NULL || e->cut_off != NULL;
}

static HOT bool spend(struct evaluation *e, uint64_t work)
{
    if (work > e->work) {
        (void)evaluate_cut_off(e, evaluate_work_cut_off);
        return false;
    }
    e->work -= work;
    return true;
}

#endif
