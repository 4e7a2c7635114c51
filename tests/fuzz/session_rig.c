#include "session_rig_internal.h"

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
    "{\"ns\":\"d.guarded\",\"versions\":[{\"schema\":{\"required\":[\"a\"],\"properties\":{\"a\":{"
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
    return registry;
}

/* Of RIG_VERIFIED. Nobody listens at the collector's port. */
static const char more_options[] =
    "limits:\n  rules: \"connections=3,requests=50,documents=60 application=*; requests=40 "
    "user=ann%40admin; documents=30 user=*\"\n"
    "tracing:\n  endpoint: http://127.0.0.1:1/v1/traces\n  sample_ratio: 0.5\n";

/* Of the same, without merging. */
static const char few_clients[] = "max_client_conn: 2\nclient_idle_timeout_ms: 60s\n";

static struct session_settings *make_settings(bool merging, enum rig_mode mode)
{
    struct config *config = NULL;
    struct error err = {0};
    char yaml[1024];
    int len = snprintf(yaml, sizeof yaml,
                       "upstream: mongodb://127.0.0.1:1/\nlisten: 127.0.0.1:1\nmax_message_bytes: "
                       "2000000\nmemory_max: 8MiB\nmerge:\n  enabled: %s\npool:\n  mode: %s\n"
                       "  max_size: 3\n  max_total: 10\n%s",
                       merging ? "true" : "false", mode == RIG_SESSION ? "session" : "shared",
                       mode != RIG_VERIFIED ? ""
                       : merging            ? more_options
                                            : few_clients);
    if (!config_load_yaml("rig", yaml, (size_t)len, &config, &err))
        rig_require(false, err.message);
    return session_settings_new(config, NULL, NULL);
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

static void open_server(struct rig *rig)
{
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

struct rig *rig_open(enum rig_mode mode)
{
    struct error err = {0};
    struct rig *rig = calloc(1, sizeof *rig);
    rig_require(rig != NULL, "memory");
    log_configure(-1, LOG_FORMAT_JSON, LOG_FATAL);
    for (size_t i = 0; i < RIG_CLIENTS; i++)
        rig->clients[i] = -1;
    for (size_t i = 0; i < RIG_UPSTREAMS; i++)
        rig->upstreams[i].fd = -1;
    open_server(rig);
    struct session_shared *shared = &rig->shared;
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
    if (mode == RIG_VERIFIED) {
        shared->verifiers = rig_open_verifiers(rig);
        shared->limits = limits_create();
        shared->exporter = exporter_create(1, 64); /* full queues drop what comes */
    }
    rig->merging = make_settings(true, mode);
    rig->plain = make_settings(false, mode);
    rig->worker = session_worker_start(0, shared, rig->merging, &err);
    rig_require(rig->worker != NULL, err.message);
    struct registry *registry = make_registry();
    schemas_in_force_publish(&shared->in_force, registry);
    registry_release(registry);
    if (mode != RIG_SESSION)
        open_hellos(rig);
    return rig;
}

void rig_close(struct rig *rig)
{
    if (rig->loop != NULL)
        worker_stop(rig->loop); /* it posts to the session worker */
    session_worker_stop(rig->worker);
    hello_streams_destroy(rig->shared.hello_streams);
    hello_board_release(&rig->shared.hello_board);
    schemas_in_force_release(&rig->shared.in_force);
    session_settings_release(rig->merging);
    session_settings_release(rig->plain);
    transactions_destroy(rig->shared.transactions);
    bulk_cursors_destroy(rig->shared.bulk_cursors);
    awaited_cursors_destroy(rig->shared.awaited_cursors);
    retry_table_destroy(rig->shared.retries);
    verifiers_free(rig->shared.verifiers);
    limits_destroy(rig->shared.limits);
    if (rig->shared.exporter != NULL)
        exporter_stop(rig->shared.exporter);
    close(rig->listen_fd);
    unlink(rig->path);
    rmdir(rig->folder);
    free(rig);
}

/* --- time --- */

static _Atomic int64_t clock_ahead_s;

/* The linker puts it in place of the function (--wrap). */
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = __real_clock_gettime(clock, now);
    now->tv_sec += atomic_load(&clock_ahead_s);
    return result;
}

static void wait_ms(long ms)
{
    struct timespec wait = {.tv_nsec = ms * 1000000};
    nanosleep(&wait, NULL);
}

static void let_time_pass(struct rig *rig)
{
    static const int64_t steps_s[] = {2, 12, 70, 400, 4000};
    enum { TICK_MS = 110 };
    atomic_fetch_add(&clock_ahead_s, steps_s[rig->times++ % 5]);
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
    if (pool_list(&rig->worker, 1, END_MS, &pools))
        memory_free(pools.of);
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
                     rig->has_no_room ? (size_t)1 : (size_t)ROOM_BYTES);
        break;
    case RIG_TIME:
        let_time_pass(rig);
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

void rig_settle(struct rig *rig)
{
    struct session_rows rows;
    struct session_query query = {
        .workers = &rig->worker, .worker_count = 1, .limit = RIG_CLIENTS, .timeout_ms = END_MS};
    /* the worker's thread answers after its earlier work; twice, since that work makes more ready
     * for the next turn */
    for (int i = 0; i < 2; i++)
        if (session_list(&query, &rows)) {
            memory_free(rows.of);
            rig_require(rows.complete, "the worker does not turn");
        } else {
            wait_ms(1); /* there is no memory to ask it with */
        }
}

bool rig_end_all(struct rig *rig)
{
    int64_t end_ms = clock_now_ms() + END_MS;
    if (rig->is_away)
        move_server(rig);
    if (rig->has_no_room)
        rig_control(rig, RIG_NO_ROOM);
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
    return atomic_load(&counters->values[MERGER_WAITING_NOW]) == 0 &&
           atomic_load(&rig->shared.clients_now) == 0 && atomic_load(&rig->shared.refused_now) == 0;
}
