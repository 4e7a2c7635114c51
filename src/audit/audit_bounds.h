/* The tightest bounds that all documents meet, of the keywords that a schema has already: what
 * `mongosluice audit --propose` prints. Pure.
 *
 * Only keywords that hold for every document are looked at: along properties, items, allOf and
 * references. Those inside anyOf, oneOf, not, if and dependencies are left out. */
#ifndef SLUICE_AUDIT_AUDIT_BOUNDS_H
#define SLUICE_AUDIT_AUDIT_BOUNDS_H

#include "bson/build.h"
#include "schema/schema.h"

struct audit_bounds;

/* The schema must outlive it. NULL without memory. */
struct audit_bounds *audit_bounds_new(const struct schema *schema);
void audit_bounds_free(struct audit_bounds *bounds); /* NULL is allowed */

/* Looks at one document; one that is no BSON is left out. */
void audit_bounds_add(struct audit_bounds *bounds, struct bytes document);

/* One keyword. The texts are lent for the call. */
struct audit_bound {
    const char *path; /* JSON pointer to the keyword in the schema */
    const char *keyword;
    struct bytes value; /* a document {file, stored}: what the schema says, and what would hold */
    bool looser;        /* documents break what the schema says */
};
typedef void audit_bound_fn(void *arg, const struct audit_bound *bound);

/* Each keyword whose value would be another. False without memory, or where there were more places
 * than are kept. */
bool audit_bounds_each(const struct audit_bounds *bounds, audit_bound_fn *report, void *arg);

#endif
