#include "session/exchange_steps.h"

#include <string.h>

#include "base/memory.h"
#include "enforce/enforce.h"
#include "session/answer.h"
#include "session/lease.h"
#include "session/life.h"
#include "session/merge_ties.h"
#include "session/send.h"
#include "session/spans.h"
#include "session/statements.h"
#include "session/upstream_connection.h"

/* Adds a pending request whose reply belongs to the exchange. */
static void push_exchanged(struct client *client, int32_t request_id)
{
    struct exchange *exchange = client->exchange;
    struct pending pending = {.expected_response_to = request_id,
                              .request_id = exchange->message.header.request_id,
                              .watched = true,
                              .error_labels = exchange->error_labels,
                              .exchanged = true,
                              .has_lsid = exchange->in_transaction,
                              .in_transaction = exchange->in_transaction && !exchange->aborting,
                              .command = exchange->message.command,
                              .sent_us = client_now_us(client)};
    memcpy(pending.lsid, exchange->lsid, LSID_BYTES);
    statements_note_sent(client, pending_push(&client->pending, &pending));
}

/* The first time: the upstream command of a traced request lasts until its last reply. */
static void note_sent(struct client *client)
{
    struct trail *trail = client->exchange->trail;
    if (trail != NULL && trail->upstream.from_us == 0)
        spans_note_sent(trail, lease_connection(client)->server, clock_now_us());
}

static bool send_upstream(struct client *client, const uint8_t *message, size_t len)
{
    push_exchanged(client, wire_header_read(message).request_id);
    note_sent(client);
    return send_bytes(client, message, len);
}

static bool finish(struct client *client)
{
    struct exchange *exchange = client->exchange;
    client->exchange = NULL;
    spans_note_reply(exchange->trail,
                     bytes_of(buffer_begin(&exchange->answer), buffer_length(&exchange->answer)));
    bool sent = answer_buffer(client, &exchange->message, &exchange->answer);
    exchange_free(client, exchange);
    return sent;
}

bool exchange_answer(struct client *client, struct bytes document, const char *otherwise)
{
    struct exchange *exchange = client->exchange;
    bool sent = false;
    client->exchange = NULL; /* the answer may end the client */
    if (bytes_left(&document) > 0)
        spans_note_reply(exchange->trail, document);
    if (bytes_left(&document) == 0)
        client_linger(client, otherwise);
    else
        sent = answer_document(client, &exchange->message, document);
    exchange_free(client, exchange);
    return sent;
}

/* Performs the remaining steps before the answer, in this order. */
static bool proceed(struct client *client)
{
    struct exchange *exchange = client->exchange;
    if (exchange->abort_message == NULL)
        return finish(client);
    uint8_t *abort_message = exchange->abort_message;
    exchange->abort_message = NULL;
    exchange->aborting = true;
    bool sent = send_upstream(client, abort_message, exchange->abort_len);
    memory_free(abort_message);
    return sent;
}

bool exchange_begin(struct client *client, struct exchange *exchange, struct bytes payload)
{
    client->exchange = exchange;
    return bytes_left(&payload) == 0 ? proceed(client) : exchange_send(client, payload);
}

bool exchange_begin_with(struct client *client, struct exchange *exchange, struct buffer *payload)
{
    int32_t request_id = exchange->message.header.request_id;
    client->exchange = exchange;
    send_frame_buffer(payload, request_id);
    push_exchanged(client, request_id);
    note_sent(client);
    return send_buffer(client, payload);
}

bool exchange_send(struct client *client, struct bytes payload)
{
    size_t len = 0;
    uint8_t *message =
        send_frame_payload(client, client->exchange->message.header.request_id, payload, &len);
    if (message == NULL)
        return false;
    bool sent = send_upstream(client, message, len);
    memory_free(message);
    return sent;
}

/* Makes the answer from the reply to the replacement. */
static bool take_reply(struct client *client, struct bytes document, struct error *err)
{
    struct build build;
    struct bytes reply;
    struct exchange *exchange = client->exchange;
    struct bulk_cursor_use use = client_cursor_use(client);
    size_t taken = 0;
    bool ok = exchange->cursor != NULL
                  ? bulk_cursor_reply(exchange->cursor, &use, document, &build, &reply, err)
                  : enforce_splice_reply(exchange->splice, document, &build, &reply, err);
    if (ok && budget_take(exchange->budget, build.room))
        taken = build.room;
    if (taken == 0) {
        build_free(&build);
        return !ok ? false
                   : error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT,
                               "no room for the reply to a write that ran: the proxy's message "
                               "buffers are at their limit (option memory_max)");
    }
    buffer_release(&exchange->answer, exchange->budget);
    exchange->answer = (struct buffer){.data = build.data,
                                       .start = (size_t)(reply.pos - build.data),
                                       .end = (size_t)(reply.end - build.data),
                                       .cap = taken};
    return true;
}

/* Keeps the cursor of a bulkWrite with further results. */
static void keep_cursor(struct client *client, struct exchange *exchange, struct bytes document)
{
    struct bulk_cursor_use use = client_cursor_use(client);
    if (exchange->splice == NULL || enforce_splice_cursor(exchange->splice) == 0)
        return;
    client->had_bulk_cursor = true;
    bulk_cursors_put(client->worker->shared->bulk_cursors, &use, document,
                     exchange->has_lsid ? exchange->lsid : NULL, exchange->splice);
    exchange->splice = NULL;
    exchange->held_bytes = 0;
}

bool exchange_reply(struct client *client, struct bytes document)
{
    struct exchange *exchange = client->exchange;
    struct error err;
    if (exchange->aborting) {
        transactions_end(client->worker->shared->transactions, exchange->lsid);
    } else if (!take_reply(client, document, &err)) {
        client_fail_pending(client, &err, COUNTER_ERRORS_PROTOCOL_UPSTREAM);
        return false;
    }
    merge_pop_pending(client);
    if (!exchange->aborting)
        keep_cursor(client, exchange, document);
    return proceed(client);
}
