/* One line that says what an errInfo says: operators and field names, never a value. */
#ifndef SLUICE_ENFORCE_REASON_H
#define SLUICE_ENFORCE_REASON_H

#include "catalog/registry.h"
#include "enforce/tally.h"

void reason_write(struct bytes info, char out[REGISTRY_REASON_BYTES]);
/* Of the errors the first alone, and of an item not its place in the array: documents that are
 * refused for the same thing have the same reason. */
void reason_write_first(struct bytes info, struct tally_reason *out);

#endif
