/* The operators' view of pools: figures of each worker, and a list of pools on request. */
#ifndef SLUICE_SESSION_POOL_OBSERVE_H
#define SLUICE_SESSION_POOL_OBSERVE_H

#include "session/pool.h"
#include "session/session_metrics.h"

struct session_worker;

/* Worker's thread, at each tick: updates the figures of its pools. */
void pool_observe_all(struct session_worker *worker);

/* Static texts. */
const char *pool_gauge_name(enum pool_gauge gauge);
const char *pool_pin_name(enum pool_pin pin); /* "" for PIN_NONE */

/* Of a bit in pool_row.compressors. */
const char *pool_compressor_name(unsigned bit);

enum { POOL_ROWS_MAX = 1000, POOL_APPLICATION_BYTES = 160 };

/* A pool, summed over the workers: each has a part of its own. */
struct pool_row {
    char server[SESSION_SERVER_BYTES];
    char users[SESSION_IDENTITY_BYTES]; /* from the server; "" for clients without a login */
    char application[POOL_APPLICATION_BYTES];
    uint8_t identity[POOL_IDENTITY_BYTES];
    bool has_identity;
    bool of_logins;  /* connections of clients that log in or keep their connection */
    bool refillable; /* the proxy can open its connections itself */
    uint8_t compressors;
    bool backpressure;
    struct pool_figures figures;
};

struct pool_rows {
    struct pool_row *of; /* from memory_alloc; sorted by server, users, application */
    size_t count;        /* at most POOL_ROWS_MAX */
    size_t left_out;
    bool complete; /* all workers answered in time */
};

/* Lists the pools of all workers. False without memory. For any thread except a worker's. */
bool pool_list(struct session_worker *const *workers, unsigned worker_count, unsigned timeout_ms,
               struct pool_rows *out);

#endif
