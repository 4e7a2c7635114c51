/* Runs the flat program over BSON in place: one forward pass checks the bytes and the rules
 * together. Sub-schemas in combinations walk their value again. Only uniqueItems over many items
 * allocates memory, in the scratch. */
#ifndef SLUICE_SCHEMA_EVALUATE_H
#define SLUICE_SCHEMA_EVALUATE_H

#include "schema/evaluation.h"

/* Checks one value of a kind against a node. `depth` is the number of documents around it. Returns
 * the end of the value; NULL if the bytes are not BSON (e->fault) or a limit was reached
 * (e->cut_off).
 *
 * A refusal sets e->refused, and the walk continues to the end, because malformed bytes take
 * precedence. Continuing with the schema, which predicts names and types, is the fastest way to
 * check the rest. Only while e->tentative > 0 does a refusal end the walk, with NULL. */
const uint8_t *evaluate_value(struct evaluation *e, uint32_t node, uint8_t kind, const uint8_t *pos,
                              const uint8_t *end, unsigned depth);

/* Checks a whole document; `quick` belongs to its node. */
const uint8_t *evaluate_document(struct evaluation *e, const struct quick *quick,
                                 const uint8_t *start, const uint8_t *end);

#endif
