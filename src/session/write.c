/* Write commands: held against the schemas of the worker's registry. */
#include "base/memory.h"
#include "bson/scan.h"
#include "net/clock.h"
#include "session/session_internal.h"
#include "wire/checksum.h"

/* A namespace has at most 255 bytes. */
enum { NAMESPACE_BYTES = 256 };

static enum write_step answer_at_once(struct session *session, const struct message *message,
                                      const struct request *request, struct enforce_result *result)
{
    struct buffer reply = session_check_take(result, result->reply);
    if (!result->aborts_transaction || request->starts_transaction) {
        if (result->aborts_transaction && request->lsid != NULL)
            transactions_end(session->worker->shared->transactions, request->lsid);
        return session_answer_with(session, message, &reply) ? WRITE_TAKEN : WRITE_ENDED;
    }
    struct exchange *exchange = session_exchange_new(session, message, request, true);
    if (exchange == NULL) {
        buffer_release(&reply, &session->worker->shared->budget);
        session_end(session, "out of memory for a reply");
        return WRITE_ENDED;
    }
    exchange->answer = reply;
    return session_exchange_begin(session, exchange, (struct bytes){0}) ? WRITE_TAKEN : WRITE_ENDED;
}

static enum write_step send_replaced(struct session *session, const struct message *message,
                                     const struct request *request, struct enforce_result *result)
{
    struct buffer payload = session_check_take(result, result->payload);
    if (result->splice == NULL)
        return session_send_silently(session, message->header.request_id, &payload) ? WRITE_TAKEN
                                                                                    : WRITE_ENDED;
    struct exchange *exchange =
        session_exchange_new(session, message, request, result->aborts_transaction);
    if (exchange == NULL) {
        buffer_release(&payload, &session->worker->shared->budget);
        session_end(session, "out of memory for a request");
        return WRITE_ENDED;
    }
    exchange->splice = result->splice;
    exchange->held_bytes = enforce_splice_bytes(result->splice);
    result->splice = NULL;
    return session_exchange_begin_with(session, exchange, &payload) ? WRITE_TAKEN : WRITE_ENDED;
}

static enum write_step act(struct session *session, const struct message *message,
                           const struct request *request, struct enforce_result *result)
{
    switch (result->outcome) {
    case ENFORCE_FORWARD:
        return WRITE_PASS;
    case ENFORCE_REPLACE:
        return send_replaced(session, message, request, result);
    case ENFORCE_ANSWER:
        return answer_at_once(session, message, request, result);
    case ENFORCE_DROP:
        break;
    }
    return WRITE_TAKEN;
}

/* The command is wrong in itself, or there is no room for what has to be kept of it. */
static enum write_step refuse(struct session *session, const struct message *message,
                              const struct request *request, const struct error *err)
{
    bool memory = err->code == ERROR_EXCEEDED_MEMORY_LIMIT;
    uint32_t labels = memory && session->accepts_overload ? WIRE_LABEL_OVERLOADED : 0;
    counters_add(session_counters(session),
                 memory ? COUNTER_ERRORS_MEMORY : COUNTER_ERRORS_PROTOCOL_CLIENT, 1);
    if ((request->flags & WIRE_FLAG_MORE_TO_COME) != 0)
        return WRITE_TAKEN;
    return session_answer_error(session, message, err, labels) ? WRITE_TAKEN : WRITE_ENDED;
}

/* Holds the command against the schemas. */
static enum write_step check(struct session *session, const struct message *message,
                             const struct request *request, const struct enforce_command *command)
{
    struct error err;
    struct enforce_result result;
    switch (session_check(session, message, request, command, &result, &err)) {
    case ENFORCE_PART:
        return WRITE_PART;
    case ENFORCE_FAILED:
        return refuse(session, message, request, &err);
    case ENFORCE_DONE:
        break;
    }
    enum write_step step = act(session, message, request, &result);
    session_check_release(session, &result);
    return step;
}

/* Whether the command can be looked at now. */
static enum write_step prepare(struct session *session, const struct message *message,
                               const struct request *request)
{
    struct error err;
    if (!pending_is_empty(&session->pending))
        return WRITE_HOLD;
    if (!message->whole)
        return WRITE_GATHER;
    if (wire_checksum_fits(&message->header, message->payload, request->flags, &err))
        return WRITE_PASS;
    struct wire_reply_to to = {.request_id = message->header.request_id};
    session_fail(session, &to, &err, 0, COUNTER_ERRORS_PROTOCOL_CLIENT);
    return WRITE_ENDED;
}

enum write_step session_write(struct session *session, const struct message *message,
                              const struct request *request)
{
    struct enforce_command command = {
        .payload = message->payload,
        .flags = request->flags,
        .body = request->body,
        .name = request->name,
        .name_len = request->name_len,
        .known = request->command,
        .payload_bytes = message->whole ? bytes_left(&message->payload)
                                        : (size_t)message->header.length - WIRE_HEADER_BYTES,
        .database = request->database,
        .database_unclear = request->database_unclear,
        .in_transaction = request->in_transaction,
        .max_document_bytes = SESSION_DOCUMENT_BYTES,
        .max_statements = session->limits.batch_docs};
    bool goes_on = session->checking != NULL;
    bool checks = goes_on || enforce_concerns(session->worker->registry, &command);
    bool merges = session_merge_concerns(session, message, request);
    enum write_step step = WRITE_PASS;
    if (!goes_on && (checks || merges))
        step = prepare(session, message, request);
    if (step != WRITE_PASS)
        return step;
    if (merges && session_merge_must_ask(session, message, request)) {
        if (!goes_on)
            return session_identity_ask(session, message, request);
        merges = false; /* it was known when the check began, which took long */
    }
    if (checks)
        step = check(session, message, request, &command);
    if (step == WRITE_TAKEN)
        session_merge_note_passed(session, request); /* the schema may change before its retry */
    if (step != WRITE_PASS)
        return step;
    if (merges)
        return session_merge(session, message, request);
    session_merge_note_passed(session, request);
    return WRITE_PASS;
}

static enum write_step answer_lost_cursor(struct session *session, const struct message *message,
                                          int64_t id)
{
    struct error err;
    if (!pending_is_empty(&session->pending))
        return WRITE_HOLD;
    if (!message->whole)
        return WRITE_GATHER;
    (void)error_set(&err, ERROR_CURSOR_NOT_FOUND,
                    "the results of bulkWrite cursor %lld cannot be told: mongosluice kept them "
                    "until their session or connection ended, nobody fetched them for long, or "
                    "the room was needed (option memory_max); its operations were carried out",
                    (long long)id);
    return session_answer_error(session, message, &err, 0) ? WRITE_TAKEN : WRITE_ENDED;
}

/* "database.collection" of a getMore; empty when it is longer than a namespace may be. */
static struct bytes get_more_namespace(const struct request *request, uint8_t ns[NAMESPACE_BYTES])
{
    struct scan_element element;
    const char *name = "";
    size_t len = 0;
    size_t database = bytes_left(&request->database);
    if (scan_find(request->body, "collection", &element))
        (void)scan_as_string(&element, &name, &len);
    if (database == 0 || database + 1 > NAMESPACE_BYTES || len > NAMESPACE_BYTES - database - 1)
        return bytes_of(ns, 0);
    memcpy(ns, request->database.pos, database);
    ns[database] = '.';
    memcpy(ns + database + 1, name, len);
    return bytes_of(ns, database + 1 + len);
}

enum write_step session_get_more(struct session *session, const struct message *message,
                                 const struct request *request)
{
    struct scan_element element;
    int64_t id = 0;
    uint8_t ns[NAMESPACE_BYTES];
    struct bulk_cursor *cursor = NULL;
    struct bulk_cursors *cursors = session->worker->shared->bulk_cursors;
    struct bulk_cursor_use use = session_cursor_use(session);
    if (bulk_cursors_count(cursors) == 0 || !scan_find(request->body, "getMore", &element) ||
        !scan_as_int64(&element, &id))
        return WRITE_PASS;
    switch (bulk_cursors_find(cursors, &use, id, get_more_namespace(request, ns), &cursor)) {
    case BULK_CURSOR_UNKNOWN:
        return WRITE_PASS;
    case BULK_CURSOR_LOST:
        return answer_lost_cursor(session, message, id);
    case BULK_CURSOR_KEPT:
        break;
    }
    if (!pending_is_empty(&session->pending) || !message->whole) {
        bulk_cursor_release(cursor);
        return !pending_is_empty(&session->pending) ? WRITE_HOLD : WRITE_GATHER;
    }
    struct exchange *exchange = session_exchange_new(session, message, request, false);
    if (exchange == NULL) {
        bulk_cursor_release(cursor);
        session_end(session, "out of memory for a request");
        return WRITE_ENDED;
    }
    exchange->cursor = cursor;
    session->had_bulk_cursor = true;
    return session_exchange_begin(session, exchange, message->payload) ? WRITE_TAKEN : WRITE_ENDED;
}
