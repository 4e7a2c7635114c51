/* Shows the data of /status as a screen of text, for `mongosluice status` and `mongosluice top`.
 * Pure. */
#ifndef SLUICE_CLI_VIEW_H
#define SLUICE_CLI_VIEW_H

#include "cli/view_terms.h"

/* The lines of a screen, displayed or not. */
struct view_lines {
    size_t pinned;   /* at the top */
    size_t scrolled; /* the others */
};

struct view_lines view_write(const struct view_input *input, const struct view_options *options,
                             struct text *out);

/* True if the status says that the proxy is ready. */
bool view_is_ready(struct bytes status);

#endif
