/* The upstream's collections that have validators: takes those that changed into the set. */
#ifndef SLUICE_CATALOG_COLLECTIONS_H
#define SLUICE_CATALOG_COLLECTIONS_H

#include "catalog/current_set.h"
#include "catalog/suspensions.h"
#include "catalog/validators.h"

struct collection; /* the validator that was found last */

struct collections {
    struct collection *of;
    size_t count;
};

/* `all` replaces the validators of before: the set loses those that are not among them, and does
 * not get those that `suspensions` cover. False when memory is out; the set stays as it is then. */
bool collections_take(struct collections *collections, struct current_set *set,
                      const struct suspensions *suspensions, const struct validators_found *all,
                      size_t count);
/* Takes the validators of those namespaces out of the set, until they are read anew. */
void collections_suspend(struct collections *collections, struct current_set *set,
                         const struct suspension_scope *scope);
void collections_release(struct collections *collections);

#endif
