#include "main/proxy.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/clock.h"
#include "base/log_sample.h"
#include "base/memory.h"
#include "catalog/catalog.h"
#include "catalog/warned_summary.h"
#include "main/own_upstream.h"
#include "main/prepare.h"
#include "main/proxy_parts.h"
#include "main/registry_link.h"
#include "main/reload.h"
#include "main/tracing_link.h"
#include "main/upkeep.h"
#include "main/verifier_link.h"
#include "metrics/statistics.h"
#include "session/hello_stream.h"
#include "session/limits.h"
#include "session/session.h"
#include "upstream/runtime.h"
#include "upstream/servers.h"

enum { CONTROL_TICK_MS = 500 };

/* --- topology (control thread) ------------------------------------------------------------------
 */

/* Logs a change once. */
static void log_topology(struct proxy *proxy, const struct topology_snapshot *topology)
{
    char summary[sizeof proxy->topology_logged];
    (void)snprintf(summary, sizeof summary, "%d %zu %.200s %.600s", (int)topology->kind,
                   topology->server_count, topology->set_name, topology->cause);
    if (strcmp(summary, proxy->topology_logged) == 0)
        return;
    memcpy(proxy->topology_logged, summary, sizeof summary);
    if (strcmp(topology->cause, TOPOLOGY_NO_ANSWER_YET) == 0)
        return; /* the start */
    if (topology->cause[0] != 0)
        LOG_W(LOG_TOPOLOGY, 1021, "topology",
              "No upstream server is reachable; the proxy waits for one",
              LOG_STR("cause", topology->cause));
    else
        LOG_I(LOG_TOPOLOGY, 1022, "topology", "Upstream topology",
              LOG_STR("kind", topology_kind_name(topology->kind)),
              LOG_STR("setName", topology->set_name),
              LOG_INT("servers", (int64_t)topology->server_count),
              LOG_STR("cause", topology->cause));
}

static void follow_topology(void *context, void *arg)
{
    struct proxy *proxy = context;
    struct topology_snapshot snapshot;
    struct error err;
    (void)arg;
    atomic_store(&proxy->topology_changed, false);
    if (!topology_read(proxy->topology, &snapshot, &err)) {
        atomic_store(&proxy->topology_changed, true); /* the next tick reads it */
        LOG_E(LOG_TOPOLOGY, 1023, "topology", "Cannot read the topology",
              LOG_STR("error", err.message));
        return;
    }
    log_topology(proxy, &snapshot);
    pthread_mutex_lock(&proxy->lock);
    (void)snprintf(proxy->cause, sizeof proxy->cause, "%.*s", SESSION_CAUSE_BYTES - 1,
                   snapshot.cause);
    pthread_mutex_unlock(&proxy->lock);
    servers_reconcile(proxy->servers, &snapshot);
    topology_snapshot_free(&snapshot);
}

/* Runs on a thread of libmongoc. */
static void topology_changed(void *arg)
{
    struct proxy *proxy = arg;
    atomic_store(&proxy->topology_changed, true);
    (void)worker_post(proxy->control, follow_topology, NULL); /* otherwise the next tick does it */
}

/* --- hooks for the sessions (any thread) --------------------------------------------------------
 */

static uint16_t port_of_member(void *context, const char *member, size_t len)
{
    return servers_port_of_member(((struct proxy *)context)->servers, member, len);
}

static void explain_no_server(void *context, char cause[SESSION_CAUSE_BYTES])
{
    struct proxy *proxy = context;
    pthread_mutex_lock(&proxy->lock);
    (void)snprintf(cause, SESSION_CAUSE_BYTES, "%s",
                   proxy->cause[0] != 0 ? proxy->cause
                                        : "the replica set has no server left for it");
    pthread_mutex_unlock(&proxy->lock);
}

static uint32_t collections_change(void *context, const char *first, const char *second)
{
    const struct suspension_scope scope = {{first, second}};
    return catalog_change_begins(((struct proxy *)context)->catalog, &scope);
}

static void collections_changed(void *context, uint32_t change, bool lost)
{
    catalog_change_ends(((struct proxy *)context)->catalog, change, lost);
}

/* Chooses the least loaded worker, and among equals the next one. */
static void hand_over(void *arg, int client_fd, const char *server)
{
    struct proxy *proxy = arg;
    unsigned best = proxy->next_worker++ % proxy->worker_count;
    for (unsigned i = 0; i < proxy->worker_count; i++)
        if (session_worker_clients(proxy->workers[i]) <
            session_worker_clients(proxy->workers[best]))
            best = i;
    session_worker_accept(proxy->workers[best], client_fd, server);
}

void proxy_reload(struct proxy *proxy)
{
    reload_run(proxy);
}

int proxy_tick(struct proxy *proxy, struct error *err)
{
    int wait_ms = upkeep_tick(proxy);
    if (wait_ms < 0)
        (void)config_refuse(proxy->settings->config, "upstream",
                            "leads back to this proxy, through another address or a forwarded "
                            "port; name the database",
                            err);
    return wait_ms;
}

/* --- the admin endpoint -------------------------------------------------------------------------
 */

static bool admin_topology(void *context, struct topology_snapshot *out)
{
    struct error ignored;
    return topology_read(((struct proxy *)context)->topology, out, &ignored);
}

static uint16_t admin_port_of_server(void *context, const char *server)
{
    return servers_port_of_server(((struct proxy *)context)->servers, server);
}

static bool admin_had_all_ports(void *context)
{
    return servers_had_all_ports(((struct proxy *)context)->servers);
}

static enum admin_state admin_state(void *context)
{
    struct proxy *proxy = context;
    if (atomic_load(&proxy->draining))
        return ADMIN_DRAINING;
    return atomic_load(&proxy->paused) ? ADMIN_PAUSED : ADMIN_RUNNING;
}

static void admin_pause(void *context)
{
    proxy_pause(context);
}

static void admin_resume(void *context)
{
    proxy_resume(context);
}

/* Takes the same way as the signal: the main thread waits for it. */
static void admin_drain(void *context)
{
    (void)context;
    (void)kill(getpid(), SIGTERM);
}

static bool admin_fleet(void *context, struct fleet_status *out)
{
    struct proxy *proxy = context;
    pthread_mutex_lock(&proxy->lock);
    bool followed = proxy->follower != NULL;
    if (followed)
        fleet_follower_status(proxy->follower, out);
    pthread_mutex_unlock(&proxy->lock);
    return followed;
}

static void admin_reload_state(void *context, struct admin_reload *out)
{
    struct proxy *proxy = context;
    pthread_mutex_lock(&proxy->lock);
    *out = proxy->reload;
    pthread_mutex_unlock(&proxy->lock);
}

static void admin_certificates_state(void *context, struct admin_certificates *out)
{
    struct proxy *proxy = context;
    pthread_mutex_lock(&proxy->lock);
    *out = proxy->certificates;
    pthread_mutex_unlock(&proxy->lock);
}

static bool start_admin(struct proxy *proxy, struct error *err)
{
    struct config *config = proxy->settings->config;
    struct admin_settings *settings = NULL;
    if (config->admin.listen.host[0] != 0) {
        settings = admin_settings_new(config, err);
        if (settings == NULL)
            return false;
    }
    reload_note_certificates(proxy, settings);
    proxy->parts = (struct admin_parts){.hooks = {.context = proxy,
                                                  .topology = admin_topology,
                                                  .port_of_server = admin_port_of_server,
                                                  .had_all_ports = admin_had_all_ports,
                                                  .state = admin_state,
                                                  .pause = admin_pause,
                                                  .resume = admin_resume,
                                                  .drain = admin_drain,
                                                  .fleet = admin_fleet,
                                                  .reload = admin_reload_state,
                                                  .certificates = admin_certificates_state},
                                        .catalog = proxy->catalog,
                                        .shared = &proxy->shared,
                                        .workers = proxy->workers,
                                        .worker_count = proxy->worker_count};
    if (settings == NULL)
        return true;
    proxy->admin = admin_start(&proxy->parts, settings, err);
    return proxy->admin != NULL;
}

/* --- schemas ------------------------------------------------------------------------------------
 */

static void registry_changed(void *arg, struct registry *registry)
{
    struct proxy *proxy = arg;
    schemas_in_force_publish(&proxy->shared.in_force, registry);
    for (unsigned i = 0; i < proxy->worker_count; i++)
        session_worker_refresh(proxy->workers[i]);
}

static bool start_catalog(struct proxy *proxy, struct error *err)
{
    const struct config *config = proxy->settings->config;
    struct catalog_settings settings = {.folder = config->schemas,
                                        .memory_max = (size_t)config->schemas_memory_max,
                                        .publish = registry_changed,
                                        .arg = proxy};
    proxy->catalog = catalog_create(&settings, err);
    return proxy->catalog != NULL;
}

static bool follow_validators(struct proxy *proxy, struct error *err)
{
    const struct config *config = proxy->settings->config;
    return config->schemas_upstream == CONFIG_FALSE ||
           catalog_follow_upstream(proxy->catalog, proxy->uri, config->schemas_upstream_period_ms,
                                   err);
}

/* --- hello (control thread)
 * ------------------------------------------------------------------------
 */

static void hellos_changed(void *arg)
{
    struct proxy *proxy = arg;
    for (unsigned i = 0; i < proxy->worker_count; i++)
        session_worker_look_at_hellos(proxy->workers[i]);
}

static bool create_hello_streams(struct proxy *proxy)
{
    struct hello_streams_settings settings = {.loop = proxy->control,
                                              .budget = &proxy->shared.budget,
                                              .board = &proxy->shared.hello_board,
                                              .changed = hellos_changed,
                                              .arg = proxy};
    proxy->shared.hello_streams = hello_streams_create(&settings);
    return proxy->shared.hello_streams != NULL;
}

/* --- verifiers ----------------------------------------------------------------------------------
 */

/* On the thread of the source. */
static void verifiers_answered(void *arg)
{
    struct proxy *proxy = arg;
    for (unsigned i = 0; i < proxy->worker_count; i++)
        session_worker_take_verifiers(proxy->workers[i]);
}

/* Before the workers start: they borrow the verifiers. */
static bool start_verifiers(struct proxy *proxy, struct error *err)
{
    if (!verifier_link_start(proxy->settings->config, proxy->uri, verifiers_answered, proxy,
                             &proxy->verifier_source, err))
        return false;
    if (proxy->verifier_source != NULL)
        proxy->shared.verifiers = verifier_source_verifiers(proxy->verifier_source);
    return true;
}

/* --- statistics (control thread) ----------------------------------------------------------------
 */

static void log_stats(struct proxy *proxy, const char *message)
{
    const struct counters *counters[WORKERS_MAX];
    for (unsigned i = 0; i < proxy->worker_count; i++)
        counters[i] = session_worker_counters(proxy->workers[i]);
    statistics_log(message, counters, proxy->worker_count, budget_used(&proxy->shared.budget));
}

static void log_warned(struct proxy *proxy)
{
    struct registry *registry = catalog_registry(proxy->catalog);
    warned_summary_log(registry, atomic_load(&proxy->sample_period_ms));
    registry_release(registry);
}

/* Begins a drain that was asked for. */
static void follow_drain(struct proxy *proxy)
{
    if (proxy->drain_begun || !atomic_load(&proxy->draining))
        return;
    proxy->drain_begun = true;
    servers_close(proxy->servers);
    for (unsigned i = 0; i < proxy->worker_count; i++)
        session_worker_drain(proxy->workers[i]);
}

static void control_tick(void *context)
{
    struct proxy *proxy = context;
    int64_t period_ms = atomic_load(&proxy->stats_period_ms);
    int64_t now_ms = clock_now_ms();
    follow_drain(proxy);
    log_sample_flush(false);
    catalog_rescan(proxy->catalog);
    servers_drop_unconfirmed(proxy->servers, now_ms);
    if (atomic_load(&proxy->topology_changed) || servers_retry_is_due(proxy->servers, now_ms))
        follow_topology(proxy, NULL);
    if (now_ms - proxy->warned_since_ms >= atomic_load(&proxy->sample_period_ms)) {
        proxy->warned_since_ms = now_ms;
        log_warned(proxy);
    }
    if (period_ms == 0 || now_ms - proxy->stats_since_ms < period_ms)
        return;
    proxy->stats_since_ms = now_ms;
    log_stats(proxy, "Statistics");
}

/* --- starting and ending ------------------------------------------------------------------------
 */

static unsigned count_workers(const struct config *config)
{
    long count = config->threads > 0 ? (long)config->threads : sysconf(_SC_NPROCESSORS_ONLN);
    return (unsigned)(count < 1 ? 1 : count > WORKERS_MAX ? WORKERS_MAX : count);
}

static bool start_workers(struct proxy *proxy, struct error *err)
{
    unsigned count = count_workers(proxy->settings->config);
    proxy->shared.workers = count;
    proxy->shared.exporter = tracing_link_start(proxy->settings->config, count, err);
    if (proxy->shared.exporter == NULL)
        return false;
    for (unsigned i = 0; i < count; i++) {
        proxy->workers[i] = session_worker_start(i, &proxy->shared, proxy->settings, err);
        if (proxy->workers[i] == NULL)
            return false;
        proxy->worker_count = i + 1;
    }
    return true;
}

/* The topology reports to this thread until it stops, and this thread reads it. So it is stopped
 * here, when no job runs any more. */
static void control_stopping(void *context)
{
    struct proxy *proxy = context;
    topology_stop(proxy->topology);
    hello_streams_stop(proxy->shared.hello_streams);
    servers_close(proxy->servers);
}

static bool start_control(struct proxy *proxy, struct error *err)
{
    struct worker_settings settings = {.name = "control",
                                       .context = proxy,
                                       .tick_ms = CONTROL_TICK_MS,
                                       .tick = control_tick,
                                       .stop = control_stopping};
    if (!worker_create(&settings, &proxy->control, err))
        return false;
    if (!create_hello_streams(proxy))
        return error_no_memory(err, "the answers to hello");
    struct servers_settings servers = {.config = proxy->settings->config,
                                       .control = proxy->control,
                                       .accepted = hand_over,
                                       .arg = proxy};
    proxy->servers = servers_create(&servers, err);
    return proxy->servers != NULL;
}

static bool start_parts(struct proxy *proxy, struct config *config, struct error *err)
{
    proxy->uri = prepare_uri(config, err);
    if (proxy->uri == NULL) {
        config_release(config);
        return false;
    }
    if (!own_upstream_check(config, proxy->uri, err)) {
        config_release(config);
        return false;
    }
    certificate_watch_begin(&proxy->watch, config, proxy->uri);
    if (uri_warning(proxy->uri) != NULL)
        LOG_W(LOG_CONTROL, 1033, "control", "The upstream URI has unused options",
              LOG_STR("warning", uri_warning(proxy->uri)));
    proxy->settings = prepare_settings(config, proxy->uri, err);
    if (proxy->settings == NULL)
        return false;
    proxy->shared.hooks = (struct session_hooks){.context = proxy,
                                                 .port_of_member = port_of_member,
                                                 .explain_no_server = explain_no_server,
                                                 .collections_change = collections_change,
                                                 .collections_changed = collections_changed};
    proxy->shared.started_ms = clock_now_ms();
    proxy->shared.own_id = runtime_id();
    proxy->shared.transactions = transactions_create();
    proxy->shared.limits = limits_create();
    proxy->shared.bulk_cursors = bulk_cursors_create(&proxy->shared.budget);
    proxy->shared.awaited_cursors = awaited_cursors_create();
    proxy->shared.retries =
        retry_table_create((size_t)proxy->settings->config->merge_retry_table_bytes);
    if (proxy->shared.transactions == NULL || proxy->shared.limits == NULL ||
        proxy->shared.bulk_cursors == NULL || proxy->shared.awaited_cursors == NULL ||
        proxy->shared.retries == NULL)
        return error_no_memory(err, "the start");
    reload_apply_shared(proxy);
    (void)snprintf(proxy->cause, sizeof proxy->cause, "%s", TOPOLOGY_NO_ANSWER_YET);
    if (!start_catalog(proxy, err) || !start_verifiers(proxy, err) || !start_control(proxy, err) ||
        !start_workers(proxy, err))
        return false;
    if (!follow_validators(proxy, err) || !reload_start_follower(proxy, err))
        return false;
    proxy->topology = topology_start(proxy->uri, topology_changed, proxy, err);
    if (proxy->topology == NULL)
        return false;
    follow_topology(proxy, NULL);
    return start_admin(proxy, err) && worker_run(proxy->control, err);
}

static void destroy(struct proxy *proxy)
{
    reload_stop_follower(proxy);
    catalog_stop(proxy->catalog);
    verifier_source_stop(proxy->verifier_source);
    for (unsigned i = 0; i < proxy->worker_count; i++)
        session_worker_stop(proxy->workers[i]);
    exporter_stop(proxy->shared.exporter);
    catalog_destroy(proxy->catalog);
    hello_streams_destroy(proxy->shared.hello_streams);
    hello_board_release(&proxy->shared.hello_board);
    verifier_source_free(proxy->verifier_source);
    schemas_in_force_release(&proxy->shared.in_force);
    servers_destroy(proxy->servers);
    transactions_destroy(proxy->shared.transactions);
    limits_destroy(proxy->shared.limits);
    bulk_cursors_destroy(proxy->shared.bulk_cursors);
    awaited_cursors_destroy(proxy->shared.awaited_cursors);
    retry_table_destroy(proxy->shared.retries);
    budget_drop_spare(&proxy->shared.budget);
    session_settings_release(proxy->settings);
    uri_free(proxy->uri);
    pthread_mutex_destroy(&proxy->lock);
    memory_free(proxy);
}

struct proxy *proxy_start(struct config *config, struct error *err)
{
    struct proxy *proxy = memory_zalloc(sizeof *proxy);
    if (proxy == NULL) {
        config_release(config);
        (void)error_no_memory(err, "the start");
        return NULL;
    }
    pthread_mutex_init(&proxy->lock, NULL);
    schemas_in_force_init(&proxy->shared.in_force);
    hello_board_init(&proxy->shared.hello_board);
    proxy->stats_since_ms = clock_now_ms();
    proxy->warned_since_ms = proxy->stats_since_ms;
    if (start_parts(proxy, config, err)) {
        LOG_I(LOG_CONTROL, 1062, "control", "mongosluice has started",
              LOG_STR("version", SLUICE_VERSION), LOG_STR("upstream", uri_redacted(proxy->uri)),
              LOG_INT("threads", proxy->worker_count));
        return proxy;
    }
    admin_stop(proxy->admin);
    topology_stop(proxy->topology);
    if (proxy->servers != NULL)
        servers_close(proxy->servers);
    if (proxy->control != NULL)
        worker_destroy(proxy->control);
    destroy(proxy);
    return NULL;
}

static void drain_job(void *context, void *arg)
{
    (void)arg;
    follow_drain(context);
}

void proxy_drain(struct proxy *proxy)
{
    atomic_store(&proxy->draining, true);
    (void)worker_post(proxy->control, drain_job, NULL); /* otherwise the next tick does it */
}

static void change_state(struct proxy *proxy, void (*change)(struct session_worker *worker),
                         const char *done)
{
    for (unsigned i = 0; i < proxy->worker_count; i++)
        change(proxy->workers[i]);
    LOG_I(LOG_CONTROL, 1036, "control", done);
}

void proxy_pause(struct proxy *proxy)
{
    atomic_store(&proxy->paused, true);
    change_state(proxy, session_worker_pause, "Paused: new commands wait");
}

void proxy_resume(struct proxy *proxy)
{
    atomic_store(&proxy->paused, false);
    change_state(proxy, session_worker_resume, "Resumed");
}

unsigned proxy_clients(const struct proxy *proxy)
{
    return atomic_load(&proxy->shared.clients_now);
}

int64_t proxy_drain_timeout_ms(const struct proxy *proxy)
{
    return proxy->settings->config->drain_timeout_ms;
}

void proxy_stop(struct proxy *proxy)
{
    admin_stop(proxy->admin);
    worker_stop(proxy->control);
    log_warned(proxy);
    log_stats(proxy, "Statistics at the end");
    destroy(proxy);
}
