/* One line that says what an errInfo says: operators and field names, never a value. */
#ifndef SLUICE_ENFORCE_REASON_H
#define SLUICE_ENFORCE_REASON_H

#include "catalog/registry.h"

void reason_write(struct bytes info, char out[REGISTRY_REASON_BYTES]);

#endif
