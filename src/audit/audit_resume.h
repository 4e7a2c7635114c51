/* The file with the position of an audit, for its continuation: for each namespace the last _id and
 * the counts up to it. A write replaces the whole file at once. */
#ifndef SLUICE_AUDIT_AUDIT_RESUME_H
#define SLUICE_AUDIT_AUDIT_RESUME_H

#include "audit/audit_count.h"

struct audit_resume;

/* A missing file counts as empty. NULL with err set: the file cannot be read or has another form.
 */
struct audit_resume *audit_resume_open(const char *path, struct error *err);
void audit_resume_close(struct audit_resume *resume); /* NULL is allowed */

struct audit_progress {
    struct audit_count *count;
    uint8_t last_kind; /* of the last _id; 0: none */
    struct bytes last; /* its value; owned by the resume after audit_resume_find */
    bool done;
};

/* Finds the position of the namespace; changes nothing if the file does not have it. `schemas`
 * identifies the schemas of the check: counts by other schemas are an error. */
bool audit_resume_find(const struct audit_resume *resume, const char *ns, const char *schemas,
                       struct audit_progress *progress, struct error *err);
bool audit_resume_save(struct audit_resume *resume, const char *ns, const char *schemas,
                       const struct audit_progress *progress, struct error *err);

/* Removes the file, because the audit is complete. */
void audit_resume_remove(const struct audit_resume *resume);

#endif
