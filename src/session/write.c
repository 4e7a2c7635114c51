#include "session/write.h"

#include "base/server_limits.h"
#include "session/answer.h"
#include "session/checking.h"
#include "session/exchange_steps.h"
#include "session/identify.h"
#include "session/life.h"
#include "session/merge.h"
#include "session/request.h"
#include "session/send.h"
#include "wire/checksum.h"

static enum request_step answer_at_once(struct client *client, const struct message *message,
                                        const struct wire_command *request,
                                        struct enforce_result *result)
{
    struct buffer reply = checking_take(result, result->reply);
    if (!result->aborts_transaction || request->starts_transaction) {
        if (result->aborts_transaction && request->lsid != NULL)
            transactions_end(client->worker->shared->transactions, request->lsid);
        return answer_buffer(client, message, &reply) ? STEP_TAKEN : STEP_STOP;
    }
    struct exchange *exchange = exchange_new(client, message, request, true);
    if (exchange == NULL) {
        buffer_release(&reply, &client->worker->shared->budget);
        client_end(client, "out of memory for a reply");
        return STEP_STOP;
    }
    exchange->answer = reply;
    return exchange_begin(client, exchange, (struct bytes){0}) ? STEP_TAKEN : STEP_STOP;
}

static enum request_step send_replaced(struct client *client, const struct message *message,
                                       const struct wire_command *request,
                                       struct enforce_result *result)
{
    struct buffer payload = checking_take(result, result->payload);
    if (result->splice == NULL)
        return send_silently(client, message->header.request_id, &payload) ? STEP_TAKEN : STEP_STOP;
    struct exchange *exchange = exchange_new(client, message, request, result->aborts_transaction);
    if (exchange == NULL) {
        buffer_release(&payload, &client->worker->shared->budget);
        client_end(client, "out of memory for a request");
        return STEP_STOP;
    }
    exchange->splice = result->splice;
    exchange->held_bytes = enforce_splice_bytes(result->splice);
    result->splice = NULL;
    return exchange_begin_with(client, exchange, &payload) ? STEP_TAKEN : STEP_STOP;
}

static enum request_step act(struct client *client, const struct message *message,
                             const struct wire_command *request, struct enforce_result *result)
{
    switch (result->outcome) {
    case ENFORCE_FORWARD:
        return STEP_PASS;
    case ENFORCE_REPLACE:
        return send_replaced(client, message, request, result);
    case ENFORCE_ANSWER:
        return answer_at_once(client, message, request, result);
    case ENFORCE_DROP:
        break;
    }
    return STEP_TAKEN;
}

/* The command is wrong in itself, or there is no room for what has to be kept of it. */
static enum request_step refuse(struct client *client, const struct message *message,
                                const struct wire_command *request, const struct error *err)
{
    bool memory = err->code == ERROR_EXCEEDED_MEMORY_LIMIT;
    uint32_t labels = memory && client->accepts_overload ? WIRE_LABEL_OVERLOADED : 0;
    counters_add(client_counters(client), memory ? COUNTER_ERRORS_MEMORY : COUNTER_REQUESTS_REFUSED,
                 1);
    if (request_is_silent(request))
        return STEP_TAKEN;
    return answer_error(client, message, err, labels) ? STEP_TAKEN : STEP_STOP;
}

/* Holds the command against the schemas. */
static enum request_step check(struct client *client, const struct message *message,
                               const struct wire_command *request,
                               const struct enforce_command *command)
{
    struct error err;
    struct enforce_result result;
    switch (checking_run(client, message, request, command, &result, &err)) {
    case ENFORCE_PART:
        return STEP_PART;
    case ENFORCE_FAILED:
        return refuse(client, message, request, &err);
    case ENFORCE_DONE:
        break;
    }
    enum request_step step = act(client, message, request, &result);
    checking_release_result(client, &result);
    return step;
}

/* Whether the command can be looked at now. */
static enum request_step prepare(struct client *client, const struct message *message,
                                 const struct wire_command *request)
{
    struct error err;
    if (!pending_is_empty(&client->pending))
        return STEP_WAIT;
    if (!message->whole)
        return STEP_GATHER;
    if (wire_checksum_fits(&message->header, message->payload, request->flags, &err))
        return STEP_PASS;
    struct wire_reply_to to = {.request_id = message->header.request_id};
    client_fail(client, request_is_silent(request) ? NULL : &to, &err, 0,
                COUNTER_ERRORS_PROTOCOL_CLIENT);
    return STEP_STOP;
}

enum request_step write_take(struct client *client, const struct message *message,
                             struct wire_command *request)
{
    struct enforce_command command = {.parsed = request,
                                      .max_document_bytes = SERVER_DOCUMENT_BYTES,
                                      .max_statements = client->limits.batch_docs};
    bool goes_on = client->checking != NULL;
    bool checks = goes_on || enforce_concerns(session_worker_schemas(client->worker), &command);
    bool inserts = request->known == COMMAND_INSERT;
    enum grouping_bar bar = inserts ? merge_bar(client, message, request) : GROUPING_BAR_NONE;
    bool merges = inserts && bar == GROUPING_BAR_NONE;
    enum request_step step = STEP_PASS;
    if (!goes_on && (checks || merges))
        step = prepare(client, message, request);
    if (step != STEP_PASS)
        return step;
    if (merges && merge_must_ask(client, request)) {
        if (!goes_on)
            return identify_ask(client, message, request);
        merges = false; /* it was known when the check began, which took long */
        bar = GROUPING_BAR_IDENTITY;
    }
    if (checks)
        step = check(client, message, request, &command);
    if (step == STEP_TAKEN)
        merge_note_passed(client, request, GROUPING_BAR_NONE); /* the schema may change before its
                                                                  retry */
    if (step != STEP_PASS)
        return step;
    if (merges)
        return merge_insert(client, message, request);
    merge_note_passed(client, request, bar);
    return STEP_PASS;
}
