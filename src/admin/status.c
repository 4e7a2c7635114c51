/* What goes on, as JSON: /status and /connections. */
#include <event2/http.h>
#include <inttypes.h>
#include <sys/time.h>
#include <unistd.h>

#include "admin/admin_internal.h"
#include "base/memory.h"
#include "net/clock.h"

enum {
    CONNECTIONS_PAGE = 100,
    CONNECTIONS_WAIT_MS = 1000, /* for the workers, which answer within one turn of their loops */
    REFUSALS_SHOWN = 8
};

/* --- /status ------------------------------------------------------------------------------------
 */

static void add_upstream(const struct admin *admin, struct text *out)
{
    const struct admin_hooks *hooks = &admin->parts.hooks;
    struct topology_snapshot topology;
    if (!hooks->topology(hooks->context, &topology)) {
        out->cut = true;
        return;
    }
    text_add(out, "\"upstream\":{\"kind\":");
    text_add_json_string(out, topology_kind_name(topology.kind));
    text_add(out, ",\"set_name\":");
    text_add_json_string(out, topology.set_name);
    text_add(out, ",\"servers\":[");
    for (size_t i = 0; i < topology.server_count; i++) {
        const struct topology_server *server = &topology.servers[i];
        text_add(out, i == 0 ? "{\"address\":" : ",{\"address\":");
        text_add_json_string(out, server->address);
        text_add(out, ",\"type\":");
        text_add_json_string(out, server->type);
        text_add(out, ",\"error\":");
        text_add_json_string(out, server->last_error);
        text_add(out, "}");
    }
    text_add(out, "]}");
    topology_snapshot_free(&topology);
}

static void add_connections(const struct admin *admin, const struct census *census,
                            const uint64_t counters[COUNTER_COUNT], struct text *out)
{
    text_format(out,
                "\"connections\":{\"clients\":%" PRIu64 ",\"clients_max\":%" PRId64
                ",\"upstream\":%" PRIu64 ",\"phases\":{",
                counters[COUNTER_CLIENTS_NOW], admin_config(admin)->max_client_conn,
                counters[COUNTER_UPSTREAM_NOW]);
    for (int i = 0; i < SESSION_PHASES; i++)
        text_format(out, "%s\"%s\":%" PRIu64, i == 0 ? "" : ",",
                    session_phase_name((enum session_phase)i), census->phases[i]);
    text_format(out, "},\"oldest_wait_ms\":%" PRId64 ",\"oldest_command_ms\":%" PRId64 "}",
                census->oldest_wait_ms, census->oldest_command_ms);
}

static void add_commands(const struct admin *admin, struct text *out)
{
    uint64_t sums[ROUTES_MAX];
    const char *between = "";
    figures_commands(admin, sums);
    text_add(out, "\"commands\":{");
    for (size_t i = 0; i < route_count(); i++) {
        if (sums[i] == 0)
            continue;
        text_format(out, "%s\"%s\":%" PRIu64, between, i == 0 ? "other" : route_name(i), sums[i]);
        between = ",";
    }
    text_add(out, "}");
}

static void add_counters(const uint64_t counters[COUNTER_COUNT], struct text *out)
{
    text_add(out, "\"counters\":{");
    for (int i = 0; i < COUNTER_COUNT; i++)
        text_format(out, "%s\"%s\":%" PRIu64, i == 0 ? "" : ",", counters_name((enum counter)i),
                    counters[i]);
    text_add(out, "}");
}

static void add_memory(const struct admin *admin, struct text *out)
{
    struct process_figures process;
    figures_process(&process);
    text_format(out,
                "\"memory\":{\"buffer_bytes\":%zu,\"buffer_limit_bytes\":%zu,"
                "\"resident_bytes\":%" PRIu64 "},\"descriptors\":{\"open\":%" PRIu64
                ",\"max\":%" PRIu64 "},\"cpu_seconds\":%.2f",
                atomic_load(&admin->parts.shared->budget.used_bytes),
                atomic_load(&admin->parts.shared->budget.limit_bytes), process.resident_bytes,
                process.descriptors, process.descriptors_max, process.cpu_seconds);
}

static void add_merging(const struct admin *admin, struct text *out)
{
    struct coalesce_sums totals;
    figures_merging(admin, &totals);
    text_format(out,
                "\"merging\":{\"batches\":%" PRIu64 ",\"documents\":%" PRIu64
                ",\"waiting\":%" PRIu64 ",\"retry_entries\":%" PRIu64 ",\"flushes\":{",
                totals.docs.count, totals.docs.sum, totals.values[COALESCE_WAITING_NOW],
                (uint64_t)retry_table_entries(admin->parts.shared->retries));
    for (size_t i = 0; i < FIGURES_FLUSHES; i++)
        text_format(out, "%s\"%s\":%" PRIu64, i == 0 ? "" : ",", figures_flush_name(i),
                    totals.values[COALESCE_FLUSH_IDLE + i]);
    text_add(out, "}}");
}

static void add_validation(const struct admin *admin, struct text *out)
{
    struct verdicts verdicts;
    struct registry *schemas = admin_schemas(admin);
    figures_verdicts(schemas, &verdicts);
    text_format(out,
                "\"validation\":{\"schemas\":%zu,\"broken_files\":%zu,\"passed\":%" PRIu64
                ",\"refused\":%" PRIu64 ",\"warned\":%" PRIu64 ",\"seconds\":%.6f,\"refusals\":",
                verdicts.schemas, admin->parts.hooks.schemas_broken(admin->parts.hooks.context),
                verdicts.counts[REGISTRY_PASSED], verdicts.counts[REGISTRY_REFUSED],
                verdicts.counts[REGISTRY_WARNED], (double)verdicts.counts[REGISTRY_CHECK_NS] / 1e9);
    schema_write_newest_refusals(schemas, REFUSALS_SHOWN,
                                 admin_config(admin)->admin.show_values == CONFIG_TRUE, out);
    text_add(out, "}");
    registry_release(schemas);
}

static int64_t unix_ms(void)
{
    struct timeval now;
    gettimeofday(&now, NULL);
    return (int64_t)now.tv_sec * 1000 + now.tv_usec / 1000;
}

static void add_head(const struct admin *admin, struct text *out)
{
    struct error err;
    bool ready = figures_ready(admin, &err);
    text_format(out,
                "\"version\":\"%s\",\"pid\":%d,\"started_ms\":%" PRId64 ",\"uptime_ms\":%" PRId64
                ",\"now_ms\":%" PRId64 ",\"threads\":%u,\"state\":\"%s\",\"ready\":%s,\"reason\":",
                SLUICE_VERSION, (int)getpid(), admin->started_ms,
                clock_now_ms() - admin->started_clock_ms, unix_ms(), admin->parts.worker_count,
                admin_state_name(admin_state_now(admin)), ready ? "true" : "false");
    text_add_json_string(out, ready ? "" : err.message);
}

void admin_get_status(struct admin *admin, const struct admin_request *request)
{
    struct text body = text_growing();
    uint64_t counters[COUNTER_COUNT];
    struct census census;
    uint64_t since_ms = INT64_MAX; /* without it: no samples but the newest */
    if (!admin_query_number(request, "since", INT64_MAX, &since_ms)) {
        http_send_error(request->http, 400, "since is a time in milliseconds since 1970");
        return;
    }
    figures_counters(admin, counters);
    figures_census(admin, &census);
    text_add(&body, "{");
    add_head(admin, &body);
    text_add(&body, ",");
    add_upstream(admin, &body);
    text_add(&body, ",");
    add_connections(admin, &census, counters, &body);
    text_add(&body, ",");
    add_memory(admin, &body);
    text_add(&body, ",");
    add_commands(admin, &body);
    text_add(&body, ",");
    add_counters(counters, &body);
    text_add(&body, ",");
    add_merging(admin, &body);
    text_add(&body, ",");
    add_validation(admin, &body);
    text_add(&body, ",\"now\":");
    sample_write(samples_newest(&admin->samples), &body);
    text_add(&body, ",\"samples\":");
    samples_write(&admin->samples, (int64_t)since_ms, &body);
    text_add(&body, "}");
    http_send_json(request->http, 200, &body);
}

/* --- /connections -------------------------------------------------------------------------------
 */

static void add_row(const struct session_row *row, struct text *out)
{
    text_format(out, "{\"id\":%" PRIu64 ",\"remote\":", row->id);
    text_add_json_string(out, row->remote);
    text_add(out, ",\"server\":");
    text_add_json_string(out, row->server);
    text_add(out, ",\"identity\":");
    text_add_json_string(out, row->identity);
    text_format(out,
                ",\"state\":\"%s\",\"command\":\"%s\",\"tls\":%s,\"in_transaction\":%s,"
                "\"state_ms\":%" PRId64 ",\"connected_ms\":%" PRId64 "}",
                session_phase_name(row->phase), row->command, row->tls ? "true" : "false",
                row->in_transaction ? "true" : "false", row->phase_ms, row->connected_ms);
}

void admin_get_connections(struct admin *admin, const struct admin_request *request)
{
    struct text body = text_growing();
    struct session_row *rows = NULL;
    uint64_t after = 0;
    uint64_t limit = CONNECTIONS_PAGE;
    size_t count = 0;
    bool complete = false;
    if (!admin_query_number(request, "after", INT64_MAX, &after) ||
        !admin_query_number(request, "limit", SESSION_ROWS_MAX, &limit) || limit == 0) {
        http_send_error(request->http, 400,
                        "after is the id of a connection, limit a number from 1 to 500");
        return;
    }
    if (!session_list(admin->parts.workers, admin->parts.worker_count, after, limit,
                      CONNECTIONS_WAIT_MS, &rows, &count, &complete)) {
        http_send_error(request->http, 503, "out of memory");
        return;
    }
    text_add(&body, "{\"connections\":[");
    for (size_t i = 0; i < count; i++) {
        text_add(&body, i == 0 ? "\n" : ",\n");
        add_row(&rows[i], &body);
    }
    text_format(&body, "\n],\"clients\":%u,\"complete\":%s,\"next\":",
                atomic_load(&admin->parts.shared->clients_now), complete ? "true" : "false");
    if (count == limit)
        text_format(&body, "%" PRIu64 "}", rows[count - 1].id);
    else
        text_add(&body, "null}");
    memory_free(rows);
    http_send_json(request->http, 200, &body);
}
