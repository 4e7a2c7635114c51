/* The proxy's own logical sessions (P) for batches. Each worker has a pool.
 *
 * A session belongs to an owner: the identity (servers separate sessions by user, so P under
 * another user is another session) and the server. It carries one batch at a time, each under the
 * next higher number, and then returns to its pool. So there are about as many sessions as
 * simultaneous batches. If a batch leaves an insert with an unknown result, its session is retired
 * instead: see retry_table.h, rule 2.
 *
 * The proxy does not end sessions with endSessions: the server forgets an idle one after 30 minutes
 * (logicalSessionTimeoutMinutes), and so does the pool. A session that the server forgot earlier is
 * still usable: an unused number is new in any case.
 *
 * Pure; not thread-safe. */
#ifndef SLUICE_MERGE_SESSION_POOL_H
#define SLUICE_MERGE_SESSION_POOL_H

#include <stdbool.h>

#include "base/bytes.h"
#include "wire/lsid.h"

/* Sessions that are idle for longer are dropped. */
#define POOL_IDLE_US ((int64_t)30 * 60 * 1000 * 1000)

struct pool_owner;

struct pool_session {
    struct pool_session *next; /* of the idle ones */
    struct pool_owner *owner;
    uint8_t lsid[LSID_BYTES];
    int64_t number; /* of the current batch */
    int64_t used_us;
};

/* Fills `out` with random bytes; false if there are none. */
typedef bool (*pool_random)(void *out, size_t len);

struct session_pool;

struct session_pool *session_pool_create(pool_random random); /* NULL when memory is out */
/* All sessions must have been returned. NULL is allowed. */
void session_pool_destroy(struct session_pool *pool);

/* Returns a session for one batch, with an unused number; makes one if none is idle (*made).
 * `owner` is identity and server as one key. NULL without memory or randomness. Return it with one
 * of the two functions below. */
struct pool_session *session_pool_take(struct session_pool *pool, struct bytes owner,
                                       int64_t now_us, bool *made);
void session_pool_give_back(struct session_pool *pool, struct pool_session *session,
                            int64_t now_us);
void session_pool_retire(struct session_pool *pool, struct pool_session *session);

size_t session_pool_idle(const struct session_pool *pool);

#endif
