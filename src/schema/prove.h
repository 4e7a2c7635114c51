/* What can be said about an update from its own operand, without the document that it changes:
 * whether the result breaks the schema whatever the document was, or keeps a valid document valid.
 *
 * Only what every document must satisfy is looked at: the rules along the path, their references
 * and allOf. Alternatives, conditions and counts leave the answer open. A path component that is an
 * index
 * ("0") or positional ("$", "$[]", "$[x]") stands for an item where the schema says that there is
 * an array. */
#ifndef SLUICE_SCHEMA_PROVE_H
#define SLUICE_SCHEMA_PROVE_H

#include "schema/schema.h"
#include "schema/types.h"

enum schema_proof {
    SCHEMA_PROOF_NONE,  /* it depends on the document */
    SCHEMA_PROOF_WRONG, /* the result is refused, or the server cannot apply the update */
    SCHEMA_PROOF_RIGHT  /* a document that was valid stays valid */
};

/* $set (and $setOnInsert, $min, $max where they take effect): a valid BSON value at a dotted path.
 * For $push and $addToSet: the path with ".$[]" behind it. */
enum schema_proof schema_prove_set(const struct schema *schema, struct schema_scratch *scratch,
                                   const char *path, uint8_t kind, struct bytes value);

/* $unset. */
enum schema_proof schema_prove_unset(const struct schema *schema, const char *path);

/* An operator whose result has one of the types: $inc and $mul (TYPES_NUMBER), $push (array),
 * $currentDate. Never SCHEMA_PROOF_RIGHT. */
enum schema_proof schema_prove_type(const struct schema *schema, const char *path, type_mask types);

#endif
