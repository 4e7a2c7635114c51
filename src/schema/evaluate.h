/* Runs the flat program over BSON in place: one forward walk that checks the bytes and the rules
 * together. Sub-schemas in combinations walk their value again. Nothing is allocated, except by
 * uniqueItems over many items, in the scratch. */
#ifndef SLUICE_SCHEMA_EVALUATE_H
#define SLUICE_SCHEMA_EVALUATE_H

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

/* Checks one value of a kind against a node. `depth`: documents around it. Returns where the value
 * ends; NULL if the bytes are no BSON (e->fault) or a limit was reached (e->cut_off).
 *
 * A refusal sets e->refused and the walk goes on to the end, because bytes that are no BSON are
 * worse: to go on by the schema, which foretells names and types, is faster than any other way to
 * check the rest. Only while e->tentative > 0 a refusal ends the walk, with NULL. */
const uint8_t *evaluate_value(struct evaluation *e, uint32_t node, uint8_t kind, const uint8_t *pos,
                              const uint8_t *end, unsigned depth);

/* The same for a whole document; `quick` is that of its node. */
const uint8_t *evaluate_document(struct evaluation *e, const struct quick *quick,
                                 const uint8_t *start, const uint8_t *end);

#endif
