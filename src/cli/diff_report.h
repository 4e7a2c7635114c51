/* The comparison of two schema files as text or JSON. */
#ifndef SLUICE_CLI_DIFF_REPORT_H
#define SLUICE_CLI_DIFF_REPORT_H

#include "base/text.h"
#include "compare/compatibility.h"
#include "schema/file.h"

struct diff_names {
    const char *old_name, *new_name; /* of the files, or of versions */
};

/* Appends the report to `out`, with `json` as one JSON object and a line feed. The verdict covers
 * all accepted versions of each file; the listed changes are those between the newest ones. False
 * with err set without memory. */
bool diff_report(const struct schema_file *old_file, const struct schema_file *new_file,
                 const struct diff_names *names, bool json, struct text *out,
                 enum compatibility_answer *backward, struct error *err);

#endif
