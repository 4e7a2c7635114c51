#include "cli/view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bson/scan.h"
#include "cli/figure.h"
#include "cli/view_tables.h"

enum { CURVE_COLUMNS = 40 };

bool view_is_ready(struct bytes status)
{
    return figure_flag(status, "ready");
}

/* --- curves -------------------------------------------------------------------------------------
 */

/* The position of a column in the rows of the samples; -1 if it is absent. */
static int column_of(struct bytes samples, const char *name)
{
    struct scan scan;
    struct scan_element element;
    const char *text = NULL;
    size_t len = 0;
    int at = 0;
    if (!scan_open(&scan, figure_part(samples, "columns")))
        return -1;
    for (; scan_next(&scan, &element); at++)
        if (scan_as_string(&element, &text, &len) && strcmp(text, name) == 0)
            return at;
    return -1;
}

/* The last values of a column, oldest first. */
static size_t read_column(struct bytes samples, const char *name, double values[CURVE_COLUMNS])
{
    struct scan scan;
    struct scan_element row;
    char key[12];
    size_t count = 0;
    int column = column_of(samples, name);
    if (column < 0 || !scan_open(&scan, figure_part(samples, "rows")))
        return 0;
    (void)snprintf(key, sizeof key, "%d", column);
    while (scan_next(&scan, &row)) {
        if (count == CURVE_COLUMNS)
            memmove(values, values + 1, --count * sizeof *values);
        values[count++] = figure_number(row.value, key);
    }
    return count;
}

static void put_curve(struct screen *screen, struct bytes status, const char *column)
{
    static const char *const bars[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    double values[CURVE_COLUMNS] = {0};
    double most = 0;
    size_t width = screen->options->width;
    if (!screen->options->history || width < CURVE_COLUMNS + screen->columns + 2)
        return;
    size_t count = read_column(figure_part(status, "samples"), column, values);
    for (size_t i = 0; i < count; i++)
        most = fmax(most, values[i]);
    screen_fill_to(screen, width - count - 1);
    for (size_t i = 0; i < count; i++) {
        size_t bar = most > 0 ? (size_t)ceil(values[i] / most * 8) : 0;
        screen_paint(screen, SCREEN_GREEN, bars[bar > 8 ? 8 : bar]);
    }
}

/* --- the parts of the screen --------------------------------------------------------------------
 */

static void put_trouble(struct screen *screen, const char *what, const char *text)
{
    screen_put(screen, "  ");
    screen_paint(screen, SCREEN_RED, what);
    screen_put(screen, text);
    screen_end_line(screen);
}

/* Certificates that expire soon. */
static void put_certificates(struct screen *screen, struct bytes status)
{
    enum { SOON_DAYS = 14, DAY_MS = 86400000 };
    struct scan scan;
    struct scan_element one;
    double now_ms = figure_number(status, "now_ms");
    if (!scan_open(&scan, figure_part(status, "certificates")))
        return;
    while (scan_next(&scan, &one)) {
        char text[96];
        double days = (figure_number(one.value, "valid_until_ms") - now_ms) / DAY_MS;
        if (days >= SOON_DAYS)
            continue;
        (void)snprintf(text, sizeof text, days <= 0 ? " has expired" : " expires in %.1f days",
                       days);
        put_trouble(screen, figure_text(one.value, "option"), text);
    }
}

/* Faults that wait for an operator. */
static void put_troubles(struct screen *screen, struct bytes status)
{
    if (figure_text(status, "reload.error")[0] != 0)
        put_trouble(screen, "The last reload failed: ", figure_text(status, "reload.error"));
    if (figure_text(status, "certificates_problem")[0] != 0)
        put_trouble(screen, "Changed certificate files have errors: ",
                    figure_text(status, "certificates_problem"));
    put_certificates(screen, status);
}

static void put_head(struct screen *screen, struct bytes status)
{
    char span[40];
    const char *state = figure_text(status, "state");
    const char *set = figure_text(status, "upstream.set_name");
    bool ready = view_is_ready(status);
    bool runs = strcmp(state, "running") == 0;
    screen_describe_span(figure_number(status, "uptime_ms"), span, sizeof span);
    screen_paint(screen, SCREEN_BOLD, "mongosluice ");
    screen_put(screen, figure_text(status, "version"));
    screen_put(screen, "   ");
    screen_put(screen, set[0] != 0 ? set : figure_text(status, "upstream.kind"));
    screen_put(screen, "   ");
    screen_paint(screen,
                 runs && ready ? SCREEN_GREEN
                 : runs        ? SCREEN_RED
                               : SCREEN_YELLOW,
                 runs && !ready ? "not ready" : state);
    screen_put(screen, "   up ");
    screen_put(screen, span);
    screen_end_line(screen);
    if (!ready) {
        screen_put(screen, "  ");
        screen_paint(screen, SCREEN_RED, figure_text(status, "reason"));
        screen_end_line(screen);
    }
    put_troubles(screen, status);
    screen_end_line(screen);
}

static void put_traffic(struct screen *screen, struct bytes status)
{
    screen_begin_row(screen, "requests");
    screen_put_number(screen, figure_number(status, "now.requests"), "/s   in ");
    screen_put_bytes(screen, figure_number(status, "now.request_bytes"), "/s   out ");
    screen_put_bytes(screen, figure_number(status, "now.reply_bytes"), "/s");
    put_curve(screen, status, "requests");
    screen_end_line(screen);
    screen_begin_row(screen, "latency");
    screen_put(screen, "p50 ");
    screen_put_ms(screen, figure_number(status, "now.latency_p50_ms"));
    screen_put(screen, "   p95 ");
    screen_put_ms(screen, figure_number(status, "now.latency_p95_ms"));
    screen_put(screen, "   p99 ");
    screen_put_ms(screen, figure_number(status, "now.latency_p99_ms"));
    put_curve(screen, status, "latency_p99_ms");
    screen_end_line(screen);
}

/* A row for documents of older versions, and a row for candidates; each only if there are any. */
static void put_versions(struct screen *screen, struct bytes status)
{
    double older = figure_number(status, "validation.passed_older");
    double candidates = figure_number(status, "validation.candidates");
    if (older > 0) {
        screen_begin_row(screen, "old shapes");
        screen_put_number(screen, older, " documents passed by an older version");
        screen_end_line(screen);
    }
    if (candidates > 0) {
        screen_begin_row(screen, "candidates");
        screen_put_number(screen, candidates, "   ");
        screen_put_number(screen, figure_number(status, "validation.tried.passed"),
                          " documents pass   ");
        screen_put_number(screen, figure_number(status, "validation.tried.refused"), " do not   ");
        screen_put_number(screen, figure_number(status, "validation.tried.undecided"),
                          " undecided");
        screen_end_line(screen);
    }
}

/* A row for the schema registry that the proxy follows, and a row for its problem. */
static void put_registry(struct screen *screen, struct bytes status)
{
    struct bytes registry = figure_part(status, "registry");
    if (bytes_left(&registry) == 0)
        return;
    const char *error = figure_text(registry, "error");
    const char *trouble = figure_text(registry, "trouble");
    screen_begin_row(screen, "registry");
    screen_put(screen, figure_text(registry, "name"));
    screen_put(screen, "   ");
    screen_put(screen, figure_text(registry, "mode"));
    screen_put(screen, "   ");
    screen_put_number(screen, figure_number(registry, "namespaces"), " namespaces   ");
    screen_put_number(screen, figure_number(registry, "problem_count"), " with problems   lag ");
    screen_put_ms(screen, figure_number(registry, "lag_ms"));
    screen_end_line(screen);
    if (error[0] == 0 && trouble[0] == 0)
        return;
    screen_begin_row(screen, "");
    screen_paint(screen, SCREEN_RED, error[0] != 0 ? error : trouble);
    screen_end_line(screen);
}

static void put_writes(struct screen *screen, struct bytes status)
{
    screen_begin_row(screen, "documents");
    screen_put_number(screen, figure_number(status, "now.passed"), "/s passed   ");
    screen_put_number(screen, figure_number(status, "now.warned"), "/s warned   ");
    screen_put_number(screen, figure_number(status, "now.refused"), "/s refused   in all ");
    screen_put_number(screen, figure_number(status, "validation.warned"), " warned, ");
    screen_put_number(screen, figure_number(status, "validation.refused"), " refused");
    put_curve(screen, status, "refused");
    screen_end_line(screen);
    put_versions(screen, status);
    put_registry(screen, status);
    screen_begin_row(screen, "batches");
    screen_put_number(screen, figure_number(status, "now.batches"), "/s   ");
    screen_put_number(screen, figure_number(status, "now.batch_documents"), " documents each");
    put_curve(screen, status, "batch_documents");
    screen_end_line(screen);
}

/* A row for pools, if clients share connections, and a row for their waiting clients. */
static void put_pools(struct screen *screen, struct bytes status)
{
    double waiting = figure_number(status, "pools.waiting");
    if (figure_number(status, "pools.pools") == 0 && figure_number(status, "pools.own") == 0 &&
        strcmp(figure_text(status, "pools.mode"), "shared") != 0)
        return;
    screen_begin_row(screen, "pools");
    screen_put_number(screen, figure_number(status, "pools.idle"), " idle   ");
    screen_put_number(screen, figure_number(status, "pools.leased"), " leased   ");
    screen_put_number(screen, figure_number(status, "pools.opening"), " opening   ");
    screen_put_number(screen, figure_number(status, "pools.own"), " own   ");
    screen_put_number(screen, waiting, waiting == 1 ? " waits" : " wait");
    if (waiting > 0) {
        screen_put(screen, ", the oldest ");
        screen_put_ms(screen, figure_number(status, "pools.oldest_wait_ms"));
    }
    screen_end_line(screen);
}

static void put_clients(struct screen *screen, struct bytes status)
{
    screen_begin_row(screen, "clients");
    screen_put_number(screen, figure_number(status, "connections.clients"), " of ");
    screen_put_number(screen, figure_number(status, "connections.clients_max"), "   ");
    screen_put_number(screen, figure_number(status, "connections.phases.running"), " running   ");
    screen_put_number(screen,
                      figure_number(status, "connections.phases.connecting") +
                          figure_number(status, "connections.phases.waiting") +
                          figure_number(status, "connections.phases.paused"),
                      " waiting, the oldest ");
    screen_put_ms(screen, figure_number(status, "connections.oldest_wait_ms"));
    screen_end_line(screen);
    screen_begin_row(screen, "memory");
    screen_put_bytes(screen, figure_number(status, "memory.resident_bytes"), "   buffers ");
    screen_put_bytes(screen, figure_number(status, "memory.buffer_bytes"), " of ");
    screen_put_bytes(screen, figure_number(status, "memory.buffer_limit_bytes"), "   descriptors ");
    screen_put_number(screen, figure_number(status, "descriptors.open"), " of ");
    screen_put_number(screen, figure_number(status, "descriptors.max"), "");
    screen_end_line(screen);
    screen_begin_row(screen, "errors");
    screen_put_number(screen, figure_number(status, "now.errors"), "/s");
    put_curve(screen, status, "errors");
    screen_end_line(screen);
}

struct view_lines view_write(const struct view_input *input, const struct view_options *options,
                             struct text *out)
{
    struct screen screen = {.options = &options->screen, .out = out};
    put_head(&screen, input->status);
    screen_pin(&screen);
    put_traffic(&screen, input->status);
    put_writes(&screen, input->status);
    put_clients(&screen, input->status);
    put_pools(&screen, input->status);
    view_put_servers(&screen, input->status);
    view_put_broken(&screen, input->status);
    view_put_refusals(&screen, input->status);
    view_put_left_out(&screen, input->status);
    view_put_pools(&screen, input->pools);
    view_put_connections(&screen, input, options);
    return (struct view_lines){screen.pinned, screen.lines - screen.pinned};
}
