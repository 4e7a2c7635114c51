#include "cli/view.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bson/number.h"
#include "bson/scan.h"

enum { CURVE_COLUMNS = 40, NAME_COLUMNS = 11, PATH_BYTES = 64 };

/* --- reading ------------------------------------------------------------------------------------
 */

/* "connections.phases.idle" */
static bool find(struct bytes document, const char *path, struct scan_element *element)
{
    char name[PATH_BYTES];
    for (;;) {
        size_t len = strcspn(path, ".");
        if (len >= sizeof name || bytes_left(&document) == 0)
            return false;
        memcpy(name, path, len);
        name[len] = 0;
        if (!scan_find(document, name, element))
            return false;
        if (path[len] == 0)
            return true;
        document = element->value;
        path += len + 1;
    }
}

static double number_at(struct bytes document, const char *path)
{
    struct scan_element element;
    int64_t integer = 0;
    if (!find(document, path, &element))
        return 0;
    if (element.kind == BSON_KIND_DOUBLE)
        return number_load_double(element.value.pos);
    return scan_as_int64(&element, &integer) ? (double)integer : 0;
}

static const char *text_at(struct bytes document, const char *path)
{
    struct scan_element element;
    const char *text = NULL;
    size_t len = 0;
    return find(document, path, &element) && scan_as_string(&element, &text, &len) ? text : "";
}

/* The bytes of an array or object; empty if it is absent. */
static struct bytes part_at(struct bytes document, const char *path)
{
    struct scan_element element;
    if (find(document, path, &element) &&
        (element.kind == BSON_KIND_ARRAY || element.kind == BSON_KIND_OBJECT))
        return element.value;
    return (struct bytes){0};
}

static bool flag_at(struct bytes document, const char *path)
{
    struct scan_element element;
    return find(document, path, &element) && scan_is_true(&element);
}

bool view_is_ready(struct bytes status)
{
    return flag_at(status, "ready");
}

/* --- writing ------------------------------------------------------------------------------------
 */

struct view {
    const struct view_options *options;
    struct text *out;
    size_t rows;    /* started lines */
    size_t columns; /* of this line */
    bool full;      /* no line is left */
};

/* Ends the line and starts the next one, if there is room. */
static void end_line(struct view *view)
{
    if (view->full)
        return;
    text_add(view->out, "\n");
    view->columns = 0;
    view->rows++;
    view->full = view->options->rows > 0 && view->rows >= view->options->rows;
}

/* Writes text without control characters, cut at the edge of the screen. */
static void put(struct view *view, const char *text)
{
    for (const char *c = text; *c != 0 && !view->full;) {
        size_t len = 1;
        while (((unsigned char)c[len] & 0xC0) == 0x80)
            len++;
        if (view->options->width > 0 && view->columns >= view->options->width)
            return;
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            text_add(view->out, " "); /* no outside escape sequence may reach the terminal */
        else
            text_add_bytes(view->out, c, len);
        view->columns++;
        c += len;
    }
}

static void paint(struct view *view, const char *colour, const char *text)
{
    bool colours = view->options->colour && !view->full;
    if (colours)
        text_format(view->out, "\033[%sm", colour);
    put(view, text);
    if (colours)
        text_add(view->out, "\033[0m");
}

#define BOLD   "1"
#define DIM    "2"
#define RED    "31"
#define GREEN  "32"
#define YELLOW "33"
#define CYAN   "36"

static void fill_to(struct view *view, size_t column)
{
    do
        put(view, " ");
    while (view->columns < column &&
           (view->options->width == 0 || view->columns < view->options->width) && !view->full);
}

static void put_number(struct view *view, double value, const char *unit)
{
    char text[64];
    if (value >= 1e7)
        (void)snprintf(text, sizeof text, "%.1fM", value / 1e6);
    else if (value >= 1e4)
        (void)snprintf(text, sizeof text, "%.1fk", value / 1e3);
    else if (value >= 100 || value == floor(value))
        (void)snprintf(text, sizeof text, "%.0f", value);
    else
        (void)snprintf(text, sizeof text, "%.1f", value);
    paint(view, BOLD, text);
    put(view, unit);
}

static void put_bytes(struct view *view, double value, const char *unit)
{
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB"};
    char text[64];
    size_t at = 0;
    for (; value >= 1024 && at < 4; at++)
        value /= 1024;
    (void)snprintf(text, sizeof text, at == 0 || value >= 100 ? "%.0f%s" : "%.1f%s", value,
                   units[at]);
    paint(view, BOLD, text);
    put(view, unit);
}

static void put_ms(struct view *view, double ms)
{
    char text[64];
    if (ms >= 10000)
        (void)snprintf(text, sizeof text, "%.1f s", ms / 1000);
    else
        (void)snprintf(text, sizeof text, ms >= 100 ? "%.0f ms" : "%.2f ms", ms);
    paint(view, BOLD, text);
}

static void describe_span(double ms, char *out, size_t size)
{
    long long seconds = (long long)(ms / 1000);
    if (seconds < 60)
        (void)snprintf(out, size, "%lld s", seconds);
    else if (seconds < 3600)
        (void)snprintf(out, size, "%lld min", seconds / 60);
    else if (seconds < 86400)
        (void)snprintf(out, size, "%lld h %lld min", seconds / 3600, seconds / 60 % 60);
    else
        (void)snprintf(out, size, "%lld d %lld h", seconds / 86400, seconds / 3600 % 24);
}

static void begin_row(struct view *view, const char *name)
{
    put(view, "  ");
    paint(view, DIM, name);
    fill_to(view, 2 + NAME_COLUMNS);
}

static void put_title(struct view *view, const char *title)
{
    end_line(view);
    put(view, "  ");
    paint(view, CYAN, title);
    end_line(view);
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
    if (!scan_open(&scan, part_at(samples, "columns")))
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
    if (column < 0 || !scan_open(&scan, part_at(samples, "rows")))
        return 0;
    (void)snprintf(key, sizeof key, "%d", column);
    while (scan_next(&scan, &row)) {
        if (count == CURVE_COLUMNS)
            memmove(values, values + 1, --count * sizeof *values);
        values[count++] = number_at(row.value, key);
    }
    return count;
}

static void put_curve(struct view *view, struct bytes status, const char *column)
{
    static const char *const bars[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    double values[CURVE_COLUMNS] = {0};
    double most = 0;
    size_t width = view->options->width;
    if (!view->options->history || width < CURVE_COLUMNS + view->columns + 2)
        return;
    size_t count = read_column(part_at(status, "samples"), column, values);
    for (size_t i = 0; i < count; i++)
        most = fmax(most, values[i]);
    fill_to(view, width - count - 1);
    for (size_t i = 0; i < count; i++) {
        size_t bar = most > 0 ? (size_t)ceil(values[i] / most * 8) : 0;
        paint(view, GREEN, bars[bar > 8 ? 8 : bar]);
    }
}

/* --- the parts of the screen --------------------------------------------------------------------
 */

static void put_head(struct view *view, struct bytes status)
{
    char span[40];
    const char *state = text_at(status, "state");
    const char *set = text_at(status, "upstream.set_name");
    bool ready = view_is_ready(status);
    bool runs = strcmp(state, "running") == 0;
    describe_span(number_at(status, "uptime_ms"), span, sizeof span);
    paint(view, BOLD, "mongosluice ");
    put(view, text_at(status, "version"));
    put(view, "   ");
    put(view, set[0] != 0 ? set : text_at(status, "upstream.kind"));
    put(view, "   ");
    paint(view, runs && ready ? GREEN : runs ? RED : YELLOW, runs && !ready ? "not ready" : state);
    put(view, "   up ");
    put(view, span);
    end_line(view);
    if (!ready) {
        put(view, "  ");
        paint(view, RED, text_at(status, "reason"));
        end_line(view);
    }
    end_line(view);
}

static void put_traffic(struct view *view, struct bytes status)
{
    begin_row(view, "requests");
    put_number(view, number_at(status, "now.requests"), "/s   in ");
    put_bytes(view, number_at(status, "now.request_bytes"), "/s   out ");
    put_bytes(view, number_at(status, "now.reply_bytes"), "/s");
    put_curve(view, status, "requests");
    end_line(view);
    begin_row(view, "latency");
    put(view, "p50 ");
    put_ms(view, number_at(status, "now.latency_p50_ms"));
    put(view, "   p95 ");
    put_ms(view, number_at(status, "now.latency_p95_ms"));
    put(view, "   p99 ");
    put_ms(view, number_at(status, "now.latency_p99_ms"));
    put_curve(view, status, "latency_p99_ms");
    end_line(view);
}

/* A row for documents of older versions, and a row for candidates; each only if there are any. */
static void put_versions(struct view *view, struct bytes status)
{
    double older = number_at(status, "validation.passed_older");
    double candidates = number_at(status, "validation.candidates");
    if (older > 0) {
        begin_row(view, "old shapes");
        put_number(view, older, " documents passed by an older version");
        end_line(view);
    }
    if (candidates > 0) {
        begin_row(view, "candidates");
        put_number(view, candidates, "   ");
        put_number(view, number_at(status, "validation.tried.passed"), " documents pass   ");
        put_number(view, number_at(status, "validation.tried.refused"), " do not   ");
        put_number(view, number_at(status, "validation.tried.undecided"), " undecided");
        end_line(view);
    }
}

/* A row for the schema registry that the proxy follows, and a row for its problem. */
static void put_registry(struct view *view, struct bytes status)
{
    struct bytes registry = part_at(status, "registry");
    if (bytes_left(&registry) == 0)
        return;
    const char *error = text_at(registry, "error");
    const char *trouble = text_at(registry, "trouble");
    begin_row(view, "registry");
    put(view, text_at(registry, "name"));
    put(view, "   ");
    put(view, text_at(registry, "mode"));
    put(view, "   ");
    put_number(view, number_at(registry, "namespaces"), " namespaces   ");
    put_number(view, number_at(registry, "problem_count"), " with problems   lag ");
    put_ms(view, number_at(registry, "lag_ms"));
    end_line(view);
    if (error[0] == 0 && trouble[0] == 0)
        return;
    begin_row(view, "");
    paint(view, RED, error[0] != 0 ? error : trouble);
    end_line(view);
}

static void put_writes(struct view *view, struct bytes status)
{
    begin_row(view, "documents");
    put_number(view, number_at(status, "now.passed"), "/s passed   ");
    put_number(view, number_at(status, "now.warned"), "/s warned   ");
    put_number(view, number_at(status, "now.refused"), "/s refused   in all ");
    put_number(view, number_at(status, "validation.warned"), " warned, ");
    put_number(view, number_at(status, "validation.refused"), " refused");
    put_curve(view, status, "refused");
    end_line(view);
    put_versions(view, status);
    put_registry(view, status);
    begin_row(view, "batches");
    put_number(view, number_at(status, "now.batches"), "/s   ");
    put_number(view, number_at(status, "now.batch_documents"), " documents each");
    put_curve(view, status, "batch_documents");
    end_line(view);
}

static void put_clients(struct view *view, struct bytes status)
{
    begin_row(view, "clients");
    put_number(view, number_at(status, "connections.clients"), " of ");
    put_number(view, number_at(status, "connections.clients_max"), "   ");
    put_number(view, number_at(status, "connections.phases.running"), " running   ");
    put_number(view,
               number_at(status, "connections.phases.connecting") +
                   number_at(status, "connections.phases.paused"),
               " waiting, the oldest ");
    put_ms(view, number_at(status, "connections.oldest_wait_ms"));
    end_line(view);
    begin_row(view, "memory");
    put_bytes(view, number_at(status, "memory.resident_bytes"), "   buffers ");
    put_bytes(view, number_at(status, "memory.buffer_bytes"), " of ");
    put_bytes(view, number_at(status, "memory.buffer_limit_bytes"), "   descriptors ");
    put_number(view, number_at(status, "descriptors.open"), " of ");
    put_number(view, number_at(status, "descriptors.max"), "");
    end_line(view);
    begin_row(view, "errors");
    put_number(view, number_at(status, "now.errors"), "/s");
    put_curve(view, status, "errors");
    end_line(view);
}

static void put_servers(struct view *view, struct bytes status)
{
    struct scan scan;
    struct scan_element server;
    put_title(view, "SERVERS");
    if (!scan_open(&scan, part_at(status, "upstream.servers")))
        return;
    while (scan_next(&scan, &server)) {
        const char *error = text_at(server.value, "error");
        put(view, "  ");
        put(view, text_at(server.value, "address"));
        fill_to(view, 34);
        put(view, text_at(server.value, "type"));
        fill_to(view, 50);
        paint(view, error[0] == 0 ? GREEN : RED, error[0] == 0 ? "reachable" : error);
        end_line(view);
    }
}

static void put_refusals(struct view *view, struct bytes status)
{
    struct scan scan;
    struct scan_element refusal;
    bool first = true;
    if (!scan_open(&scan, part_at(status, "validation.refusals")))
        return;
    for (; scan_next(&scan, &refusal); first = false) {
        char clock[16] = "";
        struct tm broken;
        time_t at = (time_t)(number_at(refusal.value, "at_ms") / 1000);
        if (first)
            put_title(view, "RECENT REFUSALS AND WARNINGS");
        if (localtime_r(&at, &broken) != NULL)
            (void)strftime(clock, sizeof clock, "%H:%M:%S", &broken);
        put(view, "  ");
        put(view, clock);
        put(view, "  ");
        bool warned = flag_at(refusal.value, "warned");
        paint(view, warned ? YELLOW : RED, warned ? "warned  " : "refused ");
        put(view, " ");
        paint(view, BOLD, text_at(refusal.value, "ns"));
        fill_to(view, 44);
        put(view, text_at(refusal.value, "reason"));
        end_line(view);
    }
}

static void put_left_out(struct view *view, struct bytes status)
{
    struct scan scan;
    struct scan_element one;
    bool first = true;
    if (!scan_open(&scan, part_at(status, "validation.left_out")))
        return;
    for (; scan_next(&scan, &one); first = false) {
        if (first)
            put_title(view, "ENFORCED BY THE SERVER ONLY");
        put(view, "  ");
        paint(view, BOLD, text_at(one.value, "ns"));
        fill_to(view, 34);
        put(view, text_at(one.value, "reason"));
        end_line(view);
    }
}

static void put_connections(struct view *view, struct bytes connections)
{
    struct scan scan;
    struct scan_element row;
    struct bytes rows = part_at(connections, "connections");
    if (bytes_left(&rows) <= 5 || !scan_open(&scan, rows))
        return;
    put_title(view, "CONNECTIONS");
    while (scan_next(&scan, &row) && !view->full) {
        char id[24];
        (void)snprintf(id, sizeof id, "  %-8.0f", number_at(row.value, "id"));
        put(view, id);
        put(view, text_at(row.value, "remote"));
        fill_to(view, 34);
        put(view, text_at(row.value, "state"));
        fill_to(view, 50);
        put(view, text_at(row.value, "command"));
        fill_to(view, 66);
        put_ms(view, number_at(row.value, "state_ms"));
        fill_to(view, 78);
        put(view, text_at(row.value, "identity"));
        end_line(view);
    }
}

void view_write(struct bytes status, struct bytes connections, const struct view_options *options,
                struct text *out)
{
    struct view view = {.options = options, .out = out};
    put_head(&view, status);
    put_traffic(&view, status);
    put_writes(&view, status);
    put_clients(&view, status);
    put_servers(&view, status);
    put_refusals(&view, status);
    put_left_out(&view, status);
    put_connections(&view, connections);
}
