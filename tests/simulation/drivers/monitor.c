#include <string.h>

#include "client.h"

/* Waits for the next check: for a heartbeat, or until somebody wants one. False: cancelled. */
static bool await_turn(struct server *server)
{
    struct world *world = server->client->world;
    int64_t now = world_now_us(world);
    int64_t least = now + client_least_heartbeat_us, until = now + client_heartbeat_us;
    for (;;) {
        now = world_now_us(world);
        int64_t end = server->wanted ? least : until;
        if (now >= end) {
            server->wanted = false;
            return true;
        }
        server->sleeps = true;
        bool goes_on = fiber_wait(end - now);
        server->sleeps = false;
        if (!goes_on) {
            return false;
        }
    }
}

void monitor_want(struct server *server)
{
    if (server->wanted) {
        return;
    }
    server->wanted = true;
    if (server->sleeps) {
        fiber_wake(server->monitor);
    } else if (server->monitor_connection != NULL && server->type == SERVER_UNKNOWN &&
               server->monitor_connection->more) {
        /* An error cancels the check that streams; the monitor then begins anew. */
        server->cancelled = true;
        client_connection_break(server->monitor_connection);
    }
}

static void fail(struct server *server)
{
    if (server->client->alive) {
        topology_lose(server, "its monitor lost it");
        pool_clear(server);
    }
}

static bool check_once(struct server *server, enum call_result result, bson_t *reply)
{
    if (result == CALL_ANSWERED && reply_is_ok(reply)) {
        session_take_cluster_time(server->client, reply);
        topology_take_hello(server, reply);
        bson_destroy(reply);
        return true;
    }
    bson_destroy(reply);
    if (result != CALL_CANCELLED && !server->cancelled) {
        fail(server);
    }
    return false;
}

/* hello on a connection that stands; awaitable if the server and the driver can. */
static enum call_result ask_again(struct server *server, bool awaits, bson_t **reply)
{
    struct connection *connection = server->monitor_connection;
    struct client *client = server->client;
    bson_t hello = BSON_INITIALIZER;
    BSON_APPEND_INT32(&hello, server->says_hello ? "hello" : "isMaster", 1);
    BSON_APPEND_BOOL(&hello, "helloOk", true);
    if (client->what->backpressure) {
        BSON_APPEND_UTF8(&hello, "backpressure", "2");
    }
    if (awaits) {
        bson_t version;
        BSON_APPEND_DOCUMENT_BEGIN(&hello, "topologyVersion", &version);
        BSON_APPEND_OID(&version, "processId", &server->version.process);
        BSON_APPEND_INT64(&version, "counter", server->version.counter);
        bson_append_document_end(&hello, &version);
        BSON_APPEND_INT64(&hello, "maxAwaitTimeMS", client_heartbeat_us / 1000);
    }
    BSON_APPEND_UTF8(&hello, "$db", "admin");
    struct frame_bytes bytes = {0};
    int32_t id = client_connection_next_id(connection);
    frame_write_msg(&bytes, id, awaits && client->exhausts ? FRAME_EXHAUST_ALLOWED : 0, &hello,
                    NULL, 0);
    bson_destroy(&hello);
    client_trace(client, "#%u sends hello %d%s", connection->number, id,
                 awaits ? " and awaits a change" : "");
    enum call_result result = client_connection_call(
        connection, &bytes, id, "hello",
        client_connect_timeout_us + (awaits ? client_heartbeat_us : 0), reply);
    frame_release(&bytes);
    return result;
}

/* Checks the server on one connection until that fails. False: the fiber is cancelled. */
static bool watch(struct server *server)
{
    bson_t *reply;
    enum call_result result = login_hello(server->monitor_connection, &reply);
    while (check_once(server, result, reply)) {
        bool awaits = server->client->what->monitors && server->version.known;
        if (!server->monitor_connection->more && !awaits && !await_turn(server)) {
            return false;
        }
        server->wanted = false;
        if (server->monitor_connection->more) {
            result =
                client_connection_next(server->monitor_connection,
                                       client_connect_timeout_us + client_heartbeat_us, &reply);
        } else {
            result = ask_again(server, awaits, &reply);
        }
    }
    return result != CALL_CANCELLED;
}

static void run(void *arg)
{
    struct server *server = arg;
    struct client *client = server->client;
    bool goes_on = true;
    while (goes_on && client->alive) {
        server->cancelled = false;
        server->monitor_connection = client_connection_open(server, true);
        if (server->monitor_connection != NULL) {
            goes_on = watch(server);
            struct connection *connection = server->monitor_connection;
            server->monitor_connection = NULL;
            client_connection_close(connection, false);
        } else {
            fail(server);
        }
        server->wanted = true;
        goes_on = goes_on && await_turn(server);
    }
    server->monitor = NULL;
}

void monitor_start(struct server *server)
{
    server->monitor = fiber_start(server->client->world, run, server);
}
