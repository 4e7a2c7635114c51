/* One evaluation: its state, and the parts that the files of the evaluator share. */
#ifndef SLUICE_SCHEMA_EVALUATION_H
#define SLUICE_SCHEMA_EVALUATION_H

#include "bson/validate.h"
#include "schema/schema_internal.h"

struct evaluation {
    const struct program *program;
    struct schema_scratch *scratch;
    const uint8_t *limit;        /* no byte from here on is ours to read */
    struct validate_fault fault; /* what is set while the bytes are no BSON */
    const char *cut_off;         /* the limit that was reached; NULL: none */
    uint64_t given;              /* what it may take: SCHEMA_WORK_MAX, or what the command has */
    uint64_t work;               /* left of it */
    size_t bits_used;            /* of the scratch's bits */
    unsigned tentative;          /* combinations around, in which a refusal may be overruled */
    bool refused;                /* the document is invalid, unless its bytes are no BSON */
};

/* The reason where that is used up. */
extern const char evaluate_work_cut_off[];

#define HOT   inline __attribute__((always_inline))
#define RARE  __attribute__((noinline))
#define IF(x) __builtin_expect(!!(x), 1)

typedef const uint8_t *place;

/* Reaching a limit. Returns NULL. */
place evaluate_cut_off(struct evaluation *e, const char *limit);

/* A refusal of a value that ends at `after`, where its bytes are BSON. Returns what the walk goes
 * on with. */
place evaluate_refuse(struct evaluation *e, place after);

/* The same where the value's bytes are unchecked. */
place evaluate_refuse_value(struct evaluation *e, uint8_t kind, place pos, place end,
                            unsigned depth);

/* The node's combinations, over a value whose other rules are kept. `after`: where the value ends
 * if some walk has told, or NULL. */
place evaluate_combinations(struct evaluation *e, const struct node *node, uint8_t kind, place pos,
                            place end, unsigned depth, place after);

/* After a NULL: it was no refusal, and no other alternative will help. */
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
