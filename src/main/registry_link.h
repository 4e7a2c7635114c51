/* The follower of the schema registry that a configuration asks for. */
#ifndef SLUICE_MAIN_REGISTRY_LINK_H
#define SLUICE_MAIN_REGISTRY_LINK_H

#include "catalog/catalog.h"
#include "config/config.h"
#include "fleet/fleet_follow.h"

/* upstream: the deployment where none is named for the registry. *out NULL: none is asked for. The
 * catalog must outlive the follower. */
bool registry_link_start(const struct config *config, const struct uri *upstream,
                         struct catalog *catalog, struct fleet_follower **out, struct error *err);

/* For --check-config: what is wrong with the options, without asking the registry. */
bool registry_link_check(const struct config *config, struct error *err);

#endif
