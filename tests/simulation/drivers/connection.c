#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

static void wake(struct connection *connection)
{
    if (connection->waiter != NULL) {
        fiber_wake(connection->waiter);
    }
}

static void on_opened(void *arg, struct end *end)
{
    struct connection *connection = arg;
    (void)end;
    connection->opened = true;
    wake(connection);
}

static void trace_reply(const struct connection *connection, const struct frame_reply *reply)
{
    if (!world_traces(connection->client->world)) {
        return;
    }
    char *text = bson_as_relaxed_extended_json(&reply->body, NULL);
    client_trace(connection->client, "#%u answer to %s %d: %.400s", connection->number,
                 connection->command == NULL ? "nothing" : connection->command, reply->response_to,
                 text);
    bson_free(text);
}

/* Each reply must answer the request that is under way, once. */
static bool take_reply(struct connection *connection, const struct frame_reply *reply)
{
    struct world *world = connection->client->world;
    trace_reply(connection, reply);
    if (!connection->awaits || connection->reply != NULL) {
        world_fail(world, "answered once",
                   "%s got a reply (to %d) on connection #%u without a request under way",
                   connection->client->actor, reply->response_to, connection->number);
        return false;
    }
    if (reply->response_to != connection->awaited) {
        world_fail(world, "answered once",
                   "%s waits on connection #%u for the answer to %s %d and got one to %d",
                   connection->client->actor, connection->number, connection->command,
                   connection->awaited, reply->response_to);
        return false;
    }
    connection->reply = bson_copy(&reply->body);
    connection->more = reply->more_to_come;
    /* The next reply of a stream answers this one. */
    connection->awaited = reply->id;
    connection->awaits = reply->more_to_come;
    wake(connection);
    return true;
}

static void take_replies(struct connection *connection)
{
    struct frame_reply reply;
    while (connection->reply == NULL) {
        enum frame_step step = frame_read(&connection->in, &reply);
        if (step == FRAME_MORE) {
            return;
        }
        if (step == FRAME_BROKEN) {
            world_fail(connection->client->world, "answer well formed",
                       "%s got a message on connection #%u that no driver takes: %s",
                       connection->client->actor, connection->number, reply.problem);
            return;
        }
        if (!take_reply(connection, &reply)) {
            return;
        }
        frame_consume(&connection->in, reply.len);
    }
    if (!connection->more && connection->in.len > 0) {
        world_fail(connection->client->world, "answered once",
                   "%s got %zu bytes on connection #%u after the answer to %s",
                   connection->client->actor, connection->in.len, connection->number,
                   connection->command);
    }
}

static void on_came(void *arg, struct end *end, const uint8_t *data, size_t len)
{
    struct connection *connection = arg;
    (void)end;
    frame_append(&connection->in, data, len);
    take_replies(connection);
}

static void remove_from_idle(struct connection *connection)
{
    struct connection **at = &connection->server->idle;
    while (*at != NULL && *at != connection) {
        at = &(*at)->next_idle;
    }
    if (*at != NULL) {
        *at = connection->next_idle;
    }
    connection->idle = false;
}

static void on_ended(void *arg, struct end *end, bool reset)
{
    struct connection *connection = arg;
    (void)end;
    connection->end = NULL;
    client_trace(connection->client, "#%u to %s %s", connection->number,
                 connection->server->address, reset ? "broke" : "was closed by the server");
    if (connection->idle) {
        remove_from_idle(connection);
        pool_forget(connection, false);
        return;
    }
    wake(connection);
}

static const struct end_handler handler = {.opened = on_opened, .came = on_came, .ended = on_ended};

struct connection *client_connection_open(struct server *server, bool monitors)
{
    struct client *client = server->client;
    struct connection *connection = calloc(1, sizeof *connection);
    assert(connection != NULL);
    connection->client = client;
    connection->server = server;
    connection->monitors = monitors;
    connection->generation = server->generation;
    connection->next_of_client = client->connections;
    client->connections = connection;
    connection->end =
        world_dial(client->world, client->host, server->address, &handler, connection);
    connection->number = end_connection(connection->end);
    client_trace(client, "#%u dials %s%s", connection->number, server->address,
                 monitors ? " to monitor it" : "");
    connection->waiter = fiber_self();
    int64_t until = world_now_us(client->world) + client_connect_timeout_us;
    while (connection->end != NULL && !connection->opened) {
        int64_t left = until - world_now_us(client->world);
        if (left <= 0 || !fiber_wait(left)) {
            break;
        }
    }
    connection->waiter = NULL;
    connection->opened_us = world_now_us(client->world);
    if (connection->end == NULL || !connection->opened) {
        client_connection_close(connection, true);
        return NULL;
    }
    return connection;
}

void client_connection_break(struct connection *connection)
{
    if (connection->end != NULL) {
        end_close(connection->end);
        connection->end = NULL;
        wake(connection);
    }
}

void client_connection_close(struct connection *connection, bool reset)
{
    if (connection == NULL) {
        return;
    }
    struct client *client = connection->client;
    if (connection->end != NULL) {
        client_trace(client, "#%u: the client %s it", connection->number,
                     reset ? "resets" : "closes");
        (reset ? end_reset : end_close)(connection->end);
    }
    struct connection **at = &client->connections;
    while (*at != connection) {
        at = &(*at)->next_of_client;
    }
    *at = connection->next_of_client;
    bson_destroy(connection->reply);
    frame_release(&connection->in);
    free(connection);
}

int32_t client_connection_next_id(struct connection *connection)
{
    return ++connection->client->next_id;
}

bool client_connection_send(struct connection *connection, const struct frame_bytes *bytes)
{
    if (connection->end == NULL) {
        return false;
    }
    end_send(connection->end, bytes->data, bytes->len);
    return true;
}

/* Waits until `reply` is there. */
static enum call_result await(struct connection *connection, int64_t timeout_us, bson_t **reply)
{
    struct world *world = connection->client->world;
    int64_t until = world_now_us(world) + timeout_us;
    enum call_result result = CALL_ANSWERED;
    connection->waiter = fiber_self();
    while (connection->reply == NULL && result == CALL_ANSWERED) {
        int64_t left = until - world_now_us(world);
        if (connection->end == NULL) {
            result = CALL_LOST;
        } else if (left <= 0) {
            result = CALL_TIMED_OUT;
        } else if (!fiber_wait(left)) {
            result = CALL_CANCELLED;
        }
    }
    connection->waiter = NULL;
    *reply = connection->reply;
    connection->reply = NULL;
    return result;
}

enum call_result client_connection_call(struct connection *connection,
                                        const struct frame_bytes *bytes, int32_t id,
                                        const char *command, int64_t timeout_us, bson_t **reply)
{
    *reply = NULL;
    connection->awaits = true;
    connection->awaited = id;
    connection->command = command;
    if (!client_connection_send(connection, bytes)) {
        return CALL_LOST;
    }
    return await(connection, timeout_us, reply);
}

enum call_result client_connection_next(struct connection *connection, int64_t timeout_us,
                                        bson_t **reply)
{
    if (connection->in.len > 0) {
        take_replies(connection);
    }
    return await(connection, timeout_us, reply);
}
