#include "admin/figures.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "admin/registry_state.h"
#include "base/clock.h"

/* A worker that does not turn its loop for this time is stuck. It ticks ten times a second. */
enum { STALE_TICK_MS = 10000 };

static const struct session_metrics *metrics_of(const struct admin *admin, unsigned worker)
{
    return session_worker_metrics(admin->parts.workers[worker]);
}

void figures_counters(const struct admin *admin, uint64_t sums[COUNTER_COUNT])
{
    for (size_t i = 0; i < COUNTER_COUNT; i++)
        sums[i] = 0;
    for (unsigned i = 0; i < admin->parts.worker_count; i++)
        counters_sum(session_worker_counters(admin->parts.workers[i]), sums);
}

void figures_commands(const struct admin *admin, uint64_t sums[COMMAND_NAME_COUNT])
{
    for (size_t i = 0; i < COMMAND_NAME_COUNT; i++) {
        sums[i] = 0;
        for (unsigned w = 0; w < admin->parts.worker_count; w++)
            sums[i] +=
                atomic_load_explicit(&metrics_of(admin, w)->commands[i], memory_order_relaxed);
    }
}

void figures_latency(const struct admin *admin, struct histogram_totals *out)
{
    *out = (struct histogram_totals){0};
    for (unsigned i = 0; i < admin->parts.worker_count; i++)
        for (size_t s = 0; s <= SESSION_SERVERS_MAX; s++) {
            const struct server_latency *server =
                session_metrics_server_at(metrics_of(admin, i), s);
            if (server != NULL)
                histogram_add(&server->us, out);
        }
}

bool figures_command_latency(const struct admin *admin, enum command_name command,
                             struct histogram_totals *out)
{
    *out = (struct histogram_totals){0};
    for (unsigned i = 0; i < admin->parts.worker_count; i++) {
        const struct histogram *us = session_metrics_command_us(metrics_of(admin, i), command);
        if (us != NULL)
            histogram_add(us, out);
    }
    return out->count > 0;
}

/* The figures of the server, added if there is room; otherwise the last ones, of all others. */
static struct server_figures *find_server(struct server_figures out[FIGURES_SERVERS], size_t *count,
                                          const char *server)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(out[i].server, server) == 0)
            return &out[i];
    if (*count == FIGURES_SERVERS - 1)
        server = "other";
    if (*count < FIGURES_SERVERS) {
        out[*count].server = server;
        out[*count].us = (struct histogram_totals){0};
        ++*count;
    }
    return &out[*count - 1];
}

size_t figures_servers(const struct admin *admin, struct server_figures out[FIGURES_SERVERS])
{
    size_t count = 0;
    for (unsigned i = 0; i < admin->parts.worker_count; i++)
        for (size_t s = 0; s < SESSION_SERVERS_MAX; s++) {
            const struct server_latency *server =
                session_metrics_server_at(metrics_of(admin, i), s);
            if (server == NULL)
                break;
            histogram_add(&server->us, &find_server(out, &count, server->server)->us);
        }
    for (unsigned i = 0; i < admin->parts.worker_count; i++) {
        struct histogram_totals rest = {0};
        histogram_add(&session_metrics_server_at(metrics_of(admin, i), SESSION_SERVERS_MAX)->us,
                      &rest);
        if (rest.count > 0)
            histogram_add(&session_metrics_server_at(metrics_of(admin, i), SESSION_SERVERS_MAX)->us,
                          &find_server(out, &count, "other")->us);
    }
    return count;
}

void figures_turns(const struct admin *admin, struct histogram_totals *out)
{
    *out = (struct histogram_totals){0};
    for (unsigned i = 0; i < admin->parts.worker_count; i++)
        histogram_add(&metrics_of(admin, i)->turn_us, out);
}

const char *figures_flush_name(size_t flush)
{
    static const char *const names[FIGURES_FLUSHES] = {"idle", "count", "bytes", "timer", "drain"};
    return names[flush];
}

void figures_merging(const struct admin *admin, struct merger_sums *out)
{
    *out = (struct merger_sums){0};
    for (unsigned i = 0; i < admin->parts.worker_count; i++)
        merger_counters_sum(session_worker_merge_counters(admin->parts.workers[i]), out);
}

void figures_census(const struct admin *admin, struct census *out)
{
    int64_t now_ms = clock_now_ms();
    *out = (struct census){0};
    for (unsigned i = 0; i < admin->parts.worker_count; i++) {
        const struct session_metrics *from = metrics_of(admin, i);
        int64_t wait_ms = atomic_load(&from->oldest_wait_ms);
        int64_t command_ms = atomic_load(&from->oldest_command_ms);
        int64_t ticked_ms = atomic_load(&from->ticked_ms);
        int64_t age_ms = now_ms - (ticked_ms == 0 ? admin->started_clock_ms : ticked_ms);
        for (size_t phase = 0; phase < SESSION_PHASES; phase++)
            out->phases[phase] += atomic_load(&from->phases[phase]);
        out->oldest_wait_ms = wait_ms > out->oldest_wait_ms ? wait_ms : out->oldest_wait_ms;
        out->oldest_command_ms =
            command_ms > out->oldest_command_ms ? command_ms : out->oldest_command_ms;
        out->stalest_tick_ms = age_ms > out->stalest_tick_ms ? age_ms : out->stalest_tick_ms;
    }
}

static uint64_t count_descriptors(void)
{
    uint64_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return 0;
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder);
    return count < 3 ? 0 : count - 3; /* ".", "..", and the folder itself */
}

static uint64_t read_resident(void)
{
    unsigned long long pages = 0;
    char line[128] = "";
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    if (fgets(line, sizeof line, file) == NULL || sscanf(line, "%*u %llu", &pages) != 1)
        pages = 0;
    (void)fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void figures_process(struct process_figures *out)
{
    struct rusage used = {0};
    struct rlimit limit = {0};
    (void)getrusage(RUSAGE_SELF, &used);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    out->resident_bytes = read_resident();
    out->descriptors = count_descriptors();
    out->descriptors_max = limit.rlim_cur;
    out->cpu_seconds = (double)used.ru_utime.tv_sec + (double)used.ru_stime.tv_sec +
                       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static bool add_verdicts(void *arg, const struct registry_entry *entry)
{
    struct verdicts *sums = arg;
    sums->schemas++;
    for (size_t i = 0; i < REGISTRY_COUNTS; i++)
        sums->counts[i] += atomic_load_explicit(&entry->stats->counts[i], memory_order_relaxed);
    return true;
}

void figures_verdicts(const struct registry *registry, struct verdicts *out)
{
    *out = (struct verdicts){0};
    registry_each(registry, add_verdicts, out);
}

void figures_read(const struct admin *admin, struct metrics_reading *out)
{
    struct census census;
    struct verdicts verdicts;
    struct registry *schemas = admin_schemas(admin);
    *out = (struct metrics_reading){.at_us = clock_now_us()};
    figures_counters(admin, out->counters);
    figures_latency(admin, &out->upstream_us);
    figures_census(admin, &census);
    for (unsigned i = 0; i < admin->parts.worker_count; i++)
        histogram_add(&session_worker_merge_counters(admin->parts.workers[i])->docs,
                      &out->batch_documents);
    figures_verdicts(schemas, &verdicts);
    registry_release(schemas);
    out->passed = verdicts.counts[REGISTRY_PASSED];
    out->refused = verdicts_refused(&verdicts);
    out->warned = verdicts.counts[REGISTRY_WARNED];
    out->running = (uint32_t)census.phases[SESSION_PHASE_RUNNING];
    out->waiting =
        (uint32_t)(census.phases[SESSION_PHASE_CONNECTING] + census.phases[SESSION_PHASE_PAUSED]);
}

bool figures_alive(const struct admin *admin, struct error *err)
{
    struct census census;
    figures_census(admin, &census);
    if (census.stalest_tick_ms < STALE_TICK_MS)
        return true;
    return error_set(err, ERROR_INTERNAL, "a worker has not answered for %lld ms",
                     (long long)census.stalest_tick_ms);
}

static bool is_reachable(const struct topology_snapshot *topology)
{
    for (size_t i = 0; i < topology->server_count; i++)
        if (topology->servers[i].type != TOPOLOGY_SERVER_UNKNOWN)
            return true;
    return false;
}

size_t figures_without_port(const struct admin *admin, const struct topology_snapshot *topology,
                            const char **first)
{
    const struct admin_hooks *hooks = &admin->parts.hooks;
    size_t count = 0;
    *first = NULL;
    for (size_t i = 0; i < topology->server_count; i++) {
        if (hooks->port_of_server(hooks->context, topology->servers[i].address) != 0)
            continue;
        if (*first == NULL)
            *first = topology->servers[i].address;
        count++;
    }
    return count;
}

/* Option admin.ready_needs_ports. */
static bool check_ports(const struct admin *admin, const struct topology_snapshot *topology,
                        struct error *err)
{
    const struct admin_hooks *hooks = &admin->parts.hooks;
    enum config_ready_ports needs = admin_config(admin)->admin.ready_needs_ports;
    const char *server;
    if (needs == CONFIG_READY_PORTS_NEVER ||
        (needs == CONFIG_READY_PORTS_START && hooks->had_all_ports(hooks->context)))
        return true;
    size_t missing = figures_without_port(admin, topology, &server);
    return missing == 0 ||
           error_set(err, ERROR_BAD_VALUE,
                     "%zu of %zu upstream servers have no port (%.200s): raise listen_port_count, "
                     "which is %lld, or see the log (option admin.ready_needs_ports)",
                     missing, topology->server_count, server,
                     (long long)admin_config(admin)->listen_port_count);
}

static bool check_upstream(const struct admin *admin, struct error *err)
{
    const struct admin_hooks *hooks = &admin->parts.hooks;
    struct topology_snapshot topology;
    if (!hooks->topology(hooks->context, &topology))
        return error_no_memory(err, "the topology");
    bool reachable = is_reachable(&topology);
    if (!reachable)
        (void)error_set(err, ERROR_HOST_UNREACHABLE, "no upstream server is reachable: %.400s",
                        topology.cause[0] != 0      ? topology.cause
                        : topology.server_count > 0 ? topology.servers[0].last_error
                                                    : "no server is known yet");
    bool good = reachable && check_ports(admin, &topology, err);
    topology_snapshot_free(&topology);
    return good;
}

bool figures_ready(const struct admin *admin, struct error *err)
{
    if (admin_state_now(admin) == ADMIN_DRAINING)
        return error_set(err, ERROR_SHUTDOWN_IN_PROGRESS, "the proxy is draining");
    if (!check_upstream(admin, err))
        return false;
    return (catalog_is_loaded(admin->parts.catalog) ||
            error_set(err, ERROR_INTERNAL,
                      "the proxy has not yet read the validators of the upstream's "
                      "collections")) &&
           registry_is_loaded(admin, err);
}
