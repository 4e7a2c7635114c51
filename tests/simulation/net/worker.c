/* net/worker.h without threads: the world picks among the loops that have work. */
#include "net/worker.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "process.h"
#include "world_internal.h"

enum { JOBS_A_TURN = 16 };

struct job {
    struct job *next;
    worker_job run;
    void *arg;
};

struct worker {
    struct event_base base;
    struct worker_settings settings;
    struct event *wake_event;
    struct event *tick_event;
    struct job *first_job;
    struct job **last_job;
    struct turn turn;
    uint8_t *scratch;
    bool stopping;
    bool over;
};

/* Kept from proxy to proxy. */
static struct spare {
    struct spare *next;
} * spare_scratch;

static uint8_t *take_scratch(void)
{
    struct spare *spare = spare_scratch;
    if (spare == NULL)
        return simulation_alloc(WORKER_SCRATCH_BYTES);
    spare_scratch = spare->next;
    return (uint8_t *)spare;
}

static void keep_scratch(uint8_t *scratch)
{
    struct spare *spare = (struct spare *)scratch;
    spare->next = spare_scratch;
    spare_scratch = spare;
}

void worker_take_jobs(struct worker *worker)
{
    worker->base.job_waits = false;
    event_active(worker->wake_event, EV_READ, 0);
}

static void run_jobs(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;
    struct job *job = NULL;
    (void)fd;
    (void)what;
    turn_note(&worker->turn);
    for (int i = 0; i < JOBS_A_TURN && (job = worker->first_job) != NULL; i++) {
        worker->first_job = job->next;
        if (worker->first_job == NULL)
            worker->last_job = &worker->first_job;
        job->run(worker->settings.context, job->arg);
        memory_free(job);
    }
    if (worker->stopping) {
        (void)event_del(worker->tick_event);
        worker->settings.stop(worker->settings.context);
        worker->over = true;
    } else if (worker->first_job != NULL) {
        worker->base.job_waits = true;
    }
}

static void run_tick(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;
    (void)fd;
    (void)what;
    turn_note(&worker->turn);
    worker->settings.tick(worker->settings.context);
}

bool worker_turn_ends(struct worker *worker)
{
    int64_t us = turn_end(&worker->turn);
    if (us > 0 && worker->settings.turned != NULL)
        worker->settings.turned(worker->settings.context, us);
    return worker->turn.waiters != NULL;
}

bool worker_create(const struct worker_settings *settings, struct worker **out, struct error *err)
{
    struct timeval tick = {.tv_sec = settings->tick_ms / 1000,
                           .tv_usec = (long)(settings->tick_ms % 1000) * 1000};
    struct worker *worker = memory_zalloc(sizeof *worker);
    if (worker == NULL)
        return error_no_memory(err, "a worker thread");
    worker->settings = *settings;
    worker->last_job = &worker->first_job;
    worker->scratch = take_scratch();
    loop_init(&worker->base, settings->name, worker);
    worker->wake_event = event_new(&worker->base, -1, EV_PERSIST, run_jobs, worker);
    worker->tick_event = event_new(&worker->base, -1, EV_PERSIST, run_tick, worker);
    (void)event_add(worker->tick_event, &tick);
    *out = worker;
    return true;
}

bool worker_run(struct worker *worker, struct error *err)
{
    (void)err;
    worker->base.runs = true;
    loop_wake(&worker->base);
    return true;
}

void worker_destroy(struct worker *worker)
{
    while (worker->first_job != NULL) {
        struct job *job = worker->first_job;
        worker->first_job = job->next;
        memory_free(job);
    }
    event_free(worker->wake_event);
    event_free(worker->tick_event);
    loop_release(&worker->base);
    keep_scratch(worker->scratch);
    memory_free(worker);
}

bool worker_post(struct worker *worker, worker_job run, void *arg)
{
    struct job *job = memory_alloc(sizeof *job);
    if (job == NULL)
        return false;
    *job = (struct job){.run = run, .arg = arg};
    if (worker->first_job == NULL) {
        worker->base.job_waits = true;
        loop_wake(&worker->base);
    }
    *worker->last_job = job;
    worker->last_job = &job->next;
    return true;
}

static void mark_stopping(void *context, void *arg)
{
    (void)context;
    ((struct worker *)arg)->stopping = true;
}

/* The caller's thread waits, and meanwhile only this loop runs. */
void worker_stop(struct worker *worker)
{
    while (!worker_post(worker, mark_stopping, worker))
        memory_fail_never(); /* the thread would wait until it gets memory */
    while (!worker->over)
        loop_turn(&worker->base);
    worker_destroy(worker);
}

/* The simulated time between two turns is no work. */
void worker_poll_for(struct worker *worker, int64_t us)
{
    (void)worker;
    (void)us;
}

struct event_base *worker_base(struct worker *worker)
{
    return &worker->base;
}

struct evdns_base *worker_dns(struct worker *worker)
{
    (void)worker;
    return NULL;
}

struct turn *worker_turn(struct worker *worker)
{
    return &worker->turn;
}

uint8_t *worker_scratch(struct worker *worker)
{
    return worker->scratch;
}
