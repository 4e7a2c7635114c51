#include "admin/figures.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "admin/registry_state.h"
#include "base/clock.h"

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

void figures_command_exemplars(const struct admin *admin, enum command_name command,
                               struct exemplar out[EXEMPLAR_SLOTS])
{
    memset(out, 0, EXEMPLAR_SLOTS * sizeof *out);
    for (unsigned i = 0; i < admin->parts.worker_count; i++)
        exemplars_merge(session_metrics_command_exemplars(metrics_of(admin, i), command), out);
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
        out[*count] = (struct server_figures){.server = server};
        ++*count;
    }
    return &out[*count - 1];
}

static void add_server(const struct server_latency *latency, struct server_figures *figures)
{
    histogram_add(&latency->us, &figures->us);
    exemplars_merge(atomic_load_explicit(&latency->exemplars, memory_order_acquire),
                    figures->exemplars);
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
            add_server(server, find_server(out, &count, server->server));
        }
    for (unsigned i = 0; i < admin->parts.worker_count; i++) {
        struct histogram_totals rest = {0};
        histogram_add(&session_metrics_server_at(metrics_of(admin, i), SESSION_SERVERS_MAX)->us,
                      &rest);
        if (rest.count > 0)
            add_server(session_metrics_server_at(metrics_of(admin, i), SESSION_SERVERS_MAX),
                       find_server(out, &count, "other"));
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
    *out = (struct census){0};
    for (unsigned i = 0; i < admin->parts.worker_count; i++) {
        const struct session_metrics *from = metrics_of(admin, i);
        int64_t wait_ms = atomic_load(&from->oldest_wait_ms);
        int64_t command_ms = atomic_load(&from->oldest_command_ms);
        for (size_t phase = 0; phase < SESSION_PHASES; phase++)
            out->phases[phase] += atomic_load(&from->phases[phase]);
        out->oldest_wait_ms = wait_ms > out->oldest_wait_ms ? wait_ms : out->oldest_wait_ms;
        out->oldest_command_ms =
            command_ms > out->oldest_command_ms ? command_ms : out->oldest_command_ms;
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
        (uint32_t)(census.phases[SESSION_PHASE_CONNECTING] + census.phases[SESSION_PHASE_WAITING] +
                   census.phases[SESSION_PHASE_PAUSED]);
}
