/* Equality of BSON values as $jsonSchema's enum and uniqueItems mean it, and a hash that agrees
 * with it: numbers by value across their types, strings by their bytes, the order of an object's
 * fields ignored, that of an array kept. Symbol and String are one; null, undefined and absent are
 * three. The values must be valid BSON (validate.h). Nothing is allocated. */
#ifndef SLUICE_BSON_COMPARE_H
#define SLUICE_BSON_COMPARE_H

#include "base/bytes.h"

struct compare_value {
    uint8_t kind;
    struct bytes bytes;
};

/* *budget counts the fields looked at down to 0, and is the bound on hostile objects: at 0 the
 * answer is false, and means nothing. */
bool compare_equal(const struct compare_value *a, const struct compare_value *b, uint64_t *budget);

/* Under the process's key (base/keyed_hash.h). */
uint64_t compare_hash(const struct compare_value *value);

#endif
