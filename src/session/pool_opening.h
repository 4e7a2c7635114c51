/* Connections that the proxy opens for a pool. The proxy sends the saved hello of the application
 * on it, and the connection joins the pool after the reply. */
#ifndef SLUICE_SESSION_POOL_OPENING_H
#define SLUICE_SESSION_POOL_OPENING_H

#include "session/pool.h"
#include "session/session_worker.h"

/* False without memory. */
bool pool_opening_start(struct session_worker *worker, struct pool *pool);
/* Ends attempts that take too long (option connect_timeout_ms). */
void pool_opening_tick(struct session_worker *worker, int64_t now_ms);

#endif
