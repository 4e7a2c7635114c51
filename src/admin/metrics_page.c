/* /metrics: all figures in Prometheus' format. docs/operations.md lists them. The program or an
 * option bounds the number of values of each label. */
#include <event2/http.h>

#include "admin/figures.h"
#include "admin/operation_state.h"
#include "admin/pages.h"
#include "admin/pool_pages.h"
#include "admin/readiness.h"
#include "admin/schema_metrics.h"
#include "admin/tracing_metrics.h"
#include "base/log.h"
#include "base/memory.h"
#include "metrics/exposition.h"

#define NO_LABEL ((struct exposition_label){0})

static void add_process(const struct admin *admin, struct text *out)
{
    struct process_figures process;
    figures_process(&process);
    exposition_family(out, "mongosluice_info", "gauge", "Version of the program; always 1.");
    exposition_count(out, "mongosluice_info", (struct exposition_label){"version", SLUICE_VERSION},
                     1);
    exposition_single(out, "process_start_time_seconds", "gauge",
                      "Start time of the process, since 1970.", (double)admin->started_ms / 1000);
    exposition_single(out, "process_cpu_seconds_total", "counter", "CPU time used.",
                      process.cpu_seconds);
    exposition_single(out, "process_resident_memory_bytes", "gauge", "Resident memory.",
                      (double)process.resident_bytes);
    exposition_single(out, "process_open_fds", "gauge", "Open descriptors.",
                      (double)process.descriptors);
    exposition_single(out, "process_max_fds", "gauge", "Maximal number of open descriptors.",
                      (double)process.descriptors_max);
    exposition_single(out, "mongosluice_worker_threads", "gauge", "Worker threads.",
                      admin->parts.worker_count);
    exposition_single(out, "mongosluice_buffer_bytes", "gauge",
                      "Memory in use for messages: buffers, waiting inserts, checks of "
                      "documents.",
                      (double)budget_used(&admin->parts.shared->budget));
    exposition_single(out, "mongosluice_buffer_limit_bytes", "gauge",
                      "Limit on that memory (option memory_max).",
                      (double)atomic_load(&admin->parts.shared->budget.limit_bytes));
    exposition_single(out, "mongosluice_log_lines_dropped_total", "counter",
                      "Log lines that were dropped because their reader did not accept them.",
                      (double)log_dropped_count());
    exposition_single(out, "mongosluice_admin_connections", "gauge",
                      "Connections to the admin endpoint.", http_server_connections(admin->http));
}

static void add_state(const struct admin *admin, struct text *out)
{
    static const enum admin_state states[] = {ADMIN_RUNNING, ADMIN_PAUSED, ADMIN_DRAINING};
    enum admin_state now = admin_state_now(admin);
    struct error err;
    exposition_family(out, "mongosluice_state", "gauge", "1 for the present state of the proxy.");
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        exposition_count(out, "mongosluice_state",
                         (struct exposition_label){"state", admin_state_name(states[i])},
                         states[i] == now);
    exposition_single(out, "mongosluice_ready", "gauge", "Result of /readyz: 1 means ready.",
                      readiness_check(&admin->parts, admin_config(admin), &err) ? 1 : 0);
}

static void add_upstream(const struct admin *admin, struct text *out)
{
    const struct admin_hooks *hooks = &admin->parts.hooks;
    uint64_t counts[TOPOLOGY_SERVER_TYPES] = {0};
    const char *server;
    struct topology_snapshot topology;
    if (!hooks->topology(hooks->context, &topology)) {
        out->cut = true;
        return;
    }
    for (size_t i = 0; i < topology.server_count; i++)
        counts[topology.servers[i].type]++;
    size_t missing = readiness_without_port(&admin->parts, &topology, &server);
    topology_snapshot_free(&topology);
    exposition_single(out, "mongosluice_upstream_servers_without_port", "gauge",
                      "Upstream servers without a port of the proxy (option listen_port_count).",
                      (double)missing);
    exposition_family(out, "mongosluice_upstream_servers", "gauge",
                      "Upstream servers by type, from monitoring.");
    for (size_t t = 0; t < TOPOLOGY_SERVER_TYPES; t++)
        exposition_count(out, "mongosluice_upstream_servers",
                         (struct exposition_label){
                             "type", topology_server_type_name((enum topology_server_type)t)},
                         counts[t]);
}

static void add_connections(const struct admin *admin, const uint64_t counters[COUNTER_COUNT],
                            struct text *out)
{
    struct census census;
    figures_census(admin, &census);
    exposition_family(out, "mongosluice_client_connections", "gauge",
                      "Client connections by present activity, counted ten times a second.");
    for (int i = 0; i < SESSION_PHASES; i++)
        exposition_count(
            out, "mongosluice_client_connections",
            (struct exposition_label){"state", session_phase_name((enum session_phase)i)},
            census.phases[i]);
    exposition_single(out, "mongosluice_client_connections_max", "gauge",
                      "Maximal number of client connections (option max_client_conn).",
                      (double)admin_config(admin)->max_client_conn);
    exposition_single(out, "mongosluice_upstream_connections", "gauge",
                      "Open connections to upstream servers, without those for monitoring and "
                      "validators.",
                      (double)counters[COUNTER_UPSTREAM_NOW]);
    exposition_single(out, "mongosluice_oldest_wait_seconds", "gauge",
                      "Age of the command that has waited longest for its server connection or for "
                      "the end of a pause.",
                      (double)census.oldest_wait_ms / 1000);
    exposition_single(
        out, "mongosluice_oldest_command_seconds", "gauge",
        "Age of the command that has run longest, without hellos and getMores that await "
        "data.",
        (double)census.oldest_command_ms / 1000);
}

static void add_traffic(const uint64_t counters[COUNTER_COUNT], struct text *out)
{
    static const struct {
        enum counter counter;
        const char *name;
        const char *help;
    } totals[] = {
        {COUNTER_CLIENTS_ACCEPTED, "mongosluice_client_connections_accepted_total",
         "Accepted client connections, without the refused ones."},
        {COUNTER_CLIENTS_REFUSED, "mongosluice_client_connections_refused_total",
         "Client connections refused because of max_client_conn, or without memory for them."},
        {COUNTER_UPSTREAM_CONNECTS, "mongosluice_upstream_connects_total",
         "Connections that upstream servers accepted."},
        {COUNTER_REQUESTS, "mongosluice_requests_total",
         "Requests from clients, each once: forwarded, merged, answered by the proxy or refused. "
         "Bytes that make no request count in mongosluice_errors_total only."},
        {COUNTER_UPSTREAM_REQUESTS, "mongosluice_upstream_requests_total",
         "Commands sent to upstream servers: forwarded requests, merged inserts, and the proxy's "
         "own questions."},
        {COUNTER_REPLIES, "mongosluice_replies_total",
         "Replies to clients: forwarded ones, later ones of a stream, and the proxy's own."},
        {COUNTER_REQUEST_BYTES, "mongosluice_request_bytes_total",
         "Bytes of the requests of mongosluice_requests_total, as received."},
        {COUNTER_REPLY_BYTES, "mongosluice_reply_bytes_total",
         "Bytes of the replies of mongosluice_replies_total, as sent."},
        {COUNTER_HELLOS_REWRITTEN, "mongosluice_hellos_rewritten_total",
         "Hello replies with rewritten addresses."},
        {COUNTER_HELLOS_ANSWERED, "mongosluice_hellos_answered_total",
         "Hello requests that the proxy answered itself, for clients that share connections."},
        {COUNTER_AUTHENTICATIONS, "mongosluice_authentications_total",
         "Logins of clients that the server accepted, or the proxy with a verifier."},
        {COUNTER_IDENTITY_QUESTIONS, "mongosluice_identity_questions_total",
         "connectionStatus commands for merging, to learn the users of a connection."},
    };
    for (size_t i = 0; i < sizeof totals / sizeof totals[0]; i++) {
        exposition_family(out, totals[i].name, "counter", totals[i].help);
        exposition_count(out, totals[i].name, NO_LABEL, counters[totals[i].counter]);
    }
}

static void add_errors(const uint64_t counters[COUNTER_COUNT], struct text *out)
{
    static const struct {
        enum counter counter;
        const char *cause;
    } causes[] = {
        {COUNTER_REQUESTS_REFUSED, "request_refused"},
        {COUNTER_LIMITS_REFUSED, "limit"},
        {COUNTER_AUTHENTICATION_FAILURES, "authentication_failed"},
        {COUNTER_ERRORS_PROTOCOL_CLIENT, "client_protocol"},
        {COUNTER_ERRORS_PROTOCOL_UPSTREAM, "upstream_protocol"},
        {COUNTER_ERRORS_NETWORK_CLIENT, "client_network"},
        {COUNTER_ERRORS_NETWORK_UPSTREAM, "upstream_network"},
        {COUNTER_UPSTREAM_CONNECT_FAILURES, "upstream_connect"},
        {COUNTER_UPSTREAM_CLOSED, "upstream_closed"},
        {COUNTER_ERRORS_MEMORY, "memory_limit"},
        {COUNTER_TIMEOUTS_HANDSHAKE, "handshake_timeout"},
        {COUNTER_TIMEOUTS_IDLE, "client_idle_timeout"},
        {COUNTER_TIMEOUTS_REQUEST, "request_timeout"},
        {COUNTER_TIMEOUTS_CONNECT, "connect_timeout"},
        {COUNTER_TIMEOUTS_PAUSED, "query_wait_timeout"},
        {COUNTER_TIMEOUTS_POOL, "pool_wait_timeout"},
        {COUNTER_POOL_REFUSED, "pool_full"},
        {COUNTER_CLIENTS_VANISHED, "client_vanished"},
    };
    exposition_family(
        out, "mongosluice_errors_total", "counter",
        "Errors by cause: requests that the proxy refused (not documents of a schema), failed "
        "logins, connections that ended with an error, timeouts.");
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++)
        exposition_count(out, "mongosluice_errors_total",
                         (struct exposition_label){"cause", causes[i].cause},
                         counters[causes[i].counter]);
}

static void add_commands(const struct admin *admin, struct text *out)
{
    uint64_t sums[COMMAND_NAME_COUNT];
    figures_commands(admin, sums);
    exposition_family(out, "mongosluice_commands_total", "counter",
                      "Requests from clients by command, counted like mongosluice_requests_total; "
                      "commands without a name here are other.");
    for (size_t i = 0; i < COMMAND_NAME_COUNT; i++) {
        const char *label = session_command_label((enum command_name)i);
        if (label != NULL)
            exposition_count(out, "mongosluice_commands_total",
                             (struct exposition_label){"command", label}, sums[i]);
    }
}

/* From 64 us to a minute. Only OpenMetrics has exemplars. */
static struct exposition_buckets latency_buckets(const struct exemplar *exemplars, bool openmetrics)
{
    return (struct exposition_buckets){6, 26, 1e-6, openmetrics ? exemplars : NULL};
}

static void add_latency(const struct admin *admin, bool openmetrics, struct text *out)
{
    struct histogram_totals latency;
    struct exemplar exemplars[EXEMPLAR_SLOTS];
    exposition_family(
        out, "mongosluice_upstream_latency_seconds", "histogram",
        "Time from a request to an upstream server to its reply, by command, merged inserts too; "
        "without hellos, getMores on cursors that await data, and the later replies of a stream. "
        "The first request of a connection includes connecting.");
    for (size_t i = 0; i < COMMAND_NAME_COUNT; i++) {
        const char *label = session_command_label((enum command_name)i);
        if (label == NULL || !figures_command_latency(admin, (enum command_name)i, &latency))
            continue;
        figures_command_exemplars(admin, (enum command_name)i, exemplars);
        exposition_histogram(out, "mongosluice_upstream_latency_seconds",
                             (struct exposition_label){"command", label}, &latency,
                             latency_buckets(exemplars, openmetrics));
    }
    struct server_figures *servers = memory_array(FIGURES_SERVERS, sizeof *servers);
    if (servers == NULL) {
        out->cut = true;
        return;
    }
    size_t count = figures_servers(admin, servers);
    exposition_family(out, "mongosluice_server_latency_seconds", "histogram",
                      "The same times by upstream server; servers above the limit are other.");
    for (size_t i = 0; i < count; i++)
        exposition_histogram(out, "mongosluice_server_latency_seconds",
                             (struct exposition_label){"server", servers[i].server}, &servers[i].us,
                             latency_buckets(servers[i].exemplars, openmetrics));
    memory_free(servers);
}

static void add_turns(const struct admin *admin, struct text *out)
{
    struct histogram_totals turns;
    figures_turns(admin, &turns);
    exposition_family(
        out, "mongosluice_loop_turn_seconds", "histogram",
        "Length of the workers' loop turns: the time that other clients may have waited.");
    exposition_histogram(out, "mongosluice_loop_turn_seconds", NO_LABEL, &turns,
                         (struct exposition_buckets){4, 20, 1e-6, NULL});
}

struct merging_label {
    enum merger_counter counter;
    const char *value;
};

static void add_labelled(struct text *out, const char *name, const char *label,
                         const struct merging_label *labels, size_t count,
                         const struct merger_sums *totals)
{
    for (size_t i = 0; i < count; i++)
        exposition_count(out, name, (struct exposition_label){label, labels[i].value},
                         totals->values[labels[i].counter]);
}

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static void add_inserts(const struct merger_sums *totals, struct text *out)
{
    static const struct merging_label ways[] = {{MERGER_AT_ONCE, "at_once"},
                                                {MERGER_WAITED, "gathered"},
                                                {MERGER_PASSED, "passed"},
                                                {MERGER_REJECTED, "rejected"},
                                                {MERGER_OF_SCHEMA, "schema"}};
    static const struct merging_label ends[] = {{MERGER_BATCHES_RESENT, "resent"},
                                                {MERGER_BATCHES_LOST, "lost"},
                                                {MERGER_BATCHES_UNREADABLE, "unreadable"},
                                                {MERGER_BATCHES_UNCERTAIN, "uncertain"}};
    exposition_family(
        out, "mongosluice_inserts_total", "counter",
        "Inserts while merging is on, by their way: at_once (nothing to wait for), "
        "gathered (waited for others), passed (unmerged, see the reasons), rejected "
        "(merge.max_waiters), schema (the check against schemas answered it, or sent on "
        "a part of it). Retries answered with a kept result are not among them.");
    add_labelled(out, "mongosluice_inserts_total", "way", ways, COUNT(ways), totals);
    exposition_family(out, "mongosluice_inserts_passed_total", "counter",
                      "Inserts that were forwarded without merging (way passed), by reason.");
    for (int i = 0; i < GROUPING_BAR_COUNT; i++)
        if (i != GROUPING_BAR_NONE)
            exposition_count(
                out, "mongosluice_inserts_passed_total",
                (struct exposition_label){"reason", grouping_bar_name((enum grouping_bar)i)},
                totals->bars[i]);
    exposition_family(out, "mongosluice_batch_failures_total", "counter",
                      "Batches with a lost connection or an unclear reply.");
    add_labelled(out, "mongosluice_batch_failures_total", "outcome", ends, COUNT(ends), totals);
    exposition_single(
        out, "mongosluice_batch_stalls_total", "counter",
        "Commands without an answer for merge.stalled_after_ms, which no longer hold others back.",
        (double)totals->values[MERGER_STALLED]);
    exposition_single(out, "mongosluice_batch_held_bytes", "gauge",
                      "Bytes of waiting inserts that have no answer yet.",
                      (double)totals->values[MERGER_HELD_BYTES_NOW]);
}

static void add_merging(const struct admin *admin, struct text *out)
{
    struct merger_sums totals;
    figures_merging(admin, &totals);
    exposition_family(out, "mongosluice_batch_documents", "histogram",
                      "Documents of each merged insert (of two clients or more).");
    exposition_histogram(out, "mongosluice_batch_documents", NO_LABEL, &totals.docs,
                         (struct exposition_buckets){0, 17, 1, NULL});
    exposition_family(out, "mongosluice_batch_bytes", "histogram", "Bytes of each merged insert.");
    exposition_histogram(out, "mongosluice_batch_bytes", NO_LABEL, &totals.bytes,
                         (struct exposition_buckets){7, 26, 1, NULL});
    exposition_family(out, "mongosluice_batch_linger_seconds", "histogram",
                      "Time that the oldest insert of a batch waited.");
    exposition_histogram(out, "mongosluice_batch_linger_seconds", NO_LABEL, &totals.waited_us,
                         (struct exposition_buckets){4, 24, 1e-6, NULL});
    exposition_family(out, "mongosluice_batch_flushes_total", "counter",
                      "Ends of a wait of inserts, as a batch or alone, by reason.");
    for (size_t i = 0; i < FIGURES_FLUSHES; i++)
        exposition_count(out, "mongosluice_batch_flushes_total",
                         (struct exposition_label){"reason", figures_flush_name(i)},
                         totals.values[MERGER_FLUSH_IDLE + i]);
    add_inserts(&totals, out);
    exposition_single(out, "mongosluice_batch_waiting", "gauge", "Inserts that wait to be sent.",
                      (double)totals.values[MERGER_WAITING_NOW]);
    exposition_single(out, "mongosluice_retry_table_entries", "gauge",
                      "Retryable writes whose result is kept for a retry.",
                      (double)retry_table_entries(admin->parts.shared->retries));
    exposition_single(
        out, "mongosluice_retries_answered_total", "counter",
        "Retries answered with a kept result.",
        (double)(totals.values[MERGER_RETRIES_WAITED] + totals.values[MERGER_RETRIES_REPLAYED]));
    exposition_single(
        out, "mongosluice_inserts_asked_for_total", "counter",
        "Inserts of batches with an uncertain result, for which the proxy asked the server "
        "document by "
        "document.",
        (double)(totals.values[MERGER_FOUND_OUT] + totals.values[MERGER_RETRIES_RESENT]));
}

/* Scrapers that understand it name it in Accept; people and simple scrapers do not. */
static bool wants_openmetrics(struct evhttp_request *http)
{
    const char *accept = evhttp_find_header(evhttp_request_get_input_headers(http), "Accept");
    return accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;
}

static void send_openmetrics(struct evhttp_request *http, struct text *body)
{
    struct text converted = text_growing();
    exposition_to_openmetrics(body, &converted);
    text_release(body);
    http_send(http, &(struct http_reply){.status = 200, .type = EXPOSITION_OPENMETRICS_TYPE},
              &converted);
}

void admin_get_metrics(struct admin *admin, const struct admin_request *request)
{
    struct text body = text_growing();
    bool openmetrics = wants_openmetrics(request->http);
    uint64_t counters[COUNTER_COUNT];
    figures_counters(admin, counters);
    add_process(admin, &body);
    add_state(admin, &body);
    operation_write_metrics(admin, &body);
    add_upstream(admin, &body);
    add_connections(admin, counters, &body);
    add_traffic(counters, &body);
    add_errors(counters, &body);
    add_commands(admin, &body);
    add_latency(admin, openmetrics, &body);
    add_turns(admin, &body);
    pool_metrics_write(admin, counters, &body);
    add_merging(admin, &body);
    schema_metrics_write(admin, &body);
    tracing_metrics_write(admin, &body);
    if (openmetrics)
        send_openmetrics(request->http, &body);
    else
        http_send(request->http,
                  &(struct http_reply){.status = 200, .type = EXPOSITION_CONTENT_TYPE}, &body);
}
