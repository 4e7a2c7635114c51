/* uniqueItems: finds out whether an array contains a value twice. */
#ifndef SLUICE_SCHEMA_UNIQUE_H
#define SLUICE_SCHEMA_UNIQUE_H

#include "bson/scan.h"
#include "schema/schema_internal.h"

enum unique_result { UNIQUE_YES, UNIQUE_REPEATED, UNIQUE_CUT_OFF, UNIQUE_NO_MEMORY };

/* `array` is valid and has `count` items. Few items need no memory; for many, the scratch's table
 * grows. *work counts comparisons down. On UNIQUE_REPEATED, *repeated (may be NULL) is the later
 * item of the first pair found. */
enum unique_result unique_check(struct bytes array, uint32_t count, struct schema_scratch *scratch,
                                uint64_t *work, struct scan_element *repeated);

#endif
