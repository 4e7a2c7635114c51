/* Connections of shared mode that no client holds: idle ones, ones whose client left before its
 * reply came, and ones whose identity the server was asked for. */
#ifndef SLUICE_SESSION_POOL_REST_H
#define SLUICE_SESSION_POOL_REST_H

#include "session/upstream_connection.h"

/* A held connection has done its work: back to its pool. May close it. */
void pool_rest_put(struct upstream_connection *connection);
/* A connection that left or never was in a pool joins one. True if it is in the pool; otherwise it
 * is closed, because the pool is full. */
bool pool_rest_join(struct upstream_connection *connection, struct pool *pool);
/* The client left while its command was under way. The connection returns to its pool if the reply
 * comes within pool.cancel_grace_ms. `streaming`: the part of the reply that is still to come is
 * connection->reply_left. */
void pool_rest_abandon(struct upstream_connection *connection);
/* Asks the server who the connection is; it returns to its pool if that is unchanged. The
 * connection is LEASED, and no client holds it. False: it is closed. */
bool pool_rest_ask(struct upstream_connection *connection);
/* True if one more connection may be closed in this tick because its client left. The server kills
 * the operation of a closed connection. Too many at a time would empty the pools. */
bool pool_rest_may_cancel(struct session_worker *worker);
/* The time of abandoned and asked connections may be over. */
void pool_rest_tick(struct session_worker *worker, int64_t now_ms);
/* Closes all connections that no client holds. */
void pool_rest_close_all(struct session_worker *worker);

/* Work for the pools: the worker's pool_event does it at the end of this turn. */
void pool_rest_wake(struct session_worker *worker);

#endif
