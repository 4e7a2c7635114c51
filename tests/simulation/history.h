/* One simulated history, from its plan to its checks. */
#ifndef SIMULATION_HISTORY_H
#define SIMULATION_HISTORY_H

#include "plan.h"
#include "world.h"

struct history_outcome {
    struct world_failure failure; /* its check is NULL if all held */
    uint64_t hash;                /* over all events */
    uint64_t events;
    int64_t lasted_us; /* virtual */
};

/* Runs it to its end. False: a check failed. `trace`: NULL or a FILE. */
bool history_run(const struct plan *plan, void *trace, struct world_failure *failure);
/* The same with figures. */
bool history_measure(const struct plan *plan, void *trace, struct history_outcome *out);

#endif
