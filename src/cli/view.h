/* Shows the data of /status as a screen of text, for `mongosluice status` and `mongosluice top`.
 * Pure. */
#ifndef SLUICE_CLI_VIEW_H
#define SLUICE_CLI_VIEW_H

#include "base/bytes.h"
#include "base/text.h"

struct view_options {
    size_t width; /* columns; 0: lines are not cut */
    size_t rows;  /* 0: no limit */
    bool colour;
    bool history; /* curves of the last minutes */
};

/* Both documents are the endpoint's JSON as BSON; `connections` may be empty. */
void view_write(struct bytes status, struct bytes connections, const struct view_options *options,
                struct text *out);

/* True if the status says that the proxy is ready. */
bool view_is_ready(struct bytes status);

#endif
