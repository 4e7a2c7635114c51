#include "merge/session_pool.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/table.h"

#include <utlist.h>

struct pool_owner {
    UT_hash_handle hh;
    struct pool_session *idle; /* the most recently used is first */
    size_t lent;
    bool unhashed; /* there was no memory to insert it */
    size_t key_len;
    uint8_t key[];
};

struct session_pool {
    pool_random random;
    struct pool_owner *owners;
    size_t idle;
    size_t sweep_at; /* at this number of owners: look for unneeded ones */
};

enum { SWEEP_LEAST = 64 };

struct session_pool *session_pool_create(pool_random random)
{
    struct session_pool *pool = memory_zalloc(sizeof *pool);
    if (pool == NULL)
        return NULL;
    pool->random = random;
    pool->sweep_at = SWEEP_LEAST;
    return pool;
}

static void drop_idle(struct session_pool *pool, struct pool_owner *owner)
{
    struct pool_session *session = owner->idle;
    LL_DELETE(owner->idle, session);
    memory_free(session);
    pool->idle--;
}

/* uthash's macro makes it long. */
// NOLINTNEXTLINE(readability-function-size)
static void drop_owner_if_empty(struct session_pool *pool, struct pool_owner *owner)
{
    if (owner->idle != NULL || owner->lent > 0)
        return;
    HASH_DEL(pool->owners, owner);
    memory_free(owner);
}

void session_pool_destroy(struct session_pool *pool)
{
    struct pool_owner *owner = NULL;
    struct pool_owner *next = NULL;
    if (pool == NULL)
        return;
    HASH_ITER(hh, pool->owners, owner, next)
    {
        sluice_assert(owner->lent == 0);
        while (owner->idle != NULL)
            drop_idle(pool, owner);
        drop_owner_if_empty(pool, owner);
    }
    memory_free(pool);
}

/* The sessions at the end of an owner's list are the oldest. */
static void expire(struct session_pool *pool, struct pool_owner *owner, int64_t now_us)
{
    struct pool_session *session = NULL;
    struct pool_session *next = NULL;
    LL_FOREACH_SAFE(owner->idle, session, next)
    {
        if (now_us - session->used_us < POOL_IDLE_US)
            continue;
        LL_DELETE(owner->idle, session);
        memory_free(session);
        pool->idle--;
    }
}

static void sweep(struct session_pool *pool, int64_t now_us)
{
    struct pool_owner *owner = NULL;
    struct pool_owner *next = NULL;
    HASH_ITER(hh, pool->owners, owner, next)
    {
        expire(pool, owner, now_us);
        drop_owner_if_empty(pool, owner);
    }
    pool->sweep_at = 2 * HASH_COUNT(pool->owners) + SWEEP_LEAST;
}

/* uthash's macro makes it long. */
// NOLINTNEXTLINE(readability-function-size)
static struct pool_owner *find_owner(struct session_pool *pool, struct bytes key)
{
    struct pool_owner *owner = NULL;
    HASH_FIND(hh, pool->owners, key.pos, bytes_left(&key), owner);
    return owner;
}

/* uthash's macro makes it long. */
// NOLINTNEXTLINE(readability-function-size)
static struct pool_owner *add_owner(struct session_pool *pool, struct bytes key)
{
    size_t len = bytes_left(&key);
    struct pool_owner *owner = memory_zalloc(sizeof *owner + len);
    if (owner == NULL)
        return NULL;
    owner->key_len = len;
    memcpy(owner->key, key.pos, len);
    HASH_ADD_KEYPTR(hh, pool->owners, owner->key, len, owner);
    if (!owner->unhashed)
        return owner;
    memory_free(owner);
    return NULL;
}

static struct pool_session *make(struct session_pool *pool, struct pool_owner *owner)
{
    struct pool_session *session = memory_zalloc(sizeof *session);
    if (session == NULL)
        return NULL;
    if (!pool->random(session->lsid, LSID_BYTES)) {
        memory_free(session);
        return NULL;
    }
    session->lsid[6] = (uint8_t)(0x40 | (session->lsid[6] & 0x0F)); /* UUID version 4 */
    session->lsid[8] = (uint8_t)(0x80 | (session->lsid[8] & 0x3F));
    session->owner = owner;
    return session;
}

struct pool_session *session_pool_take(struct session_pool *pool, struct bytes owner_key,
                                       int64_t now_us, bool *made)
{
    struct pool_owner *owner = find_owner(pool, owner_key);
    if (owner == NULL) {
        if (HASH_COUNT(pool->owners) >= pool->sweep_at)
            sweep(pool, now_us);
        owner = add_owner(pool, owner_key);
    }
    if (owner == NULL)
        return NULL;
    expire(pool, owner, now_us);
    struct pool_session *session = owner->idle;
    *made = session == NULL;
    if (session == NULL) {
        session = make(pool, owner);
    } else {
        LL_DELETE(owner->idle, session);
        pool->idle--;
    }
    if (session == NULL) {
        drop_owner_if_empty(pool, owner);
        return NULL;
    }
    owner->lent++;
    session->number++;
    return session;
}

void session_pool_give_back(struct session_pool *pool, struct pool_session *session, int64_t now_us)
{
    session->used_us = now_us;
    session->owner->lent--;
    LL_PREPEND(session->owner->idle, session);
    pool->idle++;
}

void session_pool_retire(struct session_pool *pool, struct pool_session *session)
{
    session->owner->lent--;
    drop_owner_if_empty(pool, session->owner);
    memory_free(session);
}

size_t session_pool_idle(const struct session_pool *pool)
{
    return pool->idle;
}
