#include "session/bulk_results.h"

#include <string.h>

#include "base/namespace.h"
#include "base/server_limits.h"
#include "session/answer.h"
#include "session/exchange_steps.h"
#include "session/life.h"

bool bulk_results_are_kept(const struct client *client, const struct wire_command *request)
{
    (void)request;
    return bulk_cursors_count(client->worker->shared->bulk_cursors) > 0;
}

static enum request_step answer_lost_cursor(struct client *client, const struct message *message,
                                            int64_t id)
{
    struct error err;
    if (!pending_is_empty(&client->pending))
        return STEP_WAIT;
    if (!message->whole)
        return STEP_GATHER;
    (void)error_set(&err, ERROR_CURSOR_NOT_FOUND,
                    "mongosluice cannot return the results of bulkWrite cursor %lld: their session "
                    "or connection ended, no client fetched them for a long time, or memory was "
                    "needed (option memory_max); its operations ran",
                    (long long)id);
    return answer_error(client, message, &err, 0) ? STEP_TAKEN : STEP_STOP;
}

/* The "database.collection" of a getMore; empty if it is longer than a namespace may be. */
static struct bytes get_more_namespace(const struct wire_command *request,
                                       uint8_t ns[SERVER_NAMESPACE_BYTES])
{
    struct scan_element element;
    const char *name = "";
    size_t len = 0;
    if (wire_command_find(request, "collection", &element))
        (void)scan_as_string(&element, &name, &len);
    if (bytes_left(&request->database) == 0)
        return bytes_of(ns, 0);
    return bytes_of(
        ns, namespace_join(request->database, bytes_of(name, len), ns, SERVER_NAMESPACE_BYTES));
}

enum request_step bulk_results_take(struct client *client, const struct message *message,
                                    struct wire_command *request)
{
    struct scan_element element;
    int64_t id = 0;
    uint8_t ns[SERVER_NAMESPACE_BYTES];
    struct bulk_cursor *cursor = NULL;
    struct bulk_cursors *cursors = client->worker->shared->bulk_cursors;
    struct bulk_cursor_use use = client_cursor_use(client);
    if (bulk_cursors_count(cursors) == 0 || !wire_command_find(request, "getMore", &element) ||
        !scan_as_int64(&element, &id))
        return STEP_PASS;
    switch (bulk_cursors_find(cursors, &use, id, get_more_namespace(request, ns), &cursor)) {
    case BULK_CURSOR_UNKNOWN:
        return STEP_PASS;
    case BULK_CURSOR_LOST:
        return answer_lost_cursor(client, message, id);
    case BULK_CURSOR_KEPT:
        break;
    }
    if (!pending_is_empty(&client->pending) || !message->whole) {
        bulk_cursor_release(cursor);
        return !pending_is_empty(&client->pending) ? STEP_WAIT : STEP_GATHER;
    }
    struct exchange *exchange = exchange_new(client, message, request, false);
    if (exchange == NULL) {
        bulk_cursor_release(cursor);
        client_end(client, "out of memory for a request");
        return STEP_STOP;
    }
    exchange->cursor = cursor;
    client->had_bulk_cursor = true;
    return exchange_begin(client, exchange, message->payload) ? STEP_TAKEN : STEP_STOP;
}

bool bulk_results_take_kill(struct client *client, struct reply *reply)
{
    bulk_cursors_killed(client->worker->shared->bulk_cursors, client->server, reply->document);
    return true;
}
