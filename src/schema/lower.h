/* Translates rules to the flat program. */
#ifndef SLUICE_SCHEMA_LOWER_H
#define SLUICE_SCHEMA_LOWER_H

#include "schema/schema_internal.h"

/* Makes schema->program, root_node and document_node from schema->root and schema->document. False
 * with err set: no memory, or too many names in one sub-schema. */
bool lower_schema(struct schema *schema, struct error *err);

#endif
