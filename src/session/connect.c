#include "session/connect.h"

#include "session/lease.h"
#include "session/life.h"
#include "session/upstream_transport.h"

void connect_failed(struct upstream_connection *connection, const char *cause)
{
    struct error err;
    (void)error_set(&err, ERROR_HOST_UNREACHABLE,
                    "mongosluice cannot reach the upstream server %s: %.300s", connection->server,
                    cause);
    client_fail_pending(lease_client(connection), &err, COUNTER_UPSTREAM_CONNECT_FAILURES);
}

static void connected(void *arg, int fd, const char *cause)
{
    struct upstream_connection *connection = arg;
    struct session_worker *worker = connection->worker;
    struct error err;
    connection->connector = NULL;
    if (fd < 0) {
        connection->link.handler->failed(connection, cause);
        return;
    }
    if (!upstream_transport_init(&connection->link.transport, fd, connection->server,
                                 worker->settings->upstream_tls, &err)) {
        connection->link.handler->failed(connection, err.message);
        return;
    }
    link_start(&connection->link, worker_base(worker->worker));
}

void connect_start(struct upstream_connection *connection)
{
    struct session_worker *worker = connection->worker;
    connection->connect_since_ms = clock_now_ms();
    struct connector *connector =
        connector_start(worker->worker, connection->server, connected, connection);
    if (connection->link.state == LINK_NONE)
        connection->connector = connector;
}

static void start(struct client *client, struct upstream_connection *connection)
{
    if (connection->server[0] == 0) {
        struct session_hooks *hooks = &client->worker->shared->hooks;
        char cause[SESSION_CAUSE_BYTES];
        struct error err;
        hooks->explain_no_server(hooks->context, cause);
        (void)error_set(&err, ERROR_HOST_UNREACHABLE,
                        "mongosluice knows no upstream server for this port: %.350s", cause);
        client_fail_pending(client, &err, COUNTER_UPSTREAM_CONNECT_FAILURES);
        return;
    }
    connect_start(connection);
}

struct upstream_connection *connect_take_lease(struct client *client)
{
    struct upstream_connection *connection = lease_take(client);
    if (connection == NULL)
        client_end(client, "out of memory for an upstream connection");
    return connection;
}

struct upstream_connection *connect_upstream(struct client *client)
{
    struct upstream_connection *connection = lease_connection(client);
    if (connection == NULL)
        connection = connect_take_lease(client);
    if (connection == NULL)
        return NULL;
    if (connection->link.state == LINK_NONE && connection->connector == NULL)
        start(client, connection);
    return client->state == CLIENT_ACTIVE ? connection : NULL;
}

void connect_note_opened(struct upstream_connection *connection)
{
    struct counters *counters = &connection->worker->counters;
    connection->connect_since_ms = 0;
    connection->opened = true;
    counters_add(counters, COUNTER_UPSTREAM_CONNECTS, 1);
    counters_add(counters, COUNTER_UPSTREAM_NOW, 1);
    const struct client *client = lease_client(connection);
    LOG_D(LOG_NETWORK, 1009, client != NULL ? client->context : "pool",
          "Connected to the upstream server", LOG_STR("server", connection->server));
}
