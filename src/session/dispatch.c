#include "session/dispatch.h"

#include <string.h>

#include "session/answer.h"
#include "session/awaiting.h"
#include "session/checking.h"
#include "session/collection_changes.h"
#include "session/connect.h"
#include "session/hello_facts.h"
#include "session/lease.h"
#include "session/legacy.h"
#include "session/life.h"
#include "session/limited.h"
#include "session/limited_state.h"
#include "session/logins.h"
#include "session/pause.h"
#include "session/pooled.h"
#include "session/request.h"
#include "session/route.h"
#include "session/sharing.h"
#include "session/spans.h"
#include "session/statements.h"
#include "session/verified.h"
#include "session/verified_state.h"

/* The request stays in place and is handled again after all earlier replies. */
static enum decision queue(struct client *client)
{
    client->stage = REQUEST_QUEUED;
    return DECISION_WAIT;
}

enum decision dispatch_gather(struct client *client)
{
    client->stage = REQUEST_GATHERED;
    return DECISION_WAIT;
}

enum decision dispatch_next_turn(struct client *client)
{
    client->stage = REQUEST_LEFT;
    turn_wait(worker_turn(client->worker->worker), &client->next_turn);
    return DECISION_WAIT;
}

enum decision dispatch_refuse(struct client *client, const struct wire_header *header, bool silent,
                              const struct error *error, uint32_t labels, enum counter counter)
{
    struct wire_reply_to to = {.request_id = header->request_id,
                               .legacy = header->opcode == WIRE_OP_QUERY};
    if (!pending_is_empty(&client->pending))
        return queue(client);
    bool answerable = !silent && header->length >= WIRE_HEADER_BYTES &&
                      wire_opcode_check_request(header->opcode, NULL) &&
                      wire_legacy_opcode_name(header->opcode) == NULL;
    client_fail(client, answerable ? &to : NULL, error, labels, counter);
    return DECISION_STOP;
}

/* Counts a request once, when it is decided on: forwarded, merged, answered or refused. `command`
 * is COMMAND_UNKNOWN for a legacy opcode. */
static void count_request(struct client *client, const struct wire_header *header,
                          enum command_name command)
{
    limited_decided(client);
    verified_decided(client);
    session_metrics_note_request(&client->worker->metrics, route_counted_as(command));
    counters_add(client_counters(client), COUNTER_REQUESTS, 1);
    counters_add(client_counters(client), COUNTER_REQUEST_BYTES, (uint64_t)header->length);
}

/* dispatch_refuse for a request that was understood (NULL: a legacy opcode). Counts it before the
 * client has the answer. */
static enum decision refuse(struct client *client, const struct wire_header *header,
                            const struct wire_command *request, const struct error *error,
                            uint32_t labels, enum counter counter)
{
    bool silent = request != NULL && request_is_silent(request);
    if (pending_is_empty(&client->pending))
        count_request(client, header, request == NULL ? COMMAND_UNKNOWN : request->known);
    return dispatch_refuse(client, header, silent, error, labels, counter);
}

static enum decision refuse_over_limit(struct client *client, const struct wire_header *header,
                                       const struct wire_command *request)
{
    struct error err;
    if (request != NULL)
        hello_facts_note(client, request);
    (void)error_set(&err, ERROR_OVERLOADED,
                    "mongosluice refuses this connection: max_client_conn (%lld) is reached; try "
                    "again later or raise the limit",
                    (long long)client_config(client)->max_client_conn);
    uint32_t labels = client->accepts_overload ? WIRE_LABEL_OVERLOADED : 0;
    return refuse(client, header, request, &err, labels, COUNTER_REQUESTS_REFUSED);
}

static enum decision refuse_transaction_in_drain(struct client *client,
                                                 const struct wire_header *header,
                                                 const struct wire_command *request)
{
    struct error err;
    (void)error_set(&err, ERROR_SHUTDOWN_IN_PROGRESS,
                    "mongosluice is draining and accepts no new transactions");
    return refuse(client, header, request, &err, WIRE_LABEL_TRANSIENT_TRANSACTION,
                  COUNTER_REQUESTS_REFUSED);
}

static enum decision refuse_certificate_login(struct client *client,
                                              const struct wire_header *header,
                                              const struct wire_command *request)
{
    struct error err;
    (void)error_set(&err, ERROR_AUTHENTICATION_FAILED,
                    "mongosluice refuses MONGODB-X509: the server would take the proxy's own "
                    "certificate (tlsCertificateKeyFile of option upstream) for this client's; log "
                    "in with another mechanism, named once and as a string");
    return refuse(client, header, request, &err, 0, COUNTER_REQUESTS_REFUSED);
}

static enum identity_effect effect_of(const struct client *client,
                                      const struct wire_command *request)
{
    enum identity_effect effect = route_of(request->known)->identity;
    return client->sharing && effect != IDENTITY_STAYS ? pooled_effect(request, effect) : effect;
}

/* In shared mode a w:0 write pins the connection until the next acknowledged command. `sent`: a
 * command with a reply goes upstream now, or went there. */
static void note_acknowledgement(struct client *client, const struct wire_command *request,
                                 bool sent)
{
    if (request_is_silent(request))
        client->unacknowledged = lease_connection(client) != NULL;
    else if (sent)
        client->unacknowledged = false;
}

/* Does a step. */
static enum decision act(struct client *client, const struct message *message,
                         struct wire_command *request, enum request_step step)
{
    switch (step) {
    case STEP_PASS:
        return DECISION_FORWARD;
    case STEP_WAIT:
        return queue(client);
    case STEP_GATHER:
        return dispatch_gather(client);
    case STEP_PART:
        return dispatch_next_turn(client);
    case STEP_LEASE:
        spans_wait(client->trail, TRAIL_WAIT_POOL);
        return DECISION_WAIT;
    case STEP_TAKEN:
        identify_pass(client, request, effect_of(client, request));
        if (client->sharing)
            note_acknowledgement(client, request, !pending_is_empty(&client->pending));
        count_request(client, &message->header, request->known);
        return DECISION_TAKEN;
    case STEP_STOP:
        count_request(client, &message->header, request->known);
        break;
    }
    return DECISION_STOP;
}

/* Calls the handler of its command. */
static enum decision take(struct client *client, const struct message *message,
                          struct wire_command *request)
{
    const struct route *route = route_of(request->known);
    return act(client, message, request,
               route->request != NULL ? route->request(client, message, request) : STEP_PASS);
}

/* The proxy is paused: the request is handled again at the resume. */
static enum decision hold(struct client *client, const struct message *message,
                          struct wire_command *request)
{
    struct error err;
    if (pause_hold(client)) {
        spans_wait(client->trail, TRAIL_WAIT_RESUME);
        return DECISION_WAIT;
    }
    if (!pending_is_empty(&client->pending))
        return queue(client);
    client->hold_since_ms = 0;
    (void)error_set(&err, ERROR_EXCEEDED_TIME_LIMIT,
                    "mongosluice is paused, and the command waited for %lld ms (option "
                    "query_wait_timeout_ms); resume it, or try again later",
                    (long long)client_config(client)->query_wait_timeout_ms);
    bool answered = answer_refusal(client, message, request, &err, request_error_labels(request),
                                   COUNTER_TIMEOUTS_PAUSED);
    return act(client, message, request, answered ? STEP_TAKEN : STEP_STOP);
}

/* The first message ends the handshake timeout, and the first command chooses the mode. */
static void note_seen(struct client *client, const struct wire_command *request)
{
    if (client->mode_chosen)
        return;
    if (!client->request_seen)
        client->since_ms = clock_now_ms();
    client->request_seen = true;
    client->mode_chosen = request != NULL;
    if (request != NULL)
        sharing_begin(client, request);
}

enum decision dispatch_legacy(struct client *client, const struct message *message,
                              const struct wire_command *request)
{
    const struct wire_header *header = &message->header;
    bool wants_reply = header->opcode == WIRE_OP_QUERY || header->opcode == WIRE_OP_GET_MORE;
    if (client->refused)
        return refuse_over_limit(client, header, request);
    if (wants_reply && !pending_is_empty(&client->pending))
        return queue(client);
    note_seen(client, request);
    count_request(client, header, request == NULL ? COMMAND_UNKNOWN : request->known);
    bool alive = true;
    if (request != NULL)
        alive = legacy_refuse_command(client, message, request);
    else if (wants_reply)
        alive = legacy_refuse_read(client, header);
    else
        legacy_drop_write(client, header);
    return alive ? DECISION_TAKEN : DECISION_STOP;
}

static void push_pending(struct client *client, const struct wire_header *header,
                         const struct wire_command *request, bool watches_claim, uint32_t change)
{
    const struct route *route = route_of(request->known);
    bool watched =
        route->reply != NULL && (route->reply_if == NULL || route->reply_if(client, request));
    struct pending pending = {.expected_response_to = header->request_id,
                              .request_id = header->request_id,
                              .watched = watched,
                              .awaitable = route->awaitable,
                              .awaits_data = awaiting_is(client, request),
                              .legacy = request->legacy,
                              .exhaust = (request->flags & WIRE_FLAG_EXHAUST_ALLOWED) != 0,
                              .watches_claim = watches_claim,
                              .error_labels = request_error_labels(request),
                              .has_lsid = request->lsid != NULL,
                              .permit = client->worker->next_permit,
                              .trail = spans_send(client),
                              .in_transaction = request->in_transaction,
                              .command = request->known,
                              .sent_us = client_now_us(client),
                              .change = change};
    if (request->lsid != NULL)
        memcpy(pending.lsid, request->lsid, LSID_BYTES);
    client->worker->next_permit = NULL;
    statements_note_sent(client, pending_push(&client->pending, &pending));
}

/* The server sends no reply (w:0). */
static void lose_answer(struct client *client, uint32_t change)
{
    struct trail *trail = spans_send(client);
    spans_note_reply(trail, (struct bytes){0});
    spans_end(client->worker, trail);
    collection_changes_lose(client, change);
}

/* Forwards it unchanged. */
static enum decision forward(struct client *client, const struct wire_header *header,
                             const struct wire_command *request)
{
    const struct route *route = route_of(request->known);
    enum identity_effect effect = effect_of(client, request);
    uint32_t change = 0;
    if (lease_connection(client) == NULL && connect_take_lease(client) == NULL)
        return DECISION_STOP;
    if (effect != IDENTITY_STAYS)
        identify_pass(client, request, effect);
    if (client->sharing)
        note_acknowledgement(client, request, true);
    bool watches_claim = effect == IDENTITY_CHANGES && logins_watch(client, request);
    if (route->reply == collection_changes_take_reply)
        change = collection_changes_begin(client, request);
    if (!request_is_silent(request))
        push_pending(client, header, request, watches_claim, change);
    else
        lose_answer(client, change);
    counters_add(client_counters(client), COUNTER_UPSTREAM_REQUESTS, 1);
    count_request(client, header, request->known);
    return DECISION_FORWARD;
}

enum decision dispatch_request(struct client *client, const struct message *message,
                               struct wire_command *request)
{
    const struct wire_header *header = &message->header;
    const struct route *route = route_of(request->known);
    if (request->legacy && route->legacy == ROUTE_MSG_ONLY)
        return dispatch_legacy(client, message, request);
    note_seen(client, request);
    if (spans_are_on(client) && route->identity != IDENTITY_CHANGES)
        spans_begin(client, request);
    if (route->pause == ROUTE_WAITS && pause_holds(client, request))
        return hold(client, message, request);
    if (client->refused)
        return refuse_over_limit(client, header, request);
    if (!identify_may_pass(client, message, request))
        return refuse_certificate_login(client, header, request);
    if (client->worker->draining && request->starts_transaction)
        return refuse_transaction_in_drain(client, header, request);
    enum request_step admitted = limited_admit(client, message, request);
    if (admitted == STEP_TAKEN) {
        count_request(client, header, request->known);
        return DECISION_TAKEN;
    }
    if (admitted != STEP_PASS)
        return act(client, message, request, admitted);
    if (client->sharing) {
        enum request_step step = verified_admit(client, message, request);
        if (step == STEP_TAKEN) {
            count_request(client, header, request->known);
            return DECISION_TAKEN;
        }
        if (step == STEP_PASS)
            step = pooled_admit(client, message, request);
        if (step != STEP_PASS)
            return act(client, message, request, step);
    }
    enum decision decision = take(client, message, request);
    return decision == DECISION_FORWARD ? forward(client, header, request) : decision;
}

enum decision dispatch_checking(struct client *client, const uint8_t *data)
{
    struct checking *checking = client->checking;
    const struct message *was = &checking->message;
    size_t length = (size_t)was->header.length - WIRE_HEADER_BYTES;
    struct bytes payload = bytes_of(data + WIRE_HEADER_BYTES, length);
    if (client->opening == NULL && payload.pos != was->payload.pos) {
        checking->message.payload = payload;
        wire_command_move(&checking->request, payload);
    }
    /* copies: `checking` ends with the client */
    struct message message = checking->message;
    struct wire_command request = checking->request;
    enum decision result = take(client, &message, &request);
    if (result == DECISION_FORWARD)
        result = forward(client, &message.header, &request);
    if (client->checking != NULL && client->checking->check == NULL)
        checking_free(client);
    return result;
}
