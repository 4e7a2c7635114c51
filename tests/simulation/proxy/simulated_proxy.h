/* The simulated proxy, for the files of this folder. */
#ifndef SIMULATION_SIMULATED_PROXY_H
#define SIMULATION_SIMULATED_PROXY_H

#include "model.h"

struct proxy;

struct simulated_proxy {
    struct world *world;
    const struct plan *plan;
    struct proxy *proxy; /* NULL: it did not start */
    struct timer *tick;
    long blocks_before; /* of base/memory.h */
};

#endif
