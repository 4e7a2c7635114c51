/* A file that says how far an audit came, so that it can go on from there: for each namespace the
 * last _id and the counts up to it. Written as a whole, in one move. */
#ifndef SLUICE_AUDIT_AUDIT_RESUME_H
#define SLUICE_AUDIT_AUDIT_RESUME_H

#include "audit/audit_count.h"

struct audit_resume;

/* A file that is not there is an empty one. NULL with err set: it cannot be read, or is none. */
struct audit_resume *audit_resume_open(const char *path, struct error *err);
void audit_resume_close(struct audit_resume *resume); /* NULL is allowed */

struct audit_progress {
    struct audit_count *count;
    uint8_t last_kind; /* of the last _id; 0: none */
    struct bytes last; /* its value; in the resume after audit_resume_find */
    bool done;
};

/* Where the namespace stands; nothing is changed where the file does not know it. `schemas` names
 * what the documents are held against: counts by others are of no use. */
bool audit_resume_find(const struct audit_resume *resume, const char *ns, const char *schemas,
                       struct audit_progress *progress, struct error *err);
bool audit_resume_save(struct audit_resume *resume, const char *ns, const char *schemas,
                       const struct audit_progress *progress, struct error *err);

/* The audit is through: the file goes. */
void audit_resume_remove(const struct audit_resume *resume);

#endif
