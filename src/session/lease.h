/* The lease of an upstream connection. The client that holds it sends on that connection and gets
 * its replies. Code reaches one of the two from the other only through the lease.
 *
 * In `session` mode a client takes its lease with its first message that goes upstream, and gives
 * it back when it ends. In `shared` mode it takes a lease for each request, and gives it back after
 * the reply, unless something pins it (pooled.h). Only lease.c and pooled.c may rely on this
 * duration. */
#ifndef SLUICE_SESSION_LEASE_H
#define SLUICE_SESSION_LEASE_H

#include <stdbool.h>

#include "session/client.h"
#include "session/upstream_connection.h"

/* The connection whose lease the client holds; NULL: it holds none. */
static inline struct upstream_connection *lease_connection(const struct client *client)
{
    return client->leased;
}

/* The client that holds the connection's lease; NULL: there is none. */
static inline struct client *lease_client(const struct upstream_connection *connection)
{
    return connection->holder;
}

/* True if bytes of the client wait to be written upstream. */
static inline bool lease_is_blocked(const struct client *client)
{
    return client->leased != NULL && link_is_blocked(&client->leased->link);
}

/* True if a batch of several clients' inserts waits for its reply on the leased connection. */
bool lease_carries_batch(const struct client *client);
/* The identity of the leased connection; NULL if it is unknown. */
const struct standing *lease_standing(const struct client *client);

/* The connection whose lease the client holds or now takes. It may not be connected yet. NULL
 * without memory. */
struct upstream_connection *lease_take(struct client *client);

/* The connection whose lease the client holds or now takes. If there is none, a client of shared
 * mode waits in its pool; NULL in any case. */
struct upstream_connection *lease_take_or_wait(struct client *client);
/* True if the client may use the connection: both never logged in, or both certainly belong to the
 * same user. */
bool lease_fits(const struct client *client, const struct upstream_connection *connection);
/* Gives the client the lease of a shared connection. It must fit. */
void lease_give(struct client *client, struct upstream_connection *connection);
/* Ends the lease. The connection stays open and has no holder. */
struct upstream_connection *lease_release(struct client *client);

/* For a client that ends. Idempotent. The connection is closed, unless it is shared and can serve
 * others. */
void lease_give_back(struct client *client);

#endif
