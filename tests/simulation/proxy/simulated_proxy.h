/* The simulated proxy, for the files of this folder. */
#ifndef SIMULATION_SIMULATED_PROXY_H
#define SIMULATION_SIMULATED_PROXY_H

#include "model.h"

struct proxy;

enum { SERIES_MAX = 4096 };

/* A series of /metrics. */
struct seen_series {
    uint64_t hash; /* 0: unused */
    unsigned page; /* the last one with it */
    double value;
};

struct simulated_proxy {
    struct world *world;
    const struct plan *plan;
    struct proxy *proxy; /* NULL: it did not start */
    struct timer *tick;
    struct timer *signal;       /* TERM is on its way */
    long blocks_before;         /* of base/memory.h */
    struct seen_series *series; /* NULL: no /metrics yet */
    size_t series_count;
    unsigned metrics_pages;
};

#endif
