/* BSON as extended JSON from which the same bytes can be read: the relaxed form if it keeps the
 * types, otherwise the canonical one. Release it with bson_free; NULL without memory. */
#ifndef SLUICE_CLI_EXTENDED_JSON_H
#define SLUICE_CLI_EXTENDED_JSON_H

#include "bson/scan.h"

char *extended_json_of(struct bytes document);
/* A value without its name. */
char *extended_json_of_value(const struct scan_element *value);

#endif
