#include "session/session.h"

#include <event2/event.h>
#include <stdio.h>
#include <utlist.h>

#include "base/memory.h"
#include "merge/merger.h"
#include "session/hello_changes.h"
#include "session/hello_wait.h"
#include "session/life.h"
#include "session/merge.h"
#include "session/merge_batch.h"
#include "session/observe.h"
#include "session/pause.h"
#include "session/pool_observe.h"
#include "session/pool_pump.h"
#include "session/replies.h"
#include "session/requests.h"
#include "session/spans.h"
#include "session/timeouts.h"
#include "session/verified_state.h"

enum { TICK_MS = 100 };

static void reap(evutil_socket_t fd, short what, void *arg)
{
    struct session_worker *worker = arg;
    (void)fd;
    (void)what;
    while (worker->ended != NULL) {
        struct client *client = worker->ended;
        DL_DELETE(worker->ended, client);
        memory_free(client);
    }
    upstream_connection_reap(worker);
}

/* Waiting requests continue. */
static void resume_all(struct session_worker *worker)
{
    struct client *client = NULL;
    struct client *next = NULL;
    worker->paused = false;
    DL_FOREACH_SAFE(worker->client_list, client, next)
    {
        if (pause_let_go(client))
            requests_resume(client);
    }
}

static void swap_settings(struct session_worker *worker, struct session_settings *settings)
{
    session_settings_release(worker->settings);
    worker->settings = settings;
    merge_configure(worker);
    pool_pump_configure(worker);
    spans_configure(worker);
    worker_poll_for(worker->worker, settings->config->busy_poll_us);
}

/* Does what other threads asked for. */
static void follow(struct session_worker *worker)
{
    enum worker_state wanted = atomic_load(&worker->wanted_state);
    struct session_settings *settings = atomic_exchange(&worker->wanted_settings, NULL);
    if (settings != NULL)
        swap_settings(worker, settings);
    if (atomic_exchange(&worker->verifiers_answered, false)) {
        verified_answered(worker);
        requests_resume_answered(worker);
    }
    if (wanted == WORKER_DRAINS && !worker->draining) {
        worker->draining = true;
        merge_drain(worker);
    }
    if (wanted == WORKER_IS_PAUSED)
        worker->paused = true;
    else if (worker->paused)
        resume_all(worker);
}

static void tick(void *context)
{
    struct session_worker *worker = context;
    struct client *client = NULL;
    struct client *next = NULL;
    int64_t now_ms = clock_now_ms();
    follow(worker);
    merge_let_go(worker);
    pool_pump_tick(worker, now_ms);
    bulk_cursors_expire(worker->shared->bulk_cursors, now_ms);
    budget_drop_old_spare(&worker->shared->budget, now_ms);
    DL_FOREACH_SAFE(worker->client_list, client, next)
    timeouts_check(client, now_ms);
    session_observe_all(worker);
    pool_observe_all(worker);
}

/* Sends due batches of waiting inserts: at the end of a loop turn, or at their time. */
static void pump(evutil_socket_t fd, short what, void *arg)
{
    struct session_worker *worker = arg;
    (void)fd;
    (void)what;
    merge_send_due(worker);
    requests_resume_answered(worker);
    merge_arm_timer(worker);
}

static void turned(void *context, int64_t us)
{
    session_metrics_note_turn(&((struct session_worker *)context)->metrics, us);
}

/* Also of a worker that has only some of its parts. */
static void end_all(void *context)
{
    struct session_worker *worker = context;
    while (worker->client_list != NULL)
        client_end(worker->client_list, "the proxy is ending");
    pool_pump_stop(worker);
    reap(-1, 0, worker);
    hello_wait_release_sources(worker);
    merge_stop(worker);
    if (worker->reap_event != NULL)
        event_free(worker->reap_event);
}

static void free_worker(struct session_worker *worker)
{
    session_settings_release(worker->settings);
    session_settings_release(atomic_load(&worker->wanted_settings));
    registry_release(worker->schemas.registry);
    schema_scratch_free(worker->scratch);
    tally_free(worker->tally);
    session_metrics_free(&worker->metrics);
    memory_free(worker);
}

/* Adds the events of its loop. */
static bool add_events(struct session_worker *worker)
{
    struct event_base *base = worker_base(worker->worker);
    worker->reap_event = event_new(base, -1, 0, reap, worker);
    worker->pump_event = event_new(base, -1, 0, pump, worker);
    return worker->reap_event != NULL && worker->pump_event != NULL;
}

struct session_worker *session_worker_start(unsigned index, struct session_shared *shared,
                                            struct session_settings *settings, struct error *err)
{
    char name[16];
    struct session_worker *worker = memory_zalloc(sizeof *worker);
    if (worker == NULL) {
        (void)error_no_memory(err, "a worker");
        return NULL;
    }
    (void)snprintf(name, sizeof name, "worker%u", index);
    worker->shared = shared;
    worker->settings = session_settings_retain(settings);
    worker->scratch = schema_scratch_new();
    worker->connection_handler = &replies_handler;
    worker->tally = tally_new();
    spans_start(worker, index);
    struct worker_settings thread = {.name = name,
                                     .context = worker,
                                     .tick_ms = TICK_MS,
                                     .tick = tick,
                                     .turned = turned,
                                     .stop = end_all};
    if (worker->scratch == NULL || worker->tally == NULL)
        (void)error_no_memory(err, "a worker");
    else if (worker_create(&thread, &worker->worker, err)) {
        worker_poll_for(worker->worker, settings->config->busy_poll_us);
        if (!add_events(worker) || !pool_pump_start(worker))
            (void)error_no_memory(err, "a worker");
        else if (merge_start(worker, err) && worker_run(worker->worker, err))
            return worker;
        end_all(worker);
        worker_destroy(worker->worker);
    }
    free_worker(worker);
    return NULL;
}

struct registry *session_worker_schemas(struct session_worker *worker)
{
    if (schemas_in_force_take(&worker->shared->in_force, &worker->schemas))
        tally_trim(worker->tally, worker->schemas.registry);
    return worker->schemas.registry;
}

static void drop_older_schemas(void *context, void *unused)
{
    (void)unused;
    (void)session_worker_schemas(context);
}

void session_worker_refresh(struct session_worker *worker)
{
    (void)worker_post(worker->worker, drop_older_schemas,
                      NULL); /* otherwise its next write does it */
}

static void look_at_hellos(void *context, void *unused)
{
    (void)unused;
    hello_changes_look(context);
}

void session_worker_look_at_hellos(struct session_worker *worker)
{
    (void)worker_post(worker->worker, look_at_hellos, NULL); /* otherwise the next tick does it */
}

static void follow_job(void *context, void *arg)
{
    struct session_worker *worker = context;
    bool began = worker->draining;
    (void)arg;
    follow(worker);
    if (worker->draining && !began)
        tick(worker); /* ends idle sessions */
}

/* Without memory the next tick follows. */
static void ask_to_follow(struct session_worker *worker)
{
    (void)worker_post(worker->worker, follow_job, NULL);
}

void session_worker_set_settings(struct session_worker *worker, struct session_settings *settings)
{
    session_settings_release(
        atomic_exchange(&worker->wanted_settings, session_settings_retain(settings)));
    ask_to_follow(worker);
}

void session_worker_take_verifiers(struct session_worker *worker)
{
    atomic_store(&worker->verifiers_answered, true);
    ask_to_follow(worker);
}

static void want(struct session_worker *worker, enum worker_state state)
{
    enum worker_state now = atomic_load(&worker->wanted_state);
    while (now != WORKER_DRAINS &&
           !atomic_compare_exchange_weak(&worker->wanted_state, &now, state)) {
    }
    ask_to_follow(worker);
}

void session_worker_drain(struct session_worker *worker)
{
    want(worker, WORKER_DRAINS);
}

void session_worker_pause(struct session_worker *worker)
{
    want(worker, WORKER_IS_PAUSED);
}

void session_worker_resume(struct session_worker *worker)
{
    want(worker, WORKER_RUNS);
}

void session_worker_stop(struct session_worker *worker)
{
    worker_stop(worker->worker);
    free_worker(worker);
}

unsigned session_worker_clients(const struct session_worker *worker)
{
    return atomic_load(&worker->clients);
}

const struct counters *session_worker_counters(const struct session_worker *worker)
{
    return &worker->counters;
}

struct tally *session_worker_tally(const struct session_worker *worker)
{
    return worker->tally;
}

const struct merger_counters *session_worker_merge_counters(const struct session_worker *worker)
{
    return merger_counters(worker->merger);
}
