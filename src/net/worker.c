#include "net/worker.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/memory.h"
#include "net/poll_window.h"

/* Other threads hand over work in bursts, for example when a thousand clients connect at once; a
 * job takes about 10 µs. */
enum { JOBS_A_TURN = 16 };

struct job {
    struct job *next;
    worker_job run;
    void *arg;
};

struct worker {
    struct worker_settings settings;
    char name[16];
    struct event_base *base;
    struct evdns_base *dns;
    struct event *wake_event;
    struct event *tick_event;
    pthread_t thread;
    pthread_mutex_t lock; /* guards the job list */
    struct job *first_job;
    struct job **last_job;
    int wake_fd;
    struct turn turn;
    struct poll_window polling;
    bool stopping; /* the worker's thread only */
    uint8_t scratch[WORKER_SCRATCH_BYTES];
};

static void wake(struct worker *worker)
{
    uint64_t one = 1;
    (void)!write(worker->wake_fd, &one, sizeof one);
}

static struct job *take_job(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    struct job *job = worker->first_job;
    if (job != NULL)
        worker->first_job = job->next;
    if (worker->first_job == NULL)
        worker->last_job = &worker->first_job;
    pthread_mutex_unlock(&worker->lock);
    return job;
}

static void run_jobs(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;
    struct job *job = NULL;
    uint64_t count = 0;
    (void)what;
    turn_note(&worker->turn);
    (void)!read(fd, &count, sizeof count);
    for (int i = 0; i < JOBS_A_TURN && (job = take_job(worker)) != NULL; i++) {
        job->run(worker->settings.context, job->arg);
        memory_free(job);
    }
    if (worker->stopping) {
        event_del(worker->tick_event); /* a tick may be due in this turn; its data is gone then */
        worker->settings.stop(worker->settings.context);
        event_base_loopexit(worker->base, NULL);
    } else if (job != NULL) {
        wake(worker); /* there may be more */
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

/* Another thread that waits for this CPU gets it. */
static bool polls(struct worker *worker)
{
    if (worker->polling.window_us == 0 || !poll_window_is_open(&worker->polling, clock_now_us()))
        return false;
    (void)sched_yield();
    return true;
}

static void *run_loop(void *arg)
{
    struct worker *worker = arg;
    pthread_setname_np(pthread_self(), worker->name);
    while (!event_base_got_exit(worker->base)) {
        int wait = worker->turn.waiters != NULL || polls(worker) ? EVLOOP_NONBLOCK : 0;
        event_base_loop(worker->base, EVLOOP_ONCE | wait | EVLOOP_NO_EXIT_ON_EMPTY);
        int64_t us = turn_end(&worker->turn);
        if (us == 0)
            continue;
        if (worker->polling.most_us > 0) {
            int64_t now_us = clock_now_us();
            poll_window_note(&worker->polling, now_us - us, now_us);
        }
        if (worker->settings.turned != NULL)
            worker->settings.turned(worker->settings.context, us);
    }
    return NULL;
}

void worker_destroy(struct worker *worker)
{
    while (worker->first_job != NULL) {
        struct job *job = worker->first_job;
        worker->first_job = job->next;
        memory_free(job);
    }
    if (worker->wake_event != NULL)
        event_free(worker->wake_event);
    if (worker->tick_event != NULL)
        event_free(worker->tick_event);
    if (worker->dns != NULL)
        evdns_base_free(worker->dns, 0);
    if (worker->base != NULL)
        event_base_free(worker->base);
    if (worker->wake_fd >= 0)
        close(worker->wake_fd);
    pthread_mutex_destroy(&worker->lock);
    memory_free(worker);
}

/* Each worker has its own DNS. Without /etc/resolv.conf it still resolves numbers and /etc/hosts.
 */
static struct evdns_base *make_dns(struct event_base *base)
{
    struct evdns_base *dns =
        evdns_base_new(base, EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (dns == NULL) {
        dns = evdns_base_new(base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
        if (dns != NULL)
            evdns_base_load_hosts(dns, "/etc/hosts");
    }
    return dns;
}

static bool make_events(struct worker *worker)
{
    struct timeval tick = {.tv_sec = worker->settings.tick_ms / 1000,
                           .tv_usec = (long)(worker->settings.tick_ms % 1000) * 1000};
    struct event_config *config = event_config_new();
    if (config == NULL)
        return false;
    /* only its own thread uses a loop: no locks on the data path */
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    worker->base = event_base_new_with_config(config);
    event_config_free(config);
    worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (worker->base == NULL || worker->wake_fd < 0)
        return false;
    worker->dns = make_dns(worker->base);
    worker->wake_event =
        event_new(worker->base, worker->wake_fd, EV_READ | EV_PERSIST, run_jobs, worker);
    worker->tick_event = event_new(worker->base, -1, EV_PERSIST, run_tick, worker);
    return worker->dns != NULL && worker->wake_event != NULL && worker->tick_event != NULL &&
           event_add(worker->wake_event, NULL) == 0 && event_add(worker->tick_event, &tick) == 0;
}

bool worker_create(const struct worker_settings *settings, struct worker **out, struct error *err)
{
    struct worker *worker = memory_zalloc(sizeof *worker);
    if (worker == NULL)
        return error_no_memory(err, "a worker thread");
    worker->settings = *settings;
    worker->wake_fd = -1;
    worker->last_job = &worker->first_job;
    pthread_mutex_init(&worker->lock, NULL);
    (void)snprintf(worker->name, sizeof worker->name, "%s", settings->name);
    if (!make_events(worker)) {
        worker_destroy(worker);
        return error_set(err, ERROR_INTERNAL,
                         "cannot create an event loop for thread %s: out of memory or descriptors",
                         settings->name);
    }
    *out = worker;
    return true;
}

bool worker_run(struct worker *worker, struct error *err)
{
    int failure = pthread_create(&worker->thread, NULL, run_loop, worker);
    if (failure != 0)
        return error_set(err, ERROR_INTERNAL, "cannot start thread %s: %s", worker->name,
                         strerror(failure));
    return true;
}

bool worker_post(struct worker *worker, worker_job run, void *arg)
{
    struct job *job = memory_alloc(sizeof *job);
    if (job == NULL)
        return false;
    *job = (struct job){.run = run, .arg = arg};
    pthread_mutex_lock(&worker->lock);
    bool asleep = worker->first_job ==
                  NULL; /* otherwise the worker was already woken, and takes this job too */
    *worker->last_job = job;
    worker->last_job = &job->next;
    pthread_mutex_unlock(&worker->lock);
    if (asleep)
        wake(worker);
    return true;
}

static void mark_stopping(void *context, void *arg)
{
    (void)context;
    ((struct worker *)arg)->stopping = true;
}

void worker_stop(struct worker *worker)
{
    while (!worker_post(worker, mark_stopping, worker))
        usleep(1000);
    pthread_join(worker->thread, NULL);
    worker_destroy(worker);
}

void worker_poll_for(struct worker *worker, int64_t us)
{
    worker->polling = (struct poll_window){.most_us = us};
}

struct event_base *worker_base(struct worker *worker)
{
    return worker->base;
}

struct evdns_base *worker_dns(struct worker *worker)
{
    return worker->dns;
}

struct turn *worker_turn(struct worker *worker)
{
    return &worker->turn;
}

uint8_t *worker_scratch(struct worker *worker)
{
    return worker->scratch;
}
