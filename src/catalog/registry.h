/* Maps namespaces to schemas: an immutable, counted set that is replaced as a whole when a file or
 * a validator changes. Sets share their entries, so a new set costs a table of pointers. Pure.
 *
 * Retain, release and reading are thread-safe. One thread edits a set before others see it. */
#ifndef SLUICE_CATALOG_REGISTRY_H
#define SLUICE_CATALOG_REGISTRY_H

#include "catalog/left_out.h"
#include "catalog/registry_entry.h"

struct registry;

/* An empty set, or one with the entries of another. One reference. NULL without memory. */
struct registry *registry_new(void);
struct registry *registry_copy(const struct registry *from);
struct registry *registry_retain(struct registry *registry);
void registry_release(struct registry *registry); /* NULL is allowed */

/* Replaces the entry with the same namespace and origin, and continues its stats. Takes over the
 * reference, also on failure. False without memory. */
bool registry_put(struct registry *registry, struct registry_entry *entry);
/* False if there was none. If both origins had an entry, the other one is now enforced. */
bool registry_remove(struct registry *registry, const char *ns, size_t len,
                     enum registry_origin origin);

/* Marks the collection's validator as not enforced in this set, with the reason; NULL removes the
 * mark. False without memory. */
bool registry_leave_out(struct registry *registry, const char *ns, const char *reason);
/* The entry of the namespace, or NULL; or all entries, sorted. Borrowed from the set, which may be
 * NULL. */
const struct registry_left_out *registry_find_left_out(const struct registry *registry,
                                                       const char *ns);
const struct registry_left_out *registry_left_out(const struct registry *registry, size_t *count);

/* The memory of the compiled schemas of all entries, including those that are not enforced. */
size_t registry_bytes(const struct registry *registry);
/* The memory of the entry with this namespace and origin; 0 without one. */
size_t registry_bytes_of(const struct registry *registry, const char *ns,
                         enum registry_origin origin);

/* The entry with this namespace and origin, borrowed; NULL without one. */
struct registry_entry *registry_entry_of(const struct registry *registry, const char *ns,
                                         size_t len, enum registry_origin origin);
/* The enforced entry, borrowed from the set; NULL without one. `registry` may be NULL. */
const struct registry_entry *registry_find(const struct registry *registry, const char *ns,
                                           size_t len);
/* The number of enforced entries; 0 for an empty or missing set. */
size_t registry_size(const struct registry *registry);

/* True if a schema is enforced in this database: one whose level is not off. */
bool registry_guards(const struct registry *registry, struct bytes database);
/* The first entry there (of all, if database is empty) that rejects unproved writes and does more
 * than warn; NULL without one. */
const struct registry_entry *registry_strictest(const struct registry *registry,
                                                struct bytes database);

/* Visits every enforced entry, sorted by namespace. Stops when `each` returns false. */
void registry_each(const struct registry *registry,
                   bool (*each)(void *arg, const struct registry_entry *entry), void *arg);

#endif
