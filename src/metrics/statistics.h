/* The counters of all workers as one log line. */
#ifndef SLUICE_METRICS_STATISTICS_H
#define SLUICE_METRICS_STATISTICS_H

#include "metrics/counters.h"

/* buffer_bytes: the present size of all buffers. */
void statistics_log(const char *message, const struct counters *const *workers, size_t count,
                    size_t buffer_bytes);

#endif
