#include "admin/pool_pages.h"

#include <event2/http.h>
#include <string.h>

#include "admin/figures.h"
#include "base/memory.h"
#include "metrics/exposition.h"
#include "session/pool_observe.h"

enum { POOLS_WAIT_MS = 2000 };

/* Present figures of a server, over all workers. */
struct server_pool_sums {
    const char *server; /* "other": all others; borrowed from the workers */
    uint64_t values[POOL_GAUGES];
    uint64_t pinned[PIN_REASONS];
    int64_t oldest_wait_ms;
};

static void add_place(const struct server_pools *from, struct server_pool_sums *into)
{
    int64_t wait_ms = atomic_load_explicit(&from->oldest_wait_ms, memory_order_relaxed);
    for (size_t i = 0; i < POOL_GAUGES; i++)
        into->values[i] += atomic_load_explicit(&from->values[i], memory_order_relaxed);
    for (size_t i = 0; i < PIN_REASONS; i++)
        into->pinned[i] += atomic_load_explicit(&from->pinned[i], memory_order_relaxed);
    into->oldest_wait_ms = wait_ms > into->oldest_wait_ms ? wait_ms : into->oldest_wait_ms;
}

/* The sums of the server, added if there is room; otherwise the last ones, of all others. */
static struct server_pool_sums *find_server(struct server_pool_sums out[FIGURES_SERVERS],
                                            size_t *count, const char *server)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(out[i].server, server) == 0)
            return &out[i];
    if (*count < FIGURES_SERVERS) {
        out[*count] =
            (struct server_pool_sums){.server = *count == FIGURES_SERVERS - 1 ? "other" : server};
        ++*count;
    }
    return &out[*count - 1];
}

static bool is_used(const struct server_pools *pools)
{
    for (size_t i = 0; i < POOL_GAUGES; i++)
        if (atomic_load_explicit(&pools->values[i], memory_order_relaxed) > 0)
            return true;
    return false;
}

static size_t sum_servers(const struct admin *admin, struct server_pool_sums out[FIGURES_SERVERS])
{
    size_t count = 0;
    for (unsigned w = 0; w < admin->parts.worker_count; w++) {
        const struct session_metrics *metrics = session_worker_metrics(admin->parts.workers[w]);
        for (size_t s = 0; s < SESSION_SERVERS_MAX; s++) {
            const struct server_latency *server = session_metrics_server_at(metrics, s);
            if (server == NULL)
                break;
            add_place(&metrics->pools[s], find_server(out, &count, server->server));
        }
    }
    for (unsigned w = 0; w < admin->parts.worker_count; w++) {
        const struct server_pools *rest =
            &session_worker_metrics(admin->parts.workers[w])->pools[SESSION_SERVERS_MAX];
        if (is_used(rest))
            add_place(rest, find_server(out, &count, "other"));
    }
    return count;
}

/* --- /metrics -----------------------------------------------------------------------------------
 */

static const enum pool_gauge states[] = {POOL_GAUGE_OPENING, POOL_GAUGE_IDLE, POOL_GAUGE_LEASED,
                                         POOL_GAUGE_OWN};

static void add_states(struct text *out, const struct server_pool_sums *sums, size_t count)
{
    exposition_family(out, "mongosluice_pool_connections", "gauge",
                      "Upstream connections of shared mode, by server and state: opening (by the "
                      "proxy), idle, leased (a command runs), own (of one client, which logs in or "
                      "keeps its connection).");
    for (size_t i = 0; i < count; i++)
        for (size_t s = 0; s < sizeof states / sizeof states[0]; s++) {
            struct exposition_label labels[] = {{"server", sums[i].server},
                                                {"state", pool_gauge_name(states[s])}};
            exposition_labelled(out, "mongosluice_pool_connections", labels, 2,
                                (double)sums[i].values[states[s]]);
        }
    exposition_family(
        out, "mongosluice_pool_pinned_connections", "gauge",
        "Leased and own connections by server and by the reason that keeps them: "
        "command (it runs), exhaust (a stream), unacknowledged (a w:0 write), login.");
    for (size_t i = 0; i < count; i++)
        for (size_t pin = PIN_NONE + 1; pin < PIN_REASONS; pin++) {
            struct exposition_label labels[] = {{"server", sums[i].server},
                                                {"reason", pool_pin_name((enum pool_pin)pin)}};
            exposition_labelled(out, "mongosluice_pool_pinned_connections", labels, 2,
                                (double)sums[i].pinned[pin]);
        }
}

static void add_gauge(struct text *out, const char *name, const char *help, enum pool_gauge gauge,
                      const struct server_pool_sums *sums, size_t count)
{
    exposition_family(out, name, "gauge", help);
    for (size_t i = 0; i < count; i++)
        exposition_count(out, name, (struct exposition_label){"server", sums[i].server},
                         sums[i].values[gauge]);
}

static void add_gauges(struct text *out, const struct server_pool_sums *sums, size_t count)
{
    add_states(out, sums, count);
    add_gauge(out, "mongosluice_pools",
              "Pools with connections or waiting clients, by server; each worker thread has its "
              "own.",
              POOL_GAUGE_POOLS, sums, count);
    add_gauge(out, "mongosluice_pool_awaiting_connections",
              "Leased connections whose getMore awaits data (limited by pool.await_share).",
              POOL_GAUGE_AWAITING, sums, count);
    add_gauge(out, "mongosluice_pool_waiting_clients",
              "Clients whose command waits for a shared connection, or for the permission to log "
              "in.",
              POOL_GAUGE_WAITING, sums, count);
    exposition_family(out, "mongosluice_pool_oldest_wait_seconds", "gauge",
                      "Time that the first of these clients has waited.");
    for (size_t i = 0; i < count; i++)
        exposition_real(out, "mongosluice_pool_oldest_wait_seconds",
                        (struct exposition_label){"server", sums[i].server},
                        (double)sums[i].oldest_wait_ms / 1000);
}

static void add_counters(struct text *out, const uint64_t counters[COUNTER_COUNT])
{
    exposition_single(out, "mongosluice_pool_logins_total", "counter",
                      "Logins of clients, after which the client shares the connections of its "
                      "users.",
                      (double)counters[COUNTER_POOL_LOGINS]);
    exposition_family(out, "mongosluice_verifier_logins_total", "counter",
                      "Logins of clients that the proxy checked itself (auth.verifiers), by "
                      "outcome. The server saw none of them.");
    exposition_count(out, "mongosluice_verifier_logins_total",
                     (struct exposition_label){"outcome", "accepted"},
                     counters[COUNTER_VERIFIER_LOGINS]);
    exposition_count(out, "mongosluice_verifier_logins_total",
                     (struct exposition_label){"outcome", "refused"},
                     counters[COUNTER_VERIFIER_REFUSALS]);
    exposition_single(out, "mongosluice_pool_refills_total", "counter",
                      "Connections that the proxy opened for a pool.",
                      (double)counters[COUNTER_POOL_REFILLS]);
    exposition_family(out, "mongosluice_pool_closed_connections_total", "counter",
                      "Connections closed for this reason: full (the pool of a login was full), "
                      "cancelled (their client left, and the command went on).");
    exposition_count(out, "mongosluice_pool_closed_connections_total",
                     (struct exposition_label){"reason", "full"}, counters[COUNTER_POOL_FULL]);
    exposition_count(out, "mongosluice_pool_closed_connections_total",
                     (struct exposition_label){"reason", "cancelled"},
                     counters[COUNTER_POOL_CANCELLED]);
    exposition_single(out, "mongosluice_pool_closed_clients_total", "counter",
                      "Clients closed because the pool of their users was empty and only a login "
                      "refills it.",
                      (double)counters[COUNTER_POOL_EMPTY]);
}

void pool_metrics_write(const struct admin *admin, const uint64_t counters[COUNTER_COUNT],
                        struct text *out)
{
    struct server_pool_sums sums[FIGURES_SERVERS];
    add_gauges(out, sums, sum_servers(admin, sums));
    add_counters(out, counters);
}

/* --- /status ------------------------------------------------------------------------------------
 */

static void add_pins(const char *name, struct json *json, const uint64_t pinned[PIN_REASONS])
{
    json_open_object(json, name);
    for (size_t pin = PIN_NONE + 1; pin < PIN_REASONS; pin++)
        json_add_uint(json, pool_pin_name((enum pool_pin)pin), pinned[pin]);
    json_close_object(json);
}

void pool_status_write(const struct admin *admin, struct json *json)
{
    struct server_pool_sums sums[FIGURES_SERVERS];
    struct server_pool_sums all = {0};
    size_t count = sum_servers(admin, sums);
    for (size_t i = 0; i < count; i++) {
        for (size_t v = 0; v < POOL_GAUGES; v++)
            all.values[v] += sums[i].values[v];
        for (size_t pin = 0; pin < PIN_REASONS; pin++)
            all.pinned[pin] += sums[i].pinned[pin];
        if (sums[i].oldest_wait_ms > all.oldest_wait_ms)
            all.oldest_wait_ms = sums[i].oldest_wait_ms;
    }
    json_open_object(json, "pools");
    json_add_string(json, "mode",
                    admin_config(admin)->pool.mode == CONFIG_SHARED ? "shared" : "session");
    for (size_t i = 0; i < POOL_GAUGES; i++)
        json_add_uint(json, pool_gauge_name((enum pool_gauge)i), all.values[i]);
    json_add_int(json, "oldest_wait_ms", all.oldest_wait_ms);
    add_pins("pinned", json, all.pinned);
    json_close_object(json);
}

/* --- /pools -------------------------------------------------------------------------------------
 */

static void add_compressors(uint8_t compressors, struct json *json)
{
    json_open_array(json, "compressors");
    for (unsigned bit = 0; bit < 8; bit++)
        if ((compressors & 1U << bit) != 0)
            json_add_string(json, NULL, pool_compressor_name(bit));
    json_close_array(json);
}

static void add_row(const struct pool_row *row, struct json *json)
{
    const struct pool_figures *figures = &row->figures;
    uint64_t pinned[PIN_REASONS];
    for (size_t i = 0; i < PIN_REASONS; i++)
        pinned[i] = figures->pinned[i];
    json_break_line(json);
    json_open_object(json, NULL);
    json_add_string(json, "server", row->server);
    json_add_string(json, "kind", row->of_logins ? "own" : row->has_identity ? "users" : "nobody");
    json_add_string(json, "users", row->users);
    json_add_string(json, "application", row->application);
    add_compressors(row->compressors, json);
    json_add_bool(json, "backpressure", row->backpressure);
    json_add_bool(json, "refillable", row->refillable);
    json_add_uint(json, "size", figures->size);
    json_add_uint(json, "opening", figures->opening);
    json_add_uint(json, "idle", figures->idle);
    json_add_uint(json, "leased", figures->leased);
    json_add_uint(json, "awaiting", figures->awaiting);
    json_add_uint(json, "own", figures->own);
    json_add_uint(json, "waiting", figures->waiting);
    json_add_int(json, "oldest_wait_ms", figures->oldest_wait_ms);
    add_pins("pinned", json, pinned);
    json_close_object(json);
}

void admin_get_pools(struct admin *admin, const struct admin_request *request)
{
    struct text body = text_growing();
    struct pool_rows rows;
    if (!pool_list(admin->parts.workers, admin->parts.worker_count, POOLS_WAIT_MS, &rows)) {
        http_send_error(request->http, 503, "out of memory");
        return;
    }
    struct json json = json_over(&body);
    json_open_object(&json, NULL);
    json_open_array(&json, "pools");
    for (size_t i = 0; i < rows.count; i++)
        add_row(&rows.of[i], &json);
    json_break_line(&json);
    json_close_array(&json);
    json_add_uint(&json, "left_out", rows.left_out);
    json_add_bool(&json, "complete", rows.complete);
    json_close_object(&json);
    memory_free(rows.of);
    http_send_json(request->http, 200, &body);
}
