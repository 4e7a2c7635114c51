/* The figures of the pages: sums over the workers and the schemas, and figures of the process. For
 * the admin thread. */
#ifndef SLUICE_ADMIN_FIGURES_H
#define SLUICE_ADMIN_FIGURES_H

#include "admin/context.h"
#include "session/observe.h"

struct census {
    uint64_t phases[SESSION_PHASES];
    int64_t oldest_wait_ms;
    int64_t oldest_command_ms;
};

struct process_figures {
    uint64_t resident_bytes;
    uint64_t descriptors;
    uint64_t descriptors_max;
    double cpu_seconds;
};

/* Of all schemas. */
struct verdicts {
    size_t schemas;
    uint64_t counts[REGISTRY_COUNTS];
};

/* All refused documents, of both outcomes. */
static inline uint64_t verdicts_refused(const struct verdicts *verdicts)
{
    return verdicts->counts[REGISTRY_REFUSED] + verdicts->counts[REGISTRY_UNPROVED_REJECTED];
}

void figures_counters(const struct admin *admin, uint64_t sums[COUNTER_COUNT]);
void figures_commands(const struct admin *admin, uint64_t sums[COMMAND_NAME_COUNT]);
/* Of all commands. */
void figures_latency(const struct admin *admin, struct histogram_totals *out);
/* False if the command was never answered. */
bool figures_command_latency(const struct admin *admin, enum command_name command,
                             struct histogram_totals *out);

/* The newest exemplars of a command's latency. */
void figures_command_exemplars(const struct admin *admin, enum command_name command,
                               struct exemplar out[EXEMPLAR_SLOTS]);

struct server_figures {
    const char *server; /* "other": all others; borrowed from the workers */
    struct histogram_totals us;
    struct exemplar exemplars[EXEMPLAR_SLOTS];
};

enum { FIGURES_SERVERS = SESSION_SERVERS_MAX + 1 };

/* The latencies by server: those with a connection so far. Returns their number. */
size_t figures_servers(const struct admin *admin, struct server_figures out[FIGURES_SERVERS]);
void figures_turns(const struct admin *admin, struct histogram_totals *out);
void figures_merging(const struct admin *admin, struct merger_sums *out);
/* The reasons for sending batches, in the order from MERGER_FLUSH_IDLE on. */
enum { FIGURES_FLUSHES = MERGER_FLUSH_DRAIN - MERGER_FLUSH_IDLE + 1 };
const char *figures_flush_name(size_t flush);
void figures_census(const struct admin *admin, struct census *out);
void figures_process(struct process_figures *out);
void figures_verdicts(const struct registry *registry, struct verdicts *out);
void figures_read(const struct admin *admin, struct metrics_reading *out);

#endif
