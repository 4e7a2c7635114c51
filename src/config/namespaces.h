/* Options that namespaces have of their own. Private to this room. */
#ifndef SLUICE_CONFIG_NAMESPACES_H
#define SLUICE_CONFIG_NAMESPACES_H

#include "base/json.h"
#include "config/config.h"

/* Makes config->merge_namespaces of the effective settings; the options for all namespaces have
 * their values already. */
bool namespaces_parse(struct config *config, struct error *err);

/* [{"namespace":…,"name":…,"value":…,"origin":…},…] */
void namespaces_write_listing(const struct config *config, const char *name, struct json *json);

#endif
