#include "session/batch_spans.h"

#include <stdio.h>
#include <string.h>

#include "session/exchange.h"
#include "session/spans.h"

static struct trail *trail_of(const struct merger_waiter *waiter)
{
    const struct client *client = batch_waiter(waiter);
    return client != NULL && client->exchange != NULL ? client->exchange->trail : NULL;
}

static struct bytes text(const char *string)
{
    return bytes_of(string, strlen(string));
}

/* Named like its first traced insert: all have one namespace. NULL: none is traced, or no memory.
 */
static struct trail *make_trail(struct session_worker *worker, const struct batch *batch)
{
    const struct trail *first = NULL;
    for (const struct merger_waiter *waiter = batch_first(batch); waiter != NULL && first == NULL;
         waiter = batch_next(waiter))
        first = trail_of(waiter);
    if (first == NULL)
        return NULL;
    const struct trail_names names = {.operation = text(first->operation),
                                      .database = text(first->database),
                                      .collection = text(first->collection),
                                      .client_address = ""};
    struct trail *trail = trail_new(TRAIL_BATCH, &names);
    if (trail == NULL)
        return NULL;
    spans_make_id(worker, trail->context.trace_id, TRACE_ID_BYTES);
    spans_make_id(worker, trail->context.span_id, TRACE_SPAN_ID_BYTES);
    trail->context.sampled = true;
    trail->inserts = (uint32_t)batch_inserts(batch);
    trail->documents = batch_documents(batch);
    trail->whole.from_us = clock_now_us();
    return trail;
}

void batch_spans_note_sent(struct sent_batch *sent_batch, struct session_worker *worker,
                           const char *server)
{
    bool again = sent_batch->trail != NULL;
    if (!worker->spans.on && !again)
        return;
    if (!again)
        sent_batch->trail = make_trail(worker, sent_batch->batch);
    if (sent_batch->trail == NULL)
        return;
    (void)snprintf(sent_batch->trail->server, sizeof sent_batch->trail->server, "%s", server);
    for (const struct merger_waiter *waiter = batch_first(sent_batch->batch);
         waiter != NULL && !again; waiter = batch_next(waiter)) {
        struct trail *trail = trail_of(waiter);
        if (trail == NULL)
            continue;
        trail->merged = true;
        trail->batch = sent_batch->trail->context;
        spans_note_sent(trail, server, sent_batch->trail->whole.from_us);
        trail_add_link(sent_batch->trail, &trail->context);
    }
}

const struct trace_context *batch_spans_context(const struct sent_batch *sent_batch)
{
    return sent_batch->trail != NULL ? &sent_batch->trail->context : NULL;
}

void batch_spans_note_reply(struct sent_batch *sent_batch, struct bytes document)
{
    spans_note_reply(sent_batch->trail, document);
}
