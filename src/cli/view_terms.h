/* The input and the options of the view. */
#ifndef SLUICE_CLI_VIEW_TERMS_H
#define SLUICE_CLI_VIEW_TERMS_H

#include "base/bytes.h"
#include "cli/screen.h"

/* The order of the connections. */
enum view_order {
    VIEW_BY_ID,
    VIEW_BY_CLIENT,
    VIEW_BY_STATE,
    VIEW_BY_COMMAND,
    VIEW_BY_TIME, /* the longest first */
    VIEW_BY_USER,
    VIEW_ORDERS
};

/* The endpoint's JSON as BSON. */
struct view_input {
    struct bytes status;
    const struct bytes *connections; /* pages of /connections */
    size_t page_count;
    struct bytes pools; /* of /pools; empty: not asked */
};

struct view_options {
    struct screen_options screen;
    enum view_order order;
    bool reversed;
};

#endif
