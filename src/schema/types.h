/* Sets of BSON types as bit masks. */
#ifndef SLUICE_SCHEMA_TYPES_H
#define SLUICE_SCHEMA_TYPES_H

#include "bson/scan.h"

typedef uint32_t type_mask;

/* The bit of each kind; 0 for bytes that are not a BSON type. */
extern const type_mask type_bits[256];

#define TYPE_BIT(kind)                                                                             \
    ((type_mask)1 << ((kind) == BSON_KIND_MIN_KEY ? 21 : (kind) == BSON_KIND_MAX_KEY ? 20 : (kind)))

#define TYPES_NUMBER                                                                               \
    (TYPE_BIT(BSON_KIND_INT32) | TYPE_BIT(BSON_KIND_INT64) | TYPE_BIT(BSON_KIND_DOUBLE) |          \
     TYPE_BIT(BSON_KIND_DECIMAL128))
#define TYPES_ALL ((type_mask)0x3FFFFE)

/* The types of an alias of `bsonType`, including "number"; 0 if it is unknown. */
type_mask type_of_alias(const char *alias, size_t len);

/* The alias of a kind, as in errInfo's consideredType. */
const char *type_alias(uint8_t kind);

#endif
