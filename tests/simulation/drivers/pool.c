#include <assert.h>
#include <stdlib.h>

#include "client.h"

static struct connection *take_idle(struct server *server)
{
    struct connection *connection = server->idle;
    if (connection != NULL) {
        server->idle = connection->next_idle;
        connection->next_idle = NULL;
        connection->idle = false;
    }
    return connection;
}

/* A new connection, with its handshake. */
static enum checkout_result establish(struct server *server, struct connection **out, int *code)
{
    unsigned generation = server->generation;
    server->connections++;
    struct connection *connection = client_connection_open(server, false);
    enum login_result login = connection == NULL ? LOGIN_LOST : LOGIN_DONE;
    if (connection != NULL) {
        login = login_handshake(connection, code);
    }
    if (login == LOGIN_DONE) {
        *out = connection;
        return CHECKOUT_DONE;
    }
    client_trace(server->client, "got no connection to %s: %s", server->address,
                 login == LOGIN_REFUSED ? "the login is refused" : "it broke in the handshake");
    client_connection_close(connection, login != LOGIN_REFUSED);
    server->connections--;
    client_changed(server->client);
    if (!server->client->alive) {
        return CHECKOUT_CANCELLED;
    }
    if (login == LOGIN_CANCELLED) {
        return CHECKOUT_CANCELLED;
    }
    topology_take_loss(server, generation, login != LOGIN_REFUSED);
    return login == LOGIN_REFUSED ? CHECKOUT_REFUSED : CHECKOUT_LOST;
}

enum checkout_result pool_check_out(struct server *server, struct connection **out, int *code)
{
    struct client *client = server->client;
    int64_t until = world_now_us(client->world) + client_selection_timeout_us;
    for (;;) {
        if (!server->ready) {
            return CHECKOUT_CLEARED;
        }
        struct connection *idle = take_idle(server);
        if (idle != NULL) {
            *out = idle;
            return CHECKOUT_DONE;
        }
        if (server->connections < client->what->connections) {
            return establish(server, out, code);
        }
        bool late = false;
        if (!client_wait(client, until, &late)) {
            return late ? CHECKOUT_CLEARED : CHECKOUT_CANCELLED;
        }
    }
}

void pool_forget(struct connection *connection, bool reset)
{
    struct server *server = connection->server;
    assert(server->connections > 0);
    server->connections--;
    client_connection_close(connection, reset);
    client_changed(server->client);
}

void pool_check_in(struct connection *connection)
{
    struct server *server = connection->server;
    if (connection->end == NULL || connection->generation != server->generation ||
        !server->client->alive) {
        pool_forget(connection, false);
        return;
    }
    connection->idle = true;
    connection->next_idle = server->idle;
    server->idle = connection;
    client_changed(server->client);
}

void pool_clear(struct server *server)
{
    server->generation++;
    server->ready = false;
    struct connection *idle;
    while ((idle = take_idle(server)) != NULL) {
        pool_forget(idle, false);
    }
    client_changed(server->client);
}
