#include "session/lease.h"

#include <string.h>

#include "base/assert.h"

bool lease_is_blocked(const struct session *session)
{
    return session->leased != NULL && link_is_blocked(&session->leased->link);
}

bool lease_carries_batch(const struct session *session)
{
    return session->leased != NULL && session->leased->carriage != NULL;
}

const struct standing *lease_standing(const struct session *session)
{
    const struct upstream_connection *connection = session->leased;
    return connection != NULL && standing_is_known(&connection->standing) ? &connection->standing
                                                                          : NULL;
}

/* Nothing of one identity's is ever sent on the connection of another. Who has sent nothing that
 * may log in is nobody, and so is a connection on which nothing of the kind was sent. A login is
 * bound to the connection that carried it: in `session` mode no lease is given after one. */
static bool is_of_one_identity(const struct session *session,
                               const struct upstream_connection *connection)
{
    return !session->may_be_logged_in && !connection->may_be_logged_in;
}

/* The one place where a lease is given. */
static void give(struct session *session, struct upstream_connection *connection)
{
    sluice_assert(session->leased == NULL && connection->holder == NULL);
    sluice_assert(session->worker == connection->worker);
    sluice_assert(strcmp(session->server, connection->server) == 0);
    sluice_assert(is_of_one_identity(session, connection));
    session->leased = connection;
    connection->holder = session;
}

struct upstream_connection *lease_take(struct session *session)
{
    if (session->leased != NULL)
        return session->leased;
    struct upstream_connection *connection =
        upstream_connection_new(session->worker, session->server);
    if (connection != NULL)
        give(session, connection);
    return connection;
}

void lease_give_back(struct session *session)
{
    struct upstream_connection *connection = session->leased;
    if (connection == NULL)
        return;
    session->leased = NULL;
    connection->holder = NULL;
    upstream_connection_close(connection);
}
