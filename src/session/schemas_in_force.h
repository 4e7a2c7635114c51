/* The current set of schemas, for all workers. A new set takes effect at its publication: each
 * worker looks for a newer set before it uses its own. */
#ifndef SLUICE_SESSION_SCHEMAS_IN_FORCE_H
#define SLUICE_SESSION_SCHEMAS_IN_FORCE_H

#include <pthread.h>
#include <stdatomic.h>

#include "catalog/registry.h"

struct schemas_in_force {
    pthread_mutex_t lock;      /* guards the set */
    struct registry *registry; /* a reference; NULL: no schemas */
    _Atomic uint64_t version;  /* of the set */
};

/* A thread's own reference. All zeros: none. */
struct schemas_held {
    struct registry *registry;
    uint64_t version;
};

void schemas_in_force_init(struct schemas_in_force *in_force);
void schemas_in_force_release(struct schemas_in_force *in_force);

/* Any thread; takes over a reference. */
void schemas_in_force_publish(struct schemas_in_force *in_force, struct registry *registry);

/* Takes over a newer set. False when there is none. */
bool schemas_in_force_take(struct schemas_in_force *in_force, struct schemas_held *held);

#endif
