/* What the workers count for single versions of a namespace, summed over them: older versions that
 * are still written, and candidates. For the admin thread. */
#ifndef SLUICE_ADMIN_VERSION_FIGURES_H
#define SLUICE_ADMIN_VERSION_FIGURES_H

#include "admin/context.h"
#include "base/json.h"
#include "enforce/tally.h"

/* Of one version of the entry. */
void version_figures_sum(const struct admin *admin, const struct registry_entry *entry,
                         const struct schema_version *version, uint64_t counts[TALLY_COUNTS]);

/* What the candidates of all namespaces would do. */
struct version_totals {
    size_t candidates; /* namespaces that have one */
    uint64_t tried[TALLY_COUNTS];
    uint64_t older; /* documents that an older version alone accepts */
};
void version_figures_total(const struct admin *admin, const struct registry *registry,
                           struct version_totals *out);

/* Members of a namespace's object: `versions`, newest first, and `candidate`, null where there is
 * none. `whole`: the schemas as well, and the candidate's refusals by reason, application and
 * driver, and the last ones, with their errInfo where `show_values` is set. */
void version_figures_write(const struct admin *admin, const struct registry_entry *entry,
                           bool whole, bool show_values, struct json *json);

#endif
