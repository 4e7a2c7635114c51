#include "session/requests.h"

#include <utlist.h>

#include "base/memory.h"
#include "session/connect.h"
#include "session/dispatch.h"
#include "session/lease.h"
#include "session/leaving.h"
#include "session/life.h"
#include "session/open.h"
#include "session/pooled.h"
#include "session/spans.h"
#include "session/tls_failures.h"
#include "session/window.h"
#include "wire/query.h"

/* The walk continues when more of the request has arrived. */
static enum decision keep_walk(struct client *client, const struct wire_walk *walk,
                               enum decision decision)
{
    if (client->walk == NULL)
        client->walk = memory_alloc(sizeof *walk);
    if (client->walk == NULL) {
        client_end(client, "out of memory for a request");
        return DECISION_STOP;
    }
    *client->walk = *walk;
    return decision;
}

static void drop_walk(struct client *client)
{
    memory_free(client->walk);
    client->walk = NULL;
}

/* Without memory for it, the request is parsed again. */
static void keep_parsed(struct client *client, const struct wire_command *request)
{
    client->parsed = memory_alloc(sizeof *client->parsed);
    if (client->parsed != NULL)
        *client->parsed = *request;
}

static void drop_parsed(struct client *client)
{
    memory_free(client->parsed);
    client->parsed = NULL;
}

/* For a request that is not understood. `payload`: what came of it; in a compressed one, unless
 * that is open, nobody knows whether it wants a reply. */
static enum decision refuse(struct client *client, const struct wire_header *header, int32_t opcode,
                            struct bytes payload, const struct error *error)
{
    bool silent = opcode == WIRE_OP_MSG && bytes_left(&payload) >= sizeof(uint32_t) &&
                  (bytes_load_u32(payload.pos) & WIRE_FLAG_MORE_TO_COME) != 0;
    return dispatch_refuse(client, header, silent, error, 0, COUNTER_ERRORS_PROTOCOL_CLIENT);
}

static enum decision decide(struct client *client, struct message *message,
                            struct wire_command *request)
{
    message->command = request->known;
    enum decision decision = dispatch_request(client, message, request);
    if (decision == DECISION_WAIT && client->parsed == NULL && client->checking == NULL)
        keep_parsed(client, request);
    return decision;
}

/* Decides on an OP_MSG whose body has arrived. */
static enum decision decide_msg(struct client *client, const struct wire_header *header,
                                struct bytes payload, const struct wire_walk *walk)
{
    struct error err;
    struct wire_command request;
    size_t length = (size_t)header->length - WIRE_HEADER_BYTES;
    struct message message = {
        .header = *header, .payload = payload, .whole = bytes_left(&payload) == length};
    if (client->parsed != NULL) {
        request = *client->parsed; /* a copy: `parsed` ends with the client */
        wire_command_come(&request, walk, payload);
    } else if (!wire_command_read(walk, payload, length, &request, &err)) {
        return refuse(client, header, header->opcode, payload, &err);
    }
    return decide(client, &message, &request);
}

/* Waits for the body; the rest is streamed. */
static enum decision begin_msg(struct client *client, const struct wire_header *header,
                               struct bytes payload)
{
    struct error err;
    struct wire_walk walk;
    size_t length = (size_t)header->length - WIRE_HEADER_BYTES;
    /* earlier bytes were already walked: there can be many sections */
    if (client->stage == REQUEST_GATHERED)
        walk = *client->walk;
    else
        wire_walk_start(&walk, (uint32_t)length);
    if (!wire_walk_feed(&walk, payload.pos + walk.offset, bytes_left(&payload) - walk.offset, &err))
        return refuse(client, header, header->opcode, payload, &err);
    if (!walk.body_found || walk.body_length > bytes_left(&payload) - walk.body_offset)
        return keep_walk(client, &walk, dispatch_gather(client));
    enum decision decision = decide_msg(client, header, payload, &walk);
    bool goes_on = decision == DECISION_FORWARD
                       ? bytes_left(&payload) < length
                       : decision == DECISION_WAIT && client->stage == REQUEST_GATHERED;
    return goes_on ? keep_walk(client, &walk, decision) : decision;
}

static enum decision begin_query(struct client *client, const struct wire_header *header,
                                 struct bytes payload)
{
    struct error err;
    struct wire_query query;
    struct wire_command request;
    struct message message = {.header = *header, .whole = true};
    if (!wire_query_read(payload, &query, &err))
        return refuse(client, header, header->opcode, payload, &err);
    if (query.is_find)
        return dispatch_legacy(client, &message, NULL);
    if (!wire_command_read_legacy(query.command, query.database, &request, &err))
        return refuse(client, header, header->opcode, payload, &err);
    message.command = request.known;
    return dispatch_request(client, &message, &request);
}

/* Opens a compressed message to read it, and forwards it unchanged. */
static enum decision begin_compressed(struct client *client, const struct wire_header *header,
                                      struct bytes payload)
{
    struct error err;
    struct wire_compressed compressed;
    struct wire_command request;
    size_t max = (size_t)client_config(client)->max_message_bytes;
    if (!wire_compressed_read(payload, max, &compressed, &err))
        return refuse(client, header, header->opcode, payload, &err);
    if (compressed.opcode != WIRE_OP_MSG) {
        (void)error_set(
            &err, ERROR_PROTOCOL,
            "OP_COMPRESSED contains opcode %d; a client may compress OP_MSG (2013) only",
            compressed.opcode);
        return refuse(client, header, header->opcode, payload, &err);
    }
    switch (open_request(client, &compressed, &err)) {
    case OPENED_WHOLE:
        break;
    case OPENED_PART:
        return dispatch_next_turn(client);
    case OPENED_NO_ROOM:
        return dispatch_refuse(client, header, false, &err, 0, COUNTER_ERRORS_MEMORY);
    case OPENED_BROKEN:
        return refuse(client, header, header->opcode, payload, &err);
    }
    const struct opening *opening = client->opening;
    struct message message = {.header = *header,
                              .payload = bytes_of(opening->inside, opening->bytes),
                              .compressor = compressed.compressor,
                              .whole = true};
    if (client->parsed != NULL)
        request = *client->parsed;
    else if (!wire_command_read_whole(message.payload, &request, &err))
        return refuse(client, header, compressed.opcode, message.payload, &err);
    return decide(client, &message, &request);
}

/* Refuses an invalid header; the error names another protocol, if it looks like one. */
static enum decision refuse_header(struct client *client, const struct wire_header *header,
                                   const struct window *window, const struct error *why)
{
    struct error err = *why;
    const char *hint = wire_header_hint(window->data);
    struct bytes payload =
        bytes_of(window->data + WIRE_HEADER_BYTES, window->len - WIRE_HEADER_BYTES);
    if (hint != NULL)
        (void)error_set(&err, why->code, "%s; %s", why->message, hint);
    return refuse(client, header, header->opcode, payload, &err);
}

/* At least a header is there. */
static enum decision begin_request(struct client *client, const struct window *window)
{
    struct error err;
    if (client->checking != NULL)
        return dispatch_checking(client, window->data);
    struct wire_header header = wire_header_read(window->data);
    size_t max = (size_t)client_config(client)->max_message_bytes;
    if (!wire_header_check(&header, max, &err) || !wire_opcode_check_request(header.opcode, &err))
        return refuse_header(client, &header, window, &err);
    size_t have = window->len < (size_t)header.length ? window->len : (size_t)header.length;
    struct bytes payload = bytes_of(window->data + WIRE_HEADER_BYTES, have - WIRE_HEADER_BYTES);
    if (client->stage != REQUEST_GATHERED)
        client->stage = REQUEST_AWAITED;
    if (header.opcode == WIRE_OP_MSG)
        return begin_msg(client, &header, payload);
    if (have < (size_t)header.length)
        return DECISION_WAIT;
    if (header.opcode == WIRE_OP_QUERY)
        return begin_query(client, &header, payload);
    if (wire_legacy_opcode_name(header.opcode) != NULL)
        return dispatch_legacy(client, &(struct message){.header = header, .whole = true}, NULL);
    return begin_compressed(client, &header, payload);
}

/* Forwards the rest of a request. Broken sections in it end both connections: the server has half
 * of a message that cannot be completed. */
static bool forward_rest(struct client *client, struct window *window)
{
    struct error err;
    struct link *upstream = &lease_connection(client)->link;
    size_t len = window->len < client->request_left ? window->len : client->request_left;
    if (!wire_walk_feed(client->walk, window->data, len, &err)) {
        client_fail_pending(client, &err, COUNTER_ERRORS_PROTOCOL_CLIENT);
        return false;
    }
    client->request_left -= (uint32_t)len;
    if (client->request_left == 0) {
        client->stage = REQUEST_AWAITED;
        drop_walk(client);
    }
    return window_forward(client, window, upstream, len);
}

static bool forward_begun(struct client *client, struct window *window)
{
    uint32_t length = bytes_load_u32(window->data);
    size_t len = window->len < length ? window->len : length;
    client->request_left = length - (uint32_t)len;
    client->stage = client->request_left > 0 ? REQUEST_FORWARDED : REQUEST_AWAITED;
    if (client->request_left == 0 && client->walk != NULL)
        drop_walk(client);
    struct upstream_connection *connection = connect_upstream(client);
    return connection != NULL && window_forward(client, window, &connection->link, len);
}

/* True if the next request must wait: for the next turn, for replies, for the end of a pause, or
 * for the client to read, because the proxy's answers would pile up otherwise. */
static bool is_full(const struct client *client)
{
    return client->stage == REQUEST_LEFT || client->stage == REQUEST_HELD ||
           client->stage == REQUEST_WAITING || client->exchange != NULL ||
           client->hello_wait != NULL || link_is_blocked(&client->link) ||
           pending_is_full(&client->pending) ||
           (client->stage == REQUEST_QUEUED && !pending_is_empty(&client->pending));
}

/* A compressed request stays open until it is decided on. While memory is short, the opened message
 * of a waiting one is released, because it takes far more memory than the client had to send. */
static bool stays_open(const struct client *client, enum decision begun)
{
    bool waits = client->stage == REQUEST_QUEUED || client->stage == REQUEST_HELD ||
                 client->stage == REQUEST_WAITING;
    return begun == DECISION_WAIT &&
           !(waits && client->opening != NULL && budget_is_short(&client->worker->shared->budget));
}

/* Handles the bytes that were read. False after the client left CLIENT_ACTIVE. */
static bool process(struct client *client, struct window *window)
{
    for (bool first = true; window->len > 0;) {
        if (client->stage == REQUEST_FORWARDED) {
            if (!forward_rest(client, window))
                return false;
            continue;
        }
        if (window->len < WIRE_HEADER_BYTES || is_full(client))
            return true;
        if (!first && !turn_has_time(worker_turn(client->worker->worker))) {
            (void)dispatch_next_turn(client);
            return true;
        }
        first = false;
        uint32_t length = bytes_load_u32(window->data);
        enum decision begun = begin_request(client, window);
        if ((client->opening != NULL || client->parsed != NULL) && !stays_open(client, begun)) {
            open_release(client);
            drop_parsed(client);
        }
        switch (begun) {
        case DECISION_TAKEN:
            client->stage = REQUEST_AWAITED;
            client->trail_decided = false;
            spans_end(client->worker, spans_take(client)); /* no exchange has taken it */
            drop_walk(client);
            window_drop(window, length);
            break;
        case DECISION_WAIT:
            return true;
        case DECISION_STOP:
            return false;
        case DECISION_FORWARD:
            client->trail_decided = false;
            if (!forward_begun(client, window))
                return false;
            break;
        }
    }
    return true;
}

/* A driver sends nothing while its hello waits. Its link is read, because that tells the client's
 * end without a look at thousands of such clients. */
static bool listens_for_end(const struct client *client)
{
    return client->hello_wait != NULL && buffer_length(&client->link.in) == 0;
}

/* Continues reading only while the upstream accepts the bytes. */
static void pace(struct client *client)
{
    bool full = is_full(client) && !listens_for_end(client);
    if (client->finished || full || lease_is_blocked(client))
        link_pause(&client->link);
    else
        link_resume(&client->link);
}

/* Kept bytes of an incomplete request need no handling before its rest, or the rest of its header,
 * arrives. */
static size_t expected_bytes(const struct client *client, const struct window *window)
{
    if (window->len == 0 || is_full(client))
        return 1;
    if (window->len < WIRE_HEADER_BYTES)
        return WIRE_HEADER_BYTES - window->len;
    return bytes_load_u32(window->data) - window->len;
}

static void process_and_pace(struct client *client, struct window *window)
{
    if (!process(client, window) || !window_keep(client, window))
        return;
    link_expect(&client->link, expected_bytes(client, window));
    pace(client);
    if (client->sharing)
        pooled_settle(client);
}

static void discard(struct client *client)
{
    struct error err;
    size_t got = 0;
    enum transport_status status = link_read(&client->link, worker_scratch(client->worker->worker),
                                             WORKER_SCRATCH_BYTES, &got, &err);
    if (status == TRANSPORT_EOF || status == TRANSPORT_ERROR)
        client_end(client, "closed after an error");
    else if (transport_has_pending(&client->link.transport))
        link_resume(&client->link);
}

static void client_readable(void *arg)
{
    struct client *client = arg;
    struct window window;
    if (client->state == CLIENT_LINGERING) {
        discard(client);
        return;
    }
    if (!window_fill(client, &client->link, &window))
        return;
    client->progress_ms = clock_now_ms();
    if (client->request_seen)
        client->since_ms = client->progress_ms;
    process_and_pace(client, &window);
}

void requests_resume(struct client *client)
{
    if (buffer_length(&client->link.in) == 0) {
        pace(client);
        if (client->sharing)
            pooled_settle(client);
        return;
    }
    struct window window = {.data = buffer_begin(&client->link.in),
                            .len = buffer_length(&client->link.in),
                            .from = &client->link,
                            .gathered = true};
    process_and_pace(client, &window);
}

void requests_resume_answered(struct session_worker *worker)
{
    while (worker->to_resume != NULL) {
        struct client *client = worker->to_resume;
        LL_DELETE2(worker->to_resume, client, resume_next);
        if (client->state == CLIENT_ACTIVE)
            requests_resume(client);
        if (client->state == CLIENT_ACTIVE)
            client_end_if_drained(client);
    }
}

void requests_go_on(void *arg)
{
    struct client *client = arg;
    if (client->state != CLIENT_ACTIVE)
        return;
    client->stage = REQUEST_AWAITED;
    requests_resume(client);
}

static void client_opened(void *arg)
{
    struct client *client = arg;
    struct transport_tls_details tls;
    if (transport_tls_details(&client->link.transport, &tls))
        LOG_D(LOG_NETWORK, 1008, client->context, "TLS with the client is established",
              LOG_STR("version", tls.version), LOG_STR("cipher", tls.cipher),
              LOG_STR("peerSubject", tls.peer_subject));
}

static void client_drained(void *arg)
{
    struct client *client = arg;
    if (client->state == CLIENT_LINGERING) {
        link_finish_sending(&client->link);
        link_resume(&client->link);
        return;
    }
    if (lease_connection(client) != NULL)
        link_resume(&lease_connection(client)->link);
    requests_resume(client);
    if (client->state == CLIENT_ACTIVE)
        client_end_if_drained(client);
}

static void client_ended(void *arg)
{
    client_finish(arg);
}

static void client_failed(void *arg, const char *cause)
{
    tls_failures_note_client(arg, cause);
    client_leave(arg, cause);
}

const struct link_handler requests_handler = {.opened = client_opened,
                                              .readable = client_readable,
                                              .drained = client_drained,
                                              .ended = client_ended,
                                              .failed = client_failed};
