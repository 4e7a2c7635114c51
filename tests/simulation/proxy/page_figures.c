#include "page_figures.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "../net/process.h"
#include "main/proxy.h"
#include "main/proxy_parts.h"
#include "metrics/counters.h"
#include "session/session_worker.h"
#include "simulated_proxy.h"
#include "world_internal.h"

static void read_counters(const struct simulated_proxy *simulated, uint64_t out[COUNTER_COUNT])
{
    memset(out, 0, COUNTER_COUNT * sizeof *out);
    for (unsigned i = 0; i < simulated->proxy->worker_count; i++)
        counters_sum(session_worker_counters(simulated->proxy->workers[i]), out);
}

/* -1: there is none. */
static int64_t integer(const bson_t *json, const char *path)
{
    bson_iter_t iter;
    bson_iter_t found;
    if (!bson_iter_init(&iter, json) || !bson_iter_find_descendant(&iter, path, &found))
        return -1;
    return bson_iter_as_int64(&found);
}

static bool is_true(const bson_t *json, const char *name)
{
    bson_iter_t iter;
    return bson_iter_init_find(&iter, json, name) && bson_iter_as_bool(&iter);
}

/* --- pages of JSON --- */

static const char *check_status(const struct simulated_proxy *simulated, const bson_t *json)
{
    uint64_t values[COUNTER_COUNT];
    char path[96];
    read_counters(simulated, values);
    for (unsigned i = 0; i < COUNTER_COUNT; i++) {
        (void)snprintf(path, sizeof path, "counters.%s", counters_name((enum counter)i));
        if (integer(json, path) != (int64_t)values[i])
            return counters_name((enum counter)i);
    }
    if (integer(json, "connections.clients") != (int64_t)values[COUNTER_CLIENTS_NOW] ||
        integer(json, "connections.upstream") != (int64_t)values[COUNTER_UPSTREAM_NOW])
        return "the connections are not those of the counters";
    if (integer(json, "threads") != simulated->proxy->worker_count)
        return "threads is wrong";
    return NULL;
}

static bool each_row(const bson_t *json, const char *name, bson_iter_t *rows)
{
    bson_iter_t iter;
    return bson_iter_init_find(&iter, json, name) && bson_iter_recurse(&iter, rows);
}

static bool next_row(bson_iter_t *rows, bson_t *out)
{
    uint32_t len = 0;
    const uint8_t *data = NULL;
    if (!bson_iter_next(rows) || !BSON_ITER_HOLDS_DOCUMENT(rows))
        return false;
    bson_iter_document(rows, &len, &data);
    return bson_init_static(out, data, len);
}

static const char *check_connections(const struct simulated_proxy *simulated, bool all, bool still,
                                     const bson_t *json)
{
    bson_iter_t rows;
    bson_t row;
    int64_t count = 0;
    int64_t last = 0;
    int64_t clients = atomic_load(&simulated->proxy->shared.clients_now);
    if (!each_row(json, "connections", &rows))
        return "there is no list";
    for (; next_row(&rows, &row); count++) {
        if (integer(&row, "id") <= last)
            return "the ids do not ascend";
        last = integer(&row, "id");
    }
    if (integer(json, "clients") != clients)
        return "clients is not the number of clients";
    if (!all && count > 2)
        return "there are more rows than the limit";
    if (all && still && is_true(json, "complete") && count != (clients < 100 ? clients : 100))
        return "some clients are left out";
    return NULL;
}

/* Idle connections may end after the page was written. */
static const char *check_pools(bool still, unsigned upstreams, const bson_t *json)
{
    bson_iter_t rows;
    bson_t row;
    int64_t sum = 0;
    if (!each_row(json, "pools", &rows))
        return "there is no list";
    while (next_row(&rows, &row)) {
        int64_t size = integer(&row, "opening") + integer(&row, "idle") + integer(&row, "leased");
        sum += size + integer(&row, "own");
        if (integer(&row, "size") != size)
            return "size is not opening + idle + leased";
        if (integer(&row, "awaiting") > integer(&row, "leased"))
            return "more connections await than are leased";
    }
    if (still && is_true(json, "complete") && integer(json, "left_out") == 0 && sum > upstreams &&
        sum > process_socket_count(SOCKET_UPSTREAM))
        return "the pools have more connections than the proxy";
    return NULL;
}

const char *page_figures_check_json(struct simulated_proxy *simulated, enum plan_page page,
                                    bool still, unsigned upstreams, const bson_t *json)
{
    switch (page) {
    case PAGE_LIVEZ:
    case PAGE_READYZ:
        return is_true(json, "ok") ? NULL : "it is not ok";
    case PAGE_STATUS:
    case PAGE_SAMPLES:
    case PAGE_WITHOUT_TOKEN:
        return check_status(simulated, json);
    case PAGE_CONNECTIONS:
    case PAGE_SOME_CONNECTIONS:
        return check_connections(simulated, page == PAGE_CONNECTIONS, still, json);
    case PAGE_POOLS:
        return check_pools(still, upstreams, json);
    default:
        return NULL;
    }
}

/* --- /metrics --- */

/* One line: a series with labels, and its value. */
struct sample_line {
    const char *series;
    size_t name_len, series_len;
    double value;
};

static bool read_sample(const char *line, const char *end, bool openmetrics,
                        struct sample_line *out)
{
    const char *at = line;
    while (at < end && (isalnum((unsigned char)*at) || *at == '_' || *at == ':'))
        at++;
    out->series = line;
    out->name_len = (size_t)(at - line);
    if (at < end && *at == '{') {
        bool quoted = false;
        for (at++; at < end && (quoted || *at != '}'); at++) {
            if (*at == '\\')
                at++;
            else if (*at == '"')
                quoted = !quoted;
        }
        at++;
    }
    out->series_len = (size_t)(at - line);
    char *stop = NULL;
    if (out->name_len == 0 || at >= end || *at != ' ')
        return false;
    out->value = strtod(at + 1, &stop);
    return stop > at + 1 && (stop == end || (openmetrics && strncmp(stop, " # {", 4) == 0));
}

static uint64_t hash_of(const struct sample_line *line)
{
    uint64_t hash = 0xCBF29CE484222325U;
    for (size_t i = 0; i < line->series_len; i++)
        hash = (hash ^ (unsigned char)line->series[i]) * 0x100000001B3U;
    return hash | 1;
}

/* Series of the present page, and the last value of each. */
static struct seen_series *find_series(struct simulated_proxy *simulated, uint64_t hash)
{
    for (size_t at = hash % SERIES_MAX;; at = (at + 1) % SERIES_MAX)
        if (simulated->series[at].hash == hash || simulated->series[at].hash == 0)
            return &simulated->series[at];
}

static bool ends_with(const struct sample_line *line, const char *end)
{
    size_t len = strlen(end);
    return line->name_len > len && strncmp(line->series + line->name_len - len, end, len) == 0;
}

/* The counts of a schema end with it, and those of the next one begin at 0. */
static bool only_grows(const struct plan *plan, const struct sample_line *line)
{
    bool is_of_schema = memmem(line->series, line->series_len, "schema", strlen("schema")) != NULL;
    return !(is_of_schema && plan_has_fault(plan, FAULT_SCHEMA)) &&
           (ends_with(line, "_total") || ends_with(line, "_bucket") || ends_with(line, "_count"));
}

static const char *note_sample(struct simulated_proxy *simulated, const struct sample_line *line)
{
    struct seen_series *seen = find_series(simulated, hash_of(line));
    if (seen->hash == 0 && ++simulated->series_count > SERIES_MAX / 2)
        return "there are more series than the simulation expects";
    if (seen->hash != 0 && seen->page == simulated->metrics_pages)
        return "a series is there twice";
    if (seen->hash != 0 && only_grows(simulated->plan, line) && line->value < seen->value)
        return "a counter became smaller";
    *seen = (struct seen_series){hash_of(line), simulated->metrics_pages, line->value};
    return NULL;
}

static const char *check_against(const struct sample_line *line, const uint64_t *values)
{
    static const struct {
        const char *series;
        enum counter counter;
    } known[] = {
        {"mongosluice_requests_total", COUNTER_REQUESTS},
        {"mongosluice_replies_total", COUNTER_REPLIES},
        {"mongosluice_request_bytes_total", COUNTER_REQUEST_BYTES},
        {"mongosluice_reply_bytes_total", COUNTER_REPLY_BYTES},
        {"mongosluice_upstream_requests_total", COUNTER_UPSTREAM_REQUESTS},
        {"mongosluice_upstream_connections", COUNTER_UPSTREAM_NOW},
        {"mongosluice_client_connections_accepted_total", COUNTER_CLIENTS_ACCEPTED},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i].series) == line->series_len &&
            strncmp(known[i].series, line->series, line->series_len) == 0 &&
            line->value != (double)values[known[i].counter])
            return known[i].series;
    return NULL;
}

const char *page_figures_check_metrics(struct simulated_proxy *simulated, bool openmetrics,
                                       const char *text)
{
    uint64_t values[COUNTER_COUNT];
    static char problem[512];
    const char *wrong = NULL;
    read_counters(simulated, values);
    simulated->metrics_pages++;
    if (simulated->series == NULL)
        simulated->series = simulation_alloc(SERIES_MAX * sizeof *simulated->series);
    for (const char *end = NULL; *text != 0 && wrong == NULL; text = end + 1) {
        struct sample_line line;
        end = strchr(text, '\n');
        if (end == NULL)
            return "the last line does not end";
        if (strncmp(text, "# HELP ", 7) == 0 || strncmp(text, "# TYPE ", 7) == 0)
            continue;
        if (strncmp(text, "# EOF\n", 6) == 0)
            return openmetrics && end[1] == 0 ? NULL : "EOF stands before the end";
        if (!read_sample(text, end, openmetrics, &line))
            return "a line is no sample";
        wrong = note_sample(simulated, &line);
        if (wrong == NULL)
            wrong = check_against(&line, values);
        if (wrong != NULL) {
            (void)snprintf(problem, sizeof problem, "%s: %.*s", wrong, (int)(end - text), text);
            return problem;
        }
    }
    return openmetrics ? "EOF is missing" : NULL;
}
