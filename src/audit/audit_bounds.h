/* The tightest bounds that all documents satisfy, for the keywords that a schema has already: the
 * output of `mongosluice audit --propose`. Pure.
 *
 * It covers only keywords that hold for every document: those in properties, items, allOf and
 * references. It skips those inside anyOf, oneOf, not, if and dependencies. */
#ifndef SLUICE_AUDIT_AUDIT_BOUNDS_H
#define SLUICE_AUDIT_AUDIT_BOUNDS_H

#include "bson/build.h"
#include "schema/schema.h"

struct audit_bounds;

/* The schema must outlive it. NULL without memory. */
struct audit_bounds *audit_bounds_new(const struct schema *schema);
void audit_bounds_free(struct audit_bounds *bounds); /* NULL is allowed */

/* Adds one document; skips malformed BSON. */
void audit_bounds_add(struct audit_bounds *bounds, struct bytes document);

/* One keyword. The texts are valid during the call. */
struct audit_bound {
    const char *path; /* JSON pointer to the keyword in the schema */
    const char *keyword;
    struct bytes value; /* a document {file, stored}: the schema's value, and the tightest bound */
    bool looser;        /* documents break the schema's value */
};
typedef void audit_bound_fn(void *arg, const struct audit_bound *bound);

/* Reports each keyword with a different bound. False without memory, or with more places than are
 * kept. */
bool audit_bounds_each(const struct audit_bounds *bounds, audit_bound_fn *report, void *arg);

#endif
