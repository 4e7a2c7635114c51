/* The figures of /status as a screen of text: what `mongosluice status` prints and `mongosluice
 * top` shows. Pure. */
#ifndef SLUICE_CLI_VIEW_H
#define SLUICE_CLI_VIEW_H

#include "base/bytes.h"
#include "base/text.h"

struct view_options {
    size_t width; /* columns; 0: lines are not cut */
    size_t rows;  /* 0: as many as there are */
    bool colour;
    bool history; /* curves of the last minutes */
};

/* Both documents are the endpoint's JSON as BSON; `connections` may be empty. */
void view_write(struct bytes status, struct bytes connections, const struct view_options *options,
                struct text *out);

/* Whether the status says that the proxy is ready. */
bool view_is_ready(struct bytes status);

#endif
