/* BSON as extended JSON that is read back to the same bytes: the relaxed form where it keeps the
 * types, else the canonical one. Released with bson_free; NULL without memory. */
#ifndef SLUICE_CLI_EXTENDED_JSON_H
#define SLUICE_CLI_EXTENDED_JSON_H

#include "bson/scan.h"

char *extended_json_of(struct bytes document);
/* A value without its name. */
char *extended_json_of_value(const struct scan_element *value);

#endif
