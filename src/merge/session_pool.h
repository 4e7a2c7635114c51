/* The proxy's own logical sessions (P), under which batches go. Each worker has a pool.
 *
 * A session belongs to an owner: the identity (servers keep sessions apart by user, so P means
 * another session under another user) and the server it is used at. It carries one batch at a time,
 * each under the next higher number, and goes back to its pool afterwards; so there are about as
 * many as there are batches at one time. One whose batch left an insert behind of which the outcome
 * is not known is retired instead: retry_table.h, rule 2.
 *
 * None is ended with endSessions: the server forgets an idle one after 30 minutes by itself
 * (logicalSessionTimeoutMinutes), and so does the pool. One that the server forgot before us is
 * still good: a number that was never used is new in any case.
 *
 * Pure; not thread-safe. */
#ifndef SLUICE_MERGE_SESSION_POOL_H
#define SLUICE_MERGE_SESSION_POOL_H

#include <stdbool.h>

#include "base/bytes.h"
#include "wire/lsid.h"

/* Idle for longer: let go. */
#define POOL_IDLE_US ((int64_t)30 * 60 * 1000 * 1000)

struct pool_owner;

struct pool_session {
    struct pool_session *next; /* of the idle ones */
    struct pool_owner *owner;
    uint8_t lsid[LSID_BYTES];
    int64_t number; /* of the present batch */
    int64_t used_us;
};

/* Fills `out` with random bytes; false when there are none to be had. */
typedef bool (*pool_random)(void *out, size_t len);

struct session_pool;

struct session_pool *session_pool_create(pool_random random); /* NULL when memory is out */
/* All sessions must have been given back. NULL is allowed. */
void session_pool_destroy(struct session_pool *pool);

/* A session for one batch, with a number not used before; made if none is idle (*made). `owner`:
 * identity and server as one key. NULL when memory or randomness is out. Given back with one of the
 * two below. */
struct pool_session *session_pool_take(struct session_pool *pool, struct bytes owner,
                                       int64_t now_us, bool *made);
void session_pool_give_back(struct session_pool *pool, struct pool_session *session,
                            int64_t now_us);
void session_pool_retire(struct session_pool *pool, struct pool_session *session);

size_t session_pool_idle(const struct session_pool *pool);

#endif
