/* Requests that the proxy answers in its own words: at once, or after something else went upstream
 * in their place. */
#include "base/memory.h"
#include "bson/build.h"
#include "bson/scan.h"
#include "net/clock.h"
#include "session/lease.h"
#include "session/session_internal.h"
#include "wire/compressed.h"

/* --- answers ------------------------------------------------------------------------------------
 */

/* Larger answers go as they are, also where the request was compressed: zlib takes milliseconds for
 * a megabyte, and every client reads both. */
enum { PACKED_ANSWER_BYTES = 64 * 1024 };

static bool note_sent(struct session *session, bool sent, size_t len, const struct error *err)
{
    if (!sent) {
        session_end(session, err->message);
        return false;
    }
    counters_add(session_counters(session), COUNTER_REPLIES, 1);
    counters_add(session_counters(session), COUNTER_REPLY_BYTES, len);
    session->since_ms = clock_now_ms();
    return true;
}

bool session_send_reply(struct session *session, uint8_t compressor, const uint8_t *message,
                        size_t len)
{
    struct error err;
    uint8_t *compressed = NULL;
    size_t compressed_len = 0;
    bool packed = compressor != WIRE_COMPRESSOR_NOOP && len <= PACKED_ANSWER_BYTES &&
                  wire_compressed_write(compressor, message, len, &compressed, &compressed_len);
    bool sent = packed ? link_send(&session->client, compressed, compressed_len, &err)
                       : link_send(&session->client, message, len, &err);
    memory_free(compressed);
    return note_sent(session, sent, packed ? compressed_len : len, &err);
}

bool session_answer(struct session *session, const struct message *message, struct bytes document)
{
    struct wire_reply_to to = {.request_id = message->header.request_id};
    uint8_t *reply = NULL;
    size_t len = 0;
    if (!wire_reply_frame(to, 0, 0, document, &reply, &len)) {
        session_end(session, "out of memory for a reply");
        return false;
    }
    bool sent = session_send_reply(session, message->compressor, reply, len);
    memory_free(reply);
    return sent;
}

bool session_answer_with(struct session *session, const struct message *message,
                         struct buffer *document)
{
    struct wire_reply_to to = {.request_id = message->header.request_id};
    struct error err;
    wire_reply_write_front(to, 0, 0, buffer_begin(document), buffer_length(document));
    document->start -= WIRE_REPLY_FRONT_BYTES;
    size_t len = buffer_length(document);
    bool sent = message->compressor != WIRE_COMPRESSOR_NOOP && len <= PACKED_ANSWER_BYTES
                    ? session_send_reply(session, message->compressor, buffer_begin(document), len)
                    : note_sent(session, link_send_buffer(&session->client, document, len, &err),
                                len, &err);
    buffer_release(document, &session->worker->shared->budget);
    return sent;
}

bool session_answer_error(struct session *session, const struct message *message,
                          const struct error *error, uint32_t labels)
{
    struct wire_reply_to to = {.request_id = message->header.request_id,
                               .legacy = message->header.opcode == WIRE_OP_QUERY};
    uint8_t *reply = NULL;
    size_t len = 0;
    if (!wire_reply_error(to, error, labels, &reply, &len)) {
        session_end(session, "out of memory for a reply");
        return false;
    }
    bool sent = session_send_reply(session, message->compressor, reply, len);
    memory_free(reply);
    return sent;
}

/* --- exchanges ----------------------------------------------------------------------------------
 */

/* {abortTransaction: 1, lsid, txnNumber, autocommit: false, $db: "admin"}, framed. */
static bool build_abort(const struct request *request, int32_t request_id, uint8_t **out,
                        size_t *len)
{
    static const char *const copied[] = {"lsid",        "txnNumber", "autocommit",
                                         "apiVersion",  "apiStrict", "apiDeprecationErrors",
                                         "$clusterTime"};
    struct build build;
    struct bytes document;
    struct scan_element element;
    build_begin(&build, SIZE_MAX);
    build_int32(&build, "abortTransaction", 1);
    for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++)
        if (scan_find(request->body, copied[i], &element))
            build_value(&build, copied[i], element.kind, element.value);
    build_text(&build, "$db", "admin");
    bool ok = build_finish(&build, &document) &&
              wire_reply_frame((struct wire_reply_to){0}, request_id, 0, document, out, len);
    build_free(&build);
    return ok;
}

struct exchange *session_exchange_new(struct session *session, const struct message *message,
                                      const struct request *request, bool aborts_transaction)
{
    struct exchange *exchange = memory_zalloc(sizeof *exchange);
    if (exchange == NULL)
        return NULL;
    exchange->message = (struct message){.header = message->header,
                                         .compressor = message->compressor,
                                         .command = (uint8_t)route_index(request->route)};
    exchange->budget = &session->worker->shared->budget;
    exchange->error_labels = request_error_labels(request);
    exchange->has_lsid = request->lsid != NULL;
    exchange->in_transaction = request->in_transaction && exchange->has_lsid;
    if (exchange->has_lsid)
        memcpy(exchange->lsid, request->lsid, LSID_BYTES);
    if (!aborts_transaction || request->lsid == NULL)
        return exchange;
    /* the number only has to differ from that of what goes before it */
    if (build_abort(request, message->header.request_id ^ 1, &exchange->abort_message,
                    &exchange->abort_len))
        return exchange;
    session_exchange_free(session, exchange);
    return NULL;
}

void session_exchange_free(struct session *session, struct exchange *exchange)
{
    if (exchange == NULL)
        return;
    session_merge_release(session, exchange);
    budget_give_back(exchange->budget, exchange->held_bytes);
    enforce_splice_free(exchange->splice);
    bulk_cursor_release(exchange->cursor);
    memory_free(exchange->abort_message);
    buffer_release(&exchange->answer, exchange->budget);
    memory_free(exchange);
}

bool session_exchange_keep_answer(struct exchange *exchange, struct bytes document)
{
    size_t len = bytes_left(&document);
    struct buffer *answer = &exchange->answer;
    if (!buffer_reserve(answer, exchange->budget, ENFORCE_FRONT_BYTES + len))
        return false;
    memset(answer->data, 0, ENFORCE_FRONT_BYTES);
    memcpy(answer->data + ENFORCE_FRONT_BYTES, document.pos, len);
    answer->start = ENFORCE_FRONT_BYTES;
    answer->end = ENFORCE_FRONT_BYTES + len;
    return true;
}

static bool send_bytes_upstream(struct session *session, const uint8_t *message, size_t len)
{
    struct error err;
    struct upstream_connection *connection = session_reach_upstream(session);
    if (connection == NULL)
        return false;
    if (link_send(&connection->link, message, len, &err))
        return true;
    session_send_failed(session, &connection->link, &err);
    return false;
}

bool session_send_question(struct session *session, const struct message *message,
                           uint32_t error_labels, const uint8_t *question, size_t len)
{
    struct wire_header header = wire_header_read(question);
    struct pending pending = {.expected_response_to = header.request_id,
                              .request_id = message->header.request_id,
                              .kind = ROUTE_WRITE,
                              .error_labels = error_labels,
                              .question = true,
                              .command = message->command,
                              .sent_us = clock_now_us()};
    (void)pending_push(&session->pending, &pending);
    return send_bytes_upstream(session, question, len);
}

/* The message is taken over. */
static bool send_buffer_upstream(struct session *session, struct buffer *message)
{
    struct error err;
    struct upstream_connection *connection = session_reach_upstream(session);
    bool sent = connection != NULL;
    if (sent && !link_send_buffer(&connection->link, message, buffer_length(message), &err)) {
        session_send_failed(session, &connection->link, &err);
        sent = false;
    }
    buffer_release(message, &session->worker->shared->budget);
    return sent;
}

/* A whole message goes upstream; its reply comes back to the exchange. */
static void push_exchanged(struct session *session, int32_t request_id)
{
    struct exchange *exchange = session->exchange;
    struct pending pending = {.expected_response_to = request_id,
                              .request_id = exchange->message.header.request_id,
                              .kind = ROUTE_WRITE,
                              .error_labels = exchange->error_labels,
                              .exchanged = true,
                              .has_lsid = exchange->in_transaction,
                              .in_transaction = exchange->in_transaction && !exchange->aborting,
                              .command = exchange->message.command,
                              .sent_us = session_now_us(session)};
    memcpy(pending.lsid, exchange->lsid, LSID_BYTES);
    session_watch_statement(session, pending_push(&session->pending, &pending));
}

static bool send_upstream(struct session *session, const uint8_t *message, size_t len)
{
    push_exchanged(session, wire_header_read(message).request_id);
    return send_bytes_upstream(session, message, len);
}

static bool finish(struct session *session)
{
    struct exchange *exchange = session->exchange;
    session->exchange = NULL;
    bool sent = session_answer_with(session, &exchange->message, &exchange->answer);
    session_exchange_free(session, exchange);
    return sent;
}

/* What is still to be done before the client has its answer, in this order. */
static bool proceed(struct session *session)
{
    struct exchange *exchange = session->exchange;
    if (exchange->abort_message == NULL)
        return finish(session);
    uint8_t *abort_message = exchange->abort_message;
    exchange->abort_message = NULL;
    exchange->aborting = true;
    bool sent = send_upstream(session, abort_message, exchange->abort_len);
    memory_free(abort_message);
    return sent;
}

/* The header for flags and sections that follow it. These are without what the client's message may
 * have but the proxy's must not: a checksum, which is no part of them, and leave to answer with a
 * stream. */
static void write_header(uint8_t *payload, size_t payload_len, int32_t request_id)
{
    uint32_t flags = bytes_load_u32(payload);
    struct wire_header header = {.length = (int32_t)(WIRE_HEADER_BYTES + payload_len),
                                 .request_id = request_id,
                                 .opcode = WIRE_OP_MSG};
    flags &= ~(uint32_t)(WIRE_FLAG_CHECKSUM_PRESENT | WIRE_FLAG_EXHAUST_ALLOWED);
    bytes_store_i32(payload, (int32_t)flags);
    wire_header_write(payload - WIRE_HEADER_BYTES, &header);
}

/* The same of a copy. NULL when memory is out: the session ended. */
static uint8_t *frame_payload(struct session *session, int32_t request_id, struct bytes payload,
                              size_t *len)
{
    if ((bytes_load_u32(payload.pos) & WIRE_FLAG_CHECKSUM_PRESENT) != 0)
        payload.end -= 4;
    *len = WIRE_HEADER_BYTES + bytes_left(&payload);
    uint8_t *message = memory_alloc(*len);
    if (message == NULL) {
        session_end(session, "out of memory for a request");
        return NULL;
    }
    memcpy(message + WIRE_HEADER_BYTES, payload.pos, bytes_left(&payload));
    write_header(message + WIRE_HEADER_BYTES, bytes_left(&payload), request_id);
    return message;
}

static void frame_buffer(struct buffer *payload, int32_t request_id)
{
    write_header(buffer_begin(payload), buffer_length(payload), request_id);
    payload->start -= WIRE_HEADER_BYTES;
}

bool session_exchange_begin(struct session *session, struct exchange *exchange,
                            struct bytes payload)
{
    session->exchange = exchange;
    return bytes_left(&payload) == 0 ? proceed(session) : session_exchange_send(session, payload);
}

bool session_exchange_begin_with(struct session *session, struct exchange *exchange,
                                 struct buffer *payload)
{
    int32_t request_id = exchange->message.header.request_id;
    session->exchange = exchange;
    frame_buffer(payload, request_id);
    push_exchanged(session, request_id);
    return send_buffer_upstream(session, payload);
}

bool session_exchange_send(struct session *session, struct bytes payload)
{
    size_t len = 0;
    uint8_t *message =
        frame_payload(session, session->exchange->message.header.request_id, payload, &len);
    if (message == NULL)
        return false;
    bool sent = send_upstream(session, message, len);
    memory_free(message);
    return sent;
}

bool session_send_silently(struct session *session, int32_t request_id, struct buffer *payload)
{
    frame_buffer(payload, request_id);
    return send_buffer_upstream(session, payload);
}

/* Only where the connection's own hello has negotiated it. */
static bool is_compressed_upstream(const struct session *session, uint8_t compressor)
{
    const struct upstream_connection *connection = lease_connection(session);
    return compressor != WIRE_COMPRESSOR_NOOP && connection != NULL &&
           (connection->compressors & 1U << compressor) != 0;
}

bool session_send_command(struct session *session, const struct message *message,
                          struct bytes payload, uint32_t error_labels,
                          struct coalesce_place *ticket)
{
    size_t len = 0;
    uint8_t *packed = NULL;
    size_t packed_len = 0;
    struct pending pending = {.expected_response_to = message->header.request_id,
                              .request_id = message->header.request_id,
                              .kind = ROUTE_FORWARD,
                              .error_labels = error_labels,
                              .ticket = ticket,
                              .command = message->command,
                              .sent_us = session_now_us(session)};
    (void)pending_push(&session->pending, &pending);
    uint8_t *plain = frame_payload(session, message->header.request_id, payload, &len);
    if (plain == NULL)
        return false;
    bool pack = is_compressed_upstream(session, message->compressor) &&
                wire_compressed_write(message->compressor, plain, len, &packed, &packed_len);
    bool sent = pack ? send_bytes_upstream(session, packed, packed_len)
                     : send_bytes_upstream(session, plain, len);
    memory_free(packed);
    memory_free(plain);
    return sent;
}

/* The reply to what went in the request's place becomes the answer. */
static bool take_reply(struct session *session, struct bytes document, struct error *err)
{
    struct build build;
    struct bytes reply;
    struct exchange *exchange = session->exchange;
    struct bulk_cursor_use use = session_cursor_use(session);
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
                               "no room for the reply to a write, which was carried out: the "
                               "proxy's message buffers are at their limit (option memory_max)");
    }
    buffer_release(&exchange->answer, exchange->budget);
    exchange->answer = (struct buffer){.data = build.data,
                                       .start = (size_t)(reply.pos - build.data),
                                       .end = (size_t)(reply.end - build.data),
                                       .cap = taken};
    return true;
}

/* The cursor of a bulkWrite whose results go on. */
static void keep_cursor(struct session *session, struct exchange *exchange, struct bytes document)
{
    struct bulk_cursor_use use = session_cursor_use(session);
    if (exchange->splice == NULL || enforce_splice_cursor(exchange->splice) == 0)
        return;
    session->had_bulk_cursor = true;
    bulk_cursors_put(session->worker->shared->bulk_cursors, &use, document,
                     exchange->has_lsid ? exchange->lsid : NULL, exchange->splice);
    exchange->splice = NULL;
    exchange->held_bytes = 0;
}

bool session_exchange_reply(struct session *session, struct bytes document)
{
    struct exchange *exchange = session->exchange;
    struct error err;
    if (exchange->aborting) {
        transactions_end(session->worker->shared->transactions, exchange->lsid);
    } else if (!take_reply(session, document, &err)) {
        session_fail_pending(session, &err, COUNTER_ERRORS_PROTOCOL_UPSTREAM);
        return false;
    }
    session_pop_pending(session);
    if (!exchange->aborting)
        keep_cursor(session, exchange, document);
    return proceed(session);
}
