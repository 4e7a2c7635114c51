#include "session/observe.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "session/checking.h"
#include "session/described_users.h"
#include "session/exchange.h"
#include "session/gather.h"
#include "session/lease.h"
#include "session/life.h"
#include "session/route.h"

const struct session_metrics *session_worker_metrics(const struct session_worker *worker)
{
    return &worker->metrics;
}

const char *session_phase_name(enum session_phase phase)
{
    static const char *const names[SESSION_PHASES] = {
        "new", "idle", "running", "awaiting", "connecting", "waiting", "paused", "closing"};
    return names[phase];
}

const char *session_command_label(enum command_name command)
{
    if (route_counted_as(command) != command)
        return NULL;
    return command == COMMAND_UNKNOWN ? "other" : command_name_text(command);
}

/* The oldest request except hellos; NULL without one. */
static const struct pending *oldest_command(const struct client *client)
{
    for (unsigned i = 0; i < client->pending.count; i++) {
        const struct pending *pending = pending_look_at(&client->pending, i);
        if (!pending->awaitable)
            return pending;
    }
    return NULL;
}

/* The start of its connection attempt; 0: none is under way. */
static int64_t connecting_since_ms(const struct client *client)
{
    const struct upstream_connection *connection = lease_connection(client);
    return connection != NULL ? connection->connect_since_ms : 0;
}

static enum session_phase phase_of(const struct client *client)
{
    if (client->state != CLIENT_ACTIVE)
        return SESSION_PHASE_CLOSING;
    if (client->stage == REQUEST_HELD)
        return SESSION_PHASE_PAUSED;
    if (client->stage == REQUEST_WAITING)
        return SESSION_PHASE_WAITING;
    if (!client->request_seen)
        return SESSION_PHASE_NEW;
    if (connecting_since_ms(client) != 0)
        return SESSION_PHASE_CONNECTING;
    if (!client_runs_command(client))
        return SESSION_PHASE_IDLE;
    const struct pending *command = oldest_command(client);
    return command != NULL && command->awaits_data ? SESSION_PHASE_AWAITING : SESSION_PHASE_RUNNING;
}

/* The time since the start of its phase. */
static int64_t phase_ms_of(const struct client *client, enum session_phase phase, int64_t now_us)
{
    int64_t now_ms = now_us / 1000;
    const struct pending *command = oldest_command(client);
    int64_t since_ms = client->since_ms;
    if (phase == SESSION_PHASE_PAUSED)
        since_ms = client->hold_since_ms;
    else if (phase == SESSION_PHASE_CONNECTING)
        since_ms = connecting_since_ms(client);
    else if (phase == SESSION_PHASE_WAITING)
        since_ms = client->waiting.since_ms;
    else if (phase == SESSION_PHASE_CLOSING)
        since_ms = client->linger_since_ms;
    else if ((phase == SESSION_PHASE_RUNNING || phase == SESSION_PHASE_AWAITING) && command != NULL)
        since_ms = command->sent_us / 1000;
    return now_ms > since_ms ? now_ms - since_ms : 0;
}

void session_observe_all(struct session_worker *worker)
{
    uint32_t phases[SESSION_PHASES] = {0};
    int64_t oldest[SESSION_PHASES] = {0};
    int64_t now_us = clock_now_us();
    struct session_metrics *metrics = &worker->metrics;
    const struct client *client = NULL;
    DL_FOREACH(worker->client_list, client)
    {
        enum session_phase phase = phase_of(client);
        int64_t ms = phase_ms_of(client, phase, now_us);
        phases[phase]++;
        if (ms > oldest[phase])
            oldest[phase] = ms;
    }
    for (size_t i = 0; i < SESSION_PHASES; i++)
        atomic_store_explicit(&metrics->phases[i], phases[i], memory_order_relaxed);
    static const enum session_phase waits[] = {SESSION_PHASE_CONNECTING, SESSION_PHASE_WAITING,
                                               SESSION_PHASE_PAUSED};
    int64_t wait_ms = 0;
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++)
        if (oldest[waits[i]] > wait_ms)
            wait_ms = oldest[waits[i]];
    atomic_store_explicit(&metrics->oldest_wait_ms, wait_ms, memory_order_relaxed);
    atomic_store_explicit(&metrics->oldest_command_ms, oldest[SESSION_PHASE_RUNNING],
                          memory_order_relaxed);
    atomic_store_explicit(&metrics->ticked_ms, now_us / 1000, memory_order_relaxed);
}

static void fill_row(const struct client *client, int64_t now_us, struct session_row *row)
{
    struct transport_tls_details tls;
    const struct pending *command = oldest_command(client);
    row->id = client->id;
    address_describe_peer(&client->peer, row->remote);
    (void)snprintf(row->server, sizeof row->server, "%s", client->server);
    (void)described_users(client, row->identity);
    (void)snprintf(row->application, sizeof row->application, "%s",
                   client->writer.application != NULL ? client->writer.application : "");
    row->shared = client->sharing && !client->keeps_own;
    row->command = "";
    if (command != NULL)
        row->command = session_command_label(route_counted_as(command->command));
    else if (client->exchange != NULL) /* it waits in a batch, or for another client's */
        row->command = session_command_label(route_counted_as(client->exchange->message.command));
    else if (client->checking != NULL)
        row->command = session_command_label(route_counted_as(client->checking->message.command));
    row->phase = phase_of(client);
    row->tls = transport_tls_details(&client->link.transport, &tls);
    row->in_transaction = command != NULL && command->in_transaction;
    row->connected_ms = now_us / 1000 - client->accepted_ms;
    row->phase_ms = phase_ms_of(client, row->phase, now_us);
}

/* The clients of a worker are sorted by id. */
static size_t fill_rows(struct session_worker *worker, uint64_t after, void *rows, size_t limit)
{
    const struct client *client = NULL;
    int64_t now_us = clock_now_us();
    size_t count = 0;
    DL_FOREACH(worker->client_list, client)
    {
        if (count == limit)
            break;
        if (client->id > after)
            fill_row(client, now_us, (struct session_row *)rows + count++);
    }
    return count;
}

static int by_id(const void *a, const void *b)
{
    uint64_t left = ((const struct session_row *)a)->id;
    uint64_t right = ((const struct session_row *)b)->id;
    return (left > right) - (left < right);
}

bool session_list(const struct session_query *query, struct session_rows *out)
{
    struct gathered gathered;
    size_t limit = query->limit > SESSION_ROWS_MAX ? SESSION_ROWS_MAX : query->limit;
    const struct gather_question question = {.workers = query->workers,
                                             .worker_count = query->worker_count,
                                             .timeout_ms = query->timeout_ms,
                                             .fill = fill_rows,
                                             .row_bytes = sizeof(struct session_row),
                                             .limit = limit,
                                             .after = query->after};
    if (!gather(&question, &gathered))
        return false;
    *out = (struct session_rows){gathered.rows, gathered.count, gathered.complete};
    if (out->count > 1)
        qsort(out->of, out->count, sizeof *out->of, by_id);
    if (out->count > limit)
        out->count = limit;
    return true;
}
