#include "session/merge.h"

#include <openssl/rand.h>
#include <string.h>

#include "base/assert.h"
#include "base/namespace.h"
#include "base/server_limits.h"
#include "merge/merger_internal.h"
#include "session/answer.h"
#include "session/exchange.h"
#include "session/identify.h"
#include "session/lease.h"
#include "session/merge_batch.h"
#include "session/merge_retry.h"
#include "session/merge_ties.h"
#include "session/request.h"
#include "session/spans.h"
#include "wire/reply.h"

/* A namespace has at most 255 bytes. */
/* The maximal bytes of an insert beside its documents; an insert with a larger body goes alone. */
enum { MERGE_BODY_BYTES = 16 * 1024 };

static bool random_bytes(void *out, size_t len)
{
    return RAND_bytes(out, (int)len) == 1;
}

static enum request_step refuse(struct client *client, const struct message *message, int code,
                                const char *text)
{
    struct error err;
    bool overloaded = code == ERROR_OVERLOADED && client->accepts_overload;
    (void)error_set(&err, code, "%s", text);
    counters_add(client_counters(client), COUNTER_REQUESTS_REFUSED, 1);
    return answer_error(client, message, &err, overloaded ? WIRE_LABEL_OVERLOADED : 0) ? STEP_TAKEN
                                                                                       : STEP_STOP;
}

static enum request_step replay(struct client *client, const struct message *message,
                                struct bytes reply)
{
    bool sent = answer_document(client, message, reply);
    memory_free((void *)reply.pos);
    return sent ? STEP_TAKEN : STEP_STOP;
}

/* For outcomes after which the client waits for something other than the reply to its own command.
 */
static enum request_step wait_for(struct client *client, const struct message *message,
                                  const struct wire_command *request,
                                  const struct merger_insert *insert, enum merger_outcome outcome,
                                  const struct merger_answer *answer)
{
    struct merger *merger = client->worker->merger;
    client->exchange = exchange_new(client, message, request, false);
    if (client->exchange != NULL) {
        switch (outcome) {
        case MERGER_WAIT:
            client->exchange->waiter = answer->waiter;
            spans_wait(client->exchange->trail, TRAIL_WAIT_BATCH);
            merge_pump_soon(client->worker);
            return STEP_TAKEN;
        case MERGER_WAIT_FOR_FIRST:
            return merge_wait_for_first(client, insert->command->payload, answer->retry_waiter);
        default:
            client->exchange->resend = answer->resend;
            return merge_ask(client);
        }
    }
    if (outcome == MERGER_WAIT) {
        merger_leave(merger, answer->waiter, clock_now_us());
    } else if (outcome == MERGER_WAIT_FOR_FIRST) {
        retry_stop_waiting(answer->retry_waiter);
        waiting_retry_free(client->worker->spare_waiting_retry);
        client->worker->spare_waiting_retry = NULL;
    } else {
        merger_resend_lost(merger, answer->resend, clock_now_us());
    }
    return merge_close_client(client);
}

static enum request_step act(struct client *client, const struct message *message,
                             const struct wire_command *request, const struct merger_insert *insert,
                             enum merger_outcome outcome, const struct merger_answer *answer)
{
    switch (outcome) {
    case MERGER_GO:
        sluice_assert(client->worker->next_permit == NULL);
        client->worker->next_permit = answer->permit;
        return STEP_PASS;
    case MERGER_PASS:
        return STEP_PASS;
    case MERGER_WAIT:
    case MERGER_WAIT_FOR_FIRST:
    case MERGER_RESEND:
        return wait_for(client, message, request, insert, outcome, answer);
    case MERGER_REPLAY:
        return replay(client, message, answer->reply);
    case MERGER_REJECT:
        return refuse(client, message, ERROR_OVERLOADED,
                      "mongosluice has too many waiting inserts for this namespace (option "
                      "merge.max_waiters)");
    case MERGER_TOO_OLD:
        return refuse(client, message, ERROR_TRANSACTION_TOO_OLD,
                      "this session has already used a newer txnNumber for a retryable write");
    case MERGER_CLOSE:
        break;
    }
    return merge_close_client(client);
}

/* The largest insert that any namespace allows in a batch; 0: merging is off everywhere. */
static size_t largest(const struct config *config)
{
    int64_t most = config->merge.enabled == CONFIG_TRUE ? config->merge.max_bytes : 0;
    for (size_t i = 0; i < config->merge_namespace_count; i++) {
        const struct config_merge *merge = &config->merge_namespaces[i].merge;
        if (merge->enabled == CONFIG_TRUE && merge->max_bytes > most)
            most = merge->max_bytes;
    }
    return (size_t)most;
}

void merge_note_passed(struct client *client, const struct wire_command *request,
                       enum grouping_bar bar)
{
    if (request->known != COMMAND_INSERT)
        return;
    if (client->worker->merge_largest_bytes > 0)
        merger_count_apart(client->worker->merger, bar);
    if (request->lsid == NULL || request->in_transaction || !request->number_is_whole ||
        retry_table_entries(client->worker->shared->retries) == 0)
        return;
    struct merger_origin origin = identify_origin(client);
    merger_note_passed(client->worker->merger, &origin, request->lsid, request->number,
                       clock_now_us());
}

enum grouping_bar merge_bar(const struct client *client, const struct message *message,
                            const struct wire_command *request)
{
    const struct session_worker *worker = client->worker;
    size_t most = worker->merge_largest_bytes;
    if (request_is_silent(request))
        return GROUPING_BAR_FLAGS;
    if (request->in_transaction)
        return GROUPING_BAR_TRANSACTION;
    /* an insert that was merged under other options may still be retried */
    if (most < worker->merge_ever_bytes && retry_table_entries(worker->shared->retries) > 0)
        most = worker->merge_ever_bytes;
    if (most == 0)
        return GROUPING_BAR_OFF;
    return (size_t)message->header.length <= most + MERGE_BODY_BYTES ? GROUPING_BAR_NONE
                                                                     : GROUPING_BAR_LARGE;
}

static void read_rules(const struct client *client, const struct wire_command *request,
                       struct merger_rules *rules)
{
    char ns[SERVER_NAMESPACE_BYTES];
    size_t len = 0;
    const struct config *config = client_config(client);
    const struct config_merge *merge = &config->merge;
    if (config->merge_namespace_count > 0)
        len = namespace_join(request->database, request->collection, ns, sizeof ns);
    if (len > 0)
        merge = config_merge_of(config, ns, len);
    *rules = (struct merger_rules){.enabled = merge->enabled == CONFIG_TRUE && !client->refused,
                                   .reject = merge->on_cap == CONFIG_REJECT,
                                   .ignored = (enum grouping_comments)merge->ignore_comment,
                                   .max_docs = (uint32_t)merge->max_docs,
                                   .max_bytes = (size_t)merge->max_bytes,
                                   .max_in_flight = (uint32_t)merge->max_in_flight,
                                   .stalled_after_us = merge->stalled_after_ms * 1000,
                                   .linger_us = merge->linger_us,
                                   .max_waiters = (uint32_t)merge->max_waiters,
                                   .max_waiters_total = (uint32_t)config->merge.max_waiters};
    merger_rules_fit(rules, client->limits.batch_docs, client->limits.message_bytes);
}

static struct grouping_limits limits_of(const struct client *client,
                                        const struct merger_rules *rules)
{
    return (struct grouping_limits){.ignored = rules->ignored,
                                    .max_document_bytes = client->limits.document_bytes,
                                    .max_docs = rules->max_docs,
                                    .max_bytes = rules->max_bytes};
}

/* Only for an insert that may be merged, or that may repeat a merged one because the options
 * changed: a connection that never merges is never asked for. An insert without company goes alone,
 * and its identity need not be certain. */
bool merge_must_ask(struct client *client, const struct wire_command *request)
{
    struct session_worker *worker = client->worker;
    struct merger_insert insert;
    struct merger_rules rules;
    bool known = lease_standing(client) != NULL;
    if (!identify_may_ask(client) || (known && merger_is_idle(worker->merger)))
        return false;
    read_rules(client, request, &rules);
    struct grouping_limits limits = limits_of(client, &rules);
    grouping_classify(request, &limits, &insert);
    if (rules.enabled && insert.bar == GROUPING_BAR_NONE)
        return true;
    return !known && insert.numbered && worker->merge_changed &&
           retry_table_entries(worker->shared->retries) > 0;
}

enum request_step merge_insert(struct client *client, const struct message *message,
                               const struct wire_command *request)
{
    struct session_worker *worker = client->worker;
    struct merger_insert insert;
    struct merger_answer answer;
    struct merger_rules rules;
    if (!pending_is_empty(&client->pending))
        return STEP_WAIT;
    if (!message->whole)
        return STEP_GATHER;
    struct retry_listener listener = merge_listener(worker);
    if (listener.arg == NULL)
        return merge_close_client(client);
    struct merger_origin origin = identify_origin(client);
    read_rules(client, request, &rules);
    struct grouping_limits limits = limits_of(client, &rules);
    grouping_classify(request, &limits, &insert);
    /* a waiting insert is copied: without room for the copy it does not wait */
    struct budget *budget = &worker->shared->budget;
    size_t bytes = bytes_left(&message->payload);
    bool room = budget_take(budget, bytes);
    rules.enabled = rules.enabled && room;
    struct merger_request submitted = {.rules = &rules,
                                       .origin = &origin,
                                       .insert = &insert,
                                       .waiter = client,
                                       .listener = &listener,
                                       .now_us = clock_now_us()};
    enum merger_outcome outcome = merger_submit(worker->merger, &submitted, &answer);
    if (room)
        budget_give_back(budget, bytes);
    merge_account(worker);
    return act(client, message, request, &insert, outcome, &answer);
}

void merge_configure(struct session_worker *worker)
{
    worker->merge_changed = worker->merge_configured;
    worker->merge_configured = true;
    worker->merge_largest_bytes = largest(worker->settings->config);
    if (worker->merge_ever_bytes < worker->merge_largest_bytes)
        worker->merge_ever_bytes = worker->merge_largest_bytes;
}

bool merge_start(struct session_worker *worker, struct error *err)
{
    worker->standings = standings_create();
    worker->merger = merger_create(worker->shared->retries, random_bytes);
    merge_configure(worker);
    if (worker->merger != NULL && worker->standings != NULL)
        return true;
    return error_no_memory(err, "a worker");
}

void merge_stop(struct session_worker *worker)
{
    /* without sessions every batch is lost; this call ends them */
    merge_send_lost(worker);
    sluice_assert(worker->sent_batches == NULL);
    if (worker->pump_event != NULL)
        event_free(worker->pump_event);
    merger_destroy(worker->merger);
    worker->merger = NULL;
    standings_destroy(worker->standings);
    worker->standings = NULL;
    budget_give_back(&worker->shared->budget, worker->held_bytes);
    waiting_retry_free(worker->spare_waiting_retry);
}

void merge_drain(struct session_worker *worker)
{
    merger_drain(worker->merger, clock_now_us());
    merge_pump_soon(worker);
}
