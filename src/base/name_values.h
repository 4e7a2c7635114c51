/* Reads "name=value,name=value", the form of OTEL_RESOURCE_ATTRIBUTES and
 * OTEL_EXPORTER_OTLP_HEADERS: printable ASCII without blanks; a value may hold %XX for any byte. */
#ifndef SLUICE_BASE_NAME_VALUES_H
#define SLUICE_BASE_NAME_VALUES_H

#include <stdbool.h>
#include <stddef.h>

enum { NAME_VALUE_BYTES = 1024 }; /* no pair is longer */

struct name_value {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
};

/* Reads the next pair of *rest, and moves *rest behind it and its comma. False at the end, or for a
 * malformed pair. */
bool name_values_next(const char **rest, struct name_value *out);

/* Resolves %XX of the value. Returns the number of bytes. */
size_t name_value_decode(const struct name_value *pair, char out[NAME_VALUE_BYTES]);

/* True for "" too. */
bool name_values_are_valid(const char *text);

#endif
