/* The set of schemas that the proxy enforces, and the next one while a change is made. */
#ifndef SLUICE_CATALOG_CURRENT_SET_H
#define SLUICE_CATALOG_CURRENT_SET_H

#include "catalog/registry.h"

/* Gets each new set, borrowed for the call. */
typedef void catalog_publish_fn(void *arg, struct registry *registry);

/* One thread at a time makes changes; every thread may read. */
struct current_set {
    size_t memory_max;         /* for all compiled schemas */
    struct registry *registry; /* in force; guarded by lock where other threads read it */
    struct registry *draft;    /* NULL while no change is made */
    size_t broken;             /* guarded by lock */
    pthread_mutex_t lock;
    catalog_publish_fn *publish; /* NULL is allowed */
    void *arg;
};

/* False when memory is out. current_set_release is due in both cases. */
bool current_set_init(struct current_set *set, size_t memory_max);
void current_set_release(struct current_set *set);

/* The set that is being changed; NULL when memory is out. */
struct registry *current_set_draft(struct current_set *set);
/* The draft where there is one, else the set in force. Borrowed. */
const struct registry *current_set_latest(const struct current_set *set);
/* Whether memory_max leaves room for the compiled schema in the place of the one with its namespace
 * and origin. */
bool current_set_fits(const struct current_set *set, const struct schema_file *file,
                      enum registry_origin origin, struct error *err);
/* Puts the draft in force where there is one. broken: schema files with errors. */
void current_set_publish(struct current_set *set, size_t broken);

/* Any thread. A reference to the set in force. */
struct registry *current_set_registry(struct current_set *set);
/* Any thread. The schema files that had errors when the set was published last. */
size_t current_set_broken(struct current_set *set);

#endif
