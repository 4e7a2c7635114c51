/* Starts the follower of the configured schema registry. */
#ifndef SLUICE_MAIN_REGISTRY_LINK_H
#define SLUICE_MAIN_REGISTRY_LINK_H

#include "catalog/catalog.h"
#include "config/config.h"
#include "fleet/fleet_follow.h"

/* `upstream` is the deployment if the registry names none. *out is NULL without a registry. The
 * catalog must outlive the follower. */
bool registry_link_start(const struct config *config, const struct uri *upstream,
                         struct catalog *catalog, struct fleet_follower **out, struct error *err);

/* For --check-config: checks the options without asking the registry. */
bool registry_link_check(const struct config *config, struct error *err);

#endif
