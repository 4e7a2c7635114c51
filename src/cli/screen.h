/* Writes a screen of text, line by line, for a terminal of some size. Pure. */
#ifndef SLUICE_CLI_SCREEN_H
#define SLUICE_CLI_SCREEN_H

#include "base/text.h"

#define SCREEN_BOLD   "1"
#define SCREEN_DIM    "2"
#define SCREEN_RED    "31"
#define SCREEN_GREEN  "32"
#define SCREEN_YELLOW "33"
#define SCREEN_CYAN   "36"

enum { SCREEN_NAME_COLUMNS = 11 };

struct screen_options {
    size_t width; /* columns; 0: lines are not cut */
    size_t rows;  /* lines on the screen; 0: no limit */
    size_t skip;  /* lines that are scrolled away, after the pinned ones */
    bool colour;
    bool history; /* curves of the last minutes */
};

struct screen {
    const struct screen_options *options;
    struct text *out;
    size_t lines;   /* ended so far, on the screen or not */
    size_t pinned;  /* lines at the top that do not scroll */
    size_t shown;   /* lines on the screen */
    size_t columns; /* of this line */
    bool hidden;    /* this line is not on the screen */
};

/* Ends the line and starts the next one. */
void screen_end_line(struct screen *screen);
/* The lines so far stay when the others scroll. */
void screen_pin(struct screen *screen);

/* Writes text without control characters, cut at the edge of the screen. */
void screen_put(struct screen *screen, const char *text);
void screen_paint(struct screen *screen, const char *colour, const char *text);
void screen_fill_to(struct screen *screen, size_t column);
void screen_put_number(struct screen *screen, double value, const char *unit);
void screen_put_bytes(struct screen *screen, double value, const char *unit);
void screen_put_ms(struct screen *screen, double ms);
void screen_describe_span(double ms, char *out, size_t size);
/* The name of a row, at the start of its line. */
void screen_begin_row(struct screen *screen, const char *name);
/* An empty line, and the title of a table. */
void screen_put_title(struct screen *screen, const char *title);

#endif
