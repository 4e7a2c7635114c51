/* Which namespace has which schema: an immutable, counted set that is replaced as a whole when a
 * file or a collection's validator changes. Entries are shared between sets, so a new set costs a
 * table of pointers. Pure.
 *
 * Retain, release and reading are thread-safe; a set is edited by one thread, before others see
 * it. */
#ifndef SLUICE_CATALOG_REGISTRY_H
#define SLUICE_CATALOG_REGISTRY_H

#include "catalog/left_out.h"
#include "catalog/registry_entry.h"

struct registry;

/* An empty set, or one with the entries of another. One reference. NULL when memory is out. */
struct registry *registry_new(void);
struct registry *registry_copy(const struct registry *from);
struct registry *registry_retain(struct registry *registry);
void registry_release(struct registry *registry); /* NULL is allowed */

/* Puts the entry in the place of the one with its namespace and origin, whose stats it takes over.
 * Takes over the reference, also on failure. False when memory is out. */
bool registry_put(struct registry *registry, struct registry_entry *entry);
/* False when there was none. Where both origins had one, the other comes into force. */
bool registry_remove(struct registry *registry, const char *ns, size_t len,
                     enum registry_origin origin);

/* The collection's validator is not enforced, in this set, for that reason; NULL: it is, or there
 * is none. False when memory is out. */
bool registry_leave_out(struct registry *registry, const char *ns, const char *reason);
/* Of the namespace, NULL for none; or all of them, sorted. Borrowed from the set, which may be
 * NULL.
 */
const struct registry_left_out *registry_find_left_out(const struct registry *registry,
                                                       const char *ns);
const struct registry_left_out *registry_left_out(const struct registry *registry, size_t *count);

/* What the compiled schemas of all entries take, those that are not in force included. */
size_t registry_bytes(const struct registry *registry);
/* Of the entry with that namespace and origin; 0 without one. */
size_t registry_bytes_of(const struct registry *registry, const char *ns,
                         enum registry_origin origin);

/* The entry with that namespace and origin, borrowed; NULL without one. */
struct registry_entry *registry_entry_of(const struct registry *registry, const char *ns,
                                         size_t len, enum registry_origin origin);
/* The entry in force, borrowed from the set; NULL where there is none. `registry` may be NULL. */
const struct registry_entry *registry_find(const struct registry *registry, const char *ns,
                                           size_t len);
/* Also for an empty or missing set: 0. Entries in force. */
size_t registry_size(const struct registry *registry);

/* Whether a schema is in force in that database: one whose level is not off. */
bool registry_guards(const struct registry *registry, struct bytes database);
/* The first entry there (of all, where database is empty) that rejects what cannot be proved, and
 * does more than warn of it; NULL where there is none. */
const struct registry_entry *registry_strictest(const struct registry *registry,
                                                struct bytes database);

/* Every entry in force, sorted by namespace. Returns at the first false of `each`. */
void registry_each(const struct registry *registry,
                   bool (*each)(void *arg, const struct registry_entry *entry), void *arg);

#endif
