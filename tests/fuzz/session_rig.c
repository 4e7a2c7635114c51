#include "session_rig_internal.h"

#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "catalog/registry.h"
#include "credentials/verifiers.h"
#include "otlp/exporter.h"
#include "schema/file.h"
#include "session/hello_stream.h"
#include "session/limits.h"
#include "session/observe.h"
#include "session/pool_observe.h"
#include "session/session_metrics.h"

enum { END_MS = 10000, ROOM_BYTES = 8 * 1024 * 1024 };

void rig_require(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "session rig: %s\n", what);
    abort();
}

static const char *const schemas[] = {
    "{\"ns\":\"d.guarded\",\"action\":\"errorAndLog\",\"versions\":[{\"schema\":{\"required\":["
    "\"a\"],\"properties\":{\"a\":{"
    "\"bsonType\":\"int\",\"minimum\":0}}}},{\"schema\":{\"required\":[\"a\"],\"properties\":{"
    "\"a\":{"
    "\"bsonType\":\"int\",\"minimum\":5}}}},{\"schema\":{},\"accepted_until\":{\"$date\":"
    "\"2001-01-01T00:00:00Z\"}}],\"candidate\":{\"schema\":{\"required\":[\"b\"]}}}",
    "{\"ns\":\"d.warned\",\"action\":\"warn\",\"schema\":{\"required\":[\"a\"]}}",
};

static struct registry *make_registry(void)
{
    struct registry *registry = registry_new();
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        struct schema_file file;
        struct error err;
        rig_require(schema_file_parse(schemas[i], strlen(schemas[i]), NULL, NULL, &file, &err),
                    "a schema is wrong");
        rig_require(registry_put(registry, registry_entry_new(&file, REGISTRY_FILE, "rig")),
                    "memory");
    }
    rig_require(registry_leave_out(registry, "d.left", "the server's own"), "memory");
    return registry;
}

/* Of RIG_VERIFIED. Nobody listens at the collector's port. */
static const char more_options[] =
    "limits:\n  rules: \"connections=3,requests=50,documents=60 application=*; requests=40 "
    "user=ann%40admin; documents=30 user=*\"\n"
    "tracing:\n  endpoint: http://127.0.0.1:1/v1/traces\n  sample_ratio: 0.5\n";

/* Of the same, without merging. */
static const char few_clients[] = "max_client_conn: 2\nclient_idle_timeout_ms: 60s\n";

static struct session_settings *read_settings(const char *yaml, size_t len)
{
    struct config *config = NULL;
    struct error err = {0};
    if (!config_load_yaml("rig", yaml, len, &config, &err))
        rig_require(false, err.message);
    struct session_settings *settings = session_settings_new(config, NULL, NULL);
    rig_require(settings != NULL, "memory");
    return settings;
}

static struct session_settings *make_settings(bool merging, enum rig_mode mode)
{
    char yaml[1024];
    int len = snprintf(yaml, sizeof yaml,
                       "upstream: mongodb://127.0.0.1:1/\nlisten: 127.0.0.1:1\nmax_message_bytes: "
                       "2000000\nmemory_max: 8MiB\nmerge:\n  enabled: %s\npool:\n  mode: %s\n"
                       "  max_size: 4\n  max_total: 10\n%s",
                       merging ? "true" : "false", mode == RIG_SESSION ? "session" : "shared",
                       mode != RIG_VERIFIED ? ""
                       : merging            ? more_options
                                            : few_clients);
    return read_settings(yaml, (size_t)len);
}

/* Limits that few clients reach. */
static const char narrow_options[] =
    "client_idle_timeout_ms: 60s\nrequest_timeout_ms: 5s\nconnect_timeout_ms: 1s\n"
    "query_wait_timeout_ms: 10s\nlog:\n  show_values: true\n"
    "merge:\n  enabled: true\n  max_docs: 3\n  max_waiters: 2\n  on_cap: reject\n"
    "  ignore_comment: always\n"
    "  namespaces:\n    d.guarded: {enabled: true, max_bytes: 2MiB, linger_us: 200}\n"
    "limits:\n  rules: \"connections=2,requests=4,documents=3 application=app\"\n"
    "pool:\n  max_size: 1\n  max_total: 2\n  waiters_max: 1\n  wait_timeout_ms: 1s\n"
    "  cancel_grace_ms: 100\n  idle_timeout_ms: 20s\n  max_lifetime_ms: 30s\n  mode: ";

static struct session_settings *make_narrow_settings(enum rig_mode mode)
{
    char yaml[2048];
    int len = snprintf(yaml, sizeof yaml,
                       "upstream: mongodb://127.0.0.1:1/\nlisten: 127.0.0.1:1\n"
                       "max_message_bytes: 2000000\nmemory_max: 8MiB\n%s%s\n",
                       narrow_options, mode == RIG_SESSION ? "session" : "shared");
    return read_settings(yaml, (size_t)len);
}

/* The PROXY protocol on both sides. */
static struct session_settings *make_proxied_settings(const struct rig *rig)
{
    char yaml[1024];
    int len =
        snprintf(yaml, sizeof yaml,
                 "upstream: mongodb://127.0.0.1:1/\nlisten: 127.0.0.1:1\n"
                 "max_message_bytes: 2000000\nmemory_max: 8MiB\n"
                 "listen_proxy_protocol: 127.0.0.0/8\nupstream_proxy_protocol: %s\n"
                 "pool:\n  mode: %s\n",
                 strrchr(rig->tcp_path, ':') + 1, rig->mode == RIG_SESSION ? "session" : "shared");
    return read_settings(yaml, (size_t)len);
}

static uint16_t port_of_member(void *context, const char *member, size_t len)
{
    (void)context;
    (void)member;
    return (uint16_t)(len + 1);
}

static void explain_no_server(void *context, char cause[SESSION_CAUSE_BYTES])
{
    (void)context;
    cause[0] = 0;
}

static uint32_t collections_change(void *context, const char *first, const char *second)
{
    (void)context;
    return (uint32_t)(strlen(first) + (second == NULL ? 0 : strlen(second)) + 1);
}

static void collections_changed(void *context, uint32_t change, bool lost)
{
    (void)context;
    (void)lost;
    rig_require(change != 0, "a change that never began");
}

/* A port of the loopback that connections wait at. */
static int listen_tcp(char path[32])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    rig_require(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 &&
                    listen(fd, 128) == 0 && getsockname(fd, (struct sockaddr *)&at, &len) == 0,
                "no port of the loopback");
    (void)snprintf(path, 32, "127.0.0.1:%u", (unsigned)ntohs(at.sin_port));
    return fd;
}

static void open_server(struct rig *rig)
{
    char entrance[32];
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    (void)snprintf(rig->folder, sizeof rig->folder, "/tmp/sluice-rig-XXXXXX");
    rig_require(mkdtemp(rig->folder) != NULL, "no temporary folder");
    (void)snprintf(rig->path, sizeof rig->path, "%s/s", rig->folder);
    memcpy(at.sun_path, rig->path, strlen(rig->path) + 1);
    rig->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    rig_require(rig->listen_fd >= 0 &&
                    bind(rig->listen_fd, (struct sockaddr *)&at, sizeof at) == 0 &&
                    listen(rig->listen_fd, 128) == 0,
                "the server cannot listen");
    rig->tcp_fd = listen_tcp(rig->tcp_path);
    rig->entrance_fd = listen_tcp(entrance);
}

/* --- the hello streams, of shared mode ---
 */

static void hellos_changed(void *arg)
{
    session_worker_look_at_hellos(((struct rig *)arg)->worker);
}

static void stop_hellos(void *context)
{
    hello_streams_stop(((struct rig *)context)->shared.hello_streams);
}

static void do_nothing(void *context)
{
    (void)context;
}

static void open_hellos(struct rig *rig)
{
    struct error err = {0};
    struct worker_settings thread = {
        .name = "hello", .context = rig, .tick_ms = 1000, .tick = do_nothing, .stop = stop_hellos};
    rig_require(worker_create(&thread, &rig->loop, &err), err.message);
    struct hello_streams_settings settings = {.loop = rig->loop,
                                              .budget = &rig->shared.budget,
                                              .board = &rig->shared.hello_board,
                                              .changed = hellos_changed,
                                              .arg = rig};
    rig->shared.hello_streams = hello_streams_create(&settings);
    rig_require(rig->shared.hello_streams != NULL, "memory");
    rig_require(worker_run(rig->loop, &err), err.message);
}

static struct session_worker *start_worker(struct rig *rig)
{
    struct error err = {0};
    struct session_worker *worker = NULL;
    if (rig->start_fails_at > 0) {
        memory_fail_after(rig->start_fails_at);
        worker = session_worker_start(0, &rig->shared, rig->merging, &err);
        memory_fail_never();
        rig->start_fails_at = 0;
    }
    if (worker == NULL)
        worker = session_worker_start(0, &rig->shared, rig->merging, &err);
    rig_require(worker != NULL, err.message);
    return worker;
}

static void make_shared(struct rig *rig)
{
    struct session_shared *shared = &rig->shared;
    memset(shared, 0, sizeof *shared);
    shared->own_id = RIG_OWN_ID;
    shared->started_ms = clock_now_ms();
    atomic_store(&shared->budget.limit_bytes, (size_t)ROOM_BYTES);
    shared->transactions = transactions_create();
    shared->bulk_cursors = bulk_cursors_create(&shared->budget);
    shared->awaited_cursors = awaited_cursors_create();
    schemas_in_force_init(&shared->in_force);
    shared->retries = retry_table_create((size_t)1024 * 1024);
    shared->hooks = (struct session_hooks){.context = rig,
                                           .port_of_member = port_of_member,
                                           .explain_no_server = explain_no_server,
                                           .collections_change = collections_change,
                                           .collections_changed = collections_changed};
    hello_board_init(&shared->hello_board);
    shared->limits = limits_create();
    if (rig->mode == RIG_VERIFIED) {
        shared->verifiers = rig_open_verifiers(rig);
        shared->exporter = exporter_create(1, 64); /* full queues drop what comes */
    }
}

static void open_proxy(struct rig *rig)
{
    make_shared(rig);
    rig->merging = make_settings(true, rig->mode);
    rig->plain = make_settings(false, rig->mode);
    rig->narrow = make_narrow_settings(rig->mode);
    rig->proxied = make_proxied_settings(rig);
    rig->worker = start_worker(rig);
    struct registry *registry = make_registry();
    schemas_in_force_publish(&rig->shared.in_force, registry);
    registry_release(registry);
    if (rig->mode != RIG_SESSION)
        open_hellos(rig);
}

static void close_proxy(struct rig *rig)
{
    if (rig->loop != NULL)
        worker_stop(rig->loop); /* it posts to the session worker */
    rig->loop = NULL;
    session_worker_stop(rig->worker);
    hello_streams_destroy(rig->shared.hello_streams);
    hello_board_release(&rig->shared.hello_board);
    schemas_in_force_release(&rig->shared.in_force);
    session_settings_release(rig->merging);
    session_settings_release(rig->plain);
    session_settings_release(rig->narrow);
    session_settings_release(rig->proxied);
    transactions_destroy(rig->shared.transactions);
    bulk_cursors_destroy(rig->shared.bulk_cursors);
    awaited_cursors_destroy(rig->shared.awaited_cursors);
    retry_table_destroy(rig->shared.retries);
    verifiers_free(rig->shared.verifiers);
    limits_destroy(rig->shared.limits);
    if (rig->shared.exporter != NULL)
        exporter_stop(rig->shared.exporter);
    budget_drop_spare(&rig->shared.budget);
}

struct rig *rig_open(enum rig_mode mode)
{
    struct rig *rig = calloc(1, sizeof *rig);
    rig_require(rig != NULL, "memory");
    log_configure(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_FORMAT_JSON, LOG_DEBUG);
    for (size_t i = 0; i < RIG_CLIENTS; i++)
        rig->clients[i] = -1;
    for (size_t i = 0; i < RIG_UPSTREAMS; i++)
        rig->upstreams[i].fd = -1;
    rig->mode = mode;
    open_server(rig);
    open_proxy(rig);
    return rig;
}

void rig_close(struct rig *rig)
{
    close_proxy(rig);
    close(rig->listen_fd);
    close(rig->tcp_fd);
    close(rig->entrance_fd);
    unlink(rig->path);
    rmdir(rig->folder);
    free(rig);
}

void rig_fail_start(struct rig *rig, long n)
{
    rig->start_fails_at = n;
}

/* --- time --- */

static _Atomic int64_t clock_ahead_us;
static atomic_bool clock_is_slow;

/* The linker puts it in place of the function (--wrap). */
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    enum { SLOW_US = 150, SECOND_US = 1000000 };
    int result = __real_clock_gettime(clock, now);
    int64_t ahead_us = atomic_load(&clock_is_slow)
                           ? atomic_fetch_add(&clock_ahead_us, SLOW_US) + SLOW_US
                           : atomic_load(&clock_ahead_us);
    int64_t ns = now->tv_nsec + ahead_us % SECOND_US * 1000;
    now->tv_sec += ahead_us / SECOND_US + ns / (SECOND_US * 1000);
    now->tv_nsec = ns % (SECOND_US * 1000);
    return result;
}

static atomic_bool timers_haste;

/* In the same way. */
int __real_event_add(struct event *event, const struct timeval *wait);
int __wrap_event_add(struct event *event, const struct timeval *wait);

int __wrap_event_add(struct event *event, const struct timeval *wait)
{
    static const struct timeval soon = {.tv_usec = 1000};
    bool hastes = wait != NULL && atomic_load(&timers_haste) &&
                  (wait->tv_sec > 0 || wait->tv_usec > soon.tv_usec);
    return __real_event_add(event, hastes ? &soon : wait);
}

static void wait_ms(long ms)
{
    struct timespec wait = {.tv_nsec = ms * 1000000};
    nanosleep(&wait, NULL);
}

static void let_time_pass(struct rig *rig)
{
    static const int64_t steps_s[] = {2, 12, 70, 400};
    enum { TICK_MS = 110, SECOND_US = 1000000 };
    atomic_fetch_add(&clock_ahead_us, steps_s[rig->times++ % 4] * SECOND_US);
    wait_ms(TICK_MS);
}

/* --- what an operator does --- */

static void observe(struct rig *rig)
{
    struct session_rows rows;
    struct pool_rows pools;
    struct session_query query = {
        .workers = &rig->worker, .worker_count = 1, .limit = 3, .timeout_ms = END_MS};
    const struct session_metrics *metrics = session_worker_metrics(rig->worker);
    if (session_list(&query, &rows))
        memory_free(rows.of);
    struct session_worker *const twice[] = {rig->worker, rig->worker};
    for (unsigned count = 1; count <= 2; count++)
        if (pool_list(twice, count, END_MS, &pools))
            memory_free(pools.of);
    for (int gauge = 0; gauge < POOL_GAUGES; gauge++)
        (void)pool_gauge_name((enum pool_gauge)gauge);
    for (int pin = 0; pin < PIN_REASONS; pin++)
        (void)pool_pin_name((enum pool_pin)pin);
    for (int phase = 0; phase < SESSION_PHASES; phase++)
        (void)session_phase_name((enum session_phase)phase);
    for (unsigned bit = 0; bit <= 4; bit++)
        (void)pool_compressor_name(bit);
    (void)session_worker_counters(rig->worker);
    (void)session_worker_tally(rig->worker);
    for (int name = 0; name < COMMAND_NAME_COUNT; name++) {
        (void)session_metrics_command_us(metrics, (enum command_name)name);
        (void)session_metrics_command_exemplars(metrics, (enum command_name)name);
        (void)session_command_label((enum command_name)name);
    }
    for (size_t i = 0; i <= SESSION_SERVERS_MAX; i++)
        (void)session_metrics_server_at(metrics, i);
}

static void publish(struct rig *rig)
{
    struct registry *registry = make_registry();
    schemas_in_force_publish(&rig->shared.in_force, registry);
    registry_release(registry);
    session_worker_refresh(rig->worker);
}

/* The server's socket has another name, or its own again. */
static void move_server(struct rig *rig)
{
    char aside[sizeof rig->path + 1];
    (void)snprintf(aside, sizeof aside, "%s-", rig->path);
    int moved = rig->is_away ? rename(aside, rig->path) : rename(rig->path, aside);
    rig_require(moved == 0, "the server's socket cannot move");
    rig->is_away = !rig->is_away;
}

void rig_control(struct rig *rig, enum rig_event event)
{
    switch (event) {
    case RIG_PAUSE:
        session_worker_pause(rig->worker);
        break;
    case RIG_RESUME:
        session_worker_resume(rig->worker);
        break;
    case RIG_MERGE_ON:
        session_worker_set_settings(rig->worker, rig->merging);
        break;
    case RIG_MERGE_OFF:
        session_worker_set_settings(rig->worker, rig->plain);
        break;
    case RIG_OBSERVE:
        observe(rig);
        break;
    case RIG_SCHEMAS:
        publish(rig);
        break;
    case RIG_NO_SERVER:
        move_server(rig);
        break;
    case RIG_NO_ROOM:
        rig->has_no_room = !rig->has_no_room;
        atomic_store(&rig->shared.budget.limit_bytes,
                     rig->has_no_room ? budget_used(&rig->shared.budget) + 64 : (size_t)ROOM_BYTES);
        break;
    case RIG_TIME:
        let_time_pass(rig);
        break;
    case RIG_HOUR:
        atomic_fetch_add(&clock_ahead_us, (int64_t)3600 * 1000000);
        break;
    case RIG_SLOW:
        atomic_store(&clock_is_slow, !atomic_load(&clock_is_slow));
        break;
    case RIG_NARROW:
        session_worker_set_settings(rig->worker, rig->narrow);
        break;
    case RIG_PROXIED:
        session_worker_set_settings(rig->worker, rig->proxied);
        break;
    case RIG_HASTE:
        atomic_store(&timers_haste, !atomic_load(&timers_haste));
        break;
    case RIG_TCP:
        rig->uses_tcp = !rig->uses_tcp;
        break;
    case RIG_NO_ADDRESS:
        rig->has_no_address = !rig->has_no_address;
        break;
    case RIG_SEND_LARGE:
        rig_send_large(rig, 0, rig->times);
        break;
    case RIG_FINISH:
        rig_finish(rig, 0);
        break;
    case RIG_DRAIN:
        if (rig->drains) { /* the second time: it ends */
            rig_require(rig_end_all(rig), "a client or a buffer is left");
            break;
        }
        session_worker_drain(rig->worker);
        rig->drains = true;
        break;
    case RIG_ANSWER_VERIFIERS:
    case RIG_FAIL_VERIFIERS:
        rig_answer_verifiers(rig, event == RIG_ANSWER_VERIFIERS);
        break;
    default:
        rig_forget_user(rig);
        break;
    }
}

static void note_turn(void *context, void *arg)
{
    (void)context;
    atomic_fetch_add((_Atomic unsigned *)arg, 1);
}

/* Waits until the thread of the hello streams has done its earlier work; without memory a little.
 */
static void settle_hellos(struct rig *rig)
{
    static _Atomic unsigned turns;
    unsigned before = atomic_load(&turns);
    if (rig->loop == NULL)
        return;
    if (!worker_post(rig->loop, note_turn, &turns)) {
        wait_ms(1);
        return;
    }
    for (int i = 0; i < END_MS && atomic_load(&turns) == before; i++) {
        struct timespec wait = {.tv_nsec = 20000};
        nanosleep(&wait, NULL);
    }
}

void rig_settle(struct rig *rig)
{
    struct session_rows rows;
    struct session_query query = {
        .workers = &rig->worker, .worker_count = 1, .limit = RIG_CLIENTS, .timeout_ms = END_MS};
    /* the worker's thread answers after its earlier work; twice, since that work makes more ready
     * for the next turn */
    for (int i = 0; i < 3; i++) {
        settle_hellos(rig);
        if (session_list(&query, &rows)) {
            memory_free(rows.of);
            rig_require(rows.complete, "the worker does not turn");
        } else {
            wait_ms(1); /* there is no memory to ask it with */
        }
    }
}

bool rig_end_all(struct rig *rig)
{
    int64_t end_ms = clock_now_ms() + END_MS;
    if (rig->is_away)
        move_server(rig);
    if (rig->has_no_room)
        rig_control(rig, RIG_NO_ROOM);
    rig->uses_tcp = rig->has_no_address = false;
    rig->times = 0;
    atomic_store(&clock_is_slow, false);
    atomic_store(&timers_haste, false);
    rig_control(rig, RIG_RESUME);
    rig_control(rig, RIG_MERGE_ON);
    for (size_t i = 0; i < RIG_CLIENTS; i++)
        rig_leave(rig, i, i % 2 == 1);
    while (session_worker_clients(rig->worker) > 0) {
        if (clock_now_ms() > end_ms)
            return false;
        (void)rig_serve(rig, RIG_ANSWER_HANGUP, 0); /* a w:0 write may still be under way */
        for (size_t i = 0; i < RIG_UPSTREAMS; i++)
            if (rig->upstreams[i].fd >= 0)
                rig_hang_up_upstream(&rig->upstreams[i]);
        rig_settle(rig);
        wait_ms(session_worker_clients(rig->worker) > 0);
    }
    const struct merger_counters *counters = session_worker_merge_counters(rig->worker);
    for (size_t i = 0; i < RIG_UPSTREAMS; i++)
        if (rig->upstreams[i].fd >= 0)
            rig_hang_up_upstream(&rig->upstreams[i]);
    bool clean = atomic_load(&counters->values[MERGER_WAITING_NOW]) == 0 &&
                 atomic_load(&rig->shared.clients_now) == 0 &&
                 atomic_load(&rig->shared.refused_now) == 0;
    if (rig->drains || rig->start_fails_at > 0) {
        close_proxy(rig);
        open_proxy(rig);
        rig->drains = false;
    }
    return clean;
}
