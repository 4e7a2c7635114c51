#include "session/observe.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/memory.h"
#include "session/checking.h"
#include "session/described_users.h"
#include "session/exchange.h"
#include "session/lease.h"
#include "session/life.h"
#include "session/route.h"

const struct session_metrics *session_worker_metrics(const struct session_worker *worker)
{
    return &worker->metrics;
}

const char *session_phase_name(enum session_phase phase)
{
    static const char *const names[SESSION_PHASES] = {"new",        "idle",   "running", "awaiting",
                                                      "connecting", "paused", "closing"};
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
    int64_t wait_ms = oldest[SESSION_PHASE_CONNECTING] > oldest[SESSION_PHASE_PAUSED]
                          ? oldest[SESSION_PHASE_CONNECTING]
                          : oldest[SESSION_PHASE_PAUSED];
    atomic_store_explicit(&metrics->oldest_wait_ms, wait_ms, memory_order_relaxed);
    atomic_store_explicit(&metrics->oldest_command_ms, oldest[SESSION_PHASE_RUNNING],
                          memory_order_relaxed);
    atomic_store_explicit(&metrics->ticked_ms, now_us / 1000, memory_order_relaxed);
}

struct listing;

/* The part of one worker. */
struct listing_part {
    struct listing *listing;
    struct session_row *rows; /* limit of them */
    size_t count;
    bool answered;
};

/* Shared by the asking thread and the workers. The last one frees it, because the asking thread may
 * have given up before a worker answers. */
struct listing {
    pthread_mutex_t lock;
    pthread_cond_t answer;
    uint64_t after;
    size_t limit;
    unsigned references;
    unsigned parts_left;
    unsigned part_count;
    struct listing_part parts[];
};

static void listing_release(struct listing *listing)
{
    pthread_mutex_lock(&listing->lock);
    bool last = --listing->references == 0;
    pthread_mutex_unlock(&listing->lock);
    if (!last)
        return;
    for (unsigned i = 0; i < listing->part_count; i++)
        memory_free(listing->parts[i].rows);
    pthread_mutex_destroy(&listing->lock);
    pthread_cond_destroy(&listing->answer);
    memory_free(listing);
}

static struct listing *listing_new(unsigned workers, uint64_t after, size_t limit)
{
    struct listing *listing =
        memory_zalloc(sizeof *listing + workers * sizeof(struct listing_part));
    if (listing == NULL)
        return NULL;
    pthread_mutex_init(&listing->lock, NULL);
    clock_init_condition(&listing->answer);
    listing->after = after;
    listing->limit = limit;
    listing->references = 1;
    listing->part_count = workers;
    for (unsigned i = 0; i < workers; i++) {
        listing->parts[i].listing = listing;
        listing->parts[i].rows = memory_array(limit, sizeof(struct session_row));
        if (listing->parts[i].rows == NULL) {
            listing_release(listing);
            return NULL;
        }
    }
    return listing;
}

static void fill_row(const struct client *client, int64_t now_us, struct session_row *row)
{
    struct transport_tls_details tls;
    const struct pending *command = oldest_command(client);
    row->id = client->id;
    address_describe_peer(&client->peer, row->remote);
    (void)snprintf(row->server, sizeof row->server, "%s", client->server);
    (void)described_users(client, row->identity);
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

/* The sessions are sorted by id. */
static void fill_part(void *context, void *arg)
{
    struct session_worker *worker = context;
    struct listing_part *part = arg;
    struct listing *listing = part->listing;
    const struct client *client = NULL;
    int64_t now_us = clock_now_us();
    pthread_mutex_lock(&listing->lock);
    bool wanted =
        listing->references > listing->parts_left; /* the asking thread still waits for it */
    pthread_mutex_unlock(&listing->lock);
    DL_FOREACH(worker->client_list, client)
    {
        if (!wanted || part->count == listing->limit)
            break;
        if (client->id > listing->after)
            fill_row(client, now_us, &part->rows[part->count++]);
    }
    pthread_mutex_lock(&listing->lock);
    part->answered = true;
    listing->parts_left--;
    pthread_cond_signal(&listing->answer);
    pthread_mutex_unlock(&listing->lock);
    listing_release(listing);
}

static void ask(struct listing *listing, struct session_worker *const *workers)
{
    for (unsigned i = 0; i < listing->part_count; i++) {
        pthread_mutex_lock(&listing->lock);
        listing->references++;
        listing->parts_left++;
        pthread_mutex_unlock(&listing->lock);
        if (worker_post(workers[i]->worker, fill_part, &listing->parts[i]))
            continue;
        pthread_mutex_lock(&listing->lock);
        listing->references--;
        listing->parts_left--;
        pthread_mutex_unlock(&listing->lock);
    }
}

static void wait_for_parts(struct listing *listing, unsigned timeout_ms)
{
    struct timespec until = clock_deadline(timeout_ms);
    int failure = 0;
    while (listing->parts_left > 0 && failure == 0)
        failure = pthread_cond_timedwait(&listing->answer, &listing->lock, &until);
}

static int by_id(const void *a, const void *b)
{
    uint64_t left = ((const struct session_row *)a)->id;
    uint64_t right = ((const struct session_row *)b)->id;
    return (left > right) - (left < right);
}

/* With the lock held. */
static bool collect(const struct listing *listing, struct session_rows *out)
{
    size_t sum = 0;
    *out = (struct session_rows){.complete = true};
    for (unsigned i = 0; i < listing->part_count; i++) {
        const struct listing_part *part = &listing->parts[i];
        out->complete = out->complete && part->answered;
        sum += part->answered ? part->count : 0;
    }
    out->of = memory_array(sum == 0 ? 1 : sum, sizeof *out->of);
    if (out->of == NULL)
        return false;
    for (unsigned i = 0; i < listing->part_count; i++) {
        const struct listing_part *part = &listing->parts[i];
        if (!part->answered || part->count == 0)
            continue;
        memcpy(out->of + out->count, part->rows, part->count * sizeof *out->of);
        out->count += part->count;
    }
    if (out->count > 1)
        qsort(out->of, out->count, sizeof *out->of, by_id);
    if (out->count > listing->limit)
        out->count = listing->limit;
    return true;
}

bool session_list(const struct session_query *query, struct session_rows *out)
{
    size_t limit = query->limit > SESSION_ROWS_MAX ? SESSION_ROWS_MAX : query->limit;
    struct listing *listing = listing_new(query->worker_count, query->after, limit);
    if (listing == NULL)
        return false;
    ask(listing, query->workers);
    pthread_mutex_lock(&listing->lock);
    wait_for_parts(listing, query->timeout_ms);
    bool ok = collect(listing, out);
    pthread_mutex_unlock(&listing->lock);
    listing_release(listing);
    return ok;
}
