/* Schemas and documents from a stream of bytes, with few names and values, so that these often
 * match. */
#ifndef SLUICE_FUZZ_SCHEMA_GENERATE_H
#define SLUICE_FUZZ_SCHEMA_GENERATE_H

#include "bson/build.h"
#include "schema/schema.h"

struct stream {
    const uint8_t *pos;
    const uint8_t *end; /* after it, zeros */
};

void generate_schema(struct stream *in, struct build *out, enum schema_dialect dialect);
void generate_document(struct stream *in, struct build *out);

#endif
