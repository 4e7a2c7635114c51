#include "cli/screen.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Decides whether the line that begins is on the screen. */
static void choose(struct screen *screen)
{
    bool full = screen->options->rows > 0 && screen->shown >= screen->options->rows;
    bool scrolled =
        screen->lines >= screen->pinned && screen->lines - screen->pinned < screen->options->skip;
    screen->hidden = full || (screen->pinned > 0 && scrolled);
}

void screen_pin(struct screen *screen)
{
    screen->pinned = screen->lines;
    choose(screen);
}

void screen_end_line(struct screen *screen)
{
    if (!screen->hidden) {
        text_add(screen->out, "\n");
        screen->shown++;
    }
    screen->columns = 0;
    screen->lines++;
    choose(screen);
}

void screen_put(struct screen *screen, const char *text)
{
    for (const char *c = text; *c != 0 && !screen->hidden;) {
        size_t len = 1;
        while (((unsigned char)c[len] & 0xC0) == 0x80)
            len++;
        if (screen->options->width > 0 && screen->columns >= screen->options->width)
            return;
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            text_add(screen->out, " "); /* no outside escape sequence may reach the terminal */
        else
            text_add_bytes(screen->out, c, len);
        screen->columns++;
        c += len;
    }
}

void screen_paint(struct screen *screen, const char *colour, const char *text)
{
    bool colours = screen->options->colour && !screen->hidden;
    if (colours)
        text_format(screen->out, "\033[%sm", colour);
    screen_put(screen, text);
    if (colours)
        text_add(screen->out, "\033[0m");
}

void screen_fill_to(struct screen *screen, size_t column)
{
    do
        screen_put(screen, " ");
    while (screen->columns < column &&
           (screen->options->width == 0 || screen->columns < screen->options->width) &&
           !screen->hidden);
}

void screen_put_number(struct screen *screen, double value, const char *unit)
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
    screen_paint(screen, SCREEN_BOLD, text);
    screen_put(screen, unit);
}

void screen_put_bytes(struct screen *screen, double value, const char *unit)
{
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB"};
    char text[64];
    size_t at = 0;
    for (; value >= 1024 && at < 4; at++)
        value /= 1024;
    (void)snprintf(text, sizeof text, at == 0 || value >= 100 ? "%.0f%s" : "%.1f%s", value,
                   units[at]);
    screen_paint(screen, SCREEN_BOLD, text);
    screen_put(screen, unit);
}

void screen_put_ms(struct screen *screen, double ms)
{
    char text[64];
    if (ms >= 10000)
        (void)snprintf(text, sizeof text, "%.1f s", ms / 1000);
    else
        (void)snprintf(text, sizeof text, ms >= 100 ? "%.0f ms" : "%.2f ms", ms);
    screen_paint(screen, SCREEN_BOLD, text);
}

void screen_describe_span(double ms, char *out, size_t size)
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

void screen_begin_row(struct screen *screen, const char *name)
{
    screen_put(screen, "  ");
    screen_paint(screen, SCREEN_DIM, name);
    screen_fill_to(screen, 2 + SCREEN_NAME_COLUMNS);
}

void screen_put_title(struct screen *screen, const char *title)
{
    screen_end_line(screen);
    screen_put(screen, "  ");
    screen_paint(screen, SCREEN_CYAN, title);
    screen_end_line(screen);
}
