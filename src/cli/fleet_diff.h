/* Versions of a registry, to compare. */
#ifndef SLUICE_CLI_FLEET_DIFF_H
#define SLUICE_CLI_FLEET_DIFF_H

#include "fleet/fleet_document.h"

/* Loads one version as a file. On true the caller must call schema_file_release. */
bool fleet_diff_load(const struct fleet_document *document, const struct fleet_version *version,
                     struct schema_file *file, struct error *err);

#endif
