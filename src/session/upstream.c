/* The server's side: connecting, and the way of the replies. */
#include <stdio.h>

#include "base/memory.h"
#include "net/clock.h"
#include "session/lease.h"
#include "session/session_internal.h"
#include "wire/compressed.h"
#include "wire/query.h"

/* Servers send up to this much, whatever clients are allowed (maxMessageSizeBytes). */
enum { SERVER_MESSAGE_BYTES = 48000000 };

enum begin { BEGIN_WAIT, BEGIN_FORWARD, BEGIN_DONE, BEGIN_STOP };

/* --- connecting ---------------------------------------------------------------------------------
 */

static void connect_failed(struct upstream_connection *connection, const char *cause)
{
    struct error err;
    (void)error_set(&err, ERROR_HOST_UNREACHABLE,
                    "mongosluice cannot reach the upstream server %s: %.300s", connection->server,
                    cause);
    session_fail_pending(lease_client(connection), &err, COUNTER_UPSTREAM_CONNECT_FAILURES);
}

/* The host name alone, for SNI and the certificate's check. */
static bool start_tls(struct upstream_connection *connection, int fd, struct error *err)
{
    char host[256];
    char port[8];
    struct tls_context *tls = connection->worker->settings->upstream_tls;
    if (!connector_split_address(connection->server, host, port))
        (void)snprintf(host, sizeof host, "localhost");
    return transport_init_tls_client(&connection->link.transport, fd, tls, host, err);
}

static void connected(void *arg, int fd, const char *cause)
{
    struct upstream_connection *connection = arg;
    struct session_worker *worker = connection->worker;
    struct error err;
    connection->connector = NULL;
    if (fd < 0) {
        connect_failed(connection, cause);
        return;
    }
    if (worker->settings->upstream_tls == NULL) {
        transport_init_plain(&connection->link.transport, fd);
    } else if (!start_tls(connection, fd, &err)) {
        connect_failed(connection, err.message);
        return;
    }
    link_start(&connection->link, worker_base(worker->worker));
}

static void connect_upstream(struct session *session, struct upstream_connection *connection)
{
    if (connection->server[0] == 0) {
        struct session_hooks *hooks = &session->worker->shared->hooks;
        char cause[SESSION_CAUSE_BYTES];
        struct error err;
        hooks->explain_no_server(hooks->context, cause);
        (void)error_set(&err, ERROR_HOST_UNREACHABLE,
                        "mongosluice knows no upstream server for this port: %.350s", cause);
        session_fail_pending(session, &err, COUNTER_UPSTREAM_CONNECT_FAILURES);
        return;
    }
    connection->connect_since_ms = clock_now_ms();
    struct connector *connector =
        connector_start(session->worker->worker, connection->server, connected, connection);
    if (session->state == SESSION_ACTIVE && connection->link.state == LINK_NONE)
        connection->connector = connector;
}

struct upstream_connection *session_reach_upstream(struct session *session)
{
    struct upstream_connection *connection = lease_take(session);
    if (connection == NULL) {
        session_end(session, "out of memory for an upstream connection");
        return NULL;
    }
    if (connection->link.state == LINK_NONE && connection->connector == NULL)
        connect_upstream(session, connection);
    return session->state == SESSION_ACTIVE ? connection : NULL;
}

static void upstream_opened(void *arg)
{
    struct upstream_connection *connection = arg;
    struct counters *counters = &connection->worker->counters;
    connection->connect_since_ms = 0;
    connection->opened = true;
    counters_add(counters, COUNTER_UPSTREAM_CONNECTS, 1);
    counters_add(counters, COUNTER_UPSTREAM_NOW, 1);
    LOG_D(LOG_NETWORK, 1009, lease_client(connection)->context, "Connected to the upstream server",
          LOG_STR("server", connection->server));
}

/* --- replies ------------------------------------------------------------------------------------
 */

static enum begin reply_is_broken(struct session *session, const struct error *error)
{
    session_fail_pending(session, error, COUNTER_ERRORS_PROTOCOL_UPSTREAM);
    return BEGIN_STOP;
}

void session_pop_pending(struct session *session)
{
    struct coalesce_place *ticket = pending_pop(&session->pending).ticket;
    if (ticket != NULL)
        session_merge_finished(session, ticket);
}

/* The reply's last byte went to the client. */
static void finish_reply(struct upstream_connection *connection)
{
    struct session *session = lease_client(connection);
    struct pending *pending = pending_oldest(&session->pending);
    session_observe_reply(session, pending);
    counters_add(session_counters(session), COUNTER_REPLIES, 1);
    session->since_ms = clock_now_ms();
    if (connection->reply_more) {
        pending->expected_response_to = connection->reply_id;
        pending->streaming = false;
        pending->repeated = true;
        return;
    }
    bool was_full = pending_is_full(&session->pending);
    session_pop_pending(session);
    if (was_full || (session->stage == REQUEST_QUEUED && pending_is_empty(&session->pending)))
        session_client_resume(session);
    else if (pending_is_empty(&session->pending))
        session_end_if_drained(session);
}

/* Sends a message of the proxy's own making in place of the one in the window. */
static bool replace_reply(struct session *session, struct window *window, uint8_t *message,
                          size_t len, uint32_t original_len)
{
    struct error err;
    bool sent = link_send(&session->client, message, len, &err);
    memory_free(message);
    if (!sent) {
        session_end(session, err.message);
        return false;
    }
    session_window_drop(window, original_len);
    return true;
}

static enum begin answer_hello(struct upstream_connection *connection, struct window *window,
                               const struct wire_header *header, uint32_t flags,
                               struct bytes document)
{
    struct session *session = lease_client(connection);
    struct error err;
    uint8_t *message = NULL;
    size_t len = 0;
    bool changed = false;
    if (!session_rewrite_hello(session, header, flags, document, &changed, &message, &len)) {
        (void)error_set(&err, ERROR_INVALID_BSON,
                        "the hello reply of the upstream server %s is malformed",
                        connection->server);
        return reply_is_broken(session, &err);
    }
    if (!changed)
        return BEGIN_FORWARD;
    counters_add(session_counters(session), COUNTER_HELLOS_REWRITTEN, 1);
    if (!replace_reply(session, window, message, len, (uint32_t)header->length))
        return BEGIN_STOP;
    finish_reply(connection);
    return session->state == SESSION_ACTIVE ? BEGIN_DONE : BEGIN_STOP;
}

/* The document and flags of a whole reply. A compressed one of at most max_bytes is opened into
 * *inside (memory_alloc'd). */
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
        return error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT, "out of memory to decompress a reply");
    return wire_compressed_open(&compressed, *inside, err) && compressed.opcode == WIRE_OP_MSG &&
           wire_sections_find_body(bytes_of(*inside, compressed.uncompressed_bytes), document,
                                   flags, err);
}

/* The reply to a message of the proxy's own. */
static enum begin take_exchanged(struct upstream_connection *connection, struct window *window,
                                 uint32_t length, struct bytes document)
{
    struct session *session = lease_client(connection);
    session_observe_reply(session, pending_oldest(&session->pending));
    bool alive = connection->carriage != NULL        ? session_merge_reply(connection, document)
                 : session->exchange->resend != NULL ? session_merge_resent(session, document)
                                                     : session_exchange_reply(session, document);
    if (!alive)
        return BEGIN_STOP;
    session_window_drop(window, length);
    if (session->exchange != NULL)
        return BEGIN_DONE;
    session_client_resume(session);
    if (session->state == SESSION_ACTIVE)
        session_end_if_drained(session);
    return session->state == SESSION_ACTIVE ? BEGIN_DONE : BEGIN_STOP;
}

/* The answer to a question of the proxy's own: the request that waits for it goes on. */
static enum begin take_answer(struct session *session, struct window *window, uint32_t length,
                              struct bytes document, uint32_t flags)
{
    session_identity_answer(session, pending_oldest(&session->pending), document, flags);
    session_pop_pending(session);
    session_window_drop(window, length);
    session_client_resume(session);
    return session->state == SESSION_ACTIVE ? BEGIN_DONE : BEGIN_STOP;
}

/* A reply that has to be whole to be understood. */
static enum begin begin_watched(struct upstream_connection *connection, struct window *window,
                                const struct wire_header *header)
{
    struct session *session = lease_client(connection);
    struct error err = {.code = ERROR_PROTOCOL, .message = "the upstream's reply is malformed"};
    struct bytes document = {0};
    uint8_t *inside = NULL;
    uint32_t flags = 0;
    struct pending *pending = pending_oldest(&session->pending);
    struct bytes payload =
        bytes_of(window->data + WIRE_HEADER_BYTES, (size_t)header->length - WIRE_HEADER_BYTES);
    if (!open_reply(header, payload, SERVER_MESSAGE_BYTES, &inside, &document, &flags, &err)) {
        memory_free(inside);
        return reply_is_broken(session, &err);
    }
    if (pending->question) {
        enum begin answered =
            take_answer(session, window, (uint32_t)header->length, document, flags);
        memory_free(inside);
        return answered;
    }
    session_watch_answered(session, pending, document);
    if (pending->exchanged) {
        enum begin taken = take_exchanged(connection, window, (uint32_t)header->length, document);
        memory_free(inside);
        return taken;
    }
    connection->reply_more = (flags & WIRE_FLAG_MORE_TO_COME) != 0;
    session_watch_reply(session, pending, document);
    enum begin result = BEGIN_FORWARD;
    if (pending->kind == ROUTE_HELLO)
        result = answer_hello(connection, window, header, flags, document);
    memory_free(inside);
    return result;
}

/* The server speaks another protocol, or breaks this one. At least 4 bytes are there. */
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
    struct session *session = lease_client(connection);
    if (!wire_header_check(header, SERVER_MESSAGE_BYTES, NULL) || !is_reply_opcode(header->opcode))
        return refuse_reply(connection, at, err);
    if (pending_is_empty(&session->pending))
        return error_set(err, ERROR_PROTOCOL,
                         "the upstream server %s sent a reply that nobody asked for (responseTo "
                         "%d)",
                         connection->server, header->response_to);
    /* in a stream, MongoDB answers its own last reply, and others the request again: drivers take
     * both */
    if (!pending_oldest(&session->pending)->repeated &&
        header->response_to != pending_oldest(&session->pending)->expected_response_to)
        return error_set(err, ERROR_PROTOCOL,
                         "the upstream server %s answered request %d, but %d is next",
                         connection->server, header->response_to,
                         pending_oldest(&session->pending)->expected_response_to);
    return true;
}

/* A forwarded reply to a statement of a transaction: was it carried out? False: more of it has to
 * be there to tell. */
static bool watch_answered(struct session *session, const struct window *window,
                           const struct wire_header *header)
{
    struct error ignored;
    struct bytes document = {0};
    uint8_t *inside = NULL;
    uint32_t flags = 0;
    size_t length = (size_t)header->length;
    if (length <= SESSION_ERROR_BYTES) {
        if (window->len < length)
            return false;
        (void)open_reply(header,
                         bytes_of(window->data + WIRE_HEADER_BYTES, length - WIRE_HEADER_BYTES),
                         SESSION_ERROR_BYTES, &inside, &document, &flags, &ignored);
    }
    session_watch_answered(session, pending_oldest(&session->pending), document);
    memory_free(inside);
    return true;
}

/* A short line of another protocol may be all that ever comes. False after the session ended. */
static bool may_become_reply(struct upstream_connection *connection, const struct window *window)
{
    struct session *session = lease_client(connection);
    struct error err;
    if (window->len < sizeof(int32_t) ||
        wire_length_is_valid(bytes_load_i32(window->data), SERVER_MESSAGE_BYTES))
        return true;
    (void)refuse_reply(connection, window->data, &err);
    (void)reply_is_broken(session, &err);
    return false;
}

/* At least a header is there. */
static enum begin begin_reply(struct upstream_connection *connection, struct window *window)
{
    struct session *session = lease_client(connection);
    struct error err;
    struct wire_header header = wire_header_read(window->data);
    if (!check_reply(connection, window->data, &header, &err))
        return reply_is_broken(session, &err);
    struct pending *pending = pending_oldest(&session->pending);
    connection->reply_more = false;
    connection->reply_id = header.request_id;
    bool whole = window->len >= (size_t)header.length;
    if (pending->kind != ROUTE_FORWARD || (pending->exhaust && header.opcode == WIRE_OP_COMPRESSED))
        return whole ? begin_watched(connection, window, &header) : BEGIN_WAIT;
    if (pending->exhaust && header.opcode == WIRE_OP_MSG) {
        if (window->len < WIRE_HEADER_BYTES + 4)
            return BEGIN_WAIT;
        uint32_t flags = bytes_load_u32(window->data + WIRE_HEADER_BYTES);
        connection->reply_more = (flags & WIRE_FLAG_MORE_TO_COME) != 0;
    }
    if (session_watches_statement(pending) && !watch_answered(session, window, &header))
        return BEGIN_WAIT;
    return BEGIN_FORWARD;
}

static bool forward_reply(struct upstream_connection *connection, struct window *window)
{
    struct session *session = lease_client(connection);
    size_t len = window->len < connection->reply_left ? window->len : connection->reply_left;
    connection->reply_left -= (uint32_t)len;
    pending_oldest(&session->pending)->streaming = true;
    if (!session_window_forward(session, window, &session->client, len))
        return false;
    if (connection->reply_left == 0)
        finish_reply(connection);
    return session->state == SESSION_ACTIVE;
}

/* Works through what was read. False after the session left SESSION_ACTIVE. */
static bool process(struct upstream_connection *connection, struct window *window)
{
    struct session *session = lease_client(connection);
    while (window->len > 0) {
        if (connection->reply_left == 0) {
            if (window->len < WIRE_HEADER_BYTES)
                return may_become_reply(connection, window);
            enum begin begun = begin_reply(connection, window);
            if (begun == BEGIN_WAIT)
                return true;
            if (begun == BEGIN_STOP)
                return false;
            if (begun == BEGIN_DONE)
                continue;
            connection->reply_left = bytes_load_u32(window->data);
            counters_add(session_counters(session), COUNTER_REPLY_BYTES, connection->reply_left);
        }
        if (!forward_reply(connection, window))
            return false;
    }
    return true;
}

static void upstream_readable(void *arg)
{
    struct upstream_connection *connection = arg;
    struct session *session = lease_client(connection);
    struct window window;
    if (!session_window_fill(session, &connection->link, &window) ||
        !process(connection, &window) || !session_window_keep(session, &window))
        return;
    if (link_is_blocked(&session->client))
        link_pause(&connection->link);
    else
        link_resume(&connection->link);
}

static void upstream_drained(void *arg)
{
    struct upstream_connection *connection = arg;
    struct session *session = lease_client(connection);
    if (session->state == SESSION_LEAVING && connection->carriage == NULL)
        session_end(session, "the client closed");
    else if (session->state == SESSION_ACTIVE)
        session_client_resume(session);
    if (session->state == SESSION_ACTIVE)
        session_end_if_drained(session);
}

/* EOF: the client sees what it would have seen directly, a closed connection. A few bytes before it
 * are another protocol's, such as a TLS alert. */
static void upstream_ended(void *arg)
{
    struct upstream_connection *connection = arg;
    struct session *session = lease_client(connection);
    struct error err;
    size_t left = buffer_length(&connection->link.in);
    counters_add(session_counters(session), COUNTER_UPSTREAM_CLOSED, 1);
    if (connection->reply_left == 0 && left >= sizeof(int32_t) && left < WIRE_HEADER_BYTES &&
        session->state == SESSION_ACTIVE) {
        (void)refuse_reply(connection, buffer_begin(&connection->link.in), &err);
        (void)reply_is_broken(session, &err);
        return;
    }
    session_linger(session, "the upstream server closed the connection");
}

static void upstream_failed(void *arg, const char *cause)
{
    struct upstream_connection *connection = arg;
    struct session *session = lease_client(connection);
    if (connection->link.state != LINK_OPEN) {
        connect_failed(connection, cause);
        return;
    }
    session_linger(session, cause);
}

const struct link_handler session_upstream_handler = {.opened = upstream_opened,
                                                      .readable = upstream_readable,
                                                      .drained = upstream_drained,
                                                      .ended = upstream_ended,
                                                      .failed = upstream_failed};
