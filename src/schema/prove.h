/* Judges an update from its operand alone, without the stored document: the result breaks the
 * schema for every document, or a valid document stays valid, or neither is certain.
 *
 * Only rules that every document must satisfy count: the rules along the path, their references and
 * allOf. Alternatives, conditions and counts leave the answer open. A path component that is an
 * index ("0") or positional ("$", "$[]", "$[x]") means an item if the schema requires an array
 * there. */
#ifndef SLUICE_SCHEMA_PROVE_H
#define SLUICE_SCHEMA_PROVE_H

#include "schema/schema.h"
#include "schema/types.h"

enum schema_proof {
    SCHEMA_PROOF_NONE,  /* it depends on the document */
    SCHEMA_PROOF_WRONG, /* the server refuses the result or cannot apply the update */
    SCHEMA_PROOF_RIGHT  /* a valid document stays valid */
};

/* $set (and $setOnInsert, $min, $max if they take effect): a valid BSON value at a dotted path. For
 * $push and $addToSet the path ends with ".$[]". */
enum schema_proof schema_prove_set(const struct schema *schema, struct schema_scratch *scratch,
                                   const char *path, uint8_t kind, struct bytes value);

/* $unset. */
enum schema_proof schema_prove_unset(const struct schema *schema, const char *path);

/* An operator whose result has one of the types: $inc and $mul (TYPES_NUMBER), $push (array),
 * $currentDate. Never SCHEMA_PROOF_RIGHT. */
enum schema_proof schema_prove_type(const struct schema *schema, const char *path, type_mask types);

#endif
