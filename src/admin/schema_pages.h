/* The parts of the schema pages that /status shows as well. */
#ifndef SLUICE_ADMIN_SCHEMA_PAGES_H
#define SLUICE_ADMIN_SCHEMA_PAGES_H

#include "base/json.h"
#include "catalog/registry.h"

/* The newest refusals of all namespaces as an array, at most `limit`. */
void schema_write_newest_refusals(const struct registry *registry, size_t limit, bool show_values,
                                  const char *name, struct json *json);
/* Writes left_out, the collections whose validators only the server enforces (at most `limit`), and
 * left_out_total, their number. */
void schema_write_left_out(const struct registry *registry, size_t limit, struct json *json);

#endif
