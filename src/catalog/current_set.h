/* The set of enforced schemas, and the next set during a change. */
#ifndef SLUICE_CATALOG_CURRENT_SET_H
#define SLUICE_CATALOG_CURRENT_SET_H

#include "catalog/registry.h"

/* Gets each new set, borrowed during the call. */
typedef void catalog_publish_fn(void *arg, struct registry *registry);

/* One thread at a time makes changes; every thread may read. */
struct current_set {
    size_t memory_max;         /* for all compiled schemas */
    struct registry *registry; /* enforced; `lock` guards it when other threads read it */
    struct registry *draft;    /* NULL outside a change */
    size_t broken;             /* guarded by lock */
    char *problems;            /* of broken files, a JSON array; NULL: none; guarded by lock */
    pthread_mutex_t lock;
    catalog_publish_fn *publish; /* NULL is allowed */
    void *arg;
};

/* False without memory. The caller must call current_set_release in both cases. */
bool current_set_init(struct current_set *set, size_t memory_max);
void current_set_release(struct current_set *set);

/* The set for the current change; NULL without memory. */
struct registry *current_set_draft(struct current_set *set);
/* The draft if there is one, otherwise the enforced set. Borrowed. */
const struct registry *current_set_latest(const struct current_set *set);
/* True if memory_max leaves room for the compiled schema in place of the one with its namespace and
 * origin. */
bool current_set_fits(const struct current_set *set, const struct schema_file *file,
                      enum registry_origin origin, struct error *err);
/* Enforces the draft, if there is one. `broken` is the number of schema files with errors, and
 * `problems` a JSON array of the first ones (NULL: none), which is copied. */
void current_set_publish(struct current_set *set, size_t broken, const char *problems);

/* Any thread. A reference to the enforced set. */
struct registry *current_set_registry(struct current_set *set);
/* Any thread. The number of schema files with errors at the last publication. */
size_t current_set_broken(struct current_set *set);
/* Any thread. A copy of their problems, from memory_alloc; NULL: none. */
char *current_set_problems(struct current_set *set);

#endif
