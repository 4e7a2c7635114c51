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
#include "schema/file.h"
#include "session/hello_stream.h"
#include "session/observe.h"

enum { END_MS = 10000 };

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

static struct session_settings *make_settings(bool merging, enum rig_mode mode)
{
    struct config *config = NULL;
    struct error err = {0};
    char yaml[320];
    int len = snprintf(yaml, sizeof yaml,
                       "upstream: mongodb://127.0.0.1:1/\nlisten: 127.0.0.1:1\nmax_message_bytes: "
                       "2000000\nmemory_max: 8MiB\nmerge:\n  enabled: %s\npool:\n  mode: %s\n"
                       "  max_size: 3\n  max_total: 10\n",
                       merging ? "true" : "false", mode == RIG_SHARED ? "shared" : "session");
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
    atomic_store(&shared->budget.limit_bytes, (size_t)8 * 1024 * 1024);
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
    rig->merging = make_settings(true, mode);
    rig->plain = make_settings(false, mode);
    rig->worker = session_worker_start(0, shared, rig->merging, &err);
    rig_require(rig->worker != NULL, err.message);
    struct registry *registry = make_registry();
    schemas_in_force_publish(&shared->in_force, registry);
    registry_release(registry);
    if (mode == RIG_SHARED)
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
    close(rig->listen_fd);
    unlink(rig->path);
    rmdir(rig->folder);
    free(rig);
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
    default:
        session_worker_set_settings(rig->worker, rig->plain);
        break;
    }
}

static void wait_ms(long ms)
{
    struct timespec wait = {.tv_nsec = ms * 1000000};
    nanosleep(&wait, NULL);
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
