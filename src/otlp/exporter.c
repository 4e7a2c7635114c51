#include "otlp/exporter.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log_sample.h"
#include "base/memory.h"
#include "otlp/exporter_settings.h"

/* A message of at most this size, or one trail more. Collectors accept 4 MiB and more. */
enum { MESSAGE_BYTES_MAX = 1024 * 1024, MESSAGE_TRAILS_MAX = 2048 };
/* Of a message without success. */
enum { ATTEMPTS_MAX = 6, BACKOFF_FIRST_MS = 1000, BACKOFF_MAX_MS = 30000 };
enum { STOP_MS = 2000 };

struct exporter {
    /* guarded by lock */
    pthread_mutex_t lock;
    struct exporter_settings *next; /* to be put in force */
    bool stopping;

    /* the configuring thread */
    pthread_t thread;
    bool running;
    int wake_fd;

    /* the exporter's thread */
    struct event_base *base;
    struct event *wake_event;
    struct event *timer; /* collects, or sends again */
    struct event *end_timer;
    struct exporter_settings *settings;
    struct http_client *client;
    struct text message; /* under way, or to be sent again; empty: none */
    uint64_t spans;      /* in it */
    unsigned attempts;
    bool asking;
    bool failing; /* since the last success */
    bool ending;

    _Atomic uint64_t exported, rejected, lost, failures;
    unsigned queue_count;
    struct trail_queue *queues[];
};

struct exporter *exporter_create(unsigned queues, size_t room)
{
    struct exporter *exporter =
        memory_zalloc(sizeof *exporter + queues * sizeof(struct trail_queue *));
    if (exporter == NULL)
        return NULL;
    pthread_mutex_init(&exporter->lock, NULL);
    exporter->wake_fd = -1;
    exporter->message = text_growing();
    for (; exporter->queue_count < queues; exporter->queue_count++) {
        exporter->queues[exporter->queue_count] = trail_queue_new(room);
        if (exporter->queues[exporter->queue_count] == NULL) {
            exporter_stop(exporter);
            return NULL;
        }
    }
    return exporter;
}

struct trail_queue *exporter_queue(struct exporter *exporter, unsigned index)
{
    return exporter->queues[index];
}

static void add(_Atomic uint64_t *count, uint64_t n)
{
    atomic_fetch_add_explicit(count, n, memory_order_relaxed);
}

static void set_timer(struct exporter *exporter, int64_t ms)
{
    struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    event_add(exporter->timer, &wait);
}

static void drop_message(struct exporter *exporter)
{
    text_release(&exporter->message);
    exporter->spans = 0;
    exporter->attempts = 0;
}

/* --- collecting --- */

/* One trail of each queue in turn, so that no worker's trails wait for those of another. */
static struct trail *take_next(struct exporter *exporter, unsigned *at)
{
    for (unsigned i = 0; i < exporter->queue_count; i++) {
        struct trail *trail = trail_queue_take(exporter->queues[(*at + i) % exporter->queue_count]);
        if (trail != NULL) {
            *at = (*at + i + 1) % exporter->queue_count;
            return trail;
        }
    }
    return NULL;
}

static void discard_trails(struct exporter *exporter)
{
    unsigned at = 0;
    struct trail *trail = NULL;
    while ((trail = take_next(exporter, &at)) != NULL)
        trail_free(trail);
}

/* Fills the message. */
static void collect(struct exporter *exporter)
{
    struct trail_resource *resource = &exporter->settings->resource;
    struct trails_message message;
    struct trail *trail = NULL;
    unsigned at = 0;
    resource->wall_offset_us = clock_wall_us() - clock_now_us();
    for (unsigned i = 0; i < MESSAGE_TRAILS_MAX && exporter->message.len < MESSAGE_BYTES_MAX &&
                         (trail = take_next(exporter, &at)) != NULL;
         i++) {
        if (exporter->spans == 0)
            trails_open(&exporter->message, resource, &message);
        exporter->spans += trail_add_spans(&exporter->message, resource, trail);
        trail_free(trail);
    }
    if (exporter->spans == 0)
        return;
    trails_close(&exporter->message, &message);
    if (exporter->message.cut) {
        add(&exporter->lost, exporter->spans);
        drop_message(exporter);
    }
}

/* --- sending --- */

static void send_message(struct exporter *exporter);

static void go_on(struct exporter *exporter, int64_t ms)
{
    if (exporter->ending && exporter->message.len == 0) {
        collect(exporter);
        if (exporter->message.len == 0)
            event_base_loopbreak(exporter->base);
    }
    set_timer(exporter, exporter->ending ? 0 : ms);
}

static void succeed(struct exporter *exporter, struct bytes response)
{
    uint64_t rejected = trails_rejected(response);
    if (rejected > exporter->spans)
        rejected = exporter->spans;
    add(&exporter->rejected, rejected);
    add(&exporter->exported, exporter->spans - rejected);
    if (exporter->failing)
        LOG_I(LOG_CONTROL, 6001, "tracing", "The collector accepts spans again");
    exporter->failing = false;
    bool full = exporter->message.len >= MESSAGE_BYTES_MAX;
    drop_message(exporter);
    go_on(exporter, full ? 0 : exporter->settings->period_ms);
}

static int64_t backoff_ms(const struct exporter *exporter, const char *retry_after)
{
    int64_t ms = (int64_t)BACKOFF_FIRST_MS << (exporter->attempts - 1);
    char *end = NULL;
    long seconds = retry_after != NULL ? strtol(retry_after, &end, 10) : 0;
    if (ms > BACKOFF_MAX_MS)
        ms = BACKOFF_MAX_MS;
    if (retry_after != NULL && end != retry_after && *end == 0 && seconds >= 0)
        return seconds > BACKOFF_MAX_MS / 1000 ? BACKOFF_MAX_MS : seconds * 1000;
    /* a fleet of proxies must not come back at the same time */
    return ms / 2 + (int64_t)(clock_now_ns() % (uint64_t)(ms / 2));
}

static bool may_retry(int status)
{
    return status == 0 || status == 429 || status == 502 || status == 503 || status == 504;
}

static void fail(struct exporter *exporter, const struct http_answer *answer)
{
    const struct http_url *url = &exporter->settings->url;
    bool again = may_retry(answer->status) && exporter->attempts < ATTEMPTS_MAX;
    add(&exporter->failures, 1);
    exporter->failing = true;
    LOG_SAMPLED(LOG_WARNING, LOG_CONTROL, 6002, url->host, "tracing",
                "The collector does not accept spans", LOG_STR("host", url->host),
                LOG_INT("port", url->port), LOG_INT("status", answer->status),
                LOG_STR("error", answer->failure != NULL ? answer->failure : ""),
                LOG_BOOL("again", again), LOG_INT("spans", (int64_t)exporter->spans));
    int64_t wait_ms =
        again ? backoff_ms(exporter, answer->retry_after) : exporter->settings->period_ms;
    if (!again) {
        add(may_retry(answer->status) ? &exporter->lost : &exporter->rejected, exporter->spans);
        drop_message(exporter);
    }
    if (exporter->ending) {
        event_base_loopbreak(exporter->base);
        return;
    }
    go_on(exporter, wait_ms);
}

static void on_answer(void *arg, const struct http_answer *answer)
{
    struct exporter *exporter = arg;
    exporter->asking = false;
    if (answer->status >= 200 && answer->status < 300)
        succeed(exporter, answer->body);
    else
        fail(exporter, answer);
}

static void send_message(struct exporter *exporter)
{
    const struct exporter_settings *settings = exporter->settings;
    const struct http_question question = {
        .path = exporter_settings_path(settings),
        .headers = settings->headers,
        .header_count = settings->header_count,
        .body = bytes_of(exporter->message.data, exporter->message.len),
        .timeout_seconds = settings->timeout_seconds};
    const struct http_answer no_memory = {.failure = "out of memory"};
    if (exporter->client == NULL)
        exporter->client =
            http_client_new(exporter->base, settings->url.host, settings->url.port, settings->tls);
    exporter->attempts++;
    exporter->asking = true;
    if (exporter->client == NULL ||
        !http_client_ask(exporter->client, &question, on_answer, exporter))
        on_answer(exporter, &no_memory);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct exporter *exporter = arg;
    (void)fd;
    (void)what;
    if (exporter->asking)
        return;
    if (exporter->settings->off) {
        drop_message(exporter);
        discard_trails(exporter);
        return;
    }
    if (exporter->message.len == 0)
        collect(exporter);
    if (exporter->message.len > 0)
        send_message(exporter);
    else
        go_on(exporter, exporter->settings->period_ms);
}

/* --- settings and the end --- */

static void swap_settings(struct exporter *exporter, struct exporter_settings *next)
{
    http_client_free(exporter->client); /* a message under way is sent again */
    exporter->client = NULL;
    exporter->asking = false;
    exporter_settings_free(exporter->settings);
    exporter->settings = next;
    set_timer(exporter, next->off ? 0 : next->period_ms);
}

static void on_end_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    event_base_loopbreak(((struct exporter *)arg)->base);
}

static void begin_end(struct exporter *exporter)
{
    static const struct timeval most = {.tv_sec = STOP_MS / 1000};
    exporter->ending = true;
    event_add(exporter->end_timer, &most);
    if (exporter->settings->off)
        event_base_loopbreak(exporter->base);
    else if (!exporter->asking)
        set_timer(exporter, 0);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct exporter *exporter = arg;
    uint64_t count = 0;
    (void)what;
    (void)!read(fd, &count, sizeof count);
    pthread_mutex_lock(&exporter->lock);
    struct exporter_settings *next = exporter->next;
    bool stopping = exporter->stopping;
    exporter->next = NULL;
    pthread_mutex_unlock(&exporter->lock);
    if (next != NULL)
        swap_settings(exporter, next);
    if (stopping && !exporter->ending)
        begin_end(exporter);
}

static void *run(void *arg)
{
    struct exporter *exporter = arg;
    pthread_setname_np(pthread_self(), "tracing");
    event_base_loop(exporter->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

static void wake(const struct exporter *exporter)
{
    static const uint64_t one = 1;
    (void)!write(exporter->wake_fd, &one, sizeof one);
}

static bool make_loop(struct exporter *exporter)
{
    exporter->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    exporter->base = event_base_new();
    if (exporter->base == NULL || exporter->wake_fd < 0)
        return false;
    exporter->wake_event =
        event_new(exporter->base, exporter->wake_fd, EV_READ | EV_PERSIST, on_wake, exporter);
    exporter->timer = event_new(exporter->base, -1, 0, on_timer, exporter);
    exporter->end_timer = event_new(exporter->base, -1, 0, on_end_timer, exporter);
    return exporter->wake_event != NULL && exporter->timer != NULL && exporter->end_timer != NULL &&
           event_add(exporter->wake_event, NULL) == 0;
}

static void free_loop(struct exporter *exporter)
{
    struct event *events[] = {exporter->wake_event, exporter->timer, exporter->end_timer};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        if (events[i] != NULL)
            event_free(events[i]);
    if (exporter->base != NULL)
        event_base_free(exporter->base);
    if (exporter->wake_fd >= 0)
        close(exporter->wake_fd);
    exporter->wake_event = exporter->timer = exporter->end_timer = NULL;
    exporter->base = NULL;
    exporter->wake_fd = -1;
}

/* The settings are in force before the thread runs. */
static bool start(struct exporter *exporter, struct exporter_settings *settings, struct error *err)
{
    if (!make_loop(exporter)) {
        free_loop(exporter);
        exporter_settings_free(settings);
        return error_no_memory(err, "the exporter of spans");
    }
    swap_settings(exporter, settings);
    exporter->running = pthread_create(&exporter->thread, NULL, run, exporter) == 0;
    if (exporter->running)
        return true;
    exporter_settings_free(exporter->settings);
    exporter->settings = NULL;
    free_loop(exporter);
    return error_set(err, ERROR_INTERNAL, "cannot start a thread for the exporter of spans");
}

bool exporter_configure(struct exporter *exporter, const struct exporter_options *options,
                        struct error *err)
{
    if (!exporter->running && options->endpoint[0] == 0)
        return true;
    struct exporter_settings *settings = exporter_settings_new(options, err);
    if (settings == NULL)
        return false;
    if (!exporter->running)
        return start(exporter, settings, err);
    pthread_mutex_lock(&exporter->lock);
    exporter_settings_free(exporter->next);
    exporter->next = settings;
    pthread_mutex_unlock(&exporter->lock);
    wake(exporter);
    return true;
}

void exporter_stop(struct exporter *exporter)
{
    if (exporter == NULL)
        return;
    if (exporter->running) {
        pthread_mutex_lock(&exporter->lock);
        exporter->stopping = true;
        pthread_mutex_unlock(&exporter->lock);
        wake(exporter);
        pthread_join(exporter->thread, NULL);
    }
    http_client_free(exporter->client);
    free_loop(exporter);
    exporter_settings_free(exporter->settings);
    exporter_settings_free(exporter->next);
    text_release(&exporter->message);
    for (unsigned i = 0; i < exporter->queue_count; i++)
        trail_queue_free(exporter->queues[i]);
    pthread_mutex_destroy(&exporter->lock);
    memory_free(exporter);
}

static uint64_t load(const _Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

void exporter_read_figures(const struct exporter *exporter, struct exporter_figures *out)
{
    *out = (struct exporter_figures){.exported = load(&exporter->exported),
                                     .rejected = load(&exporter->rejected),
                                     .lost = load(&exporter->lost),
                                     .failures = load(&exporter->failures)};
    for (unsigned i = 0; i < exporter->queue_count; i++)
        out->dropped_traces += load(&exporter->queues[i]->dropped);
}
