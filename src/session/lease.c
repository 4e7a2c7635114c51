#include "session/lease.h"

#include <string.h>

#include "base/assert.h"

bool lease_carries_batch(const struct client *client)
{
    return client->leased != NULL && client->leased->sent_batch != NULL;
}

const struct standing *lease_standing(const struct client *client)
{
    const struct upstream_connection *connection = client->leased;
    return connection != NULL && standing_is_known(&connection->standing) ? &connection->standing
                                                                          : NULL;
}

/* The proxy never sends data of one identity on a connection of another. A client that has sent no
 * command that may log in has no identity, and neither has a connection that has carried none. A
 * login is bound to its connection: in `session` mode no lease is given after one. */
static bool is_of_one_identity(const struct client *client,
                               const struct upstream_connection *connection)
{
    return !client->may_be_logged_in && !connection->may_be_logged_in;
}

/* The only place that gives a lease. */
static void give(struct client *client, struct upstream_connection *connection)
{
    sluice_assert(client->leased == NULL && connection->holder == NULL);
    sluice_assert(client->worker == connection->worker);
    sluice_assert(strcmp(client->server, connection->server) == 0);
    sluice_assert(is_of_one_identity(client, connection));
    client->leased = connection;
    connection->holder = client;
}

struct upstream_connection *lease_take(struct client *client)
{
    if (client->leased != NULL)
        return client->leased;
    struct upstream_connection *connection =
        upstream_connection_new(client->worker, client->server);
    if (connection != NULL)
        give(client, connection);
    return connection;
}

void lease_give_back(struct client *client)
{
    struct upstream_connection *connection = client->leased;
    if (connection == NULL)
        return;
    client->leased = NULL;
    connection->holder = NULL;
    upstream_connection_close(connection);
}
