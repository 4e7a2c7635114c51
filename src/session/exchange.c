#include "session/exchange.h"

#include <string.h>

#include "base/memory.h"
#include "enforce/enforce.h"
#include "session/merge_ties.h"
#include "session/spans.h"
#include "wire/reply.h"

/* {abortTransaction: 1, lsid, txnNumber, autocommit: false, $db: "admin"}, framed. */
static bool build_abort(const struct wire_command *request, int32_t request_id, uint8_t **out,
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
        if (wire_command_find(request, copied[i], &element))
            build_value(&build, copied[i], element.kind, element.value);
    build_text(&build, "$db", "admin");
    bool ok = build_finish(&build, &document) &&
              wire_reply_frame((struct wire_reply_to){0}, request_id, 0, document, out, len);
    build_free(&build);
    return ok;
}

struct exchange *exchange_new(struct client *client, const struct message *message,
                              const struct wire_command *request, bool aborts_transaction)
{
    struct exchange *exchange = memory_zalloc(sizeof *exchange);
    if (exchange == NULL)
        return NULL;
    exchange->message = (struct message){
        .header = message->header, .compressor = message->compressor, .command = request->known};
    exchange->budget = &client->worker->shared->budget;
    exchange->trail = spans_take(client);
    exchange->error_labels = request_error_labels(request);
    exchange->has_lsid = request->lsid != NULL;
    exchange->in_transaction = request->in_transaction && exchange->has_lsid;
    if (exchange->has_lsid)
        memcpy(exchange->lsid, request->lsid, LSID_BYTES);
    if (!aborts_transaction || request->lsid == NULL)
        return exchange;
    /* the number must only differ from that of the message before it */
    if (build_abort(request, message->header.request_id ^ 1, &exchange->abort_message,
                    &exchange->abort_len))
        return exchange;
    exchange_free(client, exchange);
    return NULL;
}

/* Ends all ties to the merger: the client is gone or has its answer. */
static void cut_ties(struct session_worker *worker, const struct exchange *exchange)
{
    if (exchange->waiter != NULL)
        merge_leave(worker, exchange->waiter);
    if (exchange->resend != NULL)
        merge_resend_lost(worker, exchange->resend);
    waiting_retry_free(exchange->waiting_retry);
}

void exchange_free(struct client *client, struct exchange *exchange)
{
    if (exchange == NULL)
        return;
    pool_leave(&client->waiting);
    cut_ties(client->worker, exchange);
    spans_end(client->worker, exchange->trail);
    budget_give_back(exchange->budget, exchange->held_bytes);
    enforce_splice_free(exchange->splice);
    bulk_cursor_release(exchange->cursor);
    memory_free(exchange->abort_message);
    memory_free(exchange->lone);
    buffer_release(&exchange->answer, exchange->budget);
    memory_free(exchange);
}

void exchange_end(struct client *client)
{
    struct exchange *exchange = client->exchange;
    client->exchange = NULL;
    exchange_free(client, exchange);
}
