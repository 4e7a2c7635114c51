/* Sizes and times as people write them: a whole number, alone or with a unit ("64MiB", "30s"). */
#ifndef SLUICE_BASE_QUANTITY_H
#define SLUICE_BASE_QUANTITY_H

#include <stdbool.h>
#include <stdint.h>

/* The kind says what a number without a unit counts, and which units exist. */
enum quantity_kind {
    QUANTITY_COUNT, /* no units */
    QUANTITY_BYTES,
    QUANTITY_MS,
    QUANTITY_US
};

/* Reads the whole text; spaces may stand before the unit. False if it is no such number, or is over
 * INT64_MAX. */
bool quantity_read(enum quantity_kind kind, const char *text, int64_t *out);

/* The units as a list for messages: "ms, s, m, h, d"; "" for a count. */
const char *quantity_units(enum quantity_kind kind);

#endif
