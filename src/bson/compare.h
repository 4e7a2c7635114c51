/* Equality of BSON values for $jsonSchema's enum and uniqueItems, and a hash that agrees with it.
 * Numbers compare by value across types, strings by bytes, objects without the order of their
 * fields, and arrays with the order of their items. Symbol and String are equal; null, undefined
 * and an absent value differ from each other. The values must be valid BSON (validate.h). Allocates
 * nothing. */
#ifndef SLUICE_BSON_COMPARE_H
#define SLUICE_BSON_COMPARE_H

#include "base/bytes.h"

struct compare_value {
    uint8_t kind;
    struct bytes bytes;
};

/* *budget counts down with each visited field and bounds the work for hostile objects. At 0 the
 * function returns false, and the answer is meaningless. */
bool compare_equal(const struct compare_value *a, const struct compare_value *b, uint64_t *budget);

/* Uses the process's key (base/keyed_hash.h). */
uint64_t compare_hash(const struct compare_value *value);

#endif
