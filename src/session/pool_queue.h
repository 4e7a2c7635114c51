/* The clients that wait for a shared connection, and the order in which they get it. In a pool, the
 * first one comes first. Pools that compete for a server's connections take turns. Pure. */
#ifndef SLUICE_SESSION_POOL_QUEUE_H
#define SLUICE_SESSION_POOL_QUEUE_H

#include "session/pool.h"

/* In each client; all zeros: it does not wait. */
struct pool_waiter {
    struct pool_waiter *prev, *next;
    struct pool *pool; /* NULL: it does not wait */
    int64_t since_ms;
    bool awaits; /* its command awaits data */
};

/* False if too many wait for this server. */
bool pool_wait(struct pool *pool, struct pool_waiter *waiter, bool awaits, int64_t now_ms);
/* Idempotent. */
void pool_leave(struct pool_waiter *waiter);
/* True if nobody waits before a new client with such a command. */
bool pool_may_overtake(const struct pool *pool, bool awaits);

/* The next client that gets a connection: the entry is LEASED, and the client waits no longer.
 * NULL: none. */
struct pool_waiter *pools_next(struct pools *pools, struct pool_entry **entry);
/* The first client that waits for a pool without hope; it waits no longer. NULL: none. */
struct pool_waiter *pools_next_hopeless(struct pools *pools);
/* The next pool that opens a connection. *victim is an IDLE entry that must be closed before; NULL:
 * none. For a pool of logins, *waiter is the client that opens it, and waits no longer. */
struct pool *pools_next_to_open(struct pools *pools, struct pool_entry **victim,
                                struct pool_waiter **waiter);
/* True if one of these three would find something. */
bool pools_have_work(const struct pools *pools);
/* The pool's waiter of the longest time; NULL: none. */
struct pool_waiter *pool_oldest_waiter(struct pool *pool);

#endif
