#include "session/observe.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/memory.h"
#include "net/clock.h"
#include "session/lease.h"
#include "session/session_internal.h"

const struct session_metrics *session_worker_metrics(const struct session_worker *worker)
{
    return &worker->metrics;
}

const char *session_phase_name(enum session_phase phase)
{
    static const char *const names[SESSION_PHASES] = {"new",        "idle",   "running",
                                                      "connecting", "paused", "closing"};
    return names[phase];
}

/* --- figures (worker's thread) ------------------------------------------------------------------
 */

void session_observe_request(struct session *session, const struct request *request)
{
    _Atomic uint64_t *count = &session->worker->metrics.commands[route_index(request->route)];
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

void session_observe_reply(struct session *session, const struct pending *pending)
{
    int64_t us = session_now_us(session) - pending->sent_us;
    /* a hello may wait for a change, and the later replies of a stream were asked for by nobody */
    if (pending->kind != ROUTE_HELLO && !pending->repeated)
        histogram_note(&session->worker->metrics.upstream_us, us > 0 ? (uint64_t)us : 0);
}

void session_observe_turn(void *worker, int64_t us)
{
    histogram_note(&((struct session_worker *)worker)->metrics.turn_us, (uint64_t)us);
}

/* The oldest request that is not a hello, NULL for none. */
static const struct pending *oldest_command(const struct session *session)
{
    for (unsigned i = 0; i < session->pending.count; i++) {
        const struct pending *pending = pending_look_at(&session->pending, i);
        if (pending->kind != ROUTE_HELLO)
            return pending;
    }
    return NULL;
}

/* Since when its connection is being made; 0: it is not. */
static int64_t connecting_since_ms(const struct session *session)
{
    const struct upstream_connection *connection = lease_connection(session);
    return connection != NULL ? connection->connect_since_ms : 0;
}

static enum session_phase phase_of(const struct session *session)
{
    if (session->state != SESSION_ACTIVE)
        return SESSION_PHASE_CLOSING;
    if (session->stage == REQUEST_HELD)
        return SESSION_PHASE_PAUSED;
    if (!session->request_seen)
        return SESSION_PHASE_NEW;
    if (connecting_since_ms(session) != 0)
        return SESSION_PHASE_CONNECTING;
    return session_runs_command(session) ? SESSION_PHASE_RUNNING : SESSION_PHASE_IDLE;
}

/* How long it has been in its phase. */
static int64_t phase_ms_of(const struct session *session, enum session_phase phase, int64_t now_us)
{
    int64_t now_ms = now_us / 1000;
    const struct pending *command = oldest_command(session);
    int64_t since_ms = session->since_ms;
    if (phase == SESSION_PHASE_PAUSED)
        since_ms = session->hold_since_ms;
    else if (phase == SESSION_PHASE_CONNECTING)
        since_ms = connecting_since_ms(session);
    else if (phase == SESSION_PHASE_CLOSING)
        since_ms = session->linger_since_ms;
    else if (phase == SESSION_PHASE_RUNNING && command != NULL)
        since_ms = command->sent_us / 1000;
    return now_ms > since_ms ? now_ms - since_ms : 0;
}

void session_observe_all(struct session_worker *worker)
{
    uint32_t phases[SESSION_PHASES] = {0};
    int64_t oldest[SESSION_PHASES] = {0};
    int64_t now_us = clock_now_us();
    struct session_metrics *metrics = &worker->metrics;
    const struct session *session = NULL;
    DL_FOREACH(worker->sessions, session)
    {
        enum session_phase phase = phase_of(session);
        int64_t ms = phase_ms_of(session, phase, now_us);
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

/* --- the list -----------------------------------------------------------------------------------
 */

struct listing;

/* The part of one worker. */
struct part {
    struct listing *listing;
    struct session_row *rows; /* limit of them */
    size_t count;
    bool answered;
};

/* Shared by the one who asks and the workers: the last one frees it, since the one who asks may
 * have given up before a worker comes to it. */
struct listing {
    pthread_mutex_t lock;
    pthread_cond_t answer;
    uint64_t after;
    size_t limit;
    unsigned references;
    unsigned parts_left;
    unsigned part_count;
    struct part parts[];
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
    struct listing *listing = memory_zalloc(sizeof *listing + workers * sizeof(struct part));
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

static void fill_row(const struct session *session, int64_t now_us, struct session_row *row)
{
    struct transport_tls_details tls;
    const struct pending *command = oldest_command(session);
    row->id = session->id;
    address_describe_peer(&session->peer, row->remote);
    (void)snprintf(row->server, sizeof row->server, "%s", session->server);
    const struct standing *standing = lease_standing(session);
    if (standing != NULL)
        (void)snprintf(row->identity, sizeof row->identity, "%s", standing_text(standing));
    else
        (void)claim_describe(session->claim, row->identity, sizeof row->identity);
    row->command = "";
    if (command != NULL)
        row->command = command->command == 0 ? "other" : route_name(command->command);
    row->phase = phase_of(session);
    row->tls = transport_tls_details(&session->client.transport, &tls);
    row->in_transaction = command != NULL && command->in_transaction;
    row->connected_ms = now_us / 1000 - session->accepted_ms;
    row->phase_ms = phase_ms_of(session, row->phase, now_us);
}

/* The sessions stand in the order of their ids. */
static void fill_part(void *context, void *arg)
{
    struct session_worker *worker = context;
    struct part *part = arg;
    struct listing *listing = part->listing;
    const struct session *session = NULL;
    int64_t now_us = clock_now_us();
    pthread_mutex_lock(&listing->lock);
    bool wanted = listing->references > listing->parts_left; /* somebody still waits for it */
    pthread_mutex_unlock(&listing->lock);
    DL_FOREACH(worker->sessions, session)
    {
        if (!wanted || part->count == listing->limit)
            break;
        if (session->id > listing->after)
            fill_row(session, now_us, &part->rows[part->count++]);
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

/* Lock held. */
static bool merge(const struct listing *listing, struct session_row **rows, size_t *count,
                  bool *complete)
{
    size_t sum = 0;
    *complete = true;
    *count = 0;
    for (unsigned i = 0; i < listing->part_count; i++) {
        const struct part *part = &listing->parts[i];
        *complete = *complete && part->answered;
        sum += part->answered ? part->count : 0;
    }
    *rows = memory_array(sum == 0 ? 1 : sum, sizeof **rows);
    if (*rows == NULL)
        return false;
    for (unsigned i = 0; i < listing->part_count; i++) {
        const struct part *part = &listing->parts[i];
        if (!part->answered || part->count == 0)
            continue;
        memcpy(*rows + *count, part->rows, part->count * sizeof **rows);
        *count += part->count;
    }
    if (*count > 1)
        qsort(*rows, *count, sizeof **rows, by_id);
    if (*count > listing->limit)
        *count = listing->limit;
    return true;
}

bool session_list(struct session_worker *const *workers, unsigned worker_count, uint64_t after,
                  size_t limit, unsigned timeout_ms, struct session_row **rows, size_t *count,
                  bool *complete)
{
    struct listing *listing =
        listing_new(worker_count, after, limit > SESSION_ROWS_MAX ? SESSION_ROWS_MAX : limit);
    if (listing == NULL)
        return false;
    ask(listing, workers);
    pthread_mutex_lock(&listing->lock);
    wait_for_parts(listing, timeout_ms);
    bool ok = merge(listing, rows, count, complete);
    pthread_mutex_unlock(&listing->lock);
    listing_release(listing);
    return ok;
}
