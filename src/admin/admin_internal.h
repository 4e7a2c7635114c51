/* Shared by the files of this room only. All of it is the admin thread's. */
#ifndef SLUICE_ADMIN_ADMIN_INTERNAL_H
#define SLUICE_ADMIN_ADMIN_INTERNAL_H

#include <event2/keyvalq_struct.h>

#include "admin/access.h"
#include "admin/admin.h"
#include "admin/http.h"
#include "admin/sample.h"
#include "base/json.h"
#include "net/tls.h"
#include "net/worker.h"
#include "session/observe.h"

/* A reference to the configuration with what its files held. */
struct admin_settings {
    struct config *config;
    struct access_token token;
    struct tls_context *tls; /* NULL: plain */
};

struct admin {
    struct admin_parts parts;
    struct admin_settings *settings;
    struct worker *worker;
    struct http_server *http;
    struct event *drain_event;
    int64_t started_ms;       /* since 1970 */
    int64_t started_clock_ms; /* monotonic */
    int64_t sampled_ms;       /* monotonic */
    struct samples samples;
};

static inline const struct config *admin_config(const struct admin *admin)
{
    return admin->settings->config;
}

/* The schemas in force; registry_release is due. */
static inline struct registry *admin_schemas(const struct admin *admin)
{
    return catalog_registry(admin->parts.catalog);
}

static inline enum admin_state admin_state_now(const struct admin *admin)
{
    return admin->parts.hooks.state(admin->parts.hooks.context);
}
const char *admin_state_name(enum admin_state state);

/* --- figures.c: sums over the workers, and the process ------------------------------------------
 */
struct census {
    uint64_t phases[SESSION_PHASES];
    int64_t oldest_wait_ms;
    int64_t oldest_command_ms;
    int64_t stalest_tick_ms; /* how long ago the worker ticked that did so longest ago */
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

void figures_counters(const struct admin *admin, uint64_t sums[COUNTER_COUNT]);
void figures_commands(const struct admin *admin, uint64_t sums[ROUTES_MAX]);
void figures_latency(const struct admin *admin, struct histogram_totals *out);
void figures_turns(const struct admin *admin, struct histogram_totals *out);
void figures_merging(const struct admin *admin, struct coalesce_sums *out);
/* Why batches went, in the order of COALESCE_FLUSH_IDLE and on. */
enum { FIGURES_FLUSHES = COALESCE_FLUSH_DRAIN - COALESCE_FLUSH_IDLE + 1 };
const char *figures_flush_name(size_t flush);
void figures_census(const struct admin *admin, struct census *out);
void figures_process(struct process_figures *out);
void figures_verdicts(const struct registry *registry, struct verdicts *out);
void figures_read(const struct admin *admin, struct reading *out);

/* Whether the proxy can serve; if not, why. */
bool figures_ready(const struct admin *admin, struct error *err);
/* Whether every worker still turns its loop. */
bool figures_alive(const struct admin *admin, struct error *err);

/* --- endpoints ----------------------------------------------------------------------------------
 */

/* What a handler is given: the decoded path behind its route, and the query. */
struct admin_request {
    struct evhttp_request *http;
    const char *rest; /* "/schemas/a.b": "a.b" */
    struct evkeyvalq query;
    int method;      /* enum evhttp_cmd_type; HEAD counts as GET */
    bool is_trusted; /* may know more than whether the proxy works */
};

/* A whole number from the query, within bounds; false when it is there and is none. */
bool admin_query_number(const struct admin_request *request, const char *name, uint64_t max,
                        uint64_t *value);

void admin_handle(void *arg, struct evhttp_request *request); /* endpoints.c */

void admin_get_metrics(struct admin *admin, const struct admin_request *request);
void admin_get_status(struct admin *admin, const struct admin_request *request);
void admin_get_connections(struct admin *admin, const struct admin_request *request);
void admin_get_dashboard(struct admin *admin, const struct admin_request *request);
void admin_schemas_list(struct admin *admin, const struct admin_request *request);
void admin_schemas_one(struct admin *admin, const struct admin_request *request);

/* The newest refusals of all namespaces as an array, at most `limit`. */
void schema_write_newest_refusals(const struct registry *registry, size_t limit, bool show_values,
                                  const char *name, struct json *json);
/* The collections whose validators are left to the server, at most `limit`: left_out, and how many
 * there are: left_out_total. */
void schema_write_left_out(const struct registry *registry, size_t limit, struct json *json);

#endif
