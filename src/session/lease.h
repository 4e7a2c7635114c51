/* The lease of an upstream connection: a client that holds one may send on that connection, and
 * gets the replies that come on it. The only way from one of the two to the other.
 *
 * In `session` mode a client takes its lease with the first message that goes upstream, and gives
 * it back when it ends. Nothing but lease.c may assume that it lasts so long. */
#ifndef SLUICE_SESSION_LEASE_H
#define SLUICE_SESSION_LEASE_H

#include <stdbool.h>

#include "session/client.h"
#include "session/upstream_connection.h"

/* The connection that the client holds the lease of; NULL: none. */
static inline struct upstream_connection *lease_connection(const struct client *client)
{
    return client->leased;
}

/* The client that holds the connection's lease; NULL: none. */
static inline struct client *lease_client(const struct upstream_connection *connection)
{
    return connection->holder;
}

/* Whether bytes of the client's wait to be written upstream. */
static inline bool lease_is_blocked(const struct client *client)
{
    return client->leased != NULL && link_is_blocked(&client->leased->link);
}

/* Whether a batch of several clients' inserts waits for its reply on the leased connection. */
bool lease_carries_batch(const struct client *client);
/* Who the leased connection is; NULL where that is not known. */
const struct standing *lease_standing(const struct client *client);

/* The lease that the client holds, or a new one. The connection need not be connected yet. NULL
 * when memory is out. */
struct upstream_connection *lease_take(struct client *client);

/* Idempotent. In `session` mode the connection is closed. */
void lease_give_back(struct client *client);

#endif
