#include "session/connect.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/host_port.h"
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

/* The client of a connection that no other one uses is named; a shared connection belongs to the
 * proxy. The new socket has room for these few bytes. */
static bool send_header(const struct upstream_connection *connection, int fd)
{
    const struct client *client = lease_client(connection);
    struct address_peer from = {.family = AF_UNSPEC};
    struct address_peer to = {.family = AF_UNSPEC};
    uint8_t header[PROXY_HEADER_WRITTEN_BYTES];
    if (client != NULL && !client->sharing) {
        from = client->peer;
        to = address_local_of(client->link.transport.fd);
    }
    size_t len = proxy_header_write(&from, &to, header);
    return send(fd, header, len, MSG_NOSIGNAL) == (ssize_t)len;
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
    if (connection->sends_header && !send_header(connection, fd)) {
        close(fd);
        connection->link.handler->failed(connection, "the PROXY protocol header could not be sent");
        return;
    }
    if (!upstream_transport_init(&connection->link.transport, fd, connection->server,
                                 worker->settings->upstream_tls, &err)) {
        connection->link.handler->failed(connection, err.message);
        return;
    }
    link_start(&connection->link, worker_base(worker->worker));
}

/* Writes the address to connect to. */
static void choose_address(struct upstream_connection *connection, char out[HOST_PORT_BYTES])
{
    char host[256];
    char port[8];
    int64_t other = connection->worker->settings->config->upstream_proxy_protocol;
    connection->sends_header =
        other != 0 && connector_split_address(connection->server, host, port);
    if (connection->sends_header)
        host_port_write(host, (uint16_t)other, out, HOST_PORT_BYTES);
    else
        (void)snprintf(out, HOST_PORT_BYTES, "%s", connection->server);
}

void connect_start(struct upstream_connection *connection)
{
    struct session_worker *worker = connection->worker;
    char address[HOST_PORT_BYTES];
    choose_address(connection, address);
    connection->connect_since_ms = clock_now_ms();
    struct connector *connector = connector_start(worker->worker, address, connected, connection);
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
