#include "cli/view_tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "bson/scan.h"
#include "cli/figure.h"

void view_put_servers(struct screen *screen, struct bytes status)
{
    struct scan scan;
    struct scan_element server;
    screen_put_title(screen, "SERVERS");
    if (!scan_open(&scan, figure_part(status, "upstream.servers")))
        return;
    while (scan_next(&scan, &server)) {
        const char *error = figure_text(server.value, "error");
        screen_put(screen, "  ");
        screen_put(screen, figure_text(server.value, "address"));
        screen_fill_to(screen, 34);
        screen_put(screen, figure_text(server.value, "type"));
        screen_fill_to(screen, 50);
        screen_paint(screen, error[0] == 0 ? SCREEN_GREEN : SCREEN_RED,
                     error[0] == 0 ? "reachable" : error);
        screen_end_line(screen);
    }
}

void view_put_refusals(struct screen *screen, struct bytes status)
{
    struct scan scan;
    struct scan_element refusal;
    bool first = true;
    if (!scan_open(&scan, figure_part(status, "validation.refusals")))
        return;
    for (; scan_next(&scan, &refusal); first = false) {
        char clock[16] = "";
        struct tm broken;
        time_t at = (time_t)(figure_number(refusal.value, "at_ms") / 1000);
        if (first)
            screen_put_title(screen, "RECENT REFUSALS AND WARNINGS");
        if (localtime_r(&at, &broken) != NULL)
            (void)strftime(clock, sizeof clock, "%H:%M:%S", &broken);
        screen_put(screen, "  ");
        screen_put(screen, clock);
        screen_put(screen, "  ");
        bool warned = figure_flag(refusal.value, "warned");
        screen_paint(screen, warned ? SCREEN_YELLOW : SCREEN_RED, warned ? "warned  " : "refused ");
        screen_put(screen, " ");
        screen_paint(screen, SCREEN_BOLD, figure_text(refusal.value, "ns"));
        screen_fill_to(screen, 44);
        screen_put(screen, figure_text(refusal.value, "reason"));
        screen_end_line(screen);
    }
}

/* A list of a name and a text each. `colour` NULL: none. */
static void put_list(struct screen *screen, const char *title, struct bytes list, const char *name,
                     const char *text, const char *colour)
{
    struct scan scan;
    struct scan_element one;
    bool first = true;
    if (!scan_open(&scan, list))
        return;
    for (; scan_next(&scan, &one); first = false) {
        if (first)
            screen_put_title(screen, title);
        screen_put(screen, "  ");
        screen_paint(screen, SCREEN_BOLD, figure_text(one.value, name));
        screen_fill_to(screen, 34);
        if (colour != NULL)
            screen_paint(screen, colour, figure_text(one.value, text));
        else
            screen_put(screen, figure_text(one.value, text));
        screen_end_line(screen);
    }
}

void view_put_broken(struct screen *screen, struct bytes status)
{
    put_list(screen, "SCHEMA FILES WITH ERRORS (their last good state is enforced)",
             figure_part(status, "validation.broken"), "file", "error", SCREEN_RED);
}

void view_put_left_out(struct screen *screen, struct bytes status)
{
    put_list(screen, "ENFORCED BY THE SERVER ONLY", figure_part(status, "validation.left_out"),
             "ns", "reason", NULL);
}

/* --- pools --------------------------------------------------------------------------------------
 */

static const char *users_of(struct bytes pool)
{
    const char *kind = figure_text(pool, "kind");
    const char *users = figure_text(pool, "users");
    if (strcmp(kind, "own") == 0)
        return "(logins and own)";
    return users[0] != 0 ? users : strcmp(kind, "users") == 0 ? "(a user)" : "(nobody)";
}

static void put_pool(struct screen *screen, struct bytes pool)
{
    static const struct {
        const char *member;
        const char *unit;
    } counts[] = {
        {"idle", " idle  "}, {"leased", " leased  "}, {"own", " own  "}, {"waiting", " wait"}};
    screen_put(screen, "  ");
    screen_paint(screen, SCREEN_BOLD, users_of(pool));
    screen_fill_to(screen, 26);
    screen_put(screen, figure_text(pool, "application"));
    screen_fill_to(screen, 44);
    screen_put(screen, figure_text(pool, "server"));
    screen_fill_to(screen, 66);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        screen_put_number(screen, figure_number(pool, counts[i].member), counts[i].unit);
    if (figure_number(pool, "waiting") > 0) {
        screen_put(screen, ", the oldest ");
        screen_put_ms(screen, figure_number(pool, "oldest_wait_ms"));
    }
    screen_end_line(screen);
}

void view_put_pools(struct screen *screen, struct bytes pools)
{
    struct scan scan;
    struct scan_element pool;
    bool first = true;
    if (!scan_open(&scan, figure_part(pools, "pools")))
        return;
    while (scan_next(&scan, &pool)) {
        if (figure_number(pool.value, "size") + figure_number(pool.value, "own") +
                figure_number(pool.value, "waiting") ==
            0)
            continue;
        if (first)
            screen_put_title(screen, "POOLS");
        first = false;
        put_pool(screen, pool.value);
    }
}

/* --- connections --------------------------------------------------------------------------------
 */

static const struct connection_column {
    const char *name;   /* in the title */
    const char *member; /* of a row */
    size_t at;          /* its column on the screen */
} columns[VIEW_ORDERS] = {
    [VIEW_BY_ID] = {"id", "id", 2},
    [VIEW_BY_CLIENT] = {"client", "remote", 10},
    [VIEW_BY_STATE] = {"state", "state", 34},
    [VIEW_BY_COMMAND] = {"command", "command", 50},
    [VIEW_BY_TIME] = {"time", "state_ms", 66},
    [VIEW_BY_USER] = {"user", "identity", 78},
};

const char *view_order_name(enum view_order order)
{
    return columns[order].name;
}

/* A connection, with its key in the present order. */
struct connection_line {
    struct bytes row;
    const char *text; /* "" for a number */
    double number;
    double id;
};

static int compare_lines(const void *a, const void *b)
{
    const struct connection_line *left = a;
    const struct connection_line *right = b;
    int order = strcmp(left->text, right->text);
    if (order != 0)
        return order;
    if (left->number != right->number)
        return left->number < right->number ? -1 : 1;
    return (left->id > right->id) - (left->id < right->id);
}

/* Ids and names rise; times fall, because the longest ones are looked for. */
static struct connection_line line_of(struct bytes row, enum view_order order)
{
    struct connection_line line = {.row = row, .text = "", .id = figure_number(row, "id")};
    if (order == VIEW_BY_TIME)
        line.number = -figure_number(row, "state_ms");
    else if (order != VIEW_BY_ID)
        line.text = figure_text(row, columns[order].member);
    return line;
}

static size_t count_connections(const struct view_input *input)
{
    size_t count = 0;
    for (size_t i = 0; i < input->page_count; i++) {
        struct scan scan;
        struct scan_element row;
        struct bytes rows = figure_part(input->connections[i], "connections");
        if (bytes_left(&rows) > 0 && scan_open(&scan, rows))
            while (scan_next(&scan, &row))
                count++;
    }
    return count;
}

static void read_connections(const struct view_input *input, enum view_order order,
                             struct connection_line *lines)
{
    size_t count = 0;
    for (size_t i = 0; i < input->page_count; i++) {
        struct scan scan;
        struct scan_element row;
        struct bytes rows = figure_part(input->connections[i], "connections");
        if (bytes_left(&rows) > 0 && scan_open(&scan, rows))
            while (scan_next(&scan, &row))
                lines[count++] = line_of(row.value, order);
    }
    qsort(lines, count, sizeof *lines, compare_lines);
}

static void put_connection(struct screen *screen, struct bytes row)
{
    char id[24];
    (void)snprintf(id, sizeof id, "  %-8.0f", figure_number(row, "id"));
    screen_put(screen, id);
    for (size_t i = VIEW_BY_CLIENT; i < VIEW_ORDERS; i++) {
        screen_fill_to(screen, columns[i].at);
        if (i == VIEW_BY_TIME)
            screen_put_ms(screen, figure_number(row, "state_ms"));
        else
            screen_put(screen, figure_text(row, columns[i].member));
    }
    screen_end_line(screen);
}

static void put_columns(struct screen *screen, enum view_order order)
{
    for (size_t i = 0; i < VIEW_ORDERS; i++) {
        screen_fill_to(screen, columns[i].at);
        screen_paint(screen, i == order ? SCREEN_BOLD : SCREEN_DIM, columns[i].name);
    }
    screen_end_line(screen);
}

void view_put_connections(struct screen *screen, const struct view_input *input,
                          const struct view_options *options)
{
    size_t count = count_connections(input);
    struct connection_line *lines = count == 0 ? NULL : memory_array(count, sizeof *lines);
    char title[80];
    double all = count == 0 ? 0 : figure_number(input->connections[0], "clients");
    if (lines == NULL)
        return;
    if (all > (double)count)
        (void)snprintf(title, sizeof title, "CONNECTIONS (the first %zu of %.0f)", count, all);
    else
        (void)snprintf(title, sizeof title, "CONNECTIONS");
    screen_put_title(screen, title);
    put_columns(screen, options->order);
    read_connections(input, options->order, lines);
    for (size_t i = 0; i < count; i++)
        put_connection(screen, lines[options->reversed ? count - 1 - i : i].row);
    memory_free(lines);
}
