/* Connections: bytes in, messages out. The requests of one connection run one after the other. */
#include <stdlib.h>
#include <string.h>

#include "server/operation.h"

enum { HEADER_BYTES = 16, OPCODE_REPLY = 1, OPCODE_MSG = 2013 };

static uint32_t read_u32(const uint8_t *at)
{
    uint32_t value = 0;
    memcpy(&value, at, sizeof value);
    return BSON_UINT32_FROM_LE(value);
}

static void write_u32(uint8_t *at, uint32_t value)
{
    value = BSON_UINT32_TO_LE(value);
    memcpy(at, &value, sizeof value);
}

unsigned server_connection_user(const struct connection *connection)
{
    const struct user *user = &connection->front->cluster->users[connection->user];
    bool stands = connection->user != 0 && user->incarnation == connection->incarnation;
    return stands ? connection->user : 0;
}

/* --- life --- */

static void free_connection(struct connection *connection)
{
    struct front *front = connection->front;
    if (connection->before != NULL)
        connection->before->next = connection->next;
    else
        front->connections = connection->next;
    if (connection->next != NULL)
        connection->next->before = connection->before;
    world_cancel(front->cluster->world, connection->sending);
    scram_free(connection->scram);
    free(connection->rest);
    free(connection->in);
    free(connection);
}

/* Without its client, a connection lives until the requests that it received have run. */
static void drop_end(struct connection *connection, bool reset)
{
    connection->end = NULL;
    if (reset)
        connection->in_start = connection->in_end;
    world_cancel(connection->front->cluster->world, connection->sending);
    connection->sending = NULL;
    if (connection->running != NULL)
        operation_orphan(connection->running, reset);
    else
        free_connection(connection);
}

static void ended(void *arg, struct end *end, bool reset)
{
    (void)end;
    drop_end(arg, reset);
}

void server_connection_close(struct connection *connection, bool reset)
{
    struct end *end = connection->end;
    if (end == NULL)
        return;
    drop_end(connection, true);
    if (reset)
        end_reset(end);
    else
        end_close(end);
}

static void end_silence(void *arg)
{
    struct connection *connection = arg;
    connection->sending = NULL;
    server_connection_close(connection, true);
}

void server_connection_fall_silent(struct connection *connection, int64_t lasts_us)
{
    connection->sending =
        world_after(connection->front->cluster->world, lasts_us, end_silence, connection);
}

void front_close_connections(struct front *front, bool reset)
{
    struct connection *next = NULL;
    for (struct connection *each = front->connections; each != NULL; each = next) {
        next = each->next;
        if (each->end != NULL) {
            server_connection_close(each, reset);
            continue;
        }
        each->in_start = each->in_end;
        operation_orphan(each->running, true);
    }
}

/* --- receiving --- */

/* Begins the next request that is there in whole. False: the connection is gone. */
static bool take_request(struct connection *connection)
{
    while (connection->running == NULL && connection->sending == NULL) {
        size_t have = connection->in_end - connection->in_start;
        if (have < HEADER_BYTES)
            return true;
        uint32_t len = read_u32(connection->in + connection->in_start);
        if (len < HEADER_BYTES + 5 || len > SERVER_MESSAGE_BYTES_MAX) {
            server_connection_close(connection, false);
            return false;
        }
        if (have < len)
            return true;
        uint8_t *message = malloc(len);
        if (message == NULL)
            abort();
        memcpy(message, connection->in + connection->in_start, len);
        connection->in_start += len;
        if (!operation_begin(connection, message, len)) {
            world_trace(connection->front->cluster->world, connection->front->address,
                        "closes connection %d: malformed message", connection->id);
            server_connection_close(connection, false);
            return false;
        }
    }
    return true;
}

void server_connection_next(struct connection *connection)
{
    connection->running = NULL;
    size_t left = connection->in_end - connection->in_start;
    if (connection->end == NULL && left < HEADER_BYTES) {
        free_connection(connection);
        return;
    }
    if (take_request(connection) && connection->end == NULL && connection->running == NULL)
        free_connection(connection); /* the rest is no whole request */
}

static void came(void *arg, struct end *end, const uint8_t *data, size_t len)
{
    struct connection *connection = arg;
    (void)end;
    if (connection->in_start > 0) {
        memmove(connection->in, connection->in + connection->in_start,
                connection->in_end - connection->in_start);
        connection->in_end -= connection->in_start;
        connection->in_start = 0;
    }
    array_grow((void **)&connection->in, &connection->in_capacity, connection->in_end + len, 1);
    memcpy(connection->in + connection->in_end, data, len);
    connection->in_end += len;
    (void)take_request(connection);
}

static void accepted(void *arg, struct end *end)
{
    static const struct end_handler handler = {.came = came, .ended = ended};
    struct front *front = arg;
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        abort();
    connection->front = front;
    connection->end = end;
    connection->id = ++front->connection_count;
    connection->stream =
        stream_make(world_seed(front->cluster->world), "server connection", end_connection(end));
    connection->next = front->connections;
    if (connection->next != NULL)
        connection->next->before = connection;
    front->connections = connection;
    end_handle(end, &handler, connection);
}

void front_listen(struct front *front)
{
    front->is_up = true;
    for (size_t i = 0; i < sizeof front->process_id; i++)
        front->process_id[i] = (uint8_t)stream_next(&front->stream);
    (void)world_listen(front->cluster->world, front->address, accepted, front);
}

/* --- sending --- */

static void send_rest(void *arg)
{
    struct connection *connection = arg;
    connection->sending = NULL;
    end_send(connection->end, connection->rest, connection->rest_len);
    free(connection->rest);
    connection->rest = NULL;
    if (connection->running == NULL)
        (void)take_request(connection);
}

/* Now and then a reply leaves in two pieces with a time between them. */
static void send_bytes(struct connection *connection, const uint8_t *data, size_t len)
{
    if (connection->sending != NULL) { /* the next reply of a stream: it waits for its turn */
        uint8_t *rest = realloc(connection->rest, connection->rest_len + len);
        if (rest == NULL)
            abort();
        memcpy(rest + connection->rest_len, data, len);
        connection->rest = rest;
        connection->rest_len += len;
        return;
    }
    if (!stream_chance(&connection->stream, 30)) {
        end_send(connection->end, data, len);
        return;
    }
    size_t first = 1 + stream_below(&connection->stream, (uint32_t)len - 1);
    end_send(connection->end, data, first);
    connection->rest_len = len - first;
    connection->rest = malloc(connection->rest_len);
    if (connection->rest == NULL)
        abort();
    memcpy(connection->rest, data + first, connection->rest_len);
    connection->sending =
        world_after(connection->front->cluster->world, stream_skewed(&connection->stream, 1, 20000),
                    send_rest, connection);
}

int32_t server_connection_send(struct connection *connection, bool is_query, uint32_t flags,
                               int32_t response_to, const bson_t *document)
{
    uint8_t small[2048];
    size_t before = HEADER_BYTES + (is_query ? 20 : 5);
    size_t len = before + document->len;
    uint8_t *message = len <= sizeof small ? small : malloc(len);
    if (message == NULL)
        abort();
    int32_t id = ++connection->request_id;
    memset(message, 0, before);
    write_u32(message, (uint32_t)len);
    write_u32(message + 4, (uint32_t)id);
    write_u32(message + 8, (uint32_t)response_to);
    write_u32(message + 12, is_query ? OPCODE_REPLY : OPCODE_MSG);
    write_u32(message + 16, is_query ? 8 : flags); /* OP_REPLY: AwaitCapable */
    if (is_query)
        write_u32(message + 32, 1); /* one document */
    memcpy(message + before, bson_get_data(document), document->len);
    if (connection->end != NULL)
        send_bytes(connection, message, len);
    if (message != small)
        free(message);
    return id;
}
