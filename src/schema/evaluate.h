/* Runs the flat program over BSON in place: one forward walk that checks the bytes and the rules
 * together. Sub-schemas in combinations walk their value again. Nothing is allocated, except by
 * uniqueItems over many items, in the scratch. */
#ifndef SLUICE_SCHEMA_EVALUATE_H
#define SLUICE_SCHEMA_EVALUATE_H

#include "schema/evaluation.h"

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
