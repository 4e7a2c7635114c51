#include "session/pool_queue.h"

#include <utlist.h>

#include "base/assert.h"
#include "session/pool_internal.h"

bool pool_wait(struct pool *pool, struct pool_waiter *waiter, bool awaits, int64_t now_ms)
{
    sluice_assert(waiter->pool == NULL);
    if (pool->server->waiting >= pool->pools->limits.waiters_max)
        return false;
    pool->server->waiting++;
    *waiter = (struct pool_waiter){.pool = pool, .since_ms = now_ms, .awaits = awaits};
    if (awaits) {
        DL_APPEND(pool->awaiting, waiter);
        pool->awaiting_waiting++;
    } else {
        DL_APPEND(pool->plain, waiter);
        pool->plain_waiting++;
    }
    pool_note(pool);
    return true;
}

static void leave(struct pool_waiter *waiter)
{
    struct pool *pool = waiter->pool;
    pool->server->waiting--;
    if (waiter->awaits) {
        DL_DELETE(pool->awaiting, waiter);
        pool->awaiting_waiting--;
    } else {
        DL_DELETE(pool->plain, waiter);
        pool->plain_waiting--;
    }
    *waiter = (struct pool_waiter){0};
}

void pool_leave(struct pool_waiter *waiter)
{
    struct pool *pool = waiter->pool;
    if (pool == NULL)
        return;
    leave(waiter);
    pool_note(pool);
}

bool pool_may_overtake(const struct pool *pool, bool awaits)
{
    return pool->plain == NULL && (!awaits || pool->awaiting == NULL);
}

/* The oldest waiter that may have a connection now. */
static struct pool_waiter *first_servable(const struct pool *pool)
{
    struct pool_waiter *plain = pool->plain;
    struct pool_waiter *awaiting =
        pool->count.awaiting < pool->pools->limits.await_max ? pool->awaiting : NULL;
    if (plain == NULL || awaiting == NULL)
        return plain != NULL ? plain : awaiting;
    return awaiting->since_ms < plain->since_ms ? awaiting : plain;
}

struct pool_waiter *pools_next(struct pools *pools, struct pool_entry **entry)
{
    struct pool *pool = pools->lists[LIST_READY];
    if (pool == NULL)
        return NULL;
    struct pool_waiter *waiter = first_servable(pool);
    *entry = pool_take(pool, waiter->awaits);
    sluice_assert(*entry != NULL);
    leave(waiter);
    pool_rotate(pool, LIST_READY);
    pool_note(pool);
    return waiter;
}

struct pool_waiter *pools_next_hopeless(struct pools *pools)
{
    struct pool *pool = pools->lists[LIST_HOPELESS];
    if (pool == NULL)
        return NULL;
    struct pool_waiter *waiter = pool_oldest_waiter(pool);
    leave(waiter);
    pool_note(pool);
    return waiter;
}

/* The entry of the server that is idle for the longest time and can be spared; NULL: none. */
static struct pool_entry *find_victim(const struct pool_server *server, const struct pool *asking)
{
    struct pool_entry *victim = NULL;
    for (struct pool *pool = server->all; pool != NULL; pool = pool->next_of_server) {
        if (pool == asking || pool->idle == NULL || pool_is_last(pool))
            continue;
        struct pool_entry *oldest = pool->idle->prev;
        if (victim == NULL || oldest->idle_since_ms < victim->idle_since_ms)
            victim = oldest;
    }
    return victim;
}

/* Whether the server has room for one more connection of the pool. */
static bool may_open(struct pool *pool, struct pool_entry **victim)
{
    const struct pool_limits *limits = &pool->pools->limits;
    struct pool_server *server = pool->server;
    *victim = NULL;
    if (server->logins >= limits->logins_max)
        return false;
    /* clients without a login must not take the connections of all others */
    if (pool->of_logins && server->own >= pool_own_max(limits))
        return false;
    if (!pool->of_logins && pool->count.size > 0 && pool->identity->size >= limits->max_size) {
        *victim = pool->plain != NULL || pool->awaiting != NULL ? pool_sibling_victim(pool) : NULL;
        return *victim != NULL;
    }
    if (server->total < limits->max_total)
        return true;
    if (pool->plain == NULL && pool->awaiting == NULL)
        return false; /* it wants idle ones only */
    if (!server->exhausted)
        *victim = find_victim(server, pool);
    server->exhausted = *victim == NULL;
    if (*victim == NULL && (pool->of_logins || pool->count.size < pool_fair_share(server)))
        server->starved = true;
    return *victim != NULL;
}

static void forget_starved(struct pools *pools)
{
    for (struct pool_server *server = pools->servers; server != NULL; server = server->hh.next) {
        server->starved = false;
        server->exhausted = false;
        server->share = 0;
    }
}

struct pool *pools_next_to_open(struct pools *pools, struct pool_entry **victim,
                                struct pool_waiter **waiter)
{
    *waiter = NULL;
    *victim = NULL;
    if (!pools->look_for_openings)
        return NULL;
    forget_starved(pools);
    for (struct pool *pool = pools->lists[LIST_NEEDY]; pool != NULL;
         pool = pool_after(pool, LIST_NEEDY)) {
        if (!may_open(pool, victim))
            continue;
        pool_rotate(pool, LIST_NEEDY);
        if (pool->of_logins) {
            *waiter = pool->plain;
            leave(*waiter);
            pool_note(pool);
        }
        return pool;
    }
    pools->look_for_openings = false;
    return NULL;
}

bool pools_have_work(const struct pools *pools)
{
    return pools->lists[LIST_READY] != NULL || pools->lists[LIST_HOPELESS] != NULL ||
           (pools->look_for_openings && pools->lists[LIST_NEEDY] != NULL);
}

struct pool_waiter *pool_oldest_waiter(struct pool *pool)
{
    struct pool_waiter *plain = pool->plain;
    struct pool_waiter *awaiting = pool->awaiting;
    if (plain == NULL || awaiting == NULL)
        return plain != NULL ? plain : awaiting;
    return awaiting->since_ms < plain->since_ms ? awaiting : plain;
}

static void count_pins(const struct pool *pool, struct pool_figures *figures)
{
    figures->waiting = pool->plain_waiting + pool->awaiting_waiting;
    const struct pool_waiter *plain = pool->plain;
    const struct pool_waiter *awaiting = pool->awaiting;
    if (plain != NULL)
        figures->oldest_wait_ms = plain->since_ms;
    if (awaiting != NULL && (plain == NULL || awaiting->since_ms < plain->since_ms))
        figures->oldest_wait_ms = awaiting->since_ms;
}

void pools_each(struct pools *pools,
                void (*each)(void *arg, struct pool *pool, const struct pool_figures *figures),
                void *arg)
{
    for (struct pool *pool = pools->table; pool != NULL; pool = pool->hh.next) {
        struct pool_figures figures = pool->count;
        count_pins(pool, &figures);
        each(arg, pool, &figures);
    }
}
