/* Summarises an errInfo in one line: operators and field names, never a value. */
#ifndef SLUICE_ENFORCE_REASON_H
#define SLUICE_ENFORCE_REASON_H

#include "catalog/registry.h"
#include "enforce/tally.h"

void reason_write(struct bytes info, char out[REGISTRY_REASON_BYTES]);
/* Writes only the first error, and omits the index of an array item, so that documents with the
 * same fault have the same reason. */
void reason_write_first(struct bytes info, struct tally_reason *out);

#endif
