/* The result of an audit, as text and as JSON. */
#ifndef SLUICE_CLI_AUDIT_REPORT_H
#define SLUICE_CLI_AUDIT_REPORT_H

#include "audit/audit_bounds.h"
#include "audit/audit_count.h"
#include "base/json.h"

struct audit_result {
    const char *ns;
    struct audit_count *count;
    struct audit_bounds *bounds; /* NULL: no proposals */
    double seconds;
    const char *note;  /* why there was no collection to read; NULL: there was */
    const char *error; /* NULL: none */
};

void audit_report_text(const struct audit_result *result, struct text *out);
void audit_report_json(const struct audit_result *result, struct json *out);

/* The line about the progress of a scan. `total`: 0 if it is not known. */
void audit_report_progress(const char *ns, uint64_t documents, uint64_t total, double seconds,
                           uint64_t before, struct text *out);

#endif
