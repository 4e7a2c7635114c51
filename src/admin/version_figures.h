/* The workers' counters for single versions of a namespace, summed: older versions in use, and
 * candidates. For the admin thread. */
#ifndef SLUICE_ADMIN_VERSION_FIGURES_H
#define SLUICE_ADMIN_VERSION_FIGURES_H

#include "admin/context.h"
#include "base/json.h"
#include "enforce/tally.h"

/* Of one version of the entry. */
void version_figures_sum(const struct admin *admin, const struct registry_entry *entry,
                         const struct schema_version *version, uint64_t counts[TALLY_COUNTS]);

/* The effects of the candidates of all namespaces. */
struct version_totals {
    size_t candidates; /* namespaces with a candidate */
    uint64_t tried[TALLY_COUNTS];
    uint64_t older; /* documents that only an older version accepts */
};
void version_figures_total(const struct admin *admin, const struct registry *registry,
                           struct version_totals *out);

/* Writes the members of a namespace's object: `versions`, newest first, and `candidate`, null
 * without one. `whole` adds the schemas, the candidate's refusals by reason, application and
 * driver, and the last refusals, with errInfo if `show_values` is set. */
void version_figures_write(const struct admin *admin, const struct registry_entry *entry,
                           bool whole, bool show_values, struct json *json);

#endif
