/* What the two files of the registry share. */
#ifndef SLUICE_ENFORCE_REGISTRY_INTERNAL_H
#define SLUICE_ENFORCE_REGISTRY_INTERNAL_H

#include "enforce/registry.h"

/* What was counted for the older entry is counted on for the new one, which nobody else knows yet.
 */
void registry_entry_adopt_stats(struct registry_entry *entry, const struct registry_entry *older);

#endif
