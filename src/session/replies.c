#include "session/replies.h"

#include "base/memory.h"
#include "base/server_limits.h"
#include "session/connect.h"
#include "session/exchange_steps.h"
#include "session/lease.h"
#include "session/leaving.h"
#include "session/life.h"
#include "session/merge_batch.h"
#include "session/merge_retry.h"
#include "session/merge_ties.h"
#include "session/pooled.h"
#include "session/requests.h"
#include "session/route.h"
#include "session/spans.h"
#include "session/statements.h"
#include "session/tls_failures.h"
#include "session/window.h"
#include "wire/compressed.h"
#include "wire/query.h"

/* The maximal length of a message with an error. Servers quote the complete command that a
 * logged-in user may not run; such a message may be longer. */
enum { REPLY_ERROR_BYTES = 16 * 1024 };

enum reply_step { REPLY_WAIT, REPLY_FORWARD, REPLY_DONE, REPLY_STOP };

static enum reply_step reply_is_broken(struct client *client, const struct error *error)
{
    lease_connection(client)->lost = true;
    client_fail_pending(client, error, COUNTER_ERRORS_PROTOCOL_UPSTREAM);
    return REPLY_STOP;
}

/* The trail of the request or batch that the oldest pending request belongs to; NULL: none. */
static const struct trail *trail_of(const struct upstream_connection *connection,
                                    const struct client *client, const struct pending *pending)
{
    if (!pending->exchanged)
        return pending->trail;
    if (connection->sent_batch != NULL)
        return connection->sent_batch->trail;
    return client->exchange != NULL ? client->exchange->trail : NULL;
}

static void note_latency(const struct upstream_connection *connection)
{
    struct client *client = lease_client(connection);
    struct session_metrics *metrics = &client->worker->metrics;
    const struct pending *pending = pending_oldest(&client->pending);
    enum command_name command = route_counted_as(pending->command);
    int64_t now_us = client_now_us(client);
    session_metrics_note_reply(metrics, pending, command, connection->latency, now_us);
    if (!spans_are_on(client))
        return;
    const struct trail *trail = trail_of(connection, client, pending);
    if (trail != NULL)
        session_metrics_note_traced(metrics, pending, command, connection->latency, now_us,
                                    &trail->context);
}

/* Called before the last byte goes to the client, who may then read the figures. */
static void count_reply(const struct upstream_connection *connection)
{
    struct client *client = lease_client(connection);
    note_latency(connection);
    counters_add(client_counters(client), COUNTER_REPLIES, 1);
}

/* The last byte of the reply went to the client. */
static void finish_reply(struct upstream_connection *connection)
{
    struct client *client = lease_client(connection);
    struct pending *pending = pending_oldest(&client->pending);
    client->since_ms = clock_now_ms();
    if (connection->reply_more) {
        pending->expected_response_to = connection->reply_id;
        pending->streaming = false;
        pending->repeated = true;
        return;
    }
    bool was_full = pending_is_full(&client->pending);
    merge_pop_pending(client);
    if (was_full || (client->stage == REQUEST_QUEUED && pending_is_empty(&client->pending)))
        requests_resume(client);
    else if (pending_is_empty(&client->pending))
        client_end_if_drained(client);
}

/* Sends the message of a reply handler in place of the reply in the window. */
static enum reply_step replace_reply(struct upstream_connection *connection, struct window *window,
                                     const struct reply *reply)
{
    struct error err;
    struct client *client = lease_client(connection);
    count_reply(connection);
    counters_add(client_counters(client), COUNTER_REPLY_BYTES, reply->instead_len);
    bool sent = link_send(&client->link, reply->instead, reply->instead_len, &err);
    memory_free(reply->instead);
    if (!sent) {
        client_end(client, err.message);
        return REPLY_STOP;
    }
    window_drop(window, (size_t)reply->header.length);
    finish_reply(connection);
    return client->state == CLIENT_ACTIVE ? REPLY_DONE : REPLY_STOP;
}

/* The document and flags of a complete reply. A compressed reply of at most max_bytes is opened
 * into *inside (from memory_alloc). */
static bool open_reply(const struct wire_header *header, struct bytes payload, size_t max_bytes,
                       uint8_t **inside, struct bytes *document, uint32_t *flags, struct error *err)
{
    struct wire_compressed compressed;
    *flags = 0;
    if (header->opcode == WIRE_OP_REPLY)
        return wire_reply_read(payload, document, err);
    if (header->opcode == WIRE_OP_MSG)
        return wire_sections_find_body(payload, document, flags, err);
    if (!wire_compressed_read(payload, max_bytes, &compressed, err))
        return false;
    *inside = memory_alloc(compressed.uncompressed_bytes);
    if (*inside == NULL)
        return error_no_memory(err, "a decompressed reply");
    return wire_compressed_open(&compressed, *inside, err) && compressed.opcode == WIRE_OP_MSG &&
           wire_sections_find_body(bytes_of(*inside, compressed.uncompressed_bytes), document,
                                   flags, err);
}

/* Handles the reply to a batch: answers every waiting client. */
static bool take_batch(struct upstream_connection *connection, struct bytes document)
{
    struct client *client = lease_client(connection);
    merge_reply(connection, document);
    requests_resume_answered(client->worker);
    if (client->state == CLIENT_LEAVING)
        client_end(client, "the client closed");
    return client->state == CLIENT_ACTIVE;
}

/* Handles the reply to a message of the proxy. */
static enum reply_step take_exchanged(struct upstream_connection *connection, struct window *window,
                                      uint32_t length, struct bytes document)
{
    struct client *client = lease_client(connection);
    note_latency(connection);
    bool alive = connection->sent_batch != NULL     ? take_batch(connection, document)
                 : client->exchange->resend != NULL ? merge_resent(client, document)
                                                    : exchange_reply(client, document);
    if (!alive)
        return REPLY_STOP;
    window_drop(window, length);
    if (client->exchange != NULL)
        return REPLY_DONE;
    requests_resume(client);
    if (client->state == CLIENT_ACTIVE)
        client_end_if_drained(client);
    return client->state == CLIENT_ACTIVE ? REPLY_DONE : REPLY_STOP;
}

/* Handles the answer to the proxy's question: the waiting request continues. */
static enum reply_step take_answer(struct client *client, struct window *window, uint32_t length,
                                   struct bytes document, uint32_t flags)
{
    identify_answer(client, pending_oldest(&client->pending), document, flags);
    merge_pop_pending(client);
    window_drop(window, length);
    if (lease_connection(client)->lost) {
        client_linger(client, "the server does not name the connection's users as before");
        return REPLY_STOP;
    }
    requests_resume(client);
    return client->state == CLIENT_ACTIVE ? REPLY_DONE : REPLY_STOP;
}

/* Passes the reply to the handler of its command. */
static enum reply_step take_handled(struct upstream_connection *connection, struct window *window,
                                    struct reply *reply)
{
    struct client *client = lease_client(connection);
    const struct pending *pending = reply->pending;
    struct error err;
    connection->reply_more = (reply->flags & WIRE_FLAG_MORE_TO_COME) != 0;
    if (pending->watched && !route_of(pending->command)->reply(client, reply)) {
        (void)error_set(&err, ERROR_INVALID_BSON,
                        "the %s reply of the upstream server %s is malformed",
                        command_name_text(pending->command), connection->server);
        return reply_is_broken(client, &err);
    }
    return reply->instead != NULL ? replace_reply(connection, window, reply) : REPLY_FORWARD;
}

static enum reply_step take_opened(struct upstream_connection *connection, struct window *window,
                                   struct reply *reply)
{
    const struct pending *pending = reply->pending;
    uint32_t length = (uint32_t)reply->header.length;
    if (pending->question)
        return take_answer(lease_client(connection), window, length, reply->document, reply->flags);
    statements_note_answered(lease_client(connection), pending, reply->document);
    if (connection->entry.place == POOL_LEASED && identity_is_doubted(reply->document))
        connection->doubtful = connection->may_be_logged_in;
    spans_note_reply(pending->trail, reply->document);
    if (pending->exchanged)
        return take_exchanged(connection, window, length, reply->document);
    return take_handled(connection, window, reply);
}

/* Handles a reply that must be complete. */
static enum reply_step take_whole(struct upstream_connection *connection, struct window *window,
                                  const struct wire_header *header)
{
    struct client *client = lease_client(connection);
    struct error err = {.code = ERROR_PROTOCOL, .message = "the upstream's reply is malformed"};
    struct reply reply = {.header = *header, .pending = pending_oldest(&client->pending)};
    uint8_t *inside = NULL;
    struct bytes payload =
        bytes_of(window->data + WIRE_HEADER_BYTES, (size_t)header->length - WIRE_HEADER_BYTES);
    bool opened = open_reply(header, payload, SERVER_MESSAGE_BYTES, &inside, &reply.document,
                             &reply.flags, &err);
    enum reply_step step =
        opened ? take_opened(connection, window, &reply) : reply_is_broken(client, &err);
    memory_free(inside);
    return step;
}

/* The server uses another protocol, or violates this one. At least 4 bytes are there. */
static bool refuse_reply(const struct upstream_connection *connection, const uint8_t *at,
                         struct error *err)
{
    const char *hint = wire_reply_hint(at);
    return error_set(err, ERROR_PROTOCOL,
                     "the upstream server %s sent no MongoDB reply%s%s: check that the option "
                     "upstream names a MongoDB server",
                     connection->server, hint != NULL ? "; " : "", hint != NULL ? hint : "");
}

static bool is_reply_opcode(int32_t opcode)
{
    return opcode == WIRE_OP_MSG || opcode == WIRE_OP_REPLY || opcode == WIRE_OP_COMPRESSED;
}

static bool check_reply(struct upstream_connection *connection, const uint8_t *at,
                        const struct wire_header *header, struct error *err)
{
    struct client *client = lease_client(connection);
    if (!wire_header_check(header, SERVER_MESSAGE_BYTES, NULL) || !is_reply_opcode(header->opcode))
        return refuse_reply(connection, at, err);
    if (pending_is_empty(&client->pending))
        return error_set(err, ERROR_PROTOCOL,
                         "the upstream server %s sent an unexpected reply (responseTo "
                         "%d)",
                         connection->server, header->response_to);
    /* in a stream, MongoDB answers its own last reply, and other servers the request: drivers
     * accept both */
    if (!pending_oldest(&client->pending)->repeated &&
        header->response_to != pending_oldest(&client->pending)->expected_response_to)
        return error_set(err, ERROR_PROTOCOL,
                         "the upstream server %s answered request %d, but %d is next",
                         connection->server, header->response_to,
                         pending_oldest(&client->pending)->expected_response_to);
    return true;
}

/* Looks into a forwarded reply: it may confirm a statement of a transaction, and it is the outcome
 * of a traced request. In shared mode it may say that the connection's users have lost their login:
 * the server is asked before others use the connection. False: more bytes are needed. */
static bool look_into(struct upstream_connection *connection, const struct window *window,
                      const struct wire_header *header)
{
    struct client *client = lease_client(connection);
    const struct pending *pending = pending_oldest(&client->pending);
    bool watched = statements_watch(pending) || pending->trail != NULL;
    bool doubts = connection->may_be_logged_in && connection->entry.place == POOL_LEASED;
    struct error ignored;
    struct bytes document = {0};
    uint8_t *inside = NULL;
    uint32_t flags = 0;
    size_t length = (size_t)header->length;
    if (!watched && !doubts)
        return true;
    if (length <= REPLY_ERROR_BYTES) {
        if (window->len < length)
            return false;
        bool opened = open_reply(
            header, bytes_of(window->data + WIRE_HEADER_BYTES, length - WIRE_HEADER_BYTES),
            REPLY_ERROR_BYTES, &inside, &document, &flags, &ignored);
        if (doubts && opened && identity_is_doubted(document))
            connection->doubtful = true;
    }
    if (watched) {
        statements_note_answered(client, pending, document);
        spans_note_reply(pending->trail, document);
    }
    memory_free(inside);
    return true;
}

/* A short line of another protocol may be complete. False after the client ended. */
static bool may_become_reply(struct upstream_connection *connection, const struct window *window)
{
    struct client *client = lease_client(connection);
    struct error err;
    if (window->len < sizeof(int32_t) ||
        wire_length_is_valid(bytes_load_i32(window->data), SERVER_MESSAGE_BYTES))
        return true;
    (void)refuse_reply(connection, window->data, &err);
    (void)reply_is_broken(client, &err);
    return false;
}

/* At least a header is there. */
static enum reply_step begin_reply(struct upstream_connection *connection, struct window *window)
{
    struct client *client = lease_client(connection);
    struct error err;
    struct wire_header header = wire_header_read(window->data);
    if (!check_reply(connection, window->data, &header, &err))
        return reply_is_broken(client, &err);
    struct pending *pending = pending_oldest(&client->pending);
    connection->reply_more = false;
    connection->reply_id = header.request_id;
    bool whole = window->len >= (size_t)header.length;
    if (pending->watched || (pending->exhaust && header.opcode == WIRE_OP_COMPRESSED))
        return whole ? take_whole(connection, window, &header) : REPLY_WAIT;
    if (pending->exhaust && header.opcode == WIRE_OP_MSG) {
        if (window->len < WIRE_HEADER_BYTES + 4)
            return REPLY_WAIT;
        uint32_t flags = bytes_load_u32(window->data + WIRE_HEADER_BYTES);
        connection->reply_more = (flags & WIRE_FLAG_MORE_TO_COME) != 0;
    }
    return look_into(connection, window, &header) ? REPLY_FORWARD : REPLY_WAIT;
}

static bool forward_reply(struct upstream_connection *connection, struct window *window)
{
    struct client *client = lease_client(connection);
    size_t len = window->len < connection->reply_left ? window->len : connection->reply_left;
    connection->reply_left -= (uint32_t)len;
    pending_oldest(&client->pending)->streaming = true;
    if (connection->reply_left == 0)
        count_reply(connection);
    if (!window_forward(client, window, &client->link, len))
        return false;
    if (connection->reply_left == 0)
        finish_reply(connection);
    return client->state == CLIENT_ACTIVE;
}

/* Handles the bytes that were read. False after the client left CLIENT_ACTIVE. */
static bool process(struct upstream_connection *connection, struct window *window)
{
    struct client *client = lease_client(connection);
    while (window->len > 0) {
        if (connection->reply_left == 0) {
            if (window->len < WIRE_HEADER_BYTES)
                return may_become_reply(connection, window);
            enum reply_step begun = begin_reply(connection, window);
            if (begun == REPLY_WAIT)
                return true;
            if (begun == REPLY_STOP)
                return false;
            if (begun == REPLY_DONE)
                continue;
            connection->reply_left = bytes_load_u32(window->data);
            counters_add(client_counters(client), COUNTER_REPLY_BYTES, connection->reply_left);
        }
        if (!forward_reply(connection, window))
            return false;
    }
    return true;
}

static void upstream_readable(void *arg)
{
    struct upstream_connection *connection = arg;
    struct client *client = lease_client(connection);
    struct window window;
    if (!window_fill(client, &connection->link, &window))
        return;
    client->worker->replying = connection;
    client->worker->reply_rest = &window.len;
    bool alive = process(connection, &window) && window_keep(client, &window);
    client->worker->replying = NULL;
    client->worker->reply_rest = NULL;
    if (!alive)
        return;
    if (link_is_blocked(&client->link))
        link_pause(&connection->link);
    else
        link_resume(&connection->link);
    if (client->sharing)
        pooled_settle(client);
}

static void upstream_opened(void *arg)
{
    connect_note_opened(arg);
}

static void upstream_drained(void *arg)
{
    struct upstream_connection *connection = arg;
    struct client *client = lease_client(connection);
    if (client->state == CLIENT_LEAVING && connection->sent_batch == NULL)
        client_end(client, "the client closed");
    else if (client->state == CLIENT_ACTIVE)
        requests_resume(client);
    if (client->state == CLIENT_ACTIVE)
        client_end_if_drained(client);
}

/* EOF: the client sees a closed connection, as on a direct connection, also in the middle of a
 * reply. A few bytes before it may be of another protocol, such as a TLS alert. */
static void upstream_ended(void *arg)
{
    struct upstream_connection *connection = arg;
    struct client *client = lease_client(connection);
    struct error err;
    size_t left = buffer_length(&connection->link.in);
    connection->lost = true;
    counters_add(client_counters(client), COUNTER_UPSTREAM_CLOSED, 1);
    if (connection->reply_left == 0 && left >= sizeof(int32_t) && left < WIRE_HEADER_BYTES &&
        wire_reply_hint(buffer_begin(&connection->link.in)) != NULL &&
        client->state == CLIENT_ACTIVE) {
        (void)refuse_reply(connection, buffer_begin(&connection->link.in), &err);
        (void)reply_is_broken(client, &err);
        return;
    }
    client_linger(client, "the upstream server closed the connection");
}

static void upstream_failed(void *arg, const char *cause)
{
    struct upstream_connection *connection = arg;
    struct client *client = lease_client(connection);
    tls_failures_note_upstream(connection, cause);
    connection->lost = true;
    if (connection->link.state != LINK_OPEN) {
        connect_failed(connection, cause);
        return;
    }
    client_linger(client, cause);
}

const struct link_handler replies_handler = {.opened = upstream_opened,
                                             .readable = upstream_readable,
                                             .drained = upstream_drained,
                                             .ended = upstream_ended,
                                             .failed = upstream_failed};
