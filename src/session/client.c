/* The client's side: requests are framed, looked at, and forwarded. */
#include <stdio.h>

#include "net/clock.h"
#include "session/lease.h"
#include "session/session_internal.h"
#include "wire/query.h"

enum begin { BEGIN_WAIT, BEGIN_FORWARD, BEGIN_TAKEN, BEGIN_STOP };

/* The request stays where it is, and is looked at again once all before it is answered. */
static enum begin queue(struct session *session)
{
    session->stage = REQUEST_QUEUED;
    return BEGIN_WAIT;
}

/* The same when more of it is there. */
static enum begin gather(struct session *session)
{
    session->stage = REQUEST_GATHERED;
    return BEGIN_WAIT;
}

/* The rest of what came is looked at then: a read may hold thousands of requests that need no reply
 * or that the proxy refuses itself, and one may take long. */
static enum begin leave_for_next_turn(struct session *session)
{
    session->stage = REQUEST_LEFT;
    turn_wait(worker_turn(session->worker->worker), &session->next_turn);
    return BEGIN_WAIT;
}

/* The error goes to the client where its request can be answered at all: an opcode whose reply has
 * a known form. What it asked before gets its replies first: until then the request waits, and is
 * looked at again. */
static enum begin refuse(struct session *session, const struct wire_header *header,
                         const struct error *error, uint32_t labels, enum counter counter)
{
    struct wire_reply_to to = {.request_id = header->request_id,
                               .legacy = header->opcode == WIRE_OP_QUERY};
    if (!pending_is_empty(&session->pending))
        return queue(session);
    bool answerable = header->length >= WIRE_HEADER_BYTES &&
                      wire_opcode_check_request(header->opcode, NULL) &&
                      wire_legacy_opcode_name(header->opcode) == NULL;
    session_fail(session, answerable ? &to : NULL, error, labels, counter);
    return BEGIN_STOP;
}

static enum begin refuse_over_limit(struct session *session, const struct wire_header *header)
{
    struct error err;
    (void)error_set(&err, ERROR_OVERLOADED,
                    "mongosluice refuses this connection: max_client_conn (%lld) is reached; try "
                    "again later or raise the limit",
                    (long long)session_config(session)->max_client_conn);
    uint32_t labels = session->accepts_overload ? WIRE_LABEL_OVERLOADED : 0;
    return refuse(session, header, &err, labels, COUNTER_REQUESTS_REFUSED);
}

static void push_pending(struct session *session, const struct wire_header *header,
                         const struct request *request, bool watches_claim)
{
    enum route_kind kind = request->route->kind;
    bool ends = kind == ROUTE_KILL_CURSORS || kind == ROUTE_END_SESSIONS;
    bool forwards = kind == ROUTE_WRITE || kind == ROUTE_GET_MORE ||
                    (ends && bulk_cursors_count(session->worker->shared->bulk_cursors) == 0);
    struct pending pending = {.expected_response_to = header->request_id,
                              .request_id = header->request_id,
                              .kind = forwards ? ROUTE_FORWARD : kind,
                              .legacy = request->legacy,
                              .exhaust = (request->flags & WIRE_FLAG_EXHAUST_ALLOWED) != 0,
                              .watches_claim = watches_claim,
                              .error_labels = request_error_labels(request),
                              .has_lsid = request->lsid != NULL,
                              .ticket = session->next_ticket,
                              .in_transaction = request->in_transaction,
                              .command = (uint8_t)route_index(request->route),
                              .sent_us = session_now_us(session)};
    if (request->lsid != NULL)
        memcpy(pending.lsid, request->lsid, LSID_BYTES);
    session->next_ticket = NULL;
    session_watch_statement(session, pending_push(&session->pending, &pending));
}

static enum begin refuse_transaction_in_drain(struct session *session,
                                              const struct wire_header *header)
{
    struct error err;
    (void)error_set(&err, ERROR_SHUTDOWN_IN_PROGRESS,
                    "mongosluice is draining and takes no new transactions");
    return refuse(session, header, &err, WIRE_LABEL_TRANSIENT_TRANSACTION,
                  COUNTER_REQUESTS_REFUSED);
}

static enum begin refuse_endless_authentication(struct session *session,
                                                const struct wire_header *header)
{
    struct error err;
    (void)error_set(&err, ERROR_AUTHENTICATION_FAILED,
                    "%d authentication commands, and nobody is logged in: mongosluice ends this "
                    "connection",
                    SESSION_AUTHENTICATION_STEPS);
    return refuse(session, header, &err, 0, COUNTER_REQUESTS_REFUSED);
}

static enum begin refuse_certificate_login(struct session *session,
                                           const struct wire_header *header)
{
    struct error err;
    (void)error_set(&err, ERROR_AUTHENTICATION_FAILED,
                    "mongosluice refuses MONGODB-X509: the server would take the proxy's own "
                    "certificate (tlsCertificateKeyFile of option upstream) for this client's; log "
                    "in with another mechanism, named once and as a string");
    return refuse(session, header, &err, 0, COUNTER_REQUESTS_REFUSED);
}

static void count_request(struct session *session, const struct wire_header *header,
                          const struct request *request)
{
    session_observe_request(session, request);
    counters_add(session_counters(session), COUNTER_REQUESTS, 1);
    counters_add(session_counters(session), COUNTER_REQUEST_BYTES, (uint64_t)header->length);
}

/* A write that may break a schema, or the results of one. */
static enum begin begin_write(struct session *session, const struct message *message,
                              const struct request *request)
{
    enum write_step step = request->route->kind == ROUTE_GET_MORE
                               ? session_get_more(session, message, request)
                               : session_write(session, message, request);
    switch (step) {
    case WRITE_PASS:
        return BEGIN_FORWARD;
    case WRITE_HOLD:
        return queue(session);
    case WRITE_GATHER:
        return gather(session);
    case WRITE_PART:
        return leave_for_next_turn(session);
    case WRITE_TAKEN:
        count_request(session, &message->header, request);
        return BEGIN_TAKEN;
    case WRITE_ENDED:
        break;
    }
    return BEGIN_STOP;
}

/* A command that the proxy itself answers. */
static enum begin begin_status(struct session *session, const struct message *message,
                               const struct request *request)
{
    if (!pending_is_empty(&session->pending))
        return queue(session);
    if (!message->whole)
        return gather(session);
    count_request(session, &message->header, request);
    bool silent = (request->flags & WIRE_FLAG_MORE_TO_COME) != 0;
    return silent || session_answer_status(session, message, request) ? BEGIN_TAKEN : BEGIN_STOP;
}

/* The proxy is paused: the request is looked at again when it is resumed. */
static enum begin hold(struct session *session, const struct wire_header *header,
                       const struct request *request)
{
    struct error err;
    if (session_pause_hold(session))
        return BEGIN_WAIT;
    (void)error_set(&err, ERROR_EXCEEDED_TIME_LIMIT,
                    "mongosluice is paused, and the command waited for %lld ms (option "
                    "query_wait_timeout_ms); resume it, or try again later",
                    (long long)session_config(session)->query_wait_timeout_ms);
    return refuse(session, header, &err, request_error_labels(request), COUNTER_TIMEOUTS_PAUSED);
}

/* The handshake timeout is over. */
static void note_seen(struct session *session)
{
    if (!session->request_seen)
        session->since_ms = clock_now_ms();
    session->request_seen = true;
}

/* A removed opcode, or a command that OP_QUERY may no longer carry (request, else NULL). */
static enum begin begin_legacy(struct session *session, const struct message *message,
                               const struct request *request)
{
    const struct wire_header *header = &message->header;
    bool wants_reply = header->opcode == WIRE_OP_QUERY || header->opcode == WIRE_OP_GET_MORE;
    if (session->refused)
        return refuse_over_limit(session, header);
    if (wants_reply && !pending_is_empty(&session->pending))
        return queue(session);
    note_seen(session);
    counters_add(session_counters(session), COUNTER_REQUESTS, 1);
    counters_add(session_counters(session), COUNTER_REQUEST_BYTES, (uint64_t)header->length);
    bool alive = true;
    if (request != NULL)
        alive = session_refuse_legacy_command(session, message, request);
    else if (wants_reply)
        alive = session_refuse_legacy_read(session, header);
    else
        session_drop_legacy_write(session, header);
    return alive ? BEGIN_TAKEN : BEGIN_STOP;
}

/* It goes upstream as it came. */
static enum begin forward(struct session *session, const struct wire_header *header,
                          const struct request *request, bool watches_claim)
{
    if (lease_take(session) == NULL) {
        session_end(session, "out of memory for an upstream connection");
        return BEGIN_STOP;
    }
    session_identity_pass(session, request);
    if ((request->flags & WIRE_FLAG_MORE_TO_COME) == 0)
        push_pending(session, header, request, watches_claim);
    count_request(session, header, request);
    return BEGIN_FORWARD;
}

/* The body is known: what happens to the message? */
static enum begin dispatch(struct session *session, const struct message *message,
                           const struct request *request)
{
    const struct wire_header *header = &message->header;
    if (request->legacy && !request->route->legacy_allowed)
        return begin_legacy(session, message, request);
    note_seen(session);
    if (session_pause_holds(session, request))
        return hold(session, header, request);
    bool watches_claim = session_watch_request(session, request);
    if (session->refused)
        return refuse_over_limit(session, header);
    if (!session_identity_may_pass(session, message, request))
        return refuse_certificate_login(session, header);
    if (session->worker->draining && request->starts_transaction)
        return refuse_transaction_in_drain(session, header);
    if (request->route->kind == ROUTE_AUTHENTICATION && !session_watch_authentication(session))
        return refuse_endless_authentication(session, header);
    enum begin result = BEGIN_FORWARD;
    if (request->route->kind == ROUTE_GET_MORE || request->route->kind == ROUTE_WRITE ||
        request->route->writes)
        result = begin_write(session, message, request);
    else if (request->route->kind == ROUTE_STATUS)
        result = begin_status(session, message, request);
    if (result != BEGIN_FORWARD)
        return result;
    return forward(session, header, request, watches_claim);
}

static enum begin dispatch_body(struct session *session, const struct message *message,
                                struct bytes body, uint32_t flags)
{
    struct error err;
    struct request request;
    if (!request_read(body, flags, &request, &err))
        return refuse(session, &message->header, &err, 0, COUNTER_ERRORS_PROTOCOL_CLIENT);
    return dispatch(session, message, &request);
}

/* Waits until the body is there; what follows it is streamed. */
static enum begin begin_msg(struct session *session, const struct wire_header *header,
                            struct bytes payload)
{
    struct error err;
    struct wire_walk *walk = &session->walk;
    if (session->stage != REQUEST_GATHERED)
        wire_walk_start(walk, (uint32_t)header->length - WIRE_HEADER_BYTES);
    /* what came before was walked then: sections can be many */
    if (!wire_walk_feed(walk, payload.pos + walk->offset, bytes_left(&payload) - walk->offset,
                        &err))
        return refuse(session, header, &err, 0, COUNTER_ERRORS_PROTOCOL_CLIENT);
    if (!walk->body_found || walk->body_length > bytes_left(&payload) - walk->body_offset)
        return gather(session);
    struct message message = {.header = *header,
                              .payload = payload,
                              .whole = bytes_left(&payload) ==
                                       (size_t)header->length - WIRE_HEADER_BYTES};
    return dispatch_body(session, &message,
                         bytes_of(payload.pos + walk->body_offset, walk->body_length), walk->flags);
}

static enum begin begin_query(struct session *session, const struct wire_header *header,
                              struct bytes payload)
{
    struct error err;
    struct wire_query query;
    struct request request;
    struct message message = {.header = *header, .whole = true};
    if (!wire_query_read(payload, &query, &err))
        return refuse(session, header, &err, 0, COUNTER_ERRORS_PROTOCOL_CLIENT);
    if (query.is_find)
        return begin_legacy(session, &message, NULL);
    if (!request_read(query.command, 0, &request, &err))
        return refuse(session, header, &err, 0, COUNTER_ERRORS_PROTOCOL_CLIENT);
    request.legacy = true;
    request.database = query.database;
    return dispatch(session, &message, &request);
}

/* A compressed message is opened to be looked at, and forwarded as it came. */
static enum begin begin_compressed(struct session *session, const struct wire_header *header,
                                   struct bytes payload)
{
    struct error err;
    struct wire_compressed compressed;
    struct bytes body;
    uint32_t flags = 0;
    size_t max = (size_t)session_config(session)->max_message_bytes;
    if (!wire_compressed_read(payload, max, &compressed, &err))
        return refuse(session, header, &err, 0, COUNTER_ERRORS_PROTOCOL_CLIENT);
    if (compressed.opcode != WIRE_OP_MSG) {
        (void)error_set(&err, ERROR_PROTOCOL,
                        "OP_COMPRESSED holds opcode %d; a client may compress OP_MSG (2013) only",
                        compressed.opcode);
        return refuse(session, header, &err, 0, COUNTER_ERRORS_PROTOCOL_CLIENT);
    }
    switch (session_open(session, &compressed, &err)) {
    case SESSION_OPENED_WHOLE:
        break;
    case SESSION_OPENED_PART:
        return leave_for_next_turn(session);
    case SESSION_OPENED_NO_ROOM:
        return refuse(session, header, &err, 0, COUNTER_ERRORS_MEMORY);
    case SESSION_OPENED_BROKEN:
        return refuse(session, header, &err, 0, COUNTER_ERRORS_PROTOCOL_CLIENT);
    }
    const struct opening *opening = &session->opening;
    struct message message = {.header = *header,
                              .payload = bytes_of(opening->inside, opening->bytes),
                              .compressor = compressed.compressor,
                              .whole = true};
    if (!wire_sections_find_body(message.payload, &body, &flags, &err))
        return refuse(session, header, &err, 0, COUNTER_ERRORS_PROTOCOL_CLIENT);
    return dispatch_body(session, &message, body, flags);
}

/* The next portion of a write that is checked. Its message stands where it stood, unless it was
 * read but a moment ago and kept since. */
static enum begin go_on_checking(struct session *session, const struct window *window)
{
    struct error err;
    struct checking *checking = session->checking;
    const struct message *was = &checking->message;
    size_t length = (size_t)was->header.length - WIRE_HEADER_BYTES;
    struct bytes payload = bytes_of(window->data + WIRE_HEADER_BYTES, length);
    if (session->opening.inside == NULL && payload.pos != was->payload.pos) {
        size_t body_offset = (size_t)(checking->request.body.pos - was->payload.pos);
        size_t body_len = bytes_left(&checking->request.body);
        checking->message.payload = payload;
        (void)request_read(bytes_of(payload.pos + body_offset, body_len), checking->request.flags,
                           &checking->request, &err); /* it was read before */
    }
    /* copies: `checking` goes with the session */
    struct message message = checking->message;
    struct request request = checking->request;
    enum begin result = begin_write(session, &message, &request);
    if (result == BEGIN_FORWARD)
        result = forward(session, &message.header, &request, false);
    if (session->checking != NULL && session->checking->check == NULL)
        session_checking_free(session);
    return result;
}

/* A header that cannot be taken; who speaks another protocol is told so. */
static enum begin refuse_header(struct session *session, const struct wire_header *header,
                                const uint8_t *at, const struct error *why)
{
    struct error err = *why;
    const char *hint = wire_header_hint(at);
    if (hint != NULL)
        (void)error_set(&err, why->code, "%s; %s", why->message, hint);
    return refuse(session, header, &err, 0, COUNTER_ERRORS_PROTOCOL_CLIENT);
}

/* At least a header is there. */
static enum begin begin_request(struct session *session, const struct window *window)
{
    struct error err;
    if (session->checking != NULL)
        return go_on_checking(session, window);
    struct wire_header header = wire_header_read(window->data);
    size_t max = (size_t)session_config(session)->max_message_bytes;
    if (!wire_header_check(&header, max, &err) || !wire_opcode_check_request(header.opcode, &err))
        return refuse_header(session, &header, window->data, &err);
    size_t have = window->len < (size_t)header.length ? window->len : (size_t)header.length;
    struct bytes payload = bytes_of(window->data + WIRE_HEADER_BYTES, have - WIRE_HEADER_BYTES);
    if (session->stage != REQUEST_GATHERED)
        session->stage = REQUEST_AWAITED;
    if (header.opcode == WIRE_OP_MSG)
        return begin_msg(session, &header, payload);
    if (have < (size_t)header.length)
        return BEGIN_WAIT;
    if (header.opcode == WIRE_OP_QUERY)
        return begin_query(session, &header, payload);
    if (wire_legacy_opcode_name(header.opcode) != NULL)
        return begin_legacy(session, &(struct message){.header = header, .whole = true}, NULL);
    return begin_compressed(session, &header, payload);
}

/* The rest of a request whose beginning went upstream. Broken sections in it end both connections:
 * the server has half of a message that nothing can complete. */
static bool forward_rest(struct session *session, struct window *window)
{
    struct error err;
    struct link *upstream = &lease_connection(session)->link;
    size_t len = window->len < session->request_left ? window->len : session->request_left;
    if (!wire_walk_feed(&session->walk, window->data, len, &err)) {
        session_fail_pending(session, &err, COUNTER_ERRORS_PROTOCOL_CLIENT);
        return false;
    }
    session->request_left -= (uint32_t)len;
    if (session->request_left == 0)
        session->stage = REQUEST_AWAITED;
    return session_window_forward(session, window, upstream, len);
}

static bool forward_begun(struct session *session, struct window *window)
{
    uint32_t length = bytes_load_u32(window->data);
    size_t len = window->len < length ? window->len : length;
    session->request_left = length - (uint32_t)len;
    session->stage = session->request_left > 0 ? REQUEST_FORWARDED : REQUEST_AWAITED;
    struct upstream_connection *connection = session_reach_upstream(session);
    return connection != NULL && session_window_forward(session, window, &connection->link, len);
}

/* Whether something must come before another request is looked at: the next turn, replies, the end
 * of a pause, or that the client reads, since what the proxy answers itself would pile up
 * otherwise. */
static bool is_full(const struct session *session)
{
    return session->stage == REQUEST_LEFT || session->stage == REQUEST_HELD ||
           session->exchange != NULL || link_is_blocked(&session->client) ||
           pending_is_full(&session->pending) ||
           (session->stage == REQUEST_QUEUED && !pending_is_empty(&session->pending));
}

/* Works through what was read. False after the session left SESSION_ACTIVE. */
static bool process(struct session *session, struct window *window)
{
    for (bool first = true; window->len > 0;) {
        if (session->stage == REQUEST_FORWARDED) {
            if (!forward_rest(session, window))
                return false;
            continue;
        }
        if (window->len < WIRE_HEADER_BYTES || is_full(session))
            return true;
        if (!first && !turn_has_time(worker_turn(session->worker->worker))) {
            (void)leave_for_next_turn(session);
            return true;
        }
        first = false;
        uint32_t length = bytes_load_u32(window->data);
        enum begin begun = begin_request(session, window);
        if (begun != BEGIN_WAIT)
            session_open_release(&session->opening, &session->worker->shared->budget);
        switch (begun) {
        case BEGIN_TAKEN:
            session->stage = REQUEST_AWAITED;
            session_window_drop(window, length);
            break;
        case BEGIN_WAIT:
            return true;
        case BEGIN_STOP:
            return false;
        case BEGIN_FORWARD:
            if (!forward_begun(session, window))
                return false;
            break;
        }
    }
    return true;
}

/* Reading goes on only while the upstream takes what it is given. */
static void pace(struct session *session)
{
    if (session->client_finished || is_full(session) || lease_is_blocked(session))
        link_pause(&session->client);
    else
        link_resume(&session->client);
}

/* What is kept and waits for more bytes of its request needs no look before they came: all of them,
 * or those of the header. */
static size_t expected_bytes(const struct session *session, const struct window *window)
{
    if (window->len == 0 || is_full(session))
        return 1;
    if (window->len < WIRE_HEADER_BYTES)
        return WIRE_HEADER_BYTES - window->len;
    return bytes_load_u32(window->data) - window->len;
}

static void process_and_pace(struct session *session, struct window *window)
{
    if (!process(session, window) || !session_window_keep(session, window))
        return;
    link_expect(&session->client, expected_bytes(session, window));
    pace(session);
}

static void discard(struct session *session)
{
    struct error err;
    size_t got = 0;
    enum transport_status status =
        link_read(&session->client, worker_scratch(session->worker->worker), WORKER_SCRATCH_BYTES,
                  &got, &err);
    if (status == TRANSPORT_EOF || status == TRANSPORT_ERROR)
        session_end(session, "closed after an error");
    else if (transport_has_pending(&session->client.transport))
        link_resume(&session->client);
}

static void client_readable(void *arg)
{
    struct session *session = arg;
    struct window window;
    if (session->state == SESSION_LINGERING) {
        discard(session);
        return;
    }
    if (!session_window_fill(session, &session->client, &window))
        return;
    session->progress_ms = clock_now_ms();
    if (session->request_seen)
        session->since_ms = session->progress_ms;
    process_and_pace(session, &window);
}

void session_client_resume(struct session *session)
{
    if (buffer_length(&session->client.in) == 0) {
        pace(session);
        return;
    }
    struct window window = {.data = buffer_begin(&session->client.in),
                            .len = buffer_length(&session->client.in),
                            .from = &session->client,
                            .gathered = true};
    process_and_pace(session, &window);
}

void session_client_go_on(void *arg)
{
    struct session *session = arg;
    if (session->state != SESSION_ACTIVE)
        return;
    session->stage = REQUEST_AWAITED;
    session_client_resume(session);
}

static void client_opened(void *arg)
{
    struct session *session = arg;
    struct transport_tls_details tls;
    if (transport_tls_details(&session->client.transport, &tls))
        LOG_D(LOG_NETWORK, 1008, session->context, "TLS with the client is established",
              LOG_STR("version", tls.version), LOG_STR("cipher", tls.cipher),
              LOG_STR("peerSubject", tls.peer_subject));
}

static void client_drained(void *arg)
{
    struct session *session = arg;
    if (session->state == SESSION_LINGERING) {
        link_finish_sending(&session->client);
        link_resume(&session->client);
        return;
    }
    if (lease_connection(session) != NULL)
        link_resume(&lease_connection(session)->link);
    session_client_resume(session);
    if (session->state == SESSION_ACTIVE)
        session_end_if_drained(session);
}

/* Its upstream connection carries the inserts of others too: they get their answers first. */
static void leave_behind(struct session *session)
{
    counters_add(session_counters(session), COUNTER_CLIENTS_VANISHED, 1);
    session->state = SESSION_LEAVING;
    session->linger_since_ms = clock_now_ms();
    link_close(&session->client);
    session_exchange_free(session, session->exchange);
    session->exchange = NULL;
}

/* The client is gone: with a command under way that ends the upstream connection too, so that the
 * server stops working for nobody. */
void session_client_leave(struct session *session, const char *reason)
{
    char in_command[SESSION_CAUSE_BYTES];
    if (session->state == SESSION_ACTIVE && lease_carries_batch(session)) {
        leave_behind(session);
        return;
    }
    if (session->state == SESSION_ACTIVE && session_runs_command(session)) {
        counters_add(session_counters(session), COUNTER_CLIENTS_VANISHED, 1);
        (void)snprintf(in_command, sizeof in_command,
                       "the client went away while a command was running: %.300s", reason);
        reason = in_command;
    }
    session_end(session, reason);
}

/* The client is closed, and the server gets what waits. */
static void leave_writing(struct session *session)
{
    session->state = SESSION_LEAVING;
    session->linger_since_ms = clock_now_ms();
    link_close(&session->client);
}

/* What is still to be looked at. A request that a pause holds was not sent, and is not any more. */
static bool has_whole_request(const struct session *session)
{
    const struct buffer *in = &session->client.in;
    size_t len = buffer_length(in);
    return session->stage != REQUEST_HELD && len >= WIRE_HEADER_BYTES &&
           len >= bytes_load_u32(buffer_begin(in));
}

/* Whether more is to be sent for it, or for others on its connection. */
static bool sends_more(const struct session *session)
{
    const struct exchange *exchange = session->exchange;
    return lease_carries_batch(session) || session->checking != NULL ||
           session->stage == REQUEST_LEFT || has_whole_request(session) ||
           (exchange != NULL && (exchange->abort_message != NULL || exchange->waiter != NULL ||
                                 exchange->attached != NULL || exchange->resend != NULL));
}

static bool awaits_answers(const struct session *session)
{
    return !pending_is_empty(&session->pending) || session->exchange != NULL || sends_more(session);
}

void session_client_wind_up(struct session *session)
{
    if (session->state != SESSION_ACTIVE)
        return;
    if (!awaits_answers(session)) {
        if (link_is_blocked(&session->client))
            session_linger(session, "the client closed");
        else if (lease_is_blocked(session))
            leave_writing(session);
        else
            session_end(session, "the client closed");
        return;
    }
    struct upstream_connection *connection = lease_connection(session);
    if (sends_more(session) || connection == NULL || connection->finished ||
        connection->link.state != LINK_OPEN || link_is_blocked(&connection->link))
        return;
    connection->finished = true;
    link_finish_sending(&connection->link);
}

/* EOF. Whoever has asked for something still gets its answer, as directly: one who only ended its
 * side cannot be told from one who is gone. The server is told, and stops what it would have
 * stopped. Writes that want no reply still go out, as they would have from the client's kernel. */
static void client_ended(void *arg)
{
    struct session *session = arg;
    if (session->state == SESSION_ACTIVE && awaits_answers(session)) {
        if (session_runs_command(session))
            counters_add(session_counters(session), COUNTER_CLIENTS_VANISHED, 1);
        session->client_finished = true;
        link_pause(&session->client);
        session_client_wind_up(session);
    } else if (session->state == SESSION_LINGERING || !lease_is_blocked(session) ||
               session->stage == REQUEST_FORWARDED) {
        session_client_leave(session, "the client closed");
    } else {
        leave_writing(session);
    }
}

void session_client_check_peer(struct session *session)
{
    bool waits = session->stage == REQUEST_HELD || awaits_answers(session);
    if (!waits || session->client.reading)
        return;
    switch (link_look_at_peer(&session->client)) {
    case LINK_PEER_THERE:
        break;
    case LINK_PEER_ENDED:
        if (!session->client_finished)
            client_ended(session);
        break;
    case LINK_PEER_LOST:
        session_client_leave(session, "the client's connection was reset");
        break;
    }
}

static void client_failed(void *arg, const char *cause)
{
    session_client_leave(arg, cause);
}

const struct link_handler session_client_handler = {.opened = client_opened,
                                                    .readable = client_readable,
                                                    .drained = client_drained,
                                                    .ended = client_ended,
                                                    .failed = client_failed};
