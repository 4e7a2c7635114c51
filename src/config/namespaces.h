/* Options of single namespaces. Private to this room. */
#ifndef SLUICE_CONFIG_NAMESPACES_H
#define SLUICE_CONFIG_NAMESPACES_H

#include "base/json.h"
#include "config/config.h"

/* Fills config->merge_namespaces from the effective settings. The options for all namespaces
 * already have their values. */
bool namespaces_parse(struct config *config, struct error *err);

/* Writes [{"namespace":…,"name":…,"value":…,"origin":…},…]. */
void namespaces_write_listing(const struct config *config, const char *name, struct json *json);

#endif
