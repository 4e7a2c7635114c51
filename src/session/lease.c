#include "session/lease.h"

#include <string.h>

#include "auth/verifier.h"
#include "base/assert.h"
#include "session/pool_rest.h"
#include "session/verified_state.h"

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

/* The same credential stands for the same user, more certainly than names do: its salt is random.
 */
static bool has_credential_of(const struct client *client,
                              const struct upstream_connection *connection)
{
    return !connection->lost && verifier_equal(verified_as(client), connection->verifier);
}

bool lease_fits(const struct client *client, const struct upstream_connection *connection)
{
    if (verified_as(client) != NULL || connection->verifier != NULL)
        return has_credential_of(client, connection);
    if (client->may_be_logged_in || connection->may_be_logged_in)
        return standing_are_one(&client->shared_as, &connection->shared_as);
    return true;
}

/* The only place that gives a lease. The proxy never sends data of one identity on a connection of
 * another: a client that sent no command that may log in has no identity, and neither has a
 * connection that carried none. In `session` mode no lease is given after a login. In `shared` mode
 * the server named the users of both, and they are the same incarnation of the same user; or the
 * proxy checked the client's credential and logged in with it. */
static void give(struct client *client, struct upstream_connection *connection)
{
    sluice_assert(client->leased == NULL && connection->holder == NULL);
    sluice_assert(client->worker == connection->worker);
    sluice_assert(strcmp(client->server, connection->server) == 0);
    sluice_assert(lease_fits(client, connection));
    client->leased = connection;
    connection->holder = client;
}

void lease_give(struct client *client, struct upstream_connection *connection)
{
    give(client, connection);
    connection->rest = REST_NONE;
    connection->link.handler = client->worker->connection_handler;
}

struct upstream_connection *lease_take(struct client *client)
{
    struct upstream_connection *connection = NULL;
    if (client->leased != NULL)
        return client->leased;
    if (client->sharing) {
        struct pool_entry *entry = client->pool != NULL ? pool_take(client->pool, false) : NULL;
        if (entry == NULL)
            return NULL;
        connection = upstream_connection_of(entry);
        if (lease_fits(client, connection)) {
            lease_give(client, connection);
            return connection;
        }
        pool_rest_put(connection);
        return NULL;
    }
    connection = upstream_connection_new(client->worker, client->server);
    if (connection != NULL)
        give(client, connection);
    return connection;
}

struct upstream_connection *lease_take_or_wait(struct client *client)
{
    if (client->leased != NULL || !client->sharing)
        return client->leased;
    if (client->pool == NULL || client->waiting.pool != NULL)
        return NULL;
    struct upstream_connection *connection =
        pool_may_overtake(client->pool, false) ? lease_take(client) : NULL;
    if (connection == NULL && pool_wait(client->pool, &client->waiting, false, clock_now_ms()))
        pool_rest_wake(client->worker);
    return connection;
}

struct upstream_connection *lease_release(struct client *client)
{
    struct upstream_connection *connection = client->leased;
    client->leased = NULL;
    connection->holder = NULL;
    return connection;
}

/* True if the connection may serve others after the client: no message to the server is half sent.
 */
static bool is_reusable(const struct client *client, const struct upstream_connection *connection)
{
    return connection->entry.place == POOL_LEASED && !connection->lost && !connection->finished &&
           connection->link.state == LINK_OPEN && client->stage != REQUEST_FORWARDED &&
           connection->sent_batch == NULL;
}

/* True if no byte of a reply is kept or still to come. */
static bool is_clean(const struct client *client, const struct upstream_connection *connection)
{
    const struct session_worker *worker = client->worker;
    return pending_is_empty(&client->pending) && connection->reply_left == 0 &&
           buffer_length(&connection->link.in) == 0 &&
           (worker->replying != connection || *worker->reply_rest == 0);
}

/* True if exactly one reply is still to come, all of it or its last connection->reply_left bytes.
 * While it is being read, some of its bytes may be lost with the client. */
static bool owes_one_reply(const struct client *client,
                           const struct upstream_connection *connection)
{
    return client->pending.count == 1 && !pending_look_at(&client->pending, 0)->exhaust &&
           buffer_length(&connection->link.in) == 0 && client->worker->replying != connection;
}

void lease_give_back(struct client *client)
{
    struct upstream_connection *connection = client->leased;
    if (connection == NULL)
        return;
    bool reusable = is_reusable(client, connection);
    bool owes = owes_one_reply(client, connection);
    bool clean = is_clean(client, connection);
    (void)lease_release(client);
    if (reusable && clean)
        pool_rest_put(connection);
    else if (reusable && owes && client_config(client)->pool.cancel_grace_ms > 0)
        pool_rest_abandon(connection);
    else
        upstream_connection_close(connection);
}
