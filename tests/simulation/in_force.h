/* The schema of APPLICATION_CHECKED that the proxy enforces, over the time of a history: the real
 * proxy publishes it, and the checks of the drivers ask for it. */
#ifndef SIMULATION_IN_FORCE_H
#define SIMULATION_IN_FORCE_H

#include "world.h"

/* The number of the next schema file of the history: 1, 2, … A refusal names it. */
unsigned in_force_number(struct world *world);

/* From now on all workers judge by the schema with this number. 0: by none. */
void in_force_begin(struct world *world, unsigned number, bool strict);

/* Whether such a schema was in force at some moment from `since_us` to `until_us`; a schema that
 * ended at `since_us` counts. Before the first one, the strict schema with the number 0 is in
 * force: the servers of the control check by themselves. */
bool in_force_was_strict(const struct world *world, int64_t since_us, int64_t until_us);
bool in_force_was_loose(const struct world *world, int64_t since_us, int64_t until_us);
bool in_force_was_number(const struct world *world, unsigned number, int64_t since_us,
                         int64_t until_us);

#endif
