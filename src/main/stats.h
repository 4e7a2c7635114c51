/* The counters of all workers as one log line. */
#ifndef SLUICE_MAIN_STATS_H
#define SLUICE_MAIN_STATS_H

#include "metrics/counters.h"
#include "net/budget.h"

void stats_log(const char *message, const struct counters *const *workers, size_t count,
               const struct budget *budget);

#endif
