/* The representation of a schema and a scratch, for the files of this room. */
#ifndef SLUICE_SCHEMA_SCHEMA_INTERNAL_H
#define SLUICE_SCHEMA_SCHEMA_INTERNAL_H

#include "bson/validate.h"
#include "schema/arena.h"
#include "schema/program.h"
#include "schema/rule.h"
#include "schema/schema.h"

/* Finds rules by the position of their sub-schema, so that $ref reuses a parsed rule. */
struct rule_index {
    struct rule **slots; /* owned; open addressing by source.value.pos */
    size_t size;         /* a power of two, or 0 */
    size_t count;
};

struct schema {
    enum schema_dialect dialect; /* MONGODB_EXTENDED appears here as MONGODB with may_extend */
    bool may_extend;
    bool extended; /* it uses an extension */
    uint8_t *bson; /* owned copy */
    size_t bson_len;
    bool encrypts; /* it contains `encrypt` or `encryptMetadata` */
    struct arena arena;
    struct rule_index rules;
    struct pattern **patterns; /* owned, each and the array */
    size_t pattern_count;
    size_t pattern_room;
    size_t pattern_bytes;
    struct rule *root;     /* as written */
    struct rule *document; /* as applied to documents; differs in dialect json-schema */
    struct program program;
    uint32_t root_node;
    uint32_t document_node;
};

/* Words for the seen properties of objects with more than 64 of them: one set for each level of
 * nesting, for the maximal number of properties. */
#define SCRATCH_BITS ((size_t)(VALIDATE_DEPTH_MAX + 1) * (SCHEMA_PROPERTIES_MAX / 64))

struct schema_scratch {
    struct pattern_scratch *patterns;
    uint64_t *bits;   /* owned; SCRATCH_BITS of them */
    uint64_t *hashes; /* owned; for uniqueItems over many items */
    size_t hash_room;
    struct schema_allowance *allowance; /* borrowed; NULL: none */
};

/* The document's share of the allowance, and the amount that it used. */
static inline uint64_t schema_scratch_work(const struct schema_scratch *scratch)
{
    const struct schema_allowance *allowance = scratch->allowance;
    return allowance != NULL && allowance->work < SCHEMA_WORK_MAX ? allowance->work
                                                                  : SCHEMA_WORK_MAX;
}
static inline void schema_scratch_spend(struct schema_scratch *scratch, uint64_t work)
{
    if (scratch->allowance != NULL)
        scratch->allowance->work -= work;
}

#endif
