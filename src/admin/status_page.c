/* The state of the proxy as JSON: /status and /connections. */
#include <event2/http.h>
#include <unistd.h>

#include "admin/figures.h"
#include "admin/operation_state.h"
#include "admin/pages.h"
#include "admin/pool_pages.h"
#include "admin/readiness.h"
#include "admin/registry_state.h"
#include "admin/schema_pages.h"
#include "admin/version_figures.h"
#include "base/clock.h"
#include "base/memory.h"

enum {
    CONNECTIONS_PAGE = 100,
    CONNECTIONS_WAIT_MS = 1000, /* for the workers; they answer within one turn of their loops */
    REFUSALS_SHOWN = 8,
    LEFT_OUT_SHOWN = 16
};

/* --- /status ------------------------------------------------------------------------------------
 */

static void add_upstream(const struct admin *admin, struct json *json)
{
    const struct admin_hooks *hooks = &admin->parts.hooks;
    struct topology_snapshot topology;
    if (!hooks->topology(hooks->context, &topology)) {
        json->out->cut = true;
        return;
    }
    json_open_object(json, "upstream");
    json_add_string(json, "kind", topology_kind_name(topology.kind));
    json_add_string(json, "set_name", topology.set_name);
    json_open_array(json, "servers");
    for (size_t i = 0; i < topology.server_count; i++) {
        const struct topology_server *server = &topology.servers[i];
        json_open_object(json, NULL);
        json_add_string(json, "address", server->address);
        json_add_string(json, "type", topology_server_type_name(server->type));
        json_add_string(json, "error", server->last_error);
        json_add_uint(json, "port", hooks->port_of_server(hooks->context, server->address));
        json_close_object(json);
    }
    json_close_array(json);
    json_close_object(json);
    topology_snapshot_free(&topology);
}

static void add_connections(const struct admin *admin, const struct census *census,
                            const uint64_t counters[COUNTER_COUNT], struct json *json)
{
    json_open_object(json, "connections");
    json_add_uint(json, "clients", counters[COUNTER_CLIENTS_NOW]);
    json_add_int(json, "clients_max", admin_config(admin)->max_client_conn);
    json_add_uint(json, "upstream", counters[COUNTER_UPSTREAM_NOW]);
    json_open_object(json, "phases");
    for (int i = 0; i < SESSION_PHASES; i++)
        json_add_uint(json, session_phase_name((enum session_phase)i), census->phases[i]);
    json_close_object(json);
    json_add_int(json, "oldest_wait_ms", census->oldest_wait_ms);
    json_add_int(json, "oldest_command_ms", census->oldest_command_ms);
    json_close_object(json);
}

static void add_commands(const struct admin *admin, struct json *json)
{
    uint64_t sums[COMMAND_NAME_COUNT];
    figures_commands(admin, sums);
    json_open_object(json, "commands");
    for (size_t i = 0; i < COMMAND_NAME_COUNT; i++)
        if (sums[i] != 0)
            json_add_uint(json, session_command_label((enum command_name)i), sums[i]);
    json_close_object(json);
}

static void add_counters(const uint64_t counters[COUNTER_COUNT], struct json *json)
{
    json_open_object(json, "counters");
    for (int i = 0; i < COUNTER_COUNT; i++)
        json_add_uint(json, counters_name((enum counter)i), counters[i]);
    json_close_object(json);
}

static void add_memory(const struct admin *admin, struct json *json)
{
    const struct budget *budget = &admin->parts.shared->budget;
    struct process_figures process;
    figures_process(&process);
    json_open_object(json, "memory");
    json_add_uint(json, "buffer_bytes", budget_used(budget));
    json_add_uint(json, "buffer_limit_bytes", atomic_load(&budget->limit_bytes));
    json_add_uint(json, "resident_bytes", process.resident_bytes);
    json_close_object(json);
    json_open_object(json, "descriptors");
    json_add_uint(json, "open", process.descriptors);
    json_add_uint(json, "max", process.descriptors_max);
    json_close_object(json);
    json_add_real(json, "cpu_seconds", process.cpu_seconds, 2);
}

static void add_merging(const struct admin *admin, struct json *json)
{
    struct merger_sums totals;
    figures_merging(admin, &totals);
    json_open_object(json, "merging");
    json_add_uint(json, "batches", totals.docs.count);
    json_add_uint(json, "documents", totals.docs.sum);
    json_add_uint(json, "waiting", totals.values[MERGER_WAITING_NOW]);
    json_add_uint(json, "retry_entries", retry_table_entries(admin->parts.shared->retries));
    json_open_object(json, "flushes");
    for (size_t i = 0; i < FIGURES_FLUSHES; i++)
        json_add_uint(json, figures_flush_name(i), totals.values[MERGER_FLUSH_IDLE + i]);
    json_close_object(json);
    json_close_object(json);
}

static void add_validation(const struct admin *admin, struct json *json)
{
    struct verdicts verdicts;
    struct version_totals versions;
    struct registry *schemas = admin_schemas(admin);
    figures_verdicts(schemas, &verdicts);
    json_open_object(json, "validation");
    json_add_uint(json, "schemas", verdicts.schemas);
    json_add_uint(json, "broken_files", catalog_broken(admin->parts.catalog));
    char *problems = catalog_problems(admin->parts.catalog);
    json_add_raw(json, "broken", problems != NULL ? problems : "[]");
    memory_free(problems);
    schema_write_left_out(schemas, LEFT_OUT_SHOWN, json);
    json_add_uint(json, "passed", verdicts.counts[REGISTRY_PASSED]);
    json_add_uint(json, "refused", verdicts_refused(&verdicts));
    json_add_uint(json, "warned", verdicts.counts[REGISTRY_WARNED]);
    version_figures_total(admin, schemas, &versions);
    json_add_uint(json, "passed_older", versions.older);
    json_add_uint(json, "candidates", versions.candidates);
    json_open_object(json, "tried");
    json_add_uint(json, "passed", versions.tried[TALLY_PASSED]);
    json_add_uint(json, "refused", versions.tried[TALLY_REFUSED]);
    json_add_uint(json, "undecided", versions.tried[TALLY_UNDECIDED]);
    json_close_object(json);
    json_add_real(json, "seconds", (double)verdicts.counts[REGISTRY_CHECK_NS] / 1e9, 6);
    schema_write_newest_refusals(schemas, REFUSALS_SHOWN,
                                 admin_config(admin)->admin.show_values == CONFIG_TRUE, "refusals",
                                 json);
    json_close_object(json);
    registry_release(schemas);
}

static void add_head(const struct admin *admin, struct json *json)
{
    struct error err;
    bool ready = readiness_check(&admin->parts, admin_config(admin), &err);
    json_add_string(json, "version", SLUICE_VERSION);
    json_add_int(json, "pid", getpid());
    json_add_int(json, "started_ms", admin->started_ms);
    json_add_int(json, "uptime_ms", clock_now_ms() - admin->started_clock_ms);
    json_add_int(json, "now_ms", clock_wall_ms());
    json_add_uint(json, "threads", admin->parts.worker_count);
    json_add_string(json, "state", admin_state_name(admin_state_now(admin)));
    json_add_bool(json, "ready", ready);
    json_add_string(json, "reason", ready ? "" : err.message);
}

void admin_get_status(struct admin *admin, const struct admin_request *request)
{
    struct text body = text_growing();
    uint64_t counters[COUNTER_COUNT];
    struct census census;
    uint64_t since_ms = INT64_MAX; /* without it: only the newest sample */
    if (!admin_query_number(request, "since", INT64_MAX, &since_ms)) {
        http_send_error(request->http, 400, "since is a time in milliseconds since 1970");
        return;
    }
    figures_counters(admin, counters);
    figures_census(admin, &census);
    struct json json = json_over(&body);
    json_open_object(&json, NULL);
    add_head(admin, &json);
    add_upstream(admin, &json);
    add_connections(admin, &census, counters, &json);
    add_memory(admin, &json);
    add_commands(admin, &json);
    add_counters(counters, &json);
    pool_status_write(admin, &json);
    add_merging(admin, &json);
    add_validation(admin, &json);
    registry_write(admin, "registry", &json);
    operation_write_reload(admin, "reload", &json);
    operation_write_certificates(admin, &json);
    sample_write(samples_newest(&admin->samples), "now", &json);
    samples_write(&admin->samples, (int64_t)since_ms, "samples", &json);
    json_close_object(&json);
    http_send_json(request->http, 200, &body);
}

/* --- /connections -------------------------------------------------------------------------------
 */

static void add_row(const struct session_row *row, struct json *json)
{
    json_break_line(json);
    json_open_object(json, NULL);
    json_add_uint(json, "id", row->id);
    json_add_string(json, "remote", row->remote);
    json_add_string(json, "server", row->server);
    json_add_string(json, "identity", row->identity);
    json_add_string(json, "application", row->application);
    json_add_string(json, "mode", row->shared ? "shared" : "session");
    json_add_string(json, "state", session_phase_name(row->phase));
    json_add_string(json, "command", row->command);
    json_add_bool(json, "tls", row->tls);
    json_add_bool(json, "in_transaction", row->in_transaction);
    json_add_int(json, "state_ms", row->phase_ms);
    json_add_int(json, "connected_ms", row->connected_ms);
    json_close_object(json);
}

void admin_get_connections(struct admin *admin, const struct admin_request *request)
{
    struct text body = text_growing();
    struct session_rows rows;
    uint64_t after = 0;
    uint64_t limit = CONNECTIONS_PAGE;
    if (!admin_query_number(request, "after", INT64_MAX, &after) ||
        !admin_query_number(request, "limit", SESSION_ROWS_MAX, &limit) || limit == 0) {
        http_send_error(request->http, 400,
                        "after is the id of a connection, limit a number from 1 to 500");
        return;
    }
    struct session_query query = {.workers = admin->parts.workers,
                                  .worker_count = admin->parts.worker_count,
                                  .after = after,
                                  .limit = limit,
                                  .timeout_ms = CONNECTIONS_WAIT_MS};
    if (!session_list(&query, &rows)) {
        http_send_error(request->http, 503, "out of memory");
        return;
    }
    struct json json = json_over(&body);
    json_open_object(&json, NULL);
    json_open_array(&json, "connections");
    for (size_t i = 0; i < rows.count; i++)
        add_row(&rows.of[i], &json);
    json_break_line(&json);
    json_close_array(&json);
    json_add_uint(&json, "clients", atomic_load(&admin->parts.shared->clients_now));
    json_add_bool(&json, "complete", rows.complete);
    if (rows.count == limit)
        json_add_uint(&json, "next", rows.of[rows.count - 1].id);
    else
        json_add_null(&json, "next");
    json_close_object(&json);
    memory_free(rows.of);
    http_send_json(request->http, 200, &body);
}
