/* The upstream's collections with validators: puts changed ones into the set. */
#ifndef SLUICE_CATALOG_COLLECTIONS_H
#define SLUICE_CATALOG_COLLECTIONS_H

#include "catalog/current_set.h"
#include "catalog/suspensions.h"
#include "catalog/validators.h"

struct collection; /* the last known validator */

struct collections {
    struct collection *of;
    size_t count;
};

/* `all` replaces the earlier validators: the set loses validators that are not in it, and does not
 * get those that `suspensions` covers. False without memory; the set then stays unchanged. */
bool collections_take(struct collections *collections, struct current_set *set,
                      const struct suspensions *suspensions, const struct validators_found *all,
                      size_t count);
/* Removes the validators of these namespaces from the set, until they are read anew. */
void collections_suspend(struct collections *collections, struct current_set *set,
                         const struct suspension_scope *scope);
void collections_release(struct collections *collections);

#endif
