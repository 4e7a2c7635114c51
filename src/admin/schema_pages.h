/* The parts of the pages on schemas that /status shows as well. */
#ifndef SLUICE_ADMIN_SCHEMA_PAGES_H
#define SLUICE_ADMIN_SCHEMA_PAGES_H

#include "base/json.h"
#include "catalog/registry.h"

/* The newest refusals of all namespaces as an array, at most `limit`. */
void schema_write_newest_refusals(const struct registry *registry, size_t limit, bool show_values,
                                  const char *name, struct json *json);
/* The collections whose validators are left to the server, at most `limit`: left_out, and how many
 * there are: left_out_total. */
void schema_write_left_out(const struct registry *registry, size_t limit, struct json *json);

#endif
